// Who makes a call.
#ifndef KARTOGRAPH_SERVICE_GRPC_CALLER_H_
#define KARTOGRAPH_SERVICE_GRPC_CALLER_H_

#include <grpcpp/server_context.h>

#include <string>

#include "api/kartograph/v1/task_executer.pb.h"
#include "service/access/users.h"

namespace kartograph::service {

// Of a call that was let through (see UserCredentials): over the socket the service's own user, on
// the port whoever has the token. A user who was removed since may only read.
Caller CallerOf(const grpc::ServerContextBase& context, const Users& users);

// For people.
const std::string& NameOf(const Caller& caller, const Users& users);

// Names the queue of a graph, which is as it is stored, as the caller names it.
void ShowQueue(const Caller& caller, const Users& users, v1::Graph& graph);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_CALLER_H_
