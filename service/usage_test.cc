#include "service/usage.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/task_kind.h"
#include "scheduler/submission.h"

namespace kartograph::service {
namespace {

using planner::Quantity;
using planner::Resource;
using testing::AllOf;
using testing::HasSubstr;
using testing::SizeIs;

constexpr int64_t kMiB = 1 << 20;

class UsageTest : public testing::Test {
 protected:
  static planner::ResourceVector Consumption(double cpu, int64_t ram) {
    planner::ResourceVector consumption = {{Resource::Cpu(), *Quantity::FromUnits(cpu)}};
    consumption.Set(Resource::Ram(), Quantity::Of(ram));
    return consumption;
  }
  // Tasks of this name, with digits as a pattern has them, ran.
  void Ran(const std::string& task, const planner::ResourceVector& consumption, double cpu,
           int64_t ram, int times = 10, absl::Duration wall = absl::Seconds(2)) {
    UsageTable::Place place;
    for (int i = 0; i < times; ++i) {
      table_.Learn({"release-#", planner::NamePattern(task), planner::ConsumptionText(consumption)},
                   {wall, wall * cpu, static_cast<uint64_t>(ram)}, absl::FromUnixSeconds(1000 + i),
                   &place);
    }
  }
  static scheduler::PreparedGraph Graph(const std::vector<std::string>& names,
                                        const planner::ResourceVector& consumption) {
    scheduler::GraphSubmission graph;
    graph.name = "release-7";
    for (const std::string& name : names) {
      graph.tasks.emplace_back().name = name;
      graph.tasks.back().consumption = consumption;
    }
    return scheduler::Prepare(std::move(graph));
  }
  v1::SubmitGraphResponse Submitted(const scheduler::PreparedGraph& graph) {
    v1::SubmitGraphResponse response;
    AddUsageWarnings(graph, table_, response);
    return response;
  }

  using UsageTable = scheduler::UsageTable;
  UsageTable table_;
};

TEST_F(UsageTest, AKindIsShownBesideWhatItDeclares) {
  Ran("tile-1", Consumption(2, 4096 * kMiB), 0.5, 100 * kMiB, 19);
  Ran("tile-1", Consumption(2, 4096 * kMiB), 0.5, 300 * kMiB, 1, absl::Minutes(9));
  const auto response = ListUsage(table_, {});
  ASSERT_TRUE(response.ok());
  ASSERT_EQ(response->kinds_size(), 1);
  const v1::KindUsage& kind = response->kinds(0);
  EXPECT_EQ(kind.graph(), "release-#");
  EXPECT_EQ(kind.task(), "tile-#");
  EXPECT_EQ(kind.runs(), 20);
  EXPECT_EQ(kind.consumption().at("cpu"), 2);
  EXPECT_EQ(kind.consumption().at("ram"), 4096 * kMiB);
  EXPECT_NEAR(static_cast<double>(kind.wall_time_median().nanos()) / 1e9 +
                  static_cast<double>(kind.wall_time_median().seconds()),
              2, 0.07);
  EXPECT_NEAR(kind.cpu_p95(), 0.5, 0.02);
  EXPECT_NEAR(kind.ram_median(), 100.0 * kMiB, 4.0 * kMiB);
  EXPECT_GE(kind.ram_peak(), 300 * kMiB);
  // A fifth more than used, rounded up to what people write.
  EXPECT_DOUBLE_EQ(kind.proposal().at("cpu"), 0.7);
  EXPECT_EQ(kind.proposal().at("ram"), 368 * kMiB);
}

TEST_F(UsageTest, AfterFewRunsNothingIsProposed) {
  Ran("tile-1", Consumption(2, 0), 0.5, 100 * kMiB, 4);
  EXPECT_EQ(ListUsage(table_, {})->kinds(0).proposal_size(), 0);
  EXPECT_THAT(Submitted(Graph({"tile-1"}, Consumption(50, 0))).usage_warnings(), SizeIs(0));
}

TEST_F(UsageTest, TheListComesInPagesAndIsFiltered) {
  for (const char* task : {"a", "b-1", "c"}) Ran(task, Consumption(1, 0), 1, kMiB, 1);
  v1::ListUsageRequest request;
  request.set_page_size(2);
  std::vector<std::string> seen;
  for (int page = 0; page < 2; ++page) {
    const auto response = ListUsage(table_, request);
    ASSERT_TRUE(response.ok());
    for (const v1::KindUsage& kind : response->kinds()) seen.push_back(kind.task());
    request.set_page_token(response->next_page_token());
  }
  EXPECT_THAT(seen, testing::ElementsAre("a", "b-#", "c"));
  EXPECT_EQ(request.page_token(), "");
  v1::ListUsageRequest one;
  one.set_graph("release-2024");
  one.set_task("b-77");
  EXPECT_EQ(ListUsage(table_, one)->kinds_size(), 1);
  one.set_graph("other");
  EXPECT_EQ(ListUsage(table_, one)->kinds_size(), 0);
}

TEST_F(UsageTest, AWrongPageIsRefused) {
  for (const char* token : {"x", "u", "uAAAA", "u!!"}) {
    v1::ListUsageRequest request;
    request.set_page_token(token);
    EXPECT_THAT(std::string(ListUsage(table_, request).status().message()), HasSubstr("page_token"))
        << token;
  }
  v1::ListUsageRequest request;
  request.set_page_size(1001);
  EXPECT_TRUE(absl::IsInvalidArgument(ListUsage(table_, request).status()));
}

TEST_F(UsageTest, ADeclarationOfFiveTimesOrAFifthIsWarnedOf) {
  const auto consumption = Consumption(1, 1000 * kMiB);
  Ran("much-1", consumption, 1, 100 * kMiB);
  Ran("little-1", consumption, 8, 900 * kMiB);
  Ran("right-1", consumption, 0.5, 300 * kMiB);
  const v1::SubmitGraphResponse response =
      Submitted(Graph({"much-5", "much-6", "little-5", "right-5", "new-5"}, consumption));
  ASSERT_THAT(response.usage_warnings(), SizeIs(2));
  const v1::UsageWarning& much = response.usage_warnings(0);  // of most tasks
  EXPECT_EQ(much.task(), "much-#");
  EXPECT_EQ(much.resource(), "ram");
  EXPECT_EQ(much.declared(), 1000 * kMiB);
  EXPECT_NEAR(much.used(), 100.0 * kMiB, 4.0 * kMiB);
  EXPECT_EQ(much.runs(), 10);
  EXPECT_THAT(much.message(), AllOf(HasSubstr("\"much-#\" declare ram 1000MiB"),
                                    HasSubstr("10 runs"), HasSubstr("would fit")));
  const v1::UsageWarning& little = response.usage_warnings(1);
  EXPECT_EQ(little.task(), "little-#");
  EXPECT_EQ(little.resource(), "cpu");
  EXPECT_NEAR(little.used(), 8, 0.3);
  EXPECT_GE(little.proposed(), 9);
}

// What is known under another declaration tells of a new one.
TEST_F(UsageTest, ANewDeclarationIsComparedWithWhatTheOldOneUsed) {
  Ran("tile-1", Consumption(1, 200 * kMiB), 1, 100 * kMiB);
  EXPECT_THAT(Submitted(Graph({"tile-1"}, Consumption(1, 8000 * kMiB))).usage_warnings(),
              SizeIs(1));
  EXPECT_THAT(Submitted(Graph({"tile-1"}, Consumption(1, 256 * kMiB))).usage_warnings(), SizeIs(0));
}

TEST_F(UsageTest, WhatIsNotDeclaredOrHardlyAnythingIsNotWrong) {
  Ran("free-1", Consumption(1, 0), 1, 900 * kMiB);
  EXPECT_THAT(Submitted(Graph({"free-1"}, Consumption(1, 0))).usage_warnings(), SizeIs(0));
  // So short that its cores say nothing.
  Ran("short-1", Consumption(1, 0), 0, kMiB, 10, absl::Milliseconds(5));
  EXPECT_THAT(Submitted(Graph({"short-1"}, Consumption(1, 0))).usage_warnings(), SizeIs(0));
  Ran("small-1", Consumption(0.05, 8 * kMiB), 0.001, kMiB / 8);
  EXPECT_THAT(Submitted(Graph({"small-1"}, Consumption(0.05, 8 * kMiB))).usage_warnings(),
              SizeIs(0));
}

TEST_F(UsageTest, OnlySoManyAreWarnedOf) {
  std::vector<std::string> names;
  for (char a = 'a'; a <= 'z'; ++a) {
    names.push_back(std::string(1, a));
    Ran(names.back(), Consumption(50, 0), 1, kMiB);
  }
  EXPECT_THAT(Submitted(Graph(names, Consumption(50, 0))).usage_warnings(),
              SizeIs(kMaxUsageWarnings));
}

}  // namespace
}  // namespace kartograph::service
