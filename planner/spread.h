// How many of a group's tasks may be on one agent.
#ifndef KARTOGRAPH_PLANNER_SPREAD_H_
#define KARTOGRAPH_PLANNER_SPREAD_H_

#include <cstdint>
#include <string>
#include <utility>

namespace kartograph::planner {

// At most `per_agent` attempts of the tasks of its graph that name the group are on one agent at a
// time when this task is placed there, itself included. A value type.
struct Spread {
  static constexpr int32_t kMostPerAgent = 1000;

  std::string group;      // a name of its graph's own, as a task's; empty: it is not spread
  int32_t per_agent = 0;  // at least 1

  bool empty() const { return group.empty(); }

  bool operator==(const Spread&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Spread& s) {
    return H::combine(std::move(h), s.group, s.per_agent);
  }
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_SPREAD_H_
