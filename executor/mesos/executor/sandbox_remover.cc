#include "executor/mesos/executor/sandbox_remover.h"

#include <cstdio>
#include <string>
#include <utility>

namespace kartograph::executor::mesos {

absl::StatusOr<std::unique_ptr<SandboxRemover>> SandboxRemover::Create(const std::string& root) {
  absl::StatusOr<std::unique_ptr<Sandboxes>> sandboxes = Sandboxes::Open(root);
  if (!sandboxes.ok()) return sandboxes.status();
  return std::unique_ptr<SandboxRemover>(new SandboxRemover(*std::move(sandboxes)));
}

SandboxRemover::~SandboxRemover() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  wake_.NotifyAll();
  if (thread_.joinable()) thread_.join();
}

void SandboxRemover::Discard(planner::GraphId graph) {
  sandboxes_->Discard(graph);
  {
    MutexLock lock(&mutex_);
    discarded_ = true;
  }
  wake_.NotifyAll();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void SandboxRemover::Run() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && !discarded_) wake_.Wait(&mutex_);
      if (stopping_) return;
      discarded_ = false;
    }
    const absl::Status removed = sandboxes_->RemoveDiscarded([this] {
      MutexLock lock(&mutex_);
      return stopping_;
    });
    // To the executor's stderr, which the agent keeps in its sandbox.
    if (!removed.ok()) fprintf(stderr, "%s\n", std::string(removed.message()).c_str());
  }
}

}  // namespace kartograph::executor::mesos
