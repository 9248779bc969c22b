// When a graph is expected to end.
#ifndef KARTOGRAPH_SCHEDULER_END_OUTLOOK_H_
#define KARTOGRAPH_SCHEDULER_END_OUTLOOK_H_

#include <cstddef>
#include <cstdint>
#include <vector>

#include "absl/time/time.h"
#include "planner/ids.h"
#include "planner/project.h"
#include "planner/usage_sketch.h"

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

  // Tasks of a kind of which it is known how the times differ that they take: the end of many at
  // once is that of the longest, not of the one in the middle.
  struct Drawn {
    planner::TaskIndex task;  // the project's, whose duration there is what is expected of it alone
    uint32_t kind;            // of wall_us
    uint32_t number;          // among those of its kind, in the graph
    int64_t elapsed_us;       // of its attempt that runs; otherwise 0
  };
  std::vector<Drawn> drawn;
  std::vector<planner::UsageSketch> wall_us;

  // From then on until the last task of the graph is expected to end: the median over several
  // draws, the same ones for the same state. Takes some 30 ms for 20,000.
  absl::Duration ExpectedRemaining() const;

 private:
  int64_t EndWith(const planner::Project& project) const;
  int64_t Draw(const Drawn& of, double offset) const;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_END_OUTLOOK_H_
