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
  return std::string(absl::StripAsciiWhitespace(pid));
}

absl::Status InUse(const std::string& path, const std::string& owner) {
  const size_t slash = path.rfind('/');
  return absl::FailedPreconditionError(absl::StrCat(
      "state folder ", slash == std::string::npos ? "." : path.substr(0, slash),
      " is in use by another kartographd", owner.empty() ? "" : absl::StrCat(" (pid ", owner, ")"),
      ": stop it or give another --state"));
}

// Whether it was locked, without waiting; errno says why not.
bool Lock(int fd, int kind) {
  int locked;
  do {
    locked = flock(fd, kind | LOCK_NB);
  } while (locked != 0 && errno == EINTR);
  return locked == 0;
}

}  // namespace

absl::StatusOr<std::unique_ptr<StateLock>> StateLock::Acquire(const std::string& path) {
  const std::string file = absl::StrCat(path, ".lock");
  Descriptor fd(open(file.c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.ok()) return LockError(errno, file);
  if (!Lock(fd.get(), LOCK_EX)) {
    return errno == EWOULDBLOCK ? InUse(path, OwnerOf(fd.get())) : LockError(errno, file);
  }
  const std::string pid = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), pid.data(), pid.size(), 0) != static_cast<ssize_t>(pid.size())) {
    return LockError(errno, file);
  }
  return std::unique_ptr<StateLock>(new StateLock(std::move(fd)));
}

absl::Status StateLock::CheckFree(const std::string& path) {
  const Descriptor fd(open(absl::StrCat(path, ".lock").c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok() || Lock(fd.get(), LOCK_SH) || errno != EWOULDBLOCK) return absl::OkStatus();
  return InUse(path, OwnerOf(fd.get()));
}

StateLock::~StateLock() {
  // Still locked, so that it is no other's id. Where that fails it stays, as after a crash.
  [[maybe_unused]] const int emptied = ftruncate(fd_.get(), 0);
}

}  // namespace kartograph::storage
