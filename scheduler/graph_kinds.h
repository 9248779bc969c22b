// Of which kind the tasks of one graph are, and how long each is expected to take.
#ifndef KARTOGRAPH_SCHEDULER_GRAPH_KINDS_H_
#define KARTOGRAPH_SCHEDULER_GRAPH_KINDS_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "planner/ids.h"
#include "planner/task_kind.h"
#include "scheduler/usage_table.h"

namespace kartograph::scheduler {

// Two bytes for a task, and eight more where the graph says how long its tasks take. At most
// kMaxKinds: tasks of further kinds have none, so that a graph whose names are all different fills
// no table. Thread-compatible.
class GraphKinds {
 public:
  static constexpr size_t kMaxKinds = 1000;
  // What is expected of one task is at most this, so that sums over a graph are exact.
  static constexpr absl::Duration kLongest = absl::Hours(24 * 30);

  struct Kind {
    planner::TaskKind kind;
    int64_t expected_us = 0;  // learnt; 0: nothing is known
    UsageTable::Place place;
    uint32_t tasks = 0;
  };

  // Before the first task.
  void SetGraph(absl::string_view name) { graph_ = planner::NamePattern(name); }
  // The next task; `consumption` as planner::ConsumptionText has it, `declared` as in
  // storage::TaskSubmitted.
  void Add(absl::string_view name, absl::string_view consumption, absl::Duration declared);
  // Looks up what is known (null: nothing) of kinds that were not looked up before: what is
  // expected of a task does not change afterwards.
  void Estimate(const UsageTable* usage);

  size_t size() const { return kind_of_.size(); }
  // What its client expects; zero: nothing was said.
  absl::Duration Declared(planner::TaskIndex task) const {
    return task < declared_us_.size() ? absl::Microseconds(declared_us_[task])
                                      : absl::ZeroDuration();
  }
  // What is expected of it, by its client or by what was learnt, in microseconds; 0: nothing is
  // known.
  int64_t ExpectedUs(planner::TaskIndex task) const;
  // Null where it has none.
  Kind* Of(planner::TaskIndex task) {
    return kind_of_[task] == kNone ? nullptr : &kinds_[kind_of_[task]];
  }
  const std::vector<Kind>& kinds() const { return kinds_; }
  // Of which of kinds() it is; nothing where it has none.
  std::optional<size_t> IndexOf(planner::TaskIndex task) const {
    return kind_of_[task] == kNone ? std::nullopt : std::optional<size_t>(kind_of_[task]);
  }

 private:
  static constexpr uint16_t kNone = UINT16_MAX;
  static_assert(kMaxKinds < kNone);

  uint16_t FindOrAdd(absl::string_view name, absl::string_view consumption);

  std::string graph_;
  std::vector<Kind> kinds_;
  size_t estimated_ = 0;                              // of kinds_, the first ones
  absl::flat_hash_map<std::string, uint16_t> index_;  // by pattern and consumption
  std::vector<uint16_t> kind_of_;                     // by task
  std::vector<int64_t> declared_us_;                  // by task; shorter where the rest says none
  // Kept to save their allocation; the last one is mostly the next one's too.
  std::string pattern_;
  std::string key_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_GRAPH_KINDS_H_
