// Deletes the sandboxes of graphs that are done with, off the thread that runs attempts.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_SANDBOX_REMOVER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_SANDBOX_REMOVER_H_

#include <memory>
#include <string>
#include <thread>

#include "absl/status/statusor.h"
#include "base/mutex.h"
#include "executor/runner/sandbox.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Bound to one thread, whose blocked signals are blocked in the remover's own too.
class SandboxRemover {
 public:
  // `root` as of the runner.
  static absl::StatusOr<std::unique_ptr<SandboxRemover>> Create(const std::string& root);
  // Stops soon; what is left then goes with the executor's own sandbox.
  ~SandboxRemover();

  SandboxRemover(const SandboxRemover&) = delete;
  SandboxRemover& operator=(const SandboxRemover&) = delete;

  // They are hidden on return.
  void Discard(planner::GraphId graph);

 private:
  explicit SandboxRemover(std::unique_ptr<Sandboxes> sandboxes)
      : sandboxes_(std::move(sandboxes)) {}
  void Run();

  const std::unique_ptr<Sandboxes> sandboxes_;
  std::thread thread_;  // since the first graph
  Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool discarded_ ABSL_GUARDED_BY(mutex_) = false;  // there may be something to remove
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_SANDBOX_REMOVER_H_
