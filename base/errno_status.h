// errno as a status.
#ifndef KARTOGRAPH_BASE_ERRNO_STATUS_H_
#define KARTOGRAPH_BASE_ERRNO_STATUS_H_

#include "absl/status/status.h"
#include "absl/strings/string_view.h"

namespace kartograph {

// `what` and the error's text, "cannot open x: No such file or directory". NotFound,
// ResourceExhausted (no space, quota, inodes), PermissionDenied, or Unavailable for all others;
// never OK, also where `error` is 0.
absl::Status ErrnoStatus(int error, absl::string_view what);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_ERRNO_STATUS_H_
