// What must hold of the graphs between two events.
#include <algorithm>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "scheduler/graph_table.h"

namespace kartograph::scheduler {

using planner::TaskIndex;
using planner::TaskState;

absl::Status GraphTable::CheckInvariants() const {
  TaskCounts counts;
  size_t ready = 0;
  size_t suspects = 0;
  size_t relocated = 0;
  size_t delayed = 0;
  size_t alive = 0;
  absl::flat_hash_map<planner::Packer::ClassId, int> users;
  for (const auto& [id, graph] : graphs_) {
    TaskCounts of_graph;
    int64_t unfinished = 0;
    const auto wrong = [&graph = *graph](TaskIndex i, absl::string_view what) {
      return absl::InternalError(absl::StrCat("task \"", graph.task_name(i), "\" of graph ",
                                              planner::GraphIdToString(graph.id), ": ", what));
    };
    absl::flat_hash_map<planner::Packer::ClassId, UnfinishedTasks> unfinished_of;
    for (const auto& [consumption, count] : graph->consumptions) {
      ++users[consumption];
      unfinished_of[consumption] = {};
    }
    for (TaskIndex i = 0; i < graph->tasks.size(); ++i) {
      const LiveTask& task = graph->tasks[i];
      ++of_graph.total;
      ++of_graph.by_state[static_cast<size_t>(task.state)];
      if (!planner::IsFinal(task.state)) {
        ++unfinished;
        unfinished_of[task.consumption].Count(graph->kinds.ExpectedUs(i), 1);
      }
      uint32_t pending = 0;
      for (TaskIndex before : graph->predecessors[i]) {
        pending += graph->tasks[before].state != TaskState::kSucceeded ? 1 : 0;
      }
      if (pending != task.pending) return wrong(i, "waits for another number of tasks");
      if (!graph->consumptions.contains(task.consumption)) return wrong(i, "consumes in secret");
      const bool has_attempt =
          parts_.attempts->contains(planner::AttemptId::Of(graph->key(i), task.launches));
      const bool should = task.state == TaskState::kLaunching || task.state == TaskState::kRunning;
      if (has_attempt != should) return wrong(i, "has an attempt, or has none");
      alive += has_attempt ? 1 : 0;
      if (task.cancelling && !should && task.state != TaskState::kCancelled &&
          !planner::IsFinal(task.state)) {
        return wrong(i, "is being cancelled without an attempt");
      }
      if (task.relocated != avoided_agents_.contains(graph->key(i))) {
        return wrong(i, "avoids an agent, or does not");
      }
      if (task.state != TaskState::kReady) {
        if (task.delayed) return wrong(i, "is delayed, but not ready");
        continue;
      }
      if (task.delayed) {
        ++delayed;
        if (!delayed_until_.contains(graph->key(i))) return wrong(i, "is delayed forever");
      } else if (task.suspect()) {
        ++suspects;
        if (!suspects_.contains(graph->ready_key(i))) return wrong(i, "is no longer suspected");
      } else if (task.relocated) {
        ++relocated;
        if (!relocated_.contains(graph->ready_key(i))) return wrong(i, "is not to be relocated");
      } else {
        ++ready;
      }
    }
    if (of_graph.by_state != graph->counts.by_state || of_graph.total != graph->counts.total ||
        unfinished != graph->unfinished || unfinished_of != graph->consumptions ||
        graph->kinds.size() != graph->tasks.size()) {
      return absl::InternalError(
          absl::StrCat("graph ", planner::GraphIdToString(id), " counts its tasks wrongly"));
    }
    for (size_t i = 0; i < counts.by_state.size(); ++i) counts.by_state[i] += of_graph.by_state[i];
    counts.total += of_graph.total;
  }
  size_t working = 0;
  for (const auto& [id, graph] : graphs_) {
    if (graph->progress == nullptr) {
      if (graph->unfinished == 0 && !graph->open) {
        return absl::InternalError("a graph has ended and is still there");
      }
      const bool waits = graph->closes != SteadyTime::InfiniteFuture();
      if (waits != idle_.contains({graph->closes, id}) || (waits && !graph->open)) {
        return absl::InternalError("a graph is to close while idle, or is not");
      }
      continue;
    }
    ++working;
    if (std::count(working_.begin(), working_.end(), id) != 1) {
      return absl::InternalError("a graph is not worked on, or more than once");
    }
  }
  if (working != working_.size()) return absl::InternalError("there is nothing to work on");
  if (counts.by_state != counts_.by_state || counts.total != counts_.total) {
    return absl::InternalError("the sum over all graphs is wrong");
  }
  if (ready != parts_.packer->ready_count() || suspects != suspects_.size() ||
      relocated != relocated_.size() || delayed != delayed_until_.size() ||
      delayed != timers_.size()) {
    return absl::InternalError(absl::StrCat(
        ready, " tasks are ready, ", suspects, " suspect and ", delayed, " delayed; listed are ",
        parts_.packer->ready_count(), ", ", suspects_.size(), " and ", delayed_until_.size()));
  }
  if (alive != parts_.attempts->size()) {
    return absl::InternalError("an attempt is alive of which no task knows");
  }
  for (const auto& [consumption, count] : users) {
    if (parts_.consumptions->users(consumption) != count) {
      return absl::InternalError("a consumption has another number of users");
    }
  }
  return absl::OkStatus();
}

}  // namespace kartograph::scheduler
