#include "executor/mesos/executor/executor_driver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/executor/testing/fake_agent.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "executor/payload.pb.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {
namespace {

namespace v1 = kartograph::mesos;
using planner::AttemptId;
using planner::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using v1::executor::Event;

constexpr absl::Duration kPatience = absl::Minutes(1);

AttemptId Id(uint32_t index) { return AttemptId::Of(planner::TaskKey::Of(17, index), 1); }

class ExecutorDriverTest : public testing::Test {
 protected:
  ExecutorDriverTest() {
    std::string pattern = testing::TempDir() + "/executor.XXXXXX";
    options_.environment.sandbox = mkdtemp(pattern.data());
    options_.environment.agent.host = "127.0.0.1";
    options_.environment.agent.port = agent_.port();
    options_.environment.agent.target = "/api/v1/executor";
    options_.environment.authorization = "Bearer abc";
    options_.environment.framework_id = "f-1";
    options_.environment.executor_id = "kartograph";
    options_.environment.checkpoint = true;
    options_.environment.recovery_timeout = absl::Minutes(15);
    options_.environment.max_backoff = absl::Milliseconds(20);
    options_.tell_running_after = absl::ZeroDuration();
  }
  ~ExecutorDriverTest() override {
    executor_.reset();
    std::filesystem::remove_all(options_.environment.sandbox);
  }

  void Start() {
    auto executor =
        ExecutorDriver::Create(io_, options_, [this](int status, const std::string& why) {
          status_ = status;
          reason_ = why;
        });
    ASSERT_TRUE(executor.ok()) << executor.status();
    executor_ = *std::move(executor);
  }
  void StartAndSubscribe() {
    Start();
    ASSERT_TRUE(RunUntil([&] { return agent_.connected(); }));
  }

  template <typename Condition>
  bool RunUntil(Condition condition) {
    const absl::Time until = absl::Now() + kPatience;
    while (!condition()) {
      if (absl::Now() > until) return false;
      // Conditions may also be about files, so it looks again soon.
      io_.run_one_for(std::chrono::milliseconds(5));
    }
    return true;
  }

  static Launch Shell(uint32_t index, const std::string& line) {
    Payload payload;
    payload.set_shell(line);
    Launch launch;
    launch.attempt = Id(index);
    launch.task_name = absl::StrCat("task ", index);
    launch.payload = payload.SerializeAsString();
    return launch;
  }
  static std::string TaskId(uint32_t index) { return planner::AttemptIdToString(Id(index)); }
  static Event LaunchEvent(const std::string& task_id, const std::string& data) {
    Event event;
    event.set_type(Event::LAUNCH);
    v1::TaskInfo* task = event.mutable_launch()->mutable_task();
    task->mutable_task_id()->set_value(task_id);
    task->mutable_agent_id()->set_value("a-1");
    task->set_data(data);
    return event;
  }
  static Event LaunchEvent(const Launch& launch) {
    wire::Launch message;
    wire::ToMessage(launch, &message);
    return LaunchEvent(planner::AttemptIdToString(launch.attempt), message.SerializeAsString());
  }
  static Event KillEvent(uint32_t index, std::optional<absl::Duration> grace = std::nullopt) {
    Event event;
    event.set_type(Event::KILL);
    event.mutable_kill()->mutable_task_id()->set_value(TaskId(index));
    if (grace) {
      event.mutable_kill()->mutable_kill_policy()->mutable_grace_period()->set_nanoseconds(
          absl::ToInt64Nanoseconds(*grace));
    }
    return event;
  }
  static Event EventOf(Event::Type type) {
    Event event;
    event.set_type(type);
    return event;
  }

  std::vector<v1::TaskState> States(uint32_t index) const {
    std::vector<v1::TaskState> states;
    for (const v1::TaskStatus& status : agent_.updates(TaskId(index))) {
      states.push_back(status.state());
    }
    return states;
  }
  bool WaitState(uint32_t index, v1::TaskState state) {
    return RunUntil([&] {
      const auto updates = agent_.updates(TaskId(index));
      return !updates.empty() && updates.back().state() == state;
    });
  }
  bool WaitDone() {
    return RunUntil([&] { return status_.has_value(); });
  }
  static wire::Update Data(const v1::TaskStatus& status) {
    wire::Update update;
    EXPECT_TRUE(update.ParseFromString(status.data()));
    return update;
  }
  static Outcome OutcomeOf(const v1::TaskStatus& status) {
    return static_cast<Outcome>(Data(status).outcome());
  }
  v1::TaskStatus Last(uint32_t index) const { return agent_.updates(TaskId(index)).back(); }

  std::string Sandbox(uint32_t index) const {
    return absl::StrCat(options_.environment.sandbox, "/sandboxes/17/", index, ".1");
  }
  // Whether the attempt has made a file of this name in its sandbox.
  bool WaitFile(uint32_t index, const std::string& name) {
    return RunUntil([&] { return std::filesystem::exists(Sandbox(index) + "/" + name); });
  }

  boost::asio::io_context io_;
  FakeAgent agent_{io_};
  ExecutorDriver::Options options_;
  std::unique_ptr<ExecutorDriver> executor_;
  std::optional<int> status_;
  std::string reason_;
};

TEST_F(ExecutorDriverTest, RunsAnAttemptAndTellsOfIt) {
  StartAndSubscribe();
  const auto& subscribe = agent_.subscriptions().at(0);
  EXPECT_EQ(subscribe.framework_id().value(), "f-1");
  EXPECT_EQ(subscribe.executor_id().value(), "kartograph");
  EXPECT_EQ(agent_.authorization(), "Bearer abc");
  const absl::Time before = absl::Now();
  agent_.Send({LaunchEvent(Shell(1, "echo hello; echo oops >&2; printf 42 >$KARTOGRAPH_RESULT"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  const std::vector<v1::TaskStatus> updates = agent_.updates(TaskId(1));
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_FINISHED));
  for (const v1::TaskStatus& status : updates) {
    EXPECT_EQ(status.source(), v1::TaskStatus::SOURCE_EXECUTOR);
    EXPECT_EQ(status.executor_id().value(), "kartograph");
    EXPECT_EQ(status.agent_id().value(), "a-1");
    EXPECT_GE(status.timestamp(), absl::ToUnixSeconds(before));
    ASSERT_EQ(status.uuid().size(), 16u);
    EXPECT_EQ(status.uuid()[6] & 0xf0, 0x40);
    EXPECT_EQ(status.uuid()[8] & 0xc0, 0x80);
  }
  EXPECT_NE(updates[0].uuid(), updates[1].uuid());
  const wire::Update running = Data(updates[0]);
  EXPECT_EQ(running.attempt(), Id(1).value);
  EXPECT_EQ(running.outcome(), static_cast<int>(Outcome::kNone));
  EXPECT_GE(running.start_ns(), absl::ToUnixNanos(before));
  const wire::Update end = Data(updates[1]);
  EXPECT_EQ(end.start_ns(), running.start_ns());
  EXPECT_GE(end.end_ns(), end.start_ns());
  EXPECT_EQ(end.return_value(), "42");
  EXPECT_EQ(end.return_value_file(), "");
  EXPECT_EQ(OutcomeOf(updates[1]), Outcome::kSucceeded);
  std::ifstream log(Sandbox(1) + "/stdout");
  std::string line;
  EXPECT_TRUE(std::getline(log, line));
  EXPECT_EQ(line, "hello");
}

TEST_F(ExecutorDriverTest, RunsManyAtOnce) {
  StartAndSubscribe();
  std::vector<Event> launches;
  for (uint32_t i = 0; i < 100; ++i) launches.push_back(LaunchEvent(Shell(i, "exit 0")));
  agent_.Send(launches);
  for (uint32_t i = 0; i < 100; ++i) {
    ASSERT_TRUE(WaitState(i, v1::TASK_FINISHED)) << i;
    EXPECT_THAT(States(i), ElementsAre(v1::TASK_RUNNING, v1::TASK_FINISHED));
  }
}

TEST_F(ExecutorDriverTest, GivesEachAttemptInstancesForItself) {
  const planner::Resource gpus = planner::Resource::Named("gpus");
  options_.indexed = {gpus};
  // Executors of one framework share them; no other test is of this one.
  options_.environment.framework_id = options_.environment.sandbox;
  StartAndSubscribe();
  const auto launch = [&](uint32_t index, int count, const std::string& meanwhile) {
    Launch one =
        Shell(index, absl::StrCat("printf \"$KARTOGRAPH_RESOURCE_GPUS $CUDA_VISIBLE_DEVICES"
                                  "\" > $KARTOGRAPH_RESULT; ",
                                  meanwhile));
    one.consumption.Set(gpus, planner::Quantity::Of(count));
    agent_.Send({LaunchEvent(one)});
  };
  launch(0, 1, "touch began; while [ ! -e end ]; do sleep 0.01; done");
  ASSERT_TRUE(WaitFile(0, "began"));
  launch(1, 2, "");
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  EXPECT_EQ(Data(Last(1)).return_value(), "1,2 1,2");
  std::ofstream(Sandbox(0) + "/end").put('\n');
  ASSERT_TRUE(WaitState(0, v1::TASK_FINISHED));
  EXPECT_EQ(Data(Last(0)).return_value(), "0 0");
  launch(2, 1, "");
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
  EXPECT_EQ(Data(Last(2)).return_value(), "0 0");
  launch(3, 0, "");
  ASSERT_TRUE(WaitState(3, v1::TASK_FINISHED));
  EXPECT_EQ(Data(Last(3)).return_value(), " ");
}

TEST_F(ExecutorDriverTest, NamesALargeReturnValue) {
  options_.max_sent_result_bytes = 2000;
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "head -c 2000 /dev/zero >$KARTOGRAPH_RESULT")),
               LaunchEvent(Shell(2, "head -c 2001 /dev/zero >$KARTOGRAPH_RESULT"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
  EXPECT_EQ(Data(Last(1)).return_value(), std::string(2000, '\0'));
  EXPECT_EQ(Data(Last(2)).return_value(), "");
  EXPECT_EQ(Data(Last(2)).return_value_bytes(), 2001);
  EXPECT_EQ(Data(Last(2)).return_value_file(), "sandboxes/17/2.1/result");
  EXPECT_EQ(std::filesystem::file_size(
                absl::StrCat(options_.environment.sandbox, "/", Data(Last(2)).return_value_file())),
            2001u);
}

TEST_F(ExecutorDriverTest, TellsHowAttemptsFail) {
  StartAndSubscribe();
  Launch late = Shell(3, "exec sleep 1000");
  late.timeout = absl::Milliseconds(50);
  Launch none = Shell(2, "");
  Payload payload;
  payload.add_arguments("/no/such/program");
  none.payload = payload.SerializeAsString();
  agent_.Send({LaunchEvent(Shell(1, "exit 3")), LaunchEvent(none), LaunchEvent(late)});
  ASSERT_TRUE(WaitState(1, v1::TASK_FAILED));
  EXPECT_EQ(OutcomeOf(Last(1)), Outcome::kExited);
  EXPECT_EQ(Data(Last(1)).exit_status(), 3);
  EXPECT_EQ(Last(1).message(), "exited with status 3");
  ASSERT_TRUE(WaitState(2, v1::TASK_FAILED));
  EXPECT_EQ(OutcomeOf(Last(2)), Outcome::kNotStarted);
  ASSERT_TRUE(WaitState(3, v1::TASK_FAILED));
  EXPECT_EQ(OutcomeOf(Last(3)), Outcome::kTimedOut);
  EXPECT_EQ(Last(3).reason(), v1::TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED);
}

TEST_F(ExecutorDriverTest, TellsThatItCouldNotStartAnAttempt) {
  StartAndSubscribe();
  std::filesystem::remove_all(options_.environment.sandbox + "/sandboxes");
  std::ofstream(options_.environment.sandbox + "/sandboxes") << "in the way";
  agent_.Send({LaunchEvent(Shell(1, "exit 0"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_FAILED));
  EXPECT_EQ(OutcomeOf(Last(1)), Outcome::kAgentFailed);
  EXPECT_THAT(Last(1).message(), HasSubstr("sandbox"));
}

TEST_F(ExecutorDriverTest, TellsInWhichIncarnationAnAttemptWasLaunched) {
  StartAndSubscribe();
  wire::Launch message;
  wire::ToMessage(Shell(1, "exit 0"), &message);
  message.set_incarnation(77);
  agent_.Send({LaunchEvent(TaskId(1), message.SerializeAsString())});
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  for (const v1::TaskStatus& status : agent_.updates(TaskId(1))) {
    EXPECT_EQ(Data(status).incarnation(), 77u);
  }
}

// Without its agent it keeps what attempts have returned on disk; when the agent is back, what is
// too much for one call is named.
TEST_F(ExecutorDriverTest, ResultsThatWaitAreReadWhenTheyAreSent) {
  agent_.set_acknowledges(false);
  StartAndSubscribe();
  std::vector<Event> launches;
  for (uint32_t i = 0; i < 12; ++i) {
    launches.push_back(LaunchEvent(Shell(i, "head -c 500000 /dev/zero >$KARTOGRAPH_RESULT")));
  }
  agent_.Send(launches);
  for (uint32_t i = 0; i < 12; ++i) {
    ASSERT_TRUE(WaitState(i, v1::TASK_FINISHED));
    EXPECT_EQ(Data(Last(i)).return_value().size(), 500000u);
  }
  std::filesystem::remove(Sandbox(0) + "/result");
  const size_t subscriptions = agent_.subscriptions().size();
  agent_.set_acknowledges(true);
  agent_.Disconnect();
  ASSERT_TRUE(RunUntil([&] { return agent_.subscriptions().size() > subscriptions; }));
  int sent = 0, named = 0, lost = 0;
  for (const auto& update : agent_.subscriptions().back().subscribe().unacknowledged_updates()) {
    if (update.status().state() == v1::TASK_RUNNING) continue;
    const wire::Update data = Data(update.status());
    sent += data.return_value().size() == 500000;
    named += data.return_value_file() != "" && data.return_value_bytes() == 500000;
    lost += data.outcome() == static_cast<int>(Outcome::kAgentFailed);
  }
  EXPECT_EQ(sent, 8);  // in 4 MiB
  EXPECT_LE(lost, 1);  // or it is named
  EXPECT_EQ(sent + named + lost, 12);
}

TEST_F(ExecutorDriverTest, RefusesWhatIsNoAttempt) {
  StartAndSubscribe();
  wire::Launch other;
  wire::ToMessage(Shell(2, "exit 0"), &other);
  agent_.Send({LaunchEvent(TaskId(1), "\xff\xff"), LaunchEvent("nonsense", ""),
               LaunchEvent(TaskId(3), other.SerializeAsString())});
  ASSERT_TRUE(WaitState(1, v1::TASK_ERROR));
  EXPECT_EQ(Last(1).message(), "the task's data is not the launch of an attempt");
  EXPECT_EQ(Last(1).reason(), v1::TaskStatus::REASON_TASK_INVALID);
  ASSERT_TRUE(WaitState(3, v1::TASK_ERROR));
  EXPECT_EQ(Last(3).message(), "the task's data is a launch of g17.2.1, its id is g17.3.1");
  EXPECT_EQ(agent_.updates("nonsense").at(0).state(), v1::TASK_ERROR);
}

TEST_F(ExecutorDriverTest, OfAShortAttemptOnlyTheEndIsTold) {
  options_.tell_running_after = absl::Hours(1);
  StartAndSubscribe();
  const absl::Time before = absl::Now();
  agent_.Send({LaunchEvent(Shell(1, "exit 3"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_FAILED));
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_FAILED));
  EXPECT_EQ(OutcomeOf(Last(1)), Outcome::kExited);
  EXPECT_GE(Data(Last(1)).start_ns(), absl::ToUnixNanos(before));
  EXPECT_GE(Data(Last(1)).end_ns(), Data(Last(1)).start_ns());
}

TEST_F(ExecutorDriverTest, OfALongerOneIsToldThatItRuns) {
  options_.tell_running_after = absl::Milliseconds(1);
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exec sleep 1000"))});
  EXPECT_TRUE(WaitState(1, v1::TASK_RUNNING));
}

TEST_F(ExecutorDriverTest, ItIsToldThatItRunsBeforeThatItIsKilled) {
  agent_.framework().add_capabilities()->set_type(
      v1::FrameworkInfo::Capability::TASK_KILLING_STATE);
  options_.tell_running_after = absl::Hours(1);
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "touch ready; exec sleep 1000"))});
  ASSERT_TRUE(WaitFile(1, "ready"));
  agent_.Send({KillEvent(1)});
  ASSERT_TRUE(WaitState(1, v1::TASK_KILLED));
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_KILLING, v1::TASK_KILLED));
}

TEST_F(ExecutorDriverTest, IgnoresARepeatedLaunch) {
  agent_.set_acknowledges(false);
  StartAndSubscribe();
  const Event launch = LaunchEvent(Shell(1, "echo >>runs; exit 0"));
  agent_.Send({launch, launch});
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  agent_.Send({launch, LaunchEvent(Shell(2, "exit 0"))});
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_FINISHED));
  EXPECT_EQ(std::filesystem::file_size(Sandbox(1) + "/runs"), 1u);
}

TEST_F(ExecutorDriverTest, KillsWithTheGraceOfThePolicy) {
  agent_.framework().add_capabilities()->set_type(
      v1::FrameworkInfo::Capability::TASK_KILLING_STATE);
  StartAndSubscribe();
  Launch stubborn = Shell(1, "trap '' TERM; touch ready; while :; do sleep 1; done");
  stubborn.cancel_grace = absl::Hours(1);
  agent_.Send({LaunchEvent(stubborn)});
  ASSERT_TRUE(WaitFile(1, "ready"));
  agent_.Send({KillEvent(1)});
  ASSERT_TRUE(WaitState(1, v1::TASK_KILLING));
  agent_.Send({KillEvent(1, absl::ZeroDuration()), KillEvent(1)});
  ASSERT_TRUE(WaitState(1, v1::TASK_KILLED));
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_KILLING, v1::TASK_KILLED));
  EXPECT_EQ(OutcomeOf(Last(1)), Outcome::kCancelled);
}

TEST_F(ExecutorDriverTest, KillsWithTheGraceOfTheLaunch) {
  StartAndSubscribe();
  Launch launch = Shell(1, "trap '' TERM; touch ready; while :; do sleep 1; done");
  launch.cancel_grace = absl::Milliseconds(10);
  agent_.Send({LaunchEvent(launch)});
  ASSERT_TRUE(WaitFile(1, "ready"));
  agent_.Send({KillEvent(1)});
  ASSERT_TRUE(WaitState(1, v1::TASK_KILLED));
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_KILLED));
}

TEST_F(ExecutorDriverTest, KillsWhatHasJustBeenLaunched) {
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exec sleep 1000")), KillEvent(1)});
  ASSERT_TRUE(WaitState(1, v1::TASK_KILLED));
  EXPECT_EQ(OutcomeOf(Last(1)), Outcome::kCancelled);
}

TEST_F(ExecutorDriverTest, IgnoresAKillOfWhatIsNotThere) {
  StartAndSubscribe();
  Event nonsense = KillEvent(1);
  nonsense.mutable_kill()->mutable_task_id()->set_value("nonsense");
  agent_.Send({KillEvent(1), nonsense, LaunchEvent(Shell(2, "exit 0"))});
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
  agent_.Send({KillEvent(2), LaunchEvent(Shell(3, "exit 0"))});
  ASSERT_TRUE(WaitState(3, v1::TASK_FINISHED));
  EXPECT_THAT(States(1), ElementsAre());
  EXPECT_THAT(States(2), ElementsAre(v1::TASK_RUNNING, v1::TASK_FINISHED));
}

TEST_F(ExecutorDriverTest, TellsAgainAfterAReconnection) {
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "touch ready; while [ ! -e go ]; do sleep 0.01; done"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_RUNNING));
  agent_.set_acknowledges(false);
  agent_.Send({LaunchEvent(Shell(2, "exit 0"))});
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
  ASSERT_TRUE(WaitFile(1, "ready"));
  agent_.set_answer(503);
  agent_.Disconnect();
  // What ends meanwhile is reported with the rest.
  std::ofstream(Sandbox(1) + "/go") << "";
  ASSERT_TRUE(RunUntil([&] { return agent_.tries() >= 3; }));
  agent_.set_acknowledges(true);
  agent_.set_answer(200);
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  ASSERT_EQ(agent_.subscriptions().size(), 2u);
  const auto& again = agent_.subscriptions().at(1).subscribe();
  ASSERT_EQ(again.unacknowledged_tasks_size(), 1);
  EXPECT_EQ(again.unacknowledged_tasks(0).task_id().value(), TaskId(2));
  ASSERT_GE(again.unacknowledged_updates_size(), 2);
  EXPECT_EQ(again.unacknowledged_updates(0).status().state(), v1::TASK_RUNNING);
  EXPECT_EQ(again.unacknowledged_updates(1).status().state(), v1::TASK_FINISHED);
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_FINISHED));
  const auto updates = agent_.updates(TaskId(2));
  ASSERT_EQ(updates.size(), 4u);
  EXPECT_EQ(updates[0].uuid(), updates[2].uuid());
  EXPECT_EQ(updates[1].uuid(), updates[3].uuid());
  // It is acknowledged now, and not reported once more.
  agent_.Disconnect();
  ASSERT_TRUE(RunUntil([&] { return agent_.subscriptions().size() == 3; }));
  EXPECT_EQ(agent_.subscriptions().at(2).subscribe().unacknowledged_updates_size(), 0);
  EXPECT_EQ(agent_.subscriptions().at(2).subscribe().unacknowledged_tasks_size(), 0);
}

TEST_F(ExecutorDriverTest, EndsWhenTheAgentDoesNotComeBack) {
  options_.environment.recovery_timeout = absl::Milliseconds(100);
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1,
                                 "trap 'touch ended; exit' TERM; touch ready; "
                                 "while :; do sleep 0.01; done"))});
  ASSERT_TRUE(WaitFile(1, "ready"));
  agent_.set_answer(503);
  agent_.Disconnect();
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 1);
  EXPECT_THAT(reason_, HasSubstr("without the agent for 100ms"));
  EXPECT_TRUE(std::filesystem::exists(Sandbox(1) + "/ended"));
}

TEST_F(ExecutorDriverTest, EndsWithItsAgentWithoutCheckpoint) {
  options_.environment.checkpoint = false;
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exec sleep 1000"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_RUNNING));
  agent_.Disconnect();
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 1);
  EXPECT_THAT(reason_, HasSubstr(agent_.address()));
  EXPECT_EQ(agent_.tries(), 1);
}

TEST_F(ExecutorDriverTest, ShutsDown) {
  options_.environment.shutdown_grace = absl::Minutes(1);
  StartAndSubscribe();
  Launch stubborn = Shell(2, "trap '' TERM; touch ready; while :; do sleep 1; done");
  stubborn.cancel_grace = absl::Milliseconds(10);
  agent_.Send({LaunchEvent(Shell(1, "touch ready; exec sleep 1000")), LaunchEvent(stubborn)});
  ASSERT_TRUE(WaitFile(1, "ready"));
  ASSERT_TRUE(WaitFile(2, "ready"));
  agent_.Send({EventOf(Event::SHUTDOWN), LaunchEvent(Shell(3, "touch ran"))});
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 0);
  for (uint32_t index : {1, 2}) {
    EXPECT_THAT(States(index), ElementsAre(v1::TASK_RUNNING, v1::TASK_KILLED));
    EXPECT_EQ(OutcomeOf(Last(index)), Outcome::kLost);
    EXPECT_EQ(Last(index).message(), "the executor was shut down");
  }
  EXPECT_THAT(States(3), ElementsAre(v1::TASK_FAILED));
  EXPECT_EQ(OutcomeOf(Last(3)), Outcome::kRefused);
}

TEST_F(ExecutorDriverTest, ShutsDownWithinTheGrace) {
  options_.environment.shutdown_grace = absl::Milliseconds(400);
  StartAndSubscribe();
  Launch stubborn = Shell(1, "trap '' TERM; echo $$ >pid; mv pid ready; while :; do sleep 1; done");
  stubborn.cancel_grace = absl::Hours(1);
  agent_.Send({LaunchEvent(stubborn)});
  ASSERT_TRUE(WaitFile(1, "ready"));
  pid_t pid = 0;
  std::ifstream(Sandbox(1) + "/ready") >> pid;
  ASSERT_GT(pid, 0);
  agent_.Send({EventOf(Event::SHUTDOWN)});
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 0);
  executor_.reset();
  EXPECT_EQ(kill(pid, 0), -1);
}

TEST_F(ExecutorDriverTest, ShutsDownThoughNobodyAcknowledges) {
  agent_.set_acknowledges(false);
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exec sleep 1000"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_RUNNING));
  agent_.Send({EventOf(Event::SHUTDOWN)});
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 0);
  EXPECT_THAT(States(1), ElementsAre(v1::TASK_RUNNING, v1::TASK_KILLED));
}

TEST_F(ExecutorDriverTest, EndsAtAnError) {
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exec sleep 1000"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_RUNNING));
  Event error = EventOf(Event::ERROR);
  error.mutable_error()->set_message("too old");
  agent_.Send({error});
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 1);
  EXPECT_EQ(reason_, "the agent says: too old");
}

TEST_F(ExecutorDriverTest, ReportsOfItsHost) {
  options_.report_interval = absl::Milliseconds(20);
  StartAndSubscribe();
  ASSERT_TRUE(RunUntil([&] { return agent_.messages().size() >= 3; }));
  v1::FromExecutor message;
  ASSERT_TRUE(message.ParseFromString(agent_.messages().at(0).message().data()));
  EXPECT_GT(message.host().cpus(), 0);
  EXPECT_GT(message.host().disk_bytes(), 0u);
}

TEST_F(ExecutorDriverTest, DiscardsSandboxes) {
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exit 0"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  v1::ToExecutor message;
  message.add_discard_graphs(16);
  message.add_discard_graphs(17);
  Event broken = EventOf(Event::MESSAGE);
  broken.mutable_message()->set_data("\xff");
  Event event = EventOf(Event::MESSAGE);
  event.mutable_message()->set_data(message.SerializeAsString());
  agent_.Send({broken, event});
  const std::string root = options_.environment.sandbox + "/sandboxes";
  ASSERT_TRUE(RunUntil([&] { return std::filesystem::is_empty(root); }));
  agent_.Send({LaunchEvent(Shell(2, "exit 0"))});
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
}

TEST_F(ExecutorDriverTest, AnAttemptThatWaitsForABlobCanBeKilled) {
  Launch launch = Shell(1, "true");
  Payload payload;
  payload.ParseFromString(launch.payload);
  payload.set_input_blob(std::string(64, 'a'));
  launch.payload = payload.SerializeAsString();
  StartAndSubscribe();
  agent_.Send({LaunchEvent(launch)});
  const auto asked = [&] {
    return std::any_of(agent_.messages().begin(), agent_.messages().end(), [](const auto& call) {
      v1::FromExecutor message;
      return message.ParseFromString(call.message().data()) && message.blob_requests_size() == 1;
    });
  };
  ASSERT_TRUE(RunUntil(asked));
  EXPECT_THAT(States(1), IsEmpty());
  agent_.Send({KillEvent(1)});
  ASSERT_TRUE(WaitState(1, v1::TASK_KILLED));
  // Another one ends with the executor.
  launch.attempt = Id(2);
  agent_.Send({LaunchEvent(launch), EventOf(Event::SHUTDOWN)});
  ASSERT_TRUE(WaitState(2, v1::TASK_KILLED));
}

TEST_F(ExecutorDriverTest, IsDoneWhenThereIsNothingToDo) {
  options_.idle_exit = absl::Milliseconds(50);
  options_.report_interval = absl::Milliseconds(20);
  agent_.set_acknowledges(false);
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(1, "exit 0")), LaunchEvent(Shell(2, "exit 0"))});
  ASSERT_TRUE(WaitState(1, v1::TASK_FINISHED));
  ASSERT_TRUE(WaitState(2, v1::TASK_FINISHED));
  // As long as something is not acknowledged, it stays.
  const size_t reports = agent_.messages().size();
  ASSERT_TRUE(RunUntil([&] { return agent_.messages().size() >= reports + 5; }));
  EXPECT_FALSE(status_.has_value());
  agent_.set_acknowledges(true);
  agent_.Disconnect();
  ASSERT_TRUE(WaitDone());
  EXPECT_EQ(status_, 0);
  EXPECT_EQ(reason_, "there was nothing to do");
}

TEST_F(ExecutorDriverTest, TellsWhoUsesMoreThanItConsumes) {
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(0, "(head -c 60000000 /dev/zero; sleep 1000) | tail -c 90000000")),
               LaunchEvent(Shell(1, "sleep 1000"))});
  const auto told = [&] {
    v1::Overuse last;
    for (const auto& call : agent_.messages()) {
      v1::FromExecutor message;
      message.ParseFromString(call.message().data());
      if (message.has_overuse()) last = message.overuse();
    }
    return last;
  };
  EXPECT_TRUE(RunUntil([&] {
    const v1::Overuse last = told();
    return last.attempts_size() == 1 && last.attempts(0).attempt() == Id(0).value &&
           last.attempts(0).ram_over_bytes() > 50000000;
  })) << told().DebugString();
  agent_.Send({KillEvent(0, absl::ZeroDuration())});
  EXPECT_TRUE(RunUntil([&] { return told().attempts().empty(); })) << "until it has ended";
}

TEST_F(ExecutorDriverTest, OldLogsGiveWayToWhatConsumesDisk) {
  options_.disk_look_period = absl::Milliseconds(10);
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(0, "head -c 9000000 /dev/zero"))});
  ASSERT_TRUE(WaitState(0, v1::TASK_FINISHED));
  const std::string log = absl::StrCat(options_.environment.sandbox, "/sandboxes/17/0.1/stdout");
  EXPECT_TRUE(std::filesystem::exists(log));
  Launch launch = Shell(1, "sleep 1000");
  launch.consumption.Set(*planner::Resource::Intern("disk"), planner::Quantity::Of(8 << 20));
  agent_.Send({LaunchEvent(launch)});
  EXPECT_TRUE(RunUntil([&] { return !std::filesystem::exists(log); }));
}

// The agent acknowledges the end long before the framework has read the file that it names.
TEST_F(ExecutorDriverTest, AReturnValueThatIsReadFromItsFileDoesNotGiveWay) {
  options_.disk_look_period = absl::Milliseconds(10);
  options_.max_sent_result_bytes = 2000;
  StartAndSubscribe();
  agent_.Send({LaunchEvent(Shell(0,
                                 "head -c 9000000 /dev/zero; "
                                 "head -c 2001 /dev/zero >$KARTOGRAPH_RESULT"))});
  ASSERT_TRUE(WaitState(0, v1::TASK_FINISHED));
  const std::string folder = absl::StrCat(options_.environment.sandbox, "/sandboxes/17/0.1");
  Launch launch = Shell(1, "sleep 1000");
  launch.consumption.Set(*planner::Resource::Intern("disk"), planner::Quantity::Of(8 << 20));
  agent_.Send({LaunchEvent(launch)});
  ASSERT_TRUE(RunUntil([&] { return !std::filesystem::exists(folder + "/stdout"); }));
  EXPECT_TRUE(std::filesystem::exists(folder + "/result"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
