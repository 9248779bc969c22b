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

struct Scarce {
  Resource resource;
  int64_t capacity = 0;  // thousandths
  double demanded = 0;   // by all tasks at once, as part of the capacity
  double load = 0;       // the same times how long
};

// What the tasks share that does not suffice for all of them at once, the scarcest first.
std::vector<Scarce> FindScarce(const LiveGraph& graph, const std::vector<TaskIndex>& tasks,
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
  for (size_t i = 0; i < tasks.size(); ++i) {
    const planner::Packer::ClassId consumption = graph.tasks[tasks[i]].consumption;
    add(packer.agent_part(consumption), packer.total_capacity(), durations[i]);
    add(packer.pool_part(consumption), packer.pools(), durations[i]);
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
  GraphProject made;
  absl::flat_hash_map<TaskIndex, TaskIndex> index;
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    if (planner::IsFinal(graph.tasks[i].state)) continue;
    index[i] = static_cast<TaskIndex>(made.tasks.size());
    made.tasks.push_back(i);
    made.project.durations.push_back(Duration(graph, i, consumptions));
  }
  const std::vector<Scarce> scarce = FindScarce(graph, made.tasks, made.project.durations, packer);
  if (scarce.empty()) return std::nullopt;
  for (const Scarce& s : scarce) made.project.capacities.push_back(s.capacity);
  std::vector<TaskIndex> next;
  for (TaskIndex i : made.tasks) {
    next.clear();
    graph.ForEachSuccessor(i, [&](TaskIndex successor) {
      if (auto it = index.find(successor); it != index.end()) next.push_back(it->second);
    });
    made.project.successors.Append(next);
    const planner::Packer::ClassId consumption = graph.tasks[i].consumption;
    for (const Scarce& s : scarce) {
      const planner::Quantity held = packer.agent_part(consumption).Get(s.resource) +
                                     packer.pool_part(consumption).Get(s.resource);
      // More than there is may be there later.
      made.project.demands.push_back(std::min(held.milli(), s.capacity));
    }
  }
  made.first_order.resize(made.tasks.size());
  for (TaskIndex i = 0; i < made.first_order.size(); ++i) made.first_order[i] = i;
  std::sort(made.first_order.begin(), made.first_order.end(), [&](TaskIndex a, TaskIndex b) {
    return graph.ready_key(made.tasks[a]) < graph.ready_key(made.tasks[b]);
  });
  return made;
}

}  // namespace kartograph::scheduler
