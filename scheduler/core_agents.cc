// Agents and their offers: what is there, what of it is used, and what is wanted of the cluster.
#include <algorithm>
#include <iterator>
#include <utility>

#include "scheduler/core.h"

namespace kartograph::scheduler {

using executor::AttemptUpdate;
using planner::AttemptId;
using planner::Outcome;

namespace {

// A cluster answers a revival with all that is free at once, so that nothing idles until it would
// next offer of itself; but that is work for it, however many short tasks end here.
constexpr absl::Duration kReviveInterval = absl::Milliseconds(100);

}  // namespace

Core::AgentIndex Core::AgentOf(const executor::AgentId& id) {
  auto [it, is_new] = agent_index_.emplace(id, static_cast<AgentIndex>(agents_.size()));
  if (is_new) {
    packer_.AddAgent();
    Agent& agent = agents_.emplace_back();
    agent.id = id;
    agent.name = id;
  }
  return it->second;
}

void Core::OnConnected(const Turn& turn) {
  OnDisconnected("");
  connected_ = true;
  leases_ = false;
  demand_ = Demand::kUnknown;
  // In order of ids: a hash map's order is no order.
  std::vector<AttemptId> alive;
  alive.reserve(attempts_.size());
  for (const auto& [id, attempt] : attempts_) alive.push_back(id);
  std::sort(alive.begin(), alive.end());
  for (AttemptId id : alive) {
    const executor::AgentId& agent = agents_[attempts_.at(id).agent].id;
    turn.step.reconcile.push_back({id, agent});
    // A cancel may have been lost with the connection.
    const LiveGraph* graph = FindGraph(id.task().graph());
    const LiveTask& task = graph->tasks[id.task().index()];
    if (task.cancelling) {
      turn.step.cancels.push_back({id, agent, graph->policies[task.policy].cancel_grace});
    }
  }
}

void Core::OnDisconnected(std::string reason) {
  connected_ = false;
  disconnect_reason_ = std::move(reason);
  offering_.clear();
  give_up_.clear();
  while (!leaving_.empty()) StaysForGood(*leaving_.begin());
  for (AgentIndex i = 0; i < agents_.size(); ++i) {
    agents_[i].connected = false;
    agents_[i].offers.clear();
    RefreshAgent(i);
  }
}

namespace {

void RaiseTo(const planner::ResourceVector& least, planner::ResourceVector& most) {
  for (const auto& [resource, quantity] : least) {
    if (quantity > most.Get(resource)) most.Set(resource, quantity);
  }
}

}  // namespace

void Core::OnOffer(executor::Offer offer, const Turn& turn) {
  const AgentIndex index = AgentOf(offer.agent);
  Agent& agent = agents_[index];
  agent.name = offer.agent_name;
  agent.connected = true;
  agent.lease = offer.lease;
  agent.attributes = offer.attributes;
  SetUnavailableFrom(index, offer.unavailable_from, turn.now);
  agent.max_backlog = offer.lease ? offer.backlog : 0;
  agent_seen_ = true;
  if (offer.lease) {
    leases_ = true;
    agent.offers.clear();
    agent.capacity = std::move(offer.resources);
  } else {
    if (agent.offers.empty()) offering_.push_back(index);
    agent.offers.push_back(std::move(offer));
    // Where nobody has told, what the agent has is seen best while nothing is held. Later, what is
    // offered at once is the least it has; what is held does not count with it, as an attempt may
    // have freed it whose end is not known here yet. Only after a restart there is nothing better
    // to go by.
    planner::ResourceVector offered;
    for (const executor::Offer& open : agent.offers) offered += open.resources;
    planner::ResourceVector both = offered;
    both += agent.held;
    if (!agent.capacity_told && (agent.capacity.empty() || agent.attempts == 0)) {
      agent.capacity = both;
    }
    RaiseTo(offered, agent.capacity);
    RaiseTo(offered, agent.most);
    // A graph is not refused for what may be there.
    if (!agent.capacity_told) RaiseTo(both, agent.most);
  }
  if (!agent.capacity_told) RaiseTo(agent.capacity, agent.most);
  RaiseTo(agent.most, largest_seen_);
  RefreshAgent(index);
}

void Core::OnAgentCapacity(executor::AgentCapacity told) {
  const AgentIndex index = AgentOf(told.agent);
  Agent& agent = agents_[index];
  agent.name = std::move(told.agent_name);
  agent.connected = true;
  agent.attributes = std::move(told.attributes);
  agent.capacity_told = true;
  agent.capacity = std::move(told.resources);
  agent.most = std::move(told.for_one_attempt);
  agent_seen_ = true;
  RaiseTo(agent.most, largest_seen_);
  RefreshAgent(index);
}

void Core::OnRescinded(const executor::OfferId& id, const Turn&) {
  for (AgentIndex i : offering_) {
    Agent& agent = agents_[i];
    auto offer = std::find_if(agent.offers.begin(), agent.offers.end(),
                              [&](const executor::Offer& o) { return o.id == id; });
    if (offer == agent.offers.end()) continue;
    agent.offers.erase(offer);
    RefreshAgent(i);
    return;
  }
}

void Core::SetUnavailableFrom(AgentIndex index, absl::Time time, const Instant& now) {
  if (time == absl::InfiniteFuture()) return StaysForGood(index);
  agents_[index].unavailable_from = time;
  agents_[index].leaves = now.steady + (time - now.wall);
  leaving_.insert(index);
}

void Core::StaysForGood(AgentIndex index) {
  agents_[index].unavailable_from = absl::InfiniteFuture();
  agents_[index].leaves = SteadyTime::InfiniteFuture();
  if (leaving_.erase(index) > 0) packer_.SetHorizon(index, planner::Packer::kNoHorizon);
}

// What the packer knows of agents that go: it has no clock. Costs nothing while none does.
void Core::RefreshHorizons(SteadyTime now) {
  planned_ = now;
  if (leaving_.empty()) return;
  for (AgentIndex index : leaving_) {
    packer_.SetHorizon(index, absl::ToInt64Microseconds(
                                  std::max(agents_[index].leaves - now, absl::ZeroDuration())));
  }
  for (planner::Packer::ClassId id = 0; id < packer_.class_count(); ++id) {
    packer_.SetExpected(id, absl::ToInt64Microseconds(ExpectedWallTime(id)));
  }
}

absl::Duration Core::ExpectedWallTime(planner::Packer::ClassId id) const {
  return mean_wall_us_[id] > 0 ? absl::Microseconds(2 * mean_wall_us_[id]) : longest_timeout_[id];
}

// Tells the packer what the agent has.
void Core::RefreshAgent(AgentIndex index) {
  Agent& agent = agents_[index];
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
  // Without an offer there is no room even for what consumes nothing.
  packer_.SetUsable(index, agent.lease || !agent.offers.empty());
  StartBacklog(index);
  UpdateBacklogRoom(index);
}

void Core::OnAgentLost(const executor::AgentId& id, const Turn& turn) {
  auto it = agent_index_.find(id);
  if (it == agent_index_.end()) return;
  const AgentIndex index = it->second;
  agents_[index].connected = false;
  agents_[index].offers.clear();
  StaysForGood(index);
  RefreshAgent(index);
  std::vector<AttemptId> lost;
  for (const auto& [attempt_id, attempt] : attempts_) {
    if (attempt.agent == index) lost.push_back(attempt_id);
  }
  std::sort(lost.begin(), lost.end());
  for (AttemptId attempt_id : lost) {
    AttemptUpdate update;
    update.attempt = attempt_id;
    update.agent = id;
    update.outcome = Outcome::kLost;
    update.message = "its agent was lost";
    update.end_time = turn.now.wall;
    OnAttempt(std::move(update), turn);
  }
}

void Core::OnAgentUnreachable(const executor::AgentId& id) {
  auto it = agent_index_.find(id);
  if (it == agent_index_.end()) return;
  Agent& agent = agents_[it->second];
  agent.connected = false;
  agent.offers.clear();
  RefreshAgent(it->second);
}

void Core::OnHostReport(executor::HostReport report) {
  auto it = agent_index_.find(report.agent);
  if (it == agent_index_.end()) return;  // it has nothing for us
  Agent& agent = agents_[it->second];
  agent.host_before = std::exchange(agent.host, std::move(report));
}

void Core::DeclineOffers(const Turn& turn) {
  for (AgentIndex index : offering_) {
    Agent& agent = agents_[index];
    if (agent.offers.empty()) continue;
    std::move(agent.offers.begin(), agent.offers.end(),
              std::back_inserter(turn.step.declined_offers));
    agent.offers.clear();
    RefreshAgent(index);
  }
  offering_.clear();
}

// Says what is wanted of a cluster that offers, whenever that makes a difference to it.
void Core::TellDemand(const Turn& turn) {
  revive_at_ = SteadyTime::InfiniteFuture();
  if (!connected_ || leases_) return;
  if (!launching_ || !packer_.AnythingWanted()) {
    if (demand_ == Demand::kNothing) return;
    demand_ = Demand::kNothing;
    turn.step.suppress = true;
    return;
  }
  if (demand_ == Demand::kSomething) {
    if (!demand_changed_) return;
    if (turn.now.steady < revived_ + kReviveInterval) {
      revive_at_ = revived_ + kReviveInterval;
      return;
    }
  }
  demand_ = Demand::kSomething;
  demand_changed_ = false;
  revived_ = turn.now.steady;
  turn.step.revive = packer_.Wanted();
}

std::vector<executor::ClusterEvent> Core::AdoptableState() const {
  std::vector<executor::ClusterEvent> events;
  if (!connected_) return {executor::Disconnected{disconnect_reason_}};
  events.emplace_back(executor::Connected{});
  for (const Agent& agent : agents_) {
    if (!agent.connected) continue;
    if (agent.capacity_told) {
      events.emplace_back(executor::AgentCapacity{agent.id, agent.name, agent.capacity, agent.most,
                                                  agent.attributes});
    }
    for (const executor::Offer& offer : agent.offers) events.emplace_back(offer);
    if (!agent.lease) continue;
    executor::Offer offer;
    offer.attributes = agent.attributes;
    offer.unavailable_from = agent.unavailable_from;
    offer.agent = agent.id;
    offer.agent_name = agent.name;
    offer.resources = agent.capacity;
    offer.lease = true;
    offer.backlog = agent.max_backlog;
    events.emplace_back(std::move(offer));
  }
  for (const Agent& agent : agents_) {
    if (agent.host) events.emplace_back(*agent.host);
  }
  return events;
}

}  // namespace kartograph::scheduler
