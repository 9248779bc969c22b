// Room for tasks that are next and fit nowhere.
#ifndef KARTOGRAPH_SCHEDULER_RESERVATIONS_H_
#define KARTOGRAPH_SCHEDULER_RESERVATIONS_H_

#include <optional>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/packer.h"
#include "scheduler/agent_table.h"
#include "scheduler/attempt_table.h"
#include "scheduler/consumption_table.h"

namespace kartograph::scheduler {

// Without these, a task as large as an agent would wait for as long as smaller ones come. When no
// task of a consumption could be placed for kPatience, the agent on which the first of them is
// expected to fit soonest is reserved for it, or the units of pools that it lacks: what comes after
// it in order gets there only what does not delay it, by how long such tasks have taken so far
// (conservative backfilling as in batch schedulers; Mu'alem and Feitelson 2001). Where what runs on
// the agent has run long, it is expected to go on for long, and more is let in meanwhile.
//
// At most a quarter of the agents, and at least one, are reserved at a time, and pools for one
// task. Thread-compatible.
class Reservations {
 public:
  static constexpr absl::Duration kPatience = absl::Milliseconds(500);
  // How often what is expected is computed anew.
  static constexpr absl::Duration kPeriod = absl::Milliseconds(200);
  // Offers of a reserved agent are not declined for so long, and then for as long they are: other
  // frameworks may want them.
  static constexpr absl::Duration kKeepOffers = absl::Minutes(1);
  static constexpr int kShareOfAgents = 4;
  // For how many consumptions an agent is looked for after a plan, at most: that looks at every
  // agent. The others come next, kBetweenLooks later.
  static constexpr int kMostLooks = 4;
  static constexpr absl::Duration kBetweenLooks = absl::Milliseconds(20);

  // All outlive this.
  Reservations(AgentTable* agents, planner::Packer* packer, const AttemptTable* attempts,
               const ConsumptionTable* consumptions)
      : agents_(*agents), packer_(*packer), attempts_(*attempts), consumptions_(*consumptions) {}

  // Before a plan: what is expected may have changed. Whether more may be let in.
  bool Refresh(const Instant& now);
  // After it, when all that fits has been placed. Whether more may fit now: then plan again.
  bool Update(const Instant& now);
  // Nothing is placed for now.
  void Clear();
  // A task of the consumption was placed. Whether something is free for others now.
  bool OnPlaced(planner::Packer::ClassId consumption);
  // The agent's index may be used again from now on.
  void OnErased(AgentTable::Index agent);

  struct Reservation {
    AgentTable::Index agent;
    planner::ReadyOrder task;
    SteadyTime since;
    absl::Duration within;  // until it is expected to start, when last computed
  };
  bool any() const { return !reserved_.empty() || pools_.has_value(); }
  // By consumption.
  const absl::btree_map<planner::Packer::ClassId, Reservation>& agents() const { return reserved_; }
  struct PoolReservation {
    planner::Packer::ClassId consumption;
    planner::ReadyOrder task;
  };
  const std::optional<PoolReservation>& pools() const { return pools_; }

  // Of the agents that can have it and that `accepts` takes, the one on which it is expected to fit
  // first.
  template <typename Accepts>
  std::optional<AgentTable::Index> Soonest(planner::Packer::ClassId consumption, Accepts accepts,
                                           const Instant& now) const;
  // How long the attempt is expected to go on, as far as can be told.
  absl::Duration Remaining(const Attempt& attempt, const Instant& now) const;

  // When Update has something to do.
  SteadyTime NextTimer() const { return next_; }

 private:
  using ClassId = planner::Packer::ClassId;

  void NoteWaiting(const std::vector<std::pair<planner::ReadyOrder, ClassId>>& firsts,
                   SteadyTime now);
  void ReserveAgent(ClassId consumption, Reservation& reservation, const Instant& now);
  void ReservePools(ClassId consumption, const planner::ReadyOrder& task, const Instant& now);
  // The reservations of an Update, in order of who comes first.
  struct Kept {
    absl::flat_hash_set<ClassId> consumptions;
    absl::flat_hash_set<AgentTable::Index> agents;
    int looks_left = kMostLooks;
    bool put_off = false;  // for want of looks
  };
  // Those that are not in `kept` give way, as they come later in order.
  void Reserve(ClassId consumption, const planner::ReadyOrder& task, Kept* kept,
               const Instant& now);
  bool Release(ClassId consumption);
  bool CanHave(AgentTable::Index index, ClassId consumption, SteadyTime now) const;
  // Whether an agent that meets its constraints, and has not as many of its group as may be, can
  // have it.
  bool IsPossible(ClassId consumption, SteadyTime now) const;
  std::optional<AgentTable::Index> FindAgent(ClassId consumption, const Kept& kept,
                                             const Instant& now) const;
  // Of what it needs, summed over the resources as parts of the need.
  double PartMissing(AgentTable::Index index, ClassId consumption) const;
  std::optional<AgentTable::Index> SoonestOf(
      std::vector<std::pair<double, AgentTable::Index>> candidates, ClassId consumption,
      const Instant& now) const;
  // Until the need is free there, as far as that can be told.
  absl::Duration UntilFree(AgentTable::Index index, const planner::ResourceVector& need,
                           const Instant& now) const;
  absl::Duration UntilPoolsFree(const planner::ResourceVector& need, const Instant& now) const;

  AgentTable& agents_;
  planner::Packer& packer_;
  const AttemptTable& attempts_;
  const ConsumptionTable& consumptions_;
  // Since when no task of these could be placed.
  absl::btree_map<ClassId, SteadyTime> waiting_;
  absl::btree_map<ClassId, Reservation> reserved_;
  // Until when the offers of these are declined, as they were kept for long.
  absl::btree_map<AgentTable::Index, SteadyTime> resting_;
  // For which no agent was found while others were put off: those have their turn first.
  absl::flat_hash_set<ClassId> in_vain_;
  std::optional<PoolReservation> pools_;
  SteadyTime next_ = SteadyTime::InfiniteFuture();
  bool released_ = false;  // something was, in this Update
};

template <typename Accepts>
std::optional<AgentTable::Index> Reservations::Soonest(planner::Packer::ClassId consumption,
                                                       Accepts accepts, const Instant& now) const {
  std::vector<std::pair<double, AgentTable::Index>> candidates;
  agents_.ForEach([&](AgentTable::Index index, const Agent&) {
    if (!CanHave(index, consumption, now.steady) || !accepts(index)) return;
    candidates.emplace_back(PartMissing(index, consumption), index);
  });
  return SoonestOf(std::move(candidates), consumption, now);
}

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_RESERVATIONS_H_
