// Lets ThreadSanitizer see Abseil's mutexes. Debian's Abseil is compiled without the sanitizer, so
// what it orders looks like a race. Linked into tests under --config=tsan, where these functions
// stand in front of the library's and tell the sanitizer what is acquired and released.
#include <dlfcn.h>

#include <cstdint>

#include "absl/synchronization/mutex.h"

extern "C" {
void __tsan_acquire(void* address);
void __tsan_release(void* address);

// gRPC is not instrumented either: what it does to its own memory through the C library looks like
// a race. These match where such a function was called from there itself, not what gRPC calls.
const char* __tsan_default_suppressions() {
  return "race:libgrpc.so\n"
         "race:libgrpc++.so\n"
         "race:libgpr.so\n"
         "race:libupb.so\n"
         "race:libabsl_\n";
}
}

namespace {

// absl::Duration and absl::Time as they are passed.
struct TwoWords {
  int64_t high;
  uint32_t low;
};

// The library's own function.
template <typename Function>
Function* Real(const char* name) {
  return reinterpret_cast<Function*>(dlsym(RTLD_NEXT, name));
}

// A condition is evaluated with the mutex held, inside of the library.
struct Watched {
  void* mutex;
  const absl::Condition* condition;
};
bool Evaluate(Watched* watched) {
  __tsan_acquire(watched->mutex);
  const bool holds = watched->condition->Eval();
  __tsan_release(watched->mutex);
  return holds;
}

}  // namespace

#define KARTOGRAPH_ACQUIRES(function, symbol)            \
  extern "C" void function(void* mutex) asm(symbol);     \
  extern "C" void function(void* mutex) {                \
    static auto* const real = Real<void(void*)>(symbol); \
    real(mutex);                                         \
    __tsan_acquire(mutex);                               \
  }
#define KARTOGRAPH_RELEASES(function, symbol)            \
  extern "C" void function(void* mutex) asm(symbol);     \
  extern "C" void function(void* mutex) {                \
    static auto* const real = Real<void(void*)>(symbol); \
    __tsan_release(mutex);                               \
    real(mutex);                                         \
  }
#define KARTOGRAPH_AWAITS(function, symbol)                                      \
  extern "C" void function(void* mutex, const absl::Condition* c) asm(symbol);   \
  extern "C" void function(void* mutex, const absl::Condition* c) {              \
    static auto* const real = Real<void(void*, const absl::Condition*)>(symbol); \
    Watched watched{mutex, c};                                                   \
    const absl::Condition condition(&Evaluate, &watched);                        \
    __tsan_release(mutex);                                                       \
    real(mutex, &condition);                                                     \
    __tsan_acquire(mutex);                                                       \
  }
#define KARTOGRAPH_AWAITS_UNTIL(function, symbol)                                          \
  extern "C" bool function(void* mutex, const absl::Condition* c, TwoWords t) asm(symbol); \
  extern "C" bool function(void* mutex, const absl::Condition* c, TwoWords t) {            \
    static auto* const real = Real<bool(void*, const absl::Condition*, TwoWords)>(symbol); \
    Watched watched{mutex, c};                                                             \
    const absl::Condition condition(&Evaluate, &watched);                                  \
    __tsan_release(mutex);                                                                 \
    const bool holds = real(mutex, &condition, t);                                         \
    __tsan_acquire(mutex);                                                                 \
    return holds;                                                                          \
  }
#define KARTOGRAPH_WAITS_UNTIL(function, symbol)                             \
  extern "C" bool function(void* cond, void* mutex, TwoWords t) asm(symbol); \
  extern "C" bool function(void* cond, void* mutex, TwoWords t) {            \
    static auto* const real = Real<bool(void*, void*, TwoWords)>(symbol);    \
    __tsan_release(mutex);                                                   \
    const bool late = real(cond, mutex, t);                                  \
    __tsan_acquire(mutex);                                                   \
    return late;                                                             \
  }

KARTOGRAPH_ACQUIRES(MutexLock, "_ZN4absl7debian35Mutex4LockEv")
KARTOGRAPH_ACQUIRES(MutexReaderLock, "_ZN4absl7debian35Mutex10ReaderLockEv")
KARTOGRAPH_RELEASES(MutexUnlock, "_ZN4absl7debian35Mutex6UnlockEv")
KARTOGRAPH_RELEASES(MutexReaderUnlock, "_ZN4absl7debian35Mutex12ReaderUnlockEv")
KARTOGRAPH_AWAITS(MutexAwait, "_ZN4absl7debian35Mutex5AwaitERKNS0_9ConditionE")
KARTOGRAPH_AWAITS(MutexLockWhen, "_ZN4absl7debian35Mutex8LockWhenERKNS0_9ConditionE")
KARTOGRAPH_AWAITS_UNTIL(MutexAwaitWithTimeout,
                        "_ZN4absl7debian35Mutex16AwaitWithTimeoutERKNS0_9ConditionENS0_8DurationE")
KARTOGRAPH_AWAITS_UNTIL(MutexAwaitWithDeadline,
                        "_ZN4absl7debian35Mutex17AwaitWithDeadlineERKNS0_9ConditionENS0_4TimeE")
KARTOGRAPH_WAITS_UNTIL(CondVarWaitWithTimeout,
                       "_ZN4absl7debian37CondVar15WaitWithTimeoutEPNS0_5MutexENS0_8DurationE")
KARTOGRAPH_WAITS_UNTIL(CondVarWaitWithDeadline,
                       "_ZN4absl7debian37CondVar16WaitWithDeadlineEPNS0_5MutexENS0_4TimeE")
KARTOGRAPH_RELEASES(NotificationNotify, "_ZN4absl7debian312Notification6NotifyEv")
KARTOGRAPH_ACQUIRES(NotificationWait, "_ZNK4absl7debian312Notification19WaitForNotificationEv")
KARTOGRAPH_ACQUIRES(NotificationEnd, "_ZN4absl7debian312NotificationD1Ev")

extern "C" bool MutexTryLock(void* mutex) asm("_ZN4absl7debian35Mutex7TryLockEv");
extern "C" bool MutexTryLock(void* mutex) {
  static auto* const real = Real<bool(void*)>("_ZN4absl7debian35Mutex7TryLockEv");
  const bool taken = real(mutex);
  if (taken) __tsan_acquire(mutex);
  return taken;
}

extern "C" void CondVarWait(void* cond,
                            void* mutex) asm("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
extern "C" void CondVarWait(void* cond, void* mutex) {
  static auto* const real = Real<void(void*, void*)>("_ZN4absl7debian37CondVar4WaitEPNS0_5MutexE");
  __tsan_release(mutex);
  real(cond, mutex);
  __tsan_acquire(mutex);
}
