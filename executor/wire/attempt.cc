#include "executor/wire/attempt.h"

#include <algorithm>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/utf8.h"

namespace kartograph::executor::wire {
namespace {

// Year 2200. Nanoseconds in 64 bits end in 2262.
constexpr int64_t kLastSecond = 7258118400;
constexpr size_t kMaxPathBytes = 4 << 10;
// Of bytes and of cpus, well above what there is and below what sums and rows can take.
constexpr uint64_t kMaxBytes = uint64_t{1} << 60;
constexpr int kMaxCpus = 1 << 20;

absl::Status OutOfRange(absl::string_view what, int64_t value) {
  return absl::InvalidArgumentError(absl::StrCat(what, " ", value, " is out of range"));
}

absl::Duration DurationOf(int64_t nanos) { return absl::Nanoseconds(std::max<int64_t>(nanos, 0)); }

// A path below a sandbox and nowhere else.
bool IsInside(absl::string_view path) {
  if (path.size() > kMaxPathBytes || absl::StartsWith(path, "/") || absl::StrContains(path, '\0')) {
    return false;
  }
  for (absl::string_view part : absl::StrSplit(path, '/')) {
    if (part == "..") return false;
  }
  return true;
}

absl::Status CheckEnd(const Update& message) {
  if (message.exit_status() < 0 || message.exit_status() > kMaxExitStatus) {
    return OutOfRange("the exit status", message.exit_status());
  }
  if (message.signal() < 0 || message.signal() > kMaxSignal) {
    return OutOfRange("the signal", message.signal());
  }
  if (message.return_value_bytes() < 0) {
    return OutOfRange("the size of the return value", message.return_value_bytes());
  }
  if (!IsInside(message.return_value_file())) {
    return absl::InvalidArgumentError("the return value's file is outside of the sandbox");
  }
  return absl::OkStatus();
}

}  // namespace

std::string MessageText(absl::string_view text) {
  // Each byte that is no character becomes three: what is far too long is not checked whole.
  std::string valid = ValidUtf8(text.substr(0, kMaxMessageBytes));
  const absl::string_view cut = TruncateUtf8(valid, kMaxMessageBytes);
  if (cut.size() == valid.size() && text.size() <= kMaxMessageBytes) return valid;
  constexpr absl::string_view kMore = "...";
  return absl::StrCat(TruncateUtf8(valid, kMaxMessageBytes - kMore.size()), kMore);
}

std::optional<absl::Time> TimeFromNanos(int64_t nanos) {
  if (nanos < 0 || nanos / 1'000'000'000 >= kLastSecond) return std::nullopt;
  return absl::FromUnixNanos(nanos);
}

std::optional<absl::Time> TimeFromSeconds(double seconds) {
  if (!(seconds >= 0) || seconds >= static_cast<double>(kLastSecond)) return std::nullopt;
  return absl::FromUnixNanos(static_cast<int64_t>(seconds * 1e9));
}

void ToMessage(const planner::ResourceVector& resources,
               google::protobuf::RepeatedPtrField<Quantity>* message) {
  for (const auto& [resource, quantity] : resources) {
    Quantity* one = message->Add();
    absl::string_view name = resource.name();
    one->set_resource(name.data(), name.size());
    one->set_milli(quantity.milli());
  }
}

absl::StatusOr<planner::ResourceVector> FromMessage(
    const google::protobuf::RepeatedPtrField<Quantity>& message, planner::ResourceNames* names) {
  planner::ResourceVector resources;
  for (const Quantity& one : message) {
    absl::StatusOr<planner::Quantity> quantity = planner::Quantity::FromOutside(one.milli());
    if (!quantity.ok()) {
      return absl::InvalidArgumentError(
          absl::StrCat("the quantity of a resource ", std::string(quantity.status().message())));
    }
    absl::StatusOr<planner::Resource> resource = names->Intern(one.resource());
    if (!resource.ok()) {
      return absl::InvalidArgumentError(MessageText(resource.status().message()));
    }
    resources.Set(*resource, *quantity);
  }
  return resources;
}

void ToMessage(executor::Launch launch, Launch* message) {
  message->set_attempt(launch.attempt.value);
  message->set_task_name(std::move(launch.task_name));
  ToMessage(launch.consumption, message->mutable_consumption());
  ToMessage(launch.pools, message->mutable_pools());
  message->set_payload(std::move(launch.payload));
  if (launch.timeout != absl::InfiniteDuration()) {
    message->set_timeout_ns(absl::ToInt64Nanoseconds(launch.timeout));
  }
  message->set_cancel_grace_ns(absl::ToInt64Nanoseconds(launch.cancel_grace));
  message->set_backlog_order(launch.backlog_order);
  if (!launch.values.has_value()) return;
  message->mutable_values();
  for (auto& [task_name, value] : *launch.values) {
    Launch::Values::Value* one = message->mutable_values()->add_values();
    one->set_task_name(std::move(task_name));
    one->set_value(std::move(value));
  }
}

absl::StatusOr<executor::Launch> FromMessage(Launch* message, planner::ResourceNames* names) {
  if (message->has_timeout_ns() && message->timeout_ns() <= 0) {
    return OutOfRange("the timeout", message->timeout_ns());
  }
  if (message->cancel_grace_ns() < 0) return OutOfRange("the grace", message->cancel_grace_ns());
  executor::Launch launch;
  launch.attempt.value = message->attempt();
  launch.task_name = std::move(*message->mutable_task_name());
  absl::StatusOr<planner::ResourceVector> consumption = FromMessage(message->consumption(), names);
  if (!consumption.ok()) return consumption.status();
  launch.consumption = *std::move(consumption);
  absl::StatusOr<planner::ResourceVector> pools = FromMessage(message->pools(), names);
  if (!pools.ok()) return pools.status();
  launch.pools = *std::move(pools);
  launch.payload = std::move(*message->mutable_payload());
  if (message->has_timeout_ns()) launch.timeout = absl::Nanoseconds(message->timeout_ns());
  launch.cancel_grace = absl::Nanoseconds(message->cancel_grace_ns());
  launch.backlog_order = std::move(*message->mutable_backlog_order());
  if (!message->has_values()) return launch;
  launch.values.emplace();
  for (Launch::Values::Value& one : *message->mutable_values()->mutable_values()) {
    launch.values->emplace_back(std::move(*one.mutable_task_name()),
                                std::move(*one.mutable_value()));
  }
  return launch;
}

void ToMessage(const AttemptUpdate& update, Update* message) {
  message->set_attempt(update.attempt.value);
  message->set_outcome(static_cast<int>(update.outcome));
  message->set_exit_status(update.exit_status);
  message->set_signal(update.signal);
  message->set_message(MessageText(update.message));
  if (update.start_time != absl::InfinitePast()) {
    message->set_start_ns(absl::ToUnixNanos(update.start_time));
  }
  if (update.end_time != absl::InfinitePast()) {
    message->set_end_ns(absl::ToUnixNanos(update.end_time));
  }
  message->set_peak_ram_bytes(update.usage.peak_ram_bytes);
  message->set_cpu_ns(absl::ToInt64Nanoseconds(update.usage.cpu_time));
  message->set_wall_ns(absl::ToInt64Nanoseconds(update.usage.wall_time));
  message->set_return_value(update.return_value);
  message->set_has_value(update.has_value);
}

absl::StatusOr<AttemptUpdate> FromMessage(Update* message) {
  const std::optional<planner::Outcome> outcome = planner::OutcomeFromNumber(message->outcome());
  if (!outcome) return OutOfRange("the outcome", message->outcome());
  if (*outcome != planner::Outcome::kNone) {
    if (absl::Status status = CheckEnd(*message); !status.ok()) return status;
  }
  AttemptUpdate update;
  update.attempt.value = message->attempt();
  update.outcome = *outcome;
  if (message->has_start_ns()) {
    update.start_time = TimeFromNanos(message->start_ns()).value_or(absl::InfinitePast());
  }
  if (*outcome == planner::Outcome::kNone) return update;
  update.exit_status = message->exit_status();
  update.signal = message->signal();
  update.message = MessageText(message->message());
  if (message->has_end_ns()) {
    update.end_time = TimeFromNanos(message->end_ns()).value_or(absl::InfinitePast());
  }
  if (update.end_time != absl::InfinitePast()) {
    update.end_time = std::max(update.end_time, update.start_time);
  }
  update.usage.peak_ram_bytes = std::min(message->peak_ram_bytes(), kMaxBytes);
  update.usage.cpu_time = DurationOf(message->cpu_ns());
  update.usage.wall_time = DurationOf(message->wall_ns());
  update.return_value = std::move(*message->mutable_return_value());
  // An older agent does not say it.
  update.has_value = message->has_value() || !update.return_value.empty();
  return update;
}

AttemptUpdate UnreadableEnd(planner::AttemptId attempt, const absl::Status& why) {
  AttemptUpdate update;
  update.attempt = attempt;
  update.outcome = planner::Outcome::kLost;
  update.message = MessageText(absl::StrCat(
      "its agent reported its end in a way that cannot be read: ", std::string(why.message())));
  return update;
}

void ToMessage(const executor::HostReport& report, HostReport* message) {
  message->set_time_ns(absl::ToUnixNanos(report.time));
  message->set_cpus(report.cpus);
  message->set_load(report.load);
  message->set_cpu_user_ns(absl::ToInt64Nanoseconds(report.cpu_user));
  message->set_cpu_system_ns(absl::ToInt64Nanoseconds(report.cpu_system));
  message->set_cpu_idle_ns(absl::ToInt64Nanoseconds(report.cpu_idle));
  message->set_cpu_wait_ns(absl::ToInt64Nanoseconds(report.cpu_wait));
  message->set_ram_bytes(report.ram_bytes);
  message->set_ram_available_bytes(report.ram_available_bytes);
  message->set_disk_bytes(report.disk_bytes);
  message->set_disk_free_bytes(report.disk_free_bytes);
  message->set_received_bytes(report.received_bytes);
  message->set_sent_bytes(report.sent_bytes);
}

absl::StatusOr<executor::HostReport> FromMessage(const HostReport& message) {
  const std::optional<absl::Time> time = TimeFromNanos(message.time_ns());
  if (!time) return OutOfRange("the time", message.time_ns());
  if (message.cpus() < 0 || message.cpus() > kMaxCpus) return OutOfRange("cpus", message.cpus());
  // Written so that not-a-number does not pass.
  if (!(message.load() >= 0) || message.load() > 1e9) {
    return absl::InvalidArgumentError(absl::StrCat("the load ", message.load(), " is invalid"));
  }
  executor::HostReport report;
  report.time = *time;
  report.cpus = message.cpus();
  report.load = message.load();
  const struct {
    int64_t nanos;
    absl::Duration* duration;
  } durations[] = {{message.cpu_user_ns(), &report.cpu_user},
                   {message.cpu_system_ns(), &report.cpu_system},
                   {message.cpu_idle_ns(), &report.cpu_idle},
                   {message.cpu_wait_ns(), &report.cpu_wait}};
  for (const auto& [nanos, duration] : durations) {
    if (nanos < 0) return OutOfRange("a time of the cpus", nanos);
    *duration = absl::Nanoseconds(nanos);
  }
  report.ram_bytes = std::min(message.ram_bytes(), kMaxBytes);
  report.ram_available_bytes = std::min(message.ram_available_bytes(), kMaxBytes);
  report.disk_bytes = std::min(message.disk_bytes(), kMaxBytes);
  report.disk_free_bytes = std::min(message.disk_free_bytes(), kMaxBytes);
  report.received_bytes = message.received_bytes();
  report.sent_bytes = message.sent_bytes();
  return report;
}

}  // namespace kartograph::executor::wire
