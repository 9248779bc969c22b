// A file system whose server does not answer.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_TESTING_DEAD_MOUNT_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_TESTING_DEAD_MOUNT_H_

#include <atomic>
#include <string>
#include <thread>

#include "base/descriptor.h"

namespace kartograph::executor::testing {

// Mounted on an existing folder. Whoever touches what is in it waits in the kernel, and not even
// SIGKILL ends it, until this is destroyed. Needs /dev/fuse and the right to mount.
class DeadMount {
 public:
  explicit DeadMount(std::string folder);
  ~DeadMount();
  DeadMount(const DeadMount&) = delete;
  DeadMount& operator=(const DeadMount&) = delete;

  bool mounted() const { return mounted_; }
  // Requests that were taken and never answered: as many processes hang. For one name there is one
  // request.
  int requests() const { return requests_; }

 private:
  void Serve();

  const std::string folder_;
  Descriptor device_;
  bool mounted_ = false;
  std::atomic<int> requests_ = 0;
  std::atomic<bool> stopping_ = false;
  std::thread server_;
};

}  // namespace kartograph::executor::testing

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_TESTING_DEAD_MOUNT_H_
