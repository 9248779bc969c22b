// Recorded workflows of several users at once: Kartograph's planner against other orders on the
// same simulated cluster.
//
//   bazel run //bench:packing -- --data DIR [--agents N]... [--seeds N]
//
// DIR has recorded workflows in WfFormat 1.5. Each kind of task is given cores, memory and, one
// kind in eight, a database connection by a draw that depends on its name alone, as most records
// have none. A task takes as long as it was recorded; schedulers know the median of its kind in its
// workflow. Agents have 4 cores and 16 GiB. Five users submit half, a fifth and so on of the
// workflows at random times in the first third of the time that all work takes at least.
//
//   kartograph     the scheduler as a service runs it
//   greedy         the same without the search for better orders
//   fifo           first-in first-out: graphs as they were submitted, tasks as in their file; what
//   fits
//                  nowhere is passed over
//   critical path  the longest remaining path first, whosever it is
//   tetris         for each agent with room the tasks whose consumption is aligned best with what
//   is free
//                  (Grandl and others, SIGCOMM 2014, "Multi-resource packing for cluster
//                  schedulers")
//
// Mean completion: of graphs, from their submission to their end. Slowdown: that over what the
// graph would take at best alone on the cluster; a user's is the mean of the graphs, and the worst
// user's is shown.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <functional>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/string_view.h"
#include "cli/file_problems.h"
#include "cli/graph_file.h"
#include "cli/plan_graph.h"
#include "executor/simulated/simulated_cluster.h"
#include "forecast/simulate.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/task_kind.h"

namespace kartograph {
namespace {

using forecast::Cluster;
using forecast::Graph;
using forecast::Outcome;
using forecast::Task;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using planner::TaskIndex;

constexpr int kCores = 4;
constexpr int64_t kRam = int64_t{16} << 30;
constexpr double kUserParts[] = {0.5, 0.2, 0.15, 0.1, 0.05};
constexpr double kSecondsOfWork = 6000;  // that all cores have at least
constexpr size_t kFewestGraphs = 20;

Resource Pool() { return Resource::Named("db_connections"); }

// --- what is run ---

// The same in every process (FNV-1a).
uint64_t Hash(absl::string_view text) {
  uint64_t hash = 14695981039346656037u;
  for (const char c : text) hash = (hash ^ static_cast<uint8_t>(c)) * 1099511628211u;
  return hash ^ hash >> 29;
}

ResourceVector ConsumptionOf(absl::string_view kind) {
  static constexpr int kCpu[] = {1, 1, 1, 1, 2, 2, 4, 4};
  static constexpr int kGib[] = {1, 1, 2, 2, 4, 4, 8, 16};
  const uint64_t hash = Hash(kind);
  ResourceVector consumption = {{Resource::Cpu(), Quantity::Of(kCpu[hash % 8])},
                                {Resource::Ram(), Quantity::Of(int64_t{kGib[hash / 8 % 8]} << 30)}};
  if (hash / 64 % 8 == 0) consumption.Set(Pool(), Quantity::Of(1));
  return consumption;
}

std::vector<Graph> ReadWorkflows(const std::string& folder) {
  std::vector<Graph> graphs;
  std::set<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(folder)) {
    if (entry.path().extension() == ".json") paths.insert(entry.path().string());
  }
  for (const std::string& path : paths) {
    cli::FileProblems problems;
    const std::optional<cli::GraphFile> file = cli::LoadGraphFile(path, std::nullopt, &problems);
    if (!file) {
      std::fprintf(stderr, "%s", problems.ToString(path).c_str());
      std::exit(1);
    }
    absl::StatusOr<cli::PlanGraph> plan = cli::MakePlanGraph(*file, {});
    if (!plan.ok()) std::exit(1);
    std::map<std::string, std::vector<absl::Duration>> by_kind;
    for (const Task& task : plan->graph.tasks) {
      by_kind[planner::NamePattern(task.name)].push_back(task.takes);
    }
    for (auto& [kind, durations] : by_kind) std::sort(durations.begin(), durations.end());
    for (Task& task : plan->graph.tasks) {
      const std::string kind = planner::NamePattern(task.name);
      task.consumption = ConsumptionOf(kind);
      task.expected =
          std::max(by_kind[kind][by_kind[kind].size() / 2], absl::Duration(absl::Milliseconds(1)));
    }
    graphs.push_back(std::move(plan->graph));
  }
  return graphs;
}

double CoreSeconds(const Graph& graph) {
  double sum = 0;
  for (const Task& task : graph.tasks) {
    sum += task.consumption.Get(Resource::Cpu()).units() * absl::ToDoubleSeconds(task.takes);
  }
  return sum;
}

struct Workload {
  std::vector<Graph> graphs;
  Cluster cluster;
};

Workload MakeWorkload(const std::vector<Graph>& workflows, int agents, uint64_t seed) {
  Workload workload;
  workload.cluster.agents.assign(
      static_cast<size_t>(agents),
      {{Resource::Cpu(), Quantity::Of(kCores)}, {Resource::Ram(), Quantity::Of(kRam)}});
  workload.cluster.pools.Set(Pool(), Quantity::Of(2 + agents / 2));
  std::mt19937_64 random(seed);
  const double cores = static_cast<double>(agents) * kCores;
  double work = 0;
  while (work < kSecondsOfWork * cores || workload.graphs.size() < kFewestGraphs) {
    workload.graphs.push_back(workflows[random() % workflows.size()]);
    work += CoreSeconds(workload.graphs.back());
  }
  const double window = work / cores / 3;
  for (Graph& graph : workload.graphs) {
    const auto draw = [&random] { return static_cast<double>(random() >> 11) * 0x1.0p-53; };
    double left = draw();
    size_t user = 0;
    while (user + 1 < std::size(kUserParts) && left >= kUserParts[user]) left -= kUserParts[user++];
    graph.user = absl::StrCat("user", user);
    graph.submitted = absl::Milliseconds(static_cast<int64_t>(1000 * window * draw()));
  }
  return workload;
}

// --- other orders ---

// By task: the longest path from its start to the end of its graph, by what is expected.
std::vector<absl::Duration> RemainingPaths(const Graph& graph,
                                           const std::vector<std::vector<TaskIndex>>& next) {
  std::vector<absl::Duration> paths(graph.tasks.size(), absl::ZeroDuration());
  std::vector<int> left(graph.tasks.size());
  std::vector<std::vector<TaskIndex>> before(graph.tasks.size());
  std::vector<TaskIndex> ends;
  for (TaskIndex i = 0; i < next.size(); ++i) {
    left[i] = static_cast<int>(next[i].size());
    for (TaskIndex n : next[i]) before[n].push_back(i);
    if (left[i] == 0) ends.push_back(i);
  }
  while (!ends.empty()) {
    const TaskIndex i = ends.back();
    ends.pop_back();
    paths[i] += graph.tasks[i].expected;
    for (TaskIndex b : before[i]) {
      paths[b] = std::max(paths[b], paths[i]);
      if (--left[b] == 0) ends.push_back(b);
    }
  }
  return paths;
}

enum class Order { kFifo, kCriticalPath, kTetris };

// Places ready tasks with what it gets from the same simulated cluster: by an order of tasks, each
// on the first agent with room; or by alignment, for each agent with room in turn.
class GreedyScheduler {
 public:
  GreedyScheduler(const Workload& workload, Order order)
      : workload_(workload),
        by_alignment_(order == Order::kTetris),
        pool_free_(workload.cluster.pools),
        cluster_(Options(workload), [this](planner::AttemptId id) {
          const planner::TaskKey key = id.task();
          return executor::SimulatedRun{TaskOf(key).takes};
        }) {
    for (const ResourceVector& agent : workload.cluster.agents) free_.push_back(agent);
    for (size_t g = 0; g < workload.graphs.size(); ++g) AddGraph(g, order);
    std::sort(coming_.begin(), coming_.end());
  }

  std::vector<Outcome> Run() {
    (void)cluster_.Start([this](std::vector<executor::ClusterEvent> events) {
      for (const executor::ClusterEvent& event : events) {
        const auto* update = std::get_if<executor::AttemptUpdate>(&event);
        if (update != nullptr && update->outcome != planner::Outcome::kNone) OnEnd(*update);
      }
    });
    cluster_.AdvanceTo(absl::UnixEpoch());
    size_t come = 0;
    for (;;) {
      absl::Time next = cluster_.NextEventTime();
      if (come < coming_.size()) next = std::min(next, coming_[come].first);
      if (next == absl::InfiniteFuture()) break;
      cluster_.AdvanceTo(std::max(next, cluster_.now()));
      for (; come < coming_.size() && coming_[come].first <= cluster_.now(); ++come) {
        const size_t g = coming_[come].second;
        for (TaskIndex i = 0; i < states_[g].waits_for.size(); ++i) {
          if (states_[g].waits_for[i] == 0) AddReady(g, i);
        }
      }
      by_alignment_ ? PlaceByAlignment() : PlaceInOrder();
    }
    return std::move(outcomes_);
  }

 private:
  struct State {
    std::vector<std::vector<TaskIndex>> next;
    std::vector<int> waits_for;
    std::vector<size_t> consumption;
    std::vector<int64_t> key;  // less is first
  };
  struct Ready {
    int64_t key;
    size_t graph;
    TaskIndex task;
    auto operator<=>(const Ready&) const = default;
  };
  struct Consumption {
    ResourceVector agent_part;
    ResourceVector pool_part;
    std::set<Ready> ready;
    std::set<uint32_t> agents;  // that may have room
  };

  static executor::SimulatedClusterOptions Options(const Workload& workload) {
    executor::SimulatedClusterOptions options;
    options.agents = workload.cluster.agents;
    return options;
  }

  const Task& TaskOf(planner::TaskKey key) const {
    return workload_.graphs[key.graph() - 1].tasks[key.index()];
  }

  void AddGraph(size_t g, Order order) {
    const Graph& graph = workload_.graphs[g];
    State& state = states_.emplace_back();
    outcomes_.emplace_back().runs.resize(graph.tasks.size());
    coming_.emplace_back(absl::UnixEpoch() + graph.submitted, g);
    absl::flat_hash_map<absl::string_view, TaskIndex> index;
    for (TaskIndex i = 0; i < graph.tasks.size(); ++i) index[graph.tasks[i].name] = i;
    state.next.resize(graph.tasks.size());
    for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
      state.waits_for.push_back(static_cast<int>(graph.tasks[i].after.size()));
      for (const std::string& before : graph.tasks[i].after) {
        state.next[index.at(before)].push_back(i);
      }
      state.consumption.push_back(Intern(graph.tasks[i].consumption));
    }
    if (order == Order::kCriticalPath) {
      for (absl::Duration path : RemainingPaths(graph, state.next)) {
        state.key.push_back(-absl::ToInt64Microseconds(path));
      }
    } else {
      state.key.assign(graph.tasks.size(), absl::ToInt64Microseconds(graph.submitted));
    }
  }

  size_t Intern(const ResourceVector& whole) {
    const auto [it, added] = index_.try_emplace(whole, consumptions_.size());
    if (added) {
      Consumption& c = consumptions_.emplace_back();
      for (const ResourceVector::Entry& entry : whole) {
        const bool pool = !workload_.cluster.pools.Get(entry.resource).is_zero();
        (pool ? c.pool_part : c.agent_part).Set(entry.resource, entry.quantity);
      }
      for (uint32_t a = 0; a < workload_.cluster.agents.size(); ++a) c.agents.insert(a);
    }
    return it->second;
  }

  void AddReady(size_t g, TaskIndex task) {
    consumptions_[states_[g].consumption[task]].ready.insert({states_[g].key[task], g, task});
  }

  void OnEnd(const executor::AttemptUpdate& update) {
    const planner::TaskKey key = update.attempt.task();
    const size_t g = key.graph() - 1;
    const uint32_t agent = cluster_.AgentIndex(update.agent);
    const Consumption& c = consumptions_[states_[g].consumption[key.index()]];
    free_[agent] += c.agent_part;
    pool_free_ += c.pool_part;
    for (Consumption& other : consumptions_) other.agents.insert(agent);
    Outcome& outcome = outcomes_[g];
    outcome.runs[key.index()] = {update.start_time - absl::UnixEpoch(),
                                 update.end_time - absl::UnixEpoch(), agent};
    outcome.end = std::max(outcome.end, outcome.runs[key.index()].end);
    for (TaskIndex next : states_[g].next[key.index()]) {
      if (--states_[g].waits_for[next] == 0) AddReady(g, next);
    }
    cluster_.Acknowledge({update.attempt});
  }

  void Place(Consumption& c, uint32_t agent) {
    const Ready first = *c.ready.begin();
    c.ready.erase(c.ready.begin());
    free_[agent] -= c.agent_part;
    pool_free_ -= c.pool_part;
    executor::Launch launch;
    launch.attempt = planner::AttemptId::Of(
        planner::TaskKey::Of(static_cast<planner::GraphId>(first.graph + 1), first.task), 1);
    launch.agent = absl::StrCat("agent-", agent);
    launch.consumption = c.agent_part;
    cluster_.Execute({std::move(launch)});
  }

  // The first agent with room for it; nothing where there is none.
  std::optional<uint32_t> FirstFit(Consumption& c) {
    while (!c.agents.empty()) {
      const uint32_t agent = *c.agents.begin();
      if (c.agent_part.FitsIn(free_[agent])) return agent;
      c.agents.erase(c.agents.begin());
    }
    return std::nullopt;
  }

  void PlaceInOrder() {
    std::set<std::pair<Ready, size_t>> heads;
    for (size_t i = 0; i < consumptions_.size(); ++i) {
      if (!consumptions_[i].ready.empty()) heads.emplace(*consumptions_[i].ready.begin(), i);
    }
    while (!heads.empty()) {
      const size_t i = heads.begin()->second;
      heads.erase(heads.begin());
      Consumption& c = consumptions_[i];
      if (!c.pool_part.FitsIn(pool_free_)) continue;
      const std::optional<uint32_t> agent = FirstFit(c);
      if (!agent) continue;
      Place(c, *agent);
      if (!c.ready.empty()) heads.emplace(*c.ready.begin(), i);
    }
  }

  double Alignment(const Consumption& c, uint32_t agent) const {
    double sum = 0;
    for (const ResourceVector::Entry& entry : c.agent_part) {
      const double capacity = workload_.cluster.agents[agent].Get(entry.resource).units();
      sum +=
          entry.quantity.units() / capacity * free_[agent].Get(entry.resource).units() / capacity;
    }
    return sum;
  }

  void PlaceByAlignment() {
    std::set<uint32_t> agents;
    for (const Consumption& c : consumptions_) {
      if (!c.ready.empty()) agents.insert(c.agents.begin(), c.agents.end());
    }
    for (const uint32_t agent : agents) {
      for (;;) {
        Consumption* best = nullptr;
        double best_alignment = -1;
        for (Consumption& c : consumptions_) {
          if (c.ready.empty() || !c.agents.contains(agent)) continue;
          if (!c.agent_part.FitsIn(free_[agent])) {
            c.agents.erase(agent);
            continue;
          }
          if (!c.pool_part.FitsIn(pool_free_)) continue;
          if (const double alignment = Alignment(c, agent); alignment > best_alignment) {
            best = &c;
            best_alignment = alignment;
          }
        }
        if (best == nullptr) break;
        Place(*best, agent);
      }
    }
  }

  const Workload& workload_;
  const bool by_alignment_;
  std::vector<State> states_;
  std::vector<Outcome> outcomes_;
  std::vector<std::pair<absl::Time, size_t>> coming_;
  absl::flat_hash_map<ResourceVector, size_t> index_;
  std::vector<Consumption> consumptions_;
  std::vector<ResourceVector> free_;
  ResourceVector pool_free_;
  executor::SimulatedCluster cluster_;
};

// --- what comes of it ---

struct Result {
  double makespan = 0;
  double completion = 0;
  double slowdown = 0;
  double utilization = 0;
};

Result Evaluate(const Workload& workload, const std::vector<Outcome>& outcomes) {
  Result result;
  double work = 0;
  std::map<std::string, std::pair<double, int>> users;
  const double cores = kCores * static_cast<double>(workload.cluster.agents.size());
  for (size_t g = 0; g < workload.graphs.size(); ++g) {
    const Graph& graph = workload.graphs[g];
    result.makespan = std::max(result.makespan, absl::ToDoubleSeconds(outcomes[g].end));
    const double took = absl::ToDoubleSeconds(outcomes[g].end - graph.submitted);
    result.completion += took / static_cast<double>(workload.graphs.size());
    // The longest path, or all work on all cores.
    absl::flat_hash_map<absl::string_view, double> ends;
    double alone = CoreSeconds(graph) / cores;
    work += CoreSeconds(graph);
    std::function<double(const Task&)> end_of;
    absl::flat_hash_map<absl::string_view, const Task*> by_name;
    for (const Task& task : graph.tasks) by_name[task.name] = &task;
    end_of = [&](const Task& task) -> double {
      if (auto it = ends.find(task.name); it != ends.end()) return it->second;
      double start = 0;
      for (const std::string& before : task.after) {
        start = std::max(start, end_of(*by_name.at(before)));
      }
      return ends[task.name] = start + absl::ToDoubleSeconds(task.takes);
    };
    for (const Task& task : graph.tasks) alone = std::max(alone, end_of(task));
    auto& [sum, count] = users[graph.user];
    sum += took / alone;
    ++count;
  }
  for (const auto& [name, user] : users) {
    result.slowdown = std::max(result.slowdown, user.first / user.second);
  }
  result.utilization = work / cores / result.makespan;
  return result;
}

std::vector<Outcome> RunKartograph(const Workload& workload, bool search) {
  forecast::SimulateOptions options;
  if (!search) options.search_schedules = 0;
  auto outcomes = forecast::Simulate(workload.graphs, workload.cluster, options);
  if (!outcomes.ok()) {
    std::fprintf(stderr, "%s\n", outcomes.status().ToString().c_str());
    std::exit(1);
  }
  return *std::move(outcomes);
}

struct Planner {
  const char* name;
  std::function<std::vector<Outcome>(const Workload&)> run;
};

// Whatever an order does, no agent and no pool may be over its capacity.
void CheckCapacity(const Workload& workload, const std::vector<Outcome>& outcomes) {
  struct Change {
    absl::Duration time;
    bool begins;
    size_t graph;
    TaskIndex task;
  };
  std::vector<Change> changes;
  for (size_t g = 0; g < outcomes.size(); ++g) {
    for (TaskIndex i = 0; i < outcomes[g].runs.size(); ++i) {
      changes.push_back({outcomes[g].runs[i].start, true, g, i});
      changes.push_back({outcomes[g].runs[i].end, false, g, i});
    }
  }
  std::sort(changes.begin(), changes.end(), [](const Change& a, const Change& b) {
    return a.time != b.time ? a.time < b.time : a.begins < b.begins;
  });
  std::vector<ResourceVector> free = workload.cluster.agents;
  ResourceVector pool_free = workload.cluster.pools;
  for (const Change& change : changes) {
    const Quantity connections =
        workload.graphs[change.graph].tasks[change.task].consumption.Get(Pool());
    ResourceVector agent_part = workload.graphs[change.graph].tasks[change.task].consumption;
    agent_part.Set(Pool(), Quantity());
    ResourceVector& agent = free[outcomes[change.graph].runs[change.task].agent];
    const ResourceVector pool_part = {{Pool(), connections}};
    if (change.begins) {
      agent -= agent_part;
      pool_free -= pool_part;
    } else {
      agent += agent_part;
      pool_free += pool_part;
    }
    if (agent.HasNegative() || pool_free.HasNegative()) {
      std::fprintf(stderr, "over capacity\n");
      std::exit(1);
    }
  }
}

int Main(int argc, char** argv) {
  std::string data;
  std::vector<int> sizes;
  int seeds = 3;
  for (int i = 1; i < argc; i += 2) {
    const absl::string_view word = argv[i];
    int number = 0;
    const bool is_number = i + 1 < argc && absl::SimpleAtoi(argv[i + 1], &number) && number > 0;
    if (word == "--data" && i + 1 < argc) {
      data = argv[i + 1];
    } else if (word == "--agents" && is_number) {
      sizes.push_back(number);
    } else if (word == "--seeds" && is_number) {
      seeds = number;
    } else {
      data.clear();
      break;
    }
  }
  if (data.empty() || !std::filesystem::is_directory(data)) {
    std::fprintf(stderr,
                 "usage: packing --data DIR [--agents N]... [--seeds N]; DIR has recorded "
                 "workflows in WfFormat\n");
    return 2;
  }
  if (sizes.empty()) sizes = {4, 10, 30, 100, 300, 1000};
  const auto greedy = [](Order order) {
    return [order](const Workload& workload) {
      return std::make_unique<GreedyScheduler>(workload, order)->Run();
    };
  };
  const std::vector<Planner> planners = {
      {"kartograph", [](const Workload& w) { return RunKartograph(w, true); }},
      {"greedy", [](const Workload& w) { return RunKartograph(w, false); }},
      {"fifo", greedy(Order::kFifo)},
      {"critical path", greedy(Order::kCriticalPath)},
      {"tetris", greedy(Order::kTetris)}};
  const std::vector<Graph> workflows = ReadWorkflows(data);
  std::printf("%zu recorded workflows; means of %d workloads; times in seconds of virtual time\n\n",
              workflows.size(), seeds);
  std::printf("%7s %7s %8s  %-14s %10s %16s %16s %12s\n", "agents", "graphs", "tasks", "planner",
              "makespan", "mean completion", "worst slowdown", "utilization");
  bool met = true;
  for (const int agents : sizes) {
    std::vector<Result> mean(planners.size());
    std::vector<double> longer(planners.size(),
                               0);  // the most, of a workload, than the critical path
    size_t graphs = 0;
    size_t tasks = 0;
    for (int seed = 1; seed <= seeds; ++seed) {
      const Workload workload = MakeWorkload(workflows, agents, static_cast<uint64_t>(seed));
      graphs += workload.graphs.size();
      for (const Graph& graph : workload.graphs) tasks += graph.tasks.size();
      std::vector<Result> results;
      for (const Planner& planner : planners) {
        const std::vector<Outcome> outcomes = planner.run(workload);
        CheckCapacity(workload, outcomes);
        results.push_back(Evaluate(workload, outcomes));
      }
      for (size_t p = 0; p < planners.size(); ++p) {
        mean[p].makespan += results[p].makespan / seeds;
        mean[p].completion += results[p].completion / seeds;
        mean[p].slowdown += results[p].slowdown / seeds;
        mean[p].utilization += results[p].utilization / seeds;
        longer[p] = std::max(longer[p], results[p].makespan / results[3].makespan);
      }
    }
    for (size_t p = 0; p < planners.size(); ++p) {
      std::printf("%7d %7zu %8zu  %-14s %10.0f %8.0f x %5.2f %8.1f x %5.2f %10.0f %%\n", agents,
                  graphs / static_cast<size_t>(seeds), tasks / static_cast<size_t>(seeds),
                  planners[p].name, mean[p].makespan, mean[p].completion,
                  mean[p].completion / mean[2].completion, mean[p].slowdown,
                  mean[p].slowdown / mean[2].slowdown, 100 * mean[p].utilization);
    }
    const bool completion = mean[0].completion <= 0.8 * mean[2].completion;
    const bool makespan = longer[0] <= 1.01;
    const bool slowdown = mean[0].slowdown <= 0.5 * mean[2].slowdown;
    std::printf(
        "        goals: completion x 0.80: %s; makespan at most x 1.01 of the critical path's: "
        "%s (x %.3f at most); slowdown x 0.50: %s\n\n",
        completion ? "met" : "missed", makespan ? "met" : "missed", longer[0],
        slowdown ? "met" : "missed");
    std::fflush(stdout);
    met = met && completion && makespan && slowdown;
  }
  std::printf("(x: to fifo) all goals %s\n", met ? "met" : "not met");
  return 0;
}

}  // namespace
}  // namespace kartograph

int main(int argc, char** argv) { return kartograph::Main(argc, argv); }
