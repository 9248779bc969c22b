#include "executor/mesos/executor/sandbox_keeper.h"

#include <fcntl.h>
#include <fts.h>
#include <sys/stat.h>

#include <algorithm>
#include <cstdio>
#include <cstring>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/descriptor.h"
#include "base/file_io.h"
#include "executor/mesos/removed_logs.h"

namespace kartograph::executor::mesos {
namespace {

using planner::AttemptId;

constexpr char kResult[] = "result";
// Looking takes at most one part in this many of the time.
constexpr int kLookShare = 50;
// What is left free of what there is, as this part of it: those that run write on meanwhile.
constexpr uint64_t kFreeShare = 8;
constexpr uint64_t kBlock = 512;  // of st_blocks

}  // namespace

uint64_t DiskUsage(const std::string& folder, const std::string& but) {
  std::string path = folder;
  char* const roots[] = {path.data(), nullptr};
  FTS* const tree = fts_open(roots, FTS_PHYSICAL | FTS_NOCHDIR | FTS_XDEV, nullptr);
  if (tree == nullptr) return 0;
  uint64_t blocks = 0;
  while (FTSENT* const entry = fts_read(tree)) {
    if (entry->fts_info == FTS_DP || entry->fts_info == FTS_NS || entry->fts_info == FTS_ERR) {
      continue;
    }
    if (entry->fts_level == 1 && !but.empty() && but == entry->fts_name) {
      fts_set(tree, entry, FTS_SKIP);
      continue;
    }
    blocks += static_cast<uint64_t>(entry->fts_statp->st_blocks);
  }
  fts_close(tree);
  return blocks * kBlock;
}

absl::StatusOr<std::unique_ptr<SandboxKeeper>> SandboxKeeper::Create(Options options) {
  absl::StatusOr<std::unique_ptr<Sandboxes>> sandboxes =
      Sandboxes::Open(absl::StrCat(options.sandbox, "/", options.attempts));
  if (!sandboxes.ok()) return sandboxes.status();
  return std::unique_ptr<SandboxKeeper>(
      new SandboxKeeper(std::move(options), *std::move(sandboxes)));
}

SandboxKeeper::~SandboxKeeper() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

std::string SandboxKeeper::FolderOf(AttemptId attempt) const {
  return absl::StrCat(sandboxes_->root(), "/", SandboxFolder(attempt));
}

void SandboxKeeper::Wake() {
  wake_.NotifyAll();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void SandboxKeeper::Discard(planner::GraphId graph) {
  sandboxes_->Discard(graph);
  MutexLock lock(&mutex_);
  absl::erase_if(unacknowledged_,
                 [graph](AttemptId attempt) { return attempt.task().graph() == graph; });
  gone_.push_back(graph);
  discarded_ = true;
  Wake();
}

void SandboxKeeper::OnLaunch(AttemptId attempt, uint64_t disk_bytes) {
  MutexLock lock(&mutex_);
  if (!running_.emplace(attempt, disk_bytes).second) return;
  declared_ += disk_bytes;
  if (disk_bytes == 0 && options_.own_bytes == 0) return;
  look_ = true;
  Wake();
}

void SandboxKeeper::OnEnd(AttemptId attempt) {
  MutexLock lock(&mutex_);
  auto it = running_.find(attempt);
  if (it == running_.end()) return;
  declared_ -= it->second;
  running_.erase(it);
  ended_.push_back(attempt);
  unacknowledged_.insert(attempt);
  if (!IsLimited()) return;
  look_ = true;
  Wake();
}

void SandboxKeeper::OnAcknowledged(AttemptId attempt) {
  MutexLock lock(&mutex_);
  unacknowledged_.erase(attempt);
}

SandboxKeeper::Usage SandboxKeeper::usage() const {
  MutexLock lock(&mutex_);
  return usage_;
}

bool SandboxKeeper::IsStopping() const {
  MutexLock lock(&mutex_);
  return stopping_;
}

void SandboxKeeper::Run() {
  SteadyTime next = Clock::System().SteadyNow();
  while (true) {
    bool discarded = false, look = false;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && !discarded_ && !look_) {
        if (!IsLimited()) {
          wake_.Wait(&mutex_);
        } else if (const absl::Duration wait = next - Clock::System().SteadyNow();
                   wait <= absl::ZeroDuration() || !wake_.WaitFor(&mutex_, wait)) {
          look_ = true;
        }
      }
      if (stopping_) return;
      discarded = std::exchange(discarded_, false);
      look = std::exchange(look_, false);
    }
    if (discarded) RemoveDiscarded();
    if (!look) continue;
    const SteadyTime began = Clock::System().SteadyNow();
    TakeEnded();
    Look();
    const SteadyTime now = Clock::System().SteadyNow();
    next = now + std::max(options_.period, kLookShare * (now - began));
    if (options_.on_measured) options_.on_measured();
  }
}

void SandboxKeeper::RemoveDiscarded() {
  const absl::Status removed = sandboxes_->RemoveDiscarded([this] { return IsStopping(); });
  // To the executor's stderr, which the agent keeps in its sandbox.
  if (!removed.ok()) fprintf(stderr, "%s\n", std::string(removed.message()).c_str());
}

void SandboxKeeper::TakeEnded() {
  std::vector<AttemptId> ended;
  absl::flat_hash_set<planner::GraphId> gone;
  {
    MutexLock lock(&mutex_);
    ended = std::exchange(ended_, {});
    gone.insert(gone_.begin(), gone_.end());
    gone_.clear();
  }
  for (AttemptId attempt : ended) left_.push_back({attempt, DiskUsage(FolderOf(attempt))});
  std::erase_if(left_,
                [&](const Left& left) { return gone.contains(left.attempt.task().graph()); });
  left_bytes_ = 0;
  for (const Left& left : left_) left_bytes_ += left.bytes;
}

void SandboxKeeper::Look() {
  Usage usage;
  uint64_t quota = options_.own_bytes, declared = 0;
  {
    MutexLock lock(&mutex_);
    for (const auto& [attempt, bytes] : running_) usage.running[attempt] = 0;
    declared = declared_;
  }
  quota += declared;
  uint64_t running = 0;
  for (auto& [attempt, bytes] : usage.running) running += bytes = DiskUsage(FolderOf(attempt));
  const uint64_t others = DiskUsage(options_.sandbox, options_.attempts);
  const uint64_t used = others + std::min(running, declared) + left_bytes_;
  const uint64_t allowed = quota - quota / kFreeShare;
  if (quota > 0 && used > allowed) MakeRoom(used - allowed);
  usage.left = left_bytes_;
  MutexLock lock(&mutex_);
  usage_ = std::move(usage);
}

void SandboxKeeper::MakeRoom(uint64_t bytes) {
  std::vector<AttemptId> removed;
  std::deque<Left> kept;
  uint64_t freed = 0;
  while (freed < bytes && !left_.empty()) {
    Left left = left_.front();
    left_.pop_front();
    bool wanted = false;
    {
      MutexLock lock(&mutex_);
      wanted = unacknowledged_.contains(left.attempt);
    }
    uint64_t rest = 0;
    if (!wanted) {
      sandboxes_->Discard(left.attempt);
    } else if (!left.emptied) {
      sandboxes_->DiscardAllBut(left.attempt, kResult);
      rest = DiskUsage(FolderOf(left.attempt));
    } else {
      rest = left.bytes;
    }
    if (!left.emptied) removed.push_back(left.attempt);
    freed += left.bytes - std::min(rest, left.bytes);
    if (wanted) kept.push_back({left.attempt, rest, true});
  }
  left_.insert(left_.begin(), kept.begin(), kept.end());
  left_bytes_ -= std::min(freed, left_bytes_);
  Record(removed);
  RemoveDiscarded();
}

void SandboxKeeper::Record(const std::vector<AttemptId>& removed) {
  if (removed.empty()) return;
  const Descriptor file(open(absl::StrCat(options_.sandbox, "/", kRemovedLogs).c_str(),
                             O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOFOLLOW, 0666));
  struct stat info = {};
  if (!file.ok() || fstat(file.get(), &info) != 0 || info.st_size > kMaxRemovedLogs) return;
  std::string lines;
  for (AttemptId attempt : removed) {
    absl::StrAppend(&lines, planner::AttemptIdToString(attempt), "\n");
  }
  // Without it readers are told less.
  (void)WriteAll(file.get(), lines);
}

}  // namespace kartograph::executor::mesos
