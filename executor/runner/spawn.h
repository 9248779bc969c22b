// Starts one process without waiting until it has become its program.
//
// What starting by hand gains: a task's processor time in runner_bench, as a multiple of a bare
// loop of posix_spawn (medians of five alternating runs, on a busy machine with two cores), is
// 0.97; with vfork in its place it is 1.21, with posix_spawn 1.23, with fork 2.0. Besides, vfork
// and posix_spawn return only when the program is executed, so that one on a file server that does
// not answer would stop the agent. fork does not wait either; it is what to use should the
// difference shrink.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <atomic>
#include <cstdint>
#include <memory>

namespace kartograph::executor {

// What the new process begins with. All pointers are borrowed until it has executed its program.
struct SpawnRequest {
  // Paths to execute, null-terminated. They are tried in this order, as execvp tries the folders of
  // PATH; relative ones are seen from `directory`.
  const char* const* programs = nullptr;
  char* const* argv = nullptr;
  // Executed where none of `programs` can be: argv, whose first is the path. May be null.
  char* const* fallback_argv = nullptr;
  char* const* environment = nullptr;
  const char* directory = nullptr;  // working directory
  // Descriptors that become 0, 1, 2 and 3, each above 2 itself. Nothing else is inherited. They may
  // be closed as soon as Start has returned.
  int stdin_fd = -1;
  int stdout_fd = -1;
  int stderr_fd = -1;
  int socket_fd = -1;  // -1: there is none
  // RLIMIT_NOFILE of the process; null: the parent's.
  const struct rlimit* descriptors = nullptr;
  // RLIMIT_DATA of the process; null: the parent's.
  const struct rlimit* data = nullptr;
  // Directory of the cgroup to be born in; -1: the parent's.
  int cgroup_fd = -1;
};

// Whether cgroup_fd is understood on this architecture.
bool CanSpawnIntoCgroup();

// Makes a process and holds what that needs until it is its program. As with vfork the process runs
// in the caller's memory until then, but the caller goes on beside it. So this, the request, and
// all that it points to must stay where they are until finished(), which may be never: a program or
// a directory on a file server that is gone holds a process in the kernel, where even SIGKILL may
// not reach it.
//
// The process leads a session of its own, has default signal dispositions and an empty signal mask,
// and is killed when the thread that called Start ends. Until it is its program a signal does what
// it does by default, and none of the caller's handlers runs in it. Thread-compatible.
class Spawner {
 public:
  Spawner();
  Spawner(const Spawner&) = delete;
  Spawner& operator=(const Spawner&) = delete;
  // Only when finished().
  ~Spawner() = default;

  // Makes the process. 0, or errno where there is none. May be called again when finished().
  int Start(const SpawnRequest& request);

  pid_t pid() const { return pid_; }
  // Whether the program has been executed, could not be, or the process was killed before.
  bool finished() const { return running_.load(std::memory_order_acquire) == 0; }

  // When finished: what went wrong. The process then ends with status 127, and is to be waited for.
  enum class Step { kDirectory, kExec };
  Step step() const;
  int error() const;  // errno; 0: the program was executed, or the process was killed before

 private:
  static int RunChild(void* spawner);
  pid_t Clone();

  struct alignas(16) Stack {
    char bytes[16 << 10];
  };
  std::unique_ptr<Stack> stack_;
  SpawnRequest request_;
  pid_t parent_ = 0;
  pid_t pid_ = -1;
  // 1 from the start until the kernel clears it, when the process has left this memory.
  std::atomic<uint32_t> running_ = 0;
  Step step_ = Step::kExec;  // the child's
  int error_ = 0;            // the child's
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_SPAWN_H_
