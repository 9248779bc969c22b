#include "scheduler/changes.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_map.h"

namespace kartograph::scheduler {

Changes ChangesOf(const Step& step, const Core& now) {
  Changes changes;
  changes.cluster = step.cluster_changed || !step.launches.empty() || !step.acknowledge.empty();
  if (step.changed_tasks.empty() && step.changed_graphs.empty() && step.ended_graphs.empty()) {
    return changes;
  }

  std::vector<planner::TaskKey> tasks = step.changed_tasks;
  std::sort(tasks.begin(), tasks.end());
  tasks.erase(std::unique(tasks.begin(), tasks.end()), tasks.end());
  absl::flat_hash_map<planner::TaskKey, const std::string*> why_ended;
  for (const storage::Record& record : step.records) {
    if (const auto* ended = std::get_if<storage::TaskEnded>(&record)) {
      why_ended[ended->task] = &ended->reason;
    }
  }
  absl::flat_hash_map<planner::GraphId, const Step::EndedGraph*> ended_graphs;
  for (const Step::EndedGraph& ended : step.ended_graphs) {
    ended_graphs[ended.snapshot.graph] = &ended;
  }

  changes.tasks.reserve(tasks.size());
  std::vector<planner::GraphId> graphs = step.changed_graphs;
  for (planner::TaskKey key : tasks) {
    Changes::Task change;
    change.task = key;
    auto ended = ended_graphs.find(key.graph());
    if (ended != ended_graphs.end()) {
      const LiveTask& task = ended->second->graph->tasks[key.index()];
      change.name = std::string(ended->second->graph->task_name(key.index()));
      change.state = task.state;
      change.attempts = task.launches - task.attempts_before;
    } else if (std::optional<TaskSnapshot> task = now.Task(key)) {
      change.name = std::string(now.FindGraph(key.graph())->task_name(key.index()));
      change.state = task->state;
      change.attempts = task->attempts;
      change.reason = std::move(task->reason);
    } else {
      continue;
    }
    if (planner::IsFinal(change.state)) {
      if (auto why = why_ended.find(key); why != why_ended.end()) {
        change.reason = *why->second;
      } else if (auto earlier = step.earlier_reasons.find(key);
                 earlier != step.earlier_reasons.end()) {
        change.reason = earlier->second;
      }
    }
    changes.tasks.push_back(std::move(change));
    if (graphs.empty() || graphs.back() != key.graph()) graphs.push_back(key.graph());
  }
  std::sort(graphs.begin(), graphs.end());
  graphs.erase(std::unique(graphs.begin(), graphs.end()), graphs.end());
  for (planner::GraphId id : graphs) {
    // Those that ended are no longer there.
    if (std::optional<GraphSnapshot> graph = now.Graph(id)) {
      changes.graphs.push_back(*std::move(graph));
    }
  }
  for (const Step::EndedGraph& ended : step.ended_graphs) {
    changes.graphs.push_back(ended.snapshot);
  }
  return changes;
}

}  // namespace kartograph::scheduler
