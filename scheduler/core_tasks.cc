// A task's life: its states, what comes after its end, and the end of its graph.
#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/strings/str_cat.h"
#include "scheduler/core.h"

namespace kartograph::scheduler {

using executor::AttemptUpdate;
using planner::Outcome;
using planner::TaskIndex;
using planner::TaskState;

namespace {

bool IsLegal(TaskState from, TaskState to) {
  switch (from) {
    case TaskState::kWaiting:
      return to == TaskState::kReady || to == TaskState::kCancelled || to == TaskState::kSkipped;
    case TaskState::kReady:
      return to == TaskState::kLaunching || to == TaskState::kCancelled;
    case TaskState::kLaunching:
      return to == TaskState::kRunning || to == TaskState::kReady || to == TaskState::kCancelled ||
             to == TaskState::kFailed;
    case TaskState::kRunning:
      return to == TaskState::kSucceeded || to == TaskState::kFailed || to == TaskState::kReady ||
             to == TaskState::kCancelled;
    default:
      return false;
  }
}

// Why an attempt failed, in words.
std::string DescribeEnd(const AttemptUpdate& update) {
  if (!update.message.empty()) return update.message;
  switch (update.outcome) {
    case Outcome::kExited:
      return absl::StrCat("exited with status ", update.exit_status);
    case Outcome::kSignalled:
      return absl::StrCat("ended by signal ", update.signal);
    default:
      return std::string(planner::ToString(update.outcome));
  }
}

}  // namespace

void Core::SetState(LiveGraph& graph, TaskIndex index, TaskState state, const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  if (!IsLegal(task.state, state)) {
    // Going on would write a wrong history; a restart reads the right one.
    std::fprintf(stderr, "kartograph: bug: task %u of graph %u went from %s to %s\n", index,
                 graph.id, planner::ToString(task.state).data(), planner::ToString(state).data());
    std::abort();
  }
  --graph.counts.by_state[static_cast<int>(task.state)];
  --counts_.by_state[static_cast<int>(task.state)];
  task.state = state;
  ++graph.counts.by_state[static_cast<int>(state)];
  ++counts_.by_state[static_cast<int>(state)];
  turn.step.changed_tasks.push_back(graph.key(index));
}

void Core::MakeReady(LiveGraph& graph, TaskIndex index, absl::Duration delay, const Turn& turn) {
  SetState(graph, index, TaskState::kReady, turn);
  LiveTask& task = graph.tasks[index];
  if (delay <= absl::ZeroDuration()) {
    packer_.AddReady(task.consumption, graph.ready_key(index));
    demand_changed_ = true;
  } else {
    task.delayed = true;
    const Instant due = {turn.now.steady + delay, turn.now.wall + delay};
    delayed_until_[graph.key(index)] = due;
    timers_.push({due.steady, graph.key(index)});
  }
}

void Core::LeaveReady(LiveGraph& graph, TaskIndex index) {
  LiveTask& task = graph.tasks[index];
  if (task.delayed) {
    task.delayed = false;
    delayed_until_.erase(graph.key(index));
  } else {
    packer_.RemoveReady(task.consumption, graph.ready_key(index));
  }
}

void Core::FinishOne(LiveGraph& graph, TaskIndex index, TaskState state, std::string reason,
                     const Turn& turn) {
  if (graph.tasks[index].state == TaskState::kReady) LeaveReady(graph, index);
  SetState(graph, index, state, turn);
  --graph.unfinished;
  const planner::TaskKey key = graph.key(index);
  // A task that was cancelled while it ran is written as cancelled since then (see CancelOne).
  const bool written = graph.tasks[index].cancelling;
  if (written && state == TaskState::kCancelled) {
    turn.step.earlier_reasons[key] = graph.cancel_reasons[index];
  } else {
    turn.step.records.emplace_back(
        storage::TaskEnded{key, state, turn.now.wall, std::move(reason), written});
  }
  if (written) graph.cancel_reasons.erase(index);
  if (!graph.client_queue.empty()) {
    turn.step.records.emplace_back(
        storage::FinishedQueued{graph.client_queue, ++last_delivery_, key});
    turn.step.finished_queues.insert(graph.client_queue);
  }
}

void Core::Finish(LiveGraph& graph, TaskIndex index, TaskState state, std::string reason,
                  const Turn& turn) {
  FinishOne(graph, index, state, std::move(reason), turn);
  if (state == TaskState::kSucceeded) {
    int64_t at_once = options_.slice_tasks;
    graph.ForEachSuccessor(index, [&](TaskIndex next) {
      LiveTask& task = graph.tasks[next];
      if (--task.pending > 0 || task.state != TaskState::kWaiting || graph.cancelling()) return;
      if (at_once-- > 0) {
        MakeReady(graph, next, absl::ZeroDuration(), turn);
      } else {
        ProgressOf(graph).ready.push_back(next);
      }
    });
    return;
  }
  const bool working = graph.progress != nullptr;
  SkipAfter(graph, index, index);
  if (!working && graph.progress != nullptr) BeginWork(graph, turn);
  if (state == TaskState::kFailed && graph.fail_fast) {
    Close(graph, turn);
    StartCancel(graph, storage::GraphWork::kFailingFast, FailedFast(graph, index), turn);
  }
}

absl::Duration Core::RetryDelay(const LiveGraph& graph, const LiveTask& task) const {
  const planner::TaskPolicy& policy = graph.policies[task.policy];
  absl::Duration delay = policy.retry_delay;
  for (int i = 1; i < task.spent && delay < policy.max_retry_delay; ++i) delay *= 2;
  return std::min(delay, policy.max_retry_delay);
}

void Core::AttemptOver(LiveGraph& graph, TaskIndex index, const AttemptUpdate& update,
                       const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  // An agent that was told to stop ends its attempts as cancelled: nobody asked for that here.
  const bool spends = planner::SpendsAttempt(update.outcome) &&
                      (update.outcome != Outcome::kCancelled || task.cancelling);
  // The news that it ran may be overtaken by the news that it ended.
  if (spends && task.state == TaskState::kLaunching) {
    SetState(graph, index, TaskState::kRunning, turn);
  }
  if (update.outcome == Outcome::kSucceeded) {
    Finish(graph, index, TaskState::kSucceeded, "", turn);
    return;
  }
  if (task.cancelling) {
    Finish(graph, index, TaskState::kCancelled, "", turn);
    return;
  }
  if (!spends) {
    if (task.launches >= planner::kMaxLaunches) {
      Finish(graph, index, TaskState::kFailed,
             absl::StrCat("gave up after ", task.launches, " launches, the last of them ",
                          DescribeEnd(update)),
             turn);
      return;
    }
    // A cluster that refuses everything must not be asked in a tight loop.
    const int unspent = task.launches - task.attempts_before - task.spent;
    const absl::Duration delay =
        unspent <= 1 ? absl::ZeroDuration()
                     : std::min(absl::Milliseconds(100) * (1 << std::min(unspent - 2, 8)),
                                absl::Seconds(10));
    MakeReady(graph, index, delay, turn);
    return;
  }
  ++task.spent;
  const int max_attempts = graph.policies[task.policy].max_attempts;
  if (task.spent < max_attempts && task.launches < planner::kMaxLaunches) {
    MakeReady(graph, index, RetryDelay(graph, task), turn);
    return;
  }
  std::string reason = DescribeEnd(update);
  if (max_attempts > 1) {
    absl::StrAppend(&reason, " (attempt ", task.spent, " of ", max_attempts, ")");
  }
  Finish(graph, index, TaskState::kFailed, std::move(reason), turn);
}

void Core::EndGraphIfDone(planner::GraphId id, const Turn& turn) {
  auto it = graphs_.find(id);
  if (it == graphs_.end() || it->second->unfinished > 0 || it->second->open) return;
  if (it->second->progress != nullptr) return;  // ContinueWork ends it
  const LiveGraph& graph = *it->second;
  const planner::GraphState state = graph.FinalState();
  const absl::Time end_time = std::max(turn.now.wall, graph.submit_time);
  turn.step.records.emplace_back(storage::GraphChanged{id, state, false, end_time});
  GraphSnapshot snapshot = *Graph(id);
  snapshot.state = state;
  snapshot.end_time = end_time;
  for (size_t i = 0; i < counts_.by_state.size(); ++i) {
    counts_.by_state[i] -= graph.counts.by_state[i];
  }
  counts_.total -= graph.counts.total;
  turn.step.ended_graphs.push_back({std::move(snapshot), std::move(it->second)});
  graphs_.erase(it);
}

SteadyTime Core::NextTimer() const {
  SteadyTime next = revive_at_;
  if (!timers_.empty()) next = std::min(next, timers_.top().time);
  if (!give_up_.empty()) next = std::min(next, give_up_.begin()->first);
  return next;
}

void Core::OnTime(const Turn& turn) {
  GiveUpUnreachable(turn);
  while (!timers_.empty() && timers_.top().time <= turn.now.steady) {
    const Timer timer = timers_.top();
    timers_.pop();
    auto due = delayed_until_.find(timer.task);
    if (due == delayed_until_.end() || due->second.steady != timer.time) continue;
    delayed_until_.erase(due);
    LiveGraph* graph = FindLive(timer.task.graph());
    LiveTask& task = graph->tasks[timer.task.index()];
    task.delayed = false;
    packer_.AddReady(task.consumption, graph->ready_key(timer.task.index()));
    demand_changed_ = true;
    turn.step.changed_tasks.push_back(timer.task);
  }
}

}  // namespace kartograph::scheduler
