// What a task costs through the agent: /bin/true through LocalCluster, two at a time, beside a bare
// loop of posix_spawn and wait, two at a time, in the same run. No scheduler and no history.
//
//   local_cluster_bench AGENT_BINARY [TASKS]
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <cstdio>
#include <filesystem>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/time/clock.h"
#include "executor/local/local_cluster.h"
#include "executor/payload.pb.h"

namespace kartograph::executor {
namespace {

constexpr int kAtATime = 2;
constexpr int kBatch = 100;
constexpr int kWindow = 1000;

double BareLoop(int tasks) {
  char program[] = "/bin/true";
  char* argv[] = {program, nullptr};
  absl::Time begin = absl::Now();
  int running = 0;
  for (int started = 0; started < tasks || running > 0;) {
    if (started < tasks && running < kAtATime) {
      pid_t pid;
      if (posix_spawn(&pid, program, nullptr, nullptr, argv, environ) != 0) abort();
      ++started;
      ++running;
    } else if (wait(nullptr) > 0) {
      --running;
    }
  }
  return absl::ToDoubleMicroseconds(absl::Now() - begin) / tasks;
}

int Main(int argc, char** argv) {
  int tasks = argc > 2 ? atoi(argv[2]) : 10000;
  char folder[] = "/tmp/local_cluster_bench.XXXXXX";
  if (argc < 2 || tasks <= 0 || mkdtemp(folder) == nullptr) return 2;
  double bare = BareLoop(tasks);

  LocalClusterOptions options;
  options.state_dir = folder;
  options.agent_binary = argv[1];
  options.resources = {{planner::Resource::Cpu(), planner::Quantity::Of(kAtATime)}};
  auto cluster = CreateLocalCluster(options);
  if (!cluster.ok()) {
    fprintf(stderr, "%s\n", std::string(cluster.status().message()).c_str());
    return 1;
  }
  std::mutex mutex;
  std::condition_variable changed;
  bool connected = false;
  int ended = 0;
  int updates = 0;
  std::vector<planner::AttemptId> unacknowledged;
  absl::Status started = (*cluster)->Start([&](std::vector<ClusterEvent> events) {
    std::lock_guard lock(mutex);
    changed.notify_one();
    for (ClusterEvent& event : events) {
      if (std::get_if<Connected>(&event)) connected = true;
      auto* update = std::get_if<AttemptUpdate>(&event);
      if (update == nullptr) continue;
      ++updates;
      if (update->outcome == planner::Outcome::kNone) continue;
      if (update->outcome != planner::Outcome::kSucceeded) abort();
      unacknowledged.push_back(update->attempt);
      ++ended;
    }
  });
  if (!started.ok()) return 1;
  {
    std::unique_lock lock(mutex);
    changed.wait(lock, [&] { return connected; });
  }
  Payload payload;
  payload.add_arguments("/bin/true");
  Launch launch;
  launch.task_name = "true";
  launch.payload = payload.SerializeAsString();
  launch.consumption = {{planner::Resource::Cpu(), planner::Quantity::Of(1)}};
  absl::Time begin = absl::Now();
  for (int sent = 0, finished = 0; finished < tasks;) {
    std::vector<Launch> batch;
    while (sent < tasks && sent - finished < kWindow && static_cast<int>(batch.size()) < kBatch) {
      launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, sent++), 1);
      batch.push_back(launch);
    }
    bool more = !batch.empty();
    (*cluster)->Execute(std::move(batch));
    std::vector<planner::AttemptId> acknowledge;
    {
      std::unique_lock lock(mutex);
      changed.wait(lock, [&] { return ended > finished || more; });
      finished = ended;
      acknowledge.swap(unacknowledged);
    }
    (*cluster)->Acknowledge(acknowledge);
  }
  double ours = absl::ToDoubleMicroseconds(absl::Now() - begin) / tasks;
  cluster->reset();
  std::filesystem::remove_all(folder);
  printf("%d x /bin/true, %d at a time, %.2f updates a task\n", tasks, kAtATime,
         static_cast<double>(updates) / tasks);
  printf("posix_spawn %.1f us, local cluster %.1f us a task, ratio %.2f\n", bare, ours,
         ours / bare);
  return 0;
}

}  // namespace
}  // namespace kartograph::executor

int main(int argc, char** argv) { return kartograph::executor::Main(argc, argv); }
