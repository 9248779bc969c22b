// How many tasks a second the scheduler takes from start to end: the core alone, and the core with
// its history in SQLite.
//
//   bazel run //bench:scheduler_bench -- [--history-only] [TASKS] [AGENTS]
//
// A task life is all of it: submitted, ready, placed, launched, ended, acknowledged, its graph's
// end. The cluster is the simulated one, in virtual time; its cost is in the figures. One thread,
// but for what SQLite does.
#include <malloc.h>
#include <sqlite3.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "executor/simulated/simulated_cluster.h"
#include "scheduler/core.h"
#include "scheduler/testing/simulation.h"
#include "storage/history.h"
#include "storage/no_history.h"

namespace kartograph {
namespace {

using planner::Quantity;
using planner::Resource;

double Seconds() {
  return std::chrono::duration<double>(std::chrono::steady_clock::now().time_since_epoch()).count();
}

// Of this process: what the work costs, whatever else the machine is doing.
double CpuSeconds() {
  timespec t;
  clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &t);
  return static_cast<double>(t.tv_sec) + 1e-9 * static_cast<double>(t.tv_nsec);
}

size_t HeapBytes() { return mallinfo2().uordblks + mallinfo2().hblkhd; }

// Layers of `width`, each task after two of the layer before, as releases are: wide and deep.
scheduler::GraphSubmission LayeredGraph(int tasks, int width) {
  std::mt19937_64 random(7);
  scheduler::GraphSubmission graph;
  graph.name = "layers";
  graph.tasks.resize(static_cast<size_t>(tasks));
  for (int i = 0; i < tasks; ++i) {
    scheduler::TaskSubmission& task = graph.tasks[static_cast<size_t>(i)];
    task.name = absl::StrCat("task-", i);
    task.payload = std::string(60, 'x');
    task.consumption.Set(Resource::Cpu(), Quantity::Of(1 + i % 2));
    task.consumption.Set(Resource::Ram(), Quantity::Of(512 << 20));
    const int layer = i / width * width;
    if (layer == 0) continue;
    for (int k = 0; k < 2; ++k) {
      const int before = layer - width + static_cast<int>(random() % static_cast<unsigned>(width));
      task.after.push_back(absl::StrCat("task-", before));
    }
  }
  return graph;
}

struct Measured {
  double lives_per_second = 0;
  double cpu_us_per_life = 0;
  double bytes_per_task = 0;
  double commit_share = 0;
};

// What watchers ask for.
enum class Watching { kNobody, kChanges, kWords };

Measured Run(int tasks, int agents, storage::HistoryWriter* history, storage::LongReader* reader,
             bool wide = false, Watching watching = Watching::kNobody) {
  executor::SimulatedClusterOptions options;
  options.agents.assign(static_cast<size_t>(agents), {{Resource::Cpu(), Quantity::Of(4)},
                                                      {Resource::Ram(), Quantity::Of(8LL << 30)}});
  executor::SimulatedCluster cluster(options, [](planner::AttemptId id) {
    // Tenths of seconds: many end together, as many do in the time that one commit takes.
    return executor::SimulatedRun{
        absl::Milliseconds(100 * (1 + (id.value * 2654435761u >> 16) % 10))};
  });
  scheduler::Simulation simulation(scheduler::SchedulerOptions{}, history, reader, &cluster);
  size_t seen = 0;
  if (watching != Watching::kNobody) {
    simulation.engine().AddWatcher(
        [&seen, watching](const scheduler::Changes& changes, const scheduler::Snapshots&) {
          seen += changes.tasks.size();
          if (watching == Watching::kChanges) return;
          for (const auto& task : changes.tasks) {
            seen += changes.words->Name(task).size() + changes.words->Reason(task).size();
          }
        });
  }
  // Watched, all tasks are ready at once; otherwise in layers.
  scheduler::GraphSubmission graph = LayeredGraph(tasks, wide ? tasks : std::max(100, tasks / 100));
  const size_t heap_before = HeapBytes();
  const size_t submission_bytes = [&] {
    // NOLINTNEXTLINE(performance-unnecessary-copy-initialization): its size is what is measured.
    scheduler::GraphSubmission copy = graph;
    return HeapBytes() - heap_before;
  }();
  const double start = Seconds();
  const double cpu_start = CpuSeconds();
  bool accepted = false;
  simulation.engine().Apply(
      scheduler::SubmitGraph{"", scheduler::Prepare(std::move(graph))}, simulation.now(),
      [&](const absl::StatusOr<scheduler::Reply>& reply) { accepted = reply.ok(); });
  // The cluster has offered nothing yet: this commits the submission, and every task is queued.
  while (!accepted) simulation.EndBatch();
  malloc_trim(0);
  const double queued = static_cast<double>(HeapBytes()) - static_cast<double>(heap_before) +
                        static_cast<double>(submission_bytes);
  simulation.RunToEnd(INT64_MAX);
  const double seconds = Seconds() - start;
  const double cpu_seconds = CpuSeconds() - cpu_start;
  if (!accepted || !simulation.engine().core().LiveGraphs().empty()) {
    std::fprintf(stderr, "the graph did not end\n");
    std::exit(1);
  }
  const scheduler::Totals totals = simulation.engine().core().totals();
  return {tasks / seconds, 1e6 * cpu_seconds / tasks, queued / tasks,
          absl::ToDoubleSeconds(totals.commit_time) / seconds};
}

// Cpu of a task life with a watcher, beside one without, in turns; the median of each.
void CompareWatching() {
  constexpr int kTasks = 100000;
  constexpr int kAgents = 1000;
  constexpr int kRounds = 5;
  std::vector<double> us[3];
  for (int round = 0; round < kRounds; ++round) {
    for (Watching watching : {Watching::kNobody, Watching::kChanges, Watching::kWords}) {
      storage::NoHistory nothing;
      us[static_cast<int>(watching)].push_back(
          Run(kTasks, kAgents, &nothing, &nothing, true, watching).cpu_us_per_life);
    }
  }
  for (auto& samples : us) std::sort(samples.begin(), samples.end());
  std::printf("\n%d tasks ready at once on %d agents, us of cpu a life\n", kTasks, kAgents);
  const char* const names[] = {"nobody watches", "a watcher of changes",
                               "one who asks for every task's words"};
  for (int i = 0; i < 3; ++i) {
    std::printf("%38s %8.2f  x %.3f\n", names[i], us[i][kRounds / 2],
                us[i][kRounds / 2] / us[0][kRounds / 2]);
  }
}

// Agents that come and go for good, each with one task of a consumption of its own: what a turn
// takes at first and after many.
void CompareTurnover() {
  scheduler::Core core(scheduler::CoreOptions(), {});
  scheduler::Step step;
  Instant now;
  const auto batch = [&] {
    core.OnTime({now, step});
    core.Plan({now, step});
    step.Clear();
    now.steady += absl::Milliseconds(1);
  };
  const auto tell = [&](executor::ClusterEvent event) {
    core.OnClusterEvent(std::move(event), {now, step});
    batch();
  };
  tell(executor::Connected{});
  constexpr int kSpan = 10000;
  double first = 0;
  std::printf("\nagents that come and go, each with a consumption of its own\n");
  std::printf("%10s %12s %10s %16s\n", "gone", "us/agent", "x first", "remembered");
  for (int i = 0, span = 0; span < 10; ++span) {
    const double start = CpuSeconds();
    for (int end = i + kSpan; i < end; ++i) {
      executor::Offer offer;
      offer.agent = offer.id = absl::StrCat("agent-", i);
      offer.resources = {{Resource::Cpu(), Quantity::Of(1)}, {Resource::Ram(), Quantity::Of(i)}};
      offer.lease = true;
      tell(std::move(offer));
      scheduler::GraphSubmission graph;
      graph.tasks.resize(1);
      graph.tasks[0].name = "a";
      graph.tasks[0].consumption = {{Resource::Cpu(), Quantity::FromMilli(1)},
                                    {Resource::Ram(), Quantity::Of(i)}};
      (void)core.SubmitGraph(scheduler::Prepare(std::move(graph)), {now, step});
      batch();
      executor::AttemptUpdate ended;
      ended.attempt =
          planner::AttemptId::Of(planner::TaskKey::Of(static_cast<planner::GraphId>(i + 1), 0), 1);
      ended.outcome = planner::Outcome::kSucceeded;
      tell(std::move(ended));
      tell(executor::AgentLost{absl::StrCat("agent-", i)});
    }
    const double us = 1e6 * (CpuSeconds() - start) / kSpan;
    if (span == 0) first = us;
    if (span == 0 || span == 9) {
      std::printf("%10d %12.2f %10.2f %16zu\n", i, us, us / first,
                  core.slots() + core.known_agents() + core.known_consumptions());
    }
  }
}

// The peer: one row per statement in one table, as plain as it gets, with the same durability.
double PlainInsertsPerSecond(const std::string& folder, int rows) {
  sqlite3* db = nullptr;
  sqlite3_open((folder + "/plain.sqlite").c_str(), &db);
  sqlite3_exec(db,
               "PRAGMA journal_mode=WAL; PRAGMA synchronous=FULL; CREATE TABLE t(id INTEGER "
               "PRIMARY KEY, a TEXT, b INTEGER)",
               nullptr, nullptr, nullptr);
  sqlite3_stmt* insert = nullptr;
  sqlite3_prepare_v2(db, "INSERT INTO t VALUES(?,?,?)", -1, &insert, nullptr);
  const double start = Seconds();
  for (int i = 0; i < rows; ++i) {
    if (i % 10000 == 0) sqlite3_exec(db, "BEGIN", nullptr, nullptr, nullptr);
    sqlite3_bind_int(insert, 1, i);
    sqlite3_bind_text(insert, 2, "a payload of sixty bytes or so, as the tasks of the graph have.",
                      -1, SQLITE_STATIC);
    sqlite3_bind_int(insert, 3, i);
    sqlite3_step(insert);
    sqlite3_reset(insert);
    if (i % 10000 == 9999) sqlite3_exec(db, "COMMIT", nullptr, nullptr, nullptr);
  }
  const double seconds = Seconds() - start;
  sqlite3_finalize(insert);
  sqlite3_close(db);
  return rows / seconds;
}

int Main(int argc, char** argv) {
  int tasks = 1000000;
  int agents = 10000;
  // For a profile of it alone.
  const bool history_only = argc > 1 && std::string(argv[1]) == "--history-only";
  if (history_only) {
    --argc;
    ++argv;
  }
  if ((argc > 1 && !absl::SimpleAtoi(argv[1], &tasks)) ||
      (argc > 2 && !absl::SimpleAtoi(argv[2], &agents)) || argc > 3) {
    std::fprintf(stderr, "usage: scheduler_bench [--history-only] [TASKS] [AGENTS]\n");
    return 2;
  }
  std::printf("%d agents; a task life is submitted, placed, launched, ended, acknowledged\n\n",
              agents);
  std::printf("core alone\n%10s %14s %18s %16s\n", "tasks", "lives/s", "bytes/queued task",
              "us/life (x first)");
  double first_us = 0;
  for (int n : {tasks / 100, tasks / 10, tasks}) {
    if (n < 1000 || history_only) continue;
    storage::NoHistory nothing;
    const Measured m = Run(n, agents, &nothing, &nothing);
    if (first_us == 0) first_us = m.cpu_us_per_life;
    std::printf("%10d %12.0f %12.2f %10.2f %20.0f\n", n, m.lives_per_second, m.cpu_us_per_life,
                m.cpu_us_per_life / first_us, m.bytes_per_task);
  }
  if (!history_only) {
    CompareWatching();
    CompareTurnover();
  }
  const std::string folder =
      std::filesystem::temp_directory_path() / absl::StrCat("kartograph-bench-", getpid());
  std::filesystem::create_directories(folder);
  const double plain = PlainInsertsPerSecond(folder, tasks);
  absl::StatusOr<storage::History> history =
      storage::OpenHistory({absl::StrCat(folder, "/history.sqlite")});
  if (!history.ok()) {
    std::fprintf(stderr, "%s\n", history.status().ToString().c_str());
    return 1;
  }
  const Measured m = Run(tasks, agents, history->writer.get(), history->long_reader.get());
  std::printf(
      "\nthrough SQLite (WAL, synchronous=FULL)\n%10d %12.0f lives/s, %.2f us of cpu a life, "
      "%.0f%% "
      "of the time in commits\n",
      tasks, m.lives_per_second, m.cpu_us_per_life, 100 * m.commit_share);
  std::printf("%25.0f rows/s by a plain insert loop: %.2f of its rate, with some 4 rows a life\n",
              plain, m.lives_per_second / plain);
  history = absl::UnavailableError("closed");
  std::filesystem::remove_all(folder);
  return 0;
}

}  // namespace
}  // namespace kartograph

int main(int argc, char** argv) { return kartograph::Main(argc, argv); }
