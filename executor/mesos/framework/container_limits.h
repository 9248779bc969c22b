// Containers that were over a limit of memory or disk: who did it, and what is done about that.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CONTAINER_LIMITS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CONTAINER_LIMITS_H_

#include <cstddef>
#include <optional>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "executor/mesos/framework/task_status.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// All attempts of one kartograph-executor share a container, and die with it; Mesos does not say
// which of them took too much. It is the one that had it for itself, or that had taken more beyond
// what it consumes than all others together, by what the executor said last. Where nobody can tell,
// each of them has an executor of its own the next time, with a container and a sandbox of its own,
// which then shows who it was. So has one that did it. Pure and thread-compatible.
class ContainerLimits {
 public:
  using Limit = StatusReport::Limit;

  // What is used there, as its executor says.
  void OnOveruse(const std::string& executor, const kartograph::mesos::Overuse& overuse);

  // The end of an attempt, kLost, whose executor's container was over a limit. `alone`: nothing
  // else ran there; only of the first of a container's attempts that is asked for. Changes the
  // report: of the one that did it, to the end that it had; of another, to kDropped, so that it
  // does not count as lost with its agent, if that is known.
  void OnEnd(planner::AttemptId attempt, const std::string& executor, bool alone,
             StatusReport* report);
  // Whether it is decided who it was in that container: `alone` does not matter any more.
  bool IsJudged(const std::string& executor) const { return verdicts_.contains(executor); }
  // It has ended by itself.
  void OnOtherEnd(planner::TaskKey task) { suspects_.erase(task); }

  // Whether it is to have an executor of its own, and that one was started for it.
  bool WantsOwnExecutor(planner::TaskKey task) const { return suspects_.contains(task); }
  void OnOwnExecutor(const std::string& executor) { own_executors_.insert(executor); }
  bool IsOwn(const std::string& executor) const { return own_executors_.contains(executor); }

  // Where there is too much of something, it is forgotten.
  void Trim();

 private:
  struct Verdict {
    std::optional<planner::AttemptId> culprit;  // where that is known, or:
    bool each = false;                          // there was only one
    std::string how;                            // for people; may be empty
  };
  Verdict Judge(const std::string& executor, bool alone, Limit limit) const;

  absl::flat_hash_map<std::string, kartograph::mesos::Overuse> overuse_;  // by executor
  absl::flat_hash_map<std::string, Verdict> verdicts_;                    // likewise
  absl::flat_hash_set<std::string> own_executors_;
  absl::flat_hash_set<planner::TaskKey> suspects_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_CONTAINER_LIMITS_H_
