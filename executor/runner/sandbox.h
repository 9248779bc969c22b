// The folders of attempts: <root>/<graph number>/<task index>.<attempt number>/ with `stdout` and
// `stderr` where the attempt wrote something there, `command.sh` where the shell line is a long
// one, `input` and `inputs` where the task was given such, and `result` where the attempt wrote
// one; <root>/discarded.* is to be removed. Nothing here follows a symbolic link below the root:
// what is in a sandbox is the task's, and may be made to mislead.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_SANDBOX_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_SANDBOX_H_

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"
#include "base/mutex.h"
#include "planner/ids.h"

namespace kartograph::executor {

// The folder of an attempt's sandbox, from the root of all: "17/42.1".
std::string SandboxFolder(planner::AttemptId attempt);

// All sandboxes of an agent. Thread-safe. Errors are ErrnoStatus's. A root that is removed or moved
// away meanwhile is made again.
class Sandboxes {
 public:
  // Makes the root where it is not there; its parent exists.
  static absl::StatusOr<std::unique_ptr<Sandboxes>> Open(std::string root);

  // A new, empty sandbox; gives its path, absolute if the root is. One that is there already is of
  // another attempt that had this id, before an older copy of the history was restored or before
  // the agent was killed: it is discarded.
  absl::StatusOr<std::string> Make(planner::AttemptId attempt);

  // A plain file of a sandbox, to be written; made where it is not there. NotFound where something
  // else has its name.
  absl::StatusOr<Descriptor> OpenToWrite(planner::AttemptId attempt, const char* file) const;
  // Makes a folder in a sandbox.
  absl::Status MakeSubfolder(planner::AttemptId attempt, const char* folder) const;
  // Writes a new file into a sandbox, or into a folder there; before its attempt starts.
  absl::Status Write(planner::AttemptId attempt, const char* file, absl::string_view data) const;

  // What is in `result`; nothing where there is none. OutOfRange where it is larger than
  // `max_bytes`; NotFound or PermissionDenied where the task has put something there that cannot be
  // read; Unavailable where that is not the task's fault.
  absl::StatusOr<std::optional<std::string>> ReadResult(planner::AttemptId attempt,
                                                        int64_t max_bytes) const;

  // A part of `result`; nothing beyond its end. NotFound where there is none.
  absl::StatusOr<std::string> ReadResultPart(planner::AttemptId attempt, int64_t offset,
                                             int64_t max_bytes) const;

  struct Chunk {
    int64_t offset = 0;
    std::string data;
  };
  // Reads from the log of an attempt, `stdout` or `stderr`, or another file of its sandbox. A
  // negative offset counts from the end. Where the middle was cut out (see OutputCollector) a line
  // says so, which counts as the last bytes of the hole. Of a file that is not there, nothing;
  // NotFound where there is no sandbox.
  absl::StatusOr<Chunk> Read(planner::AttemptId attempt, const char* file, int64_t offset,
                             int64_t max_bytes) const;

  // Removes the sandboxes of a graph, or that of an attempt, from their place at once, if any.
  void Discard(planner::GraphId graph);
  void Discard(planner::AttemptId attempt);
  // Removes all of an attempt's sandbox but one file.
  void DiscardAllBut(planner::AttemptId attempt, absl::string_view kept);
  // Deletes what was discarded, which may take long; ends early when `stop` says so. The error says
  // what could not be removed, and does so once for each discarded folder: it is tried again each
  // time, but not reported again.
  absl::Status RemoveDiscarded(const std::function<bool()>& stop);

  const std::string& root() const { return root_; }

 private:
  Sandboxes(std::string root, Descriptor folder)
      : root_(std::move(root)), folder_(std::move(folder)) {}
  // Makes the root again where another folder, or none, is in its place by now.
  absl::Status EnsureRoot() const;
  // Errors are errno; 0: done.
  int MakeGraphFolder(planner::GraphId graph);
  int MakeFolder(const Descriptor& graph, const std::string& name);
  int DiscardFrom(const Descriptor& folder, const std::string& name);
  std::string NewDiscardedName();
  absl::StatusOr<Descriptor> OpenFile(planner::AttemptId attempt, const char* file,
                                      int flags) const;

  const std::string root_;
  const Descriptor folder_;          // keeps its number when EnsureRoot opens another folder
  std::atomic<uint64_t> names_ = 0;  // for NewDiscardedName
  Mutex mutex_;
  // Discarded folders that cannot be removed.
  absl::flat_hash_set<std::string> reported_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_SANDBOX_H_
