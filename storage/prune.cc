#include "storage/prune.h"

#include <cstdint>

#include "planner/states.h"
#include "storage/encoding.h"
#include "storage/row_decoder.h"

namespace kartograph::storage {
namespace {

absl::StatusOr<std::vector<planner::GraphId>> FindPrunable(Connection& connection,
                                                           absl::Time before, int max_graphs) {
  absl::StatusOr<Rows> rows = connection.Query(
      "SELECT id, tasks FROM graphs WHERE end_us < ?1 AND state <> ?2 "
      "AND id NOT IN (SELECT task_key >> 20 FROM finished) ORDER BY end_us, id LIMIT ?3",
      EncodeTime(before), static_cast<int64_t>(planner::GraphState::kRunning), int64_t{max_graphs});
  if (!rows.ok()) return rows.status();
  std::vector<planner::GraphId> graphs;
  int64_t tasks = 0;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return graphs;
    tasks += rows->Int(1);
    if (!graphs.empty() && tasks > kMaxPrunedTasks) return graphs;
    graphs.push_back(static_cast<planner::GraphId>(rows->Int(0)));
  }
}

absl::Status RemoveGraph(Connection& connection, planner::GraphId graph) {
  const KeyRange tasks = KeyRange::TasksOf(graph);
  const KeyRange attempts = KeyRange::AttemptsOf(graph);
  absl::Status status = connection.Run("DELETE FROM attempt_ends WHERE key BETWEEN ? AND ?",
                                       attempts.first, attempts.last);
  if (!status.ok()) return status;
  status = connection.Run("DELETE FROM attempts WHERE key BETWEEN ? AND ?", attempts.first,
                          attempts.last);
  if (!status.ok()) return status;
  status = connection.Run("DELETE FROM task_resets WHERE task_key BETWEEN ? AND ?", tasks.first,
                          tasks.last);
  if (!status.ok()) return status;
  status =
      connection.Run("DELETE FROM task_ends WHERE key BETWEEN ? AND ?", tasks.first, tasks.last);
  if (!status.ok()) return status;
  status = connection.Run("DELETE FROM tasks WHERE key BETWEEN ? AND ?", tasks.first, tasks.last);
  if (!status.ok()) return status;
  return connection.Run("DELETE FROM graphs WHERE id = ?", int64_t{graph});
}

}  // namespace

absl::StatusOr<std::vector<planner::GraphId>> PruneHistory(Connection& connection,
                                                           absl::Time before, int max_graphs) {
  absl::StatusOr<std::vector<planner::GraphId>> graphs =
      FindPrunable(connection, before, max_graphs);
  if (!graphs.ok()) return graphs;
  for (planner::GraphId graph : *graphs) {
    if (absl::Status status = RemoveGraph(connection, graph); !status.ok()) return status;
  }
  absl::Status status =
      connection.Run("DELETE FROM requests WHERE time_us < ?", EncodeTime(before));
  if (!status.ok()) return status;
  return graphs;
}

}  // namespace kartograph::storage
