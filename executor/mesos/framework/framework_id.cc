#include "executor/mesos/framework/framework_id.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "base/file_io.h"
#include "base/small_file.h"

namespace kartograph::executor::mesos {
namespace {

constexpr size_t kMaxBytes = 1024;
constexpr char kProvisional[] = " provisional";
constexpr char kCheckpoint[] = "checkpoint";
constexpr char kNoCheckpoint[] = "no checkpoint";

}  // namespace

std::optional<StoredFrameworkId::Registration> FrameworkIdFile::ReadRegistration(
    const std::string& id) const {
  Descriptor fd(open(registration_path().c_str(), O_RDONLY | O_CLOEXEC));
  std::string text;
  if (!fd.ok() || !ReadAt(fd.get(), 0, kMaxBytes, &text)) return std::nullopt;
  // Its four lines: each value may be empty, and has no line end.
  const std::vector<std::string> lines = absl::StrSplit(text, '\n');
  StoredFrameworkId::Registration found;
  if (lines.size() != 5 || lines[0] != id) return std::nullopt;
  found.user = lines[1];
  found.principal = lines[2];
  found.checkpoint = lines[3] == kCheckpoint;
  return found;
}

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
  if (good) {
    return StoredFrameworkId{std::string(line), provisional, ReadRegistration(std::string(line))};
  }
  return absl::FailedPreconditionError(absl::StrCat(
      path_,
      " holds no framework id: write into it the id under which Mesos's page lists this "
      "framework, so that its tasks are found again; or remove the file and start with "
      "--mesos-abandon unknown, after which tasks that still run there are not known any more"));
}

absl::Status FrameworkIdFile::Write(const StoredFrameworkId& id) const {
  if (const auto& as = id.registration) {
    const std::string text = absl::StrCat(id.id, "\n", as->user, "\n", as->principal, "\n",
                                          as->checkpoint ? kCheckpoint : kNoCheckpoint, "\n");
    absl::Status status = ReplaceFile(registration_path(), text, 0644);
    if (!status.ok()) return status;
  }
  return ReplaceFile(path_, absl::StrCat(id.id, id.provisional ? kProvisional : "", "\n"), 0644);
}

absl::Status FrameworkIdFile::Remove() const {
  unlink(registration_path().c_str());
  if (unlink(path_.c_str()) != 0 && errno != ENOENT) {
    return ErrnoStatus(errno, absl::StrCat("cannot remove ", path_));
  }
  return SyncFolderOf(path_);
}

}  // namespace kartograph::executor::mesos
