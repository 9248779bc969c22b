// What a task asks for. The tasks of a graph are mostly alike in it, so it is stored once for all.
#ifndef KARTOGRAPH_STORAGE_SETTINGS_H_
#define KARTOGRAPH_STORAGE_SETTINGS_H_

#include <cstdint>
#include <utility>

#include "planner/resources.h"
#include "planner/task_policy.h"
#include "storage/records.h"

namespace kartograph::storage {

// The part of a TaskSubmitted that is one row of the table `settings`. A value type.
struct Settings {
  planner::ResourceVector consumption;
  planner::TaskPolicy policy;
  int32_t priority = 0;

  static Settings Of(const TaskSubmitted& task) {
    return {task.consumption, task.policy, task.priority};
  }
  bool AreOf(const TaskSubmitted& task) const {
    return priority == task.priority && policy == task.policy && consumption == task.consumption;
  }
  void CopyTo(TaskSubmitted& task) const {
    task.consumption = consumption;
    task.policy = policy;
    task.priority = priority;
  }

  bool operator==(const Settings&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Settings& s) {
    return H::combine(std::move(h), s.consumption, s.policy, s.priority);
  }
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SETTINGS_H_
