#include "forecast/forecast.h"

#include <algorithm>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/types/span.h"
#include "planner/makespan_bounds.h"
#include "planner/project.h"

namespace kartograph::forecast {

using planner::Quantity;
using planner::ResourceVector;
using planner::TaskIndex;

namespace {

// What the tasks hold of one resource.
struct Load {
  ResourceUse use;
  double at_once = 0;      // if all tasks ran at once, in capacities
  double capacity_us = 0;  // over time, in capacities times microseconds
};

int64_t DurationUs(const Task& task) {
  return std::max<int64_t>(1, absl::ToInt64Microseconds(task.takes));
}

std::vector<Load> FindLoads(const Graph& graph, const Cluster& cluster) {
  std::vector<Load> loads;
  ResourceVector agents;
  for (const ResourceVector& agent : cluster.agents) agents += agent;
  for (const ResourceVector::Entry& entry : agents) {
    loads.push_back({{entry.resource, false, entry.quantity}});
  }
  for (const ResourceVector::Entry& entry : cluster.pools) {
    loads.push_back({{entry.resource, true, entry.quantity}});
  }
  for (const Task& task : graph.tasks) {
    for (Load& load : loads) {
      const double share = static_cast<double>(task.consumption.Get(load.use.resource).milli()) /
                           static_cast<double>(load.use.capacity.milli());
      load.at_once += share;
      load.capacity_us += share * static_cast<double>(DurationUs(task));
    }
  }
  std::sort(loads.begin(), loads.end(), [](const Load& a, const Load& b) {
    return std::pair(a.use.pool, a.use.resource.name()) <
           std::pair(b.use.pool, b.use.resource.name());
  });
  return loads;
}

// The graph as a project; with the resources that are needed most, as many as one can have.
planner::Project MakeProject(const Graph& graph, std::vector<Load>& loads) {
  std::stable_sort(loads.begin(), loads.end(),
                   [](const Load& a, const Load& b) { return a.capacity_us > b.capacity_us; });
  if (loads.size() > planner::kMaxProjectResources) {
    loads.erase(loads.begin() + planner::kMaxProjectResources, loads.end());
  }
  planner::Project project;
  for (const Load& load : loads) project.capacities.push_back(load.use.capacity.milli());
  absl::flat_hash_map<absl::string_view, TaskIndex> index;
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) index[graph.tasks[i].name] = i;
  std::vector<std::vector<TaskIndex>> successors(graph.tasks.size());
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    const Task& task = graph.tasks[i];
    project.durations.push_back(DurationUs(task));
    for (const Load& load : loads) {
      project.demands.push_back(task.consumption.Get(load.use.resource).milli());
    }
    for (const std::string& before : task.after) successors[index.at(before)].push_back(i);
  }
  project.successors = planner::Adjacency(successors);
  return project;
}

void FindBounds(const Graph& graph, std::vector<Load> loads, Forecast* forecast) {
  const planner::Project project = MakeProject(graph, loads);
  const planner::MakespanBounds bounds = planner::FindMakespanBounds(project);
  forecast->critical_path = planner::CriticalPath(project);
  forecast->critical_path_length = absl::Microseconds(bounds.critical_path);
  forecast->lower_bound = absl::Microseconds(bounds.Best());
  if (bounds.Best() == bounds.critical_path) return;
  const auto best = std::max_element(bounds.resources.begin(), bounds.resources.end());
  forecast->bound_by = loads[static_cast<size_t>(best - bounds.resources.begin())].use.resource;
}

// What most agents have; of what is equally frequent, what comes first.
ResourceVector UsualAgent(const std::vector<ResourceVector>& agents) {
  absl::flat_hash_map<ResourceVector, size_t> count;
  size_t most = 0;
  for (const ResourceVector& agent : agents) most = std::max(most, ++count[agent]);
  return *std::find_if(agents.begin(), agents.end(),
                       [&](const ResourceVector& agent) { return count[agent] == most; });
}

void Halve(Task& task) {
  task.takes /= 2;
  if (task.expected > absl::ZeroDuration()) {
    task.expected = std::max(task.expected / 2, absl::Microseconds(1));
  }
}

absl::StatusOr<absl::Duration> Makespan(const Graph& graph, const Cluster& cluster,
                                        const SimulateOptions& options) {
  absl::StatusOr<std::vector<Outcome>> outcomes =
      Simulate(absl::MakeConstSpan(&graph, 1), cluster, options);
  if (!outcomes.ok()) return outcomes.status();
  return outcomes->front().end;
}

// What there is to try, without its makespan.
std::vector<WhatIf> Changes(const Graph& graph, const Cluster& cluster, const Forecast& forecast,
                            std::vector<Load> loads) {
  std::vector<WhatIf> changes;
  changes.push_back({.kind = WhatIf::Kind::kOneMoreAgent, .agent = UsualAgent(cluster.agents)});
  // One that suffices for all at once holds nothing up.
  std::erase_if(loads, [](const Load& load) { return !load.use.pool || load.at_once <= 1; });
  std::stable_sort(loads.begin(), loads.end(),
                   [](const Load& a, const Load& b) { return a.capacity_us > b.capacity_us; });
  for (size_t i = 0; i < std::min(loads.size(), kMaxPoolsTried); ++i) {
    const Quantity now = loads[i].use.capacity;
    const int64_t quarter = (now.milli() / 1000 + 3) / 4;
    const Quantity units = now + Quantity::Of(std::max(kMoreUnits, quarter));
    if (units > Quantity::Max()) continue;
    changes.push_back(
        {.kind = WhatIf::Kind::kLargerPool, .pool = loads[i].use.resource, .units = units});
  }
  const auto longest = std::max_element(
      forecast.critical_path.begin(), forecast.critical_path.end(),
      [&](TaskIndex a, TaskIndex b) { return graph.tasks[a].takes < graph.tasks[b].takes; });
  changes.push_back({.kind = WhatIf::Kind::kFasterTask, .task = *longest});
  return changes;
}

absl::Status TryChanges(const Graph& graph, const Cluster& cluster, const SimulateOptions& options,
                        std::vector<WhatIf>& changes) {
  Graph other_graph = graph;
  for (WhatIf& change : changes) {
    Cluster other_cluster = cluster;
    switch (change.kind) {
      case WhatIf::Kind::kOneMoreAgent:
        other_cluster.agents.push_back(change.agent);
        break;
      case WhatIf::Kind::kLargerPool:
        other_cluster.pools.Set(change.pool, change.units);
        break;
      case WhatIf::Kind::kFasterTask:
        Halve(other_graph.tasks[change.task]);
        break;
    }
    absl::StatusOr<absl::Duration> makespan = Makespan(other_graph, other_cluster, options);
    if (!makespan.ok()) return makespan.status();
    change.makespan = *makespan;
    if (change.kind == WhatIf::Kind::kFasterTask) {
      other_graph.tasks[change.task] = graph.tasks[change.task];
    }
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<Forecast> MakeForecast(const Graph& graph, const Cluster& cluster,
                                      const ForecastOptions& options) {
  if (graph.tasks.empty()) return absl::InvalidArgumentError("the graph has no tasks");
  if (cluster.agents.empty()) return absl::InvalidArgumentError("the cluster has no agents");
  absl::StatusOr<std::vector<Outcome>> outcomes =
      Simulate(absl::MakeConstSpan(&graph, 1), cluster, options.simulate);
  if (!outcomes.ok()) return outcomes.status();
  Forecast forecast;
  forecast.runs = std::move(outcomes->front().runs);
  forecast.makespan = outcomes->front().end;
  const std::vector<Load> loads = FindLoads(graph, cluster);
  for (const Load& load : loads) {
    forecast.uses.push_back(load.use);
    forecast.uses.back().utilization =
        load.capacity_us / absl::ToDoubleMicroseconds(forecast.makespan);
  }
  FindBounds(graph, loads, &forecast);
  if (graph.tasks.size() > options.max_what_if_tasks) return forecast;
  forecast.what_ifs = Changes(graph, cluster, forecast, loads);
  absl::Status tried = TryChanges(graph, cluster, options.simulate, forecast.what_ifs);
  if (!tried.ok()) return tried;
  return forecast;
}

}  // namespace kartograph::forecast
