// A graph as it is submitted, in the scheduler's own terms.
#ifndef KARTOGRAPH_SCHEDULER_SUBMISSION_H_
#define KARTOGRAPH_SCHEDULER_SUBMISSION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/time/time.h"
#include "planner/resources.h"

namespace kartograph::scheduler {

struct TaskSubmission {
  std::string name;
  std::string payload;  // opaque
  planner::ResourceVector consumption;
  std::vector<std::string> after;
  absl::Duration timeout = absl::InfiniteDuration();
  absl::Duration retry_delay = absl::Seconds(1);
  absl::Duration max_retry_delay = absl::Minutes(5);
  absl::Duration cancel_grace = absl::Seconds(10);
  // How long to wait for an agent that cannot be reached before an attempt on it is given up.
  absl::Duration unreachable_timeout = absl::InfiniteDuration();
  int32_t max_attempts = 1;
  int32_t priority = 0;
};

struct GraphSubmission {
  std::string name;
  std::string client_queue;
  bool fail_fast = false;
  bool open = false;
  std::vector<TaskSubmission> tasks;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SUBMISSION_H_
