// When a ready task is expected to start.
#ifndef KARTOGRAPH_PLANNER_START_FORECAST_H_
#define KARTOGRAPH_PLANNER_START_FORECAST_H_

#include <cstdint>
#include <optional>
#include <vector>

#include "planner/resources.h"

namespace kartograph::planner {

// What there is now, what is given back when, and what is to be placed in which order. Times are in
// microseconds from now.
struct Outlook {
  struct Agent {
    ResourceVector free;
    int slots = 0;
  };
  struct Running {
    int64_t ends_us = 0;
    std::optional<size_t> agent;  // among `agents`; none: it only gives back units of pools
    const ResourceVector* agent_part = nullptr;
    const ResourceVector* pool_part = nullptr;
  };
  struct Task {
    const ResourceVector* agent_part = nullptr;
    const ResourceVector* pool_part = nullptr;
    std::optional<int64_t> takes_us;  // none: not known, so what it takes is not given back
  };

  ResourceVector pool_free;
  std::vector<Agent> agents;
  std::vector<Running> running;  // what is not here keeps what it has
  std::vector<Task> queue;       // the first comes first
};

// When the last task of the queue would start, if whatever comes first in it starts as soon as it
// fits somewhere, and later ones beside it (parallel schedule generation). Nothing where it would
// not, or where that takes more than about `max_checks` looks at an agent to find out.
std::optional<int64_t> ForecastStart(Outlook outlook, int64_t max_checks);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_START_FORECAST_H_
