// Control groups (version 2) for attempts: the kernel keeps the memory limit, counts what was used,
// and kills a tree that cannot escape.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_CGROUP_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_CGROUP_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"

namespace kartograph::executor {

// Makes groups below one folder. Each attempt gets a new one, as the kernel counts for the life of
// a group: only so are its figures the attempt's. Thread-compatible.
class CgroupPool {
 public:
  // One group in use. A value without meaning where there is none (fd is -1).
  struct Group {
    int fd = -1;  // of its folder, for SpawnRequest::cgroup_fd; the pool's
    std::string path;
  };

  // `parent` is a folder of a cgroup2 hierarchy in which we may make groups and whose children have
  // the memory controller; with `needs_memory` false they may lack it, and then there are no limits
  // and memory counters. Removes empty groups that an earlier agent has left. FailedPrecondition
  // says what is missing.
  static absl::StatusOr<std::unique_ptr<CgroupPool>> Create(std::string parent,
                                                            bool needs_memory = true);
  // Removes its groups; those that still have processes stay.
  ~CgroupPool();

  // A group without processes, with this limit (bytes; 0: none).
  absl::StatusOr<Group> Acquire(uint64_t memory_limit);
  // Sets the limit of a group that is in use.
  absl::Status SetLimit(const Group& group, uint64_t memory_limit) const;
  // Removes it, as soon as it has no processes.
  void Release(Group group);

  // Kills every process in it.
  absl::Status Kill(const Group& group) const;

  // 0 where it cannot be known. The peak, in bytes, is of what the limit counts: the processes'
  // memory, each page once, and files that they have read or written as far as these are cached.
  uint64_t PeakMemory(const Group& group) const;
  absl::Duration CpuTime(const Group& group) const;
  // Whether the kernel has killed its processes for want of memory: that of its limit, or the
  // host's.
  enum class OomKill { kNone, kOfLimit, kOfHost };
  OomKill OomKilled(const Group& group) const;

  bool has_memory() const { return has_memory_; }
  const std::string& parent() const { return parent_; }

 private:
  CgroupPool(std::string parent, bool has_memory)
      : parent_(std::move(parent)), has_memory_(has_memory) {}
  absl::Status SetUp(Group* group, uint64_t memory_limit) const;
  // False where it still has processes.
  static bool Remove(const std::string& path);

  std::string parent_;
  bool has_memory_;
  uint64_t made_ = 0;
  std::vector<std::string> busy_;  // paths; released with processes
};

// What the names of the groups that an agent with this pid makes begin with.
std::string CgroupNamePrefix(pid_t agent);

// A folder for a CgroupPool below the cgroup this process is in, with the memory controller, where
// that is possible without disturbing others: in the root of the hierarchy, or where this process
// is alone in a cgroup that it may write (it is then moved one level down). FailedPrecondition says
// why not, for people.
absl::StatusOr<std::string> PrepareOwnCgroup();

// The number in a file of one number; 0 where there is none ("max").
uint64_t ParseCgroupNumber(absl::string_view text);
// The value of `key` in a file of lines "key value"; 0 where it is not there.
uint64_t ParseCgroupKey(absl::string_view text, absl::string_view key);

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_CGROUP_H_
