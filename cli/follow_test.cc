// submit --wait, retry --wait and watch against a service in this process.
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <future>
#include <string>

#include "absl/synchronization/notification.h"
#include "cli/commands.h"
#include "cli/testing/commands_test_base.h"

namespace kartograph::cli {
namespace {

class FollowTest : public CommandsTestBase {
 protected:
  void SetUp() override { service().graphs = {MakeGraph("g7", "small", v1::GRAPH_STATE_RUNNING)}; }
  v1::WatchGraphResponse Message(v1::GraphState state, int succeeded, int failed) {
    v1::WatchGraphResponse message;
    *message.mutable_graph() = MakeGraph("g7", "small", state);
    message.mutable_graph()->mutable_counts()->set_succeeded(succeeded);
    message.mutable_graph()->mutable_counts()->set_failed(failed);
    return message;
  }
  // Blocks a stream until its caller or the server ends it.
  static void AwaitCancellation(grpc::ServerContext* context) {
    while (!context->IsCancelled()) usleep(1000);
  }
  bool Said(const std::string& text) { return err_.str().find(text) != std::string::npos; }
  std::string File() { return WriteFile("tasks: [{name: a, command: [x]}]\n"); }
};

TEST_F(FollowTest, WaitingForAGraphThatSucceedsEndsWithItsSummary) {
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_RUNNING, 0, 0));
    writer->Write(Message(v1::GRAPH_STATE_SUCCEEDED, 2, 0));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kDone);
  EXPECT_EQ(out_.str(), "g7\n");
  EXPECT_TRUE(Said("small: 0 of 2 done\n")) << err_.str();
  EXPECT_TRUE(Said("small: 2 of 2 done\n"));
  EXPECT_TRUE(Said("small (g7) succeeded after 1 min 30 s: 2 of 2 done\n"));
}

TEST_F(FollowTest, NothingIsWaitedForWhereTheIdCannotBeWritten) {
  service().on_watch = [&](int, grpc::ServerContext* context, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_RUNNING, 0, 0));
    AwaitCancellation(context);
    return grpc::Status::OK;
  };
  out_.setstate(std::ios::badbit);
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kOutputLost);
  EXPECT_EQ(err_.str(), "kartograph: the graph was submitted as g7\n");
  EXPECT_EQ(Retry(context_, "g7", {"load"}, true), kOutputLost);
}

TEST_F(FollowTest, NothingIsWaitedForWhereNobodyReadsTheDocument) {
  service().on_watch = [&](int, grpc::ServerContext* context, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_RUNNING, 0, 0));
    AwaitCancellation(context);
    return grpc::Status::OK;
  };
  context_.json = true;
  context_.out_terminal.has_reader = [] { return false; };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kOutputLost);
}

TEST_F(FollowTest, WaitingForAGraphThatFailsShowsEachFailedTaskWithTheEndOfItsLog) {
  service().tasks = {MakeTask("load", v1::TASK_STATE_FAILED, "exited with status 3")};
  std::string log = "first line\n";
  for (int i = 0; i < 30; ++i) absl::StrAppend(&log, "line ", i, "\n");
  service().log = log + "\x1b[31mValueError\x1b[0m: odd\n";
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_RUNNING, 0, 0));
    v1::WatchGraphResponse message = Message(v1::GRAPH_STATE_FAILED, 1, 1);
    auto* change = message.add_changes();
    change->set_task_name("load");
    change->set_state(v1::TASK_STATE_FAILED);
    change->set_reason("exited with status 3");
    writer->Write(message);
    return grpc::Status::OK;
  };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kNotSucceeded);
  EXPECT_EQ(out_.str(), "g7\n");
  EXPECT_TRUE(Said("FAILED load: exited with status 3\n"));
  EXPECT_TRUE(
      Said("small (g7) failed after 1 min 30 s: 1 of 2 done, 1 failed\n"
           "  load failed: exited with status 3\n    | line 19\n"))
      << err_.str();
  EXPECT_TRUE(Said("    | line 29\n    | ValueError: odd\n"));
  EXPECT_TRUE(Said("kartograph logs g7 load\n"));
}

TEST_F(FollowTest, FallsBackToStdoutWhereStderrIsEmpty) {
  service().tasks = {MakeTask("load", v1::TASK_STATE_FAILED, "why")};
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_FAILED, 1, 1));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kNotSucceeded);
  EXPECT_TRUE(Said("  load failed: why\n    | out\n")) << err_.str();
}

TEST_F(FollowTest, WaitingGoesOnAfterARestartOfTheService) {
  absl::Notification watched;
  service().on_watch = [&](int call, grpc::ServerContext* context,
                           FakeService::WatchWriter* writer) {
    if (call == 0) {
      writer->Write(Message(v1::GRAPH_STATE_RUNNING, 1, 0));
      watched.Notify();
      AwaitCancellation(context);
      return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
    }
    writer->Write(Message(v1::GRAPH_STATE_SUCCEEDED, 2, 0));
    return grpc::Status::OK;
  };
  auto code = std::async(std::launch::async,
                         [&] { return Submit(context_, {.file = File(), .wait = true}); });
  watched.WaitForNotification();
  server_.Stop();
  server_.Start();
  EXPECT_EQ(code.get(), kDone);
  EXPECT_TRUE(Said("small (g7) succeeded"));
}

TEST_F(FollowTest, AsksAgainWhereAStreamEndsBeforeTheGraph) {
  service().on_watch = [&](int call, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(call < 2 ? v1::GRAPH_STATE_RUNNING : v1::GRAPH_STATE_CANCELLED, 1, 0));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Watch(context_, "small"), kNotSucceeded);
  EXPECT_NE(out_.str().find("small (g7) cancelled"), std::string::npos) << out_.str();
}

TEST_F(FollowTest, GivesUpWhenTheServiceStaysAway) {
  context_.patience = absl::Milliseconds(300);
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter*) {
    return grpc::Status(grpc::StatusCode::UNAVAILABLE, "stopping");
  };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kUnreachable);
  EXPECT_TRUE(Said("kartograph watch g7")) << err_.str();
}

TEST_F(FollowTest, AServiceThatStopsAndCancelsItsCallsIsWaitedFor) {
  service().on_watch = [&](int call, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(call == 0 ? v1::GRAPH_STATE_RUNNING : v1::GRAPH_STATE_SUCCEEDED, 2, 0));
    return call == 0 ? grpc::Status::CANCELLED : grpc::Status::OK;
  };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kDone) << err_.str();
}

TEST_F(FollowTest, CtrlCLeavesTheGraphRunningAndSaysHowToGoOn) {
  service().on_watch = [&](int, grpc::ServerContext* context, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_RUNNING, 1, 0));
    kill(getpid(), SIGINT);
    AwaitCancellation(context);
    return grpc::Status::CANCELLED;
  };
  EXPECT_EQ(Submit(context_, {.file = File(), .wait = true}), kInterrupted);
  EXPECT_TRUE(
      Said("small (g7) is still running.\n"
           "  Follow it: kartograph watch g7\n"
           "  Cancel it: kartograph cancel g7\n"))
      << err_.str();
  EXPECT_EQ(service().cancelled.graph_id(), "");
}

TEST_F(FollowTest, WatchShowsProgressOnStdoutButJsonAlone) {
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_SUCCEEDED, 2, 0));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Watch(context_, "g7"), kDone);
  EXPECT_NE(out_.str().find("small: 2 of 2 done\n"), std::string::npos) << out_.str();
  EXPECT_EQ(err_.str(), "");
  out_.str("");
  context_.json = true;
  EXPECT_EQ(Watch(context_, "g7"), kDone);
  EXPECT_EQ(Json<v1::Graph>().state(), v1::GRAPH_STATE_SUCCEEDED);
  EXPECT_TRUE(Said("small (g7) succeeded"));
}

TEST_F(FollowTest, RetryCountsTimeFromItself) {
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter* writer) {
    writer->Write(Message(v1::GRAPH_STATE_SUCCEEDED, 2, 0));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Retry(context_, "g7", {}, true), kDone);
  EXPECT_EQ(out_.str(), "3 tasks of small (g7) will run again\n");
  EXPECT_FALSE(Said("1 min 30 s")) << err_.str();
}

TEST_F(FollowTest, SaysWhyNothingRuns) {
  service().tasks = {MakeTask("x", v1::TASK_STATE_READY, "can never run: it needs 2 of pool db")};
  FakeService* fake = &service();
  fake->on_watch = [&, fake](int, grpc::ServerContext* context, FakeService::WatchWriter* writer) {
    const int before = fake->task_lists;
    writer->Write(Message(v1::GRAPH_STATE_RUNNING, 0, 0));
    // What runs is asked for first, then why nothing does.
    while (fake->task_lists < before + 2 && !context->IsCancelled()) usleep(1000);
    writer->Write(Message(v1::GRAPH_STATE_CANCELLED, 0, 0));
    return grpc::Status::OK;
  };
  EXPECT_EQ(Retry(context_, "g7", {}, true), kNotSucceeded);
  EXPECT_TRUE(Said("small: 0 of 2 done; x: can never run: it needs 2 of pool db\n")) << err_.str();
}

TEST_F(FollowTest, SaysWhyAGraphCannotBeWatched) {
  service().on_watch = [&](int, grpc::ServerContext*, FakeService::WatchWriter*) {
    return grpc::Status(grpc::StatusCode::NOT_FOUND, "the graph was pruned");
  };
  EXPECT_EQ(Watch(context_, "g7"), kWrongUse);
  EXPECT_EQ(err_.str(), "kartograph: the graph was pruned\n");
}

}  // namespace
}  // namespace kartograph::cli
