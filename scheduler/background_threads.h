// Background on threads.
#ifndef KARTOGRAPH_SCHEDULER_BACKGROUND_THREADS_H_
#define KARTOGRAPH_SCHEDULER_BACKGROUND_THREADS_H_

#include <array>
#include <deque>
#include <functional>
#include <thread>

#include "base/mutex.h"
#include "scheduler/background.h"

namespace kartograph::scheduler {

// One thread per lane, started with its first job; that of kSearch has the lowest priority.
// Thread-safe.
class BackgroundThreads : public Background {
 public:
  using Then = std::function<void(const Instant&)>;
  // `deliver` takes what is to be run where the engine is; called from any thread.
  explicit BackgroundThreads(std::function<void(Then)> deliver) : deliver_(std::move(deliver)) {}
  ~BackgroundThreads() override { Stop(); }

  void Run(Lane lane, const Instant& now, Job job) override;
  // Waits for what runs; the work of other jobs is left out. Every `then` is delivered on return,
  // and of later jobs at once. Idempotent.
  void Stop();

 private:
  void Work(Lane lane);

  const std::function<void(Then)> deliver_;
  Mutex mutex_;
  CondVar wake_;
  std::array<std::deque<Job>, kLanes> jobs_ ABSL_GUARDED_BY(mutex_);
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  // Started with mutex_ held, and joined by Stop, after which none is started.
  std::array<std::thread, kLanes> threads_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_BACKGROUND_THREADS_H_
