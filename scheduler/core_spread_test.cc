// At most so many of a group are on one agent at a time.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/explanation_text.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class SpreadTest : public ::testing::Test, protected CoreStory {
 protected:
  static Graph Workers(int count, int per_agent) {
    std::vector<Task> all;
    for (int i = 0; i < count; ++i) {
      all.push_back(Task(absl::StrCat("w", i)).Spread("workers", per_agent));
    }
    return Graph(all);
  }
  // The agents of what was launched.
  std::vector<std::string> Agents() {
    std::vector<std::string> agents;
    for (const executor::Launch& launch : Launches()) agents.push_back(launch.agent);
    EXPECT_TRUE(core().CheckInvariants().ok()) << core().CheckInvariants();
    return agents;
  }
};

TEST_F(SpreadTest, AsManyAsMayBeAreOnEachAgent) {
  Agent("m1", Cpu(8));
  Agent("m2", Cpu(8));
  Submit(Workers(6, 2));
  EXPECT_THAT(Agents(), UnorderedElementsAre("m1", "m1", "m2", "m2"));
}

TEST_F(SpreadTest, WhenOneEndsTheNextOneStartsThere) {
  Agent("m1", Cpu(8));
  Agent("m2", Cpu(8));
  Submit(Workers(4, 1));
  EXPECT_THAT(Agents(), SizeIs(2));
  Succeeds("w0");
  EXPECT_THAT(Started(), ElementsAre("w2"));
  Fails("w1");
  EXPECT_THAT(Started(), ElementsAre("w3"));
}

TEST_F(SpreadTest, TheSameOnAClusterThatMakesOffers) {
  Submit(Workers(2, 1));
  Offer("o1", "m1", Cpu(8));
  EXPECT_THAT(Agents(), ElementsAre("m1"));
  Offer("o2", "m1", Cpu(7));
  EXPECT_THAT(Agents(), IsEmpty());
  Succeeds("w0");
  Offer("o3", "m1", Cpu(8));
  EXPECT_THAT(Started(), ElementsAre("w1"));
}

TEST_F(SpreadTest, OthersGoOnAndGroupsAreOfTheirGraph) {
  Agent("m", Cpu(8));
  Submit(Workers(2, 1));
  EXPECT_THAT(Started(), ElementsAre("w0"));
  Submit(Workers(2, 1));
  EXPECT_THAT(Started(), ElementsAre("w0")) << "another graph has a group of its own";
  Submit(Graph({Task("a").Spread("others", 1), Task("b")}));
  EXPECT_THAT(Started(), UnorderedElementsAre("a", "b"));
}

TEST_F(SpreadTest, WhatWaitsInAnAgentsBacklogCounts) {
  Agent("m", Cpu(1), 10);
  for (const int per_agent : {1, 2}) {
    Submit(Workers(9, per_agent));
    EXPECT_THAT(Started(), ElementsAre("w0"));
    Runs("w0");
    Succeeds("w0", absl::Milliseconds(1));
    EXPECT_THAT(Started(), SizeIs(static_cast<size_t>(per_agent)));
    ASSERT_TRUE(CancelGraph().ok());
    Ends("w1", Outcome::kCancelled);
    if (per_agent > 1) Ends("w2", Outcome::kCancelled);
  }
}

TEST_F(SpreadTest, ItHoldsAfterARestart) {
  Agent("m", Cpu(8));
  Submit(Workers(3, 2));
  EXPECT_THAT(Started(), SizeIs(2));
  Runs("w0");
  Restart();
  Agent("m", Cpu(8));
  EXPECT_THAT(Started(), IsEmpty());
  Succeeds("w0");
  EXPECT_THAT(Started(), ElementsAre("w2"));
}

TEST_F(SpreadTest, ALostAgentIsNotCounted) {
  Agent("m1", Cpu(8));
  Submit(Workers(2, 1));
  EXPECT_THAT(Agents(), ElementsAre("m1"));
  LoseAgent("m1");
  Agent("m2", Cpu(8));
  EXPECT_THAT(Agents(), ElementsAre("m2"));
}

TEST_F(SpreadTest, NoRoomIsKeptForWhatMayNotStartThere) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("w").Spread("g", 1).Priority(9),
                Task("large").Needs(Cpu(4)).Spread("g", 1).Priority(8)}));
  EXPECT_THAT(Started(), ElementsAre("w"));
  Wait(Reservations::kPatience * 2);
  Submit(Graph({Task("small")}));
  EXPECT_THAT(Started(), ElementsAre("small"));
}

TEST_F(SpreadTest, TheExplanationNamesWhoIsThere) {
  Agent("m", Cpu(8));
  const planner::GraphId graph = Submit(Workers(2, 1));
  const Explanation explanation = *core().Explain(Key("w1"), now());
  EXPECT_EQ(explanation.expected.within, std::nullopt);
  EXPECT_EQ(explanation.expected.unknown, "it starts when one of its group has ended");
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  EXPECT_THAT(why->agents, ElementsAre(Pair(AgentObstacle::kSpread, 1)));
  ASSERT_TRUE(why->best);
  ASSERT_THAT(why->best->holders.first, SizeIs(1));
  EXPECT_EQ(why->best->holders.first[0].task.name, "w0");
  EXPECT_EQ(
      Reason("w1"),
      absl::StrCat("waits for an agent with less of group \"workers\", of which at most 1 may "
                   "be on each; on m: \"w0\" of ",
                   planner::GraphIdToString(graph)));
}

}  // namespace
}  // namespace kartograph::scheduler
