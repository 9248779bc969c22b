// What this machine has to offer.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_DETECT_RESOURCES_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_DETECT_RESOURCES_H_

#include "planner/resources.h"

namespace kartograph::executor {

// `cpu`: the cores this process may use, by its affinity and its cgroup's quota. `ram`: nine tenths
// of the memory it may use, by the machine and its cgroup, in whole MiB.
planner::ResourceVector DetectResources();

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_DETECT_RESOURCES_H_
