// How one graph would run on a cluster: how long, what holds it up, and what would make it shorter.
#ifndef KARTOGRAPH_FORECAST_FORECAST_H_
#define KARTOGRAPH_FORECAST_FORECAST_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "forecast/simulate.h"
#include "planner/ids.h"
#include "planner/resources.h"

namespace kartograph::forecast {

struct ResourceUse {
  planner::Resource resource;
  bool pool = false;
  planner::Quantity capacity;  // of all agents together, or of the pool
  double utilization = 0;      // what is used of it on average until the graph ends, 0 to 1
};

// Something that could be different, and how long the graph would take then.
struct WhatIf {
  enum class Kind : uint8_t {
    kOneMoreAgent,  // `agent`, which is like most that there are
    kLargerPool,    // `pool`, which would hold `units`
    kFasterTask,    // `task` takes half as long
  } kind = Kind::kOneMoreAgent;
  planner::ResourceVector agent{};
  planner::Resource pool = planner::Resource::Cpu();
  planner::Quantity units{};
  planner::TaskIndex task = 0;
  absl::Duration makespan{};
};

struct Forecast {
  std::vector<Run> runs;  // by task
  absl::Duration makespan;
  // No schedule is shorter: the longest path, or what the tasks hold of a resource together and how
  // long, between the paths before and after them. Agents count as one that has what all of them
  // have.
  absl::Duration lower_bound;
  std::optional<planner::Resource> bound_by;  // nothing: the longest path
  std::vector<planner::TaskIndex> critical_path;
  absl::Duration critical_path_length;
  std::vector<ResourceUse> uses;  // resources of agents, then pools, by name
  std::vector<WhatIf> what_ifs;
};

struct ForecastOptions {
  SimulateOptions simulate{};
  // Each is a simulation of its own; of larger graphs there are none.
  size_t max_what_if_tasks = 100000;
};

// How many more units a larger pool has, at least; of a large one it is a quarter more.
inline constexpr int64_t kMoreUnits = 10;
// How many pools are tried, those first that are used most.
inline constexpr size_t kMaxPoolsTried = 3;

// Errors as of Simulate.
absl::StatusOr<Forecast> MakeForecast(const Graph& graph, const Cluster& cluster,
                                      const ForecastOptions& options = {});

}  // namespace kartograph::forecast

#endif  // KARTOGRAPH_FORECAST_FORECAST_H_
