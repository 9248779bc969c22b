// Work on whole graphs, in slices: what a graph needs when it comes, and its cancel.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/core.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskIndex;
using planner::TaskState;
using storage::GraphWork;

// What is left to do with a graph; from now on ContinueWork goes on with it.
GraphProgress& Core::ProgressOf(LiveGraph& graph) {
  if (graph.progress == nullptr) {
    graph.progress = std::make_unique<GraphProgress>();
    working_.push_back(graph.id);
  }
  return *graph.progress;
}

// A slice of it at once, so that small graphs are done in one batch.
void Core::BeginWork(LiveGraph& graph, const Turn& turn) {
  int64_t tasks_left = options_.slice_tasks;
  if (WorkOn(graph, tasks_left, turn)) std::erase(working_, graph.id);
}

void Core::Install(PreparedGraph prepared, const Turn& turn) {
  LiveGraph& graph = *prepared.live;
  std::vector<planner::Packer::ClassId> classes;
  for (const PreparedGraph::Consumption& consumption : prepared.consumptions) {
    classes.push_back(InternConsumption(consumption.resources, consumption.longest_timeout));
  }
  for (LiveTask& task : graph.tasks) task.consumption = classes[task.consumption];
  counts_.total += graph.counts.total;
  for (size_t i = 0; i < counts_.by_state.size(); ++i) {
    counts_.by_state[i] += graph.counts.by_state[i];
  }
  for (const storage::AttemptLaunched& launched : prepared.alive) AdoptAttempt(graph, launched);

  const GraphId id = graph.id;
  GraphProgress& progress = ProgressOf(graph);
  progress.reset = std::move(prepared.reset);
  progress.ready = std::move(prepared.ready);
  progress.failed_at = std::move(prepared.failed_at);
  progress.skip = std::move(prepared.skip);
  if (graph.work == GraphWork::kCancelling) graph.cancel_reason = "cancelled on request";
  if (graph.work == GraphWork::kFailingFast) {
    for (TaskIndex i = 0; i < graph.tasks.size() && graph.cancel_reason.empty(); ++i) {
      if (graph.tasks[i].state == TaskState::kFailed) graph.cancel_reason = FailedFast(graph, i);
    }
  }
  if (progress.resetting()) {
    turn.step.records.emplace_back(storage::GraphChanged{
        id, planner::GraphState::kRunning, false, absl::InfiniteFuture(), GraphWork::kRetrying});
  }
  graphs_[id] = std::move(prepared.live);
  turn.step.changed_graphs.push_back(id);
  BeginWork(graph, turn);
}

void Core::AdoptAttempt(const LiveGraph& graph, const storage::AttemptLaunched& launched) {
  Attempt& attempt = attempts_[launched.attempt];
  attempt.agent = AgentOf(launched.agent);
  agents_[attempt.agent].name = launched.agent_name;
  ++agents_[attempt.agent].attempts;
  attempt.consumption = graph.tasks[launched.attempt.task().index()].consumption;
  attempt.launch_time = launched.launch_time;
  // Until the cluster says more, it is taken to hold all it was given.
  packer_.TakePools(attempt.consumption);
  Hold(attempt);
}

GraphWork Core::WorkLeft(const LiveGraph& graph) {
  if (graph.progress == nullptr) return GraphWork::kNone;
  if (graph.cancelling()) return graph.work;
  return graph.progress->resetting() ? GraphWork::kRetrying : GraphWork::kNone;
}

std::string Core::FailedFast(const LiveGraph& graph, TaskIndex failed) {
  return absl::StrCat("cancelled because \"", graph.task_name(failed),
                      "\" failed (the graph is fail_fast)");
}

// Begins to cancel all tasks of a closed graph that are not final.
void Core::StartCancel(LiveGraph& graph, GraphWork work, std::string reason, const Turn& turn) {
  if (graph.cancelling() && graph.progress != nullptr) return;
  graph.work = work;
  graph.cancel_reason = std::move(reason);
  ProgressOf(graph).next_cancel = 0;
  BeginWork(graph, turn);
  if (graph.progress == nullptr) return;
  // It is history from now on, so that a restart goes on with it.
  turn.step.records.emplace_back(storage::GraphChanged{graph.id, planner::GraphState::kRunning,
                                                       false, absl::InfiniteFuture(), work});
}

// Does up to so many tasks' worth. Whether nothing is left to do.
bool Core::WorkOn(LiveGraph& graph, int64_t& tasks_left, const Turn& turn) {
  GraphProgress& progress = *graph.progress;
  if (progress.resetting()) {
    for (; progress.resetting() && tasks_left > 0; --tasks_left) {
      const TaskIndex i = progress.reset[progress.next_reset++];
      turn.step.records.emplace_back(
          storage::TaskReset{graph.key(i), graph.tasks[i].attempts_before});
      turn.step.changed_tasks.push_back(graph.key(i));
    }
    if (progress.resetting()) return false;
    turn.step.records.emplace_back(storage::GraphChanged{
        graph.id, planner::GraphState::kRunning, false, absl::InfiniteFuture(), WorkLeft(graph)});
  }
  if (!graph.cancelling()) {
    for (; !progress.skip.empty() && tasks_left > 0; --tasks_left) {
      const auto [task, because] = progress.skip.back();
      progress.skip.pop_back();
      if (graph.tasks[task].state != TaskState::kWaiting) continue;
      const TaskState state = graph.tasks[because].state;
      FinishOne(graph, task, TaskState::kSkipped,
                absl::StrCat("comes after \"", graph.task_name(because), "\", which ",
                             state == TaskState::kFailed ? "" : "was ", planner::ToString(state)),
                turn);
      SkipAfter(graph, task, because);
    }
    if (!progress.skip.empty()) return false;
    for (; progress.next_ready < progress.ready.size() && tasks_left > 0; --tasks_left) {
      const TaskIndex i = progress.ready[progress.next_ready++];
      const LiveTask& task = graph.tasks[i];
      if (task.state != TaskState::kWaiting) continue;  // it was cancelled meanwhile
      absl::Duration wait = absl::ZeroDuration();
      if (auto failed = progress.failed_at.find(i); failed != progress.failed_at.end()) {
        const absl::Duration delay = RetryDelay(graph, task);
        wait = SteadyDeadline(failed->second + delay, delay, turn.now) - turn.now.steady;
      }
      MakeReady(graph, i, wait, turn);
    }
    if (progress.next_ready < progress.ready.size()) return false;
  } else {
    for (; progress.next_cancel < graph.tasks.size() && tasks_left > 0; --tasks_left) {
      const TaskIndex i = progress.next_cancel++;
      if (!planner::IsFinal(graph.tasks[i].state)) CancelOne(graph, i, graph.cancel_reason, turn);
    }
    if (progress.next_cancel < graph.tasks.size()) return false;
  }
  graph.progress.reset();
  return true;
}

// What comes after `task` is to be skipped.
void Core::SkipAfter(LiveGraph& graph, TaskIndex task, TaskIndex because) {
  graph.ForEachSuccessor(task, [&](TaskIndex next) {
    if (graph.tasks[next].state != TaskState::kWaiting) return;
    ProgressOf(graph).skip.push_back({next, because});
  });
}

void Core::ContinueWork(int64_t tasks_left, const Turn& turn) {
  while (tasks_left > 0 && !working_.empty()) {
    const GraphId id = working_.front();
    working_.pop_front();
    if (WorkOn(*FindLive(id), tasks_left, turn)) {
      EndGraphIfDone(id, turn);
    } else {
      working_.push_back(id);
    }
  }
}

}  // namespace kartograph::scheduler
