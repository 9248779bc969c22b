#include "service/grpc/watch_graph_stream.h"

#include <utility>

#include "absl/time/time.h"
#include "base/utf8.h"
#include "service/convert.h"
#include "service/grpc/grpc_status.h"
#include "service/messages.h"

namespace kartograph::service {
namespace {

// A message stays far below a client's usual limit of 4 MiB.
constexpr size_t kMaxMessageBytes = 1 << 20;
constexpr size_t kChangesAtOnce = 5000;
constexpr int kStatesAtOnce = 1000;
// Changes within this time go out together: no one reads faster, and a graph of short tasks changes
// thousands of times a second.
constexpr absl::Duration kBetweenMessages = absl::Milliseconds(30);

}  // namespace

WatchGraphStream* WatchGraphStream::Start(const ServiceParts& parts,
                                          grpc::CallbackServerContext* context,
                                          const v1::WatchGraphRequest& request) {
  std::shared_ptr<WatchGraphStream> stream(new WatchGraphStream(parts, context, request));
  stream->self_ = stream;
  stream->Begin();
  return stream.get();
}

void WatchGraphStream::Begin() {
  ProblemList problems;
  const planner::GraphId graph = ConvertGraphId(request_.graph_id(), problems);
  if (!problems.empty()) {
    End(problems.ToStatus());
    return;
  }
  if (!open_.Add(parts_.limits->streams, 1)) {
    End(TooManyStreams(parts_.limits->streams));
    return;
  }
  // Before the first read, so that no change is missed between.
  watch_ = parts_.hub->Add(graph, std::nullopt, [weak = weak_from_this()] {
    if (const std::shared_ptr<WatchGraphStream> stream = weak.lock()) stream->Wake();
  });
  if (!parts_.workers->TryPost([self = shared_from_this()] { self->SendFirst(); })) {
    End(absl::ResourceExhaustedError("too many calls are already waiting; try again"));
  }
}

void WatchGraphStream::SendFirst() {
  v1::GetGraphRequest request;
  request.set_graph_id(request_.graph_id());
  absl::StatusOr<v1::Graph> graph = parts_.queries->GetGraph(request);
  if (!graph.ok()) {
    End(graph.status());
    return;
  }
  SetGraph(*std::move(graph));
  if (request_.all_states()) next_state_ = 0;
  StartWrite(&message_);
}

void WatchGraphStream::SetGraph(v1::Graph graph) {
  ShowQueue(caller_, *parts_.users, graph);
  *message_.mutable_graph() = std::move(graph);
}

void WatchGraphStream::SendStates() {
  if (cancelled_) {
    End(absl::CancelledError("the client went away"));
    return;
  }
  ProblemList problems;
  const planner::GraphId graph = ConvertGraphId(request_.graph_id(), problems);
  const auto statuses = parts_.queries->TaskStatuses(graph, *next_state_, kStatesAtOnce);
  if (!statuses.ok()) {
    End(statuses.status());
    return;
  }
  message_.clear_changes();
  size_t bytes = 0;
  size_t sent = 0;
  for (; sent < statuses->size() && bytes < kMaxMessageBytes; ++sent) {
    const Queries::TaskStatus& status = (*statuses)[sent];
    v1::WatchGraphResponse::Change& change = *message_.add_changes();
    change.set_task_name(status.name);
    change.set_state(ToMessage(status.state));
    change.set_attempts(status.attempts);
    change.set_reason(ValidUtf8(status.reason));
    bytes += change.ByteSizeLong();
  }
  if (sent < statuses->size() || sent == kStatesAtOnce) {
    *next_state_ += static_cast<planner::TaskIndex>(sent);
  } else {
    next_state_.reset();
  }
  StartWrite(&message_);
}

void WatchGraphStream::OnWriteDone(bool ok) {
  if (!ok) {
    End(absl::CancelledError("the client went away"));
  } else if (next_state_) {
    parts_.workers->Post([self = shared_from_this()] { self->SendStates(); });
  } else if (message_.graph().state() != v1::GRAPH_STATE_RUNNING && unsent_.empty()) {
    End(absl::OkStatus());
  } else {
    parts_.workers->PostAfter(kBetweenMessages, [self = shared_from_this()] { self->SendNext(); });
  }
}

void WatchGraphStream::OnCancel() {
  cancelled_ = true;
  parts_.workers->Post([self = shared_from_this()] { self->Wake(); });
}

void WatchGraphStream::Wake() {
  if (waiting_.exchange(false)) SendNext();
}

void WatchGraphStream::SendNext() {
  while (true) {
    if (cancelled_) {
      End(absl::CancelledError("the client went away"));
      return;
    }
    if (!unsent_.empty()) break;
    ChangeHub::Pending pending = watch_->Take();
    if (pending.stopped) {
      End(absl::UnavailableError("the service is stopping; watch again when it is back"));
      return;
    }
    if (pending.overflowed) {
      End(absl::ResourceExhaustedError(
          "more changes wait than are kept for one watcher; read faster, or watch again"));
      return;
    }
    for (ChangeHub::Task& task : pending.tasks) unsent_.push_back(std::move(task));
    if (pending.graph) SetGraph(parts_.queries->Named(ToMessage(*pending.graph)));
    if (!pending.empty()) break;
    waiting_ = true;
    // What came since the Take found no one waiting.
    if (!(watch_->HasPending() || cancelled_) || !waiting_.exchange(false)) return;
  }
  message_.clear_changes();
  size_t bytes = 0;
  for (size_t i = 0; i < kChangesAtOnce && !unsent_.empty() && bytes < kMaxMessageBytes; ++i) {
    const ChangeHub::Task& task = unsent_.front();
    v1::WatchGraphResponse::Change& change = *message_.add_changes();
    change.set_task_name(task.name);
    change.set_state(ToMessage(task.state));
    change.set_attempts(static_cast<int32_t>(task.attempts));
    change.set_reason(ValidUtf8(task.reason));
    bytes += change.ByteSizeLong();
    unsent_.pop_front();
  }
  StartWrite(&message_);
}

void WatchGraphStream::End(const absl::Status& status) { Finish(ToGrpcStatus(status, *context_)); }

}  // namespace kartograph::service
