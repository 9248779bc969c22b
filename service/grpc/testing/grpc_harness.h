// The service over a real loopback channel.
#ifndef KARTOGRAPH_SERVICE_GRPC_TESTING_GRPC_HARNESS_H_
#define KARTOGRAPH_SERVICE_GRPC_TESTING_GRPC_HARNESS_H_

#include <grpcpp/grpcpp.h>

#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/grpc/grpc_server.h"
#include "service/testing/service_harness.h"

namespace kartograph::service {

class GrpcHarness {
 public:
  // `adjust` may set limits before the server starts.
  explicit GrpcHarness(const std::function<void(ServiceParts&)>& adjust = nullptr);
  ~GrpcHarness();

  std::shared_ptr<grpc::Channel> NewChannel(const grpc::ChannelArguments& arguments = {});
  // A task that runs `true`.
  static v1::TaskSpec Task(const std::string& name, const std::vector<std::string>& after = {});
  // Sends a graph in one batch of tasks.
  grpc::Status Submit(const v1::GraphSpec& graph, const std::vector<v1::TaskSpec>& tasks,
                      v1::SubmitGraphResponse& response, grpc::ClientContext& context,
                      const std::string& request_id = "");
  // The problems of a failed call.
  static v1::Problems ProblemsOf(const grpc::ClientContext& context);

  ServiceHarness below;
  std::unique_ptr<GrpcServer> server;
  std::unique_ptr<v1::TaskExecuter::Stub> stub;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_TESTING_GRPC_HARNESS_H_
