#include "storage/state_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>

#include "absl/status/status.h"
#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

absl::Status LockError(int error, const std::string& file) {
  const std::string what = absl::StrCat("cannot write ", file, " (", std::strerror(error), "): ");
  switch (error) {
    case ENOENT:
    case ENOTDIR:
      return absl::NotFoundError(absl::StrCat(what, "make its folder or give another --state"));
    case ENOSPC:
    case EDQUOT:
      return absl::ResourceExhaustedError(absl::StrCat(what, "free some space on its disk"));
    case EACCES:
    case EPERM:
    case EROFS:
    case EISDIR:
      return absl::PermissionDeniedError(
          absl::StrCat(what, "give this user write access to its folder or give another --state"));
    default:
      return absl::UnavailableError(absl::StrCat(what, "check its disk or give another --state"));
  }
}

std::string OwnerOf(int fd) {
  char text[32] = {};
  const ssize_t size = pread(fd, text, sizeof(text) - 1, 0);
  absl::string_view pid(text, size > 0 ? static_cast<size_t>(size) : 0);
  pid = absl::StripAsciiWhitespace(pid);
  return pid.empty() ? "unknown" : std::string(pid);
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateLock>> StateLock::Acquire(const std::string& path) {
  const std::string file = absl::StrCat(path, ".lock");
  const int fd = open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644);
  if (fd < 0) return LockError(errno, file);
  std::unique_ptr<StateLock> lock(new StateLock(fd));
  int locked;
  do {
    locked = flock(fd, LOCK_EX | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  if (locked != 0) {
    if (errno != EWOULDBLOCK) return LockError(errno, file);
    return absl::FailedPreconditionError(
        absl::StrCat(path, " is in use by another kartographd (pid ", OwnerOf(fd),
                     "): stop it or give another --state"));
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd, 0) != 0 ||
      pwrite(fd, pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return LockError(errno, file);
  }
  return lock;
}

StateLock::~StateLock() { close(fd_); }

}  // namespace kartograph::storage
