#include "scheduler/agent_table.h"

#include <algorithm>
#include <cstdlib>
#include <iterator>

#include "absl/strings/str_cat.h"
#include "scheduler/consumption_table.h"
#include "scheduler/smoothed.h"

namespace kartograph::scheduler {
namespace {

// An agent's backlog holds about this much work: more than a commit and two messages take on a busy
// machine, less than a person notices.
constexpr double kBacklogUs = 100000;
constexpr size_t kShapesKept = 64;

bool IsUsable(const Agent& agent) {
  return AgentTable::WhyNotUsable(agent) == AgentObstacle::kNone;
}

void RaiseTo(const planner::ResourceVector& least, planner::ResourceVector& most) {
  for (const auto& [resource, quantity] : least) {
    if (quantity > most.Get(resource)) most.Set(resource, quantity);
  }
}

}  // namespace

std::optional<AgentTable::Index> AgentTable::Find(const executor::AgentId& id) const {
  auto it = index_.find(id);
  if (it == index_.end()) return std::nullopt;
  return it->second;
}

AgentTable::Index AgentTable::Intern(const executor::AgentId& id) {
  if (auto it = index_.find(id); it != index_.end()) return it->second;
  const Index index = packer_.AddAgent();
  if (slots_.size() <= index) slots_.resize(index + 1);
  index_[id] = index;
  slots_[index].known = true;
  At(index).id = id;
  At(index).name = id;
  return index;
}

AgentTable::Index AgentTable::Adopt(const executor::AgentId& id, const std::string& name,
                                    SteadyTime now) {
  const bool is_new = !index_.contains(id);
  const Index index = Intern(id);
  At(index).name = name;
  if (is_new) MarkAway(index, now);
  return index;
}

// --- what the cluster reports ---

AgentTable::Index AgentTable::OnOffer(executor::Offer offer, const Instant& now) {
  const Index index = Intern(offer.agent);
  Agent& agent = At(index);
  Describe(index, offer.agent_name, offer.attributes);
  agent.connected = true;
  agent.unreachable_since.reset();
  agent.closed.clear();
  agent.lease = offer.lease;
  SetUnavailableFrom(index, offer.unavailable_from, now);
  agent.max_backlog = offer.lease ? offer.backlog : 0;
  anybody_seen_ = true;
  if (offer.lease) {
    leases_ = true;
    agent.offers.clear();
    agent.capacity = std::move(offer.resources);
  } else {
    if (agent.offers.empty()) offering_.push_back(index);
    agent.offers.push_back(std::move(offer));
    // Where the cluster has not reported it, what the agent has is seen best while nothing is held.
    // Later, what is offered together is the least it has; what is held is not added, as an attempt
    // whose end is not known here yet may have freed it. Only after a restart is there nothing
    // better to go by.
    planner::ResourceVector offered;
    for (const executor::Offer& open : agent.offers) offered += open.resources;
    planner::ResourceVector both = offered;
    both += agent.held;
    if (!agent.capacity_told && (agent.capacity.empty() || agent.attempts.empty())) {
      agent.capacity = both;
    }
    RaiseTo(offered, agent.capacity);
    RaiseTo(offered, agent.most);
    // A graph is not refused for what may be there.
    if (!agent.capacity_told) RaiseTo(both, agent.most);
  }
  if (!agent.capacity_told) RaiseTo(agent.capacity, agent.most);
  RaiseTo(agent.most, largest_seen_);
  Refresh(index);
  return index;
}

AgentTable::Index AgentTable::OnCapacity(executor::AgentCapacity capacity) {
  const Index index = Intern(capacity.agent);
  Agent& agent = At(index);
  Describe(index, std::move(capacity.agent_name), capacity.attributes);
  agent.connected = true;
  agent.unreachable_since.reset();
  agent.capacity_told = true;
  agent.capacity = std::move(capacity.resources);
  agent.most = std::move(capacity.for_one_attempt);
  agent.closed = std::move(capacity.closed);
  anybody_seen_ = true;
  RaiseTo(agent.most, largest_seen_);
  Refresh(index);
  return index;
}

// What constraints see of it, which mostly stays the same.
void AgentTable::Describe(Index index, std::string name,
                          const std::vector<std::pair<std::string, std::string>>& attributes) {
  Agent& agent = At(index);
  if (agent.described && agent.name == name && agent.attributes == attributes) return;
  agent.described = true;
  agent.name = std::move(name);
  agent.attributes = attributes;
  packer_.SetTraits(index, {agent.id, agent.name, agent.attributes});
}

void AgentTable::OnRescinded(const executor::OfferId& id) {
  for (Index i : offering_) {
    Agent& agent = At(i);
    auto offer = std::find_if(agent.offers.begin(), agent.offers.end(),
                              [&](const executor::Offer& o) { return o.id == id; });
    if (offer == agent.offers.end()) continue;
    agent.offers.erase(offer);
    Refresh(i);
    return;
  }
}

void AgentTable::OnUnreachable(const executor::AgentId& id, const Instant& now) {
  const std::optional<Index> index = Find(id);
  if (!index) return;
  Agent& agent = At(*index);
  if (!agent.unreachable_since) agent.unreachable_since = now.wall;
  agent.offers.clear();
  if (std::exchange(agent.connected, false)) MarkAway(*index, now.steady);
  Refresh(*index);
}

void AgentTable::OnHostReport(executor::HostReport report) {
  const std::optional<Index> index = Find(report.agent);
  if (!index) return;  // it has nothing for us
  Agent& agent = At(*index);
  agent.host_before = std::exchange(agent.host, std::move(report));
}

void AgentTable::OnAlive(Index index) {
  Agent& agent = At(index);
  agent.unreachable_since.reset();
  if (agent.connected || agent.lease) return;
  agent.connected = true;
  Refresh(index);
}

void AgentTable::OnLost(Index index, SteadyTime now) {
  Agent& agent = At(index);
  agent.offers.clear();
  if (std::exchange(agent.connected, false)) MarkAway(index, now);
  StaysForGood(index);
  Refresh(index);
}

void AgentTable::Erase(Index index) {
  Slot& slot = slots_[index];
  if (!slot.known || !slot.agent.attempts.empty()) std::abort();
  const planner::ResourceVector& most = slot.agent.most;
  const bool within = std::any_of(shapes_seen_.begin(), shapes_seen_.end(),
                                  [&](const auto& shape) { return most.FitsIn(shape); });
  if (!within) {
    std::erase_if(shapes_seen_, [&](const auto& shape) { return shape.FitsIn(most); });
    shapes_seen_.push_back(most);
    if (shapes_seen_.size() > kShapesKept) shapes_seen_.pop_front();
  }
  StaysForGood(index);
  if (slot.agent.set_aside_until) set_aside_.erase({slot.agent.set_aside_until->steady, index});
  on_probation_.erase(index);
  index_.erase(slot.agent.id);
  packer_.RemoveAgent(index);
  slot = Slot();
}

void AgentTable::OnDisconnected(SteadyTime now, bool again) {
  offering_.clear();
  while (!leaving_.empty()) StaysForGood(*leaving_.begin());
  if (again) {
    leases_ = false;
    away_.clear();  // absence is counted from now on
  }
  for (Index i = 0; i < slots_.size(); ++i) {
    if (!slots_[i].known) continue;
    Agent& agent = At(i);
    if (std::exchange(agent.connected, false) || again) MarkAway(i, now);
    agent.offers.clear();
    Refresh(i);
  }
}

void AgentTable::MarkAway(Index index, SteadyTime now) {
  slots_[index].away = ++away_number_;
  away_.push_back({now, index, away_number_});
}

void AgentTable::ForgetAbsent(SteadyTime now) {
  while (!away_.empty() && away_.front().since + kForgetAfter <= now) {
    const Away away = away_.front();
    away_.pop_front();
    const Slot& slot = slots_[away.index];
    if (!slot.known || slot.away != away.number || slot.agent.connected) continue;
    if (slot.agent.attempts.empty()) {
      Erase(away.index);
    } else {
      MarkAway(away.index, now);
    }
  }
}

void AgentTable::SetUnavailableFrom(Index index, absl::Time time, const Instant& now) {
  if (time == absl::InfiniteFuture()) return StaysForGood(index);
  At(index).unavailable_from = time;
  At(index).leaves = now.steady + (time - now.wall);
  leaving_.insert(index);
}

void AgentTable::StaysForGood(Index index) {
  At(index).unavailable_from = absl::InfiniteFuture();
  At(index).leaves = SteadyTime::InfiniteFuture();
  if (leaving_.erase(index) > 0) packer_.SetTimeUntilDrain(index, planner::Packer::kNeverDrains);
}

AgentObstacle AgentTable::WhyNotUsable(const Agent& agent) {
  if (!agent.connected) return AgentObstacle::kAway;
  // Without an offer there is no room even for what consumes nothing.
  if (!agent.has_room()) return AgentObstacle::kNotOffered;
  if (agent.failures > 0) return AgentObstacle::kFailing;
  return agent.reserved ? AgentObstacle::kAlone : AgentObstacle::kNone;
}

// Updates the packer with what the agent has.
void AgentTable::Refresh(Index index) {
  const Agent& agent = At(index);
  if (!agent.connected) {
    packer_.SetUsable(index, false);
    packer_.SetBacklogRoom(index, 0);
    return;
  }
  planner::ResourceVector free;
  if (agent.lease) {
    free = agent.capacity;
    free -= agent.held;
  } else {
    for (const executor::Offer& offer : agent.offers) free += offer.resources;
  }
  packer_.SetCapacity(index, agent.capacity);
  packer_.SetFree(index, std::move(free));
  packer_.SetFreeSlots(index, slots_per_agent_ - agent.holding);
  packer_.SetUsable(index, IsUsable(agent));
  UpdateBacklogRoom(index);
}

// --- what runs there ---

uint32_t AgentTable::AddAttempt(Index index, planner::AttemptId attempt) {
  At(index).attempts.push_back(attempt);
  return static_cast<uint32_t>(At(index).attempts.size() - 1);
}

std::optional<planner::AttemptId> AgentTable::RemoveAttempt(Index index, uint32_t place) {
  std::vector<planner::AttemptId>& attempts = At(index).attempts;
  const planner::AttemptId last = attempts.back();
  attempts.pop_back();
  if (place == attempts.size()) return std::nullopt;
  attempts[place] = last;
  return last;
}

void AgentTable::Hold(Index index, planner::Packer::ClassId consumption, bool placed) {
  Agent& agent = At(index);
  agent.held += packer_.agent_part(consumption);
  ++agent.holding;
  if (agent.lease && !placed) packer_.Take(index, consumption);
}

void AgentTable::Unhold(Index index, planner::Packer::ClassId consumption) {
  Agent& agent = At(index);
  agent.held -= packer_.agent_part(consumption);
  --agent.holding;
  if (agent.lease) {
    packer_.Give(index, consumption);
  } else {
    // What it held is offered again; its slot is free at once, for offers that are open.
    packer_.SetFreeSlots(index, packer_.free_slots(index) + 1);
  }
}

void AgentTable::Recharge(Index index, const planner::ResourceVector& less,
                          const planner::ResourceVector& more) {
  At(index).held -= less;
  At(index).held += more;
  Refresh(index);
}

void AgentTable::PushBacklog(Index index, planner::AttemptId attempt, std::string order) {
  At(index).backlog.Push(attempt, std::move(order));
  ++At(index).backlog_size;
}

void AgentTable::UpdateBacklogRoom(Index index) {
  const Agent& agent = At(index);
  int room = 0;
  if (IsUsable(agent) && agent.max_backlog > 0 && agent.mean_wall_us > 0 &&
      agent.mean_wall_us < ConsumptionTable::kShortUs) {
    const double depth = kBacklogUs / std::max(agent.mean_wall_us, ConsumptionTable::kLeastUs) *
                         std::max(agent.holding, 1);
    room = static_cast<int>(std::min<double>(depth, agent.max_backlog)) - agent.backlog_size;
  }
  packer_.SetBacklogRoom(index, std::max(room, 0));
}

void AgentTable::LearnWallTime(Index index, double microseconds) {
  double& mean = At(index).mean_wall_us;
  mean = Smoothed(mean, microseconds);
}

absl::Duration AgentTable::BusyFor() const {
  absl::Duration least = absl::InfiniteDuration();
  for (const Slot& slot : slots_) {
    const Agent& agent = slot.agent;
    if (agent.holding == 0) continue;
    if (agent.backlog_size == 0) return absl::ZeroDuration();
    least = std::min(least,
                     absl::Microseconds(agent.mean_wall_us * agent.backlog_size / agent.holding));
  }
  return least == absl::InfiniteDuration() ? absl::ZeroDuration() : least;
}

// --- agents that fail ---

void AgentTable::OnFailed(Index index, std::string reason, const Instant& now) {
  Agent& agent = At(index);
  agent.failure = std::move(reason);
  agent.suspected = false;
  if (agent.set_aside_until) return;  // more of what was launched on it before
  const absl::Duration back_off = std::min(
      kFirstSetAside * static_cast<double>(1 << std::min(agent.failures, 20)), kLongestSetAside);
  ++agent.failures;
  agent.set_aside_until = Instant{now.steady + back_off, now.wall + back_off};
  set_aside_.insert({agent.set_aside_until->steady, index});
  on_probation_.erase(index);
  Refresh(index);
}

bool AgentTable::OnSuspected(Index index, planner::TaskKey task, absl::string_view what,
                             const Instant& now) {
  Agent& agent = At(index);
  std::erase_if(agent.suspicions, [&](const auto& suspicion) {
    return suspicion.second == task || suspicion.first + kSuspicionLasts <= now.steady;
  });
  if (!agent.suspicions.empty() && now.steady < agent.suspicions.back().first + kOneIncident) {
    return false;
  }
  agent.suspicions.emplace_back(now.steady, task);
  if (agent.suspicions.size() < kSuspectedBy) return false;
  OnFailed(index, absl::StrCat("attempts of ", agent.suspicions.size(), " tasks ", what), now);
  agent.suspected = true;
  agent.suspicions.clear();
  return true;
}

void AgentTable::OnStarted(Index index) {
  Agent& agent = At(index);
  if (agent.failures == 0 || agent.set_aside_until) return;
  agent.failures = 0;
  agent.failure.clear();
  on_probation_.erase(index);
  Refresh(index);
}

bool AgentTable::ReturnSetAside(SteadyTime now) {
  bool any = false;
  while (!set_aside_.empty() && set_aside_.begin()->first <= now) {
    const Index index = set_aside_.begin()->second;
    set_aside_.erase(set_aside_.begin());
    At(index).set_aside_until.reset();
    on_probation_.insert(index);
    any = true;
  }
  return any;
}

SteadyTime AgentTable::NextReturn() const {
  return set_aside_.empty() ? SteadyTime::InfiniteFuture() : set_aside_.begin()->first;
}

void AgentTable::Reserve(Index index, bool reserved) {
  if (At(index).reserved == reserved) return;
  At(index).reserved = reserved;
  Refresh(index);
}

// --- plans ---

// Updates the packer for agents that will leave: it has no clock.
void AgentTable::RefreshTimesUntilDrain(SteadyTime now) {
  for (Index index : leaving_) {
    packer_.SetTimeUntilDrain(
        index, absl::ToInt64Microseconds(std::max(At(index).leaves - now, absl::ZeroDuration())));
  }
}

void AgentTable::UseOffers(Index index, std::vector<executor::Offer>* used) {
  Agent& agent = At(index);
  if (!std::exchange(agent.launched_on, false)) return;
  if (agent.lease) {
    UpdateBacklogRoom(index);
    return;
  }
  std::move(agent.offers.begin(), agent.offers.end(), std::back_inserter(*used));
  agent.offers.clear();
  Refresh(index);
}

void AgentTable::TakeOpenOffers(std::vector<executor::Offer>* offers) {
  std::vector<Index> kept;
  for (Index index : offering_) {
    Agent& agent = At(index);
    if (agent.offers.empty()) continue;
    if (packer_.is_reserved(index)) {
      if (std::find(kept.begin(), kept.end(), index) == kept.end()) kept.push_back(index);
      continue;
    }
    std::move(agent.offers.begin(), agent.offers.end(), std::back_inserter(*offers));
    agent.offers.clear();
    Refresh(index);
  }
  offering_ = std::move(kept);
}

// --- what there is and was ---

void AgentTable::SetSlotsPerAgent(int slots) {
  slots_per_agent_ = slots;
  for (Index i = 0; i < slots_.size(); ++i) {
    if (slots_[i].known) Refresh(i);
  }
}

bool AgentTable::EverFits(const planner::ResourceVector& need) const {
  return std::any_of(
             slots_.begin(), slots_.end(),
             [&](const Slot& slot) { return slot.known && need.FitsIn(slot.agent.most); }) ||
         std::any_of(shapes_seen_.begin(), shapes_seen_.end(),
                     [&](const auto& shape) { return need.FitsIn(shape); });
}

void AgentTable::AppendState(std::vector<executor::ClusterEvent>* events) const {
  ForEach([&](Index, const Agent& agent) {
    if (agent.unreachable_since) events->emplace_back(executor::AgentUnreachable{agent.id});
    if (!agent.connected) return;
    if (agent.capacity_told) {
      events->emplace_back(executor::AgentCapacity{agent.id, agent.name, agent.capacity, agent.most,
                                                   agent.attributes, agent.closed});
    }
    for (const executor::Offer& offer : agent.offers) events->emplace_back(offer);
    if (!agent.lease) return;
    executor::Offer offer;
    offer.attributes = agent.attributes;
    offer.unavailable_from = agent.unavailable_from;
    offer.agent = agent.id;
    offer.agent_name = agent.name;
    offer.resources = agent.capacity;
    offer.lease = true;
    offer.backlog = agent.max_backlog;
    events->emplace_back(std::move(offer));
  });
  ForEach([&](Index, const Agent& agent) {
    if (agent.host) events->emplace_back(*agent.host);
  });
}

absl::Status AgentTable::CheckInvariants() const {
  size_t known = 0;
  for (Index i = 0; i < slots_.size(); ++i) {
    const Slot& slot = slots_[i];
    if (!slot.known) continue;
    ++known;
    const Agent& agent = slot.agent;
    const auto wrong = [&](absl::string_view what) {
      return absl::InternalError(absl::StrCat("agent ", agent.id, ": ", what));
    };
    if (Find(agent.id) != i) return wrong("is not found by its id");
    if (!agent.connected && !agent.offers.empty()) return wrong("is away and has offers");
    if (agent.lease && !agent.offers.empty()) return wrong("has a lease and offers");
    if (agent.lease && agent.connected) {
      planner::ResourceVector free = agent.capacity;
      free -= agent.held;
      if (free != packer_.free(i)) return wrong("the packer knows another rest of its lease");
      if (packer_.free_slots(i) != slots_per_agent_ - agent.holding) {
        return wrong("the packer knows another number of free slots");
      }
    }
    if (packer_.usable(i) != IsUsable(agent)) return wrong("the packer may use it, or may not");
    if (leaving_.contains(i) != (agent.leaves != SteadyTime::InfiniteFuture())) {
      return wrong("is in the list of those that leave, or is not");
    }
    const bool set_aside = agent.set_aside_until.has_value();
    if (set_aside && !set_aside_.contains({agent.set_aside_until->steady, i})) {
      return wrong("is set aside forever");
    }
    if (on_probation_.contains(i) != (agent.failures > 0 && !set_aside)) {
      return wrong("is on probation, or is not");
    }
    if (set_aside && agent.failures == 0) return wrong("is set aside for no failure");
  }
  if (known != index_.size() || known != packer_.agent_count()) {
    return absl::InternalError("agents are left that nobody knows");
  }
  return absl::OkStatus();
}

}  // namespace kartograph::scheduler
