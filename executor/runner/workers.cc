// The part of Runner that reuses processes: workers.
#include <errno.h>
#include <signal.h>
#include <sys/epoll.h>

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "absl/base/attributes.h"
#include "executor/runner/runner.h"

namespace kartograph::executor {

bool Runner::GiveToWorker(const Command& command, const OutputCollector::Ends& output,
                          Attempt* attempt) {
  while (std::unique_ptr<Worker> worker =
             workers_.Take(command.worker_key(), command.base().get(), attempt->ram_limit)) {
    attempt->cpu_before = worker->usage.cpu_time;
    bool given = true;
    if (worker->cgroup.fd >= 0) {
      attempt->group_cpu_before = options_.cgroups->CpuTime(worker->cgroup);
      given = options_.cgroups->SetLimit(worker->cgroup, attempt->ram_limit).ok();
    }
    const struct rlimit data = DataLimit(*attempt);
    given = given && prlimit(worker->pid, RLIMIT_DATA, &data, nullptr) == 0;
    given = given && worker->Send(command.worker_message(), output.stdout_end.get(),
                                  output.stderr_end.get());
    if (!given) {
      EndWorker(std::move(worker));
      continue;
    }
    ++worker->attempts;
    attempt->cgroup = std::exchange(worker->cgroup, {});
    attempt->pid = worker->pid;
    attempt->reused = true;
    attempt->worker = std::move(worker);
    return true;
  }
  attempt->cpu_before = attempt->group_cpu_before = absl::ZeroDuration();
  return false;
}

void Runner::WatchWorker(const Worker& worker) {
  struct epoll_event event = {.events = EPOLLIN, .data = {.u64 = 0}};
  event.data.u64 = static_cast<uint64_t>(worker.pid);
  // Where it cannot be watched, its end is found when it is waited for.
  epoll_ctl(events_.get(), EPOLL_CTL_ADD, worker.socket.get(), &event);
}

void Runner::ReceiveAnswers() {
  std::array<struct epoll_event, 64> events;
  const int count = epoll_wait(events_.get(), events.data(), events.size(), 0);
  for (int i = 0; i < count; ++i) {
    const auto pid = static_cast<pid_t>(events[static_cast<size_t>(i)].data.u64);
    if (auto it = by_pid_.find(pid); it != by_pid_.end() && it->second->worker != nullptr) {
      Receive(it->second);
    } else if (std::unique_ptr<Worker> worker = workers_.Remove(pid)) {
      // It has ended, or says something that nobody has asked for.
      EndWorker(std::move(worker));
    }
  }
}

void Runner::Receive(Attempt* attempt) {
  WorkerAnswer answer;
  switch (attempt->worker->Receive(&answer)) {
    case Worker::Received::kNothing:
      return;
    case Worker::Received::kAnswer:
      return OnAnswer(attempt, std::move(answer));
    case Worker::Received::kUnread:
      // The first attempt is what its process was made for, and that it did not read it is its end.
      attempt->unread = attempt->reused;
      ABSL_FALLTHROUGH_INTENDED;
    case Worker::Received::kClosed:
      // It has ended, which is announced, or will end as any other program.
      epoll_ctl(events_.get(), EPOLL_CTL_DEL, attempt->worker->socket.get(), nullptr);
  }
}

void Runner::OnAnswer(Attempt* attempt, WorkerAnswer answer) {
  if (attempt->reported.has_value() || attempt->main_ended) return;
  const SteadyTime now = clock_.SteadyNow();
  if (attempt->cause == Outcome::kNone) {
    attempt->reported = answer.exit_status;
    attempt->value = std::move(answer.value);
    MeasureWorker(attempt);
    attempt->keeps_worker = answer.can_go_on && IsAsGoodAsNew(*attempt);
    SetTimer(attempt, kNever);
  }
  if (!attempt->keeps_worker) {
    // It would wait for another attempt. Its end is found as that of any process.
    Kill(attempt, now);
    attempt->pending_signal = 0;
    return;
  }
  if (attempt->starting != nullptr) ReleaseStarting(attempt);
  Finish(attempt);
}

void Runner::MeasureWorker(Attempt* attempt) {
  ProcessUsage& usage = attempt->worker->usage;
  usage = ReadUsage(attempt->pid);
  attempt->usage = {};
  attempt->usage.ru_utime = absl::ToTimeval(usage.cpu_time);
  if (IsMeasured(*attempt)) GlanceAt(attempt, clock_.SteadyNow());
  const uint64_t peak = ReadPeakMemory(attempt->pid);
  attempt->process_peak = peak;
  // For the next attempt, where that would be wrong by more than a little.
  if (peak > usage.rss_bytes + usage.rss_bytes / 8) ResetPeakMemory(attempt->pid);
}

bool Runner::IsAsGoodAsNew(const Attempt& attempt) const {
  if (!workers_.Accepts(*attempt.worker)) return false;
  // An orphan is this process's child before its parent is done with it.
  return !HasChildren(attempt.pid, attempt.worker->usage.threads) && !HasOrphans(attempt) &&
         !HasUnknownChildren();
}

void Runner::EndWorker(std::unique_ptr<Worker> worker) {
  // It has not been waited for, so the numbers are its own.
  kill(-worker->pid, SIGKILL);
  ended_workers_.insert(worker->pid);
  if (worker->cgroup.fd < 0) return;
  options_.cgroups->Kill(worker->cgroup).IgnoreError();
  options_.cgroups->Release(std::exchange(worker->cgroup, {}));
}

void Runner::OnWorkerEnded(pid_t pid) {
  ended_workers_.erase(pid);
  std::unique_ptr<Worker> worker = workers_.Remove(pid);
  if (worker != nullptr && worker->cgroup.fd >= 0) {
    options_.cgroups->Release(std::exchange(worker->cgroup, {}));
  }
}

}  // namespace kartograph::executor
