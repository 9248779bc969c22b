// The wall clock is set: an hour back, an hour ahead, a year ahead. Nothing that waits notices.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;

class ClockTest : public ::testing::TestWithParam<absl::Duration>, protected CoreStory {};

TEST_P(ClockTest, ABackOffTakesAsLongAsEver) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Minutes(10), absl::Hours(1))}));
  Fails("a");
  Wait(absl::Minutes(4));
  StepWall(GetParam());
  Wait(absl::Minutes(5));
  EXPECT_EQ(State("a"), "ready");
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Minutes(1));
  Wait(absl::Minutes(1));
  EXPECT_EQ(State("a"), "launching");
}

TEST_P(ClockTest, AfterARestartABackOffIsNeverLongerThanItIs) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Minutes(10), absl::Hours(1))}));
  Fails("a");
  StepWall(GetParam());
  Restart();
  // By the wall clock it may be over already: then it waits for nothing but an agent.
  const SteadyTime due = core().NextTimer();
  EXPECT_TRUE(due == SteadyTime::InfiniteFuture() || due <= now().steady + absl::Minutes(10));
  Agent("m", Cpu(1));
  Wait(absl::Minutes(10));
  EXPECT_EQ(State("a"), "launching");
}

TEST_P(ClockTest, AnAttemptOutOfReachIsGivenUpWhenItsTimeHasReallyPassed) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").UnreachableTimeout(absl::Minutes(30))}));
  Runs("a");
  OutOfReach("a");
  StepWall(GetParam());
  Wait(absl::Minutes(29));
  EXPECT_EQ(State("a"), "running");
  Wait(absl::Minutes(1));
  EXPECT_EQ(history().task(Key("a")).attempts.at(1).second->outcome, Outcome::kUnreachable);
}

TEST_P(ClockTest, NothingEndsBeforeItBegan) {
  Agent("m", Cpu(2));
  const planner::GraphId graph = Submit(Graph({Task("a"), Task("b")}));
  Runs("a");
  StepWall(GetParam());
  LoseAgent("m");  // "b" has not been reported as running
  Agent("m", Cpu(2));
  for (const char* name : {"a", "b"}) {
    const auto& [launched, ended] = history().task(Key(name)).attempts.at(1);
    EXPECT_GE(ended->end_time, launched.launch_time) << name;
    if (ended->start_time != absl::InfinitePast()) {
      EXPECT_GE(ended->end_time, ended->start_time) << name;
    }
    Succeeds(name);
  }
  EXPECT_GE(history().graphs().at(graph).state.end_time,
            history().graphs().at(graph).submitted.submit_time);
}

TEST_P(ClockTest, MaintenanceIsAsFarAwayAsItWasAnnounced) {
  Connect();
  executor::Offer lease = MakeOffer("l", "m", Cpu(2));
  lease.lease = true;
  lease.unavailable_from = now().wall + absl::Hours(1);
  Notify(std::move(lease));
  StepWall(GetParam());
  Submit(Graph({Task("short").Timeout(absl::Minutes(30)),
                Task("long").Timeout(absl::Hours(2)).Needs(Cpu(0.5))}));
  EXPECT_EQ(States(), "short=launching long=ready");
}

TEST_P(ClockTest, ARevivalIsNotHeldBack) {
  Offer("o", "m", Cpu(1));
  Submit(Graph({Task("a"), Task("b"), Task("c")}));
  TakeRevive();
  StepWall(GetParam());
  Offer("o2", "m", Cpu(1));
  Wait(absl::Milliseconds(100));
  Succeeds("a");
  EXPECT_TRUE(TakeRevive());
}

TEST_P(ClockTest, AnAgentThatFailsIsSetAsideForJustSoLong) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Ends("a", Outcome::kAgentFailed, "disk full");
  Started();
  StepWall(GetParam());
  Wait(absl::Milliseconds(999));
  EXPECT_EQ(State("a"), "ready");
  Wait(absl::Milliseconds(1));
  EXPECT_EQ(State("a"), "launching");
}

TEST_P(ClockTest, WhatComesAfterwardsIsDoneAtOnce) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b")}));
  StepWall(GetParam());
  Succeeds("a");
  EXPECT_EQ(State("b"), "launching");
  Succeeds("b");
  Submit(Graph({Task("c")}));
  EXPECT_EQ(State("c"), "launching");
}

TEST_P(ClockTest, WhatIsOfferedAfterwardsIsUsedAtOnce) {
  Connect();
  Submit(Graph({Task("a")}));
  StepWall(GetParam());
  Offer("o", "n", Cpu(1));
  EXPECT_EQ(State("a"), "launching");
}

INSTANTIATE_TEST_SUITE_P(Steps, ClockTest,
                         ::testing::Values(-absl::Hours(1), absl::Hours(1), absl::Hours(24 * 365)),
                         [](const auto& info) {
                           const int64_t hours = absl::ToInt64Hours(info.param);
                           return hours < 0 ? absl::StrCat(-hours, "hBack")
                                            : absl::StrCat(hours, "hAhead");
                         });

}  // namespace
}  // namespace kartograph::scheduler
