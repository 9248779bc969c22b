#include "planner/testing/random_project.h"

#include <algorithm>
#include <random>
#include <utility>
#include <vector>

namespace kartograph::planner {

Project RandomProject(uint64_t seed, const RandomProjectOptions& options) {
  std::mt19937_64 random(seed);
  const auto below = [&](int64_t n) {
    return static_cast<int64_t>(random() % static_cast<uint64_t>(n));
  };
  Project project;
  for (size_t r = 0; r < options.resources; ++r) {
    project.capacities.push_back(1 + below(options.capacity));
  }
  std::vector<TaskIndex> order(options.tasks);
  for (TaskIndex i = 0; i < options.tasks; ++i) order[i] = i;
  for (size_t i = options.tasks; i > 1; --i) {
    std::swap(order[i - 1], order[static_cast<size_t>(below(static_cast<int64_t>(i)))]);
  }
  std::vector<std::vector<TaskIndex>> successors(options.tasks);
  const auto edges = static_cast<size_t>(options.edges * static_cast<double>(options.tasks));
  for (size_t i = 0; i < edges && options.tasks > 1; ++i) {
    auto a = static_cast<size_t>(below(static_cast<int64_t>(options.tasks)));
    auto b = static_cast<size_t>(below(static_cast<int64_t>(options.tasks)));
    if (a == b) continue;
    if (a > b) std::swap(a, b);
    std::vector<TaskIndex>& list = successors[order[a]];
    if (std::find(list.begin(), list.end(), order[b]) == list.end()) list.push_back(order[b]);
  }
  project.successors = Adjacency(successors);
  for (size_t i = 0; i < options.tasks; ++i) {
    project.durations.push_back(below(options.longest + 1));
    for (int64_t capacity : project.capacities) {
      // Nothing, little, or up to all there is.
      const int64_t most = below(3) == 0 ? capacity : (capacity + 3) / 4;
      project.demands.push_back(below(3) == 0 ? 0 : below(most + 1));
    }
  }
  return project;
}

}  // namespace kartograph::planner
