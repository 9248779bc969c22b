// How a task learns what it declared.
#ifndef KARTOGRAPH_EXECUTOR_DECLARED_VARIABLES_H_
#define KARTOGRAPH_EXECUTOR_DECLARED_VARIABLES_H_

#include <string>
#include <utility>
#include <vector>

#include "executor/cluster.h"

namespace kartograph::executor {

// What an attempt holds, by variables: KARTOGRAPH_CPU in cores, KARTOGRAPH_RAM in bytes, units of
// others such as KARTOGRAPH_RESOURCE_DB_CONNECTIONS.
std::vector<std::pair<std::string, std::string>> DeclaredVariables(const Launch& launch);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_DECLARED_VARIABLES_H_
