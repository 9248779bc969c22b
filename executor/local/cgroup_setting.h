// The agent's --cgroup.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_CGROUP_SETTING_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_CGROUP_SETTING_H_

#include <memory>
#include <string>

#include "executor/runner/cgroup.h"

namespace kartograph::executor::local {

// Where the attempts' control groups are made: in a cgroup2 folder, where possible in a group of
// our own ("auto"), or nowhere ("off"). Null where there are none, with the reason in the log: then
// memory limits are kept by measuring.
std::unique_ptr<CgroupPool> MakeCgroupPool(const std::string& setting);

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_CGROUP_SETTING_H_
