// One kartographd for one history.
#ifndef KARTOGRAPH_STORAGE_STATE_LOCK_H_
#define KARTOGRAPH_STORAGE_STATE_LOCK_H_

#include <memory>
#include <string>
#include <utility>

#include "absl/status/statusor.h"
#include "base/descriptor.h"

namespace kartograph::storage {

// Holds `<path>.lock` locked (flock) as long as it lives; the system unlocks it when the process
// ends, however it ends. The file holds the owner's process id, and is emptied by an orderly end.
// It is never removed: one who has opened it already would lock a file that nobody else sees. So
// only the lock says whether somebody is there, never the file or what is in it.
class StateLock {
 public:
  // FailedPrecondition where another process, or another lock of this one, has it, naming the
  // folder and the process; PermissionDenied, NotFound (no such folder), ResourceExhausted.
  static absl::StatusOr<std::unique_ptr<StateLock>> Acquire(const std::string& path);
  // The same FailedPrecondition where Acquire would give it now; makes no file. For one that cannot
  // start anyway, to find out why: it holds the lock shared for a moment, so that an Acquire just
  // then fails.
  static absl::Status CheckFree(const std::string& path);
  ~StateLock();
  StateLock(const StateLock&) = delete;
  StateLock& operator=(const StateLock&) = delete;

 private:
  explicit StateLock(Descriptor locked) : fd_(std::move(locked)) {}
  const Descriptor fd_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_STATE_LOCK_H_
