// What the core tells of itself, and why a task is not running.
#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_join.h"
#include "scheduler/core.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::Quantity;
using planner::ResourceVector;
using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

namespace {

std::string FormatQuantity(const ResourceVector::Entry& entry, Quantity quantity) {
  return entry.resource == planner::Resource::Ram() ? planner::FormatBytes(quantity)
                                                    : quantity.ToString();
}

HostSnapshot HostSnapshotOf(const executor::HostReport& last,
                            const std::optional<executor::HostReport>& before) {
  HostSnapshot host{last, std::nullopt, std::nullopt, std::nullopt};
  if (!before || last.time <= before->time) return host;
  const auto cpu = [](const executor::HostReport& report) {
    return report.cpu_user + report.cpu_system + report.cpu_idle + report.cpu_wait;
  };
  const absl::Duration busy =
      last.cpu_user + last.cpu_system - before->cpu_user - before->cpu_system;
  const absl::Duration all = cpu(last) - cpu(*before);
  // Counters that fell: the host was started anew.
  if (busy < absl::ZeroDuration() || all <= absl::ZeroDuration() ||
      last.received_bytes < before->received_bytes || last.sent_bytes < before->sent_bytes) {
    return host;
  }
  const double seconds = absl::ToDoubleSeconds(last.time - before->time);
  host.cpu_busy = std::min(absl::FDivDuration(busy, all), 1.0);
  host.received_per_second =
      static_cast<double>(last.received_bytes - before->received_bytes) / seconds;
  host.sent_per_second = static_cast<double>(last.sent_bytes - before->sent_bytes) / seconds;
  return host;
}

std::string Utc(absl::Time time) {
  return absl::FormatTime("%Y-%m-%dT%H:%M:%SZ", time, absl::UTCTimeZone());
}

}  // namespace

std::vector<GraphId> Core::LiveGraphs() const {
  std::vector<GraphId> ids;
  ids.reserve(graphs_.size());
  for (const auto& [id, graph] : graphs_) ids.push_back(id);
  return ids;
}

std::optional<GraphSnapshot> Core::Graph(GraphId id) const {
  const LiveGraph* graph = FindGraph(id);
  if (graph == nullptr) return std::nullopt;
  GraphSnapshot snapshot;
  snapshot.graph = id;
  snapshot.name = graph->name;
  snapshot.client_queue = graph->client_queue;
  snapshot.fail_fast = graph->fail_fast;
  snapshot.open = graph->open;
  snapshot.counts = graph->counts;
  snapshot.submit_time = graph->submit_time;
  return snapshot;
}

std::optional<TaskSnapshot> Core::Task(TaskKey key) const {
  const LiveGraph* graph = FindGraph(key.graph());
  if (graph == nullptr || key.index() >= graph->tasks.size()) return std::nullopt;
  const LiveTask& task = graph->tasks[key.index()];
  TaskSnapshot snapshot;
  snapshot.task = key;
  snapshot.state = task.state;
  snapshot.attempts = task.launches - task.attempts_before;
  snapshot.reason = WhyNotRunning(*graph, key.index());
  return snapshot;
}

std::vector<TaskSnapshot> Core::Tasks(GraphId id, TaskIndex from, int limit,
                                      absl::Span<const TaskState> states) const {
  std::vector<TaskSnapshot> found;
  const LiveGraph* graph = FindGraph(id);
  if (graph == nullptr) return found;
  for (TaskIndex i = from; i < graph->tasks.size() && static_cast<int>(found.size()) < limit; ++i) {
    const TaskState state = graph->tasks[i].state;
    if (states.empty() || std::find(states.begin(), states.end(), state) != states.end()) {
      found.push_back(*Task(graph->key(i)));
    }
  }
  return found;
}

AgentSnapshot Core::SnapshotOf(const Agent& agent) const {
  AgentSnapshot snapshot{agent.id,         agent.name,   agent.connected,
                         agent.capacity,   agent.held,   agent.attempts,
                         agent.attributes, std::nullopt, agent.unavailable_from};
  if (agent.host) snapshot.host = HostSnapshotOf(*agent.host, agent.host_before);
  return snapshot;
}

AttemptSnapshot Core::SnapshotOf(planner::AttemptId id, const Attempt& attempt) const {
  const Agent& agent = agents_[attempt.agent];
  return {id,
          agent.id,
          agent.name,
          attempt.running ? TaskState::kRunning : TaskState::kLaunching,
          attempt.launch_time,
          attempt.start_time,
          attempt.unreachable_since ? attempt.unreachable_since->wall : absl::InfiniteFuture(),
          packer_.consumption(attempt.consumption)};
}

std::vector<AttemptSnapshot> Core::Attempts(TaskKey task) const {
  std::vector<AttemptSnapshot> found;
  const LiveGraph* graph = FindGraph(task.graph());
  if (graph == nullptr || task.index() >= graph->tasks.size()) return found;
  const planner::AttemptId newest =
      planner::AttemptId::Of(task, graph->tasks[task.index()].launches);
  if (auto it = attempts_.find(newest); it != attempts_.end()) {
    found.push_back(SnapshotOf(newest, it->second));
  }
  return found;
}

ClusterSnapshot Core::Cluster(int max_agents, int max_attempts) const {
  ClusterSnapshot snapshot;
  snapshot.connected = connected_;
  snapshot.disconnect_reason = disconnect_reason_;
  for (const Agent& agent : agents_) {
    // An agent that is gone and has nothing left is history.
    if (!agent.connected && agent.attempts == 0) continue;
    ++snapshot.agent_count;
    if (static_cast<int>(snapshot.agents.size()) >= max_agents) continue;
    snapshot.agents.push_back(SnapshotOf(agent));
  }
  for (const ResourceVector::Entry& pool : options_.pools) {
    PoolSnapshot p{std::string(pool.resource.name()), pool.quantity,
                   pool.quantity - packer_.pool_free().Get(pool.resource), 0};
    for (planner::Packer::ClassId id = 0; id < packer_.class_count(); ++id) {
      const Quantity need = packer_.pool_part(id).Get(pool.resource);
      if (!need.is_zero() && need > packer_.pool_free().Get(pool.resource)) {
        p.waiting_tasks += static_cast<int64_t>(packer_.ready_count(id));
      }
    }
    snapshot.pools.push_back(std::move(p));
  }
  std::vector<std::pair<absl::Time, planner::AttemptId>> oldest;
  oldest.reserve(attempts_.size());
  for (const auto& [id, attempt] : attempts_) oldest.emplace_back(attempt.launch_time, id);
  const size_t shown = std::min(oldest.size(), static_cast<size_t>(std::max(max_attempts, 0)));
  std::partial_sort(oldest.begin(), oldest.begin() + static_cast<std::ptrdiff_t>(shown),
                    oldest.end());
  for (size_t i = 0; i < shown; ++i) {
    snapshot.attempts.push_back(SnapshotOf(oldest[i].second, attempts_.at(oldest[i].second)));
  }
  snapshot.counts = counts_;
  return snapshot;
}

std::string Core::WhyNotRunning(const LiveGraph& graph, TaskIndex index) const {
  const LiveTask& task = graph.tasks[index];
  switch (task.state) {
    case TaskState::kWaiting: {
      if (task.pending == 0) return "is about to become ready";
      constexpr size_t kNamed = 3;
      std::vector<std::string> names;
      for (TaskIndex before : graph.predecessors[index]) {
        if (graph.tasks[before].state == TaskState::kSucceeded) continue;
        names.push_back(absl::StrCat("\"", graph.task_name(before), "\""));
        if (names.size() == kNamed) break;
      }
      const size_t more = task.pending > names.size() ? task.pending - names.size() : 0;
      return absl::StrCat("waits for ", absl::StrJoin(names, ", "),
                          more > 0 ? absl::StrCat(" and ", more, " more") : "");
    }
    case TaskState::kReady: {
      if (auto it = delayed_until_.find(graph.key(index)); it != delayed_until_.end()) {
        return absl::StrCat(
            "waits until ", Utc(it->second.wall),
            task.spent > 0 ? absl::StrCat(" to be tried again (attempt ", task.spent + 1, " of ",
                                          graph.policies[task.policy].max_attempts, ")")
                           : " to be launched again");
      }
      if (!launching_) return "the service is stopping and launches nothing";
      return WhyNotPlaced(task.consumption);
    }
    case TaskState::kLaunching: {
      if (!connected_) return "its cluster is not connected; what became of it is not known yet";
      if (std::string why = Unreachable(graph, index); !why.empty()) return why;
      auto it = attempts_.find(planner::AttemptId::Of(graph.key(index), task.launches));
      if (it != attempts_.end() && !it->second.holds) {
        return absl::StrCat("waits on agent ", agents_[it->second.agent].name, " for its turn");
      }
      return task.cancelling ? "is being cancelled" : "is being started";
    }
    case TaskState::kRunning:
      if (std::string why = Unreachable(graph, index); !why.empty()) return why;
      return task.cancelling ? "is being cancelled" : "";
    default:
      return "";
  }
}

// Empty where its attempt can be reached, or has not been said to be out of reach.
std::string Core::Unreachable(const LiveGraph& graph, TaskIndex index) const {
  if (unreachable_attempts_ == 0) return "";
  const LiveTask& task = graph.tasks[index];
  auto it = attempts_.find(planner::AttemptId::Of(graph.key(index), task.launches));
  if (it == attempts_.end() || !it->second.unreachable_since) return "";
  return absl::StrCat(task.cancelling ? "is being cancelled; " : "",
                      "its agent cannot be reached since ", Utc(it->second.unreachable_since->wall),
                      "; whether it runs is not known");
}

// An agent on which there is room, but not time enough; nullptr where another has both.
const Core::Agent* Core::FitsButForMaintenance(planner::Packer::ClassId id) const {
  if (leaving_.empty()) return nullptr;
  const Agent* leaving = nullptr;
  for (const Agent& agent : agents_) {
    ResourceVector free = agent.capacity;
    free -= agent.held;
    if (!agent.connected || !packer_.agent_part(id).FitsIn(free)) continue;
    if (agent.leaves - planned_ >= ExpectedWallTime(id)) return nullptr;
    if (leaving == nullptr) leaving = &agent;
  }
  return leaving;
}

std::string Core::WhyNotPlaced(planner::Packer::ClassId id) const {
  const ResourceVector& agent_part = packer_.agent_part(id);
  const ResourceVector& pool_part = packer_.pool_part(id);
  for (const ResourceVector::Entry& entry : pool_part) {
    const Quantity capacity = options_.pools.Get(entry.resource);
    const Quantity free = packer_.pool_free().Get(entry.resource);
    if (entry.quantity > capacity) {
      return absl::StrCat("can never run: it needs ", entry.quantity.ToString(), " of pool ",
                          entry.resource.name(), ", which holds ", capacity.ToString());
    }
    if (entry.quantity > free) {
      return absl::StrCat("waits for pool ", entry.resource.name(), ": needs ",
                          entry.quantity.ToString(), ", ", free.ToString(), " of ",
                          capacity.ToString(), " free");
    }
  }
  if (!connected_) {
    return absl::StrCat("waits for the cluster: it is not connected",
                        disconnect_reason_.empty() ? "" : ": ", disconnect_reason_);
  }
  if (!agent_seen_) return "waits for the cluster: it has offered nothing yet";
  bool feasible = false;
  for (const Agent& agent : agents_) feasible |= agent_part.FitsIn(agent.most);
  for (const ResourceVector::Entry& entry : agent_part) {
    const Quantity largest = largest_seen_.Get(entry.resource);
    if (!feasible && entry.quantity > largest) {
      return absl::StrCat("can never run as things are: it needs ", entry.resource.name(), "=",
                          FormatQuantity(entry, entry.quantity),
                          ", and no agent ever had more than ", FormatQuantity(entry, largest));
    }
  }
  if (!feasible) {
    return absl::StrCat("can never run as things are: no single agent has ", agent_part.ToString(),
                        " together");
  }
  if (const Agent* leaving = FitsButForMaintenance(id); leaving != nullptr) {
    return absl::StrCat("waits for another agent: ", leaving->name,
                        " is about to be taken away for maintenance at ",
                        Utc(leaving->unavailable_from), ", and this is expected to run for ",
                        absl::FormatDuration(absl::Trunc(ExpectedWallTime(id), absl::Seconds(1))));
  }
  for (const ResourceVector::Entry& entry : agent_part) {
    Quantity most_free;
    for (const Agent& agent : agents_) {
      if (!agent.connected) continue;
      const Quantity free = agent.capacity.Get(entry.resource) - agent.held.Get(entry.resource);
      most_free = std::max(most_free, free);
    }
    if (entry.quantity > most_free) {
      return absl::StrCat("waits for ", entry.resource.name(), ": needs ",
                          FormatQuantity(entry, entry.quantity), ", no agent has more than ",
                          FormatQuantity(entry, most_free), " free");
    }
  }
  return absl::StrCat(leases_ ? "waits for an agent with " : "waits for an offer of an agent with ",
                      agent_part.ToString(), " free together");
}

}  // namespace kartograph::scheduler
