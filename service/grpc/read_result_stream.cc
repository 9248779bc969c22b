#include "service/grpc/read_result_stream.h"

#include <utility>

#include "service/grpc/grpc_status.h"

namespace kartograph::service {
namespace {

constexpr int64_t kMaxPart = 1 << 20;

}  // namespace

ReadResultStream* ReadResultStream::Start(const ServiceParts& parts,
                                          grpc::CallbackServerContext* context,
                                          const v1::ReadResultRequest& request) {
  std::shared_ptr<ReadResultStream> stream(new ReadResultStream(parts, context, request));
  stream->self_ = stream;
  stream->Begin();
  return stream.get();
}

void ReadResultStream::Begin() {
  if (!open_.Add(parts_.limits->streams, 1)) {
    End(TooManyStreams(parts_.limits->streams));
    return;
  }
  if (!parts_.workers->TryPost([self = shared_from_this()] { self->Find(); })) {
    End(absl::ResourceExhaustedError("too many calls are already waiting; try again"));
  }
}

void ReadResultStream::Find() {
  const absl::StatusOr<planner::AttemptId> attempt = parts_.queries->FindResult(request_);
  if (!attempt.ok()) {
    End(attempt.status());
    return;
  }
  attempt_ = *attempt;
  SendNext();
}

void ReadResultStream::SendNext() {
  absl::StatusOr<storage::ResultPart> part =
      parts_.queries->ReadResult(attempt_, offset_, kMaxPart);
  if (!part.ok()) {
    End(part.status());
    return;
  }
  offset_ += static_cast<int64_t>(part->data.size());
  message_.set_size(part->size);
  message_.set_data(std::move(part->data));
  writing_ = true;
  StartWrite(&message_);
}

void ReadResultStream::OnWriteDone(bool ok) {
  writing_ = false;
  if (!ok) {
    End(absl::CancelledError("the client went away"));
  } else if (offset_ >= message_.size()) {
    End(absl::OkStatus());
  } else {
    parts_.workers->Post([self = shared_from_this()] { self->SendNext(); });
  }
}

void ReadResultStream::End(const absl::Status& status) { Finish(ToGrpcStatus(status, *context_)); }

}  // namespace kartograph::service
