// Files that are read and written whole.
#ifndef KARTOGRAPH_BASE_SMALL_FILE_H_
#define KARTOGRAPH_BASE_SMALL_FILE_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph {

// The most that is read of a small file by default: what is in /proc, credentials, settings, an id.
inline constexpr size_t kMaxSmallFileBytes = 4 << 20;

// Reads a file whole. NotFound, PermissionDenied or Unavailable as in ErrnoStatus; OutOfRange where
// it has more than `max_bytes`.
absl::StatusOr<std::string> ReadFile(const std::string& path,
                                     size_t max_bytes = kMaxSmallFileBytes);

// The same; nothing where it cannot be read. For what may come and go, such as processes.
std::optional<std::string> ReadSmallFile(const std::string& path);

// Makes the file hold this text, with these permissions: after a crash it has all of it or is as it
// was. Durable. Writes PATH.new first, so one caller at a time. Errors as in ErrnoStatus.
absl::Status ReplaceFile(const std::string& path, absl::string_view text, unsigned mode);

// Makes durable that a file of this path was created, replaced or removed.
absl::Status SyncFolderOf(const std::string& path);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_SMALL_FILE_H_
