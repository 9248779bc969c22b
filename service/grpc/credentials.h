// Who may call over TCP: checked in one place, before any method.
#ifndef KARTOGRAPH_SERVICE_GRPC_CREDENTIALS_H_
#define KARTOGRAPH_SERVICE_GRPC_CREDENTIALS_H_

#include <grpcpp/security/server_credentials.h>

#include <memory>
#include <optional>

#include "service/access/tls.h"
#include "service/access/users.h"

namespace kartograph::service {

// For a port on which every call must carry the metadata `authorization: Bearer TOKEN` of a user
// with the role that its method takes (see RoleFor), but for those of health checking; others end
// as UNAUTHENTICATED or PERMISSION_DENIED. This holds for all services and methods of the port,
// reflection and unknown ones included. With `tls`, connections are encrypted, and where it has a
// client_ca clients need a certificate of it, besides the token. `users` outlives the port's last
// connection.
std::shared_ptr<grpc::ServerCredentials> UserCredentials(const Users* users,
                                                         const std::optional<Tls>& tls);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_CREDENTIALS_H_
