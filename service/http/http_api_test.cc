#include "service/http/http_api.h"

#include <gmock/gmock.h>
#include <google/protobuf/util/json_util.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "absl/synchronization/notification.h"
#include "service/http/testing/raw_client.h"
#include "service/testing/service_harness.h"

namespace kartograph::service {
namespace {

using planner::Outcome;
using testing::AllOf;
using testing::HasSubstr;
using testing::StartsWith;

constexpr WebFile kFiles[] = {{"index.html", "<!doctype html>"}, {"page.js", "go()"}};

class HttpApiTest : public testing::Test {
 protected:
  HttpApiTest() {
    EventFeed::Options events;
    events.interval = absl::Milliseconds(20);
    events.heartbeat = absl::Milliseconds(200);
    feed_ = std::make_unique<EventFeed>(events, below_.scheduler.get(), below_.queries.get(),
                                        below_.workers.get());
    api_ = std::make_unique<HttpApi>(
        HttpApi::Options{
            .version = "1.2.3", .start_time = absl::FromUnixSeconds(1000), .files = kFiles},
        below_.parts, feed_.get(), &probes_);
    HttpServerOptions options;
    options.address = {"127.0.0.1", 0};
    server_ = *HttpServer::Start(options, [this](HttpRequest request, HttpReply reply) {
      api_->Handle(std::move(request), std::move(reply));
    });
  }
  ~HttpApiTest() override {
    below_.StopScheduler();
    server_->Stop();
    below_.workers->Stop();
    probes_.Stop();
  }

  RawClient::Response Get(const std::string& target) {
    return RawClient(server_->port()).Get(target);
  }
  template <typename Message>
  Message GetMessage(const std::string& target) {
    const RawClient::Response response = Get(target);
    EXPECT_EQ(response.status, 200) << target << " " << response.body;
    EXPECT_EQ(response.headers.at("content-type"), "application/json");
    Message message;
    EXPECT_TRUE(google::protobuf::util::JsonStringToMessage(response.body, &message).ok());
    return message;
  }

  static scheduler::SchedulerOptions WithPool() {
    scheduler::SchedulerOptions options;
    options.pools = {{planner::Resource::Named("db"), planner::Quantity::Of(4)}};
    return options;
  }

  ServiceHarness below_{WithPool()};
  WorkerPool probes_{1};
  std::unique_ptr<EventFeed> feed_;
  std::unique_ptr<HttpApi> api_;
  std::unique_ptr<HttpServer> server_;
};

TEST_F(HttpApiTest, ServesThePage) {
  const RawClient::Response page = Get("/");
  EXPECT_EQ(page.status, 200);
  EXPECT_EQ(page.body, "<!doctype html>");
  EXPECT_EQ(page.headers.at("content-type"), "text/html; charset=utf-8");
  EXPECT_EQ(Get("/index.html").body, "<!doctype html>");
  EXPECT_EQ(Get("/page.js").headers.at("content-type"), "text/javascript; charset=utf-8");
  EXPECT_EQ(Get("/page.js?v=1").status, 200);
}

TEST_F(HttpApiTest, EmbedsTheRealPage) {
  bool has_index = false;
  for (const WebFile& file : WebFiles()) {
    EXPECT_NE(ContentTypeOf(file.name), "") << file.name;
    EXPECT_FALSE(file.content.empty()) << file.name;
    has_index |= file.name == "index.html";
  }
  EXPECT_TRUE(has_index);
}

TEST_F(HttpApiTest, SaysWhatIsNotThere) {
  for (const char* target :
       {"/nowhere", "/api", "/api/v1", "/api/v2/graphs", "/api/v1/nowhere", "/api/v1/cluster/x",
        "/api/v1/graphs/g1/nowhere", "/api/v1/graphs/g1/tasks/x", "/../../etc/passwd",
        "/%2e%2e/%2e%2e/etc/passwd", "//", "/page.js/"}) {
    const RawClient::Response response = Get(target);
    EXPECT_EQ(response.status, 404) << target;
    EXPECT_THAT(response.body, HasSubstr("\"code\":\"NOT_FOUND\"")) << target;
  }
  EXPECT_THAT(Get("/api/v1/graphs/g99").body, HasSubstr("no graph \\\"g99\\\""));
}

TEST_F(HttpApiTest, SpeaksTheContractAsJson) {
  below_.Submit("release", {"a", "tiles/1 a"});
  below_.cluster.Run(below_.cluster.WaitForLaunch("a").attempt);
  below_.WaitForTask(1, "a", v1::TASK_STATE_RUNNING);
  const auto graphs = GetMessage<v1::ListGraphsResponse>("/api/v1/graphs?page_size=5");
  ASSERT_EQ(graphs.graphs_size(), 1);
  EXPECT_EQ(graphs.graphs(0).spec().name(), "release");
  EXPECT_EQ(GetMessage<v1::Graph>("/api/v1/graphs/g1").counts().running(), 1);
  const std::string tasks = "/api/v1/graphs/g1/tasks";
  EXPECT_EQ(GetMessage<v1::ListTasksResponse>(tasks).tasks_size(), 2);
  EXPECT_EQ(GetMessage<v1::ListTasksResponse>(tasks + "?state=failed&state=running").tasks_size(),
            1);
  EXPECT_EQ(GetMessage<v1::ListTasksResponse>(tasks + "?full=true").tasks(0).attempts_size(), 1);
  EXPECT_EQ(GetMessage<v1::Task>("/api/v1/graphs/g1/task?name=tiles/1").state(),
            v1::TASK_STATE_WAITING);
  EXPECT_EQ(GetMessage<v1::Cluster>("/api/v1/cluster").running(0).task_name(), "a");
  EXPECT_EQ(GetMessage<v1::ListFailuresResponse>("/api/v1/failures?max_failures=3").failures_size(),
            0);
  // Names as in protobuf's mapping, with defaults.
  EXPECT_THAT(Get("/api/v1/graphs/g1").body,
              AllOf(HasSubstr("\"graphId\":\"g1\""), HasSubstr("\"failFast\":false"),
                    HasSubstr("\"state\":\"GRAPH_STATE_RUNNING\"")));
}

TEST_F(HttpApiTest, AZeroStandsForTheDefaultAsInTheContract) {
  below_.Submit("release", {"a"});
  for (const char* value : {"0", ""}) {
    EXPECT_EQ(GetMessage<v1::ListGraphsResponse>(absl::StrCat("/api/v1/graphs?page_size=", value))
                  .graphs_size(),
              1);
    EXPECT_EQ(
        GetMessage<v1::ListTasksResponse>(absl::StrCat("/api/v1/graphs/g1/tasks?page_size=", value))
            .tasks_size(),
        1);
  }
}

TEST_F(HttpApiTest, RefusesWrongParametersWithAllProblems) {
  for (const char* target :
       {"/api/v1/graphs?page_size=lots", "/api/v1/graphs?page_size=-1",
        "/api/v1/graphs?page_size=99999999999999", "/api/v1/graphs?state=angry",
        "/api/v1/graphs?state=RUNNING", "/api/v1/graphs?page_token=x",
        "/api/v1/graphs?page_size=1&page_size=2", "/api/v1/graphs?colour=blue", "/api/v1/graphs/x",
        "/api/v1/graphs/", "/api/v1/graphs/g1/task", "/api/v1/graphs/g1/tasks?state=asleep",
        "/api/v1/graphs/g1/tasks?full=maybe", "/api/v1/graphs/g1/log?task=a&stream=stdin",
        "/api/v1/graphs/g1/log?task=a&attempt=-1", "/api/v1/failures?max_failures=101",
        "/api/v1/cluster?x=1"}) {
    const RawClient::Response response = Get(target);
    EXPECT_EQ(response.status, 400) << target;
    EXPECT_THAT(response.body, HasSubstr("\"problems\"")) << target;
  }
  // Whatever is wrong with a number, its range is named.
  for (const char* wrong : {"-1", "1001", "99999999999999999999", "2.5", "lots"}) {
    EXPECT_THAT(Get(absl::StrCat("/api/v1/graphs?page_size=", wrong)).body,
                HasSubstr(absl::StrCat("page_size = ", wrong, ": must be a whole number from 1 to ",
                                       "1000, or 0 for the default of 100")));
  }
  EXPECT_THAT(Get("/api/v1/failures?max_failures=101").body,
              HasSubstr("from 1 to 100, or 0 for the default of 10"));
  EXPECT_THAT(Get("/api/v1/graphs/g1/log?task=a&attempt=9999").body,
              HasSubstr("from 1 to 2047, or 0 for the last one"));
  EXPECT_THAT(Get("/api/v1/graphs?page_size=x&state=y&z=1").body,
              AllOf(HasSubstr("page_size"), HasSubstr("running, succeeded"), HasSubstr("\"z\"")));
}

TEST_F(HttpApiTest, ServesLogsAsText) {
  below_.Submit("g", {"a"});
  const executor::Launch launch = below_.cluster.WaitForLaunch("a");
  below_.cluster.WriteLog(launch.attempt, executor::LogStream::kStderr, "hello\n");
  const std::string log = "/api/v1/graphs/g1/log?task=a&stream=stderr";
  RawClient::Response response = Get(log);
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.body, "hello\n");
  EXPECT_EQ(response.headers.at("content-type"), "text/plain; charset=utf-8");
  EXPECT_EQ(response.headers.at("x-kartograph-offset"), "0");
  response = Get(log + "&offset=-3&attempt=1");
  EXPECT_EQ(response.body, "lo\n");
  EXPECT_EQ(response.headers.at("x-kartograph-offset"), "3");
  below_.cluster.WriteLog(launch.attempt, executor::LogStream::kStderr, std::string(2 << 20, 'x'));
  EXPECT_EQ(Get(log).body.size(), size_t{1} << 20);
  EXPECT_EQ(Get(log + "&attempt=2").status, 404);
}

TEST_F(HttpApiTest, ServesResultsByteForByte) {
  below_.Submit("g", {"a"});
  const planner::AttemptId attempt = below_.cluster.WaitForLaunch("a").attempt;
  EXPECT_EQ(Get("/api/v1/graphs/g1/result?task=a").status, 409);
  std::string value("\0\xff\n", 3);
  value.resize(2 << 20, 'x');
  below_.cluster.End(attempt, planner::Outcome::kSucceeded, value);
  below_.WaitForState(1, planner::GraphState::kSucceeded);
  RawClient::Response response = Get("/api/v1/graphs/g1/result?task=a");
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.headers.at("content-type"), "application/octet-stream");
  EXPECT_EQ(response.headers.at("x-kartograph-size"), absl::StrCat(2 << 20));
  EXPECT_TRUE(response.body == value.substr(0, 1 << 20));
  response = Get(absl::StrCat("/api/v1/graphs/g1/result?task=a&attempt=1&offset=", (2 << 20) - 2));
  EXPECT_EQ(response.body, "xx");
  EXPECT_EQ(Get("/api/v1/graphs/g1/result?task=a&offset=-1").status, 400);
  EXPECT_EQ(Get("/api/v1/graphs/g1/result?task=b").status, 404);
}

TEST_F(HttpApiTest, TellsItsHealth) {
  EXPECT_EQ(Get("/healthz").body, "ok\n");
  absl::Notification unblock;
  below_.scheduler->Inspect([&](const auto&) { unblock.WaitForNotification(); });
  // It says so at once as soon as that lasts too long.
  RawClient::Response stuck;
  ServiceHarness::Eventually([&] {
    stuck = Get("/healthz");
    return stuck.status == 503;
  });
  EXPECT_THAT(stuck.body, HasSubstr("does not answer"));
  unblock.Notify();
  below_.StopScheduler();
  EXPECT_EQ(Get("/healthz").status, 503);
}

TEST_F(HttpApiTest, WithoutItsClusterItIsHealthyAndSaysSo) {
  below_.cluster.Disconnect("nobody is there");
  std::string said;
  ServiceHarness::Eventually([&] {
    api_->LookAtCluster();
    const RawClient::Response response = Get("/healthz");
    EXPECT_EQ(response.status, 200);
    said = response.body;
    return said != "ok\n";
  });
  EXPECT_EQ(said, "ok\nnot connected to its cluster: nobody is there\n");
}

TEST_F(HttpApiTest, TellsPrometheus) {
  below_.cluster.EndEachWith(Outcome::kSucceeded);
  below_.WaitForState(below_.Submit("g", {"a"}), planner::GraphState::kSucceeded);
  below_.cluster.EndEachWith(Outcome::kNone);
  below_.Submit("g", {"b"});
  below_.cluster.WaitForLaunch("b");
  const RawClient::Response response = Get("/metrics");
  EXPECT_EQ(response.status, 200);
  EXPECT_THAT(response.headers.at("content-type"), StartsWith("text/plain; version=0.0.4"));
  for (const char* line :
       {"kartograph_build_info{version=\"1.2.3\"} 1\n", "process_start_time_seconds 1000\n",
        "kartograph_tasks{state=\"launching\"} 1\n", "kartograph_attempts_launched_total 2\n",
        "kartograph_attempts_ended_total{outcome=\"succeeded\"} 1\n",
        "kartograph_attempts_ended_total{outcome=\"out_of_memory\"} 0\n",
        "kartograph_pool_capacity{pool=\"db\"} 4\n", "kartograph_pool_used{pool=\"db\"} 0\n",
        "kartograph_agents{connected=\"true\"} 1\n",
        "kartograph_agent_memory_limits{kept_by=\"kernel\"} 1\n",
        "kartograph_agent_memory_limits{kept_by=\"measuring\"} 0\n", "kartograph_graphs_live 1\n",
        "kartograph_agent_resource_capacity{resource=\"cpu\"} 100\n",
        "kartograph_agent_resource_used{resource=\"cpu\"} 1\n"}) {
    EXPECT_THAT(response.body, HasSubstr(line));
  }
  EXPECT_THAT(response.body, AllOf(HasSubstr("kartograph_commits_total "),
                                   HasSubstr("kartograph_commit_seconds_total ")));
}

TEST_F(HttpApiTest, AnEventStreamBeginsWithEverything) {
  below_.Submit("already there", {"a"});
  RawClient client(server_->port());
  EXPECT_EQ(client.Get("/api/v1/events").headers.at("content-type"), "text/event-stream");
  EXPECT_THAT(client.ReadUntil("\n\n"),
              AllOf(StartsWith("event: graphs\ndata: {"), HasSubstr("already there")));
  EXPECT_THAT(client.ReadUntil("\n\n"), StartsWith("event: cluster\ndata: {"));
  EXPECT_THAT(client.ReadUntil("\n\n"), StartsWith("event: failures\ndata: {"));
}

TEST_F(HttpApiTest, AnEventStreamFollowsAGraph) {
  RawClient client(server_->port());
  client.Get("/api/v1/events");
  for (int i = 0; i < 3; ++i) client.ReadUntil("\n\n");
  below_.Submit("followed", {"a"});
  below_.cluster.End(below_.cluster.WaitForLaunch("a").attempt, Outcome::kExited);
  EXPECT_THAT(client.ReadUntil("GRAPH_STATE_FAILED"), HasSubstr("followed"));
  EXPECT_THAT(client.ReadUntil("event: failures"), HasSubstr("event: cluster"));
  EXPECT_THAT(client.ReadUntil("\n\n"), HasSubstr("\"taskName\":\"a\""));
}

TEST_F(HttpApiTest, AnEventStreamBeatsWhileNothingHappens) {
  RawClient client(server_->port());
  client.Get("/api/v1/events");
  EXPECT_THAT(client.ReadUntil(": heartbeat\n\n"), HasSubstr(": heartbeat\n\n"));
  EXPECT_EQ(client.ReadUntil("\n\n"), ": heartbeat\n\n");
}

TEST_F(HttpApiTest, AnEventFeedOutlivesItsClients) {
  for (int i = 0; i < 10; ++i) {
    RawClient client(server_->port());
    client.Get("/api/v1/events");
    client.ReadUntil("\n\n");
  }
  below_.Submit("g", {"a"});
  RawClient client(server_->port());
  client.Get("/api/v1/events");
  EXPECT_THAT(client.ReadUntil("\n\n"), HasSubstr("\"g1\""));
}

}  // namespace
}  // namespace kartograph::service
