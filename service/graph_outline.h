// What a graph waits for, found out from an outline of it, away from the scheduler's thread.
#ifndef KARTOGRAPH_SERVICE_GRAPH_OUTLINE_H_
#define KARTOGRAPH_SERVICE_GRAPH_OUTLINE_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "planner/ids.h"
#include "scheduler/snapshot.h"

namespace kartograph::service {

struct TaskGroup {
  int64_t tasks = 0;
  planner::TaskIndex example = 0;
};
// The tasks that are not final by what they wait for, as scheduler::GraphSlice groups them: the
// largest group first.
std::vector<TaskGroup> GroupTasks(const scheduler::GraphSlice& graph);

struct BlockingTask {
  planner::TaskIndex task = 0;
  int64_t holds_up = 0;  // tasks that are not final and come after it
};
// Of the tasks that are not final and wait for no other one, those that hold up the most. Exact for
// those that it counts: these are kCounted, which are chosen by a bound that counts a task once for
// each way to it. Takes time that grows with the graph.
inline constexpr size_t kCounted = 32;
std::vector<BlockingTask> FindBlockers(const scheduler::GraphSlice& graph, size_t most);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRAPH_OUTLINE_H_
