// The calls that go on sending: WatchGraph and ReadLog.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <memory>
#include <optional>
#include <thread>

#include "absl/strings/str_cat.h"
#include "service/grpc/testing/grpc_harness.h"

namespace kartograph::service {
namespace {

using executor::LogStream;
using planner::Outcome;
using testing::HasSubstr;

class GrpcStreamsTest : public testing::Test {
 protected:
  using Context = grpc::ClientContext;

  std::unique_ptr<grpc::ClientReader<v1::WatchGraphResponse>> Watch(Context& context,
                                                                    const std::string& graph) {
    v1::WatchGraphRequest request;
    request.set_graph_id(graph);
    return harness_.stub->WatchGraph(&context, request);
  }

  std::unique_ptr<grpc::ClientReader<v1::ReadLogResponse>> ReadLog(Context& context,
                                                                   const std::string& task,
                                                                   bool follow, int attempt = 0) {
    v1::ReadLogRequest request;
    request.set_graph_id("g1");
    request.set_task_name(task);
    request.set_follow(follow);
    request.set_attempt(attempt);
    return harness_.stub->ReadLog(&context, request);
  }

  // The next message with data: the first of an attempt may have none.
  static bool ReadPart(grpc::ClientReader<v1::ReadLogResponse>& reader, v1::ReadLogResponse& part) {
    while (reader.Read(&part)) {
      if (!part.data().empty()) return true;
    }
    return false;
  }

  static std::string Rest(grpc::ClientReader<v1::ReadLogResponse>& reader) {
    std::string text;
    v1::ReadLogResponse part;
    while (reader.Read(&part)) text += part.data();
    return text;
  }

  ScriptedCluster& cluster() { return harness_.below.cluster; }

  GrpcHarness harness_;
};

TEST_F(GrpcStreamsTest, AWatchTellsWhatIsAndThenEveryChangeUntilTheEnd) {
  harness_.below.Submit("g", {"a", "b a"});
  Context context;
  auto reader = Watch(context, "g1");
  v1::WatchGraphResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.graph().counts().total(), 2);
  EXPECT_EQ(message.changes_size(), 0);
  std::map<std::string, v1::TaskState> states;
  const auto read_until = [&](const std::string& task, v1::TaskState state) {
    while (states[task] != state && reader->Read(&message)) {
      for (const auto& change : message.changes()) states[change.task_name()] = change.state();
    }
    EXPECT_EQ(states[task], state);
  };
  const executor::Launch a = cluster().WaitForLaunch("a");
  cluster().Run(a.attempt);
  read_until("a", v1::TASK_STATE_RUNNING);
  cluster().End(a.attempt, Outcome::kSucceeded);
  read_until("a", v1::TASK_STATE_SUCCEEDED);
  cluster().End(cluster().WaitForLaunch("b").attempt, Outcome::kExited, "", "exit status 4");
  read_until("b", v1::TASK_STATE_FAILED);
  while (reader->Read(&message)) {
  }
  EXPECT_EQ(message.graph().state(), v1::GRAPH_STATE_FAILED);
  EXPECT_TRUE(message.graph().has_end_time());
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcStreamsTest, AWatchOfAFinalGraphIsOneMessage) {
  cluster().EndEachWith(Outcome::kSucceeded);
  harness_.below.WaitForState(harness_.below.Submit("g", {"a"}), planner::GraphState::kSucceeded);
  Context context;
  auto reader = Watch(context, "g1");
  v1::WatchGraphResponse message;
  ASSERT_TRUE(reader->Read(&message));
  EXPECT_EQ(message.graph().state(), v1::GRAPH_STATE_SUCCEEDED);
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcStreamsTest, AWatchOfNothingSaysSo) {
  Context context;
  auto reader = Watch(context, "g99");
  v1::WatchGraphResponse message;
  EXPECT_FALSE(reader->Read(&message));
  EXPECT_EQ(reader->Finish().error_message(), "no graph \"g99\"");
  Context malformed;
  EXPECT_EQ(Watch(malformed, "x")->Finish().error_code(), grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcStreamsTest, ASlowReaderGetsTheNewestStateOfEachTask) {
  std::vector<std::string> tasks = {"gate"};
  for (int i = 0; i < 3000; ++i) tasks.push_back(absl::StrCat("task", i, " gate"));
  const planner::GraphId graph = harness_.below.Submit("g", tasks);
  Context context;
  auto reader = Watch(context, "g1");
  v1::WatchGraphResponse message;
  ASSERT_TRUE(reader->Read(&message));
  const executor::Launch gate = cluster().WaitForLaunch("gate");
  cluster().EndEachWith(Outcome::kSucceeded);
  cluster().End(gate.attempt, Outcome::kSucceeded);
  // Nothing is read until all is over.
  harness_.below.WaitForState(graph, planner::GraphState::kSucceeded);
  std::map<std::string, v1::TaskState> states;
  while (reader->Read(&message)) {
    EXPECT_LE(message.ByteSizeLong(), 4u << 20);
    for (const auto& change : message.changes()) states[change.task_name()] = change.state();
  }
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_EQ(message.graph().counts().succeeded(), 3001);
  EXPECT_EQ(states.size(), 3001u);
  for (const auto& [name, state] : states) EXPECT_EQ(state, v1::TASK_STATE_SUCCEEDED) << name;
}

TEST_F(GrpcStreamsTest, ManyWatchesHoldNoThreads) {
  harness_.below.Submit("g", {"a"});
  constexpr int kWatches = 50;
  std::vector<std::unique_ptr<Context>> contexts;
  std::vector<std::unique_ptr<grpc::ClientReader<v1::WatchGraphResponse>>> readers;
  v1::WatchGraphResponse message;
  for (int i = 0; i < kWatches; ++i) {
    contexts.push_back(std::make_unique<Context>());
    readers.push_back(Watch(*contexts.back(), "g1"));
    ASSERT_TRUE(readers.back()->Read(&message));
  }
  // Some go away; the others are not disturbed.
  for (int i = 0; i < kWatches; i += 2) contexts[i]->TryCancel();
  cluster().End(cluster().WaitForLaunch("a").attempt, Outcome::kSucceeded);
  for (int i = 1; i < kWatches; i += 2) {
    while (readers[i]->Read(&message)) {
    }
    EXPECT_EQ(message.graph().state(), v1::GRAPH_STATE_SUCCEEDED);
    EXPECT_TRUE(readers[i]->Finish().ok());
  }
}

TEST_F(GrpcStreamsTest, ALogIsReadAsItIs) {
  harness_.below.Submit("g", {"a"});
  const executor::Launch launch = cluster().WaitForLaunch("a");
  const std::string text = std::string(300'000, 'x') + "\xFF end";
  cluster().WriteLog(launch.attempt, LogStream::kStdout, text);
  Context context;
  auto reader = ReadLog(context, "a", false);
  EXPECT_EQ(Rest(*reader), text);
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcStreamsTest, ALogCanBeFollowedFromBeforeTheLaunchUntilTheEnd) {
  harness_.below.Submit("g", {"a", "b a"});
  Context context;
  auto reader = ReadLog(context, "b", true);
  cluster().End(cluster().WaitForLaunch("a").attempt, Outcome::kSucceeded);
  const executor::Launch b = cluster().WaitForLaunch("b");
  cluster().WriteLog(b.attempt, LogStream::kStdout, "one\n");
  v1::ReadLogResponse part;
  ASSERT_TRUE(ReadPart(*reader, part));
  EXPECT_EQ(part.data(), "one\n");
  cluster().Run(b.attempt);
  cluster().WriteLog(b.attempt, LogStream::kStdout, "two\n");
  ASSERT_TRUE(ReadPart(*reader, part));
  EXPECT_EQ(part.offset(), 4);
  EXPECT_EQ(part.data(), "two\n");
  cluster().WriteLog(b.attempt, LogStream::kStdout, "three\n");
  cluster().End(b.attempt, Outcome::kSucceeded);
  EXPECT_EQ(Rest(*reader), "three\n");
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcStreamsTest, ATaskIsFollowedOverItsAttempts) {
  harness_.below.Submit("g", {"a"});
  Context context, one_context;
  auto reader = ReadLog(context, "a", true);
  auto one = ReadLog(one_context, "a", true, 1);
  const executor::Launch first = cluster().WaitForLaunch("a");
  cluster().WriteLog(first.attempt, LogStream::kStdout, "first");
  v1::ReadLogResponse part;
  ASSERT_TRUE(ReadPart(*reader, part));
  EXPECT_EQ(part.data(), "first");
  EXPECT_EQ(part.attempt(), 1);
  cluster().End(first.attempt, Outcome::kLost);
  EXPECT_EQ(Rest(*one), "first");
  EXPECT_TRUE(one->Finish().ok());
  // Of this one nothing is left.
  cluster().End(cluster().WaitForLaunch("a").attempt, Outcome::kLost);
  const executor::Launch third = cluster().WaitForLaunch("a");
  cluster().WriteLog(third.attempt, LogStream::kStdout, "third");

  ASSERT_TRUE(ReadPart(*reader, part));
  EXPECT_EQ(part.data(), "third");
  EXPECT_EQ(part.offset(), 0);
  EXPECT_EQ(part.attempt(), 3);

  // As a client goes on that has lost its connection.
  Context again_context;
  v1::ReadLogRequest request;
  request.set_graph_id("g1");
  request.set_task_name("a");
  request.set_attempt(1);
  request.set_offset(2);
  request.set_follow(true);
  request.set_follow_retries(true);
  auto again = harness_.stub->ReadLog(&again_context, request);
  ASSERT_TRUE(ReadPart(*again, part));
  EXPECT_EQ(part.data(), "rst");
  cluster().End(third.attempt, Outcome::kSucceeded);
  EXPECT_EQ(Rest(*again), "third");
  EXPECT_EQ(Rest(*reader), "");
  EXPECT_TRUE(reader->Finish().ok());
  EXPECT_TRUE(again->Finish().ok());
}

TEST_F(GrpcStreamsTest, AFollowedLogLooksOnlyAFewTimesASecond) {
  harness_.below.Submit("g", {"a"});
  const executor::Launch launch = cluster().WaitForLaunch("a");
  cluster().Run(launch.attempt);
  cluster().WriteLog(launch.attempt, LogStream::kStdout, "x");
  const absl::Time start = absl::Now();
  Context context;
  auto reader = ReadLog(context, "a", true);
  v1::ReadLogResponse part;
  ASSERT_TRUE(reader->Read(&part));
  // Two reads come at once, and up to three more with the changes of the launch and of the start,
  // which may come late; each of the others waits its 200 ms.
  ServiceHarness::Eventually([&] { return cluster().log_reads() >= 7; });
  EXPECT_GE(absl::Now() - start, absl::Milliseconds(400));
  cluster().End(launch.attempt, Outcome::kSucceeded);
  EXPECT_EQ(Rest(*reader), "");
  EXPECT_TRUE(reader->Finish().ok());
}

TEST_F(GrpcStreamsTest, ALogOfNoAttemptSaysWhy) {
  harness_.below.Submit("g", {"a", "b a"});
  const executor::Launch launch = cluster().WaitForLaunch("a");
  {
    Context context;
    const grpc::Status status = ReadLog(context, "b", false)->Finish();
    EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
    EXPECT_THAT(status.error_message(), HasSubstr("has not been launched yet"));
  }
  Context waiting;
  auto reader = ReadLog(waiting, "b", true);
  cluster().End(launch.attempt, Outcome::kExited);
  const grpc::Status status = reader->Finish();
  EXPECT_EQ(status.error_code(), grpc::StatusCode::NOT_FOUND);
  EXPECT_THAT(status.error_message(), HasSubstr("ended without being launched"));
  Context unknown;
  EXPECT_THAT(ReadLog(unknown, "nobody", false)->Finish().error_message(),
              HasSubstr("no task \"nobody\""));
  Context negative;
  EXPECT_EQ(ReadLog(negative, "a", false, -1)->Finish().error_code(),
            grpc::StatusCode::INVALID_ARGUMENT);
}

TEST_F(GrpcStreamsTest, StoppingEndsWhatStillGoesOn) {
  harness_.below.Submit("g", {"a"});
  cluster().Run(cluster().WaitForLaunch("a").attempt);
  Context watching;
  auto watch = Watch(watching, "g1");
  v1::WatchGraphResponse message;
  ASSERT_TRUE(watch->Read(&message));
  Context following;
  auto log = ReadLog(following, "a", true);
  Context popping;
  v1::PopFinishedRequest request;
  request.set_client_queue("queue");
  request.mutable_wait()->set_seconds(600);
  grpc::Status popped;
  std::thread popper([&] {
    v1::PopFinishedResponse response;
    popped = harness_.stub->PopFinished(&popping, request, &response);
  });
  harness_.below.StopScheduler();
  while (watch->Read(&message)) {
  }
  EXPECT_EQ(watch->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  EXPECT_EQ(Rest(*log), "");
  EXPECT_EQ(log->Finish().error_code(), grpc::StatusCode::UNAVAILABLE);
  popper.join();
  EXPECT_EQ(popped.error_code(), grpc::StatusCode::UNAVAILABLE);
}

class StreamLimitsTest : public testing::Test {
 protected:
  static void ExpectExhausted(const grpc::Status& status, const std::string& words) {
    EXPECT_EQ(status.error_code(), grpc::StatusCode::RESOURCE_EXHAUSTED) << status.error_message();
    EXPECT_THAT(status.error_message(), HasSubstr(words));
  }
};

TEST_F(StreamLimitsTest, OnlySoManyStreamsAreOpenAtOnce) {
  GrpcHarness harness([](ServiceParts& parts) {
    parts.limits = std::make_shared<ServiceLimits>(/*max_streams=*/1);
  });
  harness.below.Submit("g", {"a"});
  v1::WatchGraphRequest watch;
  watch.set_graph_id("g1");
  v1::WatchGraphResponse message;
  auto open = std::make_unique<grpc::ClientContext>();
  auto reader = harness.stub->WatchGraph(open.get(), watch);
  ASSERT_TRUE(reader->Read(&message));

  grpc::ClientContext second;
  ExpectExhausted(harness.stub->WatchGraph(&second, watch)->Finish(), "--max-streams");
  grpc::ClientContext log;
  v1::ReadLogRequest read_log;
  read_log.set_graph_id("g1");
  read_log.set_task_name("a");
  ExpectExhausted(harness.stub->ReadLog(&log, read_log)->Finish(), "--max-streams");
  grpc::ClientContext submit;
  v1::SubmitGraphResponse submitted;
  v1::GraphSpec graph;
  graph.set_name("h");
  ExpectExhausted(harness.Submit(graph, {GrpcHarness::Task("a")}, submitted, submit),
                  "--max-streams");

  // The end of one makes room for another.
  open->TryCancel();
  while (reader->Read(&message)) {
  }
  reader->Finish();
  ServiceHarness::Eventually([&] { return harness.below.parts.limits->streams.used() == 0; });
  grpc::ClientContext third;
  auto again = harness.stub->WatchGraph(&third, watch);
  EXPECT_TRUE(again->Read(&message));
  third.TryCancel();
}

TEST_F(StreamLimitsTest, GraphsBeingReceivedShareTheirBytes) {
  GrpcHarness harness([](ServiceParts& parts) {
    parts.limits = std::make_shared<ServiceLimits>();
    parts.limits->submitted_bytes.SetLimit(2000);
  });
  v1::GraphSpec graph;
  graph.set_name("g");
  v1::TaskSpec large = GrpcHarness::Task("a");
  (*large.mutable_command()->mutable_environment())["X"] = std::string(1500, 'x');
  grpc::ClientContext open;
  v1::SubmitGraphResponse response;
  auto writer = harness.stub->SubmitGraph(&open, &response);
  v1::SubmitGraphRequest first;
  *first.mutable_graph()->mutable_graph() = graph;
  ASSERT_TRUE(writer->Write(first));
  v1::SubmitGraphRequest tasks;
  *tasks.mutable_tasks()->add_tasks() = large;
  ASSERT_TRUE(writer->Write(tasks));
  ServiceHarness::Eventually(
      [&] { return harness.below.parts.limits->submitted_bytes.used() > 1500; });
  grpc::ClientContext other;
  v1::SubmitGraphResponse refused;
  ExpectExhausted(harness.Submit(graph, {large}, refused, other), "are being received");
  writer->WritesDone();
  EXPECT_TRUE(writer->Finish().ok());
  ServiceHarness::Eventually(
      [&] { return harness.below.parts.limits->submitted_bytes.used() == 0; });
}

TEST_F(StreamLimitsTest, AWatcherThatReadsTooSlowlyIsTold) {
  ServiceHarness below;
  ChangeHub hub(below.scheduler.get(), below.workers.get(), /*max_bytes=*/4000);
  auto watch = hub.Add(1, std::nullopt, [] {});
  std::vector<std::string> tasks;
  for (int i = 0; i < 100; ++i) tasks.push_back(absl::StrCat("task", i));
  below.Submit("g", tasks);
  ServiceHarness::Eventually([&] { return watch->HasPending(); });
  // Not between two tasks of what comes at once.
  ASSERT_TRUE(below.scheduler->InspectAndWait([](const scheduler::Snapshots&) {}).ok());
  const ChangeHub::Pending pending = watch->Take();
  EXPECT_TRUE(pending.overflowed);
  EXPECT_TRUE(pending.tasks.empty()) << "what cannot be whole is not kept";
  // And so it stays: what is missing cannot be made up for.
  EXPECT_TRUE(watch->HasPending());
  hub.Stop();
  watch.reset();
}

}  // namespace
}  // namespace kartograph::service
