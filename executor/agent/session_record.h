// Which processes an agent has started, for its successor should it be killed.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_SESSION_RECORD_H_
#define KARTOGRAPH_EXECUTOR_AGENT_SESSION_RECORD_H_

#include <sys/types.h>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "planner/ids.h"

namespace kartograph::executor {

// A file of the state folder with the sessions of the attempts that run. It is written to the page
// cache, which outlives every process; that nothing outlives a crash of the machine is right, as no
// process does either. Thread-compatible.
class SessionRecord {
 public:
  // An attempt's session. Its leader was started between these times, in clock ticks since boot, so
  // that it can be told from a later process with the same number.
  struct Session {
    pid_t leader = 0;
    uint64_t earliest_start = 0;
    uint64_t latest_start = 0;
  };
  struct Contents {
    pid_t agent = 0;            // 0: nothing is known
    std::string cgroup_parent;  // in which the agent has made groups; empty: it has made none
    std::vector<Session> sessions;
  };

  // What an agent has left in the file. Empty where there is no file, where it is damaged, and
  // where it dates from before the machine or the container was started.
  static Contents Read(const std::string& path);
  // Starts an empty record, and locks it for as long as this process lives.
  static absl::StatusOr<std::unique_ptr<SessionRecord>> Create(const std::string& path,
                                                               absl::string_view cgroup_parent);

  // Whether the process that started it lives, or there is no file.
  static bool IsHeld(const std::string& path);

  // Where the file cannot be written (the disk is full), less is recorded.
  void Add(planner::AttemptId attempt, const Session& session);
  void Remove(planner::AttemptId attempt);

  // The present time, in these ticks.
  static uint64_t NowTicks();

 private:
  explicit SessionRecord(Descriptor file) : file_(std::move(file)) {}
  bool WriteSlot(size_t slot, const Session& session);

  const Descriptor file_;
  absl::flat_hash_map<uint64_t, size_t> slots_;  // by attempt
  std::vector<size_t> free_;
  size_t used_ = 0;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_SESSION_RECORD_H_
