// How much of a disk is left for those who need it more.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_DISK_RESERVE_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_DISK_RESERVE_H_

#include <cstdint>
#include <string>
#include <utility>

#include "base/clock.h"
#include "base/mutex.h"

namespace kartograph::executor {

// Says whether a file system has less free space than the reserve: what attempts leave there must
// not keep the run history, which mostly lies on the same disk, from being written. Looks five
// times a second while it is asked, and whenever what it was told of would reach the reserve.
// Thread-safe.
class DiskReserve {
 public:
  // `bytes` may be DiskLimits::kUsualReserve. `path` is on the file system; `clock` outlives this.
  DiskReserve(std::string path, int64_t bytes, const Clock* clock = &Clock::System())
      : path_(std::move(path)), clock_(*clock), bytes_(bytes) {}

  void Set(int64_t bytes);
  // Whether less than the reserve is free. `written` is what the caller is about to write.
  bool Reached(int64_t written = 0);
  // "only 12MiB are free on the disk of /var/sandboxes, and 256MiB are kept in reserve".
  std::string ToString() const;

 private:
  const std::string path_;
  const Clock& clock_;

  mutable Mutex mutex_;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_);
  SteadyTime looked_at_ ABSL_GUARDED_BY(mutex_) = SteadyTime::InfinitePast();
  int64_t written_ ABSL_GUARDED_BY(mutex_) = 0;  // since then
  int64_t free_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t kept_ ABSL_GUARDED_BY(mutex_) = 0;  // the reserve of this file system
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_DISK_RESERVE_H_
