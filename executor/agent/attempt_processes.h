// The processes of attempts as their agent sees them.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_ATTEMPT_PROCESSES_H_
#define KARTOGRAPH_EXECUTOR_AGENT_ATTEMPT_PROCESSES_H_

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "planner/ids.h"

namespace kartograph::executor {

// What starts, watches and ends them, and keeps their sandboxes: RunnerProcesses, or a test's.
// Thread-compatible.
class AttemptProcesses {
 public:
  virtual ~AttemptProcesses() = default;

  // These as in Runner.
  virtual bool Start(const Launch& launch) = 0;
  virtual void Prepare(planner::AttemptId attempt) = 0;
  virtual void Forget(planner::AttemptId attempt) = 0;
  virtual bool Cancel(planner::AttemptId attempt, absl::Duration grace) = 0;
  virtual absl::Duration UntilDue() const = 0;
  virtual void Poll(std::vector<AttemptUpdate>* ended) = 0;
  virtual absl::Time StartTime(planner::AttemptId attempt) const = 0;
  virtual bool tidying() const = 0;

  // The first `bytes` of what an ended attempt has returned; an error where there are fewer now.
  virtual absl::StatusOr<std::string> ReadResult(planner::AttemptId attempt, int64_t bytes) = 0;
  // Removes a sandbox of this id, where there is one: it is another history's.
  virtual void DiscardSandbox(planner::AttemptId attempt) = 0;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_ATTEMPT_PROCESSES_H_
