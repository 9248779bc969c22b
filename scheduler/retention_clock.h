// The time by which the age of graphs is counted.
#ifndef KARTOGRAPH_SCHEDULER_RETENTION_CLOCK_H_
#define KARTOGRAPH_SCHEDULER_RETENTION_CLOCK_H_

#include <algorithm>

#include "absl/time/time.h"
#include "base/clock.h"

namespace kartograph::scheduler {

// Wall time that cannot jump forward: it counts the time that passed while it was asked for, and
// follows the wall clock only once that has kept pace with the steady one for a day. So a wall
// clock that is a year ahead, at the start or later, prunes nothing, unless it goes unnoticed for a
// day. A wall clock that is behind is followed at once, which only keeps graphs longer.
// Thread-compatible.
class RetentionClock {
 public:
  static constexpr absl::Duration kConfirmed = absl::Hours(24);
  // More than a clock drifts, or is slewed, between two calls.
  static constexpr absl::Duration kStep = absl::Minutes(1);

  // `last` is what Now gave last, before a restart; InfinitePast where there is nothing known.
  explicit RetentionClock(absl::Time last) : time_(last) {}

  // To be asked at least every few minutes.
  absl::Time Now(const Instant& now) {
    if (!begun_) {
      begun_ = true;
      if (time_ == absl::InfinitePast()) time_ = now.wall;
      agree_since_ = now.steady;
    } else {
      const absl::Duration passed = now.steady - last_.steady;
      if (absl::AbsDuration(now.wall - last_.wall - passed) > kStep) agree_since_ = now.steady;
      time_ += passed;
    }
    last_ = now;
    if (now.steady - agree_since_ >= kConfirmed) time_ = now.wall;
    time_ = std::min(time_, now.wall);
    return time_;
  }

 private:
  absl::Time time_;
  Instant last_;
  SteadyTime agree_since_;
  bool begun_ = false;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_RETENTION_CLOCK_H_
