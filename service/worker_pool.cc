#include "service/worker_pool.h"

#include <utility>

#include "absl/time/clock.h"

namespace kartograph::service {

WorkerPool::WorkerPool(int threads, size_t max_queued) : max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TryPost(std::function<void()> job) {
  absl::MutexLock lock(&mutex_);
  if (stopping_ || queue_.size() >= max_queued_) return false;
  queue_.push_back(std::move(job));
  wake_.Signal();
  return true;
}

void WorkerPool::Post(std::function<void()> job) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  queue_.push_back(std::move(job));
  wake_.Signal();
}

void WorkerPool::PostAfter(absl::Duration delay, std::function<void()> job) {
  absl::MutexLock lock(&mutex_);
  if (stopping_) return;
  delayed_.emplace(absl::Now() + delay, std::move(job));
  wake_.Signal();
}

void WorkerPool::Stop() {
  {
    absl::MutexLock lock(&mutex_);
    stopping_ = true;
    wake_.SignalAll();
  }
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  std::multimap<absl::Time, std::function<void()>> dropped;
  absl::MutexLock lock(&mutex_);
  dropped.swap(delayed_);
}

absl::Time WorkerPool::QueueDue() {
  const absl::Time now = absl::Now();
  while (!delayed_.empty() && delayed_.begin()->first <= now) {
    queue_.push_back(std::move(delayed_.begin()->second));
    delayed_.erase(delayed_.begin());
  }
  return delayed_.empty() ? absl::InfiniteFuture() : delayed_.begin()->first;
}

void WorkerPool::Run() {
  absl::MutexLock lock(&mutex_);
  while (true) {
    const absl::Time next = QueueDue();
    if (queue_.empty()) {
      if (stopping_) return;
      wake_.WaitWithDeadline(&mutex_, next);
      continue;
    }
    std::function<void()> job = std::move(queue_.front());
    queue_.pop_front();
    // Several delayed jobs may have become due at once.
    if (!queue_.empty()) wake_.Signal();
    mutex_.Unlock();
    job();
    job = nullptr;  // what it holds is let go outside the lock
    mutex_.Lock();
  }
}

}  // namespace kartograph::service
