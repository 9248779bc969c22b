// The whole scheduler under random graphs, random faults and crashes between any two effects, in
// virtual time, from a seed each. A seed that fails is run again alone with KARTOGRAPH_SEED=N.
#include "scheduler/testing/simulation.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdlib>
#include <map>
#include <random>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "scheduler/testing/memory_history.h"

namespace kartograph::scheduler {
namespace {

using planner::AttemptId;
using planner::GraphId;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

const Resource kDb = Resource::Named("db_connections");
constexpr int64_t kPool = 3;

struct Style {
  bool lease = true;
  int backlog = 0;
  bool latency = false;
  int64_t slice_tasks = 4096;
};

// One seed's world: what is true on the agents is compared with what the history says.
class World {
 public:
  World(uint64_t seed, Style style)
      : random_(seed),
        cluster_(
            Options(seed, style), [this](AttemptId id) { return RunOf(id); },
            [this](AttemptId id, bool begins) { Observe(id, begins); }),
        simulation_(Scheduling(style), &history_, &history_, &cluster_) {}

  void Run() {
    const int graphs = 1 + Below(3);
    for (int i = 0; i < graphs; ++i) Submit();
    int64_t steps = 0;
    while (!AllFinal() || !cluster_.Idle()) {
      ASSERT_LT(++steps, 50000) << "it does not come to an end";
      if (steps == 400) CalmDown();
      if (!calm_) Interfere();
      if (simulation_.Step()) continue;
      if (!calm_) {
        CalmDown();  // an open graph waits for its client; otherwise something always comes next
        continue;
      }
      ASSERT_TRUE(AllFinal() && cluster_.Idle())
          << "nothing will ever happen, but not all is done: " << WhatIsLeft();
    }
    EXPECT_TRUE(running_.empty());
    CheckHistory();
  }

  int restarts() const { return simulation_.restarts(); }
  int lost_agents() const { return cluster_.lost_agents(); }
  int lost_sights() const { return cluster_.lost_sights(); }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(double p) { return static_cast<double>(random_() >> 11) * 0x1.0p-53 < p; }

  static SchedulerOptions Scheduling(Style style) {
    SchedulerOptions options;
    options.pools = ResourceVector{{kDb, Quantity::Of(kPool)}};
    options.slice_tasks = style.slice_tasks;
    return options;
  }

  executor::SimulatedClusterOptions Options(uint64_t seed, Style style) {
    executor::SimulatedClusterOptions options;
    const int agents = 1 + Below(4);
    for (int i = 0; i < agents; ++i) {
      options.agents.push_back({{Resource::Cpu(), Quantity::Of(2 + Below(3))},
                                {Resource::Ram(), Quantity::Of(8 + Below(8))}});
    }
    options.lease = style.lease;
    options.backlog = style.backlog;
    options.tell_capacity = !style.lease && Chance(0.5);
    options.latency = style.latency ? absl::Milliseconds(Below(20)) : absl::ZeroDuration();
    options.seed = seed;
    auto fault = [this](double most) { return Chance(0.5) ? 0.0 : most * Below(100) / 100.0; };
    options.faults.refuse_launch = fault(0.3);
    options.faults.lose_agent = fault(0.05);
    options.faults.lose_sight = fault(0.05);
    options.faults.repeat_update = fault(0.5);
    options.faults.late_update = fault(0.5);
    options.faults.drop_connection = fault(0.05);
    options.faults.rescind_offer = fault(0.3);
    return options;
  }

  executor::SimulatedRun RunOf(AttemptId id) {
    // Drawn from the attempt alone, so that it does not depend on the order of things.
    std::mt19937_64 random(id.value * 0x9E3779B97F4A7C15u);
    executor::SimulatedRun run;
    run.duration =
        absl::Milliseconds(static_cast<int64_t>(random() % (random() % 4 == 0 ? 500 : 5)));
    if (random() % 8 == 0) run.outcome = planner::Outcome::kExited;
    return run;
  }

  void Submit() {
    GraphSubmission graph;
    graph.name = "random";
    graph.fail_fast = Chance(0.2);
    graph.open = Chance(0.2);
    if (Chance(0.5)) graph.client_queue = "client";
    const int tasks = 1 + Below(Chance(0.2) ? 60 : 12);
    for (int i = 0; i < tasks; ++i) graph.tasks.push_back(RandomTask(i));
    const bool open = graph.open;
    const std::string request = absl::StrCat("request-", ++requests_);
    // Repeating a write, as a client does that got no answer, makes no second graph.
    const int repeats = 1 + Below(2);
    for (int i = 0; i < repeats; ++i) {
      simulation_.engine().Apply(SubmitGraph{request, Prepare(graph)}, simulation_.now(),
                                 [this, open](const absl::StatusOr<Reply>& reply) {
                                   if (!reply.ok()) return;
                                   if (open) open_.insert(reply->graph());
                                   submitted_.insert(reply->graph());
                                 });
    }
    simulation_.EndBatch();
  }

  TaskSubmission RandomTask(int index) {
    TaskSubmission task;
    task.name = absl::StrCat("t", index);
    task.payload = absl::StrCat("payload ", index);
    task.consumption.Set(Resource::Cpu(), Quantity::FromMilli(500 * Below(5)));
    if (Chance(0.5)) task.consumption.Set(Resource::Ram(), Quantity::Of(Below(9)));
    if (Chance(0.3)) task.consumption.Set(kDb, Quantity::Of(1 + Below(kPool)));
    for (int k = Below(4); k > 0 && index > 0; --k) {
      task.after.push_back(absl::StrCat("t", Below(index)));
    }
    task.policy.max_attempts = 1 + Below(4);
    task.policy.retry_delay = absl::Milliseconds(Below(200));
    task.priority = Below(3);
    return task;
  }

  void CalmDown() {
    cluster_.StopFaults();
    calm_ = true;
  }

  // What clients and bad luck do.
  void Interfere() {
    Engine& engine = simulation_.engine();
    const Instant now = simulation_.now();
    const Done nobody_cares = [](const absl::StatusOr<Reply>&) {};
    if (Chance(0.02)) simulation_.crashing().CrashAfter(1 + Below(20));
    if (Chance(0.01)) {
      history_.FailCommits(1 + Below(3), absl::ResourceExhaustedError("the disk is full"));
    }
    if (Chance(0.01) && !submitted_.empty()) {
      engine.Apply(CancelGraph{"", *submitted_.begin()}, now, nobody_cares);
    }
    if (Chance(0.02) && !submitted_.empty()) {
      engine.Apply(CancelTask{"", *submitted_.rbegin(), absl::StrCat("t", Below(10))}, now,
                   nobody_cares);
    }
    if (Chance(0.03) && !submitted_.empty()) {
      engine.Apply(RetryGraph{"", *submitted_.begin()}, now, nobody_cares);
    }
    if (Chance(0.1) && !open_.empty()) {
      TaskSubmission task = RandomTask(1000 + ++added_);
      task.after = {"t0"};
      engine.Apply(AddTask{"", *open_.begin(), std::move(task)}, now, nobody_cares);
    }
    if (Chance(0.1)) {
      engine.Apply(PopFinished{"client", std::exchange(to_acknowledge_, {}), 10, 1000, now.steady},
                   now, [this](const absl::StatusOr<Reply>& reply) {
                     if (!reply.ok()) return;
                     for (const storage::Finished& f : reply->finished) {
                       to_acknowledge_.push_back(f.delivery_id);
                       EXPECT_TRUE(planner::IsFinal(f.ended.state));
                     }
                   });
    }
    simulation_.EndBatch();
  }

  // The ground truth, at the moment a process begins or ends.
  void Observe(AttemptId id, bool begins) {
    const TaskKey key = id.task();
    const ResourceVector& consumption = history_.task(key).submitted.consumption;
    if (!begins) {
      EXPECT_EQ(running_.erase(key), 1u);
      pool_used_ -= consumption.Get(kDb);
      return;
    }
    EXPECT_TRUE(running_.insert(key).second) << "two attempts of one task at once";
    EXPECT_TRUE(started_.insert(id).second) << "an attempt was started twice";
    pool_used_ += consumption.Get(kDb);
    EXPECT_LE(pool_used_, Quantity::Of(kPool)) << "the pool is over its capacity";
    const MemoryHistory::Task& task = history_.task(key);
    EXPECT_TRUE(task.attempts.contains(id.number())) << "a launch that is not written down";
    EXPECT_FALSE(task.ended && task.ended->state == TaskState::kSucceeded)
        << "run again after it succeeded";
    for (TaskIndex before : task.submitted.after) {
      const auto& ended = history_.task(TaskKey::Of(key.graph(), before)).ended;
      EXPECT_TRUE(ended && ended->state == TaskState::kSucceeded) << "begun before its time";
    }
  }

  bool AllFinal() {
    if (calm_ && !open_.empty()) {
      // A close that a failing disk refused is asked for again.
      for (GraphId id : std::set<GraphId>(open_)) {
        simulation_.engine().Apply(CloseGraph{"", id}, simulation_.now(),
                                   [this, id](const absl::StatusOr<Reply>& closed) {
                                     if (closed.ok()) open_.erase(id);
                                   });
      }
      simulation_.EndBatch();
    }
    for (const auto& [id, graph] : history_.graphs()) {
      if (graph.state.state == planner::GraphState::kRunning) return false;
    }
    return open_.empty();
  }

  std::string WhatIsLeft() {
    std::string text =
        absl::StrCat("cluster idle ", cluster_.Idle(), ", open graphs ", open_.size());
    for (GraphId id : simulation_.engine().core().LiveGraphs()) {
      for (const TaskSnapshot& task : simulation_.engine().core().Tasks(id, 0, 100, {})) {
        if (planner::IsFinal(task.state)) continue;
        absl::StrAppend(&text, "\n", planner::GraphIdToString(id), " t", task.task.index(), " ",
                        planner::ToString(task.state).data(), ": ", task.reason);
      }
    }
    return text;
  }

  void CheckHistory() {
    for (const auto& [id, graph] : history_.graphs()) {
      bool failed = false;
      bool cancelled = false;
      for (const MemoryHistory::Task& task : graph.tasks) {
        ASSERT_TRUE(task.ended) << "a task was lost";
        failed |= task.ended->state == TaskState::kFailed;
        cancelled |= task.ended->state == TaskState::kCancelled;
        int succeeded = 0;
        for (const auto& [number, attempt] : task.attempts) {
          ASSERT_TRUE(attempt.second) << "an attempt has no end";
          succeeded += attempt.second->outcome == planner::Outcome::kSucceeded ? 1 : 0;
        }
        EXPECT_EQ(succeeded, task.ended->state == TaskState::kSucceeded ? 1 : 0);
      }
      EXPECT_EQ(graph.state.state, failed      ? planner::GraphState::kFailed
                                   : cancelled ? planner::GraphState::kCancelled
                                               : planner::GraphState::kSucceeded);
    }
  }

  std::mt19937_64 random_;
  MemoryHistory history_;
  executor::SimulatedCluster cluster_;
  Simulation simulation_;
  std::set<GraphId> submitted_;
  std::set<GraphId> open_;
  std::set<TaskKey> running_;
  std::set<AttemptId> started_;
  std::vector<int64_t> to_acknowledge_;
  Quantity pool_used_;
  bool calm_ = false;
  int requests_ = 0;
  int added_ = 0;
};

void RunSeeds(uint64_t first, uint64_t count, Style style) {
  uint64_t only = 0;
  const char* chosen = std::getenv("KARTOGRAPH_SEED");
  const bool alone = chosen != nullptr && absl::SimpleAtoi(chosen, &only);
  int restarts = 0;
  int lost_agents = 0;
  int lost_sights = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    if (alone && seed != only) continue;
    SCOPED_TRACE(absl::StrCat("KARTOGRAPH_SEED=", seed));
    World world(seed, style);
    world.Run();
    restarts += world.restarts();
    lost_agents += world.lost_agents();
    lost_sights += world.lost_sights();
    if (::testing::Test::HasFailure()) return;
  }
  if (alone) return;
  // The faults must really have happened.
  EXPECT_GT(restarts, static_cast<int>(count) / 20);
  EXPECT_GT(lost_agents, static_cast<int>(count) / 20);
  EXPECT_GT(lost_sights, static_cast<int>(count) / 20);
}

// Sanitizers make it many times slower.
#ifdef KARTOGRAPH_SANITIZED
constexpr uint64_t kSeeds = 300;
#else
constexpr uint64_t kSeeds = 3000;
#endif

TEST(SimulationTest, LeasesSurviveFaultsAndCrashes) { RunSeeds(0, kSeeds, {true, 0, false}); }
TEST(SimulationTest, LeasesWithLatencySurviveFaultsAndCrashes) {
  RunSeeds(100000, kSeeds, {true, 0, true});
}
TEST(SimulationTest, BacklogsSurviveFaultsAndCrashes) {
  RunSeeds(200000, kSeeds, {true, 50, true});
}
// Every graph is submitted, made ready, cancelled, skipped and reset over several commits.
TEST(SimulationTest, WorkInSlicesSurvivesFaultsAndCrashes) {
  RunSeeds(400000, kSeeds, {.lease = true, .backlog = 2, .latency = true, .slice_tasks = 3});
}
TEST(SimulationTest, OffersSurviveFaultsAndCrashes) { RunSeeds(300000, kSeeds, {false, 0, true}); }

}  // namespace
}  // namespace kartograph::scheduler
