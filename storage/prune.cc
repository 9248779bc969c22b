#include "storage/prune.h"

#include <algorithm>
#include <cstdint>
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
  for (const char* sql :
       {"DELETE FROM graph_labels WHERE graph_id = ?", "DELETE FROM graph_blobs WHERE graph_id = ?",
        "DELETE FROM graphs WHERE id = ?"}) {
    if (absl::Status status = connection.Run(sql, int64_t{graph}); !status.ok()) return status;
    rows_left -= connection.changes();
  }
  return absl::OkStatus();
}

// How many graphs have to go whatever their age.
absl::StatusOr<int64_t> CountSurplus(Connection& connection, const Keep& keep) {
  constexpr int64_t kOldestAtOnce = 10;  // for their bytes, which are known when they are gone
  int64_t surplus = 0;
  if (keep.graphs < INT64_MAX) {
    absl::StatusOr<int64_t> ended =
        connection.QueryInt("SELECT count(*) FROM graphs WHERE end_us IS NOT NULL AND work = 0");
    if (!ended.ok()) return ended.status();
    surplus = *ended - keep.graphs;
  }
  if (keep.bytes < INT64_MAX) {
    absl::StatusOr<int64_t> bytes = connection.QueryInt(
        "SELECT (page_count - freelist_count) * page_size "
        "FROM pragma_page_count, pragma_freelist_count, pragma_page_size");
    if (!bytes.ok()) return bytes.status();
    if (*bytes > keep.bytes) surplus = std::max(surplus, kOldestAtOnce);
  }
  return surplus;
}

}  // namespace

absl::StatusOr<std::vector<planner::GraphId>> FindPrunableGraphs(Connection& connection,
                                                                 const Keep& keep, int max_graphs) {
  absl::StatusOr<int64_t> surplus = CountSurplus(connection, keep);
  if (!surplus.ok()) return surplus.status();
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT id, end_us < ?1 FROM graphs WHERE end_us IS NOT NULL AND state <> ?2 AND work = 0 "
      "AND id NOT IN (SELECT task_key >> 20 FROM finished) ORDER BY end_us, id LIMIT ?3",
      EncodeTime(keep.since), static_cast<int64_t>(planner::GraphState::kRunning),
      int64_t{max_graphs});
  if (!rows.ok()) return rows.status();
  std::vector<planner::GraphId> graphs;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    // The first that is neither too old nor too many is followed by others like it.
    const bool found =
        static_cast<int64_t>(graphs.size()) < *surplus || (*row && rows->Int(1) != 0);
    if (!*row || !found) return graphs;
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
