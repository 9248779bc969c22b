#include "scheduler/explainer.h"

#include <algorithm>
#include <iterator>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/explanation_text.h"

namespace kartograph::scheduler {

using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

namespace {

// How far a chain of tasks that wait for each other is followed.
constexpr int kLongestChain = 1000;

}  // namespace

Dependency Explainer::DependencyOf(const LiveGraph& graph, TaskIndex index,
                                   const Instant& now) const {
  const LiveTask& task = graph.tasks[index];
  Dependency dependency;
  dependency.task = {graph.key(index), std::string(graph.task_name(index))};
  dependency.state = task.state;
  const Attempt* attempt =
      parts_.attempts->Find(planner::AttemptId::Of(graph.key(index), task.launches));
  if (attempt == nullptr) return dependency;
  dependency.since = attempt->launch_time;
  dependency.agent = (*parts_.agents)[attempt->agent].name;
  dependency.remaining = placement_.Remaining(*attempt, now);
  return dependency;
}

WaitsForTasks Explainer::WhyNotReady(const LiveGraph& graph, TaskIndex index,
                                     const Instant& now) const {
  WaitsForTasks waits;
  waits.count = graph.tasks[index].pending;
  const auto pending = [&graph](TaskIndex before) {
    return graph.tasks[before].state != TaskState::kSucceeded;
  };
  for (TaskIndex before : graph.predecessors[index]) {
    if (!pending(before)) continue;
    waits.tasks.push_back(DependencyOf(graph, before, now));
    if (waits.tasks.size() == Explanation::kMostNamed) break;
  }
  if (waits.tasks.empty() || waits.tasks.front().state != TaskState::kWaiting) return waits;
  TaskIndex root = waits.tasks.front().task.task.index();
  for (int i = 0; i < kLongestChain && graph.tasks[root].state == TaskState::kWaiting; ++i) {
    const auto& before = graph.predecessors[root];
    const auto next = std::find_if(before.begin(), before.end(), pending);
    if (next == before.end()) break;
    root = *next;
  }
  waits.root = DependencyOf(graph, root, now);
  return waits;
}

BacksOff Explainer::BackOffOf(const LiveGraph& graph, TaskIndex index, const Instant& until) const {
  const LiveTask& task = graph.tasks[index];
  BacksOff back_off;
  back_off.until = until.wall;
  if (task.spent == 0) return back_off;
  back_off.attempt = task.spent + 1;
  back_off.max_attempts = graph.policy(index).max_attempts;
  back_off.retried = task.attempts_before > 0;
  return back_off;
}

void Explainer::AddInVain(const LiveGraph& graph, TaskIndex index, Explanation& explanation) const {
  const LiveTask& task = graph.tasks[index];
  const int ended = task.unspent() - (task.state == TaskState::kLaunching ? 1 : 0);
  const std::string* last = parts_.graphs->LastUnspent(graph.key(index));
  if (ended >= 2 && last != nullptr) explanation.reasons.emplace_back(EndedInVain{ended, *last});
}

// Of a task that is launching or running.
void Explainer::AddAttempt(const LiveGraph& graph, TaskIndex index, const Situation& situation,
                           const Instant& now, Explanation& explanation) const {
  const LiveTask& task = graph.tasks[index];
  const Attempt* attempt =
      parts_.attempts->Find(planner::AttemptId::Of(graph.key(index), task.launches));
  std::vector<Reason>& reasons = explanation.reasons;
  if (task.cancelling) reasons.emplace_back(BeingCancelled{});
  if (task.state == TaskState::kLaunching && !situation.connected) {
    reasons.emplace_back(FateUnknown{false, *situation.disconnect_reason});
    return;
  }
  if (attempt == nullptr) return;
  const std::string& agent = (*parts_.agents)[attempt->agent].name;
  if (const Unreachable* away = attempt->unreachable()) {
    reasons.emplace_back(OutOfReach{agent, away->since.wall});
  } else if (attempt->in_backlog()) {
    reasons.emplace_back(InAgentBacklog{agent});
  } else if (!attempt->running()) {
    reasons.emplace_back(BeingStarted{agent, attempt->launch_time});
    AddInVain(graph, index, explanation);
  } else {
    if (!situation.connected && !situation.disconnect_reason->empty()) {
      reasons.emplace_back(FateUnknown{true, *situation.disconnect_reason});
    }
    if (const std::string* why = parts_.attempts->PreemptedFor(
            planner::AttemptId::Of(graph.key(index), task.launches))) {
      reasons.emplace_back(RunsWith{absl::StrCat("is being preempted ", *why)});
    }
    const absl::string_view note =
        parts_.attempts->NoteOf(planner::AttemptId::Of(graph.key(index), task.launches));
    if (!note.empty() && !task.cancelling) reasons.emplace_back(RunsWith{std::string(note)});
    reasons.emplace_back(IsRunning{agent, attempt->start_time(),
                                   task.launches - task.attempts_before + 0U,
                                   placement_.Remaining(*attempt, now)});
  }
}

ExpectedStart Explainer::ExpectReady(const WaitsForTasks& waits) {
  absl::Duration within;
  const bool all_known =
      waits.count == static_cast<int64_t>(waits.tasks.size()) &&
      std::all_of(waits.tasks.begin(), waits.tasks.end(), [&](const Dependency& dependency) {
        if (dependency.remaining) within = std::max(within, *dependency.remaining);
        return dependency.remaining.has_value();
      });
  if (all_known) return {within, ""};
  return {std::nullopt, "how long what is before it takes is not known"};
}

bool Explainer::AddKnown(const LiveGraph& graph, TaskIndex index, const Situation& situation,
                         const Instant& now, Explanation& explanation) const {
  const LiveTask& task = graph.tasks[index];
  explanation.task = {graph.key(index), std::string(graph.task_name(index))};
  explanation.state = task.state;
  if (planner::IsFinal(task.state)) return false;
  if (task.state != TaskState::kWaiting && task.state != TaskState::kReady) {
    AddAttempt(graph, index, situation, now, explanation);
    return false;
  }
  if (graph.cancelling()) {
    explanation.reasons.emplace_back(BeingCancelled{});
    return false;
  }
  if (task.state == TaskState::kWaiting) {
    if (task.pending == 0) {
      explanation.reasons.emplace_back(AboutToBeReady{});
    } else {
      explanation.reasons.emplace_back(WhyNotReady(graph, index, now));
    }
    return false;
  }
  if (const Instant* until = parts_.graphs->DelayedUntil(graph.key(index)); until != nullptr) {
    explanation.reasons.emplace_back(BackOffOf(graph, index, *until));
    explanation.expected.within = std::max(until->steady - now.steady, absl::ZeroDuration());
    AddInVain(graph, index, explanation);
    return false;
  }
  if (!situation.launching) {
    explanation.reasons.emplace_back(ServiceStops{});
    explanation.expected.unknown = "it starts when the service does";
    return false;
  }
  if (task.relocated && !task.suspect()) {
    explanation.reasons.emplace_back(AvoidsAgent{
        parts_.agents->NameOf(parts_.graphs->avoided_agent(graph.key(index))), task.not_started});
  }
  if (task.suspect()) explanation.reasons.emplace_back(LaunchedAlone{task.losses});
  return true;
}

void Explainer::AddReservations(TaskKey task, Explanation& explanation) const {
  for (const auto& [consumption, reservation] : parts_.reservations->agents()) {
    if (reservation.task.task != task) continue;
    explanation.reasons.emplace_back(AgentReserved{(*parts_.agents)[reservation.agent].name});
  }
  const auto& pools = parts_.reservations->pools();
  if (pools && pools->task.task == task) explanation.reasons.emplace_back(PoolsReserved{});
}

Explanation Explainer::Explain(const LiveGraph& graph, TaskIndex index, const Situation& situation,
                               const Instant& now) const {
  Explanation explanation;
  if (!AddKnown(graph, index, situation, now, explanation)) {
    if (const auto* waits = explanation.Get<WaitsForTasks>()) {
      explanation.expected = ExpectReady(*waits);
    }
    return explanation;
  }
  const PlacementExplainer::Wish wish = placement_.WishOf(graph, index);
  std::vector<Reason> obstacles = placement_.Obstacles(wish, situation, now);
  explanation.ahead = placement_.AheadOf(wish, obstacles);
  explanation.expected = placement_.Expect(wish, obstacles, explanation.ahead, now);
  if (obstacles.empty() && explanation.ahead.count == 0) obstacles.emplace_back(AboutToStart{});
  std::move(obstacles.begin(), obstacles.end(), std::back_inserter(explanation.reasons));
  AddReservations(graph.key(index), explanation);
  AddInVain(graph, index, explanation);
  return explanation;
}

std::string Explainer::InOneLine(const LiveGraph& graph, TaskIndex index,
                                 const Situation& situation, const Instant& now) const {
  Explanation explanation;
  if (!AddKnown(graph, index, situation, now, explanation)) return OneLine(explanation.reasons);
  PlacementExplainer::Wish wish = placement_.WishOf(graph, index);
  const TaskKey task = wish.order.task;
  if (const std::optional<Reason> limit = placement_.WhyAtLimit(wish)) {
    explanation.reasons.push_back(*limit);
    AddInVain(graph, index, explanation);
    return OneLine(explanation.reasons);
  }
  const bool packed = wish.way == PlacementExplainer::Way::kPacked;
  // The first of its consumption stands for all of them.
  if (packed) wish.order = *parts_.packer->FirstReady(wish.consumption);
  const TaskKey first = wish.order.task;
  auto [line, is_new] =
      placed_.try_emplace({wish.consumption, packed ? "" : absl::StrCat("!", wish.avoided)});
  if (is_new) {
    ++looks_;
    std::vector<Reason> obstacles = placement_.Obstacles(wish, situation, now);
    if (obstacles.empty()) obstacles.emplace_back(AboutToStart{});
    line->second = OneLine({obstacles.data(), 1});
  }
  std::string text = OneLine(explanation.reasons);
  absl::StrAppend(&text, text.empty() ? "" : "; ", line->second);
  Explanation beside;
  if (packed && first != task) {
    absl::StrAppend(&text, "; ", NameOf(placement_.Named(first)), " goes first");
  } else {
    AddReservations(task, beside);
    if (const auto* agent = beside.Get<AgentReserved>()) {
      absl::StrAppend(&text, "; agent ", agent->agent, " is kept for it");
    }
    beside.reasons.clear();
  }
  AddInVain(graph, index, beside);
  const std::string in_vain = OneLine(beside.reasons);
  absl::StrAppend(&text, in_vain.empty() ? "" : "; ", in_vain);
  return text;
}

}  // namespace kartograph::scheduler
