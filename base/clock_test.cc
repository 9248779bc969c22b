#include "base/clock.h"

#include <gtest/gtest.h>

#include "base/testing/manual_clock.h"

namespace kartograph {
namespace {

TEST(SteadyTimeTest, ComparesAndSubtractsAlsoWhatIsInfinite) {
  const SteadyTime zero;
  EXPECT_LT(zero, zero + absl::Nanoseconds(1));
  EXPECT_LT(zero, SteadyTime::InfiniteFuture());
  EXPECT_GT(zero, SteadyTime::InfinitePast());
  EXPECT_EQ(SteadyTime::InfiniteFuture() - zero, absl::InfiniteDuration());
  EXPECT_EQ(zero + absl::InfiniteDuration(), SteadyTime::InfiniteFuture());
  EXPECT_EQ((zero + absl::Seconds(3)) - (zero + absl::Seconds(1)), absl::Seconds(2));
}

TEST(SteadyTimeTest, NeverOverflowsATimer) {
  EXPECT_GT(SteadyTime::InfiniteFuture().ToChrono(), std::chrono::steady_clock::now());
  EXPECT_LT(SteadyTime::InfinitePast().ToChrono(), std::chrono::steady_clock::now());
}

TEST(ClockTest, ThisMachinesSteadyClockIsTheOneOfTimers) {
  const auto before = std::chrono::steady_clock::now();
  const auto ours = Clock::System().SteadyNow().ToChrono();
  EXPECT_LE(before, ours);
  EXPECT_LE(ours, std::chrono::steady_clock::now());
}

TEST(ManualClockTest, AStepOfTheWallClockIsNoTimeThatPasses) {
  testing::ManualClock clock;
  const Instant begin = clock.Now();
  clock.StepWall(-absl::Hours(1));
  EXPECT_EQ(clock.SteadyNow(), begin.steady);
  EXPECT_EQ(clock.WallNow(), begin.wall - absl::Hours(1));
  clock.Advance(absl::Seconds(5));
  EXPECT_EQ(clock.SteadyNow() - begin.steady, absl::Seconds(5));
}

TEST(SteadyDeadlineTest, AWallClockThatWasSetDelaysNothingBeyondWhatWasAskedFor) {
  const Instant now = testing::ManualClock().Now();
  const absl::Duration longest = absl::Minutes(5);
  EXPECT_EQ(SteadyDeadline(now.wall + absl::Minutes(2), longest, now),
            now.steady + absl::Minutes(2));
  EXPECT_EQ(SteadyDeadline(now.wall - absl::Hours(8), longest, now), now.steady);
  EXPECT_EQ(SteadyDeadline(now.wall + absl::Hours(24 * 365), longest, now), now.steady + longest);
  EXPECT_EQ(SteadyDeadline(absl::InfiniteFuture(), longest, now), now.steady + longest);
}

}  // namespace
}  // namespace kartograph
