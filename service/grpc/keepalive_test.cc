// Connections that die without a word.
#include <gmock/gmock.h>
#include <grpcpp/grpcpp.h>
#include <gtest/gtest.h>

#include <memory>
#include <thread>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "service/grpc/testing/grpc_harness.h"
#include "service/grpc/testing/proxy.h"

namespace kartograph::service {
namespace {

using planner::Outcome;

// What clients of ours ask of gRPC: cli/client.cc, python/kartograph/_client.py.
constexpr absl::Duration kOurClientsPingAfter = absl::Seconds(10);

scheduler::SchedulerOptions OneMayWait() {
  scheduler::SchedulerOptions options;
  options.max_waiters = 1;
  return options;
}

std::unique_ptr<v1::TaskExecuter::Stub> StubAt(const std::string& address,
                                               const grpc::ChannelArguments& arguments = {}) {
  grpc::ChannelArguments own = arguments;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return v1::TaskExecuter::NewStub(
      grpc::CreateCustomChannel(address, grpc::InsecureChannelCredentials(), own));
}

std::unique_ptr<grpc::ClientContext> Authorized() {
  auto context = std::make_unique<grpc::ClientContext>();
  context->AddMetadata("authorization", absl::StrCat("Bearer ", GrpcHarness::kToken));
  return context;
}

v1::WatchGraphRequest WatchOf(const std::string& graph) {
  v1::WatchGraphRequest request;
  request.set_graph_id(graph);
  return request;
}

v1::PopFinishedRequest PopOf(const std::string& queue, int wait_seconds) {
  v1::PopFinishedRequest request;
  request.set_client_queue(queue);
  request.mutable_wait()->set_seconds(wait_seconds);
  request.mutable_lease()->set_seconds(3600);
  return request;
}

TEST(KeepaliveTest, WhatAVanishedClientHeldIsFree) {
  GrpcHarness harness(nullptr, std::nullopt,
                      {.ping_after = absl::Milliseconds(200), .timeout = absl::Milliseconds(300)},
                      OneMayWait());
  harness.below.Submit("g", {"a"}, "queue");
  const executor::Launch launch = harness.below.cluster.WaitForLaunch("a");
  harness.below.cluster.Run(launch.attempt);
  harness.below.cluster.WriteLog(launch.attempt, executor::LogStream::kStdout, "x");

  Proxy proxy(harness.server->port());
  const auto stub = StubAt(proxy.address());
  const auto watching = Authorized();
  const auto watch = stub->WatchGraph(watching.get(), WatchOf("g1"));
  v1::WatchGraphResponse change;
  ASSERT_TRUE(watch->Read(&change));
  const auto following = Authorized();
  v1::ReadLogRequest follow;
  follow.set_graph_id("g1");
  follow.set_task_name("a");
  follow.set_follow(true);
  const auto log = stub->ReadLog(following.get(), follow);
  v1::ReadLogResponse part;
  ASSERT_TRUE(log->Read(&part));
  Mutex mutex;
  std::shared_ptr<grpc::ClientContext> waiting;
  std::thread waiter([&] {
    grpc::Status status;
    do {
      const std::shared_ptr<grpc::ClientContext> context = Authorized();
      {
        MutexLock lock(&mutex);
        waiting = context;
      }
      v1::PopFinishedResponse response;
      status = stub->PopFinished(context.get(), PopOf("queue", 600), &response);
      // Where one of those below was there at that moment.
    } while (status.error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED);
    EXPECT_FALSE(status.ok());
  });
  // Another one's turn comes when the first waits no more.
  v1::PopFinishedResponse popped;
  const auto pop = [&] {
    grpc::ClientContext context;
    return harness.stub->PopFinished(&context, PopOf("queue", 0), &popped);
  };
  ServiceHarness::Eventually(
      [&] { return pop().error_code() == grpc::StatusCode::RESOURCE_EXHAUSTED; });
  ASSERT_EQ(harness.below.parts.limits->streams.used(), 2);

  proxy.DropEverything();
  ServiceHarness::Eventually([&] { return harness.below.parts.limits->streams.used() == 0; });
  ServiceHarness::Eventually([&] { return pop().ok(); });
  // The end of a task goes to one who is there.
  harness.below.cluster.End(launch.attempt, Outcome::kSucceeded);
  ServiceHarness::Eventually([&] { return pop().ok() && popped.tasks_size() == 1; });

  for (const auto* context : {&watching, &following}) (*context)->TryCancel();
  {
    MutexLock lock(&mutex);
    waiting->TryCancel();
  }
  waiter.join();
  while (watch->Read(&change)) {
  }
  watch->Finish();
  while (log->Read(&part)) {
  }
  log->Finish();
}

// As a synchronous client does that has nothing to ask, whatever is sent to it.
TEST(KeepaliveTest, AClientMayStopReadingWhileItHasNoCalls) {
  GrpcHarness harness(nullptr, std::nullopt,
                      {.ping_after = absl::Milliseconds(100), .timeout = absl::Milliseconds(100)});
  harness.below.Submit("g", {"a"});
  Proxy idle(harness.server->port());
  const auto idle_stub = StubAt(idle.address());
  const auto asking = Authorized();
  v1::Cluster cluster;
  ASSERT_TRUE(idle_stub->GetCluster(asking.get(), {}, &cluster).ok());
  idle.DropEverything();

  Proxy busy(harness.server->port());
  const auto busy_stub = StubAt(busy.address());
  const auto watching = Authorized();
  const auto watch = busy_stub->WatchGraph(watching.get(), WatchOf("g1"));
  v1::WatchGraphResponse change;
  ASSERT_TRUE(watch->Read(&change));
  busy.DropEverything();
  ServiceHarness::Eventually([&] { return busy.ended_by_server() == 1; });
  EXPECT_EQ(idle.ended_by_server(), 0);
  watching->TryCancel();
  while (watch->Read(&change)) {
  }
  watch->Finish();
}

TEST(KeepaliveTest, AConnectionThatIsIdleForVeryLongIsClosed) {
  GrpcHarness harness(nullptr, std::nullopt, {.idle = absl::Milliseconds(100)});
  Proxy proxy(harness.server->port());
  const auto stub = StubAt(proxy.address());
  v1::Cluster cluster;
  ASSERT_TRUE(stub->GetCluster(Authorized().get(), {}, &cluster).ok());
  ServiceHarness::Eventually([&] { return proxy.ended_by_server() == 1; });
  EXPECT_TRUE(stub->GetCluster(Authorized().get(), {}, &cluster).ok());
}

// Ten times as fast as ours do.
TEST(KeepaliveTest, AClientMayPingWhileItWaitsAndWhileItDoesNot) {
  GrpcHarness harness;
  harness.below.Submit("g", {"a"});
  const executor::Launch launch = harness.below.cluster.WaitForLaunch("a");
  Proxy proxy(harness.server->port());
  grpc::ChannelArguments arguments;
  arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS,
                   static_cast<int>(absl::ToInt64Milliseconds(kOurClientsPingAfter / 10)));
  arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  arguments.SetInt(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
  const auto stub = StubAt(proxy.address(), arguments);
  const auto get = [&] {
    const auto context = Authorized();
    v1::Cluster cluster;
    return stub->GetCluster(context.get(), {}, &cluster);
  };
  ASSERT_TRUE(get().ok());
  // Two that come too early are forgiven.
  ServiceHarness::Eventually([&] { return proxy.pings() >= 4; });
  EXPECT_TRUE(get().ok());

  const auto watching = Authorized();
  const auto watch = stub->WatchGraph(watching.get(), WatchOf("g1"));
  v1::WatchGraphResponse change;
  ASSERT_TRUE(watch->Read(&change));
  const int before = proxy.pings();
  ServiceHarness::Eventually([&] { return proxy.pings() >= before + 4; });
  harness.below.cluster.End(launch.attempt, Outcome::kSucceeded);
  while (watch->Read(&change)) {
  }
  EXPECT_EQ(change.graph().state(), v1::GRAPH_STATE_SUCCEEDED);
  EXPECT_TRUE(watch->Finish().ok());
  EXPECT_EQ(proxy.connections(), 1) << "the service has closed one";
}

}  // namespace
}  // namespace kartograph::service
