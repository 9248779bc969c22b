#include "executor/simulated/simulated_cluster.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {

using planner::AttemptId;
using planner::Outcome;

SimulatedCluster::SimulatedCluster(SimulatedClusterOptions options, RunOf run_of, Observer observer)
    : options_(std::move(options)),
      faults_(options_.faults),
      run_of_(std::move(run_of)),
      observer_(std::move(observer)),
      random_(options_.seed),
      now_(options_.start) {
  uint32_t zone = 0;
  for (const planner::ResourceVector& capacity : options_.agents) {
    AddAgent(capacity, options_.zones > 0 ? zone++ % options_.zones : 0);
  }
}

uint32_t SimulatedCluster::AddAgent(planner::ResourceVector capacity, uint32_t zone) {
  const uint32_t index = static_cast<uint32_t>(agents_.size());
  Agent& agent = agents_.emplace_back();
  agent.id = absl::StrCat("agent-", index);
  agent.capacity = std::move(capacity);
  agent.zone = zone;
  agent_index_[agent.id] = index;
  if (Chance(faults_.maintenance)) {
    // Further away than most tasks take, near enough to be seen.
    agent.unavailable_from = now_ + absl::Milliseconds(200) + 5 * ALittle();
    Event event;
    event.kind = Event::Kind::kTakeAway;
    event.agent = index;
    Schedule(agent.unavailable_from, std::move(event));
  }
  return index;
}

bool SimulatedCluster::Chance(double probability) {
  if (probability <= 0) return false;
  return static_cast<double>(random_() >> 11) * 0x1.0p-53 < probability;
}

absl::Duration SimulatedCluster::ALittle() {
  const int64_t longest = absl::ToInt64Microseconds(faults_.longest_delay);
  return absl::Microseconds(static_cast<int64_t>(random_() % static_cast<uint64_t>(longest + 1)));
}

void SimulatedCluster::Schedule(absl::Time time, Event event) {
  events_.push_back({time, ++sequence_, std::make_unique<Event>(std::move(event))});
  std::push_heap(events_.begin(), events_.end(), Later);
}

absl::Time SimulatedCluster::NextEventTime() const {
  if (!to_tell_.empty() && listener_) return now_;
  return events_.empty() ? absl::InfiniteFuture() : events_.front().time;
}

void SimulatedCluster::AdvanceTo(absl::Time time) {
  while (!events_.empty() && events_.front().time <= time) {
    std::pop_heap(events_.begin(), events_.end(), Later);
    Due due = std::move(events_.back());
    events_.pop_back();
    now_ = std::max(now_, due.time);
    Happen(*due.event);
  }
  now_ = std::max(now_, time);
  if (!to_tell_.empty() && listener_) {
    std::vector<ClusterEvent> events = std::move(to_tell_);
    to_tell_.clear();
    listener_(std::move(events));
  }
}

void SimulatedCluster::Happen(Event& event) {
  switch (event.kind) {
    case Event::Kind::kArrive:
      Arrive(std::move(event.launches));
      break;
    case Event::Kind::kCancel: {
      auto it = attempts_.find(event.attempt);
      if (it == attempts_.end()) {
        AttemptUpdate unknown;
        unknown.attempt = event.attempt;
        unknown.outcome = Outcome::kLost;
        unknown.end_time = now_;
        Notify(std::move(unknown));
      } else if (it->second.phase != Phase::kEnded && !agents_[it->second.agent].unreachable) {
        End(event.attempt, Outcome::kCancelled);
      }
      break;
    }
    case Event::Kind::kEnd: {
      auto it = attempts_.find(event.attempt);
      if (it != attempts_.end() && it->second.phase == Phase::kRunning) {
        End(event.attempt, it->second.run.outcome);
      }
      break;
    }
    case Event::Kind::kAsk:
      Answer(event.asked);
      break;
    case Event::Kind::kOfferRest:
      if (!agents_[event.agent].offered) MakeOffer(event.agent);
      break;
    case Event::Kind::kDecline:
      if (event.connection == connection_ && connected_) OnDecline(event.declined);
      break;
    case Event::Kind::kSuppress:
      if (event.connection == connection_ && connected_) suppressed_ = true;
      break;
    case Event::Kind::kRevive:
      if (event.connection == connection_ && connected_) OnRevive();
      break;
    case Event::Kind::kTell:
      if (event.connection == connection_ && connected_) to_tell_.push_back(std::move(event.told));
      break;
    case Event::Kind::kLoseAgent:
      LoseAgent(event.agent);
      break;
    case Event::Kind::kTakeAway:
      if (agents_[event.agent].alive) ++taken_away_;
      LoseAgent(event.agent);
      break;
    case Event::Kind::kLoseSight:
      Partition(event.agent);
      break;
    case Event::Kind::kSeeAgain:
      SeeAgain(event.agent);
      break;
    case Event::Kind::kDisconnect:
      if (event.connection != connection_ || !connected_) break;
      ++connection_;
      for (Agent& agent : agents_) agent.offered = false;
      to_tell_.emplace_back(Disconnected{"simulated"});
      connected_ = false;
      {
        Event again;
        again.kind = Event::Kind::kConnect;
        again.connection = connection_;
        Schedule(now_ + ALittle(), std::move(again));
      }
      break;
    case Event::Kind::kConnect:
      if (event.connection == connection_ && !connected_ && listener_) Connect();
      break;
    case Event::Kind::kRescind: {
      Agent& agent = agents_[event.agent];
      OfferRescinded rescinded = std::get<OfferRescinded>(event.told);
      if (agent.offered && agent.offer == rescinded.id) {
        agent.offered = false;
        Notify(std::move(rescinded));
        MakeOffer(event.agent);
      }
      break;
    }
  }
}

void SimulatedCluster::Notify(ClusterEvent told, absl::Duration extra) {
  if (!connected_) return;
  const absl::Duration delay = options_.latency + extra;
  if (delay == absl::ZeroDuration()) {
    to_tell_.push_back(std::move(told));
    return;
  }
  Event event;
  event.connection = connection_;
  event.told = std::move(told);
  Schedule(now_ + delay, std::move(event));
}

AttemptUpdate SimulatedCluster::UpdateOf(AttemptId id, const Attempt& attempt) const {
  AttemptUpdate update;
  update.attempt = id;
  update.agent = agents_[attempt.agent].id;
  update.outcome = attempt.phase == Phase::kEnded ? attempt.outcome : Outcome::kNone;
  const Agent& agent = agents_[attempt.agent];
  if (agent.unreachable && update.outcome != Outcome::kDropped) {
    update.outcome = Outcome::kNone;
    update.unreachable = true;
    return update;
  }
  if (update.outcome == Outcome::kExited) update.exit_status = 1;
  if (update.outcome == Outcome::kRefused) update.message = "refused by the simulated cluster";
  update.start_time = attempt.start_time;
  update.end_time = attempt.end_time;
  if (attempt.start_time != absl::InfinitePast() && attempt.phase == Phase::kEnded) {
    update.usage.wall_time = attempt.end_time - attempt.start_time;
  }
  return update;
}

void SimulatedCluster::NotifyUpdate(AttemptId id, const Attempt& attempt) {
  if (agents_[attempt.agent].unreachable) return;  // reported when it is back
  const absl::Duration late = Chance(faults_.late_update) ? ALittle() : absl::ZeroDuration();
  Notify(UpdateOf(id, attempt), late);
  if (Chance(faults_.repeat_update)) Notify(UpdateOf(id, attempt), ALittle());
}

// --- agents ---

void SimulatedCluster::Arrive(std::vector<Launch> launches) {
  for (Launch& launch : launches) {
    if (attempts_.contains(launch.attempt)) continue;  // a repeated id
    auto index = agent_index_.find(launch.agent);
    Attempt& attempt = attempts_[launch.attempt];
    attempt.agent = index == agent_index_.end() ? 0 : index->second;
    Agent& agent = agents_[attempt.agent];
    if (index == agent_index_.end() || !agent.alive) {
      attempt.phase = Phase::kEnded;
      attempt.outcome = Outcome::kLost;
      attempt.end_time = now_;
      NotifyUpdate(launch.attempt, attempt);
      continue;
    }
    if (agent.unreachable) {
      attempt.phase = Phase::kEnded;
      attempt.outcome = Outcome::kDropped;
      attempt.end_time = now_;
      Notify(UpdateOf(launch.attempt, attempt));
      continue;
    }
    if (Chance(faults_.refuse_launch)) {
      attempt.phase = Phase::kEnded;
      attempt.outcome = Outcome::kRefused;
      attempt.end_time = now_;
      NotifyUpdate(launch.attempt, attempt);
      MakeOffer(attempt.agent);
      continue;
    }
    attempt.consumption = std::move(launch.consumption);
    attempt.run = run_of_(launch.attempt);
    agent.queue.Push(launch.attempt, std::move(launch.backlog_order));
    Admit(attempt.agent);
    if (attempt.phase == Phase::kQueued && options_.backlog == 0) {
      // Without a backlog an agent is never sent more than it has: but what was offered without a
      // lease may be gone, and what was given up may still run.
      if (options_.lease && !options_.refuse_overcommit) {
        std::fprintf(stderr, "the scheduler over-committed %s\n", agent.id.c_str());
        std::abort();
      }
      agent.queue.Remove(launch.attempt);
      attempt.phase = Phase::kEnded;
      attempt.outcome = Outcome::kRefused;
      attempt.end_time = now_;
      NotifyUpdate(launch.attempt, attempt);
      MakeOffer(attempt.agent);
      continue;
    }
    if (!agent.dying && Chance(faults_.lose_agent)) {
      agent.dying = true;
      Event event;
      event.kind = Event::Kind::kLoseAgent;
      event.agent = attempt.agent;
      Schedule(now_ + ALittle(), std::move(event));
    }
    if (Chance(faults_.partition)) {
      Event event;
      event.kind = Event::Kind::kLoseSight;
      event.agent = attempt.agent;
      Schedule(now_ + ALittle(), std::move(event));
    }
    if (Chance(faults_.drop_connection)) {
      Event event;
      event.kind = Event::Kind::kDisconnect;
      event.connection = connection_;
      Schedule(now_ + ALittle(), std::move(event));
    }
  }
}

void SimulatedCluster::Admit(uint32_t index) {
  Agent& agent = agents_[index];
  while (!agent.queue.empty()) {
    const AttemptId id = agent.queue.front();
    auto it = attempts_.find(id);
    if (it != attempts_.end() && it->second.phase == Phase::kQueued) {
      Attempt& attempt = it->second;
      planner::ResourceVector free = agent.capacity;
      free -= agent.used;
      if (!attempt.consumption.FitsIn(free)) return;
      agent.used += attempt.consumption;
      attempt.phase = Phase::kRunning;
      attempt.start_time = now_;
      if (observer_) observer_(id, true);
      NotifyUpdate(id, attempt);
      Event event;
      event.kind = Event::Kind::kEnd;
      event.attempt = id;
      Schedule(now_ + attempt.run.duration, std::move(event));
    }
    agent.queue.PopFront();
  }
}

void SimulatedCluster::End(AttemptId id, Outcome outcome) {
  Attempt& attempt = attempts_.at(id);
  const bool ran = attempt.phase == Phase::kRunning;
  Agent& agent = agents_[attempt.agent];
  attempt.phase = Phase::kEnded;
  attempt.outcome = outcome;
  attempt.end_time = now_;
  if (ran) {
    agent.used -= attempt.consumption;
    if (observer_) observer_(id, false);
  }
  NotifyUpdate(id, attempt);
  if (!agent.alive) return;
  Admit(attempt.agent);
  MakeOffer(attempt.agent);
}

void SimulatedCluster::LoseAgent(uint32_t index) {
  if (!agents_[index].alive) return;
  ++lost_agents_;
  agents_[index].alive = false;
  agents_[index].offered = false;
  agents_[index].queue.clear();
  for (auto it = attempts_.begin(); it != attempts_.end();) {
    if (it->second.agent != index) {
      ++it;
      continue;
    }
    if (it->second.phase == Phase::kRunning && observer_) observer_(it->first, false);
    attempts_.erase(it++);
  }
  Notify(AgentLost{agents_[index].id}, ALittle());
  // Another machine takes its place.
  MakeOffer(AddAgent(agents_[index].capacity, agents_[index].zone));
}

std::vector<AttemptId> SimulatedCluster::AttemptsOn(uint32_t agent) const {
  std::vector<AttemptId> ids;
  for (const auto& [id, attempt] : attempts_) {
    if (attempt.agent == agent) ids.push_back(id);
  }
  std::sort(ids.begin(), ids.end());
  return ids;
}

void SimulatedCluster::Partition(uint32_t index) {
  Agent& agent = agents_[index];
  if (!agent.alive || agent.unreachable) return;
  ++partitions_;
  agent.unreachable = true;
  agent.offered = false;
  Notify(AgentUnreachable{agent.id});
  for (AttemptId id : AttemptsOn(index)) {
    if (attempts_.at(id).phase != Phase::kEnded) Notify(UpdateOf(id, attempts_.at(id)));
  }
  Event event;
  event.kind = Event::Kind::kSeeAgain;
  event.agent = index;
  Schedule(now_ + ALittle(), std::move(event));
}

void SimulatedCluster::SeeAgain(uint32_t index) {
  Agent& agent = agents_[index];
  agent.unreachable = false;
  // Ends are reported also from an agent that died meanwhile.
  for (AttemptId id : AttemptsOn(index)) {
    if (agent.alive || attempts_.at(id).phase == Phase::kEnded) NotifyUpdate(id, attempts_.at(id));
  }
  if (agent.alive) MakeOffer(index);
}

void SimulatedCluster::MakeOffer(uint32_t index) {
  Agent& agent = agents_[index];
  if (!agent.alive || agent.unreachable || !connected_) return;
  Offer offer;
  if (options_.zones > 0) offer.attributes = {{"zone", absl::StrCat(agent.zone)}};
  if (options_.tell_capacity) {
    Notify(AgentCapacity{agent.id, agent.id, agent.capacity, agent.capacity, offer.attributes});
  }
  offer.agent = agent.id;
  offer.agent_name = agent.id;
  offer.lease = options_.lease;
  if (agent.unavailable_from != absl::InfiniteFuture()) {
    offer.unavailable_from = agent.unavailable_from + wall_offset_;
  }
  if (options_.lease) {
    if (agent.offered) return;
    offer.id = agent.id;
    offer.resources = agent.capacity;
    offer.backlog = options_.backlog;
  } else {
    // What an open offer holds cannot be offered a second time.
    if (agent.offered) {
      agent_of_offer_.erase(agent.offer);
      Notify(OfferRescinded{agent.offer});
    }
    offer.resources = agent.capacity;
    offer.resources -= agent.used;
    for (const auto& [id, order] : agent.queue) {
      auto it = attempts_.find(id);
      if (it != attempts_.end() && it->second.phase == Phase::kQueued) {
        offer.resources -= it->second.consumption;
      }
    }
    if (offer.resources.empty()) {
      agent.offered = false;
      return;
    }
    const bool unwanted =
        suppressed_ || (agent.declined && offer.resources.FitsIn(*agent.declined));
    if (unwanted) {
      agent.offered = false;
      return;
    }
    offer.id = absl::StrCat("offer-", ++offers_);
    agent_of_offer_[offer.id] = index;
    agent.offered_resources = offer.resources;
  }
  agent.offered = true;
  agent.offer = offer.id;
  if (!options_.lease && Chance(faults_.rescind_offer)) {
    Event event;
    event.kind = Event::Kind::kRescind;
    event.agent = index;
    event.told = OfferRescinded{offer.id};
    Schedule(now_ + options_.latency + ALittle(), std::move(event));
  }
  Notify(std::move(offer));
}

}  // namespace kartograph::executor
