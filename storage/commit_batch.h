// How records become rows.
#ifndef KARTOGRAPH_STORAGE_COMMIT_BATCH_H_
#define KARTOGRAPH_STORAGE_COMMIT_BATCH_H_

#include <cstdint>
#include <memory>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/types/span.h"
#include "storage/batch_rows.h"
#include "storage/interner.h"
#include "storage/records.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// The counter that holds RetentionTime.
inline constexpr char kRetentionCounter[] = "retention time";

// Writes batches of records, each within a transaction of the caller. Sorts a batch's records by
// table and adds all rows of a table with one statement; the result is that of writing them one by
// one. Thread-compatible.
class CommitBatch {
 public:
  // `connection` has the newest schema and outlives the object's last Write. Once for a connection.
  static absl::StatusOr<std::unique_ptr<CommitBatch>> Create(Connection* connection);

  // Internal where the records contradict what is stored: a task, an attempt or an end that is
  // there already, a graph that is not.
  absl::Status Write(absl::Span<const Record> records);

  // How the transaction of the last Write ended.
  void Committed();
  void RolledBack();

  // The newest graph that was committed; 0: none.
  planner::GraphId newest_graph() const { return newest_graph_; }

  Interner& interner() { return interner_; }

 private:
  struct CountChange {
    planner::GraphId graph;
    int64_t tasks = 0;
    int64_t by_state[planner::kTaskStates] = {};
  };

  explicit CommitBatch(Connection* connection) : connection_(*connection), interner_(connection) {}

  absl::Status Add(const GraphSubmitted& graph);
  absl::Status Add(const GraphChanged& graph);
  absl::Status Add(const TaskSubmitted& task);
  absl::Status Add(const AttemptLaunched& launched);
  absl::Status Add(const AttemptEnded& ended);
  absl::Status Add(const TaskEnded& ended);
  absl::Status Replace(const TaskEnded& ended);
  absl::Status Add(const TaskReset& reset);
  absl::Status Add(const FinishedQueued& queued);
  absl::Status Add(const GraphEndQueued& queued);
  absl::Status Add(const FinishedAcknowledged& acknowledged);
  absl::Status Add(const RequestAnswered& answered);
  absl::Status Add(const RetentionTime& retention);
  absl::Status Add(const PoolChanged& change);
  absl::Status Add(const KindLearnt& kind);
  absl::Status Add(const KindForgotten& kind);

  CountChange& CountsOf(planner::GraphId graph);
  absl::Status Flush();
  absl::Status FlushResets();
  absl::Status FlushTaskEnds();
  absl::Status FlushFinished();
  absl::Status FlushAcknowledgements();
  absl::Status FlushCounts();
  void Clear();

  Connection& connection_;
  Interner interner_;

  BatchRows<NewTask> tasks_;
  BatchRows<NewAttempt> attempts_;
  BatchRows<NewAttemptEnd> attempt_ends_;
  BatchRows<NewTaskEnd> task_ends_;
  BatchRows<NewFinished> finished_;
  BatchRows<NewReset> resets_;
  std::vector<std::pair<int64_t, int64_t>> acknowledgements_;  // queue id, delivery id
  std::vector<CountChange> counts_;
  absl::flat_hash_map<planner::GraphId, size_t> counts_index_;
  int64_t last_graph_ = 0;
  int64_t written_graph_ = 0;  // of the last Write
  planner::GraphId newest_graph_ = 0;
  int64_t last_delivery_ = 0;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_COMMIT_BATCH_H_
