// The framework's id on disk: who we are to Mesos, across restarts.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_ID_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_ID_H_

#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kartograph::executor::mesos {

struct StoredFrameworkId {
  std::string id;  // empty: none
  // Registered, but nothing was launched under it yet: it may be given up.
  bool provisional = false;
};

// A file with the id in its one line. Thread-compatible.
class FrameworkIdFile {
 public:
  explicit FrameworkIdFile(std::string path) : path_(std::move(path)) {}

  // Empty where there is no file. FailedPrecondition, which says what to do, where there is one
  // without an id in it.
  absl::StatusOr<StoredFrameworkId> Read() const;
  // Durable on return.
  absl::Status Write(const StoredFrameworkId& id) const;
  absl::Status Remove() const;

  const std::string& path() const { return path_; }

 private:
  const std::string path_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_ID_H_
