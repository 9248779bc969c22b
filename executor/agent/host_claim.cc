#include "executor/agent/host_claim.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>

#include <cstddef>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace kartograph::executor {

absl::StatusOr<Descriptor> ClaimOnHost(absl::string_view name) {
  struct sockaddr_un address = {};
  address.sun_family = AF_UNIX;
  if (name.size() >= sizeof(address.sun_path)) {
    return absl::InvalidArgumentError(absl::StrCat("\"", name, "\" is too long to be claimed"));
  }
  // A first byte of zero makes it abstract.
  memcpy(address.sun_path + 1, name.data(), name.size());
  const size_t size = offsetof(struct sockaddr_un, sun_path) + 1 + name.size();
  Descriptor claim(socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0));
  if (!claim.ok()) return ErrnoStatus(errno, "cannot make a socket");
  if (bind(claim.get(), reinterpret_cast<struct sockaddr*>(&address),
           static_cast<socklen_t>(size)) != 0) {
    if (errno == EADDRINUSE) return absl::AlreadyExistsError(name);
    return ErrnoStatus(errno, absl::StrCat("cannot claim ", name));
  }
  return claim;
}

}  // namespace kartograph::executor
