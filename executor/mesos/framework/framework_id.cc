#include "executor/mesos/framework/framework_id.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "base/small_file.h"

namespace kartograph::executor::mesos {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr char kProvisional[] = " provisional";

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
  return ReplaceFile(path_, absl::StrCat(id.id, id.provisional ? kProvisional : "", "\n"), 0644);
}

absl::Status FrameworkIdFile::Remove() const {
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("cannot remove ", path_));
  }
  return SyncFolderOf(path_);
}

}  // namespace kartograph::executor::mesos
