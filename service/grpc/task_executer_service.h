// The contract's service over gRPC.
#ifndef KARTOGRAPH_SERVICE_GRPC_TASK_EXECUTER_SERVICE_H_
#define KARTOGRAPH_SERVICE_GRPC_TASK_EXECUTER_SERVICE_H_

#include <atomic>
#include <cstdint>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Turns calls into commands and queries. Callback API throughout: a call that waits holds no
// thread. Thread-safe; the parts outlive every call.
class TaskExecuterService final : public v1::TaskExecuter::CallbackService {
 public:
  explicit TaskExecuterService(ServiceParts parts) : parts_(parts) {}

  using Context = grpc::CallbackServerContext;
  grpc::ServerReadReactor<v1::SubmitGraphRequest>* SubmitGraph(
      Context* context, v1::SubmitGraphResponse* response) override;
  grpc::ServerUnaryReactor* Execute(Context* context, const v1::ExecuteRequest* request,
                                    v1::ExecuteResponse* response) override;
  grpc::ServerUnaryReactor* AddTasks(Context* context, const v1::AddTasksRequest* request,
                                     v1::AddTasksResponse* response) override;
  grpc::ServerReadReactor<v1::PutBlobRequest>* PutBlob(Context* context,
                                                       v1::PutBlobResponse* response) override;
  grpc::ServerUnaryReactor* FindMissingBlobs(Context* context,
                                             const v1::FindMissingBlobsRequest* request,
                                             v1::FindMissingBlobsResponse* response) override;
  grpc::ServerUnaryReactor* CloseGraph(Context* context, const v1::CloseGraphRequest* request,
                                       v1::CloseGraphResponse* response) override;
  grpc::ServerUnaryReactor* Cancel(Context* context, const v1::CancelRequest* request,
                                   v1::CancelResponse* response) override;
  grpc::ServerUnaryReactor* Retry(Context* context, const v1::RetryRequest* request,
                                  v1::RetryResponse* response) override;
  grpc::ServerUnaryReactor* PopFinished(Context* context, const v1::PopFinishedRequest* request,
                                        v1::PopFinishedResponse* response) override;
  grpc::ServerUnaryReactor* ListUsage(Context* context, const v1::ListUsageRequest* request,
                                      v1::ListUsageResponse* response) override;
  grpc::ServerUnaryReactor* ListQueues(Context* context, const v1::ListQueuesRequest* request,
                                       v1::ListQueuesResponse* response) override;
  grpc::ServerUnaryReactor* DeleteQueue(Context* context, const v1::DeleteQueueRequest* request,
                                        v1::DeleteQueueResponse* response) override;
  grpc::ServerUnaryReactor* ForgetGraph(Context* context, const v1::ForgetGraphRequest* request,
                                        v1::ForgetGraphResponse* response) override;
  grpc::ServerUnaryReactor* GetGraph(Context* context, const v1::GetGraphRequest* request,
                                     v1::Graph* response) override;
  grpc::ServerUnaryReactor* ListGraphs(Context* context, const v1::ListGraphsRequest* request,
                                       v1::ListGraphsResponse* response) override;
  grpc::ServerUnaryReactor* ListTasks(Context* context, const v1::ListTasksRequest* request,
                                      v1::ListTasksResponse* response) override;
  grpc::ServerUnaryReactor* GetTask(Context* context, const v1::GetTaskRequest* request,
                                    v1::Task* response) override;
  grpc::ServerWriteReactor<v1::ReadResultResponse>* ReadResult(
      Context* context, const v1::ReadResultRequest* request) override;
  grpc::ServerUnaryReactor* ListFailures(Context* context, const v1::ListFailuresRequest* request,
                                         v1::ListFailuresResponse* response) override;
  grpc::ServerWriteReactor<v1::WatchGraphResponse>* WatchGraph(
      Context* context, const v1::WatchGraphRequest* request) override;
  grpc::ServerWriteReactor<v1::ReadLogResponse>* ReadLog(
      Context* context, const v1::ReadLogRequest* request) override;
  grpc::ServerUnaryReactor* GetCluster(Context* context, const v1::GetClusterRequest* request,
                                       v1::Cluster* response) override;
  grpc::ServerUnaryReactor* ExplainTask(Context* context, const v1::ExplainTaskRequest* request,
                                        v1::ExplainTaskResponse* response) override;
  grpc::ServerUnaryReactor* ExplainGraph(Context* context, const v1::ExplainGraphRequest* request,
                                         v1::ExplainGraphResponse* response) override;
  grpc::ServerUnaryReactor* ListPools(Context* context, const v1::ListPoolsRequest* request,
                                      v1::ListPoolsResponse* response) override;
  grpc::ServerUnaryReactor* SetPool(Context* context, const v1::SetPoolRequest* request,
                                    v1::SetPoolResponse* response) override;

 private:
  // Answers a reading call on a thread of `pool`, or of the common one.
  template <typename Response, typename Query>
  grpc::ServerUnaryReactor* OnWorker(Context* context, Response* response, Query query,
                                     WorkerPool* pool = nullptr);

  // Has a graph changed where it is the caller's, or the caller an administrator.
  void Change(const Caller& caller, planner::GraphId graph, scheduler::Command command,
              scheduler::Done done);
  bool IsSubmitter(const Caller& caller, const std::string& graph_id) const;

  // What was leased from this one on is offered again. `queue` as it is stored, here and below.
  void Release(const std::string& queue, const std::vector<storage::Finished>& finished,
               size_t from);
  // Fills in the answer; what does not fit is offered again.
  void Deliver(const std::vector<storage::Finished>& finished, const std::string& queue,
               const v1::PopFinishedRequest& request, v1::PopFinishedResponse& response);
  std::vector<std::string> TailsOf(const std::vector<storage::Finished>& finished);

  const ServiceParts parts_;
  std::atomic<int64_t> last_pop_{0};
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_TASK_EXECUTER_SERVICE_H_
