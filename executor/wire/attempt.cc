#include "executor/wire/attempt.h"

#include <utility>

namespace kartograph::executor::wire {

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
    const google::protobuf::RepeatedPtrField<Quantity>& message) {
  planner::ResourceVector resources;
  for (const Quantity& one : message) {
    absl::StatusOr<planner::Resource> resource = planner::Resource::Intern(one.resource());
    if (!resource.ok()) return resource.status();
    resources.Set(*resource, planner::Quantity::FromMilli(one.milli()));
  }
  return resources;
}

void ToMessage(executor::Launch launch, Launch* message) {
  message->set_attempt(launch.attempt.value);
  message->set_task_name(std::move(launch.task_name));
  ToMessage(launch.consumption, message->mutable_consumption());
  message->set_payload(std::move(launch.payload));
  if (launch.timeout != absl::InfiniteDuration()) {
    message->set_timeout_ns(absl::ToInt64Nanoseconds(launch.timeout));
  }
  message->set_cancel_grace_ns(absl::ToInt64Nanoseconds(launch.cancel_grace));
}

absl::StatusOr<executor::Launch> FromMessage(Launch* message) {
  executor::Launch launch;
  launch.attempt.value = message->attempt();
  launch.task_name = std::move(*message->mutable_task_name());
  absl::StatusOr<planner::ResourceVector> consumption = FromMessage(message->consumption());
  if (!consumption.ok()) return consumption.status();
  launch.consumption = *std::move(consumption);
  launch.payload = std::move(*message->mutable_payload());
  if (message->has_timeout_ns()) launch.timeout = absl::Nanoseconds(message->timeout_ns());
  launch.cancel_grace = absl::Nanoseconds(message->cancel_grace_ns());
  return launch;
}

void ToMessage(const AttemptUpdate& update, Update* message) {
  message->set_attempt(update.attempt.value);
  message->set_outcome(static_cast<int>(update.outcome));
  message->set_exit_status(update.exit_status);
  message->set_signal(update.signal);
  message->set_message(update.message);
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
}

AttemptUpdate FromMessage(Update* message) {
  AttemptUpdate update;
  update.attempt.value = message->attempt();
  update.outcome = static_cast<planner::Outcome>(message->outcome());
  update.exit_status = message->exit_status();
  update.signal = message->signal();
  update.message = std::move(*message->mutable_message());
  if (message->has_start_ns()) update.start_time = absl::FromUnixNanos(message->start_ns());
  if (message->has_end_ns()) update.end_time = absl::FromUnixNanos(message->end_ns());
  update.usage.peak_ram_bytes = message->peak_ram_bytes();
  update.usage.cpu_time = absl::Nanoseconds(message->cpu_ns());
  update.usage.wall_time = absl::Nanoseconds(message->wall_ns());
  update.return_value = std::move(*message->mutable_return_value());
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

executor::HostReport FromMessage(const HostReport& message) {
  executor::HostReport report;
  report.time = absl::FromUnixNanos(message.time_ns());
  report.cpus = message.cpus();
  report.load = message.load();
  report.cpu_user = absl::Nanoseconds(message.cpu_user_ns());
  report.cpu_system = absl::Nanoseconds(message.cpu_system_ns());
  report.cpu_idle = absl::Nanoseconds(message.cpu_idle_ns());
  report.cpu_wait = absl::Nanoseconds(message.cpu_wait_ns());
  report.ram_bytes = message.ram_bytes();
  report.ram_available_bytes = message.ram_available_bytes();
  report.disk_bytes = message.disk_bytes();
  report.disk_free_bytes = message.disk_free_bytes();
  report.received_bytes = message.received_bytes();
  report.sent_bytes = message.sent_bytes();
  return report;
}

}  // namespace kartograph::executor::wire
