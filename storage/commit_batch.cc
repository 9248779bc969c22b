#include "storage/commit_batch.h"

#include <algorithm>
#include <optional>
#include <string>
#include <variant>

#include "absl/strings/str_cat.h"
#include "planner/ids.h"
#include "planner/states.h"
#include "storage/encoding.h"
#include "storage/finished_queue.h"

namespace kartograph::storage {
namespace {

using planner::TaskState;

// Older changes of pools are forgotten, but for those in force.
constexpr int64_t kPoolChangesKept = 10000;

int64_t StateIndex(TaskState state) { return static_cast<int64_t>(state); }

std::optional<int64_t> EndMicros(absl::Time end_time) {
  if (end_time == absl::InfiniteFuture()) return std::nullopt;
  return EncodeTime(end_time);
}

std::optional<int64_t> Micros(absl::Duration duration) {
  if (duration == absl::InfiniteDuration()) return std::nullopt;
  return EncodeDuration(duration);
}

// OR FAIL, because the whole transaction is rolled back where one row fails: with the default,
// SQLite would keep a journal to undo the one statement.
template <typename Row>
absl::Status InsertAll(Connection& connection, BatchRows<Row>& rows, const char* sql) {
  if (rows.empty()) return absl::OkStatus();
  rows.Sort();
  absl::Status status = connection.Run(sql);
  rows.Clear();
  return status;
}

}  // namespace

absl::StatusOr<std::unique_ptr<CommitBatch>> CommitBatch::Create(Connection* connection) {
  std::unique_ptr<CommitBatch> batch(new CommitBatch(connection));
  absl::Status status;
  status.Update(RegisterRowFeed(*connection, "new_tasks", NewTask::kColumns, &batch->tasks_));
  status.Update(
      RegisterRowFeed(*connection, "new_attempts", NewAttempt::kColumns, &batch->attempts_));
  status.Update(RegisterRowFeed(*connection, "new_attempt_ends", NewAttemptEnd::kColumns,
                                &batch->attempt_ends_));
  status.Update(
      RegisterRowFeed(*connection, "new_task_ends", NewTaskEnd::kColumns, &batch->task_ends_));
  status.Update(
      RegisterRowFeed(*connection, "new_finished", NewFinished::kColumns, &batch->finished_));
  status.Update(RegisterRowFeed(*connection, "new_resets", NewReset::kColumns, &batch->resets_));
  if (!status.ok()) return status;
  return batch;
}

absl::Status CommitBatch::Write(absl::Span<const Record> records) {
  Clear();
  for (const Record& record : records) {
    absl::Status status = std::visit([this](const auto& r) { return Add(r); }, record);
    if (!status.ok()) return status;
  }
  return Flush();
}

void CommitBatch::Committed() {
  interner_.Committed();
  newest_graph_ =
      std::max(newest_graph_, static_cast<planner::GraphId>(std::exchange(written_graph_, 0)));
}

void CommitBatch::RolledBack() {
  interner_.RolledBack();
  written_graph_ = 0;
  Clear();
}

absl::Status CommitBatch::Add(const GraphSubmitted& graph) {
  last_graph_ = std::max(last_graph_, int64_t{graph.graph});
  for (const auto& [name, value] : graph.labels) {
    absl::Status status =
        connection_.Run("INSERT INTO graph_labels (name, value, graph_id) VALUES (?, ?, ?)",
                        absl::string_view(name), absl::string_view(value), int64_t{graph.graph});
    if (!status.ok()) return status;
  }
  const planner::Cap& cap = graph.cap;
  return connection_.Run(
      "INSERT INTO graphs (id, name, client_queue, fail_fast, open, state, submit_us, work, "
      "open_until_idle_us, deliver_end, details, user, share, max_running, max_held) "
      "VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
      int64_t{graph.graph}, absl::string_view(graph.name), absl::string_view(graph.client_queue),
      int64_t{graph.fail_fast}, int64_t{graph.open},
      static_cast<int64_t>(planner::GraphState::kRunning), EncodeTime(graph.submit_time),
      static_cast<int64_t>(graph.work), Micros(graph.open_until_idle), int64_t{graph.deliver_end},
      Blob{graph.details}, absl::string_view(graph.user), absl::string_view(graph.share),
      cap.running == planner::Cap::kUnlimited ? std::nullopt : std::optional(cap.running),
      cap.resources.empty() ? std::nullopt : std::optional(EncodeConsumption(cap.resources)));
}

absl::Status CommitBatch::Add(const GraphChanged& graph) {
  absl::Status status = connection_.Run(
      "UPDATE graphs SET state = ?2, open = ?3, end_us = ?4, work = ?5 WHERE id = ?1",
      int64_t{graph.graph}, static_cast<int64_t>(graph.state), int64_t{graph.open},
      EndMicros(graph.end_time), static_cast<int64_t>(graph.work));
  if (status.ok() && connection_.changes() == 0) {
    return absl::InternalError(absl::StrCat("graph ", planner::GraphIdToString(graph.graph),
                                            " changed, but the history does not have it"));
  }
  return status;
}

absl::Status CommitBatch::Add(const TaskSubmitted& task) {
  absl::StatusOr<int64_t> settings_id = interner_.SettingsOf(task);
  if (!settings_id.ok()) return settings_id.status();
  tasks_.Add({static_cast<int64_t>(task.task.value), *settings_id, &task});
  for (const std::string& blob : task.blobs) {
    absl::Status status =
        connection_.Run("INSERT OR IGNORE INTO graph_blobs (blob, graph_id) VALUES (?, ?)",
                        absl::string_view(blob), int64_t{task.task.graph()});
    if (!status.ok()) return status;
  }
  ++CountsOf(task.task.graph()).tasks;
  return absl::OkStatus();
}

absl::Status CommitBatch::Add(const AttemptLaunched& launched) {
  absl::StatusOr<int64_t> agent_id = interner_.Agent(launched.agent, launched.agent_name);
  if (!agent_id.ok()) return agent_id.status();
  attempts_.Add({static_cast<int64_t>(launched.attempt.value), *agent_id, &launched});
  return absl::OkStatus();
}

absl::Status CommitBatch::Add(const AttemptEnded& ended) {
  attempt_ends_.Add({static_cast<int64_t>(ended.attempt.value), &ended});
  return absl::OkStatus();
}

absl::Status CommitBatch::Add(const TaskEnded& ended) {
  if (ended.replaces_cancelled) return Replace(ended);
  task_ends_.Add({static_cast<int64_t>(ended.task.value), &ended});
  ++CountsOf(ended.task.graph()).by_state[StateIndex(ended.state)];
  return absl::OkStatus();
}

absl::Status CommitBatch::Replace(const TaskEnded& ended) {
  // The end that it replaces may be of this batch.
  if (absl::Status status = FlushTaskEnds(); !status.ok()) return status;
  CountChange& counts = CountsOf(ended.task.graph());
  --counts.by_state[StateIndex(TaskState::kCancelled)];
  ++counts.by_state[StateIndex(ended.state)];
  absl::Status status = connection_.Run(
      "UPDATE task_ends SET state = ?, end_us = ?, reason = ? WHERE key = ? AND state = ?",
      StateIndex(ended.state), EncodeTime(ended.end_time), absl::string_view(ended.reason),
      static_cast<int64_t>(ended.task.value), StateIndex(TaskState::kCancelled));
  if (status.ok() && connection_.changes() == 0) {
    return absl::InternalError(absl::StrCat(
        "task ", ended.task.index(), " of graph ", planner::GraphIdToString(ended.task.graph()),
        " ended otherwise than cancelled, but the history does not have it as cancelled"));
  }
  return status;
}

absl::Status CommitBatch::Add(const TaskReset& reset) {
  // It undoes the end that was written so far, so what the batch has of ends goes first.
  if (!task_ends_.empty() || !finished_.empty()) {
    if (absl::Status status = FlushTaskEnds(); !status.ok()) return status;
    if (absl::Status status = FlushFinished(); !status.ok()) return status;
  }
  resets_.Add({static_cast<int64_t>(reset.task.value), int64_t{reset.attempts_before}});
  return absl::OkStatus();
}

absl::Status CommitBatch::Add(const FinishedQueued& queued) {
  absl::StatusOr<int64_t> queue_id = interner_.Queue(queued.client_queue);
  if (!queue_id.ok()) return queue_id.status();
  finished_.Add({queued.delivery_id, *queue_id, &queued});
  last_delivery_ = std::max(last_delivery_, queued.delivery_id);
  return absl::OkStatus();
}

absl::Status CommitBatch::Add(const GraphEndQueued& queued) {
  absl::StatusOr<int64_t> queue_id = interner_.Queue(queued.client_queue);
  if (!queue_id.ok()) return queue_id.status();
  last_delivery_ = std::max(last_delivery_, queued.delivery_id);
  return connection_.Run(
      "INSERT INTO finished (queue_id, delivery_id, task_key, resets) VALUES (?, ?, ?, ?)",
      *queue_id, queued.delivery_id,
      static_cast<int64_t>(planner::TaskKey::Of(queued.graph, 0).value), kGraphEnd);
}

absl::Status CommitBatch::Add(const FinishedAcknowledged& acknowledged) {
  absl::StatusOr<std::optional<int64_t>> queue_id = interner_.FindQueue(acknowledged.client_queue);
  if (!queue_id.ok()) return queue_id.status();
  // Collected: an id is used once, so what is queued after it is another delivery.
  if (queue_id->has_value()) {
    acknowledgements_.emplace_back(**queue_id, acknowledged.delivery_id);
  }
  return absl::OkStatus();
}

absl::Status CommitBatch::Add(const RequestAnswered& answered) {
  // The first answer stays: it is the one that was given.
  return connection_.Run("INSERT OR IGNORE INTO requests (id, answer, time_us) VALUES (?, ?, ?)",
                         absl::string_view(answered.request_id), Blob{answered.answer},
                         EncodeTime(answered.time));
}

absl::Status CommitBatch::Add(const RetentionTime& retention) {
  return connection_.Run("INSERT OR REPLACE INTO counters (name, value) VALUES (?, ?)",
                         absl::string_view(kRetentionCounter), EncodeTime(retention.time));
}

absl::Status CommitBatch::Add(const PoolChanged& change) {
  const std::optional<int64_t> capacity =
      change.capacity ? std::optional(change.capacity->milli()) : std::nullopt;
  absl::Status status = connection_.Run(
      "INSERT INTO pool_changes (pool, capacity_milli, setting_milli, time_us, caller) "
      "VALUES (?, ?, ?, ?, ?)",
      absl::string_view(change.pool), capacity, change.setting.milli(), EncodeTime(change.time),
      absl::string_view(change.by));
  if (!status.ok()) return status;
  return connection_.Run(
      "DELETE FROM pool_changes WHERE number <= ? AND "
      "number NOT IN (SELECT max(number) FROM pool_changes GROUP BY pool)",
      connection_.last_insert_id() - kPoolChangesKept);
}

absl::Status CommitBatch::Add(const KindLearnt& kind) {
  return connection_.Run(
      "INSERT INTO kinds (id, graph, task, consumption, runs, usage, last_run_us) "
      "VALUES (?, ?, ?, ?, ?, ?, ?) ON CONFLICT (id) DO UPDATE SET runs = excluded.runs, "
      "usage = excluded.usage, last_run_us = excluded.last_run_us",
      kind.id, absl::string_view(kind.graph), absl::string_view(kind.task),
      absl::string_view(kind.consumption), kind.runs, Blob{kind.usage}, EncodeTime(kind.last_run));
}

absl::Status CommitBatch::Add(const KindForgotten& kind) {
  return connection_.Run("DELETE FROM kinds WHERE id = ?", kind.id);
}

CommitBatch::CountChange& CommitBatch::CountsOf(planner::GraphId graph) {
  if (!counts_.empty() && counts_.back().graph == graph) return counts_.back();
  auto [it, is_new] = counts_index_.try_emplace(graph, counts_.size());
  if (is_new) counts_.push_back({.graph = graph});
  return counts_[it->second];
}

absl::Status CommitBatch::Flush() {
  absl::Status status =
      InsertAll(connection_, tasks_,
                "INSERT OR FAIL INTO tasks "
                "(key, name, settings_id, after, payload, details, expected_us) "
                "SELECT key, name, settings_id, after, payload, details, expected_us "
                "FROM new_tasks");
  if (!status.ok()) return status;
  status = InsertAll(connection_, attempts_,
                     "INSERT OR FAIL INTO attempts (key, agent_id, launch_us) "
                     "SELECT key, agent_id, launch_us FROM new_attempts");
  if (!status.ok()) return status;
  status = InsertAll(
      connection_, attempt_ends_,
      "INSERT OR FAIL INTO attempt_ends (key, outcome, exit_status, signal, start_us, end_us, "
      "peak_ram, cpu_us, wall_us, message, return_value, has_value) "
      "SELECT key, outcome, exit_status, signal, start_us, end_us, peak_ram, cpu_us, wall_us, "
      "message, return_value, has_value FROM new_attempt_ends");
  if (!status.ok()) return status;
  if (status = FlushTaskEnds(); !status.ok()) return status;
  if (status = FlushFinished(); !status.ok()) return status;
  if (status = FlushAcknowledgements(); !status.ok()) return status;
  return FlushCounts();
}

absl::Status CommitBatch::FlushResets() {
  if (resets_.empty()) return absl::OkStatus();
  resets_.Sort();
  {
    absl::StatusOr<Rows> rows = connection_.Query(
        "SELECT e.key >> 20, e.state, count(*) FROM new_resets CROSS JOIN task_ends e "
        "ON e.key = new_resets.key GROUP BY 1, 2");
    if (!rows.ok()) return rows.status();
    for (;;) {
      absl::StatusOr<bool> row = rows->Next();
      if (!row.ok()) return row.status();
      if (!*row) break;
      const int64_t state = rows->Int(1);
      if (state < 0 || state >= planner::kTaskStates) {
        return absl::DataLossError(absl::StrCat("a task ended in state ", state));
      }
      CountsOf(static_cast<planner::GraphId>(rows->Int(0))).by_state[state] -= rows->Int(2);
    }
  }
  absl::Status status = connection_.Run(
      "INSERT INTO task_resets (task_key, number, attempts_before, state, end_us, reason) "
      "SELECT n.key, 1 + (SELECT ifnull(max(number), 0) FROM task_resets WHERE task_key = n.key), "
      "n.attempts_before, e.state, e.end_us, e.reason "
      "FROM new_resets n LEFT JOIN task_ends e ON e.key = n.key");
  if (!status.ok()) return status;
  status = connection_.Run("DELETE FROM task_ends WHERE key IN (SELECT key FROM new_resets)");
  resets_.Clear();
  return status;
}

absl::Status CommitBatch::FlushTaskEnds() {
  if (absl::Status status = FlushResets(); !status.ok()) return status;
  return InsertAll(connection_, task_ends_,
                   "INSERT OR FAIL INTO task_ends (key, state, end_us, reason) "
                   "SELECT key, state, end_us, reason FROM new_task_ends");
}

absl::Status CommitBatch::FlushFinished() {
  if (absl::Status status = FlushResets(); !status.ok()) return status;
  return InsertAll(connection_, finished_,
                   "INSERT OR FAIL INTO finished (queue_id, delivery_id, task_key, resets) "
                   "SELECT queue_id, delivery_id, task_key, "
                   "(SELECT ifnull(max(number), 0) FROM task_resets r "
                   "WHERE r.task_key = new_finished.task_key) FROM new_finished");
}

absl::Status CommitBatch::FlushAcknowledgements() {
  // A client acknowledges what it got in one piece, so the ids are mostly a few runs without gaps.
  std::sort(acknowledgements_.begin(), acknowledgements_.end());
  for (size_t first = 0, next = 0; first < acknowledgements_.size(); first = next) {
    const auto& [queue_id, first_id] = acknowledgements_[first];
    int64_t last_id = first_id;
    for (next = first + 1; next < acknowledgements_.size(); ++next) {
      const auto& [queue, id] = acknowledgements_[next];
      if (queue != queue_id || id - last_id > 1) break;
      last_id = id;
    }
    absl::Status status =
        connection_.Run("DELETE FROM finished WHERE queue_id = ? AND delivery_id BETWEEN ? AND ?",
                        queue_id, first_id, last_id);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status CommitBatch::FlushCounts() {
  for (const CountChange& change : counts_) {
    absl::Status status = connection_.Run(
        "UPDATE graphs SET tasks = tasks + ?2, succeeded = succeeded + ?3, failed = failed + ?4, "
        "cancelled = cancelled + ?5, skipped = skipped + ?6 WHERE id = ?1",
        int64_t{change.graph}, change.tasks, change.by_state[StateIndex(TaskState::kSucceeded)],
        change.by_state[StateIndex(TaskState::kFailed)],
        change.by_state[StateIndex(TaskState::kCancelled)],
        change.by_state[StateIndex(TaskState::kSkipped)]);
    if (!status.ok()) return status;
    if (connection_.changes() == 0) {
      return absl::InternalError(absl::StrCat("tasks of graph ",
                                              planner::GraphIdToString(change.graph),
                                              " were written, but the history does not have it"));
    }
  }
  static constexpr char kRaise[] =
      "INSERT INTO counters (name, value) VALUES (?, ?) "
      "ON CONFLICT (name) DO UPDATE SET value = max(value, excluded.value)";
  if (last_graph_ > 0) {
    absl::Status status = connection_.Run(kRaise, absl::string_view("last graph"), last_graph_);
    if (!status.ok()) return status;
    written_graph_ = last_graph_;
  }
  if (last_delivery_ > 0) {
    return connection_.Run(kRaise, absl::string_view("last delivery"), last_delivery_);
  }
  return absl::OkStatus();
}

void CommitBatch::Clear() {
  tasks_.Clear();
  attempts_.Clear();
  attempt_ends_.Clear();
  task_ends_.Clear();
  finished_.Clear();
  resets_.Clear();
  acknowledgements_.clear();
  counts_.clear();
  counts_index_.clear();
  last_graph_ = 0;
  last_delivery_ = 0;
}

}  // namespace kartograph::storage
