// Who may call over TCP: checked in one place, before any method.
#ifndef KARTOGRAPH_SERVICE_GRPC_CREDENTIALS_H_
#define KARTOGRAPH_SERVICE_GRPC_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>
#include <string>

#include "service/access/tls.h"

namespace kartograph::service {

// For a port on which every call must carry the metadata `authorization: Bearer TOKEN`, but for
// those of health checking; others end as UNAUTHENTICATED. This holds for all services and methods
// of the port, reflection and unknown ones included. With `tls`, connections are encrypted, and
// where it has a client_ca clients need a certificate of it, besides the token.
std::shared_ptr<grpc::ServerCredentials> TokenCredentials(std::string token,
                                                          const std::optional<Tls>& tls);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_CREDENTIALS_H_
