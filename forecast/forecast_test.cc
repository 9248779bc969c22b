#include "forecast/forecast.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::forecast {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

Resource Pool() { return Resource::Named("db_connections"); }
ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }

Task MakeTask(const std::string& name, int64_t seconds, std::vector<std::string> after = {},
              int64_t units = 0) {
  Task task;
  task.name = name;
  task.consumption = Cpu(1);
  task.consumption.Set(Pool(), Quantity::Of(units));
  task.after = std::move(after);
  task.expected = task.takes = absl::Seconds(seconds);
  return task;
}

const WhatIf* Find(const Forecast& forecast, WhatIf::Kind kind) {
  for (const WhatIf& what_if : forecast.what_ifs) {
    if (what_if.kind == kind) return &what_if;
  }
  return nullptr;
}

TEST(ForecastTest, WhereThereIsEnoughOfEverythingTheLongestPathDecides) {
  const Graph graph = {"g",
                       {MakeTask("a", 10), MakeTask("b", 30, {"a"}), MakeTask("c", 20, {"a"}),
                        MakeTask("d", 5, {"b", "c"})}};
  const auto forecast = MakeForecast(graph, {{Cpu(4), Cpu(4)}, {}});
  ASSERT_TRUE(forecast.ok()) << forecast.status();
  EXPECT_EQ(forecast->makespan, absl::Seconds(45));
  EXPECT_EQ(forecast->lower_bound, absl::Seconds(45));
  EXPECT_FALSE(forecast->bound_by.has_value());
  EXPECT_THAT(forecast->critical_path, testing::ElementsAre(0, 1, 3));
  EXPECT_EQ(forecast->critical_path_length, absl::Seconds(45));
  // 65 of 8 * 45 seconds.
  ASSERT_EQ(forecast->uses.size(), 1u);
  EXPECT_NEAR(forecast->uses[0].utilization, 65.0 / 360, 1e-9);
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kOneMoreAgent)->makespan, absl::Seconds(45));
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kFasterTask)->task, 1u);
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kFasterTask)->makespan, absl::Seconds(35));
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kLargerPool), nullptr);
}

TEST(ForecastTest, APoolThatHoldsTasksUpIsNamedAndTried) {
  Graph graph = {"g", {}};
  for (int i = 0; i < 24; ++i) {
    graph.tasks.push_back(MakeTask(absl::StrCat("t", i), 10, {}, 1));
  }
  const auto forecast =
      MakeForecast(graph, {std::vector<ResourceVector>(10, Cpu(4)), {{Pool(), Quantity::Of(2)}}});
  ASSERT_TRUE(forecast.ok()) << forecast.status();
  EXPECT_EQ(forecast->makespan, absl::Seconds(120));
  EXPECT_EQ(forecast->lower_bound, absl::Seconds(120));
  EXPECT_EQ(forecast->bound_by, Pool());
  const WhatIf* larger = Find(*forecast, WhatIf::Kind::kLargerPool);
  ASSERT_NE(larger, nullptr);
  EXPECT_EQ(larger->units, Quantity::Of(12));
  EXPECT_EQ(larger->makespan, absl::Seconds(20));
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kOneMoreAgent)->makespan, absl::Seconds(120));
  ASSERT_EQ(forecast->uses.size(), 2u);
  EXPECT_TRUE(forecast->uses[1].pool);
  EXPECT_NEAR(forecast->uses[1].utilization, 1.0, 1e-9);
}

TEST(ForecastTest, OneMoreAgentIsLikeMost) {
  Graph graph = {"g", {}};
  for (int i = 0; i < 40; ++i) graph.tasks.push_back(MakeTask(absl::StrCat("t", i), 10));
  const auto forecast = MakeForecast(graph, {{Cpu(16), Cpu(2), Cpu(2)}, {}});
  ASSERT_TRUE(forecast.ok()) << forecast.status();
  EXPECT_EQ(forecast->makespan, absl::Seconds(20));
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kOneMoreAgent)->agent, Cpu(2));
  EXPECT_EQ(forecast->bound_by, Resource::Cpu());
}

TEST(ForecastTest, AQuarterIsAddedToALargePool) {
  Graph graph = {"g", {}};
  for (int i = 0; i < 30; ++i) graph.tasks.push_back(MakeTask(absl::StrCat("t", i), 10, {}, 5));
  const auto forecast = MakeForecast(graph, {{Cpu(100)}, {{Pool(), Quantity::Of(101)}}});
  ASSERT_TRUE(forecast.ok()) << forecast.status();
  EXPECT_EQ(Find(*forecast, WhatIf::Kind::kLargerPool)->units, Quantity::Of(127));
}

TEST(ForecastTest, OfAGraphThatIsTooLargeForThemNoChangesAreTried) {
  const Graph graph = {"g", {MakeTask("a", 10), MakeTask("b", 30, {"a"})}};
  ForecastOptions options;
  options.max_what_if_tasks = 1;
  const auto forecast = MakeForecast(graph, {{Cpu(4)}, {}}, options);
  ASSERT_TRUE(forecast.ok()) << forecast.status();
  EXPECT_TRUE(forecast->what_ifs.empty());
  EXPECT_EQ(forecast->makespan, absl::Seconds(40));
}

TEST(ForecastTest, WithoutTasksOrAgentsThereIsNothingToForecast) {
  EXPECT_EQ(MakeForecast({"g", {}}, {{Cpu(1)}, {}}).status().code(),
            absl::StatusCode::kInvalidArgument);
  EXPECT_EQ(MakeForecast({"g", {MakeTask("a", 1)}}, {}).status().code(),
            absl::StatusCode::kInvalidArgument);
}

}  // namespace
}  // namespace kartograph::forecast
