#include "storage/row_decoder.h"

#include <cstddef>
#include <optional>

#include "absl/strings/str_cat.h"
#include "storage/encoding.h"

namespace kartograph::storage {
namespace {

using planner::TaskState;

// More would be no use: the tasks of one read are mostly alike.
constexpr size_t kKept = 1 << 14;

absl::Status Damaged(absl::string_view what, int64_t value) {
  return absl::DataLossError(absl::StrCat("the run history is damaged: ", what, " ", value));
}

}  // namespace

KeyRange KeyRange::TasksOf(planner::GraphId graph) {
  const uint64_t first = planner::TaskKey::Of(graph, 0).value;
  return {static_cast<int64_t>(first), static_cast<int64_t>(first + planner::kMaxTasks - 1)};
}

KeyRange KeyRange::AttemptsOf(planner::GraphId graph) {
  const KeyRange tasks = TasksOf(graph);
  return {AttemptsOf(planner::TaskKey{static_cast<uint64_t>(tasks.first)}).first,
          AttemptsOf(planner::TaskKey{static_cast<uint64_t>(tasks.last)}).last};
}

KeyRange KeyRange::AttemptsOf(planner::TaskKey task) {
  return {static_cast<int64_t>(planner::AttemptId::Of(task, 0).value),
          static_cast<int64_t>(planner::AttemptId::Of(task, planner::kMaxLaunches).value)};
}

absl::Status RowDecoder::Graph(const Rows& rows, GraphRow& graph) {
  const std::optional<planner::GraphState> state = planner::GraphStateFromNumber(rows.Int(5));
  if (!state) return Damaged("a graph's state is", rows.Int(5));
  const int64_t work = rows.Int(13);
  if (work < 0 || work >= kGraphWorks) return Damaged("the work on a graph is", work);
  graph.state.work = static_cast<GraphWork>(work);
  graph.graph.graph = static_cast<planner::GraphId>(rows.Int(0));
  graph.graph.name = rows.String(1);
  graph.graph.client_queue = rows.String(2);
  graph.graph.fail_fast = rows.Int(3) != 0;
  graph.graph.open = rows.Int(4) != 0;
  graph.graph.submit_time = DecodeTime(rows.Int(6));
  graph.state.graph = graph.graph.graph;
  graph.state.state = *state;
  graph.state.open = graph.graph.open;
  graph.state.end_time = rows.IsNull(7) ? absl::InfiniteFuture() : DecodeTime(rows.Int(7));
  graph.tasks = rows.Int(8);
  graph.counts[static_cast<int>(TaskState::kSucceeded)] = rows.Int(9);
  graph.counts[static_cast<int>(TaskState::kFailed)] = rows.Int(10);
  graph.counts[static_cast<int>(TaskState::kCancelled)] = rows.Int(11);
  graph.counts[static_cast<int>(TaskState::kSkipped)] = rows.Int(12);
  graph.graph.open_until_idle =
      rows.IsNull(14) ? absl::InfiniteDuration() : DecodeDuration(rows.Int(14));
  graph.graph.deliver_end = rows.Int(15) != 0;
  graph.graph.details = rows.String(16);
  graph.graph.user = rows.String(17);
  graph.graph.share = rows.String(18);
  if (!rows.IsNull(19)) graph.graph.cap.running = rows.Int(19);
  if (!rows.IsNull(20)) {
    absl::StatusOr<planner::ResourceVector> held = DecodeConsumption(rows.String(20));
    if (!held.ok()) return held.status();
    graph.graph.cap.resources = *std::move(held);
  }
  return absl::OkStatus();
}

absl::Status RowDecoder::Attempt(const Rows& rows, bool return_value, AttemptRow& attempt) {
  AttemptLaunched& launched = attempt.launched;
  launched.attempt.value = static_cast<uint64_t>(rows.Int(0));
  launched.launch_time = DecodeTime(rows.Int(2));
  if (absl::Status status = FillAgent(rows.Int(1), launched); !status.ok()) return status;

  AttemptEnded& ended = attempt.ended;
  ended.attempt = launched.attempt;
  // 0 where it is NULL.
  const std::optional<planner::Outcome> outcome = planner::OutcomeFromNumber(rows.Int(3));
  if (!outcome) return Damaged("an attempt's outcome is", rows.Int(3));
  ended.outcome = *outcome;
  ended.exit_status = static_cast<int32_t>(rows.Int(4));
  ended.signal = static_cast<int32_t>(rows.Int(5));
  ended.start_time = rows.IsNull(6) ? absl::InfinitePast() : DecodeTime(rows.Int(6));
  ended.end_time = DecodeTime(rows.Int(7));
  ended.peak_ram_bytes = static_cast<uint64_t>(rows.Int(8));
  ended.cpu_time = DecodeDuration(rows.Int(9));
  ended.wall_time = DecodeDuration(rows.Int(10));
  const absl::string_view message = rows.Bytes(11);
  ended.message.assign(message.data(), message.size());
  attempt.return_value_bytes = rows.Int(12);  // 0 where it is NULL
  // Before it was written, only values that have bytes are known to be there.
  ended.has_value = rows.Int(13) != 0 || attempt.return_value_bytes > 0;
  if (return_value) ended.return_value = rows.String(14);
  return absl::OkStatus();
}

absl::Status RowDecoder::TaskEnd(const Rows& rows, int column, TaskEnded& ended) {
  const std::optional<TaskState> state = planner::TaskStateFromNumber(rows.Int(column));
  if (!state || !planner::IsFinal(*state)) {
    return Damaged("a task ended in state", rows.Int(column));
  }
  ended.state = *state;
  ended.end_time = DecodeTime(rows.Int(column + 1));
  const absl::string_view reason = rows.Bytes(column + 2);
  ended.reason.assign(reason.data(), reason.size());
  return absl::OkStatus();
}

absl::Status RowDecoder::FillSettings(int64_t settings_id, TaskSubmitted& task) {
  absl::StatusOr<const Settings*> settings = FindSettings(settings_id);
  if (!settings.ok()) return settings.status();
  (*settings)->CopyTo(task);
  return absl::OkStatus();
}

absl::StatusOr<const Settings*> RowDecoder::FindSettings(int64_t id) {
  if (auto it = settings_.find(id); it != settings_.end()) return &it->second;
  absl::StatusOr<Rows> rows = connection_.Query(
      "SELECT consumption, timeout_us, retry_delay_us, max_retry_delay_us, cancel_grace_us, "
      "max_attempts, priority, unreachable_timeout_us, max_losses, retry_rule, constraints, "
      "avoid_last_failure, preemptible, spread FROM settings WHERE id = ?",
      id);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) return Damaged("a task refers to missing settings", id);
  absl::StatusOr<planner::ResourceVector> consumption = DecodeConsumption(rows->Bytes(0));
  if (!consumption.ok()) return consumption.status();
  for (const auto& entry : *consumption) {
    if (!planner::Quantity::FromOutside(entry.quantity.milli()).ok()) {
      return Damaged("a task asks for so many thousandths of a resource:", entry.quantity.milli());
    }
  }
  absl::StatusOr<planner::RetryRule> retry = DecodeRetryRule(rows->Bytes(9));
  if (!retry.ok()) return retry.status();
  absl::StatusOr<planner::Constraints> constraints = DecodeConstraints(rows->Bytes(10));
  if (!constraints.ok()) return constraints.status();
  absl::StatusOr<planner::Spread> spread = DecodeSpread(rows->Bytes(13));
  if (!spread.ok()) return spread.status();
  if (settings_.size() >= kKept) settings_.clear();
  Settings& settings = settings_[id];
  settings.consumption = *std::move(consumption);
  const auto limit = [&](int column) {
    return rows->IsNull(column) ? absl::InfiniteDuration() : DecodeDuration(rows->Int(column));
  };
  planner::TaskPolicy& policy = settings.policy;
  policy.timeout = limit(1);
  policy.retry_delay = DecodeDuration(rows->Int(2));
  policy.max_retry_delay = DecodeDuration(rows->Int(3));
  policy.cancel_grace = DecodeDuration(rows->Int(4));
  if (rows->Int(5) < 0 || rows->Int(5) > planner::kMaxLaunches) {
    const int64_t attempts = rows->Int(5);
    settings_.erase(id);
    return Damaged("a task may have so many attempts:", attempts);
  }
  policy.max_attempts = static_cast<int32_t>(rows->Int(5));
  settings.priority = static_cast<int32_t>(rows->Int(6));
  policy.unreachable_timeout = limit(7);
  policy.max_losses = static_cast<int32_t>(rows->Int(8));
  policy.retry = *retry;
  policy.constraints = *std::move(constraints);
  policy.spread = *std::move(spread);
  policy.avoid_last_failure = rows->Int(11) != 0;
  policy.preemptible = rows->Int(12) != 0;
  return &settings;
}

absl::Status RowDecoder::FillAgent(int64_t agent_id, AttemptLaunched& launched) {
  auto it = agents_.find(agent_id);
  if (it == agents_.end()) {
    absl::StatusOr<Rows> rows =
        connection_.Query("SELECT agent, name FROM agents WHERE id = ?", agent_id);
    if (!rows.ok()) return rows.status();
    absl::StatusOr<bool> found = rows->Next();
    if (!found.ok()) return found.status();
    if (!*found) return Damaged("an attempt refers to a missing agent", agent_id);
    if (agents_.size() >= kKept) agents_.clear();
    it = agents_.try_emplace(agent_id, rows->String(0), rows->String(1)).first;
  }
  launched.agent = it->second.first;
  launched.agent_name = it->second.second;
  return absl::OkStatus();
}

}  // namespace kartograph::storage
