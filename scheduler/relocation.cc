#include "scheduler/relocation.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace kartograph::scheduler {

using planner::Packer;

bool Relocation::HasOthers(Packer::ClassId consumption, const executor::AgentId& avoided) const {
  const planner::ResourceVector& need = packer_.agent_part(consumption);
  bool others = false;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    others = others || (agent.id != avoided && agent.connected && agent.closed.empty() &&
                        need.FitsIn(agent.capacity) && packer_.IsEligible(index, consumption));
  });
  return others;
}

AgentObstacle Relocation::WhyNotOn(AgentTable::Index index, Packer::ClassId consumption,
                                   const executor::AgentId& avoided, bool others,
                                   SteadyTime now) const {
  const Agent& agent = agents_[index];
  const AgentObstacle obstacle = AgentTable::WhyNotUsable(agent);
  if (obstacle != AgentObstacle::kNone) return obstacle;
  if (!packer_.IsEligible(index, consumption)) return AgentObstacle::kConstraint;
  if (packer_.IsSpreadFull(index, consumption)) return AgentObstacle::kSpread;
  if (others && agent.id == avoided) return AgentObstacle::kAvoided;
  if (!packer_.has_place(index)) return AgentObstacle::kNoSlot;
  if (!packer_.agent_part(consumption).FitsIn(packer_.free(index))) return AgentObstacle::kLacks;
  return agent.leaves - now < consumptions_.ExpectedWallTime(consumption) ? AgentObstacle::kLeaves
                                                                          : AgentObstacle::kNone;
}

// The one that runs the least. The avoided one too where no other is left that could ever have it.
std::optional<AgentTable::Index> Relocation::FindAgent(Packer::ClassId consumption,
                                                       const executor::AgentId& avoided,
                                                       SteadyTime now) const {
  const bool others = HasOthers(consumption, avoided);
  std::optional<AgentTable::Index> found;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    if (found && agent.attempts.size() >= agents_[*found].attempts.size()) return;
    if (WhyNotOn(index, consumption, avoided, others, now) == AgentObstacle::kNone) found = index;
  });
  return found;
}

void Relocation::Place(SteadyTime now, std::vector<Packer::Placement>* placements) {
  int placed = 0;
  absl::flat_hash_set<std::pair<Packer::ClassId, executor::AgentId>> unplaced;
  for (const planner::ReadyKey& key : graphs_.relocated()) {
    if (placed == kMaxAtOnce) return;
    if (graphs_.Find(key.task.graph())->cancelling()) continue;
    const Packer::ClassId consumption = graphs_.task(key.task).consumption;
    if (packer_.IsOverCap(key.task.graph(), consumption)) continue;
    const executor::AgentId& avoided = graphs_.avoided_agent(key.task);
    if (unplaced.contains({consumption, avoided})) continue;
    std::optional<AgentTable::Index> agent;
    if (packer_.pool_part(consumption).FitsIn(packer_.pool_free())) {
      agent = FindAgent(consumption, avoided, now);
    }
    if (!agent) {
      unplaced.insert({consumption, avoided});
      continue;
    }
    packer_.Take(*agent, consumption);
    packer_.TakePools(consumption);
    packer_.Charge(key.task.graph(), consumption, *agent);
    placements->push_back({key.task, consumption, *agent, false});
    ++placed;
  }
}

std::vector<planner::ResourceVector> Relocation::Wanted() const {
  return graphs_.NeedsOf(graphs_.relocated());
}

}  // namespace kartograph::scheduler
