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
#include "planner/ids.h"
#include "planner/ready_tasks.h"
#include "planner/resources.h"

namespace kartograph::planner {

// Holds the ready tasks, grouped by what they consume, and what is free on agents and in pools;
// decides by multi-resource best fit: the agent on which the least is left over, so that large gaps
// stay for large tasks. The cost of a plan grows with distinct consumptions times agents at worst;
// a consumption that fitted nowhere is not tried again until something became free.
// Thread-compatible, deterministic.
//
// Assumes: few distinct consumptions; agents' cpu is the resource that most often decides.
class Packer {
 public:
  using ClassId = uint32_t;  // a distinct consumption
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
  ClassId Intern(const ResourceVector& consumption);
  const ResourceVector& consumption(ClassId id) const { return classes_[id].whole; }
  // The part that an agent must have, and the part that comes from pools.
  const ResourceVector& agent_part(ClassId id) const { return classes_[id].agent_part; }
  const ResourceVector& pool_part(ClassId id) const { return classes_[id].pool_part; }
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

  // --- pools ---
  const ResourceVector& pools() const { return pools_; }
  const ResourceVector& pool_free() const { return pool_free_; }
  // Of a pool that there is; not zero. What is held stays held, so less than nothing may be free.
  void SetPoolCapacity(Resource pool, Quantity capacity);
  void TakePools(ClassId consumption) { pool_free_ -= classes_[consumption].pool_part; }
  void GivePools(ClassId consumption);

  // --- ready tasks ---
  void AddReady(ClassId consumption, const ReadyKey& key);
  // Dies if it is not there.
  void RemoveReady(ClassId consumption, const ReadyKey& key) { ready_.Remove(consumption, key); }
  // As in ReadyTasks.
  void SetScore(GraphId graph, Score score) { ready_.SetScore(graph, score); }
  // A task's place, ready or not.
  ReadyOrder OrderOf(const ReadyKey& key) const {
    return {key.priority, ready_.ScoreOf(key.task.graph()), key.rank, key.task};
  }
  void ForgetGraph(GraphId graph) { ready_.Forget(graph); }
  // There is one.
  ReadyOrder FirstReady(ClassId id) const { return ready_.First(id); }
  // The first ready task of each consumption that has one.
  template <typename F>
  void ForEachFirst(F f) const {
    for (ClassId id : active_) {
      if (!ready_.empty(id)) f(id, ready_.First(id));
    }
  }

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
  // Whether units of pools are free, and those that are kept for another remain.
  bool MayHavePools(const ReadyOrder& task, ClassId id) const;

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
    // All agents must be tried; otherwise only those on which something became free.
    bool fresh = true;
    bool interned = false;
    bool is_short = false;
    bool active = false;  // in active_
    int64_t expected_us = 0;
    int64_t mostly_us = 0;
  };
  struct Reservation {
    ReadyOrder task;
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

  void Reindex(AgentId agent, Quantity cpu_before, bool had_place);
  void MarkFreed(AgentId agent);
  template <typename Accepts>
  std::optional<AgentId> BestFitWhere(const ResourceVector& need, Accepts accepts) const;
  std::optional<AgentId> FindAgent(const ReadyOrder& task, ClassId id);
  void PushHead(ClassId id);
  // Whether the agent is there for long enough, and what is kept there for another allows it.
  bool MayHave(AgentId agent, const ReadyOrder& task, ClassId id) const;
  bool Respects(const Reservation& reservation, const ResourceVector& kept,
                const ResourceVector& free, const ReadyOrder& task, ClassId id,
                const ResourceVector& need) const;
  double Leftover(const ResourceVector& need, const Agent& agent) const;
  void PlanDirect(std::vector<Placement>* placements);
  void PlanBacklog(std::vector<Placement>* placements);

  ResourceVector pools_;
  ResourceVector pool_free_;
  bool pools_freed_ = false;

  void Placed(ClassId consumption, AgentId agent);

  std::vector<Class> classes_;
  std::vector<ClassId> free_classes_;  // slots of classes_ that are not in use
  absl::flat_hash_map<ResourceVector, ClassId> class_ids_;
  std::vector<ClassId> active_;  // those with ready tasks, and some that had
  ReadyTasks ready_;

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
  std::vector<std::pair<ReadyOrder, ClassId>> heads_;  // a heap, kept to save its allocation
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_PACKER_H_
