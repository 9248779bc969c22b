#include "scheduler/relocation.h"

#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace kartograph::scheduler {

using planner::Packer;

// The one that runs the least. The avoided one too where no other is left that could ever have it.
std::optional<AgentTable::Index> Relocation::FindAgent(Packer::ClassId consumption,
                                                       const executor::AgentId& avoided,
                                                       SteadyTime now) const {
  const planner::ResourceVector& need = packer_.agent_part(consumption);
  std::optional<AgentTable::Index> found;
  std::optional<AgentTable::Index> last_resort;
  bool others = false;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    const bool is_avoided = agent.id == avoided;
    others = others || (!is_avoided && agent.connected && need.FitsIn(agent.capacity));
    if (!packer_.has_place(index) || !need.FitsIn(packer_.free(index)) ||
        agent.leaves - now < consumptions_.ExpectedWallTime(consumption)) {
      return;
    }
    std::optional<AgentTable::Index>& best = is_avoided ? last_resort : found;
    if (!best || agent.attempts.size() < agents_[*best].attempts.size()) best = index;
  });
  return others ? found : last_resort;
}

void Relocation::Place(SteadyTime now, std::vector<Packer::Placement>* placements) {
  int placed = 0;
  absl::flat_hash_set<std::pair<Packer::ClassId, executor::AgentId>> unplaced;
  for (const planner::ReadyKey& key : graphs_.relocated()) {
    if (placed == kMaxAtOnce) return;
    if (graphs_.Find(key.task.graph())->cancelling()) continue;
    const Packer::ClassId consumption = graphs_.task(key.task).consumption;
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
    placements->push_back({key.task, consumption, *agent, false});
    ++placed;
  }
}

std::vector<planner::ResourceVector> Relocation::Wanted() const {
  return graphs_.NeedsOf(graphs_.relocated());
}

}  // namespace kartograph::scheduler
