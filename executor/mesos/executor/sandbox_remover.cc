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
    std::lock_guard lock(mutex_);
    stopping_ = true;
  }
  wake_.notify_all();
  if (thread_.joinable()) thread_.join();
}

void SandboxRemover::Discard(planner::GraphId graph) {
  sandboxes_->Discard(graph);
  {
    std::lock_guard lock(mutex_);
    discarded_ = true;
  }
  wake_.notify_all();
  if (!thread_.joinable()) thread_ = std::thread([this] { Run(); });
}

void SandboxRemover::Run() {
  std::unique_lock lock(mutex_);
  while (true) {
    wake_.wait(lock, [this] { return stopping_ || discarded_; });
    if (stopping_) return;
    discarded_ = false;
    lock.unlock();
    const absl::Status removed = sandboxes_->RemoveDiscarded([this] {
      std::lock_guard stop_lock(mutex_);
      return stopping_;
    });
    // To the executor's stderr, which the agent keeps in its sandbox.
    if (!removed.ok()) fprintf(stderr, "%s\n", std::string(removed.message()).c_str());
    lock.lock();
  }
}

}  // namespace kartograph::executor::mesos
