// Limits on what a user or a graph holds at once.
#ifndef KARTOGRAPH_PLANNER_CAP_H_
#define KARTOGRAPH_PLANNER_CAP_H_

#include <cstdint>
#include <limits>
#include <optional>

#include "planner/resources.h"

namespace kartograph::planner {

// The most that may be held; what is not named is not limited.
struct Cap {
  static constexpr int64_t kUnlimited = std::numeric_limits<int64_t>::max();
  static constexpr int64_t kMostRunning = 1'000'000;
  // What `running` is called among the names of resources.
  static constexpr char kRunning[] = "running";

  int64_t running = kUnlimited;   // attempts, those in backlogs included
  ResourceVector resources = {};  // of agents and of pools

  bool any() const { return running != kUnlimited || !resources.empty(); }
  bool operator==(const Cap&) const = default;
};

// What attempts hold together.
struct Holding {
  int64_t running = 0;
  ResourceVector resources;

  void Take(const ResourceVector& consumption);
  void Give(const ResourceVector& consumption);
  bool empty() const { return running == 0 && resources.empty(); }
};

// The cap that keeps one more attempt from being launched.
struct AtCap {
  std::optional<Resource> resource;  // none: `running`
  // Of attempts where it is those; what is held may be more than the cap, which may have been
  // lowered.
  Quantity need;
  Quantity held;
  Quantity most;
};

// Nothing where the cap leaves room for this.
std::optional<AtCap> WhyOverCap(const Cap& cap, const Holding& holding,
                                const ResourceVector& consumption);
// The same without words, for plans.
bool IsOverCap(const Cap& cap, const Holding& holding, const ResourceVector& consumption);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_CAP_H_
