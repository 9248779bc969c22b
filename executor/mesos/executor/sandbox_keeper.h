// Deletes sandboxes that are done with, and those of ended attempts where there is no room for
// them, off the thread that runs attempts; measures what they take.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_SANDBOX_KEEPER_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_SANDBOX_KEEPER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/mutex.h"
#include "executor/runner/sandbox.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// An agent that enforces quotas of disk kills the executor's container when its sandbox has more
// than its tasks that run consume together, and the executor itself. So, while that is not zero,
// all is measured again and again, and what ended attempts have left is removed, the oldest first,
// before there is as much. What they return stays until it is acknowledged. What those that run
// have taken beyond what they consume is not made up for.
//
// Bound to one thread, whose blocked signals are blocked in the keeper's own too.
class SandboxKeeper {
 public:
  struct Options {
    std::string sandbox;     // the executor's
    std::string attempts;    // folder in it, root of the runner's sandboxes
    uint64_t own_bytes = 0;  // of disk, that the executor itself has
    // Between two looks; more where they take long.
    absl::Duration period = absl::Seconds(1);
    // Called after each, on the keeper's thread. May be empty.
    std::function<void()> on_measured;
  };
  static absl::StatusOr<std::unique_ptr<SandboxKeeper>> Create(Options options);
  // Stops soon; what is left then goes with the executor's own sandbox.
  ~SandboxKeeper();

  SandboxKeeper(const SandboxKeeper&) = delete;
  SandboxKeeper& operator=(const SandboxKeeper&) = delete;

  // The sandboxes of a graph are done with, and hidden on return.
  void Discard(planner::GraphId graph);

  // An attempt will run that consumes so much disk.
  void OnLaunch(planner::AttemptId attempt, uint64_t disk_bytes);
  // Nothing of it runs any more.
  void OnEnd(planner::AttemptId attempt);
  // And its return value is not wanted any more.
  void OnAcknowledged(planner::AttemptId attempt);

  // Of the disk, in bytes, when it was looked at last.
  struct Usage {
    absl::flat_hash_map<planner::AttemptId, uint64_t> running;
    uint64_t left = 0;  // by ended attempts
  };
  Usage usage() const;

 private:
  // What an ended attempt has left.
  struct Left {
    planner::AttemptId attempt;
    uint64_t bytes = 0;
    bool emptied = false;  // but for its return value
  };

  SandboxKeeper(Options options, std::unique_ptr<Sandboxes> sandboxes)
      : options_(std::move(options)), sandboxes_(std::move(sandboxes)) {}
  void Wake() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Whether there is a quota, if the agent enforces any.
  bool IsLimited() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return options_.own_bytes > 0 || declared_ > 0;
  }
  bool IsStopping() const;
  // On the keeper's thread.
  void Run();
  void RemoveDiscarded();
  void TakeEnded();
  void Look();
  // Removes as much as this or more, where there is as much.
  void MakeRoom(uint64_t bytes);
  // Tells readers that logs were removed.
  void Record(const std::vector<planner::AttemptId>& removed);
  std::string FolderOf(planner::AttemptId attempt) const;

  const Options options_;
  const std::unique_ptr<Sandboxes> sandboxes_;
  std::thread thread_;  // since there is something to do

  mutable Mutex mutex_;
  CondVar wake_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  bool discarded_ ABSL_GUARDED_BY(mutex_) = false;  // there may be something to remove
  bool look_ ABSL_GUARDED_BY(mutex_) = false;       // now
  absl::flat_hash_map<planner::AttemptId, uint64_t> running_ ABSL_GUARDED_BY(mutex_);
  uint64_t declared_ ABSL_GUARDED_BY(mutex_) = 0;                  // by these together
  std::vector<planner::AttemptId> ended_ ABSL_GUARDED_BY(mutex_);  // since the last look
  absl::flat_hash_set<planner::AttemptId> unacknowledged_ ABSL_GUARDED_BY(mutex_);
  std::vector<planner::GraphId> gone_ ABSL_GUARDED_BY(mutex_);  // since the last look
  Usage usage_ ABSL_GUARDED_BY(mutex_);

  // Of the keeper's thread.
  std::deque<Left> left_;  // the first that ended first
  uint64_t left_bytes_ = 0;
};

// What the files of a folder and below take on the disk, in bytes, as far as they can be read. No
// symbolic link is followed. 0 where there is none. Without the folder `but` in it.
uint64_t DiskUsage(const std::string& folder, const std::string& but = "");

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_SANDBOX_KEEPER_H_
