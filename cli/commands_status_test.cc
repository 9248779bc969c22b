// status and list against a service in this process.
#include <gtest/gtest.h>

#include <string>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "cli/commands.h"
#include "cli/testing/commands_test_base.h"

namespace kartograph::cli {
namespace {

class CommandsStatusTest : public CommandsTestBase {
 protected:
  void SetUp() override {
    v1::Graph graph = MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING);
    graph.mutable_counts()->set_total(30);
    graph.mutable_counts()->set_succeeded(3);
    graph.mutable_counts()->set_failed(1);
    graph.mutable_counts()->set_waiting(26);
    service().graphs = {graph, MakeGraph("g6", "small", v1::GRAPH_STATE_SUCCEEDED),
                        MakeGraph("g5", "old", v1::GRAPH_STATE_FAILED)};
    for (int i = 0; i < 30; ++i) {
      const std::string name = absl::StrCat("t", i);
      service().tasks.push_back(
          i < 3    ? MakeTask(name.c_str(), v1::TASK_STATE_SUCCEEDED, "")
          : i == 3 ? MakeTask(name.c_str(), v1::TASK_STATE_FAILED, "exit status 3")
                   : MakeTask(name.c_str(), v1::TASK_STATE_WAITING, "waits for t3"));
    }
    service().page_size = 7;
  }
  bool Printed(const std::string& text) { return out_.str().find(text) != std::string::npos; }
};

TEST_F(CommandsStatusTest, SaysWhenAGraphThatRunsIsExpectedToEnd) {
  const absl::Time end = absl::Now() + absl::Minutes(90);
  service().graphs[0].mutable_expected_end_time()->set_seconds(absl::ToUnixSeconds(end));
  EXPECT_EQ(Status(context_, {.graph = "g7"}), kDone);
  EXPECT_TRUE(service().graph_request.expect_end());
  EXPECT_TRUE(Printed(", expected to end in 1 h 29 min (") ||
              Printed(", expected to end in 1 h 30 min ("))
      << out_.str();
  service().graphs[0].mutable_expected_end_time()->set_seconds(1);
  EXPECT_EQ(Status(context_, {.graph = "small"}), kDone);
  EXPECT_TRUE(Printed(", expected to end now (")) << out_.str();
  out_.str("");
  EXPECT_EQ(Status(context_, {.graph = "g6"}), kDone);
  EXPECT_FALSE(Printed("expected"));
}

TEST_F(CommandsStatusTest, ShowsAGraphWithWhatIsNotDoneAndWhy) {
  EXPECT_EQ(Status(context_, {.graph = "g7"}), kDone);
  EXPECT_TRUE(Printed("small (g7) running for ")) << out_.str();
  EXPECT_TRUE(Printed(": 3 of 30 done, 26 waiting, 1 failed\n"));
  EXPECT_TRUE(Printed("Failed:\n  TASK  STATE   WHY\n  t3    failed  exit status 3\n"));
  EXPECT_TRUE(Printed("Not finished (the first 21 of 26; --all shows all):\n") ||
              Printed("Not finished (the first 20 of 26; --all shows all):\n"));
  EXPECT_FALSE(Printed("t29"));
  out_.str("");
  EXPECT_EQ(Status(context_, {.graph = "g7", .all = true}), kDone);
  EXPECT_TRUE(Printed("  t29   waiting  waits for t3\n"));
}

TEST_F(CommandsStatusTest, FindsTheNewestGraphOfAName) {
  context_.json = true;
  EXPECT_EQ(Status(context_, {.graph = "small"}), kDone);
  EXPECT_EQ(Json<v1::Graph>().graph_id(), "g7");
  out_.str("");
  service().page_size = 1;
  EXPECT_EQ(Status(context_, {.graph = "old"}), kDone);
  EXPECT_EQ(Json<v1::Graph>().graph_id(), "g5");
  EXPECT_EQ(Status(context_, {.graph = "g99"}), kWrongUse);
}

TEST_F(CommandsStatusTest, GivesAllTasksAsOneDocument) {
  context_.json = true;
  EXPECT_EQ(Status(context_, {.graph = "g7", .tasks = true}), kDone);
  const auto tasks = Json<v1::ListTasksResponse>();
  ASSERT_EQ(tasks.tasks_size(), 30);
  EXPECT_EQ(tasks.tasks(29).name(), "t29");
  EXPECT_EQ(tasks.next_page_token(), "");
}

TEST_F(CommandsStatusTest, ShowsEveryTaskWithItsLastAttempt) {
  v1::Attempt* attempt = service().tasks[0].add_attempts();
  attempt->set_agent("local");
  attempt->mutable_usage()->mutable_wall_time()->set_seconds(75);
  attempt->mutable_usage()->set_peak_ram_bytes(40 << 20);
  EXPECT_EQ(Status(context_, {.graph = "g7", .tasks = true}), kDone);
  EXPECT_TRUE(Printed("t0    succeeded  1         local  1 min 15 s, 40MiB")) << out_.str();
}

TEST_F(CommandsStatusTest, ShowsTheClusterWithPoolsGraphsAndFailures) {
  v1::Cluster& cluster = service().cluster;
  cluster.set_connected(true);
  cluster.set_version("0.1");
  v1::Agent* agent = cluster.add_agents();
  agent->set_name("local");
  agent->set_connected(true);
  agent->set_attempts(2);
  (*agent->mutable_capacity())["cpu"] = 4;
  (*agent->mutable_capacity())["ram"] = 8589934592.0;
  (*agent->mutable_used())["cpu"] = 1.5;
  cluster.set_agent_count(1);
  v1::Pool* pool = cluster.add_pools();
  pool->set_name("db_connections");
  pool->set_capacity(4);
  pool->set_used(3);
  pool->set_waiting_tasks(12);
  auto* failure = service().failures.add_failures();
  failure->set_graph_name("small");
  failure->set_graph_id("g7");
  failure->set_task_name("t3");
  failure->set_message("exit status 3");
  EXPECT_EQ(Status(context_, {}), kDone);
  EXPECT_TRUE(Printed("Kartograph 0.1 at 127.0.0.1:")) << out_.str();
  EXPECT_TRUE(Printed("local  2         cpu 1.5 of 4, ram 0B of 8GiB\n"));
  EXPECT_TRUE(Printed("db_connections  3 of 4  12 tasks\n"));
  EXPECT_TRUE(Printed("g7  small  running  3/30"));
  EXPECT_FALSE(Printed("old"));
  EXPECT_TRUE(Printed("Last failures:\n"));
  EXPECT_TRUE(Printed("exit status 3\n"));
  out_.str("");
  context_.json = true;
  EXPECT_EQ(Status(context_, {}), kDone);
  EXPECT_EQ(Json<v1::Cluster>().pools(0).waiting_tasks(), 12);
}

TEST_F(CommandsStatusTest, TellsWhatAgentsSayOfThemselves) {
  v1::Agent* plain = service().cluster.add_agents();
  plain->set_name("plain");
  plain->set_connected(true);
  v1::Agent* agent = service().cluster.add_agents();
  agent->set_name("m");
  agent->set_connected(true);
  (*agent->mutable_attributes())["rack"] = "b3";
  (*agent->mutable_attributes())["disk"] = "ssd";
  agent->mutable_host()->set_cpu_busy(0.314);
  agent->mutable_host()->set_load(2.5);
  agent->mutable_host()->set_ram_available_bytes(1 << 30);
  EXPECT_EQ(Status(context_, {}), kDone);
  EXPECT_TRUE(Printed("NOTES\n")) << out_.str();
  EXPECT_TRUE(Printed("cpu 31% busy, load 2.5, 1GiB ram available, disk=ssd, rack=b3\n"))
      << out_.str();
}

TEST_F(CommandsStatusTest, SaysWhatAllAgentsHaveInCommonOnce) {
  for (const char* name : {"m1", "m2"}) {
    v1::Agent* agent = service().cluster.add_agents();
    agent->set_name(name);
    agent->set_connected(true);
    (*agent->mutable_attributes())["limits"] = "a long reason";
    (*agent->mutable_attributes())["rack"] = name;
  }
  EXPECT_EQ(Status(context_, {}), kDone);
  EXPECT_TRUE(Printed("rack=m1\n") && Printed("rack=m2\n")) << out_.str();
  EXPECT_TRUE(Printed("\nAll agents:\n  limits=a long reason\n")) << out_.str();
  EXPECT_EQ(out_.str().find("limits="), out_.str().rfind("limits="));
}

TEST_F(CommandsStatusTest, ShowsATasksScriptLineByLineAndItsGrace) {
  v1::TaskSpec* spec = service().tasks[0].mutable_spec();
  spec->mutable_command()->set_shell("echo one\necho \x1b[1mtwo\n");
  spec->mutable_cancel_grace()->set_seconds(90);
  EXPECT_EQ(Status(context_, {.graph = "g7", .task = "t0"}), kDone);
  EXPECT_TRUE(Printed("\n  command:\n    echo one\n    echo two\n  cancel_grace: 1m30s\n"))
      << out_.str();
  out_.str("");
  spec->mutable_cancel_grace()->Clear();
  spec->mutable_cancel_grace()->set_nanos(50'000'000);
  spec->set_max_attempts(2);
  spec->mutable_retry_delay()->set_nanos(10'000'000);
  spec->mutable_max_retry_delay()->set_seconds(300);
  EXPECT_EQ(Status(context_, {.graph = "g7", .task = "t0"}), kDone);
  EXPECT_TRUE(
      Printed("\n  cancel_grace: 50ms\n  max_attempts: 2\n  retry_delay: 10ms\n"
              "  max_retry_delay: 5m\n"))
      << out_.str();
  out_.str("");
  spec->mutable_command()->clear_shell();
  spec->mutable_command()->add_arguments("true");
  EXPECT_EQ(Status(context_, {.graph = "g7", .task = "t0"}), kDone);
  EXPECT_TRUE(Printed("\n  command: true\n")) << out_.str();
}

TEST_F(CommandsStatusTest, ListsGraphsByStateUpToALimit) {
  service().page_size = 1;
  EXPECT_EQ(List(context_, {.limit = 2}), kDone);
  EXPECT_TRUE(Printed("g7  small  running"));
  EXPECT_TRUE(Printed("g6  small  succeeded"));
  EXPECT_TRUE(Printed("1 min 30 s"));
  EXPECT_FALSE(Printed("g5"));
  EXPECT_EQ(err_.str(), "There are older ones; --limit shows more.\n");
  out_.str("");
  context_.json = true;
  EXPECT_EQ(List(context_, {.state = "failed"}), kDone);
  ASSERT_EQ(Json<v1::ListGraphsResponse>().graphs_size(), 1);
  EXPECT_EQ(Json<v1::ListGraphsResponse>().graphs(0).graph_id(), "g5");
  err_.str("");
  EXPECT_EQ(List(context_, {.state = "odd"}), kWrongUse);
  EXPECT_EQ(List(context_, {.state = "runing"}), kWrongUse);
  EXPECT_EQ(
      err_.str(),
      "kartograph: --state: \"odd\" is not a state of graphs; use one of running, succeeded, "
      "failed, cancelled\n"
      "kartograph: --state: \"runing\" is not a state of graphs; did you mean \"running\"?\n");
}

TEST_F(CommandsStatusTest, ListShowsUsersWhereThereAreSeveral) {
  service().graphs.clear();
  for (const char* id : {"g2", "g1"}) {
    service().graphs.push_back(MakeGraph(id, "release", v1::GRAPH_STATE_SUCCEEDED));
    service().graphs.back().set_user("maps");
  }
  EXPECT_EQ(List(context_, {}), kDone);
  EXPECT_FALSE(Printed("maps"));
  service().graphs.back().set_user("alice");
  EXPECT_EQ(List(context_, {}), kDone);
  EXPECT_TRUE(Printed("USER\n") && Printed("maps\n") && Printed("alice\n")) << out_.str();
}

}  // namespace
}  // namespace kartograph::cli
