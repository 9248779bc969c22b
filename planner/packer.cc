#include "planner/packer.h"

#include <algorithm>
#include <cstdlib>
#include <limits>
#include <utility>

#include "absl/container/flat_hash_set.h"

namespace kartograph::planner {
namespace {

// Enough candidates to choose well among agents of different shape, few enough to stay cheap on ten
// thousand.
constexpr int kCandidates = 8;
// With more agents to try than this the index over all is quicker than trying each.
constexpr size_t kFewAgents = 32;
// Of more freed agents than this it is not asked beforehand whether something may fit on them.
constexpr size_t kManyFreed = 1000;

// Whether what is kept is still free when this is taken.
bool LeavesEnough(const ResourceVector::Entry& taken, const ResourceVector& free, Quantity kept) {
  return kept.is_zero() || free.Get(taken.resource) - taken.quantity >= kept;
}

}  // namespace

Packer::Packer(ResourceVector pools) : pools_(pools), pool_free_(std::move(pools)) {}

Packer::ClassId Packer::Intern(const ResourceVector& consumption, const Terms& terms) {
  auto [it, is_new] = class_ids_.emplace(std::pair(consumption, terms), 0);
  if (!is_new) return it->second;
  if (free_classes_.empty()) {
    it->second = static_cast<ClassId>(classes_.size());
    classes_.emplace_back();
  } else {
    it->second = free_classes_.back();
    free_classes_.pop_back();
  }
  Class& added = classes_[it->second];
  added.interned = true;
  added.whole = consumption;
  added.terms = terms;
  if (!terms.constraints.empty()) added.eligible = eligibility_.Use(terms.constraints);
  if (!terms.spread.empty()) added.group = spread_.Use(terms.graph, terms.spread.group);
  SplitByPools(added);
  return it->second;
}

void Packer::SplitByPools(Class& c) const {
  for (const ResourceVector::Entry& entry : c.whole) {
    // A pool of capacity zero is not in the vector, and so is not a pool: see the configuration.
    const bool is_pool = !pools_.Get(entry.resource).is_zero();
    c.pool_part.Set(entry.resource, is_pool ? entry.quantity : Quantity());
    c.agent_part.Set(entry.resource, is_pool ? Quantity() : entry.quantity);
  }
}

void Packer::RemoveClass(ClassId id) {
  Class& c = classes_[id];
  if (!c.interned || !ready_.empty(id)) std::abort();
  class_ids_.erase(std::pair(c.whole, c.terms));
  if (c.eligible) eligibility_.Release(*c.eligible);
  if (c.group) spread_.Release(*c.group);
  const bool active = c.active;  // it is in active_ until the next plan
  static const Class blank;      // static, as GCC thinks a local one uninitialized
  c = blank;
  c.active = active;
  free_classes_.push_back(id);
}

Packer::AgentId Packer::AddAgent() {
  if (!free_agents_.empty()) {
    const AgentId id = free_agents_.back();
    free_agents_.pop_back();
    return id;
  }
  agents_.emplace_back();
  return static_cast<AgentId>(agents_.size() - 1);
}

void Packer::RemoveAgent(AgentId id) {
  SetUsable(id, false);
  SetBacklogRoom(id, 0);
  ReleaseAgent(id);
  eligibility_.Remove(id);
  total_capacity_ -= agents_[id].capacity;
  total_changed_ = total_changed_ || !agents_[id].capacity.empty();
  const bool freed = agents_[id].freed;  // it is in freed_ until the next plan
  static const Agent blank;              // static, as GCC thinks a local one uninitialized
  agents_[id] = blank;
  agents_[id].freed = freed;
  free_agents_.push_back(id);
}

void Packer::Reindex(AgentId id, Quantity cpu_before, bool had_place) {
  const Agent& agent = agents_[id];
  const Quantity cpu = agent.free.Get(Resource::Cpu());
  const bool has_place = agent.has_place();
  if (has_place == had_place && cpu == cpu_before) return;
  if (had_place) by_free_cpu_.erase({cpu_before, id});
  if (has_place) by_free_cpu_.insert({cpu, id});
}

void Packer::MarkFreed(AgentId id) {
  Agent& agent = agents_[id];
  if (agent.freed || !agent.usable) return;
  agent.freed = true;
  freed_.push_back(id);
}

void Packer::SetUsable(AgentId id, bool usable) {
  Agent& agent = agents_[id];
  const bool before = agent.usable;
  const bool had_place = agent.has_place();
  agent.usable = usable;
  Reindex(id, agent.free.Get(Resource::Cpu()), had_place);
  if (usable && !before) MarkFreed(id);
}

void Packer::SetTraits(AgentId id, const AgentTraits& traits) {
  // It may be eligible for more.
  if (eligibility_.SetTraits(id, traits)) MarkFreed(id);
}

void Packer::SetFreeSlots(AgentId id, int slots) {
  Agent& agent = agents_[id];
  const bool had_place = agent.has_place();
  const bool more = slots > agent.slots;
  agent.slots = slots;
  Reindex(id, agent.free.Get(Resource::Cpu()), had_place);
  if (more) MarkFreed(id);
}

void Packer::SetFree(AgentId id, ResourceVector free) {
  Agent& agent = agents_[id];
  const Quantity cpu_before = agent.free.Get(Resource::Cpu());
  const bool more = !free.FitsIn(agent.free);
  agent.free = std::move(free);
  Reindex(id, cpu_before, agent.has_place());
  if (more) MarkFreed(id);
}

void Packer::Take(AgentId id, ClassId consumption) {
  Agent& agent = agents_[id];
  const Quantity cpu_before = agent.free.Get(Resource::Cpu());
  const bool had_place = agent.has_place();
  agent.free -= classes_[consumption].agent_part;
  --agent.slots;
  Reindex(id, cpu_before, had_place);
}

void Packer::Give(AgentId id, ClassId consumption) {
  Agent& agent = agents_[id];
  const Quantity cpu_before = agent.free.Get(Resource::Cpu());
  const bool had_place = agent.has_place();
  agent.free += classes_[consumption].agent_part;
  ++agent.slots;
  Reindex(id, cpu_before, had_place);
  MarkFreed(id);
}

void Packer::SetCapacity(AgentId id, ResourceVector capacity) {
  for (const ResourceVector::Entry& entry : capacity) {
    if (entry.quantity > scale_.Get(entry.resource)) scale_.Set(entry.resource, entry.quantity);
  }
  total_changed_ = total_changed_ || agents_[id].capacity != capacity;
  total_capacity_ -= agents_[id].capacity;
  total_capacity_ += capacity;
  agents_[id].capacity = std::move(capacity);
}

void Packer::UpdateTotal() {
  if (!std::exchange(total_changed_, false)) return;
  ResourceVector total = total_capacity_;
  total += pools_;
  shares_.SetTotal(total);
}

void Packer::AdvanceShares(SteadyTime now) {
  UpdateTotal();
  shares_.Advance(now);
  // Whoever has got less may go before what room is kept for now.
  if (shares_.size() > 1) OnOrderChanged();
}

double Packer::DominantShare(ClassId id) const {
  double most = 0;
  const auto take = [&most](const ResourceVector& part, const ResourceVector& total) {
    for (const ResourceVector::Entry& entry : part) {
      const Quantity all = total.Get(entry.resource);
      most = std::max(most, all.milli() <= 0 ? 1.0
                                             : static_cast<double>(entry.quantity.milli()) /
                                                   static_cast<double>(all.milli()));
    }
  };
  take(classes_[id].agent_part, total_capacity_);
  take(classes_[id].pool_part, pools_);
  return std::min(most, 1.0);
}

void Packer::SetBacklogRoom(AgentId id, int room) {
  agents_[id].backlog_room = room;
  if (room > 0) {
    with_backlog_room_.insert(id);
  } else {
    with_backlog_room_.erase(id);
  }
}

void Packer::SetPools(const ResourceVector& pools) {
  ResourceVector free = pool_free_;
  free -= pools_;
  free += pools;
  total_changed_ = true;
  pools_ = pools;
  pool_free_ = std::move(free);
  for (Class& c : classes_) {
    if (!c.interned) continue;
    const ResourceVector before = c.pool_part;
    SplitByPools(c);
    if (c.pool_part != before) c.fresh = true;
  }
}

void Packer::GivePools(ClassId consumption) {
  const ResourceVector& part = classes_[consumption].pool_part;
  if (part.empty()) return;
  pool_free_ += part;
}

void Packer::AddReady(ClassId consumption, const ReadyKey& key) {
  Class& c = classes_[consumption];
  if (ready_.empty(consumption)) c.fresh = true;
  if (!c.active) {
    c.active = true;
    active_.push_back(consumption);
  }
  ready_.Add(consumption, key);
  OnOrderChanged();
}

void Packer::SetScore(GraphId graph, Score score) {
  ready_.SetScore(graph, score);
  OnOrderChanged();
}

// What comes first of a consumption may go before what room is kept for, and so have that room.
void Packer::OnOrderChanged() {
  for (const auto& [agent, reservation] : reservations_) MarkFreed(agent);
}

// The less is left the better, and the more evenly: what is left of one resource beside nothing of
// another is of no use to anyone.
double Packer::Leftover(const ResourceVector& need, const Agent& agent) const {
  double leftover = 0;
  double most = 0;
  double least = std::numeric_limits<double>::infinity();
  for (const ResourceVector::Entry& entry : agent.capacity) {
    const Quantity wanted = need.Get(entry.resource);
    const double left =
        static_cast<double>((agent.free.Get(entry.resource) - wanted).milli()) /
        static_cast<double>(std::max<int64_t>(scale_.Get(entry.resource).milli(), 1));
    if (!wanted.is_zero()) leftover += left;
    most = std::max(most, left);
    least = std::min(least, left);
  }
  return least < most ? leftover + most - least : leftover;
}

void Packer::SetExpected(ClassId id, int64_t most_us, int64_t mostly_us) {
  Class& c = classes_[id];
  // What is not known yet is not let in behind a reservation.
  const bool known_now = c.mostly_us == 0 && mostly_us > 0;
  if (most_us < c.expected_us || mostly_us < c.mostly_us || known_now) c.fresh = true;
  c.expected_us = most_us;
  c.mostly_us = mostly_us;
}

void Packer::SetTimeUntilDrain(AgentId id, int64_t microseconds) {
  Agent& agent = agents_[id];
  // More may fit into a longer time, as into more resources.
  if (microseconds > agent.drain_us) MarkFreed(id);
  agent.drain_us = microseconds;
}

template <typename Fits>
std::optional<Packer::AgentId> Packer::BestFitWhere(const ResourceVector& need, Fits fits) const {
  std::optional<AgentId> best;
  double best_leftover = std::numeric_limits<double>::infinity();
  int candidates = 0;
  const Quantity cpu = need.Get(Resource::Cpu());
  const Quantity from =
      cpu.is_zero() ? Quantity::FromMilli(std::numeric_limits<int64_t>::min()) : cpu;
  for (auto it = by_free_cpu_.lower_bound({from, 0}); it != by_free_cpu_.end(); ++it) {
    const Agent& agent = agents_[it->second];
    if (!fits(it->second)) continue;
    const double leftover = Leftover(need, agent);
    if (!best || leftover < best_leftover) {
      best = it->second;
      best_leftover = leftover;
    }
    if (++candidates == kCandidates) break;
  }
  return best;
}

// The same, when each is looked at.
template <typename Candidates, typename Fits>
std::optional<Packer::AgentId> Packer::BestOf(const Candidates& candidates,
                                              const ResourceVector& need, Fits fits) const {
  std::optional<AgentId> best;
  double best_leftover = std::numeric_limits<double>::infinity();
  for (AgentId candidate : candidates) {
    if (!fits(candidate)) continue;
    const double leftover = Leftover(need, agents_[candidate]);
    if (!best || leftover < best_leftover || (leftover == best_leftover && candidate < *best)) {
      best = candidate;
      best_leftover = leftover;
    }
  }
  return best;
}

std::optional<Packer::AgentId> Packer::BestFit(const ResourceVector& need,
                                               int64_t expected_us) const {
  return BestFitWhere(need, [&](AgentId id) {
    return need.FitsIn(agents_[id].free) && expected_us <= agents_[id].drain_us;
  });
}

std::optional<Packer::AgentId> Packer::FindAgent(const ReadyOrder& task, ClassId id) {
  Class& c = classes_[id];
  bool kept = false;
  const auto fits = [&](AgentId candidate) {
    const Refusal refusal = WhyNotOn(candidate, task, id);
    kept = kept || refusal == Refusal::kKept;
    return refusal == Refusal::kNone;
  };
  std::optional<AgentId> agent;
  if (!c.fresh && freed_.size() <= kFewAgents) {
    agent = BestOf(freed_, c.agent_part, fits);
  } else {
    const bool few = c.eligible && eligibility_.Allowed(*c.eligible).size() <= kFewAgents;
    agent = few ? BestOf(eligibility_.Allowed(*c.eligible), c.agent_part, fits)
                : BestFitWhere(c.agent_part, fits);
    c.fresh = agent.has_value();
  }
  // What is kept may be for what comes after another account's.
  if (!agent && !kept) c.nowhere = plan_;
  return agent;
}

// --- shares and caps ---

void Packer::SetAccount(GraphId graph, FairShare::Account account, const Cap& cap) {
  ready_.SetAccount(graph, account, cap.any());
  if (cap.any()) capped_[graph].cap = cap;
}

void Packer::Charge(Lane lane, const Class& c, AgentId agent) {
  shares_.Take(lane.account, c.whole);
  if (lane.capped != 0) capped_.at(lane.capped).holding.Take(c.whole);
  if (c.group) spread_.Add(*c.group, agent);
}

void Packer::Refund(GraphId graph, ClassId consumption, AgentId agent) {
  const Lane lane = ready_.LaneOf(graph);
  const Class& c = classes_[consumption];
  shares_.Give(lane.account, c.whole);
  if (lane.capped != 0) capped_.at(lane.capped).holding.Give(c.whole);
  if (!c.group) return;
  spread_.Remove(*c.group, agent);
  MarkFreed(agent);  // for others of the group
}

bool Packer::IsGraphOverCap(GraphId graph, ClassId consumption) const {
  const Capped& capped = capped_.at(graph);
  return planner::IsOverCap(capped.cap, capped.holding, classes_[consumption].whole);
}

std::optional<Packer::OverCap> Packer::WhyOverCap(GraphId graph, ClassId consumption) const {
  const Lane lane = ready_.LaneOf(graph);
  const ResourceVector& whole = classes_[consumption].whole;
  if (lane.capped != 0) {
    const Capped& capped = capped_.at(graph);
    if (const auto at = planner::WhyOverCap(capped.cap, capped.holding, whole)) {
      return OverCap{true, *at};
    }
  }
  const auto at = shares_.WhyOverCap(lane.account, whole);
  return at ? std::optional(OverCap{false, *at}) : std::nullopt;
}

// --- reservations ---

Packer::Reservation Packer::MakeReservation(ReadyOrder task, ClassId consumption,
                                            int64_t within_us) const {
  task.share = 0;
  return {task, ready_.AccountOf(task.task.graph()), consumption, within_us};
}

ReadyOrder Packer::OrderOf(const Reservation& reservation) const {
  ReadyOrder order = reservation.task;
  order.share = shares_.Of(reservation.account);
  return order;
}

void Packer::ReserveAgent(AgentId id, const ReadyOrder& task, ClassId consumption,
                          int64_t within_us) {
  auto [it, is_new] = reservations_.try_emplace(id);
  const Reservation next = MakeReservation(task, consumption, within_us);
  // What was kept off it may fit into a longer time, or behind another task.
  if (!is_new && (within_us > it->second.within_us || next.task != it->second.task)) MarkFreed(id);
  it->second = next;
  agents_[id].reserved = true;
}

void Packer::ReleaseAgent(AgentId id) {
  if (reservations_.erase(id) == 0) return;
  agents_[id].reserved = false;
  MarkFreed(id);
}

void Packer::ReservePools(const ReadyOrder& task, ClassId consumption, int64_t within_us) {
  pool_reservation_ = MakeReservation(task, consumption, within_us);
}

void Packer::ReleasePools() { pool_reservation_.reset(); }

bool Packer::Respects(const Reservation& reservation, const ResourceVector& kept,
                      const ResourceVector& free, const ReadyOrder& task, ClassId id,
                      const ResourceVector& need) const {
  if (task <= OrderOf(reservation) || id == reservation.consumption) return true;
  const int64_t mostly_us = classes_[id].mostly_us;
  if (mostly_us > 0 && mostly_us <= reservation.within_us) return true;
  return std::all_of(need.begin(), need.end(), [&](const ResourceVector::Entry& entry) {
    return LeavesEnough(entry, free, kept.Get(entry.resource));
  });
}

Packer::Refusal Packer::WhyNoRoom(AgentId id, const ReadyOrder& task, ClassId consumption) const {
  const Agent& agent = agents_[id];
  const Class& c = classes_[consumption];
  if (!IsEligible(id, consumption)) return Refusal::kNotEligible;
  if (agent.slots <= 0) return Refusal::kNoSlot;
  if (IsSpreadFull(id, consumption)) return Refusal::kSpread;
  if (!c.agent_part.FitsIn(agent.free)) return Refusal::kLacks;
  if (c.expected_us > agent.drain_us) return Refusal::kLeaves;
  if (!agent.reserved) return Refusal::kNone;
  const Reservation& reservation = reservations_.at(id);
  return Respects(reservation, classes_[reservation.consumption].agent_part, agent.free, task,
                  consumption, c.agent_part)
             ? Refusal::kNone
             : Refusal::kKept;
}

Packer::Refusal Packer::WhyNoPools(const ReadyOrder& task, ClassId consumption) const {
  const ResourceVector& part = classes_[consumption].pool_part;
  if (!part.FitsIn(pool_free_)) return Refusal::kLacks;
  return !pool_reservation_ ||
                 Respects(*pool_reservation_, classes_[pool_reservation_->consumption].pool_part,
                          pool_free_, task, consumption, part)
             ? Refusal::kNone
             : Refusal::kKept;
}

std::optional<Resource> Packer::KeptPool(ClassId consumption) const {
  if (!pool_reservation_) return std::nullopt;
  const ResourceVector& kept = classes_[pool_reservation_->consumption].pool_part;
  for (const ResourceVector::Entry& entry : classes_[consumption].pool_part) {
    const Quantity for_it = kept.Get(entry.resource);
    if (!LeavesEnough(entry, pool_free_, for_it)) return entry.resource;
  }
  return std::nullopt;
}

void Packer::Plan(std::vector<Placement>* placements) {
  UpdateTotal();
  PlanDirect(placements);
  if (!with_backlog_room_.empty()) PlanBacklog(placements);
  for (AgentId id : freed_) agents_[id].freed = false;
  freed_.clear();
}

bool Packer::AnythingWanted() const {
  return std::any_of(active_.begin(), active_.end(), [&](ClassId id) {
    return classes_[id].pool_part.FitsIn(pool_free_) && FirstReady(id).has_value();
  });
}

std::vector<ResourceVector> Packer::Wanted() const {
  std::vector<ResourceVector> wanted;
  absl::flat_hash_set<ResourceVector> seen;
  for (ClassId id : active_) {
    const Class& c = classes_[id];
    if (!c.pool_part.FitsIn(pool_free_) || !FirstReady(id)) continue;
    if (seen.insert(c.agent_part).second) wanted.push_back(c.agent_part);
  }
  return wanted;
}

// The lane's first ready task of the consumption.
void Packer::Placed(ClassId id, Lane lane, AgentId agent) {
  ready_.RemoveFirst(id, lane);
  Take(agent, id);
  TakePools(id);
  Charge(lane, classes_[id], agent);
}

std::optional<Packer::Placement> Packer::PlaceOneOn(AgentId id) {
  std::optional<std::pair<ReadyOrder, ClassId>> best;
  for (ClassId candidate : active_) {
    const std::optional<ReadyOrder> first = FirstReady(candidate);
    if (!first || (best && best->first < *first)) continue;
    if (MayHavePools(*first, candidate) && WhyNoRoom(id, *first, candidate) == Refusal::kNone) {
      best = {*first, candidate};
    }
  }
  if (!best) return std::nullopt;
  const auto [first, consumption] = *best;
  Placed(consumption, ready_.LaneOf(first.task.graph()), id);
  return Placement{first.task, consumption, id, false};
}

void Packer::PlanDirect(std::vector<Placement>* placements) {
  ++plan_;
  heads_.Clear();
  size_t kept = 0;
  for (ClassId id : active_) {
    Class& c = classes_[id];
    c.active = !ready_.empty(id);
    if (!c.active) continue;
    active_[kept++] = id;
    if (c.fresh || MayFitOnFreed(c)) AddHeads(id);
  }
  active_.resize(kept);
  while (std::optional<HeadQueue::Head> head = heads_.Pop(shares_)) {
    Class& c = classes_[head->consumption];
    if (IsOverCap(head->lane, head->consumption) || !MayHavePools(head->order, head->consumption)) {
      // It did not try the agents freed now, so next time it must try all; that also sees to it
      // that it is tried when units are given back, or less is held under the cap.
      c.fresh = true;
      continue;
    }
    if (c.nowhere == plan_) continue;
    const std::optional<AgentId> agent = FindAgent(head->order, head->consumption);
    if (!agent) continue;
    placements->push_back({head->order.task, head->consumption, *agent, false});
    Placed(head->consumption, head->lane, *agent);
    PushHead(head->consumption, head->lane);
  }
}

// Whether a consumption that fits on no other agent may fit on one of which more is free now. What
// is only kept for others is room all the same.
bool Packer::MayFitOnFreed(const Class& c) const {
  return freed_.size() > kManyFreed || std::any_of(freed_.begin(), freed_.end(), [&](AgentId id) {
           return agents_[id].has_place() && c.agent_part.FitsIn(agents_[id].free);
         });
}

void Packer::AddHeads(ClassId id) {
  ready_.ForEachLane(shares_, id, [&](Lane lane, const ReadyOrder& first) {
    heads_.Push({first, id, lane});
  });
}

void Packer::PushHead(ClassId id, Lane lane) {
  if (ready_.Has(id, lane)) heads_.Push({ready_.First(shares_, id, lane), id, lane});
}

void Packer::PlanBacklog(std::vector<Placement>* placements) {
  heads_.Clear();
  for (ClassId id : active_) {
    const Class& c = classes_[id];
    // Units of a pool are not held by what has not begun, so nothing that needs them goes ahead.
    if (c.is_short && c.pool_part.empty() && !ready_.empty(id)) AddHeads(id);
  }
  while (!with_backlog_room_.empty()) {
    const std::optional<HeadQueue::Head> head = heads_.Pop(shares_);
    if (!head) return;
    if (IsOverCap(head->lane, head->consumption)) continue;
    const Class& c = classes_[head->consumption];
    auto agent =
        std::find_if(with_backlog_room_.begin(), with_backlog_room_.end(), [&](AgentId candidate) {
          const Agent& a = agents_[candidate];
          // What it begins by itself could take what is kept for another.
          const bool for_others = a.reserved && OrderOf(reservations_.at(candidate)) < head->order;
          return a.usable && !for_others && IsEligible(candidate, head->consumption) &&
                 !IsSpreadFull(candidate, head->consumption) && c.agent_part.FitsIn(a.capacity) &&
                 c.expected_us <= a.drain_us;
        });
    if (agent == with_backlog_room_.end()) continue;
    const AgentId chosen = *agent;
    placements->push_back({head->order.task, head->consumption, chosen, true});
    ready_.RemoveFirst(head->consumption, head->lane);
    Charge(head->lane, c, chosen);
    SetBacklogRoom(chosen, agents_[chosen].backlog_room - 1);
    PushHead(head->consumption, head->lane);
  }
}

}  // namespace kartograph::planner
