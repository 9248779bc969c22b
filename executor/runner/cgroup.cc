#include "executor/runner/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstring>
#include <utility>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/strings/strip.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "base/small_file.h"
#include "executor/runner/process_table.h"
#include "executor/runner/spawn.h"

namespace kartograph::executor {
namespace {

constexpr absl::string_view kGroupPrefix = "kartograph-attempt-";

absl::Status WriteFile(const std::string& path, absl::string_view text) {
  Descriptor fd(open(path.c_str(), O_WRONLY | O_CLOEXEC));
  if (!fd.ok() || write(fd.get(), text.data(), text.size()) != static_cast<ssize_t>(text.size())) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot write \"", text, "\" to ", path, ": ", strerror(errno)));
  }
  return absl::OkStatus();
}

std::string ReadOrEmpty(const std::string& path) { return ReadSmallFile(path).value_or(""); }

bool HasWord(absl::string_view text, absl::string_view word) {
  for (absl::string_view w : absl::StrSplit(text, absl::ByAnyChar(" \n"))) {
    if (w == word) return true;
  }
  return false;
}

// Where control groups of version 2 are mounted; empty where they are not.
std::string Cgroup2Mount() {
  for (absl::string_view line : absl::StrSplit(ReadOrEmpty("/proc/self/mounts"), '\n')) {
    std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() > 2 && words[2] == "cgroup2") return std::string(words[1]);
  }
  return "";
}

// Moves this process out of its group, where nothing but it is, so that the group can hand memory
// down.
absl::Status MoveDown(const std::string& own) {
  const std::string below = absl::StrCat(own, "/kartograph-agent");
  if (mkdir(below.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make a cgroup in ", own, ": ", strerror(errno)));
  }
  absl::Status status = WriteFile(absl::StrCat(below, "/cgroup.procs"), absl::StrCat(getpid()));
  if (status.ok()) status = WriteFile(absl::StrCat(own, "/cgroup.subtree_control"), "+memory");
  if (status.ok()) return status;
  WriteFile(absl::StrCat(own, "/cgroup.procs"), absl::StrCat(getpid())).IgnoreError();
  rmdir(below.c_str());
  return status;
}

}  // namespace

uint64_t ParseCgroupNumber(absl::string_view text) {
  uint64_t number = 0;
  return absl::SimpleAtoi(absl::StripAsciiWhitespace(text), &number) ? number : 0;
}

uint64_t ParseCgroupKey(absl::string_view text, absl::string_view key) {
  for (absl::string_view line : absl::StrSplit(text, '\n')) {
    if (absl::ConsumePrefix(&line, key) && absl::ConsumePrefix(&line, " ")) {
      return ParseCgroupNumber(line);
    }
  }
  return 0;
}

std::string CgroupNamePrefix(pid_t agent) { return absl::StrCat(kGroupPrefix, agent, "-"); }

absl::StatusOr<std::unique_ptr<CgroupPool>> CgroupPool::Create(std::string parent,
                                                               bool needs_memory) {
  if (!CanSpawnIntoCgroup()) {
    return absl::FailedPreconditionError("cgroups are not supported on this architecture");
  }
  // A first group shows what the children of `parent` have.
  std::string probe = absl::StrCat(parent, "/", kGroupPrefix, "probe");
  if (mkdir(probe.c_str(), 0755) != 0 && errno != EEXIST) {
    return absl::FailedPreconditionError(
        absl::StrCat("cannot make a cgroup in ", parent, ": ", strerror(errno)));
  }
  bool can_kill = access(absl::StrCat(probe, "/cgroup.kill").c_str(), W_OK) == 0;
  bool has_memory = access(absl::StrCat(probe, "/memory.max").c_str(), W_OK) == 0 &&
                    access(absl::StrCat(probe, "/memory.oom.group").c_str(), W_OK) == 0;
  if (DIR* entries = opendir(parent.c_str())) {
    while (struct dirent* entry = readdir(entries)) {
      if (absl::StartsWith(entry->d_name, kGroupPrefix)) {
        rmdir(absl::StrCat(parent, "/", entry->d_name).c_str());
      }
    }
    closedir(entries);
  }
  if (!can_kill) {
    return absl::FailedPreconditionError(
        absl::StrCat(parent, " has no cgroup.kill (cgroup2 of Linux 5.14 or newer is needed)"));
  }
  if (needs_memory && !has_memory) {
    return absl::FailedPreconditionError(
        absl::StrCat("the children of ", parent, " lack the memory controller"));
  }
  return std::unique_ptr<CgroupPool>(new CgroupPool(std::move(parent), has_memory));
}

CgroupPool::~CgroupPool() {
  for (const std::string& path : busy_) Remove(path);
}

absl::StatusOr<CgroupPool::Group> CgroupPool::Acquire(uint64_t memory_limit) {
  std::erase_if(busy_, Remove);
  Group group;
  // Unlike the names of an earlier agent's, which may still have processes.
  group.path = absl::StrCat(parent_, "/", CgroupNamePrefix(getpid()), ++made_);
  if (mkdir(group.path.c_str(), 0755) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the cgroup ", group.path));
  }
  absl::Status status = SetUp(&group, memory_limit);
  if (status.ok()) return group;
  Release(std::move(group));
  return status;
}

absl::Status CgroupPool::SetUp(Group* group, uint64_t memory_limit) const {
  group->fd = open(group->path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (group->fd < 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot open the cgroup ", group->path));
  }
  if (!has_memory_) return absl::OkStatus();
  // The tree ends as one.
  absl::Status status = WriteFile(absl::StrCat(group->path, "/memory.oom.group"), "1");
  if (!status.ok() || memory_limit == 0) return status;
  return SetLimit(*group, memory_limit);
}

absl::Status CgroupPool::SetLimit(const Group& group, uint64_t memory_limit) const {
  if (!has_memory_) return absl::OkStatus();
  // Swap would only hide what is used.
  const std::string swap = absl::StrCat(group.path, "/memory.swap.max");
  WriteFile(swap, memory_limit == 0 ? "max" : "0").IgnoreError();
  return WriteFile(absl::StrCat(group.path, "/memory.max"),
                   memory_limit == 0 ? "max" : absl::StrCat(memory_limit));
}

bool CgroupPool::Remove(const std::string& path) {
  return rmdir(path.c_str()) == 0 || errno == ENOENT;
}

void CgroupPool::Release(Group group) {
  if (group.path.empty()) return;
  if (group.fd >= 0) close(group.fd);
  if (!Remove(group.path)) busy_.push_back(std::move(group.path));
}

absl::Status CgroupPool::Kill(const Group& group) const {
  return WriteFile(absl::StrCat(group.path, "/cgroup.kill"), "1");
}

uint64_t CgroupPool::PeakMemory(const Group& group) const {
  return ParseCgroupNumber(ReadOrEmpty(absl::StrCat(group.path, "/memory.peak")));
}

absl::Duration CgroupPool::CpuTime(const Group& group) const {
  return absl::Microseconds(
      ParseCgroupKey(ReadOrEmpty(absl::StrCat(group.path, "/cpu.stat")), "usage_usec"));
}

CgroupPool::OomKill CgroupPool::OomKilled(const Group& group) const {
  const std::string events = ReadOrEmpty(absl::StrCat(group.path, "/memory.events"));
  if (ParseCgroupKey(events, "oom_kill") == 0) return OomKill::kNone;
  return ParseCgroupKey(events, "oom") > 0 ? OomKill::kOfLimit : OomKill::kOfHost;
}

absl::StatusOr<std::string> PrepareOwnCgroup() {
  const std::string mount = Cgroup2Mount();
  if (mount.empty()) return absl::FailedPreconditionError("no cgroup2 hierarchy is mounted");
  std::string own = mount;
  for (absl::string_view line : absl::StrSplit(ReadOrEmpty("/proc/self/cgroup"), '\n')) {
    if (absl::ConsumePrefix(&line, "0::") && line != "/") own = absl::StrCat(mount, line);
  }
  if (!HasWord(ReadOrEmpty(absl::StrCat(own, "/cgroup.controllers")), "memory")) {
    return absl::FailedPreconditionError(
        absl::StrCat("the cgroup ", own, " lacks the memory controller"));
  }
  const std::string children = absl::StrCat(own, "/cgroup.subtree_control");
  if (HasWord(ReadOrEmpty(children), "memory")) return own;
  if (access(children.c_str(), W_OK) != 0) {
    return absl::FailedPreconditionError(absl::StrCat(
        "the cgroup ", own, " is not ours to divide (a systemd unit needs Delegate=yes)"));
  }
  // A group with processes cannot hand memory down, except for the root.
  if (WriteFile(children, "+memory").ok()) return own;
  if (ReadOrEmpty(absl::StrCat(own, "/cgroup.procs")) != absl::StrCat(getpid(), "\n")) {
    return absl::FailedPreconditionError(absl::StrCat("other processes are in the agent's cgroup ",
                                                      own, " (the agent needs a unit of its own)"));
  }
  absl::Status moved = MoveDown(own);
  if (!moved.ok()) return moved;
  return own;
}

}  // namespace kartograph::executor
