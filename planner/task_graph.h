// Is it a graph? Validation and adjacency of a graph of tasks, on Boost.Graph.
#ifndef KARTOGRAPH_PLANNER_TASK_GRAPH_H_
#define KARTOGRAPH_PLANNER_TASK_GRAPH_H_

#include <optional>
#include <string>
#include <vector>

#include "absl/functional/function_ref.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "planner/ids.h"
#include "planner/problems.h"

namespace kartograph::planner {

// For each task a list of tasks, in compressed sparse rows: 4 bytes a task and 4 an edge.
class Adjacency {
 public:
  Adjacency() : offsets_(1, 0) {}
  // `lists[i]` are the neighbours of task i.
  explicit Adjacency(absl::Span<const std::vector<TaskIndex>> lists);

  size_t size() const { return offsets_.size() - 1; }
  size_t edges() const { return targets_.size(); }
  absl::Span<const TaskIndex> operator[](TaskIndex task) const {
    return absl::MakeConstSpan(targets_).subspan(offsets_[task],
                                                 offsets_[task + 1] - offsets_[task]);
  }
  // Adds the next task, with its neighbours.
  void Append(absl::Span<const TaskIndex> list);
  // The same edges the other way round.
  Adjacency Reversed() const;

 private:
  std::vector<uint32_t> offsets_;  // size() + 1 of them
  std::vector<TaskIndex> targets_;
};

// One shortest cycle of each strongly connected component that has one, in the order of the tasks
// with the lowest indexes: edges lead from each task of a cycle to the next, and from the last to
// the first, which has the lowest index. A task with an edge to itself is a cycle of one.
std::vector<std::vector<TaskIndex>> FindCycles(const Adjacency& successors);
// "a -> b -> c -> a"; of a long one the beginning and the end.
std::string CycleToString(absl::Span<const TaskIndex> cycle,
                          absl::FunctionRef<absl::string_view(TaskIndex)> name);

// One task as its author names it. Views must outlive the call they are given to.
struct TaskNode {
  absl::string_view name;
  absl::Span<const absl::string_view> after;
};

// Finds out whether these tasks form a directed acyclic graph with unique names. Appends every
// problem to `problems`: repeated names, unknown names, and for each strongly connected component
// one cycle as a path of names. Gives each task's predecessors (sorted, each once), or nothing
// where there was a problem. Time grows linearly, but for the sorting of predecessors.
std::optional<Adjacency> FindPredecessors(absl::Span<const TaskNode> tasks,
                                          std::vector<Problem>* problems);

// Visits each task after all of its successors. `successors` is acyclic. Time grows linearly.
void VisitAfterSuccessors(const Adjacency& successors, absl::FunctionRef<void(TaskIndex)> visit);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_TASK_GRAPH_H_
