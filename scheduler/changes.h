// From a step to what watchers are sent.
#ifndef KARTOGRAPH_SCHEDULER_CHANGES_H_
#define KARTOGRAPH_SCHEDULER_CHANGES_H_

#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "scheduler/core.h"
#include "scheduler/snapshot.h"
#include "scheduler/step.h"

namespace kartograph::scheduler {

// What a committed step changed, and the text for it. Both arguments outlive this and do not change
// meanwhile.
class StepChanges : private Changes::Words {
 public:
  StepChanges(const Step& step, const Core& now);
  StepChanges(const StepChanges&) = delete;
  StepChanges& operator=(const StepChanges&) = delete;

  const Changes& changes() const { return changes_; }

 private:
  absl::string_view Name(const Changes::Task& task) const override;
  std::string Reason(const Changes::Task& task) const override;
  const LiveGraph* FindGraph(planner::GraphId graph) const;
  void AddTasks();
  void AddGraphs();

  const Step& step_;
  const Core& now_;
  absl::flat_hash_map<planner::GraphId, const LiveGraph*> ended_graphs_;
  // Made when a watcher asks why a task ended.
  mutable std::optional<absl::flat_hash_map<planner::TaskKey, const std::string*>> why_ended_;
  Changes changes_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_CHANGES_H_
