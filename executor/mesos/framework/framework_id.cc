#include "executor/mesos/framework/framework_id.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/descriptor.h"
#include "base/errno_status.h"

namespace kartograph::executor::mesos {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr char kProvisional[] = " provisional";

absl::Status SyncFolder(const std::string& path) {
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  Descriptor fd(open(folder.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!fd.ok() || fsync(fd.get()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", path, " durable"));
  }
  return absl::OkStatus();
}

}  // namespace

absl::StatusOr<StoredFrameworkId> FrameworkIdFile::Read() const {
  Descriptor fd(open(path_.c_str(), O_RDONLY | O_CLOEXEC));
  if (!fd.ok() && errno == ENOENT) return StoredFrameworkId();
  if (!fd.ok()) return ErrnoStatus(errno, absl::StrCat("cannot read ", path_));
  std::string text(kMaxBytes, '\0');
  const ssize_t bytes = read(fd.get(), text.data(), text.size());
  if (bytes < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path_));
  text.resize(static_cast<size_t>(bytes));
  absl::string_view line = absl::StripAsciiWhitespace(text);
  const bool provisional = absl::ConsumeSuffix(&line, kProvisional);
  const bool good = !line.empty() && line.size() < kMaxBytes / 2 &&
                    std::all_of(line.begin(), line.end(), absl::ascii_isgraph);
  if (good) return StoredFrameworkId{std::string(line), provisional};
  return absl::FailedPreconditionError(absl::StrCat(
      path_,
      " holds no framework id: write into it the id under which Mesos's page lists this "
      "framework, so that its tasks are found again; or remove the file and start with "
      "--mesos-abandon unknown, after which tasks that still run there are not known any more"));
}

absl::Status FrameworkIdFile::Write(const StoredFrameworkId& id) const {
  const std::string draft = absl::StrCat(path_, ".new");
  Descriptor fd(open(draft.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644));
  const std::string line = absl::StrCat(id.id, id.provisional ? kProvisional : "", "\n");
  if (!fd.ok() || write(fd.get(), line.data(), line.size()) != static_cast<ssize_t>(line.size()) ||
      fsync(fd.get()) != 0 || rename(draft.c_str(), path_.c_str()) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", path_));
  }
  return SyncFolder(path_);
}

absl::Status FrameworkIdFile::Remove() const {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("cannot remove ", path_));
  }
  return SyncFolder(path_);
}

}  // namespace kartograph::executor::mesos
