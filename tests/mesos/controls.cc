#include "tests/mesos/controls.h"

#include <signal.h>

#include <cmath>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace kartograph::stand_in {
namespace {

absl::Status ApplyToAgent(Master& master, Master::AgentRecord* record, const std::string& what,
                          const HttpRequest& request) {
  Agent* agent = record->agent;
  if (what == "partition") {
    master.Partition(record);
  } else if (what == "heal") {
    master.Heal(record);
  } else if (what == "unreachable") {
    agent->set_partitioned(true);
    master.MarkUnreachable(record);
  } else if (what == "lost") {
    agent->set_partitioned(true);
    agent->KillAll();
    master.MarkUnreachable(record);
  } else if (what == "gone") {
    master.MarkGone(record);
  } else if (what == "hide_files") {
    int status = 503;
    if (const auto number = request.Query("status");
        number && !absl::SimpleAtoi(*number, &status)) {
      return absl::InvalidArgumentError("`status` is a number");
    }
    agent->set_files_status(request.Query("on").value_or("1") != "0" ? status : 0);
  } else if (what == "limit") {
    agent->LimitContainersOf(request.Query("task").value_or(""),
                             request.Query("what").value_or("memory") == "disk"
                                 ? mesos::TaskStatus::REASON_CONTAINER_LIMITATION_DISK
                                 : mesos::TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY);
  } else if (what == "enforce_limits") {
    agent->EnforceLimits();
  } else if (what == "leave_strays") {
    agent->set_leaves_strays(request.Query("on").value_or("1") != "0");
  } else if (what == "lose_messages") {
    agent->set_loses_messages(request.Query("on").value_or("1") != "0");
  } else if (what == "restart") {
    absl::StatusOr<absl::Duration> down = MillisecondsOf(request, "down_ms", absl::ZeroDuration());
    if (!down.ok()) return down.status();
    agent->Restart(*down);
  } else if (what == "kill_executor") {
    int signal = SIGKILL;
    if (const auto number = request.Query("signal");
        number && !absl::SimpleAtoi(*number, &signal)) {
      return absl::InvalidArgumentError("`signal` is a number");
    }
    agent->KillExecutor("", request.Query("executor").value_or(""), signal);
  } else if (what == "drain") {
    absl::StatusOr<absl::Duration> in = MillisecondsOf(request, "in_ms", absl::ZeroDuration());
    absl::StatusOr<absl::Duration> length =
        MillisecondsOf(request, "for_ms", absl::InfiniteDuration());
    if (!in.ok()) return in.status();
    if (!length.ok()) return length.status();
    mesos::Unavailability unavailability;
    unavailability.mutable_start()->set_nanoseconds(absl::ToUnixNanos(absl::Now() + *in));
    if (*length != absl::InfiniteDuration()) {
      unavailability.mutable_duration()->set_nanoseconds(absl::ToInt64Nanoseconds(*length));
    }
    master.Drain(record, unavailability);
  } else if (what == "drain_agent" || what == "deactivate") {
    master.Deactivate(record, what == "drain_agent");
  } else if (what == "reactivate") {
    master.Reactivate(record);
  } else if (what == "undrain") {
    master.Drain(record, std::nullopt);
  } else if (what == "alter_executors") {
    master.AlterExecutors(record);
  } else if (what == "foreign_task") {
    master.AddForeignTask(record, request.Query("id").value_or("foreign"));
  } else {
    return absl::NotFoundError(absl::StrCat("no such control of an agent: ", what));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<absl::Duration> MillisecondsOf(const HttpRequest& request, absl::string_view name,
                                              absl::Duration otherwise) {
  const std::optional<std::string> text = request.Query(name);
  if (!text) return otherwise;
  double value = 0;
  if (!absl::SimpleAtod(*text, &value)) {
    return absl::InvalidArgumentError(absl::StrCat("`", name, "` is a number of milliseconds"));
  }
  return absl::Milliseconds(value);
}

absl::Status ApplyControl(Master& master, const HttpRequest& request) {
  const std::vector<std::string> parts = absl::StrSplit(request.path, '/', absl::SkipEmpty());
  const std::string what = parts.empty() ? "" : parts[0];
  const bool on = request.Query("on").value_or("1") != "0";
  Faults& faults = master.faults();
  if (what == "agent" && parts.size() == 3) {
    size_t number = 0;
    Master::AgentRecord* record =
        absl::SimpleAtoi(parts[1], &number) ? master.FindAgent(number) : nullptr;
    if (record == nullptr) return absl::NotFoundError(absl::StrCat("no agent ", parts[1]));
    return ApplyToAgent(master, record, parts[2], request);
  }
  if (parts.size() != 1) return absl::NotFoundError("no such control: " + request.path);
  if (what == "redirect") {
    faults.redirect = request.Query("to").value_or("");
  } else if (what == "no_leader") {
    faults.no_leader = on;
  } else if (what == "silence") {
    if (request.Query("on")) {
      faults.silent = on;
    } else {
      master.SilenceStreams();
    }
  } else if (what == "close") {
    master.CloseStreams();
  } else if (what == "cut_record") {
    faults.cuts_next_event = true;
  } else if (what == "byte_chunks") {
    faults.byte_chunks = on;
  } else if (what == "forbid_tasks") {
    faults.forbids_tasks = on;
  } else if (what == "hide_agents") {
    faults.hides_agents = on;
  } else if (what == "quota") {
    Allocator::Quantities limits;
    for (const char* name : {"cpus", "mem"}) {
      double value = 0;
      const std::optional<std::string> text = request.Query(name);
      if (!text) continue;
      if (!absl::SimpleAtod(*text, &value)) {
        return absl::InvalidArgumentError(absl::StrCat("`", name, "` is a number"));
      }
      limits[name] = std::llround(value * 1000);
    }
    master.SetQuota(request.Query("role").value_or("*"), limits);
  } else if (what == "next") {
    if (!absl::SimpleAtoi(request.Query("status").value_or("503"), &faults.next_status)) {
      return absl::InvalidArgumentError("`status` is a number");
    }
    faults.next_message = request.Query("message").value_or("as a test wants it");
  } else if (what == "drop_accept") {
    faults.drops_next_accept = true;
  } else if (what == "error") {
    master.SendError(request.Query("message").value_or("as a test wants it"));
  } else if (what == "rescind") {
    master.RescindOffers();
  } else if (what == "repeat_updates") {
    faults.repeats_updates = on;
  } else if (what == "reorder_updates") {
    faults.reorders_updates = on;
  } else if (what == "resend_updates") {
    for (const auto& agent : master.all_agents()) agent->ResendUpdates();
  } else if (what == "failover") {
    absl::StatusOr<absl::Duration> delay =
        MillisecondsOf(request, "agents_ms", absl::ZeroDuration());
    if (!delay.ok()) return delay.status();
    master.FailOver(*delay, request.Query("registry").value_or("") != "lost");
  } else {
    return absl::NotFoundError("no such control: " + request.path);
  }
  return absl::OkStatus();
}

}  // namespace kartograph::stand_in
