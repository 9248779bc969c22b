// The token of a state folder: anyone who has it can do everything that the service can do.
#ifndef KARTOGRAPH_SERVICE_ACCESS_TOKEN_H_
#define KARTOGRAPH_SERVICE_ACCESS_TOKEN_H_

#include <string>

#include "absl/status/statusor.h"

namespace kartograph::service {

// Reads the file `token` of a state folder, which this user alone may read; makes it where it is
// missing, whole or not at all: of several who make it at once, all get the same. The first time, a
// state folder that has nothing in it but a service's state is closed to other users; who opens it
// again has done so on purpose.
//
// FailedPrecondition, saying what to do, where others can read it, where it is somebody else's or
// where it is no token; otherwise errors of the file system.
absl::StatusOr<std::string> LoadOrMakeToken(const std::string& state);

// Makes the folder that this user alone may enter, and in which the service's socket is made (see
// SocketFolder). A FailedPrecondition where something else stands there.
absl::Status MakeSocketFolder(const std::string& state);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_ACCESS_TOKEN_H_
