// What each method of the contract takes.
#ifndef KARTOGRAPH_SERVICE_ACCESS_METHOD_ROLES_H_
#define KARTOGRAPH_SERVICE_ACCESS_METHOD_ROLES_H_

#include "absl/strings/string_view.h"
#include "service/access/users.h"

namespace kartograph::service {

// The least role that may call a method of gRPC, by its path: "/kartograph.v1.TaskExecuter/Cancel".
// What is not known here, such as a method that was added since, takes kUser.
Role RoleFor(absl::string_view path);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_METHOD_ROLES_H_
