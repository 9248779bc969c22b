// The names of graphs, tasks and attempts inside the service: one 64-bit word each.
//
// An attempt's word holds its task's, and a task's holds its graph's, so that history sorted by
// id is history sorted by graph, task and attempt, and no table is needed to go from one to the
// other.
//
//   63        31 30       11 10        0
//   | graph    | task index | attempt  |
#ifndef KARTOGRAPH_PLANNER_IDS_H_
#define KARTOGRAPH_PLANNER_IDS_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>

#include "absl/strings/string_view.h"

namespace kartograph::planner {

// Number of a graph, from 1; in text "g17".
using GraphId = uint32_t;
// Position of a task in its graph, from 0, in order of submission.
using TaskIndex = uint32_t;

inline constexpr int kTaskBits = 20;
inline constexpr int kAttemptBits = 11;
// A graph holds at most this many tasks.
inline constexpr uint32_t kMaxTasks = 1u << kTaskBits;
// A task is launched at most this many times, launches that spend no attempt included.
inline constexpr uint32_t kMaxLaunches = (1u << kAttemptBits) - 1;

// One task of one graph. The value is below 2^52.
struct TaskKey {
  uint64_t value = 0;

  static TaskKey Of(GraphId graph, TaskIndex index) {
    return {(uint64_t{graph} << kTaskBits) | index};
  }
  GraphId graph() const { return static_cast<GraphId>(value >> kTaskBits); }
  TaskIndex index() const { return static_cast<TaskIndex>(value & (kMaxTasks - 1)); }
  auto operator<=>(const TaskKey&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const TaskKey& key) {
    return H::combine(std::move(h), key.value);
  }
};

// One attempt of one task; in text "g17.42.1" (graph, task index, attempt number from 1).
struct AttemptId {
  uint64_t value = 0;

  static AttemptId Of(TaskKey task, uint32_t number) {
    return {(task.value << kAttemptBits) | number};
  }
  TaskKey task() const { return {value >> kAttemptBits}; }
  uint32_t number() const { return static_cast<uint32_t>(value & kMaxLaunches); }
  auto operator<=>(const AttemptId&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const AttemptId& id) {
    return H::combine(std::move(h), id.value);
  }
};

std::string GraphIdToString(GraphId graph);
// Nothing where the text is not a graph's id.
std::optional<GraphId> ParseGraphId(absl::string_view text);
std::string AttemptIdToString(AttemptId attempt);
std::optional<AttemptId> ParseAttemptId(absl::string_view text);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_IDS_H_
