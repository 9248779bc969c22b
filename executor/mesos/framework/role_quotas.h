// Quotas of roles: what Mesos offers them at most.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ROLE_QUOTAS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ROLE_QUOTAS_H_

#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "executor/mesos/protocol/operator.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::mesos {

// As the master's operator API gives them, of the roles that matter here: a limit of a role also
// holds for all roles below it together. Thread-compatible.
class RoleQuotas {
 public:
  // Of these roles.
  explicit RoleQuotas(std::vector<std::string> roles) : roles_(std::move(roles)) {}

  void Set(const kartograph::mesos::MasterResponse::GetQuota& quota,
           const kartograph::mesos::MasterResponse::GetRoles& roles);
  // Whether any of them has limits.
  bool any() const { return !limits_.empty(); }

  // Where one of these consumptions needs more than the limits of the role leave: what to say of an
  // agent that is not offered to it, after a "which". Otherwise empty.
  std::string WhyHeldBack(absl::string_view role,
                          const std::vector<planner::ResourceVector>& wanted) const;

 private:
  struct Limit {
    planner::Resource resource;
    planner::Quantity most;
    planner::Quantity allocated;  // to the role and those below it: in use, or offered
  };
  const std::vector<std::string> roles_;
  absl::flat_hash_map<std::string, std::vector<Limit>> limits_;  // by role
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ROLE_QUOTAS_H_
