// When a graph is expected to end.
#include "scheduler/end_outlook.h"

#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

class EndOutlookTest : public ::testing::Test, protected CoreStory {
 protected:
  EndOutlookTest() : CoreStory(With({}, "db", 2)) {}

  // Nothing where it cannot be told.
  std::optional<absl::Duration> Remaining(planner::GraphId graph, size_t max_tasks = 1000) {
    const auto outlook = core().Outlook(graph, max_tasks, now());
    if (!outlook) return std::nullopt;
    EXPECT_TRUE(planner::CheckProject(outlook->project).ok());
    EXPECT_EQ(outlook->order.size(), outlook->project.size());
    return outlook->ExpectedRemaining();
  }
  static Task Takes(const std::string& name, int minutes) {
    return Task(name).Expected(absl::Minutes(minutes));
  }
};

TEST_F(EndOutlookTest, ThePathDecidesWhereThereIsEnoughOfEverything) {
  Agent("m", Cpu(8));
  const auto graph =
      Submit(Graph({Takes("a", 10), Takes("b", 20).After({"a"}), Takes("c", 5).After({"a"})}));
  EXPECT_EQ(Remaining(graph), absl::Minutes(30));
}

TEST_F(EndOutlookTest, WhatRunsIsExpectedToGoOnForWhatIsLeftOfIt) {
  Agent("m", Cpu(1));
  const auto graph = Submit(Graph({Takes("a", 10), Takes("b", 20).After({"a"})}));
  Runs("a");
  Wait(absl::Minutes(4));
  EXPECT_EQ(Remaining(graph), absl::Minutes(26));
  Succeeds("a");
  EXPECT_EQ(Remaining(graph), absl::Minutes(20));
}

TEST_F(EndOutlookTest, TasksWaitForAgentsAndPools) {
  Agent("m", Cpu(8));
  std::vector<Task> tasks;
  for (int i = 0; i < 6; ++i) {
    tasks.push_back(Takes(absl::StrCat("load", i), 10).Needs(With(Cpu(1), "db", 1)));
  }
  EXPECT_EQ(Remaining(Submit(Graph(tasks))), absl::Minutes(30));
}

TEST_F(EndOutlookTest, WhatOthersRunHoldsWhatItHas) {
  Agent("m", Cpu(1));
  Submit(Graph({Takes("other", 30)}));
  const auto graph = Submit(Graph({Takes("a", 10)}));
  EXPECT_EQ(Remaining(graph), absl::Minutes(40));
}

TEST_F(EndOutlookTest, NothingIsSaidOfWhatCannotBeTold) {
  Agent("m", Cpu(1));
  EXPECT_EQ(Remaining(Submit(Graph({Takes("a", 10)}).Open())), std::nullopt);
  EXPECT_EQ(Remaining(Submit(Graph({Task("a"), Task("b"), Takes("c", 10)}))), std::nullopt);
  const auto graph = Submit(Graph({Takes("a", 10), Takes("b", 10)}));
  EXPECT_EQ(Remaining(graph, 1), std::nullopt);
  EXPECT_TRUE(Remaining(graph, 2).has_value());
  EXPECT_EQ(Remaining(graph + 1), std::nullopt) << "there is no such graph";
}

TEST_F(EndOutlookTest, NothingIsSaidOfAGraphWhoseTasksAreSpread) {
  Agent("m", Cpu(2));
  EXPECT_EQ(Remaining(Submit(
                Graph({Takes("a", 10).Spread("workers", 1), Takes("b", 10).Spread("workers", 1)}))),
            std::nullopt);
}

TEST_F(EndOutlookTest, WhatWasLearntOfTheConsumptionWillDo) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Succeeds("a", absl::Minutes(7));
  const auto graph = Submit(Graph({Task("b"), Task("c")}));
  EXPECT_EQ(Remaining(graph), absl::Minutes(14));
}

// Seven of ten take a minute, and three take twenty.
class MixedKindTest : public EndOutlookTest {
 protected:
  MixedKindTest() {
    Agent("m", Cpu(10));
    Submit(Tiles());
    for (int i = 0; i < 10; ++i) {
      Succeeds(absl::StrCat("tile-", i), absl::Minutes(i % 3 == 1 ? 20 : 1));
    }
  }
  static Graph Tiles() {
    std::vector<Task> tiles;
    for (int i = 0; i < 10; ++i) tiles.push_back(Task(absl::StrCat("tile-", i)));
    return Graph(tiles);
  }
  double RemainingMinutes(planner::GraphId graph) {
    return absl::ToDoubleMinutes(Remaining(graph).value_or(absl::ZeroDuration()));
  }
};

TEST_F(MixedKindTest, ManyAtOnceEndWithTheLongest) {
  EXPECT_NEAR(RemainingMinutes(Submit(Tiles())), 20, 1);
}

TEST_F(MixedKindTest, OneAfterTheOtherTakesWhatAllTakeTogether) {
  LoseAgent("m");
  Agent("small", Cpu(1));
  EXPECT_NEAR(RemainingMinutes(Submit(Tiles())), 67, 25);
}

TEST_F(MixedKindTest, WhatHasRunForLongIsOneOfTheLongOnes) {
  const auto graph = Submit(Graph({Task("tile-1")}));
  Runs("tile-1");
  EXPECT_LT(RemainingMinutes(graph), 2) << "most are short";
  Wait(absl::Minutes(5));
  EXPECT_NEAR(RemainingMinutes(graph), 15, 1);
}

}  // namespace
}  // namespace kartograph::scheduler
