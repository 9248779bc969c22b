// Attempts: what the cluster tells of them, and what is launched on it.
#include <algorithm>
#include <iterator>

#include "absl/strings/str_cat.h"
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

void Core::OnClusterEvent(executor::ClusterEvent event, const Turn& turn) {
  if (auto* update = std::get_if<AttemptUpdate>(&event)) {
    OnAttempt(std::move(*update), turn);
    return;
  }
  turn.step.cluster_changed = true;
  if (auto* offer = std::get_if<executor::Offer>(&event)) {
    OnOffer(std::move(*offer), turn);
  } else if (auto* told = std::get_if<executor::AgentCapacity>(&event)) {
    OnAgentCapacity(std::move(*told));
  } else if (std::holds_alternative<executor::Connected>(event)) {
    OnConnected(turn);
  } else if (auto* away = std::get_if<executor::Disconnected>(&event)) {
    OnDisconnected(std::move(away->reason));
  } else if (auto* rescinded = std::get_if<executor::OfferRescinded>(&event)) {
    OnRescinded(rescinded->id, turn);
  } else if (auto* lost = std::get_if<executor::AgentLost>(&event)) {
    OnAgentLost(lost->agent, turn);
  } else if (auto* unreachable = std::get_if<executor::AgentUnreachable>(&event)) {
    OnAgentUnreachable(unreachable->agent);
  } else if (auto* report = std::get_if<executor::HostReport>(&event)) {
    OnHostReport(std::move(*report));
  }
}

void Core::Hold(Attempt& attempt) {
  Agent& agent = agents_[attempt.agent];
  attempt.holds = true;
  agent.held += packer_.agent_part(attempt.consumption);
  ++agent.holding;
  if (agent.lease) packer_.Take(attempt.agent, attempt.consumption);
}

void Core::Release(const Attempt& attempt) {
  Agent& agent = agents_[attempt.agent];
  --agent.attempts;
  demand_changed_ = true;
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

void Core::OnAttempt(AttemptUpdate update, const Turn& turn) {
  // Clusters check what they are told; an outcome that there is not would be written, and the
  // history refused at the next start.
  if (!planner::OutcomeFromNumber(static_cast<int64_t>(update.outcome))) {
    update.message = absl::StrCat("it ended in a way that is not known here: ",
                                  static_cast<int64_t>(update.outcome));
    update.outcome = Outcome::kLost;
  }
  auto it = attempts_.find(update.attempt);
  if (it == attempts_.end()) {
    if (update.outcome != Outcome::kNone) {
      turn.step.acknowledge.push_back(update.attempt);  // known to have ended; the news came twice
    } else if (!update.unreachable) {
      // The history does not know it, or has given it up: it must not run.
      turn.step.cancels.push_back({update.attempt, update.agent, absl::Seconds(10)});
    }
    return;
  }
  if (update.outcome != Outcome::kNone) {
    turn.step.acknowledge.push_back(update.attempt);
    EndAttempt(std::move(update), turn);
  } else if (update.unreachable) {
    OnAttemptUnreachable(update.attempt, it->second, turn);
  } else {
    OnAttemptAlive(update, it->second, turn);
  }
}

// Of an attempt that is alive.
void Core::EndAttempt(AttemptUpdate update, const Turn& turn) {
  auto it = attempts_.find(update.attempt);
  OnAttemptReachable(update.attempt, it->second, turn);
  const Attempt attempt = it->second;
  attempts_.erase(it);
  if (update.outcome == Outcome::kSucceeded || update.outcome == Outcome::kExited) {
    LearnWallTime(attempt, update.usage.wall_time);
  }
  Release(attempt);
  ++totals_.ended_by_outcome[static_cast<size_t>(update.outcome)];
  const planner::TaskKey key = update.attempt.task();
  AttemptOver(*FindLive(key.graph()), key.index(), update, turn);
  // The times may be of two clocks, or of one that was set: nothing ends before it began.
  const absl::Time began =
      update.start_time == absl::InfinitePast() ? attempt.launch_time : update.start_time;
  const absl::Time ended =
      update.end_time == absl::InfinitePast() ? turn.now.wall : update.end_time;
  turn.step.records.emplace_back(storage::AttemptEnded{
      update.attempt, update.outcome, update.exit_status, update.signal, std::move(update.message),
      update.start_time, std::max(ended, began), update.usage.peak_ram_bytes, update.usage.cpu_time,
      update.usage.wall_time, std::move(update.return_value)});
  EndGraphIfDone(key.graph(), turn);
}

void Core::OnAttemptUnreachable(AttemptId id, Attempt& attempt, const Turn& turn) {
  const LiveGraph& graph = *FindGraph(id.task().graph());
  if (!attempt.unreachable_since) {
    attempt.unreachable_since = turn.now;
    ++unreachable_attempts_;
    turn.step.changed_tasks.push_back(id.task());
    turn.step.cluster_changed = true;
  }
  const absl::Duration timeout =
      graph.policies[graph.tasks[id.task().index()].policy].unreachable_timeout;
  if (timeout != absl::InfiniteDuration()) {
    give_up_.insert({attempt.unreachable_since->steady + timeout, id});
  }
}

void Core::OnAttemptReachable(AttemptId id, Attempt& attempt, const Turn& turn) {
  if (!attempt.unreachable_since) return;
  const LiveGraph& graph = *FindGraph(id.task().graph());
  give_up_.erase({attempt.unreachable_since->steady +
                      graph.policies[graph.tasks[id.task().index()].policy].unreachable_timeout,
                  id});
  attempt.unreachable_since.reset();
  --unreachable_attempts_;
  turn.step.changed_tasks.push_back(id.task());
  turn.step.cluster_changed = true;
}

void Core::GiveUpUnreachable(const Turn& turn) {
  while (!give_up_.empty() && give_up_.begin()->first <= turn.now.steady) {
    const AttemptId id = give_up_.begin()->second;
    const Attempt& attempt = attempts_.at(id);
    const LiveGraph& graph = *FindGraph(id.task().graph());
    const planner::TaskPolicy& policy = graph.policies[graph.tasks[id.task().index()].policy];
    AttemptUpdate update;
    update.attempt = id;
    update.agent = agents_[attempt.agent].id;
    update.outcome = Outcome::kUnreachable;
    update.message = absl::StrCat("its agent could not be reached for ",
                                  absl::FormatDuration(policy.unreachable_timeout));
    update.start_time = attempt.start_time;
    update.end_time = turn.now.wall;
    // So that it does not go on beside the next one when its agent is back.
    turn.step.cancels.push_back({id, update.agent, policy.cancel_grace});
    EndAttempt(std::move(update), turn);
  }
}

void Core::OnAttemptAlive(const AttemptUpdate& update, Attempt& attempt, const Turn& turn) {
  Agent& agent = agents_[attempt.agent];
  if (attempt.unreachable_since) {
    OnAttemptReachable(update.attempt, attempt, turn);
    const LiveGraph& graph = *FindGraph(update.attempt.task().graph());
    const LiveTask& task = graph.tasks[update.attempt.task().index()];
    if (task.cancelling) {  // nobody heard of it
      turn.step.cancels.push_back(
          {update.attempt, agent.id, graph.policies[task.policy].cancel_grace});
    }
  }
  if (!agent.connected && !agent.lease) {
    agent.connected = true;
    RefreshAgent(attempt.agent);
    turn.step.cluster_changed = true;
  }
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
  SetState(*graph, update.attempt.task().index(), TaskState::kRunning, turn);
}

void Core::Launch(const planner::Packer::Placement& placement, const Turn& turn) {
  LiveGraph& graph = *FindLive(placement.task.graph());
  const planner::TaskIndex index = placement.task.index();
  LiveTask& task = graph.tasks[index];
  Agent& agent = agents_[placement.agent];
  SetState(graph, index, TaskState::kLaunching, turn);
  ++task.launches;
  const AttemptId id = AttemptId::Of(placement.task, task.launches);
  Attempt& attempt = attempts_[id];
  attempt.agent = placement.agent;
  attempt.consumption = placement.consumption;
  attempt.launch_time = turn.now.wall;
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
  turn.step.records.emplace_back(storage::AttemptLaunched{id, agent.id, agent.name, turn.now.wall});
  const planner::TaskPolicy& policy = graph.policies[task.policy];
  turn.step.launches.push_back({id, agent.id, std::string(graph.task_name(index)),
                                packer_.agent_part(placement.consumption), "", policy.timeout,
                                policy.cancel_grace});
}

// Cancels at once what was placed of a graph that is being cancelled.
void Core::Refuse(LiveGraph& graph, const planner::Packer::Placement& placement, const Turn& turn) {
  const planner::TaskIndex index = placement.task.index();
  if (!placement.backlog) {
    packer_.Give(placement.agent, placement.consumption);
    packer_.GivePools(placement.consumption);
  }
  packer_.AddReady(placement.consumption, graph.ready_key(index));
  CancelOne(graph, index, graph.cancel_reason, turn);
}

void Core::Plan(const Turn& turn) {
  RefreshHorizons(turn.now.steady);
  if (launching_) Place(turn);
  // The plan placed all that fits: what is offered still is of no use now.
  DeclineOffers(turn);
  TellDemand(turn);
}

void Core::Place(const Turn& turn) {
  placements_.clear();
  packer_.Plan(&placements_);
  for (const planner::Packer::Placement& placement : placements_) {
    LiveGraph& graph = *FindLive(placement.task.graph());
    if (graph.cancelling()) {
      Refuse(graph, placement, turn);
    } else {
      Launch(placement, turn);
    }
  }
  for (const planner::Packer::Placement& placement : placements_) {
    Agent& agent = agents_[placement.agent];
    if (!agent.launched_on) continue;
    agent.launched_on = false;
    if (agent.lease) {
      UpdateBacklogRoom(placement.agent);
    } else {
      std::move(agent.offers.begin(), agent.offers.end(),
                std::back_inserter(turn.step.used_offers));
      agent.offers.clear();
      RefreshAgent(placement.agent);
    }
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

}  // namespace kartograph::scheduler
