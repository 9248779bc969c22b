#include "service/messages.h"

#include "absl/strings/str_cat.h"
#include "base/utf8.h"
#include "executor/payload.pb.h"
#include "planner/ids.h"
#include "planner/problems.h"
#include "service/convert.h"
#include "service/convert_constraints.h"
#include "service/convert_details.h"

namespace kartograph::service {
namespace {

bool IsFinite(absl::Time time) {
  return time != absl::InfinitePast() && time != absl::InfiniteFuture();
}

// What an attempt led to by itself, whether or not the task was tried again.
v1::TaskState StateOfEnded(planner::Outcome outcome) {
  switch (outcome) {
    case planner::Outcome::kSucceeded:
      return v1::TASK_STATE_SUCCEEDED;
    case planner::Outcome::kCancelled:
      return v1::TASK_STATE_CANCELLED;
    default:
      return v1::TASK_STATE_FAILED;
  }
}

v1::Usage UsageMessage(const storage::AttemptEnded& ended) {
  v1::Usage usage;
  usage.set_peak_ram_bytes(ended.peak_ram_bytes);
  *usage.mutable_cpu_time() = ToMessage(ended.cpu_time);
  *usage.mutable_wall_time() = ToMessage(ended.wall_time);
  return usage;
}

v1::Attempt AttemptMessage(const storage::AttemptRow& row) {
  const storage::AttemptLaunched& launched = row.launched;
  const storage::AttemptEnded& ended = row.ended;
  v1::Attempt attempt;
  attempt.set_attempt_id(planner::AttemptIdToString(launched.attempt));
  attempt.set_number(static_cast<int32_t>(launched.attempt.number()));
  attempt.set_agent(ValidUtf8(launched.agent_name.empty() ? launched.agent : launched.agent_name));
  *attempt.mutable_launch_time() = ToMessage(launched.launch_time);
  attempt.set_state(v1::TASK_STATE_LAUNCHING);
  if (ended.outcome == planner::Outcome::kNone) return attempt;
  attempt.set_state(StateOfEnded(ended.outcome));
  attempt.set_outcome(ToMessage(ended.outcome));
  attempt.set_exit_status(ended.exit_status);
  attempt.set_signal(ended.signal);
  attempt.set_message(ValidUtf8(ended.message));
  if (IsFinite(ended.start_time)) *attempt.mutable_start_time() = ToMessage(ended.start_time);
  if (IsFinite(ended.end_time)) *attempt.mutable_end_time() = ToMessage(ended.end_time);
  *attempt.mutable_usage() = UsageMessage(ended);
  return attempt;
}

v1::TaskSpec SpecMessage(const storage::TaskSubmitted& task, absl::Span<const std::string> after) {
  v1::TaskSpec spec;
  spec.set_name(task.name);
  executor::Payload payload;
  // A payload this service did not write shows as an empty command.
  if (payload.ParseFromString(task.payload)) {
    v1::Command& command = *spec.mutable_command();
    *command.mutable_arguments() = payload.arguments();
    command.set_shell(payload.shell());
    *command.mutable_environment() = payload.environment();
    command.set_directory(payload.directory());
    command.set_worker(payload.worker());
    spec.set_reads_values(payload.reads_values());
    if (payload.has_container()) {
      v1::Container& container = *spec.mutable_container();
      container.set_image(payload.container().image());
      for (const executor::Container::Volume& volume : payload.container().volumes()) {
        v1::Container::Volume& added = *container.add_volumes();
        added.set_host_path(volume.host_path());
        added.set_container_path(volume.container_path());
        added.set_read_only(volume.read_only());
      }
    }
    spec.set_input(payload.input());
    spec.set_input_blob(payload.input_blob());
    *spec.mutable_blobs() = payload.blobs();
  }
  SetConsumption(task.consumption, *spec.mutable_consumption());
  // Where it is not named it would be read as the default of 1.
  spec.mutable_consumption()->insert({"cpu", 0});
  for (const std::string& name : after) spec.add_after(name);
  SetDetails(task.details, spec);
  const planner::TaskPolicy& policy = task.policy;
  if (task.expected_duration > absl::ZeroDuration()) {
    *spec.mutable_expected_duration() = ToMessage(task.expected_duration);
  }
  if (policy.timeout != absl::InfiniteDuration())
    *spec.mutable_timeout() = ToMessage(policy.timeout);
  spec.set_max_attempts(policy.max_attempts);
  *spec.mutable_retry_delay() = ToMessage(policy.retry_delay);
  *spec.mutable_max_retry_delay() = ToMessage(policy.max_retry_delay);
  spec.set_max_losses(policy.max_losses);
  for (std::string& word : policy.retry.on.Words()) spec.add_retry_on(std::move(word));
  for (std::string& word : policy.retry.not_on.Words()) spec.add_no_retry_on(std::move(word));
  spec.set_avoid_last_failure(policy.avoid_last_failure);
  spec.set_preemptible(policy.preemptible);
  SetConstraints(policy.constraints, spec);
  SetSpread(policy.spread, spec);
  spec.set_priority(task.priority);
  *spec.mutable_cancel_grace() = ToMessage(policy.cancel_grace);
  if (policy.unreachable_timeout != absl::InfiniteDuration()) {
    *spec.mutable_unreachable_timeout() = ToMessage(policy.unreachable_timeout);
  }
  return spec;
}

void SetSpec(const scheduler::GraphSnapshot& graph, v1::GraphSpec& spec) {
  spec.set_name(graph.name);
  spec.set_client_queue(graph.client_queue);
  spec.set_fail_fast(graph.fail_fast);
  spec.set_open(graph.open);
  if (graph.open_until_idle != absl::InfiniteDuration()) {
    *spec.mutable_open_until_idle() = ToMessage(graph.open_until_idle);
  }
  spec.set_deliver_end(graph.deliver_end);
  spec.set_share(graph.share);
  SetLimits(graph.cap, *spec.mutable_limits());
  SetDetails(graph.details, spec);
}

}  // namespace

google::protobuf::Timestamp ToMessage(absl::Time time) {
  google::protobuf::Timestamp timestamp;
  const int64_t seconds = absl::ToUnixSeconds(time);
  timestamp.set_seconds(seconds);
  timestamp.set_nanos(
      static_cast<int32_t>(absl::ToInt64Nanoseconds(time - absl::FromUnixSeconds(seconds))));
  return timestamp;
}

google::protobuf::Duration ToMessage(absl::Duration duration) {
  google::protobuf::Duration message;
  absl::Duration rest;
  message.set_seconds(absl::IDivDuration(duration, absl::Seconds(1), &rest));
  message.set_nanos(static_cast<int32_t>(absl::ToInt64Nanoseconds(rest)));
  return message;
}

// The stored numbers are the contract's; a test keeps them in step.
v1::GraphState ToMessage(planner::GraphState state) { return static_cast<v1::GraphState>(state); }
v1::TaskState ToMessage(planner::TaskState state) { return static_cast<v1::TaskState>(state); }
v1::Outcome ToMessage(planner::Outcome outcome) { return static_cast<v1::Outcome>(outcome); }

v1::TaskCounts ToMessage(const scheduler::TaskCounts& counts) {
  const auto of = [&](planner::TaskState state) {
    return static_cast<int32_t>(counts.by_state[static_cast<size_t>(state)]);
  };
  v1::TaskCounts message;
  message.set_total(static_cast<int32_t>(counts.total));
  message.set_waiting(of(planner::TaskState::kWaiting));
  message.set_ready(of(planner::TaskState::kReady));
  message.set_launching(of(planner::TaskState::kLaunching));
  message.set_running(of(planner::TaskState::kRunning));
  message.set_succeeded(of(planner::TaskState::kSucceeded));
  message.set_failed(of(planner::TaskState::kFailed));
  message.set_cancelled(of(planner::TaskState::kCancelled));
  message.set_skipped(of(planner::TaskState::kSkipped));
  return message;
}

v1::Graph ToMessage(const scheduler::GraphSnapshot& graph) {
  v1::Graph message;
  message.set_graph_id(planner::GraphIdToString(graph.graph));
  SetSpec(graph, *message.mutable_spec());
  message.set_state(ToMessage(graph.state));
  *message.mutable_counts() = ToMessage(graph.counts);
  *message.mutable_submit_time() = ToMessage(graph.submit_time);
  message.set_user(graph.user);
  if (graph.state != planner::GraphState::kRunning && IsFinite(graph.end_time)) {
    *message.mutable_end_time() = ToMessage(graph.end_time);
  }
  return message;
}

v1::Graph ToMessage(const storage::GraphRow& row) {
  scheduler::GraphSnapshot graph;
  graph.graph = row.graph.graph;
  graph.name = row.graph.name;
  graph.client_queue = row.graph.client_queue;
  graph.fail_fast = row.graph.fail_fast;
  graph.open = row.state.open;
  graph.open_until_idle = row.graph.open_until_idle;
  graph.deliver_end = row.graph.deliver_end;
  graph.details = row.graph.details;
  graph.user = row.graph.user;
  graph.share = row.graph.share;
  graph.cap = row.graph.cap;
  graph.state = row.state.state;
  for (int i = 0; i < planner::kTaskStates; ++i) graph.counts.by_state[i] = row.counts[i];
  graph.counts.total = row.tasks;
  graph.submit_time = row.graph.submit_time;
  graph.end_time = row.state.end_time;
  return ToMessage(graph);
}

v1::Task ToMessage(const storage::TaskRow& row, bool full, absl::Span<const std::string> after) {
  v1::Task task;
  task.set_graph_id(planner::GraphIdToString(row.task.task.graph()));
  task.set_name(row.task.name);
  SetConsumption(row.task.consumption, *task.mutable_consumption());
  if (row.ended) {
    task.set_state(ToMessage(row.ended->state));
    task.set_reason(ValidUtf8(row.ended->reason));
    *task.mutable_end_time() = ToMessage(row.ended->end_time);
  }
  if (full) {
    *task.mutable_spec() = SpecMessage(row.task, after);
    task.set_attempts_before_retry(static_cast<int32_t>(row.attempts_before));
    for (const storage::AttemptRow& attempt : row.attempts) {
      *task.add_attempts() = AttemptMessage(attempt);
    }
    if (!row.attempts.empty()) {
      task.set_return_value_bytes(row.attempts.back().return_value_bytes);
      task.set_has_return_value(row.attempts.back().ended.has_value);
    }
  }
  return task;
}

void Overlay(const scheduler::TaskSnapshot& live,
             absl::Span<const scheduler::AttemptSnapshot> attempts, v1::Task& task) {
  task.set_state(ToMessage(live.state));
  if (!planner::IsFinal(live.state)) {
    task.set_reason(ValidUtf8(live.reason));
    task.clear_end_time();
  }
  for (const scheduler::AttemptSnapshot& snapshot : attempts) {
    const std::string id = planner::AttemptIdToString(snapshot.attempt);
    for (v1::Attempt& attempt : *task.mutable_attempts()) {
      if (attempt.attempt_id() != id || attempt.outcome() != v1::OUTCOME_UNSPECIFIED) continue;
      attempt.set_state(ToMessage(snapshot.state));
      if (IsFinite(snapshot.start_time)) {
        *attempt.mutable_start_time() = ToMessage(snapshot.start_time);
      }
      if (IsFinite(snapshot.unreachable_since)) {
        *attempt.mutable_unreachable_since() = ToMessage(snapshot.unreachable_since);
      }
    }
  }
}

v1::FinishedGraph GraphEndMessage(const storage::Finished& finished) {
  v1::FinishedGraph message;
  message.set_delivery_id(finished.delivery_id);
  *message.mutable_graph() = ToMessage(*finished.graph_end);
  return message;
}

void HideVariables(v1::Task& task) {
  if (!task.has_spec()) return;
  task.mutable_spec()->clear_input();
  // Whoever knows the id of a blob can have a task read it.
  task.mutable_spec()->clear_input_blob();
  task.mutable_spec()->clear_blobs();
  if (!task.spec().has_command()) return;
  for (auto& [name, value] : *task.mutable_spec()->mutable_command()->mutable_environment()) {
    value = "***";
  }
}

v1::FinishedTask ToMessage(const storage::Finished& finished) {
  const storage::AttemptEnded& last = finished.last_attempt;
  v1::FinishedTask task;
  task.set_delivery_id(finished.delivery_id);
  task.set_graph_id(planner::GraphIdToString(finished.task.graph()));
  task.set_task_name(finished.task_name);
  task.set_attempts(finished.attempts);
  task.set_value_bytes(finished.return_value_bytes);
  task.set_has_value(last.has_value);
  task.set_client_data(ClientData(finished.task_details));
  task.set_retries(finished.resets);
  if (finished.attempts > 0) {
    task.set_attempt(static_cast<int32_t>(last.attempt.number()));
    task.set_attempt_id(planner::AttemptIdToString(last.attempt));
    task.set_agent(ValidUtf8(finished.agent_name));
    *task.mutable_usage() = UsageMessage(last);
    if (IsFinite(last.start_time)) *task.mutable_start_time() = ToMessage(last.start_time);
  }
  *task.mutable_end_time() = ToMessage(finished.ended.end_time);
  if (finished.ended.state == planner::TaskState::kSucceeded) {
    task.set_return_value(last.return_value);
    return task;
  }
  v1::TaskException& exception = *task.mutable_exception();
  exception.set_state(ToMessage(finished.ended.state));
  exception.set_outcome(ToMessage(last.outcome));
  exception.set_message(
      ValidUtf8(finished.ended.reason.empty() ? last.message : finished.ended.reason));
  exception.set_exit_status(last.exit_status);
  exception.set_signal(last.signal);
  exception.set_value(last.return_value);
  return task;
}

v1::Agent ToMessage(const scheduler::AgentSnapshot& agent) {
  v1::Agent message;
  message.set_agent_id(ValidUtf8(agent.agent));
  message.set_name(ValidUtf8(agent.name));
  message.set_connected(agent.connected);
  SetConsumption(agent.capacity, *message.mutable_capacity());
  SetConsumption(agent.used, *message.mutable_used());
  message.set_attempts(agent.attempts);
  for (const auto& [name, value] : agent.attributes) {
    (*message.mutable_attributes())[ValidUtf8(name)] = ValidUtf8(value);
  }
  if (agent.host) *message.mutable_host() = ToMessage(*agent.host);
  if (IsFinite(agent.unavailable_from)) {
    *message.mutable_unavailable_from() = ToMessage(agent.unavailable_from);
  }
  if (agent.unreachable_since) {
    *message.mutable_unreachable_since() = ToMessage(*agent.unreachable_since);
  }
  if (agent.set_aside_until) {
    *message.mutable_set_aside_until() = ToMessage(*agent.set_aside_until);
  }
  message.set_failure(ValidUtf8(agent.failure));
  message.set_closed(ValidUtf8(agent.closed));
  return message;
}

v1::Host ToMessage(const scheduler::HostSnapshot& host) {
  v1::Host message;
  *message.mutable_time() = ToMessage(host.report.time);
  message.set_cpus(host.report.cpus);
  message.set_load(host.report.load);
  if (host.cpu_busy) message.set_cpu_busy(*host.cpu_busy);
  message.set_ram_bytes(host.report.ram_bytes);
  message.set_ram_available_bytes(host.report.ram_available_bytes);
  message.set_disk_bytes(host.report.disk_bytes);
  message.set_disk_free_bytes(host.report.disk_free_bytes);
  if (host.received_per_second) {
    message.set_received_bytes_per_second(*host.received_per_second);
  }
  if (host.sent_per_second) message.set_sent_bytes_per_second(*host.sent_per_second);
  return message;
}

v1::Pool ToMessage(const scheduler::PoolSnapshot& pool) {
  v1::Pool message;
  message.set_name(pool.name);
  message.set_capacity(pool.capacity.units());
  message.set_used(pool.used.units());
  message.set_waiting_tasks(static_cast<int32_t>(pool.waiting_tasks));
  return message;
}

v1::Problems ProblemsMessage(const absl::Status& status, size_t max_bytes) {
  v1::Problems message;
  int total = 0;
  size_t bytes = 0;
  for (const planner::Problem& problem : planner::ProblemsOf(status, &total)) {
    v1::Problem& added = *message.add_problems();
    added.set_field(ValidUtf8(problem.field));
    added.set_value(ValidUtf8(problem.value));
    added.set_message(ValidUtf8(problem.message));
    bytes += added.ByteSizeLong() + 4;
    if (bytes > max_bytes && message.problems_size() > 1) {
      message.mutable_problems()->RemoveLast();
      break;
    }
  }
  message.set_total(total);
  return message;
}

void SetConsumption(const planner::ResourceVector& consumption,
                    google::protobuf::Map<std::string, double>& map) {
  for (const planner::ResourceVector::Entry& entry : consumption) {
    map[std::string(entry.resource.name())] = entry.quantity.units();
  }
}

void SetLimits(const planner::Cap& cap, google::protobuf::Map<std::string, double>& map) {
  SetConsumption(cap.resources, map);
  if (cap.running != planner::Cap::kUnlimited) {
    map[planner::Cap::kRunning] = static_cast<double>(cap.running);
  }
}

}  // namespace kartograph::service
