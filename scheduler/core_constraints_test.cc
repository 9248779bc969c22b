// Tasks run where their constraints let them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/explanation_text.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Constraint;
using planner::Outcome;
using Operator = planner::Constraint::Operator;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;
using ::testing::UnorderedElementsAre;

class ConstraintsTest : public ::testing::Test, protected CoreStory {
 protected:
  ConstraintsTest() : CoreStory(With({}, "db", 2)) {}

  static Constraint Rack(std::string name, bool negated = false) {
    return {"rack", Operator::kEquals, negated, {std::move(name)}};
  }
  void AgentIn(const std::string& rack, const std::string& name, planner::ResourceVector resources,
               int backlog = 0) {
    Agent(name, std::move(resources), backlog, {{"rack", rack}});
  }
  // "task on agent" of each launch.
  std::vector<std::string> Placed() {
    std::vector<std::string> placed;
    for (const executor::Launch& launch : Launches()) {
      placed.push_back(absl::StrCat(launch.task_name, " on ", launch.agent));
    }
    return placed;
  }
  NoAgent WhyNot(absl::string_view task) {
    const Explanation explanation = *core().Explain(Key(task), now());
    const auto* why = explanation.Get<NoAgent>();
    EXPECT_NE(why, nullptr);
    return why == nullptr ? NoAgent() : *why;
  }
};

TEST_F(ConstraintsTest, ATaskRunsOnAnAgentThatMeetsThem) {
  AgentIn("b3", "m1", Cpu(1));
  AgentIn("b4", "m2", Cpu(4));
  Submit(Graph({Task("a").Where(Rack("b4")), Task("b").Where(Rack("b4", true)),
                Task("c").Where({"agent.name", Operator::kMatches, false, {"m[2-9]"}})}));
  EXPECT_THAT(Placed(), UnorderedElementsAre("a on m2", "b on m1", "c on m2"));
}

TEST_F(ConstraintsTest, ItWaitsWhileThereIsNoneAndHoldsNobodyBack) {
  AgentIn("b3", "m", Cpu(1));
  Submit(Graph({Task("a").Where(Rack("b4")).Priority(1), Task("b"), Task("c")}));
  EXPECT_THAT(Placed(), ElementsAre("b on m"));
  Wait(absl::Hours(1));
  Succeeds("b");
  EXPECT_THAT(Placed(), ElementsAre("c on m"));
  EXPECT_EQ(State("a"), "ready");
  AgentIn("b4", "other", Cpu(1));
  EXPECT_THAT(Placed(), ElementsAre("a on other"));
}

TEST_F(ConstraintsTest, UnitsOfPoolsAreNotKeptForWhatNoAgentMayHave) {
  AgentIn("b3", "m", Cpu(8));
  const planner::ResourceVector all = With(Cpu(1), "db", 2), one = With(Cpu(1), "db", 1);
  Submit(Graph({Task("holds").Needs(one).Priority(2),
                Task("nowhere").Needs(all).Where(Rack("b4")).Priority(1)}));
  EXPECT_THAT(Placed(), ElementsAre("holds on m"));
  Wait(Reservations::kPatience * 2);
  Submit(Graph({Task("small").Needs(one)}));
  EXPECT_THAT(Placed(), ElementsAre("small on m"));
}

TEST_F(ConstraintsTest, RoomIsKeptOnlyOnAnAgentThatItMayUse) {
  AgentIn("b3", "m1", Cpu(2));
  AgentIn("b4", "m2", Cpu(2));
  std::vector<Task> small;
  for (int i = 0; i < 40; ++i) small.push_back(Task(absl::StrCat("small", i)));
  const planner::GraphId many = Submit(Graph(small));
  EXPECT_THAT(Started(), SizeIs(4));
  Submit(Graph({Task("large").Needs(Cpu(2)).Where(Rack("b4")).Priority(1000)}));
  Wait(Reservations::kPatience);
  EXPECT_THAT(Reason("large"), HasSubstr("agent m2"));
  EXPECT_THAT(Reason("large"), HasSubstr("agent m2 is kept for it"));
  GoOnWith(many);
  for (int i = 0; i < 4; ++i) Succeeds(absl::StrCat("small", i), absl::Seconds(1));
  EXPECT_THAT(Placed(), Contains("large on m2"));
}

TEST_F(ConstraintsTest, WhenAnAgentsAttributesChangeItGetsWhatMeetsThem) {
  AgentIn("b3", "m", Cpu(1));
  Submit(Graph({Task("a").Where(Rack("b4"))}));
  EXPECT_THAT(Started(), IsEmpty());
  AgentIn("b4", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(ConstraintsTest, AnAgentsBacklogGetsOnlyWhatMayRunThere) {
  AgentIn("b3", "m", Cpu(1), 10);
  Submit(Graph({Task("learned")}));
  Runs("learned");
  Succeeds("learned", absl::Milliseconds(1));
  Started();
  Submit(Graph({Task("learned").Where(Rack("b4", true))}));
  Runs("learned");
  Succeeds("learned", absl::Milliseconds(1));
  Started();
  Submit(Graph({Task("a").Priority(1), Task("b").Where(Rack("b4")), Task("c"),
                Task("d").Where(Rack("b4", true))}));
  EXPECT_THAT(Started(), UnorderedElementsAre("a", "c", "d"));
}

TEST_F(ConstraintsTest, EqualOnesInAnyOrderArePackedTogether) {
  AgentIn("b3", "m", Cpu(1));
  const Constraint disk = {"disk", Operator::kEquals, true, {"hdd"}};
  Submit(Graph({Task("a").Where(Rack("b4")).Where(disk), Task("b").Where(disk).Where(Rack("b4")),
                Task("c").Where(Rack("b4"))}));
  EXPECT_EQ(core().known_consumptions(), 2u);
}

TEST_F(ConstraintsTest, TheExplanationCountsWhomEachRulesOut) {
  AgentIn("b3", "m1", Cpu(1));
  AgentIn("b4", "m2", Cpu(1));
  AgentIn("b5", "m3", Cpu(1));
  Submit(Graph({Task("a")
                    .Where(Rack("b3", true))
                    .Where({"agent.name", Operator::kOneOf, false, {"m1", "m7"}})}));
  const NoAgent why = WhyNot("a");
  EXPECT_THAT(why.agents, ElementsAre(Pair(AgentObstacle::kConstraint, 3)));
  EXPECT_THAT(why.constraints, ElementsAre(Pair("agent.name is one of \"m1\", \"m7\"", 2),
                                           Pair("rack does not equal \"b3\"", 1)));
  EXPECT_EQ(Reason("a"),
            "waits for an agent that meets its constraints: agent.name is one of \"m1\", \"m7\", "
            "rack does not equal \"b3\"");
  EXPECT_THAT(Sentences(*core().Explain(Key("a"), now()), now().wall),
              Contains("that rack does not equal \"b3\" rules out 1 agent"));
}

TEST_F(ConstraintsTest, WhatWaitsForItsOwnAgentsSaysWhatIsInTheWayThere) {
  AgentIn("b3", "m1", Cpu(1));
  AgentIn("b4", "m2", Cpu(1));
  Submit(Graph({Task("holds").Where(Rack("b4"))}));
  Started();
  Submit(Graph({Task("a").Where(Rack("b4"))}));
  const NoAgent why = WhyNot("a");
  ASSERT_TRUE(why.best);
  EXPECT_EQ(why.best->name, "m2");
  EXPECT_EQ(why.best->obstacle, AgentObstacle::kLacks);
}

TEST_F(ConstraintsTest, WhatMayNotHaveTheSameAgentsDoesNotGoFirst) {
  AgentIn("b3", "m1", Cpu(1));
  AgentIn("b4", "m2", Cpu(1));
  Submit(Graph({Task("x").Priority(9), Task("y").Priority(9)}));
  Started();
  Submit(Graph({Task("other").Where(Rack("b3")).Priority(1), Task("same").Where(Rack("b4")),
                Task("a").Where(Rack("b4"))}));
  const Ahead ahead = core().Explain(Key("a"), now())->ahead;
  ASSERT_THAT(ahead.first, SizeIs(1));
  EXPECT_EQ(ahead.first[0].task.name, "same");
}

TEST_F(ConstraintsTest, TheyHoldAfterARestart) {
  AgentIn("b3", "m", Cpu(1));
  Submit(Graph({Task("a").Where(Rack("b4"))}));
  Restart();
  AgentIn("b3", "m", Cpu(1));
  EXPECT_THAT(Started(), IsEmpty());
  AgentIn("b4", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(ConstraintsTest, TheyHoldForOneThatIsLaunchedAlone) {
  AgentIn("b4", "m1", Cpu(1));
  AgentIn("b3", "m2", Cpu(1));
  Submit(Graph({Task("a").Where(Rack("b4")).Losses(9)}));
  for (int i = 0; i < 2; ++i) {
    EXPECT_THAT(Placed(), ElementsAre("a on m1"));
    LoseAgent("m1");
    AgentIn("b4", "m1", Cpu(1));
    Wait(absl::Minutes(1));
  }
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
  LoseAgent("m1");
  Wait(absl::Minutes(1));
  EXPECT_THAT(Placed(), IsEmpty());
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(ConstraintsTest, AGraphHasALimitedNumberOfDifferentOnes) {
  std::vector<Task> tasks;
  for (size_t i = 0; i <= planner::kMaxGraphConstraints; ++i) {
    tasks.push_back(Task(absl::StrCat("t", i)).Where(Rack(absl::StrCat(i))));
  }
  const absl::Status refused = TrySubmit(Graph(tasks));
  EXPECT_EQ(refused.code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(refused.message(), HasSubstr("1001 different constraints and spreads"));
  tasks.pop_back();
  Submit(Graph(tasks).Open());
  EXPECT_TRUE(Add(Task("known").Where(Rack("7"))).ok());
  EXPECT_EQ(Add(Task("new").Where(Rack("new"))).code(), absl::StatusCode::kResourceExhausted);
}

// --- not where the last attempt failed ---

class AvoidLastFailureTest : public ConstraintsTest {
 protected:
  static Task Avoiding(const std::string& name) {
    return Task(name).AvoidLastFailure().Attempts(9).RetryDelay(absl::Seconds(1));
  }
};

TEST_F(AvoidLastFailureTest, TheNextAttemptIsMadeOnAnotherAgentAfterTheBackOff) {
  AgentIn("b3", "m1", Cpu(1));
  AgentIn("b3", "m2", Cpu(9));
  Submit(Graph({Avoiding("a")}));
  EXPECT_THAT(Placed(), ElementsAre("a on m1")) << "it fits best there";
  Fails("a");
  EXPECT_THAT(Placed(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_THAT(Placed(), ElementsAre("a on m2"));
  Fails("a");
  Wait(absl::Seconds(2));
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
  Succeeds("a");
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(AvoidLastFailureTest, ItWaitsForTheOtherAgentAndSaysSo) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(1));
  Submit(Graph({Avoiding("a").Priority(1), Task("b")}));
  Launches();
  Fails("a");
  Wait(absl::Seconds(1));
  EXPECT_THAT(Placed(), IsEmpty());
  EXPECT_THAT(Reason("a"), HasSubstr("its last attempt failed on agent m"));
  Succeeds("b");
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(AvoidLastFailureTest, WhereNoOtherAgentCouldHaveItItGoesBack) {
  AgentIn("b4", "m1", Cpu(2));
  AgentIn("b3", "m2", Cpu(2));
  AgentIn("b4", "m3", Cpu(1));
  Submit(Graph({Avoiding("a").Needs(Cpu(2)).Where(Rack("b4"))}));
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
  Fails("a");
  Wait(absl::Seconds(1));
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
}

TEST_F(AvoidLastFailureTest, WhenTheOtherAgentIsLostItGoesBack) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(2));
  Submit(Graph({Avoiding("a"), Task("b").Needs(Cpu(2))}));
  Launches();
  Fails("a");
  Wait(absl::Seconds(1));
  EXPECT_THAT(Placed(), IsEmpty());
  LoseAgent("m2");
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
}

TEST_F(AvoidLastFailureTest, IsRememberedOverARestart) {
  AgentIn("b3", "m1", Cpu(1));
  AgentIn("b3", "m2", Cpu(9));
  Submit(Graph({Avoiding("a")}));
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
  Fails("a");
  Restart();
  Notify(std::vector<executor::ClusterEvent>{executor::Connected{}, MakeLease("m1", Cpu(1), 0, {}),
                                             MakeLease("m2", Cpu(9), 0, {})});
  Wait(absl::Seconds(2));
  EXPECT_THAT(Placed(), ElementsAre("a on m2"));
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(AvoidLastFailureTest, AProgramThatCannotBeStartedIsStillTriedOnceElsewhere) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(9));
  Submit(Graph({Avoiding("a")}));
  Fails("a");
  Wait(absl::Seconds(1));
  Launches();
  Ends("a", Outcome::kNotStarted, "no program");
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
  Ends("a", Outcome::kNotStarted, "no program");
  EXPECT_EQ(Reason("a"), "no program; on another agent neither");
}

TEST_F(AvoidLastFailureTest, WithoutItTheNextAttemptIsMadeWhereItFitsBest) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(9));
  Submit(Graph({Task("a").Attempts(9).RetryDelay(absl::Seconds(1))}));
  Launches();
  Fails("a");
  Wait(absl::Seconds(1));
  EXPECT_THAT(Placed(), ElementsAre("a on m1"));
}

}  // namespace
}  // namespace kartograph::scheduler
