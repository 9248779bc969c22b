#include "service/grpc/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>
#include <sys/stat.h>

#include <cerrno>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/errno_status.h"
#include "base/state_folder.h"
#include "service/grpc/credentials.h"
#include "service/grpc/page_service.h"
#include "service/grpc/reflection_service.h"
#include "service/grpc/task_executer_service.h"
#include "service/grpc/users_service.h"

namespace kartograph::service {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;

std::vector<std::string> ServiceNames() {
  return {v1::TaskExecuter::service_full_name(),
          v1::StatusPage::service_full_name(),
          v1::Users::service_full_name(),
          "grpc.health.v1.Health",
          grpc::reflection::v1::ServerReflection::service_full_name(),
          "grpc.reflection.v1alpha.ServerReflection"};
}

void SetKeepalive(const GrpcKeepalive& keepalive, grpc::ServerBuilder& builder) {
  const auto set = [&builder](const char* name, absl::Duration span) {
    builder.AddChannelArgument(name, static_cast<int>(absl::ToInt64Milliseconds(span)));
  };
  set(GRPC_ARG_KEEPALIVE_TIME_MS, keepalive.ping_after);
  set(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, keepalive.timeout);
  set(GRPC_ARG_MAX_CONNECTION_IDLE_MS, keepalive.idle);
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
  builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 0);
  // Clients may ping as often as they like, with and without calls: it costs less than a call.
  builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PING_STRIKES, 0);
}

class GrpcServerImpl final : public GrpcServer {
 public:
  GrpcServerImpl(const ServiceParts& parts, PageService::NewLink new_page_link)
      : users_(parts.users),
        service_(parts),
        users_service_(parts),
        page_(parts.users, std::move(new_page_link)),
        reflection_(ServiceNames()) {}
  ~GrpcServerImpl() override {
    if (server_ != nullptr) Shutdown(absl::ZeroDuration());
  }

  absl::Status Listen(GrpcServerOptions options) {
    absl::StatusOr<SocketTarget> socket = MakeSocketTarget(options.socket);
    if (!socket.ok()) return socket.status();
    socket_ = *std::move(socket);
    int socket_bound = 0;
    grpc::ServerBuilder builder;
    builder.AddListeningPort(socket_.target, grpc::InsecureServerCredentials(), &socket_bound);
    if (!options.address.empty()) {
      builder.AddListeningPort(options.address, UserCredentials(users_, options.tls), &port_);
    }
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    // Two services on one port would each get some of the clients.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    SetKeepalive(options.keepalive, builder);
    builder.RegisterService(&service_);
    builder.RegisterService(&reflection_);
    builder.RegisterService(&page_);
    builder.RegisterService(&users_service_);
    server_ = builder.BuildAndStart();
    if (socket_bound == 0) {
      server_ = nullptr;
      return absl::UnavailableError(
          absl::StrCat("cannot listen for gRPC on ", options.socket,
                       ": something that is not a socket is in its place, or its file system has "
                       "none; remove it, or choose another state folder"));
    }
    if (server_ == nullptr || (port_ == 0 && !options.address.empty())) {
      server_ = nullptr;
      return absl::UnavailableError(
          absl::StrCat("cannot listen for gRPC on ", options.address,
                       ": the port is taken or the address is not this machine's; choose another "
                       "with --grpc HOST:PORT (port 0 picks a free port)"));
    }
    // Until here its folder alone has kept others out.
    if (chmod(options.socket.c_str(), 0600) != 0) {
      return ErrnoStatus(errno, absl::StrCat("cannot close ", options.socket, " to others"));
    }
    SetServing(false);
    return absl::OkStatus();
  }

  int port() const override { return port_; }

  void SetServing(bool serving) override {
    grpc::HealthCheckServiceInterface* health = server_->GetHealthCheckService();
    health->SetServingStatus(serving);
    health->SetServingStatus(v1::TaskExecuter::service_full_name(), serving);
  }

  void Shutdown(absl::Duration grace) override {
    server_->Shutdown(
        gpr_time_add(gpr_now(GPR_CLOCK_MONOTONIC),
                     gpr_time_from_millis(absl::ToInt64Milliseconds(grace), GPR_TIMESPAN)));
    server_->Wait();
  }

 private:
  const Users* const users_;
  TaskExecuterService service_;
  UsersService users_service_;
  PageService page_;
  ReflectionService reflection_;
  SocketTarget socket_;  // gRPC removes the socket by it at the end
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(GrpcServerOptions options,
                                                              const ServiceParts& parts) {
  static std::once_flag plugins;
  std::call_once(plugins, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
  auto server = std::make_unique<GrpcServerImpl>(parts, std::move(options.new_page_link));
  if (absl::Status status = server->Listen(std::move(options)); !status.ok()) return status;
  return server;
}

}  // namespace kartograph::service
