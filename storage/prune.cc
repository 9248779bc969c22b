#include "storage/prune.h"

#include <optional>

#include "planner/states.h"
#include "storage/encoding.h"
#include "storage/records.h"
#include "storage/row_decoder.h"

namespace kartograph::storage {
namespace {

constexpr int64_t kRemoving = static_cast<int64_t>(GraphWork::kRemoving);

absl::StatusOr<std::optional<planner::GraphId>> FindHidden(Connection& connection) {
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT id FROM graphs INDEXED BY graphs_by_work WHERE work <> 0 AND work = ? LIMIT 1",
      kRemoving);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  return static_cast<planner::GraphId>(rows->Int(0));
}

// Removes up to `rows_left` rows of one hidden graph, and the graph itself where none is left.
absl::Status RemoveRows(Connection& connection, planner::GraphId graph, int64_t& rows_left) {
  // Ends go before what they are the ends of.
  static constexpr const char* kDeletes[] = {
      "DELETE FROM attempt_ends WHERE key IN "
      "(SELECT key FROM attempt_ends WHERE key BETWEEN ? AND ? LIMIT ?)",
      "DELETE FROM attempts WHERE key IN "
      "(SELECT key FROM attempts WHERE key BETWEEN ? AND ? LIMIT ?)",
      "DELETE FROM task_resets WHERE (task_key, number) IN "
      "(SELECT task_key, number FROM task_resets WHERE task_key BETWEEN ? AND ? LIMIT ?)",
      "DELETE FROM task_ends WHERE key IN "
      "(SELECT key FROM task_ends WHERE key BETWEEN ? AND ? LIMIT ?)",
      "DELETE FROM tasks WHERE key IN (SELECT key FROM tasks WHERE key BETWEEN ? AND ? LIMIT ?)",
  };
  const KeyRange tasks = KeyRange::TasksOf(graph);
  const KeyRange attempts = KeyRange::AttemptsOf(graph);
  for (size_t i = 0; i < std::size(kDeletes); ++i) {
    const KeyRange& keys = i < 2 ? attempts : tasks;
    absl::Status status = connection.Run(kDeletes[i], keys.first, keys.last, rows_left);
    if (!status.ok()) return status;
    rows_left -= connection.changes();
    if (rows_left <= 0) return absl::OkStatus();
  }
  --rows_left;
  return connection.Run("DELETE FROM graphs WHERE id = ?", int64_t{graph});
}

}  // namespace

absl::StatusOr<std::vector<planner::GraphId>> FindPrunableGraphs(Connection& connection,
                                                                 absl::Time before,
                                                                 int max_graphs) {
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT id FROM graphs WHERE end_us < ?1 AND state <> ?2 AND work = 0 "
      "AND id NOT IN (SELECT task_key >> 20 FROM finished) ORDER BY end_us, id LIMIT ?3",
      EncodeTime(before), static_cast<int64_t>(planner::GraphState::kRunning), int64_t{max_graphs});
  if (!rows.ok()) return rows.status();
  std::vector<planner::GraphId> graphs;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return graphs;
    graphs.push_back(static_cast<planner::GraphId>(rows->Int(0)));
  }
}

absl::Status HideGraphs(Connection& connection, absl::Time before,
                        absl::Span<const planner::GraphId> graphs,
                        std::vector<planner::GraphId>& hidden) {
  for (planner::GraphId graph : graphs) {
    // One that ran again since it was found has not ended, or ended later.
    absl::Status status = connection.Run(
        "UPDATE graphs SET work = ?4 WHERE id = ?1 AND end_us < ?2 AND state <> ?3 AND work = 0",
        int64_t{graph}, EncodeTime(before), static_cast<int64_t>(planner::GraphState::kRunning),
        kRemoving);
    if (!status.ok()) return status;
    if (connection.changes() > 0) hidden.push_back(graph);
  }
  return absl::OkStatus();
}

absl::Status RemoveHiddenRows(Connection& connection, int64_t max_rows, bool& more) {
  int64_t rows_left = max_rows;
  while (true) {
    absl::StatusOr<std::optional<planner::GraphId>> graph = FindHidden(connection);
    if (!graph.ok()) return graph.status();
    more = graph->has_value();
    if (!more || rows_left <= 0) return absl::OkStatus();
    absl::Status status = RemoveRows(connection, **graph, rows_left);
    if (!status.ok()) return status;
  }
}

}  // namespace kartograph::storage
