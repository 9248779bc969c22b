#include "scheduler/graph_project.h"

#include <algorithm>
#include <cstdint>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "planner/states.h"

namespace kartograph::scheduler {

using planner::Resource;
using planner::ResourceVector;
using planner::TaskIndex;

namespace {

constexpr size_t kFewestTasks = 3;
// One in so many tasks may be one of which nothing is known, for an end to be expected.
constexpr int64_t kMostUnknown = 10;

struct Scarce {
  Resource resource;
  int64_t capacity = 0;  // thousandths
  double demanded = 0;   // by all tasks at once, as part of the capacity
  double load = 0;       // the same times how long
};

// What the tasks share that does not suffice for all of them at once, the scarcest first.
std::vector<Scarce> FindScarce(const std::vector<planner::Packer::ClassId>& consumptions,
                               const std::vector<int64_t>& durations,
                               const planner::Packer& packer) {
  std::vector<Scarce> found;
  const auto add = [&](const ResourceVector& part, const ResourceVector& all, int64_t duration) {
    for (const ResourceVector::Entry& entry : part) {
      const int64_t capacity = all.Get(entry.resource).milli();
      if (capacity <= 0) continue;
      auto it = std::find_if(found.begin(), found.end(),
                             [&](const Scarce& s) { return s.resource == entry.resource; });
      if (it == found.end()) it = found.insert(found.end(), Scarce{entry.resource, capacity, 0, 0});
      const double share =
          static_cast<double>(entry.quantity.milli()) / static_cast<double>(capacity);
      it->demanded += share;
      it->load += share * static_cast<double>(duration);
    }
  };
  for (size_t i = 0; i < consumptions.size(); ++i) {
    add(packer.agent_part(consumptions[i]), packer.total_capacity(), durations[i]);
    add(packer.pool_part(consumptions[i]), packer.pools(), durations[i]);
  }
  std::erase_if(found, [](const Scarce& s) { return s.demanded <= 1; });
  std::sort(found.begin(), found.end(), [](const Scarce& a, const Scarce& b) {
    return a.load != b.load ? a.load > b.load : a.resource < b.resource;
  });
  if (found.size() > planner::kMaxProjectResources) {
    found.erase(found.begin() + planner::kMaxProjectResources, found.end());
  }
  return found;
}

int64_t Duration(const LiveGraph& graph, TaskIndex task, const ConsumptionTable& consumptions) {
  int64_t us = graph.kinds.ExpectedUs(task);
  if (us == 0) {
    const auto learnt = consumptions.LearntWallTime(graph.tasks[task].consumption);
    us = learnt.has_value() ? absl::ToInt64Microseconds(*learnt)
                            : static_cast<int64_t>(graph.unknown_us);
  }
  // What takes no time holds nothing.
  return std::clamp<int64_t>(us, 1, absl::ToInt64Microseconds(GraphKinds::kLongest));
}

// The tasks that are not final, with what is expected of them; all but what is scarce.
struct Unfinished {
  GraphProject made;
  absl::flat_hash_map<TaskIndex, TaskIndex> index;  // in the project, by that in the graph
  std::vector<planner::Packer::ClassId> consumptions;
};

Unfinished FindUnfinished(const LiveGraph& graph, const ConsumptionTable& consumptions) {
  Unfinished found;
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    if (planner::IsFinal(graph.tasks[i].state)) continue;
    found.index[i] = static_cast<TaskIndex>(found.made.tasks.size());
    found.made.tasks.push_back(i);
    found.made.project.durations.push_back(Duration(graph, i, consumptions));
    found.consumptions.push_back(graph.tasks[i].consumption);
  }
  std::vector<TaskIndex> next;
  for (TaskIndex i : found.made.tasks) {
    next.clear();
    graph.ForEachSuccessor(i, [&](TaskIndex successor) {
      if (auto it = found.index.find(successor); it != found.index.end()) {
        next.push_back(it->second);
      }
    });
    found.made.project.successors.Append(next);
  }
  return found;
}

void SetDemands(const std::vector<Scarce>& scarce,
                const std::vector<planner::Packer::ClassId>& consumptions,
                const planner::Packer& packer, planner::Project* project) {
  for (const Scarce& s : scarce) project->capacities.push_back(s.capacity);
  for (const planner::Packer::ClassId consumption : consumptions) {
    for (const Scarce& s : scarce) {
      const planner::Quantity held = packer.agent_part(consumption).Get(s.resource) +
                                     packer.pool_part(consumption).Get(s.resource);
      // More than there is may be there later.
      project->demands.push_back(std::min(held.milli(), s.capacity));
    }
  }
}

// What is known of how the times differ that tasks of the same kinds took. What a client says of a
// task is taken as it is.
void AddKinds(const LiveGraph& graph, const std::vector<TaskIndex>& tasks,
              const std::vector<int64_t>& elapsed_us, const UsageTable& usage,
              EndOutlook* outlook) {
  constexpr uint32_t kUnknown = UINT32_MAX;
  std::vector<uint32_t> sketch_of;  // by kind
  for (const GraphKinds::Kind& kind : graph.kinds.kinds()) {
    std::optional<KindUsage> known = usage.Find(kind.kind);
    sketch_of.push_back(known ? static_cast<uint32_t>(outlook->wall_us.size()) : kUnknown);
    if (known) outlook->wall_us.push_back(std::move(known->wall_us));
  }
  // Counted over all tasks, so that a task keeps its number while others end.
  std::vector<uint32_t> count(sketch_of.size(), 0);
  size_t next = 0;  // of tasks, which are in the graph's order
  for (TaskIndex i = 0; i < graph.tasks.size() && next < tasks.size(); ++i) {
    const std::optional<size_t> kind = graph.kinds.IndexOf(i);
    const uint32_t number = kind ? count[*kind]++ : 0;
    if (tasks[next] != i) continue;
    if (kind && sketch_of[*kind] != kUnknown && graph.kinds.Declared(i) == absl::ZeroDuration()) {
      outlook->drawn.push_back(
          {static_cast<TaskIndex>(next), sketch_of[*kind], number, elapsed_us[next]});
    }
    ++next;
  }
}

// The project's tasks as the graph has them ordered.
std::vector<TaskIndex> OrderNow(const LiveGraph& graph, const std::vector<TaskIndex>& tasks) {
  std::vector<TaskIndex> order(tasks.size());
  for (TaskIndex i = 0; i < order.size(); ++i) order[i] = i;
  std::sort(order.begin(), order.end(), [&](TaskIndex a, TaskIndex b) {
    return graph.ready_key(tasks[a]) < graph.ready_key(tasks[b]);
  });
  return order;
}

}  // namespace

std::vector<TaskIndex> GraphProject::InGraph(const std::vector<TaskIndex>& order) const {
  std::vector<TaskIndex> in_graph;
  in_graph.reserve(order.size());
  for (TaskIndex i : order) in_graph.push_back(tasks[i]);
  return in_graph;
}

std::optional<GraphProject> MakeProject(const LiveGraph& graph, const planner::Packer& packer,
                                        const ConsumptionTable& consumptions, size_t max_tasks) {
  if (graph.unfinished < static_cast<int64_t>(kFewestTasks) ||
      graph.unfinished > static_cast<int64_t>(max_tasks)) {
    return std::nullopt;
  }
  Unfinished found = FindUnfinished(graph, consumptions);
  const std::vector<Scarce> scarce =
      FindScarce(found.consumptions, found.made.project.durations, packer);
  if (scarce.empty()) return std::nullopt;
  SetDemands(scarce, found.consumptions, packer, &found.made.project);
  found.made.first_order = OrderNow(graph, found.made.tasks);
  return std::move(found.made);
}

std::optional<EndOutlook> MakeEndOutlook(const LiveGraph& graph, const planner::Packer& packer,
                                         const ConsumptionTable& consumptions,
                                         const UsageTable* usage,
                                         absl::Span<const Holding> holding) {
  if (graph.unfinished == 0) return std::nullopt;
  int64_t unknown = 0;
  for (const auto& [consumption, unfinished] : graph.consumptions) {
    // The agents count as one, on which a group could not be spread.
    if (unfinished.tasks > 0 && !packer.terms(consumption).spread.empty()) return std::nullopt;
    if (!consumptions.LearntWallTime(consumption)) unknown += unfinished.unknown;
  }
  if (unknown > graph.unfinished / kMostUnknown) return std::nullopt;
  Unfinished found = FindUnfinished(graph, consumptions);
  EndOutlook outlook;
  outlook.project = std::move(found.made.project);
  outlook.own_tasks = found.made.tasks.size();
  std::vector<bool> holds(outlook.own_tasks, false);
  std::vector<int64_t> elapsed_us(outlook.own_tasks, 0);
  for (const Holding& held : holding) {
    const auto remaining_us = std::max<int64_t>(1, held.remaining_us);
    if (held.task.has_value()) {
      const auto own = found.index.find(*held.task);
      if (own == found.index.end()) continue;
      outlook.project.durations[own->second] = remaining_us;
      outlook.order.push_back(own->second);
      holds[own->second] = true;
      elapsed_us[own->second] = held.elapsed_us;
    } else {
      outlook.order.push_back(static_cast<TaskIndex>(outlook.project.size()));
      outlook.project.durations.push_back(remaining_us);
      outlook.project.successors.Append({});
      found.consumptions.push_back(held.consumption);
    }
  }
  for (TaskIndex i : OrderNow(graph, found.made.tasks)) {
    if (!holds[i]) outlook.order.push_back(i);
  }
  SetDemands(FindScarce(found.consumptions, outlook.project.durations, packer), found.consumptions,
             packer, &outlook.project);
  if (usage != nullptr) AddKinds(graph, found.made.tasks, elapsed_us, *usage, &outlook);
  return outlook;
}

}  // namespace kartograph::scheduler
