// What tests choose beyond HistoryOptions.
#ifndef KARTOGRAPH_STORAGE_OPEN_HISTORY_H_
#define KARTOGRAPH_STORAGE_OPEN_HISTORY_H_

#include <cstdint>

#include "absl/status/statusor.h"
#include "storage/history.h"

namespace kartograph::storage {

struct HistoryTuning {
  const char* vfs = nullptr;  // a file system registered with SQLite; null: the operating system's
  // Pages (of 8 KiB) that are committed to the WAL before they are copied into the database. The
  // default is 32 MiB: rarely enough that a page written by many commits is copied once, often
  // enough that a restart has little to read back.
  int checkpoint_pages = 4096;
  // On a thread of its own. False for tests that count what is done to files: then the commit that
  // reaches the limit does it.
  bool checkpoint_thread = true;
  // Bytes of the disk that are kept behind the WAL for CommitUrgent, where checkpoint_thread is
  // set.
  int64_t reserve_bytes = int64_t{8} << 20;
};

absl::StatusOr<History> OpenHistory(const HistoryOptions& options, const HistoryTuning& tuning);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_OPEN_HISTORY_H_
