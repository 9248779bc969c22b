#include "executor/runner/disk_reserve.h"

#include <sys/statvfs.h>

#include <algorithm>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/byte_size.h"
#include "executor/disk_limits.h"

namespace kartograph::executor {
namespace {

constexpr absl::Duration kLookEvery = absl::Milliseconds(200);
constexpr int64_t kMostByDefault = 256 << 20;
constexpr int64_t kDefaultPart = 20;

}  // namespace

void DiskReserve::Set(int64_t bytes) {
  const MutexLock lock(&mutex_);
  bytes_ = bytes;
  looked_at_ = SteadyTime::InfinitePast();
}

bool DiskReserve::Reached(int64_t written) {
  const SteadyTime now = clock_.SteadyNow();
  const MutexLock lock(&mutex_);
  written_ += written;
  if (now - looked_at_ >= kLookEvery || free_ - written_ < kept_) {
    struct statvfs disk;
    // Where nothing can be said, nothing is held back.
    if (statvfs(path_.c_str(), &disk) != 0) return false;
    const int64_t block = static_cast<int64_t>(disk.f_frsize);
    free_ = static_cast<int64_t>(disk.f_bavail) * block;
    kept_ =
        bytes_ == DiskLimits::kUsualReserve
            ? std::min(kMostByDefault, static_cast<int64_t>(disk.f_blocks) * block / kDefaultPart)
            : bytes_;
    looked_at_ = now;
    written_ = written;
  }
  return free_ - written_ < kept_;
}

std::string DiskReserve::ToString() const {
  const MutexLock lock(&mutex_);
  return absl::StrCat("only ", FormatBytes(static_cast<double>(free_)), " are free on the disk of ",
                      path_, ", and ", FormatBytes(static_cast<double>(kept_)),
                      " are kept in reserve");
}

}  // namespace kartograph::executor
