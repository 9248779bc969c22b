// What is free of all resources over time.
#ifndef KARTOGRAPH_PLANNER_RESOURCE_PROFILE_H_
#define KARTOGRAPH_PLANNER_RESOURCE_PROFILE_H_

#include <algorithm>
#include <array>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <vector>

namespace kartograph::planner {

// Amounts of all resources, packed as packed_project.h says.
template <size_t kWords>
using PackedAmounts = std::array<uint64_t, kWords>;

template <size_t kWords>
bool Fits(const PackedAmounts<kWords>& free, const uint64_t* demand,
          const PackedAmounts<kWords>& guards) {
  uint64_t borrowed = 0;
  for (size_t w = 0; w < kWords; ++w) borrowed |= ~(free[w] - demand[w]) & guards[w];
  return borrowed == 0;
}

// A step function from 0 to the end of time, as a sorted list of the times at which it changes: its
// size grows with the number of tasks in it, never with the unit of time. Placing a task takes time
// linear in the number of steps. Not thread-safe.
template <size_t kWords>
class ResourceProfile {
 public:
  using Amounts = PackedAmounts<kWords>;

  ResourceProfile(const Amounts& capacity, const Amounts& guards)
      : capacity_(capacity), guards_(guards) {
    Clear();
  }

  void Clear() {
    times_.assign({0, std::numeric_limits<int64_t>::max()});
    free_.assign(1, capacity_);
  }

  // Takes `demand`, which the capacity can meet, for `duration` as early as possible but not before
  // `earliest`; gives the time from which it was taken.
  int64_t Place(int64_t earliest, int64_t duration, const uint64_t* demand) {
    if (duration == 0) return earliest;
    size_t first = static_cast<size_t>(std::upper_bound(times_.begin(), times_.end(), earliest) -
                                       times_.begin()) -
                   1;
    int64_t start = earliest;
    size_t last = first;  // the step that is being looked at
    for (;; ++last) {
      if (!Fits(free_[last], demand, guards_)) {
        first = last + 1;
        start = times_[first];
      } else if (times_[last + 1] - start >= duration) {
        break;
      }
    }
    Take(first, last, start, start + duration, demand);
    return start;
  }

 private:
  // Steps first to last hold start to end.
  void Take(size_t first, size_t last, int64_t start, int64_t end, const uint64_t* demand) {
    if (times_[last + 1] != end) Split(last, end);
    if (times_[first] != start) {
      Split(first, start);
      ++first;
      ++last;
    }
    for (size_t i = first; i <= last; ++i) {
      for (size_t w = 0; w < kWords; ++w) free_[i][w] -= demand[w];
    }
  }
  void Split(size_t step, int64_t time) {
    times_.insert(times_.begin() + static_cast<ptrdiff_t>(step) + 1, time);
    free_.insert(free_.begin() + static_cast<ptrdiff_t>(step) + 1, free_[step]);
  }

  const Amounts capacity_;
  const Amounts guards_;
  std::vector<int64_t> times_;  // where each step begins, and a last one where none does
  std::vector<Amounts> free_;   // by step
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_RESOURCE_PROFILE_H_
