#include "base/pidfd.h"

#include <sys/syscall.h>
#include <unistd.h>

namespace kartograph {

// Debian 12's C library has no functions of these names for C++ to see.
Descriptor OpenPidfd(pid_t pid) {
  return Descriptor(static_cast<int>(syscall(SYS_pidfd_open, pid, 0)));
}

bool SendSignal(const Descriptor& pidfd, int signal) {
  return syscall(SYS_pidfd_send_signal, pidfd.get(), signal, nullptr, 0) == 0;
}

}  // namespace kartograph
