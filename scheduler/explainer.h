// What a task waits for.
#ifndef KARTOGRAPH_SCHEDULER_EXPLAINER_H_
#define KARTOGRAPH_SCHEDULER_EXPLAINER_H_

#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "planner/packer.h"
#include "scheduler/explanation.h"
#include "scheduler/live_graph.h"
#include "scheduler/placement_explainer.h"

namespace kartograph::scheduler {

// Explains when it is asked. Thread-compatible.
class Explainer {
 public:
  using Parts = PlacementExplainer::Parts;
  using Situation = PlacementExplainer::Situation;

  explicit Explainer(Parts parts) : parts_(parts), placement_(parts) {}

  // Everything that is known. Of lists it names a few; it looks at every agent, and at as many
  // tasks that go first as Explanation and planner::ForecastStart allow.
  Explanation Explain(const LiveGraph& graph, planner::TaskIndex task, const Situation& situation,
                      const Instant& now) const;
  // The first of its reasons as one line, for lists: all agents are looked at once for a
  // consumption until something changes, however many tasks are asked about. Empty where there is
  // nothing to say, and for final tasks.
  std::string InOneLine(const LiveGraph& graph, planner::TaskIndex task, const Situation& situation,
                        const Instant& now) const;
  // Something changed: what was said of a consumption may be wrong.
  void Invalidate() {
    if (!placed_.empty()) placed_.clear();
  }

  const PlacementExplainer& placement() const { return placement_; }
  // How often all agents were looked at for a line, for tests.
  int64_t looks() const { return looks_; }

 private:
  // All but what keeps a ready task from being placed; whether that is to be asked as well.
  bool AddKnown(const LiveGraph& graph, planner::TaskIndex task, const Situation& situation,
                const Instant& now, Explanation& explanation) const;
  void AddInVain(const LiveGraph& graph, planner::TaskIndex task, Explanation& explanation) const;
  void AddAttempt(const LiveGraph& graph, planner::TaskIndex task, const Situation& situation,
                  const Instant& now, Explanation& explanation) const;
  WaitsForTasks WhyNotReady(const LiveGraph& graph, planner::TaskIndex task,
                            const Instant& now) const;
  Dependency DependencyOf(const LiveGraph& graph, planner::TaskIndex task,
                          const Instant& now) const;
  BacksOff BackOffOf(const LiveGraph& graph, planner::TaskIndex task, const Instant& until) const;
  void AddReservations(planner::TaskKey task, Explanation& explanation) const;
  static ExpectedStart ExpectReady(const WaitsForTasks& waits);

  const Parts parts_;
  const PlacementExplainer placement_;
  // By consumption, and for what is launched apart "!" and the agent that is avoided.
  mutable absl::flat_hash_map<std::pair<planner::Packer::ClassId, std::string>, std::string>
      placed_;
  mutable int64_t looks_ = 0;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_EXPLAINER_H_
