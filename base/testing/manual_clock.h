// A clock that a test moves.
#ifndef KARTOGRAPH_BASE_TESTING_MANUAL_CLOCK_H_
#define KARTOGRAPH_BASE_TESTING_MANUAL_CLOCK_H_

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::testing {

// Stands still but for Advance and StepWall. Thread-safe.
class ManualClock : public Clock {
 public:
  SteadyTime SteadyNow() const override {
    MutexLock lock(&mutex_);
    return now_.steady;
  }
  absl::Time WallNow() const override {
    MutexLock lock(&mutex_);
    return now_.wall;
  }

  // Time passes, on both clocks.
  void Advance(absl::Duration duration) {
    MutexLock lock(&mutex_);
    now_.steady += duration;
    now_.wall += duration;
  }
  // The wall clock is set; no time passes.
  void StepWall(absl::Duration step) {
    MutexLock lock(&mutex_);
    now_.wall += step;
  }

 private:
  mutable Mutex mutex_;
  Instant now_ ABSL_GUARDED_BY(mutex_) = {SteadyTime::FromSinceZero(absl::Hours(100)),
                                          absl::FromUnixSeconds(1700000000)};
};

}  // namespace kartograph::testing

#endif  // KARTOGRAPH_BASE_TESTING_MANUAL_CLOCK_H_
