// A graph as a project to be scheduled.
#ifndef KARTOGRAPH_SCHEDULER_GRAPH_PROJECT_H_
#define KARTOGRAPH_SCHEDULER_GRAPH_PROJECT_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/types/span.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/project.h"
#include "scheduler/consumption_table.h"
#include "scheduler/end_outlook.h"
#include "scheduler/live_graph.h"
#include "scheduler/usage_table.h"

namespace kartograph::scheduler {

// The tasks of a graph that are not final, with what is expected of them now. A plain value.
struct GraphProject {
  planner::Project project;
  std::vector<planner::TaskIndex> tasks;        // by the project's index: that in the graph
  std::vector<planner::TaskIndex> first_order;  // of the project's, as they are ordered now

  // An order of the project's as one of the graph's.
  std::vector<planner::TaskIndex> InGraph(const std::vector<planner::TaskIndex>& order) const;
};

// An attempt that holds what such tasks consume.
struct Holding {
  std::optional<planner::TaskIndex> task;  // of the graph; nothing: it is another's
  planner::Packer::ClassId consumption = 0;
  int64_t remaining_us = 0;  // as far as can be told
  int64_t elapsed_us = 0;
};

// As for MakeProject, but for any number of tasks and whether or not anything is scarce. Nothing
// where it is not known of nine in ten tasks how long they take. `usage` may be null: nothing is
// learnt.
std::optional<EndOutlook> MakeEndOutlook(const LiveGraph& graph, const planner::Packer& packer,
                                         const ConsumptionTable& consumptions,
                                         const UsageTable* usage,
                                         absl::Span<const Holding> holding);

// The agents count as one that has what all of them have. Resources that suffice for all tasks at
// once are left out. Nothing where no order is better than another one, as nothing is scarce, and
// for more than `max_tasks`.
std::optional<GraphProject> MakeProject(const LiveGraph& graph, const planner::Packer& packer,
                                        const ConsumptionTable& consumptions, size_t max_tasks);

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_GRAPH_PROJECT_H_
