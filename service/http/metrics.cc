#include "service/http/metrics.h"

#include <map>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_join.h"
#include "absl/strings/str_replace.h"
#include "executor/memory_limits.h"
#include "planner/states.h"
#include "service/http/metric_family.h"

namespace kartograph::service {
namespace {

using Families = std::vector<std::string>;
using Labels = MetricFamily::Labels;

MetricFamily Gauge(absl::string_view name, absl::string_view help) {
  return MetricFamily::Gauge(name, help);
}
MetricFamily Counter(absl::string_view name, absl::string_view help) {
  return MetricFamily::Counter(name, help);
}

// Label values are lower case with underscores: out_of_memory.
std::string LabelOf(absl::string_view words) { return absl::StrReplaceAll(words, {{" ", "_"}}); }

void AddTasks(const MetricsInput& input, Families& families) {
  MetricFamily tasks =
      Gauge("kartograph_tasks", "Tasks of all graphs that have not ended, by state.");
  for (int i = 1; i < planner::kTaskStates; ++i) {
    tasks.Add(static_cast<double>(input.cluster.counts.by_state[i]),
              {{"state", LabelOf(planner::ToString(static_cast<planner::TaskState>(i)))}});
  }
  families.push_back(tasks.Take());
  families.push_back(Gauge("kartograph_graphs_live", "Graphs that have not ended.")
                         .Add(static_cast<double>(input.live_graphs))
                         .Take());
}

void AddTotals(const scheduler::Totals& totals, Families& families) {
  families.push_back(Counter("kartograph_attempts_launched_total", "Attempts launched.")
                         .Add(static_cast<double>(totals.launched))
                         .Take());
  MetricFamily ended = Counter("kartograph_attempts_ended_total", "Attempts ended, by outcome.");
  for (size_t i = 1; i < totals.ended_by_outcome.size(); ++i) {
    ended.Add(static_cast<double>(totals.ended_by_outcome[i]),
              {{"outcome", LabelOf(planner::ToString(static_cast<planner::Outcome>(i)))}});
  }
  families.push_back(ended.Take());
  families.push_back(Counter("kartograph_commits_total", "Transactions of the run history.")
                         .Add(static_cast<double>(totals.commits))
                         .Take());
  families.push_back(Counter("kartograph_records_total", "Records written to the run history.")
                         .Add(static_cast<double>(totals.records))
                         .Take());
  families.push_back(
      Counter("kartograph_commit_seconds_total", "Time spent writing the run history.")
          .Add(absl::ToDoubleSeconds(totals.commit_time))
          .Take());
  families.push_back(Counter("kartograph_plan_seconds_total", "Time spent planning.")
                         .Add(absl::ToDoubleSeconds(totals.plan_time))
                         .Take());
  families.push_back(Gauge("kartograph_mailbox_high_water",
                           "Most events that have waited for the scheduler at once.")
                         .Add(static_cast<double>(totals.mailbox_high_water))
                         .Take());
}

void AddCluster(const scheduler::ClusterSnapshot& cluster, Families& families) {
  families.push_back(Gauge("kartograph_cluster_connected", "1 while the cluster is connected.")
                         .Add(cluster.connected ? 1 : 0)
                         .Take());
  int64_t connected = 0, by_kernel = 0, by_measuring = 0;
  std::map<std::string, std::pair<double, double>> resources;  // capacity, used
  for (const scheduler::AgentSnapshot& agent : cluster.agents) {
    if (agent.connected) {
      ++connected;
      for (const auto& [name, value] : agent.attributes) {
        if (name != executor::kMemoryLimits) continue;
        if (value == executor::kKeptByKernel) ++by_kernel;
        if (absl::StartsWith(value, executor::kKeptByMeasuring)) ++by_measuring;
      }
    }
    for (const auto& entry : agent.capacity) {
      resources[std::string(entry.resource.name())].first += entry.quantity.units();
    }
    for (const auto& entry : agent.used) {
      resources[std::string(entry.resource.name())].second += entry.quantity.units();
    }
  }
  families.push_back(
      Gauge("kartograph_agents", "Agents, by whether they are connected.")
          .Add(static_cast<double>(connected), {{"connected", "true"}})
          .Add(static_cast<double>(cluster.agent_count - connected), {{"connected", "false"}})
          .Take());
  families.push_back(
      Gauge("kartograph_agent_memory_limits",
            "Connected agents that say by what they keep the declared ram of attempts.")
          .Add(static_cast<double>(by_kernel), {{"kept_by", "kernel"}})
          .Add(static_cast<double>(by_measuring), {{"kept_by", "measuring"}})
          .Take());
  MetricFamily capacity =
      Gauge("kartograph_agent_resource_capacity", "What all agents together have of a resource.");
  MetricFamily used =
      Gauge("kartograph_agent_resource_used", "What attempts hold of it on all agents together.");
  for (const auto& [name, quantities] : resources) {
    capacity.Add(quantities.first, {{"resource", name}});
    used.Add(quantities.second, {{"resource", name}});
  }
  families.push_back(capacity.Take());
  families.push_back(used.Take());

  MetricFamily pool_capacity = Gauge("kartograph_pool_capacity", "Units a pool has.");
  MetricFamily pool_used = Gauge("kartograph_pool_used", "Units of a pool that attempts hold.");
  MetricFamily pool_waiting =
      Gauge("kartograph_pool_waiting_tasks", "Ready tasks that wait for the pool.");
  for (const scheduler::PoolSnapshot& pool : cluster.pools) {
    const Labels labels = {{"pool", pool.name}};
    pool_capacity.Add(pool.capacity.units(), labels);
    pool_used.Add(pool.used.units(), labels);
    pool_waiting.Add(static_cast<double>(pool.waiting_tasks), labels);
  }
  families.push_back(pool_capacity.Take());
  families.push_back(pool_used.Take());
  families.push_back(pool_waiting.Take());
}

}  // namespace

std::string MetricsText(const MetricsInput& input) {
  Families families;
  families.push_back(Gauge("kartograph_build_info", "1, with the version as a label.")
                         .Add(1, {{"version", input.version}})
                         .Take());
  families.push_back(
      Gauge("process_start_time_seconds", "When the service started, in seconds since 1970.")
          .Add(absl::ToDoubleSeconds(input.start_time - absl::UnixEpoch()))
          .Take());
  families.push_back(Gauge("kartograph_history_writable",
                           "0 while the run history cannot be written, so that nothing is accepted "
                           "or launched.")
                         .Add(input.history_writable ? 1 : 0)
                         .Take());
  AddTasks(input, families);
  AddTotals(input.totals, families);
  AddCluster(input.cluster, families);
  return absl::StrJoin(families, "");
}

}  // namespace kartograph::service
