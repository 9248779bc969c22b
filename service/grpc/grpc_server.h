// The gRPC front: TaskExecuter, StatusPage, health checking and reflection, on a socket of this
// machine and on a port.
#ifndef KARTOGRAPH_SERVICE_GRPC_GRPC_SERVER_H_
#define KARTOGRAPH_SERVICE_GRPC_GRPC_SERVER_H_

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/access/tls.h"
#include "service/service_parts.h"

namespace kartograph::service {

// How a peer is noticed that has vanished without a word, as its host has lost power or network.
struct GrpcKeepalive {
  // A connection with calls that has brought nothing for so long is sent a ping; if nothing comes
  // for `timeout` after it, the connection is closed, and its calls are cancelled. One without
  // calls is left alone: nobody may be reading there. gRPC's synchronous clients look at idle
  // connections every five seconds, at one after another, so that with many their answers to pings
  // would come too late, and their next calls would fail with a broken pipe.
  absl::Duration ping_after = absl::Seconds(20);
  absl::Duration timeout = absl::Seconds(20);
  // A connection without calls is closed in the end, as its client may be gone.
  absl::Duration idle = absl::Hours(2);
};

struct GrpcServerOptions {
  // The path of a Unix socket, in a folder that its owner alone enters; one that an earlier server
  // has left there is replaced. Anyone who reaches it can do anything.
  std::string socket{};
  // HOST:PORT, where port 0 takes a free one; empty: the socket alone. Calls there need the token
  // of one of the parts' users.
  std::string address{};
  std::optional<Tls> tls{};  // of the port; nothing: not encrypted
  // Makes a link into the status page for whoever has this credential; thread-safe and does not
  // block.
  std::function<std::string(const std::string& credential)> new_page_link{};
  GrpcKeepalive keepalive{};
};

// Thread-safe.
class GrpcServer {
 public:
  // Fails where the port is taken, or the socket cannot be made.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(GrpcServerOptions options,
                                                           const ServiceParts& parts);
  virtual ~GrpcServer() = default;

  // The one that listens, also where 0 was asked for; 0 without an address.
  virtual int port() const = 0;
  // What the health service reports; not serving at first.
  virtual void SetServing(bool serving) = 0;
  // Takes no new calls, ends those that still run after `grace`, waits for the last.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_GRPC_SERVER_H_
