// Whose turn it is when there are several graphs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class OrderTest : public ::testing::Test, protected CoreStory {
 protected:
  explicit OrderTest(planner::ResourceVector pools = {}) : CoreStory(std::move(pools)) {}
  static Graph Chain(const std::string& name, int tasks) {
    std::vector<Task> all;
    for (int i = 0; i < tasks; ++i) {
      all.push_back(Task(absl::StrCat(name, i)));
      if (i > 0) all.back().After({absl::StrCat(name, i - 1)});
    }
    return Graph(all);
  }
  static Graph Independent(const std::string& name, int tasks) {
    std::vector<Task> all;
    for (int i = 0; i < tasks; ++i) all.push_back(Task(absl::StrCat(name, i)));
    return Graph(all);
  }
  // So long takes a task, as far as is known from now on. Needs an agent that is idle.
  void Learn(absl::Duration wall_time) {
    Submit(Independent("learn", 1));
    Started();
    Succeeds("learn0", wall_time);
  }
};

TEST_F(OrderTest, WhatIsSmallGoesBeforeWhatIsLargeAndOlder) {
  Agent("m", Cpu(1));
  Learn(absl::Seconds(1));
  const planner::GraphId large = Submit(Independent("large", 2000));
  EXPECT_THAT(Started(), ElementsAre("large0"));
  Wait(absl::Seconds(1));
  const planner::GraphId chain = Submit(Chain("chain", 3));
  GoOnWith(large);
  Succeeds("large0", absl::Seconds(1));
  EXPECT_THAT(Started(), ElementsAre("chain0"));
  GoOnWith(chain);
  for (int i = 0; i < 2; ++i) {
    Succeeds(absl::StrCat("chain", i), absl::Seconds(1));
    EXPECT_THAT(Started(), ElementsAre(absl::StrCat("chain", i + 1)));
  }
}

TEST_F(OrderTest, LongPathsOfOneGraphDoNotHoldUpAnother) {
  Submit(Chain("long", 754));
  Wait(absl::Seconds(1));
  Submit(Chain("two", 2));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("two0"));
}

TEST_F(OrderTest, WhatIsNearlyDoneGoesFirst) {
  Agent("m", Cpu(1));
  const planner::GraphId first = Submit(Independent("first", 10));
  const planner::GraphId second = Submit(Independent("second", 8));
  for (int i = 0; i < 7; ++i) {
    GoOnWith(second);
    if (i > 0) {
      Succeeds(absl::StrCat("second", i - 1));
    } else {
      GoOnWith(first);
      EXPECT_THAT(Started(), ElementsAre("first0"));
      Succeeds("first0");
    }
    EXPECT_THAT(Started(), ElementsAre(absl::StrCat("second", i)));
  }
}

TEST_F(OrderTest, PriorityGoesBeforeAll) {
  Submit(Independent("small", 1));
  Submit(Graph({Task("large0").Priority(1), Task("large1"), Task("large2")}));
  Agent("m", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("large0", "small0"));
}

// Whatever comes later, a large graph has its turn after about as long as it takes by itself.
TEST_F(OrderTest, NoGraphWaitsForEver) {
  Agent("m", Cpu(1));
  Learn(absl::Seconds(1));
  planner::GraphId running = Submit(Independent("other", 1));
  std::string task = Started()[0];
  const planner::GraphId large = Submit(Independent("large", 60));
  int rounds = 0;
  // Each time one ends, a small graph has come meanwhile.
  while (running != large) {
    ASSERT_LT(++rounds, 200);
    Wait(absl::Seconds(1));
    const planner::GraphId small = Submit(Independent("small", 1));
    GoOnWith(running);
    Succeeds(task, absl::Seconds(1));
    const std::vector<executor::Launch> launches = Launches();
    ASSERT_THAT(launches, SizeIs(1));
    task = launches[0].task_name;
    running = launches[0].attempt.task().graph();
    ASSERT_TRUE(running == small || running == large);
  }
  EXPECT_GE(rounds, 50);
  EXPECT_LE(rounds, 70);
}

TEST_F(OrderTest, WhatWaitsOnAnAgentGivesWay) {
  Agent("m", Cpu(1), 100);
  Learn(absl::Milliseconds(10));
  const planner::GraphId large = Submit(Independent("large", 2000));
  std::vector<executor::Launch> launches = Launches();
  ASSERT_GT(launches.size(), 3u);
  EXPECT_EQ(launches[0].backlog_order, "") << "it starts at once";
  Wait(absl::Milliseconds(10));
  const planner::GraphId chain = Submit(Chain("chain", 3));
  GoOnWith(large);
  Succeeds("large0", absl::Milliseconds(10));
  // Something has begun meanwhile, and room was made in the backlog.
  const std::vector<executor::Launch> next = Launches();
  ASSERT_THAT(next, ::testing::Not(::testing::IsEmpty()));
  EXPECT_EQ(next[0].task_name, "chain0");
  EXPECT_LT(next[0].backlog_order, launches[1].backlog_order);
  (void)chain;
}

// --- within a graph ---

class WithinAGraphTest : public OrderTest {
 protected:
  // A chain of few long tasks beside one of many short ones.
  static Graph LongAndShort(absl::Duration long_one, absl::Duration short_one) {
    std::vector<Task> tasks;
    for (int i = 0; i < 6; ++i) {
      tasks.push_back(Task(absl::StrCat("short-", i)).Expected(short_one));
      if (i > 0) tasks.back().After({absl::StrCat("short-", i - 1)});
    }
    tasks.push_back(Task("long-0").Expected(long_one));
    tasks.push_back(Task("long-1").Expected(long_one).After({"long-0"}));
    return Graph(tasks);
  }
};

TEST_F(WithinAGraphTest, WithoutDurationsTheLongestPathInTasksGoesFirst) {
  Submit(LongAndShort(absl::ZeroDuration(), absl::ZeroDuration()));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("short-0"));
}

TEST_F(WithinAGraphTest, WhatIsExpectedToTakeLongGoesBeforeManyShortOnes) {
  Submit(LongAndShort(absl::Minutes(10), absl::Seconds(1)));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("long-0"));
}

TEST_F(WithinAGraphTest, WhatTookLongGoesBeforeManyShortOnesAndARestartForgetsNothing) {
  Agent("m", Cpu(1));
  Submit(LongAndShort(absl::ZeroDuration(), absl::ZeroDuration()));
  for (auto started = Started(); !started.empty(); started = Started()) {
    ASSERT_THAT(started, SizeIs(1));
    Succeeds(started[0], started[0][0] == 'l' ? absl::Minutes(10) : absl::Seconds(1));
  }
  EXPECT_EQ(GraphState(), "succeeded");
  Restart();
  Submit(LongAndShort(absl::ZeroDuration(), absl::ZeroDuration()));
  Restart();
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("long-0"));
  // What its author says goes before what was learnt.
  ASSERT_TRUE(CancelGraph().ok());
  Ends("long-0", planner::Outcome::kCancelled);
  Submit(LongAndShort(absl::Seconds(1), absl::Seconds(10)));
  EXPECT_THAT(Started(), ElementsAre("short-0"));
}

TEST_F(WithinAGraphTest, OneOfWhichNothingIsKnownCountsAsTheOthersOnAverage) {
  Submit(Graph({Task("shortest").Expected(absl::Seconds(10)), Task("unknown"),
                Task("longest").Expected(absl::Seconds(30))}));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("longest"));
  Succeeds("longest", absl::Seconds(30));
  EXPECT_THAT(Started(), ElementsAre("unknown"));
}

TEST_F(WithinAGraphTest, WhatIsAddedIsOrderedByDurationToo) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("first")}).Open());
  ASSERT_TRUE(Add(Task("short").Expected(absl::Seconds(1))).ok());
  ASSERT_TRUE(Add(Task("long").Expected(absl::Hours(1))).ok());
  Started();
  Succeeds("first", absl::Seconds(1));
  EXPECT_THAT(Started(), ElementsAre("long"));
}

class ScarceTest : public OrderTest {
 protected:
  ScarceTest() : OrderTest({{planner::Resource::Named("db"), planner::Quantity::Of(2)}}) {}
};

TEST_F(ScarceTest, OfEquallyLongTasksTheOneThatTakesWhatIsScarceGoesFirst) {
  Agent("m", Cpu(8));
  const planner::GraphId before = Submit(Graph({Task("first").Needs(Cpu(8))}));
  Started();
  Submit(Graph({Task("cheap").Needs(Cpu(4)), Task("scarce").Needs(With(Cpu(4), "db", 2)),
                Task("half").Needs(With(Cpu(4), "db", 1))}));
  GoOnWith(before);
  Succeeds("first", absl::Seconds(1));
  EXPECT_THAT(Started(), ElementsAre("scarce", "cheap"));
}

TEST_F(OrderTest, AgesAreThoseOfBeforeARestart) {
  Submit(Independent("old", 5));
  Wait(absl::Hours(1));
  Submit(Independent("new", 4));
  Wait(absl::Hours(1));
  Restart();
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("old0"));
}

TEST_F(OrderTest, AWrongClockPutsNothingIntoTheFuture) {
  Submit(Independent("old", 5));
  StepWall(-absl::Hours(24 * 365));
  Restart();
  Wait(absl::Seconds(1));
  Submit(Independent("new", 5));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("old0"));
}

}  // namespace
}  // namespace kartograph::scheduler
