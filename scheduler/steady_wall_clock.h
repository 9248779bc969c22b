// The time by which the scheduler decides and writes history.
#ifndef KARTOGRAPH_SCHEDULER_STEADY_WALL_CLOCK_H_
#define KARTOGRAPH_SCHEDULER_STEADY_WALL_CLOCK_H_

#include "absl/time/time.h"

namespace kartograph::scheduler {

// Wall time that never goes back. When the wall clock is set forward it follows at once; when that
// is set back, it goes at half speed until the wall clock has caught up, so that back-offs and
// deadlines neither stall for the hours of a mistake nor fire early. Thread-compatible.
class SteadyWallClock {
 public:
  // `wall` is what the wall clock shows now, `steady` a clock that nobody sets.
  absl::Time Now(absl::Time wall, absl::Duration steady) {
    if (wall >= last_ + (steady - last_steady_)) {
      last_ = wall;
    } else {
      last_ += (steady - last_steady_) / 2;
      if (last_ < wall) last_ = wall;
    }
    last_steady_ = steady;
    return last_;
  }
  // From this machine's clocks.
  absl::Time Now();

 private:
  absl::Time last_ = absl::InfinitePast();
  absl::Duration last_steady_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_STEADY_WALL_CLOCK_H_
