// Live state from the history: after a restart, and for a graph that runs again.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "scheduler/core.h"

namespace kartograph::scheduler {

using planner::Outcome;
using planner::TaskIndex;
using planner::TaskState;

void Core::Loader::OnGraph(const storage::GraphSubmitted& submitted,
                           const storage::GraphChanged& state) {
  Loaded& loaded = loaded_.emplace_back();
  loaded.graph = std::make_unique<LiveGraph>();
  LiveGraph& graph = *loaded.graph;
  graph.id = submitted.graph;
  graph.name = submitted.name;
  graph.client_queue = submitted.client_queue;
  graph.fail_fast = submitted.fail_fast;
  graph.open = state.open;
  graph.submit_time = submitted.submit_time;
}

void Core::Loader::OnTask(const storage::TaskSubmitted& task, uint32_t attempts_before) {
  Loaded& loaded = loaded_.back();
  LiveGraph& graph = *loaded.graph;
  LiveTask& live = graph.tasks.emplace_back();
  live.priority = task.priority;
  live.attempts_before = static_cast<uint16_t>(attempts_before);
  live.launches = live.attempts_before;
  live.consumption = core_.InternConsumption(task.consumption, task.policy.timeout);
  live.policy = graph.InternPolicy(task.policy);
  graph.AppendName(task.name);
  loaded.after.push_back(task.after);
}

void Core::Loader::OnAttempt(const storage::AttemptLaunched& launched,
                             const storage::AttemptEnded* ended) {
  Loaded& loaded = loaded_.back();
  const TaskIndex index = launched.attempt.task().index();
  LiveTask& task = loaded.graph->tasks[index];
  const uint32_t number = launched.attempt.number();
  task.launches = std::max(task.launches, static_cast<uint16_t>(number));
  if (ended == nullptr) {
    loaded.alive.push_back(launched);
    return;
  }
  const bool failed = ended->outcome != Outcome::kSucceeded &&
                      ended->outcome != Outcome::kCancelled &&
                      planner::SpendsAttempt(ended->outcome);
  if (number > task.attempts_before && failed) {
    ++task.spent;
    loaded.failed_at[index] = ended->end_time;
  }
}

void Core::Loader::OnTaskEnded(const storage::TaskEnded& ended) {
  Loaded& loaded = loaded_.back();
  loaded.ended.emplace_back(ended.task.index(), ended.state);
  if (ended.state == TaskState::kCancelled) {
    loaded.graph->cancel_reasons[ended.task.index()] = ended.reason;
  }
}

absl::Status Core::Loader::CheckLaunchesLeft() const {
  for (const Loaded& loaded : loaded_) {
    for (auto [index, state] : loaded.ended) {
      if (state == TaskState::kSucceeded ||
          loaded.graph->tasks[index].launches < planner::kMaxLaunches) {
        continue;
      }
      return absl::FailedPreconditionError(absl::StrCat(
          "task \"", loaded.graph->task_name(index), "\" was launched ", planner::kMaxLaunches,
          " times, as often as a task can be; submit the graph anew"));
    }
  }
  return absl::OkStatus();
}

void Core::FinishLoading(Loader& loader, const Turn& turn) {
  for (size_t i = 0; i < loader.loaded_.size(); ++i) LoadTaskStates(loader, i, turn);
  loader.loaded_.clear();
}

void Core::LoadTaskStates(Loader& loader, size_t which, const Turn& turn) {
  Loader::Loaded& loaded = loader.loaded_[which];
  LiveGraph& graph = *loaded.graph;
  graph.predecessors = planner::Adjacency(loaded.after);
  graph.successors = graph.predecessors.Reversed();
  const std::vector<uint32_t> rank = planner::LongestRemainingPath(graph.successors);
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) graph.tasks[i].rank = rank[i];

  for (auto [index, state] : loaded.ended) graph.tasks[index].state = state;
  int reset = 0;
  if (loader.retry_) {
    for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
      LiveTask& task = graph.tasks[i];
      if (task.state == TaskState::kSucceeded) continue;
      task.state = TaskState::kWaiting;
      task.attempts_before = task.launches;
      task.spent = 0;
      turn.step.records.emplace_back(storage::TaskReset{graph.key(i), task.launches});
      turn.step.changed_tasks.push_back(graph.key(i));
      ++reset;
    }
    loader.retried_ += reset;
    if (reset == 0) return;  // nothing to run: the graph stays final
    loaded.failed_at.clear();
    graph.open = false;
    turn.step.records.emplace_back(storage::GraphChanged{graph.id, planner::GraphState::kRunning,
                                                         false, absl::InfiniteFuture()});
  }
  for (const storage::AttemptLaunched& launched : loaded.alive) {
    LiveTask& task = graph.tasks[launched.attempt.task().index()];
    // A cancel that was asked for stands as the task's end already.
    task.cancelling = planner::IsFinal(task.state);
    task.state = TaskState::kLaunching;
    Attempt& attempt = attempts_[launched.attempt];
    attempt.agent = AgentOf(launched.agent);
    agents_[attempt.agent].name = launched.agent_name;
    ++agents_[attempt.agent].attempts;
    attempt.consumption = task.consumption;
    attempt.launch_time = launched.launch_time;
    // Until the cluster says more, it is taken to hold all it was given.
    packer_.TakePools(attempt.consumption);
    Hold(attempt);
  }
  absl::erase_if(graph.cancel_reasons,
                 [&](const auto& cancel) { return !graph.tasks[cancel.first].cancelling; });
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    LiveTask& task = graph.tasks[i];
    for (TaskIndex before : graph.predecessors[i]) {
      task.pending += graph.tasks[before].state != TaskState::kSucceeded ? 1 : 0;
    }
    graph.unfinished += planner::IsFinal(task.state) ? 0 : 1;
    for (TaskCounts* counts : {&graph.counts, &counts_}) {
      ++counts->total;
      ++counts->by_state[static_cast<int>(task.state)];
    }
  }
  LiveGraph& live = graph;
  graphs_[live.id] = std::move(loaded.graph);
  for (TaskIndex i = 0; i < live.tasks.size(); ++i) {
    LiveTask& task = live.tasks[i];
    if (task.state != TaskState::kWaiting || task.pending > 0) continue;
    absl::Duration wait = absl::ZeroDuration();
    if (auto failed = loaded.failed_at.find(i); failed != loaded.failed_at.end()) {
      const absl::Duration delay = RetryDelay(live, task);
      wait = SteadyDeadline(failed->second + delay, delay, turn.now) - turn.now.steady;
    }
    MakeReady(live, i, wait, turn);
  }
}

}  // namespace kartograph::scheduler
