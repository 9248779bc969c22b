// A task whose program cannot be started is tried once more, elsewhere.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class RelocationTest : public ::testing::Test, protected CoreStory {
 protected:
  std::string LaunchedOn() {
    const std::vector<executor::Launch> launches = Launches();
    return launches.size() == 1 ? launches[0].agent : "";
  }
};

TEST_F(RelocationTest, OnTheOnlyAgentItFailsAtOnce) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(6), Task("b").After({"a"})}));
  Ends("a", Outcome::kNotStarted, "no program \"pyhton3\"");
  EXPECT_EQ(States(), "a=failed b=skipped");
  EXPECT_EQ(Reason("a"), "no program \"pyhton3\"");
  EXPECT_EQ(Attempts("a"), 1);
}

TEST_F(RelocationTest, IsTriedOnAnotherAgentOnce) {
  Agent("m1", Cpu(2));
  Agent("m2", Cpu(2));
  Submit(Graph({Task("a").Attempts(6)}));
  const std::string first = LaunchedOn();
  Ends("a", Outcome::kNotStarted, "no program");
  const std::string second = LaunchedOn();
  EXPECT_NE(second, "");
  EXPECT_NE(second, first);
  Ends("a", Outcome::kNotStarted, "no program");
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(Reason("a"), "no program; on another agent neither");
  EXPECT_EQ(Attempts("a"), 2);
}

TEST_F(RelocationTest, SucceedsWhereItsProgramIs) {
  Agent("m1", Cpu(2));
  Agent("m2", Cpu(2));
  Submit(Graph({Task("a").Attempts(2)}));
  Ends("a", Outcome::kNotStarted);
  Runs("a");
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(RelocationTest, WaitsForTheOtherAgentAndSaysSo) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).Priority(1), Task("b")}));
  const executor::AgentId first = Launches()[0].agent;
  Ends("a", Outcome::kNotStarted);
  EXPECT_THAT(Started(), IsEmpty()) << "it waits beside the free agent that it avoids";
  EXPECT_THAT(Reason("a"), HasSubstr("could not be started on agent " + first));
  Succeeds("b");
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(RelocationTest, ReturnsToTheOldAgentWhenNoOtherIsLeft) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).Priority(1), Task("b").Losses(1)}));
  const executor::AgentId first = Launches()[0].agent;
  Ends("a", Outcome::kNotStarted);
  LoseAgent(first == "m1" ? "m2" : "m1");
  EXPECT_EQ(LaunchedOn(), first);
}

TEST_F(RelocationTest, AnotherFailureEndsTheAvoiding) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).RetryDelay(absl::Seconds(1))}));
  Ends("a", Outcome::kNotStarted);
  Fails("a");
  EXPECT_EQ(State("a"), "ready");
  Wait(absl::Seconds(2));
  EXPECT_EQ(State("a"), "launching");
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(RelocationTest, ACancelledOneIsForgotten) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).Priority(1), Task("b")}));
  Ends("a", Outcome::kNotStarted);
  ASSERT_TRUE(Cancel("a").ok());
  EXPECT_EQ(State("a"), "cancelled");
  EXPECT_TRUE(core().CheckInvariants().ok());
}

}  // namespace
}  // namespace kartograph::scheduler
