// The part of Runner that scans all processes: trees that have to end, memory, orphans.
#include <signal.h>

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "executor/runner/runner.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

// How soon it is repeated while a tree is ending.
constexpr absl::Duration kGoingCheckPeriod = absl::Milliseconds(10);
// How often a tree is measured, at most, that grows towards its limit.
constexpr absl::Duration kShortestSamplePeriod = absl::Milliseconds(10);
// Measuring takes at most one part in this many of the time.
constexpr int kSurveyShare = 50;

}  // namespace

bool Runner::HasUnknownChildren() const {
  std::optional<std::vector<pid_t>> children = ReadChildren();
  if (!children.has_value()) return true;
  return std::any_of(children->begin(), children->end(), [this](pid_t pid) {
    auto main = by_pid_.find(pid);
    if (main != by_pid_.end()) return main->second->main_ended;
    // One that was seen before and has not been waited for is the same process.
    return !IsIdleWorker(pid) && !hung_.contains(pid) && !orphans_.contains(pid);
  });
}

bool Runner::HasOrphans(const Attempt& attempt) const {
  return std::any_of(orphans_.begin(), orphans_.end(), [&attempt](const auto& entry) {
    return entry.second.attempt == attempt.id.value;
  });
}

void Runner::CheckForOrphans(SteadyTime now) {
  orphan_check_at_ = kNever;
  // Most often there are none, which skips the expensive scan.
  const bool survey = HasUnknownChildren() ||
                      std::any_of(orphans_.begin(), orphans_.end(),
                                  [this](const auto& entry) { return HasToGo(entry.second); });
  if (survey) survey_at_ = now;
}

uint64_t Runner::AttemptNow(uint64_t id) const {
  if (attempts_.contains(id)) return id;
  const auto of_worker = std::find_if(attempts_.begin(), attempts_.end(), [id](const auto& entry) {
    return entry.second->worker != nullptr && entry.second->worker->first_attempt == id;
  });
  return of_worker == attempts_.end() ? id : of_worker->first;
}

Runner::Attempt* Runner::OwnerOfOrphan(const Process& process) {
  auto [it, is_new] = orphans_.try_emplace(process.pid);
  Orphan& orphan = it->second;
  if (is_new || orphan.start_ticks != process.start_ticks) {
    orphan = {process.start_ticks, 0, last_serial_, kNever};
    auto session = by_pid_.find(process.session);
    if (session != by_pid_.end()) {
      orphan.attempt = session->second->id.value;
    } else if (auto text = ReadEnvironmentVariable(process.pid, "KARTOGRAPH_ATTEMPT")) {
      if (auto id = planner::ParseAttemptId(*text)) orphan.attempt = AttemptNow(id->value);
    }
  }
  auto owner = attempts_.find(orphan.attempt);
  return owner == attempts_.end() ? nullptr : owner->second.get();
}

bool Runner::HasToGo(const Orphan& orphan) const {
  if (orphan.attempt != 0) return !attempts_.contains(orphan.attempt);
  // It has hidden whose it is: one of those that ran when it was first seen.
  return std::none_of(attempts_.begin(), attempts_.end(), [&orphan](const auto& entry) {
    return entry.second->serial <= orphan.serial;
  });
}

// Which attempt each process belongs to: the one whose main process, or whose orphan, is the
// nearest above it. Chains are short, so each is walked from its start.
std::vector<Process> Runner::AssignProcesses(const std::vector<Process>& processes) {
  absl::flat_hash_map<pid_t, size_t> index;
  index.reserve(processes.size());
  for (size_t i = 0; i < processes.size(); ++i) index[processes[i].pid] = i;
  std::vector<Process> to_kill;
  absl::flat_hash_map<pid_t, Orphan> seen_orphans;
  for (const Process& process : processes) {
    if (process.zombie) continue;
    const Process* at = &process;
    for (size_t steps = 0; steps <= processes.size(); ++steps) {
      Attempt* owner = nullptr;
      auto main = by_pid_.find(at->pid);
      if (main != by_pid_.end() && !main->second->main_ended) owner = main->second;
      bool orphan = main == by_pid_.end() && at->parent == self_ && !hung_.contains(at->pid) &&
                    !IsIdleWorker(at->pid);
      if (orphan) {
        owner = OwnerOfOrphan(*at);
        const Orphan& known = orphans_[at->pid];
        seen_orphans[at->pid] = known;
        if (owner == nullptr && HasToGo(known)) to_kill.push_back(process);
      }
      if (owner != nullptr) {
        owner->members.push_back(process);
        // Before its program is executed, a process has our memory.
        const bool counts = process.pid != owner->pid || !owner->in_our_memory;
        if (counts) {
          owner->member_rss += process.rss_bytes;
          owner->process_rss = std::max(owner->process_rss, process.rss_bytes);
        }
      }
      if (owner != nullptr || orphan) break;
      auto parent = index.find(at->parent);
      if (parent == index.end() || at->parent == self_) break;
      at = &processes[parent->second];
    }
  }
  orphans_ = std::move(seen_orphans);
  return to_kill;
}

void Runner::KillOrphans(const std::vector<Process>& processes, SteadyTime now) {
  bool going = false;
  for (const Process& process : processes) {
    SignalProcess(process, SIGKILL);
    auto orphan = orphans_.find(process.pid);
    if (orphan == orphans_.end()) {  // below one
      going = true;
    } else if (orphan->second.give_up_at == kNever) {
      orphan->second.give_up_at = now + kGiveUpAfter;
      going = true;
    } else if (now < orphan->second.give_up_at) {
      going = true;
    } else {
      orphans_.erase(orphan);
      hung_[process.pid] = nullptr;
    }
  }
  if (going) survey_at_ = now + kGoingCheckPeriod;
}

void Runner::Survey(SteadyTime now) {
  survey_at_ = kNever;
  for (auto& [id, attempt] : attempts_) {
    attempt->members.clear();
    attempt->rss_before = std::exchange(attempt->member_rss, 0);
    attempt->in_our_memory = attempt->starting != nullptr && !attempt->starting->spawner.finished();
  }
  const std::optional<std::vector<Process>> processes = ScanProcesses();
  if (!processes.has_value()) {
    survey_at_ = now + options_.sample_period;
    return;
  }
  KillOrphans(AssignProcesses(*processes), now);

  // Finish and Measure change attempts_.
  std::vector<Attempt*> attempts;
  for (auto& [id, attempt] : attempts_) attempts.push_back(attempt.get());
  for (Attempt* attempt : attempts) {
    if (attempt->cgroup.fd < 0) Measure(attempt, now);
    const bool ends = attempt->cause != Outcome::kNone || attempt->reported.has_value();
    if (ends || attempt->main_ended) CheckEnding(attempt, now);
  }
  if (measured_ > 0) {
    const absl::Duration period = UntilNextSurvey(now);
    const absl::Duration cost = clock_.SteadyNow() - now;
    survey_at_ = std::min(survey_at_, now + std::max(period, kSurveyShare * cost));
  }
  surveyed_at_ = now;
}

void Runner::CheckEnding(Attempt* attempt, SteadyTime now) {
  const int signal = attempt->killed ? SIGKILL : std::exchange(attempt->pending_signal, 0);
  for (const Process& process : attempt->members) {
    // The group of a main process has had its signal; it is sent again only to be sure.
    if (signal != 0 && (signal == SIGKILL || process.group != attempt->pid)) {
      SignalProcess(process, signal);
    }
  }
  if (attempt->main_ended && attempt->members.empty()) {
    Finish(attempt);
    // A process that was being made during the scan was not seen by it.
    if (orphan_check_at_ == kNever) orphan_check_at_ = now + kGoingCheckPeriod;
  } else if (now >= attempt->give_up_at) {
    GiveUp(attempt);
  } else {
    // The end of the main process is announced by a signal, that of others is not.
    const SteadyTime again = attempt->main_ended ? now + kGoingCheckPeriod : attempt->give_up_at;
    survey_at_ = std::min(survey_at_, again);
  }
}

void Runner::Measure(Attempt* attempt, SteadyTime now) {
  const uint64_t limit = attempt->ram_limit;
  if (attempt->member_rss <= attempt->measured_peak &&
      (limit == 0 || attempt->member_rss <= limit)) {
    return;
  }
  // The sum counts shared pages once for each process. Where it could be the most so far, they are
  // counted once in all, which takes longer.
  std::vector<Relative> tree;
  for (const Process& process : attempt->members) {
    if (process.pid == attempt->pid && attempt->in_our_memory) continue;
    tree.push_back({process.pid, process.parent});
  }
  Judge(attempt, tree, now);
}

// Half the time in which a tree that grows on as it did since the last survey reaches its limit.
absl::Duration Runner::UntilNextSurvey(SteadyTime now) {
  const absl::Duration since = now - surveyed_at_;
  absl::Duration period = options_.sample_period;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt->member_rss <= attempt->rss_before || attempt->member_rss >= attempt->ram_limit) {
      continue;
    }
    const double growths = static_cast<double>(attempt->ram_limit - attempt->member_rss) /
                           static_cast<double>(attempt->member_rss - attempt->rss_before);
    period = std::min(period, since * growths / 2);
  }
  return std::max(period, std::min(kShortestSamplePeriod, options_.sample_period));
}

}  // namespace kartograph::executor
