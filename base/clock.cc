#include "base/clock.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace kartograph {
namespace {

class SystemClock : public Clock {
 public:
  SteadyTime SteadyNow() const override {
    return SteadyTime::FromSinceZero(
        absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch()));
  }
  absl::Time WallNow() const override { return absl::Now(); }
};

}  // namespace

std::chrono::steady_clock::time_point SteadyTime::ToChrono() const {
  // 64 bits of nanoseconds are 292 years.
  constexpr absl::Duration kMost = absl::Hours(24 * 365 * 200);
  return std::chrono::steady_clock::time_point(
      absl::ToChronoNanoseconds(std::clamp(since_zero_, -kMost, kMost)));
}

const Clock& Clock::System() {
  static const SystemClock clock;
  return clock;
}

SteadyTime SteadyDeadline(absl::Time due, absl::Duration longest, const Instant& now) {
  return now.steady + std::clamp(due - now.wall, absl::ZeroDuration(), longest);
}

}  // namespace kartograph
