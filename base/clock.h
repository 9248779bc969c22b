// The two clocks: a steady one for everything that waits, a wall clock for what is recorded.
#ifndef KARTOGRAPH_BASE_CLOCK_H_
#define KARTOGRAPH_BASE_CLOCK_H_

#include <chrono>
#include <compare>

#include "absl/time/time.h"

namespace kartograph {

// A point on a clock that nobody sets and that never goes back. Only differences mean something:
// its zero is arbitrary, the same within one boot of one machine, so it is never stored or sent. A
// value type.
class SteadyTime {
 public:
  constexpr SteadyTime() = default;
  static constexpr SteadyTime FromSinceZero(absl::Duration since_zero) {
    return SteadyTime(since_zero);
  }
  static constexpr SteadyTime InfiniteFuture() { return SteadyTime(absl::InfiniteDuration()); }
  static constexpr SteadyTime InfinitePast() { return SteadyTime(-absl::InfiniteDuration()); }

  constexpr absl::Duration since_zero() const { return since_zero_; }
  // For timers of Asio and of the standard library; what is beyond their range (two hundred years)
  // is clamped to it.
  std::chrono::steady_clock::time_point ToChrono() const;

  SteadyTime& operator+=(absl::Duration duration) {
    since_zero_ += duration;
    return *this;
  }
  friend SteadyTime operator+(SteadyTime time, absl::Duration duration) { return time += duration; }
  friend SteadyTime operator-(SteadyTime time, absl::Duration duration) {
    return time += -duration;
  }
  friend absl::Duration operator-(SteadyTime a, SteadyTime b) {
    return a.since_zero_ - b.since_zero_;
  }
  friend constexpr bool operator==(SteadyTime a, SteadyTime b) {
    return a.since_zero_ == b.since_zero_;
  }
  friend constexpr std::strong_ordering operator<=>(SteadyTime a, SteadyTime b) {
    if (a.since_zero_ < b.since_zero_) return std::strong_ordering::less;
    return a.since_zero_ == b.since_zero_ ? std::strong_ordering::equal
                                          : std::strong_ordering::greater;
  }

 private:
  explicit constexpr SteadyTime(absl::Duration since_zero) : since_zero_(since_zero) {}
  absl::Duration since_zero_;
};

// One moment on both clocks. What waits goes by `steady`; `wall` is only recorded and shown, and
// may be wrong by any amount, in either direction, at any time.
struct Instant {
  SteadyTime steady;
  absl::Time wall;
};

// Where the time comes from. Thread-safe.
class Clock {
 public:
  virtual ~Clock() = default;
  virtual SteadyTime SteadyNow() const = 0;
  virtual absl::Time WallNow() const = 0;
  Instant Now() const { return {SteadyNow(), WallNow()}; }

  // This machine's CLOCK_MONOTONIC and CLOCK_REALTIME. Lives as long as the process.
  static const Clock& System();
};

// When something that was recorded as due at `due` by the wall clock is due by the steady clock.
// The wall clock may have been set since, so the wait is `longest` at most, counted from now: a
// clock that is an hour or a year off delays nothing beyond what was asked for.
SteadyTime SteadyDeadline(absl::Time due, absl::Duration longest, const Instant& now);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_CLOCK_H_
