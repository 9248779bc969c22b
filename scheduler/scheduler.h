// The scheduler as the service sees it: commands in, snapshots and changes out.
#ifndef KARTOGRAPH_SCHEDULER_SCHEDULER_H_
#define KARTOGRAPH_SCHEDULER_SCHEDULER_H_

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "scheduler/snapshot.h"
#include "scheduler/submission.h"
#include "storage/history.h"

namespace kartograph::scheduler {

struct SchedulerOptions {
  planner::ResourceVector pools;                        // cluster-wide resources and their capacity
  uint32_t max_graph_tasks = 1000000;                   // at most planner::kMaxTasks
  absl::Duration retention = absl::InfiniteDuration();  // how long final graphs are kept
};

// Thread-safe. Owns one thread, which owns all live state; every callback runs on it and must not
// block. A callback is called exactly once, also when the scheduler stops (with Unavailable).
//
// Errors common to the writes: NotFound (graph or task), Unavailable (stopping, or the history
// cannot be written now), InvalidArgument with planner::Problems. A write with a request id seen
// before answers as the first time did; an empty id is never remembered.
class Scheduler {
 public:
  template <typename T>
  using Callback = std::function<void(absl::StatusOr<T>)>;

  // Reads what is live from the history, then starts the cluster and the thread. `writer` and
  // `cluster` are used by the scheduler alone from here on (but Cluster::ReadLog is anybody's);
  // both outlive it.
  static absl::StatusOr<std::unique_ptr<Scheduler>> Start(SchedulerOptions options,
                                                          storage::HistoryWriter* writer,
                                                          executor::Cluster* cluster);
  virtual ~Scheduler() = default;

  // Problems: repeated or unknown names, cycles, tasks that no agent and pool could ever satisfy.
  // ResourceExhausted: too many tasks.
  virtual void SubmitGraph(std::string request_id, GraphSubmission graph,
                           Callback<planner::GraphId> done) = 0;
  // Adds a task to an open graph. FailedPrecondition where it is closed or final.
  virtual void AddTask(std::string request_id, planner::GraphId graph, TaskSubmission task,
                       Callback<planner::TaskKey> done) = 0;
  virtual void CloseGraph(std::string request_id, planner::GraphId graph, Callback<bool> done) = 0;
  // Gives the number of tasks that were not final.
  virtual void CancelGraph(std::string request_id, planner::GraphId graph, Callback<int> done) = 0;
  virtual void CancelTask(std::string request_id, planner::GraphId graph, std::string task_name,
                          Callback<int> done) = 0;
  // FailedPrecondition while the graph runs. Gives the number of tasks that run again.
  virtual void RetryGraph(std::string request_id, planner::GraphId graph, Callback<int> done) = 0;

  // Acknowledges, then gives the oldest deliveries of the queue, at the latest at `deadline` (then
  // none).
  virtual void PopFinished(std::string client_queue, std::vector<int64_t> acknowledge,
                           int max_tasks, int64_t max_bytes, absl::Time deadline,
                           Callback<std::vector<storage::Finished>> done) = 0;

  // Runs `read` on the scheduler's thread, between two batches: what it sees is committed. Not run
  // if the scheduler has stopped; then InspectAndWait returns Unavailable.
  virtual void Inspect(std::function<void(const Snapshots&)> read) = 0;
  absl::Status InspectAndWait(std::function<void(const Snapshots&)> read);

  // Calls `on_change` after every committed batch that changed something, until the subscription is
  // destroyed (which waits for a running call, and must not happen inside one).
  class Subscription {
   public:
    virtual ~Subscription() = default;
  };
  virtual std::unique_ptr<Subscription> Subscribe(
      std::function<void(const Changes&, const Snapshots&)> on_change) = 0;

  // Takes no more work. With `drain`, waits until running attempts have ended and launches none;
  // otherwise leaves them to be found again. Idempotent.
  virtual void Stop(bool drain) = 0;

  // Set when the scheduler cannot go on (the history is damaged, the cluster refuses for good). The
  // daemon should say so and exit.
  virtual absl::Status fatal_error() const = 0;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SCHEDULER_H_
