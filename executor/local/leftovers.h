// What an agent that was killed leaves behind.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_LEFTOVERS_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_LEFTOVERS_H_

#include <string>

#include "absl/time/time.h"

namespace kartograph::executor::local {

// Kills the processes whose KARTOGRAPH_RESULT is in `sandbox_root`, with everything below them and
// in their sessions, until there are none or `patience` is over. Spares this process and those
// above it. Returns how many were killed.
int KillLeftovers(const std::string& sandbox_root, absl::Duration patience);

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_LEFTOVERS_H_
