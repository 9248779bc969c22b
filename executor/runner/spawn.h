// Starts one process, as cheaply as the kernel allows.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_

#include <sys/types.h>

#include <vector>

namespace kartograph::executor {

// What the new process begins with. All pointers are borrowed for the call.
struct SpawnRequest {
  const char* program = nullptr;  // for execve: not searched for
  char* const* argv = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;  // working directory
  // Descriptors that become 0, 1 and 2, each above 2 itself. Nothing else is inherited.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  // Directory of the cgroup to be born in; -1: the parent's.
  int cgroup_fd = -1;
};

struct SpawnResult {
  enum class Step { kClone, kDirectory, kExec };
  pid_t pid = -1;            // -1 where it was not started
  int error = 0;             // then: errno
  Step step = Step::kClone;  // and what failed
};

// Whether cgroup_fd is understood on this architecture.
bool CanSpawnIntoCgroup();

// The process leads a session of its own, has default signal dispositions and an empty signal mask,
// and is killed when the calling thread ends. Returns once the program has been executed or has
// failed to be. Signals that the caller ignores are `ignored`: the new process has them back at
// their defaults.
SpawnResult Spawn(const SpawnRequest& request, const std::vector<int>& ignored);

// Signals whose disposition is "ignore" now.
std::vector<int> IgnoredSignals();

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_
