#include "scheduler/steady_wall_clock.h"

#include <chrono>

#include "absl/time/clock.h"

namespace kartograph::scheduler {

absl::Time SteadyWallClock::Now() {
  return Now(absl::Now(), absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()));
}

}  // namespace kartograph::scheduler
