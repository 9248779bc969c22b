// The part of Runner that says how an attempt has ended, and what it has used.
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "executor/runner/runner.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

using planner::Outcome;

absl::Duration Time(const struct timeval& tv) {
  return absl::Seconds(tv.tv_sec) + absl::Microseconds(tv.tv_usec);
}

std::string FormatBytes(uint64_t bytes) {
  return planner::FormatBytes(planner::Quantity::Of(static_cast<int64_t>(bytes)));
}

}  // namespace

std::string Runner::OverLimit(uint64_t used, uint64_t limit) {
  constexpr uint64_t kMiB = 1 << 20;
  // Rounded up, so that it is never shown as the limit.
  if (used > kMiB) used = (used + kMiB - 1) / kMiB * kMiB;
  return absl::StrCat("out of memory: used ", FormatBytes(used),
                      ", declared ram=", FormatBytes(limit));
}

Outcome Runner::OutcomeOf(const Attempt& attempt, AttemptUpdate* update) const {
  const CgroupPool::OomKill oom = attempt.cgroup.fd >= 0
                                      ? options_.cgroups->OomKilled(attempt.cgroup)
                                      : CgroupPool::OomKill::kNone;
  if (oom == CgroupPool::OomKill::kOfLimit) {
    update->message = absl::StrCat("out of memory: used more than its declared ram=",
                                   FormatBytes(attempt.ram_limit));
    return Outcome::kOutOfMemory;
  }
  if (attempt.cause != Outcome::kNone) return attempt.cause;
  if (attempt.unread) {
    update->message = "its worker ended before it took the attempt";
    return Outcome::kRefused;
  }
  // It was seen when it was ending by itself, or by what its main process has left behind.
  if (IsMeasured(attempt) && attempt.measured_peak > attempt.ram_limit) {
    update->message = OverLimit(attempt.measured_peak, attempt.ram_limit);
    return Outcome::kOutOfMemory;
  }
  if (attempt.reported == -1) {
    update->exit_status = 255;
    update->message = "its worker's answer was neither \"STATUS keep\" nor \"STATUS end\"";
    return Outcome::kExited;
  }
  if (!attempt.reported.has_value() && WIFSIGNALED(attempt.status)) {
    update->signal = WTERMSIG(attempt.status);
    const char* name = sigdescr_np(update->signal);
    update->message = absl::StrCat(
        "killed by signal ", update->signal, name == nullptr ? "" : absl::StrCat(" (", name, ")"),
        oom == CgroupPool::OomKill::kOfHost ? ": the kernel ended it, as its host was out of memory"
                                            : "");
    return Outcome::kSignalled;
  }
  update->exit_status = attempt.reported.value_or(WEXITSTATUS(attempt.status));
  if (update->exit_status == 0) return Outcome::kSucceeded;
  update->message = absl::StrCat("exited with status ", update->exit_status);
  // What a shell says of a program that is not there, or not one. Mostly it is named as if the task
  // ran where it was submitted.
  if (attempt.in_sandbox && (update->exit_status == 126 || update->exit_status == 127)) {
    absl::StrAppend(&update->message, "; it ran in its own empty folder, ", sandboxes_->root(), "/",
                    SandboxFolder(attempt.id));
  }
  return Outcome::kExited;
}

uint64_t Runner::PeakRam(const Attempt& attempt) const {
  if (attempt.cgroup.fd >= 0 && !attempt.reused) {
    const uint64_t peak = options_.cgroups->PeakMemory(attempt.cgroup);
    if (peak > 0) return peak;
  }
  // What is shown is what the limit goes by. The kernel's own peak would not do: what of it was of
  // mapped files is not known.
  if (IsMeasured(attempt)) return attempt.measured_peak;
  uint64_t most = attempt.process_peak;
  if (most == 0) {
    // Between its start and the execution of its program a process counts as using what we use. So
    // a figure that is not well above the most that we have used says only that the process used no
    // more: the kernel counts in batches, and we may have grown meanwhile.
    struct rusage own = {};
    getrusage(RUSAGE_SELF, &own);
    constexpr int64_t kLeastMargin = 16 << 10;  // KiB, as all of these
    const int64_t ours = own.ru_maxrss + std::max(kLeastMargin, int64_t{own.ru_maxrss} / 4);
    if (attempt.usage.ru_maxrss <= ours) return attempt.measured_peak;
    most = static_cast<uint64_t>(attempt.usage.ru_maxrss) << 10;
  }
  // The kernel counts mapped files as well; of what was measured it is known how much that was.
  return attempt.measured_peak + (most > attempt.process_rss ? most - attempt.process_rss : 0);
}

void Runner::Finish(Attempt* attempt) {
  AttemptUpdate update;
  update.attempt = attempt->id;
  update.message = std::move(attempt->message);
  update.usage.wall_time = Elapsed(*attempt);
  update.start_time = attempt->start.wall;
  update.end_time = attempt->start.wall + update.usage.wall_time;
  update.outcome = OutcomeOf(*attempt, &update);
  update.usage.peak_ram_bytes = PeakRam(*attempt);
  update.usage.cpu_time =
      Time(attempt->usage.ru_utime) + Time(attempt->usage.ru_stime) - attempt->cpu_before;
  if (attempt->cgroup.fd >= 0) {
    update.usage.cpu_time =
        std::max(update.usage.cpu_time,
                 options_.cgroups->CpuTime(attempt->cgroup) - attempt->group_cpu_before);
  }
  if (attempt->value.has_value()) {
    update.has_value = true;
    update.return_value = *std::move(attempt->value);
  }
  ended_.push_back(std::move(update));
  if (attempt->keeps_worker) {
    attempt->worker->cgroup = std::exchange(attempt->cgroup, {});
    workers_.Add(std::move(attempt->worker), clock_.SteadyNow());
  }
  Remove(attempt);
}

void Runner::ReadReturnValue(AttemptUpdate* update) const {
  absl::StatusOr<std::optional<std::string>> result =
      sandboxes_->ReadResult(update->attempt, options_.max_result_bytes);
  if (result.ok()) {
    update->has_value = result->has_value();
    if (update->has_value) update->return_value = **std::move(result);
    return;
  }
  const bool too_large = absl::IsOutOfRange(result.status());
  const std::string why =
      too_large ? absl::StrCat("the return value has ", result.status().message(),
                               " bytes; the limit is ",
                               FormatBytes(static_cast<uint64_t>(options_.max_result_bytes)))
                : std::string(result.status().message());
  if (update->outcome != Outcome::kSucceeded) {
    absl::StrAppend(&update->message, update->message.empty() ? "" : "; ", why);
    return;
  }
  // The task has succeeded only where what it returned can be read.
  update->outcome = too_large                              ? Outcome::kResultTooLarge
                    : absl::IsUnavailable(result.status()) ? Outcome::kAgentFailed
                                                           : Outcome::kExited;
  update->message = why;
}

}  // namespace kartograph::executor
