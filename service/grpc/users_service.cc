#include "service/grpc/users_service.h"

#include <spdlog/spdlog.h>

#include <functional>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "service/access/users.h"
#include "service/grpc/caller.h"
#include "service/grpc/grpc_status.h"
#include "service/messages.h"

namespace kartograph::service {
namespace {

v1::Role ToMessage(Role role) {
  switch (role) {
    case Role::kReader:
      return v1::ROLE_READER;
    case Role::kUser:
      return v1::ROLE_USER;
    case Role::kAdmin:
      break;
  }
  return v1::ROLE_ADMIN;
}

absl::StatusOr<Role> ConvertRole(v1::Role role) {
  switch (role) {
    case v1::ROLE_UNSPECIFIED:
    case v1::ROLE_USER:
      return Role::kUser;
    case v1::ROLE_READER:
      return Role::kReader;
    case v1::ROLE_ADMIN:
      return Role::kAdmin;
    default:
      break;
  }
  ProblemList problems;
  problems.Add("role", absl::StrCat(static_cast<int>(role)),
               "is not a role; leave it out for that of a user");
  return problems.ToStatus();
}

// Ends the call with the answer of `change`, which blocks on the disk.
grpc::ServerUnaryReactor* OnWorker(WorkerPool& workers, grpc::CallbackServerContext* context,
                                   std::function<absl::Status()> change) {
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  const bool posted = workers.TryPost([context, reactor, change = std::move(change)] {
    reactor->Finish(ToGrpcStatus(change(), *context));
  });
  if (!posted) {
    reactor->Finish(ToGrpcStatus(
        absl::ResourceExhaustedError("too many calls are already waiting; try again"), *context));
  }
  return reactor;
}

}  // namespace

grpc::ServerUnaryReactor* UsersService::AddUser(Context* context, const v1::AddUserRequest* request,
                                                v1::AddUserResponse* response) {
  return OnWorker(
      *parts_.workers, context,
      [users = parts_.users, by = NameOf(CallerOf(*context, *parts_.users), *parts_.users), request,
       response]() -> absl::Status {
        const absl::StatusOr<Role> role = ConvertRole(request->role());
        if (!role.ok()) return role.status();
        absl::StatusOr<std::string> token = users->Add(request->name(), *role);
        if (!token.ok()) return token.status();
        response->set_token(*std::move(token));
        spdlog::info("user {} with the role {} was added by {}", request->name(),
                     std::string(ToString(*role)), by);
        return absl::OkStatus();
      });
}

grpc::ServerUnaryReactor* UsersService::RemoveUser(Context* context,
                                                   const v1::RemoveUserRequest* request,
                                                   v1::RemoveUserResponse*) {
  return OnWorker(*parts_.workers, context,
                  [users = parts_.users,
                   by = NameOf(CallerOf(*context, *parts_.users), *parts_.users), request] {
                    absl::Status removed = users->Remove(request->name());
                    if (removed.ok())
                      spdlog::info("user {} was removed by {}", request->name(), by);
                    return removed;
                  });
}

grpc::ServerUnaryReactor* UsersService::ListUsers(Context* context, const v1::ListUsersRequest*,
                                                  v1::ListUsersResponse* response) {
  v1::User& owner = *response->add_users();
  owner.set_name(parts_.users->owner_name());
  owner.set_role(v1::ROLE_ADMIN);
  for (const Users::User& user : parts_.users->List()) {
    v1::User& message = *response->add_users();
    message.set_name(user.name);
    message.set_role(ToMessage(user.role));
    *message.mutable_create_time() = ToMessage(user.created);
  }
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

grpc::ServerUnaryReactor* UsersService::ListShares(Context* context, const v1::ListSharesRequest*,
                                                   v1::ListSharesResponse* response) {
  return OnWorker(*parts_.workers, context,
                  [queries = parts_.queries, response] { return queries->ListShares(*response); });
}

grpc::ServerUnaryReactor* UsersService::GetCaller(Context* context, const v1::GetCallerRequest*,
                                                  v1::User* response) {
  const Caller caller = CallerOf(*context, *parts_.users);
  response->set_name(NameOf(caller, *parts_.users));
  response->set_role(ToMessage(caller.role));
  grpc::ServerUnaryReactor* reactor = context->DefaultReactor();
  reactor->Finish(grpc::Status::OK);
  return reactor;
}

}  // namespace kartograph::service
