#include "executor/agent/agent.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;

// After this many starts, what has ended is collected and reported.
constexpr int kStartsAtATime = 8;
// How many attempts have their starts prepared.
constexpr size_t kPreparedAhead = 4;
// A return value up to this is kept; reading it again would cost more than that.
// A worker's answer brings as much, without a file.
constexpr size_t kMaxKeptBytes = 1024;

}  // namespace

size_t Agent::SetLineage(Lineage lineage) {
  const bool other =
      !lineage_.history.empty() && !lineage.history.empty() && lineage.history != lineage_.history;
  lineage_ = std::move(lineage);
  size_t foreign = 0;
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    auto current = it++;
    Attempt& attempt = current->second;
    const bool known =
        attempt.incarnation == 0 || lineage_.history.empty() || lineage_.Knows(attempt.incarnation);
    if (known && !other) continue;
    ++foreign;
    if (EndForeign(current->first, &attempt)) {
      attempts_.erase(current);
      continue;
    }
    auto& replacement = std::get<Running>(attempt.state).replacement;
    if (replacement.has_value() && (other || !lineage_.Knows(replacement->incarnation))) {
      replacement.reset();
    }
  }
  return foreign;
}

bool Agent::EndForeign(uint64_t id, Attempt* attempt) {
  if (std::holds_alternative<Waiting>(attempt->state)) {
    --waiting_;
    processes_->Forget({id});
    return true;
  }
  if (std::holds_alternative<Ended>(attempt->state)) {
    processes_->DiscardSandbox({id});
    return true;
  }
  auto& running = std::get<Running>(attempt->state);
  if (!std::exchange(running.foreign, true)) processes_->Cancel({id}, running.cancel_grace);
  return false;
}

void Agent::Launch(executor::Launch launch, Incarnation incarnation) {
  const AttemptId id = launch.attempt;
  auto it = attempts_.find(id.value);
  if (it != attempts_.end()) {
    const Incarnation held = it->second.incarnation;
    auto* running = std::get_if<Running>(&it->second.state);
    const bool foreign = running != nullptr && running->foreign;
    if (!foreign && (held == incarnation || held == 0 || incarnation == 0)) return;
    if (foreign && running->replacement.has_value() &&
        running->replacement->incarnation == incarnation) {
      return;
    }
    if (!EndForeign(id.value, &it->second)) {
      // Its place is taken until it has ended.
      running->replacement.emplace(Running::Replacement{std::move(launch), incarnation});
      return;
    }
    attempts_.erase(it);
  }
  Enqueue(std::move(launch), incarnation);
}

void Agent::Enqueue(executor::Launch launch, Incarnation incarnation) {
  const AttemptId id = launch.attempt;
  if (draining_) return Refuse(id, incarnation, Outcome::kRefused, "the agent is ending");
  if (options_.holds_to_capacity && !launch.consumption.FitsIn(capacity_)) {
    return Refuse(id, incarnation, Outcome::kRefused,
                  absl::StrCat("needs ", launch.consumption.ToString(), ", the agent has only ",
                               capacity_.ToString()));
  }
  queue_.Push(id, std::move(launch.backlog_order));
  attempts_[id.value] = {incarnation, Waiting{std::move(launch)}};
  ++waiting_;
}

void Agent::Refuse(AttemptId attempt, Incarnation incarnation, Outcome outcome,
                   absl::string_view why) {
  if (!attempts_.contains(attempt.value)) EndUnstarted(attempt, incarnation, outcome, why);
}

void Agent::EndUnstarted(AttemptId attempt, Incarnation incarnation, Outcome outcome,
                         absl::string_view why) {
  AttemptUpdate update;
  update.attempt = attempt;
  update.outcome = outcome;
  update.message = std::string(why);
  update.end_time = options_.clock->WallNow();
  End(std::move(update), incarnation);
}

Agent::CancelResult Agent::Cancel(AttemptId attempt, std::optional<absl::Duration> grace) {
  auto it = attempts_.find(attempt.value);
  if (it == attempts_.end()) return CancelResult::kUnknown;
  if (std::holds_alternative<Ended>(it->second.state)) return CancelResult::kHasEnded;
  if (auto* running = std::get_if<Running>(&it->second.state)) {
    if (running->foreign) {
      if (!running->replacement.has_value()) return CancelResult::kUnknown;
      running->replacement->cancelled = true;
      return CancelResult::kEnding;
    }
    if (!processes_->Cancel(attempt, grace.value_or(running->cancel_grace))) {
      return CancelResult::kHasEnded;
    }
    running->cancelled = true;
    return CancelResult::kEnding;
  }
  --waiting_;
  processes_->Forget(attempt);
  EndUnstarted(attempt, it->second.incarnation, Outcome::kCancelled, "");
  return CancelResult::kEnded;
}

void Agent::Acknowledge(AttemptId attempt) {
  auto it = attempts_.find(attempt.value);
  if (it != attempts_.end() && std::holds_alternative<Ended>(it->second.state)) {
    attempts_.erase(it);
  }
}

void Agent::Query(AttemptId attempt) {
  auto it = attempts_.find(attempt.value);
  if (it != attempts_.end()) {
    if (std::holds_alternative<Ended>(it->second.state)) {
      unreported_.push_back(attempt.value);
      report_ends_at_ = SteadyTime::InfinitePast();
      return;
    }
    // Two attempts of one task never run at once: the answer has to wait.
    auto* running = std::get_if<Running>(&it->second.state);
    if (running != nullptr && running->foreign) {
      running->asked = true;
      return;
    }
  }
  Answer(attempt);
}

void Agent::Answer(AttemptId attempt) {
  AttemptReport report;
  report.update.attempt = attempt;
  auto it = attempts_.find(attempt.value);
  if (it == attempts_.end()) {
    report.update.outcome = Outcome::kLost;
    report.update.message = options_.unknown;
  } else {
    report.incarnation = it->second.incarnation;
    report.update.start_time = StartTime(attempt);
  }
  answers_.push_back(std::move(report));
}

absl::Duration Agent::Drain(std::string reason, absl::Duration max_grace) {
  if (std::exchange(draining_, true)) return absl::ZeroDuration();
  drain_reason_ = std::move(reason);
  absl::Duration longest;
  for (auto& [id, attempt] : attempts_) {
    auto* running = std::get_if<Running>(&attempt.state);
    if (running == nullptr) continue;
    const absl::Duration grace = std::min(running->cancel_grace, max_grace);
    processes_->Cancel({id}, grace);
    longest = std::max(longest, grace);
  }
  for (const Backlog::Entry& entry : queue_) {
    const uint64_t id = entry.attempt.value;
    auto it = attempts_.find(id);
    if (it == attempts_.end() || !std::holds_alternative<Waiting>(it->second.state)) continue;
    --waiting_;
    processes_->Forget({id});
    EndUnstarted({id}, it->second.incarnation, Outcome::kLost, drain_reason_);
  }
  queue_.clear();
  return longest;
}

void Agent::Work() {
  CollectEnded();
  StartWaiting();
  UpdateIdle();
}

void Agent::CollectEnded() {
  processes_->Poll(&just_ended_);
  for (AttemptUpdate& update : just_ended_) OnEnded(std::move(update));
  just_ended_.clear();
}

void Agent::OnEnded(AttemptUpdate update) {
  const AttemptId id = update.attempt;
  auto it = attempts_.find(id.value);
  auto* running = it == attempts_.end() ? nullptr : std::get_if<Running>(&it->second.state);
  if (running == nullptr) return;
  --running_;
  used_ -= running->consumption;
  instances_.Free(running->instances);
  if (running->foreign) {
    processes_->DiscardSandbox(id);
    const bool asked = running->asked;
    auto replacement = std::move(running->replacement);
    attempts_.erase(it);
    if (replacement.has_value() && replacement->cancelled) {
      EndUnstarted(id, replacement->incarnation, Outcome::kCancelled, "");
      return;
    }
    if (replacement.has_value()) {
      Enqueue(std::move(replacement->launch), replacement->incarnation);
    }
    if (asked) Query(id);
    return;
  }
  if (draining_ && update.outcome == Outcome::kCancelled && !running->cancelled) {
    update.outcome = Outcome::kLost;
    update.message = drain_reason_;
  }
  End(std::move(update), it->second.incarnation);
}

void Agent::End(AttemptUpdate update, Incarnation incarnation) {
  const uint64_t id = update.attempt.value;
  Ended ended;
  ended.return_value_bytes = static_cast<int64_t>(update.return_value.size());
  if (update.return_value.size() > kMaxKeptBytes) std::string().swap(update.return_value);
  ended.update = std::move(update);
  if (unreported_.empty()) report_ends_at_ = options_.clock->SteadyNow() + options_.gather_ends;
  attempts_[id] = {incarnation, std::move(ended)};
  unreported_.push_back(id);
}

planner::ResourceVector Agent::Free() const {
  planner::ResourceVector free = capacity_;
  free -= used_;
  return free;
}

void Agent::StartWaiting() {
  planner::ResourceVector free = Free();
  for (int started = 0; started < kStartsAtATime && !queue_.empty();) {
    const uint64_t id = queue_.front().value;
    auto it = attempts_.find(id);
    auto* waiting = it == attempts_.end() ? nullptr : std::get_if<Waiting>(&it->second.state);
    if (waiting == nullptr) {
      queue_.PopFront();
      continue;
    }
    executor::Launch& launch = waiting->launch;
    if (options_.holds_to_capacity && (running_ >= slots_ || !launch.consumption.FitsIn(free)))
      return;
    queue_.PopFront();
    ++started;
    --waiting_;
    absl::StatusOr<std::vector<HeldInstances>> instances = instances_.Take(launch.consumption);
    if (!instances.ok()) {
      processes_->Forget({id});
      EndUnstarted({id}, it->second.incarnation,
                   absl::IsInvalidArgument(instances.status()) ? Outcome::kNotStarted
                                                               : Outcome::kAgentFailed,
                   instances.status().message());
      continue;
    }
    launch.instances = *instances;
    Running running;
    running.cancel_grace = launch.cancel_grace;
    // Where it could not be started, its end comes with the next that have ended.
    if (processes_->Start(launch)) {
      used_ += launch.consumption;
      free -= launch.consumption;
      running.consumption = std::move(launch.consumption);
      running.instances = *std::move(instances);
      started_.emplace_back(options_.clock->SteadyNow() + options_.report_running_after, id);
    } else {
      instances_.Free(*instances);
      running.reported = true;
    }
    it->second.state = std::move(running);
    ++running_;
  }
}

bool Agent::FrontFits() const {
  if (waiting_ == 0 || queue_.empty()) return false;
  if (!options_.holds_to_capacity) return true;
  auto it = attempts_.find(queue_.front().value);
  const auto* waiting = it == attempts_.end() ? nullptr : std::get_if<Waiting>(&it->second.state);
  return waiting == nullptr || (running_ < slots_ && waiting->launch.consumption.FitsIn(Free()));
}

SteadyTime Agent::NextWork() const {
  if (FrontFits()) return SteadyTime::InfinitePast();
  SteadyTime next = idle_exit_at_;
  const absl::Duration due = processes_->UntilDue();
  if (due < absl::InfiniteDuration()) next = std::min(next, options_.clock->SteadyNow() + due);
  return next;
}

void Agent::Prepare() {
  for (size_t i = 0; i < queue_.size() && i < kPreparedAhead; ++i) {
    const AttemptId id = queue_[i].attempt;
    auto it = attempts_.find(id.value);
    if (it == attempts_.end() || !std::holds_alternative<Waiting>(it->second.state)) continue;
    processes_->Prepare(id);
  }
}

absl::Time Agent::StartTime(AttemptId attempt) const {
  auto it = attempts_.find(attempt.value);
  if (it == attempts_.end() || !std::holds_alternative<Running>(it->second.state)) {
    return absl::InfinitePast();
  }
  return processes_->StartTime(attempt);
}

std::optional<AttemptReport> Agent::TakeRunningReport(AttemptId attempt) {
  auto it = attempts_.find(attempt.value);
  auto* running = it == attempts_.end() ? nullptr : std::get_if<Running>(&it->second.state);
  if (running == nullptr || running->foreign || std::exchange(running->reported, true)) {
    return std::nullopt;
  }
  AttemptReport report;
  report.update.attempt = attempt;
  report.update.start_time = processes_->StartTime(attempt);
  report.incarnation = it->second.incarnation;
  return report;
}

std::optional<AttemptReport> Agent::NextReport() {
  const SteadyTime now = options_.clock->SteadyNow();
  while (!started_.empty()) {
    const AttemptId id = {started_.front().second};
    auto it = attempts_.find(id.value);
    const bool runs = it != attempts_.end() && std::holds_alternative<Running>(it->second.state);
    if (runs && started_.front().first > now) break;
    started_.pop_front();
    if (!runs) continue;
    if (std::optional<AttemptReport> report = TakeRunningReport(id)) return report;
  }
  if (!answers_.empty()) {
    AttemptReport answer = std::move(answers_.front());
    answers_.pop_front();
    return answer;
  }
  if (waiting_ > 0 && now < report_ends_at_) return std::nullopt;
  while (!unreported_.empty()) {
    auto it = attempts_.find(unreported_.front());
    unreported_.pop_front();
    if (it == attempts_.end()) continue;
    const auto* ended = std::get_if<Ended>(&it->second.state);
    if (ended == nullptr) continue;
    return AttemptReport{ended->update, it->second.incarnation, ended->return_value_bytes};
  }
  return std::nullopt;
}

SteadyTime Agent::NextReportAt() const {
  if (!answers_.empty()) return SteadyTime::InfinitePast();
  SteadyTime next = SteadyTime::InfiniteFuture();
  if (!started_.empty()) next = started_.front().first;
  if (!unreported_.empty()) {
    next = std::min(next, waiting_ > 0 ? report_ends_at_ : SteadyTime::InfinitePast());
  }
  return next;
}

void Agent::RepeatReports() {
  started_.clear();
  answers_.clear();
  unreported_.clear();
  for (auto& [id, attempt] : attempts_) {
    if (std::holds_alternative<Ended>(attempt.state)) unreported_.push_back(id);
    // Running attempts will be queried.
    if (auto* running = std::get_if<Running>(&attempt.state)) running->asked = false;
  }
  report_ends_at_ = SteadyTime::InfinitePast();
}

void Agent::AddReturnValue(AttemptReport* report) {
  AttemptUpdate& update = report->update;
  if (report->return_value_bytes == static_cast<int64_t>(update.return_value.size())) return;
  absl::StatusOr<std::string> value =
      processes_->ReadResult(update.attempt, report->return_value_bytes);
  if (value.ok()) {
    update.return_value = *std::move(value);
    return;
  }
  report->return_value_bytes = 0;
  if (update.outcome == Outcome::kSucceeded) {
    update.outcome = Outcome::kAgentFailed;
    update.message = absl::StrCat("the return value is lost: ", value.status().message());
  }
  auto it = attempts_.find(update.attempt.value);
  auto* ended = it == attempts_.end() ? nullptr : std::get_if<Ended>(&it->second.state);
  if (ended != nullptr) *ended = {update, 0};
}

void Agent::AllowIdleExit(bool allowed) {
  may_exit_ = allowed;
  UpdateIdle();
}

void Agent::UpdateIdle() {
  if (!may_exit_ || held() > 0 || processes_->tidying()) {
    idle_exit_at_ = SteadyTime::InfiniteFuture();
  } else if (idle_exit_at_ == SteadyTime::InfiniteFuture()) {
    idle_exit_at_ = options_.clock->SteadyNow() + options_.idle_exit;
  }
}

}  // namespace kartograph::executor
