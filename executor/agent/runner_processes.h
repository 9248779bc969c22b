// The processes of attempts on this host.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_RUNNER_PROCESSES_H_
#define KARTOGRAPH_EXECUTOR_AGENT_RUNNER_PROCESSES_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "executor/agent/attempt_processes.h"
#include "executor/agent/session_record.h"
#include "executor/runner/runner.h"
#include "executor/runner/sandbox.h"

namespace kartograph::executor {

// A Runner with its sandboxes; bound to a thread as that is.
class RunnerProcesses final : public AttemptProcesses {
 public:
  // The sessions of what runs are kept in `sessions`, if that is not null; it outlives this.
  static absl::StatusOr<std::unique_ptr<RunnerProcesses>> Create(Runner::Options options,
                                                                 SessionRecord* sessions = nullptr);

  bool Start(const Launch& launch) override;
  void Prepare(planner::AttemptId attempt) override { runner_->Prepare(attempt); }
  void Forget(planner::AttemptId attempt) override { runner_->Forget(attempt); }
  bool Cancel(planner::AttemptId attempt, absl::Duration grace) override {
    return runner_->Cancel(attempt, grace);
  }
  absl::Duration UntilDue() const override { return runner_->UntilDue(); }
  void Poll(std::vector<AttemptUpdate>* ended) override;
  absl::Time StartTime(planner::AttemptId attempt) const override {
    return runner_->StartTime(attempt);
  }
  bool tidying() const override { return runner_->tidying(); }
  // As in Runner.
  std::vector<std::pair<planner::AttemptId, uint64_t>> LookAtMemory() {
    return runner_->LookAtMemory();
  }
  absl::StatusOr<std::string> ReadResult(planner::AttemptId attempt, int64_t bytes) override;
  void DiscardSandbox(planner::AttemptId attempt) override { sandboxes_->Discard(attempt); }

  // As in Sandboxes.
  absl::StatusOr<std::string> ReadResultPart(planner::AttemptId attempt, int64_t offset,
                                             int64_t max_bytes) const {
    return sandboxes_->ReadResultPart(attempt, offset, max_bytes);
  }

  // As in Runner.
  void SetEnvironment(std::vector<std::string> base) { runner_->SetEnvironment(std::move(base)); }
  void SetDiskLimits(const DiskLimits& limits) { runner_->SetDiskLimits(limits); }
  void SetRamHeadroom(int64_t bytes) { runner_->SetRamHeadroom(bytes); }
  // Readable when Poll has something to do.
  int fd() const { return runner_->fd(); }

 private:
  RunnerProcesses(std::unique_ptr<Sandboxes> sandboxes, SessionRecord* sessions)
      : sandboxes_(std::move(sandboxes)), sessions_(sessions) {}

  std::unique_ptr<Runner> runner_;
  const std::unique_ptr<Sandboxes> sandboxes_;
  SessionRecord* const sessions_;
  uint64_t entered_ticks_ = 0;  // when the runner was called last
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_RUNNER_PROCESSES_H_
