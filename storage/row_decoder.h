// How rows become records again.
#ifndef KARTOGRAPH_STORAGE_ROW_DECODER_H_
#define KARTOGRAPH_STORAGE_ROW_DECODER_H_

#include <cstdint>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/history.h"
#include "storage/settings.h"
#include "storage/sqlite.h"

// The columns that RowDecoder reads, for use inside a literal: tables graphs, attempts (as a) with
// attempt_ends (as e), and task_ends.
#define KARTOGRAPH_GRAPH_COLUMNS                                                              \
  "id, name, client_queue, fail_fast, open, state, submit_us, end_us, tasks, succeeded, "     \
  "failed, cancelled, skipped, work, open_until_idle_us, deliver_end, details, user, share, " \
  "max_running, max_held"
// Graphs that are not hidden.
#define KARTOGRAPH_VISIBLE "work NOT IN (1, 5)"
#define KARTOGRAPH_ATTEMPT_COLUMNS                                                   \
  "a.key, a.agent_id, a.launch_us, e.outcome, e.exit_status, e.signal, e.start_us, " \
  "e.end_us, e.peak_ram, e.cpu_us, e.wall_us, e.message, length(e.return_value), e.has_value"
#define KARTOGRAPH_TASK_END_COLUMNS "state, end_us, reason"

namespace kartograph::storage {

// The first and the last key that a graph's or a task's rows can have.
struct KeyRange {
  int64_t first;
  int64_t last;

  static KeyRange TasksOf(planner::GraphId graph);
  static KeyRange AttemptsOf(planner::GraphId graph);
  static KeyRange AttemptsOf(planner::TaskKey task);
};

// Reads rows of committed data through one connection. Keeps what it has decoded of the shared
// rows (settings, agents), which never change. DataLoss for values that no writer writes.
// Thread-compatible.
class RowDecoder {
 public:
  explicit RowDecoder(Connection* connection) : connection_(*connection) {}

  // KARTOGRAPH_GRAPH_COLUMNS at column 0. Labels are only to be found by, and left empty: whoever
  // wrote them has them among the details.
  static absl::Status Graph(const Rows& rows, GraphRow& graph);
  // KARTOGRAPH_ATTEMPT_COLUMNS at column 0, and at the end, with `return_value`, e.return_value.
  // The outcome is kNone for an attempt without an end. Overwrites all of `attempt` but
  // ended.return_value, which it touches only with `return_value`.
  absl::Status Attempt(const Rows& rows, bool return_value, AttemptRow& attempt);
  // KARTOGRAPH_TASK_END_COLUMNS at `column`, all set; leaves ended.task alone.
  static absl::Status TaskEnd(const Rows& rows, int column, TaskEnded& ended);
  absl::Status FillSettings(int64_t settings_id, TaskSubmitted& task);

 private:
  absl::StatusOr<const Settings*> FindSettings(int64_t id);
  absl::Status FillAgent(int64_t agent_id, AttemptLaunched& launched);

  Connection& connection_;
  absl::flat_hash_map<int64_t, Settings> settings_;
  absl::flat_hash_map<int64_t, std::pair<std::string, std::string>> agents_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_ROW_DECODER_H_
