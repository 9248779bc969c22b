// A graph as it is submitted, in the scheduler's own terms.
#ifndef KARTOGRAPH_SCHEDULER_SUBMISSION_H_
#define KARTOGRAPH_SCHEDULER_SUBMISSION_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "planner/cap.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/task_policy.h"
#include "storage/records.h"

namespace kartograph::scheduler {

struct TaskSubmission {
  std::string name;     // empty: GeneratedTaskName
  std::string payload;  // opaque
  planner::ResourceVector consumption;
  std::vector<std::string> after;
  planner::TaskPolicy policy;
  int32_t priority = 0;
  // As in storage::TaskSubmitted.
  std::string details = {};
  std::vector<std::string> blobs = {};
  absl::Duration expected_duration = absl::ZeroDuration();
};

struct GraphSubmission {
  std::string name;
  std::string client_queue;
  bool fail_fast = false;
  bool open = false;
  std::vector<TaskSubmission> tasks;
  // As in storage::GraphSubmitted.
  absl::Duration open_until_idle = absl::InfiniteDuration();
  bool deliver_end = false;
  storage::Labels labels = {};
  std::string details = {};
  std::string user = {};
  std::string share = {};
  planner::Cap cap = {};
};

// What a graph is charged to: its user, or the share that it names, which is written so that no
// user has its name: "@release".
inline std::string AccountName(const std::string& user, const std::string& share) {
  return share.empty() ? user : absl::StrCat("@", share);
}

// What a task is called that was given no name; `index` is its place in its graph.
inline std::string GeneratedTaskName(planner::TaskIndex index) {
  return absl::StrCat("task[", index, "]");
}

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SUBMISSION_H_
