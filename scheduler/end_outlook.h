// When a graph is expected to end.
#ifndef KARTOGRAPH_SCHEDULER_END_OUTLOOK_H_
#define KARTOGRAPH_SCHEDULER_END_OUTLOOK_H_

#include <cstddef>
#include <vector>

#include "absl/time/time.h"
#include "planner/ids.h"
#include "planner/project.h"

namespace kartograph::scheduler {

// What is left of a graph, as it is expected to go on: a plain value, taken from the live state in
// one go and looked into on any thread. What others run holds what it has until it is expected to
// end; what they have waiting counts as coming later.
struct EndOutlook {
  // First the tasks of the graph that are not final, those that run with what is left of them; then
  // what others run.
  planner::Project project;
  std::vector<planner::TaskIndex> order;  // of the project's: what runs, then as the graph has it
  size_t own_tasks = 0;

  // From then on until the last task of the graph is expected to end. Takes some 10 ms for 20,000.
  absl::Duration ExpectedRemaining() const;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_END_OUTLOOK_H_
