// The time for what is to be done again or later.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_STEADY_NOW_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_STEADY_NOW_H_

#include <chrono>

#include "absl/time/time.h"

namespace kartograph::executor::mesos {

// By a clock that nobody sets, so that nothing waits for the hours of a mistake. Only differences
// mean something: it is no time of day, and starts anew with the machine.
inline absl::Time SteadyNow() {
  return absl::UnixEpoch() + absl::FromChrono(std::chrono::steady_clock::now().time_since_epoch());
}

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_STEADY_NOW_H_
