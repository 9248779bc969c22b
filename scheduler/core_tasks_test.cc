// A task's life: every arrow of the drawing in planner/states.h, and what comes after its end.
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
using ::testing::IsEmpty;
using ::testing::Pair;

class TaskLifeTest : public ::testing::Test, protected CoreStory {};
class RetryTest : public ::testing::Test, protected CoreStory {};
class FailureTest : public ::testing::Test, protected CoreStory {};

TEST_F(TaskLifeTest, GoesFromWaitingToSucceeded) {
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  EXPECT_EQ(States(), "a=ready b=waiting");
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_EQ(States(), "a=launching b=waiting");
  Runs("a");
  EXPECT_EQ(States(), "a=running b=waiting");
  Succeeds("a");
  EXPECT_THAT(Started(), ElementsAre("b"));
  EXPECT_EQ(States(), "a=succeeded b=launching");
  Runs("b");
  Succeeds("b");
  EXPECT_EQ(States(), "a=succeeded b=succeeded");
  EXPECT_EQ(GraphState(), "succeeded");
  EXPECT_THAT(core().LiveGraphs(), IsEmpty());
}

TEST_F(TaskLifeTest, BeginsWhenAllBeforeItHaveSucceeded) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"a", "b"}), Task("d").After({"b", "c"})}));
  EXPECT_THAT(Started(), ElementsAre("a", "b"));
  Succeeds("b");
  EXPECT_THAT(Started(), IsEmpty());
  Succeeds("a");
  EXPECT_THAT(Started(), ElementsAre("c"));
  Succeeds("c");
  EXPECT_THAT(Started(), ElementsAre("d"));
}

TEST_F(TaskLifeTest, TheLongerPathBeginsFirst) {
  Submit(Graph({Task("short"), Task("long"), Task("x").After({"long"}), Task("y").After({"x"})}));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("long"));
}

TEST_F(TaskLifeTest, PriorityGoesBeforeTheLongerPath) {
  Submit(Graph({Task("long"), Task("x").After({"long"}), Task("urgent").Priority(1)}));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("urgent"));
}

TEST_F(TaskLifeTest, TheEndMayOvertakeTheNewsThatItRuns) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
}

TEST_F(TaskLifeTest, ALaunchCarriesWhatTheAgentMustKnow) {
  Agent("m", With(Cpu(4), "ram", 100));
  Submit(Graph({Task("a")
                    .Needs(With(Cpu(2), "ram", 50))
                    .Timeout(absl::Minutes(3))
                    .Grace(absl::Seconds(7))}));
  const std::vector<executor::Launch> launches = Launches();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].task_name, "a");
  EXPECT_EQ(launches[0].agent, "m");
  EXPECT_EQ(launches[0].attempt, Newest("a"));
  EXPECT_EQ(launches[0].consumption, With(Cpu(2), "ram", 50));
  EXPECT_EQ(launches[0].timeout, absl::Minutes(3));
  EXPECT_EQ(launches[0].cancel_grace, absl::Seconds(7));
}

TEST_F(TaskLifeTest, FailsWithTheReasonOfItsLastAttempt) {
  const struct {
    Outcome outcome;
    std::string message;
    std::string reason;
  } cases[] = {{Outcome::kTimedOut, "", "timed out"},
               {Outcome::kOutOfMemory, "used 2GiB of 1GiB", "used 2GiB of 1GiB"},
               {Outcome::kNotStarted, "no program \"x\"", "no program \"x\""},
               {Outcome::kResultTooLarge, "", "result too large"},
               {Outcome::kSignalled, "", "ended by signal 0"},
               {Outcome::kExited, "", "exited with status 0"}};
  Agent("m", Cpu(1));
  for (const auto& c : cases) {
    Submit(Graph({Task("a")}));
    Runs("a");
    Ends("a", c.outcome, c.message);
    EXPECT_EQ(State("a"), "failed");
    EXPECT_EQ(Reason("a"), c.reason);
    EXPECT_EQ(GraphState(), "failed");
  }
}

TEST_F(TaskLifeTest, TasksAreDeliveredToTheQueueOfTheirGraphInOrderOfFinishing) {
  Agent("m", Cpu(3));
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"a"}), Task("d")}).Queue("client"));
  Succeeds("b");
  Fails("a");
  EXPECT_THAT(Finished(),
              ElementsAre(Pair("b", "succeeded"), Pair("a", "failed"), Pair("c", "skipped")));
  ASSERT_TRUE(Cancel("d").ok());
  EXPECT_THAT(Finished(), IsEmpty()) << "it is final when its attempt has ended";
  Ends("d", Outcome::kCancelled);
  EXPECT_THAT(Finished(), ElementsAre(Pair("d", "cancelled")));
}

TEST_F(TaskLifeTest, WithoutAQueueNothingIsDelivered) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Succeeds("a");
  EXPECT_THAT(Finished(), IsEmpty());
}

TEST_F(RetryTest, BacksOffTwiceAsLongEachTimeUpToTheLimit) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(6).RetryDelay(absl::Seconds(1), absl::Seconds(5))}));
  EXPECT_THAT(Started(), ElementsAre("a"));
  for (int seconds : {1, 2, 4, 5, 5}) {
    SCOPED_TRACE(seconds);
    Runs("a");
    Fails("a");
    EXPECT_EQ(State("a"), "ready");
    EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(seconds));
    Wait(absl::Seconds(seconds) - absl::Nanoseconds(1));
    EXPECT_THAT(Started(), IsEmpty());
    Wait(absl::Nanoseconds(1));
    EXPECT_THAT(Started(), ElementsAre("a"));
  }
  Fails("a");
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(Reason("a"), "exited with status 1 (attempt 6 of 6)");
  EXPECT_EQ(Attempts("a"), 6);
}

TEST_F(RetryTest, ADelayOverTheLimitIsTheLimit) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Hours(1), absl::Seconds(3))}));
  Fails("a");
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(3));
}

TEST_F(RetryTest, WithoutADelayItIsTriedAgainAtOnce) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(1000).RetryDelay(absl::ZeroDuration())}));
  Started();
  for (int i = 0; i < 999; ++i) {
    Fails("a");
    ASSERT_THAT(Started(), ElementsAre("a"));
  }
  Fails("a");
  EXPECT_EQ(State("a"), "failed");
}

TEST_F(RetryTest, OthersUseTheRoomDuringTheBackOff) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).Priority(5), Task("b")}));
  EXPECT_THAT(Started(), ElementsAre("a"));
  Fails("a");
  EXPECT_THAT(Started(), ElementsAre("b"));
  Wait(absl::Seconds(1));
  EXPECT_THAT(Started(), IsEmpty()) << "its turn, but no room";
  Succeeds("b");
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(RetryTest, WhatTheClusterDidToItSpendsNoAttempt) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(1)}));
  Started();
  for (Outcome outcome : {Outcome::kLost, Outcome::kRefused, Outcome::kCancelled}) {
    Ends("a", outcome);
    EXPECT_EQ(State("a"), Started().empty() ? "ready" : "launching") << planner::ToString(outcome);
    Wait(absl::Seconds(10));
    Started();
  }
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
  EXPECT_EQ(Attempts("a"), 4);
}

TEST_F(RetryTest, TheFirstLossIsForgivenAtOnceAndFurtherOnesAreDelayed) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  EXPECT_THAT(Started(), ElementsAre("a"));
  Ends("a", Outcome::kRefused);
  EXPECT_THAT(Started(), ElementsAre("a"));
  absl::Duration delay = absl::Milliseconds(100);
  for (int i = 0; i < 12; ++i) {
    Ends("a", Outcome::kRefused);
    EXPECT_THAT(Started(), IsEmpty());
    EXPECT_EQ(core().NextTimer(), now().steady + delay) << i;
    Wait(delay);
    EXPECT_THAT(Started(), ElementsAre("a"));
    delay = std::min(delay * 2, absl::Minutes(1));
  }
}

TEST_F(RetryTest, LossesAndFailuresAreCountedApart) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(1))}));
  Ends("a", Outcome::kLost);
  Fails("a");
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(1))
      << "the back-off of a first failure";
  Wait(absl::Seconds(1));
  Fails("a");
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(Reason("a"), "exited with status 1 (attempt 2 of 2)");
}

TEST_F(RetryTest, GivesUpOnATaskThatCannotBeLaunchedAtAll) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  for (uint32_t i = 1; i < planner::kMaxLaunches; ++i) {
    Ends("a", Outcome::kRefused);
    Wait(absl::Minutes(1));
  }
  ASSERT_EQ(State("a"), "launching");
  Ends("a", Outcome::kRefused, "no room");
  EXPECT_EQ(States(), "a=failed b=skipped");
  EXPECT_EQ(Reason("a"), "gave up after 2047 launches, the last of them no room");
}

TEST_F(FailureTest, SkipsAllThatComesAfterItAndNamesWhatFailed) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"}), Task("d"),
                Task("e").After({"c", "d"}), Task("f").After({"d"})}));
  Runs("d");
  Fails("a");
  EXPECT_EQ(States(), "a=failed b=skipped c=skipped d=running e=skipped f=waiting");
  for (const char* skipped : {"b", "c", "e"}) {
    EXPECT_EQ(Reason(skipped), "comes after \"a\", which failed");
  }
  EXPECT_EQ(GraphState(), "running") << "what does not come after it goes on";
  Started();
  Succeeds("d");
  EXPECT_THAT(Started(), ElementsAre("f"));
  Succeeds("f");
  EXPECT_EQ(GraphState(), "failed");
}

TEST_F(FailureTest, ALateSuccessBeforeASkippedTaskDoesNotWakeIt) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"a", "b"})}));
  Fails("a");
  Succeeds("b");
  EXPECT_EQ(State("c"), "skipped");
}

TEST_F(FailureTest, ATaskCancelledWhileItWaitsSkipsWhatComesAfterIt) {
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"})}));
  EXPECT_EQ(Cancel("b").value(), 1);
  EXPECT_EQ(States(), "a=ready b=cancelled c=skipped");
  EXPECT_EQ(Reason("c"), "comes after \"b\", which was cancelled");
}

TEST_F(FailureTest, FailFastCancelsEverythingElse) {
  Agent("m", Cpu(3));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c"), Task("d"), Task("e"),
                Task("f").After({"c"})})
             .FailFast());
  Runs("c");
  Started();
  Fails("a");
  // a failed, b came after it, c runs, d is being launched, e and f had not begun.
  EXPECT_EQ(States(), "a=failed b=skipped c=running d=launching e=cancelled f=cancelled");
  EXPECT_THAT(Cancels(), ElementsAre("g1.2.1", "g1.3.1"));
  EXPECT_THAT(Started(), IsEmpty());
  Ends("c", Outcome::kCancelled);
  Ends("d", Outcome::kCancelled);
  EXPECT_EQ(States(), "a=failed b=skipped c=cancelled d=cancelled e=cancelled f=cancelled");
  EXPECT_EQ(GraphState(), "failed");
  for (const char* cancelled : {"c", "d", "e", "f"}) {
    EXPECT_EQ(Reason(cancelled), "cancelled because \"a\" failed (the graph is fail_fast)");
  }
}

TEST_F(FailureTest, FailFastWaitsForTheLastAttempt) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Attempts(2), Task("b")}).FailFast());
  Fails("a");
  EXPECT_THAT(Cancels(), IsEmpty());
  Wait(absl::Seconds(1));
  Fails("a");
  EXPECT_THAT(Cancels(), ElementsAre("g1.1.1"));
}

TEST_F(FailureTest, OtherGraphsGoOn) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("other")}));
  const planner::GraphId other = *core().LiveGraphs().begin();
  Submit(Graph({Task("a")}).FailFast());
  Fails("a");
  EXPECT_THAT(core().LiveGraphs(), ElementsAre(other));
  EXPECT_THAT(Cancels(), IsEmpty());
}

}  // namespace
}  // namespace kartograph::scheduler
