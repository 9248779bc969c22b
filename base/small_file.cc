#include "base/small_file.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <sys/stat.h>
#include <unistd.h>

#include <utility>

#include "absl/strings/str_cat.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "base/file_io.h"

namespace kartograph {
namespace {

// 0, errno, or -1 where there is more than `max_bytes`.
int Read(const std::string& path, size_t max_bytes, std::string* text) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_CLOEXEC));
  if (!file.ok()) return errno;
  char buffer[16384];
  while (true) {
    const ssize_t bytes = read(file.get(), buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return errno;
    if (bytes == 0) return 0;
    text->append(buffer, static_cast<size_t>(bytes));
    if (text->size() > max_bytes) return -1;
  }
}

}  // namespace

absl::StatusOr<std::string> ReadFile(const std::string& path, size_t max_bytes) {
  std::string text;
  const int error = Read(path, max_bytes, &text);
  if (error > 0) return ErrnoStatus(error, absl::StrCat("cannot read ", path));
  if (error < 0) {
    return absl::OutOfRangeError(
        absl::StrCat("cannot read ", path, ": it has more than ", max_bytes, " bytes"));
  }
  return text;
}

std::optional<std::string> ReadSmallFile(const std::string& path) {
  std::string text;
  if (Read(path, kMaxSmallFileBytes, &text) != 0) return std::nullopt;
  return text;
}

absl::Status ReplaceFile(const std::string& path, absl::string_view text, unsigned mode) {
  const std::string draft = absl::StrCat(path, ".new");
  const Descriptor file(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode));
  if (!file.ok() || fchmod(file.get(), mode) != 0 || !WriteAll(file.get(), text) ||
      fsync(file.get()) != 0 || rename(draft.c_str(), path.c_str()) != 0) {
    const int error = errno;
    if (file.ok()) unlink(draft.c_str());
    return ErrnoStatus(error, absl::StrCat("cannot write ", path));
  }
  return SyncFolderOf(path);
}

absl::Status SyncFolderOf(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  const Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok() || fsync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", path, " durable"));
  }
  return absl::OkStatus();
}

}  // namespace kartograph
