#include "service/worker_pool.h"

#include <utility>

namespace kartograph::service {

WorkerPool::WorkerPool(int threads, size_t max_queued) : max_queued_(max_queued) {
  for (int i = 0; i < threads; ++i) threads_.emplace_back([this] { Run(); });
}

WorkerPool::~WorkerPool() { Stop(); }

bool WorkerPool::TryPost(std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_ || queue_.size() >= max_queued_) return false;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
  return true;
}

void WorkerPool::Post(std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    queue_.push_back(std::move(job));
  }
  wake_.notify_one();
}

void WorkerPool::PostAfter(absl::Duration delay, std::function<void()> job) {
  {
    std::lock_guard lock(mutex_);
    if (stopping_) return;
    delayed_.emplace(Clock::System().SteadyNow() + delay, std::move(job));
  }
  wake_.notify_one();
}

void WorkerPool::Stop() {
  {
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  for (std::thread& thread : threads_) {
    if (thread.joinable()) thread.join();
  }
  // Let go outside the lock.
  std::multimap<SteadyTime, std::function<void()>> dropped;
  std::lock_guard lock(mutex_);
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
  std::unique_lock lock(mutex_);
  while (true) {
    const SteadyTime next = QueueDue();
    if (queue_.empty()) {
      if (stopping_) return;
      wake_.wait_until(lock, next.ToChrono());
      continue;
    }
    std::function<void()> job = std::move(queue_.front());
    queue_.pop_front();
    // Several delayed jobs may have become due at once.
    if (!queue_.empty()) wake_.notify_one();
    lock.unlock();
    job();
    job = nullptr;  // what it holds is let go outside the lock
    lock.lock();
  }
}

}  // namespace kartograph::service
