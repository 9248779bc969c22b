#include "scheduler/placement_explainer.h"

#include <algorithm>
#include <array>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::scheduler {

using planner::AttemptId;
using planner::Packer;
using planner::Quantity;
using planner::ReadyOrder;
using planner::Resource;
using planner::ResourceVector;
using planner::TaskIndex;
using planner::TaskKey;

namespace {

// What a forecast looks at, at most: it runs on the scheduler's thread.
constexpr size_t kForecastAgents = 128;
constexpr size_t kForecastRunning = 4096;
constexpr size_t kForecastQueue = 256;
constexpr int64_t kForecastChecks = 200000;

AgentObstacle ToObstacle(Packer::Refusal refusal) {
  switch (refusal) {
    case Packer::Refusal::kNone:
      return AgentObstacle::kNone;
    case Packer::Refusal::kNotUsable:
      return AgentObstacle::kNotOffered;
    case Packer::Refusal::kNotEligible:
      return AgentObstacle::kConstraint;
    case Packer::Refusal::kNoSlot:
      return AgentObstacle::kNoSlot;
    case Packer::Refusal::kSpread:
      return AgentObstacle::kSpread;
    case Packer::Refusal::kLacks:
      return AgentObstacle::kLacks;
    case Packer::Refusal::kLeaves:
      return AgentObstacle::kLeaves;
    case Packer::Refusal::kKept:
      return AgentObstacle::kKept;
  }
  return AgentObstacle::kNone;
}

// The obstacles that go away by themselves when what runs there ends.
bool PassesWithTime(AgentObstacle obstacle) {
  return obstacle == AgentObstacle::kNotOffered || obstacle == AgentObstacle::kNoSlot ||
         obstacle == AgentObstacle::kLacks || obstacle == AgentObstacle::kKept ||
         obstacle == AgentObstacle::kBusy || obstacle == AgentObstacle::kSpread ||
         obstacle == AgentObstacle::kNone;
}

GoesFirstBy WhyFirst(const ReadyOrder& first, const ReadyOrder& later) {
  if (first.share != later.share) return GoesFirstBy::kShare;
  if (first.priority != later.priority) return GoesFirstBy::kPriority;
  if (first.task.graph() != later.task.graph()) return GoesFirstBy::kGraph;
  return first.rank != later.rank ? GoesFirstBy::kPath : GoesFirstBy::kAge;
}

// Those that hold the most first, at most so many; counts them all.
class HolderList {
 public:
  explicit HolderList(size_t most) : most_(most) {}
  void Add(AttemptId id, const Attempt& attempt, Quantity quantity) {
    ++count_;
    found_.push_back({quantity, attempt.launch_time, id});
    if (found_.size() >= 2 * most_ + 1) Cut();
  }
  template <typename Make>
  Holders Take(Make make) {
    Cut();
    Holders holders;
    holders.count = count_;
    for (const Found& found : found_) holders.first.push_back(make(found.id, found.quantity));
    return holders;
  }

 private:
  struct Found {
    Quantity quantity;
    absl::Time since;
    AttemptId id;
    bool operator<(const Found& other) const {
      if (quantity != other.quantity) return quantity > other.quantity;
      return since != other.since ? since < other.since : id < other.id;
    }
  };
  void Cut() {
    std::sort(found_.begin(), found_.end());
    if (found_.size() > most_) found_.resize(most_, Found{});
  }
  const size_t most_;
  int64_t count_ = 0;
  std::vector<Found> found_;
};

}  // namespace

NamedTask PlacementExplainer::Named(TaskKey task) const {
  const LiveGraph* graph = parts_.graphs->Find(task.graph());
  return {task, graph == nullptr ? "" : std::string(graph->task_name(task.index()))};
}

std::optional<absl::Duration> PlacementExplainer::Remaining(const Attempt& attempt,
                                                            const Instant& now) const {
  if (attempt.unreachable() != nullptr ||
      !parts_.consumptions->LearntWallTime(attempt.consumption)) {
    return std::nullopt;
  }
  return parts_.reservations->Remaining(attempt, now);
}

PlacementExplainer::Wish PlacementExplainer::WishOf(const LiveGraph& graph, TaskIndex index) const {
  const LiveTask& task = graph.tasks[index];
  Wish wish{parts_.packer->OrderOf(graph.ready_key(index)), task.consumption};
  if (task.suspect()) {
    wish.way = Way::kAlone;
  } else if (task.relocated) {
    wish.way = Way::kRelocated;
    wish.avoided = parts_.graphs->avoided_agent(graph.key(index));
  }
  return wish;
}

std::vector<Reason> PlacementExplainer::Obstacles(const Wish& wish, const Situation& situation,
                                                  const Instant& now) const {
  std::vector<Reason> obstacles;
  if (auto why = WhyAtLimit(wish)) obstacles.push_back(*std::move(why));
  if (auto why = WhyNoPools(wish, now)) obstacles.push_back(*std::move(why));
  if (auto why = WhyNoAgent(wish, situation, now)) obstacles.push_back(*std::move(why));
  return obstacles;
}

std::optional<Reason> PlacementExplainer::WhyAtLimit(const Wish& wish) const {
  const Packer& packer = *parts_.packer;
  const planner::GraphId graph = wish.order.task.graph();
  const auto over = packer.WhyOverCap(graph, wish.consumption);
  if (!over) return std::nullopt;
  return AtLimit{over->of_graph,
                 over->of_graph ? "" : packer.shares().name(packer.AccountOf(graph)), over->at};
}

// --- pools ---

std::optional<Reason> PlacementExplainer::WhyNoPools(const Wish& wish, const Instant& now) const {
  const Packer& packer = *parts_.packer;
  const ResourceVector& part = packer.pool_part(wish.consumption);
  for (const ResourceVector::Entry& entry : part) {
    const Quantity capacity = packer.pools().Get(entry.resource);
    if (entry.quantity > capacity) {
      return NeverFits{true, {entry}, entry.resource, capacity};
    }
  }
  for (const ResourceVector::Entry& entry : part) {
    const Quantity free = packer.pool_free().Get(entry.resource);
    if (entry.quantity <= free) continue;
    return PoolShort{entry.resource, entry.quantity, packer.pools().Get(entry.resource), free,
                     HoldersOf(entry.resource, Explanation::kMostNamed, now)};
  }
  // What is launched apart goes before what is packed, and asks for no more than free units.
  if (wish.way != Way::kPacked || packer.MayHavePools(wish.order, wish.consumption)) {
    return std::nullopt;
  }
  const std::optional<Resource> pool = packer.KeptPool(wish.consumption);
  const auto& kept = parts_.reservations->pools();
  if (!pool || !kept) return std::nullopt;
  return PoolKept{*pool, part.Get(*pool), packer.pools().Get(*pool), packer.pool_free().Get(*pool),
                  Named(kept->task.task)};
}

Holder PlacementExplainer::HolderOf(AttemptId id, Quantity quantity, const Instant& now) const {
  const Attempt& attempt = parts_.attempts->At(id);
  return {Named(id.task()), id.number(),         (*parts_.agents)[attempt.agent].name,
          quantity,         attempt.launch_time, Remaining(attempt, now)};
}

Holders PlacementExplainer::HoldersOf(Resource pool, size_t most, const Instant& now) const {
  HolderList list(most);
  parts_.attempts->ForEachPoolHolder([&](AttemptId id, const Attempt& attempt) {
    const Quantity units = parts_.packer->pool_part(attempt.consumption).Get(pool);
    if (!units.is_zero()) list.Add(id, attempt, units);
  });
  return list.Take([&](AttemptId id, Quantity quantity) { return HolderOf(id, quantity, now); });
}

// --- agents ---

AgentObstacle PlacementExplainer::WhyNotOn(AgentTable::Index index, const Wish& wish, bool others,
                                           SteadyTime now) const {
  const Agent& agent = (*parts_.agents)[index];
  if (!agent.connected) return AgentObstacle::kAway;
  if (!parts_.packer->IsEligible(index, wish.consumption)) return AgentObstacle::kConstraint;
  if (!parts_.packer->agent_part(wish.consumption).FitsIn(agent.capacity)) {
    return AgentObstacle::kTooSmall;
  }
  if (!agent.closed.empty()) return AgentObstacle::kClosed;
  AgentObstacle obstacle = AgentObstacle::kNone;
  switch (wish.way) {
    case Way::kAlone:
      obstacle = parts_.isolation->WhyNotOn(index, wish.consumption, now);
      break;
    case Way::kRelocated:
      obstacle = parts_.relocation->WhyNotOn(index, wish.consumption, wish.avoided, others, now);
      break;
    case Way::kPacked:
      obstacle = AgentTable::WhyNotUsable(agent);
      if (obstacle == AgentObstacle::kNone || parts_.attempts->MayTry(index)) {
        obstacle = ToObstacle(parts_.packer->WhyNoRoom(index, wish.order, wish.consumption));
      }
  }
  if (obstacle != AgentObstacle::kNotOffered) return obstacle;
  // It was of no use when it was offered, or would be.
  if (agent.failures > 0) return AgentObstacle::kFailing;
  if (agent.reserved) return AgentObstacle::kAlone;
  if (wish.way == Way::kRelocated && others && agent.id == wish.avoided) {
    return AgentObstacle::kAvoided;
  }
  if (agent.holding >= parts_.agents->slots_per_agent()) return AgentObstacle::kNoSlot;
  if (parts_.packer->IsSpreadFull(index, wish.consumption)) return AgentObstacle::kSpread;
  return agent.leaves - now < parts_.consumptions->ExpectedWallTime(wish.consumption)
             ? AgentObstacle::kLeaves
             : AgentObstacle::kNotOffered;
}

std::optional<Reason> PlacementExplainer::NeverOnAgents(const ResourceVector& need) const {
  const AgentTable& agents = *parts_.agents;
  if (agents.EverFits(need)) return std::nullopt;
  for (const ResourceVector::Entry& entry : need) {
    const Quantity largest = agents.largest_seen().Get(entry.resource);
    if (entry.quantity > largest) return NeverFits{false, need, entry.resource, largest};
  }
  return NeverFits{false, need, std::nullopt, Quantity()};
}

std::optional<Reason> PlacementExplainer::WhyNoAgent(const Wish& wish, const Situation& situation,
                                                     const Instant& now) const {
  const AgentTable& agents = *parts_.agents;
  const ResourceVector& need = parts_.packer->agent_part(wish.consumption);
  if (!situation.connected) return ClusterAway{*situation.disconnect_reason};
  if (!agents.anybody_seen()) return NothingOffered{};
  if (auto never = NeverOnAgents(need)) return never;
  const bool others =
      wish.way == Way::kRelocated && parts_.relocation->HasOthers(wish.consumption, wish.avoided);
  std::vector<AgentObstacle> obstacles;  // by index
  std::array<int64_t, kAgentObstacles> counts{};
  agents.ForEach([&](AgentTable::Index index, const Agent&) {
    const AgentObstacle obstacle = WhyNotOn(index, wish, others, now.steady);
    obstacles.resize(index + 1, AgentObstacle::kAway);
    obstacles[index] = obstacle;
    ++counts[static_cast<size_t>(obstacle)];
  });
  if (counts[static_cast<size_t>(AgentObstacle::kNone)] > 0) return std::nullopt;
  NoAgent why;
  why.need = need;
  why.leases = agents.leases();
  for (size_t i = 0; i < counts.size(); ++i) {
    if (counts[i] > 0) why.agents.emplace_back(static_cast<AgentObstacle>(i), counts[i]);
  }
  const auto by_count = [](const auto& a, const auto& b) { return a.second > b.second; };
  std::stable_sort(why.agents.begin(), why.agents.end(), by_count);
  why.constraints = CountRuledOut(wish.consumption);
  std::stable_sort(why.constraints.begin(), why.constraints.end(), by_count);
  if (const auto best = BestAgent(wish, obstacles, now)) {
    why.best = Describe(*best, obstacles[*best], wish, now);
  }
  return why;
}

std::vector<std::pair<std::string, int64_t>> PlacementExplainer::CountRuledOut(
    Packer::ClassId consumption) const {
  std::vector<std::pair<std::string, int64_t>> counts;
  for (const planner::Constraint& constraint : parts_.packer->constraints(consumption).all()) {
    const size_t place = counts.size();
    counts.emplace_back(constraint.ToString(), 0);
    parts_.agents->ForEach([&](AgentTable::Index index, const Agent& agent) {
      if (agent.connected && !parts_.packer->Meets(index, consumption, place)) {
        ++counts.back().second;
      }
    });
  }
  return counts;
}

// Where it is expected to fit first; where it is expected nowhere, the one of which there is most
// to say.
std::optional<AgentTable::Index> PlacementExplainer::BestAgent(
    const Wish& wish, const std::vector<AgentObstacle>& obstacles, const Instant& now) const {
  if (wish.way == Way::kPacked) {
    const auto& reserved = parts_.reservations->agents();
    if (auto it = reserved.find(wish.consumption); it != reserved.end()) return it->second.agent;
  }
  const auto soonest = parts_.reservations->Soonest(
      wish.consumption, [&](AgentTable::Index index) { return PassesWithTime(obstacles[index]); },
      now);
  if (soonest) return soonest;
  static constexpr AgentObstacle kTelling[] = {
      AgentObstacle::kLacks,     AgentObstacle::kNoSlot,  AgentObstacle::kSpread,
      AgentObstacle::kKept,      AgentObstacle::kBusy,    AgentObstacle::kNotOffered,
      AgentObstacle::kFailing,   AgentObstacle::kLeaves,  AgentObstacle::kAlone,
      AgentObstacle::kClosed,    AgentObstacle::kAvoided, AgentObstacle::kTooSmall,
      AgentObstacle::kConstraint};
  for (const AgentObstacle obstacle : kTelling) {
    std::optional<AgentTable::Index> found;
    parts_.agents->ForEach([&](AgentTable::Index index, const Agent&) {
      if (!found && obstacles[index] == obstacle) found = index;
    });
    if (found) return found;
  }
  return std::nullopt;
}

NoAgent::Agent PlacementExplainer::Describe(AgentTable::Index index, AgentObstacle obstacle,
                                            const Wish& wish, const Instant& now) const {
  const Agent& agent = (*parts_.agents)[index];
  NoAgent::Agent best;
  best.name = agent.name;
  best.obstacle = obstacle;
  switch (obstacle) {
    case AgentObstacle::kLacks: {
      const ResourceVector& free = parts_.packer->free(index);
      for (const ResourceVector::Entry& entry : parts_.packer->agent_part(wish.consumption)) {
        const Quantity has = free.Get(entry.resource);
        if (entry.quantity <= has) continue;
        best.shortages.push_back(
            {entry.resource, entry.quantity, has, agent.capacity.Get(entry.resource)});
      }
      std::stable_sort(best.shortages.begin(), best.shortages.end(),
                       [](const auto& a, const auto& b) {
                         return (a.need - a.free).units() / a.need.units() >
                                (b.need - b.free).units() / b.need.units();
                       });
      if (!best.shortages.empty()) {
        best.holders = HoldersOn(agent, best.shortages.front().resource, now);
      }
      break;
    }
    case AgentObstacle::kNotOffered:
    case AgentObstacle::kBusy:
      best.holders = HoldersOn(agent, std::nullopt, now);
      break;
    case AgentObstacle::kNoSlot:
      best.slots = parts_.agents->slots_per_agent();
      best.holders = HoldersOn(agent, std::nullopt, now);
      break;
    case AgentObstacle::kSpread:
      best.spread = parts_.packer->terms(wish.consumption).spread;
      best.holders = GroupOn(agent, wish.consumption, now);
      break;
    case AgentObstacle::kFailing:
      best.failure = agent.failure;
      best.suspected = agent.suspected;
      if (agent.set_aside_until) best.set_aside_until = agent.set_aside_until->wall;
      break;
    case AgentObstacle::kClosed:
      best.failure = agent.closed;
      break;
    case AgentObstacle::kLeaves:
      best.unavailable_from = agent.unavailable_from;
      best.expected = parts_.consumptions->ExpectedWallTime(wish.consumption);
      break;
    case AgentObstacle::kAlone:
      best.kept_for = AloneOn(agent);
      break;
    case AgentObstacle::kKept:
      for (const auto& [consumption, reservation] : parts_.reservations->agents()) {
        if (reservation.agent == index) best.kept_for = Named(reservation.task.task);
      }
      break;
    default:
      break;
  }
  return best;
}

std::optional<NamedTask> PlacementExplainer::AloneOn(const Agent& agent) const {
  for (const AttemptId id : agent.attempts) {
    if (parts_.attempts->At(id).alone) return Named(id.task());
  }
  return std::nullopt;
}

Holders PlacementExplainer::HoldersOn(const Agent& agent, std::optional<Resource> resource,
                                      const Instant& now) const {
  HolderList list(Explanation::kMostNamed);
  for (const AttemptId id : agent.attempts) {
    const Attempt& attempt = parts_.attempts->At(id);
    if (attempt.in_backlog()) continue;
    const Quantity quantity =
        resource ? parts_.packer->agent_part(attempt.consumption).Get(*resource) : Quantity();
    if (!resource || !quantity.is_zero()) list.Add(id, attempt, quantity);
  }
  return list.Take([&](AttemptId id, Quantity quantity) { return HolderOf(id, quantity, now); });
}

// Those of its group that are there.
Holders PlacementExplainer::GroupOn(const Agent& agent, Packer::ClassId consumption,
                                    const Instant& now) const {
  HolderList list(Explanation::kMostNamed);
  for (const AttemptId id : agent.attempts) {
    const Attempt& attempt = parts_.attempts->At(id);
    if (parts_.packer->HaveSameGroup(attempt.consumption, consumption)) {
      list.Add(id, attempt, Quantity());
    }
  }
  return list.Take([&](AttemptId id, Quantity quantity) { return HolderOf(id, quantity, now); });
}

// --- what goes first ---

bool PlacementExplainer::Competes(Packer::ClassId consumption, Packer::ClassId wished,
                                  const std::vector<Reason>& obstacles) const {
  const Packer& packer = *parts_.packer;
  const ResourceVector& pools = packer.pool_part(consumption);
  const ResourceVector& agents = packer.agent_part(consumption);
  // What can never run takes nothing.
  if (!pools.FitsIn(packer.pools())) return false;
  if (parts_.agents->anybody_seen() && !agents.FitsIn(parts_.agents->largest_seen())) return false;
  if (obstacles.empty()) return true;
  if (!packer.HaveCommonAgent(consumption, wished)) return false;
  if (const auto* pool = std::get_if<PoolShort>(&obstacles.front())) {
    return !pools.Get(pool->pool).is_zero();
  }
  if (const auto* pool = std::get_if<PoolKept>(&obstacles.front())) {
    return !pools.Get(pool->pool).is_zero();
  }
  const auto* agent = std::get_if<NoAgent>(&obstacles.front());
  // Nobody goes first where all wait for the cluster.
  if (agent == nullptr) return false;
  // What waits for a pool lets others have the agent.
  const std::optional<planner::ReadyOrder> first = packer.FirstReady(consumption);
  if (!first || !packer.MayHavePools(*first, consumption)) return false;
  if (!agent->best || agent->best->shortages.empty()) return true;
  const auto& shortages = agent->best->shortages;
  return std::any_of(shortages.begin(), shortages.end(), [&](const NoAgent::Shortage& shortage) {
    return !agents.Get(shortage.resource).is_zero();
  });
}

bool PlacementExplainer::IsRival(Packer::ClassId consumption, planner::Lane lane, const Wish& wish,
                                 const std::vector<Reason>& obstacles) const {
  const Packer& packer = *parts_.packer;
  if (!obstacles.empty()) {
    if (const auto* limit = std::get_if<AtLimit>(&obstacles.front())) {
      const planner::Lane own = packer.LaneOf(wish.order.task.graph());
      return limit->of_graph ? lane == own : lane.account == own.account;
    }
  }
  return !packer.IsOverCap(lane, consumption) &&
         (consumption == wish.consumption || Competes(consumption, wish.consumption, obstacles));
}

Ahead PlacementExplainer::AheadOf(const Wish& wish, const std::vector<Reason>& obstacles) const {
  Ahead ahead;
  // What is launched apart goes before all that is packed.
  if (wish.way != Way::kPacked) return ahead;
  const Packer& packer = *parts_.packer;
  const auto competes = [&](Packer::ClassId id, planner::Lane lane) {
    return IsRival(id, lane, wish, obstacles);
  };
  for (const auto& [order, consumption] :
       packer.FirstBefore(wish.order, Explanation::kMostNamed, competes)) {
    ahead.first.push_back({Named(order.task), WhyFirst(order, wish.order), order.priority,
                           packer.shares().name(packer.AccountOf(order.task.graph()))});
  }
  ahead.count =
      static_cast<int64_t>(packer.CountBefore(wish.order, Explanation::kMostCounted, competes));
  ahead.at_least = ahead.count == static_cast<int64_t>(Explanation::kMostCounted);
  return ahead;
}

// --- when ---

std::string PlacementExplainer::UnknownDuration(const std::vector<Reason>& obstacles) const {
  const auto first_unknown = [](const Holders& holders) -> std::string {
    for (const Holder& holder : holders.first) {
      if (holder.remaining) continue;
      return absl::StrCat("how long \"", holder.task.name, "\" of ",
                          planner::GraphIdToString(holder.task.task.graph()),
                          " goes on is not known: nothing that consumes the same has ended yet");
    }
    return "";
  };
  for (const Reason& reason : obstacles) {
    std::string why;
    if (const auto* pool = std::get_if<PoolShort>(&reason)) why = first_unknown(pool->holders);
    if (const auto* agent = std::get_if<NoAgent>(&reason); agent != nullptr && agent->best) {
      why = first_unknown(agent->best->holders);
    }
    if (!why.empty()) return why;
  }
  return "";
}

planner::Outlook PlacementExplainer::MakeOutlook(const Wish& wish, const Ahead& ahead,
                                                 const std::vector<Reason>& obstacles,
                                                 const Instant& now) const {
  const Packer& packer = *parts_.packer;
  planner::Outlook outlook;
  outlook.pool_free = packer.pool_free();
  absl::flat_hash_map<AgentTable::Index, size_t> places;
  const bool others =
      wish.way == Way::kRelocated && parts_.relocation->HasOthers(wish.consumption, wish.avoided);
  parts_.agents->ForEach([&](AgentTable::Index index, const Agent& agent) {
    if (places.size() >= kForecastAgents) return;
    if (!PassesWithTime(WhyNotOn(index, wish, others, now.steady))) return;
    places[index] = outlook.agents.size();
    outlook.agents.push_back(
        {packer.free(index), parts_.agents->slots_per_agent() - agent.holding});
  });
  const auto add = [&](AttemptId, const Attempt& attempt) {
    if (attempt.in_backlog() || outlook.running.size() >= kForecastRunning) return;
    const std::optional<absl::Duration> remaining = Remaining(attempt, now);
    if (!remaining) return;
    auto place = places.find(attempt.agent);
    outlook.running.push_back({absl::ToInt64Microseconds(*remaining),
                               place == places.end() ? std::nullopt : std::optional(place->second),
                               &packer.agent_part(attempt.consumption),
                               &packer.pool_part(attempt.consumption)});
  };
  for (const auto& [index, place] : places) {
    for (const AttemptId id : (*parts_.agents)[index].attempts) add(id, parts_.attempts->At(id));
  }
  parts_.attempts->ForEachPoolHolder([&](AttemptId id, const Attempt& attempt) {
    if (!places.contains(attempt.agent)) add(id, attempt);
  });
  const auto queue = [&](Packer::ClassId consumption) {
    const auto learned = parts_.consumptions->LearntWallTime(consumption);
    outlook.queue.push_back(
        {&packer.agent_part(consumption), &packer.pool_part(consumption),
         learned ? std::optional(absl::ToInt64Microseconds(*learned)) : std::nullopt});
  };
  if (ahead.count > 0) {
    const auto competes = [&](Packer::ClassId id, planner::Lane lane) {
      return IsRival(id, lane, wish, obstacles);
    };
    for (const auto& [order, consumption] :
         packer.FirstBefore(wish.order, kForecastQueue, competes)) {
      queue(consumption);
    }
  }
  queue(wish.consumption);
  return outlook;
}

ExpectedStart PlacementExplainer::Expect(const Wish& wish, const std::vector<Reason>& obstacles,
                                         const Ahead& ahead, const Instant& now) const {
  for (const Reason& reason : obstacles) {
    if (std::holds_alternative<ClusterAway>(reason) ||
        std::holds_alternative<NothingOffered>(reason)) {
      return {std::nullopt, "its cluster is not there"};
    }
    if (std::holds_alternative<AtLimit>(reason)) {
      return {std::nullopt, "it starts when less is in use under that limit"};
    }
    if (std::holds_alternative<NeverFits>(reason)) {
      return {std::nullopt, "it can never start as things are"};
    }
  }
  if (const auto* agent = obstacles.empty() ? nullptr : std::get_if<NoAgent>(&obstacles.back())) {
    if (!agent->best || !PassesWithTime(agent->best->obstacle)) {
      return {std::nullopt, "no agent is expected to have it"};
    }
    if (agent->best->obstacle == AgentObstacle::kNotOffered) {
      return {std::nullopt, "what the cluster offers next is not known"};
    }
    if (agent->best->obstacle == AgentObstacle::kSpread) {
      return {std::nullopt, "it starts when one of its group has ended"};
    }
    if (wish.way == Way::kAlone) {
      return {std::nullopt, "it is launched alone, when an agent has nothing else to run"};
    }
  }
  if (ahead.at_least || ahead.count > static_cast<int64_t>(kForecastQueue)) {
    return {std::nullopt, "too many tasks go first"};
  }
  const std::optional<int64_t> start_us =
      planner::ForecastStart(MakeOutlook(wish, ahead, obstacles, now), kForecastChecks);
  if (start_us) return {absl::Microseconds(*start_us), ""};
  std::string unknown = UnknownDuration(obstacles);
  if (unknown.empty()) {
    unknown = ahead.count > 0 ? "how long what goes first takes is not known"
                              : "how long what is in its way goes on is not known";
  }
  return {std::nullopt, std::move(unknown)};
}

}  // namespace kartograph::scheduler
