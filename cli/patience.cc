#include "cli/patience.h"

#include <algorithm>

#include "absl/time/clock.h"

namespace kartograph::cli {
namespace {

constexpr absl::Duration kFirstPause = absl::Milliseconds(100);
constexpr absl::Duration kLongestPause = absl::Milliseconds(500);

}  // namespace

void Patience::Renew() { lost_ = SteadyTime::InfiniteFuture(); }

SteadyTime Patience::NextAttempt() {
  const SteadyTime now = Clock::System().SteadyNow();
  if (lost_ == SteadyTime::InfiniteFuture()) {
    lost_ = now;
    pause_ = kFirstPause;
  }
  if (now - lost_ >= limit_) return SteadyTime::InfiniteFuture();
  const SteadyTime next = now + pause_;
  pause_ = std::min(pause_ * 2, kLongestPause);
  return next;
}

bool Patience::SleepTowards(SteadyTime until) {
  const absl::Duration left = until - Clock::System().SteadyNow();
  if (left <= absl::ZeroDuration()) return false;
  absl::SleepFor(std::min(left, kFirstPause));
  return true;
}

}  // namespace kartograph::cli
