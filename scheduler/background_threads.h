// Background on threads.
#ifndef KARTOGRAPH_SCHEDULER_BACKGROUND_THREADS_H_
#define KARTOGRAPH_SCHEDULER_BACKGROUND_THREADS_H_

#include <array>
#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <thread>

#include "scheduler/background.h"

namespace kartograph::scheduler {

// One thread a lane, started with its first job. Thread-safe.
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
  std::mutex mutex_;  // guards what follows
  std::condition_variable wake_;
  std::array<std::deque<Job>, kLanes> jobs_;
  std::array<std::thread, kLanes> threads_;
  bool stopping_ = false;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_BACKGROUND_THREADS_H_
