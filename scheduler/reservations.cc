#include "scheduler/reservations.h"

#include <algorithm>

namespace kartograph::scheduler {

using planner::ReadyOrder;
using planner::ResourceVector;

namespace {

// Agents that are looked at closely: those on which the least is missing.
constexpr size_t kCandidates = 16;
// One that has run longer than such tasks mostly do goes on for this part of what it has run.
constexpr int kOverdueShare = 4;

// Until so much is free, when these are given back at these times.
absl::Duration UntilFits(const ResourceVector& need, ResourceVector free,
                         std::vector<std::pair<absl::Duration, const ResourceVector*>> given_back) {
  std::sort(given_back.begin(), given_back.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  absl::Duration until;
  for (const auto& [when, part] : given_back) {
    if (need.FitsIn(free)) break;
    free += *part;
    until = when;
  }
  return until;
}

}  // namespace

bool Reservations::OnPlaced(ClassId consumption) {
  if (waiting_.empty() || waiting_.erase(consumption) == 0) return false;
  return Release(consumption);
}

void Reservations::OnErased(AgentTable::Index agent) {
  auto it = std::find_if(reserved_.begin(), reserved_.end(),
                         [agent](const auto& entry) { return entry.second.agent == agent; });
  if (it != reserved_.end()) Release(it->first);
}

bool Reservations::Release(ClassId consumption) {
  bool released = false;
  if (auto it = reserved_.find(consumption); it != reserved_.end()) {
    packer_.ReleaseAgent(it->second.agent);
    reserved_.erase(it);
    released = true;
  }
  if (pools_ && pools_->consumption == consumption) {
    packer_.ReleasePools();
    pools_.reset();
    released = true;
  }
  released_ = released_ || released;
  return released;
}

void Reservations::NoteWaiting(const std::vector<std::pair<ReadyOrder, ClassId>>& firsts,
                               SteadyTime now) {
  absl::btree_map<ClassId, SteadyTime> waiting;
  for (const auto& [task, consumption] : firsts) {
    auto known = waiting_.find(consumption);
    waiting[consumption] = known == waiting_.end() ? now : known->second;
  }
  waiting_.swap(waiting);
}

void Reservations::Clear() {
  for (const auto& [consumption, reservation] : reserved_) packer_.ReleaseAgent(reservation.agent);
  reserved_.clear();
  packer_.ReleasePools();
  pools_.reset();
  waiting_.clear();
  resting_.clear();
  in_vain_.clear();
  next_ = SteadyTime::InfiniteFuture();
}

bool Reservations::Refresh(const Instant& now) {
  bool more = false;
  std::vector<ClassId> over;
  for (auto& [consumption, reservation] : reserved_) {
    const std::optional<ReadyOrder> first = packer_.FirstReady(consumption);
    if (!first) {
      over.push_back(consumption);
      continue;
    }
    reservation.task = *first;
    const absl::Duration before = reservation.within;
    ReserveAgent(consumption, reservation, now);
    more = more || reservation.within > before;
  }
  std::optional<ReadyOrder> first;
  if (pools_) first = packer_.FirstReady(pools_->consumption);
  if (pools_ && !first) over.push_back(pools_->consumption);
  for (ClassId consumption : over) more = Release(consumption) || more;
  if (pools_) {
    ReservePools(pools_->consumption, *first, now);
    more = true;
  }
  return more;
}

void Reservations::ReserveAgent(ClassId consumption, Reservation& reservation, const Instant& now) {
  reservation.within = UntilFree(reservation.agent, packer_.agent_part(consumption), now);
  packer_.ReserveAgent(reservation.agent, reservation.task, consumption,
                       absl::ToInt64Microseconds(reservation.within));
}

void Reservations::ReservePools(ClassId consumption, const ReadyOrder& task, const Instant& now) {
  pools_ = PoolReservation{consumption, task};
  packer_.ReservePools(
      task, consumption,
      absl::ToInt64Microseconds(UntilPoolsFree(packer_.pool_part(consumption), now)));
}

bool Reservations::Update(const Instant& now) {
  released_ = false;
  std::vector<std::pair<ReadyOrder, ClassId>> firsts;
  packer_.ForEachFirst([&firsts](ClassId consumption, const ReadyOrder& task) {
    firsts.emplace_back(task, consumption);
  });
  std::sort(firsts.begin(), firsts.end());
  NoteWaiting(firsts, now.steady);
  absl::erase_if(resting_, [&now](const auto& entry) { return entry.second <= now.steady; });
  next_ = SteadyTime::InfiniteFuture();
  const size_t most = std::max<size_t>(1, agents_.size() / kShareOfAgents);
  Kept kept;
  bool pools = false;
  for (const auto& [task, consumption] : firsts) {
    const SteadyTime due = waiting_.at(consumption) + kPatience;
    if (due > now.steady) {
      next_ = std::min(next_, due);
      continue;
    }
    // What no agent may have keeps nothing from others.
    if (!IsPossible(consumption, now.steady)) continue;
    const ResourceVector& part = packer_.pool_part(consumption);
    if (!part.FitsIn(packer_.pool_free())) {
      // One that is there was computed before the plan.
      const bool known = pools_ && pools_->consumption == consumption;
      if (!std::exchange(pools, true) && !known) ReservePools(consumption, task, now);
      continue;
    }
    // What only other reservations keep from starting needs none.
    if (!packer_.MayHavePools(task, consumption)) continue;
    if (kept.consumptions.size() < most) Reserve(consumption, task, &kept, now);
  }
  if (!pools && pools_) Release(pools_->consumption);
  std::vector<ClassId> old;
  for (const auto& [consumption, reservation] : reserved_) {
    if (!kept.consumptions.contains(consumption)) old.push_back(consumption);
  }
  for (ClassId consumption : old) Release(consumption);
  if (!kept.consumptions.empty() || pools) next_ = std::min(next_, now.steady + kPeriod);
  if (kept.put_off) {
    next_ = std::min(next_, now.steady + kBetweenLooks);
  } else {
    in_vain_.clear();
  }
  // Where nothing else waits, there is nothing to do until something comes.
  if (firsts.size() < 2) next_ = SteadyTime::InfiniteFuture();
  return released_;
}

void Reservations::Reserve(ClassId consumption, const ReadyOrder& task, Kept* kept,
                           const Instant& now) {
  auto it = reserved_.find(consumption);
  if (it != reserved_.end() && !CanHave(it->second.agent, consumption, now.steady)) {
    Release(consumption);
    it = reserved_.end();
  }
  if (it != reserved_.end() && !agents_.leases() && now.steady - it->second.since > kKeepOffers) {
    resting_[it->second.agent] = now.steady + kKeepOffers;
    return;
  }
  if (it == reserved_.end()) {
    if (in_vain_.contains(consumption)) return;
    if (kept->looks_left == 0) {
      kept->put_off = true;
      return;
    }
    --kept->looks_left;
    const std::optional<AgentTable::Index> agent = FindAgent(consumption, *kept, now);
    if (!agent) {
      in_vain_.insert(consumption);
      return;
    }
    OnErased(*agent);  // whoever had it comes later
    it = reserved_.emplace(consumption, Reservation{*agent, task, now.steady, {}}).first;
    ReserveAgent(consumption, it->second, now);
  }  // otherwise it was computed before the plan
  kept->consumptions.insert(consumption);
  kept->agents.insert(it->second.agent);
}

bool Reservations::IsPossible(ClassId consumption, SteadyTime now) const {
  if (packer_.terms(consumption).empty()) return true;
  bool possible = false;
  agents_.ForEach([&](AgentTable::Index index, const Agent&) {
    possible = possible || CanHave(index, consumption, now);
  });
  return possible;
}

bool Reservations::CanHave(AgentTable::Index index, ClassId consumption, SteadyTime now) const {
  const Agent& agent = agents_[index];
  return packer_.IsEligible(index, consumption) && !packer_.IsSpreadFull(index, consumption) &&
         agent.connected && agent.failures == 0 && !agent.reserved &&
         // Where that is not known, `most` is what there may be.
         packer_.agent_part(consumption)
             .FitsIn(agent.capacity_told ? agent.most : agent.capacity) &&
         agent.leaves - now >= consumptions_.ExpectedWallTime(consumption);
}

std::optional<AgentTable::Index> Reservations::FindAgent(ClassId consumption, const Kept& kept,
                                                         const Instant& now) const {
  return Soonest(
      consumption,
      [&](AgentTable::Index index) {
        return !resting_.contains(index) && !kept.agents.contains(index);
      },
      now);
}

double Reservations::PartMissing(AgentTable::Index index, ClassId consumption) const {
  double missing = 0;
  for (const ResourceVector::Entry& entry : packer_.agent_part(consumption)) {
    const auto lacking =
        static_cast<double>((entry.quantity - packer_.free(index).Get(entry.resource)).milli());
    missing += std::max(lacking, 0.0) / static_cast<double>(entry.quantity.milli());
  }
  return missing;
}

std::optional<AgentTable::Index> Reservations::SoonestOf(
    std::vector<std::pair<double, AgentTable::Index>> candidates, ClassId consumption,
    const Instant& now) const {
  const size_t looked_at = std::min(candidates.size(), kCandidates);
  std::partial_sort(candidates.begin(), candidates.begin() + static_cast<ptrdiff_t>(looked_at),
                    candidates.end());
  std::optional<AgentTable::Index> best;
  absl::Duration soonest;
  for (size_t i = 0; i < looked_at; ++i) {
    const absl::Duration within =
        UntilFree(candidates[i].second, packer_.agent_part(consumption), now);
    if (best && within >= soonest) continue;
    best = candidates[i].second;
    soonest = within;
  }
  return best;
}

absl::Duration Reservations::Remaining(const Attempt& attempt, const Instant& now) const {
  const absl::Duration elapsed = std::max(now.wall - attempt.launch_time, absl::ZeroDuration());
  const absl::Duration expected = attempt.expected_ms > 0
                                      ? absl::Milliseconds(attempt.expected_ms)
                                      : consumptions_.TypicalWallTime(attempt.consumption);
  return std::max(expected - elapsed, elapsed / kOverdueShare);
}

absl::Duration Reservations::UntilFree(AgentTable::Index index, const ResourceVector& need,
                                       const Instant& now) const {
  std::vector<std::pair<absl::Duration, const ResourceVector*>> given_back;
  for (planner::AttemptId id : agents_[index].attempts) {
    const Attempt& attempt = attempts_.At(id);
    if (attempt.in_backlog()) continue;
    given_back.emplace_back(Remaining(attempt, now), &packer_.agent_part(attempt.consumption));
  }
  return UntilFits(need, packer_.free(index), std::move(given_back));
}

absl::Duration Reservations::UntilPoolsFree(const ResourceVector& need, const Instant& now) const {
  std::vector<std::pair<absl::Duration, const ResourceVector*>> given_back;
  attempts_.ForEachPoolHolder([&](planner::AttemptId, const Attempt& attempt) {
    given_back.emplace_back(Remaining(attempt, now), &packer_.pool_part(attempt.consumption));
  });
  return UntilFits(need, packer_.pool_free(), std::move(given_back));
}

}  // namespace kartograph::scheduler
