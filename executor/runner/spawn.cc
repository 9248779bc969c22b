#include "executor/runner/spawn.h"

#include <errno.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdint>
#include <memory>

namespace kartograph::executor {
namespace {

// The child runs in the parent's memory until it executes the program. It must not return, allocate
// or touch anything of the C library that has state, and it is not instrumented: sanitizers would
// take it for the parent.
#define KARTOGRAPH_IN_CHILD __attribute__((no_sanitize("thread,address,undefined"), noinline))

constexpr size_t kStackBytes = 64 << 10;
constexpr size_t kSignalSetBytes = 8;

// As the kernel has it, which is not as the C library has it. All zero: the default disposition.
struct KernelSigaction {
  unsigned long words[8] = {};
};

struct Child {
  const SpawnRequest* request;
  const int* ignored;
  size_t ignored_count;
  pid_t parent;
  SpawnResult::Step step;
  int error;
};

KARTOGRAPH_IN_CHILD int RunChild(void* argument) {
  Child* child = static_cast<Child*>(argument);
  const SpawnRequest* request = child->request;
  syscall(SYS_setsid);
  syscall(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL, 0, 0, 0);
  // The parent may have died before it could be watched.
  if (syscall(SYS_getppid) != child->parent) syscall(SYS_exit, 127);
  syscall(SYS_dup3, request->stdin_fd, 0, 0);
  syscall(SYS_dup3, request->stdout_fd, 1, 0);
  syscall(SYS_dup3, request->stderr_fd, 2, 0);
  syscall(SYS_close_range, 3u, ~0u, 0u);
  if (syscall(SYS_chdir, request->directory) != 0) {
    child->step = SpawnResult::Step::kDirectory;
    child->error = errno;
    syscall(SYS_exit, 127);
  }
  KernelSigaction defaults;
  for (size_t i = 0; i < child->ignored_count; ++i) {
    syscall(SYS_rt_sigaction, child->ignored[i], &defaults, nullptr, kSignalSetBytes);
  }
  uint64_t no_signals = 0;
  syscall(SYS_rt_sigprocmask, SIG_SETMASK, &no_signals, nullptr, kSignalSetBytes);
  syscall(SYS_execve, request->program, request->argv, request->environment);
  child->step = SpawnResult::Step::kExec;
  child->error = errno;
  syscall(SYS_exit, 127);
  return 127;
}

// clone3 with CLONE_INTO_CGROUP; the C library has no wrapper for it. The child starts on a stack
// of its own and never comes back here.
pid_t CloneIntoCgroup(int cgroup_fd, char* stack, Child* child) {
  struct clone_args args = {};
  args.flags = CLONE_VM | CLONE_VFORK | CLONE_INTO_CGROUP;
  args.exit_signal = SIGCHLD;
  args.stack = reinterpret_cast<uint64_t>(stack);
  args.stack_size = kStackBytes;
  args.cgroup = static_cast<uint64_t>(cgroup_fd);
#if defined(__x86_64__)
  long result = SYS_clone3;
  register int (*run)(void*) asm("r8") = RunChild;
  register void* argument asm("r9") = child;
  asm volatile(
      "syscall\n\t"
      "test %%rax, %%rax\n\t"
      "jnz 1f\n\t"
      "xor %%ebp, %%ebp\n\t"
      "mov %%r9, %%rdi\n\t"
      "call *%%r8\n\t"
      "ud2\n\t"
      "1:"
      : "+a"(result)
      : "D"(&args), "S"(sizeof(args)), "r"(run), "r"(argument)
      : "rcx", "r11", "memory", "cc");
#elif defined(__aarch64__)
  register long number asm("x8") = SYS_clone3;
  register long result asm("x0") = reinterpret_cast<long>(&args);
  register long size asm("x1") = sizeof(args);
  register int (*run)(void*) asm("x9") = RunChild;
  register void* argument asm("x10") = child;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk #1\n\t"
      "1:"
      : "+r"(result)
      : "r"(number), "r"(size), "r"(run), "r"(argument)
      : "memory", "cc");
#else
  (void)args;
  (void)child;
  long result = -ENOSYS;
#endif
  if (result < 0) {
    errno = static_cast<int>(-result);
    return -1;
  }
  return static_cast<pid_t>(result);
}

}  // namespace

bool CanSpawnIntoCgroup() {
#if defined(__x86_64__) || defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

SpawnResult Spawn(const SpawnRequest& request, const std::vector<int>& ignored) {
  struct alignas(16) Stack {
    char bytes[kStackBytes];
  };
  thread_local std::unique_ptr<Stack> stack = std::make_unique<Stack>();
  Child child = {&request, ignored.data(), ignored.size(), getpid(), SpawnResult::Step::kExec, 0};

  // No handler of the caller's may run in the child, where it would work on the caller's memory.
  sigset_t all, before;
  sigfillset(&all);
  pthread_sigmask(SIG_SETMASK, &all, &before);
  pid_t pid = request.cgroup_fd >= 0 ? CloneIntoCgroup(request.cgroup_fd, stack->bytes, &child)
                                     : clone(RunChild, stack->bytes + kStackBytes,
                                             CLONE_VM | CLONE_VFORK | SIGCHLD, &child);
  int clone_error = errno;
  pthread_sigmask(SIG_SETMASK, &before, nullptr);

  SpawnResult result;
  if (pid < 0) {
    result.error = clone_error;
    return result;
  }
  // Written by the child, which the compiler does not know of.
  int error = *static_cast<volatile int*>(&child.error);
  if (error != 0) {
    while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    result.error = error;
    result.step = child.step;
    return result;
  }
  result.pid = pid;
  return result;
}

std::vector<int> IgnoredSignals() {
  std::vector<int> ignored;
  for (int signal = 1; signal < NSIG; ++signal) {
    // Asked of the kernel, as the C library hides two signals, which may be inherited ignored too.
    KernelSigaction action;
    if (syscall(SYS_rt_sigaction, signal, nullptr, &action, kSignalSetBytes) == 0 &&
        action.words[0] == reinterpret_cast<unsigned long>(SIG_IGN)) {
      ignored.push_back(signal);
    }
  }
  return ignored;
}

}  // namespace kartograph::executor
