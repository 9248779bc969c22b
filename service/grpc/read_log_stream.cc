#include "service/grpc/read_log_stream.h"

#include <utility>

#include "service/convert.h"
#include "service/grpc/grpc_status.h"

namespace kartograph::service {
namespace {

constexpr int64_t kMaxChunk = 64 << 10;
constexpr absl::Duration kPoll = absl::Milliseconds(200);

}  // namespace

ReadLogStream* ReadLogStream::Start(const ServiceParts& parts, grpc::CallbackServerContext* context,
                                    const v1::ReadLogRequest& request) {
  std::shared_ptr<ReadLogStream> stream(new ReadLogStream(parts, context, request));
  stream->self_ = stream;
  stream->Begin();
  return stream.get();
}

void ReadLogStream::Begin() {
  ProblemList problems;
  graph_ = CheckReadLog(request_, problems);
  if (!problems.empty()) {
    End(problems.ToStatus());
    return;
  }
  if (!open_.Add(parts_.limits->streams, 1)) {
    End(TooManyStreams(parts_.limits->streams));
    return;
  }
  if (!parts_.workers->TryPost([self = shared_from_this()] { self->Find(); })) {
    End(absl::ResourceExhaustedError("too many calls are already waiting; try again"));
  }
}

void ReadLogStream::Find() {
  // The attempt found first stays the one that is read.
  const int32_t number =
      source_.launched ? static_cast<int32_t>(source_.attempt.number()) : number_;
  absl::StatusOr<Queries::LogSource> source =
      parts_.queries->FindLog(graph_, request_.task_name(), number);
  if (!source.ok()) {
    End(source.status());
    return;
  }
  source_ = *std::move(source);
  const bool over = follows_task_ ? source_.task_final : source_.ended;
  if (request_.follow() && watch_ == nullptr && !over) {
    watch_ = parts_.hub->Add(graph_, source_.task, [weak = weak_from_this()] {
      if (const std::shared_ptr<ReadLogStream> stream = weak.lock()) stream->Wake();
    });
    // Once more, so that no change is missed between.
    Find();
    return;
  }
  if (source_.launched) {
    Read();
  } else if (request_.follow() && !source_.task_final) {
    Wait();
  } else if (announced_ > 0) {
    End(absl::OkStatus());  // the task ended without a further attempt
  } else {
    End(Queries::NotLaunched(source_, request_.task_name(), request_.attempt()));
  }
}

void ReadLogStream::Read() {
  const executor::LogRequest request{.attempt = source_.attempt,
                                     .agent = source_.agent,
                                     .stream = ToLogStream(request_.stream()),
                                     .offset = offset_,
                                     .max_bytes = kMaxChunk};
  parts_.logs->ReadLog(
      request, [self = shared_from_this()](absl::StatusOr<executor::LogChunk> chunk) {
        self->parts_.workers->Post(
            [self, chunk = std::move(chunk)]() mutable { self->OnChunk(std::move(chunk)); });
      });
}

void ReadLogStream::OnChunk(absl::StatusOr<executor::LogChunk> chunk) {
  // An attempt that has only just been launched has written nothing, and of one that was lost there
  // may be nothing when the task runs again.
  const bool others_follow =
      follows_task_ && (!source_.task_final || source_.attempt.number() < source_.newest);
  const bool goes_on = !source_.ended || others_follow;
  if (!chunk.ok() && !(absl::IsNotFound(chunk.status()) && goes_on)) {
    End(chunk.status());
    return;
  }
  if (chunk.ok() &&
      (!chunk->data.empty() || (request_.follow() && announced_ != source_.attempt.number()))) {
    Send(*std::move(chunk));
    return;
  }
  // It had ended before this read, so nothing can come after it.
  if (source_.ended && others_follow) {
    number_ = static_cast<int32_t>(source_.attempt.number()) + 1;
    source_.launched = false;
    offset_ = 0;
    Find();
  } else if (!request_.follow() || source_.ended) {
    End(absl::OkStatus());
  } else {
    Wait();
  }
}

void ReadLogStream::Send(executor::LogChunk chunk) {
  offset_ = chunk.offset + static_cast<int64_t>(chunk.data.size());
  announced_ = source_.attempt.number();
  message_.set_attempt(static_cast<int32_t>(announced_));
  message_.set_offset(chunk.offset);
  message_.set_data(std::move(chunk.data));
  writing_ = true;
  StartWrite(&message_);
}

void ReadLogStream::OnWriteDone(bool ok) {
  writing_ = false;
  if (!ok) {
    End(absl::CancelledError("the client went away"));
    return;
  }
  parts_.workers->Post([self = shared_from_this()] { self->Next(); });
}

void ReadLogStream::Wait() {
  waiting_ = true;
  parts_.workers->PostAfter(kPoll, [self = shared_from_this()] { self->Wake(); });
}

void ReadLogStream::OnCancel() { cancelled_ = true; }

void ReadLogStream::Wake() {
  if (waiting_.exchange(false)) Next();
}

void ReadLogStream::Next() {
  if (cancelled_) {
    End(absl::CancelledError("the client went away"));
    return;
  }
  if (watch_ != nullptr) {
    const ChangeHub::Pending pending = watch_->Take();
    if (pending.stopped) {
      End(absl::UnavailableError("the service is stopping; read on when it is back"));
      return;
    }
    if (!pending.empty()) {
      Find();
      return;
    }
  }
  if (source_.launched) {
    Read();
  } else {
    Wait();
  }
}

void ReadLogStream::End(const absl::Status& status) { Finish(ToGrpcStatus(status, *context_)); }

}  // namespace kartograph::service
