// What a command is answered, as the type that a test wants.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_REPLY_VALUE_H_
#define KARTOGRAPH_SCHEDULER_TESTING_REPLY_VALUE_H_

#include <type_traits>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "scheduler/command.h"

namespace kartograph::scheduler {

// A GraphId, a TaskKey, the deliveries, or the number itself as an int or bool.
template <typename T>
absl::StatusOr<T> ReplyValue(absl::StatusOr<Reply> reply) {
  if (!reply.ok()) return reply.status();
  if constexpr (std::is_same_v<T, std::vector<storage::Finished>>) {
    return std::move(reply->finished);
  } else if constexpr (std::is_same_v<T, planner::TaskKey>) {
    return reply->task();
  } else {
    return static_cast<T>(reply->number);
  }
}

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_REPLY_VALUE_H_
