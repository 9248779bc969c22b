// A project in the form that is quick to generate schedules from.
#ifndef KARTOGRAPH_PLANNER_PACKED_PROJECT_H_
#define KARTOGRAPH_PLANNER_PACKED_PROJECT_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "planner/ids.h"
#include "planner/project.h"
#include "planner/task_graph.h"

namespace kartograph::planner {

// Tasks are renumbered in topological order, and what a task demands of all resources is packed
// into as few 64-bit words as possible, exactly: a resource is counted in the greatest common
// divisor of what is demanded of it, and one that cannot run out is left out. Each resource has a
// field of bits with a guard bit on top that is 0 in demands and 1 in what is free, so that one
// subtraction tells for all resources of a word whether a demand fits: a guard bit is borrowed from
// where it does not.
//
// A task that takes no time holds nothing, so that an order by starts gives the same starts again.
//
// A value; does not change once made, so any number of threads may read it.
struct PackedProject {
  // `project` is one that CheckProject accepts.
  explicit PackedProject(const Project& project);

  size_t size() const { return durations.size(); }
  const uint64_t* demand(uint32_t number) const { return demands.data() + number * words; }
  // By the tasks' own indexes instead of by topological numbers.
  Schedule ByTask(const Schedule& schedule) const;
  // From the tasks' own indexes to topological numbers, and back.
  std::vector<uint32_t> Numbers(absl::Span<const TaskIndex> list) const;
  std::vector<TaskIndex> Tasks(absl::Span<const uint32_t> numbers) const;

  std::vector<TaskIndex> tasks;  // by topological number: the task's index in the project
  std::vector<int64_t> durations;
  Adjacency predecessors;
  Adjacency successors;

  size_t words = 1;                // 64-bit words in a demand
  std::vector<uint64_t> demands;   // size() * words
  std::vector<uint64_t> capacity;  // words, guard bits set
  std::vector<uint64_t> guards;    // words

  // Tasks with equal demands have one class, a number below `classes`.
  std::vector<uint32_t> demand_class;
  uint32_t classes = 0;

  // What each task uses, duration times share of the capacity, as a weighted mean over the
  // resources: a resource weighs as the square of its load (all that is used of it over its
  // capacity), since what is scarce decides (after the ranking of resources of Goncharov 2025,
  // arXiv:2502.18330).
  std::vector<double> scarce_energy;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_PACKED_PROJECT_H_
