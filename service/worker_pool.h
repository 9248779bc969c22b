// A few threads for work that may block: reading the history, waiting for the scheduler's answer.
#ifndef KARTOGRAPH_SERVICE_WORKER_POOL_H_
#define KARTOGRAPH_SERVICE_WORKER_POOL_H_

#include <deque>
#include <functional>
#include <map>
#include <thread>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::service {

// Holds jobs until one of its threads runs them, in order of posting; delayed ones when they are
// due. Thread-safe.
class WorkerPool {
 public:
  // `max_queued` bounds what TryPost admits.
  explicit WorkerPool(int threads, size_t max_queued = 10000);
  // As Stop.
  ~WorkerPool();

  // For requests from outside: false, and the job is dropped, where too many wait already or the
  // pool has stopped.
  bool TryPost(std::function<void()> job);
  // For the continuation of something already admitted. Dropped after Stop.
  void Post(std::function<void()> job);
  void PostAfter(absl::Duration delay, std::function<void()> job);

  // Runs what is queued, drops what is delayed, joins the threads. Not from a job.
  void Stop();

 private:
  void Run();
  // Moves what is due into the queue and returns when the next delayed job is.
  SteadyTime QueueDue() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  const size_t max_queued_;
  Mutex mutex_;
  CondVar wake_;
  std::deque<std::function<void()>> queue_ ABSL_GUARDED_BY(mutex_);
  std::multimap<SteadyTime, std::function<void()>> delayed_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  std::vector<std::thread> threads_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_WORKER_POOL_H_
