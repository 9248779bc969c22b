// The gRPC front: TaskExecuter, health checking and reflection on one port.
#ifndef KARTOGRAPH_SERVICE_GRPC_GRPC_SERVER_H_
#define KARTOGRAPH_SERVICE_GRPC_GRPC_SERVER_H_

#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Thread-safe.
class GrpcServer {
 public:
  // `address` is HOST:PORT; port 0 takes a free one. Fails where the port is taken.
  static absl::StatusOr<std::unique_ptr<GrpcServer>> Start(const std::string& address,
                                                           const ServiceParts& parts);
  virtual ~GrpcServer() = default;

  // The one that listens, also where 0 was asked for.
  virtual int port() const = 0;
  // What the health service reports; not serving at first.
  virtual void SetServing(bool serving) = 0;
  // Takes no new calls, ends those that still run after `grace`, waits for the last.
  virtual void Shutdown(absl::Duration grace) = 0;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_GRPC_SERVER_H_
