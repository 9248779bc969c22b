// Agents, offers and attempts: what the cluster tells, and what is launched on it.
#include <algorithm>

#include "scheduler/core.h"

namespace kartograph::scheduler {

using executor::AttemptUpdate;
using planner::AttemptId;
using planner::Outcome;
using planner::TaskState;

namespace {

// An agent's backlog holds about so much work: more than a commit and two messages take on a busy
// machine, less than a person notices.
constexpr double kBacklogUs = 100000;
// Tasks that run longer gain nothing from waiting on the agent.
constexpr double kShortUs = 50000;
constexpr double kLeastUs = 50;  // clocks and schedulers are coarser than some tasks

double Smoothed(double mean, double sample) {
  return mean == 0 ? sample : mean * 0.875 + sample * 0.125;
}

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

void Core::OnClusterEvent(executor::ClusterEvent event, absl::Time now, Step* step) {
  if (auto* update = std::get_if<AttemptUpdate>(&event)) {
    OnAttempt(std::move(*update), now, step);
    return;
  }
  step->cluster_changed = true;
  if (auto* offer = std::get_if<executor::Offer>(&event)) {
    OnOffer(std::move(*offer), step);
  } else if (std::holds_alternative<executor::Connected>(event)) {
    OnConnected(step);
  } else if (std::holds_alternative<executor::Disconnected>(event)) {
    OnDisconnected(step);
  } else if (auto* rescinded = std::get_if<executor::OfferRescinded>(&event)) {
    OnRescinded(rescinded->id, step);
  } else if (auto* lost = std::get_if<executor::AgentLost>(&event)) {
    OnAgentLost(lost->agent, now, step);
  }
}

void Core::OnConnected(Step* step) {
  OnDisconnected(step);
  connected_ = true;
  suppressed_ = false;
  // In order of ids: a hash map's order is no order.
  std::vector<AttemptId> alive;
  alive.reserve(attempts_.size());
  for (const auto& [id, attempt] : attempts_) alive.push_back(id);
  std::sort(alive.begin(), alive.end());
  for (AttemptId id : alive) {
    const executor::AgentId& agent = agents_[attempts_.at(id).agent].id;
    step->reconcile.push_back({id, agent});
    // A cancel may have been lost with the connection.
    const LiveGraph* graph = FindGraph(id.task().graph());
    const LiveTask& task = graph->tasks[id.task().index()];
    if (task.cancelling) {
      step->cancels.push_back({id, agent, graph->policies[task.policy].cancel_grace});
    }
  }
}

void Core::OnDisconnected(Step*) {
  connected_ = false;
  for (AgentIndex i = 0; i < agents_.size(); ++i) {
    agents_[i].connected = false;
    agents_[i].offers.clear();
    RefreshAgent(i);
  }
}

void Core::OnOffer(executor::Offer offer, Step*) {
  const AgentIndex index = AgentOf(offer.agent);
  Agent& agent = agents_[index];
  agent.name = offer.agent_name;
  agent.connected = true;
  agent.lease = offer.lease;
  agent.max_backlog = offer.lease ? offer.backlog : 0;
  agent_seen_ = true;
  if (offer.lease) {
    agent.offers.clear();
    agent.capacity = std::move(offer.resources);
  } else {
    agent.offers.push_back(std::move(offer));
    // What was offered at once is the least that the agent has.
    planner::ResourceVector offered;
    for (const executor::Offer& open : agent.offers) offered += open.resources;
    for (const auto& entry : offered) {
      if (entry.quantity > agent.capacity.Get(entry.resource)) {
        agent.capacity.Set(entry.resource, entry.quantity);
      }
    }
  }
  for (const auto& entry : agent.capacity) {
    if (entry.quantity > largest_seen_.Get(entry.resource)) {
      largest_seen_.Set(entry.resource, entry.quantity);
    }
  }
  RefreshAgent(index);
}

void Core::OnRescinded(const executor::OfferId& id, Step*) {
  for (AgentIndex i = 0; i < agents_.size(); ++i) {
    Agent& agent = agents_[i];
    auto offer = std::find_if(agent.offers.begin(), agent.offers.end(),
                              [&](const executor::Offer& o) { return o.id == id; });
    if (offer == agent.offers.end()) continue;
    agent.offers.erase(offer);
    RefreshAgent(i);
    return;
  }
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
  packer_.SetUsable(index, true);
  StartBacklog(index);
  UpdateBacklogRoom(index);
}

void Core::Hold(Attempt& attempt) {
  Agent& agent = agents_[attempt.agent];
  attempt.holds = true;
  agent.held += packer_.agent_part(attempt.consumption);
  ++agent.holding;
  if (agent.lease) packer_.Take(attempt.agent, attempt.consumption);
}

void Core::Release(AttemptId id, const Attempt& attempt) {
  (void)id;
  Agent& agent = agents_[attempt.agent];
  --agent.attempts;
  if (!attempt.holds) {
    --agent.backlog_size;
    UpdateBacklogRoom(attempt.agent);
    return;
  }
  agent.held -= packer_.agent_part(attempt.consumption);
  --agent.holding;
  if (agent.lease) packer_.Give(attempt.agent, attempt.consumption);
  packer_.GivePools(attempt.consumption);
  StartBacklog(attempt.agent);
  UpdateBacklogRoom(attempt.agent);
}

// Counts as begun what the agent begins by its own rule: in order, each as soon as it fits.
void Core::StartBacklog(AgentIndex index) {
  Agent& agent = agents_[index];
  while (!agent.backlog.empty()) {
    auto it = attempts_.find(agent.backlog.front());
    if (it != attempts_.end() && !it->second.holds) {
      if (!packer_.agent_part(it->second.consumption).FitsIn(packer_.free(index))) return;
      Hold(it->second);
      --agent.backlog_size;
    }
    agent.backlog.pop_front();
  }
}

void Core::UpdateBacklogRoom(AgentIndex index) {
  const Agent& agent = agents_[index];
  int room = 0;
  if (agent.connected && agent.max_backlog > 0 && agent.mean_wall_us > 0 &&
      agent.mean_wall_us < kShortUs) {
    const double depth =
        kBacklogUs / std::max(agent.mean_wall_us, kLeastUs) * std::max(agent.holding, 1);
    room = static_cast<int>(std::min<double>(depth, agent.max_backlog)) - agent.backlog_size;
  }
  packer_.SetBacklogRoom(index, std::max(room, 0));
}

void Core::LearnWallTime(const Attempt& attempt, absl::Duration wall_time) {
  const double us = std::max(absl::ToDoubleMicroseconds(wall_time), kLeastUs);
  double& of_class = mean_wall_us_[attempt.consumption];
  of_class = Smoothed(of_class, us);
  packer_.SetShort(attempt.consumption, of_class < kShortUs);
  double& of_agent = agents_[attempt.agent].mean_wall_us;
  of_agent = Smoothed(of_agent, us);
}

void Core::OnAttempt(AttemptUpdate update, absl::Time now, Step* step) {
  auto it = attempts_.find(update.attempt);
  if (it == attempts_.end()) {
    if (update.outcome == Outcome::kNone) {
      // The history does not know it: it must not run.
      step->cancels.push_back({update.attempt, update.agent, absl::Seconds(10)});
    } else {
      step->acknowledge.push_back(update.attempt);  // known to have ended; the news came twice
    }
    return;
  }
  if (update.outcome == Outcome::kNone) {
    OnAttemptAlive(update, it->second, step);
    return;
  }
  const Attempt attempt = it->second;
  attempts_.erase(it);
  if (update.outcome == Outcome::kSucceeded || update.outcome == Outcome::kExited) {
    LearnWallTime(attempt, update.usage.wall_time);
  }
  Release(update.attempt, attempt);
  ++totals_.ended_by_outcome[static_cast<size_t>(update.outcome)];
  step->acknowledge.push_back(update.attempt);
  const planner::TaskKey key = update.attempt.task();
  AttemptOver(*FindLive(key.graph()), key.index(), update, now, step);
  step->records.emplace_back(storage::AttemptEnded{
      update.attempt, update.outcome, update.exit_status, update.signal, std::move(update.message),
      update.start_time, update.end_time == absl::InfinitePast() ? now : update.end_time,
      update.usage.peak_ram_bytes, update.usage.cpu_time, update.usage.wall_time,
      std::move(update.return_value)});
  EndGraphIfDone(key.graph(), now, step);
}

void Core::OnAttemptAlive(const AttemptUpdate& update, Attempt& attempt, Step* step) {
  Agent& agent = agents_[attempt.agent];
  if (update.start_time == absl::InfinitePast()) {
    // In the agent's backlog. After a restart we had to assume that it held its resources.
    if (attempt.holds && !attempt.running && agent.max_backlog > 0 &&
        packer_.pool_part(attempt.consumption).empty()) {
      attempt.holds = false;
      agent.held -= packer_.agent_part(attempt.consumption);
      --agent.holding;
      if (agent.lease) packer_.Give(attempt.agent, attempt.consumption);
      agent.backlog.push_back(update.attempt);
      ++agent.backlog_size;
    }
    return;
  }
  if (!attempt.holds) {
    --agent.backlog_size;
    Hold(attempt);
  }
  attempt.start_time = update.start_time;
  if (attempt.running) return;
  attempt.running = true;
  LiveGraph* graph = FindLive(update.attempt.task().graph());
  SetState(*graph, update.attempt.task().index(), TaskState::kRunning, step);
}

void Core::OnAgentLost(const executor::AgentId& id, absl::Time now, Step* step) {
  auto it = agent_index_.find(id);
  if (it == agent_index_.end()) return;
  const AgentIndex index = it->second;
  agents_[index].connected = false;
  agents_[index].offers.clear();
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
    update.end_time = now;
    OnAttempt(std::move(update), now, step);
  }
}

void Core::Launch(const planner::Packer::Placement& placement, absl::Time now, Step* step) {
  LiveGraph& graph = *FindLive(placement.task.graph());
  const planner::TaskIndex index = placement.task.index();
  LiveTask& task = graph.tasks[index];
  Agent& agent = agents_[placement.agent];
  SetState(graph, index, TaskState::kLaunching, step);
  ++task.launches;
  const AttemptId id = AttemptId::Of(placement.task, task.launches);
  Attempt& attempt = attempts_[id];
  attempt.agent = placement.agent;
  attempt.consumption = placement.consumption;
  attempt.launch_time = now;
  ++agent.attempts;
  if (placement.backlog) {
    agent.backlog.push_back(id);
    ++agent.backlog_size;
  } else {
    attempt.holds = true;  // the plan took the resources
    agent.held += packer_.agent_part(placement.consumption);
    ++agent.holding;
  }
  agent.launched_on = true;
  ++totals_.launched;
  step->records.emplace_back(storage::AttemptLaunched{id, agent.id, agent.name, now});
  const TaskPolicy& policy = graph.policies[task.policy];
  step->launches.push_back({id, agent.id, std::string(graph.task_name(index)),
                            packer_.agent_part(placement.consumption), "", policy.timeout,
                            policy.cancel_grace});
}

void Core::Plan(absl::Time now, Step* step) {
  if (!launching_) return;
  placements_.clear();
  packer_.Plan(&placements_);
  for (const planner::Packer::Placement& placement : placements_) Launch(placement, now, step);
  for (const planner::Packer::Placement& placement : placements_) {
    Agent& agent = agents_[placement.agent];
    if (!agent.launched_on) continue;
    agent.launched_on = false;
    if (agent.lease) {
      UpdateBacklogRoom(placement.agent);
    } else {
      std::move(agent.offers.begin(), agent.offers.end(), std::back_inserter(step->used_offers));
      agent.offers.clear();
      RefreshAgent(placement.agent);
    }
  }
  const bool wanted = packer_.ready_count() > 0 || !delayed_until_.empty();
  if (connected_ && wanted == suppressed_) {
    suppressed_ = !wanted;
    (wanted ? step->revive : step->suppress) = true;
    (wanted ? step->suppress : step->revive) = false;
  }
}

absl::Duration Core::AgentsBusyFor() const {
  absl::Duration least = absl::InfiniteDuration();
  for (const Agent& agent : agents_) {
    if (agent.holding == 0) continue;
    if (agent.backlog_size == 0) return absl::ZeroDuration();
    least = std::min(least,
                     absl::Microseconds(agent.mean_wall_us * agent.backlog_size / agent.holding));
  }
  return least == absl::InfiniteDuration() ? absl::ZeroDuration() : least;
}

std::vector<executor::ClusterEvent> Core::AdoptableState() const {
  std::vector<executor::ClusterEvent> events;
  if (!connected_) return events;
  events.emplace_back(executor::Connected{});
  for (const Agent& agent : agents_) {
    if (!agent.connected) continue;
    for (const executor::Offer& offer : agent.offers) events.emplace_back(offer);
    if (!agent.lease) continue;
    executor::Offer offer;
    offer.agent = agent.id;
    offer.agent_name = agent.name;
    offer.resources = agent.capacity;
    offer.lease = true;
    offer.backlog = agent.max_backlog;
    events.emplace_back(std::move(offer));
  }
  return events;
}

}  // namespace kartograph::scheduler
