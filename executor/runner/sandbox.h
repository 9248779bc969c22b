// The folders of attempts: <root>/<graph number>/<task index>.<attempt number>/ with `stdout`,
// `stderr`, and `result` where the attempt wrote one. Nothing here follows a symbolic link below
// the root: what is in a sandbox is the task's, and may be made to mislead.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_SANDBOX_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_SANDBOX_H_

#include <cstdint>
#include <memory>
#include <string>

#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "planner/ids.h"

namespace kartograph::executor {

// The folder of an attempt's sandbox, from the root of all: "17/42.1".
std::string SandboxFolder(planner::AttemptId attempt);

// All sandboxes of an agent. Reading and removing are thread-safe; making is for one thread.
class Sandboxes {
 public:
  // Makes the root where it is not there; its parent exists.
  static absl::StatusOr<std::unique_ptr<Sandboxes>> Open(std::string root);

  struct Made {
    std::string path;  // absolute if the root is
    Descriptor stdout_file;
    Descriptor stderr_file;
  };
  absl::StatusOr<Made> Make(planner::AttemptId attempt);

  // What is in `result`; empty where there is none. OutOfRange where it is larger than `max_bytes`.
  absl::StatusOr<std::string> ReadResult(planner::AttemptId attempt, int64_t max_bytes) const;

  struct Chunk {
    int64_t offset = 0;
    std::string data;
  };
  // Reads from a file of a sandbox. A negative offset counts from the end. NotFound.
  absl::StatusOr<Chunk> Read(planner::AttemptId attempt, const char* file, int64_t offset,
                             int64_t max_bytes) const;

  // Takes the sandboxes of a graph away at once; RemoveDiscarded deletes what was taken away, which
  // may take long, and stops early when `stop` says so.
  void Discard(planner::GraphId graph);
  template <typename Stop>
  void RemoveDiscarded(Stop stop) {
    RemoveDiscardedUntil([](void* s) { return (*static_cast<Stop*>(s))(); }, &stop);
  }

  const std::string& root() const { return root_; }

 private:
  Sandboxes(std::string root, Descriptor folder)
      : root_(std::move(root)), folder_(std::move(folder)) {}
  bool MakeGraphFolder(planner::GraphId graph);
  absl::StatusOr<Descriptor> OpenFile(planner::AttemptId attempt, const char* file) const;
  void RemoveDiscardedUntil(bool (*stop)(void*), void* argument);

  std::string root_;
  Descriptor folder_;
  absl::flat_hash_set<planner::GraphId> graphs_;  // whose folders were made
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_SANDBOX_H_
