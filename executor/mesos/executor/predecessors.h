// What executors of this framework that were killed have left on this host.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_PREDECESSORS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_PREDECESSORS_H_

#include <string>

#include "absl/time/time.h"

namespace kartograph::executor::mesos {

// In an executor's sandbox: the record of the sessions of its attempts (SessionRecord), and the
// folder of their sandboxes.
inline constexpr char kSessionsFile[] = "sessions.record";
inline constexpr char kSandboxesFolder[] = "sandboxes";

// Kills the processes of executors that do not live any more, as KillLeftovers does: those that
// left their session were out of reach for whatever ended the executor. The sandboxes of executors
// lie beside each other, as Mesos makes them: <framework>/executors/<id>/runs/<container>;
// elsewhere there is nothing to find. Returns how many were killed.
int EndPredecessors(const std::string& sandbox, absl::Duration patience);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_PREDECESSORS_H_
