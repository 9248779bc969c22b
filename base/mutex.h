// Mutual exclusion that clang checks: std::mutex with the annotations of -Wthread-safety.
//
// What a mutex guards says so with ABSL_GUARDED_BY(mutex_), and a function that is called with the
// lock held with ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_); the lint check (see CONTRIBUTING.md) finds
// violations. absl::Mutex has the same annotations, but ThreadSanitizer does not see into Debian's
// build of it: use this one where tests run under that sanitizer.
#ifndef KARTOGRAPH_BASE_MUTEX_H_
#define KARTOGRAPH_BASE_MUTEX_H_

#include <algorithm>
#include <chrono>
#include <condition_variable>
#include <mutex>

#include "absl/base/thread_annotations.h"
#include "absl/time/time.h"

namespace kartograph {

class ABSL_LOCKABLE Mutex {
 public:
  Mutex() = default;
  Mutex(const Mutex&) = delete;
  Mutex& operator=(const Mutex&) = delete;

  void Lock() ABSL_EXCLUSIVE_LOCK_FUNCTION() { mutex_.lock(); }
  void Unlock() ABSL_UNLOCK_FUNCTION() { mutex_.unlock(); }

 private:
  friend class CondVar;
  std::mutex mutex_;
};

// Holds the lock for as long as it lives.
class ABSL_SCOPED_LOCKABLE MutexLock {
 public:
  explicit MutexLock(Mutex* mutex) ABSL_EXCLUSIVE_LOCK_FUNCTION(mutex) : mutex_(mutex) {
    mutex_->Lock();
  }
  ~MutexLock() ABSL_UNLOCK_FUNCTION() { mutex_->Unlock(); }
  MutexLock(const MutexLock&) = delete;
  MutexLock& operator=(const MutexLock&) = delete;

 private:
  Mutex* const mutex_;
};

// Waits with a Mutex held, which is free meanwhile. As clang does not follow a lock into a lambda,
// conditions are written as loops: while (!ready_) changed_.Wait(&mutex_);
class CondVar {
 public:
  void Wait(Mutex* mutex) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock lock(mutex->mutex_, std::adopt_lock);
    condition_.wait(lock);
    lock.release();
  }
  // False where `timeout` passed on the steady clock.
  bool WaitFor(Mutex* mutex, absl::Duration timeout) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex) {
    std::unique_lock lock(mutex->mutex_, std::adopt_lock);
    // A year, lest the sum with the clock's time overflow.
    const std::chrono::nanoseconds nanoseconds =
        absl::ToChronoNanoseconds(std::min(timeout, absl::Hours(24 * 365)));
    const std::cv_status status = condition_.wait_for(lock, nanoseconds);
    lock.release();
    return status == std::cv_status::no_timeout;
  }
  void NotifyOne() { condition_.notify_one(); }
  void NotifyAll() { condition_.notify_all(); }

 private:
  std::condition_variable condition_;
};

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_MUTEX_H_
