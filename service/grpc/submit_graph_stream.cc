#include "service/grpc/submit_graph_stream.h"

#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "planner/task_graph.h"
#include "service/access/queue_names.h"
#include "service/grpc/caller.h"
#include "service/grpc/grpc_status.h"
#include "service/usage.h"

namespace kartograph::service {
namespace {

// Adds what is wrong with names and dependencies to what is wrong with fields.
void AddShapeProblems(std::vector<planner::Problem> found, ProblemList& problems) {
  for (planner::Problem& problem : found) {
    // Missing names are reported as such, not as repeated.
    if (problem.value.empty() && absl::EndsWith(problem.field, "].name")) continue;
    problems.Add(std::move(problem.field), problem.value, std::move(problem.message));
  }
}

// Of blocks that malloc reuses instead of mapping new ones.
google::protobuf::ArenaOptions InBlocks() {
  google::protobuf::ArenaOptions options;
  options.start_block_size = options.max_block_size = 64 << 10;
  return options;
}

}  // namespace

SubmitGraphStream::SubmitGraphStream(const ServiceParts& parts,
                                     grpc::CallbackServerContext* context,
                                     v1::SubmitGraphResponse* response)
    : parts_(parts),
      context_(context),
      response_(response),
      caller_(CallerOf(*context, *parts.users)),
      arena_(InBlocks()),
      blobs_(parts.blobs) {
  if (!open_.Add(parts_.limits->streams, 1)) {
    End(TooManyStreams(parts_.limits->streams));
    return;
  }
  ReadNext();
}

void SubmitGraphStream::ReadNext() {
  arena_.Reset();
  message_ = google::protobuf::Arena::CreateMessage<v1::SubmitGraphRequest>(&arena_);
  StartRead(message_);
}

void SubmitGraphStream::OnReadDone(bool ok) {
  if (!ok) {
    // The client has sent everything, or it is gone: a read does not say which, and part of a graph
    // must never be mistaken for the whole. Sending does say it.
    StartSendInitialMetadata();
    return;
  }
  if (absl::Status status = Take(); !status.ok()) {
    End(status);
    return;
  }
  ReadNext();
}

void SubmitGraphStream::OnSendInitialMetadataDone(bool ok) {
  if (!ok || context_->IsCancelled()) {
    End(absl::CancelledError("the client went away before the graph was whole"));
    return;
  }
  if (!parts_.workers->TryPost([this] { Prepare(); })) {
    End(absl::ResourceExhaustedError("too many calls are already waiting; try again"));
  }
}

void SubmitGraphStream::OnDone() { delete this; }

absl::Status SubmitGraphStream::Take() {
  const int64_t bytes = static_cast<int64_t>(message_->ByteSizeLong());
  if (!claimed_bytes_.Add(parts_.limits->submitted_bytes, bytes)) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the graphs that are being received take all of ",
                     parts_.limits->submitted_bytes.limit(), " bytes; try again"));
  }
  bytes_ += bytes;
  if (bytes_ > parts_.max_graph_bytes) {
    return absl::ResourceExhaustedError(absl::StrCat("the graph is larger than the limit of ",
                                                     parts_.max_graph_bytes,
                                                     " bytes; submit it in parts"));
  }
  if (message_->has_graph() == started_) {
    ProblemList misuse;
    misuse.Add("message",
               started_                ? "graph"
               : message_->has_tasks() ? "tasks"
                                       : "",
               started_ ? "only the first message is `graph`; those after it are `tasks`"
                        : "the first message must be `graph`; those after it are `tasks`");
    return misuse.ToStatus();
  }
  if (!started_) {
    started_ = true;
    request_id_ = message_->graph().request_id();
    CheckRequestId(request_id_, problems_);
    digest_.Add(message_->graph().graph());
    scheduler::GraphSubmission head =
        ConvertGraph(message_->graph().graph(), "graph", names_, problems_);
    head.client_queue = StoredName(caller_, head.client_queue);
    head.user = caller_.user;
    graph_.emplace(std::move(head));
    return absl::OkStatus();
  }
  const int64_t tasks = static_cast<int64_t>(graph_->size()) + message_->tasks().tasks_size();
  if (tasks > parts_.max_graph_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the graph has ", tasks, " tasks or more; the limit is ",
                     parts_.max_graph_tasks, " (kartographd --max-graph-tasks)"));
  }
  for (const v1::TaskSpec& spec : message_->tasks().tasks()) {
    if (!request_id_.empty()) digest_.Add(spec);
    const std::string field = TaskField(spec, static_cast<int64_t>(graph_->size()));
    scheduler::TaskSubmission task = ConvertTask(spec, field, names_, problems_);
    SetDefaultRam(spec, parts_.default_ram, task);
    graph_->Add(task);
    if (!parts_.runs_containers) RefuseContainer(spec, field, problems_);
    blobs_.Check(spec, field, problems_);
  }
  return absl::OkStatus();
}

void SubmitGraphStream::Prepare() {
  if (!started_) {
    problems_.Add("message", "", "nothing was sent; the first message must be `graph`");
    End(problems_.ToStatus());
    return;
  }
  // A stream may stay open for long.
  if (!parts_.users->Has(caller_.credential)) {
    End(absl::UnauthenticatedError("this user was removed while the graph was being sent"));
    return;
  }
  message_ = nullptr;
  arena_.Reset();
  scheduler::PreparedGraph graph =
      (*std::exchange(graph_, std::nullopt)).Prepare(&parts_.scheduler->usage());
  if (!problems_.empty()) {
    AddShapeProblems(std::move(graph.problems), problems_);
    End(problems_.ToStatus());
    return;
  }
  Submit(std::move(graph));
}

void SubmitGraphStream::Submit(scheduler::PreparedGraph graph) {
  response_->set_tasks(static_cast<int32_t>(graph.size()));
  AddUsageWarnings(graph, parts_.scheduler->usage(), *response_);
  const uint64_t digest = request_id_.empty() ? 0 : digest_.Finish();
  parts_.scheduler->Submit(
      scheduler::SubmitGraph{{StoredName(caller_, request_id_), digest}, std::move(graph)},
      [this](const absl::StatusOr<scheduler::Reply>& made) {
        if (made.ok()) response_->set_graph_id(planner::GraphIdToString(made->graph()));
        End(made.status());
      });
}

void SubmitGraphStream::End(const absl::Status& status) { Finish(ToGrpcStatus(status, *context_)); }

}  // namespace kartograph::service
