// The core's state as snapshots.
#include <algorithm>

#include "scheduler/core.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::Quantity;
using planner::ResourceVector;
using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

namespace {

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
  // Counters that fell: the host was restarted.
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

AgentSnapshot AgentSnapshotOf(const Agent& agent) {
  AgentSnapshot snapshot;
  snapshot.agent = agent.id;
  snapshot.name = agent.name;
  snapshot.connected = agent.connected;
  snapshot.capacity = agent.capacity;
  snapshot.used = agent.held;
  snapshot.attempts = static_cast<int>(agent.attempts.size());
  snapshot.attributes = agent.attributes;
  snapshot.unavailable_from = agent.unavailable_from;
  snapshot.unreachable_since = agent.unreachable_since;
  if (agent.set_aside_until) snapshot.set_aside_until = agent.set_aside_until->wall;
  snapshot.failure = agent.failure;
  snapshot.closed = agent.closed;
  if (agent.host) snapshot.host = HostSnapshotOf(*agent.host, agent.host_before);
  return snapshot;
}

// Of more attempts only those of the graph itself are looked at.
constexpr size_t kMostInOutlook = 20000;

}  // namespace

std::vector<GraphId> Core::LiveGraphs() const {
  std::vector<GraphId> ids;
  ids.reserve(graphs_.graphs().size());
  for (const auto& [id, graph] : graphs_.graphs()) ids.push_back(id);
  return ids;
}

std::optional<GraphSnapshot> Core::Graph(GraphId id) const {
  const LiveGraph* graph = FindGraph(id);
  if (graph == nullptr) return std::nullopt;
  return kartograph::scheduler::SnapshotOf(*graph);
}

std::optional<TaskSnapshot> Core::Task(TaskKey key) const {
  const LiveGraph* graph = FindGraph(key.graph());
  if (graph == nullptr || key.index() >= graph->tasks.size()) return std::nullopt;
  const LiveTask& task = graph->tasks[key.index()];
  TaskSnapshot snapshot;
  snapshot.task = key;
  snapshot.state = task.state;
  snapshot.attempts = task.launches - task.attempts_before;
  snapshot.reason = explainer_.InOneLine(*graph, key.index(), SituationNow(), planned_);
  return snapshot;
}

std::optional<Explanation> Core::Explain(TaskKey key, const Instant& now) const {
  const LiveGraph* graph = FindGraph(key.graph());
  if (graph == nullptr || key.index() >= graph->tasks.size()) return std::nullopt;
  return explainer_.Explain(*graph, key.index(), SituationNow(), now);
}

std::optional<EndOutlook> Core::Outlook(GraphId id, size_t max_tasks, const Instant& now) const {
  const LiveGraph* graph = FindGraph(id);
  if (graph == nullptr || graph->open || graph->cancelling()) return std::nullopt;
  if (graph->unfinished > static_cast<int64_t>(max_tasks)) return std::nullopt;
  std::vector<std::pair<planner::AttemptId, Holding>> attempts;
  const auto add = [&](planner::AttemptId attempt, const Attempt& state) {
    if (state.in_backlog()) return;
    const TaskKey task = attempt.task();
    attempts.emplace_back(
        attempt,
        Holding{task.graph() == id ? std::optional(task.index()) : std::nullopt, state.consumption,
                absl::ToInt64Microseconds(reservations_.Remaining(state, now)),
                std::max<int64_t>(0, absl::ToInt64Microseconds(now.wall - state.launch_time))});
  };
  if (attempts_.size() <= kMostInOutlook) {
    attempts_.ForEach(add);
  } else {
    for (TaskIndex i = 0; i < graph->tasks.size(); ++i) {
      if (planner::IsFinal(graph->tasks[i].state)) continue;
      const auto newest = planner::AttemptId::Of(graph->key(i), graph->tasks[i].launches);
      if (const Attempt* attempt = attempts_.Find(newest)) add(newest, *attempt);
    }
  }
  // A hash map's order is arbitrary.
  std::sort(attempts.begin(), attempts.end(),
            [](const auto& a, const auto& b) { return a.first < b.first; });
  std::vector<Holding> holding;
  holding.reserve(attempts.size());
  for (const auto& [attempt, held] : attempts) holding.push_back(held);
  return MakeEndOutlook(*graph, packer_, consumptions_, options_.usage, holding);
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

AttemptSnapshot Core::SnapshotOf(planner::AttemptId id, const Attempt& attempt) const {
  const Agent& agent = agents_[attempt.agent];
  const Unreachable* away = attempt.unreachable();
  return {id,
          agent.id,
          agent.name,
          attempt.running() ? TaskState::kRunning : TaskState::kLaunching,
          attempt.launch_time,
          attempt.start_time(),
          away != nullptr ? away->since.wall : absl::InfiniteFuture(),
          packer_.consumption(attempt.consumption)};
}

std::vector<AttemptSnapshot> Core::Attempts(TaskKey task) const {
  std::vector<AttemptSnapshot> found;
  const LiveGraph* graph = FindGraph(task.graph());
  if (graph == nullptr || task.index() >= graph->tasks.size()) return found;
  const planner::AttemptId newest =
      planner::AttemptId::Of(task, graph->tasks[task.index()].launches);
  if (const Attempt* attempt = attempts_.Find(newest); attempt != nullptr) {
    found.push_back(SnapshotOf(newest, *attempt));
  }
  return found;
}

PoolSnapshot Core::SnapshotOf(const ResourceVector::Entry& pool) const {
  const Quantity free = packer_.pool_free().Get(pool.resource);
  PoolSnapshot snapshot{std::string(pool.resource.name()), pool.quantity, pool.quantity - free, 0};
  packer_.ForEachClass([&](planner::Packer::ClassId id) {
    const Quantity need = packer_.pool_part(id).Get(pool.resource);
    if (!need.is_zero() && need > free) {
      snapshot.waiting_tasks += static_cast<int64_t>(packer_.ready_count(id));
    }
  });
  return snapshot;
}

std::vector<PoolExplanation> Core::Pools(size_t holders, size_t waiting, const Instant& now) const {
  std::vector<PoolExplanation> pools;
  for (const ResourceVector::Entry& pool : packer_.pools()) {
    PoolExplanation& explained = pools.emplace_back();
    explained.pool = SnapshotOf(pool);
    if (auto set = pool_overrides_.find(pool.resource); set != pool_overrides_.end()) {
      explained.set = set->second;
    }
    explained.holders = explainer_.placement().HoldersOf(pool.resource, holders, now);
    const auto first = packer_.First(waiting, [&](planner::Packer::ClassId id, planner::Lane) {
      return !packer_.pool_part(id).Get(pool.resource).is_zero();
    });
    for (const auto& [order, consumption] : first) {
      explained.waiting.push_back(explainer_.placement().Named(order.task));
    }
  }
  std::sort(pools.begin(), pools.end(),
            [](const auto& a, const auto& b) { return a.pool.name < b.pool.name; });
  return pools;
}

bool Core::AppendSlice(GraphId id, size_t limit, GraphSlice* slice) const {
  const LiveGraph* graph = FindGraph(id);
  if (graph == nullptr) return false;
  const size_t end = std::min(graph->tasks.size(), slice->size() + limit);
  for (size_t i = slice->size(); i < end; ++i) {
    const auto index = static_cast<TaskIndex>(i);
    const LiveTask& task = graph->tasks[index];
    // What is launched apart or later waits for something else than what is packed.
    const uint32_t apart = task.delayed ? 3 : task.suspect() ? 2 : task.relocated ? 1 : 0;
    slice->Add(task.state, task.state == TaskState::kReady ? task.consumption << 2 | apart : 0);
    if (task.state != TaskState::kWaiting) continue;
    for (TaskIndex before : graph->predecessors[index]) slice->AddBefore(before);
  }
  return end < graph->tasks.size();
}

ClusterSnapshot Core::Cluster(int max_agents, int max_attempts) const {
  ClusterSnapshot snapshot;
  snapshot.connected = connected_;
  snapshot.disconnect_reason = disconnect_reason_;
  agents_.ForEach([&](AgentTable::Index, const Agent& agent) {
    // An agent that is gone and has nothing left is not shown.
    if (!agent.connected && agent.attempts.empty() && !agent.unreachable_since) return;
    ++snapshot.agent_count;
    if (static_cast<int>(snapshot.agents.size()) >= max_agents) return;
    snapshot.agents.push_back(AgentSnapshotOf(agent));
  });
  for (const ResourceVector::Entry& pool : packer_.pools()) {
    snapshot.pools.push_back(SnapshotOf(pool));
  }
  std::vector<std::pair<absl::Time, planner::AttemptId>> oldest;
  oldest.reserve(attempts_.size());
  attempts_.ForEach([&](planner::AttemptId id, const Attempt& attempt) {
    oldest.emplace_back(attempt.launch_time, id);
  });
  const size_t shown = std::min(oldest.size(), static_cast<size_t>(std::max(max_attempts, 0)));
  std::partial_sort(oldest.begin(), oldest.begin() + static_cast<std::ptrdiff_t>(shown),
                    oldest.end());
  for (size_t i = 0; i < shown; ++i) {
    snapshot.attempts.push_back(SnapshotOf(oldest[i].second, attempts_.At(oldest[i].second)));
  }
  snapshot.counts = graphs_.counts();
  return snapshot;
}

std::vector<ShareSnapshot> Core::Shares() const {
  std::vector<ShareSnapshot> shares;
  double weights = 0;
  for (planner::FairShare::Standing& standing : packer_.shares().Standings()) {
    // The account of the service's own user is always there.
    if (standing.name.empty() && standing.graphs == 0 &&
        standing.average < planner::FairShare::kNegligible) {
      continue;
    }
    if (standing.graphs > 0) weights += standing.weight;
    shares.push_back({std::move(standing)});
  }
  for (ShareSnapshot& share : shares) {
    if (share.standing.graphs > 0) share.due = share.standing.weight / weights;
  }
  return shares;
}

}  // namespace kartograph::scheduler
