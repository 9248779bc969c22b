// plan against a service in this process, and without any.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>
#include <sstream>
#include <string>

#include "api/kartograph/v1/plan.pb.h"
#include "cli/commands.h"
#include "cli/testing/commands_test_base.h"

namespace kartograph::cli {
namespace {

using testing::HasSubstr;

constexpr char kRelease[] =
    "name: release\n"
    "tasks:\n"
    "  - {name: decode, command: x, expected_duration: 2m}\n"
    "  - {name: load_DE, command: x, after: decode, expected_duration: 5m, consumption: "
    "{db_connections: 4}}\n"
    "  - {name: load_FR, command: x, after: decode, expected_duration: 4m, consumption: "
    "{db_connections: 4}}\n"
    "  - {name: report, command: x, after: [load_DE, load_FR], expected_duration: 1m}\n";

class CommandsPlanTest : public CommandsTestBase {
 protected:
  CommandsPlanTest() {
    v1::Agent& agent = *server_.service.cluster.add_agents();
    agent.set_name("node1");
    agent.set_connected(true);
    (*agent.mutable_capacity())["cpu"] = 4;
    v1::Pool& pool = *server_.service.cluster.add_pools();
    pool.set_name("db_connections");
    pool.set_capacity(4);
    server_.service.cluster.set_agent_count(1);
  }
};

TEST_F(CommandsPlanTest, SaysHowLongItTakesWhatHoldsItUpAndWhatWouldHelp) {
  PlanArguments arguments{.file = WriteFile(kRelease)};
  arguments.agents = {"2xcpu=4"};
  arguments.pools = {"db_connections=4"};
  server_.Stop();  // nobody is needed
  EXPECT_EQ(Plan(context_, arguments), kDone) << err_.str();
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(out_.str(),
            "release: 4 tasks on 2 agents would take 12 min 00 s\n"
            "no schedule takes less than 12 min 00 s, because of pool db_connections\n"
            "critical path, 3 tasks in 8 min 00 s: decode > load_DE > report\n"
            "\n"
            "RESOURCE             CAPACITY  USED\n"
            "cpu                  8         12 %\n"
            "pool db_connections  4         75 %\n"
            "\n"
            "WHAT IF                       WOULD TAKE   SAVES\n"
            "one more agent (cpu=4)        12 min 00 s  nothing\n"
            "pool db_connections: 4 -> 14  8 min 00 s   4 min 00 s\n"
            "\"load_DE\" twice as fast       9 min 30 s   2 min 30 s\n");
}

TEST_F(CommandsPlanTest, AsksTheServiceForItsClusterWhereNoneIsGiven) {
  EXPECT_EQ(Plan(context_, {.file = WriteFile(kRelease)}), kDone) << err_.str();
  EXPECT_THAT(out_.str(), HasSubstr("4 tasks on 1 agent would take 12 min 00 s"));
  server_.Stop();
  EXPECT_EQ(Plan(context_, {.file = WriteFile(kRelease)}), kUnreachable);
  EXPECT_THAT(err_.str(), HasSubstr("--agents 20xcpu=16,ram=64GiB"));
}

TEST_F(CommandsPlanTest, TakesWhatTheServiceHasLearnt) {
  v1::KindUsage& kind = *server_.service.usage.add_kinds();
  kind.set_graph("release");
  kind.set_task("decode");
  (*kind.mutable_consumption())["cpu"] = 1;
  kind.mutable_wall_time_median()->set_seconds(600);
  PlanArguments arguments{.file = WriteFile(kRelease)};
  arguments.learned = true;
  EXPECT_EQ(Plan(context_, arguments), kDone) << err_.str();
  EXPECT_EQ(service().usage_request.graph(), "release");
  EXPECT_THAT(out_.str(), HasSubstr("would take 20 min 00 s"));
  EXPECT_THAT(out_.str(), HasSubstr("1 of 4 tasks takes as long as such tasks did\n"));
}

TEST_F(CommandsPlanTest, PrintsOneDocumentAndDrawsAChart) {
  const std::string chart = testing::TempDir() + "/plan.svg";
  PlanArguments arguments{.file = WriteFile(kRelease)};
  arguments.gantt = chart;
  context_.json = true;
  EXPECT_EQ(Plan(context_, arguments), kDone) << err_.str();
  const auto plan = Json<v1::GraphPlan>();
  EXPECT_EQ(plan.makespan().seconds(), 720);
  EXPECT_EQ(plan.bound_by(), "db_connections");
  ASSERT_EQ(plan.tasks_size(), 4);
  EXPECT_EQ(plan.tasks(3).start().seconds(), 660);
  EXPECT_EQ(plan.tasks(3).agent(), 1);
  ASSERT_EQ(plan.what_ifs_size(), 3);
  EXPECT_EQ(plan.what_ifs(1).larger_pool().capacity(), 14);
  EXPECT_EQ(plan.what_ifs(2).task_twice_as_fast(), "load_DE");
  std::stringstream drawn;
  drawn << std::ifstream(chart).rdbuf();
  EXPECT_THAT(drawn.str(), HasSubstr("<title>load_FR: 4 min 00 s, from"));
}

TEST_F(CommandsPlanTest, AChartThatCannotBeWrittenIsAnError) {
  PlanArguments arguments{.file = WriteFile(kRelease)};
  arguments.gantt = testing::TempDir() + "/no/such/folder/plan.svg";
  EXPECT_EQ(Plan(context_, arguments), kOutputLost);
  EXPECT_THAT(err_.str(), HasSubstr("cannot be written"));
  EXPECT_EQ(out_.str(), "");
  arguments.gantt = "-";
  EXPECT_EQ(Plan(context_, arguments), kWrongUse);
}

TEST_F(CommandsPlanTest, WhatFitsNowhereIsReportedWithItsPlaceInTheFile) {
  PlanArguments arguments{.file = WriteFile(kRelease)};
  arguments.agents = {"cpu=0.5"};
  EXPECT_EQ(Plan(context_, arguments), kWrongUse);
  EXPECT_THAT(err_.str(), HasSubstr(".yaml:3:"));
  EXPECT_THAT(err_.str(), HasSubstr("ask for at most 0.5"));
  arguments.agents = {"cpu=4"};
  err_.str("");
  EXPECT_EQ(Plan(context_, arguments), kWrongUse);
  EXPECT_THAT(err_.str(), HasSubstr("no agent and no pool that is planned for has this resource"));
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandsPlanTest, SaysThatDurationsAreNotKnown) {
  PlanArguments arguments{.file = WriteFile("name: s\ntasks:\n  - {name: a, command: x}\n")};
  arguments.agents = {"cpu=4"};
  EXPECT_EQ(Plan(context_, arguments), kDone);
  EXPECT_THAT(out_.str(),
              HasSubstr("no task says how long it takes (expected_duration): each is taken to take "
                        "1 min 00 s\n"));
}

TEST_F(CommandsPlanTest, WrongOptionsAndFilesAreRefused) {
  PlanArguments arguments{.file = WriteFile(kRelease)};
  arguments.agents = {"20x"};
  EXPECT_EQ(Plan(context_, arguments), kWrongUse);
  EXPECT_THAT(err_.str(), HasSubstr("kartograph: --agents: "));
  arguments.agents = {};
  arguments.pools = {"cpu=3"};
  EXPECT_EQ(Plan(context_, arguments), kWrongUse);
  EXPECT_THAT(err_.str(), HasSubstr("kartograph: --pool: cpu belongs to agents"));
  EXPECT_EQ(Plan(context_, {.file = WriteFile("tasks: [")}), kWrongUse);
}

}  // namespace
}  // namespace kartograph::cli
