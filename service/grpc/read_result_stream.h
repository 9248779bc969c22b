// One ReadResult call.
#ifndef KARTOGRAPH_SERVICE_GRPC_READ_RESULT_STREAM_H_
#define KARTOGRAPH_SERVICE_GRPC_READ_RESULT_STREAM_H_

#include <atomic>
#include <cstdint>
#include <memory>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Reads a part of the value from the history, sends it, and goes on with the next one. Keeps itself
// until the call is over.
class ReadResultStream final : public grpc::ServerWriteReactor<v1::ReadResultResponse>,
                               public std::enable_shared_from_this<ReadResultStream> {
 public:
  static ReadResultStream* Start(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                 const v1::ReadResultRequest& request);

  void OnWriteDone(bool ok) override;
  void OnDone() override { self_.reset(); }

 private:
  ReadResultStream(const ServiceParts& parts, grpc::CallbackServerContext* context,
                   const v1::ReadResultRequest& request)
      : parts_(parts), context_(context), request_(request), offset_(request.offset()) {}

  void Begin();
  void Find();
  void SendNext();
  void End(const absl::Status& status);

  const ServiceParts parts_;
  grpc::CallbackServerContext* const context_;
  const v1::ReadResultRequest request_;
  std::shared_ptr<ReadResultStream> self_;
  SharedLimit::Claim open_;
  // As in ReadLogStream.
  std::atomic<bool> writing_{false};

  planner::AttemptId attempt_;
  int64_t offset_;
  v1::ReadResultResponse message_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_READ_RESULT_STREAM_H_
