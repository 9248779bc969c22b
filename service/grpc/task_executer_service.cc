#include "service/grpc/task_executer_service.h"

#include <algorithm>
#include <memory>
#include <optional>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "service/access/queue_names.h"
#include "service/access/users.h"
#include "service/convert.h"
#include "service/grpc/caller.h"
#include "service/grpc/grpc_status.h"
#include "service/grpc/put_blob_stream.h"
#include "service/grpc/read_log_stream.h"
#include "service/grpc/read_result_stream.h"
#include "service/grpc/submit_graph_stream.h"
#include "service/grpc/watch_graph_stream.h"
#include "service/messages.h"
#include "service/request_digest.h"
#include "service/task_inputs.h"
#include "service/task_size.h"

namespace kartograph::service {
namespace {

constexpr absl::Duration kMaxWait = absl::Minutes(10);
constexpr int32_t kDefaultPopped = 100;
constexpr int32_t kMaxPopped = 10000;
constexpr int kMaxAcknowledged = 100000;
constexpr int kMaxTaskNames = 1000;
constexpr int kMaxAdded = 10000;
constexpr int kMaxBlobIds = 1000;
constexpr absl::Duration kDefaultLease = absl::Seconds(30);
constexpr absl::Duration kMaxLease = absl::Hours(12);
constexpr size_t kMaxConsumerLength = 128;
// Of one value, so that one always fits into the answer.
constexpr int64_t kMaxValueBytes = 3 << 20;

// The end of a unary call, to be reached exactly once, from any thread.
struct Reply {
  grpc::CallbackServerContext* context;
  grpc::ServerUnaryReactor* reactor;

  explicit Reply(grpc::CallbackServerContext* c) : Reply(c, c->DefaultReactor()) {}
  Reply(grpc::CallbackServerContext* c, grpc::ServerUnaryReactor* r) : context(c), reactor(r) {}
  void Finish(const absl::Status& status) const { reactor->Finish(ToGrpcStatus(status, *context)); }
};

// A PopFinished that waits no longer than its client is there.
class PopCall final : public grpc::ServerUnaryReactor {
 public:
  PopCall(scheduler::Scheduler* scheduler, std::string client_queue, int64_t call)
      : scheduler_(scheduler), client_queue_(std::move(client_queue)), call_(call) {}

  // After the call has been given to the scheduler.
  void OnCancel() override {
    scheduler_->Submit(scheduler::StopWaiting{client_queue_, call_},
                       [](const absl::StatusOr<scheduler::Reply>&) {});
  }
  void OnDone() override { delete this; }

 private:
  scheduler::Scheduler* const scheduler_;
  const std::string client_queue_;
  const int64_t call_;
};

template <typename Request>
scheduler::RequestId IdOf(const Request& request, const Caller& caller) {
  return {StoredName(caller, request.request_id()), DigestOf(request)};
}

// The graph that a write names. Nothing, and the call is finished, where it or the request id is
// wrong.
template <typename Request>
std::optional<planner::GraphId> GraphOf(const Request& request, const Reply& reply) {
  ProblemList problems;
  CheckRequestId(request.request_id(), problems);
  const planner::GraphId graph = ConvertGraphId(request.graph_id(), problems);
  if (problems.empty()) return graph;
  reply.Finish(problems.ToStatus());
  return std::nullopt;
}

absl::Status MayChange(const Caller& caller, planner::GraphId graph,
                       const absl::StatusOr<std::string>& submitter, absl::string_view owner_name) {
  if (!submitter.ok()) return submitter.status();
  if (*submitter == caller.user) return absl::OkStatus();
  return absl::PermissionDeniedError(absl::StrCat(
      planner::GraphIdToString(graph), " is a graph of ",
      submitter->empty() ? owner_name : absl::string_view(*submitter),
      ", not yours: its user and administrators may change it, and you may only look"));
}

// The queue that a call is about, as it is stored. What is wrong with its name becomes a problem;
// PermissionDenied where it is another user's.
absl::StatusOr<std::string> QueueOf(absl::string_view name, const Caller& caller,
                                    const Users& users, ProblemList& problems) {
  absl::StatusOr<std::string> queue = StoredQueue(caller, name, users.owner_name());
  if (!absl::IsInvalidArgument(queue.status())) return queue;
  problems.Add("client_queue", name, std::string(queue.status().message()));
  return std::string();
}

// As GraphOf, for a write that names tasks.
template <typename Request>
std::optional<planner::GraphId> GraphOfTasks(const Request& request, const Reply& reply) {
  if (request.task_names_size() > kMaxTaskNames) {
    ProblemList problems;
    problems.Add(
        "task_names", absl::StrCat(request.task_names_size(), " names"),
        absl::StrCat("must be at most ", kMaxTaskNames, "; name the rest in further calls"));
    reply.Finish(problems.ToStatus());
    return std::nullopt;
  }
  return GraphOf(request, reply);
}

absl::StatusOr<v1::FindMissingBlobsResponse> FindMissing(
    BlobStore& blobs, const v1::FindMissingBlobsRequest& request) {
  ProblemList problems;
  if (request.blob_ids_size() > kMaxBlobIds) {
    problems.Add(
        "blob_ids", absl::StrCat(request.blob_ids_size(), " ids"),
        absl::StrCat("must be at most ", kMaxBlobIds, "; ask for the rest in further calls"));
  }
  for (int i = 0; i < request.blob_ids_size() && i < kMaxBlobIds; ++i) {
    if (IsBlobId(request.blob_ids(i))) continue;
    problems.Add(absl::StrCat("blob_ids[", i, "]"), request.blob_ids(i), kBlobIdRule);
  }
  if (!problems.empty()) return problems.ToStatus();
  const absl::StatusOr<std::vector<std::string>> missing =
      blobs.Missing(std::vector<std::string>(request.blob_ids().begin(), request.blob_ids().end()));
  if (!missing.ok()) return missing.status();
  v1::FindMissingBlobsResponse response;
  response.mutable_blob_ids()->Assign(missing->begin(), missing->end());
  return response;
}

// What a consumer asks for of `client_queue`, the request's as it is stored.
scheduler::PopFinished ConvertPop(const v1::PopFinishedRequest& request, std::string client_queue,
                                  ProblemList& problems) {
  if (request.max_tasks() < -1 || request.max_tasks() > kMaxPopped) {
    problems.Add("max_tasks", absl::StrCat(request.max_tasks()),
                 absl::StrCat("must be 1 to ", kMaxPopped, ", 0 for the default of ",
                              kDefaultPopped, ", or -1 to get none"));
  }
  for (const auto& [field, ids] :
       {std::pair("acknowledge", &request.acknowledge()), std::pair("renew", &request.renew()),
        std::pair("release", &request.release())}) {
    if (ids->size() <= kMaxAcknowledged) continue;
    problems.Add(field, absl::StrCat(ids->size(), " ids"),
                 absl::StrCat("must be at most ", kMaxAcknowledged,
                              " ids; give the rest with further calls"));
  }
  scheduler::PopFinished pop;
  pop.lease = ConvertDuration(request.lease(), "lease", kDefaultLease, problems);
  if (!request.has_lease()) pop.lease = kDefaultLease;
  if (pop.lease > kMaxLease) {
    problems.Add("lease", absl::FormatDuration(pop.lease),
                 "must be at most 12 h; renew it while you work");
  }
  if (request.consumer().size() > kMaxConsumerLength) {
    problems.Add("consumer", request.consumer(),
                 absl::StrCat("must have at most ", kMaxConsumerLength, " bytes"));
  }
  if (request.resume() && request.consumer().empty()) {
    problems.Add("consumer", "", "is missing: `resume` needs to know whose leases to release");
  }
  if (request.max_value_bytes() < -1 || request.max_value_bytes() > kMaxValueBytes) {
    problems.Add("max_value_bytes", absl::StrCat(request.max_value_bytes()),
                 absl::StrCat("must be 1 to ", kMaxValueBytes,
                              ", 0 for that, or -1 for no values; read larger ones by ReadResult"));
  }
  if (!problems.empty()) return pop;
  pop.client_queue = std::move(client_queue);
  pop.acknowledge = {request.acknowledge().begin(), request.acknowledge().end()};
  pop.renew = {request.renew().begin(), request.renew().end()};
  pop.release = {request.release().begin(), request.release().end()};
  pop.consumer = request.consumer();
  pop.resume = request.resume();
  pop.max_tasks = request.max_tasks() == 0 ? kDefaultPopped : std::max(request.max_tasks(), 0);
  pop.max_bytes = kMaxAnswerBytes;
  pop.max_value_bytes = request.max_value_bytes() == 0
                            ? kMaxValueBytes
                            : std::max<int64_t>(request.max_value_bytes(), 0);
  return pop;
}

}  // namespace

template <typename Response, typename Query>
grpc::ServerUnaryReactor* TaskExecuterService::OnWorker(Context* context, Response* response,
                                                        Query query, WorkerPool* pool) {
  const Reply reply(context);
  const bool posted = (pool == nullptr ? parts_.workers : pool)
                          ->TryPost([reply, response, query = std::move(query)] {
                            absl::StatusOr<Response> answer = query();
                            const absl::Status status = answer.status();
                            if (status.ok()) *response = *std::move(answer);
                            reply.Finish(status);
                          });
  if (!posted)
    reply.Finish(absl::ResourceExhaustedError("too many calls are already waiting; try again"));
  return reply.reactor;
}

void TaskExecuterService::Change(const Caller& caller, planner::GraphId graph,
                                 scheduler::Command command, scheduler::Done done) {
  if (caller.role == Role::kAdmin) {
    parts_.scheduler->Submit(std::move(command), std::move(done));
    return;
  }
  // Whose it is stands in the history, and never changes.
  auto change = std::make_shared<scheduler::Command>(std::move(command));
  const bool posted = parts_.workers->TryPost([this, caller, graph, change, done] {
    absl::Status status =
        MayChange(caller, graph, parts_.queries->SubmitterOf(graph), parts_.users->owner_name());
    if (!status.ok()) return done(std::move(status));
    parts_.scheduler->Submit(std::move(*change), done);
  });
  if (!posted) done(absl::ResourceExhaustedError("too many calls are already waiting; try again"));
}

grpc::ServerReadReactor<v1::SubmitGraphRequest>* TaskExecuterService::SubmitGraph(
    Context* context, v1::SubmitGraphResponse* response) {
  return new SubmitGraphStream(parts_, context, response);
}

grpc::ServerUnaryReactor* TaskExecuterService::Execute(Context* context,
                                                       const v1::ExecuteRequest* request,
                                                       v1::ExecuteResponse* response) {
  const Reply reply(context);
  const Caller caller = CallerOf(*context, *parts_.users);
  ProblemList problems;
  CheckRequestId(request->request_id(), problems);
  if (!request->has_task()) problems.Add("task", "", "is missing: say what to run");
  const auto names = std::make_shared<planner::ResourceNames>();
  scheduler::TaskSubmission task = ConvertTask(request->task(), "task", *names, problems);
  SetDefaultRam(request->task(), parts_.default_ram, task);
  if (!parts_.runs_containers) RefuseContainer(request->task(), "task", problems);
  BlobReferences(parts_.blobs).Check(request->task(), "task", problems);
  planner::GraphId graph = 0;
  if (!request->graph_id().empty()) {
    graph = ConvertGraphId(request->graph_id(), problems);
    if (!request->client_queue().empty()) {
      problems.Add("client_queue", request->client_queue(),
                   "is for a task on its own; this graph has a queue of its own");
    }
  } else if (!request->client_queue().empty()) {
    CheckName(request->client_queue(), "client_queue", problems);
  }
  if (!problems.empty()) {
    reply.Finish(problems.ToStatus());
    return reply.reactor;
  }
  response->set_task_name(task.name.empty() ? scheduler::GeneratedTaskName(0) : task.name);
  if (graph != 0) {
    response->set_graph_id(request->graph_id());
    const bool is_named = !task.name.empty();
    Change(caller, graph, scheduler::AddTasks{IdOf(*request, caller), graph, {std::move(task)}},
           [reply, response, names, is_named](const absl::StatusOr<scheduler::Reply>& added) {
             if (added.ok() && !is_named) {
               response->set_task_name(scheduler::GeneratedTaskName(added->task().index()));
             }
             reply.Finish(added.status());
           });
    return reply.reactor;
  }
  scheduler::GraphSubmission alone;
  alone.name = response->task_name();
  alone.client_queue = StoredName(caller, request->client_queue());
  alone.user = caller.user;
  alone.tasks.push_back(std::move(task));
  parts_.scheduler->Submit(
      scheduler::SubmitGraph{IdOf(*request, caller),
                             scheduler::Prepare(std::move(alone), &parts_.scheduler->usage())},
      [reply, response, names](const absl::StatusOr<scheduler::Reply>& made) {
        if (made.ok()) response->set_graph_id(planner::GraphIdToString(made->graph()));
        reply.Finish(made.status());
      });
  return reply.reactor;
}

grpc::ServerUnaryReactor* TaskExecuterService::AddTasks(Context* context,
                                                        const v1::AddTasksRequest* request,
                                                        v1::AddTasksResponse* response) {
  const Reply reply(context);
  const Caller caller = CallerOf(*context, *parts_.users);
  ProblemList problems;
  CheckRequestId(request->request_id(), problems);
  scheduler::AddTasks add{
      IdOf(*request, caller), ConvertGraphId(request->graph_id(), problems), {}};
  if (request->tasks().empty() || request->tasks_size() > kMaxAdded) {
    problems.Add("tasks", absl::StrCat(request->tasks_size(), " tasks"),
                 absl::StrCat("must be 1 to ", kMaxAdded, "; add the rest with further calls"));
    reply.Finish(problems.ToStatus());
    return reply.reactor;
  }
  const auto names = std::make_shared<planner::ResourceNames>();
  BlobReferences blobs(parts_.blobs);
  for (int i = 0; i < request->tasks_size(); ++i) {
    const v1::TaskSpec& spec = request->tasks(i);
    const std::string field = TaskField(spec, i);
    add.tasks.push_back(ConvertTask(spec, field, *names, problems));
    SetDefaultRam(spec, parts_.default_ram, add.tasks.back());
    if (!parts_.runs_containers) RefuseContainer(spec, field, problems);
    blobs.Check(spec, field, problems);
  }
  if (!problems.empty()) {
    reply.Finish(problems.ToStatus());
    return reply.reactor;
  }
  for (const scheduler::TaskSubmission& task : add.tasks) response->add_task_names(task.name);
  const planner::GraphId graph = add.graph;
  Change(caller, graph, std::move(add),
         [reply, response, names](const absl::StatusOr<scheduler::Reply>& added) {
           if (added.ok()) {
             for (int i = 0; i < response->task_names_size(); ++i) {
               if (!response->task_names(i).empty()) continue;
               response->set_task_names(
                   i, scheduler::GeneratedTaskName(added->task().index() +
                                                   static_cast<planner::TaskIndex>(i)));
             }
           }
           reply.Finish(added.status());
         });
  return reply.reactor;
}

grpc::ServerReadReactor<v1::PutBlobRequest>* TaskExecuterService::PutBlob(Context* context,
                                                                          v1::PutBlobResponse*) {
  return new PutBlobStream(parts_, context);
}

grpc::ServerUnaryReactor* TaskExecuterService::FindMissingBlobs(
    Context* context, const v1::FindMissingBlobsRequest* request,
    v1::FindMissingBlobsResponse* response) {
  return OnWorker(
      context, response,
      [this, request]() -> absl::StatusOr<v1::FindMissingBlobsResponse> {
        if (parts_.blobs == nullptr) return absl::FailedPreconditionError(kNoBlobs);
        return FindMissing(*parts_.blobs, *request);
      },
      parts_.blob_workers);
}

grpc::ServerUnaryReactor* TaskExecuterService::CloseGraph(Context* context,
                                                          const v1::CloseGraphRequest* request,
                                                          v1::CloseGraphResponse*) {
  const Reply reply(context);
  const std::optional<planner::GraphId> graph = GraphOf(*request, reply);
  if (!graph) return reply.reactor;
  const Caller caller = CallerOf(*context, *parts_.users);
  Change(
      caller, *graph, scheduler::CloseGraph{IdOf(*request, caller), *graph},
      [reply](const absl::StatusOr<scheduler::Reply>& closed) { reply.Finish(closed.status()); });
  return reply.reactor;
}

grpc::ServerUnaryReactor* TaskExecuterService::Cancel(Context* context,
                                                      const v1::CancelRequest* request,
                                                      v1::CancelResponse* response) {
  const Reply reply(context);
  const std::optional<planner::GraphId> graph = GraphOfTasks(*request, reply);
  if (!graph) return reply.reactor;
  std::vector<std::string> tasks = {request->task_names().begin(), request->task_names().end()};
  if (!request->task_name().empty()) tasks.push_back(request->task_name());
  const Caller caller = CallerOf(*context, *parts_.users);
  scheduler::Command cancel = scheduler::CancelGraph{IdOf(*request, caller), *graph};
  if (!tasks.empty()) {
    cancel = scheduler::CancelTasks{IdOf(*request, caller), *graph, std::move(tasks)};
  }
  Change(caller, *graph, std::move(cancel),
         [reply, response](const absl::StatusOr<scheduler::Reply>& cancelled) {
           if (cancelled.ok()) {
             response->set_tasks(static_cast<int32_t>(cancelled->number));
             response->set_skipped(static_cast<int32_t>(cancelled->skipped));
           }
           reply.Finish(cancelled.status());
         });
  return reply.reactor;
}

grpc::ServerUnaryReactor* TaskExecuterService::Retry(Context* context,
                                                     const v1::RetryRequest* request,
                                                     v1::RetryResponse* response) {
  const Reply reply(context);
  const std::optional<planner::GraphId> graph = GraphOfTasks(*request, reply);
  if (!graph) return reply.reactor;
  const Caller caller = CallerOf(*context, *parts_.users);
  Change(caller, *graph,
         scheduler::RetryTasks{IdOf(*request, caller),
                               *graph,
                               {request->task_names().begin(), request->task_names().end()}},
         [reply, response](const absl::StatusOr<scheduler::Reply>& retried) {
           if (retried.ok()) response->set_tasks(static_cast<int32_t>(retried->number));
           reply.Finish(retried.status());
         });
  return reply.reactor;
}

grpc::ServerUnaryReactor* TaskExecuterService::PopFinished(Context* context,
                                                           const v1::PopFinishedRequest* request,
                                                           v1::PopFinishedResponse* response) {
  ProblemList problems;
  const Caller caller = CallerOf(*context, *parts_.users);
  const absl::StatusOr<std::string> queue =
      QueueOf(request->client_queue(), caller, *parts_.users, problems);
  const int64_t call = ++last_pop_;
  const Reply reply(context, new PopCall(parts_.scheduler, queue.ok() ? *queue : "", call));
  if (!queue.ok()) {
    reply.Finish(queue.status());
    return reply.reactor;
  }
  scheduler::PopFinished pop = ConvertPop(*request, *queue, problems);
  pop.call = call;
  const absl::Duration wait =
      ConvertDuration(request->wait(), "wait", absl::ZeroDuration(), problems);
  if (wait > kMaxWait) {
    problems.Add("wait", absl::FormatDuration(wait), "must be at most 10 min; ask again after it");
  }
  if (!problems.empty()) {
    reply.Finish(problems.ToStatus());
    return reply.reactor;
  }
  // No longer than the client waits. Nothing is lost: what it does not get is delivered again.
  pop.deadline = Clock::System().SteadyNow() +
                 std::min(wait, absl::FromChrono(context->deadline()) - absl::Now());
  // Tails are waited for, so they have workers of their own.
  WorkerPool* const workers = request->log_tails() ? parts_.log_workers : parts_.workers;
  parts_.scheduler->Submit(std::move(pop), [this, reply, request, response, workers, caller,
                                            queue =
                                                *queue](absl::StatusOr<scheduler::Reply> popped) {
    if (!popped.ok() || popped->finished.empty()) {
      reply.Finish(popped.status());
      return;
    }
    // Copying megabytes is not the scheduler's thread's work.
    auto finished = std::make_shared<std::vector<storage::Finished>>(std::move(popped->finished));
    workers->Post([this, reply, request, response, caller, queue, finished] {
      if (!parts_.users->Has(caller.credential)) {
        Release(queue, *finished, 0);
        reply.Finish(absl::UnauthenticatedError("this user was removed meanwhile"));
        return;
      }
      if (reply.context->IsCancelled()) {
        // Its consumer has gone, and others need not wait for the end of its leases.
        Release(queue, *finished, 0);
        reply.Finish(absl::CancelledError("the client went away"));
        return;
      }
      Deliver(*finished, queue, *request, *response);
      reply.Finish(absl::OkStatus());
    });
  });
  return reply.reactor;
}

void TaskExecuterService::Deliver(const std::vector<storage::Finished>& finished,
                                  const std::string& queue, const v1::PopFinishedRequest& request,
                                  v1::PopFinishedResponse& response) {
  const std::vector<std::string> tails =
      request.log_tails() ? TailsOf(finished) : std::vector<std::string>(finished.size());
  size_t bytes = 0;
  for (size_t i = 0; i < finished.size(); ++i) {
    v1::PopFinishedResponse one;
    if (finished[i].graph_end) {
      *one.add_graphs() = GraphEndMessage(finished[i]);
    } else {
      v1::FinishedTask& task = *one.add_tasks() = ToMessage(finished[i]);
      if (task.has_exception()) task.mutable_exception()->set_log_tail(tails[i]);
    }
    bytes += one.ByteSizeLong() + 8;
    if (bytes > kMaxAnswerBytes && i > 0) return Release(queue, finished, i);
    response.MergeFrom(one);
  }
}

void TaskExecuterService::Release(const std::string& queue,
                                  const std::vector<storage::Finished>& finished, size_t from) {
  scheduler::PopFinished release;
  release.client_queue = queue;
  for (size_t i = from; i < finished.size(); ++i) {
    release.release.push_back(finished[i].delivery_id);
  }
  parts_.scheduler->Submit(std::move(release), [](const absl::StatusOr<scheduler::Reply>&) {});
}

// Of those that failed.
std::vector<std::string> TaskExecuterService::TailsOf(
    const std::vector<storage::Finished>& finished) {
  std::vector<std::optional<Queries::EndedAttempt>> attempts;
  for (const storage::Finished& one : finished) {
    std::optional<Queries::EndedAttempt>& attempt = attempts.emplace_back();
    if (one.graph_end || one.attempts == 0 || one.ended.state != planner::TaskState::kFailed)
      continue;
    attempt = {one.last_attempt.attempt, one.agent};
  }
  return parts_.queries->LogTails(attempts);
}

bool TaskExecuterService::IsSubmitter(const Caller& caller, const std::string& graph_id) const {
  ProblemList problems;
  const absl::StatusOr<std::string> submitter =
      parts_.queries->SubmitterOf(ConvertGraphId(graph_id, problems));
  return submitter.ok() && *submitter == caller.user;
}

grpc::ServerUnaryReactor* TaskExecuterService::ListQueues(Context* context,
                                                          const v1::ListQueuesRequest* request,
                                                          v1::ListQueuesResponse* response) {
  return OnWorker(context, response, [this, request, caller = CallerOf(*context, *parts_.users)] {
    absl::StatusOr<v1::ListQueuesResponse> queues = parts_.queries->ListQueues(*request);
    if (!queues.ok()) return queues;
    for (v1::ClientQueue& queue : *queues->mutable_queues()) {
      queue.set_name(ShownQueue(caller, queue.name(), parts_.users->owner_name()));
    }
    return queues;
  });
}

grpc::ServerUnaryReactor* TaskExecuterService::ListUsage(Context* context,
                                                         const v1::ListUsageRequest* request,
                                                         v1::ListUsageResponse* response) {
  return OnWorker(context, response,
                  [this, request] { return parts_.queries->ListUsage(*request); });
}

grpc::ServerUnaryReactor* TaskExecuterService::DeleteQueue(Context* context,
                                                           const v1::DeleteQueueRequest* request,
                                                           v1::DeleteQueueResponse* response) {
  const Reply reply(context);
  ProblemList problems;
  CheckRequestId(request->request_id(), problems);
  const Caller caller = CallerOf(*context, *parts_.users);
  const absl::StatusOr<std::string> queue =
      QueueOf(request->client_queue(), caller, *parts_.users, problems);
  if (!queue.ok() || !problems.empty()) {
    reply.Finish(queue.ok() ? problems.ToStatus() : queue.status());
    return reply.reactor;
  }
  parts_.scheduler->Submit(scheduler::DeleteQueue{IdOf(*request, caller), *queue},
                           [reply, response](const absl::StatusOr<scheduler::Reply>& deleted) {
                             if (deleted.ok()) response->set_tasks(deleted->number);
                             reply.Finish(deleted.status());
                           });
  return reply.reactor;
}

grpc::ServerUnaryReactor* TaskExecuterService::ForgetGraph(Context* context,
                                                           const v1::ForgetGraphRequest* request,
                                                           v1::ForgetGraphResponse*) {
  const Reply reply(context);
  const std::optional<planner::GraphId> graph = GraphOf(*request, reply);
  if (!graph) return reply.reactor;
  const Caller caller = CallerOf(*context, *parts_.users);
  Change(caller, *graph, scheduler::ForgetGraph{IdOf(*request, caller), *graph},
         [reply](const absl::StatusOr<scheduler::Reply>& forgotten) {
           reply.Finish(forgotten.status());
         });
  return reply.reactor;
}

grpc::ServerUnaryReactor* TaskExecuterService::GetGraph(Context* context,
                                                        const v1::GetGraphRequest* request,
                                                        v1::Graph* response) {
  return OnWorker(context, response, [this, request, caller = CallerOf(*context, *parts_.users)] {
    absl::StatusOr<v1::Graph> graph = parts_.queries->GetGraph(*request);
    if (graph.ok()) ShowQueue(caller, *parts_.users, *graph);
    return graph;
  });
}

grpc::ServerUnaryReactor* TaskExecuterService::ListGraphs(Context* context,
                                                          const v1::ListGraphsRequest* request,
                                                          v1::ListGraphsResponse* response) {
  return OnWorker(
      context, response,
      [this, request,
       caller = CallerOf(*context, *parts_.users)]() -> absl::StatusOr<v1::ListGraphsResponse> {
        v1::ListGraphsRequest stored = *request;
        if (!request->client_queue().empty()) {
          // A queue that there cannot be has no graphs.
          absl::StatusOr<std::string> queue =
              StoredQueue(caller, request->client_queue(), parts_.users->owner_name());
          if (absl::IsPermissionDenied(queue.status())) return queue.status();
          if (queue.ok()) stored.set_client_queue(*std::move(queue));
        }
        absl::StatusOr<v1::ListGraphsResponse> graphs = parts_.queries->ListGraphs(stored);
        if (!graphs.ok()) return graphs;
        for (v1::Graph& graph : *graphs->mutable_graphs()) ShowQueue(caller, *parts_.users, graph);
        return graphs;
      });
}

grpc::ServerUnaryReactor* TaskExecuterService::ListTasks(Context* context,
                                                         const v1::ListTasksRequest* request,
                                                         v1::ListTasksResponse* response) {
  return OnWorker(context, response, [this, request, caller = CallerOf(*context, *parts_.users)] {
    auto tasks = parts_.queries->ListTasks(*request);
    if (!tasks.ok() || !request->full()) return tasks;
    if (IsSubmitter(caller, request->graph_id())) return tasks;
    for (v1::Task& task : *tasks->mutable_tasks()) HideVariables(task);
    return tasks;
  });
}

grpc::ServerUnaryReactor* TaskExecuterService::GetTask(Context* context,
                                                       const v1::GetTaskRequest* request,
                                                       v1::Task* response) {
  return OnWorker(context, response, [this, request, caller = CallerOf(*context, *parts_.users)] {
    absl::StatusOr<v1::Task> task = parts_.queries->GetTask(*request);
    if (!task.ok() || IsSubmitter(caller, request->graph_id())) return task;
    HideVariables(*task);
    return task;
  });
}

grpc::ServerWriteReactor<v1::ReadResultResponse>* TaskExecuterService::ReadResult(
    Context* context, const v1::ReadResultRequest* request) {
  return ReadResultStream::Start(parts_, context, *request);
}

grpc::ServerUnaryReactor* TaskExecuterService::ListFailures(Context* context,
                                                            const v1::ListFailuresRequest* request,
                                                            v1::ListFailuresResponse* response) {
  return OnWorker(
      context, response, [this, request] { return parts_.queries->ListFailures(*request); },
      parts_.log_workers);
}

grpc::ServerWriteReactor<v1::WatchGraphResponse>* TaskExecuterService::WatchGraph(
    Context* context, const v1::WatchGraphRequest* request) {
  return WatchGraphStream::Start(parts_, context, *request);
}

grpc::ServerWriteReactor<v1::ReadLogResponse>* TaskExecuterService::ReadLog(
    Context* context, const v1::ReadLogRequest* request) {
  return ReadLogStream::Start(parts_, context, *request);
}

grpc::ServerUnaryReactor* TaskExecuterService::GetCluster(Context* context,
                                                          const v1::GetClusterRequest* request,
                                                          v1::Cluster* response) {
  return OnWorker(context, response,
                  [this, request] { return parts_.queries->GetCluster(*request); });
}

grpc::ServerUnaryReactor* TaskExecuterService::ExplainTask(Context* context,
                                                           const v1::ExplainTaskRequest* request,
                                                           v1::ExplainTaskResponse* response) {
  return OnWorker(context, response,
                  [this, request] { return parts_.queries->ExplainTask(*request); });
}

grpc::ServerUnaryReactor* TaskExecuterService::ExplainGraph(Context* context,
                                                            const v1::ExplainGraphRequest* request,
                                                            v1::ExplainGraphResponse* response) {
  return OnWorker(context, response,
                  [this, request] { return parts_.queries->ExplainGraph(*request); });
}

grpc::ServerUnaryReactor* TaskExecuterService::ListPools(Context* context,
                                                         const v1::ListPoolsRequest* request,
                                                         v1::ListPoolsResponse* response) {
  return OnWorker(context, response,
                  [this, request] { return parts_.queries->ListPools(*request); });
}

grpc::ServerUnaryReactor* TaskExecuterService::SetPool(Context* context,
                                                       const v1::SetPoolRequest* request,
                                                       v1::SetPoolResponse* response) {
  const Reply reply(context);
  ProblemList problems;
  const Caller caller = CallerOf(*context, *parts_.users);
  scheduler::SetPool set = ConvertSetPool(*request, NameOf(caller, *parts_.users), problems);
  if (!problems.empty()) {
    reply.Finish(problems.ToStatus());
    return reply.reactor;
  }
  set.request_id = IdOf(*request, caller);
  parts_.scheduler->Submit(
      std::move(set), [reply, response](const absl::StatusOr<scheduler::Reply>& done) {
        if (done.ok()) {
          response->set_capacity(planner::Quantity::FromMilli(done->number).units());
          response->set_before(planner::Quantity::FromMilli(done->before()).units());
        }
        reply.Finish(done.status());
      });
  return reply.reactor;
}

}  // namespace kartograph::service
