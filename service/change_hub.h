// Changes of watched graphs, on their way from the scheduler to the streams of clients.
#ifndef KARTOGRAPH_SERVICE_CHANGE_HUB_H_
#define KARTOGRAPH_SERVICE_CHANGE_HUB_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/container/flat_hash_map.h"
#include "absl/synchronization/mutex.h"
#include "planner/ids.h"
#include "scheduler/scheduler.h"
#include "service/worker_pool.h"

namespace kartograph::service {

// Holds for each watch what has changed since it was last taken, one entry a task, up to a limit in
// bytes: then the watch overflows, and holds nothing more. Thread-safe.
class ChangeHub {
 public:
  struct Task {
    planner::TaskKey task;
    planner::TaskState state = planner::TaskState::kWaiting;
    uint32_t attempts = 0;
    std::string name;
    std::string reason;
  };
  struct Pending {
    std::vector<Task> tasks;  // by task
    std::optional<scheduler::GraphSnapshot> graph;
    bool stopped = false;     // nothing will come any more
    bool overflowed = false;  // more came than may be held: some changes are lost
    bool empty() const { return tasks.empty() && !graph && !stopped && !overflowed; }
  };

  class Watch {
   public:
    // What came together since the last call. `wake` is called again for what comes after.
    Pending Take();
    bool HasPending();

   private:
    friend class ChangeHub;
    // Whether `wake` is due.
    bool Merge(const scheduler::Changes::Task& task, const scheduler::Changes::Words& words);
    bool Merge(const scheduler::GraphSnapshot& graph);
    bool Signal() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

    planner::GraphId graph_id_ = 0;
    std::optional<planner::TaskKey> only_;
    std::function<void()> wake_;
    size_t max_bytes_ = 0;
    absl::Mutex mutex_;
    absl::flat_hash_map<planner::TaskKey, Task> tasks_ ABSL_GUARDED_BY(mutex_);
    std::optional<scheduler::GraphSnapshot> graph_ ABSL_GUARDED_BY(mutex_);
    size_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;  // about what tasks_ takes
    bool overflowed_ ABSL_GUARDED_BY(mutex_) = false;
    bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
    bool signalled_ ABSL_GUARDED_BY(mutex_) = false;
  };

  // Both outlive this; `workers` runs the wakes. `max_bytes` may wait for one watch.
  ChangeHub(scheduler::Scheduler* scheduler, WorkerPool* workers, size_t max_bytes = 64 << 20);
  ~ChangeHub();

  // Watches a graph, or one task of it, until the watch is released. Changes of every batch
  // committed after the return are in it.
  std::shared_ptr<Watch> Add(planner::GraphId graph, std::optional<planner::TaskKey> only,
                             std::function<void()> wake);
  // Wakes every watch with `stopped`, and any made later.
  void Stop();

 private:
  void OnChange(const scheduler::Changes& changes);
  // Drops watches that were released, each time their number has doubled.
  void Sweep() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Wake(const std::shared_ptr<Watch>& watch);

  WorkerPool* const workers_;
  const size_t max_bytes_;
  absl::Mutex mutex_;
  absl::flat_hash_map<planner::GraphId, std::vector<std::weak_ptr<Watch>>> watches_
      ABSL_GUARDED_BY(mutex_);
  size_t sweep_at_ ABSL_GUARDED_BY(mutex_) = 64;
  bool stopped_ ABSL_GUARDED_BY(mutex_) = false;
  std::unique_ptr<scheduler::Scheduler::Subscription> subscription_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CHANGE_HUB_H_
