// Tasks whose program could not be started are tried once more, on another agent; and those that
// ask for it, after each failure.
#ifndef KARTOGRAPH_SCHEDULER_RELOCATION_H_
#define KARTOGRAPH_SCHEDULER_RELOCATION_H_

#include <optional>
#include <vector>

#include "base/clock.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "scheduler/agent_table.h"
#include "scheduler/consumption_table.h"
#include "scheduler/graph_table.h"

namespace kartograph::scheduler {

// Places the tasks that avoid an agent (GraphTable::relocated). Thread-compatible.
class Relocation {
 public:
  // How many are placed in one plan: each looks at all agents.
  static constexpr int kMaxAtOnce = 100;

  // All outlive this.
  Relocation(const AgentTable* agents, planner::Packer* packer,
             const ConsumptionTable* consumptions, const GraphTable* graphs)
      : agents_(*agents), packer_(*packer), consumptions_(*consumptions), graphs_(*graphs) {}

  // Appends placements, which have taken their resources.
  void Place(SteadyTime now, std::vector<planner::Packer::Placement>* placements);
  // What keeps one that consumes this and avoids this agent from being placed there. `others`:
  // there is another agent that could ever have it.
  AgentObstacle WhyNotOn(AgentTable::Index index, planner::Packer::ClassId consumption,
                         const executor::AgentId& avoided, bool others, SteadyTime now) const;
  bool HasOthers(planner::Packer::ClassId consumption, const executor::AgentId& avoided) const;
  // What they need of an agent, each need once: those whose units of pools are free.
  std::vector<planner::ResourceVector> Wanted() const;

 private:
  std::optional<AgentTable::Index> FindAgent(planner::Packer::ClassId consumption,
                                             const executor::AgentId& avoided,
                                             SteadyTime now) const;

  const AgentTable& agents_;
  planner::Packer& packer_;
  const ConsumptionTable& consumptions_;
  const GraphTable& graphs_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_RELOCATION_H_
