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
