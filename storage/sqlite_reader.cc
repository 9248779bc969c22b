#include "storage/sqlite_reader.h"

#include <limits.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/encoding.h"
#include "storage/finished_queue.h"
#include "storage/graph_scan.h"
#include "storage/prune.h"
#include "storage/shared_rows.h"

namespace kartograph::storage {
namespace {

using planner::TaskState;

int64_t Key(planner::TaskKey task) { return static_cast<int64_t>(task.value); }

absl::Status NoSuchGraph(planner::GraphId graph) {
  return absl::NotFoundError(absl::StrCat("there is no graph ", planner::GraphIdToString(graph)));
}

// Fills everything of a task but its attempts. NULL stands for a payload that was not asked for.
#define TASK_COLUMNS                                                                      \
  "t.key, t.name, t.settings_id, t.after, (SELECT attempts_before FROM task_resets r "    \
  "WHERE r.task_key = t.key ORDER BY number DESC LIMIT 1), e.state, e.end_us, e.reason, " \
  "iif(?1, t.payload, NULL), t.details, t.expected_us"

absl::Status DecodeTask(const Rows& rows, RowDecoder& decoder, TaskRow& task) {
  task.task.task.value = static_cast<uint64_t>(rows.Int(0));
  task.task.name = rows.String(1);
  if (absl::Status status = decoder.FillSettings(rows.Int(2), task.task); !status.ok()) {
    return status;
  }
  if (absl::Status status = DecodeIndexes(rows.Bytes(3), task.task.after); !status.ok()) {
    return status;
  }
  task.attempts_before = static_cast<uint32_t>(rows.Int(4));
  if (!rows.IsNull(5)) {
    TaskEnded& ended = task.ended.emplace();
    ended.task = task.task.task;
    if (absl::Status status = RowDecoder::TaskEnd(rows, 5, ended); !status.ok()) return status;
  }
  task.task.payload = rows.String(8);
  task.task.details = rows.String(9);
  task.task.expected_duration = DecodeDuration(rows.Int(10));
  return absl::OkStatus();
}

// Counts the payloads of a list that is to end where they are too many bytes.
class PayloadBudget {
 public:
  explicit PayloadBudget(const HistoryReader::Detail& detail) : left_(detail.max_payload_bytes) {}
  bool has_room() const { return left_ >= 0; }
  void Take(const TaskRow& task) { left_ -= std::exchange(pending_, size(task)); }

 private:
  static int64_t size(const TaskRow& task) {
    return static_cast<int64_t>(task.task.payload.size());
  }
  int64_t left_;
  int64_t pending_ = 0;  // of the last task
};

// Up to `limit` of those that fit.
absl::Status DecodeTasks(absl::StatusOr<Rows> rows, RowDecoder& decoder, int limit,
                         const HistoryReader::Detail& detail, PayloadBudget& budget,
                         std::vector<TaskRow>& tasks) {
  if (!rows.ok()) return rows.status();
  while (budget.has_room() && static_cast<int>(tasks.size()) < limit) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (detail.where && !detail.where(rows->Bytes(9))) continue;
    if (absl::Status status = DecodeTask(*rows, decoder, tasks.emplace_back()); !status.ok()) {
      return status;
    }
    budget.Take(tasks.back());
  }
  return absl::OkStatus();
}

absl::Status DecodeAttempts(absl::StatusOr<Rows> rows, RowDecoder& decoder,
                            std::vector<AttemptRow>& attempts) {
  if (!rows.ok()) return rows.status();
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    absl::Status status = decoder.Attempt(*rows, /*return_value=*/false, attempts.emplace_back());
    if (!status.ok()) return status;
  }
}

absl::Status ReadAttempts(Connection& connection, RowDecoder& decoder, TaskRow& task) {
  const KeyRange keys = KeyRange::AttemptsOf(task.task.task);
  return DecodeAttempts(connection.Query("SELECT " KARTOGRAPH_ATTEMPT_COLUMNS
                                         " FROM attempts a LEFT JOIN attempt_ends e "
                                         "ON e.key = a.key "
                                         "WHERE a.key BETWEEN ? AND ? ORDER BY a.key",
                                         keys.first, keys.last),
                        decoder, task.attempts);
}

absl::Status ReadLastAttempt(Connection& connection, RowDecoder& decoder, planner::TaskKey task,
                             std::optional<AttemptRow>& attempt) {
  const KeyRange keys = KeyRange::AttemptsOf(task);
  std::vector<AttemptRow> attempts;
  absl::Status status =
      DecodeAttempts(connection.Query("SELECT " KARTOGRAPH_ATTEMPT_COLUMNS
                                      " FROM attempts a LEFT JOIN attempt_ends e ON e.key = a.key "
                                      "WHERE a.key BETWEEN ? AND ? ORDER BY a.key DESC LIMIT 1",
                                      keys.first, keys.last),
                     decoder, attempts);
  if (status.ok() && !attempts.empty()) attempt = std::move(attempts.front());
  return status;
}

absl::Status DecodeGraphs(absl::StatusOr<Rows> rows, std::vector<GraphRow>& graphs) {
  if (!rows.ok()) return rows.status();
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    if (absl::Status status = RowDecoder::Graph(*rows, graphs.emplace_back()); !status.ok()) {
      return status;
    }
  }
}

// What every filter of graphs has but what finds them: parameters 1 to 9.
#define GRAPHS_FILTER                                                          \
  "id < ?1 AND " KARTOGRAPH_VISIBLE                                            \
  " AND (?2 = 0 OR state = ?2) AND (?3 = '' OR name = ?3) "                    \
  "AND (?4 = '' OR client_queue = ?4) AND submit_us >= ?5 AND submit_us < ?6 " \
  "AND (?9 IS NULL OR user = ?9) "                                             \
  "AND NOT EXISTS (SELECT 1 FROM json_each(?7) wanted WHERE NOT EXISTS "       \
  "(SELECT 1 FROM graph_labels l WHERE l.graph_id = graphs.id "                \
  "AND lower(hex(l.name)) = wanted.value ->> 0 "                               \
  "AND lower(hex(l.value)) = wanted.value ->> 1)) ORDER BY id DESC LIMIT ?8"

// Newest first, by what finds the fewest: a label, a name, a state, or all of them.
// `wanted` is EncodeLabels of the filter's; like the filter it outlives the rows.
absl::StatusOr<Rows> QueryGraphs(Connection& connection, planner::GraphId before, int limit,
                                 const HistoryReader::GraphFilter& filter,
                                 absl::string_view wanted) {
  const int64_t below = before == 0 ? INT64_MAX : int64_t{before};
  const int64_t state = filter.state.has_value() ? static_cast<int64_t>(*filter.state) : 0;
  const absl::string_view name = filter.name;
  const absl::string_view queue = filter.client_queue;
  const int64_t since = EncodeTime(filter.submitted_since);
  const int64_t until = EncodeTime(filter.submitted_before);
  const int64_t rows = limit;
  const std::optional<absl::string_view> user = filter.user;
  if (!filter.labels.empty()) {
    return connection.Query(
        "SELECT " KARTOGRAPH_GRAPH_COLUMNS
        " FROM graphs WHERE id IN (SELECT graph_id FROM graph_labels WHERE name = ?10 AND value = "
        "?11 AND graph_id < ?1) AND " GRAPHS_FILTER,
        below, state, name, queue, since, until, wanted, rows, user,
        absl::string_view(filter.labels[0].first), absl::string_view(filter.labels[0].second));
  }
  if (!filter.name.empty()) {
    return connection.Query(
        "SELECT " KARTOGRAPH_GRAPH_COLUMNS
        " FROM graphs INDEXED BY graphs_by_name WHERE name = ?3 AND " GRAPHS_FILTER,
        below, state, name, queue, since, until, wanted, rows, user);
  }
  if (filter.state.has_value()) {
    return connection.Query(
        "SELECT " KARTOGRAPH_GRAPH_COLUMNS
        " FROM graphs INDEXED BY graphs_by_state WHERE state = ?2 AND " GRAPHS_FILTER,
        below, state, name, queue, since, until, wanted, rows, user);
  }
  return connection.Query("SELECT " KARTOGRAPH_GRAPH_COLUMNS " FROM graphs WHERE " GRAPHS_FILTER,
                          below, state, name, queue, since, until, wanted, rows, user);
}

absl::Status ReadGraph(Connection& connection, planner::GraphId graph, GraphRow& row) {
  std::vector<GraphRow> graphs;
  absl::Status status =
      DecodeGraphs(connection.Query("SELECT " KARTOGRAPH_GRAPH_COLUMNS
                                    " FROM graphs WHERE id = ? AND " KARTOGRAPH_VISIBLE,
                                    int64_t{graph}),
                   graphs);
  if (!status.ok()) return status;
  if (graphs.empty()) return NoSuchGraph(graph);
  row = std::move(graphs.front());
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<GraphRow> SqliteReader::GetGraph(planner::GraphId graph) {
  GraphRow row;
  absl::Status status =
      InTransaction([&](Session& session) { return ReadGraph(*session.connection, graph, row); });
  if (!status.ok()) return status;
  return row;
}

absl::StatusOr<std::vector<GraphRow>> SqliteReader::ListGraphs(planner::GraphId before, int limit,
                                                               const GraphFilter& filter) {
  std::vector<GraphRow> graphs;
  const std::string labels = EncodeLabels(filter.labels);
  absl::Status status = InTransaction([&](Session& session) {
    return DecodeGraphs(QueryGraphs(*session.connection, before, limit, filter, labels), graphs);
  });
  if (!status.ok()) return status;
  return graphs;
}

absl::StatusOr<std::vector<TaskRow>> SqliteReader::ListTasks(
    planner::GraphId graph, planner::TaskIndex from, int limit,
    absl::Span<const planner::TaskState> states, Detail detail) {
  std::vector<TaskRow> tasks;
  PayloadBudget budget(detail);
  if (from >= planner::kMaxTasks) return tasks;
  const int64_t first = Key(planner::TaskKey::Of(graph, from));
  const int64_t last = KeyRange::TasksOf(graph).last;
  const int64_t rows_read = detail.where ? detail.max_rows : int64_t{limit};
  bool wanted[planner::kTaskStates] = {};
  for (TaskState state : states) wanted[static_cast<size_t>(state)] = true;
  const auto want = [&wanted](TaskState state) {
    const int64_t number = static_cast<int64_t>(state);
    return wanted[number] ? number : 0;
  };
  absl::Status status = InTransaction([&](Session& session) {
    absl::StatusOr<Rows> rows =
        states.empty()
            ? session.connection->Query("SELECT " TASK_COLUMNS
                                        " FROM tasks t LEFT JOIN task_ends e ON e.key = t.key "
                                        "WHERE t.key BETWEEN ?2 AND ?3 ORDER BY t.key LIMIT ?4",
                                        int64_t{detail.payload}, first, last, rows_read)
            : session.connection->Query(
                  // The ends come first (CROSS JOIN keeps the order): they are narrow, and what is
                  // asked for are mostly the few that failed.
                  "SELECT " TASK_COLUMNS
                  " FROM task_ends e CROSS JOIN tasks t ON t.key = e.key "
                  "WHERE e.key BETWEEN ?2 AND ?3 AND e.state IN (?5, ?6, ?7, ?8) "
                  "ORDER BY e.key LIMIT ?4",
                  int64_t{detail.payload}, first, last, rows_read, want(TaskState::kSucceeded),
                  want(TaskState::kFailed), want(TaskState::kCancelled), want(TaskState::kSkipped));
    absl::Status status =
        DecodeTasks(std::move(rows), session.decoder, limit, detail, budget, tasks);
    if (!detail.attempts) return status;
    for (TaskRow& task : tasks) {
      if (!status.ok()) return status;
      status = ReadAttempts(*session.connection, session.decoder, task);
    }
    return status;
  });
  if (!status.ok()) return status;
  return tasks;
}

absl::StatusOr<std::vector<TaskRow>> SqliteReader::GetTasks(absl::Span<const planner::TaskKey> keys,
                                                            Detail detail) {
  std::vector<TaskRow> tasks;
  PayloadBudget budget(detail);
  absl::Status status = InTransaction([&](Session& session) {
    for (planner::TaskKey key : keys) {
      if (!budget.has_room()) break;
      const size_t before = tasks.size();
      absl::Status status = DecodeTasks(
          session.connection->Query("SELECT " TASK_COLUMNS
                                    " FROM tasks t LEFT JOIN task_ends e ON e.key = t.key "
                                    "WHERE t.key = ?2",
                                    int64_t{detail.payload}, Key(key)),
          session.decoder, INT_MAX, detail, budget, tasks);
      if (status.ok() && detail.attempts && tasks.size() > before) {
        status = ReadAttempts(*session.connection, session.decoder, tasks.back());
      }
      if (!status.ok()) return status;
    }
    return absl::OkStatus();
  });
  if (!status.ok()) return status;
  return tasks;
}

absl::StatusOr<TaskRow> SqliteReader::GetTask(planner::GraphId graph, absl::string_view name) {
  std::vector<TaskRow> tasks;
  PayloadBudget budget({});
  absl::Status status = InTransaction([&](Session& session) {
    absl::Status status = DecodeTasks(
        session.connection->Query("SELECT " TASK_COLUMNS
                                  " FROM tasks t LEFT JOIN task_ends e ON e.key = t.key "
                                  "WHERE t.graph_id = ?2 AND t.name = ?3 AND EXISTS "
                                  "(SELECT 1 FROM graphs WHERE id = ?2 AND " KARTOGRAPH_VISIBLE ")",
                                  int64_t{1}, int64_t{graph}, name),
        session.decoder, 1, {}, budget, tasks);
    if (!status.ok()) return status;
    if (tasks.empty()) {
      GraphRow row;
      status = ReadGraph(*session.connection, graph, row);
      if (!status.ok()) return status;
      return absl::NotFoundError(absl::StrCat("graph ", planner::GraphIdToString(graph),
                                              " has no task named \"", name, "\""));
    }
    return ReadAttempts(*session.connection, session.decoder, tasks.front());
  });
  if (!status.ok()) return status;
  return std::move(tasks.front());
}

absl::StatusOr<ResultPart> SqliteReader::ReadResult(planner::AttemptId attempt, int64_t offset,
                                                    int64_t max_bytes) {
  return Get<ResultPart>([&](Session& session) -> absl::StatusOr<ResultPart> {
    absl::StatusOr<Rows> rows = session.connection->Query(
        "SELECT length(return_value), substr(return_value, ?2 + 1, ?3) FROM attempt_ends "
        "WHERE key = ?1",
        static_cast<int64_t>(attempt.value), offset, max_bytes);
    if (!rows.ok()) return rows.status();
    absl::StatusOr<bool> found = rows->Next();
    if (!found.ok()) return found.status();
    if (!*found) {
      return absl::NotFoundError(
          absl::StrCat("attempt ", planner::AttemptIdToString(attempt), " has not ended"));
    }
    return ResultPart{rows->Int(0), rows->String(1)};
  });
}

absl::StatusOr<std::vector<FailureRow>> SqliteReader::ListFailures(int limit) {
  std::vector<FailureRow> failures;
  absl::Status status = InTransaction([&](Session& session) -> absl::Status {
    static_assert(static_cast<int>(TaskState::kFailed) == 6, "as the index `failures` has it");
    absl::StatusOr<Rows> rows = session.connection->Query(
        "SELECT e.key, e.state, e.end_us, e.reason, t.name, g.name "
        "FROM task_ends e INDEXED BY failures CROSS JOIN tasks t ON t.key = e.key "
        "CROSS JOIN graphs g ON g.id = t.graph_id "
        "WHERE e.state = 6 AND " KARTOGRAPH_VISIBLE " ORDER BY e.end_us DESC, e.key DESC LIMIT ?",
        int64_t{limit});
    if (!rows.ok()) return rows.status();
    for (;;) {
      absl::StatusOr<bool> row = rows->Next();
      if (!row.ok()) return row.status();
      if (!*row) return absl::OkStatus();
      FailureRow& failure = failures.emplace_back();
      failure.ended.task.value = static_cast<uint64_t>(rows->Int(0));
      absl::Status status = RowDecoder::TaskEnd(*rows, 1, failure.ended);
      if (!status.ok()) return status;
      failure.task_name = rows->String(4);
      failure.graph_name = rows->String(5);
      status = ReadLastAttempt(*session.connection, session.decoder, failure.ended.task,
                               failure.last_attempt);
      if (!status.ok()) return status;
    }
  });
  if (!status.ok()) return status;
  return failures;
}

absl::StatusOr<std::vector<std::string>> SqliteReader::UnusedBlobs(
    absl::Span<const std::string> blobs) {
  return Get<std::vector<std::string>>(
      [&](Session& session) -> absl::StatusOr<std::vector<std::string>> {
        std::vector<std::string> unused;
        for (const std::string& blob : blobs) {
          absl::StatusOr<Rows> rows = session.connection->Query(
              "SELECT 1 FROM graph_blobs WHERE blob = ? LIMIT 1", absl::string_view(blob));
          if (!rows.ok()) return rows.status();
          absl::StatusOr<bool> found = rows->Next();
          if (!found.ok()) return found.status();
          if (!*found) unused.push_back(blob);
        }
        return unused;
      });
}

absl::StatusOr<std::vector<QueueRow>> SqliteReader::ListQueues(absl::string_view after, int limit) {
  return Get<std::vector<QueueRow>>(
      [&](Session& session) { return ReadQueues(*session.connection, after, limit); });
}

absl::StatusOr<std::vector<Finished>> SqliteReader::FinishedOf(absl::string_view client_queue,
                                                               int max_tasks, int64_t max_bytes,
                                                               const DeliveryFilter& filter) {
  return Get<std::vector<Finished>>([&](Session& session) {
    return ReadFinished(*session.connection, session.decoder, client_queue, max_tasks, max_bytes,
                        filter);
  });
}

absl::StatusOr<std::vector<int64_t>> SqliteReader::DeliveriesOf(absl::string_view client_queue,
                                                                int max_deliveries) {
  return Get<std::vector<int64_t>>([&](Session& session) {
    return ReadDeliveries(*session.connection, client_queue, max_deliveries);
  });
}

absl::StatusOr<bool> SqliteReader::HasDeliveries(planner::GraphId graph) {
  return Get<bool>([&](Session& session) { return FindDelivery(*session.connection, graph); });
}

absl::Status SqliteReader::VisitGraph(planner::GraphId graph, GraphVisitor& visitor) {
  return InTransaction([&](Session& session) {
    return ScanGraph(*session.connection, session.decoder, graph, visitor);
  });
}

absl::StatusOr<std::vector<planner::GraphId>> SqliteReader::FindPrunable(const Keep& keep,
                                                                         int max_graphs) {
  return Get<std::vector<planner::GraphId>>(
      [&](Session& session) { return FindPrunableGraphs(*session.connection, keep, max_graphs); });
}

absl::StatusOr<UnusedRows> SqliteReader::FindUnused() {
  // Some hundredths of a second: a long transaction would keep the WAL from starting over.
  constexpr int64_t kRowsAtOnce = 50000;
  UnusedScan scan;
  absl::Status status =
      InTransaction([&](Session& session) { return scan.Begin(*session.connection); });
  for (bool over = false; status.ok() && !over;) {
    status = InTransaction([&](Session& session) {
      absl::StatusOr<bool> done = scan.Continue(*session.connection, kRowsAtOnce);
      if (done.ok()) over = *done;
      return done.status();
    });
  }
  if (!status.ok()) return status;
  return scan.Unused();
}

template <typename Read>
absl::Status SqliteReader::InTransaction(Read read) {
  absl::StatusOr<std::unique_ptr<Session>> session = Take();
  if (!session.ok()) return session.status();
  absl::Status status;
  {
    absl::StatusOr<Transaction> transaction =
        Transaction::Begin(*(*session)->connection, Transaction::kRead);
    status = transaction.ok() ? read(**session) : transaction.status();
  }
  GiveBack(*std::move(session));
  return status;
}

template <typename T, typename Read>
absl::StatusOr<T> SqliteReader::Get(Read read) {
  absl::StatusOr<T> result = absl::UnknownError("nothing was read");
  const absl::Status status = InTransaction([&](Session& session) {
    result = read(session);
    return result.status();
  });
  if (!status.ok()) return status;
  return result;
}

absl::StatusOr<std::unique_ptr<SqliteReader::Session>> SqliteReader::Take() {
  {
    MutexLock lock(&mutex_);
    while (idle_.empty() && open_ >= kMaxConnections) given_back_.Wait(&mutex_);
    if (!idle_.empty()) {
      std::unique_ptr<Session> session = std::move(idle_.back());
      idle_.pop_back();
      return session;
    }
    ++open_;
  }
  absl::StatusOr<std::unique_ptr<Connection>> connection = Connection::Open(options_);
  if (!connection.ok()) {
    MutexLock lock(&mutex_);
    --open_;
    given_back_.NotifyOne();
    return connection.status();
  }
  return std::make_unique<Session>(*std::move(connection));
}

void SqliteReader::GiveBack(std::unique_ptr<Session> session) {
  MutexLock lock(&mutex_);
  idle_.push_back(std::move(session));
  given_back_.NotifyOne();
}

}  // namespace kartograph::storage
