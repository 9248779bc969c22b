// Tasks whose attempts are lost together with their agent again and again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Optional;
using ::testing::UnorderedElementsAre;

class SuspectTest : public ::testing::Test, protected CoreStory {
 protected:
  // The agent dies with all that runs there, and another one takes its place.
  void AgentDies(double cores) {
    LoseAgent("m");
    Agent("m", Cpu(cores));
  }
};

TEST_F(SuspectTest, OneLossIsAnAccident) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}));
  Started();
  AgentDies(2);
  EXPECT_THAT(Started(), ElementsAre("a", "b")) << "side by side as before";
}

TEST_F(SuspectTest, AfterTheSecondTheyAreLaunchedOneByOneAndNothingBesideThem) {
  Agent("m", Cpu(3));
  Submit(Graph({Task("killer"), Task("innocent")}));
  AgentDies(3);
  Wait(absl::Seconds(1));
  AgentDies(3);
  Wait(absl::Seconds(20));
  Started();
  Submit(Graph({Task("new")}));
  EXPECT_THAT(Started(), IsEmpty()) << "the killer, or who is taken for one, runs alone";
}

TEST_F(SuspectTest, AKillerFailsAfterMaxLossesAndItsNeighboursDoNot) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("killer"), Task("b"), Task("c")}));
  // Side by side twice.
  EXPECT_THAT(Started(), ElementsAre("killer", "b", "c"));
  AgentDies(4);
  EXPECT_THAT(Started(), ElementsAre("killer", "b", "c"));
  AgentDies(4);
  Wait(absl::Seconds(1));
  // Then one by one: the killer ends its agent three times more, alone.
  for (int losses = 2; losses < 5; ++losses) {
    std::vector<std::string> started = Started();
    while (started != std::vector<std::string>{"killer"}) {
      ASSERT_EQ(started.size(), 1u) << "never two suspects on one agent";
      Succeeds(started[0]);
      Wait(absl::Seconds(20));
      started = Started();
    }
    AgentDies(4);
    Wait(absl::Seconds(20));
  }
  EXPECT_EQ(State("killer"), "failed");
  EXPECT_THAT(Reason("killer"),
              AllOf(HasSubstr("lost its agent 5 times"), HasSubstr("max_losses")));
  EXPECT_EQ(Attempts("killer"), 5);
  for (int i = 0; i < 2; ++i) {
    for (const std::string& name : Started()) Succeeds(name);
  }
  EXPECT_EQ(State("b"), "succeeded");
  EXPECT_EQ(State("c"), "succeeded");
}

TEST_F(SuspectTest, TheReasonSaysWhyItWaits) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}));
  AgentDies(2);
  AgentDies(2);
  Wait(absl::Seconds(1));
  EXPECT_EQ(State("a"), "launching");
  EXPECT_EQ(
      Reason("b"),
      "is launched alone, as its agent was lost with it 2 times; waits for agent m, where \"a\" of "
      "g1 runs alone, as its agent was lost with it before; 2 attempts have ended without its "
      "doing, "
      "the last one lost: its agent was lost");
  Submit(Graph({Task("new")}));
  EXPECT_EQ(
      Reason("new"),
      "waits for agent m, where \"a\" of g1 runs alone, as its agent was lost with it before");
}

TEST_F(SuspectTest, ItSurvivesARestart) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Losses(3), Task("b").Losses(3)}));
  AgentDies(2);
  AgentDies(2);
  Restart();
  Agent("m", Cpu(2));
  Started();
  Ends("a", Outcome::kLost);  // as Reconcile answers
  EXPECT_EQ(State("a"), "failed");
  EXPECT_THAT(Reason("a"), HasSubstr("lost its agent 3 times"));
  EXPECT_THAT(Started(), ElementsAre("b"));
}

TEST_F(SuspectTest, WhileOneRunsARestartKeepsItsAgentForIt) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a")}));
  AgentDies(2);
  AgentDies(2);
  Wait(absl::Seconds(1));
  EXPECT_EQ(State("a"), "launching");
  Restart();
  Agent("m", Cpu(2));
  Runs("a");
  Started();
  Submit(Graph({Task("other")}));
  EXPECT_THAT(Started(), IsEmpty());
}

TEST_F(SuspectTest, AnotherAgentThatIdlesIsTakenAtOnce) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a")}));
  AgentDies(2);
  Started();
  Agent("n", Cpu(1));
  Submit(Graph({Task("beside").Needs(Cpu(2))}));
  AgentDies(2);
  Wait(absl::Seconds(1));
  EXPECT_THAT(Started(), UnorderedElementsAre("a", "beside")) << "each on an agent of its own";
}

TEST_F(SuspectTest, WhereNoneIdlesOneIsDrained) {
  Agent("n", Cpu(2));
  Agent("m", Cpu(1));
  Submit(Graph({Task("x"), Task("y"), Task("a")}));
  EXPECT_THAT(Started(), UnorderedElementsAre("x", "y", "a"));
  const std::string on_m = history().task(Key("x")).attempts.at(1).first.agent == "m"   ? "x"
                           : history().task(Key("y")).attempts.at(1).first.agent == "m" ? "y"
                                                                                        : "a";
  AgentDies(1);
  LoseAgent("m");
  // Only "n" is left, on which the two others run; nothing more is placed there.
  Wait(absl::Seconds(5));
  std::vector<std::string> others;
  for (const char* name : {"x", "y", "a"}) {
    if (name != on_m) others.emplace_back(name);
  }
  Succeeds(others[0]);
  Started();
  EXPECT_EQ(State(on_m), "ready");
  Succeeds(others[1]);
  EXPECT_THAT(Started(), ElementsAre(on_m));
}

TEST_F(SuspectTest, AfterAMinuteItGoesBesideWhatStillRuns) {
  const planner::ResourceVector with_disk = With(Cpu(1), "disk", 1);
  Agent("m", with_disk);
  Submit(Graph({Task("a").Needs(with_disk)}));
  LoseAgent("m");
  Agent("n", with_disk);
  LoseAgent("n");
  Agent("o", With(Cpu(2), "disk", 1));
  Started();
  Submit(Graph({Task("long")}));
  EXPECT_THAT(Started(), ElementsAre("long")) << "the suspect waits out its delay";
  Wait(absl::Seconds(1));
  Submit(Graph({Task("other")}));
  EXPECT_THAT(Started(), IsEmpty()) << "the agent is drained";
  EXPECT_EQ(Reason("other"),
            "waits for agent o, which is kept free for a task that is launched alone");
  Wait(absl::Seconds(59));
  EXPECT_THAT(Started(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(SuspectTest, WhatWaitedInTheBacklogIsNoSuspect) {
  Agent("m", Cpu(1), 10);
  Submit(Graph({Task("warm")}));
  Succeeds("warm", absl::Milliseconds(1));
  Started();
  Submit(Graph({Task("a").Losses(1), Task("b").Losses(1)}));
  ASSERT_THAT(Started(), ElementsAre("a", "b"));
  LoseAgent("m");
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(State("b"), "ready");
  EXPECT_EQ(history().task(Key("b")).attempts.at(1).second->outcome, Outcome::kDropped);
}

TEST_F(SuspectTest, AnOfferIsAskedForAndUsedForItAlone) {
  Offer("o1", "m", Cpu(2));
  Submit(Graph({Task("a")}));
  Offer("o2", "m", Cpu(2));
  Started();
  LoseAgent("m");
  Offer("o3", "m2", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("a"));
  LoseAgent("m2");
  TakeRevive();
  Wait(absl::Seconds(1));
  EXPECT_THAT(TakeRevive(), Optional(std::string("cpu=1")));
  Offer("o4", "m3", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("a"));
  Submit(Graph({Task("other")}));
  Offer("o5", "m3", Cpu(1));
  EXPECT_THAT(Started(), IsEmpty());
}

}  // namespace
}  // namespace kartograph::scheduler
