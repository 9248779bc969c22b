#include "storage/finished_queue.h"

#include <algorithm>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

// The numbers of the attempts that led to one end of a task.
struct Span {
  int64_t first = 1;
  int64_t last = planner::kMaxLaunches;
};

// Finds the end after this many resets: the next reset has it, and where there is none, task_ends.
absl::StatusOr<Span> ReadEnd(Connection& connection, planner::TaskKey task, int64_t resets,
                             TaskEnded& ended) {
  const int64_t key = static_cast<int64_t>(task.value);
  Span span;
  absl::StatusOr<Rows> rows =
      connection.Query("SELECT number, attempts_before, " KARTOGRAPH_TASK_END_COLUMNS
                       " FROM task_resets WHERE task_key = ?1 AND number BETWEEN ?2 AND ?2 + 1 "
                       "ORDER BY number",
                       key, resets);
  if (!rows.ok()) return rows.status();
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    if (rows->Int(0) == resets) {
      span.first = rows->Int(1) + 1;
    } else if (!rows->IsNull(2)) {
      span.last = rows->Int(1);
      if (absl::Status status = RowDecoder::TaskEnd(*rows, 2, ended); !status.ok()) return status;
      return span;
    }
  }
  absl::StatusOr<Rows> end =
      connection.Query("SELECT " KARTOGRAPH_TASK_END_COLUMNS " FROM task_ends WHERE key = ?", key);
  if (!end.ok()) return end.status();
  absl::StatusOr<bool> found = end->Next();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::InternalError(absl::StrCat("task ", task.index(), " of graph ",
                                            planner::GraphIdToString(task.graph()),
                                            " is delivered as finished, but has not ended"));
  }
  if (absl::Status status = RowDecoder::TaskEnd(*end, 0, ended); !status.ok()) return status;
  return span;
}

// Counts the attempts and reads the last one; its return value only if that has at most `max_bytes`
// bytes.
absl::Status ReadAttempts(Connection& connection, RowDecoder& decoder, Span span, int64_t max_bytes,
                          Finished& finished) {
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT " KARTOGRAPH_ATTEMPT_COLUMNS
      ", iif(length(e.return_value) <= ?3, e.return_value, NULL) "
      "FROM attempts a LEFT JOIN attempt_ends e ON e.key = a.key "
      "WHERE a.key BETWEEN ?1 AND ?2 ORDER BY a.key DESC",
      static_cast<int64_t>(
          planner::AttemptId::Of(finished.task, static_cast<uint32_t>(span.first)).value),
      static_cast<int64_t>(
          planner::AttemptId::Of(finished.task, static_cast<uint32_t>(span.last)).value),
      max_bytes);
  if (!rows.ok()) return rows.status();
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (finished.attempts++ > 0) continue;
    AttemptRow attempt;
    absl::Status status = decoder.Attempt(*rows, true, attempt);
    if (!status.ok()) return status;
    finished.agent = std::move(attempt.launched.agent);
    finished.agent_name = std::move(attempt.launched.agent_name);
    finished.last_attempt = std::move(attempt.ended);
    finished.return_value_bytes = attempt.return_value_bytes;
  }
}

absl::Status ReadGraph(Connection& connection, planner::GraphId graph, GraphRow& row) {
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT " KARTOGRAPH_GRAPH_COLUMNS " FROM graphs WHERE id = ?", int64_t{graph});
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::InternalError(absl::StrCat("graph ", planner::GraphIdToString(graph),
                                            " is delivered as ended, but is not there"));
  }
  return RowDecoder::Graph(*rows, row);
}

// Of what was delivered.
absl::StatusOr<absl::Time> EndTime(Connection& connection, planner::TaskKey task, int64_t resets) {
  if (resets == kGraphEnd) {
    GraphRow row;
    absl::Status status = ReadGraph(connection, task.graph(), row);
    if (!status.ok()) return status;
    return row.state.end_time;
  }
  TaskEnded ended;
  absl::StatusOr<Span> span = ReadEnd(connection, task, resets, ended);
  if (!span.ok()) return span.status();
  return ended.end_time;
}

}  // namespace

absl::StatusOr<std::vector<Finished>> ReadFinished(Connection& connection, RowDecoder& decoder,
                                                   absl::string_view client_queue, int max_tasks,
                                                   int64_t max_bytes,
                                                   const DeliveryFilter& filter) {
  std::vector<Finished> all;
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT f.delivery_id, f.task_key, f.resets, t.name, t.details "
      "FROM finished f LEFT JOIN tasks t ON t.key = f.task_key "
      "WHERE f.queue_id = (SELECT id FROM queues WHERE name = ?) AND f.delivery_id >= ? "
      "ORDER BY f.delivery_id",
      client_queue, filter.from);
  if (!rows.ok()) return rows.status();
  int64_t bytes_left = max_bytes;
  while (static_cast<int>(all.size()) < max_tasks) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    if (std::binary_search(filter.skip.begin(), filter.skip.end(), rows->Int(0))) continue;
    Finished finished;
    finished.delivery_id = rows->Int(0);
    finished.task.value = static_cast<uint64_t>(rows->Int(1));
    if (rows->Int(2) == kGraphEnd) {
      absl::Status status =
          ReadGraph(connection, finished.task.graph(), finished.graph_end.emplace());
      if (!status.ok()) return status;
      all.push_back(std::move(finished));
      continue;
    }
    finished.task_name = rows->String(3);
    finished.task_details = rows->String(4);
    finished.resets = static_cast<int>(rows->Int(2));
    finished.ended.task = finished.task;
    absl::StatusOr<Span> span = ReadEnd(connection, finished.task, rows->Int(2), finished.ended);
    if (!span.ok()) return span.status();
    // The first one is given whatever its size.
    const int64_t allowed = all.empty() ? INT64_MAX : bytes_left;
    absl::Status status = ReadAttempts(connection, decoder, *span,
                                       std::min(allowed, filter.max_value_bytes), finished);
    if (!status.ok()) return status;
    if (finished.return_value_bytes <= filter.max_value_bytes) {
      if (finished.return_value_bytes > allowed) break;
      bytes_left -= finished.return_value_bytes;
    }
    all.push_back(std::move(finished));
  }
  return all;
}

absl::StatusOr<std::vector<int64_t>> ReadDeliveries(Connection& connection,
                                                    absl::string_view client_queue,
                                                    int max_deliveries) {
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT delivery_id FROM finished WHERE queue_id = (SELECT id FROM queues WHERE name = ?) "
      "ORDER BY delivery_id LIMIT ?",
      client_queue, int64_t{max_deliveries});
  if (!rows.ok()) return rows.status();
  std::vector<int64_t> ids;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return ids;
    ids.push_back(rows->Int(0));
  }
}

absl::StatusOr<bool> FindDelivery(Connection& connection, planner::GraphId graph) {
  const KeyRange tasks = KeyRange::TasksOf(graph);
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT 1 FROM finished WHERE queue_id = (SELECT q.id FROM queues q JOIN graphs g ON "
      "g.client_queue = q.name WHERE g.id = ?) AND task_key BETWEEN ? AND ? LIMIT 1",
      int64_t{graph}, tasks.first, tasks.last);
  if (!rows.ok()) return rows.status();
  return rows->Next();
}

absl::StatusOr<std::vector<QueueRow>> ReadQueues(Connection& connection, absl::string_view after,
                                                 int limit) {
  // Beside min() the other columns are those of the row that has it.
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT q.name, count(*), min(f.delivery_id), f.task_key, f.resets "
      "FROM queues q JOIN finished f ON f.queue_id = q.id WHERE q.name > ? "
      "GROUP BY q.name ORDER BY q.name LIMIT ?",
      after, int64_t{limit});
  if (!rows.ok()) return rows.status();
  std::vector<QueueRow> queues;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return queues;
    absl::StatusOr<absl::Time> oldest =
        EndTime(connection, {static_cast<uint64_t>(rows->Int(3))}, rows->Int(4));
    if (!oldest.ok()) return oldest.status();
    queues.push_back({rows->String(0), rows->Int(1), *oldest});
  }
}

}  // namespace kartograph::storage
