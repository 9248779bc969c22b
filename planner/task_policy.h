// What a task may ask for beside its resources: limits, delays, how often and where it is tried.
#ifndef KARTOGRAPH_PLANNER_TASK_POLICY_H_
#define KARTOGRAPH_PLANNER_TASK_POLICY_H_

#include <cstdint>
#include <utility>

#include "absl/time/time.h"
#include "planner/constraints.h"
#include "planner/retry_rule.h"
#include "planner/spread.h"

namespace kartograph::planner {

// The same value from the contract's message to the row in the history. The defaults are those of
// the contract. A value type; the tasks of a graph mostly share a few.
struct TaskPolicy {
  // Of one attempt's wall time.
  absl::Duration timeout = absl::InfiniteDuration();
  // Before the second attempt; doubles with each further one up to max_retry_delay.
  absl::Duration retry_delay = absl::Seconds(1);
  absl::Duration max_retry_delay = absl::Minutes(5);
  // Between SIGTERM and SIGKILL.
  absl::Duration cancel_grace = absl::Seconds(10);
  // How long to wait for an agent that cannot be reached before an attempt on it is given up.
  absl::Duration unreachable_timeout = absl::InfiniteDuration();
  // At least 1. Attempts that are not the task's fault do not count.
  int32_t max_attempts = 1;
  // At least 1: the task fails once this many of its attempts were lost together with their agent.
  int32_t max_losses = 5;
  // Which failures are worth another attempt.
  RetryRule retry = {};
  // The next attempt after one that failed goes to another agent, if there is one.
  bool avoid_last_failure = false;
  // It may be ended for one of higher priority.
  bool preemptible = false;
  // Which agents it may run on.
  Constraints constraints = {};
  Spread spread = {};

  bool operator==(const TaskPolicy&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const TaskPolicy& p) {
    return H::combine(std::move(h), p.timeout, p.retry_delay, p.max_retry_delay, p.cancel_grace,
                      p.unreachable_timeout, p.max_attempts, p.max_losses, p.retry,
                      p.avoid_last_failure, p.preemptible, p.constraints, p.spread);
  }
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_TASK_POLICY_H_
