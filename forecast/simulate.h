// What would happen: graphs on a cluster, run by the scheduler itself in virtual time.
#ifndef KARTOGRAPH_FORECAST_SIMULATE_H_
#define KARTOGRAPH_FORECAST_SIMULATE_H_

#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "planner/resources.h"

namespace kartograph::forecast {

struct Task {
  std::string name;
  planner::ResourceVector consumption;
  std::vector<std::string> after;  // names of tasks of the same graph
  int32_t priority = 0;
  // What the scheduler is told that it takes; zero: nothing.
  absl::Duration expected;
  // What it really takes; less than a microsecond counts as one.
  absl::Duration takes;
};

struct Graph {
  std::string name;
  std::vector<Task> tasks;
  std::string user{};
  absl::Duration submitted{};  // after the beginning
};

struct Cluster {
  std::vector<planner::ResourceVector> agents;
  planner::ResourceVector pools;
};

struct SimulateOptions {
  // As in scheduler::SchedulerOptions; by default those that a service has.
  int64_t search_schedules = 2000;
  size_t search_tasks = 3000;
};

// Where and when a task ran, from the beginning on.
struct Run {
  absl::Duration start;
  absl::Duration end;
  uint32_t agent = 0;  // among those of the cluster
};

// Of one graph.
struct Outcome {
  std::vector<Run> runs;  // by task
  absl::Duration end;     // of its last task, from the beginning on
};

// Runs the graphs to their end: every task succeeds at its first attempt, and what is not simulated
// takes no time (starting processes, messages, the history on disk). Deterministic, one thread;
// takes some ten microseconds for a task, and what the search for better orders takes.
//
// InvalidArgument, with planner::Problems: what the scheduler refuses of the graphs, such as a task
// that fits nowhere. InvalidArgument without: all tasks together take too long to count.
absl::StatusOr<std::vector<Outcome>> Simulate(absl::Span<const Graph> graphs,
                                              const Cluster& cluster,
                                              const SimulateOptions& options = {});

}  // namespace kartograph::forecast

#endif  // KARTOGRAPH_FORECAST_SIMULATE_H_
