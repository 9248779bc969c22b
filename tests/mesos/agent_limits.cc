// An agent's limits of containers: those that are said to be reached, and those that are measured.
#include <signal.h>

#include <filesystem>
#include <map>

#include "absl/strings/str_cat.h"
#include "tests/mesos/agent.h"

namespace kartograph::stand_in {
namespace {

using mesos::TaskStatus;

constexpr absl::Duration kMeasureEvery = absl::Milliseconds(20);
constexpr int kDiskLooks = 25;
constexpr int64_t kMiB = 1 << 20;

// What all files of a sandbox have, as far as they are still there.
int64_t DiskOf(const std::string& sandbox) {
  namespace fs = std::filesystem;
  int64_t bytes = 0;
  std::error_code error;
  for (fs::recursive_directory_iterator at(sandbox, error), end; !error && at != end;
       at.increment(error)) {
    std::error_code gone;
    const uintmax_t size =
        at->is_regular_file(gone) && !at->is_symlink(gone) ? at->file_size(gone) : 0;
    if (!gone) bytes += static_cast<int64_t>(size);
  }
  return bytes;
}

std::string TextOf(TaskStatus::Reason reason, int64_t used, int64_t limit) {
  const auto mb = [](int64_t bytes) { return absl::StrCat(bytes / kMiB, "MB"); };
  return reason == TaskStatus::REASON_CONTAINER_LIMITATION_DISK
             ? absl::StrCat("Disk usage (", mb(used), ") exceeds quota (", mb(limit), ")")
             : absl::StrCat("Memory limit exceeded: Requested: ", mb(limit),
                            " Maximum Used: ", mb(used));
}

}  // namespace

void Agent::EndOverLimit(const ExecutorPtr& executor, TaskStatus::Reason reason,
                         const std::string& why) {
  if (executor->state != ExecutorState::kRunning || executor->limit) return;
  executor->limit = reason;
  executor->limit_message = why;
  if (executor->simulated) {
    OnExecutorEnd(executor, SIGKILL);
  } else if (executor->process) {
    executor->process->Signal(SIGKILL);
  }
}

void Agent::WatchLimit(const mesos::TaskInfo& info, const ExecutorPtr& executor) {
  if (limited_task_.empty() || info.name() != limited_task_) return;
  context_.loop.After(absl::Milliseconds(50),
                      [this, weak = std::weak_ptr<Executor>(executor), reason = limit_] {
                        const ExecutorPtr executor = weak.lock();
                        if (!executor) return;
                        const int64_t limit = 64 * kMiB;
                        EndOverLimit(executor, reason, TextOf(reason, limit, limit));
                      });
}

void Agent::EnforceLimits() {
  if (!std::exchange(enforces_, true)) MeasureContainers();
}

void Agent::MeasureContainers() {
  const std::vector<std::pair<std::string, ExecutorPtr>> executors(executors_.begin(),
                                                                   executors_.end());
  for (const auto& [key, executor] : executors) {
    if (executor->simulated || !executor->process) continue;
    const absl::StatusOr<Pool> own = Pool::FromMesos(executor->info.resources());
    if (!own.ok()) continue;
    Pool all = *own;
    for (const std::string& id : executor->tasks) {
      const Task* task = FindTask(executor->framework_id, id);
      if (task == nullptr || IsTerminal(task->state)) continue;
      const absl::StatusOr<Pool> its = Pool::FromMesos(task->info.resources());
      if (its.ok()) all.Add(*its);
    }
    const int64_t mem = all.Sum("mem") / 1000 * kMiB;
    const int64_t disk = all.Sum("disk") / 1000 * kMiB;
    const int64_t memory_used = MemoryOf(executor->directory);
    if (memory_used > mem) {
      const auto reason = TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY;
      EndOverLimit(executor, reason, TextOf(reason, memory_used, mem));
    }
    const int64_t disk_used = disk > 0 ? DiskOf(executor->directory) : 0;
    // As Mesos looks every 15 seconds only, there is a moment to make room in.
    static std::map<std::string, int> over;  // by sandbox: looks in a row; of the loop's thread
    if (disk_used <= disk) {
      over.erase(executor->directory);
    } else if (++over[executor->directory] >= kDiskLooks) {
      const auto reason = TaskStatus::REASON_CONTAINER_LIMITATION_DISK;
      EndOverLimit(executor, reason, TextOf(reason, disk_used, disk));
    }
  }
  context_.loop.After(kMeasureEvery, [this] { MeasureContainers(); });
}

}  // namespace kartograph::stand_in
