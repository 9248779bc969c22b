// Waiting for an answer that may come late or never.
#ifndef KARTOGRAPH_SERVICE_LATE_ANSWER_H_
#define KARTOGRAPH_SERVICE_LATE_ANSWER_H_

#include <condition_variable>
#include <mutex>
#include <optional>
#include <utility>

#include "base/clock.h"

namespace kartograph::service {

// Given by one thread, waited for by another; by the steady clock, which those of Abseil's mutexes
// do not go by. Thread-safe.
template <typename T>
class LateAnswer {
 public:
  void Give(T value) {
    {
      std::lock_guard lock(mutex_);
      value_ = std::move(value);
      closed_ = true;
    }
    given_.notify_all();
  }
  // Nothing will come.
  void Close() {
    {
      std::lock_guard lock(mutex_);
      closed_ = true;
    }
    given_.notify_all();
  }
  // Takes the answer; nothing where none came in time or none will.
  std::optional<T> WaitUntil(SteadyTime deadline) {
    std::unique_lock lock(mutex_);
    given_.wait_until(lock, deadline.ToChrono(), [this] { return closed_; });
    return std::exchange(value_, std::nullopt);
  }
  bool closed() const {
    std::lock_guard lock(mutex_);
    return closed_;
  }

 private:
  mutable std::mutex mutex_;
  std::condition_variable given_;
  std::optional<T> value_;
  bool closed_ = false;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_LATE_ANSWER_H_
