// The parts of a plan: clusters in words, durations of a file's tasks, and the chart.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdio>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "cli/gantt.h"
#include "cli/plan_cluster.h"
#include "cli/plan_graph.h"
#include "cli/proto_time.h"
#include "forecast/forecast.h"

namespace kartograph::cli {
namespace {

using planner::Quantity;
using planner::Resource;
using testing::HasSubstr;

int Occurrences(const std::string& text, const std::string& part) {
  int count = 0;
  for (size_t at = text.find(part); at != std::string::npos; at = text.find(part, at + 1)) ++count;
  return count;
}

// --- clusters ---

TEST(PlanClusterTest, AgentsAreCountedAndMayDiffer) {
  PlanCluster cluster;
  ASSERT_TRUE(AddAgents("20xcpu=16,ram=64GiB", &cluster).ok());
  ASSERT_TRUE(AddAgents("cpu=0.5,gpu=2", &cluster).ok());
  ASSERT_EQ(cluster.cluster.agents.size(), 21u);
  EXPECT_EQ(cluster.names.back(), "agent 21");
  EXPECT_EQ(cluster.cluster.agents[0].Get(Resource::Cpu()), Quantity::Of(16));
  EXPECT_EQ(cluster.cluster.agents[19].Get(Resource::Ram()), Quantity::Of(int64_t{64} << 30));
  EXPECT_EQ(cluster.cluster.agents[20].Get(Resource::Cpu()), Quantity::FromMilli(500));
}

TEST(PlanClusterTest, WrongAgentsAreRefusedWithWhatWouldBeRight) {
  for (const char* word : {"", "x", "20", "0xcpu=1", "10001xcpu=1", "99999999999999999999xcpu=1",
                           "-1xcpu=1", "2xcpu", "2x", "cpu=", "cpu=0", "cpu=many", "cpu=1,cpu=2",
                           "cpu=1,", "2xcpu=1;ram=1GiB", "_a=1", "cpu=1GiB"}) {
    PlanCluster cluster;
    const absl::Status status = AddAgents(word, &cluster);
    EXPECT_EQ(status.code(), absl::StatusCode::kInvalidArgument) << word;
    EXPECT_THAT(std::string(status.message()), HasSubstr("such as 20xcpu=16,ram=64GiB")) << word;
    EXPECT_TRUE(cluster.names.empty()) << word;
  }
}

TEST(PlanClusterTest, ThereAreAtMostTenThousandAgents) {
  PlanCluster cluster;
  ASSERT_TRUE(AddAgents("6000xcpu=1", &cluster).ok());
  ASSERT_TRUE(AddAgents("4000xcpu=2", &cluster).ok());
  const absl::Status status = AddAgents("cpu=1", &cluster);
  EXPECT_THAT(std::string(status.message()), HasSubstr("1 to 10000 agents, not 10001"));
}

TEST(PlanClusterTest, PoolsAreSetOnceAndAreNoResourcesOfAgents) {
  PlanCluster cluster;
  std::vector<std::string> seen;
  ASSERT_TRUE(AddAgents("cpu=4,disk=10GiB", &cluster).ok());
  EXPECT_TRUE(SetPlanPool("db_connections=40", &seen, &cluster).ok());
  EXPECT_EQ(cluster.cluster.pools.Get(Resource::Named("db_connections")), Quantity::Of(40));
  EXPECT_FALSE(SetPlanPool("db_connections=41", &seen, &cluster).ok());
  for (const char* word : {"cpu=4", "ram=1GiB", "disk=3", "licences", "licences=", "licences=0",
                           "licences=1,2", "=4", ""}) {
    EXPECT_EQ(SetPlanPool(word, &seen, &cluster).code(), absl::StatusCode::kInvalidArgument)
        << word;
  }
  EXPECT_EQ(cluster.cluster.pools.size(), 1u);
}

TEST(PlanClusterTest, OfAServiceOnlyAgentsThatCouldRunSomethingCount) {
  v1::Cluster service;
  for (const char* name : {"good", "away", "closed"}) {
    v1::Agent& agent = *service.add_agents();
    agent.set_name(name);
    agent.set_connected(true);
    (*agent.mutable_capacity())["cpu"] = 4;
  }
  service.mutable_agents(1)->set_connected(false);
  service.mutable_agents(2)->set_closed("is being drained");
  service.add_pools()->set_name("db_connections");
  service.mutable_pools(0)->set_capacity(40);
  PlanCluster cluster;
  ASSERT_TRUE(AddServiceCluster(service, &cluster).ok());
  EXPECT_THAT(cluster.names, testing::ElementsAre("good"));
  EXPECT_EQ(cluster.cluster.pools.size(), 1u);
  // What it has may be set otherwise.
  std::vector<std::string> seen;
  ASSERT_TRUE(SetPlanPool("db_connections=50", &seen, &cluster).ok());
  EXPECT_EQ(cluster.cluster.pools.Get(Resource::Named("db_connections")), Quantity::Of(50));

  service.mutable_agents(0)->set_connected(false);
  PlanCluster none;
  EXPECT_EQ(AddServiceCluster(service, &none).code(), absl::StatusCode::kFailedPrecondition);
}

// --- durations ---

GraphFile Parse(const std::string& text) {
  FileProblems problems;
  std::optional<GraphFile> file = ParseGraphFile(text, {}, &problems);
  EXPECT_TRUE(file.has_value()) << problems.ToString("file");
  return *std::move(file);
}

v1::KindUsage Kind(const char* task, double cpu, int64_t seconds, int64_t last_run) {
  v1::KindUsage kind;
  kind.set_task(task);
  (*kind.mutable_consumption())["cpu"] = cpu;
  kind.mutable_wall_time_median()->set_seconds(seconds);
  kind.mutable_last_run()->set_seconds(last_run);
  return kind;
}

constexpr char kTiles[] =
    "name: tiles\n"
    "tasks:\n"
    "  - {name: tile-1, command: x, expected_duration: 10s}\n"
    "  - {name: tile-2, command: x, consumption: {cpu: 2}, expected_duration: 20s}\n"
    "  - {name: report, command: x, after: [tile-1, tile-2], priority: 3}\n";

TEST(PlanGraphTest, TasksTakeWhatTheFileSaysAndTheOthersAsLongOnAverage) {
  const auto plan = MakePlanGraph(Parse(kTiles), {});
  ASSERT_TRUE(plan.ok()) << plan.status();
  const std::vector<forecast::Task>& tasks = plan->graph.tasks;
  ASSERT_EQ(tasks.size(), 3u);
  EXPECT_EQ(tasks[0].takes, absl::Seconds(10));
  EXPECT_EQ(tasks[1].consumption.Get(Resource::Cpu()), Quantity::Of(2));
  EXPECT_EQ(tasks[0].consumption.Get(Resource::Cpu()), Quantity::Of(1));
  EXPECT_EQ(tasks[2].takes, absl::Seconds(15));
  EXPECT_EQ(tasks[2].expected, absl::ZeroDuration()) << "which a service would not know either";
  EXPECT_EQ(tasks[2].priority, 3);
  EXPECT_THAT(tasks[2].after, testing::ElementsAre("tile-1", "tile-2"));
  EXPECT_EQ(plan->unknown, 1);
  EXPECT_EQ(plan->learnt, 0);
}

TEST(PlanGraphTest, WithoutAnyDurationAllTasksTakeTheSame) {
  const auto plan =
      MakePlanGraph(Parse("tasks:\n  - {name: a, command: x}\n  - {name: b, command: x}\n"), {});
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->unknown, 2);
  EXPECT_EQ(plan->assumed, kAssumedDuration);
  EXPECT_EQ(plan->graph.tasks[0].takes, kAssumedDuration);
  EXPECT_EQ(plan->graph.tasks[1].takes, kAssumedDuration);
}

TEST(PlanGraphTest, WhatWasLearntGoesBeforeWhatTheFileSays) {
  LearntDurations learnt;
  learnt.Add(Kind("tile-#", 1, 100, 1000));
  learnt.Add(Kind("tile-#", 4, 50, 2000));
  learnt.Add(Kind("other", 1, 7, 3000));
  const auto plan = MakePlanGraph(Parse(kTiles), learnt);
  ASSERT_TRUE(plan.ok());
  EXPECT_EQ(plan->graph.tasks[0].takes, absl::Seconds(100));
  EXPECT_EQ(plan->graph.tasks[0].expected, absl::Seconds(10));
  // None of its consumption has run: the one that ran last.
  EXPECT_EQ(plan->graph.tasks[1].takes, absl::Seconds(50));
  EXPECT_EQ(plan->graph.tasks[2].takes, absl::Seconds(75));
  EXPECT_EQ(plan->learnt, 2);
  EXPECT_EQ(plan->unknown, 1);
}

// --- the chart ---

struct Drawn {
  forecast::Graph graph;
  std::string svg;
};

Drawn Draw(int tasks, int agents, const std::string& name = "task-") {
  Drawn drawn;
  forecast::Cluster cluster;
  std::vector<std::string> names;
  const Resource pool = Resource::Named("db_connections");
  cluster.pools.Set(pool, Quantity::Of(3));
  for (int i = 0; i < agents; ++i) {
    cluster.agents.push_back({{Resource::Cpu(), Quantity::Of(4)}});
    names.push_back(absl::StrCat("<agent> & ", i));
  }
  drawn.graph.name = "chart";
  for (int i = 0; i < tasks; ++i) {
    forecast::Task& task = drawn.graph.tasks.emplace_back();
    task.name = absl::StrCat(name, i);
    task.consumption = {{Resource::Cpu(), Quantity::Of(1)}};
    if (i % 3 == 0) task.consumption.Set(pool, Quantity::Of(1));
    task.takes = task.expected = absl::Seconds(1 + i % 5);
  }
  forecast::ForecastOptions options;
  options.max_what_if_tasks = 0;
  const auto forecast = forecast::MakeForecast(drawn.graph, cluster, options);
  EXPECT_TRUE(forecast.ok()) << forecast.status();
  drawn.svg = GanttChart(drawn.graph, cluster, names, *forecast);
  return drawn;
}

TEST(GanttTest, EveryTaskIsABarWithItsNameAndEveryAgentALane) {
  const Drawn drawn = Draw(40, 3);
  EXPECT_EQ(Occurrences(drawn.svg, "<title>"), 40);
  for (const forecast::Task& task : drawn.graph.tasks) {
    EXPECT_THAT(drawn.svg, HasSubstr(absl::StrCat("<title>", task.name, ": ")));
  }
  for (int i = 0; i < 3; ++i) {
    EXPECT_THAT(drawn.svg, HasSubstr(absl::StrCat(">&lt;agent&gt; &amp; ", i, "</text>")));
  }
  EXPECT_THAT(drawn.svg, HasSubstr(">pool db_connections</text>"));
  EXPECT_THAT(drawn.svg, HasSubstr(">task-#</text>"));
  EXPECT_THAT(drawn.svg, testing::StartsWith("<svg xmlns="));
  EXPECT_THAT(drawn.svg, testing::EndsWith("</svg>\n"));
}

TEST(GanttTest, NothingIsDrawnOutsideOfTheImage) {
  const Drawn drawn = Draw(500, 20);
  for (size_t at = drawn.svg.find("<rect x=\""); at != std::string::npos;
       at = drawn.svg.find("<rect x=\"", at + 1)) {
    double x = 0, y = 0, width = 0;
    ASSERT_EQ(std::sscanf(drawn.svg.c_str() + at, "<rect x=\"%lf\" y=\"%lf\" width=\"%lf\"", &x, &y,
                          &width),
              3);
    EXPECT_GE(x, 0);
    EXPECT_GE(y, 0);
    EXPECT_LE(x + width, 1201);
  }
}

TEST(GanttTest, OfMoreBarsThanCanBeSeenTheLongestAreDrawn) {
  const Drawn drawn = Draw(static_cast<int>(kMaxGanttBars) + 500, 1000);
  EXPECT_LE(Occurrences(drawn.svg, "<title>"), static_cast<int>(kMaxGanttBars));
  EXPECT_THAT(drawn.svg, HasSubstr(absl::StrCat("the longest ", kMaxGanttBars, " are drawn")));
  EXPECT_THAT(drawn.svg, HasSubstr(" left out"));
}

}  // namespace
}  // namespace kartograph::cli
