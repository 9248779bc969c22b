#include "scheduler/steady_wall_clock.h"

#include <gtest/gtest.h>

namespace kartograph::scheduler {
namespace {

class SteadyWallClockTest : public ::testing::Test {
 protected:
  // Real time passes; the wall clock goes with it.
  void Pass(absl::Duration time) {
    steady_ += time;
    wall_ += time;
  }
  // Somebody sets the wall clock.
  void Set(absl::Duration by) { wall_ += by; }
  absl::Time Now() { return clock_.Now(wall_, steady_); }

  const absl::Time start_ = absl::FromUnixSeconds(1700000000);
  absl::Time wall_ = start_;
  absl::Duration steady_ = absl::Hours(5);
  SteadyWallClock clock_;
};

TEST_F(SteadyWallClockTest, ShowsTheWallClock) {
  EXPECT_EQ(Now(), start_);
  Pass(absl::Seconds(3));
  EXPECT_EQ(Now(), start_ + absl::Seconds(3));
  EXPECT_EQ(Now(), start_ + absl::Seconds(3));
}

TEST_F(SteadyWallClockTest, FollowsAtOnceWhenTheWallClockIsSetForward) {
  Now();
  Set(absl::Hours(2));
  EXPECT_EQ(Now(), start_ + absl::Hours(2));
}

TEST_F(SteadyWallClockTest, GoesAtHalfSpeedUntilAClockSetBackHasCaughtUp) {
  Now();
  Set(-absl::Seconds(60));
  EXPECT_EQ(Now(), start_) << "it never goes back";
  Pass(absl::Seconds(20));
  EXPECT_EQ(Now(), start_ + absl::Seconds(10));
  Pass(absl::Seconds(20));
  EXPECT_EQ(Now(), start_ + absl::Seconds(20));
  Pass(absl::Seconds(80));  // caught up at 120 s
  EXPECT_EQ(Now(), start_ + absl::Seconds(60));
  Pass(absl::Seconds(10));
  EXPECT_EQ(Now(), start_ + absl::Seconds(70)) << "at full speed again";
}

TEST_F(SteadyWallClockTest, IsNotBehindTheWallClockAfterALongPause) {
  Now();
  Set(-absl::Seconds(10));
  Pass(absl::Hours(1));
  EXPECT_EQ(Now(), wall_);
}

TEST_F(SteadyWallClockTest, AClockThatIsSlowedALittleIsFollowed) {
  Now();
  for (int i = 0; i < 1000; ++i) {
    Pass(absl::Seconds(1));
    Set(-absl::Microseconds(500));  // as a time service slews it
    EXPECT_EQ(Now(), wall_);
  }
}

TEST_F(SteadyWallClockTest, NeverGoesBackWhateverIsSet) {
  absl::Time last = Now();
  uint64_t random = 1;
  for (int i = 0; i < 10000; ++i) {
    random = random * 6364136223846793005u + 1442695040888963407u;
    Pass(absl::Milliseconds(static_cast<int64_t>(random >> 33) % 100));
    if (i % 50 == 0) Set(absl::Seconds(static_cast<int64_t>(random >> 40) % 100 - 50));
    const absl::Time now = Now();
    ASSERT_GE(now, last);
    ASSERT_GE(now, wall_);
    last = now;
  }
}

TEST_F(SteadyWallClockTest, ReadsTheMachinesClocks) {
  SteadyWallClock clock;
  const absl::Time first = clock.Now();
  EXPECT_GT(first, start_);
  EXPECT_GE(clock.Now(), first);
}

}  // namespace
}  // namespace kartograph::scheduler
