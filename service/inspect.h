// Asking the scheduler for live state from a thread that may wait.
#ifndef KARTOGRAPH_SERVICE_INSPECT_H_
#define KARTOGRAPH_SERVICE_INSPECT_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/synchronization/mutex.h"
#include "absl/time/time.h"
#include "scheduler/scheduler.h"

namespace kartograph::service {

// What `read` gives, run on the scheduler's thread. Unavailable where the scheduler has stopped or
// does not answer in time; `read` may still run later then, so it must own what it uses.
template <typename T>
absl::StatusOr<T> InspectWithin(scheduler::Scheduler& scheduler, absl::Duration timeout,
                                std::function<T(const scheduler::Snapshots&)> read) {
  struct Answer {
    absl::Mutex mutex;
    std::optional<T> value;
    bool closed = false;  // the function was run, or dropped without being run
  };
  // Held by the function given to the scheduler alone, so its end is the function's end.
  struct Closer {
    std::shared_ptr<Answer> answer;
    ~Closer() {
      absl::MutexLock lock(&answer->mutex);
      answer->closed = true;
    }
  };
  auto answer = std::make_shared<Answer>();
  auto closer = std::make_shared<Closer>();
  closer->answer = answer;
  scheduler.Inspect(
      [closer = std::move(closer), read = std::move(read)](const scheduler::Snapshots& snapshots) {
        T value = read(snapshots);
        absl::MutexLock lock(&closer->answer->mutex);
        closer->answer->value = std::move(value);
        closer->answer->closed = true;
      });
  absl::MutexLock lock(&answer->mutex);
  answer->mutex.AwaitWithTimeout(absl::Condition(&answer->closed), timeout);
  if (answer->value) return *std::move(answer->value);
  if (answer->closed) return absl::UnavailableError("the service is stopping; try again");
  return absl::UnavailableError("the scheduler does not answer in time; try again");
}

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_INSPECT_H_
