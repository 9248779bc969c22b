#include "scheduler/changes.h"

#include <algorithm>
#include <utility>
#include <vector>

namespace kartograph::scheduler {

StepChanges::StepChanges(const Step& step, const Core& now) : step_(step), now_(now) {
  changes_.words = this;
  changes_.cluster = step.cluster_changed || !step.launches.empty() || !step.acknowledge.empty();
  if (step.changed_tasks.empty() && step.changed_graphs.empty() && step.ended_graphs.empty()) {
    return;
  }
  for (const Step::EndedGraph& ended : step.ended_graphs) {
    ended_graphs_[ended.snapshot.graph] = ended.graph.get();
  }
  AddTasks();
  AddGraphs();
}

const LiveGraph* StepChanges::FindGraph(planner::GraphId graph) const {
  if (!ended_graphs_.empty()) {
    if (auto ended = ended_graphs_.find(graph); ended != ended_graphs_.end()) return ended->second;
  }
  return now_.FindGraph(graph);
}

void StepChanges::AddTasks() {
  std::vector<planner::TaskKey> keys = step_.changed_tasks;
  std::sort(keys.begin(), keys.end());
  keys.erase(std::unique(keys.begin(), keys.end()), keys.end());
  changes_.tasks.reserve(keys.size());
  const LiveGraph* graph = nullptr;
  planner::GraphId graph_id = 0;
  for (planner::TaskKey key : keys) {
    if (graph == nullptr || graph_id != key.graph()) {
      graph_id = key.graph();
      graph = FindGraph(graph_id);
    }
    if (graph == nullptr) continue;
    const LiveTask& task = graph->tasks[key.index()];
    changes_.tasks.push_back(
        {key, task.state, static_cast<uint32_t>(task.launches - task.attempts_before)});
  }
}

void StepChanges::AddGraphs() {
  std::vector<planner::GraphId> graphs = step_.changed_graphs;
  for (const Changes::Task& task : changes_.tasks) {
    const planner::GraphId graph = task.task.graph();
    if (graphs.empty() || graphs.back() != graph) graphs.push_back(graph);
  }
  std::sort(graphs.begin(), graphs.end());
  graphs.erase(std::unique(graphs.begin(), graphs.end()), graphs.end());
  for (planner::GraphId id : graphs) {
    // Those that ended are no longer there.
    if (std::optional<GraphSnapshot> graph = now_.Graph(id)) {
      changes_.graphs.push_back(*std::move(graph));
    }
  }
  for (const Step::EndedGraph& ended : step_.ended_graphs) {
    changes_.graphs.push_back(ended.snapshot);
  }
}

absl::string_view StepChanges::Name(const Changes::Task& task) const {
  const LiveGraph* graph = FindGraph(task.task.graph());
  return graph == nullptr ? absl::string_view() : graph->task_name(task.task.index());
}

std::string StepChanges::Reason(const Changes::Task& task) const {
  if (!planner::IsFinal(task.state)) {
    const std::optional<TaskSnapshot> snapshot = now_.Task(task.task);
    return snapshot ? snapshot->reason : "";
  }
  if (task.state == planner::TaskState::kSucceeded) return "";
  if (!why_ended_) {
    why_ended_.emplace();
    for (const storage::Record& record : step_.records) {
      if (const auto* ended = std::get_if<storage::TaskEnded>(&record)) {
        (*why_ended_)[ended->task] = &ended->reason;
      }
    }
  }
  if (auto why = why_ended_->find(task.task); why != why_ended_->end()) return *why->second;
  auto earlier = step_.earlier_reasons.find(task.task);
  return earlier == step_.earlier_reasons.end() ? "" : earlier->second;
}

}  // namespace kartograph::scheduler
