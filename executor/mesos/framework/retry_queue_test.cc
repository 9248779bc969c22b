#include "executor/mesos/framework/retry_queue.h"

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

TEST(RetryQueueTest, BacksOffForEachUpToTheLongest) {
  RetryQueue queue({absl::Seconds(2), absl::Seconds(10)});
  EXPECT_EQ(queue.NextTime(), SteadyTime::InfiniteFuture());
  EXPECT_TRUE(queue.empty());
  queue.Add(kOne, kStart);
  EXPECT_EQ(queue.asked(kOne), 0);
  SteadyTime now = kStart;
  int asked = 0;
  for (const int seconds : {2, 4, 8, 10, 10}) {
    EXPECT_EQ(queue.NextTime(), now);
    EXPECT_THAT(queue.TakeDue(now, 10), ElementsAre(kOne));
    EXPECT_EQ(queue.asked(kOne), ++asked);
    EXPECT_THAT(queue.TakeDue(now + absl::Seconds(seconds) - absl::Nanoseconds(1), 10), IsEmpty());
    now += absl::Seconds(seconds);
  }
}

TEST(RetryQueueTest, CountsTheBackOffFromWhenItWasAsked) {
  RetryQueue queue({absl::Seconds(2), absl::Seconds(10)});
  queue.Add(kOne, kStart);
  queue.TakeDue(kStart + absl::Hours(1), 10);
  EXPECT_EQ(queue.NextTime(), kStart + absl::Hours(1) + absl::Seconds(2));
}

TEST(RetryQueueTest, TakesTheOldestFirstAndNotMoreThanWanted) {
  RetryQueue queue({absl::Seconds(2), absl::Seconds(10)});
  queue.Add(kOne, kStart + absl::Seconds(1));
  queue.Add(kTwo, kStart);
  EXPECT_THAT(queue.TakeDue(kStart + absl::Seconds(1), 1), ElementsAre(kTwo));
  EXPECT_THAT(queue.TakeDue(kStart + absl::Seconds(1), 1), ElementsAre(kOne));
  EXPECT_THAT(queue.TakeDue(kStart + absl::Seconds(1), 1), IsEmpty());
}

TEST(RetryQueueTest, WhatIsAskedAboutAlreadyStaysAsItIs) {
  RetryQueue queue({absl::Seconds(2), absl::Seconds(10)});
  queue.Add(kOne, kStart + absl::Seconds(5));
  queue.Add(kOne, kStart);
  EXPECT_EQ(queue.NextTime(), kStart + absl::Seconds(5));
}

TEST(RetryQueueTest, AnAnswerEndsItAndANewQuestionBeginsAnew) {
  RetryQueue queue({absl::Seconds(2), absl::Seconds(10)});
  queue.Add(kOne, kStart);
  queue.TakeDue(kStart, 1);
  queue.Remove(kOne);
  queue.Remove(kTwo);
  EXPECT_FALSE(queue.Contains(kOne));
  EXPECT_EQ(queue.NextTime(), SteadyTime::InfiniteFuture());
  queue.Add(kOne, kStart);
  EXPECT_EQ(queue.asked(kOne), 0);
  queue.Clear();
  EXPECT_TRUE(queue.empty());
  EXPECT_THAT(queue.TakeDue(kStart, 1), IsEmpty());
}

}  // namespace
}  // namespace kartograph::executor::mesos
