#include "storage/sqlite_writer.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/encoding.h"
#include "storage/graph_scan.h"
#include "storage/prune.h"
#include "storage/schema.h"
#include "storage/shared_rows.h"

namespace kartograph::storage {
namespace {

absl::Status NoSuchTask(planner::TaskKey task) {
  return absl::NotFoundError(absl::StrCat("graph ", planner::GraphIdToString(task.graph()),
                                          " has no task with index ", task.index()));
}

}  // namespace

absl::StatusOr<std::unique_ptr<SqliteWriter>> SqliteWriter::Create(
    std::unique_ptr<Connection> connection, std::unique_ptr<StateLock> lock) {
  std::unique_ptr<SqliteWriter> writer(new SqliteWriter(std::move(connection), std::move(lock)));
  absl::StatusOr<std::unique_ptr<CommitBatch>> batch =
      CommitBatch::Create(writer->connection_.get());
  if (!batch.ok()) return batch.status();
  writer->batch_ = *std::move(batch);
  if (absl::Status status = RegisterRowFeed(*writer->connection_, "wanted_payloads",
                                            WantedPayload::kColumns, &writer->wanted_payloads_);
      !status.ok()) {
    return status;
  }
  return writer;
}

absl::Status SqliteWriter::StartCheckpoints(const Connection::Options& options, bool durable,
                                            int pages, int64_t reserve) {
  absl::StatusOr<std::unique_ptr<Checkpointer>> checkpointer =
      Checkpointer::Start(connection_.get(), options, durable, pages, reserve);
  if (!checkpointer.ok()) return checkpointer.status();
  checkpointer_ = *std::move(checkpointer);
  return absl::OkStatus();
}

absl::Status SqliteWriter::Commit(absl::Span<const Record> records) {
  if (records.empty()) return absl::OkStatus();
  if (checkpointer_ != nullptr) {
    if (absl::Status room = checkpointer_->CheckRoom(); !room.ok()) return room;
  }
  return CommitUrgent(records);
}

absl::Status SqliteWriter::CheckWritable() {
  if (checkpointer_ != nullptr) {
    if (absl::Status room = checkpointer_->CheckRoom(); !room.ok()) return room;
  }
  // Writes a page although nothing changes.
  const std::string unchanged = absl::StrCat("PRAGMA user_version = ", Migrations().size());
  return connection_->Execute(unchanged.c_str());
}

absl::Status SqliteWriter::CommitUrgent(absl::Span<const Record> records) {
  absl::Status status;
  {
    absl::StatusOr<Transaction> transaction = Transaction::Begin(*connection_, Transaction::kWrite);
    if (!transaction.ok()) return transaction.status();
    status = batch_->Write(records);
    if (status.ok()) status = transaction->Commit();
  }
  if (status.ok()) {
    batch_->Committed();
    if (mark_ != nullptr) mark_->Raise(batch_->newest_graph());
  } else {
    batch_->RolledBack();
  }
  return status;
}

absl::Status SqliteWriter::VisitLive(GraphVisitor& visitor) {
  std::vector<planner::GraphId> graphs;
  {
    absl::StatusOr<Rows> rows = connection_->Query(
        "SELECT id FROM graphs WHERE state = ? AND " KARTOGRAPH_VISIBLE " ORDER BY id",
        static_cast<int64_t>(planner::GraphState::kRunning));
    if (!rows.ok()) return rows.status();
    for (;;) {
      absl::StatusOr<bool> row = rows->Next();
      if (!row.ok()) return row.status();
      if (!*row) break;
      graphs.push_back(static_cast<planner::GraphId>(rows->Int(0)));
    }
  }
  for (planner::GraphId graph : graphs) {
    absl::Status status = ScanGraph(*connection_, decoder_, graph, visitor);
    if (!status.ok()) return status;
  }
  return absl::OkStatus();
}

absl::Status SqliteWriter::AbandonSubmissions() {
  return connection_->Run("UPDATE graphs SET work = ? WHERE work = ?",
                          static_cast<int64_t>(GraphWork::kRemoving),
                          static_cast<int64_t>(GraphWork::kSubmitting));
}

absl::StatusOr<planner::GraphId> SqliteWriter::LastGraphId() {
  absl::StatusOr<int64_t> last = Counter("last graph");
  if (!last.ok()) return last.status();
  return static_cast<planner::GraphId>(*last);
}

absl::StatusOr<int64_t> SqliteWriter::LastDeliveryId() { return Counter("last delivery"); }

absl::Status SqliteWriter::KeepMark(const std::string& path, const Identity& identity) {
  const absl::StatusOr<planner::GraphId> last = LastGraphId();
  if (!last.ok()) return last.status();
  absl::StatusOr<std::unique_ptr<HistoryMark>> mark =
      HistoryMark::Create(path, {identity.history, identity.incarnations.back(), *last});
  if (!mark.ok()) return mark.status();
  mark_ = *std::move(mark);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PoolChanged>> SqliteWriter::PoolsSet() {
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT pool, capacity_milli, setting_milli, time_us, caller FROM pool_changes "
      "WHERE number IN (SELECT max(number) FROM pool_changes GROUP BY pool) "
      "AND capacity_milli IS NOT NULL ORDER BY pool");
  if (!rows.ok()) return rows.status();
  std::vector<PoolChanged> pools;
  for (;;) {
    absl::StatusOr<bool> more = rows->Next();
    if (!more.ok()) return more.status();
    if (!*more) return pools;
    const absl::StatusOr<planner::Quantity> capacity = planner::Quantity::FromOutside(rows->Int(1));
    const absl::StatusOr<planner::Quantity> setting = planner::Quantity::FromOutside(rows->Int(2));
    if (!capacity.ok() || !setting.ok() || capacity->is_zero()) {
      return absl::DataLossError(
          absl::StrCat("the capacity of pool ", rows->Bytes(0), " in the run history is none"));
    }
    pools.push_back(
        {rows->String(0), *capacity, *setting, DecodeTime(rows->Int(3)), rows->String(4)});
  }
}

absl::StatusOr<absl::Time> SqliteWriter::LastRetentionTime() {
  absl::StatusOr<int64_t> micros = Counter(kRetentionCounter);
  if (!micros.ok()) return micros.status();
  return *micros == 0 ? absl::InfinitePast() : DecodeTime(*micros);
}

absl::StatusOr<std::vector<KindLearnt>> SqliteWriter::Kinds() {
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT id, graph, task, consumption, runs, usage, last_run_us FROM kinds ORDER BY id");
  if (!rows.ok()) return rows.status();
  std::vector<KindLearnt> kinds;
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return kinds;
    kinds.push_back({rows->Int(0), rows->String(1), rows->String(2), rows->String(3), rows->Int(4),
                     rows->String(5), DecodeTime(rows->Int(6))});
  }
}

absl::StatusOr<int64_t> SqliteWriter::Counter(absl::string_view name) {
  absl::StatusOr<Rows> rows = connection_->Query("SELECT value FROM counters WHERE name = ?", name);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  return *found ? rows->Int(0) : 0;
}

absl::StatusOr<std::vector<std::string>> SqliteWriter::Payloads(
    absl::Span<const planner::TaskKey> tasks) {
  wanted_payloads_.Clear();
  for (size_t i = 0; i < tasks.size(); ++i) {
    wanted_payloads_.Add({static_cast<int64_t>(tasks[i].value), static_cast<int64_t>(i)});
  }
  wanted_payloads_.Sort();
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT position, payload FROM wanted_payloads CROSS JOIN tasks USING (key)");
  if (!rows.ok()) return rows.status();
  std::vector<std::string> payloads(tasks.size());
  std::vector<bool> found(tasks.size());
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) break;
    const size_t position = static_cast<size_t>(rows->Int(0));
    payloads[position] = rows->String(1);
    found[position] = true;
  }
  for (size_t i = 0; i < tasks.size(); ++i) {
    if (!found[i]) return NoSuchTask(tasks[i]);
  }
  return payloads;
}

absl::StatusOr<std::optional<HistoryWriter::Values>> SqliteWriter::ValuesBefore(
    planner::TaskKey task, int64_t max_bytes) {
  // Each is a file, which it is better to do without than to wait for.
  constexpr size_t kMaxValues = 1000;
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT name, length(return_value), iif(length(return_value) <= ?2, return_value, NULL), "
      "has_value FROM (SELECT before.key, before.name FROM tasks, json_each(tasks.after) AS edge "
      "CROSS JOIN tasks AS before ON before.key = (tasks.key & ~1048575) | edge.value "
      "WHERE tasks.key = ?1 LIMIT ?3) AS task "
      "CROSS JOIN attempt_ends ON attempt_ends.key = (SELECT max(key) FROM attempts "
      "WHERE key BETWEEN task.key << 11 AND (task.key << 11) + 2047)",
      static_cast<int64_t>(task.value), max_bytes, static_cast<int64_t>(kMaxValues + 1));
  if (!rows.ok()) return rows.status();
  Values values;
  int64_t bytes = 0;
  for (size_t count = 0;; ++count) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return values;
    bytes += rows->Int(1);
    if (bytes > max_bytes || count >= kMaxValues) return std::nullopt;
    if (rows->Int(3) != 0) values.emplace_back(rows->String(0), rows->String(2));
  }
}

absl::StatusOr<planner::TaskKey> SqliteWriter::FindTask(planner::GraphId graph,
                                                        absl::string_view name) {
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT key FROM tasks WHERE graph_id = ?1 AND name = ?2 AND EXISTS "
      "(SELECT 1 FROM graphs WHERE id = ?1 AND " KARTOGRAPH_VISIBLE ")",
      int64_t{graph}, name);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) {
    return absl::NotFoundError(absl::StrCat("graph ", planner::GraphIdToString(graph),
                                            " has no task named \"", name, "\""));
  }
  return planner::TaskKey{static_cast<uint64_t>(rows->Int(0))};
}

absl::StatusOr<bool> SqliteWriter::HasGraph(planner::GraphId graph) {
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT 1 FROM graphs WHERE id = ? AND " KARTOGRAPH_VISIBLE, int64_t{graph});
  if (!rows.ok()) return rows.status();
  return rows->Next();
}

absl::StatusOr<std::optional<std::string>> SqliteWriter::FindRequest(absl::string_view request_id) {
  absl::StatusOr<Rows> rows =
      connection_->Query("SELECT answer FROM requests WHERE id = ?", request_id);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> found = rows->Next();
  if (!found.ok()) return found.status();
  if (!*found) return std::nullopt;
  return rows->String(0);
}

template <typename Write>
absl::Status SqliteWriter::InTransaction(Write write) {
  absl::StatusOr<Transaction> transaction = Transaction::Begin(*connection_, Transaction::kWrite);
  if (!transaction.ok()) return transaction.status();
  if (absl::Status status = write(); !status.ok()) return status;
  return transaction->Commit();
}

absl::StatusOr<std::vector<planner::GraphId>> SqliteWriter::Prune(
    absl::Time before, absl::Span<const planner::GraphId> graphs) {
  std::vector<planner::GraphId> pruned;
  absl::Status status =
      InTransaction([&] { return HideGraphs(*connection_, before, graphs, pruned); });
  if (!status.ok()) return status;
  return pruned;
}

absl::StatusOr<bool> SqliteWriter::RemoveSome(int64_t max_rows) {
  bool more = false;
  absl::Status status =
      InTransaction([&] { return RemoveHiddenRows(*connection_, max_rows, more); });
  if (!status.ok()) return status;
  return more;
}

void SqliteWriter::BeginSweep() { batch_->interner().BeginSweep(); }

absl::Status SqliteWriter::RemoveUnused(UnusedRows& unused, int64_t max_rows) {
  Interner& interner = batch_->interner();
  int64_t looked_at = 0;
  absl::Status status = InTransaction(
      [&] { return RemoveUnusedRows(*connection_, unused, interner.used(), max_rows, looked_at); });
  if (!status.ok()) return status;
  Drop(unused, looked_at);
  interner.Removed();
  return absl::OkStatus();
}

void SqliteWriter::EndSweep() { batch_->interner().EndSweep(); }

absl::StatusOr<int64_t> SqliteWriter::ForgetRequests(absl::Time before, int64_t max_rows) {
  absl::Status status = connection_->Run(
      "DELETE FROM requests WHERE id IN (SELECT id FROM requests WHERE time_us < ? LIMIT ?)",
      EncodeTime(before), max_rows);
  if (!status.ok()) return status;
  return connection_->changes();
}

}  // namespace kartograph::storage
