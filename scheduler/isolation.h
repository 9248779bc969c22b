// Tasks that may be what ends their agents are launched alone.
#ifndef KARTOGRAPH_SCHEDULER_ISOLATION_H_
#define KARTOGRAPH_SCHEDULER_ISOLATION_H_

#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "scheduler/agent_table.h"
#include "scheduler/graph_table.h"

namespace kartograph::scheduler {

// Places suspects (LiveTask::suspect), each on an agent that runs nothing else, which is then
// reserved for it until its end. Where no agent is idle, one is drained: nothing more is placed on
// it. If that takes longer than kPatience, the suspect goes beside what still runs there, as tasks
// may run for days; never beside another suspect. Thread-compatible.
class Isolation {
 public:
  static constexpr absl::Duration kPatience = absl::Minutes(1);

  // All outlive this.
  Isolation(AgentTable* agents, planner::Packer* packer, const ConsumptionTable* consumptions,
            const GraphTable* graphs)
      : agents_(*agents), packer_(*packer), consumptions_(*consumptions), graphs_(*graphs) {}

  // Appends placements, which have taken their resources.
  void Place(SteadyTime now, std::vector<planner::Packer::Placement>* placements);
  // What keeps a suspect that consumes this from being placed there.
  AgentObstacle WhyNotOn(AgentTable::Index index, planner::Packer::ClassId consumption,
                         SteadyTime now) const;
  // What suspects need of an agent, each need once: those whose units of pools are free.
  std::vector<planner::ResourceVector> Wanted() const;
  // The agent's index may be used again from now on.
  void OnErased(AgentTable::Index agent);

  SteadyTime NextTimer() const {
    return drain_ ? drain_->since + kPatience : SteadyTime::InfiniteFuture();
  }

 private:
  struct Drain {
    AgentTable::Index agent;
    SteadyTime since;
  };

  std::optional<AgentTable::Index> FindIdle(planner::Packer::ClassId consumption,
                                            SteadyTime now) const;
  std::optional<AgentTable::Index> FindBeside(planner::Packer::ClassId consumption,
                                              SteadyTime now) const;
  void BeginDrain(planner::Packer::ClassId consumption, SteadyTime now);
  void EndDrain();
  bool Fits(AgentTable::Index index, planner::Packer::ClassId consumption, SteadyTime now) const {
    return WhyNotBeside(index, consumption, now) == AgentObstacle::kNone;
  }
  // As WhyNotOn, whatever else runs there.
  AgentObstacle WhyNotBeside(AgentTable::Index index, planner::Packer::ClassId consumption,
                             SteadyTime now) const;
  // Whether an idle agent is waited for.
  bool IsPatient(SteadyTime now) const { return !drain_ || now < drain_->since + kPatience; }

  AgentTable& agents_;
  planner::Packer& packer_;
  const ConsumptionTable& consumptions_;
  const GraphTable& graphs_;
  std::optional<Drain> drain_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_ISOLATION_H_
