// Disk space that nobody else can take, so that a full disk can still be told of a cancellation.
#ifndef KARTOGRAPH_STORAGE_WAL_RESERVE_H_
#define KARTOGRAPH_STORAGE_WAL_RESERVE_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"

namespace kartograph::storage {

// Keeps blocks of the disk allocated behind the end of the write-ahead log, without making the file
// longer (fallocate with FALLOC_FL_KEEP_SIZE): SQLite sees nothing of it, and its next commits fill
// them. They stay the file's while SQLite writes it over again. Thread-compatible.
class WalReserve {
 public:
  // `bytes` are kept behind the end of the file at `path`, which need not exist yet. 0: none.
  WalReserve(std::string path, int64_t bytes) : path_(std::move(path)), bytes_(bytes) {}
  ~WalReserve();
  WalReserve(const WalReserve&) = delete;
  WalReserve& operator=(const WalReserve&) = delete;

  // To be called when the log has `used` bytes. ResourceExhausted where the disk has no room for
  // the reserve; then what there is of it is left for what is urgent. OK where the file system
  // cannot reserve anything.
  absl::Status Keep(int64_t used);
  // Tries again where there was no room.
  absl::Status KeepAgain() { return kept_.ok() ? kept_ : Keep(used_); }

 private:
  const std::string path_;
  const int64_t bytes_;
  int file_ = -1;
  int64_t allocated_ = 0;  // bytes from the beginning of the file
  int64_t used_ = 0;
  absl::Status kept_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_WAL_RESERVE_H_
