#include "base/state_folder.h"

#include <fcntl.h>
#include <pwd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstdlib>
#include <utility>
#include <vector>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace kartograph {
namespace {

// What the system knows of this process's user.
struct Account {
  std::string name;
  std::string home;
};
Account OwnAccount() {
  passwd entry;
  passwd* found = nullptr;
  std::vector<char> buffer(16 << 10);
  getpwuid_r(geteuid(), &entry, buffer.data(), buffer.size(), &found);
  return found == nullptr ? Account() : Account{found->pw_name, found->pw_dir};
}

std::string HomeFolder() {
  const char* home = std::getenv("HOME");
  return home != nullptr && home[0] == '/' ? home : OwnAccount().home;
}

bool MeansItselfInAUri(absl::string_view path) {
  return std::all_of(path.begin(), path.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::string_view("/._-").find(c) != absl::string_view::npos;
  });
}

}  // namespace

std::string UserName() {
  std::string name = OwnAccount().name;
  return name.empty() ? absl::StrCat(geteuid()) : name;
}

std::string DefaultStateFolder() {
  if (geteuid() == 0) return "/var/lib/kartograph";
  // A relative one is to be ignored, as the specification of these folders says.
  const char* states = std::getenv("XDG_STATE_HOME");
  if (states != nullptr && states[0] == '/') return absl::StrCat(states, "/kartograph");
  const std::string home = HomeFolder();
  return home.empty() ? "" : absl::StrCat(home, "/.local/state/kartograph");
}

std::string SocketFolder(absl::string_view state) { return absl::StrCat(state, "/run"); }

std::string SocketPath(absl::string_view state) { return absl::StrCat(state, "/run/grpc.sock"); }

absl::StatusOr<SocketTarget> MakeSocketTarget(const std::string& path) {
  if (path.size() <= kMaxSocketPath && MeansItselfInAUri(path)) {
    return SocketTarget{absl::StrCat("unix:", path), Descriptor()};
  }
  const size_t slash = path.rfind('/');
  const std::string folder = slash == std::string::npos ? "." : path.substr(0, slash + 1);
  Descriptor opened(open(folder.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC));
  if (!opened.ok()) return ErrnoStatus(errno, absl::StrCat("cannot enter ", folder));
  std::string target = absl::StrCat("unix:/proc/self/fd/", opened.get(), "/",
                                    slash == std::string::npos ? path : path.substr(slash + 1));
  return SocketTarget{std::move(target), std::move(opened)};
}

}  // namespace kartograph
