// The scheduler as the service sees it: commands in, snapshots and changes out.
#ifndef KARTOGRAPH_SCHEDULER_SCHEDULER_H_
#define KARTOGRAPH_SCHEDULER_SCHEDULER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/fair_share.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "scheduler/command.h"
#include "scheduler/snapshot.h"
#include "scheduler/usage_table.h"
#include "storage/history.h"

namespace kartograph::scheduler {

struct SchedulerOptions {
  // Cluster-wide resources and their capacity, as the settings have them.
  planner::ResourceVector pools;
  uint32_t max_graph_tasks = 1000000;  // at most planner::kMaxTasks
  Retention retention;                 // of final graphs
  // What retention removes; on the scheduler's thread. May be empty.
  std::function<void(const Pruned&)> on_pruned;
  // What became of pools at run time; on the scheduler's thread, when it is written. May be empty.
  std::function<void(const PoolChange&)> on_pool_changed;
  const Clock* clock = &Clock::System();  // outlives the scheduler
  // Work on a whole graph goes on with this many tasks at once, or what takes about `slice_time`.
  int64_t slice_tasks = 4096;
  absl::Duration slice_time = absl::Milliseconds(40);  // zero: always slice_tasks
  // Commands that may wait for the scheduler's thread, and as many events of the cluster, which
  // waits at the bound; clients that may wait for a finished task.
  size_t max_mailbox = 100000;
  size_t max_waiters = 10000;
  // How many graphs of more than slice_tasks tasks may be being written to the history, and how
  // many graphs being read for a retry.
  size_t max_submissions = 100;
  // New ids are larger than these, whatever the history says.
  planner::GraphId last_graph_at_least = 0;
  int64_t last_delivery_at_least = 0;
  int slots = planner::Packer::kUnlimitedSlots;  // attempts that run on an agent at once, at most
  // How many schedules are tried for a graph of at most `search_tasks` tasks, to order it better;
  // 0: none for any. See scheduler/order_search.h.
  int64_t search_schedules = 0;
  size_t search_tasks = 3000;
  planner::FairShare::Weights weights;                      // of users and shares
  planner::FairShare::Caps caps;                            // likewise
  absl::Duration preempt_after = absl::InfiniteDuration();  // see scheduler/preemption.h
  // Agents hand these out in whole instances: nobody can ask for a part of one.
  std::vector<planner::Resource> indexed;
};

// Thread-safe. Owns one thread, which owns all live state; every callback runs on it and must not
// block. A callback is called exactly once, also when the scheduler stops (with Unavailable).
//
// Errors common to the commands: NotFound (graph or task), Unavailable (stopping, or the history
// cannot be written now), ResourceExhausted (too many wait already; try again), InvalidArgument
// with planner::Problems.
class Scheduler {
 public:
  // Reads what is live from the history, then starts the cluster and the thread. `writer` and
  // `cluster` are used by the scheduler alone from here on (but anyone may call
  // LogReader::ReadLog); `reader` is used on threads of its own. All outlive it.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Start(SchedulerOptions options,
                                                          storage::HistoryWriter* writer,
                                                          storage::LongReader* reader,
                                                          executor::Cluster* cluster);
  virtual ~Scheduler() = default;

  // ResourceExhausted where options.max_mailbox commands wait already.
  virtual void Submit(Command command, Done done) = 0;

  // Runs `read` on the scheduler's thread, between two batches: what it sees is committed. Not run
  // if the scheduler has stopped; then InspectAndWait returns Unavailable.
  virtual void Inspect(std::function<void(const Snapshots&)> read) = 0;
  absl::Status InspectAndWait(std::function<void(const Snapshots&)> read);

  // Calls `on_change` after every committed batch that changed something, and misses nothing that
  // is submitted from now on, until the subscription is destroyed (which waits for a running call,
  // and must not happen inside one).
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  virtual std::unique_ptr<Subscription> Subscribe(
      std::function<void(const Changes&, const Snapshots&)> on_change) = 0;

  // Takes no more work. With `drain`, waits until running attempts have ended and launches none;
  // otherwise leaves them to be found again. Idempotent.
  virtual void Stop(bool drain) = 0;

  // For how long its thread has been busy with what it does now; zero while it waits. Never waits
  // for the thread. A batch takes fractions of a second: much longer means that it hangs, mostly on
  // the disk.
  virtual absl::Duration BusyFor() const = 0;
  // Unavailable, with the reason, while the history cannot be written: then nothing is accepted and
  // nothing new starts, but what runs goes on. Never waits for the thread.
  virtual absl::Status write_error() const = 0;
  // What tasks have used so far. Thread-safe, and lives as long as the scheduler.
  virtual const UsageTable& usage() const = 0;
  // It has stopped, or cannot go on.
  virtual bool ended() const = 0;

  // Set when the scheduler cannot go on (the history is damaged, the cluster refuses for good). The
  // daemon should say so and exit.
  virtual absl::Status fatal_error() const = 0;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SCHEDULER_H_
