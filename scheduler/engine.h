// One batch of the scheduler: events in, one commit, then effects and answers.
#ifndef KARTOGRAPH_SCHEDULER_ENGINE_H_
#define KARTOGRAPH_SCHEDULER_ENGINE_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "scheduler/core.h"
#include "scheduler/scheduler.h"
#include "scheduler/step.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Drives the core against a history and a cluster, without a thread, and with the time it is told:
// the scheduler's thread drives it in real time, a simulation in virtual time. Between two calls of
// EndBatch, calls apply to the core; EndBatch plans, commits all records in one transaction, and
// only then carries the effects out and answers. Nothing is promised, launched or acknowledged that
// is not written first.
//
// When a commit fails, nobody has been told anything yet: the callers get Unavailable, the core is
// built anew from the history, and the cluster is asked again for what it had to say. Until a
// commit succeeds, writes are refused.
//
// Thread-compatible.
class Engine {
 public:
  // `writer` and `cluster` outlive the engine.
  Engine(SchedulerOptions options, storage::HistoryWriter* writer, executor::Cluster* cluster);

  // Reads what is live from the history; called once, first.
  absl::Status Recover(const Instant& now);

  // --- the batch ---
  void Apply(Command command, const Instant& now, Done done);
  void OnClusterEvents(std::vector<executor::ClusterEvent> events, const Instant& now);
  void EndBatch(const Instant& now);

  // When EndBatch should be called even if nothing happens.
  SteadyTime NextWake() const;

  const Core& core() const { return *core_; }
  // So many letters came in one batch.
  void CountMail(int64_t letters) {
    int64_t& most = core_->mutable_totals().mailbox_high_water;
    most = std::max(most, letters);
  }
  // Takes no more writes and launches nothing.
  void StopTakingWork();
  // Answers everybody who waits with Unavailable.
  void DismissWaiters();

  // Watchers are called after each commit that changed something. They are not owned.
  using Watcher = std::function<void(const Changes&, const Snapshots&)>;
  std::list<Watcher>::iterator AddWatcher(Watcher watcher);
  void RemoveWatcher(std::list<Watcher>::iterator watcher) { watchers_.erase(watcher); }

  // Set when it cannot go on.
  const absl::Status& fatal_error() const { return fatal_error_; }
  // Why writes are refused now; OK when they are not.
  const absl::Status& write_error() const { return write_error_; }

 private:
  struct Waiter {
    int max_tasks;
    int64_t max_bytes;
    SteadyTime deadline;
    Done done;
  };

  // Applies a write once for its request id, and answers after the commit with what Do gave, or
  // gave the first time.
  template <typename Write>
  void ApplyOnce(Write& write, const Instant& now, Done done);
  // One for each write: applies it to the core, and gives the number of its reply.
  absl::StatusOr<int64_t> Do(SubmitGraph& submit, const Instant& now);
  absl::StatusOr<int64_t> Do(AddTask& add, const Instant& now);
  absl::StatusOr<int64_t> Do(CloseGraph& close, const Instant& now);
  absl::StatusOr<int64_t> Do(CancelGraph& cancel, const Instant& now);
  absl::StatusOr<int64_t> Do(CancelTask& cancel, const Instant& now);
  absl::StatusOr<int64_t> Do(RetryGraph& retry, const Instant& now);
  void Pop(PopFinished pop, Done done);
  absl::StatusOr<int64_t> Answered(absl::string_view kind, absl::string_view answer) const;
  absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId graph, const std::string& name);
  bool HasEnded(planner::GraphId graph);

  absl::Status LoadCore(const Instant& now);
  void CommitFailed(const absl::Status& status, const Instant& now);
  void CarryOut();
  void Launch();
  void TellWatchers();
  void ServeWaiters(const Instant& now);
  void PruneIfDue(const Instant& now);

  const SchedulerOptions options_;
  storage::HistoryWriter* const writer_;
  executor::Cluster* const cluster_;
  std::unique_ptr<Core> core_;
  Totals totals_;  // of cores that were thrown away
  bool stopping_ = false;

  // The batch.
  Step step_;
  std::vector<std::function<void(const absl::Status& committed)>> answers_;
  absl::flat_hash_map<std::string, std::string> batch_answers_;  // request id to answer
  // Tasks added in this batch, which the history does not know yet.
  absl::flat_hash_map<std::pair<planner::GraphId, std::string>, planner::TaskKey> batch_tasks_;
  std::vector<executor::ClusterEvent> own_events_;  // for the next batch

  absl::btree_map<std::string, std::deque<Waiter>> waiters_;  // by client queue
  size_t waiting_ = 0;                                        // how many those are
  absl::flat_hash_set<std::string> new_waiters_;  // queues to look into after the commit
  std::list<Watcher> watchers_;
  SteadyTime next_prune_ = SteadyTime::InfinitePast();

  absl::Status fatal_error_;
  absl::Status write_error_;
  SteadyTime write_retry_ = SteadyTime::InfiniteFuture();
  absl::Duration write_backoff_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_ENGINE_H_
