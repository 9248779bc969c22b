#include "scheduler/explainer.h"

#include <algorithm>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"

namespace kartograph::scheduler {

using planner::Quantity;
using planner::ResourceVector;
using planner::TaskIndex;
using planner::TaskState;

namespace {

constexpr absl::string_view kFreeAtOnce = " free at once";
constexpr absl::string_view kKeptFree = ", which is kept free for a task that is launched alone";

// What keeps tasks off agents on which there is room.
class Obstacle {
 public:
  void See(const Agent& agent, bool there) {
    if (!there) {
      passable_ = true;
    } else if (agent_ == nullptr) {
      agent_ = &agent;
    }
  }
  // The first agent that has it, where no other one would do.
  const Agent* everywhere() const { return passable_ ? nullptr : agent_; }

 private:
  const Agent* agent_ = nullptr;
  bool passable_ = false;
};

std::string FormatQuantity(const ResourceVector::Entry& entry, Quantity quantity) {
  return entry.resource == planner::Resource::Ram() ? planner::FormatBytes(quantity)
                                                    : quantity.ToString();
}

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace

std::string Explainer::WhyNotRunning(const LiveGraph& graph, TaskIndex index,
                                     const Situation& situation) const {
  const LiveTask& task = graph.tasks[index];
  switch (task.state) {
    case TaskState::kWaiting:
      return WhyNotReady(graph, index);
    case TaskState::kReady:
      return WhyNotLaunched(graph, index, situation);
    case TaskState::kLaunching: {
      if (!situation.connected) {
        return "its cluster is not connected; what became of it is not known yet";
      }
      if (std::string why = WhyOutOfReach(graph, index); !why.empty()) return why;
      const Attempt* attempt =
          parts_.attempts->Find(planner::AttemptId::Of(graph.key(index), task.launches));
      if (attempt != nullptr && attempt->in_backlog()) {
        return absl::StrCat("waits on agent ", (*parts_.agents)[attempt->agent].name,
                            " for its turn");
      }
      return task.cancelling ? "is being cancelled" : "is being started";
    }
    case TaskState::kRunning:
      if (std::string why = WhyOutOfReach(graph, index); !why.empty()) return why;
      return task.cancelling ? "is being cancelled" : "";
    default:
      return "";
  }
}

std::string Explainer::WhyNotReady(const LiveGraph& graph, TaskIndex index) const {
  if (graph.tasks[index].pending == 0) return "is about to become ready";
  constexpr size_t kNamed = 3;
  std::vector<std::string> names;
  for (TaskIndex before : graph.predecessors[index]) {
    if (graph.tasks[before].state == TaskState::kSucceeded) continue;
    names.push_back(absl::StrCat("\"", graph.task_name(before), "\""));
    if (names.size() == kNamed) break;
  }
  const size_t pending = graph.tasks[index].pending;
  const size_t more = pending > names.size() ? pending - names.size() : 0;
  return absl::StrCat("waits for ", absl::StrJoin(names, ", "),
                      more > 0 ? absl::StrCat(" and ", more, " more") : "");
}

std::string Explainer::WhyNotLaunched(const LiveGraph& graph, TaskIndex index,
                                      const Situation& situation) const {
  const LiveTask& task = graph.tasks[index];
  if (const Instant* until = parts_.graphs->DelayedUntil(graph.key(index)); until != nullptr) {
    return absl::StrCat(
        "waits until ", Utc(until->wall),
        task.spent > 0 ? absl::StrCat(" to be tried again (attempt ", task.spent + 1, " of ",
                                      graph.policy(index).max_attempts,
                                      task.attempts_before > 0 ? " since it was retried)" : ")")
                       : " to be launched again");
  }
  if (!situation.launching) return "the service is stopping and launches nothing";
  std::string why = WhyNotPlaced(task.consumption, situation);
  const auto& reserved = parts_.reservations->agents();
  if (auto it = reserved.find(task.consumption);
      it != reserved.end() && it->second.task.task == graph.key(index)) {
    absl::StrAppend(&why, "; agent ", (*parts_.agents)[it->second.agent].name, " is kept for it");
  }
  if (task.relocated) {
    return absl::StrCat("its program could not be started on agent ",
                        parts_.agents->NameOf(parts_.graphs->avoided_agent(graph.key(index))),
                        ", so it waits for another one; ", why);
  }
  if (!task.suspect()) return why;
  // There is room, but beside others, or where they are about to end for its sake.
  if (absl::EndsWith(why, kFreeAtOnce) || absl::EndsWith(why, kKeptFree)) {
    why = "waits for an agent that runs nothing else";
  }
  return absl::StrCat("is launched alone, as its agent was lost with it ", task.losses, " times; ",
                      why);
}

// Empty where its attempt has not been reported as unreachable.
std::string Explainer::WhyOutOfReach(const LiveGraph& graph, TaskIndex index) const {
  if (parts_.attempts->unreachable_count() == 0) return "";
  const LiveTask& task = graph.tasks[index];
  const Attempt* attempt =
      parts_.attempts->Find(planner::AttemptId::Of(graph.key(index), task.launches));
  if (attempt == nullptr || attempt->unreachable() == nullptr) return "";
  return absl::StrCat(task.cancelling ? "is being cancelled; " : "",
                      "its agent cannot be reached since ", Utc(attempt->unreachable()->since.wall),
                      "; whether it runs is not known");
}

std::string Explainer::WhyNotPlaced(planner::Packer::ClassId id, const Situation& situation) const {
  auto [it, is_new] = not_placed_.try_emplace(id);
  if (is_new) {
    ++looks_;
    it->second = WhyNoPool(id);
    if (it->second.empty()) it->second = WhyNoAgent(id, situation);
  }
  return it->second;
}

std::string Explainer::WhyNoPool(planner::Packer::ClassId id) const {
  for (const ResourceVector::Entry& entry : parts_.packer->pool_part(id)) {
    const Quantity capacity = parts_.packer->pools().Get(entry.resource);
    const Quantity free = parts_.packer->pool_free().Get(entry.resource);
    if (entry.quantity > capacity) {
      return absl::StrCat("can never run: it needs ", entry.quantity.ToString(), " of pool ",
                          entry.resource.name(), ", which holds ", capacity.ToString());
    }
    if (entry.quantity > free) {
      // A pool that was made smaller may be used over its capacity for a while.
      const std::string state =
          free < Quantity()
              ? absl::StrCat((capacity - free).ToString(), " of ", capacity.ToString(), " in use")
              : absl::StrCat(free.ToString(), " of ", capacity.ToString(), " free");
      return absl::StrCat("waits for pool ", entry.resource.name(), ": needs ",
                          entry.quantity.ToString(), ", ", state);
    }
  }
  const std::optional<Reservations::PoolReservation>& kept = parts_.reservations->pools();
  if (!kept || kept->consumption == id) return "";
  for (const ResourceVector::Entry& entry : parts_.packer->pool_part(kept->consumption)) {
    const Quantity need = parts_.packer->pool_part(id).Get(entry.resource);
    const Quantity free = parts_.packer->pool_free().Get(entry.resource);
    if (need.is_zero() || free - need >= entry.quantity) continue;
    return absl::StrCat("waits for pool ", entry.resource.name(), ": ", free.ToString(), " of ",
                        parts_.packer->pools().Get(entry.resource).ToString(),
                        " free, but kept for ", NameOf(kept->task.task), ", which goes first");
  }
  return "";
}

std::string Explainer::NameOf(planner::TaskKey task) const {
  const LiveGraph* graph = parts_.graphs->Find(task.graph());
  if (graph == nullptr) return "another task";
  return absl::StrCat("\"", graph->task_name(task.index()), "\" of ",
                      planner::GraphIdToString(graph->id));
}

std::string Explainer::WhyNoAgent(planner::Packer::ClassId id, const Situation& situation) const {
  const AgentTable& agents = *parts_.agents;
  const ResourceVector& need = parts_.packer->agent_part(id);
  if (!situation.connected) {
    return absl::StrCat("waits for the cluster: it is not connected",
                        situation.disconnect_reason->empty() ? "" : ": ",
                        *situation.disconnect_reason);
  }
  if (!agents.anybody_seen()) return "waits for the cluster: it has offered nothing yet";
  if (!agents.EverFits(need)) {
    for (const ResourceVector::Entry& entry : need) {
      const Quantity largest = agents.largest_seen().Get(entry.resource);
      if (entry.quantity <= largest) continue;
      return absl::StrCat("can never run as things are: it needs ", entry.resource.name(), "=",
                          FormatQuantity(entry, entry.quantity),
                          ", and no agent ever had more than ", FormatQuantity(entry, largest));
    }
    return absl::StrCat("can never run as things are: no single agent has ", need.ToString(),
                        " together");
  }
  const absl::Duration expected = parts_.consumptions->ExpectedWallTime(id);
  Obstacle failing, leaving, full, reserved, kept;
  AgentTable::Index kept_agent = 0;
  agents.ForEach([&](AgentTable::Index index, const Agent& agent) {
    if (!agent.connected) return;
    if (need.FitsIn(agent.capacity)) failing.See(agent, agent.failures > 0);
    ResourceVector free = agent.capacity;
    free -= agent.held;
    if (!need.FitsIn(free)) return;
    full.See(agent, agent.holding >= agents.slots_per_agent());
    leaving.See(agent, agent.leaves - situation.planned < expected);
    reserved.See(agent, agent.reserved);
    const bool is_kept = parts_.packer->is_reserved(index);
    if (is_kept) kept_agent = index;
    kept.See(agent, is_kept);
  });
  if (const Agent* agent = failing.everywhere()) {
    return absl::StrCat(
        "waits for agent ", agent->name, ", which could not start an attempt: ", agent->failure,
        agent->set_aside_until
            ? absl::StrCat("; it is tried again at ", Utc(agent->set_aside_until->wall))
            : "; one attempt is tried at a time");
  }
  if (const Agent* agent = leaving.everywhere()) {
    return absl::StrCat("waits for another agent: ", agent->name,
                        " is about to be taken away for maintenance at ",
                        Utc(agent->unavailable_from), ", and this is expected to run for ",
                        absl::FormatDuration(absl::Trunc(expected, absl::Seconds(1))));
  }
  if (const Agent* agent = full.everywhere()) {
    return absl::StrCat("waits for a slot: agent ", agent->name, " runs ", agent->holding,
                        " attempts, as many as it may (kartographd --slots)");
  }
  if (const Agent* agent = reserved.everywhere()) return WhyReserved(*agent);
  if (kept.everywhere() != nullptr) {
    for (const auto& [consumption, reservation] : parts_.reservations->agents()) {
      if (reservation.agent != kept_agent || consumption == id) continue;
      return absl::StrCat("waits for agent ", agents[kept_agent].name, ", which is kept for ",
                          NameOf(reservation.task.task), ", as that goes first");
    }
  }
  for (const ResourceVector::Entry& entry : need) {
    Quantity most_free;
    agents.ForEach([&](AgentTable::Index, const Agent& agent) {
      if (!agent.connected) return;
      const Quantity free = agent.capacity.Get(entry.resource) - agent.held.Get(entry.resource);
      most_free = std::max(most_free, free);
    });
    if (entry.quantity > most_free) {
      return absl::StrCat("waits for ", entry.resource.name(), ": needs ",
                          FormatQuantity(entry, entry.quantity), ", no agent has more than ",
                          FormatQuantity(entry, most_free), " free");
    }
  }
  return absl::StrCat(
      agents.leases() ? "waits for an agent with " : "waits for an offer of an agent with ",
      need.ToString(), kFreeAtOnce);
}

std::string Explainer::WhyReserved(const Agent& agent) const {
  for (const planner::AttemptId id : agent.attempts) {
    const Attempt* attempt = parts_.attempts->Find(id);
    const LiveGraph* graph = parts_.graphs->Find(id.task().graph());
    if (attempt == nullptr || !attempt->alone || graph == nullptr) continue;
    return absl::StrCat(
        "waits for agent ", agent.name, ", where \"", graph->task_name(id.task().index()), "\" of ",
        planner::GraphIdToString(graph->id), " runs alone, as its agent was lost with it before");
  }
  return absl::StrCat("waits for agent ", agent.name, kKeptFree);
}

}  // namespace kartograph::scheduler
