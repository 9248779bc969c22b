// Agents that cannot start attempts for reasons of their own, and those that do not answer.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class FailingAgentTest : public ::testing::Test, protected CoreStory {
 protected:
  AgentSnapshot Snapshot(const std::string& name) {
    for (const AgentSnapshot& agent : core().Cluster(10, 0).agents) {
      if (agent.agent == name) return agent;
    }
    ADD_FAILURE() << "no agent " << name;
    return {};
  }
  std::string AgentOf(absl::string_view task) {
    return history().task(Key(task)).attempts.rbegin()->second.first.agent;
  }
};

// Starts a task of its own on m, as long as that has room.
class SuspectedAgentTest : public FailingAgentTest {
 protected:
  SuspectedAgentTest() {
    Agent("m", Cpu(2));
    Agent("n", Cpu(9));
  }
  void SubmitOn(const std::string& agent, const std::string& task) {
    Submit(Graph({Task(task).Attempts(3).Where(
        {"agent.name", planner::Constraint::Operator::kOneOf, false, {agent, "n"}})}));
    Started();
    ASSERT_EQ(AgentOf(task), agent);
  }
  // A task whose program is not on m and is on n.
  void FailsOnlyOnM(const std::string& task) {
    SubmitOn("m", task);
    Ends(task, Outcome::kNotStarted, "no program");
    ASSERT_EQ(AgentOf(task), "n");
    Runs(task);
    Succeeds(task);
    Wait(absl::Minutes(1));
  }
};

TEST_F(SuspectedAgentTest, ThreeTasksThatCouldBeStartedElsewhereSetItAside) {
  FailsOnlyOnM("a");
  FailsOnlyOnM("b");
  EXPECT_EQ(Snapshot("m").failure, "");
  SubmitOn("m", "c");
  Ends("c", Outcome::kNotStarted, "no program");
  Runs("c");
  Started();
  EXPECT_EQ(Snapshot("m").failure,
            "attempts of 3 tasks could not be started, but could on other agents");
  EXPECT_EQ(Snapshot("m").set_aside_until, now().wall + AgentTable::kFirstSetAside);
  Wait(absl::Seconds(1));
  Submit(Graph({Task("d"), Task("e")}));
  EXPECT_THAT(Started(), SizeIs(2));
  EXPECT_NE(AgentOf("d"), AgentOf("e")) << "one attempt at a time";
  LoseAgent("n");
  Submit(Graph({Task("f")}));
  EXPECT_THAT(Reason("f"), HasSubstr("waits for agent m, where attempts of 3 tasks could not be "
                                     "started, but could on other agents; one attempt is tried"));
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(SuspectedAgentTest, ATaskWhoseProgramIsNowhereBlamesNobody) {
  for (const char* task : {"a", "b", "c", "d"}) {
    SubmitOn("m", task);
    Ends(task, Outcome::kNotStarted, "no program");
    Ends(task, Outcome::kNotStarted, "no program");
    EXPECT_EQ(State(task), "failed");
    Wait(absl::Minutes(1));
  }
  EXPECT_EQ(Snapshot("m").failure, "");
  EXPECT_EQ(Snapshot("n").failure, "");
}

TEST_F(SuspectedAgentTest, WhatIsLongAgoIsForgotten) {
  FailsOnlyOnM("a");
  FailsOnlyOnM("b");
  Wait(AgentTable::kSuspicionLasts);
  FailsOnlyOnM("c");
  EXPECT_EQ(Snapshot("m").failure, "");
}

TEST_F(SuspectedAgentTest, AttemptsThatAreLostWhileTheAgentGoesOnSetItAside) {
  for (const char* task : {"a", "b", "c"}) {
    EXPECT_EQ(Snapshot("m").failure, "");
    SubmitOn("m", task);
    Runs(task);
    Ends(task, Outcome::kLost, "its executor ended");
    Succeeds(task);
    Wait(absl::Minutes(1));
  }
  EXPECT_EQ(Snapshot("m").failure, "attempts of 3 tasks were lost");
}

TEST_F(SuspectedAgentTest, WhatIsLostAtOnceCountsOnce) {
  LoseAgent("n");
  Agent("m", Cpu(9));
  Submit(Graph({Task("a"), Task("b"), Task("c"), Task("d")}));
  for (const char* task : {"a", "b", "c", "d"}) Ends(task, Outcome::kLost);
  EXPECT_EQ(Snapshot("m").failure, "");
}

TEST_F(FailingAgentTest, TheTaskIsTriedElsewhereAtOnceAndSpendsNothing) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  ASSERT_EQ(AgentOf("a"), "m");
  Agent("n", Cpu(1));
  Started();
  Ends("a", Outcome::kAgentFailed, "disk full");
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_EQ(AgentOf("a"), "n");
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded") << "of one attempt allowed";
}

TEST_F(FailingAgentTest, OnASingleAgentItWaitsWithTheReason) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}));
  Started();
  Ends("a", Outcome::kAgentFailed, "no space left on device");
  Ends("b", Outcome::kAgentFailed, "no space left on device");
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_THAT(Reason("a"), AllOf(HasSubstr("waits for agent m"),
                                 HasSubstr("no space left on device"), HasSubstr("again at")));
  EXPECT_EQ(Snapshot("m").failure, "no space left on device");
  EXPECT_EQ(Snapshot("m").set_aside_until, now().wall + absl::Seconds(1));
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(1));

  Wait(absl::Seconds(1));
  EXPECT_THAT(Started(), ElementsAre("a")) << "one is tried";
  Wait(absl::Seconds(1));
  EXPECT_THAT(Started(), IsEmpty());
  Runs("a");
  EXPECT_THAT(Started(), ElementsAre("b")) << "and once it was started, all of them";
  EXPECT_EQ(Snapshot("m").failure, "");
}

TEST_F(FailingAgentTest, TheBackOffGrowsWhileItFails) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  for (int seconds : {1, 2, 4, 8}) {
    Ends("a", Outcome::kAgentFailed, "read-only");
    EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(seconds));
    Started();
    Wait(absl::Seconds(seconds));
    EXPECT_THAT(Started(), ElementsAre("a"));
  }
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
}

TEST_F(FailingAgentTest, AShortTaskThatEndsBeforeItIsSaidToRunProvesTheAgentSound) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b"), Task("c")}));
  Ends("a", Outcome::kAgentFailed, "no inodes");
  Succeeds("b");
  Started();
  Wait(absl::Seconds(1));
  ASSERT_THAT(Started(), SizeIs(1));
  Succeeds("a");
  EXPECT_THAT(Started(), ElementsAre("c"));
  EXPECT_FALSE(Snapshot("m").set_aside_until);
}

TEST_F(FailingAgentTest, ItsOffersAreDeclinedWhileItIsSetAside) {
  Offer("o1", "m", Cpu(1));
  Submit(Graph({Task("a")}));
  Offer("o2", "m", Cpu(1));
  Declined();
  Ends("a", Outcome::kAgentFailed, "disk full");
  Offer("o3", "m", Cpu(1));
  EXPECT_THAT(Declined(), ElementsAre("o3"));
  Started();
  TakeRevive();
  Wait(absl::Seconds(1));
  EXPECT_TRUE(TakeRevive()) << "it may be used again";
  Offer("o4", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(FailingAgentTest, OneThatDoesNotAnswerSaysSinceWhen) {
  Agent("m", Cpu(1));
  const absl::Time since = now().wall;
  AgentOutOfReach("m");
  Wait(absl::Seconds(30));
  AgentOutOfReach("m");
  EXPECT_EQ(Snapshot("m").unreachable_since, since) << "shown though it has no attempts";
  EXPECT_FALSE(Snapshot("m").connected);
  Agent("m", Cpu(1));
  EXPECT_FALSE(Snapshot("m").unreachable_since);
}

}  // namespace
}  // namespace kartograph::scheduler
