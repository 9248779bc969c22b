// What the scheduler asks of the simulated cluster.
#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "executor/simulated/simulated_cluster.h"

namespace kartograph::executor {

using planner::AttemptId;
using planner::Outcome;

absl::Status SimulatedCluster::Start(ClusterListener listener) {
  listener_ = std::move(listener);
  ++connection_;
  Event event;
  event.kind = Event::Kind::kConnect;
  event.connection = connection_;
  Schedule(now_, std::move(event));
  return absl::OkStatus();
}

void SimulatedCluster::Connect() {
  connected_ = true;
  suppressed_ = false;
  agent_of_offer_.clear();
  to_tell_.emplace_back(Connected{});
  for (uint32_t i = 0; i < agents_.size(); ++i) {
    agents_[i].offered = false;
    agents_[i].declined.reset();
    MakeOffer(i);
  }
  // An end is repeated until it is acknowledged.
  std::vector<AttemptId> ended;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.phase == Phase::kEnded) ended.push_back(id);
  }
  std::sort(ended.begin(), ended.end());
  for (AttemptId id : ended) Notify(UpdateOf(id, attempts_.at(id)));
}

void SimulatedCluster::Stop() {
  connected_ = false;
  listener_ = nullptr;
  to_tell_.clear();
  ++connection_;
  // What is on the way to an agent arrives now or never: not after the next scheduler has asked
  // about it.
  std::vector<Due> events = std::move(events_);
  events_.clear();
  std::sort(events.begin(), events.end(), [](const Due& a, const Due& b) { return Later(b, a); });
  for (Due& due : events) {
    const Event::Kind kind = due.event->kind;
    const bool to_agent =
        kind == Event::Kind::kArrive || kind == Event::Kind::kCancel || kind == Event::Kind::kAsk;
    if (!to_agent) {
      events_.push_back(std::move(due));
      std::push_heap(events_.begin(), events_.end(), Later);
    } else if (Chance(0.5)) {
      Happen(*due.event);
    }
  }
}

void SimulatedCluster::Execute(std::vector<Launch> launches) {
  if (!connected_) return;  // lost on the way; a reconciliation will show
  std::vector<uint32_t> used;
  if (!options_.lease) {
    for (const Launch& launch : launches) {
      if (auto it = agent_index_.find(launch.agent); it != agent_index_.end()) {
        agents_[it->second].offered = false;  // a launch uses its offer up
        used.push_back(it->second);
      }
    }
    std::sort(used.begin(), used.end());
    used.erase(std::unique(used.begin(), used.end()), used.end());
  }
  Event event;
  event.kind = Event::Kind::kArrive;
  event.launches = std::move(launches);
  SendToAgents(std::move(event));
  // What a launch left of an offer is offered again.
  for (uint32_t agent : used) {
    Event rest;
    rest.kind = Event::Kind::kOfferRest;
    rest.agent = agent;
    SendToAgents(std::move(rest));
  }
}

// All that goes to agents keeps its order, so that an answer about an attempt never overtakes its
// launch.
void SimulatedCluster::SendToAgents(Event event) {
  if (options_.latency == absl::ZeroDuration()) {
    Happen(event);
  } else {
    Schedule(now_ + options_.latency, std::move(event));
  }
}

void SimulatedCluster::Cancel(AttemptId attempt, const AgentId&, absl::Duration) {
  if (!connected_) return;
  Event event;
  event.kind = Event::Kind::kCancel;
  event.attempt = attempt;
  SendToAgents(std::move(event));
}

void SimulatedCluster::Acknowledge(const std::vector<AttemptId>& attempts) {
  for (AttemptId id : attempts) {
    auto it = attempts_.find(id);
    if (it == attempts_.end()) continue;
    if (it->second.phase != Phase::kEnded) {
      std::fprintf(stderr, "an attempt that has not ended was acknowledged\n");
      std::abort();
    }
    attempts_.erase(it);
  }
}

void SimulatedCluster::Reconcile(std::vector<KnownAttempt> attempts) {
  if (!connected_) return;
  Event event;
  event.kind = Event::Kind::kAsk;
  event.asked = std::move(attempts);
  SendToAgents(std::move(event));
}

void SimulatedCluster::Answer(const std::vector<KnownAttempt>& attempts) {
  for (const KnownAttempt& known : attempts) {
    auto it = attempts_.find(known.attempt);
    if (it != attempts_.end()) {
      Notify(UpdateOf(known.attempt, it->second));
      continue;
    }
    AttemptUpdate unknown;
    unknown.attempt = known.attempt;
    unknown.agent = known.agent;
    unknown.outcome = Outcome::kLost;
    unknown.message = "unknown to the cluster";
    unknown.end_time = now_;
    Notify(std::move(unknown));
  }
}

void SimulatedCluster::Decline(const std::vector<OfferId>& offers) {
  if (!connected_) return;
  Event event;
  event.kind = Event::Kind::kDecline;
  event.connection = connection_;
  event.declined = offers;
  SendToAgents(std::move(event));
}

void SimulatedCluster::Suppress() {
  if (!connected_) return;
  Event event;
  event.kind = Event::Kind::kSuppress;
  event.connection = connection_;
  SendToAgents(std::move(event));
}

void SimulatedCluster::Revive(const std::vector<planner::ResourceVector>&) {
  if (!connected_) return;
  Event event;
  event.kind = Event::Kind::kRevive;
  event.connection = connection_;
  SendToAgents(std::move(event));
}

void SimulatedCluster::OnDecline(const std::vector<OfferId>& offers) {
  for (const OfferId& id : offers) {
    auto it = agent_of_offer_.find(id);
    if (it == agent_of_offer_.end()) continue;
    const uint32_t index = it->second;
    Agent& agent = agents_[index];
    agent_of_offer_.erase(it);
    if (!agent.offered || agent.offer != id) continue;
    agent.offered = false;
    agent.declined = std::move(agent.offered_resources);
    MakeOffer(index);  // in case more is free by now
  }
}

void SimulatedCluster::OnRevive() {
  suppressed_ = false;
  for (uint32_t i = 0; i < agents_.size(); ++i) {
    agents_[i].declined.reset();
    if (!agents_[i].offered) MakeOffer(i);
  }
}

}  // namespace kartograph::executor
