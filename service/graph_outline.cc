#include "service/graph_outline.h"

#include <algorithm>
#include <numeric>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "planner/states.h"

namespace kartograph::service {

using planner::TaskIndex;
using planner::TaskState;
using scheduler::GraphSlice;

namespace {

// Ways to a task may be more than can be counted.
constexpr int64_t kManyWays = int64_t{1} << 40;

// The tasks after each, those that wait alone, in one list.
class Successors {
 public:
  explicit Successors(const GraphSlice& graph) : ends_(graph.size() + 1, 0) {
    ForEachEdge(graph, [this](TaskIndex before, TaskIndex) { ++ends_[before + 1]; });
    std::partial_sum(ends_.begin(), ends_.end(), ends_.begin());
    std::vector<size_t> next(ends_.begin(), ends_.end() - 1);
    tasks_.resize(ends_.back());
    ForEachEdge(graph, [&](TaskIndex before, TaskIndex task) { tasks_[next[before]++] = task; });
  }
  template <typename F>
  void ForEach(TaskIndex task, F f) const {
    for (size_t i = ends_[task]; i < ends_[task + 1]; ++i) f(tasks_[i]);
  }

 private:
  template <typename F>
  static void ForEachEdge(const GraphSlice& graph, F f) {
    for (TaskIndex task = 0; task < graph.size(); ++task) {
      if (graph.states[task] != TaskState::kWaiting) continue;
      graph.ForEachBefore(task, [&](TaskIndex before) {
        if (before < graph.size() && !planner::IsFinal(graph.states[before])) f(before, task);
      });
    }
  }
  std::vector<size_t> ends_;
  std::vector<TaskIndex> tasks_;
};

// An order in which each task comes after all that are after it.
std::vector<TaskIndex> LastFirst(const Successors& successors, size_t size) {
  std::vector<uint32_t> before(size, 0);
  for (TaskIndex task = 0; task < size; ++task) {
    successors.ForEach(task, [&](TaskIndex next) { ++before[next]; });
  }
  std::vector<TaskIndex> order;
  order.reserve(size);
  for (TaskIndex task = 0; task < size; ++task) {
    if (before[task] == 0) order.push_back(task);
  }
  for (size_t i = 0; i < order.size(); ++i) {
    successors.ForEach(order[i], [&](TaskIndex next) {
      if (--before[next] == 0) order.push_back(next);
    });
  }
  std::reverse(order.begin(), order.end());
  return order;
}

}  // namespace

std::vector<TaskGroup> GroupTasks(const GraphSlice& graph) {
  absl::flat_hash_map<uint64_t, TaskGroup> by_key;
  for (TaskIndex task = 0; task < graph.size(); ++task) {
    if (planner::IsFinal(graph.states[task])) continue;
    const uint64_t key =
        static_cast<uint64_t>(graph.states[task]) << 40 | uint64_t{graph.groups[task]};
    TaskGroup& group = by_key.try_emplace(key, TaskGroup{0, task}).first->second;
    ++group.tasks;
  }
  std::vector<TaskGroup> groups;
  groups.reserve(by_key.size());
  for (const auto& [key, group] : by_key) groups.push_back(group);
  std::sort(groups.begin(), groups.end(), [](const TaskGroup& a, const TaskGroup& b) {
    return a.tasks != b.tasks ? a.tasks > b.tasks : a.example < b.example;
  });
  return groups;
}

std::vector<BlockingTask> FindBlockers(const GraphSlice& graph, size_t most) {
  const size_t size = graph.size();
  const Successors successors(graph);
  std::vector<int64_t> ways(size, 0);
  for (const TaskIndex task : LastFirst(successors, size)) {
    successors.ForEach(task, [&](TaskIndex next) {
      ways[task] = std::min(kManyWays, ways[task] + 1 + ways[next]);
    });
  }
  std::vector<TaskIndex> candidates;
  for (TaskIndex task = 0; task < size; ++task) {
    if (graph.states[task] == TaskState::kWaiting || planner::IsFinal(graph.states[task])) continue;
    if (ways[task] > 0) candidates.push_back(task);
  }
  std::sort(candidates.begin(), candidates.end(), [&](TaskIndex a, TaskIndex b) {
    return ways[a] != ways[b] ? ways[a] > ways[b] : a < b;
  });
  if (candidates.size() > kCounted) candidates.resize(kCounted);

  std::vector<BlockingTask> blockers;
  std::vector<uint32_t> seen(size, 0);  // by which candidate, from 1
  std::vector<TaskIndex> open;
  for (uint32_t i = 0; i < candidates.size(); ++i) {
    BlockingTask blocker{candidates[i], 0};
    open = {candidates[i]};
    while (!open.empty()) {
      const TaskIndex task = open.back();
      open.pop_back();
      successors.ForEach(task, [&](TaskIndex next) {
        if (std::exchange(seen[next], i + 1) == i + 1) return;
        ++blocker.holds_up;
        open.push_back(next);
      });
    }
    blockers.push_back(blocker);
  }
  std::sort(blockers.begin(), blockers.end(), [](const BlockingTask& a, const BlockingTask& b) {
    return a.holds_up != b.holds_up ? a.holds_up > b.holds_up : a.task < b.task;
  });
  if (blockers.size() > most) blockers.resize(most);
  return blockers;
}

}  // namespace kartograph::service
