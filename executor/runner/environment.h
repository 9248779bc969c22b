// The environment of attempts: the agent's own, what the task asked for, and KARTOGRAPH_*.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_ENVIRONMENT_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_ENVIRONMENT_H_

#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"

namespace kartograph::executor {

// Where programs are searched for without a PATH.
inline constexpr absl::string_view kDefaultPath = "/usr/local/bin:/usr/bin:/bin";

// NAME=value of one process, with the memory behind it but for that of the base.
struct EnvironmentBlock {
  std::vector<std::string> own;
  std::vector<char*> pointers;  // null-terminated, for execve
};

// What attempts inherit from a process whose environment is `environment` (as environ): NAME=value,
// without what concerns that process alone, which are Kartograph's own settings and secrets
// (KARTOGRAPH_*, but for KARTOGRAPH_SERVER) and what systemd passes to a unit. A process that has
// no PATH, HOME, USER or LOGNAME, as one started by a service manager, has them from the password
// database.
std::vector<std::string> InheritedEnvironment(char* const* environment);

// Builds environment blocks over one base environment, which is parsed once. Immutable.
class Environment {
 public:
  // `base`: NAME=value; anything else is ignored.
  explicit Environment(std::vector<std::string> base);

  // Base overlaid with `variables`, later ones over earlier ones. The block is valid as long as
  // this lives.
  using Variables = std::vector<std::pair<absl::string_view, absl::string_view>>;
  void Build(const Variables& variables, EnvironmentBlock* block) const;

  // Value in the base; empty where it is not there.
  absl::string_view Get(absl::string_view name) const;

 private:
  std::vector<std::string> base_;
  absl::flat_hash_map<std::string, size_t> index_;  // name to position in base_
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_ENVIRONMENT_H_
