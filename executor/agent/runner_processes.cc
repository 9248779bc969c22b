#include "executor/agent/runner_processes.h"

#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {

absl::StatusOr<std::unique_ptr<RunnerProcesses>> RunnerProcesses::Create(Runner::Options options,
                                                                         SessionRecord* sessions) {
  absl::StatusOr<std::unique_ptr<Sandboxes>> sandboxes = Sandboxes::Open(options.sandbox_root);
  if (!sandboxes.ok()) return sandboxes.status();
  std::unique_ptr<RunnerProcesses> processes(new RunnerProcesses(*std::move(sandboxes), sessions));
  if (sessions != nullptr) {
    options.on_process = [self = processes.get()](planner::AttemptId attempt, pid_t pid,
                                                  bool reused) {
      self->sessions_->Add(attempt,
                           {pid, reused ? 0 : self->entered_ticks_, SessionRecord::NowTicks()});
    };
  }
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(std::move(options));
  if (!runner.ok()) return runner.status();
  processes->runner_ = *std::move(runner);
  return processes;
}

bool RunnerProcesses::Start(const Launch& launch) {
  if (sessions_ != nullptr) entered_ticks_ = SessionRecord::NowTicks();
  return runner_->Start(launch);
}

void RunnerProcesses::Poll(std::vector<AttemptUpdate>* ended) {
  if (sessions_ != nullptr) entered_ticks_ = SessionRecord::NowTicks();
  const size_t known = ended->size();
  runner_->Poll(ended);
  if (sessions_ == nullptr) return;
  for (size_t i = known; i < ended->size(); ++i) sessions_->Remove((*ended)[i].attempt);
}

absl::StatusOr<std::string> RunnerProcesses::ReadResult(planner::AttemptId attempt, int64_t bytes) {
  absl::StatusOr<Sandboxes::Chunk> chunk = sandboxes_->Read(attempt, "result", 0, bytes);
  if (!chunk.ok()) return chunk.status();
  if (static_cast<int64_t>(chunk->data.size()) < bytes) {
    return absl::DataLossError(
        absl::StrCat("its file has only ", chunk->data.size(), " of ", bytes, " bytes left"));
  }
  return std::move(chunk->data);
}

}  // namespace kartograph::executor
