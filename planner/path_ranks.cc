#include "planner/path_ranks.h"

#include <algorithm>
#include <cmath>
#include <cstddef>
#include <functional>
#include <limits>

namespace kartograph::planner {
namespace {

constexpr double kLargestRank = std::numeric_limits<uint32_t>::max();

// The longest path from each task to the end, itself included.
std::vector<double> LongestPaths(const Adjacency& successors, absl::Span<const double> lengths) {
  std::vector<double> paths(successors.size());
  VisitAfterSuccessors(successors, [&](TaskIndex task) {
    double after = 0;
    for (TaskIndex next : successors[task]) after = std::max(after, paths[next]);
    paths[task] = after + lengths[task];
  });
  return paths;
}

// A path is longer than those of the tasks after it, but perhaps by less than a unit.
std::vector<uint32_t> RanksOf(const Adjacency& successors, const std::vector<double>& paths,
                              absl::Span<const double> lengths, double unit) {
  std::vector<uint32_t> ranks(successors.size());
  const bool all_differ = std::all_of(lengths.begin(), lengths.end(),
                                      [unit](double length) { return length >= 2 * unit; });
  const auto rank = [&](TaskIndex task) { return std::max(1.0, std::round(paths[task] / unit)); };
  if (all_differ) {
    for (TaskIndex task = 0; task < ranks.size(); ++task) {
      ranks[task] = static_cast<uint32_t>(std::min(rank(task), kLargestRank));
    }
    return ranks;
  }
  VisitAfterSuccessors(successors, [&](TaskIndex task) {
    double most = rank(task);
    for (TaskIndex next : successors[task]) {
      most = std::max(most, static_cast<double>(ranks[next]) + 1);
    }
    ranks[task] = static_cast<uint32_t>(std::min(most, kLargestRank));
  });
  return ranks;
}

}  // namespace

std::vector<uint32_t> PathRanks(const Adjacency& successors, absl::Span<const double> lengths,
                                double unit) {
  return RanksOf(successors, LongestPaths(successors, lengths), lengths, unit);
}

std::vector<uint32_t> PathRanksThatFit(const Adjacency& successors,
                                       absl::Span<const double> lengths, double* unit) {
  const std::vector<double> paths = LongestPaths(successors, lengths);
  for (double path : paths) *unit = std::max(*unit, path / (1u << 31));
  return RanksOf(successors, paths, lengths, *unit);
}

std::vector<uint32_t> RanksInOrder(std::vector<uint32_t> ranks) {
  std::sort(ranks.begin(), ranks.end(), std::greater<>());
  for (size_t i = ranks.size(); i-- > 1;) {
    if (ranks[i - 1] > ranks[i]) continue;
    ranks[i - 1] = std::max(ranks[i], ranks[i] + 1);  // the largest stays
  }
  return ranks;
}

}  // namespace kartograph::planner
