// One PutBlob call.
#ifndef KARTOGRAPH_SERVICE_GRPC_PUT_BLOB_STREAM_H_
#define KARTOGRAPH_SERVICE_GRPC_PUT_BLOB_STREAM_H_

#include <memory>

#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "service/blob_store.h"
#include "service/service_parts.h"

namespace kartograph::service {

// Reads a message, writes it on a worker, and goes on with the next one. Deletes itself when the
// call is over.
class PutBlobStream final : public grpc::ServerReadReactor<v1::PutBlobRequest> {
 public:
  PutBlobStream(const ServiceParts& parts, grpc::CallbackServerContext* context);

  void OnReadDone(bool ok) override;
  void OnDone() override;

 private:
  // On a worker.
  void Take();
  void Complete();
  // Adds the message to the blob. False where the blob is kept already, and the call may end.
  absl::StatusOr<bool> Add();
  void End(const absl::Status& status);

  const ServiceParts parts_;
  grpc::CallbackServerContext* const context_;
  v1::PutBlobRequest message_;
  SharedLimit::Claim open_;
  std::unique_ptr<BlobStore::Upload> upload_;  // null before the first message
};

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_GRPC_PUT_BLOB_STREAM_H_
