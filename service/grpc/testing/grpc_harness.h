// The service over a real channel.
#ifndef KARTOGRAPH_SERVICE_GRPC_TESTING_GRPC_HARNESS_H_
#define KARTOGRAPH_SERVICE_GRPC_TESTING_GRPC_HARNESS_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "base/state_folder.h"
#include "service/grpc/grpc_server.h"
#include "service/testing/service_harness.h"

namespace kartograph::service {

class GrpcHarness {
 public:
  static constexpr const char* kToken = ServiceHarness::kToken;

  // `adjust` may set limits before the server starts; `tls` is of its port.
  explicit GrpcHarness(const std::function<void(ServiceParts&)>& adjust = nullptr,
                       std::optional<Tls> tls = std::nullopt, GrpcKeepalive keepalive = {},
                       scheduler::SchedulerOptions options = {});
  ~GrpcHarness();

  // To the socket, where no token is needed.
  std::shared_ptr<grpc::Channel> NewChannel(const grpc::ChannelArguments& arguments = {});
  // The server's port, HOST:PORT.
  std::string address() const;
  // A task that runs `true`.
  static v1::TaskSpec Task(const std::string& name, const std::vector<std::string>& after = {});
  // Sends a graph in one batch of tasks.
  grpc::Status Submit(const v1::GraphSpec& graph, const std::vector<v1::TaskSpec>& tasks,
                      v1::SubmitGraphResponse& response, grpc::ClientContext& context,
                      const std::string& request_id = "");
  // The problems of a failed call.
  static v1::Problems ProblemsOf(const grpc::ClientContext& context);

  ServiceHarness below;
  std::string socket;
  SocketTarget target;
  std::unique_ptr<GrpcServer> server;
  std::unique_ptr<v1::TaskExecuter::Stub> stub;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_TESTING_GRPC_HARNESS_H_
