// What tests choose beyond HistoryOptions.
#ifndef KARTOGRAPH_STORAGE_OPEN_HISTORY_H_
#define KARTOGRAPH_STORAGE_OPEN_HISTORY_H_

#include "absl/status/statusor.h"
#include "storage/history.h"

namespace kartograph::storage {

// OpenHistory on a file system registered with SQLite under this name; null: the operating
// system's.
absl::StatusOr<History> OpenHistoryOn(const HistoryOptions& options, const char* vfs);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_OPEN_HISTORY_H_
