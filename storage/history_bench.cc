// How many tasks a second, start to end, one Commit after the other takes, with a durable database,
// and how fast a restart and a client read them back. Arguments: records in a commit.
#include <benchmark/benchmark.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/history.h"

namespace kartograph::storage {
namespace {

constexpr int kTasks = 200000;

class Folder {
 public:
  Folder() : path_(absl::StrCat(Base(), "/history_bench.", getpid())) {
    std::filesystem::remove_all(path_);
    std::filesystem::create_directories(path_);
  }
  ~Folder() { std::filesystem::remove_all(path_); }
  std::string database() const { return absl::StrCat(path_, "/history.db"); }

 private:
  static std::string Base() {
    const char* folder = std::getenv("TMPDIR");
    return folder != nullptr ? folder : "/tmp";
  }
  const std::string path_;
};

void Require(const absl::Status& status) {
  if (status.ok()) return;
  std::fprintf(stderr, "%s\n", status.ToString().c_str());
  std::exit(1);
}

History OpenIn(const Folder& folder) {
  absl::StatusOr<History> history = OpenHistory({.path = folder.database()});
  Require(history.status());
  return *std::move(history);
}

TaskSubmitted MakeTask(int index) {
  TaskSubmitted task;
  task.task = planner::TaskKey::Of(1, static_cast<planner::TaskIndex>(index));
  task.name = absl::StrCat("layer-", index / 100, "/task-", index % 100);
  task.payload = std::string(120, 'p');
  task.consumption = {{planner::Resource::Cpu(), planner::Quantity::Of(1)},
                      {planner::Resource::Ram(), planner::Quantity::Of(536870912)}};
  if (index >= 100) {
    task.after = {static_cast<planner::TaskIndex>(index - 100),
                  static_cast<planner::TaskIndex>(index - 99)};
  }
  task.policy.retry_delay = absl::Seconds(1);
  task.policy.max_retry_delay = absl::Minutes(5);
  task.policy.cancel_grace = absl::Seconds(10);
  return task;
}

// Everything that is written of the lives of kTasks tasks on many agents, as commits of about
// `batch` records: first the submission, then launches and ends, those of neighbouring tasks mixed
// as they are in production.
std::vector<std::vector<Record>> Lives(int batch, bool queue) {
  const absl::Time start = absl::FromUnixSeconds(1700000000);
  std::vector<Record> records;
  GraphSubmitted graph;
  graph.graph = 1;
  graph.name = "bench";
  graph.submit_time = start;
  if (queue) graph.client_queue = "client";
  records.push_back(graph);
  for (int i = 0; i < kTasks; ++i) records.push_back(MakeTask(i));
  const int wave = std::max(1, batch / (queue ? 5 : 3));
  for (int first = 0; first < kTasks; first += wave) {
    const int size = std::min(wave, kTasks - first);
    for (int i = 0; i < size; ++i) {
      const int index = first + static_cast<int>(uint64_t{2654435761u} * i % size);
      const planner::TaskKey task = planner::TaskKey::Of(1, static_cast<planner::TaskIndex>(index));
      records.push_back(AttemptLaunched{.attempt = planner::AttemptId::Of(task, 1),
                                        .agent = absl::StrCat("agent-", index % 1000),
                                        .agent_name = absl::StrCat("host-", index % 1000),
                                        .launch_time = start + absl::Milliseconds(index)});
    }
    for (int i = 0; i < size; ++i) {
      const int index = first + static_cast<int>(uint64_t{2246822519u} * i % size);
      const planner::TaskKey task = planner::TaskKey::Of(1, static_cast<planner::TaskIndex>(index));
      const absl::Time end = start + absl::Milliseconds(index + 1500);
      AttemptEnded attempt;
      attempt.attempt = planner::AttemptId::Of(task, 1);
      attempt.outcome = planner::Outcome::kSucceeded;
      attempt.start_time = end - absl::Seconds(1);
      attempt.end_time = end;
      attempt.peak_ram_bytes = 12345678;
      attempt.cpu_time = absl::Milliseconds(900);
      attempt.wall_time = absl::Seconds(1);
      records.push_back(std::move(attempt));
      TaskEnded ended;
      ended.task = task;
      ended.end_time = end;
      records.push_back(std::move(ended));
      if (queue) {
        records.push_back(
            FinishedQueued{.client_queue = "client", .delivery_id = index + 1, .task = task});
        if (index >= wave) {
          records.push_back(
              FinishedAcknowledged{.client_queue = "client", .delivery_id = index + 1 - wave});
        }
      }
    }
  }
  std::vector<std::vector<Record>> commits;
  for (size_t i = 0; i < records.size(); i += static_cast<size_t>(batch)) {
    const size_t end = std::min(records.size(), i + static_cast<size_t>(batch));
    commits.emplace_back(std::make_move_iterator(records.begin() + static_cast<long>(i)),
                         std::make_move_iterator(records.begin() + static_cast<long>(end)));
  }
  return commits;
}

void CommitLives(benchmark::State& state, bool queue) {
  const std::vector<std::vector<Record>> commits = Lives(static_cast<int>(state.range(0)), queue);
  for (auto _ : state) {
    state.PauseTiming();
    {
      Folder folder;
      History history = OpenIn(folder);
      state.ResumeTiming();
      for (const std::vector<Record>& commit : commits) Require(history.writer->Commit(commit));
      state.PauseTiming();
    }
    state.ResumeTiming();
  }
  state.SetItemsProcessed(static_cast<int64_t>(state.iterations()) * kTasks);
}

void BM_CommitLives(benchmark::State& state) { CommitLives(state, false); }
void BM_CommitQueuedLives(benchmark::State& state) { CommitLives(state, true); }
BENCHMARK(BM_CommitLives)
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(50000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);
BENCHMARK(BM_CommitQueuedLives)
    ->Arg(1000)
    ->Arg(10000)
    ->Arg(50000)
    ->UseRealTime()
    ->Unit(benchmark::kMillisecond);

class CountingVisitor : public GraphVisitor {
 public:
  void OnGraph(const GraphSubmitted&, const GraphChanged&) override {}
  void OnTask(const TaskSubmitted&, uint32_t) override { ++seen; }
  void OnAttempt(const AttemptLaunched&, const AttemptEnded*) override {}
  void OnTaskEnded(const TaskEnded&) override {}
  int64_t seen = 0;
};

void BM_VisitLive(benchmark::State& state) {
  Folder folder;
  {
    History history = OpenIn(folder);
    for (const std::vector<Record>& commit : Lives(10000, false)) {
      Require(history.writer->Commit(commit));
    }
  }
  CountingVisitor visitor;
  for (auto _ : state) {
    History history = OpenIn(folder);
    Require(history.writer->VisitLive(visitor));
  }
  state.SetItemsProcessed(visitor.seen);
}
BENCHMARK(BM_VisitLive)->UseRealTime()->Unit(benchmark::kMillisecond);

void BM_FinishedOf(benchmark::State& state) {
  Folder folder;
  History history = OpenIn(folder);
  for (const std::vector<Record>& commit : Lives(kTasks, true)) {
    Require(history.writer->Commit(commit));
  }
  int64_t given = 0;
  for (auto _ : state) {
    absl::StatusOr<std::vector<Finished>> finished =
        history.reader->FinishedOf("client", static_cast<int>(state.range(0)), 1 << 22);
    Require(finished.status());
    given += static_cast<int64_t>(finished->size());
  }
  state.SetItemsProcessed(given);
}
BENCHMARK(BM_FinishedOf)->Arg(100)->Arg(10000)->UseRealTime();

}  // namespace
}  // namespace kartograph::storage

BENCHMARK_MAIN();
