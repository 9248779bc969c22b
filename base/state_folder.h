// Where a service keeps its state, and its socket there: what kartographd and `kartograph` agree
// on.
#ifndef KARTOGRAPH_BASE_STATE_FOLDER_H_
#define KARTOGRAPH_BASE_STATE_FOLDER_H_

#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/descriptor.h"

namespace kartograph {

// The state folder unless another is named: /var/lib/kartograph of root, kartograph in
// $XDG_STATE_HOME or ~/.local/state of others. Empty where a user has no home.
std::string DefaultStateFolder();

// The name of the user of this process; its number where the system knows no name.
std::string UserName();

// The socket of a service with this state folder. Its folder is entered by its owner alone.
std::string SocketFolder(absl::string_view state);
std::string SocketPath(absl::string_view state);

// The most bytes that the path of a socket may have (sun_path).
inline constexpr size_t kMaxSocketPath = 107;

// The path of a Unix socket as gRPC takes it, "unix:...".
struct SocketTarget {
  std::string target;
  // Where gRPC could not take the path itself, as it is too long or has characters that mean
  // something in a URI, the target leads through this descriptor of its folder: for as long as it
  // is open, and in this process alone.
  Descriptor folder;
};

// Fails where such a path's folder is not there or may not be entered; see ErrnoStatus.
absl::StatusOr<SocketTarget> MakeSocketTarget(const std::string& path);

}  // namespace kartograph

#endif  // KARTOGRAPH_BASE_STATE_FOLDER_H_
