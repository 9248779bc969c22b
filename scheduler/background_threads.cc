#include "scheduler/background_threads.h"

#include <sys/resource.h>

#include <utility>

namespace kartograph::scheduler {
namespace {

constexpr int kLowestPriority = 19;  // the nicest

}  // namespace

void BackgroundThreads::Run(Lane lane, const Instant&, Job job) {
  {
    MutexLock lock(&mutex_);
    if (!stopping_) {
      jobs_[lane].push_back(std::move(job));
      if (!threads_[lane].joinable()) threads_[lane] = std::thread([this, lane] { Work(lane); });
      wake_.NotifyAll();
      return;
    }
  }
  deliver_(std::move(job.then));
}

void BackgroundThreads::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
}

void BackgroundThreads::Work(Lane lane) {
  // On Linux it is this thread's own, and where it is refused nothing is lost.
  if (lane == kSearch) setpriority(PRIO_PROCESS, 0, kLowestPriority);
  while (true) {
    Job job;
    bool skip;
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && jobs_[lane].empty()) wake_.Wait(&mutex_);
      if (jobs_[lane].empty()) return;
      job = std::move(jobs_[lane].front());
      jobs_[lane].pop_front();
      skip = stopping_;
    }
    if (!skip) job.work();
    job.work = nullptr;
    deliver_(std::move(job.then));
  }
}

}  // namespace kartograph::scheduler
