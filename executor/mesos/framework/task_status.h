// A status of a task in Mesos, as an update of an attempt.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TASK_STATUS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TASK_STATUS_H_

#include <string>

#include "absl/time/time.h"
#include "executor/cluster.h"
#include "executor/lineage.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::executor::mesos {

// What we know of the task that the status is about.
struct StatusContext {
  bool confirmed = false;  // it was reported as running, or as about to
  bool command = false;    // it is under Mesos's own command executor
  bool starting = false;   // nothing was heard yet of its executor, which was started for it
  absl::Time start_time = absl::InfinitePast();
};

struct StatusReport {
  AttemptUpdate update;  // without its attempt and agent
  // The task has ended, but this comes from the master's memory and lacks how. The agent's own
  // update, which repeats until it is acknowledged, has more.
  bool bare = false;
  // The container was over a limit that its agent enforces: all that ran in it has died, whichever
  // of them it was.
  enum class Limit { kNone, kMemory, kDisk, kOther };
  Limit limit = Limit::kNone;
  // Mesos takes no launch on this executor.
  bool incompatible = false;
  // Where a return value that was not sent is: a path in the executor's sandbox.
  std::string return_value_file;
  int64_t return_value_bytes = 0;  // or kAnySize
  // In which it was launched, as kartograph-executor says; 0: not known.
  Incarnation incarnation = 0;
};
// A return value of any size, or none, may be in the file.
inline constexpr int64_t kAnySize = -1;

// A status that says neither that the task lives nor how it ended counts as lost.
//
//   staging, starting               alive, not started
//   running, killing                alive, started
//   unreachable                     alive, unreachable
//   finished, failed, killed        ended, by its data (kartograph-executor) or by its message
//                                   (Mesos's own)
//   executor did not start          kAgentFailed
//   dropped                         kRefused for an invalid offer, kAgentFailed where its agent is
//                                   being drained, else kDropped
//   gone, gone by operator          kGone; kDropped where it was never confirmed
//   lost, unknown, executor ended   kLost
//   error                           kRefused where resources were missing or we are not allowed
//                                   to, else kNotStarted
StatusReport ReadStatus(const kartograph::mesos::TaskStatus& status, const StatusContext& context);

// What is known to have taken more than the limit: it ended for that. `why` is what Mesos says.
void EndOverLimit(absl::string_view why, StatusReport* report);

// "Command exited with status 3", "Command terminated with signal Segmentation fault (core
// dumped)": the words of Mesos's command executor. Whether the message is one of them.
bool ReadCommandEnd(absl::string_view message, AttemptUpdate* update);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TASK_STATUS_H_
