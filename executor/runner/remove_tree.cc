#include "executor/runner/remove_tree.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstddef>
#include <cstring>
#include <memory>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/descriptor.h"

namespace kartograph::executor {
namespace {

// Folders that are open at once; each costs a descriptor and a buffer of 32 KiB.
constexpr size_t kMaxOpenFolders = 32;

struct CloseDir {
  void operator()(DIR* folder) const { closedir(folder); }
};
using Folder = std::unique_ptr<DIR, CloseDir>;

// One that may not be read or written is made readable and writable first: a task may take its own
// permissions away.
Folder OpenFolder(int parent, const char* name) {
  constexpr int kFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
  Descriptor fd(openat(parent, name, kFlags));
  if (!fd.ok() && errno == EACCES) {
    // Through a descriptor: a name could be made to mean something else meanwhile.
    const Descriptor path(openat(parent, name, O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
    const std::string link = absl::StrCat("/proc/self/fd/", path.get());
    if (path.ok() && chmod(link.c_str(), 0700) == 0) fd.Reset(openat(parent, name, kFlags));
  }
  if (!fd.ok()) return nullptr;
  struct stat info;
  if (fstat(fd.get(), &info) == 0 && (info.st_mode & 0700) != 0700) fchmod(fd.get(), 0700);
  DIR* folder = fdopendir(fd.get());
  if (folder != nullptr) fd.Release();
  return Folder(folder);
}

// The folders from `parent` down to the one that is being emptied.
class TreeRemover {
 public:
  TreeRemover(int parent, const std::function<std::string()>& new_name)
      : parent_(parent), new_name_(new_name) {}

  // Deletes what is not a folder, opens what is one. The result is for RemoveTree's caller.
  TreeRemoval Remove(const std::string& name, const std::function<bool()>& stop) {
    Enter(name);
    while (!levels_.empty()) {
      if (stop()) {
        removal_.stopped = true;
        break;
      }
      const dirent* entry = readdir(levels_.back().folder.get());
      if (entry == nullptr) {
        Leave();
      } else if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0) {
        Enter(entry->d_name);
      }
    }
    return std::move(removal_);
  }

 private:
  struct Level {
    Folder folder;
    std::string name;
  };

  int Current() const { return levels_.empty() ? parent_ : dirfd(levels_.back().folder.get()); }

  void Enter(const std::string& name) {
    if (unlinkat(Current(), name.c_str(), 0) == 0 || errno == ENOENT) return;
    const int error = errno;
    if (error != EISDIR && error != EPERM) return Fail(name, error);
    if (unlinkat(Current(), name.c_str(), AT_REMOVEDIR) == 0) return;
    // Something is mounted there, and what is in it is not the sandbox's.
    if (errno == EBUSY) return Fail(name, EBUSY);
    Folder folder = OpenFolder(Current(), name.c_str());
    if (folder == nullptr) return Fail(name, errno == ENOTDIR ? error : errno);
    if (levels_.size() < kMaxOpenFolders) {
      levels_.push_back({std::move(folder), name});
    } else if (renameat(Current(), name.c_str(), parent_, new_name_().c_str()) != 0) {
      Fail(name, errno);
    }
  }

  void Leave() {
    const std::string name = std::move(levels_.back().name);
    levels_.pop_back();
    // With something left in it, that is what is reported.
    if (unlinkat(Current(), name.c_str(), AT_REMOVEDIR) != 0 && errno != ENOENT &&
        (errno != ENOTEMPTY || removal_.failures == 0)) {
      Fail(name, errno);
    }
  }

  void Fail(const std::string& name, int error) {
    if (removal_.failures++ > 0) return;
    removal_.first_error = error;
    for (const Level& level : levels_) absl::StrAppend(&removal_.first_path, level.name, "/");
    absl::StrAppend(&removal_.first_path, name);
  }

  const int parent_;
  const std::function<std::string()>& new_name_;
  std::vector<Level> levels_;
  TreeRemoval removal_;
};

}  // namespace

TreeRemoval RemoveTree(int parent, const std::string& name,
                       const std::function<std::string()>& new_name,
                       const std::function<bool()>& stop) {
  return TreeRemover(parent, new_name).Remove(name, stop);
}

}  // namespace kartograph::executor
