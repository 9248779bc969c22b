// Tasks that are added to open graphs.
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "planner/path_ranks.h"
#include "planner/task_graph.h"
#include "planner/task_kind.h"
#include "scheduler/graph_table.h"

namespace kartograph::scheduler {

using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

// As GraphDraft::Prepare checks it of a whole graph.
absl::Status GraphTable::CheckConstraints(const LiveGraph& graph,
                                          const std::vector<TaskSubmission>& tasks) const {
  absl::flat_hash_set<std::pair<planner::Constraints, planner::Spread>> sets;
  for (const TaskSubmission& task : tasks) {
    const planner::TaskPolicy& policy = task.policy;
    if (policy.constraints.empty() && policy.spread.empty()) continue;
    sets.emplace(policy.constraints, policy.spread);
  }
  if (sets.empty()) return absl::OkStatus();
  for (const auto& [consumption, unfinished] : graph.consumptions) {
    const planner::Terms& terms = parts_.packer->terms(consumption);
    if (!terms.empty()) sets.emplace(terms.constraints, terms.spread);
  }
  if (sets.size() <= planner::kMaxGraphConstraints) return absl::OkStatus();
  return absl::ResourceExhaustedError(
      absl::StrCat("the tasks of a graph can have at most ", planner::kMaxGraphConstraints,
                   " different constraints and spreads; with these it would have ", sets.size()));
}

TaskKey GraphTable::AddTasks(LiveGraph& graph, std::vector<TaskSubmission> tasks,
                             const std::vector<std::vector<TaskIndex>>& after, const Turn& turn) {
  StopWaiting(graph);
  const TaskIndex first = static_cast<TaskIndex>(graph.tasks.size());
  for (size_t i = 0; i < tasks.size(); ++i) Add(graph, std::move(tasks[i]), after[i], turn);
  RankAdded(graph, first, after);
  // Each may come after a later one, so they are linked when all are there.
  for (size_t i = 0; i < tasks.size(); ++i) {
    const TaskIndex index = first + static_cast<TaskIndex>(i);
    for (TaskIndex before : after[i]) {
      if (graph.tasks[before].state == TaskState::kSucceeded) continue;
      graph.later_successors[before].push_back(index);
      ++graph.tasks[index].pending;
    }
  }
  for (size_t i = 0; i < tasks.size(); ++i) Begin(graph, first + static_cast<TaskIndex>(i), turn);
  return graph.key(first);
}

// Longest remaining paths among what is added. What they come after was ranked without them.
void GraphTable::RankAdded(LiveGraph& graph, TaskIndex first,
                           const std::vector<std::vector<TaskIndex>>& after) {
  planner::Adjacency among;
  std::vector<TaskIndex> before;
  for (const std::vector<TaskIndex>& list : after) {
    before.clear();
    for (TaskIndex index : list) {
      if (index >= first) before.push_back(index - first);
    }
    among.Append(before);
  }
  std::vector<double> lengths;
  for (TaskIndex i = first; i < graph.tasks.size(); ++i) {
    const planner::Packer::ClassId consumption = graph.tasks[i].consumption;
    auto length = static_cast<double>(graph.kinds.ExpectedUs(i));
    if (length == 0) {
      const auto learnt = parts_.consumptions->LearntWallTime(consumption);
      length = learnt.has_value() ? absl::ToDoubleMicroseconds(*learnt) : graph.unknown_us;
    }
    lengths.push_back(length * (1 + parts_.packer->DominantShare(consumption)));
  }
  const std::vector<uint32_t> ranks =
      planner::PathRanks(among.Reversed(), lengths, graph.rank_unit);
  for (size_t i = 0; i < ranks.size(); ++i) graph.tasks[first + i].rank = ranks[i];
}

void GraphTable::Add(LiveGraph& graph, TaskSubmission task, const std::vector<TaskIndex>& after,
                     const Turn& turn) {
  const TaskIndex index = static_cast<TaskIndex>(graph.tasks.size());
  LiveTask& live = graph.tasks.emplace_back();
  live.priority = task.priority;
  live.policy = graph.InternPolicy(task.policy);
  graph.AddResources(task.consumption);
  graph.AppendName(task.name);
  graph.kinds.Add(task.name, planner::ConsumptionText(task.consumption), task.expected_duration);
  graph.kinds.Estimate(parts_.usage);
  const int64_t expected_us = graph.kinds.ExpectedUs(index);
  const int length = ConsumptionTable::LengthOf(expected_us);
  live.consumption = UseConsumption(graph, task.consumption, task.policy.constraints,
                                    task.policy.spread, length, task.policy.timeout);
  if (length > 0) parts_.consumptions->NoteExpected(live.consumption, expected_us);
  CountUnfinished(graph, index, 1);
  ++graph.counts.total;
  ++counts_.total;
  Count(graph, TaskState::kWaiting, 1);
  graph.predecessors.Append(after);
  turn.step.changed_tasks.push_back(graph.key(index));
  turn.step.records.emplace_back(storage::TaskSubmitted{
      graph.key(index), std::move(task.name), std::move(task.payload), std::move(task.consumption),
      after, task.policy, task.priority, std::move(task.details), std::move(task.blobs),
      task.expected_duration});
}

void GraphTable::Begin(LiveGraph& graph, TaskIndex index, const Turn& turn) {
  // One before it among those that were added may have been skipped, and it with that.
  if (graph.tasks[index].state != TaskState::kWaiting) return;
  if (graph.tasks[index].pending == 0) {
    MakeReady(graph, index, absl::ZeroDuration(), turn);
    return;
  }
  for (TaskIndex before : graph.predecessors[index]) {
    const TaskState state = graph.tasks[before].state;
    if (!planner::IsFinal(state) || state == TaskState::kSucceeded) continue;
    Finish(graph, index, TaskState::kSkipped,
           absl::StrCat("comes after \"", graph.task_name(before), "\", which did not succeed"),
           turn);
    return;
  }
}

}  // namespace kartograph::scheduler
