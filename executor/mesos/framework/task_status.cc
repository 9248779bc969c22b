#include "executor/mesos/framework/task_status.h"

#include <string.h>

#include <algorithm>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::TaskStatus;
using planner::Outcome;

namespace {

// In the sandbox; see CommandTask.
constexpr char kCommandResult[] = "result";
constexpr int kSigkill = 9;

absl::Time TimeOf(const TaskStatus& status) {
  if (!status.has_timestamp()) return absl::InfinitePast();
  return wire::TimeFromSeconds(status.timestamp()).value_or(absl::InfinitePast());
}

// The clocks of a master and an agent differ: nothing ends before it began.
absl::Time EndTimeOf(const TaskStatus& status, absl::Time start_time) {
  const absl::Time time = TimeOf(status);
  return time == absl::InfinitePast() ? time : std::max(time, start_time);
}

// Whether it is the agent or the master that reports, because nothing ran or all around it ended.
bool IsExecutorsEnd(TaskStatus::Reason reason) {
  switch (reason) {
    case TaskStatus::REASON_EXECUTOR_TERMINATED:
    case TaskStatus::REASON_EXECUTOR_REGISTRATION_TIMEOUT:
    case TaskStatus::REASON_EXECUTOR_REREGISTRATION_TIMEOUT:
    case TaskStatus::REASON_CONTAINER_LAUNCH_FAILED:
    case TaskStatus::REASON_CONTAINER_UPDATE_FAILED:
    case TaskStatus::REASON_CONTAINER_PREEMPTED:
    case TaskStatus::REASON_AGENT_DRAINING:
    case TaskStatus::REASON_FRAMEWORK_REMOVED:
      return true;
    default:
      return false;
  }
}

StatusReport::Limit LimitOf(TaskStatus::Reason reason) {
  switch (reason) {
    case TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY:
      return StatusReport::Limit::kMemory;
    case TaskStatus::REASON_CONTAINER_LIMITATION_DISK:
      return StatusReport::Limit::kDisk;
    case TaskStatus::REASON_CONTAINER_LIMITATION:
      return StatusReport::Limit::kOther;
    default:
      return StatusReport::Limit::kNone;
  }
}

// To what it says of memory Mesos adds a page of figures.
absl::string_view TextOf(const TaskStatus& status) {
  const absl::string_view text = status.message();
  return absl::StripAsciiWhitespace(text.substr(0, text.find("MEMORY STATISTICS")));
}

std::string Because(absl::string_view what, const TaskStatus& status) {
  const absl::string_view text = TextOf(status);
  return text.empty() ? std::string(what) : absl::StrCat(what, ": ", text);
}

void End(StatusReport* report, Outcome outcome, std::string message) {
  report->update.outcome = outcome;
  report->update.message = wire::MessageText(message);
}

void EndWithExecutor(const TaskStatus& status, const StatusContext& context, StatusReport* report) {
  switch (status.reason()) {
    case TaskStatus::REASON_CONTAINER_LAUNCH_FAILED:
    case TaskStatus::REASON_EXECUTOR_REGISTRATION_TIMEOUT:
      return End(report, Outcome::kAgentFailed, Because("its executor did not start", status));
    case TaskStatus::REASON_EXECUTOR_TERMINATED:
      if (!context.starting) break;
      return End(report, Outcome::kAgentFailed,
                 Because("its executor ended before it could run anything; its stderr, on Mesos's "
                         "page, may say why",
                         status));
    default:
      break;
  }
  End(report, Outcome::kLost, Because("its executor ended", status));
}

// Finished, failed or killed.
void ReadEnd(const TaskStatus& status, const StatusContext& context, StatusReport* report) {
  wire::Update details;
  AttemptUpdate& update = report->update;
  if (!context.command && status.has_data() && details.ParseFromString(status.data()) &&
      details.outcome() != 0) {
    const std::string file = details.return_value_file();
    const int64_t bytes = details.return_value_bytes();
    report->incarnation = details.incarnation();
    absl::StatusOr<AttemptUpdate> end = wire::FromMessage(&details);
    if (!end.ok()) {
      update = wire::UnreadableEnd(update.attempt, end.status());
      return;
    }
    report->return_value_file = file;
    report->return_value_bytes = bytes;
    update = *std::move(end);
    return;
  }
  update.start_time = context.start_time;
  update.end_time = EndTimeOf(status, update.start_time);
  if (update.start_time != absl::InfinitePast() && update.end_time > update.start_time) {
    update.usage.wall_time = update.end_time - update.start_time;
  }
  const TaskStatus::Reason reason = status.reason();
  if (status.source() == TaskStatus::SOURCE_MASTER && !status.has_uuid()) report->bare = true;
  if (context.command && !report->bare && status.state() != kartograph::mesos::TASK_KILLED) {
    report->return_value_file = kCommandResult;
    report->return_value_bytes = kAnySize;
  }
  switch (status.state()) {
    case kartograph::mesos::TASK_FINISHED:
      return End(report, Outcome::kSucceeded, "");
    case kartograph::mesos::TASK_KILLED:
      if (reason == TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED) {
        return End(report, Outcome::kTimedOut, "over its timeout");
      }
      return End(report, Outcome::kCancelled, status.message());
    default:
      break;
  }
  switch (reason) {
    case TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY:
    case TaskStatus::REASON_CONTAINER_LIMITATION_DISK:
    case TaskStatus::REASON_CONTAINER_LIMITATION:
      report->limit = LimitOf(reason);
      if (context.command) return EndOverLimit(TextOf(status), report);
      // In our executor's container every task dies, whichever of them took too much.
      return End(report, Outcome::kLost,
                 Because("the container of its executor was over a limit", status));
    case TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED:
      return End(report, Outcome::kTimedOut, "over its timeout");
    case TaskStatus::REASON_CONTAINER_LAUNCH_FAILED:
      // Of a container of its own, such as one with an image that does not exist.
      if (context.command) {
        return End(report, Outcome::kNotStarted, Because("its container did not start", status));
      }
      break;
    default:
      break;
  }
  if (IsExecutorsEnd(reason)) return EndWithExecutor(status, context, report);
  if (ReadCommandEnd(status.message(), &update)) return;
  End(report, report->bare ? Outcome::kLost : Outcome::kNotStarted, status.message());
}

}  // namespace

void EndOverLimit(absl::string_view why, StatusReport* report) {
  AttemptUpdate& update = report->update;
  switch (report->limit) {
    case StatusReport::Limit::kMemory:
      return End(report, Outcome::kOutOfMemory, std::string(why));
    case StatusReport::Limit::kDisk:
      // Mesos ends it by SIGKILL.
      update.signal = kSigkill;
      return End(report, Outcome::kSignalled,
                 absl::StrCat("killed for taking too much disk: ", why));
    default:
      update.signal = kSigkill;
      return End(report, Outcome::kSignalled,
                 absl::StrCat("killed as its container was over a limit: ", why));
  }
}

bool ReadCommandEnd(absl::string_view message, AttemptUpdate* update) {
  absl::string_view rest = message;
  if (absl::ConsumePrefix(&rest, "Command exited with status ")) {
    const size_t digits = rest.find_first_not_of("0123456789");
    int exit_status = 0;
    if (!absl::SimpleAtoi(rest.substr(0, digits), &exit_status) ||
        exit_status > wire::kMaxExitStatus) {
      return false;
    }
    update->exit_status = exit_status;
    update->outcome = exit_status == 0 ? Outcome::kSucceeded : Outcome::kExited;
    update->message.clear();
    return true;
  }
  if (!absl::ConsumePrefix(&rest, "Command terminated with signal ")) return false;
  absl::ConsumeSuffix(&rest, " (core dumped)");
  for (int signal = 1; signal <= wire::kMaxSignal; ++signal) {
    const char* name = sigdescr_np(signal);
    if (name == nullptr || !absl::StartsWith(rest, name)) continue;
    update->outcome = Outcome::kSignalled;
    update->signal = signal;
    update->message.clear();
    return true;
  }
  return false;
}

StatusReport ReadStatus(const TaskStatus& status, const StatusContext& context) {
  StatusReport report;
  AttemptUpdate& update = report.update;
  update.start_time = context.start_time;
  switch (status.state()) {
    case kartograph::mesos::TASK_STAGING:
    case kartograph::mesos::TASK_STARTING:
      return report;
    case kartograph::mesos::TASK_RUNNING:
    case kartograph::mesos::TASK_KILLING: {
      wire::Update details;
      const bool ours =
          !context.command && status.has_data() && details.ParseFromString(status.data());
      if (ours) report.incarnation = details.incarnation();
      if (ours && details.has_start_ns() && wire::TimeFromNanos(details.start_ns())) {
        update.start_time = *wire::TimeFromNanos(details.start_ns());
      } else if (update.start_time == absl::InfinitePast()) {
        update.start_time = TimeOf(status);
      }
      return report;
    }
    case kartograph::mesos::TASK_UNREACHABLE:
      update.unreachable = true;
      return report;
    case kartograph::mesos::TASK_FINISHED:
    case kartograph::mesos::TASK_FAILED:
    case kartograph::mesos::TASK_KILLED:
      ReadEnd(status, context, &report);
      return report;
    default:
      break;
  }
  update.end_time = EndTimeOf(status, update.start_time);
  switch (status.state()) {
    case kartograph::mesos::TASK_DROPPED:
      if (status.reason() == TaskStatus::REASON_INVALID_OFFERS) {
        End(&report, Outcome::kRefused, Because("the offer was not valid any more", status));
      } else if (status.reason() == TaskStatus::REASON_AGENT_DRAINING) {
        End(&report, Outcome::kAgentFailed, Because("its agent is being drained", status));
      } else {
        End(&report, Outcome::kDropped, Because("it never reached its agent", status));
      }
      break;
    case kartograph::mesos::TASK_GONE:
    case kartograph::mesos::TASK_GONE_BY_OPERATOR:
      if (LimitOf(status.reason()) != StatusReport::Limit::kNone) {
        report.limit = LimitOf(status.reason());
        End(&report, Outcome::kLost,
            Because("the container of its executor was over a limit", status));
      } else if (IsExecutorsEnd(status.reason())) {
        EndWithExecutor(status, context, &report);
      } else if (!context.confirmed && status.reason() == TaskStatus::REASON_RECONCILIATION) {
        End(&report, Outcome::kDropped, "its agent has never heard of it");
      } else {
        End(&report, Outcome::kGone, Because("it is gone from its agent", status));
      }
      break;
    case kartograph::mesos::TASK_ERROR:
      report.incompatible = absl::StrContains(status.message(), "not compatible with existing");
      if (absl::StrContains(status.message(), "more than available") || report.incompatible ||
          status.reason() == TaskStatus::REASON_INVALID_OFFERS ||
          status.reason() == TaskStatus::REASON_TASK_UNAUTHORIZED) {
        End(&report, Outcome::kRefused, status.message());
      } else {
        End(&report, Outcome::kNotStarted, Because("Mesos refuses the task", status));
      }
      break;
    default:
      End(&report, Outcome::kLost, Because("Mesos does not know it any more", status));
      break;
  }
  return report;
}

}  // namespace kartograph::executor::mesos
