// Client queues and request ids of different users do not meet: each user has names of their own.
#ifndef KARTOGRAPH_SERVICE_ACCESS_QUEUE_NAMES_H_
#define KARTOGRAPH_SERVICE_ACCESS_QUEUE_NAMES_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "service/access/users.h"

namespace kartograph::service {

// What the name of a caller's queue, or a request id, is stored as: USER#NAME; that of the
// service's own user as it is, and so is an empty one.
std::string StoredName(const Caller& caller, absl::string_view name);

// The same for a queue that a caller reads from: administrators may name any as USER#NAME.
// InvalidArgument, to be put after the name, where it cannot be a queue's; PermissionDenied.
absl::StatusOr<std::string> StoredQueue(const Caller& caller, absl::string_view name,
                                        absl::string_view owner_name);

// How a stored queue is called when a caller is told of it: queues of others as USER#NAME.
std::string ShownQueue(const Caller& caller, absl::string_view stored,
                       absl::string_view owner_name);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_QUEUE_NAMES_H_
