// Which failures are tried again, and tasks that people run again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;

class RetryRuleTest : public ::testing::Test, protected CoreStory {
 protected:
  void Exits(absl::string_view task, int status) {
    executor::AttemptUpdate update;
    update.attempt = Newest(task);
    update.agent = "m";
    update.outcome = Outcome::kExited;
    update.exit_status = status;
    Notify(update);
  }
};

TEST_F(RetryRuleTest, OnlyWhatRetryOnNamesIsTriedAgain) {
  Agent("m", Cpu(2));
  Submit(Graph(
      {Task("a").Attempts(3).RetryOn({"75", "timeout"}), Task("b").Attempts(3).RetryOn({"75"})}));
  Exits("a", 75);
  EXPECT_EQ(State("a"), "ready");
  Wait(absl::Seconds(1));
  Ends("a", Outcome::kTimedOut);
  EXPECT_EQ(State("a"), "ready");
  Exits("b", 1);
  EXPECT_EQ(State("b"), "failed");
  EXPECT_EQ(Reason("b"), "exited with status 1 (not tried again: not in retry_on)");
}

TEST_F(RetryRuleTest, WhatNoRetryOnNamesFailsAtOnce) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Attempts(3).NoRetryOn({"2"}),
                Task("b").Attempts(3).NoRetryOn({"out_of_memory"})}));
  Exits("a", 2);
  EXPECT_EQ(Reason("a"), "exited with status 2 (not tried again: no_retry_on)");
  Exits("b", 2);
  EXPECT_EQ(State("b"), "ready");
  Wait(absl::Seconds(1));
  Ends("b", Outcome::kOutOfMemory, "used too much");
  EXPECT_EQ(Reason("b"), "used too much (not tried again: no_retry_on)");
}

TEST_F(RetryRuleTest, SurvivesARestart) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).NoRetryOn({"2"})}));
  Runs("a");
  Restart();
  Agent("m", Cpu(1));
  Exits("a", 2);
  EXPECT_EQ(State("a"), "failed");
}

TEST_F(RetryRuleTest, AnAttemptThatIsNotTheTasksFaultIsRepeatedAllTheSame) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(1).RetryOn({"75"})}));
  Ends("a", Outcome::kDropped);
  EXPECT_EQ(State("a"), "launching");
}

class RetryTasksTest : public ::testing::Test, protected CoreStory {};

TEST_F(RetryTasksTest, RunsAFailedTaskAndWhatWasSkippedAfterItWhileTheGraphRuns) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"}), Task("long")})
             .Queue("client"));
  Fails("a");
  EXPECT_EQ(States(), "a=failed b=skipped c=skipped long=launching");
  Finished();
  Started();
  EXPECT_EQ(RetryAll({"a"}).value(), 3);
  EXPECT_EQ(States(), "a=launching b=waiting c=waiting long=launching");
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_EQ(Attempts("a"), 2);
  for (const char* task : {"a", "b", "c", "long"}) Succeeds(task);
  EXPECT_EQ(GraphState(), "succeeded");
  EXPECT_THAT(Finished(), ElementsAre(Pair("a", "succeeded"), Pair("b", "succeeded"),
                                      Pair("c", "succeeded"), Pair("long", "succeeded")));
}

TEST_F(RetryTasksTest, WhatWaitsForAnotherFailureStaysSkipped) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b"), Task("both").After({"a", "b"}), Task("of_a").After({"a"}),
                Task("long")}));
  Fails("a");
  Fails("b");
  EXPECT_EQ(RetryAll({"a"}).value(), 2);
  EXPECT_EQ(State("both"), "skipped");
  EXPECT_EQ(State("of_a"), "waiting");
  EXPECT_EQ(RetryAll({"b"}).value(), 2) << "what it waits for is on its way now";
  EXPECT_EQ(State("both"), "waiting");
  Succeeds("a");
  Succeeds("b");
  EXPECT_EQ(State("both"), "launching");
}

TEST_F(RetryTasksTest, BothAtOnceFreeWhatComesAfterBoth) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b"), Task("both").After({"a", "b"}), Task("long")}));
  Fails("a");
  Fails("b");
  EXPECT_EQ(RetryAll({"a", "b"}).value(), 3);
}

TEST_F(RetryTasksTest, WhatComesAfterAFailureIsNotRetriedAlone) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"}), Task("long")}));
  Fails("a");
  EXPECT_EQ(RetryAll({"b"}).value(), 0) << "it would wait for ever";
  EXPECT_EQ(RetryAll({"c", "b", "a"}).value(), 3);
  Fails("a");
  ASSERT_TRUE(core().CheckInvariants().ok());
  EXPECT_EQ(States(), "a=failed b=skipped c=skipped long=launching");
}

TEST_F(RetryTasksTest, WhatRunsOrSucceededStaysAsItIs) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b")}));
  Succeeds("a");
  EXPECT_EQ(RetryAll({"a", "b"}).value(), 0);
  EXPECT_EQ(States(), "a=succeeded b=launching");
}

TEST_F(RetryTasksTest, AttemptsAreCountedAnew) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(1)), Task("long")}));
  Fails("a");
  Wait(absl::Seconds(1));
  Fails("a");
  EXPECT_EQ(State("a"), "failed");
  ASSERT_EQ(RetryAll({"a"}).value(), 1);
  Fails("a");
  EXPECT_EQ(State("a"), "ready") << "one attempt is left";
  Restart();
  EXPECT_EQ(State("a"), "ready");
}

TEST_F(RetryTasksTest, ATaskThatWasCancelledWhileItRanRunsAsAnyOther) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("long")}));
  Runs("a");
  ASSERT_TRUE(Cancel("a").ok());
  Ends("a", Outcome::kCancelled);
  ASSERT_EQ(RetryAll({"a"}).value(), 1);
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
}

TEST_F(RetryTasksTest, SurvivesARestart) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("long")}));
  Fails("a");
  ASSERT_EQ(RetryAll({"a"}).value(), 2);
  Restart();
  EXPECT_EQ(State("b"), "waiting");
  Agent("m", Cpu(4));
  Succeeds("a");
  EXPECT_EQ(State("b"), "launching");
}

TEST_F(RetryTasksTest, IsRefusedWhileTheGraphIsCancelled) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("long")}));
  Fails("a");
  ASSERT_TRUE(CancelGraph().ok());
  const absl::Status status = RetryAll({"a"}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("is being cancelled"));
}

class CancelTasksTest : public ::testing::Test, protected CoreStory {};

TEST_F(CancelTasksTest, CountsWhatWillBeSkipped) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"}),
                Task("d").After({"b", "x"}), Task("x")}));
  const absl::StatusOr<Core::Cancelled> cancelled = CancelAll({"b"});
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->tasks, 1);
  EXPECT_EQ(cancelled->skipped, 2);
  EXPECT_EQ(States(), "a=launching b=cancelled c=skipped d=skipped x=ready");
}

TEST_F(CancelTasksTest, WhatIsNamedIsCancelledNotSkipped) {
  Agent("m", Cpu(1));
  Submit(
      Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"}), Task("d").After({"c"})}));
  const absl::StatusOr<Core::Cancelled> cancelled = CancelAll({"b", "c", "b"});
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->tasks, 2);
  EXPECT_EQ(cancelled->skipped, 1);
  EXPECT_EQ(States(), "a=launching b=cancelled c=cancelled d=skipped");
}

TEST_F(CancelTasksTest, OfARunningTaskTheOthersFollowWhenItHasEnded) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  Runs("a");
  const absl::StatusOr<Core::Cancelled> cancelled = CancelAll({"a"});
  ASSERT_TRUE(cancelled.ok());
  EXPECT_EQ(cancelled->skipped, 1);
  EXPECT_EQ(State("b"), "waiting");
  Ends("a", Outcome::kCancelled);
  EXPECT_EQ(States(), "a=cancelled b=skipped");
}

}  // namespace
}  // namespace kartograph::scheduler
