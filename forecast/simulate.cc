#include "forecast/simulate.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "base/clock.h"
#include "executor/cluster.h"
#include "executor/simulated/simulated_cluster.h"
#include "planner/ids.h"
#include "scheduler/background.h"
#include "scheduler/engine.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/scheduler.h"
#include "scheduler/submission.h"
#include "storage/no_history.h"

namespace kartograph::forecast {
namespace {

constexpr absl::Duration kShortest = absl::Microseconds(1);
// So that a schedule of any length can be counted in microseconds.
constexpr absl::Duration kLongestTogether = absl::Hours(int64_t{24} * 365 * 100000);

absl::Duration Takes(const Task& task) { return std::max(task.takes, kShortest); }

absl::Status CheckDurations(absl::Span<const Graph> graphs) {
  absl::Duration sum;
  for (const Graph& graph : graphs) {
    for (const Task& task : graph.tasks) sum += Takes(task);
  }
  return sum <= kLongestTogether
             ? absl::OkStatus()
             : absl::InvalidArgumentError("the tasks together take more than 100,000 years");
}

scheduler::GraphSubmission Submission(const Graph& graph) {
  scheduler::GraphSubmission submission;
  submission.name = graph.name;
  submission.user = graph.user;
  submission.tasks.reserve(graph.tasks.size());
  for (const Task& task : graph.tasks) {
    scheduler::TaskSubmission& added = submission.tasks.emplace_back();
    added.name = task.name;
    added.consumption = task.consumption;
    added.after = task.after;
    added.priority = task.priority;
    added.expected_duration = task.expected;
  }
  return submission;
}

// One engine on one simulated cluster. Graphs have the ids 1, 2, 3 in the order of their
// submission.
class Simulation {
 public:
  Simulation(absl::Span<const Graph> graphs, const Cluster& cluster, const SimulateOptions& options)
      : cluster_(OnAgents(cluster.agents),
                 [this](planner::AttemptId id) {
                   return executor::SimulatedRun{Takes(TaskOf(id.task()))};
                 }),
        engine_(Options(cluster, options), &history_, &history_, &cluster_, &background_) {
    for (const Graph& graph : graphs) {
      order_.push_back(&graph);
      outcomes_.emplace_back().runs.resize(graph.tasks.size());
    }
    std::stable_sort(order_.begin(), order_.end(),
                     [](const Graph* a, const Graph* b) { return a->submitted < b->submitted; });
    first_ = graphs.data();
  }

  absl::StatusOr<std::vector<Outcome>> Run() {
    if (absl::Status status = engine_.Recover(Now()); !status.ok()) return status;
    absl::Status started = cluster_.Start([this](std::vector<executor::ClusterEvent> events) {
      std::move(events.begin(), events.end(), std::back_inserter(events_));
    });
    if (!started.ok()) return started;
    // The agents are told before the first graph is.
    AdvanceTo(absl::UnixEpoch());
    for (;;) {
      if (!refused_.ok()) return refused_;
      const absl::Time wake = absl::UnixEpoch() + engine_.NextWake().since_zero();
      absl::Time next = std::min(cluster_.NextEventTime(), wake);
      if (submitted_ < order_.size()) {
        next = std::min(next, absl::UnixEpoch() + order_[submitted_]->submitted);
      }
      if (next == absl::InfiniteFuture()) break;
      AdvanceTo(std::max(next, cluster_.now()));
    }
    if (unfinished_ > 0 || !engine_.core().LiveGraphs().empty()) {
      return absl::InternalError("the simulated scheduler came to a standstill");
    }
    return std::move(outcomes_);
  }

 private:
  static executor::SimulatedClusterOptions OnAgents(
      const std::vector<planner::ResourceVector>& agents) {
    executor::SimulatedClusterOptions options;
    options.agents = agents;
    return options;
  }

  static scheduler::SchedulerOptions Options(const Cluster& cluster, const SimulateOptions& given) {
    scheduler::SchedulerOptions options;
    options.pools = cluster.pools;
    options.slice_time = absl::ZeroDuration();  // what happens must not depend on real time
    options.search_schedules = given.search_schedules;
    options.search_tasks = given.search_tasks;
    return options;
  }

  Instant Now() const {
    return {SteadyTime::FromSinceZero(cluster_.now() - absl::UnixEpoch()), cluster_.now()};
  }

  void AdvanceTo(absl::Time time) {
    cluster_.AdvanceTo(time);
    for (const executor::ClusterEvent& event : events_) {
      if (const auto* update = std::get_if<executor::AttemptUpdate>(&event)) Note(*update);
    }
    engine_.OnClusterEvents(std::exchange(events_, {}), Now());
    while (submitted_ < order_.size() &&
           absl::UnixEpoch() + order_[submitted_]->submitted <= cluster_.now()) {
      Submit(*order_[submitted_++]);
    }
    engine_.EndBatch(Now());
  }

  void Submit(const Graph& graph) {
    unfinished_ += static_cast<int64_t>(graph.tasks.size());
    engine_.Apply(
        scheduler::SubmitGraph{"", scheduler::Prepare(Submission(graph), &engine_.usage())}, Now(),
        [this](const absl::StatusOr<scheduler::Reply>& reply) { refused_.Update(reply.status()); });
  }

  void Note(const executor::AttemptUpdate& update) {
    if (update.outcome != planner::Outcome::kSucceeded) return;
    const planner::TaskKey task = update.attempt.task();
    Outcome& outcome = outcomes_[static_cast<size_t>(order_[task.graph() - 1] - first_)];
    forecast::Run& run = outcome.runs[task.index()];
    run.start = update.start_time - absl::UnixEpoch();
    run.end = update.end_time - absl::UnixEpoch();
    run.agent = cluster_.AgentIndex(update.agent);
    outcome.end = std::max(outcome.end, run.end);
    --unfinished_;
  }

  const Task& TaskOf(planner::TaskKey task) const {
    return order_[task.graph() - 1]->tasks[task.index()];
  }

  std::vector<const Graph*> order_;  // as they are submitted
  const Graph* first_ = nullptr;     // as they were given
  size_t submitted_ = 0;
  int64_t unfinished_ = 0;  // tasks of graphs that were submitted
  std::vector<Outcome> outcomes_;
  absl::Status refused_;
  storage::NoHistory history_;
  scheduler::InlineBackground background_;
  executor::SimulatedCluster cluster_;
  scheduler::Engine engine_;
  std::vector<executor::ClusterEvent> events_;
};

}  // namespace

absl::StatusOr<std::vector<Outcome>> Simulate(absl::Span<const Graph> graphs,
                                              const Cluster& cluster,
                                              const SimulateOptions& options) {
  if (absl::Status status = CheckDurations(graphs); !status.ok()) return status;
  return std::make_unique<Simulation>(graphs, cluster, options)->Run();
}

}  // namespace kartograph::forecast
