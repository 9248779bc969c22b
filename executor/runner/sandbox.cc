#include "executor/runner/sandbox.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cstring>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/errno_status.h"
#include "base/file_io.h"
#include "executor/cut_log.h"
#include "executor/runner/remove_tree.h"

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

absl::StatusOr<std::string> ReadPart(int fd, int64_t offset, int64_t max_bytes) {
  std::string data;
  if (ReadAt(fd, offset, static_cast<size_t>(max_bytes), &data)) return data;
  return ErrnoStatus(errno, "cannot read");
}

// Reads from `chunk->offset` on, with a notice for a hole at the beginning. The middle may be cut
// out meanwhile: whether what was read was there is looked at afterwards.
absl::Status ReadLog(int fd, int64_t max_bytes, Sandboxes::Chunk* chunk) {
  constexpr int kTries = 100;
  const int64_t begin = chunk->offset;
  for (int tries = 0;; ++tries) {
    struct stat info;
    if (fstat(fd, &info) != 0) return ErrnoStatus(errno, "cannot read the log");
    if (begin >= info.st_size || max_bytes <= 0) return absl::OkStatus();
    // Where the file system knows no holes these say that there are none.
    const int64_t data_at = std::max<int64_t>(begin, lseek(fd, begin, SEEK_DATA));
    const std::string notice = data_at > begin ? CutNotice(data_at - begin) : "";
    const int64_t room = std::max<int64_t>(1, max_bytes - static_cast<int64_t>(notice.size()));
    const int64_t bytes = std::clamp<int64_t>(info.st_size - data_at, 0, room);
    absl::StatusOr<std::string> data = ReadPart(fd, data_at, bytes);
    if (!data.ok()) return data.status();
    const int64_t still_at = lseek(fd, data_at, SEEK_DATA);
    const int64_t hole_at = lseek(fd, data_at, SEEK_HOLE);
    const bool gone = still_at > data_at || data->empty();
    if (gone && tries < kTries) continue;
    if (gone) data->clear();
    if (hole_at > data_at) {
      data->resize(std::min(data->size(), static_cast<size_t>(hole_at - data_at)));
    }
    chunk->offset = data_at - static_cast<int64_t>(notice.size());
    chunk->data = absl::StrCat(notice, *data);
    return absl::OkStatus();
  }
}

absl::StatusOr<std::vector<std::string>> List(int folder) {
  Descriptor fd(openat(folder, ".", kFolderFlags));
  DIR* entries = fd.ok() ? fdopendir(fd.get()) : nullptr;
  if (entries == nullptr) return ErrnoStatus(errno, "cannot list what is to be removed");
  fd.Release();
  std::vector<std::string> names;
  while (const dirent* entry = readdir(entries)) {
    const absl::string_view name = entry->d_name;
    if (name != "." && name != "..") names.emplace_back(name);
  }
  closedir(entries);
  return names;
}

absl::StatusOr<std::vector<std::string>> ListDiscarded(int root) {
  absl::StatusOr<std::vector<std::string>> names = List(root);
  if (names.ok()) {
    std::erase_if(*names,
                  [](const auto& name) { return !absl::StartsWith(name, kDiscardedPrefix); });
  }
  return names;
}

absl::StatusOr<Descriptor> OpenRoot(const std::string& root) {
  if (mkdir(root.c_str(), 0777) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the folder of sandboxes ", root));
  }
  Descriptor folder(open(root.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!folder.ok()) {
    return ErrnoStatus(errno, absl::StrCat("cannot open the folder of sandboxes ", root));
  }
  SpreadFolders(folder.get());
  return folder;
}

// Not ok, with errno set, where it is missing or not a folder.
Descriptor OpenGraphFolder(int root, planner::AttemptId attempt) {
  const std::string name = absl::StrCat(attempt.task().graph());
  return Descriptor(openat(root, name.c_str(), kFolderFlags | O_PATH));
}

std::string FolderInGraph(planner::AttemptId attempt) {
  return absl::StrCat(attempt.task().index(), ".", attempt.number());
}

}  // namespace

std::string SandboxFolder(planner::AttemptId attempt) {
  return absl::StrCat(attempt.task().graph(), "/", FolderInGraph(attempt));
}

absl::StatusOr<std::unique_ptr<Sandboxes>> Sandboxes::Open(std::string root) {
  absl::StatusOr<Descriptor> folder = OpenRoot(root);
  if (!folder.ok()) return folder.status();
  return std::unique_ptr<Sandboxes>(new Sandboxes(std::move(root), *std::move(folder)));
}

absl::Status Sandboxes::EnsureRoot() const {
  struct stat opened;
  struct stat in_place;
  if (fstat(folder_.get(), &opened) != 0) return ErrnoStatus(errno, root_);
  if (stat(root_.c_str(), &in_place) == 0 && in_place.st_dev == opened.st_dev &&
      in_place.st_ino == opened.st_ino) {
    return absl::OkStatus();
  }
  absl::StatusOr<Descriptor> folder = OpenRoot(root_);
  if (!folder.ok()) return folder.status();
  // At once for all threads: what is under way ends in the old folder, or is not found there.
  if (dup3(folder->get(), folder_.get(), O_CLOEXEC) < 0) return ErrnoStatus(errno, root_);
  return absl::OkStatus();
}

std::string Sandboxes::NewDiscardedName() {
  // Unlike what an earlier process has left there.
  const absl::Duration now = Clock::System().SteadyNow().since_zero();
  return absl::StrCat(kDiscardedPrefix, getpid(), ".", absl::ToInt64Nanoseconds(now), ".",
                      ++names_);
}

int Sandboxes::MakeGraphFolder(planner::GraphId graph) {
  const std::string name = absl::StrCat(graph);
  // The place on the disk is chosen by the name that a folder is made under (see SpreadFolders). By
  // its number, a graph would come to lie where that of the same number in another state folder
  // lay.
  const std::string first = NewDiscardedName();
  if (mkdirat(folder_.get(), first.c_str(), 0777) == 0) {
    if (renameat2(folder_.get(), first.c_str(), folder_.get(), name.c_str(), RENAME_NOREPLACE) ==
        0) {
      return 0;
    }
    unlinkat(folder_.get(), first.c_str(), AT_REMOVEDIR);
  }
  return mkdirat(folder_.get(), name.c_str(), 0777) == 0 || errno == EEXIST ? 0 : errno;
}

int Sandboxes::MakeFolder(const Descriptor& graph, const std::string& name) {
  if (mkdirat(graph.get(), name.c_str(), 0777) == 0) return 0;
  if (errno != EEXIST) return errno;
  if (int error = DiscardFrom(graph, name); error != 0) return error;
  return mkdirat(graph.get(), name.c_str(), 0777) == 0 ? 0 : errno;
}

absl::StatusOr<std::string> Sandboxes::Make(planner::AttemptId attempt) {
  const std::string path = absl::StrCat(root_, "/", SandboxFolder(attempt));
  auto fail = [&path](int error) {
    return ErrnoStatus(error, absl::StrCat("cannot make the sandbox ", path));
  };
  Descriptor graph = OpenGraphFolder(folder_.get(), attempt);
  if (!graph.ok() && errno == ENOENT) {
    if (absl::Status root = EnsureRoot(); !root.ok()) return root;
    if (int error = MakeGraphFolder(attempt.task().graph()); error != 0) return fail(error);
    graph = OpenGraphFolder(folder_.get(), attempt);
  }
  if (!graph.ok()) return fail(errno);
  if (int error = MakeFolder(graph, FolderInGraph(attempt)); error != 0) return fail(error);
  return path;
}

absl::StatusOr<Descriptor> Sandboxes::OpenFile(planner::AttemptId attempt, const char* file,
                                               int flags) const {
  Descriptor graph = OpenGraphFolder(folder_.get(), attempt);
  if (!graph.ok() && errno == ENOENT && EnsureRoot().ok()) {
    graph = OpenGraphFolder(folder_.get(), attempt);
  }
  Descriptor sandbox;
  if (graph.ok()) {
    sandbox.Reset(openat(graph.get(), FolderInGraph(attempt).c_str(), kFolderFlags | O_PATH));
  }
  Descriptor fd;
  if (sandbox.ok()) {
    // So as not to hang where the task has put a pipe.
    fd.Reset(openat(sandbox.get(), file, flags | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0666));
  }
  // A socket and a device without a driver cannot be opened.
  const bool opens = fd.ok() || (errno != ENXIO && errno != ENODEV);
  if (!fd.ok() && opens) {
    return ErrnoStatus(errno, absl::StrCat("no ", file, " of ", AttemptIdToString(attempt)));
  }
  struct stat info;
  if (!opens || fstat(fd.get(), &info) != 0 || !S_ISREG(info.st_mode)) {
    return absl::NotFoundError(
        absl::StrCat(file, " of ", AttemptIdToString(attempt), " is not a plain file"));
  }
  return fd;
}

absl::StatusOr<Descriptor> Sandboxes::OpenToWrite(planner::AttemptId attempt,
                                                  const char* file) const {
  return OpenFile(attempt, file, O_WRONLY | O_CREAT);
}

absl::Status Sandboxes::MakeSubfolder(planner::AttemptId attempt, const char* folder) const {
  const std::string path = absl::StrCat(SandboxFolder(attempt), "/", folder);
  if (mkdirat(folder_.get(), path.c_str(), 0777) == 0) return absl::OkStatus();
  return ErrnoStatus(errno, absl::StrCat("cannot make ", root_, "/", path));
}

absl::Status Sandboxes::Write(planner::AttemptId attempt, const char* file,
                              absl::string_view data) const {
  const std::string path = absl::StrCat(SandboxFolder(attempt), "/", file);
  const auto fail = [&] {
    return ErrnoStatus(errno, absl::StrCat("cannot write ", root_, "/", path));
  };
  const Descriptor fd(openat(folder_.get(), path.c_str(),
                             O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0666));
  if (!fd.ok()) return fail();
  return WriteAll(fd.get(), data) ? absl::OkStatus() : fail();
}

absl::StatusOr<std::optional<std::string>> Sandboxes::ReadResult(planner::AttemptId attempt,
                                                                 int64_t max_bytes) const {
  // Most attempts have none, and one check is enough to know.
  if (faccessat(folder_.get(), absl::StrCat(SandboxFolder(attempt), "/result").c_str(), F_OK,
                AT_SYMLINK_NOFOLLOW) != 0) {
    return std::nullopt;
  }
  absl::StatusOr<Descriptor> fd = OpenFile(attempt, "result", O_RDONLY);
  if (!fd.ok()) return fd.status();
  struct stat info;
  if (fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "cannot read the return value");
  if (info.st_size > max_bytes) return absl::OutOfRangeError(absl::StrCat(info.st_size));
  return ReadPart(fd->get(), 0, info.st_size);
}

absl::StatusOr<std::string> Sandboxes::ReadResultPart(planner::AttemptId attempt, int64_t offset,
                                                      int64_t max_bytes) const {
  absl::StatusOr<Descriptor> fd = OpenFile(attempt, "result", O_RDONLY);
  if (!fd.ok()) return fd.status();
  return ReadPart(fd->get(), offset, max_bytes);
}

absl::StatusOr<Sandboxes::Chunk> Sandboxes::Read(planner::AttemptId attempt, const char* file,
                                                 int64_t offset, int64_t max_bytes) const {
  Chunk chunk;
  absl::StatusOr<Descriptor> fd = OpenFile(attempt, file, O_RDONLY);
  if (!fd.ok()) {
    const auto exists = [&](const std::string& path) {
      return faccessat(folder_.get(), path.c_str(), F_OK, AT_SYMLINK_NOFOLLOW) == 0;
    };
    const std::string sandbox = SandboxFolder(attempt);
    // Nothing was written.
    if (absl::IsNotFound(fd.status()) && exists(sandbox) &&
        !exists(absl::StrCat(sandbox, "/", file))) {
      chunk.offset = std::max<int64_t>(0, offset);
      return chunk;
    }
    return fd.status();
  }
  struct stat info;
  if (fstat(fd->get(), &info) != 0) return ErrnoStatus(errno, "cannot read the log");
  chunk.offset = offset >= 0 ? offset : std::max<int64_t>(0, info.st_size + offset);
  if (absl::Status read = ReadLog(fd->get(), max_bytes, &chunk); !read.ok()) return read;
  return chunk;
}

int Sandboxes::DiscardFrom(const Descriptor& folder, const std::string& name) {
  const std::string discarded = NewDiscardedName();
  return renameat(folder.get(), name.c_str(), folder_.get(), discarded.c_str()) == 0 ? 0 : errno;
}

void Sandboxes::Discard(planner::GraphId graph) {
  if (EnsureRoot().ok()) DiscardFrom(folder_, absl::StrCat(graph));
}

void Sandboxes::Discard(planner::AttemptId attempt) {
  if (!EnsureRoot().ok()) return;
  const Descriptor graph = OpenGraphFolder(folder_.get(), attempt);
  if (graph.ok()) DiscardFrom(graph, FolderInGraph(attempt));
}

void Sandboxes::DiscardAllBut(planner::AttemptId attempt, absl::string_view kept) {
  if (!EnsureRoot().ok()) return;
  const Descriptor graph = OpenGraphFolder(folder_.get(), attempt);
  if (!graph.ok()) return;
  const Descriptor sandbox(openat(graph.get(), FolderInGraph(attempt).c_str(), kFolderFlags));
  if (!sandbox.ok()) return;
  const absl::StatusOr<std::vector<std::string>> names = List(sandbox.get());
  if (!names.ok()) return;
  for (const std::string& name : *names) {
    if (name != kept) DiscardFrom(sandbox, name);
  }
}

absl::Status Sandboxes::RemoveDiscarded(const std::function<bool()>& stop) {
  if (absl::Status root = EnsureRoot(); !root.ok()) return root;
  absl::flat_hash_set<std::string> failed;
  int64_t new_failures = 0;
  std::string first_problem;
  // What lies deep is moved up, and found in the next round.
  for (bool found = true; found;) {
    found = false;
    absl::StatusOr<std::vector<std::string>> names = ListDiscarded(folder_.get());
    if (!names.ok()) return names.status();
    for (const std::string& name : *names) {
      if (failed.contains(name)) continue;
      found = true;
      const TreeRemoval removal = RemoveTree(
          folder_.get(), name, [this] { return NewDiscardedName(); }, stop);
      if (removal.stopped) return absl::OkStatus();
      if (removal.failures == 0) continue;
      failed.insert(name);
      MutexLock lock(&mutex_);
      if (reported_.contains(name)) continue;
      if (new_failures == 0) {
        first_problem =
            absl::StrCat(root_, "/", removal.first_path, ": ", strerror(removal.first_error));
      }
      new_failures += removal.failures;
    }
  }
  MutexLock lock(&mutex_);
  reported_ = std::move(failed);  // without those that are gone by now
  if (new_failures == 0) return absl::OkStatus();
  return absl::UnavailableError(
      absl::StrCat("cannot remove ", new_failures, " files and folders, such as ", first_problem));
}

}  // namespace kartograph::executor
