// What tasks wait for, in full: one story for each reason.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/explanation_text.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using planner::Quantity;
using planner::TaskState;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class ExplainTest : public ::testing::Test, protected CoreStory {
 protected:
  ExplainTest() : CoreStory(With({}, "db", 40), 4) {}

  Explanation Explained(absl::string_view task) { return *core().Explain(Key(task), now()); }
  std::vector<std::string> Said(absl::string_view task) {
    return Sentences(Explained(task), now().wall);
  }
  static std::vector<std::string> Names(const Holders& holders) {
    std::vector<std::string> names;
    for (const Holder& holder : holders.first) names.push_back(holder.task.name);
    return names;
  }
  static std::vector<std::string> Names(const Ahead& ahead) {
    std::vector<std::string> names;
    for (const Ahead::Task& task : ahead.first) names.push_back(task.task.name);
    return names;
  }
  // So that it is known how long such tasks take.
  void Learn(const planner::ResourceVector& consumption, absl::Duration wall_time) {
    Submit(Graph({Task("learned").Needs(consumption).Priority(1000)}));
    Runs("learned");
    Succeeds("learned", wall_time);
    Started();
  }
};

TEST_F(ExplainTest, NamesTheTasksBeforeItAndHowTheyAre) {
  Agent("m", Cpu(1));
  Learn(Cpu(1), absl::Minutes(4));
  Submit(Graph({Task("a").Priority(1), Task("b"), Task("c").After({"b"}),
                Task("d").After({"a", "b", "c"}), Task("z").After({"d"})}));
  Runs("a");
  Wait(absl::Minutes(1));
  const Explanation explanation = Explained("d");
  EXPECT_EQ(explanation.state, TaskState::kWaiting);
  const auto* waits = explanation.Get<WaitsForTasks>();
  ASSERT_NE(waits, nullptr);
  EXPECT_EQ(waits->count, 3);
  ASSERT_THAT(waits->tasks, SizeIs(3));
  EXPECT_EQ(waits->tasks[0].task.name, "a");
  EXPECT_EQ(waits->tasks[0].state, TaskState::kRunning);
  EXPECT_EQ(waits->tasks[0].agent, "m");
  EXPECT_EQ(waits->tasks[0].remaining, absl::Minutes(3));
  EXPECT_EQ(waits->tasks[1].state, TaskState::kReady);
  EXPECT_THAT(explanation.expected.unknown, HasSubstr("before it"));
  // What is at the beginning of the chain is named as well.
  const Explanation last = Explained("z");
  ASSERT_TRUE(last.Get<WaitsForTasks>()->root);
  EXPECT_EQ(last.Get<WaitsForTasks>()->root->task.name, "a");
  EXPECT_THAT(Said("z"), Contains(AllOf(HasSubstr("beginning of that chain"),
                                        HasSubstr("\"a\" is running on agent m for 1 min"))));
}

TEST_F(ExplainTest, WhatComesAfterRunningTasksIsReadyWhenTheLastOfThemEnds) {
  Agent("m", Cpu(4));
  Learn(Cpu(1), absl::Minutes(4));
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"a", "b"})}));
  Runs("a");
  Runs("b");
  Wait(absl::Minutes(1));
  EXPECT_EQ(Explained("c").expected.within, absl::Minutes(3));
  EXPECT_THAT(Said("c"), Contains("is expected to become ready in about 3 min 00 s"));
}

TEST_F(ExplainTest, NamesWhoHoldsThePoolSinceWhenAndWhenItIsExpectedToBeFree) {
  Agent("m", Cpu(4));
  const planner::ResourceVector load = With(Cpu(1), "db", 20);
  Learn(load, absl::Minutes(5));
  Submit(Graph(
      {Task("load_DE").Needs(load), Task("load_FR").Needs(load), Task("load_IT").Needs(load)}));
  Runs("load_DE");
  Runs("load_FR");
  Wait(absl::Minutes(2));
  const Explanation explanation = Explained("load_IT");
  const auto* pool = explanation.Get<PoolShort>();
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->pool.name(), "db");
  EXPECT_EQ(pool->need, Quantity::Of(20));
  EXPECT_EQ(pool->capacity, Quantity::Of(40));
  EXPECT_EQ(pool->free, Quantity());
  EXPECT_EQ(pool->holders.count, 2);
  EXPECT_THAT(Names(pool->holders), ElementsAre("load_DE", "load_FR"));
  EXPECT_EQ(pool->holders.first[0].quantity, Quantity::Of(20));
  EXPECT_EQ(pool->holders.first[0].since, now().wall - absl::Minutes(2));
  EXPECT_EQ(pool->holders.first[0].agent, "m");
  EXPECT_EQ(pool->holders.first[0].remaining, absl::Minutes(3));
  EXPECT_EQ(explanation.expected.within, absl::Minutes(3));
  EXPECT_THAT(
      Said("load_IT"),
      ElementsAre("waits for pool db: needs 20, 0 of 40 free, held by \"load_DE\" of g2 "
                  "(20), \"load_FR\" of g2 (20)",
                  "\"load_DE\" of g2 holds 20 on agent m for 2 min 00 s, expected to end in "
                  "about 3 min 00 s",
                  "\"load_FR\" of g2 holds 20 on agent m for 2 min 00 s, expected to end in "
                  "about 3 min 00 s",
                  "what it lacks is kept for it", "is expected to start in about 3 min 00 s"));
}

TEST_F(ExplainTest, OfManyHoldersThoseThatHoldTheMostAreNamed) {
  Agent("m", Cpu(40));
  Agent("n", Cpu(40));
  std::vector<Task> tasks;
  for (int i = 1; i <= 8; ++i) {
    tasks.push_back(Task("t" + std::to_string(i)).Needs(With(Cpu(1), "db", i)));
  }
  tasks.push_back(Task("large").Needs(With(Cpu(1), "db", 5)).Priority(-1));
  Submit(Graph(tasks));
  const Explanation explanation = Explained("large");
  const auto* pool = explanation.Get<PoolShort>();
  ASSERT_NE(pool, nullptr);
  EXPECT_EQ(pool->holders.count, 8);
  EXPECT_THAT(Names(pool->holders), ElementsAre("t8", "t7", "t6", "t5", "t4"));
  EXPECT_THAT(explanation.expected.unknown, HasSubstr("nothing that consumes the same has ended"));
  EXPECT_THAT(Said("large"), Contains("3 other tasks hold less or as much"));
}

TEST_F(ExplainTest, NamesWhatIsMissingOnTheBestAgentAndWhoHoldsIt) {
  Agent("m", Cpu(4));
  Agent("n", Cpu(2));
  Agent("o", Cpu(1));
  Learn(Cpu(3), absl::Minutes(10));
  Submit(Graph({Task("a").Needs(Cpu(3)).Priority(1)}));
  Submit(Graph({Task("c").Needs(Cpu(2))}));
  EXPECT_EQ(State("c"), "launching") << "on n";
  Submit(Graph({Task("d").Needs(Cpu(3))}));
  const Explanation explanation = Explained("d");
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  ASSERT_TRUE(why->best);
  EXPECT_EQ(why->best->name, "m");
  EXPECT_EQ(why->best->obstacle, AgentObstacle::kLacks);
  ASSERT_THAT(why->best->shortages, SizeIs(1));
  EXPECT_EQ(why->best->shortages[0].need - why->best->shortages[0].free, Quantity::Of(2));
  EXPECT_THAT(Names(why->best->holders), ElementsAre("a"));
  EXPECT_THAT(why->agents,
              ElementsAre(Pair(AgentObstacle::kTooSmall, 2), Pair(AgentObstacle::kLacks, 1)));
  EXPECT_EQ(explanation.expected.within, absl::Minutes(10));
  EXPECT_THAT(Said("d"), Contains("of cpu, 2 more is needed on agent m"));
  EXPECT_THAT(Said("d"), Contains("of 3 agents: 2 too small, 1 with too little free"));
}

TEST_F(ExplainTest, SaysWhatGoesFirstAndWhy) {
  Agent("m", Cpu(1));
  Learn(Cpu(1), absl::Minutes(1));
  Submit(Graph({Task("holds").Priority(9)}));
  Submit(Graph({Task("early")}));
  Submit(Graph({Task("urgent").Priority(5)}));
  Submit(Graph({Task("a"), Task("after").After({"a"}), Task("b"), Task("c"), Task("d")}));
  const Explanation explanation = Explained("c");
  EXPECT_EQ(explanation.ahead.count, 4);
  EXPECT_THAT(Names(explanation.ahead), ElementsAre("urgent", "early", "a", "b"));
  EXPECT_EQ(explanation.ahead.first[0].by, GoesFirstBy::kPriority);
  EXPECT_EQ(explanation.ahead.first[0].priority, 5);
  EXPECT_EQ(explanation.ahead.first[1].by, GoesFirstBy::kGraph);
  EXPECT_EQ(explanation.ahead.first[2].by, GoesFirstBy::kPath);
  EXPECT_EQ(explanation.ahead.first[3].by, GoesFirstBy::kAge);
  // One after the other, a minute each: "holds", then the four.
  EXPECT_EQ(explanation.expected.within, absl::Minutes(5));
  EXPECT_EQ(Reason("c"),
            "waits for cpu: needs 1; agent m has 0 of 1 free, held by \"holds\" of g2 (1); "
            "\"urgent\" of g4 goes first");
  EXPECT_THAT(
      Said("c"),
      Contains("4 tasks go first: \"urgent\" of g4 (priority 5), \"early\" of g3 (its graph "
               "is older or nearer to its end), \"a\" of g5 (more comes after it), \"b\" "
               "of g5 (it was submitted earlier)"));
}

TEST_F(ExplainTest, WhatWaitsForSomethingElseDoesNotGoFirst) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("holds").Needs(With(Cpu(1), "db", 40)).Priority(9),
                Task("waits").Needs(With(Cpu(1), "db", 1)).Priority(5),
                Task("wide").Needs(Cpu(1)).Priority(4), Task("a").Needs(Cpu(1))}));
  EXPECT_THAT(Names(Explained("a").ahead), ElementsAre("wide"));
}

TEST_F(ExplainTest, SaysForWhichTaskAPoolIsKeptAndThatItIsKept) {
  Agent("m", Cpu(40));
  const planner::GraphId small = Submit(
      Graph({Task("s1").Needs(With(Cpu(1), "db", 20)), Task("s2").Needs(With(Cpu(1), "db", 15))}));
  Submit(Graph({Task("large").Needs(With(Cpu(1), "db", 40))}));
  Wait(Reservations::kPatience);
  EXPECT_NE(Explained("large").Get<PoolsReserved>(), nullptr);
  Submit(Graph({Task("later").Needs(With(Cpu(1), "db", 5)).Priority(-1)}));
  const Explanation explanation = Explained("later");
  const auto* kept = explanation.Get<PoolKept>();
  ASSERT_NE(kept, nullptr);
  EXPECT_EQ(kept->kept_for.name, "large");
  EXPECT_EQ(kept->free, Quantity::Of(5));
  EXPECT_THAT(Names(explanation.ahead), ElementsAre("large"));
  (void)small;
}

TEST_F(ExplainTest, SaysForWhichTaskAnAgentIsKeptAndThatItIsKept) {
  Agent("m", Cpu(2));
  const planner::GraphId small = Submit(Graph({Task("s1"), Task("s2"), Task("s3")}));
  Submit(Graph({Task("large").Needs(Cpu(2)).Priority(1)}));
  Wait(Reservations::kPatience);
  const Explanation large = Explained("large");
  ASSERT_NE(large.Get<AgentReserved>(), nullptr);
  EXPECT_EQ(large.Get<AgentReserved>()->agent, "m");
  GoOnWith(small);
  Succeeds("s1");
  const Explanation explanation = Explained("s3");
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  EXPECT_EQ(why->best->obstacle, AgentObstacle::kKept);
  EXPECT_EQ(why->best->kept_for->name, "large");
}

TEST_F(ExplainTest, SaysUntilWhenItBacksOffAndWhichAttemptComes) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).RetryDelay(absl::Seconds(10))}));
  Fails("a");
  Wait(absl::Seconds(4));
  const Explanation explanation = Explained("a");
  const auto* back_off = explanation.Get<BacksOff>();
  ASSERT_NE(back_off, nullptr);
  EXPECT_EQ(back_off->until, now().wall + absl::Seconds(6));
  EXPECT_EQ(back_off->attempt, 2);
  EXPECT_EQ(back_off->max_attempts, 3);
  EXPECT_EQ(explanation.expected.within, absl::Seconds(6));
}

TEST_F(ExplainTest, NamesTheAgentThatIsSetAsideAndUntilWhen) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Ends("a", Outcome::kAgentFailed, "no space left on device");
  const Explanation explanation = Explained("a");
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  EXPECT_EQ(why->best->obstacle, AgentObstacle::kFailing);
  EXPECT_EQ(why->best->failure, "no space left on device");
  EXPECT_EQ(why->best->set_aside_until, now().wall + absl::Seconds(1));
}

TEST_F(ExplainTest, NamesTheAgentWhoseSlotsAreTaken) {
  Agent("m", Cpu(40));
  Submit(Graph({Task("a"), Task("b"), Task("c"), Task("d"), Task("e").Priority(-1)}));
  const Explanation explanation = Explained("e");
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  EXPECT_EQ(why->best->obstacle, AgentObstacle::kNoSlot);
  EXPECT_EQ(why->best->slots, 4);
  EXPECT_EQ(why->best->holders.count, 4);
}

TEST_F(ExplainTest, NamesWhatRunsAloneAndWhatWaitsForItsTurnToDoSo) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}));
  for (int i = 0; i < 2; ++i) {
    Wait(absl::Seconds(30));
    LoseAgent("m");
    Agent("m", Cpu(2));
  }
  Wait(absl::Seconds(30));
  ASSERT_EQ(State("a"), "launching");
  const Explanation b = Explained("b");
  ASSERT_NE(b.Get<LaunchedAlone>(), nullptr);
  EXPECT_EQ(b.Get<LaunchedAlone>()->losses, 2);
  ASSERT_NE(b.Get<NoAgent>(), nullptr);
  EXPECT_EQ(b.Get<NoAgent>()->best->obstacle, AgentObstacle::kAlone);
  EXPECT_EQ(b.Get<NoAgent>()->best->kept_for->name, "a");
}

TEST_F(ExplainTest, SaysThatAnAgentMustBeIdleForWhatIsLaunchedAlone) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a")}));
  for (int i = 0; i < 2; ++i) {
    Wait(absl::Seconds(30));
    LoseAgent("m");
    if (i == 0) Agent("m", Cpu(4));
  }
  const planner::GraphId suspect = 1;
  Agent("m", Cpu(4));
  Submit(Graph({Task("other").Needs(Cpu(3))}));
  ASSERT_EQ(State("other"), "launching") << "a waits out its delay";
  Wait(absl::Seconds(30));
  GoOnWith(suspect);
  ASSERT_EQ(State("a"), "ready");
  const Explanation explanation = Explained("a");
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  EXPECT_EQ(why->best->obstacle, AgentObstacle::kBusy);
  EXPECT_THAT(Names(why->best->holders), ElementsAre("other"));
  EXPECT_THAT(Reason("a"),
              HasSubstr("waits for an agent that runs nothing else; m runs \"other\""));
}

TEST_F(ExplainTest, NamesTheAgentThatItAvoids) {
  Agent("m", Cpu(1));
  Agent("n", Cpu(1));
  Submit(Graph({Task("holds").Priority(9), Task("a").Attempts(3).RetryDelay({})}));
  Started();
  Ends("a", Outcome::kNotStarted, "no program");
  const Explanation explanation = Explained("a");
  ASSERT_NE(explanation.Get<AvoidsAgent>(), nullptr);
  const auto* why = explanation.Get<NoAgent>();
  ASSERT_NE(why, nullptr);
  EXPECT_THAT(why->agents, ::testing::UnorderedElementsAre(Pair(AgentObstacle::kAvoided, 1),
                                                           Pair(AgentObstacle::kLacks, 1)));
}

TEST_F(ExplainTest, SaysThatTheClusterIsNotThereOrHasOfferedNothing) {
  Submit(Graph({Task("a")}));
  EXPECT_NE(Explained("a").Get<ClusterAway>(), nullptr);
  Connect();
  EXPECT_NE(Explained("a").Get<NothingOffered>(), nullptr);
}

TEST_F(ExplainTest, SaysThatItCanNeverRun) {
  Submit(Graph({Task("wide").Needs(Cpu(16))}));
  Agent("m", Cpu(2));
  const Explanation explanation = Explained("wide");
  ASSERT_NE(explanation.Get<NeverFits>(), nullptr);
  EXPECT_EQ(explanation.Get<NeverFits>()->most, Quantity::Of(2));
  EXPECT_EQ(explanation.expected.unknown, "it can never start as things are");
}

TEST_F(ExplainTest, SaysThatAnAgentLeavesTooSoon) {
  Connect();
  Submit(Graph({Task("a").Timeout(absl::Minutes(10))}));
  executor::Offer offer = MakeOffer("o", "m", Cpu(1));
  offer.unavailable_from = now().wall + absl::Minutes(9);
  Notify(std::move(offer));
  const Explanation explanation = Explained("a");
  ASSERT_NE(explanation.Get<NoAgent>(), nullptr);
  EXPECT_EQ(explanation.Get<NoAgent>()->best->obstacle, AgentObstacle::kLeaves);
  EXPECT_EQ(explanation.Get<NoAgent>()->best->expected, absl::Minutes(10));
}

TEST_F(ExplainTest, SaysThatNothingIsOffered) {
  Connect();
  Offer("o", "m", Cpu(1));
  Submit(Graph({Task("a")}));
  const Explanation explanation = Explained("a");
  ASSERT_NE(explanation.Get<NoAgent>(), nullptr);
  EXPECT_EQ(explanation.Get<NoAgent>()->best->obstacle, AgentObstacle::kNotOffered);
  EXPECT_EQ(explanation.expected.unknown, "what the cluster offers next is not known");
}

TEST_F(ExplainTest, TellsOfAttempts) {
  Agent("m", Cpu(2), /*backlog=*/8);
  Learn(Cpu(2), absl::Milliseconds(10));
  Submit(Graph({Task("a").Needs(Cpu(2)).Priority(1), Task("b").Needs(Cpu(2))}));
  EXPECT_NE(Explained("a").Get<BeingStarted>(), nullptr);
  EXPECT_NE(Explained("b").Get<InAgentBacklog>(), nullptr);
  Runs("a");
  Wait(absl::Seconds(7));
  const Explanation running = Explained("a");
  ASSERT_NE(running.Get<IsRunning>(), nullptr);
  EXPECT_EQ(running.Get<IsRunning>()->agent, "m");
  EXPECT_EQ(running.Get<IsRunning>()->since, now().wall - absl::Seconds(7));
  EXPECT_EQ(running.Get<IsRunning>()->attempt, 1U);
  EXPECT_THAT(Said("a"), ElementsAre(HasSubstr("runs on agent m for 7.0 s (attempt 1)")));
  ASSERT_TRUE(Cancel("a").ok());
  EXPECT_NE(Explained("a").Get<BeingCancelled>(), nullptr);
  OutOfReach("a");
  EXPECT_NE(Explained("a").Get<scheduler::OutOfReach>(), nullptr);
  Disconnect();
  EXPECT_NE(Explained("b").Get<FateUnknown>(), nullptr);
}

TEST_F(ExplainTest, SaysThatTheServiceStops) {
  Agent("m", Cpu(1));
  core().StopLaunching();
  Submit(Graph({Task("a")}));
  EXPECT_NE(Explained("a").Get<ServiceStops>(), nullptr);
}

TEST_F(ExplainTest, SaysThatItIsAboutToStartBeforeThePlanDoes) {
  Agent("m", Cpu(2));
  std::vector<std::string> said;
  BeforePlan([&] {
    for (planner::TaskIndex i = 0; i < 2; ++i) {
      said.push_back(OneLine(core().Explain(planner::TaskKey::Of(1, i), now())->reasons));
    }
  });
  Submit(Graph({Task("a"), Task("b")}));
  EXPECT_EQ(said[0], "is about to be started");
  EXPECT_EQ(said[1], "") << "nothing keeps it, but another goes first";
}

TEST_F(ExplainTest, KnowsNothingOfWhatIsNotThere) {
  EXPECT_FALSE(core().Explain(planner::TaskKey::Of(7, 0), now()));
  Submit(Graph({Task("a")}));
  EXPECT_FALSE(core().Explain(planner::TaskKey::Of(1, 1), now()));
}

}  // namespace
}  // namespace kartograph::scheduler
