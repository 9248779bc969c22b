// What one planning pass costs the scheduler, against tasks, consumptions, users and agents.
//
//   bazel run -c opt //bench:planning_scale -- [--rounds N] [--quick]
//
// A pass is Core::Plan with all that belongs to it: shares, reservations, the launches and their
// records. The cluster is full and everything else is ready; then an attempt ends on each of so
// many agents, and what takes their places is planned. The goals are for 1,000,000 ready tasks of
// 100 consumptions, 100 users and 10,000 agents: at most 10 ms when 100 agents have changed, at
// most 200 ms when all have. Times are those of this thread's cpu, the median of the rounds, so
// that a busy machine changes little.
#include <time.h>

#include <algorithm>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <deque>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "scheduler/core.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/step.h"
#include "scheduler/submission.h"

namespace kartograph {
namespace {

using planner::Quantity;
using planner::Resource;

constexpr int kTasksOfAGraph = 1000;

struct Scale {
  int tasks = 1000000;
  int consumptions = 100;
  int users = 100;
  int agents = 10000;
};

double CpuMs() {
  timespec t;
  clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
  return 1e3 * static_cast<double>(t.tv_sec) + 1e-6 * static_cast<double>(t.tv_nsec);
}

double Median(std::vector<double> samples) {
  std::sort(samples.begin(), samples.end());
  return samples[samples.size() / 2];
}

// The i-th of `n`: cores and memory in all combinations, from small to half an agent.
planner::ResourceVector Consumption(int i, int n) {
  int side = 1;
  while (side * side < n) ++side;
  return {{Resource::Cpu(), Quantity::FromMilli(1000 + 7000 * (i % side) / side)},
          {Resource::Ram(), Quantity::Of(int64_t{1 + 31 * (i / side) / side} << 30)}};
}

class Cluster {
 public:
  explicit Cluster(const Scale& scale) : scale_(scale), core_(scheduler::CoreOptions(), {}) {
    Tell(executor::Connected{});
    for (int i = 0; i < scale.agents; ++i) {
      executor::Offer offer;
      offer.agent = offer.id = absl::StrCat("agent-", i);
      agent_index_[offer.agent] = static_cast<size_t>(i);
      offer.resources = {{Resource::Cpu(), Quantity::Of(16)},
                         {Resource::Ram(), Quantity::Of(int64_t{64} << 30)}};
      offer.lease = true;
      Tell(std::move(offer));
    }
    running_.resize(static_cast<size_t>(scale.agents));
    for (int first = 0, graph = 0; first < scale.tasks; first += kTasksOfAGraph, ++graph) {
      Submit(graph, std::min(kTasksOfAGraph, scale.tasks - first));
    }
    Plan();
  }

  // What a pass takes when an attempt has ended on so many agents; in milliseconds.
  double PlanAfter(int agents) {
    Pass(absl::Seconds(1));
    for (int i = 0; i < agents; ++i) {
      std::deque<planner::AttemptId>& running = running_[next_agent_++ % running_.size()];
      if (running.empty()) continue;
      executor::AttemptUpdate ended;
      ended.attempt = running.front();
      ended.outcome = planner::Outcome::kSucceeded;
      ended.usage.wall_time = absl::Minutes(1);
      running.pop_front();
      Tell(std::move(ended));
    }
    core_.OnTime({now_, step_});
    return Plan();
  }

  size_t ready() const { return core_.ready_tasks(); }
  size_t running() const { return core_.live_attempts(); }
  size_t placed() const { return placed_; }  // by the last pass

 private:
  void Pass(absl::Duration time) {
    now_.steady += time;
    now_.wall += time;
  }

  void Tell(executor::ClusterEvent event) { core_.OnClusterEvent(std::move(event), {now_, step_}); }

  void Submit(int number, int tasks) {
    scheduler::GraphSubmission graph;
    graph.name = absl::StrCat("graph-", number);
    graph.user = absl::StrCat("user", number % scale_.users);
    graph.tasks.resize(static_cast<size_t>(tasks));
    for (int i = 0; i < tasks; ++i) {
      scheduler::TaskSubmission& task = graph.tasks[static_cast<size_t>(i)];
      task.name = absl::StrCat("task-", i);
      task.consumption = Consumption((number + i) % scale_.consumptions, scale_.consumptions);
      task.expected_duration = absl::Seconds(30 + (number * 7 + i * 13) % 600);
    }
    Pass(absl::Milliseconds(1));
    if (!core_.SubmitGraph(scheduler::Prepare(std::move(graph)), {now_, step_}).ok()) std::abort();
    step_.Clear();
  }

  double Plan() {
    const double before = CpuMs();
    core_.Plan({now_, step_});
    const double took = CpuMs() - before;
    placed_ = step_.launches.size();
    for (const executor::Launch& launch : step_.launches) {
      running_[agent_index_.at(launch.agent)].push_back(launch.attempt);
    }
    step_.Clear();
    return took;
  }

  const Scale scale_;
  scheduler::Core core_;
  scheduler::Step step_;
  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(1)), absl::FromUnixSeconds(1700000000)};
  absl::flat_hash_map<std::string, size_t> agent_index_;
  std::vector<std::deque<planner::AttemptId>> running_;  // by agent, oldest first
  size_t next_agent_ = 0;
  size_t placed_ = 0;
};

struct Cost {
  double some_ms = 0;  // 100 agents have changed
  double all_ms = 0;
};

Cost Measure(const Scale& scale, int rounds) {
  Cluster cluster(scale);
  std::vector<double> some;
  std::vector<double> all;
  size_t placed_some = 0;
  size_t placed_all = 0;
  for (int i = 0; i < rounds; ++i) {
    some.push_back(cluster.PlanAfter(std::min(100, scale.agents)));
    placed_some = cluster.placed();
    all.push_back(cluster.PlanAfter(scale.agents));
    placed_all = cluster.placed();
  }
  const Cost cost = {Median(some), Median(all)};
  std::printf("%9d %12d %6d %7d %12.2f %12.2f %11zu %11zu %9zu\n", scale.tasks, scale.consumptions,
              scale.users, scale.agents, cost.some_ms, cost.all_ms, placed_some, placed_all,
              cluster.running());
  std::fflush(stdout);
  return cost;
}

int Main(int argc, char** argv) {
  int rounds = 7;
  bool quick = false;
  for (int i = 1; i < argc; ++i) {
    const std::string word = argv[i];
    if (word == "--quick") {
      quick = true;
    } else if (word == "--rounds" && i + 1 < argc && absl::SimpleAtoi(argv[i + 1], &rounds) &&
               rounds > 0) {
      ++i;
    } else {
      std::fprintf(stderr, "usage: planning_scale [--rounds N] [--quick]\n");
      return 2;
    }
  }
  std::printf("one planning pass, ms of cpu, median of %d\n", rounds);
  std::printf("%9s %12s %6s %7s %12s %12s %11s %11s %9s\n", "tasks", "consumptions", "users",
              "agents", "100 changed", "all changed", "placed", "placed all", "running");
  const Scale goal;
  const Cost cost = Measure(goal, rounds);
  if (!quick) {
    for (int tasks : {100000, 300000}) Measure({.tasks = tasks}, rounds);
    for (int consumptions : {1, 10, 1000}) Measure({.consumptions = consumptions}, rounds);
    for (int users : {1, 10, 1000}) Measure({.users = users}, rounds);
    for (int agents : {100, 1000}) Measure({.agents = agents}, rounds);
  }
  std::printf("\ngoals of the first row: 100 changed, 10 ms: %s; all changed, 200 ms: %s\n",
              cost.some_ms <= 10 ? "met" : "missed", cost.all_ms <= 200 ? "met" : "missed");
  return 0;
}

}  // namespace
}  // namespace kartograph

int main(int argc, char** argv) { return kartograph::Main(argc, argv); }
