// Waiting for an answer that may come late or never.
#ifndef KARTOGRAPH_SERVICE_LATE_ANSWER_H_
#define KARTOGRAPH_SERVICE_LATE_ANSWER_H_

#include <optional>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::service {

// Given by one thread, waited for by another; by the steady clock, which the waits of Abseil's
// mutexes do not use. Thread-safe.
template <typename T>
class LateAnswer {
 public:
  void Give(T value) {
    {
      MutexLock lock(&mutex_);
      value_ = std::move(value);
      closed_ = true;
    }
    given_.NotifyAll();
  }
  // Nothing will come.
  void Close() {
    {
      MutexLock lock(&mutex_);
      closed_ = true;
    }
    given_.NotifyAll();
  }
  // Takes the answer; nothing where none came in time or none will.
  std::optional<T> WaitUntil(SteadyTime deadline) {
    MutexLock lock(&mutex_);
    for (absl::Duration left = deadline - Clock::System().SteadyNow();
         !closed_ && left > absl::ZeroDuration(); left = deadline - Clock::System().SteadyNow()) {
      given_.WaitFor(&mutex_, left);
    }
    return std::exchange(value_, std::nullopt);
  }
  bool closed() const {
    MutexLock lock(&mutex_);
    return closed_;
  }

 private:
  mutable Mutex mutex_;
  CondVar given_;
  std::optional<T> value_ ABSL_GUARDED_BY(mutex_);
  bool closed_ ABSL_GUARDED_BY(mutex_) = false;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_LATE_ANSWER_H_
