// Which task of a graph goes first, in a few passes without search: for every graph at once, and
// for large graphs all there is.
#ifndef KARTOGRAPH_PLANNER_ONE_PASS_ORDER_H_
#define KARTOGRAPH_PLANNER_ONE_PASS_ORDER_H_

#include <vector>

#include "absl/types/span.h"
#include "planner/ids.h"
#include "planner/project.h"

namespace kartograph::planner {

// All take a project that CheckProject accepts. Orders hold every task, the first to start first.

// By latest finish time, which is by the longest path that remains after a task, longest first; of
// equals the one with the lower index. A plain priority rule, the best of those that Kolisch
// compares (1996, "Efficient priority rules for the resource-constrained project scheduling
// problem").
std::vector<TaskIndex> LatestFinishOrder(const Project& project);

// The order to dispatch in. Each of a few priority rules weighs how long the path after a task is
// against how much of the scarce resources is consumed on it or by all that follows. Each is
// improved by rounds of forward-backward improvement (Tormos and Lova 2001, "A competitive
// heuristic solution technique for RCPSP") with the parallel scheme: what the dispatcher would do
// is scheduled backward in the order of its ends, then forward in the order of those starts. The
// order that the dispatcher makes the shortest schedule of is kept, so it is never worse than the
// plain rule.
//
// Deterministic. At most 54 passes, of O(n log n) each where few consumptions are distinct; fewer
// for large graphs: some four million tasks are placed in all, so that a million tasks have three
// passes (two and a half seconds), and a hundred thousand of as many distinct consumptions only the
// plain rule.
std::vector<TaskIndex> OnePassOrder(const Project& project);

// What a dispatcher makes of an order that never keeps back what could start: whenever a task ends,
// it starts what fits, in this order.
Schedule Dispatch(const Project& project, absl::Span<const TaskIndex> order);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_ONE_PASS_ORDER_H_
