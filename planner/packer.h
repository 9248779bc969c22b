// What goes where: ready tasks over the free resources of agents and over pools.
#ifndef KARTOGRAPH_PLANNER_PACKER_H_
#define KARTOGRAPH_PLANNER_PACKER_H_

#include <cstdint>
#include <limits>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/types/span.h"
#include "planner/cap.h"
#include "planner/constraints.h"
#include "planner/eligibility.h"
#include "planner/fair_share.h"
#include "planner/head_queue.h"
#include "planner/ids.h"
#include "planner/ready_tasks.h"
#include "planner/resources.h"
#include "planner/spread.h"
#include "planner/spread_counts.h"

namespace kartograph::planner {

// On which agents a task may be, and how many of its group at once. A value type.
struct Terms {
  Constraints constraints = {};
  Spread spread = {};
  GraphId graph = 0;  // with `spread`: whose group it is
  // Tasks that are expected to take long are apart from others, as they are kept off agents that
  // are taken away soon. 0: it is short, or not known.
  uint8_t length = 0;

  // Whether it may be anywhere.
  bool empty() const { return constraints.empty() && spread.empty(); }
  bool operator==(const Terms&) const = default;
  template <typename H>
  friend H AbslHashValue(H h, const Terms& t) {
    return H::combine(std::move(h), t.constraints, t.spread, t.graph, t.length);
  }
};

// Holds the ready tasks, grouped by what they consume and on which agents, and what is free on
// agents and in pools; decides by multi-resource best fit: the agent on which the least is left
// over, so that large gaps stay for large tasks, and most evenly, so that nothing is left that
// lacks something else. The cost of a plan grows with distinct consumptions times agents at worst;
// a consumption that fitted nowhere is not tried again until something became free.
// Thread-compatible, deterministic.
//
// Assumes: few distinct consumptions; agents' cpu is the resource that most often decides.
class Packer {
 public:
  using ClassId = uint32_t;  // a distinct consumption, on certain agents
  using AgentId = uint32_t;  // small numbers; those of what was removed are used again

  static constexpr int kUnlimitedSlots = 1 << 30;
  static constexpr int64_t kNeverDrains = std::numeric_limits<int64_t>::max();

  struct Placement {
    TaskKey task;
    ClassId consumption = 0;
    AgentId agent = 0;
    bool backlog = false;  // beyond the agent's free resources; nothing was taken for it
  };

  // `pools`: cluster-wide resources with their capacities; no agent needs to have them.
  explicit Packer(ResourceVector pools);

  // --- consumptions ---
  ClassId Intern(const ResourceVector& consumption, const Terms& terms = {});
  const ResourceVector& consumption(ClassId id) const { return classes_[id].whole; }
  // The part that an agent must have, and the part that comes from pools.
  const ResourceVector& agent_part(ClassId id) const { return classes_[id].agent_part; }
  const ResourceVector& pool_part(ClassId id) const { return classes_[id].pool_part; }
  const Terms& terms(ClassId id) const { return classes_[id].terms; }
  const Constraints& constraints(ClassId id) const { return classes_[id].terms.constraints; }
  // Removes a consumption of which no task is ready. Its id is used again later.
  void RemoveClass(ClassId id);
  size_t class_count() const { return class_ids_.size(); }
  template <typename F>
  void ForEachClass(F f) const {
    for (ClassId id = 0; id < classes_.size(); ++id) {
      if (classes_[id].interned) f(id);
    }
  }
  size_t ready_count(ClassId id) const { return ready_.size(id); }
  size_t ready_count() const { return ready_.size(); }
  // Whether tasks that consume this are short enough to wait in an agent's backlog.
  void SetShort(ClassId id, bool is_short) { classes_[id].is_short = is_short; }

  // How long tasks that consume this are expected to run: at most, as it were, and mostly; 0 until
  // it is set.
  void SetExpected(ClassId id, int64_t most_us, int64_t mostly_us);

  // --- agents ---
  AgentId AddAgent();
  // Removes an agent. Its id is used again later.
  void RemoveAgent(AgentId agent);
  size_t agent_count() const { return agents_.size() - free_agents_.size(); }
  // Nothing is placed on an agent that is not usable.
  void SetUsable(AgentId agent, bool usable);
  // What constraints see of it; until this is said, it meets none.
  void SetTraits(AgentId agent, const AgentTraits& traits);
  // Whether the agent meets the constraints, whatever runs there.
  bool IsEligible(AgentId agent, ClassId id) const {
    const Class& c = classes_[id];
    return !c.eligible || eligibility_.Allows(*c.eligible, agent);
  }
  // Whether it meets that of them that has this place.
  bool Meets(AgentId agent, ClassId id, size_t place) const {
    return eligibility_.Meets(*classes_[id].eligible, place, agent);
  }
  // Whether as many of its group are there as may be.
  bool IsSpreadFull(AgentId agent, ClassId id) const {
    const Class& c = classes_[id];
    return c.group && spread_.On(*c.group, agent) >= c.terms.spread.per_agent;
  }
  bool HaveSameGroup(ClassId a, ClassId b) const {
    return classes_[a].group && classes_[a].group == classes_[b].group;
  }
  // Whether there is an agent that both may have.
  bool HaveCommonAgent(ClassId a, ClassId b) const {
    const Class& first = classes_[a];
    const Class& second = classes_[b];
    return !first.eligible || !second.eligible ||
           eligibility_.HaveCommon(*first.eligible, *second.eligible);
  }
  void SetFree(AgentId agent, ResourceVector free);
  void Take(AgentId agent, ClassId consumption);
  void Give(AgentId agent, ClassId consumption);
  const ResourceVector& free(AgentId agent) const { return agents_[agent].free; }
  // What it has room for: agents and consumptions, and places left by some that were removed.
  size_t slots() const { return agents_.size() + classes_.size(); }
  bool usable(AgentId agent) const { return agents_[agent].usable; }
  // Usable, and not all its slots are taken.
  bool has_place(AgentId agent) const { return agents_[agent].has_place(); }
  // How many more attempts may hold resources there, whatever they consume; Take and Give count.
  // Without this there is no limit.
  void SetFreeSlots(AgentId agent, int slots);
  int free_slots(AgentId agent) const { return agents_[agent].slots; }
  // The most that may ever be free on it.
  void SetCapacity(AgentId agent, ResourceVector capacity);
  // How many more attempts the agent takes beyond its free resources, provided that each would fit
  // into its capacity.
  void SetBacklogRoom(AgentId agent, int room);

  // How much longer the agent is there: what is expected to run longer is kept off it.
  // kNeverDrains: no end is known. To be set again as time passes, unless it has none.
  void SetTimeUntilDrain(AgentId agent, int64_t microseconds);

  // The part of the whole cluster and its pools that one such task takes: of the resource of which
  // that is most, 0 to 1. 1 where nothing is known of agents.
  double DominantShare(ClassId id) const;
  // Of all agents together, as far as they have said.
  const ResourceVector& total_capacity() const { return total_capacity_; }

  // --- pools ---
  const ResourceVector& pools() const { return pools_; }
  const ResourceVector& pool_free() const { return pool_free_; }
  // The pools that there are from now on. What is held of those that stay is held, so less than
  // nothing may be free. Of one that comes or goes nothing is held: whoever has taken consumptions
  // that ask for it gives them back before, and takes them again after.
  void SetPools(const ResourceVector& pools);
  void TakePools(ClassId consumption) { pool_free_ -= classes_[consumption].pool_part; }
  void GivePools(ClassId consumption);

  // --- ready tasks ---
  void AddReady(ClassId consumption, const ReadyKey& key);
  // Dies if it is not there.
  void RemoveReady(ClassId consumption, const ReadyKey& key) { ready_.Remove(consumption, key); }
  // As in ReadyTasks.
  void SetScore(GraphId graph, Score score);
  // A task's place, ready or not.
  ReadyOrder OrderOf(const ReadyKey& key) const {
    const GraphId graph = key.task.graph();
    return {key.priority, ready_.ScoreOf(graph), key.rank, key.task,
            shares_.Of(ready_.AccountOf(graph))};
  }
  void ForgetGraph(GraphId graph) {
    ready_.Forget(graph);
    capped_.erase(graph);
  }

  // --- shares ---
  // The account 0, which has the empty name, is always there. Whoever makes accounts and gives them
  // to graphs keeps them in use for as long as the graphs are known here.
  FairShare& shares() { return shares_; }
  const FairShare& shares() const { return shares_; }
  void SetAccount(GraphId graph, FairShare::Account account, const Cap& cap = {});
  FairShare::Account AccountOf(GraphId graph) const { return ready_.AccountOf(graph); }
  // Before a plan: shares are those of this time.
  void AdvanceShares(SteadyTime now);
  // The graph's account is charged for an attempt, and its group has one on the agent, whether it
  // holds its resources already or waits in a backlog, from its placement on, which does so, to its
  // end. The graph is known here.
  void Charge(GraphId graph, ClassId consumption, AgentId agent) {
    Charge(ready_.LaneOf(graph), classes_[consumption], agent);
  }
  void Refund(GraphId graph, ClassId consumption, AgentId agent);
  // The first that is ready and not over a cap, if any.
  std::optional<ReadyOrder> FirstReady(ClassId id) const {
    if (ready_.empty(id)) return std::nullopt;
    return ready_.First(shares_, id, [&](Lane lane) { return !IsOverCap(lane, id); });
  }
  // That of each consumption.
  template <typename F>
  void ForEachFirst(F f) const {
    for (ClassId id : active_) {
      if (const std::optional<ReadyOrder> first = FirstReady(id)) f(id, *first);
    }
  }

  // --- caps ---
  // Nothing is placed that would take an account or a graph over its cap; what is held when a cap
  // is set stays.
  bool IsOverCap(Lane lane, ClassId consumption) const {
    return shares_.IsOverCap(lane.account, classes_[consumption].whole) ||
           (lane.capped != 0 && IsGraphOverCap(lane.capped, consumption));
  }
  bool IsOverCap(GraphId graph, ClassId consumption) const {
    return IsOverCap(ready_.LaneOf(graph), consumption);
  }
  struct OverCap {
    bool of_graph = false;  // otherwise of the account
    AtCap at;
  };
  // The graph's first.
  std::optional<OverCap> WhyOverCap(GraphId graph, ClassId consumption) const;
  Lane LaneOf(GraphId graph) const { return ready_.LaneOf(graph); }
  // Of a graph that has a cap.
  const Holding& holding(GraphId graph) const { return capped_.at(graph).holding; }

  // --- reservations ---
  // Room is kept for a task that is the first of its consumption and fits nowhere yet. What comes
  // after it in order gets of the resources that it still lacks only what it gives back before
  // `within_us` from now, when it is expected to start, and leaves enough of the others. Replaces
  // the reservation that there is.
  void ReserveAgent(AgentId agent, const ReadyOrder& task, ClassId consumption, int64_t within_us);
  void ReleaseAgent(AgentId agent);
  bool is_reserved(AgentId agent) const { return agents_[agent].reserved; }
  // The same of units of pools.
  void ReservePools(const ReadyOrder& task, ClassId consumption, int64_t within_us);
  void ReleasePools();

  // --- what keeps a ready task from being placed ---
  // What the plan asks of each agent, and so what there is to say of one on which it placed
  // nothing.
  enum class Refusal : uint8_t {
    kNone,
    kNotUsable,
    kNotEligible,  // it does not meet the constraints
    kNoSlot,
    kSpread,  // as many of its group are there as may be
    kLacks,   // of a resource too little is free
    kLeaves,  // it is not there for long enough
    kKept,    // for what comes before it in order
  };
  Refusal WhyNotOn(AgentId agent, const ReadyOrder& task, ClassId id) const {
    const Agent& a = agents_[agent];
    return a.usable ? WhyNoRoom(agent, task, id) : Refusal::kNotUsable;
  }
  // The same of an agent that is to be used all the same, as by PlaceOneOn.
  Refusal WhyNoRoom(AgentId agent, const ReadyOrder& task, ClassId id) const;
  // Of its pools: kNone, kLacks or kKept.
  Refusal WhyNoPools(const ReadyOrder& task, ClassId id) const;
  bool MayHavePools(const ReadyOrder& task, ClassId id) const {
    return WhyNoPools(task, id) == Refusal::kNone;
  }
  // The pool of which units are kept for another task and not for this one, after kKept.
  std::optional<Resource> KeptPool(ClassId id) const;
  // Those that go before it, as ReadyTasks has them.
  template <typename Includes>
  std::vector<std::pair<ReadyOrder, ClassId>> FirstBefore(const ReadyOrder& order, size_t most,
                                                          Includes includes) const {
    return ready_.FirstBefore(shares_, order, most, includes);
  }
  // The first of all.
  template <typename Includes>
  std::vector<std::pair<ReadyOrder, ClassId>> First(size_t most, Includes includes) const {
    static constexpr ReadyOrder kLast = {std::numeric_limits<int32_t>::min(),
                                         std::numeric_limits<Score>::max(),
                                         0,
                                         {std::numeric_limits<uint64_t>::max()},
                                         std::numeric_limits<int64_t>::max()};
    return ready_.FirstBefore(shares_, kLast, most, includes);
  }
  template <typename Includes>
  size_t CountBefore(const ReadyOrder& order, size_t limit, Includes includes) const {
    return ready_.CountBefore(shares_, order, limit, includes);
  }

  // Places ready tasks, best first, until nothing more fits; placed tasks are no longer ready and,
  // but for the backlog, have taken their resources. Appends to `placements`.
  void Plan(std::vector<Placement>* placements);
  // Places the first ready task that fits on this one agent, usable or not.
  std::optional<Placement> PlaceOneOn(AgentId agent);

  // Whether a task is ready whose units of pools are free, so that more of an agent would let it
  // start; and what such tasks need of an agent, each need once.
  bool AnythingWanted() const;
  std::vector<ResourceVector> Wanted() const;

  // The usable agent on which the consumption fits best now and that stays for that long, if any.
  std::optional<AgentId> BestFit(const ResourceVector& need, int64_t expected_us = 0) const;

 private:
  struct Class {
    ResourceVector whole;
    ResourceVector agent_part;
    ResourceVector pool_part;
    Terms terms;
    std::optional<Eligibility::SetId> eligible;  // none: there are no constraints
    std::optional<SpreadCounts::GroupId> group;  // none: it is not spread
    // All agents must be tried; otherwise only those on which something became free.
    bool fresh = true;
    bool interned = false;
    bool is_short = false;
    bool active = false;   // in active_
    uint64_t nowhere = 0;  // the plan that has found no room for it, whatever its place in order
    int64_t expected_us = 0;
    int64_t mostly_us = 0;
  };
  struct Reservation {
    ReadyOrder task;  // without its share, which is that of the account
    FairShare::Account account = 0;
    ClassId consumption = 0;
    int64_t within_us = 0;
  };
  struct Agent {
    ResourceVector free;
    ResourceVector capacity;
    int backlog_room = 0;
    int slots = kUnlimitedSlots;  // free
    bool usable = false;
    bool freed = false;     // in freed_
    bool reserved = false;  // in reservations_
    int64_t drain_us = kNeverDrains;
    bool has_place() const { return usable && slots > 0; }
  };

  void SplitByPools(Class& c) const;
  void Reindex(AgentId agent, Quantity cpu_before, bool had_place);
  void MarkFreed(AgentId agent);
  template <typename Fits>
  std::optional<AgentId> BestFitWhere(const ResourceVector& need, Fits fits) const;
  template <typename Candidates, typename Fits>
  std::optional<AgentId> BestOf(const Candidates& candidates, const ResourceVector& need,
                                Fits fits) const;
  std::optional<AgentId> FindAgent(const ReadyOrder& task, ClassId id);
  void OnOrderChanged();
  Reservation MakeReservation(ReadyOrder task, ClassId consumption, int64_t within_us) const;
  ReadyOrder OrderOf(const Reservation& reservation) const;
  bool MayFitOnFreed(const Class& c) const;
  void AddHeads(ClassId id);  // of all lanes
  void PushHead(ClassId id, Lane lane);
  void Charge(Lane lane, const Class& c, AgentId agent);
  bool IsGraphOverCap(GraphId graph, ClassId consumption) const;
  void UpdateTotal();
  bool Respects(const Reservation& reservation, const ResourceVector& kept,
                const ResourceVector& free, const ReadyOrder& task, ClassId id,
                const ResourceVector& need) const;
  double Leftover(const ResourceVector& need, const Agent& agent) const;
  void PlanDirect(std::vector<Placement>* placements);
  void PlanBacklog(std::vector<Placement>* placements);

  ResourceVector pools_;
  ResourceVector pool_free_;

  void Placed(ClassId consumption, Lane lane, AgentId agent);

  std::vector<Class> classes_;
  std::vector<ClassId> free_classes_;  // slots of classes_ that are not in use
  absl::flat_hash_map<std::pair<ResourceVector, Terms>, ClassId> class_ids_;
  Eligibility eligibility_;
  SpreadCounts spread_;
  std::vector<ClassId> active_;  // those with ready tasks, and some that had
  FairShare shares_;
  bool total_changed_ = true;  // what the shares are of
  ReadyTasks ready_;
  struct Capped {
    Cap cap;
    Holding holding;
  };
  absl::flat_hash_map<GraphId, Capped> capped_;

  std::vector<Agent> agents_;
  std::vector<AgentId> free_agents_;  // slots of agents_ that are not in use
  absl::btree_set<std::pair<Quantity, AgentId>> by_free_cpu_;  // agents that have a place
  std::vector<AgentId> freed_;                                 // more is free than at the last plan
  absl::btree_set<AgentId> with_backlog_room_;
  ResourceVector total_capacity_;  // of all agents, as far as they have said
  // The most of each resource that any agent has: the scale on which leftovers are compared.
  ResourceVector scale_;
  absl::btree_map<AgentId, Reservation> reservations_;
  std::optional<Reservation> pool_reservation_;
  HeadQueue heads_;    // of a plan; kept to save its allocations
  uint64_t plan_ = 0;  // the number of the newest plan
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_PACKER_H_
