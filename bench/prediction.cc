// How well the predicted end of a running graph holds: recorded workflows on the simulated cluster.
//
//   bazel run //bench:prediction -- --data DIR [--noise PERCENT] [--agents N]...
//
// DIR has recorded workflows in WfFormat 1.5. Each is run three times, alone, on agents of 8 cores;
// a task takes as long as it was recorded, times a draw of its own for each run (log-normal, 10 %
// unless told otherwise). Nothing is declared: the first two runs are what the scheduler learns
// from. In the third one the end is predicted at twenty times, from the beginning to near the end,
// and compared with what then comes. The error is the difference from the real end, as a part of
// the time that was really left, and of the whole run.
#include <algorithm>
#include <cmath>
#include <cstdint>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "cli/file_problems.h"
#include "cli/graph_file.h"
#include "cli/plan_graph.h"
#include "executor/simulated/simulated_cluster.h"
#include "forecast/simulate.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/submission.h"
#include "scheduler/testing/simulation.h"
#include "storage/no_history.h"

namespace kartograph {
namespace {

using planner::Quantity;
using planner::Resource;

constexpr int kRuns = 3;
constexpr int kSamples = 20;
constexpr int kCores = 8;
constexpr size_t kMaxTasks = 20000;

struct Errors {
  std::vector<double> of_rest;
  std::vector<double> of_all;
  int unknown = 0;  // times at which nothing was predicted
};

double Median(std::vector<double> values) {
  if (values.empty()) return 0;
  std::sort(values.begin(), values.end());
  return values[values.size() / 2];
}

// Log-normal, the same for the same run and task.
double Draw(int run, uint32_t task, double noise) {
  std::mt19937_64 random((static_cast<uint64_t>(run) << 32) + task);
  const auto uniform = [&] { return (static_cast<double>(random() >> 11) + 1) * 0x1.0p-53; };
  const double normal = std::sqrt(-2 * std::log(uniform())) * std::cos(2 * M_PI * uniform());
  return std::exp(noise * normal);
}

scheduler::GraphSubmission Submission(const forecast::Graph& graph) {
  scheduler::GraphSubmission submission;
  submission.name = graph.name;
  for (const forecast::Task& task : graph.tasks) {
    scheduler::TaskSubmission& added = submission.tasks.emplace_back();
    added.name = task.name;
    added.consumption = task.consumption;
    added.after = task.after;
  }
  return submission;
}

Errors Predict(const forecast::Graph& graph, int agents, double noise) {
  executor::SimulatedClusterOptions cluster_options;
  cluster_options.agents.assign(static_cast<size_t>(agents),
                                {{Resource::Cpu(), Quantity::Of(kCores)}});
  executor::SimulatedCluster cluster(cluster_options, [&](planner::AttemptId id) {
    const planner::TaskIndex task = id.task().index();
    const auto run = static_cast<int>(id.task().graph());
    return executor::SimulatedRun{
        std::max(graph.tasks[task].takes * Draw(run, task, noise), absl::Microseconds(1))};
  });
  storage::NoHistory history;
  scheduler::SchedulerOptions options;
  options.search_schedules = 2000;
  scheduler::Simulation simulation(options, &history, &history, &cluster);
  simulation.AdvanceTo(absl::UnixEpoch());
  Errors errors;
  absl::Duration took;
  for (int run = 1; run <= kRuns; ++run) {
    const absl::Time begin = cluster.now();
    simulation.engine().Apply(
        scheduler::SubmitGraph{"",
                               scheduler::Prepare(Submission(graph), &simulation.engine().usage())},
        simulation.now(), [](const absl::StatusOr<scheduler::Reply>& reply) {
          if (!reply.ok()) std::exit(1);
        });
    simulation.EndBatch();
    std::vector<std::pair<absl::Time, std::optional<absl::Time>>> predicted;
    const auto id = static_cast<planner::GraphId>(run);
    while (simulation.engine().core().IsLive(id)) {
      const auto next = static_cast<double>(predicted.size()) / kSamples;
      if (run == kRuns && predicted.size() < kSamples && cluster.now() - begin >= took * next) {
        const auto outlook = simulation.engine().core().Outlook(id, kMaxTasks, simulation.now());
        predicted.emplace_back(cluster.now(), std::nullopt);
        if (outlook) predicted.back().second = cluster.now() + outlook->ExpectedRemaining();
      }
      if (!simulation.Step()) std::exit(1);
    }
    const absl::Time end = cluster.now();
    took = end - begin;
    for (const auto& [at, prediction] : predicted) {
      if (!prediction) {
        ++errors.unknown;
        continue;
      }
      const absl::Duration off = absl::AbsDuration(*prediction - end);
      errors.of_rest.push_back(absl::FDivDuration(off, end - at));
      errors.of_all.push_back(absl::FDivDuration(off, took));
    }
  }
  return errors;
}

int Main(int argc, char** argv) {
  std::string data;
  std::vector<int> sizes;
  int noise = 10;
  for (int i = 1; i < argc; i += 2) {
    const absl::string_view word = argv[i];
    int number = 0;
    const bool is_number = i + 1 < argc && absl::SimpleAtoi(argv[i + 1], &number) && number >= 0;
    if (word == "--data" && i + 1 < argc) {
      data = argv[i + 1];
    } else if (word == "--agents" && is_number && number > 0) {
      sizes.push_back(number);
    } else if (word == "--noise" && is_number) {
      noise = number;
    } else {
      data.clear();
      break;
    }
  }
  if (data.empty() || !std::filesystem::is_directory(data)) {
    std::fprintf(stderr,
                 "usage: prediction --data DIR [--noise PERCENT] [--agents N]...; DIR has recorded "
                 "workflows in WfFormat\n");
    return 2;
  }
  if (sizes.empty()) sizes = {1, 4, 16};
  std::set<std::string> paths;
  for (const auto& entry : std::filesystem::directory_iterator(data)) {
    if (entry.path().extension() == ".json") paths.insert(entry.path().string());
  }
  std::printf("predicted ends with learnt durations, noise of %d %%: median error\n\n", noise);
  std::printf("%-32s %6s %7s %16s %17s %11s\n", "workflow", "tasks", "agents", "of what was left",
              "of the whole run", "not known");
  std::vector<double> all;
  for (const std::string& path : paths) {
    cli::FileProblems problems;
    const auto file = cli::LoadGraphFile(path, std::nullopt, &problems);
    if (!file) return 1;
    const absl::StatusOr<cli::PlanGraph> plan = cli::MakePlanGraph(*file, {});
    if (!plan.ok()) return 1;
    for (const int agents : sizes) {
      const Errors errors = Predict(plan->graph, agents, noise / 100.0);
      all.insert(all.end(), errors.of_rest.begin(), errors.of_rest.end());
      std::printf("%-32.32s %6zu %7d %14.1f %% %15.1f %% %11d\n", plan->graph.name.c_str(),
                  plan->graph.tasks.size(), agents, 100 * Median(errors.of_rest),
                  100 * Median(errors.of_all), errors.unknown);
      std::fflush(stdout);
    }
  }
  std::printf("\nmedian of all: %.1f %% of what was left; goal: under 10 %%: %s\n",
              100 * Median(all), Median(all) < 0.1 ? "met" : "missed");
  return 0;
}

}  // namespace
}  // namespace kartograph

int main(int argc, char** argv) { return kartograph::Main(argc, argv); }
