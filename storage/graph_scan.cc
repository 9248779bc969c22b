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

// Whoever reads these rows keeps tasks in an array: an index outside of it goes no further.
absl::Status Damaged(absl::string_view what, planner::TaskKey task) {
  return absl::DataLossError(absl::StrCat("the run history is damaged: in graph ",
                                          planner::GraphIdToString(task.graph()), ", task ",
                                          task.index(), " ", what));
}

// Sets `count` to the number of its tasks.
absl::Status ScanTasks(Connection& connection, RowDecoder& decoder, KeyRange keys,
                       GraphVisitor& visitor, uint32_t* count) {
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
    const int64_t before = resets->Int(1);
    if (before < 0 || before > planner::kMaxLaunches) {
      return Damaged("was reset after a number of attempts that there cannot be",
                     {static_cast<uint64_t>(resets->Int(0))});
    }
    attempts_before[resets->Int(0)] = static_cast<uint32_t>(before);
  }

  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT key, name, settings_id, after, expected_us FROM tasks WHERE key BETWEEN ? AND ? "
      "ORDER BY key",
      keys.first, keys.last);
  if (!rows.ok()) return rows.status();
  TaskSubmitted task;
  planner::TaskIndex last_before = 0;  // the largest index that a task comes after
  planner::TaskKey comes_after_it{};
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    task.task.value = static_cast<uint64_t>(rows->Int(0));
    if (task.task.index() != *count)
      return Damaged("is there, and one before it is not", task.task);
    ++*count;
    const absl::string_view name = rows->Bytes(1);
    task.name.assign(name.data(), name.size());
    if (absl::Status status = decoder.FillSettings(rows->Int(2), task); !status.ok()) return status;
    if (absl::Status status = DecodeIndexes(rows->Bytes(3), task.after); !status.ok()) {
      return status;
    }
    task.expected_duration = DecodeDuration(rows->Int(4));
    for (planner::TaskIndex before : task.after) {
      if (before < last_before) continue;
      last_before = before;
      comes_after_it = task.task;
    }
    auto reset = attempts_before.find(rows->Int(0));
    visitor.OnTask(task, reset == attempts_before.end() ? 0 : reset->second);
  }
  if (last_before > 0 && last_before >= *count) {
    return Damaged("comes after one that is not there", comes_after_it);
  }
  return absl::OkStatus();
}

absl::Status ScanAttempts(Connection& connection, RowDecoder& decoder, KeyRange keys,
                          uint32_t tasks, GraphVisitor& visitor) {
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
    const planner::TaskKey task = attempt.launched.attempt.task();
    if (task.index() >= tasks) return Damaged("has an attempt and is not there", task);
    const bool is_over = attempt.ended.outcome != planner::Outcome::kNone;
    visitor.OnAttempt(attempt.launched, is_over ? &attempt.ended : nullptr);
  }
}

absl::Status ScanTaskEnds(Connection& connection, KeyRange keys, uint32_t tasks,
                          GraphVisitor& visitor) {
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
    if (ended.task.index() >= tasks) return Damaged("has ended and is not there", ended.task);
    if (absl::Status status = RowDecoder::TaskEnd(*rows, 1, ended); !status.ok()) return status;
    visitor.OnTaskEnded(ended);
  }
}

}  // namespace

absl::Status ScanGraph(Connection& connection, RowDecoder& decoder, planner::GraphId graph,
                       GraphVisitor& visitor) {
  absl::Status status = ScanGraphRow(connection, graph, visitor);
  const KeyRange keys = KeyRange::TasksOf(graph);
  uint32_t tasks = 0;
  if (status.ok()) status = ScanTasks(connection, decoder, keys, visitor, &tasks);
  if (status.ok()) {
    status = ScanAttempts(connection, decoder, KeyRange::AttemptsOf(graph), tasks, visitor);
  }
  if (status.ok()) status = ScanTaskEnds(connection, keys, tasks, visitor);
  return status;
}

}  // namespace kartograph::storage
