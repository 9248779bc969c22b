// Starts one process, as cheaply as the kernel allows.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_

#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>
#include <vector>

namespace kartograph::executor {

// What the new process begins with. All pointers are borrowed until it executes its program.
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

// Whether cgroup_fd is understood on this architecture.
bool CanSpawnIntoCgroup();

// A process on its way from its making to its program. As with vfork it runs in the caller's memory
// until then, but the caller goes on beside it: to wait here is a third of what a short process
// costs. So this, the request, and all that it points to must stay where they are until done().
//
// The process leads a session of its own, has default signal dispositions and an empty signal mask,
// and is killed when the thread that called Begin ends. Thread-compatible.
class Spawning {
 public:
  Spawning();
  Spawning(const Spawning&) = delete;
  Spawning& operator=(const Spawning&) = delete;
  // Waits.
  ~Spawning();

  // Makes the process. Signals that the caller ignores are `ignored`: the new process has them back
  // at their defaults. 0, or errno where there is no process. May be called again when done.
  int Begin(const SpawnRequest& request, const std::vector<int>& ignored);

  pid_t pid() const { return pid_; }
  // Whether the program has been executed, or has failed to be.
  bool done() const { return running_.load(std::memory_order_acquire) == 0; }
  void Wait() const;

  // When done: what went wrong. The process then ends with status 127, and is to be waited for.
  enum class Step { kDirectory, kExec };
  Step step() const { return step_; }
  int error() const;  // errno; 0: the program was executed

 private:
  struct Child;
  static int RunChild(void* spawning);
  pid_t Clone();

  struct alignas(16) Stack {
    char bytes[16 << 10];
  };
  std::unique_ptr<Stack> stack_;
  SpawnRequest request_;
  const int* ignored_ = nullptr;
  size_t ignored_count_ = 0;
  pid_t parent_ = 0;
  pid_t pid_ = -1;
  // 1 from the start until the kernel, which also wakes who waits on it, clears it.
  std::atomic<uint32_t> running_ = 0;
  Step step_ = Step::kExec;  // the child's
  int error_ = 0;            // the child's
};

// Signals whose disposition is "ignore" now.
std::vector<int> IgnoredSignals();

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_
