// One batch of the scheduler: events in, one commit, then effects and answers.
#ifndef KARTOGRAPH_SCHEDULER_ENGINE_H_
#define KARTOGRAPH_SCHEDULER_ENGINE_H_

#include <algorithm>
#include <deque>
#include <functional>
#include <list>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "scheduler/background.h"
#include "scheduler/core.h"
#include "scheduler/delivery_waiters.h"
#include "scheduler/order_search.h"
#include "scheduler/pool_settings.h"
#include "scheduler/pruner.h"
#include "scheduler/scheduler.h"
#include "scheduler/step.h"
#include "scheduler/usage_table.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Drives the core against a history and a cluster, without a thread, and with the time it is given:
// the scheduler's thread drives it in real time, a simulation in virtual time. Between two calls of
// EndBatch, calls apply to the core; EndBatch plans, commits all records in one transaction, and
// only then applies the effects and answers. Nothing is promised, launched or acknowledged that is
// not written first.
//
// When a commit fails, nothing has been answered or sent yet: the callers get Unavailable, the core
// is rebuilt from the history, and the cluster is asked again for what it had reported. Until a
// commit succeeds, writes are refused.
//
// What takes long goes in slices, one a batch, so that no batch keeps the others waiting: the tasks
// of a large graph are written over several commits before the graph is visible, and the core's
// work on whole graphs and the removal of old ones go on a little with each batch. What needs no
// live state is done in the background.
//
// Thread-compatible.
class Engine {
 public:
  // All outlive the engine, and jobs of `background` do not.
  Engine(SchedulerOptions options, storage::HistoryWriter* writer, storage::LongReader* reader,
         executor::Cluster* cluster, Background* background);

  // Reads what is live from the history; called once, first.
  absl::Status Recover(const Instant& now);

  // --- the batch ---
  void Apply(Command command, const Instant& now, Done done);
  void OnClusterEvents(std::vector<executor::ClusterEvent> events, const Instant& now);
  void EndBatch(const Instant& now);

  // The batch is large enough: the rest is for the next one.
  bool BatchIsFull() const { return step_.records.size() >= kMaxBatchRecords; }
  // When EndBatch should be called even if nothing happens.
  SteadyTime NextWake() const;

  const Core& core() const { return *core_; }
  // For any thread.
  const UsageTable& usage() const { return usage_; }
  // How much waited in the mailbox.
  void NoteMailboxDepth(int64_t depth) {
    int64_t& most = core_->mutable_totals().mailbox_high_water;
    most = std::max(most, depth);
  }
  // Takes no more writes and launches nothing.
  void StopTakingWork();
  // Answers all waiting clients with Unavailable.
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
  // A graph whose tasks are written over several batches.
  struct Submission {
    RequestId request_id;
    PreparedGraph graph;
    planner::TaskIndex next = 0;  // the first task that is not written
    std::vector<Done> done;       // the caller, and those who repeated the request
  };
  // A graph that was read to run again, or one that runs, which needs not be read.
  struct LoadedRetry {
    static constexpr absl::string_view kKind = RetryTasks::kKind;
    RequestId request_id;
    planner::GraphId graph = 0;
    std::vector<std::string> task_names;
    std::optional<absl::StatusOr<PreparedGraph>> loaded;
  };
  // A graph that was asked about before it is taken out of the history.
  struct CheckedForget {
    static constexpr absl::string_view kKind = ForgetGraph::kKind;
    RequestId request_id;
    planner::GraphId graph = 0;
    absl::StatusOr<bool> has_deliveries;
  };
  // A queue that is being emptied, some deliveries with each batch.
  struct QueueDeletion {
    static constexpr absl::string_view kKind = DeleteQueue::kKind;
    RequestId request_id;
    std::string client_queue;
    int64_t last = 0;  // later deliveries stay
    int64_t deleted = 0;
    Done done;
  };
  // What a write is answered.
  struct Counts {
    // NOLINTNEXTLINE(google-explicit-constructor): most count one thing
    Counts(int64_t n, int64_t s = 0) : number(n), skipped(s) {}
    int64_t number;
    int64_t skipped;
  };
  static constexpr size_t kMaxBatchRecords = 20000;
  static constexpr size_t kMaxPools = 1000;
  static constexpr size_t kMaxPoolsMade = 4096;

  // Applies a write once for its request id, and answers after the commit with what Do gave, or
  // gave the first time.
  template <typename Write>
  void ApplyOnce(Write& write, const Instant& now, Done done);
  // Whether this can be written now. Cancelling can be with what is kept of a full disk for it.
  template <typename Write>
  bool CanWrite();
  // One for each write: applies it to the core, and gives the number of its reply.
  absl::StatusOr<Counts> Do(SubmitGraph& submit, const Instant& now);
  absl::StatusOr<Counts> Do(AddTasks& add, const Instant& now);
  absl::StatusOr<Counts> Do(CloseGraph& close, const Instant& now);
  absl::StatusOr<Counts> Do(SetPool& set, const Instant& now);
  absl::StatusOr<Counts> Do(CancelGraph& cancel, const Instant& now);
  absl::StatusOr<Counts> Do(CancelTasks& cancel, const Instant& now);
  absl::StatusOr<Counts> Do(LoadedRetry& retry, const Instant& now);
  absl::StatusOr<Counts> Do(CheckedForget& forget, const Instant& now);
  absl::StatusOr<Counts> Do(QueueDeletion& deletion, const Instant& now);
  void Submit(SubmitGraph submit, const Instant& now, Done done);
  void Retry(RetryTasks retry, const Instant& now, Done done);
  void Load(std::shared_ptr<LoadedRetry> retry, const Instant& now, Done done);
  void Forget(ForgetGraph forget, const Instant& now, Done done);
  void Delete(DeleteQueue deletion, const Instant& now, Done done);
  void Continue(std::shared_ptr<QueueDeletion> deletion, const Instant& now);
  bool EndsInThisBatch(planner::GraphId graph) const;
  // To the log, when it is written.
  void AnnouncePool(const storage::PoolChanged& change, const planner::ResourceVector& before,
                    const planner::ResourceVector& after);
  // Puts other pools into force, and writes what changed.
  absl::Status ChangePools(PoolSettings pools, std::vector<storage::PoolChanged> changes,
                           const Instant& now);
  void Apply(const Reconfigure& change, const Instant& now, const Done& done);
  void Pop(PopFinished pop, const Instant& now, Done done);
  // The rest of a Pop, whose acknowledgements are committed.
  void WaitForFinished(PopFinished pop, const Instant& now, Done done);
  static absl::Status Stopping();
  static absl::StatusOr<Counts> Counted(absl::StatusOr<int64_t> tasks);
  // What the write with this id was answered; nothing where it is new.
  std::optional<absl::StatusOr<Counts>> AnswerOf(absl::string_view kind,
                                                 const RequestId& request_id);
  void Remember(absl::string_view kind, const RequestId& request_id, const Counts& counts,
                const Instant& now);
  // Answers after the commit.
  void Answer(const absl::StatusOr<Counts>& result, Done done);
  void WriteSubmissions(const Instant& now);
  void RefuseSubmissions(const absl::Status& why);
  static absl::StatusOr<Counts> Answered(absl::string_view kind, uint64_t digest,
                                         absl::string_view answer);
  absl::StatusOr<planner::TaskKey> FindTask(planner::GraphId graph, const std::string& name);
  // NotFound names the first that is not there.
  absl::StatusOr<std::vector<planner::TaskIndex>> FindTasks(planner::GraphId graph,
                                                            const std::vector<std::string>& names);
  absl::StatusOr<std::vector<std::vector<planner::TaskIndex>>> Resolve(const AddTasks& add,
                                                                       planner::TaskIndex first);
  bool HasEnded(planner::GraphId graph);

  absl::Status LoadCore(const Instant& now);
  void CommitFailed(const absl::Status& status, const Instant& now);
  void RefuseWrites(const absl::Status& why, const Instant& now);
  void ApplyEffects();
  void Launch();
  // Puts into a launch what only the history has.
  absl::Status AddContents(std::string payload, executor::Launch* launch);
  void NotifyWatchers();
  // The parts of EndBatch.
  void TryToWriteAgain(const Instant& now);
  void Advance(const Instant& now);
  absl::Status CommitStep();
  void Publish(const Instant& now);
  void AdaptSlice(absl::Duration took);

  SchedulerOptions options_;
  storage::HistoryWriter* const writer_;
  storage::LongReader* const reader_;
  executor::Cluster* const cluster_;
  Background* const background_;
  UsageTable usage_;  // what the core has learnt
  std::unique_ptr<Core> core_;
  Totals totals_;  // of cores that were thrown away
  bool stopping_ = false;
  PoolSettings pools_;
  // Names of pools that were made at run time: each stays in the table of names.
  std::set<planner::Resource> pools_made_;

  // The batch.
  Step step_;
  std::vector<std::function<void(const absl::Status& committed)>> answers_;
  absl::flat_hash_map<std::string, std::string> batch_answers_;  // request id to answer
  // Tasks added in this batch, which the history does not know yet.
  absl::flat_hash_map<std::pair<planner::GraphId, std::string>, planner::TaskKey> batch_tasks_;
  // Queue and deliveries, to be acknowledged by the commit.
  std::vector<std::pair<std::string, std::vector<int64_t>>> acknowledged_;
  std::vector<executor::ClusterEvent> own_events_;  // for the next batch

  std::deque<Submission> submissions_;
  // Graphs that are being read from the history, to run again or to be forgotten.
  absl::flat_hash_set<planner::GraphId> loading_;
  int64_t slice_;        // tasks that a batch does of what takes long
  bool sliced_ = false;  // this batch did as many
  OrderSearch search_;
  DeliveryWaiters waiters_;
  std::optional<Pruner> pruner_;  // set by Recover
  std::list<Watcher> watchers_;

  absl::Status fatal_error_;
  absl::Status write_error_;
  // While the disk is full: what is kept of it for cancelling has not been used up.
  bool reserve_left_ = false;
  bool cancelling_ = false;  // there is something to commit to that
  SteadyTime write_retry_ = SteadyTime::InfiniteFuture();
  absl::Duration write_backoff_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_ENGINE_H_
