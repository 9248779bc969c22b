#include "storage/graph_scan.h"

#include <cstdint>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "storage/encoding.h"

namespace kartograph::storage {
namespace {

absl::Status ScanGraphRow(Connection& connection, planner::GraphId graph, GraphVisitor& visitor) {
  absl::StatusOr<Rows> rows = connection.Query("SELECT " KARTOGRAPH_GRAPH_COLUMNS
                                               " FROM graphs WHERE id = ? AND " KARTOGRAPH_VISIBLE,
                                               int64_t{graph});
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::NotFoundError(absl::StrCat("there is no graph ", planner::GraphIdToString(graph)));
  }
  GraphRow row;
  if (absl::Status status = RowDecoder::Graph(*rows, row); !status.ok()) return status;
  visitor.OnGraph(row.graph, row.state);
  return absl::OkStatus();
}

absl::Status ScanTasks(Connection& connection, RowDecoder& decoder, KeyRange keys,
                       GraphVisitor& visitor) {
  // Few tasks are ever run again, so these are looked up beside the scan instead of joined to it.
  absl::flat_hash_map<int64_t, uint32_t> attempts_before;
  absl::StatusOr<Rows> resets = connection.Query(
      "SELECT task_key, attempts_before FROM task_resets WHERE task_key BETWEEN ? AND ? "
      "ORDER BY task_key, number",
      keys.first, keys.last);
  if (!resets.ok()) return resets.status();
  for (;;) {
    absl::StatusOr<bool> row = resets->Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    attempts_before[resets->Int(0)] = static_cast<uint32_t>(resets->Int(1));
  }

  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT key, name, settings_id, after FROM tasks WHERE key BETWEEN ? AND ? ORDER BY key",
      keys.first, keys.last);
  if (!rows.ok()) return rows.status();
  TaskSubmitted task;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    task.task.value = static_cast<uint64_t>(rows->Int(0));
    const absl::string_view name = rows->Bytes(1);
    task.name.assign(name.data(), name.size());
    if (absl::Status status = decoder.FillSettings(rows->Int(2), task); !status.ok()) return status;
    if (absl::Status status = DecodeIndexes(rows->Bytes(3), task.after); !status.ok()) {
      return status;
    }
    auto reset = attempts_before.find(rows->Int(0));
    visitor.OnTask(task, reset == attempts_before.end() ? 0 : reset->second);
  }
}

absl::Status ScanAttempts(Connection& connection, RowDecoder& decoder, KeyRange keys,
                          GraphVisitor& visitor) {
  absl::StatusOr<Rows> rows =
      connection.Query("SELECT " KARTOGRAPH_ATTEMPT_COLUMNS
                       " FROM attempts a LEFT JOIN attempt_ends e ON e.key = a.key "
                       "WHERE a.key BETWEEN ? AND ? ORDER BY a.key",
                       keys.first, keys.last);
  if (!rows.ok()) return rows.status();
  AttemptRow attempt;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (absl::Status status = decoder.Attempt(*rows, false, attempt); !status.ok()) return status;
    const bool is_over = attempt.ended.outcome != planner::Outcome::kNone;
    visitor.OnAttempt(attempt.launched, is_over ? &attempt.ended : nullptr);
  }
}

absl::Status ScanTaskEnds(Connection& connection, KeyRange keys, GraphVisitor& visitor) {
  absl::StatusOr<Rows> rows =
      connection.Query("SELECT key, " KARTOGRAPH_TASK_END_COLUMNS
                       " FROM task_ends WHERE key BETWEEN ? AND ? ORDER BY key",
                       keys.first, keys.last);
  if (!rows.ok()) return rows.status();
  TaskEnded ended;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    ended.task.value = static_cast<uint64_t>(rows->Int(0));
    if (absl::Status status = RowDecoder::TaskEnd(*rows, 1, ended); !status.ok()) return status;
    visitor.OnTaskEnded(ended);
  }
}

}  // namespace

absl::Status ScanGraph(Connection& connection, RowDecoder& decoder, planner::GraphId graph,
                       GraphVisitor& visitor) {
  absl::Status status = ScanGraphRow(connection, graph, visitor);
  const KeyRange tasks = KeyRange::TasksOf(graph);
  if (status.ok()) status = ScanTasks(connection, decoder, tasks, visitor);
  if (status.ok()) {
    status = ScanAttempts(connection, decoder, KeyRange::AttemptsOf(graph), visitor);
  }
  if (status.ok()) status = ScanTaskEnds(connection, tasks, visitor);
  return status;
}

}  // namespace kartograph::storage
