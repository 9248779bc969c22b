#include "service/http/http_api.h"

#include <algorithm>
#include <limits>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/mutex.h"
#include "service/http/http_params.h"
#include "service/http/json.h"
#include "service/http/metrics.h"
#include "service/inspect.h"
#include "service/messages.h"
#include "service/roles_as_one.h"

namespace kartograph::service {
namespace {

constexpr absl::Duration kProbeTimeout = absl::Seconds(1);
constexpr int64_t kMaxPartBytes = 1 << 20;

HttpResponse PathNotFound(const HttpRequest& request) {
  return ErrorResponse(absl::NotFoundError(absl::StrCat("there is nothing at ", request.path)));
}

// Whether the query is valid; replies with what is wrong otherwise.
bool Checked(HttpParams& params, const HttpReply& reply) {
  const absl::Status status = params.Check();
  if (!status.ok()) reply(ErrorResponse(status));
  return status.ok();
}

// As in the contract, 0 stands for what is there without the parameter.
int32_t PageSize(HttpParams& params) {
  return params.Count("page_size", kMaxPageSize, absl::StrCat("the default of ", kDefaultPageSize));
}

int32_t AttemptNumber(HttpParams& params) {
  return params.Count("attempt", planner::kMaxLaunches, "the last one");
}

}  // namespace

// As it was when it was last looked at.
struct HttpApi::Cluster {
  Mutex mutex;
  bool connected ABSL_GUARDED_BY(mutex) = true;
  std::string reason ABSL_GUARDED_BY(mutex);  // where it is not
};

HttpApi::HttpApi(Options options, const ServiceParts& parts, EventFeed* events, WorkerPool* probes)
    : options_(std::move(options)),
      parts_(parts),
      events_(events),
      probes_(probes),
      cluster_(std::make_shared<Cluster>()) {}

void HttpApi::LookAtCluster() {
  parts_.scheduler->Inspect([cluster = cluster_](const scheduler::Snapshots& snapshots) {
    scheduler::ClusterSnapshot now = snapshots.Cluster(0, 0);
    MutexLock lock(&cluster->mutex);
    cluster->connected = now.connected;
    cluster->reason = std::move(now.disconnect_reason);
  });
}

HttpResponse HttpApi::Healthz() {
  HttpResponse response;
  response.content_type = "text/plain; charset=utf-8";
  if (const absl::Status health = Health(*parts_.scheduler); !health.ok()) {
    response.status = 503;
    response.body = absl::StrCat(std::string(health.message()), "\n");
    return response;
  }
  response.body = "ok\n";
  MutexLock lock(&cluster_->mutex);
  if (!cluster_->connected) {
    absl::StrAppend(&response.body, "not connected to its cluster",
                    cluster_->reason.empty() ? "" : ": ", cluster_->reason, "\n");
  }
  return response;
}

void HttpApi::Post(WorkerPool* pool, HttpReply reply, std::function<HttpResponse()> answer) {
  if (!pool->TryPost([reply, answer = std::move(answer)] { reply(answer()); })) {
    reply(ErrorResponse(
        absl::ResourceExhaustedError("too many requests are already waiting; try again")));
  }
}

template <typename Query>
void HttpApi::OnWorker(HttpReply reply, Query query, WorkerPool* pool) {
  Post(pool == nullptr ? parts_.workers : pool, std::move(reply), [query = std::move(query)] {
    const auto answer = query();
    if (!answer.ok()) return ErrorResponse(answer.status());
    HttpResponse response;
    response.content_type = "application/json";
    response.body = ToJson(*answer);
    return response;
  });
}

void HttpApi::Handle(HttpRequest request, HttpReply reply) {
  const std::vector<std::string>& at = request.segments;
  if (!at.empty() && at[0] == "api") return HandleApi(std::move(request), std::move(reply));
  if (request.path == "/metrics") {
    return Post(probes_, std::move(reply), [this] { return Metrics(); });
  }
  if (request.path == "/healthz") return reply(Healthz());
  if (options_.served.executor != nullptr && request.path == options_.served.executor_path) {
    HttpResponse response;
    response.content_type = "application/octet-stream";
    response.body = *options_.served.executor;
    return reply(std::move(response));
  }
  ServeFile(request, reply);
}

absl::Status HttpApi::Health(scheduler::Scheduler& scheduler) {
  if (absl::Status fatal = scheduler.fatal_error(); !fatal.ok()) return fatal;
  if (absl::Status write = scheduler.write_error(); !write.ok()) return write;
  if (scheduler.ended()) return absl::UnavailableError("the service is stopping");
  if (const absl::Duration busy = scheduler.BusyFor(); busy > kProbeTimeout) {
    return absl::UnavailableError(
        absl::StrCat("the scheduler does not answer since ",
                     absl::FormatDuration(absl::Trunc(busy, absl::Milliseconds(100)))));
  }
  return absl::OkStatus();
}

void HttpApi::HandleApi(HttpRequest request, HttpReply reply) {
  const std::vector<std::string>& at = request.segments;
  if (at.size() < 3 || at[1] != "v1") return reply(PathNotFound(request));
  if (at[2] == "graphs" && at.size() == 3) return Graphs(request, std::move(reply));
  if (at[2] == "graphs") return HandleGraphs(request, std::move(reply));
  if (at.size() > 3) return reply(PathNotFound(request));
  HttpParams params(request);
  if (at[2] == "failures") {
    Failures(request, std::move(reply));
  } else if (at[2] == "cluster") {
    if (!Checked(params, reply)) return;
    OnWorker(std::move(reply), [this] { return parts_.queries->GetCluster({}); });
  } else if (at[2] == "pools") {
    v1::ListPoolsRequest question;
    question.set_page_size(PageSize(params));
    question.set_page_token(params.Text("page_token"));
    if (!Checked(params, reply)) return;
    OnWorker(std::move(reply), [this, question] { return parts_.queries->ListPools(question); });
  } else if (at[2] == "events") {
    if (!Checked(params, reply)) return;
    HttpResponse response;
    response.content_type = "text/event-stream";
    response.on_stream = [this](std::shared_ptr<HttpStream> stream) {
      events_->Add(std::move(stream));
    };
    reply(std::move(response));
  } else {
    reply(PathNotFound(request));
  }
}

void HttpApi::HandleGraphs(const HttpRequest& request, HttpReply reply) {
  const std::vector<std::string>& at = request.segments;
  const std::string& graph = at[3];
  if (at.size() == 4) {
    HttpParams params(request);
    v1::GetGraphRequest question;
    question.set_graph_id(graph);
    question.set_expect_end(params.Bool("expect_end"));
    if (!Checked(params, reply)) return;
    return OnWorker(std::move(reply),
                    [this, question] { return parts_.queries->GetGraph(question); });
  }
  if (at.size() == 5 && at[4] == "tasks") return Tasks(graph, request, std::move(reply));
  if (at.size() == 5 && at[4] == "task") return Task(graph, request, std::move(reply));
  if (at.size() == 5 && at[4] == "explain") return Explain(graph, request, std::move(reply));
  if (at.size() == 5 && at[4] == "log") return Log(graph, request, std::move(reply));
  if (at.size() == 5 && at[4] == "result") return Result(graph, request, std::move(reply));
  reply(PathNotFound(request));
}

void HttpApi::Graphs(const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  v1::ListGraphsRequest question;
  question.set_page_size(PageSize(params));
  question.set_page_token(params.Text("page_token"));
  question.set_state(params.GraphState("state"));
  question.set_name(params.Text("name"));
  if (!Checked(params, reply)) return;
  OnWorker(std::move(reply), [this, question] { return parts_.queries->ListGraphs(question); });
}

void HttpApi::Tasks(const std::string& graph, const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  v1::ListTasksRequest question;
  question.set_graph_id(graph);
  question.set_page_size(PageSize(params));
  question.set_page_token(params.Text("page_token"));
  for (v1::TaskState state : params.TaskStates("state")) question.add_states(state);
  question.set_full(params.Bool("full"));
  if (!Checked(params, reply)) return;
  OnWorker(std::move(reply), [this, question] {
    absl::StatusOr<v1::ListTasksResponse> tasks = parts_.queries->ListTasks(question);
    if (tasks.ok()) {
      for (v1::Task& task : *tasks->mutable_tasks()) HideVariables(task);
    }
    return tasks;
  });
}

void HttpApi::Task(const std::string& graph, const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  v1::GetTaskRequest question;
  question.set_graph_id(graph);
  question.set_task_name(params.Required("name"));
  if (!Checked(params, reply)) return;
  OnWorker(std::move(reply), [this, question] {
    absl::StatusOr<v1::Task> task = parts_.queries->GetTask(question);
    if (task.ok()) HideVariables(*task);
    return task;
  });
}

void HttpApi::Explain(const std::string& graph, const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  const std::string task = params.Text("task");
  if (!Checked(params, reply)) return;
  if (task.empty()) {
    v1::ExplainGraphRequest question;
    question.set_graph_id(graph);
    return OnWorker(std::move(reply),
                    [this, question] { return parts_.queries->ExplainGraph(question); });
  }
  v1::ExplainTaskRequest question;
  question.set_graph_id(graph);
  question.set_task_name(task);
  OnWorker(std::move(reply), [this, question] { return parts_.queries->ExplainTask(question); });
}

void HttpApi::Log(const std::string& graph, const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  v1::ReadLogRequest question;
  question.set_graph_id(graph);
  question.set_task_name(params.Required("task"));
  question.set_attempt(AttemptNumber(params));
  question.set_stream(params.LogStream("stream"));
  question.set_offset(params.Int64("offset"));
  if (!Checked(params, reply)) return;
  Post(parts_.log_workers, std::move(reply), [this, question] {
    absl::StatusOr<executor::LogChunk> log = parts_.queries->ReadLog(question, kMaxPartBytes);
    if (!log.ok()) return ErrorResponse(log.status());
    HttpResponse response;
    response.content_type = "text/plain; charset=utf-8";
    response.headers.emplace_back("X-Kartograph-Offset", absl::StrCat(log->offset));
    response.body = std::move(log->data);
    return response;
  });
}

void HttpApi::Result(const std::string& graph, const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  v1::ReadResultRequest question;
  question.set_graph_id(graph);
  question.set_task_name(params.Required("task"));
  question.set_attempt(AttemptNumber(params));
  question.set_offset(params.Int64("offset"));
  if (!Checked(params, reply)) return;
  Post(parts_.workers, std::move(reply), [this, question] {
    const absl::StatusOr<planner::AttemptId> attempt = parts_.queries->FindResult(question);
    if (!attempt.ok()) return ErrorResponse(attempt.status());
    absl::StatusOr<storage::ResultPart> part =
        parts_.queries->ReadResult(*attempt, question.offset(), kMaxPartBytes);
    if (!part.ok()) return ErrorResponse(part.status());
    HttpResponse response;
    response.content_type = "application/octet-stream";
    response.headers.emplace_back("X-Kartograph-Size", absl::StrCat(part->size));
    response.body = std::move(part->data);
    return response;
  });
}

void HttpApi::Failures(const HttpRequest& request, HttpReply reply) {
  HttpParams params(request);
  v1::ListFailuresRequest question;
  question.set_max_failures(
      params.Count("max_failures", Queries::kMaxFailures,
                   absl::StrCat("the default of ", Queries::kDefaultFailures)));
  if (!Checked(params, reply)) return;
  OnWorker(
      std::move(reply), [this, question] { return parts_.queries->ListFailures(question); },
      parts_.log_workers);
}

void HttpApi::ServeFile(const HttpRequest& request, const HttpReply& reply) {
  const absl::string_view name =
      request.path == "/" ? "index.html" : absl::string_view(request.path).substr(1);
  const auto found = std::find_if(options_.files.begin(), options_.files.end(),
                                  [&](const WebFile& file) { return file.name == name; });
  if (found == options_.files.end()) return reply(PathNotFound(request));
  HttpResponse response;
  response.content_type = std::string(ContentTypeOf(name));
  response.body = std::string(found->content);
  reply(std::move(response));
}

HttpResponse HttpApi::Metrics() {
  const absl::StatusOr<MetricsInput> live = InspectWithin<MetricsInput>(
      *parts_.scheduler, kProbeTimeout, [](const scheduler::Snapshots& snapshots) {
        MetricsInput input;
        input.cluster = snapshots.Cluster(std::numeric_limits<int>::max(), 0);
        input.totals = snapshots.totals();
        input.live_graphs = static_cast<int64_t>(snapshots.LiveGraphs().size());
        return input;
      });
  if (!live.ok()) return ErrorResponse(live.status());
  MetricsInput input = *live;
  ShowRolesAsOne(&input.cluster);
  input.version = options_.version;
  input.start_time = options_.start_time;
  input.history_writable = parts_.scheduler->write_error().ok();
  HttpResponse response;
  response.content_type = "text/plain; version=0.0.4; charset=utf-8";
  response.body = MetricsText(input);
  return response;
}

}  // namespace kartograph::service
