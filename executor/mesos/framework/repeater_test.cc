#include "executor/mesos/framework/repeater.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::executor::mesos {
namespace {

using planner::AttemptId;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr SteadyTime kStart = SteadyTime::FromSinceZero(absl::Seconds(1000));
constexpr AttemptId kOne = {1};
constexpr AttemptId kTwo = {2};

TEST(RepeaterTest, BacksOffForEachUpToTheLongest) {
  Repeater repeater({absl::Seconds(2), absl::Seconds(10)});
  EXPECT_EQ(repeater.NextTime(), SteadyTime::InfiniteFuture());
  EXPECT_TRUE(repeater.empty());
  repeater.Add(kOne, kStart);
  EXPECT_EQ(repeater.asked(kOne), 0);
  SteadyTime now = kStart;
  int asked = 0;
  for (const int seconds : {2, 4, 8, 10, 10}) {
    EXPECT_EQ(repeater.NextTime(), now);
    EXPECT_THAT(repeater.TakeDue(now, 10), ElementsAre(kOne));
    EXPECT_EQ(repeater.asked(kOne), ++asked);
    EXPECT_THAT(repeater.TakeDue(now + absl::Seconds(seconds) - absl::Nanoseconds(1), 10),
                IsEmpty());
    now += absl::Seconds(seconds);
  }
}

TEST(RepeaterTest, CountsTheBackOffFromWhenItWasAsked) {
  Repeater repeater({absl::Seconds(2), absl::Seconds(10)});
  repeater.Add(kOne, kStart);
  repeater.TakeDue(kStart + absl::Hours(1), 10);
  EXPECT_EQ(repeater.NextTime(), kStart + absl::Hours(1) + absl::Seconds(2));
}

TEST(RepeaterTest, TakesTheOldestFirstAndNotMoreThanWanted) {
  Repeater repeater({absl::Seconds(2), absl::Seconds(10)});
  repeater.Add(kOne, kStart + absl::Seconds(1));
  repeater.Add(kTwo, kStart);
  EXPECT_THAT(repeater.TakeDue(kStart + absl::Seconds(1), 1), ElementsAre(kTwo));
  EXPECT_THAT(repeater.TakeDue(kStart + absl::Seconds(1), 1), ElementsAre(kOne));
  EXPECT_THAT(repeater.TakeDue(kStart + absl::Seconds(1), 1), IsEmpty());
}

TEST(RepeaterTest, WhatIsAskedAboutAlreadyStaysAsItIs) {
  Repeater repeater({absl::Seconds(2), absl::Seconds(10)});
  repeater.Add(kOne, kStart + absl::Seconds(5));
  repeater.Add(kOne, kStart);
  EXPECT_EQ(repeater.NextTime(), kStart + absl::Seconds(5));
}

TEST(RepeaterTest, AnAnswerEndsItAndANewQuestionBeginsAnew) {
  Repeater repeater({absl::Seconds(2), absl::Seconds(10)});
  repeater.Add(kOne, kStart);
  repeater.TakeDue(kStart, 1);
  repeater.Remove(kOne);
  repeater.Remove(kTwo);
  EXPECT_FALSE(repeater.Contains(kOne));
  EXPECT_EQ(repeater.NextTime(), SteadyTime::InfiniteFuture());
  repeater.Add(kOne, kStart);
  EXPECT_EQ(repeater.asked(kOne), 0);
  repeater.Clear();
  EXPECT_TRUE(repeater.empty());
  EXPECT_THAT(repeater.TakeDue(kStart, 1), IsEmpty());
}

}  // namespace
}  // namespace kartograph::executor::mesos
