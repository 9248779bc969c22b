// Why a task is not running, in one sentence.
#ifndef KARTOGRAPH_SCHEDULER_EXPLAINER_H_
#define KARTOGRAPH_SCHEDULER_EXPLAINER_H_

#include <string>

#include "absl/container/flat_hash_map.h"
#include "base/clock.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "scheduler/agent_table.h"
#include "scheduler/attempt_table.h"
#include "scheduler/consumption_table.h"
#include "scheduler/graph_table.h"
#include "scheduler/live_graph.h"
#include "scheduler/reservations.h"

namespace kartograph::scheduler {

// Explains when it is asked, and checks all agents once for a consumption until something changes,
// however many tasks are asked about. Thread-compatible.
class Explainer {
 public:
  struct Parts {
    const planner::Packer* packer;
    const ConsumptionTable* consumptions;
    const AgentTable* agents;
    const AttemptTable* attempts;
    const GraphTable* graphs;
    const Reservations* reservations;
  };
  // What no table knows.
  struct Situation {
    bool launching = true;
    bool connected = false;
    const std::string* disconnect_reason;
    SteadyTime planned;
  };

  explicit Explainer(Parts parts) : parts_(parts) {}

  // Empty where there is no reason to give, and for final tasks.
  std::string WhyNotRunning(const LiveGraph& graph, planner::TaskIndex task,
                            const Situation& situation) const;
  // Something changed: what was said of a consumption may be wrong.
  void Invalidate() {
    if (!not_placed_.empty()) not_placed_.clear();
  }

  // How often all agents were checked, for tests.
  int64_t looks() const { return looks_; }

 private:
  std::string WhyNotReady(const LiveGraph& graph, planner::TaskIndex task) const;
  std::string WhyNotLaunched(const LiveGraph& graph, planner::TaskIndex task,
                             const Situation& situation) const;
  std::string WhyOutOfReach(const LiveGraph& graph, planner::TaskIndex task) const;
  std::string WhyNotPlaced(planner::Packer::ClassId consumption, const Situation& situation) const;
  std::string WhyNoPool(planner::Packer::ClassId consumption) const;
  std::string WhyNoAgent(planner::Packer::ClassId consumption, const Situation& situation) const;
  // Nothing is placed on it but one task.
  std::string WhyReserved(const Agent& agent) const;
  // A task by its name and graph, for people.
  std::string NameOf(planner::TaskKey task) const;

  const Parts parts_;
  mutable absl::flat_hash_map<planner::Packer::ClassId, std::string> not_placed_;
  mutable int64_t looks_ = 0;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_EXPLAINER_H_
