#include "executor/runner/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <linux/sched.h>
#include <sched.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/syscall.h>
#include <unistd.h>

namespace kartograph::executor {
namespace {

// The child runs in the parent's memory, beside the parent, until it executes the program. It must
// not return, allocate or touch anything of the C library that has state (errno is the parent's
// thread's), and it is not instrumented: sanitizers would take it for the parent.
#define KARTOGRAPH_IN_CHILD __attribute__((no_sanitize("thread,address,undefined"), noinline))

constexpr long kSignalSetBytes = 8;
constexpr int kLastSignal = 64;

// As the kernel has it, which is not as the C library has it. All zero: the default disposition.
struct KernelSigaction {
  unsigned long words[8] = {};
};

#if defined(__x86_64__)
// The result, or -errno.
KARTOGRAPH_IN_CHILD long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  long result = number;
  register long fourth asm("r10") = d;
  asm volatile("syscall"
               : "+a"(result)
               : "D"(a), "S"(b), "d"(c), "r"(fourth)
               : "rcx", "r11", "memory");
  return result;
}

// SYS_clone (flags, stack, child_tid) or SYS_clone3 (arguments, size). The child starts on a stack
// of its own with run(argument), and never comes back here. The result, or -errno.
long CloneAndRun(long number, long a, long b, long child_tid, int (*run)(void*), void* argument) {
  long result = number;
  register long fourth asm("r10") = child_tid;
  register int (*function)(void*) asm("r8") = run;
  register void* passed asm("r9") = argument;
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
      : "D"(a), "S"(b), "d"(0L), "r"(fourth), "r"(function), "r"(passed)
      : "rcx", "r11", "memory", "cc");
  return result;
}
#elif defined(__aarch64__)
KARTOGRAPH_IN_CHILD long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  register long which asm("x8") = number;
  register long result asm("x0") = a;
  register long second asm("x1") = b;
  register long third asm("x2") = c;
  register long fourth asm("x3") = d;
  asm volatile("svc #0"
               : "+r"(result)
               : "r"(which), "r"(second), "r"(third), "r"(fourth)
               : "memory");
  return result;
}

long CloneAndRun(long number, long a, long b, long child_tid, int (*run)(void*), void* argument) {
  register long which asm("x8") = number;
  register long result asm("x0") = a;
  register long second asm("x1") = b;
  register long third asm("x2") = 0;
  register long fourth asm("x3") = 0;
  register long fifth asm("x4") = child_tid;
  register int (*function)(void*) asm("x9") = run;
  register void* passed asm("x10") = argument;
  asm volatile(
      "svc #0\n\t"
      "cbnz x0, 1f\n\t"
      "mov x29, xzr\n\t"
      "mov x0, x10\n\t"
      "blr x9\n\t"
      "brk #1\n\t"
      "1:"
      : "+r"(result)
      : "r"(which), "r"(second), "r"(third), "r"(fourth), "r"(fifth), "r"(function), "r"(passed)
      : "memory", "cc");
  return result;
}
#else
// Through the C library, which writes errno: so the parent has to stand still.
KARTOGRAPH_IN_CHILD long Call(long number, long a = 0, long b = 0, long c = 0, long d = 0) {
  long result = syscall(number, a, b, c, d);
  return result < 0 ? -errno : result;
}
#endif

KARTOGRAPH_IN_CHILD long Address(const volatile void* pointer) {
  return reinterpret_cast<long>(pointer);
}

// Whether execvp would go on with the next folder of PATH.
KARTOGRAPH_IN_CHILD bool IsNotThere(long result) {
  return result == -ENOENT || result == -ENOTDIR || result == -ESTALE || result == -ENODEV ||
         result == -ETIMEDOUT;
}

}  // namespace

KARTOGRAPH_IN_CHILD int Spawner::RunChild(void* argument) {
  Spawner* self = static_cast<Spawner*>(argument);
  const SpawnRequest* request = &self->request_;
  Call(SYS_setsid);
  Call(SYS_prctl, PR_SET_PDEATHSIG, SIGKILL);
  // The parent may have died before it could be watched.
  if (Call(SYS_getppid) != self->parent_) Call(SYS_exit, 127);
  Call(SYS_dup3, request->stdin_fd, 0);
  Call(SYS_dup3, request->stdout_fd, 1);
  Call(SYS_dup3, request->stderr_fd, 2);
  if (request->socket_fd >= 0) {
    // Where it has this number already, it is to lose its close-on-exec flag all the same.
    if (Call(SYS_dup3, request->socket_fd, 3) < 0) Call(SYS_fcntl, 3, F_SETFD, 0);
    Call(SYS_close_range, 4, ~0u);
  } else {
    Call(SYS_close_range, 3, ~0u);
  }
  if (request->descriptors != nullptr) {
    Call(SYS_prlimit64, 0, RLIMIT_NOFILE, Address(request->descriptors));
  }
  if (request->data != nullptr) Call(SYS_prlimit64, 0, RLIMIT_DATA, Address(request->data));
  // Handlers are the parent's and work on its memory: they go before any signal is let in. What it
  // ignores goes too, as that would be inherited.
  KernelSigaction defaults;
  for (int signal = 1; signal <= kLastSignal; ++signal) {
    Call(SYS_rt_sigaction, signal, Address(&defaults), 0, kSignalSetBytes);
  }
  uint64_t no_signals = 0;
  Call(SYS_rt_sigprocmask, SIG_SETMASK, Address(&no_signals), 0, kSignalSetBytes);
  long result = Call(SYS_chdir, Address(request->directory));
  if (result != 0) {
    self->step_ = Step::kDirectory;
    self->error_ = static_cast<int>(-result);
    Call(SYS_exit, 127);
  }
  bool denied = false;
  for (const char* const* program = request->programs; *program != nullptr; ++program) {
    result =
        Call(SYS_execve, Address(*program), Address(request->argv), Address(request->environment));
    if (result == -EACCES) {
      denied = true;
    } else if (!IsNotThere(result)) {
      denied = false;
      break;
    }
  }
  if (denied) result = -EACCES;
  if (request->fallback_argv != nullptr) {
    result = Call(SYS_execve, Address(request->fallback_argv[0]), Address(request->fallback_argv),
                  Address(request->environment));
  }
  self->step_ = Step::kExec;
  self->error_ = static_cast<int>(-result);
  Call(SYS_exit, 127);
  return 127;
}

// The C library's clone is not used where there is our own: it has no way into a cgroup, and
// sanitizers take its child for a fork.
pid_t Spawner::Clone() {
  constexpr uint64_t kFlags = CLONE_VM | CLONE_CHILD_CLEARTID;
  char* const end_of_stack = stack_->bytes + sizeof(stack_->bytes);
#if defined(__x86_64__) || defined(__aarch64__)
  long result;
  if (request_.cgroup_fd >= 0) {
    struct clone_args args = {};
    args.flags = kFlags | CLONE_INTO_CGROUP;
    args.child_tid = reinterpret_cast<uint64_t>(&running_);
    args.exit_signal = SIGCHLD;
    args.stack = reinterpret_cast<uint64_t>(stack_->bytes);
    args.stack_size = sizeof(stack_->bytes);
    args.cgroup = static_cast<uint64_t>(request_.cgroup_fd);
    result = CloneAndRun(SYS_clone3, Address(&args), sizeof(args), 0, RunChild, this);
  } else {
    result = CloneAndRun(SYS_clone, kFlags | SIGCHLD, Address(end_of_stack), Address(&running_),
                         RunChild, this);
  }
  if (result >= 0) return static_cast<pid_t>(result);
  errno = static_cast<int>(-result);
  return -1;
#else
  // Waits: another architecture needs its own Call and CloneAndRun for a start that does not.
  return clone(RunChild, end_of_stack, kFlags | CLONE_VFORK | SIGCHLD, this, nullptr, nullptr,
               &running_);
#endif
}

bool CanSpawnIntoCgroup() {
#if defined(__x86_64__) || defined(__aarch64__)
  return true;
#else
  return false;
#endif
}

Spawner::Spawner() : stack_(std::make_unique<Stack>()) {}

int Spawner::Start(const SpawnRequest& request) {
  request_ = request;
  parent_ = getpid();
  step_ = Step::kExec;
  error_ = 0;
  running_.store(1, std::memory_order_release);

  // The child begins with this mask, and unblocks when its handlers are gone. Bypasses the C
  // library, which would leave two signals of its own out.
  const uint64_t all = ~uint64_t{0};
  uint64_t before = 0;
  Call(SYS_rt_sigprocmask, SIG_SETMASK, Address(&all), Address(&before), kSignalSetBytes);
  pid_ = Clone();
  int error = errno;
  Call(SYS_rt_sigprocmask, SIG_SETMASK, Address(&before), 0, kSignalSetBytes);
  if (pid_ >= 0) return 0;
  running_.store(0, std::memory_order_release);
  return error;
}

// Both are written by the child, which the compiler does not know of.
Spawner::Step Spawner::step() const { return *static_cast<const volatile Step*>(&step_); }
int Spawner::error() const { return *static_cast<const volatile int*>(&error_); }

}  // namespace kartograph::executor
