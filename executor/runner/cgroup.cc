#include "executor/runner/cgroup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
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
  for (auto* groups : {&free_, &busy_}) {
    for (const Group& group : *groups) Drop(group);
  }
}

absl::StatusOr<CgroupPool::Group> CgroupPool::Acquire(uint64_t memory_limit) {
  for (size_t i = 0; i < busy_.size();) {
    if (HasProcesses(busy_[i])) {
      ++i;
    } else {
      free_.push_back(std::move(busy_[i]));
      busy_.erase(busy_.begin() + static_cast<ptrdiff_t>(i));
    }
  }
  // One that was removed under us is dropped, and another tried.
  while (!free_.empty()) {
    Group group = std::move(free_.back());
    free_.pop_back();
    if (Begin(&group, memory_limit).ok()) return group;
    Drop(group);
  }
  absl::StatusOr<Group> group = Make();
  if (!group.ok()) return group.status();
  absl::Status status = Begin(&*group, memory_limit);
  if (status.ok()) return group;
  Drop(*group);
  return status;
}

absl::StatusOr<CgroupPool::Group> CgroupPool::Make() {
  Group group;
  // Unlike the names of an earlier agent's, which may still have processes.
  group.path = absl::StrCat(parent_, "/", CgroupNamePrefix(getpid()), ++made_);
  if (mkdir(group.path.c_str(), 0755) != 0 && errno != EEXIST) {
    return ErrnoStatus(errno, absl::StrCat("cannot make the cgroup ", group.path));
  }
  absl::Status status;
  group.fd = open(group.path.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC);
  if (group.fd < 0) {
    status = ErrnoStatus(errno, absl::StrCat("cannot open the cgroup ", group.path));
  } else if (has_memory_) {
    // The tree ends as one. Swap would only hide what is used.
    status = WriteFile(absl::StrCat(group.path, "/memory.oom.group"), "1");
    WriteFile(absl::StrCat(group.path, "/memory.swap.max"), "0").IgnoreError();
  }
  if (status.ok()) return group;
  Drop(group);
  return status;
}

absl::Status CgroupPool::Begin(Group* group, uint64_t memory_limit) const {
  if (has_memory_) {
    absl::Status status = WriteFile(absl::StrCat(group->path, "/memory.max"),
                                    memory_limit == 0 ? "max" : absl::StrCat(memory_limit));
    if (!status.ok()) return status;
    group->peak_before = ParseCgroupNumber(ReadOrEmpty(absl::StrCat(group->path, "/memory.peak")));
    group->oom_kills_before =
        ParseCgroupKey(ReadOrEmpty(absl::StrCat(group->path, "/memory.events")), "oom_kill");
  }
  absl::StatusOr<std::string> cpu = ReadFile(absl::StrCat(group->path, "/cpu.stat"));
  if (!cpu.ok()) return cpu.status();
  group->cpu_before = absl::Microseconds(ParseCgroupKey(*cpu, "usage_usec"));
  return absl::OkStatus();
}

void CgroupPool::Drop(const Group& group) {
  if (group.fd >= 0) close(group.fd);
  rmdir(group.path.c_str());
}

void CgroupPool::Release(Group group) {
  if (group.fd < 0) return;
  (HasProcesses(group) ? busy_ : free_).push_back(std::move(group));
}

absl::Status CgroupPool::Kill(const Group& group) const {
  return WriteFile(absl::StrCat(group.path, "/cgroup.kill"), "1");
}

bool CgroupPool::HasProcesses(const Group& group) const {
  const absl::StatusOr<std::string> events = ReadFile(absl::StrCat(group.path, "/cgroup.events"));
  if (absl::IsNotFound(events.status())) return false;  // it was removed
  return !events.ok() || ParseCgroupKey(*events, "populated") != 0;
}

std::vector<pid_t> CgroupPool::Processes(const Group& group) const {
  std::vector<pid_t> processes;
  std::string text = ReadOrEmpty(absl::StrCat(group.path, "/cgroup.procs"));
  for (absl::string_view line : absl::StrSplit(text, '\n', absl::SkipEmpty())) {
    pid_t pid;
    if (absl::SimpleAtoi(line, &pid)) processes.push_back(pid);
  }
  return processes;
}

uint64_t CgroupPool::PeakMemory(const Group& group) const {
  uint64_t peak = ParseCgroupNumber(ReadOrEmpty(absl::StrCat(group.path, "/memory.peak")));
  return peak > group.peak_before ? peak : 0;
}

absl::Duration CgroupPool::CpuTime(const Group& group) const {
  const uint64_t used =
      ParseCgroupKey(ReadOrEmpty(absl::StrCat(group.path, "/cpu.stat")), "usage_usec");
  return std::max(absl::ZeroDuration(), absl::Microseconds(used) - group.cpu_before);
}

uint64_t CgroupPool::OomKills(const Group& group) const {
  const uint64_t kills =
      ParseCgroupKey(ReadOrEmpty(absl::StrCat(group.path, "/memory.events")), "oom_kill");
  return kills > group.oom_kills_before ? kills - group.oom_kills_before : 0;
}

absl::StatusOr<std::string> PrepareOwnCgroup() {
  std::string mount;
  for (absl::string_view line : absl::StrSplit(ReadOrEmpty("/proc/self/mounts"), '\n')) {
    std::vector<absl::string_view> words = absl::StrSplit(line, ' ');
    if (words.size() > 2 && words[2] == "cgroup2") {
      mount = std::string(words[1]);
      break;
    }
  }
  if (mount.empty()) return absl::FailedPreconditionError("no cgroup2 hierarchy is mounted");
  std::string own = mount;
  for (absl::string_view line : absl::StrSplit(ReadOrEmpty("/proc/self/cgroup"), '\n')) {
    if (absl::ConsumePrefix(&line, "0::") && line != "/") own = absl::StrCat(mount, line);
  }
  if (!HasWord(ReadOrEmpty(absl::StrCat(own, "/cgroup.controllers")), "memory")) {
    return absl::FailedPreconditionError(absl::StrCat(own, " lacks the memory controller"));
  }
  std::string children = absl::StrCat(own, "/cgroup.subtree_control");
  if (HasWord(ReadOrEmpty(children), "memory")) return own;
  absl::Status enabled = WriteFile(children, "+memory");
  if (enabled.ok()) return own;
  // A group with processes cannot hand memory down, except for the root.
  std::string processes = ReadOrEmpty(absl::StrCat(own, "/cgroup.procs"));
  if (processes != absl::StrCat(getpid(), "\n")) return enabled;
  std::string below = absl::StrCat(own, "/kartograph-agent");
  if (mkdir(below.c_str(), 0755) != 0 && errno != EEXIST) return enabled;
  absl::Status moved = WriteFile(absl::StrCat(below, "/cgroup.procs"), absl::StrCat(getpid()));
  if (moved.ok()) enabled = WriteFile(children, "+memory");
  if (moved.ok() && enabled.ok()) return own;
  WriteFile(absl::StrCat(own, "/cgroup.procs"), absl::StrCat(getpid())).IgnoreError();
  rmdir(below.c_str());
  return moved.ok() ? enabled : moved;
}

}  // namespace kartograph::executor
