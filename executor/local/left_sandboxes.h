// What the sandboxes of a state folder say of earlier runs.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_LEFT_SANDBOXES_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_LEFT_SANDBOXES_H_

#include <string>

#include "planner/ids.h"

namespace kartograph::executor {

// The newest graph that has a sandbox here; 0 where there is none, or no such folder. A graph is in
// the history before anything of it is launched, so a history that does not know it has lost its
// newest part.
planner::GraphId NewestGraphWithSandbox(const std::string& state_dir);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_LEFT_SANDBOXES_H_
