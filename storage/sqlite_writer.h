// HistoryWriter on SQLite.
#ifndef KARTOGRAPH_STORAGE_SQLITE_WRITER_H_
#define KARTOGRAPH_STORAGE_SQLITE_WRITER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "storage/batch_rows.h"
#include "storage/checkpointer.h"
#include "storage/commit_batch.h"
#include "storage/history.h"
#include "storage/history_mark.h"
#include "storage/row_decoder.h"
#include "storage/sqlite.h"
#include "storage/state_lock.h"

namespace kartograph::storage {

// The one connection that writes. Thread-compatible.
class SqliteWriter : public HistoryWriter {
 public:
  // `connection` has the newest schema; `lock` is held as long as the writer lives.
  static absl::StatusOr<std::unique_ptr<SqliteWriter>> Create(
      std::unique_ptr<Connection> connection, std::unique_ptr<StateLock> lock);

  // Copies the WAL beside the commits from now on, and keeps a reserve; see Checkpointer.
  absl::Status StartCheckpoints(const Connection::Options& options, bool durable, int pages,
                                int64_t reserve);

  absl::Status Commit(absl::Span<const Record> records) override;
  absl::Status CommitUrgent(absl::Span<const Record> records) override;
  absl::Status CheckWritable() override;
  absl::Status VisitLive(GraphVisitor& visitor) override;
  absl::Status AbandonSubmissions() override;
  absl::StatusOr<planner::GraphId> LastGraphId() override;
  absl::StatusOr<int64_t> LastDeliveryId() override;
  absl::Status KeepMark(const std::string& path, const Identity& identity) override;
  absl::StatusOr<std::vector<PoolChanged>> PoolsSet() override;
  absl::StatusOr<absl::Time> LastRetentionTime() override;
  absl::StatusOr<std::vector<KindLearnt>> Kinds() override;
  absl::StatusOr<std::vector<std::string>> Payloads(
      absl::Span<const planner::TaskKey> tasks) override;
  absl::StatusOr<std::optional<Values>> ValuesBefore(planner::TaskKey task,
                                                     int64_t max_bytes) override;
  absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId graph,
                                            absl::string_view name) override;
  absl::StatusOr<bool> HasGraph(planner::GraphId graph) override;
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override;
  absl::StatusOr<std::vector<planner::GraphId>> Prune(
      absl::Time before, absl::Span<const planner::GraphId> graphs) override;
  absl::StatusOr<bool> RemoveSome(int64_t max_rows) override;
  void BeginSweep() override;
  absl::Status RemoveUnused(UnusedRows& unused, int64_t max_rows) override;
  void EndSweep() override;
  absl::StatusOr<int64_t> ForgetRequests(absl::Time before, int64_t max_rows) override;

 private:
  SqliteWriter(std::unique_ptr<Connection> connection, std::unique_ptr<StateLock> lock)
      : lock_(std::move(lock)), connection_(std::move(connection)), decoder_(connection_.get()) {}

  absl::StatusOr<int64_t> Counter(absl::string_view name);
  // Runs `write` (-> absl::Status) in a transaction.
  template <typename Write>
  absl::Status InTransaction(Write write);

  // In this order, so that the connection is closed before the lock is released.
  const std::unique_ptr<StateLock> lock_;
  // Row feeds, which the connection uses.
  std::unique_ptr<CommitBatch> batch_;
  BatchRows<WantedPayload> wanted_payloads_;
  const std::unique_ptr<Connection> connection_;
  RowDecoder decoder_;
  std::unique_ptr<HistoryMark> mark_;           // null: none is kept
  std::unique_ptr<Checkpointer> checkpointer_;  // null: the commits do it
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SQLITE_WRITER_H_
