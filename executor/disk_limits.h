// How much of an agent's disk attempts may use.
#ifndef KARTOGRAPH_EXECUTOR_DISK_LIMITS_H_
#define KARTOGRAPH_EXECUTOR_DISK_LIMITS_H_

#include <cstdint>

namespace kartograph::executor {

struct DiskLimits {
  static constexpr int64_t kLeastLog = int64_t{64} << 10;
  // A twentieth of the file system, at most 256 MiB.
  static constexpr int64_t kUsualReserve = -1;

  // Bytes of each stream of an attempt that are kept: of a longer one its beginning and its end.
  // At least kLeastLog.
  int64_t log = int64_t{256} << 20;
  // Free bytes on the disk of the sandboxes below which nothing is started and no output is kept;
  // or kUsualReserve.
  int64_t reserve = kUsualReserve;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_DISK_LIMITS_H_
