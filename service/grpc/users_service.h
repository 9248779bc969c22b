// Users, and who calls.
#ifndef KARTOGRAPH_SERVICE_GRPC_USERS_SERVICE_H_
#define KARTOGRAPH_SERVICE_GRPC_USERS_SERVICE_H_

#include "api/kartograph/v1/users.grpc.pb.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Thread-safe; the parts outlive every call.
class UsersService final : public v1::Users::CallbackService {
 public:
  explicit UsersService(ServiceParts parts) : parts_(std::move(parts)) {}

  using Context = grpc::CallbackServerContext;
  grpc::ServerUnaryReactor* AddUser(Context* context, const v1::AddUserRequest* request,
                                    v1::AddUserResponse* response) override;
  grpc::ServerUnaryReactor* RemoveUser(Context* context, const v1::RemoveUserRequest* request,
                                       v1::RemoveUserResponse*) override;
  grpc::ServerUnaryReactor* ListUsers(Context* context, const v1::ListUsersRequest*,
                                      v1::ListUsersResponse* response) override;
  grpc::ServerUnaryReactor* ListShares(Context* context, const v1::ListSharesRequest*,
                                       v1::ListSharesResponse* response) override;
  grpc::ServerUnaryReactor* GetCaller(Context* context, const v1::GetCallerRequest*,
                                      v1::User* response) override;

 private:
  const ServiceParts parts_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_USERS_SERVICE_H_
