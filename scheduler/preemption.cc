#include "scheduler/preemption.h"

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "planner/ids.h"

namespace kartograph::scheduler {

using planner::AttemptId;
using planner::Packer;
using planner::ReadyOrder;
using planner::ResourceVector;

bool Preemption::Victim::operator<(const Victim& other) const {
  if (priority != other.priority) return priority < other.priority;
  return launched != other.launched ? launched > other.launched : id < other.id;
}

void Preemption::SetAfter(absl::Duration after) {
  after_ = after;
  Clear();
}

void Preemption::Clear() {
  waiting_.clear();
  next_ = SteadyTime::InfiniteFuture();
}

void Preemption::NoteWaiting(SteadyTime now) {
  absl::btree_map<ClassId, Waiting> waiting;
  parts_.packer->ForEachFirst([&](ClassId consumption, const ReadyOrder& order) {
    auto known = waiting_.find(consumption);
    const bool same = known != waiting_.end() && known->second.task == order.task;
    waiting[consumption] = {order.task, same ? known->second.since : now};
  });
  waiting_.swap(waiting);
}

std::vector<AttemptId> Preemption::Update(const Instant& now) {
  if (after_ == absl::InfiniteDuration()) return {};
  NoteWaiting(now.steady);
  next_ = SteadyTime::InfiniteFuture();
  std::optional<std::pair<ReadyOrder, ClassId>> first;
  parts_.packer->ForEachFirst([&](ClassId consumption, const ReadyOrder& order) {
    const SteadyTime due = waiting_.at(consumption).since + after_;
    if (due > now.steady) {
      next_ = std::min(next_, due);
    } else if (!first || order < first->first) {
      first = {order, consumption};
    }
  });
  if (!first) return {};
  next_ = std::min(next_, now.steady + kPeriod);
  if (parts_.attempts->any_preempted()) return {};
  const auto& [order, consumption] = *first;
  const std::string why = absl::StrCat(
      "for \"", parts_.graphs->Find(order.task.graph())->task_name(order.task.index()), "\" of ",
      planner::GraphIdToString(order.task.graph()), ", which has priority ", order.priority);
  std::vector<AttemptId> ids;
  for (const Victim& victim : VictimsFor(order, consumption, now)) {
    parts_.attempts->SetPreempted(victim.id, why);
    ids.push_back(victim.id);
  }
  return ids;
}

bool Preemption::GivesWay(AttemptId id, const Attempt& attempt, int32_t priority) const {
  if (attempt.in_backlog() || attempt.unreachable() != nullptr) return false;
  const LiveTask& task = parts_.graphs->task(id.task());
  return task.priority < priority && !task.cancelling &&
         parts_.graphs->policy(id.task()).preemptible;
}

std::vector<Preemption::Victim> Preemption::VictimsFor(const ReadyOrder& task, ClassId consumption,
                                                       const Instant& now) const {
  const auto victims_on = [&](AgentTable::Index agent) {
    return VictimsOn(agent, consumption, task.priority);
  };
  // What is kept for it is free for it as soon as that has room.
  std::optional<AgentTable::Index> agent;
  const auto& reserved = parts_.reservations->agents();
  if (auto it = reserved.find(consumption); it != reserved.end() && victims_on(it->second.agent)) {
    agent = it->second.agent;
  } else {
    agent = parts_.reservations->Soonest(
        consumption, [&](AgentTable::Index index) { return victims_on(index).has_value(); }, now);
  }
  if (!agent) return {};
  std::vector<Victim> victims = *victims_on(*agent);
  if (!AddPoolHolders(consumption, task.priority, victims)) return {};
  return victims;
}

std::optional<std::vector<Preemption::Victim>> Preemption::VictimsOn(AgentTable::Index index,
                                                                     ClassId consumption,
                                                                     int32_t priority) const {
  const Packer& packer = *parts_.packer;
  std::vector<Victim> victims;
  for (const AttemptId id : (*parts_.agents)[index].attempts) {
    const Attempt& attempt = parts_.attempts->At(id);
    if (!GivesWay(id, attempt, priority)) continue;
    victims.push_back(
        {id, parts_.graphs->task(id.task()).priority, attempt.launch_time, attempt.consumption});
  }
  return Fewest(std::move(victims), [&](const std::vector<Victim>& ended) {
    ResourceVector free = packer.free(index);
    for (const Victim& victim : ended) free += packer.agent_part(victim.consumption);
    return packer.agent_part(consumption).FitsIn(free) &&
           packer.free_slots(index) + static_cast<int>(ended.size()) > 0;
  });
}

bool Preemption::AddPoolHolders(ClassId consumption, int32_t priority,
                                std::vector<Victim>& victims) const {
  const Packer& packer = *parts_.packer;
  const ResourceVector& need = packer.pool_part(consumption);
  ResourceVector free = packer.pool_free();
  for (const Victim& victim : victims) free += packer.pool_part(victim.consumption);
  std::vector<Victim> holders;
  parts_.attempts->ForEachPoolHolder([&](AttemptId id, const Attempt& attempt) {
    const bool chosen = std::any_of(victims.begin(), victims.end(),
                                    [id](const Victim& victim) { return victim.id == id; });
    if (chosen || !GivesWay(id, attempt, priority)) return;
    const ResourceVector& held = packer.pool_part(attempt.consumption);
    const bool helps = std::any_of(need.begin(), need.end(), [&](const auto& entry) {
      return entry.quantity > free.Get(entry.resource) && !held.Get(entry.resource).is_zero();
    });
    if (!helps) return;
    holders.push_back(
        {id, parts_.graphs->task(id.task()).priority, attempt.launch_time, attempt.consumption});
  });
  const auto more = Fewest(std::move(holders), [&](const std::vector<Victim>& ended) {
    ResourceVector then = free;
    for (const Victim& victim : ended) then += packer.pool_part(victim.consumption);
    return need.FitsIn(then);
  });
  if (!more) return false;
  victims.insert(victims.end(), more->begin(), more->end());
  return true;
}

std::optional<std::vector<Preemption::Victim>> Preemption::Fewest(
    std::vector<Victim> victims, const std::function<bool(const std::vector<Victim>&)>& enough) {
  std::sort(victims.begin(), victims.end());
  std::vector<Victim> chosen;
  for (auto next = victims.begin(); !enough(chosen); ++next) {
    if (next == victims.end()) return std::nullopt;
    chosen.push_back(*next);
  }
  // Some of the first may not be needed beside a larger one that came later.
  for (size_t i = 0; i < chosen.size();) {
    std::vector<Victim> fewer = chosen;
    fewer.erase(fewer.begin() + static_cast<ptrdiff_t>(i));
    if (enough(fewer)) {
      chosen = std::move(fewer);
    } else {
      ++i;
    }
  }
  return chosen;
}

}  // namespace kartograph::scheduler
