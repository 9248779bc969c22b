#include "storage/wal_reserve.h"

#include <fcntl.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

constexpr int64_t kMebibyte = 1 << 20;
// Allocated at once, so that few commits need to.
constexpr int64_t kStep = 4 * kMebibyte;

}  // namespace

WalReserve::~WalReserve() {
  if (file_ >= 0) close(file_);
}

absl::Status WalReserve::Keep(int64_t used) {
  // Where the log starts over SQLite may cut off what it was longer than its limit.
  if (used < used_) allocated_ = 0;
  used_ = used;
  const int64_t wanted = used + bytes_;
  if (bytes_ == 0 || wanted <= allocated_) return kept_ = absl::OkStatus();
  // SQLite makes the file with the first commit.
  if (file_ < 0) file_ = open(path_.c_str(), O_RDWR | O_CLOEXEC);
  if (file_ < 0) return kept_ = absl::OkStatus();
  const int64_t target = (wanted + kStep - 1) / kStep * kStep;
  int result;
  do {
    result = fallocate(file_, FALLOC_FL_KEEP_SIZE, 0, target);
  } while (result != 0 && errno == EINTR);
  if (result == 0) {
    allocated_ = target;
    return kept_ = absl::OkStatus();
  }
  if (errno != ENOSPC && errno != EDQUOT) return kept_ = absl::OkStatus();
  return kept_ = absl::ResourceExhaustedError(absl::StrCat(
             "the disk of ", path_, " is full but for what is kept to cancel; free at least ",
             (target - used + kMebibyte - 1) / kMebibyte, "MiB there"));
}

}  // namespace kartograph::storage
