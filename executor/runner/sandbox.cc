#include "executor/runner/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"

namespace kartograph::executor {
namespace {

constexpr absl::string_view kDiscardedPrefix = "discarded.";
constexpr int kFolderFlags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;

// Asks ext4 to place each folder made in this one away from the others (as chattr +T). Otherwise
// all sandboxes are made beside whatever else is in that part of the disk, and where many files
// were deleted there in the last minutes, ext4 steps over every one of them again for each new
// file: a sandbox then costs half a millisecond instead of some twenty microseconds. Other file
// systems have no such thing, and need none.
void SpreadFolders(int folder) {
  int flags = 0;
  if (ioctl(folder, FS_IOC_GETFLAGS, &flags) != 0 || (flags & FS_TOPDIR_FL) != 0) return;
  flags |= FS_TOPDIR_FL;
  ioctl(folder, FS_IOC_SETFLAGS, &flags);
}

absl::StatusOr<std::string> ReadAt(int fd, int64_t offset, int64_t max_bytes) {
  std::string data;
  data.resize(static_cast<size_t>(max_bytes));
  size_t have = 0;
  while (have < data.size()) {
    ssize_t bytes = pread(fd, data.data() + have, data.size() - have, offset + have);
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes < 0) return ErrnoStatus(errno, "cannot read");
    if (bytes == 0) break;
    have += static_cast<size_t>(bytes);
  }
  data.resize(have);
  return data;
}

// Deletes `name` in `folder` with all that is in it, depth first. Goes down one descriptor a level.
void RemoveAll(int folder, const char* name, bool (*stop)(void*), void* argument) {
  if (unlinkat(folder, name, 0) == 0 || errno == ENOENT) return;
  Descriptor inside(openat(folder, name, kFolderFlags));
  if (!inside.ok() && errno == EACCES) {
    // A task may take its own permissions away.
    if (fchmodat(folder, name, 0700, 0) == 0) inside.Reset(openat(folder, name, kFolderFlags));
  }
  if (inside.ok()) {
    fchmod(inside.get(), 0700);
    if (DIR* entries = fdopendir(dup(inside.get()))) {
      while (struct dirent* entry = readdir(entries)) {
        if (strcmp(entry->d_name, ".") == 0 || strcmp(entry->d_name, "..") == 0) continue;
        if (stop(argument)) break;
        RemoveAll(inside.get(), entry->d_name, stop, argument);
      }
      closedir(entries);
    }
  }
  unlinkat(folder, name, AT_REMOVEDIR);
}

}  // namespace

std::string SandboxFolder(planner::AttemptId attempt) {
  return absl::StrCat(attempt.task().graph(), "/", attempt.task().index(), ".", attempt.number());
}

absl::StatusOr<std::unique_ptr<Sandboxes>> Sandboxes::Open(std::string root) {
  if (mkdir(root.c_str(), 0777) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the folder of sandboxes ", root));
  }
  Descriptor folder(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) {
    return ErrnoStatus(errno, absl::StrCat("cannot open the folder of sandboxes ", root));
  }
  SpreadFolders(folder.get());
  return std::unique_ptr<Sandboxes>(new Sandboxes(std::move(root), std::move(folder)));
}

bool Sandboxes::MakeGraphFolder(planner::GraphId graph) {
  graphs_.insert(graph);
  std::string name = absl::StrCat(graph);
  if (faccessat(folder_.get(), name.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0) return true;
  // The place on the disk is chosen by the name that a folder is made under (see SpreadFolders). By
  // its number, a graph would come to lie where the one of that number in another state lay.
  std::string first =
      absl::StrCat(kDiscardedPrefix, "new.", getpid(), ".", absl::ToUnixNanos(absl::Now()));
  if (mkdirat(folder_.get(), first.c_str(), 0777) == 0) {
    if (renameat(folder_.get(), first.c_str(), folder_.get(), name.c_str()) == 0) return true;
    unlinkat(folder_.get(), first.c_str(), AT_REMOVEDIR);
  }
  return mkdirat(folder_.get(), name.c_str(), 0777) == 0 || errno == EEXIST;
}

absl::StatusOr<Sandboxes::Made> Sandboxes::Make(planner::AttemptId attempt) {
  std::string relative = SandboxFolder(attempt);
  Made made;
  made.path = absl::StrCat(root_, "/", relative);
  auto fail = [&made](int error) {
    return ErrnoStatus(error, absl::StrCat("cannot make the sandbox ", made.path));
  };
  planner::GraphId graph = attempt.task().graph();
  if (!graphs_.contains(graph) && !MakeGraphFolder(graph)) return fail(errno);
  if (mkdirat(folder_.get(), relative.c_str(), 0777) != 0) {
    int error = errno;
    if (error == ENOENT) {  // the graph's folder was discarded meanwhile
      if (!MakeGraphFolder(graph)) return fail(errno);
      error = mkdirat(folder_.get(), relative.c_str(), 0777) == 0 ? 0 : errno;
    }
    if (error == EEXIST) {
      // Left by an agent that died before it could tell of the attempt.
      unlinkat(folder_.get(), absl::StrCat(relative, "/result").c_str(), 0);
    } else if (error != 0) {
      return fail(error);
    }
  }
  constexpr int kFlags = O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC | O_NOFOLLOW;
  size_t length = relative.size();
  relative += "/stdout";
  made.stdout_file.Reset(openat(folder_.get(), relative.c_str(), kFlags, 0666));
  if (!made.stdout_file.ok()) return fail(errno);
  relative.resize(length);
  relative += "/stderr";
  made.stderr_file.Reset(openat(folder_.get(), relative.c_str(), kFlags, 0666));
  if (!made.stderr_file.ok()) return fail(errno);
  return made;
}

absl::StatusOr<Descriptor> Sandboxes::OpenFile(planner::AttemptId attempt, const char* file) const {
  Descriptor graph(
      openat(folder_.get(), absl::StrCat(attempt.task().graph()).c_str(), kFolderFlags | O_PATH));
  Descriptor sandbox;
  if (graph.ok()) {
    std::string name = absl::StrCat(attempt.task().index(), ".", attempt.number());
    sandbox.Reset(openat(graph.get(), name.c_str(), kFolderFlags | O_PATH));
  }
  Descriptor fd;
  if (sandbox.ok()) {
    // Not to hang where the task has put a pipe.
    fd.Reset(openat(sandbox.get(), file, O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  }
  if (!fd.ok()) {
    return ErrnoStatus(errno, absl::StrCat("no ", file, " of ", AttemptIdToString(attempt)));
  }
  struct stat info;
  if (fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::NotFoundError(
        absl::StrCat(file, " of ", AttemptIdToString(attempt), " is not a plain file"));
  }
  return fd;
}

absl::StatusOr<std::string> Sandboxes::ReadResult(planner::AttemptId attempt,
                                                  int64_t max_bytes) const {
  // Most attempts have none, and one look is enough to know.
  if (faccessat(folder_.get(), absl::StrCat(SandboxFolder(attempt), "/result").c_str(), F_OK,
                AT_SYMLINK_NOFOLLOW) != 0) {
    return std::string();
  }
  absl::StatusOr<Descriptor> fd = OpenFile(attempt, "result");
  if (!fd.ok()) return fd.status();
  struct stat info;
  if (fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "cannot read the return value");
  if (info.st_size > max_bytes) return absl::OutOfRangeError(absl::StrCat(info.st_size));
  return ReadAt(fd->get(), 0, info.st_size);
}

absl::StatusOr<Sandboxes::Chunk> Sandboxes::Read(planner::AttemptId attempt, const char* file,
                                                 int64_t offset, int64_t max_bytes) const {
  absl::StatusOr<Descriptor> fd = OpenFile(attempt, file);
  if (!fd.ok()) return fd.status();
  struct stat info;
  if (fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "cannot read the log");
  Chunk chunk;
  chunk.offset = offset >= 0 ? offset : std::max<int64_t>(0, info.st_size + offset);
  int64_t bytes = std::min(max_bytes, info.st_size - chunk.offset);
  if (bytes <= 0) return chunk;
  absl::StatusOr<std::string> data = ReadAt(fd->get(), chunk.offset, bytes);
  if (!data.ok()) return data.status();
  chunk.data = *std::move(data);
  return chunk;
}

void Sandboxes::Discard(planner::GraphId graph) {
  renameat(folder_.get(), absl::StrCat(graph).c_str(), folder_.get(),
           absl::StrCat(kDiscardedPrefix, graph).c_str());
}

void Sandboxes::RemoveDiscardedUntil(bool (*stop)(void*), void* argument) {
  std::vector<std::string> names;
  if (DIR* entries = fdopendir(openat(folder_.get(), ".", kFolderFlags))) {
    while (struct dirent* entry = readdir(entries)) {
      if (absl::StartsWith(entry->d_name, kDiscardedPrefix)) names.push_back(entry->d_name);
    }
    closedir(entries);
  }
  for (const std::string& name : names) {
    if (stop(argument)) return;
    RemoveAll(folder_.get(), name.c_str(), stop, argument);
  }
}

}  // namespace kartograph::executor
