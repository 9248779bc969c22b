// One ReadLog call.
#ifndef KARTOGRAPH_SERVICE_GRPC_READ_LOG_STREAM_H_
#define KARTOGRAPH_SERVICE_GRPC_READ_LOG_STREAM_H_

#include <atomic>
#include <memory>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Sends what an attempt has written; where it follows, reads again a few times a second until the
// attempt (or the task, see ReadLogRequest) has ended and everything is sent. One step follows the
// other; between two, `waiting_` says that whoever sets it to false goes on. Keeps itself until the
// call is over.
class ReadLogStream final : public grpc::ServerWriteReactor<v1::ReadLogResponse>,
                            public std::enable_shared_from_this<ReadLogStream> {
 public:
  static ReadLogStream* Start(const ServiceParts& parts, grpc::CallbackServerContext* context,
                              const v1::ReadLogRequest& request);

  void OnWriteDone(bool ok) override;
  void OnCancel() override;
  void OnDone() override { self_.reset(); }

 private:
  ReadLogStream(const ServiceParts& parts, grpc::CallbackServerContext* context,
                const v1::ReadLogRequest& request)
      : parts_(parts),
        context_(context),
        request_(request),
        follows_task_(request.follow() && (request.attempt() == 0 || request.follow_retries())),
        number_(request.attempt()),
        offset_(request.offset()) {}

  void Begin();
  // Looks for the attempt and how far it is, then reads or waits for it.
  void Find();
  void Read();
  void OnChunk(absl::StatusOr<executor::LogChunk> chunk);
  void Send(executor::LogChunk chunk);
  void Wait();
  void Wake();
  void Next();
  void End(const absl::Status& status);

  const ServiceParts parts_;
  grpc::CallbackServerContext* const context_;
  const v1::ReadLogRequest request_;
  const bool follows_task_;
  std::shared_ptr<ReadLogStream> self_;
  SharedLimit::Claim open_;
  std::shared_ptr<ChangeHub::Watch> watch_;  // only where it follows
  std::atomic<bool> waiting_{false};
  std::atomic<bool> cancelled_{false};
  // What comes before a write is ordered before what comes after it by gRPC, but ThreadSanitizer
  // does not see into that.
  std::atomic<bool> writing_{false};

  planner::GraphId graph_ = 0;
  int32_t number_;  // of the attempt to read; 0: the last one
  Queries::LogSource source_;
  int64_t offset_;
  uint32_t announced_ = 0;  // the attempt of the last message
  v1::ReadLogResponse message_;
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_READ_LOG_STREAM_H_
