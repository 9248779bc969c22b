// Where a run history may be.
#ifndef KARTOGRAPH_STORAGE_FILE_SYSTEM_H_
#define KARTOGRAPH_STORAGE_FILE_SYSTEM_H_

#include <cstdint>
#include <string>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kartograph::storage {

// The name of a file system that is on another machine, by its number (f_type of statfs); empty for
// others. On such, locks and shared memory do not hold as SQLite needs them.
absl::string_view NetworkFileSystemName(int64_t type);

// FailedPrecondition where the folder of the file `path` is on one of those, with what to do. OK
// where it cannot be checked: opening the file reports why.
absl::Status CheckFileSystem(const std::string& path);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_FILE_SYSTEM_H_
