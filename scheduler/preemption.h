// Attempts that end for tasks of higher priority.
#ifndef KARTOGRAPH_SCHEDULER_PREEMPTION_H_
#define KARTOGRAPH_SCHEDULER_PREEMPTION_H_

#include <functional>
#include <optional>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/packer.h"
#include "scheduler/agent_table.h"
#include "scheduler/attempt_table.h"
#include "scheduler/consumption_table.h"
#include "scheduler/graph_table.h"
#include "scheduler/reservations.h"

namespace kartograph::scheduler {

// Tasks are not ended for others, but for those that are marked `preemptible`: when a task that is
// the first of its consumption has waited for a set time, attempts of preemptible tasks of lower
// priority are chosen whose end lets it start: on one agent, and among those that hold units of the
// pools that it lacks. Those of the lowest priority go first, and of these the youngest, which lose
// the least. Of several tasks that have waited, only the first in order is helped, and the next one
// when those attempts have ended: what they leave goes by order, too. Thread-compatible.
class Preemption {
 public:
  // How often it is tried again for a task for which nothing gives way.
  static constexpr absl::Duration kPeriod = absl::Seconds(1);

  struct Parts {
    const planner::Packer* packer;
    const ConsumptionTable* consumptions;
    const AgentTable* agents;
    AttemptTable* attempts;
    const GraphTable* graphs;
    const Reservations* reservations;
  };
  // All parts outlive this. `after`: infinite where nothing is ended for others.
  Preemption(Parts parts, absl::Duration after) : parts_(parts), after_(after) {}
  void SetAfter(absl::Duration after);

  // After a plan, when all that fits has been placed. The attempts that are to be cancelled now, as
  // AttemptTable::PreemptedFor has them from here on.
  std::vector<planner::AttemptId> Update(const Instant& now);
  // Nothing is placed for now.
  void Clear();
  // When Update has something to do.
  SteadyTime NextTimer() const { return next_; }

 private:
  using ClassId = planner::Packer::ClassId;
  struct Victim {
    planner::AttemptId id;
    int32_t priority = 0;
    absl::Time launched;
    ClassId consumption = 0;
    bool operator<(const Victim& other) const;
  };

  void NoteWaiting(SteadyTime now);
  bool GivesWay(planner::AttemptId id, const Attempt& attempt, int32_t priority) const;
  // Nothing where no end of attempts would let it start.
  std::vector<Victim> VictimsFor(const planner::ReadyOrder& task, ClassId consumption,
                                 const Instant& now) const;
  std::optional<std::vector<Victim>> VictimsOn(AgentTable::Index agent, ClassId consumption,
                                               int32_t priority) const;
  bool AddPoolHolders(ClassId consumption, int32_t priority, std::vector<Victim>& victims) const;
  // Of the first ones so many that it is enough, and none of them for nothing; nothing where all
  // are not enough.
  static std::optional<std::vector<Victim>> Fewest(
      std::vector<Victim> victims, const std::function<bool(const std::vector<Victim>&)>& enough);

  const Parts parts_;
  absl::Duration after_;
  struct Waiting {
    planner::TaskKey task;
    SteadyTime since;  // it is the first of its consumption
  };
  absl::btree_map<ClassId, Waiting> waiting_;
  SteadyTime next_ = SteadyTime::InfiniteFuture();
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_PREEMPTION_H_
