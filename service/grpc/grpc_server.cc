#include "service/grpc/grpc_server.h"

#include <grpcpp/ext/proto_server_reflection_plugin.h>
#include <grpcpp/grpcpp.h>
#include <grpcpp/health_check_service_interface.h>

#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "service/grpc/reflection_service.h"
#include "service/grpc/task_executer_service.h"

namespace kartograph::service {
namespace {

constexpr int kMaxMessageBytes = 64 << 20;

std::vector<std::string> ServiceNames() {
  return {v1::TaskExecuter::service_full_name(), "grpc.health.v1.Health",
          grpc::reflection::v1::ServerReflection::service_full_name(),
          "grpc.reflection.v1alpha.ServerReflection"};
}

class GrpcServerImpl final : public GrpcServer {
 public:
  explicit GrpcServerImpl(const ServiceParts& parts)
      : service_(parts), reflection_(ServiceNames()) {}
  ~GrpcServerImpl() override {
    if (server_ != nullptr) Shutdown(absl::ZeroDuration());
  }

  absl::Status Listen(const std::string& address) {
    grpc::ServerBuilder builder;
    builder.AddListeningPort(address, grpc::InsecureServerCredentials(), &port_);
    builder.SetMaxReceiveMessageSize(kMaxMessageBytes);
    // Two services on one port would each get some of the clients.
    builder.AddChannelArgument(GRPC_ARG_ALLOW_REUSEPORT, 0);
    // Clients may ping to keep long waits alive, every ten seconds at most (less here, as a network
    // delays some); the streams of a client whose host has vanished are ended likewise.
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MIN_RECV_PING_INTERVAL_WITHOUT_DATA_MS, 5000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIME_MS, 20000);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, 10000);
    builder.AddChannelArgument(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    builder.AddChannelArgument(GRPC_ARG_KEEPALIVE_PERMIT_WITHOUT_CALLS, 1);
    builder.RegisterService(&service_);
    builder.RegisterService(&reflection_);
    server_ = builder.BuildAndStart();
    if (server_ == nullptr || port_ == 0) {
      server_ = nullptr;
      return absl::UnavailableError(
          absl::StrCat("cannot listen for gRPC on ", address,
                       ": the port is taken or the address is not this machine's; choose another "
                       "with --grpc HOST:PORT (port 0 takes a free one)"));
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
  TaskExecuterService service_;
  ReflectionService reflection_;
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace

absl::StatusOr<std::unique_ptr<GrpcServer>> GrpcServer::Start(const std::string& address,
                                                              const ServiceParts& parts) {
  static std::once_flag plugins;
  std::call_once(plugins, [] {
    grpc::EnableDefaultHealthCheckService(true);
    grpc::reflection::InitProtoReflectionServerBuilderPlugin();
  });
  auto server = std::make_unique<GrpcServerImpl>(parts);
  if (absl::Status status = server->Listen(address); !status.ok()) return status;
  return server;
}

}  // namespace kartograph::service
