// What an agent that was killed leaves behind.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_LEFTOVERS_H_
#define KARTOGRAPH_EXECUTOR_AGENT_LEFTOVERS_H_

#include <string>

#include "absl/time/time.h"
#include "executor/agent/session_record.h"

namespace kartograph::executor {

// Kills, until there are none or `patience` is over, the processes
// - in the control groups that the agent has made,
// - in the sessions that it has recorded,
// - whose KARTOGRAPH_RESULT is in `sandbox_root`,
// with everything below them and in their sessions. A process that has left its session, its parent
// and its environment behind is found by its control group alone. Spares this process and those
// above it. Returns how many were killed.
int KillLeftovers(const std::string& sandbox_root, const SessionRecord::Contents& record,
                  absl::Duration patience);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_LEFTOVERS_H_
