#include "service/worker_pool.h"

#include <utility>

namespace kartograph::service {

WorkerPool::WorkerPool(int threads, size_t max_queued) : max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TryPost(std::function<void()> job) {
  {
    MutexLock lock(&mutex_);
    if (stopping_ || queue_.size() >= max_queued_) return false;
    queue_.push_back(std::move(job));
  }
  wake_.NotifyOne();
  return true;
}

void WorkerPool::Post(std::function<void()> job) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    queue_.push_back(std::move(job));
  }
  wake_.NotifyOne();
}

void WorkerPool::PostAfter(absl::Duration delay, std::function<void()> job) {
  {
    MutexLock lock(&mutex_);
    if (stopping_) return;
    delayed_.emplace(Clock::System().SteadyNow() + delay, std::move(job));
  }
  wake_.NotifyOne();
}

void WorkerPool::Stop() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  // Destroyed outside the lock.
  std::multimap<SteadyTime, std::function<void()>> dropped;
  MutexLock lock(&mutex_);
  dropped.swap(delayed_);
}

SteadyTime WorkerPool::QueueDue() {
  const SteadyTime now = Clock::System().SteadyNow();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    queue_.push_back(std::move(delayed_.begin()->second));
    delayed_.erase(delayed_.begin());
  }
  return delayed_.empty() ? SteadyTime::InfiniteFuture() : delayed_.begin()->first;
}

void WorkerPool::Run() {
  while (true) {
    std::function<void()> job;
    {
      MutexLock lock(&mutex_);
      const SteadyTime next = QueueDue();
      if (queue_.empty()) {
        if (stopping_) return;
        wake_.WaitFor(&mutex_, next - Clock::System().SteadyNow());
        continue;
      }
      job = std::move(queue_.front());
      queue_.pop_front();
      // Several delayed jobs may have become due at once.
      if (!queue_.empty()) wake_.NotifyOne();
    }
    job();  // and what it holds is destroyed outside the lock
  }
}

}  // namespace kartograph::service
