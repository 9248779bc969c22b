#include "service/access/token.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <filesystem>
#include <system_error>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "base/state_folder.h"
#include "service/access/secret.h"

namespace kartograph::service {
namespace {

namespace fs = std::filesystem;

constexpr size_t kTokenBytes = 32;  // random ones, written as hex
// Of one that an operator has chosen.
constexpr size_t kLeastToken = 32;
constexpr size_t kMostToken = 1024;
constexpr mode_t kOthers = 077;

absl::Status Wrong(const std::string& path, absl::string_view what) {
  return absl::FailedPreconditionError(absl::StrCat(path, " ", what));
}

absl::StatusOr<std::string> Read(const std::string& path) {
  const Descriptor file(open(path.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (!file.ok() && errno == ELOOP) {
    return Wrong(path, "is a symbolic link: put the token itself there");
  }
  struct stat info;
  if (!file.ok() || fstat(file.get(), &info) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  }
  if (!S_ISREG(info.st_mode)) return Wrong(path, "is not a file: remove it, and it is made again");
  if (info.st_uid != geteuid()) {
    return Wrong(path, absl::StrFormat("belongs to the user with id %u, and kartographd runs as %u:"
                                       " chown it",
                                       info.st_uid, geteuid()));
  }
  if ((info.st_mode & kOthers) != 0) {
    return Wrong(path,
                 absl::StrFormat("can be used by others (mode %04o): whoever has read it can run "
                                 "programs here, so remove it, and a new one is made",
                                 info.st_mode & 07777));
  }
  char text[kMostToken + 2];
  const ssize_t size = read(file.get(), text, sizeof(text));
  if (size < 0) return ErrnoStatus(errno, absl::StrCat("cannot read ", path));
  const absl::string_view token =
      absl::StripAsciiWhitespace(absl::string_view(text, static_cast<size_t>(size)));
  if (token.size() < kLeastToken || token.size() > kMostToken ||
      !std::all_of(token.begin(), token.end(),
                   [](unsigned char c) { return absl::ascii_isgraph(c); })) {
    return Wrong(path, absl::StrCat("is not a token, which has ", kLeastToken, " to ", kMostToken,
                                    " letters and digits: remove it, and a new one is made"));
  }
  return std::string(token);
}

// A link to a file that is complete: nobody ever sees a part of it.
absl::Status Make(const std::string& path) {
  std::string draft = absl::StrCat(path, ".XXXXXX");
  const Descriptor file(mkostemp(draft.data(), O_CLOEXEC));  // with mode 0600
  const std::string text = RandomHex(kTokenBytes) + "\n";
  absl::Status made;
  if (!file.ok() ||
      write(file.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size()) ||
      fsync(file.get()) != 0 || (link(draft.c_str(), path.c_str()) != 0 && errno != EEXIST)) {
    made = ErrnoStatus(errno, absl::StrCat("cannot write ", path));
  }
  if (file.ok()) unlink(draft.c_str());
  return made;
}

// Others could read a history's variables and the output of tasks.
void CloseToOthers(const std::string& state) {
  struct stat info;
  if (stat(state.c_str(), &info) != 0 || info.st_uid != geteuid()) return;
  std::error_code error;
  const bool ours = fs::exists(state + "/history.sqlite", error) || fs::is_empty(state, error);
  if (ours && !error && (info.st_mode & kOthers) != 0) chmod(state.c_str(), 0700);
}

}  // namespace

absl::StatusOr<std::string> LoadOrMakeToken(const std::string& state) {
  const std::string path = absl::StrCat(state, "/token");
  absl::StatusOr<std::string> token = Read(path);
  if (!absl::IsNotFound(token.status())) return token;
  CloseToOthers(state);
  if (absl::Status made = Make(path); !made.ok()) return made;
  return Read(path);
}

absl::Status MakeSocketFolder(const std::string& state) {
  const std::string path = SocketFolder(state);
  if (mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make ", path));
  }
  const Descriptor folder(open(path.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  struct stat info;
  if (!folder.ok() || fstat(folder.get(), &info) != 0 || info.st_uid != geteuid()) {
    return Wrong(path, "is not a folder of this user: remove it, and it is made again");
  }
  if (fchmod(folder.get(), 0700) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot close ", path, " to others"));
  }
  return absl::OkStatus();
}

}  // namespace kartograph::service
