#include "planner/task_graph.h"

#include <algorithm>
#include <boost/graph/compressed_sparse_row_graph.hpp>
#include <boost/graph/strong_components.hpp>
#include <boost/graph/topological_sort.hpp>
#include <boost/iterator/counting_iterator.hpp>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

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

// A cycle inside one strongly connected component, as a path that ends where it began.
std::vector<TaskIndex> CycleFrom(TaskIndex start, const Adjacency& successors,
                                 const std::vector<uint32_t>& component) {
  absl::flat_hash_map<TaskIndex, size_t> position;
  std::vector<TaskIndex> path;
  TaskIndex at = start;
  while (position.emplace(at, path.size()).second) {
    path.push_back(at);
    for (TaskIndex next : successors[at]) {
      if (component[next] == component[start]) {
        at = next;
        break;
      }
    }
  }
  path.erase(path.begin(), path.begin() + static_cast<std::ptrdiff_t>(position[at]));
  // Begin with the task submitted first, so that the answer does not depend on where we entered.
  std::rotate(path.begin(), std::min_element(path.begin(), path.end()), path.end());
  path.push_back(path.front());
  return path;
}

std::string PathToString(const std::vector<TaskIndex>& path, absl::Span<const TaskNode> tasks) {
  constexpr size_t kMaxShown = 20;
  std::string text;
  for (size_t i = 0; i < path.size(); ++i) {
    if (path.size() > kMaxShown && i == kMaxShown / 2) {
      const size_t hidden = path.size() - kMaxShown;
      absl::StrAppend(&text, " -> (", hidden, " more)");
      i += hidden;
    }
    absl::StrAppend(&text, i == 0 ? "" : " -> ", tasks[path[i]].name);
  }
  return text;
}

void FindCycles(absl::Span<const TaskNode> tasks, const Adjacency& successors,
                std::vector<Problem>* problems) {
  const BoostGraph graph = ToBoost(successors);
  std::vector<uint32_t> component(tasks.size());
  const uint32_t components = boost::strong_components(
      graph, boost::make_iterator_property_map(component.begin(), get(boost::vertex_index, graph)));
  if (components == tasks.size()) return;
  std::vector<uint32_t> members(components, 0);
  for (uint32_t c : component) ++members[c];
  for (TaskIndex i = 0; i < tasks.size(); ++i) {
    if (members[component[i]] < 2) continue;
    const std::vector<TaskIndex> path = CycleFrom(i, successors, component);
    problems->push_back(
        {absl::StrCat("tasks[\"", tasks[path.front()].name, "\"].after"), "",
         absl::StrCat("is part of a cycle, ", PathToString(path, tasks),
                      "; each of these comes after the one before it, so none can begin: remove "
                      "one of the dependencies")});
    members[component[i]] = 0;  // one cycle a component
  }
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

std::optional<Adjacency> FindPredecessors(absl::Span<const TaskNode> tasks,
                                          std::vector<Problem>* problems) {
  const size_t problems_before = problems->size();
  absl::flat_hash_map<absl::string_view, TaskIndex> index;
  index.reserve(tasks.size());
  for (TaskIndex i = 0; i < tasks.size(); ++i) {
    auto [it, is_new] = index.emplace(tasks[i].name, i);
    if (!is_new) {
      problems->push_back({absl::StrCat("tasks[", i, "].name"), std::string(tasks[i].name),
                           absl::StrCat("is the name of tasks[", it->second,
                                        "] too; give every task a name of its own")});
    }
  }
  Adjacency predecessors;
  std::vector<TaskIndex> list;
  for (const TaskNode& task : tasks) {
    list.clear();
    for (const std::string& name : task.after) {
      auto it = index.find(name);
      if (it == index.end()) {
        problems->push_back({absl::StrCat("tasks[\"", task.name, "\"].after"), name,
                             "no task of the graph has this name"});
      } else if (tasks[it->second].name == task.name) {
        problems->push_back({absl::StrCat("tasks[\"", task.name, "\"].after"), name,
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
  FindCycles(tasks, predecessors.Reversed(), problems);
  if (problems->size() != problems_before) return std::nullopt;
  return predecessors;
}

std::vector<uint32_t> LongestRemainingPath(const Adjacency& successors) {
  const BoostGraph graph = ToBoost(successors);
  // Boost gives the reverse of the topological order: every task after all of its successors.
  std::vector<uint32_t> order;
  order.reserve(successors.size());
  boost::topological_sort(graph, std::back_inserter(order));
  std::vector<uint32_t> rank(successors.size(), 1);
  for (TaskIndex task : order) {
    for (TaskIndex next : successors[task]) rank[task] = std::max(rank[task], rank[next] + 1);
  }
  return rank;
}

}  // namespace kartograph::planner
