#include "service/grpc/testing/grpc_harness.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <utility>

#include "absl/strings/str_cat.h"

namespace kartograph::service {

GrpcHarness::GrpcHarness(const std::function<void(ServiceParts&)>& adjust, std::optional<Tls> tls,
                         GrpcKeepalive keepalive, scheduler::SchedulerOptions options)
    : below(std::move(options)), socket(absl::StrCat(testing::TempDir(), "/grpc.XXXXXX")) {
  EXPECT_NE(mkdtemp(socket.data()), nullptr);
  socket += "/sock";
  target = *MakeSocketTarget(socket);
  if (adjust) adjust(below.parts);
  auto started =
      GrpcServer::Start({.socket = socket,
                         .address = "127.0.0.1:0",
                         .tls = std::move(tls),
                         .new_page_link =
                             [](const std::string& credential) {
                               return absl::StrCat("http://page/login?code=", credential);
                             },
                         .keepalive = keepalive},
                        below.parts);
  EXPECT_TRUE(started.ok()) << started.status();
  server = *std::move(started);
  stub = v1::TaskExecuter::NewStub(NewChannel());
}

GrpcHarness::~GrpcHarness() {
  below.StopScheduler();
  server->Shutdown(absl::ZeroDuration());
}

std::shared_ptr<grpc::Channel> GrpcHarness::NewChannel(const grpc::ChannelArguments& arguments) {
  grpc::ChannelArguments own = arguments;
  own.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
  return grpc::CreateCustomChannel(target.target, grpc::InsecureChannelCredentials(), own);
}

std::string GrpcHarness::address() const { return absl::StrCat("localhost:", server->port()); }

v1::TaskSpec GrpcHarness::Task(const std::string& name, const std::vector<std::string>& after) {
  v1::TaskSpec task;
  task.set_name(name);
  task.mutable_command()->add_arguments("true");
  for (const std::string& other : after) task.add_after(other);
  return task;
}

grpc::Status GrpcHarness::Submit(const v1::GraphSpec& graph, const std::vector<v1::TaskSpec>& tasks,
                                 v1::SubmitGraphResponse& response, grpc::ClientContext& context,
                                 const std::string& request_id) {
  auto writer = stub->SubmitGraph(&context, &response);
  v1::SubmitGraphRequest message;
  *message.mutable_graph()->mutable_graph() = graph;
  message.mutable_graph()->set_request_id(request_id);
  writer->Write(message);
  message.mutable_tasks();
  for (const v1::TaskSpec& task : tasks) *message.mutable_tasks()->add_tasks() = task;
  writer->Write(message);
  writer->WritesDone();
  return writer->Finish();
}

v1::Problems GrpcHarness::ProblemsOf(const grpc::ClientContext& context) {
  v1::Problems problems;
  const auto found = context.GetServerTrailingMetadata().find("kartograph-problems-bin");
  if (found != context.GetServerTrailingMetadata().end()) {
    EXPECT_TRUE(
        problems.ParseFromArray(found->second.data(), static_cast<int>(found->second.size())));
  }
  return problems;
}

}  // namespace kartograph::service
