// A history in memory, for tests: what SQLite would hold, without the disk, and failing on demand.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_MEMORY_HISTORY_H_
#define KARTOGRAPH_SCHEDULER_TESTING_MEMORY_HISTORY_H_

#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "storage/history.h"

namespace kartograph::scheduler {

// Survives the engines that write to it. Checks as it goes that what is written makes sense: it
// dies on an attempt of an unknown task, a second end of an attempt, or a launch of a task that has
// ended.
class MemoryHistory : public storage::HistoryWriter, public storage::LongReader {
 public:
  struct Task {
    storage::TaskSubmitted submitted;
    uint32_t attempts_before = 0;
    std::optional<storage::TaskEnded> ended;
    std::map<uint32_t, std::pair<storage::AttemptLaunched, std::optional<storage::AttemptEnded>>>
        attempts;
  };
  struct Graph {
    storage::GraphSubmitted submitted;
    storage::GraphChanged state;
    std::vector<Task> tasks;
    bool visible() const {
      return state.work != storage::GraphWork::kSubmitting &&
             state.work != storage::GraphWork::kRemoving;
    }
  };

  // The next `commits` commits fail with this status and write nothing.
  void FailCommits(int commits, absl::Status status) {
    failing_ = commits;
    failure_ = std::move(status);
  }
  // As where the reserve of disk space is used up too.
  void FailUrgentCommits(int commits) { failing_urgent_ = commits; }
  int commits() const { return commits_; }
  const std::map<planner::GraphId, Graph>& graphs() const { return graphs_; }
  const Task& task(planner::TaskKey key) const {
    return graphs_.at(key.graph()).tasks.at(key.index());
  }

  absl::Status Commit(absl::Span<const storage::Record> records) override;
  absl::Status CommitUrgent(absl::Span<const storage::Record> records) override;
  absl::Status CheckWritable() override { return absl::OkStatus(); }
  absl::Status VisitLive(storage::GraphVisitor& visitor) override;
  absl::Status VisitGraph(planner::GraphId graph, storage::GraphVisitor& visitor) override;
  absl::StatusOr<planner::GraphId> LastGraphId() override;
  absl::StatusOr<int64_t> LastDeliveryId() override {
    std::lock_guard lock(mutex_);
    return last_delivery_;
  }
  absl::StatusOr<std::vector<storage::PoolChanged>> PoolsSet() override {
    std::vector<storage::PoolChanged> set;
    for (const auto& [name, change] : pools_) {
      if (change.capacity) set.push_back(change);
    }
    return set;
  }
  absl::StatusOr<absl::Time> LastRetentionTime() override { return retention_time_; }
  absl::StatusOr<std::vector<storage::KindLearnt>> Kinds() override;
  absl::Status AbandonSubmissions() override;
  absl::StatusOr<std::vector<std::string>> Payloads(
      absl::Span<const planner::TaskKey> tasks) override;
  absl::StatusOr<std::optional<Values>> ValuesBefore(planner::TaskKey task,
                                                     int64_t max_bytes) override;
  absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId graph,
                                            absl::string_view name) override;
  absl::StatusOr<bool> HasGraph(planner::GraphId graph) override;
  absl::StatusOr<std::optional<std::string>> FindRequest(absl::string_view request_id) override;
  absl::StatusOr<std::vector<storage::Finished>> FinishedOf(
      absl::string_view client_queue, int max_tasks, int64_t max_bytes,
      const storage::DeliveryFilter& filter) override;
  absl::StatusOr<std::vector<int64_t>> DeliveriesOf(absl::string_view client_queue,
                                                    int max_deliveries) override;
  absl::StatusOr<bool> HasDeliveries(planner::GraphId graph) override;
  absl::StatusOr<std::vector<planner::GraphId>> FindPrunable(const storage::Keep& keep,
                                                             int max_graphs) override;
  absl::StatusOr<std::vector<planner::GraphId>> Prune(
      absl::Time before, absl::Span<const planner::GraphId> graphs) override;
  absl::StatusOr<bool> RemoveSome(int64_t max_rows) override;
  // It has no shared rows.
  void BeginSweep() override {}
  void EndSweep() override {}
  absl::Status RemoveUnused(storage::UnusedRows&, int64_t) override { return absl::OkStatus(); }
  absl::StatusOr<storage::UnusedRows> FindUnused() override { return storage::UnusedRows(); }
  absl::StatusOr<int64_t> ForgetRequests(absl::Time, int64_t) override { return 0; }

 private:
  void Apply(const storage::Record& record);
  void Visit(const Graph& graph, storage::GraphVisitor& visitor) const;
  storage::Finished FinishedNow(const storage::FinishedQueued& queued) const;

  // Readers have threads of their own; graphs() and task() are for when none runs.
  mutable std::mutex mutex_;  // guards what follows
  std::map<planner::GraphId, Graph> graphs_;
  std::map<std::string, std::string> requests_;
  std::map<std::string, std::map<int64_t, storage::Finished>> finished_;
  planner::GraphId last_graph_ = 0;
  int64_t last_delivery_ = 0;
  absl::Time retention_time_ = absl::InfinitePast();
  std::map<std::string, storage::PoolChanged> pools_;  // the newest of each
  std::map<int64_t, storage::KindLearnt> kinds_;
  int commits_ = 0;
  int failing_ = 0;
  int failing_urgent_ = 0;
  absl::Status failure_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_MEMORY_HISTORY_H_
