// What the runner adds to the start of a process: /bin/true through Runner, two at a time, beside a
// bare loop of posix_spawn and wait, two at a time, in the same run.
//
//   runner_bench [TASKS] [FOLDER]
//
// FOLDER (default /tmp) takes the sandboxes; one in memory (/dev/shm) leaves the file system out.
// The times are of the clock and, less shaken by other work on the machine, of the processor.
#include <poll.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <filesystem>
#include <string>
#include <vector>

#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "executor/payload.pb.h"
#include "executor/runner/runner.h"

namespace kartograph::executor {
namespace {

constexpr int kAtATime = 2;

// Microseconds per task.
struct Cost {
  double wall = 1e9;
  double cpu = 1e9;
};

class Stopwatch {
 public:
  void Stop(int tasks, Cost* cost) const {
    cost->wall = std::min(cost->wall, absl::ToDoubleMicroseconds(absl::Now() - begin_) / tasks);
    cost->cpu = std::min(cost->cpu, (Cpu() - cpu_) / tasks);
  }

 private:
  static double Cpu() {
    double total = 0;
    for (int who : {RUSAGE_SELF, RUSAGE_CHILDREN}) {
      struct rusage usage;
      getrusage(who, &usage);
      total += 1e6 * static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
               static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec);
    }
    return total;
  }
  absl::Time begin_ = absl::Now();
  double cpu_ = Cpu();
};

void BareLoop(int tasks, Cost* cost) {
  char program[] = "/bin/true";
  char* argv[] = {program, nullptr};
  Stopwatch watch;
  int running = 0;
  for (int started = 0; started < tasks || running > 0;) {
    if (started < tasks && running < kAtATime) {
      pid_t pid;
      if (posix_spawn(&pid, program, nullptr, nullptr, argv, environ) != 0) abort();
      ++started;
      ++running;
      continue;
    }
    if (wait(nullptr) > 0) --running;
  }
  watch.Stop(tasks, cost);
}

void ThroughRunner(Runner* runner, int tasks, uint32_t graph, Cost* cost) {
  Payload payload;
  payload.add_arguments("/bin/true");
  Launch launch;
  launch.task_name = "true";
  launch.payload = payload.SerializeAsString();
  launch.timeout = absl::Hours(1);
  std::vector<AttemptUpdate> ended;
  Stopwatch watch;
  int finished = 0;
  for (int started = 0; finished < tasks;) {
    while (started < tasks && started - finished < kAtATime) {
      launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(graph, started++), 1);
      runner->Start(launch);
    }
    struct pollfd wait = {runner->fd(), POLLIN, 0};
    absl::Duration due = std::min(runner->UntilDue(), absl::Seconds(10));
    poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(due)));
    ended.clear();
    runner->Poll(&ended);
    for (const AttemptUpdate& update : ended) {
      if (update.outcome != planner::Outcome::kSucceeded) abort();
    }
    finished += static_cast<int>(ended.size());
  }
  watch.Stop(tasks, cost);
}

int Main(int argc, char** argv) {
  int tasks = argc > 1 ? atoi(argv[1]) : 10000;
  std::string root = std::string(argc > 2 ? argv[2] : "/tmp") + "/runner_bench.XXXXXX";
  if (tasks <= 0 || mkdtemp(root.data()) == nullptr) return 2;
  Cost bare, ours;
  {
    Runner::Options options;
    options.sandbox_root = root;
    auto runner = Runner::Create(options);
    if (!runner.ok()) {
      fprintf(stderr, "%s\n", std::string(runner.status().message()).c_str());
      return 1;
    }
    // In turns, and the best of three: other work on the machine hits both alike.
    for (uint32_t round = 1; round <= 3; ++round) {
      BareLoop(tasks, &bare);
      ThroughRunner(runner->get(), tasks, round, &ours);
    }
  }
  std::filesystem::remove_all(root);
  printf("%d x /bin/true, %d at a time\n", tasks, kAtATime);
  printf("wall: posix_spawn %.1f us, runner %.1f us a task, ratio %.2f\n", bare.wall, ours.wall,
         ours.wall / bare.wall);
  printf("cpu:  posix_spawn %.1f us, runner %.1f us a task, ratio %.2f\n", bare.cpu, ours.cpu,
         ours.cpu / bare.cpu);
  return 0;
}

}  // namespace
}  // namespace kartograph::executor

int main(int argc, char** argv) { return kartograph::executor::Main(argc, argv); }
