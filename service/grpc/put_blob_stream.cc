#include "service/grpc/put_blob_stream.h"

#include <utility>

#include "absl/strings/str_cat.h"
#include "service/convert.h"
#include "service/grpc/grpc_status.h"
#include "service/task_inputs.h"

namespace kartograph::service {
namespace {

absl::Status Misuse(absl::string_view sent, absl::string_view rule) {
  ProblemList problems;
  problems.Add("message", sent, std::string(rule));
  return problems.ToStatus();
}

}  // namespace

PutBlobStream::PutBlobStream(const ServiceParts& parts, grpc::CallbackServerContext* context)
    : parts_(parts), context_(context) {
  if (parts_.blobs == nullptr) {
    End(absl::FailedPreconditionError(kNoBlobs));
  } else if (!open_.Add(parts_.limits->streams, 1)) {
    End(TooManyStreams(parts_.limits->streams));
  } else {
    StartRead(&message_);
  }
}

// There is at most one job for each stream, and streams are limited.
void PutBlobStream::OnReadDone(bool ok) {
  parts_.blob_workers->Post([this, ok] { ok ? Take() : Complete(); });
}

void PutBlobStream::OnDone() { delete this; }

void PutBlobStream::Take() {
  const absl::StatusOr<bool> more = Add();
  if (more.ok() && *more) {
    StartRead(&message_);
  } else {
    End(more.status());
  }
}

absl::StatusOr<bool> PutBlobStream::Add() {
  if (upload_ == nullptr) {
    if (!message_.has_blob()) {
      return Misuse(message_.has_data() ? "data" : "",
                    "the first message must be `blob`; those after it are `data`");
    }
    absl::StatusOr<std::unique_ptr<BlobStore::Upload>> upload =
        parts_.blobs->Begin(message_.blob().blob_id(), message_.blob().size());
    if (!upload.ok()) return upload.status();
    upload_ = *std::move(upload);
    return upload_ != nullptr;
  }
  if (!message_.has_data()) {
    return Misuse(message_.has_blob() ? "blob" : "",
                  "only the first message is `blob`; those after it are `data`");
  }
  if (absl::Status status = upload_->Append(message_.data()); !status.ok()) return status;
  return true;
}

// Whether the client has sent everything or is gone shows by the blob's size and digest.
void PutBlobStream::Complete() {
  if (upload_ == nullptr) {
    End(Misuse("", "nothing was sent; the first message must be `blob`"));
  } else {
    End(upload_->Finish());
  }
}

void PutBlobStream::End(const absl::Status& status) {
  // Whoever has the answer may put the next one.
  upload_.reset();
  open_.Release();
  Finish(ToGrpcStatus(status, *context_));
}

}  // namespace kartograph::service
