// A file that cannot be opened, and so not be executed, for as long as a test wants.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_TESTING_LEASE_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_TESTING_LEASE_H_

#include <fcntl.h>
#include <signal.h>

#include <string>

#include "base/descriptor.h"

namespace kartograph::executor::testing {

// Whoever opens the file waits in the kernel until this is destroyed, or for the 45 seconds of
// /proc/sys/fs/lease-break-time; signals reach it.
class Lease {
 public:
  explicit Lease(const std::string& path) : file_(open(path.c_str(), O_RDONLY | O_CLOEXEC)) {
    signal(SIGIO, SIG_IGN);  // which says that a process waits
    held_ = fcntl(file_.get(), F_SETLEASE, F_WRLCK) == 0;
  }
  bool held() const { return held_; }

 private:
  Descriptor file_;
  bool held_ = false;
};

}  // namespace kartograph::executor::testing

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_TESTING_LEASE_H_
