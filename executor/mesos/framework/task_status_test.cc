#include "executor/mesos/framework/task_status.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <limits>
#include <optional>
#include <string>

#include "base/utf8.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {
namespace {

namespace v1 = kartograph::mesos;
using planner::Outcome;
using testing::HasSubstr;
using v1::TaskStatus;

TaskStatus Status(v1::TaskState state, std::optional<TaskStatus::Reason> reason = std::nullopt,
                  const std::string& message = "") {
  TaskStatus status;
  status.set_state(state);
  if (reason) status.set_reason(*reason);
  if (!message.empty()) status.set_message(message);
  status.set_timestamp(1000.5);
  status.set_uuid("0123456789abcdef");
  return status;
}

StatusContext Command() {
  StatusContext context;
  context.confirmed = true;
  context.command = true;
  return context;
}

StatusContext Confirmed() {
  StatusContext context;
  context.confirmed = true;
  return context;
}

StatusContext Starting() {
  StatusContext context;
  context.starting = true;
  return context;
}

TaskStatus WithData(v1::TaskState state, const AttemptUpdate& update) {
  wire::Update data;
  wire::ToMessage(update, &data);
  TaskStatus status = Status(state);
  status.set_data(data.SerializeAsString());
  return status;
}

TEST(TaskStatusTest, WhatIsOnItsWayHasNotStarted) {
  for (const v1::TaskState state : {v1::TASK_STAGING, v1::TASK_STARTING}) {
    const AttemptUpdate update = ReadStatus(Status(state), {}).update;
    EXPECT_EQ(update.outcome, Outcome::kNone);
    EXPECT_EQ(update.start_time, absl::InfinitePast());
    EXPECT_FALSE(update.unreachable);
  }
}

TEST(TaskStatusTest, WhatRunsHasStartedWhenItsExecutorSays) {
  for (const v1::TaskState state : {v1::TASK_RUNNING, v1::TASK_KILLING}) {
    AttemptUpdate running;
    running.start_time = absl::FromUnixSeconds(900);
    EXPECT_EQ(ReadStatus(WithData(state, running), {}).update.start_time,
              absl::FromUnixSeconds(900));
    // Without its own, the update's time; what is known already stays.
    EXPECT_EQ(ReadStatus(Status(state), {}).update.start_time, absl::FromUnixMillis(1000500));
    StatusContext context = Confirmed();
    context.start_time = absl::FromUnixSeconds(800);
    EXPECT_EQ(ReadStatus(Status(state), context).update.start_time, absl::FromUnixSeconds(800));
  }
}

TEST(TaskStatusTest, WhatCannotBeReachedHasNotEnded) {
  const AttemptUpdate update = ReadStatus(Status(v1::TASK_UNREACHABLE), Confirmed()).update;
  EXPECT_TRUE(update.unreachable);
  EXPECT_EQ(update.outcome, Outcome::kNone);
}

TEST(TaskStatusTest, AnEndIsWhatOurExecutorSays) {
  AttemptUpdate end;
  end.outcome = Outcome::kSignalled;
  end.signal = 11;
  end.message = "over";
  end.start_time = absl::FromUnixSeconds(900);
  end.end_time = absl::FromUnixSeconds(950);
  end.usage.peak_ram_bytes = 77;
  end.return_value = "r";
  for (const v1::TaskState state : {v1::TASK_FINISHED, v1::TASK_FAILED, v1::TASK_KILLED}) {
    const StatusReport report = ReadStatus(WithData(state, end), Confirmed());
    EXPECT_FALSE(report.bare);
    EXPECT_EQ(report.update.outcome, Outcome::kSignalled);
    EXPECT_EQ(report.update.signal, 11);
    EXPECT_EQ(report.update.message, "over");
    EXPECT_EQ(report.update.start_time, end.start_time);
    EXPECT_EQ(report.update.end_time, end.end_time);
    EXPECT_EQ(report.update.usage.peak_ram_bytes, 77u);
    EXPECT_EQ(report.update.return_value, "r");
    EXPECT_EQ(report.return_value_file, "");
  }
}

TEST(TaskStatusTest, OurExecutorSaysThatItCouldNotStartIt) {
  wire::Update data;
  data.set_outcome(static_cast<int>(Outcome::kAgentFailed));
  data.set_incarnation(77);
  TaskStatus status = Status(v1::TASK_FAILED);
  status.set_data(data.SerializeAsString());
  const StatusReport report = ReadStatus(status, Confirmed());
  EXPECT_EQ(report.update.outcome, Outcome::kAgentFailed);
  EXPECT_EQ(report.incarnation, 77u);
}

TEST(TaskStatusTest, AReturnValueMayBeInAFile) {
  wire::Update data;
  data.set_outcome(static_cast<int>(Outcome::kSucceeded));
  data.set_return_value_file("sandboxes/1/0.1/result");
  data.set_return_value_bytes(12345);
  TaskStatus status = Status(v1::TASK_FINISHED);
  status.set_data(data.SerializeAsString());
  const StatusReport report = ReadStatus(status, Confirmed());
  EXPECT_EQ(report.return_value_file, "sandboxes/1/0.1/result");
  EXPECT_EQ(report.return_value_bytes, 12345);
}

TEST(TaskStatusTest, DataThatIsNoUpdateIsNotLookedAt) {
  TaskStatus status = Status(v1::TASK_FINISHED);
  status.set_data("\xff\xff\xff");
  EXPECT_EQ(ReadStatus(status, Confirmed()).update.outcome, Outcome::kSucceeded);
  AttemptUpdate end;
  end.outcome = Outcome::kExited;
  // A command's executor has data of its own.
  EXPECT_EQ(ReadStatus(WithData(v1::TASK_FINISHED, end), Command()).update.outcome,
            Outcome::kSucceeded);
}

TEST(TaskStatusTest, ACommandsEndIsInTheMessage) {
  StatusContext context = Command();
  context.start_time = absl::FromUnixSeconds(1000);
  StatusReport report =
      ReadStatus(Status(v1::TASK_FINISHED, std::nullopt, "Command exited with status 0"), context);
  EXPECT_EQ(report.update.outcome, Outcome::kSucceeded);
  EXPECT_EQ(report.update.message, "");
  EXPECT_EQ(report.update.usage.wall_time, absl::Milliseconds(500));
  report = ReadStatus(Status(v1::TASK_FAILED, TaskStatus::REASON_COMMAND_EXECUTOR_FAILED,
                             "Command exited with status 7"),
                      context);
  EXPECT_EQ(report.update.outcome, Outcome::kExited);
  EXPECT_EQ(report.update.exit_status, 7);
  report = ReadStatus(Status(v1::TASK_FAILED, std::nullopt,
                             "Command terminated with signal Segmentation fault (core dumped)"),
                      context);
  EXPECT_EQ(report.update.outcome, Outcome::kSignalled);
  EXPECT_EQ(report.update.signal, 11);
  report = ReadStatus(
      Status(v1::TASK_KILLED, std::nullopt, "Command terminated with signal Killed"), context);
  EXPECT_EQ(report.update.outcome, Outcome::kCancelled);
  EXPECT_EQ(
      ReadStatus(Status(v1::TASK_FAILED, std::nullopt, "no such program"), context).update.outcome,
      Outcome::kNotStarted);
}

TEST(TaskStatusTest, CommandEndsAreTheWordsOfMesos) {
  AttemptUpdate update;
  EXPECT_TRUE(ReadCommandEnd("Command exited with status 255", &update));
  EXPECT_EQ(update.exit_status, 255);
  EXPECT_TRUE(ReadCommandEnd("Command terminated with signal Terminated", &update));
  EXPECT_EQ(update.signal, 15);
  for (const char* text :
       {"", "Command", "Command exited with status x", "Command terminated with signal Boredom"}) {
    AttemptUpdate untouched;
    EXPECT_FALSE(ReadCommandEnd(text, &untouched)) << text;
    EXPECT_EQ(untouched.outcome, Outcome::kNone) << text;
  }
}

struct EndCase {
  v1::TaskState state;
  TaskStatus::Reason reason;
  StatusContext context;
  Outcome outcome;
};

TEST(TaskStatusTest, EveryReasonOfAnEndHasItsOutcome) {
  const EndCase kCases[] = {
      {v1::TASK_KILLED, TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED, Command(),
       Outcome::kTimedOut},
      {v1::TASK_FAILED, TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED, Command(),
       Outcome::kTimedOut},
      {v1::TASK_KILLED, TaskStatus::REASON_TASK_KILLED_DURING_LAUNCH, Confirmed(),
       Outcome::kCancelled},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY, Command(),
       Outcome::kOutOfMemory},
      // In our executor every task dies with the container.
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY, Confirmed(),
       Outcome::kLost},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LAUNCH_FAILED, Command(),
       Outcome::kNotStarted},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION_DISK, Command(),
       Outcome::kSignalled},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION_DISK, Confirmed(), Outcome::kLost},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION, Command(), Outcome::kSignalled},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION, Confirmed(), Outcome::kLost},
      {v1::TASK_GONE, TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY, Confirmed(), Outcome::kLost},
      // That its executor does not start is its agent's doing.
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LAUNCH_FAILED, {}, Outcome::kAgentFailed},
      {v1::TASK_GONE, TaskStatus::REASON_CONTAINER_LAUNCH_FAILED, {}, Outcome::kAgentFailed},
      {v1::TASK_FAILED, TaskStatus::REASON_EXECUTOR_TERMINATED, Starting(), Outcome::kAgentFailed},
      {v1::TASK_GONE, TaskStatus::REASON_EXECUTOR_TERMINATED, Starting(), Outcome::kAgentFailed},
      {v1::TASK_FAILED, TaskStatus::REASON_EXECUTOR_TERMINATED, Confirmed(), Outcome::kLost},
      {v1::TASK_FAILED,
       TaskStatus::REASON_EXECUTOR_REGISTRATION_TIMEOUT,
       {},
       Outcome::kAgentFailed},
      {v1::TASK_FAILED, TaskStatus::REASON_EXECUTOR_REREGISTRATION_TIMEOUT, Confirmed(),
       Outcome::kLost},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_UPDATE_FAILED, Confirmed(), Outcome::kLost},
      {v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_PREEMPTED, Confirmed(), Outcome::kLost},
      {v1::TASK_FAILED, TaskStatus::REASON_FRAMEWORK_REMOVED, Confirmed(), Outcome::kLost},

      {v1::TASK_DROPPED, TaskStatus::REASON_INVALID_OFFERS, {}, Outcome::kRefused},
      {v1::TASK_DROPPED, TaskStatus::REASON_AGENT_DISCONNECTED, {}, Outcome::kDropped},
      {v1::TASK_DROPPED, TaskStatus::REASON_AGENT_REMOVED, {}, Outcome::kDropped},
      {v1::TASK_DROPPED, TaskStatus::REASON_AGENT_RESTARTED, {}, Outcome::kDropped},
      {v1::TASK_DROPPED, TaskStatus::REASON_EXECUTOR_TERMINATED, {}, Outcome::kDropped},
      {v1::TASK_DROPPED, TaskStatus::REASON_RECONCILIATION, {}, Outcome::kDropped},
      {v1::TASK_DROPPED, TaskStatus::REASON_AGENT_DRAINING, {}, Outcome::kAgentFailed},

      {v1::TASK_GONE, TaskStatus::REASON_EXECUTOR_TERMINATED, Confirmed(), Outcome::kLost},
      {v1::TASK_GONE, TaskStatus::REASON_CONTAINER_UPDATE_FAILED, Confirmed(), Outcome::kLost},
      {v1::TASK_GONE, TaskStatus::REASON_AGENT_DRAINING, Confirmed(), Outcome::kLost},
      {v1::TASK_GONE, TaskStatus::REASON_RECONCILIATION, {}, Outcome::kDropped},
      {v1::TASK_GONE, TaskStatus::REASON_RECONCILIATION, Confirmed(), Outcome::kGone},
      {v1::TASK_GONE_BY_OPERATOR, TaskStatus::REASON_AGENT_REMOVED_BY_OPERATOR, Confirmed(),
       Outcome::kGone},
      {v1::TASK_GONE_BY_OPERATOR, TaskStatus::REASON_AGENT_REMOVED_BY_OPERATOR, {}, Outcome::kGone},

      {v1::TASK_UNKNOWN, TaskStatus::REASON_RECONCILIATION, Confirmed(), Outcome::kLost},
      {v1::TASK_UNKNOWN, TaskStatus::REASON_RECONCILIATION, {}, Outcome::kLost},
      {v1::TASK_LOST, TaskStatus::REASON_AGENT_REMOVED, Confirmed(), Outcome::kLost},

      {v1::TASK_ERROR, TaskStatus::REASON_TASK_INVALID, {}, Outcome::kNotStarted},
      {v1::TASK_ERROR, TaskStatus::REASON_TASK_UNAUTHORIZED, {}, Outcome::kRefused},
      {v1::TASK_ERROR, TaskStatus::REASON_INVALID_OFFERS, {}, Outcome::kRefused},
  };
  for (const EndCase& one : kCases) {
    const StatusReport report = ReadStatus(Status(one.state, one.reason, "why"), one.context);
    EXPECT_EQ(report.update.outcome, one.outcome)
        << v1::TaskState_Name(one.state) << " " << TaskStatus::Reason_Name(one.reason);
    EXPECT_FALSE(report.bare);
    EXPECT_EQ(report.update.end_time, absl::FromUnixMillis(1000500));
  }
}

TEST(TaskStatusTest, OfMemoryItSaysWhatWasOverAndNoPageOfFigures) {
  const TaskStatus status = Status(v1::TASK_FAILED, TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY,
                                   "Memory limit exceeded: Requested: 96MB Maximum Used: 96MB\n\n"
                                   "MEMORY STATISTICS: \ncache 4096\nrss 100524032\n");
  EXPECT_EQ(ReadStatus(status, Confirmed()).update.message,
            "the container of its executor was over a limit: Memory limit exceeded: Requested: "
            "96MB Maximum Used: 96MB");
  EXPECT_THAT(ReadStatus(status, Command()).update.message, testing::Not(HasSubstr("STATISTICS")));
}

TEST(TaskStatusTest, AnErrorForResourcesIsARefusal) {
  for (const char* message :
       {"Total resources cpus:2 required by task and its executor is more than available cpus:1",
        "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID e"}) {
    EXPECT_EQ(ReadStatus(Status(v1::TASK_ERROR, TaskStatus::REASON_TASK_INVALID, message), {})
                  .update.outcome,
              Outcome::kRefused)
        << message;
  }
  const StatusReport report =
      ReadStatus(Status(v1::TASK_ERROR, TaskStatus::REASON_TASK_INVALID, "no name"), {});
  EXPECT_EQ(report.update.outcome, Outcome::kNotStarted);
  EXPECT_THAT(report.update.message, HasSubstr("no name"));
}

TEST(TaskStatusTest, TheMastersMemoryLacksHowItEnded) {
  for (const v1::TaskState state : {v1::TASK_FINISHED, v1::TASK_FAILED, v1::TASK_KILLED}) {
    TaskStatus status = Status(state, TaskStatus::REASON_RECONCILIATION, "Latest task state");
    status.set_source(TaskStatus::SOURCE_MASTER);
    // With an id it is the agent's update that comes by the master.
    EXPECT_FALSE(ReadStatus(status, Confirmed()).bare);
    status.clear_uuid();
    EXPECT_TRUE(ReadStatus(status, Confirmed()).bare);
  }
}

TaskStatus WithOutcome(v1::TaskState state, int32_t outcome) {
  wire::Update data;
  data.set_outcome(outcome);
  TaskStatus status = Status(state);
  status.set_data(data.SerializeAsString());
  return status;
}

TEST(TaskStatusTest, AnEndThatCannotBeReadIsLostAndSaysWhy) {
  // 256 is 0, "it lives", in a byte.
  for (const int32_t outcome : {-1, 99, 256, 257}) {
    for (const v1::TaskState state : {v1::TASK_FINISHED, v1::TASK_FAILED, v1::TASK_KILLED}) {
      const StatusReport report = ReadStatus(WithOutcome(state, outcome), Confirmed());
      EXPECT_EQ(report.update.outcome, Outcome::kLost) << outcome;
      EXPECT_THAT(report.update.message, HasSubstr("cannot be read"));
      EXPECT_EQ(report.return_value_file, "");
    }
  }
}

TEST(TaskStatusTest, AReturnValueOutsideOfTheSandboxIsNotFetched) {
  wire::Update data;
  data.set_outcome(1);
  data.set_return_value_file("../../../secret");
  data.set_return_value_bytes(10);
  TaskStatus status = Status(v1::TASK_FINISHED);
  status.set_data(data.SerializeAsString());
  EXPECT_EQ(ReadStatus(status, Confirmed()).return_value_file, "");
  EXPECT_EQ(ReadStatus(status, Confirmed()).update.outcome, Outcome::kLost);
  // A size below zero has a meaning of its own here, and not for a peer.
  data.set_return_value_file("result");
  data.set_return_value_bytes(kAnySize);
  status.set_data(data.SerializeAsString());
  EXPECT_EQ(ReadStatus(status, Confirmed()).return_value_file, "");
}

TEST(TaskStatusTest, TimesThatAreNoneCountAsNotGiven) {
  for (const double timestamp : {-1.0, 1e300, std::numeric_limits<double>::infinity(),
                                 std::numeric_limits<double>::quiet_NaN()}) {
    TaskStatus status = Status(v1::TASK_RUNNING);
    status.set_timestamp(timestamp);
    EXPECT_EQ(ReadStatus(status, {}).update.start_time, absl::InfinitePast()) << timestamp;
    status.set_state(v1::TASK_FINISHED);
    EXPECT_EQ(ReadStatus(status, Command()).update.end_time, absl::InfinitePast()) << timestamp;
  }
  wire::Update data;
  data.set_start_ns(INT64_MIN);
  TaskStatus status = Status(v1::TASK_RUNNING);
  status.set_data(data.SerializeAsString());
  EXPECT_EQ(ReadStatus(status, Confirmed()).update.start_time, absl::FromUnixMillis(1000500));
}

TEST(TaskStatusTest, NoAttemptEndsBeforeItStarted) {
  StatusContext context = Command();
  context.start_time = absl::FromUnixSeconds(2000);  // its end is reported with 1000.5
  for (const v1::TaskState state :
       {v1::TASK_FINISHED, v1::TASK_FAILED, v1::TASK_LOST, v1::TASK_DROPPED, v1::TASK_GONE}) {
    const AttemptUpdate update = ReadStatus(Status(state), context).update;
    EXPECT_EQ(update.end_time, update.start_time) << v1::TaskState_Name(state);
    EXPECT_EQ(update.usage.wall_time, absl::ZeroDuration());
  }
}

TEST(TaskStatusTest, WordsOfMesosAreUtf8AndNotEndless) {
  for (const v1::TaskState state : {v1::TASK_FAILED, v1::TASK_ERROR, v1::TASK_LOST, v1::TASK_GONE,
                                    v1::TASK_DROPPED, v1::TASK_KILLED}) {
    const TaskStatus status = Status(state, std::nullopt, std::string(100000, '\xFF'));
    const std::string message = ReadStatus(status, Confirmed()).update.message;
    EXPECT_TRUE(IsValidUtf8(message));
    EXPECT_LE(message.size(), wire::kMaxMessageBytes);
    EXPECT_NE(message, "");
  }
}

TEST(TaskStatusTest, AnExitStatusThatThereIsNotIsNoEndOfACommand) {
  AttemptUpdate update;
  EXPECT_FALSE(ReadCommandEnd("Command exited with status 256", &update));
  EXPECT_FALSE(ReadCommandEnd("Command exited with status 99999999999999999999", &update));
  EXPECT_TRUE(ReadCommandEnd("Command exited with status 255", &update));
  EXPECT_EQ(update.exit_status, 255);
}

}  // namespace
}  // namespace kartograph::executor::mesos
