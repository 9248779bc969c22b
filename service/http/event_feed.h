// Server-sent events: what the status page follows.
#ifndef KARTOGRAPH_SERVICE_HTTP_EVENT_FEED_H_
#define KARTOGRAPH_SERVICE_HTTP_EVENT_FEED_H_

#include <atomic>
#include <functional>
#include <map>
#include <memory>
#include <string>
#include <vector>

#include "absl/base/thread_annotations.h"
#include "absl/synchronization/mutex.h"
#include "scheduler/scheduler.h"
#include "service/http/http_server.h"
#include "service/queries.h"
#include "service/worker_pool.h"

namespace kartograph::service {

// Gathers changes and sends all clients the same, a few times a second: events `graphs`
// (ListGraphsResponse of what changed), `cluster` (Cluster) and, when a task failed, `failures`
// (ListFailuresResponse). A new client first gets all three as they are. Thread-safe.
class EventFeed {
 public:
  struct Options {
    absl::Duration interval = absl::Milliseconds(250);  // between two rounds, at least
    absl::Duration heartbeat = absl::Seconds(5);
  };
  // The arguments outlive this, and `workers` is stopped before this ends.
  EventFeed(Options options, scheduler::Scheduler* scheduler, Queries* queries,
            WorkerPool* workers);
  ~EventFeed();

  void Add(std::shared_ptr<HttpStream> client);

 private:
  struct Dirty {
    std::map<planner::GraphId, scheduler::GraphSnapshot> graphs;
    bool any = false;
    bool failures = false;
  };

  void OnChange(const scheduler::Changes& changes);
  // Plans a round unless one is planned or under way.
  void Plan(absl::Duration delay) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // One round; never two at once.
  void Round();
  std::string Events(const Dirty& dirty);
  std::string Everything();
  void Heartbeat();
  void SendToAll(std::string text);

  const Options options_;
  scheduler::Scheduler* const scheduler_;
  Queries* const queries_;
  WorkerPool* const workers_;
  absl::Mutex mutex_;
  std::vector<std::shared_ptr<HttpStream>> clients_ ABSL_GUARDED_BY(mutex_);
  std::vector<std::shared_ptr<HttpStream>> joining_ ABSL_GUARDED_BY(mutex_);
  Dirty dirty_ ABSL_GUARDED_BY(mutex_);
  bool planned_ ABSL_GUARDED_BY(mutex_) = false;
  bool could_write_ = true;  // at the last heartbeat
  // Lets the scheduler's thread skip the work while nobody listens.
  std::atomic<bool> listened_to_{false};
  std::unique_ptr<scheduler::Scheduler::Subscription> subscription_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_HTTP_EVENT_FEED_H_
