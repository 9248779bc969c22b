// The framework's id on disk: who we are to Mesos, across restarts.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_ID_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_ID_H_

#include <optional>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/status/statusor.h"

namespace kartograph::executor::mesos {

struct StoredFrameworkId {
  std::string id;  // empty: none
  // Registered, but nothing was launched under it yet: it may be given up.
  bool provisional = false;
  // As what it registered, which Mesos does not let a framework change. Of one that an earlier
  // version registered it is not known.
  struct Registration {
    std::string user;
    std::string principal;
    bool checkpoint = true;
    bool operator==(const Registration&) const = default;
  };
  std::optional<Registration> registration = {};
};

// A file with the id in its one line, which people may write, and beside it, under its name with
// ".registration", how it registered. Thread-compatible.
class FrameworkIdFile {
 public:
  explicit FrameworkIdFile(std::string path) : path_(std::move(path)) {}

  // Empty where there is no file. FailedPrecondition, which says what to do, where there is one
  // without an id in it. A registration that is of another id, or cannot be read, is not known.
  absl::StatusOr<StoredFrameworkId> Read() const;
  // Durable on return.
  absl::Status Write(const StoredFrameworkId& id) const;
  absl::Status Remove() const;

  const std::string& path() const { return path_; }

 private:
  std::optional<StoredFrameworkId::Registration> ReadRegistration(const std::string& id) const;
  std::string registration_path() const { return path_ + ".registration"; }
  const std::string path_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_FRAMEWORK_ID_H_
