// One kartographd for one history.
#ifndef KARTOGRAPH_STORAGE_STATE_LOCK_H_
#define KARTOGRAPH_STORAGE_STATE_LOCK_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"

namespace kartograph::storage {

// Holds `<path>.lock` locked (flock) as long as it lives; the system unlocks it when the process
// ends, however it ends. The file stays and holds the process id of the last owner.
class StateLock {
 public:
  // FailedPrecondition where another process, or another lock of this one, has it;
  // PermissionDenied, NotFound (no such folder), ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<StateLock>> Acquire(const std::string& path);
  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  explicit StateLock(int fd) : fd_(fd) {}
  const int fd_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_STATE_LOCK_H_
