#include "planner/packer.h"

#include <algorithm>
#include <cstdlib>
#include <limits>

#include "absl/container/flat_hash_set.h"

namespace kartograph::planner {
namespace {

// Enough candidates to choose well among agents of different shape, few enough to stay cheap on ten
// thousand.
constexpr int kCandidates = 8;
// With more freed agents than this the index over all is quicker than trying each.
constexpr size_t kFewFreed = 32;

// std heaps have their largest on top; we want the first.
bool LaterHead(const std::pair<ReadyOrder, Packer::ClassId>& a,
               const std::pair<ReadyOrder, Packer::ClassId>& b) {
  return b.first < a.first;
}

}  // namespace

Packer::Packer(ResourceVector pools) : pools_(pools), pool_free_(std::move(pools)) {}

Packer::ClassId Packer::Intern(const ResourceVector& consumption) {
  auto [it, is_new] = class_ids_.emplace(consumption, 0);
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
  for (const ResourceVector::Entry& entry : consumption) {
    // A pool of capacity zero is not in the vector, and so is not a pool: see the configuration.
    const bool is_pool = !pools_.Get(entry.resource).is_zero();
    (is_pool ? added.pool_part : added.agent_part).Set(entry.resource, entry.quantity);
  }
  return it->second;
}

void Packer::RemoveClass(ClassId id) {
  Class& c = classes_[id];
  if (!c.interned || !ready_.empty(id)) std::abort();
  class_ids_.erase(c.whole);
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
  total_capacity_ -= agents_[id].capacity;
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
  total_capacity_ -= agents_[id].capacity;
  total_capacity_ += capacity;
  agents_[id].capacity = std::move(capacity);
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

void Packer::SetPoolCapacity(Resource pool, Quantity capacity) {
  const Quantity before = pools_.Get(pool);
  if (before.is_zero() || capacity.is_zero()) std::abort();
  pools_.Set(pool, capacity);
  pool_free_.Set(pool, pool_free_.Get(pool) + (capacity - before));
  pools_freed_ = pools_freed_ || capacity > before;
}

void Packer::GivePools(ClassId consumption) {
  const ResourceVector& part = classes_[consumption].pool_part;
  if (part.empty()) return;
  pool_free_ += part;
  pools_freed_ = true;
}

void Packer::AddReady(ClassId consumption, const ReadyKey& key) {
  Class& c = classes_[consumption];
  if (ready_.empty(consumption)) c.fresh = true;
  if (!c.active) {
    c.active = true;
    active_.push_back(consumption);
  }
  ready_.Add(consumption, key);
}

double Packer::Leftover(const ResourceVector& need, const Agent& agent) const {
  double leftover = 0;
  for (const ResourceVector::Entry& entry : need) {
    leftover += static_cast<double>((agent.free.Get(entry.resource) - entry.quantity).milli()) /
                static_cast<double>(std::max<int64_t>(scale_.Get(entry.resource).milli(), 1));
  }
  return leftover;
}

void Packer::SetExpected(ClassId id, int64_t most_us, int64_t mostly_us) {
  Class& c = classes_[id];
  if (most_us < c.expected_us || mostly_us < c.mostly_us) c.fresh = true;
  c.expected_us = most_us;
  c.mostly_us = mostly_us;
}

void Packer::SetTimeUntilDrain(AgentId id, int64_t microseconds) {
  Agent& agent = agents_[id];
  // More may fit into a longer time, as into more resources.
  if (microseconds > agent.drain_us) MarkFreed(id);
  agent.drain_us = microseconds;
}

template <typename Accepts>
std::optional<Packer::AgentId> Packer::BestFitWhere(const ResourceVector& need,
                                                    Accepts accepts) const {
  std::optional<AgentId> best;
  double best_leftover = std::numeric_limits<double>::infinity();
  int candidates = 0;
  const Quantity cpu = need.Get(Resource::Cpu());
  const Quantity from =
      cpu.is_zero() ? Quantity::FromMilli(std::numeric_limits<int64_t>::min()) : cpu;
  for (auto it = by_free_cpu_.lower_bound({from, 0}); it != by_free_cpu_.end(); ++it) {
    const Agent& agent = agents_[it->second];
    if (!need.FitsIn(agent.free) || !accepts(it->second)) continue;
    const double leftover = Leftover(need, agent);
    if (!best || leftover < best_leftover) {
      best = it->second;
      best_leftover = leftover;
    }
    if (++candidates == kCandidates) break;
  }
  return best;
}

std::optional<Packer::AgentId> Packer::BestFit(const ResourceVector& need,
                                               int64_t expected_us) const {
  return BestFitWhere(need, [&](AgentId id) { return expected_us <= agents_[id].drain_us; });
}

std::optional<Packer::AgentId> Packer::FindAgent(const ReadyOrder& task, ClassId id) {
  Class& c = classes_[id];
  if (c.fresh || freed_.size() > kFewFreed) {
    const std::optional<AgentId> agent =
        BestFitWhere(c.agent_part, [&](AgentId candidate) { return MayHave(candidate, task, id); });
    c.fresh = agent.has_value();
    return agent;
  }
  std::optional<AgentId> best;
  double best_leftover = std::numeric_limits<double>::infinity();
  for (AgentId candidate : freed_) {
    const Agent& agent = agents_[candidate];
    if (!agent.has_place() || !c.agent_part.FitsIn(agent.free)) continue;
    if (!MayHave(candidate, task, id)) continue;
    const double leftover = Leftover(c.agent_part, agent);
    if (!best || leftover < best_leftover || (leftover == best_leftover && candidate < *best)) {
      best = candidate;
      best_leftover = leftover;
    }
  }
  return best;
}

// --- reservations ---

void Packer::ReserveAgent(AgentId id, const ReadyOrder& task, ClassId consumption,
                          int64_t within_us) {
  auto [it, is_new] = reservations_.try_emplace(id);
  // What was kept off it may fit into a longer time, or behind another task.
  if (!is_new && (within_us > it->second.within_us || task != it->second.task)) MarkFreed(id);
  it->second = {task, consumption, within_us};
  agents_[id].reserved = true;
}

void Packer::ReleaseAgent(AgentId id) {
  if (reservations_.erase(id) == 0) return;
  agents_[id].reserved = false;
  MarkFreed(id);
}

void Packer::ReservePools(const ReadyOrder& task, ClassId consumption, int64_t within_us) {
  if (pool_reservation_ &&
      (within_us > pool_reservation_->within_us || task != pool_reservation_->task)) {
    pools_freed_ = true;
  }
  pool_reservation_ = {task, consumption, within_us};
}

void Packer::ReleasePools() {
  if (!pool_reservation_) return;
  pool_reservation_.reset();
  pools_freed_ = true;
}

bool Packer::Respects(const Reservation& reservation, const ResourceVector& kept,
                      const ResourceVector& free, const ReadyOrder& task, ClassId id,
                      const ResourceVector& need) const {
  if (task <= reservation.task || id == reservation.consumption) return true;
  const int64_t mostly_us = classes_[id].mostly_us;
  if (mostly_us > 0 && mostly_us <= reservation.within_us) return true;
  return std::all_of(need.begin(), need.end(), [&](const ResourceVector::Entry& entry) {
    const Quantity for_it = kept.Get(entry.resource);
    return for_it.is_zero() || free.Get(entry.resource) - entry.quantity >= for_it;
  });
}

bool Packer::MayHave(AgentId id, const ReadyOrder& task, ClassId consumption) const {
  const Agent& agent = agents_[id];
  const Class& c = classes_[consumption];
  if (c.expected_us > agent.drain_us) return false;
  if (!agent.reserved) return true;
  const Reservation& reservation = reservations_.at(id);
  return Respects(reservation, classes_[reservation.consumption].agent_part, agent.free, task,
                  consumption, c.agent_part);
}

bool Packer::MayHavePools(const ReadyOrder& task, ClassId consumption) const {
  const ResourceVector& part = classes_[consumption].pool_part;
  if (!part.FitsIn(pool_free_)) return false;
  return !pool_reservation_ ||
         Respects(*pool_reservation_, classes_[pool_reservation_->consumption].pool_part,
                  pool_free_, task, consumption, part);
}

void Packer::Plan(std::vector<Placement>* placements) {
  PlanDirect(placements);
  if (!with_backlog_room_.empty()) PlanBacklog(placements);
  for (AgentId id : freed_) agents_[id].freed = false;
  freed_.clear();
  pools_freed_ = false;
}

bool Packer::AnythingWanted() const {
  return std::any_of(active_.begin(), active_.end(), [&](ClassId id) {
    const Class& c = classes_[id];
    return !ready_.empty(id) && c.pool_part.FitsIn(pool_free_);
  });
}

std::vector<ResourceVector> Packer::Wanted() const {
  std::vector<ResourceVector> wanted;
  absl::flat_hash_set<ResourceVector> seen;
  for (ClassId id : active_) {
    const Class& c = classes_[id];
    if (ready_.empty(id) || !c.pool_part.FitsIn(pool_free_)) continue;
    if (seen.insert(c.agent_part).second) wanted.push_back(c.agent_part);
  }
  return wanted;
}

// The first ready task of the consumption.
void Packer::Placed(ClassId id, AgentId agent) {
  ready_.RemoveFirst(id);
  Take(agent, id);
  TakePools(id);
}

std::optional<Packer::Placement> Packer::PlaceOneOn(AgentId id) {
  const Agent& agent = agents_[id];
  if (agent.slots <= 0) return std::nullopt;
  std::optional<std::pair<ReadyOrder, ClassId>> best;
  for (ClassId candidate : active_) {
    const Class& c = classes_[candidate];
    if (ready_.empty(candidate) || !c.agent_part.FitsIn(agent.free)) continue;
    const ReadyOrder first = ready_.First(candidate);
    if (best && best->first < first) continue;
    if (MayHavePools(first, candidate) && MayHave(id, first, candidate)) best = {first, candidate};
  }
  if (!best) return std::nullopt;
  const auto [first, consumption] = *best;
  Placed(consumption, id);
  return Placement{first.task, consumption, id, false};
}

void Packer::PlanDirect(std::vector<Placement>* placements) {
  const bool anything_freed = pools_freed_ || !freed_.empty();
  heads_.clear();
  size_t kept = 0;
  for (ClassId id : active_) {
    Class& c = classes_[id];
    c.active = !ready_.empty(id);
    if (!c.active) continue;
    active_[kept++] = id;
    if (c.fresh || anything_freed) heads_.emplace_back(ready_.First(id), id);
  }
  active_.resize(kept);
  std::make_heap(heads_.begin(), heads_.end(), LaterHead);
  while (!heads_.empty()) {
    std::pop_heap(heads_.begin(), heads_.end(), LaterHead);
    const auto [first, id] = heads_.back();
    heads_.pop_back();
    if (!MayHavePools(first, id)) {
      // It did not try the agents freed now, so next time it must try all.
      classes_[id].fresh = true;
      continue;
    }
    const std::optional<AgentId> agent = FindAgent(first, id);
    if (!agent) continue;
    placements->push_back({first.task, id, *agent, false});
    Placed(id, *agent);
    PushHead(id);
  }
}

void Packer::PushHead(ClassId id) {
  if (ready_.empty(id)) return;
  heads_.emplace_back(ready_.First(id), id);
  std::push_heap(heads_.begin(), heads_.end(), LaterHead);
}

void Packer::PlanBacklog(std::vector<Placement>* placements) {
  heads_.clear();
  for (ClassId id : active_) {
    const Class& c = classes_[id];
    // Units of a pool are not held by what has not begun, so nothing that needs them goes ahead.
    if (c.is_short && c.pool_part.empty() && !ready_.empty(id)) {
      heads_.emplace_back(ready_.First(id), id);
    }
  }
  std::make_heap(heads_.begin(), heads_.end(), LaterHead);
  while (!heads_.empty() && !with_backlog_room_.empty()) {
    std::pop_heap(heads_.begin(), heads_.end(), LaterHead);
    const auto [first, id] = heads_.back();
    heads_.pop_back();
    const Class& c = classes_[id];
    auto agent = std::find_if(with_backlog_room_.begin(), with_backlog_room_.end(),
                              [&, first = first, id = id](AgentId candidate) {
                                const Agent& a = agents_[candidate];
                                // What it begins by itself could take what is kept for another.
                                const bool for_others =
                                    a.reserved && reservations_.at(candidate).task < first;
                                return a.usable && !for_others && c.agent_part.FitsIn(a.capacity) &&
                                       c.expected_us <= a.drain_us;
                              });
    if (agent == with_backlog_room_.end()) continue;
    const AgentId chosen = *agent;
    placements->push_back({first.task, id, chosen, true});
    ready_.RemoveFirst(id);
    SetBacklogRoom(chosen, agents_[chosen].backlog_room - 1);
    PushHead(id);
  }
}

}  // namespace kartograph::planner
