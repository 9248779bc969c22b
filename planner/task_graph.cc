#include "planner/task_graph.h"

#include <algorithm>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/strong_components.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/iterator/counting_iterator.hpp>
#include <deque>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

// Tasks whose slots in the hash table are fetched ahead: of a million tasks none is in a cache.
constexpr size_t kPrefetched = 16;

using BoostGraph =
    boost::compressed_sparse_row_graph<boost::directedS, boost::no_property, boost::no_property,
                                       boost::no_property, uint32_t, uint32_t>;

// Edges from each task to its neighbours.
BoostGraph ToBoost(const Adjacency& adjacency) {
  std::vector<std::pair<uint32_t, uint32_t>> edges;
  edges.reserve(adjacency.edges());
  for (TaskIndex i = 0; i < adjacency.size(); ++i) {
    for (TaskIndex target : adjacency[i]) edges.emplace_back(i, target);
  }
  return BoostGraph(boost::edges_are_sorted, edges.begin(), edges.end(),
                    static_cast<uint32_t>(adjacency.size()), static_cast<uint32_t>(edges.size()));
}

// A shortest cycle through `start`, inside its strongly connected component.
std::vector<TaskIndex> ShortestCycle(TaskIndex start, const Adjacency& successors,
                                     const std::vector<uint32_t>& component) {
  absl::flat_hash_map<TaskIndex, TaskIndex> reached_from;
  std::deque<TaskIndex> queue = {start};
  while (!queue.empty()) {
    const TaskIndex task = queue.front();
    queue.pop_front();
    for (TaskIndex next : successors[task]) {
      if (next == start) {
        std::vector<TaskIndex> cycle = {task};
        while (cycle.back() != start) cycle.push_back(reached_from[cycle.back()]);
        std::reverse(cycle.begin(), cycle.end());
        return cycle;
      }
      if (component[next] == component[start] && reached_from.emplace(next, task).second) {
        queue.push_back(next);
      }
    }
  }
  return {};
}

// Whether every task comes before its successors, as most people write graphs down: that is a
// topological order already, and checking costs a fifth of a depth-first search.
bool IsInOrder(const Adjacency& successors) {
  for (TaskIndex i = 0; i < successors.size(); ++i) {
    for (TaskIndex next : successors[i]) {
      if (next <= i) return false;
    }
  }
  return true;
}

}  // namespace

Adjacency::Adjacency(absl::Span<const std::vector<TaskIndex>> lists) : Adjacency() {
  offsets_.reserve(lists.size() + 1);
  size_t edges = 0;
  for (const std::vector<TaskIndex>& list : lists) edges += list.size();
  targets_.reserve(edges);
  for (const std::vector<TaskIndex>& list : lists) Append(list);
}

void Adjacency::Append(absl::Span<const TaskIndex> list) {
  targets_.insert(targets_.end(), list.begin(), list.end());
  offsets_.push_back(static_cast<uint32_t>(targets_.size()));
}

Adjacency Adjacency::Reversed() const {
  Adjacency reversed;
  reversed.offsets_.assign(size() + 1, 0);
  for (TaskIndex target : targets_) ++reversed.offsets_[target + 1];
  for (size_t i = 1; i <= size(); ++i) reversed.offsets_[i] += reversed.offsets_[i - 1];
  reversed.targets_.resize(targets_.size());
  std::vector<uint32_t> next(reversed.offsets_.begin(), reversed.offsets_.end() - 1);
  for (TaskIndex i = 0; i < size(); ++i) {
    for (TaskIndex target : (*this)[i]) reversed.targets_[next[target]++] = i;
  }
  return reversed;
}

std::vector<std::vector<TaskIndex>> FindCycles(const Adjacency& successors) {
  if (IsInOrder(successors)) return {};
  const BoostGraph graph = ToBoost(successors);
  std::vector<uint32_t> component(successors.size());
  const uint32_t components = boost::strong_components(
      graph, boost::make_iterator_property_map(component.begin(), get(boost::vertex_index, graph)));
  std::vector<uint32_t> members(components, 0);
  for (uint32_t c : component) ++members[c];
  std::vector<std::vector<TaskIndex>> cycles;
  for (TaskIndex i = 0; i < successors.size(); ++i) {
    const absl::Span<const TaskIndex> next = successors[i];
    const bool is_own_successor = std::find(next.begin(), next.end(), i) != next.end();
    if (members[component[i]] < (is_own_successor ? 1u : 2u)) continue;
    cycles.push_back(ShortestCycle(i, successors, component));
    members[component[i]] = 0;  // one cycle per component
  }
  return cycles;
}

std::string CycleToString(absl::Span<const TaskIndex> cycle,
                          absl::FunctionRef<absl::string_view(TaskIndex)> name) {
  constexpr size_t kMaxShown = 20;
  const size_t length = cycle.size() + 1;  // the first again at the end
  std::string text;
  for (size_t i = 0; i < length; ++i) {
    if (length > kMaxShown && i == kMaxShown / 2) {
      const size_t hidden = length - kMaxShown;
      absl::StrAppend(&text, " -> (", hidden, " more)");
      i += hidden;
    }
    absl::StrAppend(&text, i == 0 ? "" : " -> ", name(cycle[i % cycle.size()]));
  }
  return text;
}

std::optional<Adjacency> FindPredecessors(absl::Span<const TaskNode> tasks,
                                          std::vector<Problem>* problems) {
  const size_t problems_before = problems->size();
  absl::flat_hash_map<absl::string_view, TaskIndex> index;
  index.reserve(tasks.size());
  for (TaskIndex i = 0; i < tasks.size(); ++i) {
    if (i + kPrefetched < tasks.size()) index.prefetch(tasks[i + kPrefetched].name);
    auto [it, is_new] = index.emplace(tasks[i].name, i);
    if (!is_new) {
      problems->push_back({absl::StrCat("tasks[", i, "].name"), std::string(tasks[i].name),
                           absl::StrCat("is the name of tasks[", it->second,
                                        "] too; give every task a name of its own")});
    }
  }
  Adjacency predecessors;
  std::vector<TaskIndex> list;
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (i + kPrefetched < tasks.size()) {
      for (absl::string_view name : tasks[i + kPrefetched].after) index.prefetch(name);
    }
    const TaskNode& task = tasks[i];
    list.clear();
    for (absl::string_view name : task.after) {
      auto it = index.find(name);
      if (it == index.end()) {
        problems->push_back({absl::StrCat("tasks[\"", task.name, "\"].after"), std::string(name),
                             "no task of the graph has this name"});
      } else if (tasks[it->second].name == task.name) {
        problems->push_back({absl::StrCat("tasks[\"", task.name, "\"].after"), std::string(name),
                             absl::StrCat("is part of a cycle, ", name, " -> ", name,
                                          "; a task cannot come after itself")});
      } else {
        list.push_back(it->second);
      }
    }
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
    predecessors.Append(list);
  }
  for (const std::vector<TaskIndex>& cycle : FindCycles(predecessors.Reversed())) {
    problems->push_back(
        {absl::StrCat("tasks[\"", tasks[cycle.front()].name, "\"].after"), "",
         absl::StrCat("is part of a cycle, ",
                      CycleToString(cycle, [&](TaskIndex i) { return tasks[i].name; }),
                      "; each of these comes after the one before it, so none can begin: remove "
                      "one of the dependencies")});
  }
  if (problems->size() != problems_before) return std::nullopt;
  return predecessors;
}

void VisitAfterSuccessors(const Adjacency& successors, absl::FunctionRef<void(TaskIndex)> visit) {
  // The reverse of the topological order that Boost gives.
  if (IsInOrder(successors)) {
    for (size_t i = successors.size(); i-- > 0;) visit(static_cast<TaskIndex>(i));
    return;
  }
  const BoostGraph graph = ToBoost(successors);
  std::vector<uint32_t> order;
  order.reserve(successors.size());
  boost::topological_sort(graph, std::back_inserter(order));
  for (TaskIndex task : order) visit(task);
}

}  // namespace kartograph::planner
