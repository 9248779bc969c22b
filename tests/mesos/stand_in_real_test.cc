// Real processes on the stand-in's agents. The test itself speaks for an executor whose process
// only sleeps.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "executor/mesos/protocol/executor.pb.h"
#include "executor/mesos/record_io.h"
#include "tests/mesos/raw_client.h"
#include "tests/mesos/stand_in.h"

namespace kartograph::stand_in {
namespace {

using ::testing::HasSubstr;
using Call = mesos::scheduler::Call;
using ExecutorCall = mesos::executor::Call;
using ExecutorEvent = mesos::executor::Event;
using SchedulerEvent = mesos::scheduler::Event;

constexpr char kProtobuf[] = "application/x-protobuf";

class RealTest : public testing::Test {
 protected:
  void SetUp() override {
    Settings settings;
    settings.real_tasks = true;
    settings.work_dir =
        testing::TempDir() + "/" + testing::UnitTest::GetInstance()->current_test_info()->name();
    settings.allocation_interval = absl::Milliseconds(10);
    settings.executor_shutdown_grace = absl::Milliseconds(10);
    auto started = StandIn::Start(settings);
    ASSERT_TRUE(started.ok()) << started.status();
    stand_in_ = *std::move(started);
    client_ = std::make_unique<RawClient>(stand_in_->port());
    ASSERT_EQ(client_->Subscribe(RawClient::Info()), 200);
    offer_ = client_->NextOffer().value();
  }

  mesos::TaskStatus Await(const std::string& task, mesos::TaskState state) {
    while (auto status = client_->NextUpdate(task)) {
      if (status->has_uuid()) client_->Acknowledge(*status);
      if (status->state() == state) return *status;
    }
    ADD_FAILURE() << task << " is never " << mesos::TaskState_Name(state);
    return {};
  }

  RawConnection::Answer GetFile(const std::string& target) {
    RawConnection connection(offer_.url().address().port());
    return connection.Exchange("GET", target, {}, "");
  }

  mesos::TaskInfo ExecutorTask(const std::string& id) {
    mesos::TaskInfo task = MakeTask(offer_, id, 1, 64);
    task.clear_command();
    task.mutable_executor()->mutable_executor_id()->set_value("e");
    task.mutable_executor()->mutable_command()->set_value("env > environment; exec sleep 1000");
    *task.mutable_executor()->add_resources() = Scalar("cpus", 0.5);
    return task;
  }

  std::unique_ptr<StandIn> stand_in_;
  std::unique_ptr<RawClient> client_;
  mesos::Offer offer_;
};

// The executor's side of the executor API.
class FakeExecutor {
 public:
  FakeExecutor(int port, const std::string& framework_id) : port_(port) {
    base_.mutable_framework_id()->set_value(framework_id);
    base_.mutable_executor_id()->set_value("e");
  }

  int Subscribe(const ExecutorCall::Subscribe& subscribe = {}) {
    ExecutorCall call = base_;
    call.set_type(ExecutorCall::SUBSCRIBE);
    *call.mutable_subscribe() = subscribe;
    stream_ = std::make_unique<RawConnection>(port_);
    reader_.emplace();
    return stream_
        ->Exchange("POST", "/api/v1/executor", {{"Content-Type", kProtobuf}, {"Accept", kProtobuf}},
                   call.SerializeAsString())
        .status;
  }

  int Send(ExecutorCall call) {
    *call.mutable_framework_id() = base_.framework_id();
    *call.mutable_executor_id() = base_.executor_id();
    RawConnection connection(port_);
    return connection
        .Exchange("POST", "/api/v1/executor", {{"Content-Type", kProtobuf}},
                  call.SerializeAsString())
        .status;
  }

  static mesos::TaskStatus Status(const std::string& task, mesos::TaskState state) {
    mesos::TaskStatus status;
    status.mutable_task_id()->set_value(task);
    status.set_state(state);
    status.set_source(mesos::TaskStatus::SOURCE_EXECUTOR);
    status.set_uuid(NewUuid());
    return status;
  }

  int Update(const mesos::TaskStatus& status) {
    ExecutorCall call;
    call.set_type(ExecutorCall::UPDATE);
    *call.mutable_update()->mutable_status() = status;
    return Send(call);
  }

  // The next event; of type UNKNOWN at the stream's end.
  ExecutorEvent Next() {
    std::string record;
    while (!reader_->Next(&record).value_or(false)) {
      const std::string bytes = stream_->ReadStream(absl::Seconds(30));
      if (bytes.empty()) return {};
      reader_->Append(bytes);
    }
    ExecutorEvent event;
    event.ParseFromString(record);
    return event;
  }

 private:
  const int port_;
  ExecutorCall base_;
  std::unique_ptr<RawConnection> stream_;
  std::optional<executor::mesos::RecordReader> reader_;
};

TEST_F(RealTest, ACommandLeavesItsOutputAndItsStatus) {
  mesos::TaskInfo good = MakeTask(offer_, "good", 1, 64), bad = MakeTask(offer_, "bad", 1, 64);
  good.mutable_command()->set_value("printf hello; printf 'a\\nb' > file");
  bad.mutable_command()->set_value("exit 3");
  ASSERT_EQ(client_->Accept(offer_, {good, bad}), 202);
  Await("good", mesos::TASK_STARTING);
  Await("good", mesos::TASK_RUNNING);
  Await("good", mesos::TASK_FINISHED);
  EXPECT_EQ(Await("bad", mesos::TASK_FAILED).message(), "Command exited with status 3");
  const std::string path =
      absl::StrCat("path=/frameworks/", client_->id(), "/executors/good/runs/latest/");
  EXPECT_EQ(GetFile("/files/read?" + path + "stdout&offset=-1").body,
            "{\"data\":\"\",\"offset\":5}");
  EXPECT_EQ(GetFile("/files/read.json?" + path + "stdout&offset=1&length=3").body,
            "{\"data\":\"ell\",\"offset\":1}");
  EXPECT_EQ(GetFile("/files/download?" + path + "file").body, "a\nb");
  EXPECT_EQ(GetFile("/files/download?" + path + "nothing").status, 404);
  EXPECT_EQ(GetFile("/files/download?" + path + "../../../../../../..").status, 404);
  EXPECT_EQ(GetFile("/files/read?" + path + "stdout&offset=-2").status, 400);
  EXPECT_THAT(GetFile("/state").body, HasSubstr("completed_executors"));
}

TEST_F(RealTest, AKilledCommandIsKilled) {
  mesos::TaskInfo task = MakeTask(offer_, "t", 1, 64);
  task.mutable_command()->set_value("exec sleep 1000");
  ASSERT_EQ(client_->Accept(offer_, {task}), 202);
  Await("t", mesos::TASK_RUNNING);
  Call kill;
  kill.set_type(Call::KILL);
  kill.mutable_kill()->mutable_task_id()->set_value("t");
  ASSERT_EQ(client_->Send(kill), 202);
  EXPECT_EQ(Await("t", mesos::TASK_KILLED).message(), "Command terminated with signal Terminated");
}

TEST_F(RealTest, AnExecutorGetsItsTasksAndSurvivesItsAgent) {
  ASSERT_EQ(client_->Accept(offer_, {ExecutorTask("a"), ExecutorTask("b")}), 202);
  FakeExecutor executor(offer_.url().address().port(), client_->id());
  ASSERT_EQ(executor.Update(FakeExecutor::Status("a", mesos::TASK_RUNNING)), 403);
  ASSERT_EQ(executor.Subscribe(), 200);
  const ExecutorEvent subscribed = executor.Next();
  ASSERT_EQ(subscribed.type(), ExecutorEvent::SUBSCRIBED);
  EXPECT_EQ(subscribed.subscribed().framework_info().id().value(), client_->id());
  const ExecutorEvent launch = executor.Next();
  ASSERT_EQ(launch.type(), ExecutorEvent::LAUNCH);
  EXPECT_EQ(launch.launch().task().task_id().value(), "a");
  EXPECT_EQ(executor.Next().launch().task().task_id().value(), "b");
  ASSERT_EQ(executor.Update(FakeExecutor::Status("a", mesos::TASK_RUNNING)), 202);
  EXPECT_EQ(executor.Next().type(), ExecutorEvent::ACKNOWLEDGED);
  Await("a", mesos::TASK_RUNNING);

  ASSERT_TRUE(stand_in_->Control("/agent/0/restart").ok());
  EXPECT_EQ(executor.Next().type(), ExecutorEvent::UNKNOWN);
  // The end of `a` was not sent before; of `b` the executor knows nothing.
  ExecutorCall::Subscribe again;
  *again.add_unacknowledged_updates()->mutable_status() =
      FakeExecutor::Status("a", mesos::TASK_FINISHED);
  int status = 503;
  while (status == 503) status = executor.Subscribe(again);
  ASSERT_EQ(status, 200);
  Await("a", mesos::TASK_FINISHED);
  EXPECT_EQ(Await("b", mesos::TASK_DROPPED).reason(), mesos::TaskStatus::REASON_AGENT_RESTARTED);

  ExecutorCall message;
  message.set_type(ExecutorCall::MESSAGE);
  message.mutable_message()->set_data("word");
  EXPECT_EQ(executor.Send(message), 202);
  EXPECT_EQ(client_->Next(SchedulerEvent::MESSAGE).value().message().data(), "word");
  Call shutdown;
  shutdown.set_type(Call::SHUTDOWN);
  shutdown.mutable_shutdown()->mutable_executor_id()->set_value("e");
  *shutdown.mutable_shutdown()->mutable_agent_id() = offer_.agent_id();
  ASSERT_EQ(client_->Send(shutdown), 202);
  // It does not end by itself, and is killed.
  EXPECT_EQ(client_->Next(SchedulerEvent::FAILURE).value().failure().status(), SIGKILL);
  EXPECT_EQ(stand_in_->counters().overpromised, 0);
}

TEST_F(RealTest, TasksOfADeadExecutorFail) {
  ASSERT_EQ(client_->Accept(offer_, {ExecutorTask("a")}), 202);
  FakeExecutor executor(offer_.url().address().port(), client_->id());
  int status = 0;
  while ((status = executor.Subscribe()) == 400) {
  }
  ASSERT_EQ(status, 200);
  ASSERT_TRUE(stand_in_->Control("/agent/0/kill_executor").ok());
  const mesos::TaskStatus failed = Await("a", mesos::TASK_FAILED);
  EXPECT_EQ(failed.reason(), mesos::TaskStatus::REASON_EXECUTOR_TERMINATED);
  EXPECT_EQ(failed.message(), "Executor terminated");
}

TEST_F(RealTest, WhatCannotBeFetchedCannotRun) {
  mesos::TaskInfo task = ExecutorTask("a");
  task.mutable_executor()->mutable_command()->add_uris()->set_value("/does/not/exist");
  ASSERT_EQ(client_->Accept(offer_, {task}), 202);
  const mesos::TaskStatus failed = Await("a", mesos::TASK_FAILED);
  EXPECT_EQ(failed.reason(), mesos::TaskStatus::REASON_CONTAINER_LAUNCH_FAILED);
  EXPECT_THAT(failed.message(), HasSubstr("Failed to fetch"));
}

}  // namespace
}  // namespace kartograph::stand_in
