// What keeps a ready task from being placed.
#ifndef KARTOGRAPH_SCHEDULER_PLACEMENT_EXPLAINER_H_
#define KARTOGRAPH_SCHEDULER_PLACEMENT_EXPLAINER_H_

#include <cstddef>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "planner/start_forecast.h"
#include "scheduler/agent_table.h"
#include "scheduler/attempt_table.h"
#include "scheduler/consumption_table.h"
#include "scheduler/explanation.h"
#include "scheduler/graph_table.h"
#include "scheduler/isolation.h"
#include "scheduler/relocation.h"
#include "scheduler/reservations.h"

namespace kartograph::scheduler {

// Asks of every pool and agent what the plan asks, by the functions that the plan uses, and names
// who is in the way. Holds nothing. Thread-compatible.
class PlacementExplainer {
 public:
  // All outlive this.
  struct Parts {
    const planner::Packer* packer;
    const ConsumptionTable* consumptions;
    const AgentTable* agents;
    const AttemptTable* attempts;
    const GraphTable* graphs;
    const Reservations* reservations;
    const Isolation* isolation;
    const Relocation* relocation;
  };
  // What no table knows.
  struct Situation {
    bool launching = true;
    bool connected = false;
    const std::string* disconnect_reason;
  };
  // How such a task is placed: with all others, alone on its agent, or anywhere but on one agent.
  enum class Way : uint8_t { kPacked, kAlone, kRelocated };
  struct Wish {
    planner::ReadyOrder order;
    planner::Packer::ClassId consumption = 0;
    Way way = Way::kPacked;
    executor::AgentId avoided = {};  // kRelocated
  };

  explicit PlacementExplainer(Parts parts) : parts_(parts) {}

  // A ready task that is not delayed.
  Wish WishOf(const LiveGraph& graph, planner::TaskIndex task) const;
  // First the limit, then the pools, then the agents. Empty: nothing keeps it.
  std::vector<Reason> Obstacles(const Wish& wish, const Situation& situation,
                                const Instant& now) const;
  // The limit alone, which costs least.
  std::optional<Reason> WhyAtLimit(const Wish& wish) const;
  // Of the ready tasks that go before it, those that want something of what it lacks.
  Ahead AheadOf(const Wish& wish, const std::vector<Reason>& obstacles) const;
  ExpectedStart Expect(const Wish& wish, const std::vector<Reason>& obstacles, const Ahead& ahead,
                       const Instant& now) const;

  // Who holds units of a pool: at most so many, those that hold the most first.
  Holders HoldersOf(planner::Resource pool, size_t most, const Instant& now) const;
  NamedTask Named(planner::TaskKey task) const;
  std::optional<absl::Duration> Remaining(const Attempt& attempt, const Instant& now) const;

 private:
  std::optional<Reason> WhyNoPools(const Wish& wish, const Instant& now) const;
  std::optional<Reason> WhyNoAgent(const Wish& wish, const Situation& situation,
                                   const Instant& now) const;
  std::optional<Reason> NeverOnAgents(const planner::ResourceVector& need) const;
  AgentObstacle WhyNotOn(AgentTable::Index index, const Wish& wish, bool others,
                         SteadyTime now) const;
  std::vector<std::pair<std::string, int64_t>> CountRuledOut(
      planner::Packer::ClassId consumption) const;
  std::optional<AgentTable::Index> BestAgent(const Wish& wish,
                                             const std::vector<AgentObstacle>& obstacles,
                                             const Instant& now) const;
  NoAgent::Agent Describe(AgentTable::Index index, AgentObstacle obstacle, const Wish& wish,
                          const Instant& now) const;
  Holder HolderOf(planner::AttemptId id, planner::Quantity quantity, const Instant& now) const;
  Holders HoldersOn(const Agent& agent, std::optional<planner::Resource> resource,
                    const Instant& now) const;
  Holders GroupOn(const Agent& agent, planner::Packer::ClassId consumption,
                  const Instant& now) const;
  std::optional<NamedTask> AloneOn(const Agent& agent) const;
  // Whether tasks of this consumption that go first take what one of `wished` lacks.
  bool Competes(planner::Packer::ClassId consumption, planner::Packer::ClassId wished,
                const std::vector<Reason>& obstacles) const;
  // The same of those in a lane.
  bool IsRival(planner::Packer::ClassId consumption, planner::Lane lane, const Wish& wish,
               const std::vector<Reason>& obstacles) const;
  planner::Outlook MakeOutlook(const Wish& wish, const Ahead& ahead,
                               const std::vector<Reason>& obstacles, const Instant& now) const;
  std::string UnknownDuration(const std::vector<Reason>& obstacles) const;

  const Parts parts_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_PLACEMENT_EXPLAINER_H_
