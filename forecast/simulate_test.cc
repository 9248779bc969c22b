#include "forecast/simulate.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/problems.h"

namespace kartograph::forecast {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }

Task MakeTask(const std::string& name, int64_t seconds, std::vector<std::string> after = {}) {
  Task task;
  task.name = name;
  task.consumption = Cpu(1);
  task.after = std::move(after);
  task.expected = task.takes = absl::Seconds(seconds);
  return task;
}

TEST(SimulateTest, TasksRunInOrderOfTheirDependencies) {
  const Graph graph = {"g", {MakeTask("a", 3), MakeTask("b", 4, {"a"}), MakeTask("c", 5, {"b"})}};
  const auto outcomes = Simulate({graph}, {{Cpu(4)}, {}});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  const Outcome& outcome = outcomes->front();
  EXPECT_EQ(outcome.end, absl::Seconds(12));
  EXPECT_EQ(outcome.runs[1].start, absl::Seconds(3));
  EXPECT_EQ(outcome.runs[1].end, absl::Seconds(7));
}

TEST(SimulateTest, NoAgentAndNoPoolIsEverOverItsCapacity) {
  const Resource pool = Resource::Named("db_connections");
  Graph graph = {"g", {}};
  for (int i = 0; i < 60; ++i) {
    graph.tasks.push_back(MakeTask(absl::StrCat("t", i), 1 + i % 7));
    if (i % 2 == 0) graph.tasks.back().consumption.Set(pool, Quantity::Of(2));
  }
  const Cluster cluster = {{Cpu(2), Cpu(3)}, {{pool, Quantity::Of(4)}}};
  const auto outcomes = Simulate({graph}, cluster);
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  const auto& runs = outcomes->front().runs;
  for (const auto& at : runs) {
    ResourceVector used[2];
    Quantity held;
    for (size_t i = 0; i < runs.size(); ++i) {
      if (runs[i].start > at.start || runs[i].end <= at.start) continue;
      used[runs[i].agent] += Cpu(1);
      held += graph.tasks[i].consumption.Get(pool);
    }
    EXPECT_TRUE(used[0].FitsIn(cluster.agents[0]));
    EXPECT_TRUE(used[1].FitsIn(cluster.agents[1]));
    EXPECT_LE(held, Quantity::Of(4));
  }
}

TEST(SimulateTest, GraphsComeWhenTheyAreSubmittedInWhateverOrderTheyAreGiven) {
  std::vector<Graph> graphs(2);
  graphs[0] = {"late", {MakeTask("a", 5)}, "alice", absl::Seconds(100)};
  graphs[1] = {"early", {MakeTask("b", 7)}, "bob", absl::Seconds(2)};
  const auto outcomes = Simulate(graphs, {{Cpu(1)}, {}});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ((*outcomes)[0].runs[0].start, absl::Seconds(100));
  EXPECT_EQ((*outcomes)[0].end, absl::Seconds(105));
  EXPECT_EQ((*outcomes)[1].runs[0].start, absl::Seconds(2));
}

TEST(SimulateTest, AGraphThatIsWrittenInSlicesRunsToItsEnd) {
  Graph graph = {"g", {}};
  for (int i = 0; i < 10000; ++i) graph.tasks.push_back(MakeTask(absl::StrCat("t", i), 1));
  std::vector<Graph> graphs = {graph, {"small", {MakeTask("a", 1)}, "bob"}};
  const auto outcomes = Simulate(graphs, {std::vector<ResourceVector>(100, Cpu(10)), {}});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ((*outcomes)[0].runs.size(), 10000u);
  EXPECT_GE((*outcomes)[0].end, absl::Seconds(10));
  EXPECT_LE((*outcomes)[0].end, absl::Seconds(11));
  EXPECT_GT((*outcomes)[1].end, absl::ZeroDuration());
}

TEST(SimulateTest, WhatTheSchedulerRefusesIsSaidWithItsField) {
  Graph graph = {"g", {MakeTask("a", 3), MakeTask("b", 3)}};
  graph.tasks[1].consumption = Cpu(9);
  const auto outcomes = Simulate({graph}, {{Cpu(8)}, {}});
  ASSERT_EQ(outcomes.status().code(), absl::StatusCode::kInvalidArgument);
  const std::vector<planner::Problem> problems = planner::ProblemsOf(outcomes.status());
  ASSERT_EQ(problems.size(), 1u);
  EXPECT_EQ(problems[0].field, "tasks[\"b\"].consumption[\"cpu\"]");
}

TEST(SimulateTest, WhatTakesTooLongToCountIsRefused) {
  Graph graph = {"g", {MakeTask("a", 1), MakeTask("b", 1)}};
  for (Task& task : graph.tasks) task.takes = absl::Hours(24 * 365) * 60000;
  EXPECT_EQ(Simulate({graph}, {{Cpu(1)}, {}}).status().code(), absl::StatusCode::kInvalidArgument);
  graph.tasks.pop_back();
  const auto outcomes = Simulate({graph}, {{Cpu(1)}, {}});
  ASSERT_TRUE(outcomes.ok()) << outcomes.status();
  EXPECT_EQ(outcomes->front().end, graph.tasks[0].takes);
}

TEST(SimulateTest, TheSameAgainGivesTheSame) {
  Graph graph = {"g", {}};
  for (int i = 0; i < 200; ++i) {
    graph.tasks.push_back(MakeTask(absl::StrCat("t", i), 1 + i * 7 % 13));
    if (i >= 20) graph.tasks.back().after = {absl::StrCat("t", i - 20)};
  }
  const Cluster cluster = {{Cpu(3), Cpu(4)}, {}};
  const auto once = Simulate({graph}, cluster);
  const auto again = Simulate({graph}, cluster);
  ASSERT_TRUE(once.ok() && again.ok());
  for (size_t i = 0; i < graph.tasks.size(); ++i) {
    EXPECT_EQ(once->front().runs[i].start, again->front().runs[i].start);
    EXPECT_EQ(once->front().runs[i].agent, again->front().runs[i].agent);
  }
}

}  // namespace
}  // namespace kartograph::forecast
