// Work on whole graphs, in slices: what a graph needs when it comes, and its cancel.
#include <utility>

#include "absl/strings/str_cat.h"
#include "planner/path_ranks.h"
#include "scheduler/graph_table.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskIndex;
using planner::TaskState;
using storage::GraphWork;

// What is left to do with a graph; from now on ContinueWork goes on with it.
GraphProgress& GraphTable::ProgressOf(LiveGraph& graph) {
  if (graph.progress == nullptr) {
    graph.progress = std::make_unique<GraphProgress>();
    working_.push_back(graph.id);
  }
  return *graph.progress;
}

// A slice of it at once, so that small graphs are done in one batch.
void GraphTable::BeginWork(LiveGraph& graph, const Turn& turn) {
  int64_t tasks_left = parts_.slice_tasks;
  if (WorkOn(graph, tasks_left, turn)) std::erase(working_, graph.id);
}

void GraphTable::Begin(LiveGraph& graph, PreparedGraph prepared, const Turn& turn) {
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
    turn.step.records.emplace_back(storage::GraphChanged{graph.id, planner::GraphState::kRunning,
                                                         false, absl::InfiniteFuture(),
                                                         GraphWork::kRetrying});
  }
  turn.step.changed_graphs.push_back(graph.id);
  turn.step.begun_graphs.push_back(graph.id);
  BeginWork(graph, turn);
}

void GraphTable::SetOrder(LiveGraph& graph, absl::Span<const TaskIndex> order, const Turn& turn) {
  std::vector<std::pair<TaskIndex, uint32_t>> ranks;
  std::vector<uint32_t> present;
  for (TaskIndex i : order) {
    if (planner::IsFinal(graph.tasks[i].state)) continue;
    ranks.emplace_back(i, 0);
    present.push_back(graph.tasks[i].rank);
  }
  present = planner::RanksInOrder(std::move(present));
  for (size_t i = 0; i < ranks.size(); ++i) ranks[i].second = present[i];
  GraphProgress& progress = ProgressOf(graph);
  progress.ranks = std::move(ranks);
  progress.next_rank = 0;
  BeginWork(graph, turn);
}

// Does up to this many tasks' worth. Whether nothing is left to do.
bool GraphTable::WorkOn(LiveGraph& graph, int64_t& tasks_left, const Turn& turn) {
  if (!WriteResets(graph, tasks_left, turn)) return false;
  if (graph.cancelling()) {
    if (!CancelSome(graph, tasks_left, turn)) return false;
  } else {
    if (!SkipSome(graph, tasks_left, turn)) return false;
    if (!RankSome(graph, tasks_left)) return false;
    if (!MakeSomeReady(graph, tasks_left, turn)) return false;
  }
  graph.progress.reset();
  return true;
}

// Each of these: whether it is done.
bool GraphTable::WriteResets(LiveGraph& graph, int64_t& tasks_left, const Turn& turn) {
  GraphProgress& progress = *graph.progress;
  if (!progress.resetting()) return true;
  for (; progress.resetting() && tasks_left > 0; --tasks_left) {
    const TaskIndex i = progress.reset[progress.next_reset++];
    turn.step.records.emplace_back(
        storage::TaskReset{graph.key(i), graph.tasks[i].attempts_before});
    turn.step.changed_tasks.push_back(graph.key(i));
  }
  if (progress.resetting()) return false;
  turn.step.records.emplace_back(storage::GraphChanged{
      graph.id, planner::GraphState::kRunning, false, absl::InfiniteFuture(), WorkLeft(graph)});
  return true;
}

bool GraphTable::SkipSome(LiveGraph& graph, int64_t& tasks_left, const Turn& turn) {
  GraphProgress& progress = *graph.progress;
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
  return progress.skip.empty();
}

bool GraphTable::RankSome(LiveGraph& graph, int64_t& tasks_left) {
  GraphProgress& progress = *graph.progress;
  for (; progress.next_rank < progress.ranks.size() && tasks_left > 0; --tasks_left) {
    const auto [i, rank] = progress.ranks[progress.next_rank++];
    LiveTask& task = graph.tasks[i];
    const bool queued = task.state == TaskState::kReady && !task.delayed && task.rank != rank;
    if (queued) LeaveReady(graph, i);
    task.rank = rank;
    if (queued) Enqueue(graph, i);
  }
  return progress.next_rank == progress.ranks.size();
}

bool GraphTable::MakeSomeReady(LiveGraph& graph, int64_t& tasks_left, const Turn& turn) {
  GraphProgress& progress = *graph.progress;
  for (; progress.next_ready < progress.ready.size() && tasks_left > 0; --tasks_left) {
    const TaskIndex i = progress.ready[progress.next_ready++];
    if (graph.tasks[i].state != TaskState::kWaiting) continue;  // it was cancelled meanwhile
    absl::Duration wait = absl::ZeroDuration();
    if (auto failed = progress.failed_at.find(i); failed != progress.failed_at.end()) {
      const absl::Duration delay = RetryDelay(graph.policy(i), graph.tasks[i].spent);
      wait = SteadyDeadline(failed->second + delay, delay, turn.now) - turn.now.steady;
    }
    MakeReady(graph, i, wait, turn);
  }
  return progress.next_ready == progress.ready.size();
}

bool GraphTable::CancelSome(LiveGraph& graph, int64_t& tasks_left, const Turn& turn) {
  GraphProgress& progress = *graph.progress;
  for (; progress.next_cancel < graph.tasks.size() && tasks_left > 0; --tasks_left) {
    const TaskIndex i = progress.next_cancel++;
    if (!planner::IsFinal(graph.tasks[i].state)) CancelOne(graph, i, graph.cancel_reason, turn);
  }
  return progress.next_cancel == graph.tasks.size();
}

// What comes after `task` is to be skipped.
void GraphTable::SkipAfter(LiveGraph& graph, TaskIndex task, TaskIndex because) {
  graph.ForEachSuccessor(task, [&](TaskIndex next) {
    if (graph.tasks[next].state != TaskState::kWaiting) return;
    ProgressOf(graph).skip.push_back({next, because});
  });
}

void GraphTable::ContinueWork(int64_t tasks_left, const Turn& turn) {
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
