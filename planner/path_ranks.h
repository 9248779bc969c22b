// What goes first in a graph: ranks by the longest remaining path.
#ifndef KARTOGRAPH_PLANNER_PATH_RANKS_H_
#define KARTOGRAPH_PLANNER_PATH_RANKS_H_

#include <cstdint>
#include <vector>

#include "absl/types/span.h"
#include "planner/ids.h"
#include "planner/task_graph.h"

namespace kartograph::planner {

// For each task the length of the longest path from it to the end of the graph, itself included, in
// units: the highest rank goes first. A task always has a higher rank than what comes after it, as
// long as no path is longer than 2^32 units. `lengths` are those of the tasks, not negative and
// finite, in the same measure as `unit`, which is positive; `successors` is acyclic. Time grows
// linearly.
std::vector<uint32_t> PathRanks(const Adjacency& successors, absl::Span<const double> lengths,
                                double unit);
// The same with a unit in which the longest path is at most 2^31: `*unit`, or what is needed, which
// it is set to.
std::vector<uint32_t> PathRanksThatFit(const Adjacency& successors,
                                       absl::Span<const double> lengths, double* unit);

// New ranks for tasks that are to go in this order, the first first: those that they have, each of
// them once, so that they keep their place among all others. `ranks` are theirs now, in that order.
std::vector<uint32_t> RanksInOrder(std::vector<uint32_t> ranks);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_PATH_RANKS_H_
