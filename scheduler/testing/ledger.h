// Checks the scheduler's bookkeeping from outside: what it has written, launched and received.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_LEDGER_H_
#define KARTOGRAPH_SCHEDULER_TESTING_LEDGER_H_

#include <algorithm>
#include <map>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/types/span.h"
#include "executor/cluster.h"
#include "planner/constraints.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/spread.h"
#include "planner/states.h"
#include "storage/records.h"

namespace kartograph::scheduler {

// Knows no more than what goes in and out, and believes no agent: whether agents would queue or
// refuse what is too much does not matter. The first thing that is wrong is kept.
// Thread-compatible.
class Ledger {
 public:
  Ledger(planner::ResourceVector pools, int backlog)
      : pools_(std::move(pools)), backlog_(backlog) {}

  const std::string& problem() const { return problem_; }

  struct Attempt {
    std::string agent;
    std::optional<planner::Outcome> ended;
  };
  // Null for one that was never written.
  const Attempt* Find(planner::AttemptId id) const {
    auto it = attempts_.find(id);
    return it == attempts_.end() ? nullptr : &it->second;
  }
  bool IsAlive(planner::AttemptId id) const {
    const Attempt* attempt = Find(id);
    return attempt != nullptr && !attempt->ended;
  }
  planner::ResourceVector PoolPart(planner::TaskKey task) const {
    planner::ResourceVector part;
    for (const auto& entry : consumption_.at(task)) {
      if (!pools_.Get(entry.resource).is_zero()) part.Set(entry.resource, entry.quantity);
    }
    return part;
  }
  const std::vector<planner::TaskIndex>& After(planner::TaskKey task) const {
    return after_.at(task);
  }
  std::optional<planner::TaskState> StateOf(planner::TaskKey task) const {
    auto it = ended_.find(task);
    if (it == ended_.end()) return std::nullopt;
    return it->second;
  }
  struct Graph {
    planner::GraphState state = planner::GraphState::kRunning;
    planner::TaskIndex tasks = 0;
    bool whole = true;  // all its tasks are written
  };
  // Those that were not pruned.
  const std::map<planner::GraphId, Graph>& graphs() const { return graphs_; }
  const std::map<planner::AttemptId, Attempt>& attempts() const { return attempts_; }
  size_t pruned() const { return pruned_; }
  // What was being submitted is gone.
  void OnAbandoned() {
    std::erase_if(graphs_, [](const auto& entry) { return !entry.second.whole; });
  }
  void OnPruned(const std::vector<planner::GraphId>& graphs) {
    for (planner::GraphId id : graphs) {
      if (graphs_.at(id).state == planner::GraphState::kRunning) Wrong("pruned what still runs");
      for (planner::TaskKey task : undelivered_) {
        if (task.graph() == id) Wrong("pruned what was not delivered");
      }
      if (undelivered_ends_.contains(id)) Wrong("pruned a graph whose end was not delivered");
      graphs_.erase(id);
      ++pruned_;
    }
  }

  // Ends that a client waits for and was not given yet.
  const std::set<planner::TaskKey>& undelivered() const { return undelivered_; }
  void Delivered(planner::TaskKey task) { undelivered_.erase(task); }
  // The same of the ends of graphs.
  const std::set<planner::GraphId>& undelivered_ends() const { return undelivered_ends_; }
  void EndDelivered(planner::GraphId graph) { undelivered_ends_.erase(graph); }

  // --- what was committed ---
  void OnCommitted(absl::Span<const storage::Record> records) {
    for (const storage::Record& record : records) {
      if (const auto* graph = std::get_if<storage::GraphSubmitted>(&record)) {
        graphs_[graph->graph].whole = graph->work != storage::GraphWork::kSubmitting;
      } else if (const auto* changed = std::get_if<storage::GraphChanged>(&record)) {
        graphs_.at(changed->graph).state = changed->state;
        graphs_.at(changed->graph).whole = true;
      } else if (const auto* task = std::get_if<storage::TaskSubmitted>(&record)) {
        ++graphs_.at(task->task.graph()).tasks;
        consumption_[task->task] = task->consumption;
        constraints_[task->task] = task->policy.constraints;
        spread_[task->task] = task->policy.spread;
        after_[task->task] = task->after;
      } else if (const auto* launched = std::get_if<storage::AttemptLaunched>(&record)) {
        OnLaunched(*launched);
      } else if (const auto* ended = std::get_if<storage::AttemptEnded>(&record)) {
        OnEnded(*ended);
      } else if (const auto* end = std::get_if<storage::TaskEnded>(&record)) {
        ended_[end->task] = end->state;
      } else if (const auto* reset = std::get_if<storage::TaskReset>(&record)) {
        ended_.erase(reset->task);
      } else if (const auto* queued = std::get_if<storage::FinishedQueued>(&record)) {
        undelivered_.insert(queued->task);
      } else if (const auto* ended = std::get_if<storage::GraphEndQueued>(&record)) {
        if (graphs_.at(ended->graph).state == planner::GraphState::kRunning) {
          Wrong("delivers the end of a graph that runs");
        }
        undelivered_ends_.insert(ended->graph);
      }
    }
    for (const auto& entry : pools_) {
      if (entry.quantity < pool_used_.Get(entry.resource)) {
        Wrong(absl::StrCat("pool ", entry.resource.name(),
                           " is over its capacity: ", pool_used_.ToString()));
      }
    }
  }

  // --- what the cluster reported, as it reaches the scheduler ---
  void OnTold(absl::Span<const executor::ClusterEvent> events) {
    for (const executor::ClusterEvent& event : events) {
      if (const auto* update = std::get_if<executor::AttemptUpdate>(&event)) {
        OnUpdate(*update);
      } else if (const auto* offer = std::get_if<executor::Offer>(&event)) {
        agents_[offer->agent].attributes = offer->attributes;
        if (offer->lease) {
          agents_[offer->agent].lease = offer->resources;
        } else {
          agents_[offer->agent].offers[offer->id] = offer->resources;
        }
      } else if (const auto* rescinded = std::get_if<executor::OfferRescinded>(&event)) {
        for (auto& [id, agent] : agents_) agent.offers.erase(rescinded->id);
      } else if (const auto* lost = std::get_if<executor::AgentLost>(&event)) {
        agents_[lost->agent].offers.clear();
      } else if (const auto* away = std::get_if<executor::AgentUnreachable>(&event)) {
        agents_[away->agent].offers.clear();
      } else if (std::holds_alternative<executor::Connected>(event) ||
                 std::holds_alternative<executor::Disconnected>(event)) {
        for (auto& [id, agent] : agents_) agent.offers.clear();
      }
    }
  }

  // --- what the scheduler asks ---
  void OnExecute(absl::Span<const executor::Launch> launches) {
    std::map<std::string, planner::ResourceVector> asked;
    for (const executor::Launch& launch : launches) {
      if (!IsAlive(launch.attempt)) Wrong("a launch that is not written");
      asked[launch.agent] += launch.consumption;
    }
    for (const auto& [id, all] : asked) {
      Agent& agent = agents_[id];
      if (agent.lease) continue;  // see CheckLease
      planner::ResourceVector offered;
      for (const auto& [offer, resources] : agent.offers) offered += resources;
      if (agent.offers.empty()) {
        Wrong(absl::StrCat("launched on ", id, " without an offer"));
      } else if (!all.FitsIn(offered)) {
        Wrong(absl::StrCat("launched ", all.ToString(), " on ", id, ", which offers ",
                           offered.ToString()));
      }
      agent.offers.clear();
    }
  }
  void OnDecline(const std::vector<executor::OfferId>& offers) {
    for (const executor::OfferId& offer : offers) {
      for (auto& [id, agent] : agents_) agent.offers.erase(offer);
    }
  }

 private:
  enum class Said { kNothing, kWaits, kRuns };
  struct Agent {
    std::optional<planner::ResourceVector> lease;
    std::vector<std::pair<std::string, std::string>> attributes;  // of the last offer
    // Launched and not ended; what was last reported of it.
    std::map<planner::AttemptId, Said> alive;
    std::map<executor::OfferId, planner::ResourceVector> offers;
  };

  void Wrong(std::string what) {
    if (problem_.empty()) problem_ = std::move(what);
  }

  planner::ResourceVector AgentPart(planner::TaskKey task) const {
    planner::ResourceVector part;
    for (const auto& entry : consumption_.at(task)) {
      if (pools_.Get(entry.resource).is_zero()) part.Set(entry.resource, entry.quantity);
    }
    return part;
  }

  void OnUpdate(const executor::AttemptUpdate& update) {
    if (!IsAlive(update.attempt) || update.outcome != planner::Outcome::kNone) return;
    if (update.unreachable) return;
    agents_[Find(update.attempt)->agent].alive[update.attempt] =
        update.start_time == absl::InfinitePast() ? Said::kWaits : Said::kRuns;
  }

  void OnLaunched(const storage::AttemptLaunched& launched) {
    const planner::TaskKey task = launched.attempt.task();
    attempts_[launched.attempt] = {launched.agent, std::nullopt};
    pool_used_ += PoolPart(task);
    Agent& agent = agents_[launched.agent];
    agent.alive[launched.attempt] = Said::kNothing;
    for (const planner::Constraint& constraint : constraints_.at(task).all()) {
      const bool equal =
          std::any_of(agent.attributes.begin(), agent.attributes.end(), [&](const auto& a) {
            return a.first == constraint.attribute && a.second == constraint.values.front();
          });
      if (equal == constraint.negated) {
        Wrong(absl::StrCat(launched.agent, " does not meet that ", constraint.ToString()));
      }
    }
    CheckSpread(agent, task);
    if (agent.lease) CheckLease(launched.agent, agent, task);
  }

  // One of them has just been launched there.
  void CheckSpread(const Agent& agent, planner::TaskKey task) {
    const planner::Spread& spread = spread_.at(task);
    if (spread.empty()) return;
    const auto there = std::count_if(agent.alive.begin(), agent.alive.end(), [&](const auto& one) {
      const planner::TaskKey other = one.first.task();
      return other.graph() == task.graph() && spread_.at(other).group == spread.group;
    });
    if (there > spread.per_agent) Wrong(absl::StrCat("too many of group ", spread.group));
  }

  void OnEnded(const storage::AttemptEnded& ended) {
    Attempt& attempt = attempts_.at(ended.attempt);
    attempt.ended = ended.outcome;
    pool_used_ -= PoolPart(ended.attempt.task());
    agents_[attempt.agent].alive.erase(ended.attempt);
  }

  // Without a backlog all that an agent was sent has to fit at once. With one, an agent begins what
  // it was sent in order, each as soon as it fits, so which of its attempts wait is seen from
  // outside only where the agent said so; but what runs there and, as their units would lie idle,
  // what takes units of a pool must fit at once.
  void CheckLease(const std::string& id, const Agent& agent, planner::TaskKey task) {
    const bool all_hold = backlog_ == 0;
    const bool holds = all_hold || !PoolPart(task).empty();
    for (const auto& [resource, quantity] : AgentPart(task)) {
      const planner::Quantity lease = agent.lease->Get(resource);
      if (lease < quantity) Wrong(absl::StrCat("launched what never fits on agent ", id));
      if (!holds) continue;
      planner::Quantity held;
      for (const auto& [attempt, said] : agent.alive) {
        if (said == Said::kWaits && !all_hold) continue;
        if (all_hold || said == Said::kRuns || !PoolPart(attempt.task()).empty()) {
          held += AgentPart(attempt.task()).Get(resource);
        }
      }
      if (lease < held) {
        Wrong(absl::StrCat("agent ", id, " was sent more than it has ", resource.name(), " for"));
      }
    }
  }

  const planner::ResourceVector pools_;
  const int backlog_;
  std::string problem_;
  size_t pruned_ = 0;
  std::map<planner::GraphId, Graph> graphs_;
  std::map<planner::TaskKey, planner::ResourceVector> consumption_;
  std::map<planner::TaskKey, planner::Constraints> constraints_;  // each that something equals
  std::map<planner::TaskKey, planner::Spread> spread_;
  std::map<planner::TaskKey, std::vector<planner::TaskIndex>> after_;
  std::map<planner::TaskKey, planner::TaskState> ended_;
  std::set<planner::TaskKey> undelivered_;
  std::set<planner::GraphId> undelivered_ends_;
  std::map<planner::AttemptId, Attempt> attempts_;
  std::map<std::string, Agent> agents_;
  planner::ResourceVector pool_used_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_LEDGER_H_
