// A project: tasks with durations and precedence that share renewable resources, in the words of
// the literature on resource-constrained project scheduling (RCPSP; Brucker et al. 1999, "Resource-
// constrained project scheduling: notation, classification, models, and methods").
#ifndef KARTOGRAPH_PLANNER_PROJECT_H_
#define KARTOGRAPH_PLANNER_PROJECT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "planner/ids.h"
#include "planner/task_graph.h"

namespace kartograph::planner {

// More than this many resources in one project are refused.
inline constexpr size_t kMaxProjectResources = 16;

// What is to be scheduled. A plain value; CheckProject says whether it makes sense, and all that
// takes a project assumes that it does.
struct Project {
  std::vector<int64_t> durations;   // by task, in any one unit of time; not negative
  Adjacency successors;             // by task; acyclic
  std::vector<int64_t> capacities;  // by resource, in any unit (thousandths, as Quantity has them)
  // What a task holds of each resource while it runs, in the unit of its capacity:
  // demands[task * capacities.size() + resource].
  std::vector<int64_t> demands;

  size_t size() const { return durations.size(); }
  absl::Span<const int64_t> demand(TaskIndex task) const {
    return absl::MakeConstSpan(demands).subspan(task * capacities.size(), capacities.size());
  }
};

// When each task starts, all at 0 or later, and when the last one ends. In the project's unit of
// time.
struct Schedule {
  std::vector<int64_t> starts;
  int64_t makespan = 0;
  bool operator==(const Schedule&) const = default;
};

// InvalidArgument where the parts do not fit together, a number is negative, there is a cycle, the
// durations together overflow, or a task alone demands more than there is of a resource: such a
// task can never start, so its caller leaves it out or clamps it, as suits him.
absl::Status CheckProject(const Project& project);

// Whether the schedule keeps all precedence and never uses more than there is: InvalidArgument with
// the first task or resource for which it does not. For tests, and for whoever receives schedules.
absl::Status CheckSchedule(const Project& project, const Schedule& schedule);

// The tasks in an order in which each comes after its predecessors; among those that could be next,
// first the one that was so first. Shorter than the graph where it has a cycle.
std::vector<TaskIndex> TopologicalOrder(const Adjacency& successors);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_PROJECT_H_
