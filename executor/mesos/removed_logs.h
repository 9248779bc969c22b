// Where kartograph-executor writes whose logs it has removed, for whoever looks for them.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_REMOVED_LOGS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_REMOVED_LOGS_H_

#include <cstdint>

namespace kartograph::executor::mesos {

// In the executor's own sandbox: the ids of attempts, one a line. Of more than would go into as
// many bytes it is not said.
inline constexpr char kRemovedLogs[] = "removed-logs";
inline constexpr int64_t kMaxRemovedLogs = int64_t{1} << 20;

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_REMOVED_LOGS_H_
