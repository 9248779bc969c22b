// Processes by descriptor: a number may be another process's by the time it is used.
#ifndef KARTOGRAPH_BASE_PIDFD_H_
#define KARTOGRAPH_BASE_PIDFD_H_

#include <sys/types.h>

#include "base/descriptor.h"

namespace kartograph {

// Refers to the process that has this number now, and to no other for as long as it is open;
// readable when that has ended. Not ok, with errno set, where there is none (ESRCH).
Descriptor OpenPidfd(pid_t pid);

// Whether the signal was sent; false, with errno set, where the process has ended (ESRCH).
bool SendSignal(const Descriptor& pidfd, int signal);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_PIDFD_H_
