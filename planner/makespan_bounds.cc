#include "planner/makespan_bounds.h"

#include <algorithm>
#include <limits>

#include "absl/numeric/int128.h"

namespace kartograph::planner {
namespace {

// The best bound over the tasks with the longest `before`: each prefix of them in that order, with
// the shortest `after` among it.
int64_t EnergyBound(const Project& project, size_t resource, const std::vector<int64_t>& before,
                    const std::vector<int64_t>& after) {
  std::vector<TaskIndex> tasks;
  for (TaskIndex task = 0; task < project.size(); ++task) {
    if (project.durations[task] > 0 && project.demand(task)[resource] > 0) tasks.push_back(task);
  }
  std::sort(tasks.begin(), tasks.end(), [&](TaskIndex a, TaskIndex b) {
    return before[a] != before[b] ? before[a] > before[b] : a < b;
  });
  const absl::int128 capacity = project.capacities[resource];
  absl::int128 energy = 0;
  int64_t shortest_after = std::numeric_limits<int64_t>::max();
  int64_t bound = 0;
  for (TaskIndex task : tasks) {
    energy += absl::int128(project.durations[task]) * project.demand(task)[resource];
    shortest_after = std::min(shortest_after, after[task]);
    const auto between = static_cast<int64_t>((energy + capacity - 1) / capacity);
    bound = std::max(bound, before[task] + between + shortest_after);
  }
  return bound;
}

}  // namespace

int64_t MakespanBounds::Best() const {
  int64_t best = critical_path;
  for (int64_t bound : resources) best = std::max(best, bound);
  return best;
}

HeadsAndTails FindHeadsAndTails(const Project& project) {
  HeadsAndTails found{std::vector<int64_t>(project.size(), 0),
                      std::vector<int64_t>(project.size(), 0)};
  const std::vector<TaskIndex> order = TopologicalOrder(project.successors);
  for (TaskIndex task : order) {
    const int64_t end = found.heads[task] + project.durations[task];
    for (TaskIndex next : project.successors[task]) {
      found.heads[next] = std::max(found.heads[next], end);
    }
  }
  for (auto it = order.rbegin(); it != order.rend(); ++it) {
    int64_t& tail = found.tails[*it];
    for (TaskIndex next : project.successors[*it]) {
      tail = std::max(tail, project.durations[next] + found.tails[next]);
    }
  }
  return found;
}

MakespanBounds FindMakespanBounds(const Project& project) {
  const HeadsAndTails paths = FindHeadsAndTails(project);
  MakespanBounds bounds;
  for (TaskIndex task = 0; task < project.size(); ++task) {
    bounds.critical_path =
        std::max(bounds.critical_path, project.durations[task] + paths.tails[task]);
  }
  for (size_t r = 0; r < project.capacities.size(); ++r) {
    bounds.resources.push_back(std::max(EnergyBound(project, r, paths.heads, paths.tails),
                                        EnergyBound(project, r, paths.tails, paths.heads)));
  }
  return bounds;
}

std::vector<TaskIndex> CriticalPath(const Project& project) {
  const HeadsAndTails paths = FindHeadsAndTails(project);
  const auto length_from = [&](TaskIndex task) {
    return project.durations[task] + paths.tails[task];
  };
  std::vector<TaskIndex> path;
  for (TaskIndex task = 0; task < project.size(); ++task) {
    if (paths.heads[task] > 0) continue;
    if (path.empty() || length_from(task) > length_from(path[0])) path = {task};
  }
  while (!path.empty()) {
    const TaskIndex last = path.back();
    bool longer = false;
    TaskIndex best = 0;
    for (TaskIndex next : project.successors[last]) {
      if (length_from(next) != paths.tails[last] || (longer && next > best)) continue;
      best = next;
      longer = true;
    }
    if (!longer) break;
    path.push_back(best);
  }
  return path;
}

}  // namespace kartograph::planner
