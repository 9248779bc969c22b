// The whole scheduler under random graphs, random faults and crashes between any two effects, in
// virtual time, from a seed each. A seed that fails is run again alone with KARTOGRAPH_SEED=N.
#include "scheduler/testing/simulation.h"

#include <gtest/gtest.h>
#include <sqlite3.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <map>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "scheduler/testing/ledger.h"
#include "scheduler/testing/ledger_history.h"
#include "scheduler/testing/memory_history.h"
#include "storage/open_history.h"
#include "storage/testing/fault_file_system.h"
#include "storage/testing/history_fixture.h"

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
  bool sqlite = false;  // a real history, on a disk that loses what was not synced in each crash
  int64_t slice_tasks = 4096;
};

// What the scheduler remembers, and what a crash leaves of it.
class Memory {
 public:
  Memory(Ledger* ledger, bool sqlite, uint64_t seed)
      : history_(ledger), random_(static_cast<uint32_t>(seed)) {
    if (sqlite) {
      disk_ = std::make_unique<Disk>();
      OpenDisk();
    } else {
      history_.Open(&memory_, &memory_);
    }
  }
  LedgerHistory* history() { return &history_; }

  // The next commits fail.
  void FailCommits(int commits) {
    const absl::Status full = absl::ResourceExhaustedError("the disk is full");
    if (!disk_) return memory_.FailCommits(commits, full);
    disk_->files.FailWrites(SQLITE_FULL, ENOSPC);
  }
  void Heal() {
    if (disk_) disk_->files.Heal();
  }
  void AfterCrash() {
    if (!disk_) return;
    auto next = std::make_unique<Disk>();
    disk_->files.CutPower(next->folder.path(), random_);
    disk_->history.reset();
    disk_ = std::move(next);
    OpenDisk();
  }

 private:
  struct Disk {
    storage::TestFolder folder;
    storage::FaultFileSystem files;
    std::optional<storage::History> history;
  };
  void OpenDisk() {
    absl::StatusOr<storage::History> opened = storage::OpenHistory(
        {.path = disk_->folder.database()}, {.vfs = disk_->files.name(), .checkpoint_pages = 8});
    ASSERT_TRUE(opened.ok()) << opened.status();
    disk_->history = *std::move(opened);
    history_.Open(disk_->history->writer.get(), disk_->history->long_reader.get());
  }

  MemoryHistory memory_;
  std::unique_ptr<Disk> disk_;
  LedgerHistory history_;
  std::mt19937 random_;
};

// One seed's world: what is true on the agents is compared with what the ledger says.
class World {
 public:
  World(uint64_t seed, Style style)
      : random_(seed),
        ledger_({{kDb, Quantity::Of(kPool)}}, style.lease ? style.backlog : 0),
        memory_(&ledger_, style.sqlite, seed),
        cluster_(
            Options(seed, style), [this](AttemptId id) { return RunOf(id); },
            [this](AttemptId id, bool begins) { Observe(id, begins); }),
        simulation_(Scheduling(style), memory_.history(), memory_.history(), &cluster_) {
    simulation_.crashing().Observe(
        [this](absl::Span<const executor::Launch> launches) { ledger_.OnExecute(launches); },
        [this](const std::vector<executor::OfferId>& offers) { ledger_.OnDecline(offers); });
    simulation_.ObserveEvents(
        [this](absl::Span<const executor::ClusterEvent> events) { ledger_.OnTold(events); });
    simulation_.AtRestart([this] { memory_.AfterCrash(); });
    simulation_.AfterEachBatch([](const Core& core) {
      const absl::Status sound = core.CheckInvariants();
      EXPECT_TRUE(sound.ok()) << sound;
    });
  }

  void Run() {
    const int graphs = 1 + Below(3);
    for (int i = 0; i < graphs; ++i) Submit();
    int64_t steps = 0;
    while (!AllFinal() || !cluster_.Idle()) {
      ASSERT_LT(++steps, 50000) << "it does not come to an end: " << WhatIsLeft();
      ASSERT_EQ(ledger_.problem(), "");
      ASSERT_FALSE(::testing::Test::HasFailure());
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
    EXPECT_EQ(ledger_.problem(), "");
    DeliverTheRest();
    CheckHistory();
  }

  int restarts() const { return simulation_.restarts(); }
  int lost_agents() const { return cluster_.lost_agents(); }
  int partitions() const { return cluster_.partitions(); }
  int taken_away() const { return cluster_.taken_away(); }
  int given_up() const { return given_up_; }
  size_t pruned() const { return ledger_.pruned(); }

 private:
  int Below(int n) { return static_cast<int>(random_() % static_cast<uint64_t>(n)); }
  bool Chance(double p) { return static_cast<double>(random_() >> 11) * 0x1.0p-53 < p; }

  static SchedulerOptions Scheduling(Style style) {
    SchedulerOptions options;
    options.pools = ResourceVector{{kDb, Quantity::Of(kPool)}};
    options.slice_tasks = style.slice_tasks;
    options.retention.age = absl::Hours(1);
    options.search_schedules = 20;
    options.search_tasks = 12;  // of some graphs, so that others are ordered in a few passes
    if (style.backlog == 0) options.slots = 3;  // a simulated agent's backlog knows no slots
    return options;
  }

  executor::SimulatedClusterOptions Options(uint64_t seed, Style style) {
    executor::SimulatedClusterOptions options;
    const int agents = 1 + Below(4);
    for (int i = 0; i < agents; ++i) {
      options.agents.push_back({{Resource::Cpu(), Quantity::Of(2 + Below(3))},
                                {Resource::Ram(), Quantity::Of(8 + Below(8))}});
    }
    options.zones = zones_ = static_cast<uint32_t>(Below(agents + 1));
    options.lease = style.lease;
    options.refuse_overcommit = true;  // the ledger shows whether it was the scheduler's doing
    options.backlog = style.backlog;
    options.tell_capacity = !style.lease && Chance(0.5);
    options.latency = style.latency ? absl::Milliseconds(Below(20)) : absl::ZeroDuration();
    options.seed = seed;
    auto fault = [this](double most) { return Chance(0.5) ? 0.0 : most * Below(100) / 100.0; };
    options.faults.refuse_launch = fault(0.3);
    options.faults.lose_agent = fault(0.05);
    options.faults.partition = fault(0.05);
    options.faults.repeat_update = fault(0.5);
    options.faults.late_update = fault(0.5);
    options.faults.drop_connection = fault(0.05);
    options.faults.rescind_offer = fault(0.3);
    options.faults.maintenance = fault(0.5);
    return options;
  }

  executor::SimulatedRun RunOf(AttemptId id) {
    // Drawn from the attempt alone, so that it does not depend on the order of things.
    std::mt19937_64 random(id.value * 0x9E3779B97F4A7C15u);
    executor::SimulatedRun run;
    run.duration =
        absl::Milliseconds(static_cast<int64_t>(random() % (random() % 4 == 0 ? 500 : 5)));
    if (random() % 8 == 0) run.outcome = planner::Outcome::kExited;
    if (random() % 32 == 0) run.outcome = planner::Outcome::kNotStarted;
    return run;
  }

  void Submit() {
    GraphSubmission graph;
    graph.name = "random";
    graph.fail_fast = Chance(0.2);
    graph.open = Chance(0.2);
    if (Chance(0.5)) graph.client_queue = "client";
    graph.deliver_end = Chance(0.5);
    if (Chance(0.3)) graph.open_until_idle = absl::Milliseconds(Below(300));
    const int tasks = 1 + Below(Chance(0.2) ? 60 : 12);
    for (int i = 0; i < tasks; ++i) graph.tasks.push_back(RandomTask(i));
    const bool open = graph.open;
    const std::string request = absl::StrCat("request-", ++requests_);
    // Repeating a write, as a client that got no answer does, makes no second graph.
    const int repeats = 1 + Below(2);
    for (int i = 0; i < repeats; ++i) {
      simulation_.engine().Apply(
          SubmitGraph{request, Prepare(graph, &simulation_.engine().usage())}, simulation_.now(),
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
    task.policy.max_losses = 1 + Below(6);
    if (Chance(0.3)) task.policy.unreachable_timeout = absl::Milliseconds(Below(150));
    task.policy.retry_delay = absl::Milliseconds(Below(200));
    if (Chance(0.1)) (void)task.policy.retry.not_on.Add("exit");
    task.policy.avoid_last_failure = Chance(0.3);
    if (Chance(0.2)) task.policy.spread = {absl::StrCat("group", Below(2)), 1 + Below(2)};
    // Some agent is always in each zone, and can have whatever a task consumes.
    if (zones_ > 0 && Chance(0.3)) {
      task.policy.constraints =
          planner::Constraints({{"zone",
                                 planner::Constraint::Operator::kEquals,
                                 zones_ > 1 && Chance(0.3),
                                 {absl::StrCat(Below(static_cast<int>(zones_)))}}});
    }
    task.priority = Below(3);
    return task;
  }

  void CalmDown() {
    cluster_.StopFaults();
    memory_.Heal();
    calm_ = true;
  }

  // What clients and bad luck do.
  void Interfere() {
    if (Chance(0.02)) simulation_.crashing().CrashAfter(1 + Below(20));
    if (Chance(0.01)) memory_.FailCommits(1 + Below(3));
    if (Chance(0.2)) memory_.Heal();
    if (Chance(0.01)) {
      // The clock is set, or the time server is wrong.
      constexpr absl::Duration kSteps[] = {absl::Hours(-1), absl::Hours(1), absl::Hours(24 * 365)};
      const absl::Duration step = stepped_ > absl::Hours(100) ? -stepped_ : kSteps[Below(3)];
      simulation_.StepWall(step);
      stepped_ += step;
    }
    // A quiet weekend, after which old graphs are pruned.
    if (Chance(0.003)) simulation_.AdvanceTo(cluster_.now() + absl::Hours(60));
    // That may have been a crash, and the engine another one since.
    Engine& engine = simulation_.engine();
    const Instant now = simulation_.now();
    const Done nobody_cares = [](const absl::StatusOr<Reply>&) {};
    if (Chance(0.01) && !submitted_.empty()) {
      engine.Apply(CancelGraph{"", *submitted_.begin()}, now, nobody_cares);
    }
    if (Chance(0.02) && !submitted_.empty()) {
      engine.Apply(CancelTasks{"", *submitted_.rbegin(), {absl::StrCat("t", Below(10))}}, now,
                   nobody_cares);
    }
    if (Chance(0.03) && !submitted_.empty()) {
      engine.Apply(RetryTasks{"", *submitted_.begin()}, now, nobody_cares);
    }
    if (Chance(0.03) && !submitted_.empty()) {
      engine.Apply(RetryTasks{"", *submitted_.rbegin(), {absl::StrCat("t", Below(10))}}, now,
                   nobody_cares);
    }
    if (Chance(0.003) && !submitted_.empty()) {
      engine.Apply(ForgetGraph{"", *submitted_.begin()}, now, nobody_cares);
    }
    if (Chance(0.1) && !open_.empty()) {
      // A few at once; the first may come after the last.
      AddTasks add{"", *open_.begin(), {}};
      for (int i = 1 + Below(3); i > 0; --i) {
        TaskSubmission& task = add.tasks.emplace_back(RandomTask(1000 + ++added_));
        task.after = {"t0"};
      }
      if (add.tasks.size() > 1) add.tasks.front().after.push_back(add.tasks.back().name);
      engine.Apply(std::move(add), now, nobody_cares);
    }
    if (Chance(0.1)) Pop();
    simulation_.EndBatch();
  }

  // Takes what waits for the client, who acknowledges it with its next call, or has crashed
  // meanwhile and does not.
  void Pop() {
    std::vector<int64_t> acknowledge = std::exchange(to_acknowledge_, {});
    if (Chance(0.2)) acknowledge.clear();
    simulation_.engine().Apply(
        PopFinished{"client", std::move(acknowledge), 10, 1000, simulation_.now().steady},
        simulation_.now(), [this](const absl::StatusOr<Reply>& reply) {
          if (!reply.ok()) return;
          for (const storage::Finished& f : reply->finished) {
            to_acknowledge_.push_back(f.delivery_id);
            if (f.graph_end) {
              ledger_.EndDelivered(f.graph_end->graph.graph);
              continue;
            }
            EXPECT_TRUE(planner::IsFinal(f.ended.state));
            ledger_.Delivered(f.task);
          }
        });
  }

  // Every end reaches its client, whatever crashed on the way.
  void DeliverTheRest() {
    const auto all_delivered = [this] {
      return ledger_.undelivered().empty() && ledger_.undelivered_ends().empty();
    };
    for (int i = 0; i < 200 && !all_delivered(); ++i) {
      Pop();
      // A write that failed is tried again only after a while.
      simulation_.AdvanceTo(cluster_.now() + absl::Seconds(1));
    }
    EXPECT_TRUE(all_delivered()) << "ends were never delivered";
  }

  // The ground truth, at the moment a process begins or ends.
  void Observe(AttemptId id, bool begins) {
    const TaskKey key = id.task();
    if (!begins) {
      EXPECT_EQ(running_.erase(id), 1u);
      return;
    }
    EXPECT_TRUE(started_.insert(id).second) << "an attempt was started twice";
    EXPECT_TRUE(ledger_.Find(id) != nullptr) << "a launch that is not written down";
    // One that was given up may still run, or even begin; that is what its task allows.
    if (ledger_.Find(id) != nullptr && !ledger_.IsAlive(id)) {
      EXPECT_EQ(ledger_.Find(id)->ended, planner::Outcome::kUnreachable) << "began after its end";
      ++given_up_;
      running_.insert(id);
      return;
    }
    ResourceVector pool_used = ledger_.PoolPart(key);
    for (AttemptId other : running_) {
      if (!ledger_.IsAlive(other)) {
        const auto outcome = ledger_.Find(other)->ended;
        EXPECT_TRUE(outcome == planner::Outcome::kUnreachable || other.task() != key)
            << "two attempts of one task at once";
        given_up_ += outcome == planner::Outcome::kUnreachable ? 1 : 0;
        continue;
      }
      EXPECT_NE(other.task(), key)
          << "two attempts of one task at once: " << planner::AttemptIdToString(other) << " and "
          << planner::AttemptIdToString(id);
      pool_used += ledger_.PoolPart(other.task());
    }
    running_.insert(id);
    EXPECT_TRUE(pool_used.FitsIn({{kDb, Quantity::Of(kPool)}})) << "a pool is over its capacity";
    EXPECT_NE(ledger_.StateOf(key), TaskState::kSucceeded) << "run again after it succeeded";
    for (TaskIndex before : ledger_.After(key)) {
      EXPECT_EQ(ledger_.StateOf(TaskKey::Of(key.graph(), before)), TaskState::kSucceeded)
          << "begun before its time";
    }
  }

  bool AllFinal() {
    if (calm_ && !open_.empty()) {
      // A close that a failing disk refused is asked for again.
      for (GraphId id : std::set<GraphId>(open_)) {
        simulation_.engine().Apply(CloseGraph{"", id}, simulation_.now(),
                                   [this, id](const absl::StatusOr<Reply>& closed) {
                                     // It may have been cancelled, and pruned since.
                                     if (closed.ok() || absl::IsNotFound(closed.status())) {
                                       open_.erase(id);
                                     }
                                   });
      }
      simulation_.EndBatch();
    }
    for (const auto& [id, graph] : ledger_.graphs()) {
      if (graph.state == planner::GraphState::kRunning) return false;
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
    std::map<TaskKey, int> succeeded;
    for (const auto& [id, attempt] : ledger_.attempts()) {
      ASSERT_TRUE(attempt.ended) << "an attempt has no end";
      succeeded[id.task()] += attempt.ended == planner::Outcome::kSucceeded ? 1 : 0;
    }
    for (const auto& [id, graph] : ledger_.graphs()) {
      bool failed = false;
      bool cancelled = false;
      for (TaskIndex i = 0; i < graph.tasks; ++i) {
        const TaskKey key = TaskKey::Of(id, i);
        const std::optional<TaskState> state = ledger_.StateOf(key);
        ASSERT_TRUE(state) << "a task was lost";
        failed |= state == TaskState::kFailed;
        cancelled |= state == TaskState::kCancelled;
        EXPECT_EQ(succeeded[key], state == TaskState::kSucceeded ? 1 : 0);
      }
      EXPECT_EQ(graph.state, failed      ? planner::GraphState::kFailed
                             : cancelled ? planner::GraphState::kCancelled
                                         : planner::GraphState::kSucceeded);
    }
  }

  std::mt19937_64 random_;
  Ledger ledger_;
  Memory memory_;
  uint32_t zones_ = 0;
  executor::SimulatedCluster cluster_;
  Simulation simulation_;
  std::set<GraphId> submitted_;
  std::set<GraphId> open_;
  std::set<AttemptId> running_;
  std::set<AttemptId> started_;
  std::vector<int64_t> to_acknowledge_;
  absl::Duration stepped_;  // the wall clock, in all
  int given_up_ = 0;        // attempts that ran on while another began
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
  int partitions = 0;
  int taken_away = 0;
  int given_up = 0;
  size_t pruned = 0;
  for (uint64_t seed = first; seed < first + count; ++seed) {
    if (alone && seed != only) continue;
    SCOPED_TRACE(absl::StrCat("KARTOGRAPH_SEED=", seed));
    World world(seed, style);
    world.Run();
    restarts += world.restarts();
    lost_agents += world.lost_agents();
    partitions += world.partitions();
    taken_away += world.taken_away();
    given_up += world.given_up();
    pruned += world.pruned();
    if (::testing::Test::HasFailure()) return;
  }
  if (alone) return;
  // The faults must really have happened.
  EXPECT_GT(restarts, static_cast<int>(count) / 20);
  EXPECT_GT(lost_agents, static_cast<int>(count) / 20);
  EXPECT_GT(partitions, static_cast<int>(count) / 20);
  EXPECT_GT(taken_away, static_cast<int>(count) / 20);
  EXPECT_TRUE(given_up > 0 || count < 1000);  // rare
  EXPECT_GT(pruned, 0u);
}

// Sanitizers make it many times slower.
#ifdef KARTOGRAPH_SANITIZED
constexpr uint64_t kSeeds = 300;
constexpr uint64_t kSeedsOnDisk = 20;
#else
constexpr uint64_t kSeeds = 3000;
constexpr uint64_t kSeedsOnDisk = 100;
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
TEST(SimulationTest, BacklogsSurvivePowerCuts) {
  RunSeeds(500000, kSeedsOnDisk, {true, 50, true, true});
}
TEST(SimulationTest, OffersSurvivePowerCuts) {
  RunSeeds(600000, kSeedsOnDisk, {false, 0, true, true});
}

}  // namespace
}  // namespace kartograph::scheduler
