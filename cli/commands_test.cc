// submit, validate, cancel, retry and logs against a service in this process.
#include "cli/commands.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "cli/testing/commands_test_base.h"

namespace kartograph::cli {
namespace {

using CommandsTest = CommandsTestBase;

constexpr char kGood[] =
    "name: small\nqueue: q1\ntasks:\n  - {name: a, command: [x]}\n  - {name: b, command: [x], "
    "after: a}\n";

TEST_F(CommandsTest, SubmitPrintsTheIdAlone) {
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kDone);
  EXPECT_EQ(out_.str(), "g7\n");
  EXPECT_EQ(err_.str(), "");
  EXPECT_EQ(service().submitted.name(), "small");
  EXPECT_EQ(service().submitted.client_queue(), "q1");
  ASSERT_EQ(service().submitted_tasks.size(), 2u);
  EXPECT_EQ(service().submitted_tasks[1].after(0), "a");
  EXPECT_GE(service().request_ids[0].size(), 32u);
}

TEST_F(CommandsTest, SubmitTakesNameAndQueueFromTheCommandLine) {
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood), .name = "other", .queue = "q2"}), kDone);
  EXPECT_EQ(service().submitted.name(), "other");
  EXPECT_EQ(service().submitted.client_queue(), "q2");
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood), .queue = "no queue"}), kWrongUse);
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood), .name = "-bad"}), kWrongUse);
}

TEST_F(CommandsTest, SubmitSendsManyTasksInAMessageOfSomeKibibytes) {
  std::string text = "tasks:\n";
  for (int i = 0; i < 300; ++i) {
    absl::StrAppend(&text, "  - {name: t", i, ", command: [", std::string(1000, 'x'), "]}\n");
  }
  EXPECT_EQ(Submit(context_, {.file = WriteFile(text)}), kDone);
  EXPECT_EQ(service().submitted_tasks.size(), 300u);
  EXPECT_EQ(service().submitted_tasks[299].name(), "t299");
  EXPECT_LT(service().largest_message, (size_t{64} << 10) + 1024);
  EXPECT_GT(service().largest_message, size_t{32} << 10);
}

TEST_F(CommandsTest, SubmitRepeatsItselfWithTheSameRequestIdWhileTheServiceIsUnavailable) {
  service().write_errors = {{grpc::StatusCode::UNAVAILABLE, "disk full"},
                            {grpc::StatusCode::UNAVAILABLE, "disk full"}};
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kDone);
  EXPECT_EQ(out_.str(), "g7\n");
  ASSERT_EQ(service().request_ids.size(), 3u);
  EXPECT_EQ(service().request_ids[0], service().request_ids[2]);
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kDone);
  EXPECT_NE(service().request_ids[0], service().request_ids[3]);
}

TEST_F(CommandsTest, SubmitShowsTheServicesProblemsWithTheirPlacesInTheFile) {
  service().write_errors = {{grpc::StatusCode::INVALID_ARGUMENT, "all of it in words"}};
  auto* first = service().problems.add_problems();
  first->set_field("tasks[\"b\"].consumption[\"cpu\"]");
  first->set_value("64");
  first->set_message("no agent ever had more than 2");
  auto* second = service().problems.add_problems();
  second->set_field("graph.name");
  second->set_message("is odd");
  service().problems.set_total(5);
  const std::string path = WriteFile(kGood);
  EXPECT_EQ(Submit(context_, {.file = path}), kWrongUse);
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(err_.str(),
            absl::StrCat(path, ": name: is odd\n", path,
                         ":5:12: tasks[1].consumption.cpu: \"64\": no agent ever had more than 2\n",
                         "and 3 more problems\n"));
}

TEST_F(CommandsTest, SubmitSuggestsTheResourceThatWasMeant) {
  service().write_errors = {{grpc::StatusCode::INVALID_ARGUMENT, "all of it in words"}};
  service().cluster.add_pools()->set_name("db_connections");
  (*service().cluster.add_agents()->mutable_capacity())["cpu"] = 4;
  const auto add = [&](const char* resource, const char* value, const char* message) {
    auto* problem = service().problems.add_problems();
    problem->set_field(absl::StrCat("tasks[\"a\"].consumption[\"", resource, "\"]"));
    problem->set_value(value);
    problem->set_message(message);
  };
  add("db_conection", "1", "nothing has this");
  add("cpus", "2", "nothing has this");
  add("licence", "3", "nothing has this");
  add("cpu", "4", "is too much");
  const std::string path = WriteFile(
      "tasks:\n  - name: a\n    command: [x]\n    consumption:\n      db_conection: 1\n      cpus: "
      "2\n"
      "      licence: 3\n      cpu: 4\n");
  EXPECT_EQ(Submit(context_, {.file = path}), kWrongUse);
  const std::string from = path + ":";
  EXPECT_EQ(err_.str().substr(err_.str().find(from + "5")),
            absl::StrCat(
                from,
                "5:21: tasks[0].consumption.db_conection: nothing has this; did you mean "
                "\"db_connections\"?\n",
                from, "6:13: tasks[0].consumption.cpus: nothing has this; did you mean \"cpu\"?\n",
                from, "7:16: tasks[0].consumption.licence: \"3\": nothing has this\n", from,
                "8:12: tasks[0].consumption.cpu: \"4\" is too much\n"));
}

TEST_F(CommandsTest, SuggestsTheGraphAndTheTaskThatWereMeant) {
  service().graphs = {MakeGraph("g7", "map_release", v1::GRAPH_STATE_FAILED)};
  service().tasks = {MakeTask("decode", v1::TASK_STATE_FAILED, ""),
                     MakeTask("load", v1::TASK_STATE_FAILED, "")};
  const auto said = [&] { return std::exchange(err_, std::ostringstream()).str(); };
  const std::string graph =
      "kartograph: no graph has the id or name \"map_relase\"; did you mean \"map_release\"?\n";
  EXPECT_EQ(Watch(context_, "map_relase"), kWrongUse);
  EXPECT_EQ(said(), graph);
  EXPECT_EQ(Retry(context_, "map_relase", {}, false), kWrongUse);
  EXPECT_EQ(said(), graph);
  EXPECT_EQ(Cancel(context_, "map_relase", {"load"}), kWrongUse);
  EXPECT_EQ(said(), graph);
  EXPECT_EQ(Watch(context_, "other"), kWrongUse);
  EXPECT_EQ(
      said(),
      "kartograph: no graph has the id or name \"other\"; \"kartograph list\" shows all graphs\n");

  const std::string task = "kartograph: there is no task decod; did you mean \"decode\"?\n";
  EXPECT_EQ(Result(context_, "g7", "decod"), kWrongUse);
  EXPECT_EQ(said(), task);
  EXPECT_EQ(Status(context_, {.graph = "g7", .task = "decod"}), kWrongUse);
  EXPECT_EQ(said(), task);
  service().on_read_log = [](int, const v1::ReadLogRequest& request, FakeService::LogWriter*) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no task " + request.task_name());
  };
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "decod"}), kWrongUse);
  EXPECT_EQ(said(), task);
  service().write_errors = {{grpc::StatusCode::NOT_FOUND, "there is no task decod"}};
  EXPECT_EQ(Cancel(context_, "g7", {"decod"}), kWrongUse);
  EXPECT_EQ(said(), task);
  // What is there, but has not what was asked for.
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "load"}), kWrongUse);
  EXPECT_EQ(said(), "kartograph: there is no task load\n");
}

TEST_F(CommandsTest, ScalesNothingButRecordedWorkflows) {
  const std::string path = WriteFile(kGood);
  EXPECT_EQ(Validate(context_, path, 2.0), kWrongUse);
  EXPECT_EQ(err_.str(),
            path +
                ": is not WfFormat, so there are no recorded runtimes that --scale could "
                "change; leave it out\n");
  EXPECT_EQ(Submit(context_, {.file = path, .scale = 1.0}), kWrongUse);
  EXPECT_TRUE(service().request_ids.empty());
}

TEST_F(CommandsTest, RunRefusesAFolderAsAShellDoes) {
  for (const char* folder : {".", "..", "/", "/tmp/"}) {
    err_.str("");
    EXPECT_EQ(cli::Run(context_, {.command = {folder}}), 126);
    EXPECT_EQ(err_.str(), absl::StrCat("kartograph: ", folder, ": is a directory\n"));
  }
  EXPECT_TRUE(service().request_ids.empty());
}

TEST_F(CommandsTest, LogsAsJsonNamesAnAttemptThatWroteNothing) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_FAILED)};
  service().tasks = {MakeTask("a", v1::TASK_STATE_FAILED, "")};
  service().tasks[0].add_attempts()->set_number(1);
  service().tasks[0].add_attempts()->set_number(2);
  service().on_read_log = [](int, const v1::ReadLogRequest&, FakeService::LogWriter*) {
    return grpc::Status::OK;
  };
  context_.json = true;
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "a", .standard_error = true}), kDone);
  EXPECT_EQ(Json<v1::ReadLogResponse>().attempt(), 2);
  out_.str("");
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "a", .standard_error = true, .attempt = 1}),
            kDone);
  EXPECT_EQ(Json<v1::ReadLogResponse>().attempt(), 1);
}

TEST_F(CommandsTest, SubmitRefusesAWrongFileWithoutAskingTheService) {
  const std::string path = WriteFile("tasks: [{name: a}]\n");
  EXPECT_EQ(Submit(context_, {.file = path}), kWrongUse);
  EXPECT_EQ(err_.str(), path + ":1:9: tasks[0]: the task has no command\n");
  EXPECT_TRUE(service().request_ids.empty());
  EXPECT_EQ(Submit(context_, {.file = "/nowhere.yaml"}), kWrongUse);
  EXPECT_EQ(Submit(context_, {.file = path, .scale = -1}), kWrongUse);
}

TEST_F(CommandsTest, SaysWhereItLookedForAServiceThatIsNotThere) {
  server_.Stop();
  Client client(ClientOptions{.address = server_.address(), .retry_for = absl::ZeroDuration()});
  context_.client = &client;
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kUnreachable);
  EXPECT_NE(err_.str().find(absl::StrCat("kartograph: the service at ", server_.address(),
                                         " cannot be reached")),
            std::string::npos)
      << err_.str();
  EXPECT_NE(err_.str().find("--server HOST:PORT"), std::string::npos);
  EXPECT_EQ(List(context_, {}), kUnreachable);
  EXPECT_EQ(out_.str(), "");
}

TEST_F(CommandsTest, SaysWhatAServiceCannotDoNow) {
  Client client(ClientOptions{.address = server_.address(), .retry_for = absl::ZeroDuration()});
  context_.client = &client;
  service().write_errors = {{grpc::StatusCode::UNAVAILABLE, "the disk is full"}};
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kUnreachable);
  EXPECT_EQ(err_.str(), absl::StrCat("kartograph: the service at ", server_.address(),
                                     " cannot do this now: the disk is full\n"));
}

TEST_F(CommandsTest, SubmitWarnsOfWhatIsDeclaredTooHigh) {
  service().usage_warnings.emplace_back().set_message("tasks like \"a-#\" declare too much\n");
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kDone);
  EXPECT_EQ(out_.str(), "g7\n");
  EXPECT_THAT(err_.str(),
              ::testing::StartsWith("kartograph: warning: tasks like \"a-#\" declare too much"));
}

TEST_F(CommandsTest, UsageShowsWhatWasUsedBesideWhatIsDeclared) {
  EXPECT_EQ(Usage(context_, {}), kDone);
  EXPECT_EQ(out_.str(), "No task has succeeded yet.\n");
  out_.str("");
  EXPECT_EQ(Usage(context_, {.names = {"tile-7"}}), kDone);
  EXPECT_EQ(out_.str(), "No task of this kind has succeeded yet.\n");
  EXPECT_EQ(service().usage_request.task(), "tile-7");
  EXPECT_EQ(service().usage_request.graph(), "");

  v1::KindUsage& kind = *service().usage.add_kinds();
  kind.set_graph("release-#");
  kind.set_task("tile-#");
  kind.set_runs(431);
  kind.mutable_wall_time_median()->set_seconds(2);
  kind.mutable_wall_time_p95()->set_seconds(100);
  kind.set_cpu_median(0.5);
  kind.set_cpu_p95(0.75);
  kind.set_ram_median(100 << 20);
  kind.set_ram_p95(150 << 20);
  kind.set_ram_peak(200 << 20);
  (*kind.mutable_consumption())["cpu"] = 1;
  (*kind.mutable_proposal())["ram"] = 256 << 20;
  v1::KindUsage& other = *service().usage.add_kinds();
  other.set_graph("g");
  other.set_task("a");
  other.set_runs(1);
  out_.str("");
  EXPECT_EQ(Usage(context_, {.names = {"release", "tile"}}), kDone);
  EXPECT_EQ(service().usage_request.graph(), "release");
  EXPECT_EQ(service().usage_request.task(), "tile");
  EXPECT_THAT(out_.str(),
              ::testing::StartsWith(
                  "GRAPH      KIND    RUNS  TIME   95 %        CPU  95 %  RAM     95 %    PEAK    "
                  "DECLARED  PROPOSED\n"
                  "release-#  tile-#  431   2.0 s  1 min 40 s  0.5  0.75  100MiB  150MiB  200MiB  "
                  "cpu=1     ram=256MiB\n"
                  "g          a       1     0.0 s  0.0 s"));
  // An id stands for the graph's name.
  service().graphs.push_back(MakeGraph("g7", "release", v1::GRAPH_STATE_RUNNING));
  EXPECT_EQ(Usage(context_, {.names = {"g7", "tile"}}), kDone);
  EXPECT_EQ(service().usage_request.graph(), "release");
  context_.json = true;
  out_.str("");
  EXPECT_EQ(Usage(context_, {}), kDone);
  EXPECT_EQ(Json<v1::ListUsageResponse>().kinds_size(), 2);
}

TEST_F(CommandsTest, ValidateCountsTasksAndEdges) {
  const std::string path = WriteFile(kGood);
  EXPECT_EQ(Validate(context_, path, std::nullopt), kDone);
  EXPECT_EQ(out_.str(), path + ": 2 tasks, 1 edge, ok\n");
}

TEST_F(CommandsTest, ValidateSaysAllProblems) {
  const std::string path = WriteFile("tasks: [{name: a, command: [x], after: [a, b]}]\n");
  EXPECT_EQ(Validate(context_, path, std::nullopt), kWrongUse);
  EXPECT_EQ(out_.str(), "");
  EXPECT_EQ(err_.str(),
            absl::StrCat(path, ":1:41: tasks[0].after: the task \"a\" depends on itself\n", path,
                         ":1:44: tasks[0].after: unknown task \"b\"; did you mean \"a\"?\n"));
}

TEST_F(CommandsTest, PrintsJsonOfTheContract) {
  context_.json = true;
  EXPECT_EQ(Submit(context_, {.file = WriteFile(kGood)}), kDone);
  EXPECT_EQ(Json<v1::SubmitGraphResponse>().graph_id(), "g7");
  EXPECT_NE(out_.str().find("\"graphId\""), std::string::npos);
  out_.str("");
  EXPECT_EQ(Validate(context_, WriteFile(kGood), std::nullopt), kDone);
  EXPECT_EQ(Json<v1::Problems>().total(), 0);
  EXPECT_NE(out_.str().find("\"total\": 0"), std::string::npos);  // also what is zero
  out_.str("");
  EXPECT_EQ(Validate(context_, WriteFile("tasks: 3\n"), std::nullopt), kWrongUse);
  ASSERT_EQ(Json<v1::Problems>().total(), 1);
  EXPECT_EQ(Json<v1::Problems>().problems(0).message(),
            "line 1, column 8: expected a list of tasks, found \"3\"");
}

TEST_F(CommandsTest, CancelSaysHowManyTasksItMeets) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  EXPECT_EQ(Cancel(context_, "g7", {}), kDone);
  EXPECT_EQ(out_.str(), "3 tasks of small (g7) are being cancelled\n");
  out_.str("");
  service().affected = 1;
  EXPECT_EQ(Cancel(context_, "small", {"a"}), kDone);
  EXPECT_EQ(out_.str(), "1 task of small (g7) is being cancelled\n");
  EXPECT_EQ(service().cancelled.graph_id(), "g7");
  ASSERT_EQ(service().cancelled.task_names_size(), 1);
  EXPECT_EQ(service().cancelled.task_names(0), "a");
  out_.str("");
  service().affected = 0;
  EXPECT_EQ(Cancel(context_, "g7", {}), kDone);
  EXPECT_EQ(out_.str(), "nothing to cancel: small (g7) has ended\n");
}

TEST_F(CommandsTest, RetrySaysHowManyTasksWillRunAgain) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_FAILED)};
  EXPECT_EQ(Retry(context_, "small", {}, false), kDone);
  EXPECT_EQ(out_.str(), "3 tasks of small (g7) will run again\n");
  out_.str("");
  context_.json = true;
  EXPECT_EQ(Retry(context_, "small", {}, false), kDone);
  EXPECT_EQ(Json<v1::RetryResponse>().tasks(), 3);
}

TEST_F(CommandsTest, LookingForTheGraphIsPartOfAWriteThatIsRetried) {
  const grpc::Status away(grpc::StatusCode::UNAVAILABLE, "not yet");
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_FAILED)};
  service().read_errors = {away, {grpc::StatusCode::CANCELLED, "stopping"}};
  EXPECT_EQ(Cancel(context_, "g7", {}), kDone) << err_.str();
  service().read_errors = {away};
  EXPECT_EQ(Retry(context_, "g7", {}, false), kDone) << err_.str();
  EXPECT_TRUE(service().read_errors.empty());
}

TEST_F(CommandsTest, TellsRefusalsFromWrongUse) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().write_errors = {{grpc::StatusCode::FAILED_PRECONDITION, "the graph still runs"},
                            {grpc::StatusCode::NOT_FOUND, "unknown task \"zz\""}};
  EXPECT_EQ(Retry(context_, "g7", {"a"}, false), kNotSucceeded);
  EXPECT_EQ(err_.str(), "kartograph: the graph still runs\n");
  EXPECT_EQ(Cancel(context_, "g7", {"zz"}), kWrongUse);
  err_.str("");
  EXPECT_EQ(Cancel(context_, "nope", {}), kWrongUse);
  EXPECT_EQ(
      err_.str(),
      "kartograph: no graph has the id or name \"nope\"; \"kartograph list\" shows all graphs\n");
}

TEST_F(CommandsTest, ARetriedGraphHasNothingToRetryUntilSomethingFails) {
  const grpc::Status running(grpc::StatusCode::FAILED_PRECONDITION, "graph \"g7\" still runs");
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().write_errors = {running, running, running};
  EXPECT_EQ(Retry(context_, "small", {}, false), kDone);
  EXPECT_EQ(out_.str(),
            "nothing to retry: small (g7) is running, and none of its tasks has failed, been "
            "cancelled or skipped\n");
  EXPECT_EQ(err_.str(), "");
  out_.str("");
  context_.json = true;
  EXPECT_EQ(Retry(context_, "small", {}, false), kDone);
  EXPECT_EQ(Json<v1::RetryResponse>().tasks(), 0);
  service().graphs[0].mutable_counts()->set_failed(1);
  EXPECT_EQ(Retry(context_, "small", {}, false), kNotSucceeded);
  EXPECT_EQ(err_.str(),
            "kartograph: small (g7) is still running; retry it when it has ended, or some of its "
            "tasks now: kartograph retry g7 TASK ...\n");
}

TEST_F(CommandsTest, ForgetSaysWhatWouldLetGoOfAGraph) {
  const grpc::Status kept(grpc::StatusCode::FAILED_PRECONDITION, "it is kept");
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_FAILED),
                      MakeGraph("g8", "other", v1::GRAPH_STATE_RUNNING)};
  service().graphs[0].mutable_spec()->set_client_queue("q1");
  service().write_errors = {kept, kept};
  EXPECT_EQ(Forget(context_, {"g7"}), kNotSucceeded);
  EXPECT_EQ(err_.str(),
            "kartograph: it is kept\n"
            "  Print and acknowledge what waits: kartograph queue pop q1\n"
            "  Acknowledge everything in this queue, of other graphs too: kartograph queue purge "
            "q1\n");
  err_.str("");
  EXPECT_EQ(Forget(context_, {"other"}), kNotSucceeded);
  EXPECT_EQ(err_.str(),
            "kartograph: it is kept\n"
            "  Cancel it: kartograph cancel g8\n"
            "  Wait for its end: kartograph watch g8\n");
  EXPECT_EQ(Forget(context_, {"g7"}), kDone);
  EXPECT_EQ(out_.str(), "small (g7) was forgotten, with its logs and sandboxes\n");
}

TEST_F(CommandsTest, RunReportsProblemsByOption) {
  (*service().cluster.add_agents()->mutable_capacity())["cpu"] = 2;
  const auto add = [&](const char* field, const char* value, const char* message) {
    auto* problem = service().problems.add_problems();
    problem->set_field(field);
    problem->set_value(value);
    problem->set_message(message);
  };
  add("tasks[\"x\"].consumption[\"cpu\"]", "9", "is more than any agent has");
  add("tasks[\"x\"].consumption[\"gpu\"]", "1", "nothing has this");
  add("tasks[\"x\"].consumption[\"cup\"]", "1", "nothing has this");
  add("task.command.environment[\"A\"]", "A", "is reserved");
  add("task.command.directory", "", "must be absolute");
  add("task.max_attempts", "0", "is too low");
  add("client_queue", "", "is odd");
  service().problems.set_total(8);
  service().write_errors = {{grpc::StatusCode::INVALID_ARGUMENT, "all of it in words"}};
  EXPECT_EQ(cli::Run(context_, {.command = {"x"}}), kWrongUse);
  EXPECT_EQ(err_.str(),
            "kartograph: --cpu: \"9\" is more than any agent has\n"
            "kartograph: --resource gpu: \"1\": nothing has this\n"
            "kartograph: --resource cup: nothing has this; did you mean \"cpu\"?\n"
            "kartograph: --env: \"A\" is reserved\n"
            "kartograph: --directory: must be absolute\n"
            "kartograph: --max-attempts: \"0\" is too low\n"
            "kartograph: client_queue: is odd\n"
            "and 1 more problem\n");
  err_.str("");
  EXPECT_EQ(cli::Run(context_, {.command = {"x"}, .consumption = {"cpu=1", "cpu=2"}}), kWrongUse);
  EXPECT_EQ(cli::Run(context_, {.command = {"x"}, .environment = {"A=1", "A=2"}}), kWrongUse);
  EXPECT_EQ(err_.str(),
            "kartograph: --resource: cpu is given twice; give it once\n"
            "kartograph: --env: \"A\" is given twice; give it once\n");
  err_.str("");
  service().write_errors = {{grpc::StatusCode::INVALID_ARGUMENT, "no"}};
  EXPECT_EQ(cli::Run(context_, {.command = {"x"}, .consumption = {"ram=8"}}), kWrongUse);
  EXPECT_EQ(err_.str().rfind("kartograph: warning: --ram: \"8\" is a number of bytes; did you mean "
                             "\"8GiB\"?\n",
                             0),
            0u)
      << err_.str();
  err_.str("");
  EXPECT_EQ(cli::Run(context_, {.command = {"x"}, .consumption = {"ram=9x"}}), kWrongUse);
  EXPECT_EQ(err_.str().rfind("kartograph: --ram: \"9x\" has an unknown unit", 0), 0u) << err_.str();
}

TEST_F(CommandsTest, AWriteThatIsRepeatedForASecondSaysSoOnce) {
  std::vector<absl::Duration> said;
  Client client(ClientOptions{.address = server_.address(),
                              .retry_for = absl::Seconds(60),
                              .on_waiting = [&](absl::Duration left) { said.push_back(left); }});
  context_.client = &client;
  const grpc::Status away(grpc::StatusCode::UNAVAILABLE, "not yet");
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().write_errors = {away};
  EXPECT_EQ(Cancel(context_, "g7", {}), kDone);
  EXPECT_TRUE(said.empty()) << "it was back at once";
  service().read_errors.assign(6, away);  // more than a second
  service().write_errors.assign(6, away);
  EXPECT_EQ(Cancel(context_, "g7", {}), kDone);
  ASSERT_EQ(said.size(), 1u);
  EXPECT_GT(said[0], absl::Seconds(30));
  EXPECT_LE(said[0], absl::Seconds(59));
}

TEST_F(CommandsTest, ResultSaysWhyThereIsNone) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().tasks = {MakeTask("a", v1::TASK_STATE_FAILED, "exited with status 3"),
                     MakeTask("b", v1::TASK_STATE_RUNNING, "")};
  EXPECT_EQ(Result(context_, "g7", "a"), kNotSucceeded);
  EXPECT_EQ(Result(context_, "g7", "b"), kNotSucceeded);
  EXPECT_EQ(err_.str(),
            "kartograph: a has failed: exited with status 3\nkartograph: b is running\n");
}

TEST_F(CommandsTest, LogsPrintsWhatATaskWroteAsItIs) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().log = std::string("err\x1b[1m\0\xff\n", 9);
  EXPECT_EQ(Logs(context_, {.graph = "small", .task = "a", .standard_output = true}), kDone);
  EXPECT_EQ(out_.str(), "out");
  out_.str("");
  EXPECT_EQ(Logs(context_, {.graph = "small", .task = "a", .standard_error = true}), kDone);
  EXPECT_EQ(out_.str(), service().log);
  EXPECT_EQ(err_.str(), "");
}

TEST_F(CommandsTest, LogsPrintsBothStreamsUnlessOneIsAskedFor) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().log = "err\n";
  EXPECT_EQ(Logs(context_, {.graph = "small", .task = "a"}), kDone);
  EXPECT_EQ(out_.str(), "out");
  EXPECT_EQ(err_.str(), "err\n");
  out_.str("");
  context_.json = true;
  EXPECT_EQ(Logs(context_, {.graph = "small", .task = "a"}), kDone);
  EXPECT_NE(out_.str().find("\"stdout\": {"), std::string::npos) << out_.str();
  EXPECT_NE(out_.str().find("\"stderr\": {"), std::string::npos) << out_.str();
}

TEST_F(CommandsTest, LogsOfAGraphAreThoseOfItsFailedTasks) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_FAILED)};
  service().tasks = {MakeTask("a", v1::TASK_STATE_SUCCEEDED, ""),
                     MakeTask("b", v1::TASK_STATE_FAILED, "exited with status 3")};
  service().log = "err\n";
  EXPECT_EQ(Logs(context_, {.graph = "g7", .standard_error = true}), kDone);
  EXPECT_EQ(out_.str(), "==> b: exited with status 3 <==\nerr\n");
  out_.str("");
  EXPECT_EQ(Logs(context_, {.graph = "g7"}), kDone);
  EXPECT_EQ(out_.str(), "==> b: exited with status 3 <==\nout\n==> b, stderr <==\nerr\n");
  EXPECT_EQ(Logs(context_, {.graph = "g7", .follow = true}), kWrongUse);
  EXPECT_EQ(Logs(context_, {.graph = "g7", .attempt = 1}), kWrongUse);
}

// Writes `text` from where `request` says, as a service does.
void Serve(const std::string& text, const v1::ReadLogRequest& request,
           FakeService::LogWriter* writer) {
  const int64_t size = static_cast<int64_t>(text.size());
  const int64_t offset =
      request.offset() < 0 ? std::max<int64_t>(size + request.offset(), 0) : request.offset();
  v1::ReadLogResponse part;
  part.set_attempt(1);
  part.set_offset(offset);
  part.set_data(text.substr(static_cast<size_t>(offset)));
  if (!part.data().empty() || request.follow()) writer->Write(part);
}

TEST_F(CommandsTest, LogsPrintsTheLastLines) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  std::string text;
  for (int i = 0; i < 100000; ++i) absl::StrAppend(&text, "line ", i, "\n");
  service().on_read_log = [&](int, const v1::ReadLogRequest& request,
                              FakeService::LogWriter* writer) {
    Serve(text, request, writer);
    return grpc::Status::OK;
  };
  const auto tail = [&](int lines, bool follow = false) {
    out_.str("");
    EXPECT_EQ(
        Logs(
            context_,
            {.graph = "g7", .task = "a", .follow = follow, .standard_output = true, .tail = lines}),
        kDone);
    return out_.str();
  };
  EXPECT_EQ(tail(2), "line 99998\nline 99999\n");
  EXPECT_EQ(tail(0), "");
  EXPECT_EQ(tail(50000), text.substr(text.find("line 50000\n")));  // more than one read's
  EXPECT_EQ(tail(100000), text);
  EXPECT_EQ(tail(100001), text);
  EXPECT_EQ(tail(1, true), "line 99999\n");  // and nothing of it twice
  text = "no newline";
  EXPECT_EQ(tail(1), "no newline");
  text = "a\nb";
  EXPECT_EQ(tail(1), "b");
  text = "\n\n\n";
  EXPECT_EQ(tail(2), "\n\n");
  text = "";
  EXPECT_EQ(tail(5), "");
  EXPECT_EQ(tail(5, true), "");
}

TEST_F(CommandsTest, ANameToChangeIsThatOfTheGraphThatRuns) {
  service().graphs = {MakeGraph("g9", "release", v1::GRAPH_STATE_SUCCEEDED),
                      MakeGraph("g8", "other", v1::GRAPH_STATE_RUNNING),
                      MakeGraph("g7", "release", v1::GRAPH_STATE_RUNNING)};
  EXPECT_EQ(Cancel(context_, "release", {}), kDone);
  EXPECT_EQ(service().cancelled.graph_id(), "g7");
  service().graphs.push_back(MakeGraph("g5", "release", v1::GRAPH_STATE_RUNNING));
  service().cancelled.Clear();
  EXPECT_EQ(Cancel(context_, "release", {}), kWrongUse);
  EXPECT_EQ(service().cancelled.graph_id(), "");
  EXPECT_EQ(err_.str(),
            "kartograph: several graphs named \"release\" are running (g7, g5); give the id of the "
            "one you mean\n");
  EXPECT_EQ(Cancel(context_, "g5", {}), kDone);
  EXPECT_EQ(service().cancelled.graph_id(), "g5");
}

TEST_F(CommandsTest, FollowedLogsSayWhichAttemptComesNext) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().on_read_log = [](int call, const v1::ReadLogRequest& request,
                             FakeService::LogWriter* writer) -> grpc::Status {
    EXPECT_EQ(request.attempt(), call == 0 ? 0 : 2);
    EXPECT_TRUE(request.follow_retries());
    v1::ReadLogResponse part;
    part.set_attempt(1);
    part.set_data("first\n");
    if (call == 0) writer->Write(part);
    part.set_attempt(2);
    part.set_offset(request.attempt() == 2 ? request.offset() : 0);
    part.set_data(call == 0 ? "sec" : "ond\n");
    writer->Write(part);
    EXPECT_EQ(request.offset(), call == 0 ? 0 : 3);
    return call == 0 ? grpc::Status(grpc::StatusCode::CANCELLED, "stopping") : grpc::Status::OK;
  };
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "a", .follow = true, .standard_output = true}),
            kDone);
  EXPECT_EQ(out_.str(), "first\nsecond\n");
  EXPECT_EQ(err_.str(),
            "==> a, attempt 2 <==\nkartograph: the service is unavailable, trying again\n");
}

TEST_F(CommandsTest, ALossOfTheServiceIsSaidOnceForBothStreams) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  std::atomic<int> of_stdout = 0, of_stderr = 0;
  service().on_read_log = [&](int, const v1::ReadLogRequest& request,
                              FakeService::LogWriter* writer) -> grpc::Status {
    const bool is_stderr = request.stream() == v1::LOG_STREAM_STDERR;
    const int call = is_stderr ? of_stderr++ : of_stdout++;
    // stderr loses its connection once more when stdout is back and goes on.
    while (is_stderr && call == 0 && of_stdout == 0) absl::SleepFor(absl::Milliseconds(1));
    while (is_stderr && call == 1 && of_stdout < 2) absl::SleepFor(absl::Milliseconds(1));
    v1::ReadLogResponse part;
    part.set_attempt(1);
    part.set_offset(request.offset());
    part.set_data(is_stderr ? "" : "more\n");
    if (!is_stderr) writer->Write(part);
    if (is_stderr && call == 1) absl::SleepFor(absl::Milliseconds(100));
    return call < (is_stderr ? 2 : 1) ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping")
                                      : grpc::Status::OK;
  };
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "a", .follow = true}), kDone);
  EXPECT_EQ(out_.str(), "more\nmore\n");
  EXPECT_EQ(err_.str(), "kartograph: the service is unavailable, trying again\n");
}

TEST_F(CommandsTest, WhatCannotBeWrittenEndsACommand) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  std::atomic<bool> read = true;
  context_.out_terminal.has_reader = [&] { return read.load(); };
  service().on_read_log = [&](int, const v1::ReadLogRequest&,
                              FakeService::LogWriter* writer) -> grpc::Status {
    v1::ReadLogResponse part;
    part.set_attempt(1);
    part.set_data("text");
    writer->Write(part);
    read = false;
    while (writer->Write(part)) absl::SleepFor(absl::Milliseconds(1));
    return grpc::Status::CANCELLED;
  };
  EXPECT_EQ(Logs(context_, {.graph = "g7", .task = "a", .follow = true}), kOutputLost);
}

TEST_F(CommandsTest, LogsGoesOnWhereItWasAfterALossOfTheService) {
  service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)};
  service().on_read_log = [](int call, const v1::ReadLogRequest& request,
                             FakeService::LogWriter* writer) -> grpc::Status {
    EXPECT_EQ(request.attempt(), 2);
    EXPECT_TRUE(request.follow());
    v1::ReadLogResponse part;
    part.set_offset(request.offset());
    part.set_data(call == 0 ? "first " : "second");
    writer->Write(part);
    EXPECT_EQ(request.offset(), call == 0 ? 0 : 6);
    return call == 0 ? grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping") : grpc::Status::OK;
  };
  context_.json = true;
  EXPECT_EQ(
      Logs(context_,
           {.graph = "g7", .task = "a", .follow = true, .standard_output = true, .attempt = 2}),
      kDone);
  EXPECT_EQ(Json<v1::ReadLogResponse>().data(), "first second");
  EXPECT_EQ(Json<v1::ReadLogResponse>().offset(), 0);
}

TEST_F(CommandsTest, AddsListsAndRemovesUsers) {
  v1::User& owner = server_.users.users.emplace_back();
  owner.set_name("maps");
  owner.set_role(v1::ROLE_ADMIN);
  EXPECT_EQ(AddUser(context_, "alice", "reader"), kDone);
  EXPECT_EQ(out_.str(), "token of alice\n") << "and nothing else, so that it can be redirected";
  EXPECT_NE(err_.str().find("as alice (reader)"), std::string::npos) << err_.str();
  EXPECT_NE(AddUser(context_, "alice", "user"), kDone);
  EXPECT_NE(err_.str().find("is there"), std::string::npos) << err_.str();

  out_.str("");
  EXPECT_EQ(ListUsers(context_), kDone);
  EXPECT_EQ(out_.str(),
            "USER   ROLE    ADDED\n"
            "maps   admin   the service's own\n"
            "alice  reader  1970-01-01T00:16:40Z\n");
  out_.str("");
  EXPECT_EQ(WhoAmI(context_), kDone);
  EXPECT_EQ(out_.str(), "maps (admin)\n");
  EXPECT_EQ(RemoveUser(context_, "alice"), kDone);
  EXPECT_NE(RemoveUser(context_, "alice"), kDone);
}

}  // namespace
}  // namespace kartograph::cli
