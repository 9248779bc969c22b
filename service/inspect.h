// Asking the scheduler for live state from a thread that may wait.
#ifndef KARTOGRAPH_SERVICE_INSPECT_H_
#define KARTOGRAPH_SERVICE_INSPECT_H_

#include <functional>
#include <memory>
#include <optional>
#include <utility>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "scheduler/scheduler.h"
#include "service/late_answer.h"

namespace kartograph::service {

// What `read` gives, run on the scheduler's thread. Unavailable where the scheduler has stopped or
// does not answer in time; `read` may still run later then, so it must own what it uses.
template <typename T>
absl::StatusOr<T> InspectWithin(scheduler::Scheduler& scheduler, absl::Duration timeout,
                                std::function<T(const scheduler::Snapshots&)> read) {
  // Held by the function given to the scheduler alone, so its end is the function's end.
  struct Closer {
    std::shared_ptr<LateAnswer<T>> answer;
    ~Closer() { answer->Close(); }
  };
  auto answer = std::make_shared<LateAnswer<T>>();
  auto closer = std::make_shared<Closer>();
  closer->answer = answer;
  scheduler.Inspect(
      [closer = std::move(closer), read = std::move(read)](const scheduler::Snapshots& snapshots) {
        closer->answer->Give(read(snapshots));
      });
  std::optional<T> value = answer->WaitUntil(Clock::System().SteadyNow() + timeout);
  if (value) return *std::move(value);
  if (answer->closed()) return absl::UnavailableError("the service is stopping; try again");
  return absl::UnavailableError("the scheduler does not answer in time; try again");
}

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_INSPECT_H_
