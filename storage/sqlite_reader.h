// HistoryReader on SQLite.
#ifndef KARTOGRAPH_STORAGE_SQLITE_READER_H_
#define KARTOGRAPH_STORAGE_SQLITE_READER_H_

#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "base/mutex.h"
#include "storage/history.h"
#include "storage/row_decoder.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// Thread-safe: each call takes a connection of its own out of a small pool, waits where all are in
// use, and reads within one transaction, which sees one state however the writer goes on.
class SqliteReader : public HistoryReader {
 public:
  static constexpr int kMaxConnections = 4;

  // `options` are those of a read-only connection, opened as they are needed.
  explicit SqliteReader(Connection::Options options) : options_(std::move(options)) {}

  absl::StatusOr<GraphRow> GetGraph(planner::GraphId graph) override;
  absl::StatusOr<std::vector<GraphRow>> ListGraphs(planner::GraphId before, int limit,
                                                   const GraphFilter& filter) override;
  absl::StatusOr<std::vector<TaskRow>> ListTasks(planner::GraphId graph, planner::TaskIndex from,
                                                 int limit,
                                                 absl::Span<const planner::TaskState> states,
                                                 Detail detail) override;
  absl::StatusOr<std::vector<TaskRow>> GetTasks(absl::Span<const planner::TaskKey> tasks,
                                                Detail detail) override;
  absl::StatusOr<TaskRow> GetTask(planner::GraphId graph, absl::string_view name) override;
  absl::StatusOr<ResultPart> ReadResult(planner::AttemptId attempt, int64_t offset,
                                        int64_t max_bytes) override;
  absl::StatusOr<std::vector<FailureRow>> ListFailures(int limit) override;
  absl::StatusOr<std::vector<std::string>> UnusedBlobs(
      absl::Span<const std::string> blobs) override;
  absl::StatusOr<std::vector<QueueRow>> ListQueues(absl::string_view after, int limit) override;
  absl::StatusOr<std::vector<Finished>> FinishedOf(absl::string_view client_queue, int max_tasks,
                                                   int64_t max_bytes,
                                                   const DeliveryFilter& filter) override;
  absl::StatusOr<std::vector<int64_t>> DeliveriesOf(absl::string_view client_queue,
                                                    int max_deliveries) override;
  absl::StatusOr<bool> HasDeliveries(planner::GraphId graph) override;
  absl::Status VisitGraph(planner::GraphId graph, GraphVisitor& visitor) override;
  absl::StatusOr<std::vector<planner::GraphId>> FindPrunable(const Keep& keep,
                                                             int max_graphs) override;
  absl::StatusOr<UnusedRows> FindUnused() override;

 private:
  struct Session {
    explicit Session(std::unique_ptr<Connection> c)
        : connection(std::move(c)), decoder(connection.get()) {}
    std::unique_ptr<Connection> connection;
    RowDecoder decoder;
  };

  // Runs `read` (Session& -> absl::Status) in a read transaction.
  template <typename Read>
  absl::Status InTransaction(Read read);
  // Gives what `read` (Session& -> absl::StatusOr<T>) gives.
  template <typename T, typename Read>
  absl::StatusOr<T> Get(Read read);
  absl::StatusOr<std::unique_ptr<Session>> Take();
  void GiveBack(std::unique_ptr<Session> session);

  const Connection::Options options_;
  Mutex mutex_;
  CondVar given_back_;
  std::vector<std::unique_ptr<Session>> idle_ ABSL_GUARDED_BY(mutex_);
  int open_ ABSL_GUARDED_BY(mutex_) = 0;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SQLITE_READER_H_
