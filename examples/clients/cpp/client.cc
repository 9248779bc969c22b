// A client of Kartograph in C++, made from the .proto file alone. See ../README.md.
#include <grpcpp/grpcpp.h>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <random>
#include <stdexcept>
#include <vector>

#include "kartograph/v1/task_executer.grpc.pb.h"

namespace kg = kartograph::v1;
using Stub = kg::TaskExecuter::Stub;

// For all calls: while the service is restarted they wait and are repeated, up to a deadline.
constexpr char kServiceConfig[] = R"({"methodConfig": [{"name": [{}], "timeout": "60s",
    "waitForReady": true, "retryPolicy": {"maxAttempts": 5, "initialBackoff": "1s",
    "maxBackoff": "10s", "backoffMultiplier": 2, "retryableStatusCodes": ["UNAVAILABLE"]}}]})";

std::string RandomId() {
  std::random_device bits;
  return std::to_string(bits()) + "-" + std::to_string(bits()) + "-" + std::to_string(bits());
}

// For one thread at a time. Methods throw std::runtime_error where a call fails for good.
class TaskExecuter {
 public:
  TaskExecuter(const char* server, const char* token_file) {
    if (token_file != nullptr) std::ifstream(token_file) >> token_;
    grpc::ChannelArguments arguments;
    arguments.SetServiceConfigJSON(kServiceConfig);
    const auto credentials = grpc::InsecureChannelCredentials();  // with TLS: SslCredentials
    stub_ = kg::TaskExecuter::NewStub(grpc::CreateCustomChannel(server, credentials, arguments));
  }

  // Returns an id when the task is stored. It runs when so many cores and bytes are free.
  std::string Execute(const std::string& name, const std::string& shell) {
    kg::ExecuteRequest request;
    request.set_request_id(RandomId());  // so that repetitions run one task
    request.set_client_queue(queue_);
    request.mutable_task()->set_name(name);
    request.mutable_task()->mutable_command()->set_shell(shell);
    request.mutable_task()->mutable_consumption()->insert({{"cpu", 0.1}, {"ram", 32 << 20}});
    return Call(&Stub::Execute, request).graph_id();  // a graph of this task alone
  }

  // Does not wait: the task is delivered, as any other, when its processes have ended.
  void Cancel(const std::string& id) {
    kg::CancelRequest request;
    request.set_request_id(RandomId());
    request.set_graph_id(id);
    Call(&Stub::Cancel, request);
  }

  // Waits for finished tasks and acknowledges the previous ones, which else come again.
  std::vector<kg::FinishedTask> PopFinished(int seconds) {
    pop_.set_client_queue(queue_);
    pop_.mutable_wait()->set_seconds(seconds);
    const kg::PopFinishedResponse finished = Call(&Stub::PopFinished, pop_);
    pop_.clear_acknowledge();
    for (const auto& task : finished.tasks()) pop_.add_acknowledge(task.delivery_id());
    return {finished.tasks().begin(), finished.tasks().end()};
  }

 private:
  template <typename Request, typename Answer>
  Answer Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&, Answer*),
              const Request& request) {
    grpc::ClientContext context;
    if (!token_.empty()) context.AddMetadata("authorization", "Bearer " + token_);
    Answer answer;
    const grpc::Status status = ((*stub_).*method)(&context, request, &answer);
    if (!status.ok()) throw std::runtime_error(status.error_message());
    return answer;
  }

  std::string token_, queue_ = "client-" + RandomId();
  std::unique_ptr<Stub> stub_;
  kg::PopFinishedRequest pop_;
};

int main() {
  // HOST:PORT or unix:PATH, and for the former the service's token.
  TaskExecuter executer(std::getenv("KARTOGRAPH_SERVER"), std::getenv("KARTOGRAPH_TOKEN_FILE"));
  const std::string sleeper = executer.Execute("sleeper", "sleep 600");
  std::vector<std::string> left{
      sleeper, executer.Execute("broken", "exit 3"),
      executer.Execute("product", "printf $((6 * 7)) > $KARTOGRAPH_RESULT")};
  executer.Cancel(sleeper);
  while (!left.empty()) {
    for (const kg::FinishedTask& task : executer.PopFinished(30)) {
      if (std::erase(left, task.graph_id()) == 0) continue;  // delivered a second time
      const auto& end = task.has_exception() ? task.exception().message() : task.return_value();
      std::cout << task.task_name() << ": " << end << std::endl;
    }
  }
  executer.PopFinished(0);  // acknowledges the last ones
}
