// How a task learns what it declared.
#ifndef KARTOGRAPH_EXECUTOR_DECLARED_VARIABLES_H_
#define KARTOGRAPH_EXECUTOR_DECLARED_VARIABLES_H_

#include <string>
#include <utility>
#include <vector>

#include "executor/cluster.h"

namespace kartograph::executor {

using Variables = std::vector<std::pair<std::string, std::string>>;

// What an attempt holds, by variables: KARTOGRAPH_CPU in cores, KARTOGRAPH_RAM in bytes, units of
// others such as KARTOGRAPH_RESOURCE_DB_CONNECTIONS; of indexed ones the instances, with commas
// between: KARTOGRAPH_RESOURCE_GPU=0,1.
Variables DeclaredVariables(const Launch& launch);

// What keeps an attempt to its GPUs, where they are indexed. CUDA_VISIBLE_DEVICES has the instances
// of `gpu`, `gpus` and the same with `nvidia`, such as `gpu.nvidia`; ROCR_VISIBLE_DEVICES those
// with `amd`. They are empty for an attempt that has none: it sees none.
Variables DeviceVariables(const Launch& launch);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_DECLARED_VARIABLES_H_
