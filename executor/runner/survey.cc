// The part of Runner that looks at all processes: trees that have to end, memory, orphans.
#include <signal.h>
#include <time.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "executor/runner/runner.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

// How soon again while something of a tree is going.
constexpr int64_t kGoingCheckNs = 10'000'000;
// At most one part in so many of the time goes into measuring.
constexpr int64_t kSurveyShare = 50;

int64_t Monotonic() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

std::string RoundedUp(uint64_t bytes) {
  constexpr uint64_t kMiB = 1 << 20;
  if (bytes > kMiB) bytes = (bytes + kMiB - 1) / kMiB * kMiB;
  return planner::FormatBytes(planner::Quantity::Of(static_cast<int64_t>(bytes)));
}

}  // namespace

void Runner::CheckForOrphans(int64_t now) {
  orphan_check_ns_ = kNever;
  std::optional<std::vector<pid_t>> children = ReadChildren();
  // Most often the only children are main processes, and the dear look is saved.
  bool strangers =
      !children.has_value() || std::any_of(children->begin(), children->end(), [this](pid_t pid) {
        auto it = by_pid_.find(pid);
        return it == by_pid_.end() || it->second->main_ended;
      });
  if (strangers) survey_ns_ = now;
}

Runner::Attempt* Runner::OwnerOfOrphan(const Process& process) {
  auto [it, is_new] = orphans_.try_emplace(process.pid);
  Orphan& orphan = it->second;
  if (is_new || orphan.start_ticks != process.start_ticks) {
    orphan = {process.start_ticks, 0, last_serial_};
    auto session = by_pid_.find(process.session);
    if (session != by_pid_.end()) {
      orphan.attempt = session->second->id.value;
    } else if (auto text = ReadEnvironmentVariable(process.pid, "KARTOGRAPH_ATTEMPT")) {
      if (auto id = planner::ParseAttemptId(*text)) orphan.attempt = id->value;
    }
  }
  auto owner = attempts_.find(orphan.attempt);
  return owner == attempts_.end() ? nullptr : owner->second.get();
}

bool Runner::IsDoomed(const Orphan& orphan) const {
  if (orphan.attempt != 0) return !attempts_.contains(orphan.attempt);
  // It has hidden whose it is: one of those that ran when it was first seen.
  return std::none_of(attempts_.begin(), attempts_.end(), [&orphan](const auto& entry) {
    return entry.second->serial <= orphan.serial;
  });
}

void Runner::Survey(int64_t now) {
  survey_ns_ = kNever;
  SettleAll();  // a process that is not its program yet has our session and our memory
  std::vector<Process> processes = ScanProcesses();
  absl::flat_hash_map<pid_t, size_t> index;
  index.reserve(processes.size());
  for (size_t i = 0; i < processes.size(); ++i) index[processes[i].pid] = i;
  for (auto& [id, attempt] : attempts_) {
    attempt->members.clear();
    attempt->member_rss = 0;
  }

  // Whose each process is: the attempt whose main process is the nearest above it, or whose orphan
  // is. Chains are short, so each is walked anew.
  std::vector<pid_t> doomed;
  absl::flat_hash_map<pid_t, Orphan> seen_orphans;
  for (const Process& process : processes) {
    if (process.zombie) continue;
    const Process* at = &process;
    for (size_t steps = 0; steps <= processes.size(); ++steps) {
      Attempt* owner = nullptr;
      auto main = by_pid_.find(at->pid);
      bool orphan = main == by_pid_.end() && at->parent == self_;
      if (main != by_pid_.end() && !main->second->main_ended) owner = main->second;
      if (orphan) {
        owner = OwnerOfOrphan(*at);
        const Orphan& known = orphans_[at->pid];
        seen_orphans[at->pid] = known;
        if (owner == nullptr && IsDoomed(known)) doomed.push_back(process.pid);
      }
      if (owner != nullptr) {
        owner->members.push_back(process.pid);
        owner->member_rss += process.rss_bytes;
      }
      if (owner != nullptr || orphan) break;
      auto parent = index.find(at->parent);
      if (parent == index.end() || at->parent == self_) break;
      at = &processes[parent->second];
    }
  }
  orphans_ = std::move(seen_orphans);

  for (pid_t pid : doomed) kill(pid, SIGKILL);
  if (!doomed.empty()) survey_ns_ = now + kGoingCheckNs;

  // Finish and CheckMemory change attempts_.
  std::vector<Attempt*> attempts;
  for (auto& [id, attempt] : attempts_) attempts.push_back(attempt.get());
  for (Attempt* attempt : attempts) {
    attempt->sampled_rss = std::max(attempt->sampled_rss, attempt->member_rss);
    if (attempt->ram_limit > 0 && options_.cgroups == nullptr && attempt->cause == Outcome::kNone &&
        attempt->member_rss > attempt->ram_limit) {
      CheckMemory(attempt, now);
    }
    if (attempt->cause == Outcome::kNone) continue;
    int signal = attempt->killed ? SIGKILL : std::exchange(attempt->pending_signal, 0);
    for (pid_t pid : attempt->members) {
      // The group of a main process has had its signal; it is sent again only to be sure.
      if (signal != 0 && (signal == SIGKILL || getpgid(pid) != attempt->pid)) kill(pid, signal);
    }
    if (!attempt->main_ended) continue;
    if (attempt->members.empty()) {
      Finish(attempt);
      // A process that was being made during the look was not seen by it.
      if (orphan_check_ns_ == kNever) orphan_check_ns_ = now + kGoingCheckNs;
    } else if (now >= attempt->give_up_ns) {
      absl::StrAppend(&attempt->message, attempt->message.empty() ? "" : "; ",
                      "processes that cannot be killed are left, such as ", attempt->members[0]);
      Finish(attempt);
    } else {
      survey_ns_ = now + kGoingCheckNs;
    }
  }
  if (measured_ > 0) {
    int64_t cost = Monotonic() - now;
    int64_t period =
        std::max(absl::ToInt64Nanoseconds(options_.sample_period), kSurveyShare * cost);
    survey_ns_ = std::min(survey_ns_, now + period);
  }
}

void Runner::CheckMemory(Attempt* attempt, int64_t now) {
  // The sum counts shared pages once for each process; before anything is killed for it, they are
  // counted once in all.
  uint64_t used = 0;
  for (pid_t pid : attempt->members) {
    used += ReadProportionalMemory(pid).value_or(0);
  }
  if (used <= attempt->ram_limit) return;
  attempt->message = absl::StrCat(
      "used ", RoundedUp(used), ", declared ram=",
      planner::FormatBytes(planner::Quantity::Of(static_cast<int64_t>(attempt->ram_limit))));
  BeginEnding(attempt, Outcome::kOutOfMemory, now, absl::ZeroDuration());
}

}  // namespace kartograph::executor
