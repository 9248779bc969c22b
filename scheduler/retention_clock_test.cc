#include "scheduler/retention_clock.h"

#include <gtest/gtest.h>

namespace kartograph::scheduler {
namespace {

const absl::Time kStart = absl::FromUnixSeconds(1700000000);
constexpr absl::Duration kYear = absl::Hours(24 * 365);

class RetentionClockTest : public ::testing::Test {
 protected:
  // Asked every minute, as the pruner does.
  absl::Time After(absl::Duration time) {
    absl::Time shown = clock_.Now(now_);
    for (; time > absl::ZeroDuration(); time -= absl::Minutes(1)) {
      now_.steady += absl::Minutes(1);
      now_.wall += absl::Minutes(1);
      shown = clock_.Now(now_);
    }
    return shown;
  }

  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(1)), kStart};
  RetentionClock clock_{absl::InfinitePast()};
};

TEST_F(RetentionClockTest, GoesWithTheWallClock) {
  EXPECT_EQ(After(absl::ZeroDuration()), kStart);
  EXPECT_EQ(After(absl::Hours(3)), kStart + absl::Hours(3));
}

TEST_F(RetentionClockTest, AStepForwardCountsAfterADayBesideTheSteadyClock) {
  for (absl::Duration step : {absl::Hours(1), kYear}) {
    const absl::Time before = After(absl::Hours(1));
    now_.wall += step;
    EXPECT_EQ(After(absl::Hours(23)), before + absl::Hours(23));
    EXPECT_EQ(After(absl::Hours(2)), now_.wall);
  }
}

TEST_F(RetentionClockTest, AStepForthAndBackLeavesNoTrace) {
  After(absl::Hours(1));
  now_.wall += kYear;
  After(absl::Hours(20));
  now_.wall -= kYear;
  EXPECT_EQ(After(absl::Hours(1)), kStart + absl::Hours(22));
}

TEST_F(RetentionClockTest, AStepBackIsFollowedAtOnce) {
  After(absl::Hours(1));
  now_.wall -= absl::Hours(1);
  EXPECT_EQ(After(absl::ZeroDuration()), kStart);
  EXPECT_EQ(After(absl::Hours(2)), kStart + absl::Hours(2));
}

TEST_F(RetentionClockTest, AfterARestartItGoesOnFromWhereItWas) {
  clock_ = RetentionClock(kStart - absl::Hours(5));
  now_.wall += kYear;
  EXPECT_EQ(After(absl::Hours(1)), kStart - absl::Hours(4));
  EXPECT_EQ(After(absl::Hours(24)), now_.wall);
}

TEST_F(RetentionClockTest, ASlewedClockIsNoStep) {
  After(absl::Hours(1));
  for (int i = 0; i < 60 * 24; ++i) {
    now_.wall += absl::Milliseconds(30);  // 500 parts in a million, as time daemons do at most
    After(absl::Minutes(1));
  }
  EXPECT_EQ(After(absl::ZeroDuration()), now_.wall);
}

}  // namespace
}  // namespace kartograph::scheduler
