// The agent's --cgroup.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_CGROUP_SETTING_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_CGROUP_SETTING_H_

#include <memory>
#include <string>

#include "executor/runner/cgroup.h"

namespace kartograph::executor::local {

// By what the memory limits of attempts are kept.
struct MemoryLimits {
  std::unique_ptr<CgroupPool> cgroups;  // null: by measuring
  std::string kept_by;                  // as in executor/memory_limits.h
};

// The attempts' control groups are made in a cgroup2 folder, where possible in a group of our own
// ("auto"), or not at all ("off").
MemoryLimits MakeMemoryLimits(const std::string& setting);

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_CGROUP_SETTING_H_
