// A history beside which a ledger is kept of all that was committed.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_LEDGER_HISTORY_H_
#define KARTOGRAPH_SCHEDULER_TESTING_LEDGER_HISTORY_H_

#include <optional>
#include <string>
#include <vector>

#include "scheduler/testing/ledger.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Passes everything on. The history below may be exchanged for what a crash left of it.
class LedgerHistory : public storage::HistoryWriter, public storage::LongReader {
 public:
  explicit LedgerHistory(Ledger* ledger) : ledger_(*ledger) {}
  void Open(storage::HistoryWriter* writer, storage::LongReader* reader) {
    writer_ = writer;
    reader_ = reader;
  }

  absl::Status Commit(absl::Span<const storage::Record> records) override {
    absl::Status status = writer_->Commit(records);
    if (status.ok()) ledger_.OnCommitted(records);
    return status;
  }
  absl::Status CommitUrgent(absl::Span<const storage::Record> records) override {
    absl::Status status = writer_->CommitUrgent(records);
    if (status.ok()) ledger_.OnCommitted(records);
    return status;
  }
  absl::Status CheckWritable() override { return writer_->CheckWritable(); }
  absl::Status VisitLive(storage::GraphVisitor& visitor) override {
    return writer_->VisitLive(visitor);
  }
  absl::Status AbandonSubmissions() override {
    absl::Status status = writer_->AbandonSubmissions();
    if (status.ok()) ledger_.OnAbandoned();
    return status;
  }
  absl::StatusOr<planner::GraphId> LastGraphId() override { return writer_->LastGraphId(); }
  absl::StatusOr<int64_t> LastDeliveryId() override { return writer_->LastDeliveryId(); }
  absl::StatusOr<std::vector<storage::PoolChanged>> PoolsSet() override {
    return writer_->PoolsSet();
  }
  absl::StatusOr<absl::Time> LastRetentionTime() override { return writer_->LastRetentionTime(); }
  absl::StatusOr<std::vector<storage::KindLearnt>> Kinds() override { return writer_->Kinds(); }
  absl::StatusOr<std::vector<std::string>> Payloads(
      absl::Span<const planner::TaskKey> tasks) override {
    return writer_->Payloads(tasks);
  }
  absl::StatusOr<std::optional<Values>> ValuesBefore(planner::TaskKey task,
                                                     int64_t max_bytes) override {
    return writer_->ValuesBefore(task, max_bytes);
  }
  absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId graph,
                                            absl::string_view name) override {
    return writer_->FindTask(graph, name);
  }
  absl::StatusOr<bool> HasGraph(planner::GraphId graph) override {
    return writer_->HasGraph(graph);
  }
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override {
    return writer_->FindRequest(request_id);
  }
  absl::StatusOr<std::vector<planner::GraphId>> Prune(
      absl::Time before, absl::Span<const planner::GraphId> graphs) override {
    absl::StatusOr<std::vector<planner::GraphId>> pruned = writer_->Prune(before, graphs);
    if (pruned.ok()) ledger_.OnPruned(*pruned);
    return pruned;
  }
  absl::StatusOr<bool> RemoveSome(int64_t max_rows) override {
    return writer_->RemoveSome(max_rows);
  }
  void BeginSweep() override { writer_->BeginSweep(); }
  void EndSweep() override { writer_->EndSweep(); }
  absl::Status RemoveUnused(storage::UnusedRows& unused, int64_t max_rows) override {
    return writer_->RemoveUnused(unused, max_rows);
  }
  absl::StatusOr<int64_t> ForgetRequests(absl::Time before, int64_t max_rows) override {
    return writer_->ForgetRequests(before, max_rows);
  }

  absl::StatusOr<std::vector<storage::Finished>> FinishedOf(
      absl::string_view client_queue, int max_tasks, int64_t max_bytes,
      const storage::DeliveryFilter& filter) override {
    return reader_->FinishedOf(client_queue, max_tasks, max_bytes, filter);
  }
  absl::StatusOr<std::vector<int64_t>> DeliveriesOf(absl::string_view client_queue,
                                                    int max_deliveries) override {
    return reader_->DeliveriesOf(client_queue, max_deliveries);
  }
  absl::StatusOr<bool> HasDeliveries(planner::GraphId graph) override {
    return reader_->HasDeliveries(graph);
  }
  absl::Status VisitGraph(planner::GraphId graph, storage::GraphVisitor& visitor) override {
    return reader_->VisitGraph(graph, visitor);
  }
  absl::StatusOr<std::vector<planner::GraphId>> FindPrunable(const storage::Keep& keep,
                                                             int max_graphs) override {
    return reader_->FindPrunable(keep, max_graphs);
  }
  absl::StatusOr<storage::UnusedRows> FindUnused() override { return reader_->FindUnused(); }

 private:
  storage::HistoryWriter* writer_ = nullptr;
  storage::LongReader* reader_ = nullptr;
  Ledger& ledger_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_LEDGER_HISTORY_H_
