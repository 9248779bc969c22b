// A TaskExecuter in this process that answers what a test tells it to.
#ifndef KARTOGRAPH_CLI_TESTING_FAKE_SERVICE_H_
#define KARTOGRAPH_CLI_TESTING_FAKE_SERVICE_H_

#include <grpcpp/grpcpp.h>

#include <atomic>
#include <deque>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <vector>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "api/kartograph/v1/users.grpc.pb.h"

namespace kartograph::cli {

// The fields are set before a call and read after it.
class FakeService final : public v1::TaskExecuter::Service {
 public:
  // What the lists give, paged by `page_size` at most.
  std::vector<v1::Graph> graphs;  // newest first
  std::vector<v1::Task> tasks;
  v1::Cluster cluster;
  v1::ListFailuresResponse failures;
  v1::ListUsageResponse usage;                        // on one page
  std::vector<v1::UsageWarning> usage_warnings = {};  // of a submission
  std::string log;                                    // of every task's stderr; stdout says "out"
  int page_size = 1000;
  int affected = 3;  // tasks that a cancel or retry reports

  // Answers of the next writes, then OK.
  std::deque<grpc::Status> write_errors;
  std::deque<grpc::Status> read_errors;  // of GetGraph
  // Goes with a write's error.
  v1::Problems problems;

  // What the streams do; the number counts their calls from 0.
  using WatchWriter = grpc::ServerWriter<v1::WatchGraphResponse>;
  std::function<grpc::Status(int, grpc::ServerContext*, WatchWriter*)> on_watch;
  using LogWriter = grpc::ServerWriter<v1::ReadLogResponse>;
  std::function<grpc::Status(int, const v1::ReadLogRequest&, LogWriter*)> on_read_log;

  // What came.
  std::vector<std::string> request_ids;
  v1::GraphSpec submitted;
  std::vector<v1::TaskSpec> submitted_tasks;
  size_t largest_message = 0;
  std::atomic<int> task_lists = 0;  // calls of ListTasks that have begun
  v1::CancelRequest cancelled;
  v1::ListUsageRequest usage_request;
  v1::GetGraphRequest graph_request;

  // Makes what the threads of earlier calls wrote safe to read.
  void WaitForCalls() { const std::lock_guard lock(mutex_); }

  grpc::Status SubmitGraph(grpc::ServerContext* context,
                           grpc::ServerReader<v1::SubmitGraphRequest>* reader,
                           v1::SubmitGraphResponse* response) override;
  grpc::Status Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                      v1::CancelResponse* response) override;
  grpc::Status Retry(grpc::ServerContext* context, const v1::RetryRequest* request,
                     v1::RetryResponse* response) override;
  grpc::Status ForgetGraph(grpc::ServerContext* context, const v1::ForgetGraphRequest* request,
                           v1::ForgetGraphResponse* response) override;
  grpc::Status Execute(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                       v1::ExecuteResponse* response) override;
  grpc::Status GetGraph(grpc::ServerContext* context, const v1::GetGraphRequest* request,
                        v1::Graph* response) override;
  grpc::Status ListGraphs(grpc::ServerContext* context, const v1::ListGraphsRequest* request,
                          v1::ListGraphsResponse* response) override;
  grpc::Status ListTasks(grpc::ServerContext* context, const v1::ListTasksRequest* request,
                         v1::ListTasksResponse* response) override;
  grpc::Status GetTask(grpc::ServerContext* context, const v1::GetTaskRequest* request,
                       v1::Task* response) override;
  grpc::Status ListFailures(grpc::ServerContext* context, const v1::ListFailuresRequest* request,
                            v1::ListFailuresResponse* response) override;
  grpc::Status ListUsage(grpc::ServerContext* context, const v1::ListUsageRequest* request,
                         v1::ListUsageResponse* response) override;
  grpc::Status WatchGraph(grpc::ServerContext* context, const v1::WatchGraphRequest* request,
                          WatchWriter* writer) override;
  grpc::Status ReadLog(grpc::ServerContext* context, const v1::ReadLogRequest* request,
                       LogWriter* writer) override;
  grpc::Status GetCluster(grpc::ServerContext* context, const v1::GetClusterRequest* request,
                          v1::Cluster* response) override;

 private:
  grpc::Status NextWrite(grpc::ServerContext* context, const std::string& request_id);

  std::mutex mutex_;
  int watches_ = 0;
  int log_reads_ = 0;
};

// The same for users.
class FakeUsers final : public v1::Users::Service {
 public:
  grpc::Status AddUser(grpc::ServerContext*, const v1::AddUserRequest* request,
                       v1::AddUserResponse* response) override;
  grpc::Status RemoveUser(grpc::ServerContext*, const v1::RemoveUserRequest* request,
                          v1::RemoveUserResponse*) override;
  grpc::Status ListUsers(grpc::ServerContext*, const v1::ListUsersRequest*,
                         v1::ListUsersResponse* response) override;
  grpc::Status GetCaller(grpc::ServerContext*, const v1::GetCallerRequest*,
                         v1::User* response) override;

  std::vector<v1::User> users;  // the first one calls
};

// Serves a FakeService and FakeUsers on a free port of the loopback interface, which it keeps over
// restarts.
class FakeServer {
 public:
  FakeServer() { Start(); }
  ~FakeServer() { Stop(); }
  void Start();
  // Ends running calls.
  void Stop();
  std::string address() const { return "127.0.0.1:" + std::to_string(port_); }

  FakeService service;
  FakeUsers users;

 private:
  int port_ = 0;
  std::unique_ptr<grpc::Server> server_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_TESTING_FAKE_SERVICE_H_
