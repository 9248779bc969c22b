// A graph as it is submitted, in the scheduler's own terms.
#ifndef KARTOGRAPH_SCHEDULER_SUBMISSION_H_
#define KARTOGRAPH_SCHEDULER_SUBMISSION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "planner/resources.h"
#include "planner/task_policy.h"

namespace kartograph::scheduler {

struct TaskSubmission {
  std::string name;
  std::string payload;  // opaque
  planner::ResourceVector consumption;
  std::vector<std::string> after;
  planner::TaskPolicy policy;
  int32_t priority = 0;
};

struct GraphSubmission {
  std::string name;
  std::string client_queue;
  bool fail_fast = false;
  bool open = false;
  std::vector<TaskSubmission> tasks;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SUBMISSION_H_
