#include "scheduler/isolation.h"

#include <algorithm>

#include "absl/container/flat_hash_set.h"

namespace kartograph::scheduler {

using planner::Packer;

AgentObstacle Isolation::WhyNotBeside(AgentTable::Index index, Packer::ClassId consumption,
                                      SteadyTime now) const {
  const Agent& agent = agents_[index];
  const AgentObstacle obstacle = AgentTable::WhyNotUsable(agent);
  const bool kept_for_it = obstacle == AgentObstacle::kAlone && drain_ && drain_->agent == index;
  if (obstacle != AgentObstacle::kNone && !kept_for_it) return obstacle;
  if (!packer_.IsEligible(index, consumption)) return AgentObstacle::kConstraint;
  if (packer_.IsSpreadFull(index, consumption)) return AgentObstacle::kSpread;
  if (!packer_.agent_part(consumption).FitsIn(packer_.free(index))) return AgentObstacle::kLacks;
  return agent.leaves - now < consumptions_.ExpectedWallTime(consumption) ? AgentObstacle::kLeaves
                                                                          : AgentObstacle::kNone;
}

AgentObstacle Isolation::WhyNotOn(AgentTable::Index index, Packer::ClassId consumption,
                                  SteadyTime now) const {
  const AgentObstacle obstacle = WhyNotBeside(index, consumption, now);
  const bool waits = obstacle == AgentObstacle::kNone && !agents_[index].attempts.empty();
  return waits && IsPatient(now) ? AgentObstacle::kBusy : obstacle;
}

std::optional<AgentTable::Index> Isolation::FindIdle(Packer::ClassId consumption,
                                                     SteadyTime now) const {
  std::optional<AgentTable::Index> found;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    if (agent.attempts.empty() && !found && Fits(index, consumption, now)) found = index;
  });
  return found;
}

std::optional<AgentTable::Index> Isolation::FindBeside(Packer::ClassId consumption,
                                                       SteadyTime now) const {
  std::optional<AgentTable::Index> found;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    if (!Fits(index, consumption, now)) return;
    if (!found || agent.attempts.size() < agents_[*found].attempts.size()) found = index;
  });
  return found;
}

void Isolation::BeginDrain(Packer::ClassId consumption, SteadyTime now) {
  std::optional<AgentTable::Index> found;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    if (!agent.connected || agent.failures > 0 || agent.reserved ||
        !packer_.IsEligible(index, consumption) ||
        !packer_.agent_part(consumption).FitsIn(agent.capacity)) {
      return;
    }
    if (!found || agent.attempts.size() < agents_[*found].attempts.size()) found = index;
  });
  if (!found) return;
  drain_ = Drain{*found, now};
  agents_.Reserve(*found, true);
}

void Isolation::EndDrain() {
  agents_.Reserve(drain_->agent, false);
  drain_.reset();
}

void Isolation::OnErased(AgentTable::Index agent) {
  if (drain_ && drain_->agent == agent) drain_.reset();
}

void Isolation::Place(SteadyTime now, std::vector<Packer::Placement>* placements) {
  if (drain_ && (graphs_.suspects().empty() || !agents_[drain_->agent].connected)) EndDrain();
  if (graphs_.suspects().empty()) return;
  absl::flat_hash_set<Packer::ClassId> unplaced;
  for (const planner::ReadyKey& key : graphs_.suspects()) {
    if (graphs_.Find(key.task.graph())->cancelling()) continue;
    const Packer::ClassId consumption = graphs_.task(key.task).consumption;
    if (packer_.IsOverCap(key.task.graph(), consumption)) continue;
    if (unplaced.contains(consumption)) continue;
    std::optional<AgentTable::Index> agent;
    if (packer_.pool_part(consumption).FitsIn(packer_.pool_free())) {
      agent = FindIdle(consumption, now);
      if (!agent && !IsPatient(now)) agent = FindBeside(consumption, now);
      if (!agent && !drain_) BeginDrain(consumption, now);
    }
    if (!agent) {
      unplaced.insert(consumption);
      continue;
    }
    if (drain_ && drain_->agent == *agent) drain_.reset();
    agents_.Reserve(*agent, true);
    packer_.Take(*agent, consumption);
    packer_.TakePools(consumption);
    packer_.Charge(key.task.graph(), consumption, *agent);
    placements->push_back({key.task, consumption, *agent, false});
  }
  // Nothing fitted on what was drained in all that time: perhaps it does on another agent.
  if (drain_ && now >= drain_->since + kPatience) EndDrain();
}

std::vector<planner::ResourceVector> Isolation::Wanted() const {
  return graphs_.NeedsOf(graphs_.suspects());
}

}  // namespace kartograph::scheduler
