// What a task asks for. The tasks of a graph are mostly alike in it, so it is stored once for all.
#ifndef KARTOGRAPH_STORAGE_SETTINGS_H_
#define KARTOGRAPH_STORAGE_SETTINGS_H_

#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "planner/resources.h"
#include "storage/records.h"

namespace kartograph::storage {

// The part of a TaskSubmitted that is one row of the table `settings`. A value type.
struct Settings {
  planner::ResourceVector consumption;
  absl::Duration timeout;
  absl::Duration retry_delay;
  absl::Duration max_retry_delay;
  absl::Duration cancel_grace;
  int32_t max_attempts = 0;
  int32_t priority = 0;
  absl::Duration unreachable_timeout;

  static Settings Of(const TaskSubmitted& task) {
    return {task.consumption,  task.timeout,      task.retry_delay, task.max_retry_delay,
            task.cancel_grace, task.max_attempts, task.priority,    task.unreachable_timeout};
  }
  bool AreOf(const TaskSubmitted& task) const {
    return max_attempts == task.max_attempts && priority == task.priority &&
           timeout == task.timeout && retry_delay == task.retry_delay &&
           max_retry_delay == task.max_retry_delay && cancel_grace == task.cancel_grace &&
           unreachable_timeout == task.unreachable_timeout && consumption == task.consumption;
  }
  void CopyTo(TaskSubmitted& task) const {
    task.consumption = consumption;
    task.timeout = timeout;
    task.retry_delay = retry_delay;
    task.max_retry_delay = max_retry_delay;
    task.cancel_grace = cancel_grace;
    task.max_attempts = max_attempts;
    task.priority = priority;
    task.unreachable_timeout = unreachable_timeout;
  }

  bool operator==(const Settings&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Settings& s) {
    return H::combine(std::move(h), s.consumption, s.timeout, s.retry_delay, s.max_retry_delay,
                      s.cancel_grace, s.max_attempts, s.priority, s.unreachable_timeout);
  }
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SETTINGS_H_
