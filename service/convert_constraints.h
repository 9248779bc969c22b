// On which agents a task may run, and beside what: from the contract's messages to the planner's
// values, and back.
#ifndef KARTOGRAPH_SERVICE_CONVERT_CONSTRAINTS_H_
#define KARTOGRAPH_SERVICE_CONVERT_CONSTRAINTS_H_

#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "planner/constraints.h"
#include "planner/spread.h"
#include "service/problem_list.h"

namespace kartograph::service {

// Checks them; `task` says where the message stands.
planner::Constraints ConvertConstraints(const v1::TaskSpec& spec, absl::string_view task,
                                        ProblemList& problems);
planner::Spread ConvertSpread(const v1::TaskSpec& spec, absl::string_view task,
                              ProblemList& problems);
void SetConstraints(const planner::Constraints& constraints, v1::TaskSpec& spec);
void SetSpread(const planner::Spread& spread, v1::TaskSpec& spec);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_CONVERT_CONSTRAINTS_H_
