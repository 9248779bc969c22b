// What gives way to tasks of higher priority.
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
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class PreemptionTest : public ::testing::Test, protected CoreStory {
 protected:
  PreemptionTest() : CoreStory(With({}, "db", 10)) { core().SetPreemptAfter(absl::Minutes(1)); }

  void Passes(absl::Duration time) {
    for (absl::Duration passed; passed < time; passed += absl::Seconds(1)) Wait(absl::Seconds(1));
  }
  planner::GraphId Low(int tasks, const planner::ResourceVector& needs = Cpu(1)) {
    std::vector<Task> all;
    for (int i = 0; i < tasks; ++i) {
      all.push_back(Task(absl::StrCat("low", i)).Needs(needs).Preemptible());
    }
    const planner::GraphId graph = Submit(Graph(all));
    for (const std::string& name : Started()) Runs(name);
    return graph;
  }
  Task High(const planner::ResourceVector& needs) { return Task("high").Needs(needs).Priority(10); }
};

TEST_F(PreemptionTest, AfterItsTimeTheYoungestGiveWayAndRunAgain) {
  Agent("m", Cpu(4));
  const planner::GraphId low = Low(3);
  Passes(absl::Seconds(5));
  const planner::GraphId later = Submit(Graph({Task("later").Preemptible()}));
  Runs("later");
  Started();
  const planner::GraphId high = Submit(Graph({High(Cpu(2))}));
  Passes(absl::Seconds(59));
  EXPECT_THAT(Cancels(), IsEmpty());
  Passes(absl::Seconds(2));
  // Of those that started at the same time, one.
  EXPECT_THAT(Cancels(), ElementsAre("g2.0.1", "g1.0.1"));
  GoOnWith(later);
  EXPECT_THAT(Reason("later"),
              HasSubstr("is being preempted for \"high\" of g3, which has priority 10"));
  Passes(absl::Minutes(2));
  EXPECT_THAT(Cancels(), IsEmpty()) << "as long as these end";
  Ends("later", Outcome::kCancelled);
  GoOnWith(low);
  Ends("low0", Outcome::kCancelled);
  EXPECT_THAT(Started(), ElementsAre("high"));
  EXPECT_EQ(State("low0"), "ready");
  EXPECT_THAT(Reason("low0"), HasSubstr("waits for cpu"));
  EXPECT_EQ(core().totals().ended_by_outcome[static_cast<int>(Outcome::kPreempted)], 2);
  GoOnWith(high);
  Runs("high");
  Succeeds("high");
  EXPECT_THAT(Started(), UnorderedElementsAre("low0", "later"));
  GoOnWith(low);
  Succeeds("low0");
  EXPECT_EQ(State("low0"), "succeeded");
}

TEST_F(PreemptionTest, OnlyWhatIsMarkedAndOfLowerPriorityGivesWay) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b").Preemptible().Priority(10)}));
  Runs("a");
  Runs("b");
  Started();
  Submit(Graph({High(Cpu(1))}));
  Passes(absl::Minutes(3));
  EXPECT_THAT(Cancels(), IsEmpty());
}

TEST_F(PreemptionTest, NothingIsEndedInVain) {
  Agent("m", Cpu(4));
  Low(2);
  Submit(Graph({Task("a").Needs(Cpu(2))}));
  Runs("a");
  Started();
  Submit(Graph({High(Cpu(3))}));
  Passes(absl::Minutes(3));
  EXPECT_THAT(Cancels(), IsEmpty());
}

TEST_F(PreemptionTest, UnitsOfPoolsAreGivenWayTo) {
  Agent("m", Cpu(2));
  Agent("n", Cpu(16));
  Low(5, With(Cpu(1), "db", 2));
  Submit(Graph({High(With(Cpu(1), "db", 3))}));
  Passes(absl::Seconds(62));
  EXPECT_EQ(Cancels().size(), 2u);
}

TEST_F(PreemptionTest, WhatSucceedsMeanwhileHasSucceeded) {
  Agent("m", Cpu(1));
  const planner::GraphId low = Low(1);
  Submit(Graph({High(Cpu(1))}));
  Passes(absl::Seconds(62));
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  GoOnWith(low);
  Succeeds("low0");
  EXPECT_EQ(State("low0"), "succeeded");
  EXPECT_THAT(Started(), ElementsAre("high"));
}

TEST_F(PreemptionTest, ACancelThatIsLostIsSentAgainAndARestartLosesNothing) {
  Agent("m", Cpu(1));
  const planner::GraphId low = Low(1);
  Submit(Graph({High(Cpu(1))}));
  Passes(absl::Seconds(62));
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  Disconnect();
  Connect();
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  Restart();
  Agent("m", Cpu(1));
  GoOnWith(low);
  Ends("low0", Outcome::kCancelled);
  EXPECT_THAT(Started(), ElementsAre("high"));
  EXPECT_EQ(State("low0"), "ready");
}

TEST_F(PreemptionTest, ItIsOffUntilItIsSet) {
  core().SetPreemptAfter(absl::InfiniteDuration());
  Agent("m", Cpu(1));
  Low(1);
  Submit(Graph({High(Cpu(1))}));
  Passes(absl::Minutes(10));
  EXPECT_THAT(Cancels(), IsEmpty());
}

}  // namespace
}  // namespace kartograph::scheduler
