#include "scheduler/background_threads.h"

#include <utility>

namespace kartograph::scheduler {

void BackgroundThreads::Run(Lane lane, const Instant&, Job job) {
  {
    std::lock_guard lock(mutex_);
    if (!stopping_) {
      jobs_[lane].push_back(std::move(job));
      if (!threads_[lane].joinable()) threads_[lane] = std::thread([this, lane] { Work(lane); });
      wake_.notify_all();
      return;
    }
  }
  deliver_(std::move(job.then));
}

void BackgroundThreads::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void BackgroundThreads::Work(Lane lane) {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [&] { return stopping_ || !jobs_[lane].empty(); });
    if (jobs_[lane].empty()) return;
    Job job = std::move(jobs_[lane].front());
    jobs_[lane].pop_front();
    const bool skip = stopping_;
    lock.unlock();
    if (!skip) job.work();
    job.work = nullptr;
    deliver_(std::move(job.then));
    lock.lock();
  }
}

}  // namespace kartograph::scheduler
