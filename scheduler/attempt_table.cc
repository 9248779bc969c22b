#include "scheduler/attempt_table.h"

#include <algorithm>
#include <cstdlib>
#include <string>
#include <type_traits>

#include "absl/strings/str_cat.h"

namespace kartograph::scheduler {

using planner::AttemptId;
using planner::ResourceVector;

namespace {

template <typename State>
absl::Time StartTime(const State& state) {
  const Running* running = std::get_if<Running>(&state);
  return running != nullptr ? running->start_time : absl::InfinitePast();
}

}  // namespace

absl::Time Attempt::start_time() const {
  const Unreachable* away = unreachable();
  return away != nullptr ? StartTime(away->before) : StartTime(state);
}

const Attempt* AttemptTable::Find(AttemptId id) const {
  auto it = attempts_.find(id);
  return it == attempts_.end() ? nullptr : &it->second;
}

std::vector<AttemptId> AttemptTable::Ids() const {
  std::vector<AttemptId> ids;
  ids.reserve(attempts_.size());
  for (const auto& [id, attempt] : attempts_) ids.push_back(id);
  std::sort(ids.begin(), ids.end());
  return ids;
}

std::vector<AttemptId> AttemptTable::IdsOn(AgentTable::Index agent) const {
  std::vector<AttemptId> ids = agents_[agent].attempts;
  std::sort(ids.begin(), ids.end());
  return ids;
}

Attempt& AttemptTable::Add(AttemptId id, AgentTable::Index agent,
                           planner::Packer::ClassId consumption, bool alone, absl::Time launch_time,
                           int64_t expected_us) {
  Attempt& attempt = attempts_[id];
  attempt.agent = agent;
  attempt.consumption = consumption;
  attempt.launch_time = launch_time;
  const int64_t expected_ms = std::min((expected_us + 999) / 1000, Attempt::kLongestMs);
  attempt.expected_ms = static_cast<uint32_t>(expected_ms) & INT32_MAX;
  attempt.place = agents_.AddAttempt(agent, id);
  attempt.alone = alone;
  if (alone) agents_.Reserve(agent, true);
  return attempt;
}

bool AttemptTable::MayTry(AgentTable::Index index) const {
  const Agent& agent = agents_[index];
  return agent.has_room() && !agent.reserved && agent.failures > 0 && !agent.set_aside_until &&
         std::none_of(agent.attempts.begin(), agent.attempts.end(), [this](AttemptId id) {
           return std::holds_alternative<Launching>(At(id).state);
         });
}

void AttemptTable::Launch(AttemptId id, const planner::Packer::Placement& placement, bool alone,
                          absl::Time now, std::string order, int64_t expected_us) {
  Attempt& attempt = Add(id, placement.agent, placement.consumption, alone, now, expected_us);
  if (placement.backlog) {
    attempt.state = InBacklog();
    agents_.PushBacklog(placement.agent, id, std::move(order));
  } else {
    agents_.Hold(placement.agent, placement.consumption, /*placed=*/true);
    NotePools(id, placement.consumption);
  }
}

void AttemptTable::Adopt(AttemptId id, AgentTable::Index agent,
                         planner::Packer::ClassId consumption, bool alone, absl::Time launch_time,
                         int64_t expected_us) {
  Add(id, agent, consumption, alone, launch_time, expected_us);
  packer_.TakePools(consumption);
  packer_.Charge(id.task().graph(), consumption, agent);
  agents_.Hold(agent, consumption);
  NotePools(id, consumption);
}

// Nothing that needs units of a pool is put into a backlog; but a pool may have come since.
void AttemptTable::Charge(AttemptId id, const Attempt& attempt) {
  agents_.LeaveBacklog(attempt.agent);
  agents_.Hold(attempt.agent, attempt.consumption);
  packer_.TakePools(attempt.consumption);
  NotePools(id, attempt.consumption);
}

void AttemptTable::SetPools(const ResourceVector& pools) {
  std::vector<std::pair<AttemptId, ResourceVector>> holding;  // and its agent's part before
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.in_backlog()) continue;
    packer_.GivePools(attempt.consumption);
    holding.emplace_back(id, packer_.agent_part(attempt.consumption));
  }
  packer_.SetPools(pools);
  pool_holders_.clear();
  for (const auto& [id, before] : holding) {
    const Attempt& attempt = attempts_.at(id);
    packer_.TakePools(attempt.consumption);
    NotePools(id, attempt.consumption);
    const ResourceVector& now = packer_.agent_part(attempt.consumption);
    if (now != before) agents_.Recharge(attempt.agent, before, now);
  }
}

bool AttemptTable::SetReachable(AttemptId id) {
  Attempt& attempt = attempts_.at(id);
  const Unreachable* away = attempt.unreachable();
  if (away == nullptr) return false;
  if (away->give_up_at) give_up_.erase({*away->give_up_at, id});
  const ReachableState before = away->before;
  attempt.state = std::visit([](auto state) -> AttemptState { return state; }, before);
  --unreachable_;
  return true;
}

void AttemptTable::SetInBacklog(AttemptId id, std::string order) {
  Attempt& attempt = attempts_.at(id);
  // After a restart we had to assume that it held its resources.
  if (!std::holds_alternative<Launching>(attempt.state) ||
      agents_[attempt.agent].max_backlog == 0 || !packer_.pool_part(attempt.consumption).empty()) {
    return;
  }
  agents_.Unhold(attempt.agent, attempt.consumption);
  agents_.PushBacklog(attempt.agent, id, std::move(order));
  attempt.state = InBacklog();
}

bool AttemptTable::SetRunning(AttemptId id, absl::Time start_time) {
  Attempt& attempt = attempts_.at(id);
  if (std::holds_alternative<InBacklog>(attempt.state)) {
    Charge(id, attempt);
  }
  const bool changed = !std::holds_alternative<Running>(attempt.state);
  attempt.state = Running{start_time};
  return changed;
}

bool AttemptTable::SetUnreachable(AttemptId id, const Instant& now, absl::Duration timeout) {
  Attempt& attempt = attempts_.at(id);
  const bool changed = attempt.unreachable() == nullptr;
  if (changed) {
    auto away = std::make_unique<Unreachable>();
    away->since = now;
    std::visit(
        [&away](const auto& state) {
          if constexpr (std::is_constructible_v<ReachableState, decltype(state)>) {
            away->before = state;
          }
        },
        attempt.state);
    attempt.state = std::move(away);
    ++unreachable_;
  }
  Unreachable& away = *std::get<std::unique_ptr<Unreachable>>(attempt.state);
  if (timeout != absl::InfiniteDuration() && !away.give_up_at) {
    away.give_up_at = away.since.steady + timeout;
    give_up_.insert({*away.give_up_at, id});
  }
  return changed;
}

bool AttemptTable::SetNote(AttemptId id, std::string note) {
  if (note == NoteOf(id)) return false;
  if (note.empty()) {
    notes_.erase(id);
    preempted_.erase(id);
  } else {
    notes_[id] = std::move(note);
  }
  return true;
}

Attempt AttemptTable::End(AttemptId id, bool agent_goes_on) {
  SetReachable(id);
  notes_.erase(id);
  preempted_.erase(id);
  auto it = attempts_.find(id);
  Attempt ended = std::move(it->second);
  attempts_.erase(it);
  if (std::optional<AttemptId> moved = agents_.RemoveAttempt(ended.agent, ended.place)) {
    attempts_.at(*moved).place = ended.place;
  }
  if (ended.alone) agents_.Reserve(ended.agent, false);
  packer_.Refund(id.task().graph(), ended.consumption, ended.agent);
  if (ended.in_backlog()) {
    agents_.LeaveBacklog(ended.agent);
  } else {
    agents_.Unhold(ended.agent, ended.consumption);
    packer_.GivePools(ended.consumption);
    pool_holders_.erase(id);
    if (agent_goes_on) StartBacklog(ended.agent);
  }
  agents_.UpdateBacklogRoom(ended.agent);
  return ended;
}

void AttemptTable::StartBacklog(AgentTable::Index index) {
  const Agent& agent = agents_[index];
  while (!agent.backlog.empty()) {
    auto it = attempts_.find(agent.backlog.front());
    if (it != attempts_.end() && it->second.in_backlog()) {
      Attempt& attempt = it->second;
      if (!packer_.agent_part(attempt.consumption).FitsIn(packer_.free(index))) return;
      Charge(it->first, attempt);
      if (auto* away = std::get_if<std::unique_ptr<Unreachable>>(&attempt.state)) {
        (*away)->before = Launching();
      } else {
        attempt.state = Launching();
      }
    }
    agents_.PopBacklog(index);
  }
}

void AttemptTable::OnDisconnected() {
  for (const auto& [time, id] : give_up_) {
    std::get<std::unique_ptr<Unreachable>>(attempts_.at(id).state)->give_up_at.reset();
  }
  give_up_.clear();
}

std::optional<AttemptId> AttemptTable::NextDue(SteadyTime now) const {
  if (give_up_.empty() || give_up_.begin()->first > now) return std::nullopt;
  return give_up_.begin()->second;
}

SteadyTime AttemptTable::NextTimer() const {
  return give_up_.empty() ? SteadyTime::InfiniteFuture() : give_up_.begin()->first;
}

absl::Status AttemptTable::CheckInvariants() const {
  const auto wrong = [](AttemptId id, absl::string_view what) {
    return absl::InternalError(
        absl::StrCat("attempt ", planner::AttemptIdToString(id), ": ", what));
  };
  struct Sum {
    ResourceVector held;
    size_t attempts = 0;
    int holding = 0;
    int in_backlog = 0;
  };
  absl::flat_hash_map<AgentTable::Index, Sum> sums;
  ResourceVector pool_free = packer_.pools();
  size_t unreachable = 0;
  for (const auto& [id, attempt] : attempts_) {
    Sum& sum = sums[attempt.agent];
    ++sum.attempts;
    const std::vector<AttemptId>& on_agent = agents_[attempt.agent].attempts;
    if (attempt.place >= on_agent.size() || on_agent[attempt.place] != id) {
      return wrong(id, "is not in its place on its agent");
    }
    if (attempt.in_backlog()) {
      ++sum.in_backlog;
      const auto& backlog = agents_[attempt.agent].backlog;
      if (std::none_of(backlog.begin(), backlog.end(),
                       [id = id](const auto& entry) { return entry.attempt == id; })) {
        return wrong(id, "is in no backlog");
      }
    } else {
      ++sum.holding;
      sum.held += packer_.agent_part(attempt.consumption);
      pool_free -= packer_.pool_part(attempt.consumption);
      if (pool_holders_.contains(id) == packer_.pool_part(attempt.consumption).empty()) {
        return wrong(id, "is among those that hold units of pools, or is not");
      }
    }
    if (const Unreachable* away = attempt.unreachable()) {
      ++unreachable;
      if (away->give_up_at && !give_up_.contains({*away->give_up_at, id})) {
        return wrong(id, "would never be given up");
      }
    }
  }
  if (unreachable != unreachable_) return absl::InternalError("unreachable attempts: miscounted");
  if (pool_free != packer_.pool_free()) {
    return absl::InternalError(absl::StrCat("of the pools, ", packer_.pool_free().ToString(),
                                            " is said to be free, but ", pool_free.ToString(),
                                            " is"));
  }
  for (const auto& [time, id] : give_up_) {
    const Attempt* attempt = Find(id);
    if (attempt == nullptr || attempt->unreachable() == nullptr ||
        attempt->unreachable()->give_up_at != time) {
      return wrong(id, "is to be given up for no reason");
    }
  }
  absl::Status status;
  agents_.ForEach([&](AgentTable::Index index, const Agent& agent) {
    const Sum& sum = sums[index];
    if (agent.held != sum.held || agent.holding != sum.holding ||
        agent.attempts.size() != sum.attempts || agent.backlog_size != sum.in_backlog) {
      status.Update(absl::InternalError(
          absl::StrCat("agent ", agent.id, " holds ", agent.held.ToString(), " by ", agent.holding,
                       " of ", agent.attempts.size(), " attempts with ", agent.backlog_size,
                       " in the backlog; its attempts say ", sum.held.ToString(), ", ", sum.holding,
                       ", ", sum.attempts, ", ", sum.in_backlog)));
    }
  });
  return status;
}

}  // namespace kartograph::scheduler
