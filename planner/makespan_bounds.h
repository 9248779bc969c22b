// How short a project's schedule could be at best, and which tasks hold it up.
#ifndef KARTOGRAPH_PLANNER_MAKESPAN_BOUNDS_H_
#define KARTOGRAPH_PLANNER_MAKESPAN_BOUNDS_H_

#include <cstdint>
#include <vector>

#include "planner/ids.h"
#include "planner/project.h"

namespace kartograph::planner {

// No schedule's makespan is less than any of these; in the project's unit of time.
struct MakespanBounds {
  int64_t critical_path = 0;  // the longest path, as if resources were unlimited
  // By resource: some tasks cannot start before a head and have a tail after them; between the two,
  // what they hold has to pass through the capacity. The best over the sets of tasks with the
  // longest heads, and over those with the longest tails; the whole energy over the capacity is
  // among them.
  std::vector<int64_t> resources;
  int64_t Best() const;
};

// In time O(n log n) for each resource.
MakespanBounds FindMakespanBounds(const Project& project);

// The tasks of a longest path by duration, first to last; of several, the one with the lowest
// indexes.
std::vector<TaskIndex> CriticalPath(const Project& project);

// By task: the longest path by duration before it, and after it. The task itself is in neither.
struct HeadsAndTails {
  std::vector<int64_t> heads;
  std::vector<int64_t> tails;
};
HeadsAndTails FindHeadsAndTails(const Project& project);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_MAKESPAN_BOUNDS_H_
