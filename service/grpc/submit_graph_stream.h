// One SubmitGraph call.
#ifndef KARTOGRAPH_SERVICE_GRPC_SUBMIT_GRAPH_STREAM_H_
#define KARTOGRAPH_SERVICE_GRPC_SUBMIT_GRAPH_STREAM_H_

#include <google/protobuf/arena.h>

#include <optional>
#include <string>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/access/users.h"
#include "service/convert.h"
#include "service/request_digest.h"
#include "service/service_parts.h"
#include "service/task_inputs.h"

namespace kartograph::service {

// Holds the graph received so far. Deletes itself when the call is over.
class SubmitGraphStream final : public grpc::ServerReadReactor<v1::SubmitGraphRequest> {
 public:
  SubmitGraphStream(const ServiceParts& parts, grpc::CallbackServerContext* context,
                    v1::SubmitGraphResponse* response);

  void OnReadDone(bool ok) override;
  void OnSendInitialMetadataDone(bool ok) override;
  void OnDone() override;

 private:
  void ReadNext();
  // Adds the message to the graph; an error ends the call.
  absl::Status Take();
  // Checks and ranks the graph, on a worker.
  void Prepare();
  void Submit(scheduler::PreparedGraph graph);
  void End(const absl::Status& status);

  const ServiceParts parts_;
  grpc::CallbackServerContext* const context_;
  v1::SubmitGraphResponse* const response_;
  const Caller caller_;
  // The message that is read, and what holds it until the next: a task's parts are not freed one
  // by one.
  google::protobuf::Arena arena_;
  v1::SubmitGraphRequest* message_ = nullptr;
  bool started_ = false;
  int64_t bytes_ = 0;
  SharedLimit::Claim open_;
  SharedLimit::Claim claimed_bytes_;
  std::string request_id_;
  RequestDigest digest_;          // where there is a request id
  planner::ResourceNames names_;  // of the graph, until the scheduler has answered
  BlobReferences blobs_;          // of the graph
  std::optional<scheduler::GraphDraft> graph_;
  ProblemList problems_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_SUBMIT_GRAPH_STREAM_H_
