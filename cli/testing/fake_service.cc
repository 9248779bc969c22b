#include "cli/testing/fake_service.h"

#include <algorithm>
#include <chrono>
#include <cstdlib>

namespace kartograph::cli {
namespace {

// Copies the page that `token` (an index) asks for and gives the next token.
template <typename From, typename Accept, typename To>
std::string Page(const From& all, const std::string& token, int size, const Accept& accept,
                 To* page) {
  size_t index = token.empty() ? 0 : std::stoul(token);
  for (; index < all.size(); ++index) {
    if (!accept(all[index])) continue;
    if (page->size() == size) return std::to_string(index);
    *page->Add() = all[index];
  }
  return "";
}

}  // namespace

grpc::Status FakeService::NextWrite(grpc::ServerContext* context, const std::string& request_id) {
  const std::lock_guard lock(mutex_);
  request_ids.push_back(request_id);
  if (write_errors.empty()) return grpc::Status::OK;
  grpc::Status status = write_errors.front();
  write_errors.pop_front();
  if (problems.problems_size() > 0) {
    context->AddTrailingMetadata("kartograph-problems-bin", problems.SerializeAsString());
  }
  return status;
}

grpc::Status FakeService::SubmitGraph(grpc::ServerContext* context,
                                      grpc::ServerReader<v1::SubmitGraphRequest>* reader,
                                      v1::SubmitGraphResponse* response) {
  v1::SubmitGraphRequest request;
  std::string request_id;
  submitted_tasks.clear();
  while (reader->Read(&request)) {
    largest_message = std::max(largest_message, request.ByteSizeLong());
    if (request.has_graph()) {
      request_id = request.graph().request_id();
      submitted = request.graph().graph();
    }
    for (const v1::TaskSpec& task : request.tasks().tasks()) submitted_tasks.push_back(task);
  }
  grpc::Status status = NextWrite(context, request_id);
  response->set_graph_id("g7");
  response->set_tasks(static_cast<int32_t>(submitted_tasks.size()));
  for (const v1::UsageWarning& warning : usage_warnings) *response->add_usage_warnings() = warning;
  return status;
}

grpc::Status FakeService::Cancel(grpc::ServerContext* context, const v1::CancelRequest* request,
                                 v1::CancelResponse* response) {
  cancelled = *request;
  response->set_tasks(affected);
  return NextWrite(context, request->request_id());
}

grpc::Status FakeService::Retry(grpc::ServerContext* context, const v1::RetryRequest* request,
                                v1::RetryResponse* response) {
  response->set_tasks(affected);
  return NextWrite(context, request->request_id());
}

grpc::Status FakeService::ForgetGraph(grpc::ServerContext* context,
                                      const v1::ForgetGraphRequest* request,
                                      v1::ForgetGraphResponse*) {
  return NextWrite(context, request->request_id());
}

grpc::Status FakeService::Execute(grpc::ServerContext* context, const v1::ExecuteRequest* request,
                                  v1::ExecuteResponse* response) {
  response->set_graph_id("g7");
  response->set_task_name(request->task().name());
  return NextWrite(context, request->request_id());
}

grpc::Status FakeService::GetGraph(grpc::ServerContext*, const v1::GetGraphRequest* request,
                                   v1::Graph* response) {
  if (!read_errors.empty()) {
    const grpc::Status error = read_errors.front();
    read_errors.pop_front();
    return error;
  }
  {
    const std::lock_guard lock(mutex_);
    graph_request = *request;
  }
  for (const v1::Graph& graph : graphs) {
    if (graph.graph_id() != request->graph_id()) continue;
    *response = graph;
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no graph " + request->graph_id()};
}

grpc::Status FakeService::ListGraphs(grpc::ServerContext*, const v1::ListGraphsRequest* request,
                                     v1::ListGraphsResponse* response) {
  const auto accept = [&](const v1::Graph& graph) {
    return (request->state() == v1::GRAPH_STATE_UNSPECIFIED || request->state() == graph.state()) &&
           (request->name().empty() || request->name() == graph.spec().name());
  };
  response->set_next_page_token(Page(graphs, request->page_token(),
                                     std::min(page_size, request->page_size()), accept,
                                     response->mutable_graphs()));
  return grpc::Status::OK;
}

grpc::Status FakeService::ListTasks(grpc::ServerContext*, const v1::ListTasksRequest* request,
                                    v1::ListTasksResponse* response) {
  ++task_lists;
  const auto accept = [&](const v1::Task& task) {
    return request->states().empty() ||
           std::find(request->states().begin(), request->states().end(), task.state()) !=
               request->states().end();
  };
  response->set_next_page_token(Page(tasks, request->page_token(),
                                     std::min(page_size, request->page_size()), accept,
                                     response->mutable_tasks()));
  return grpc::Status::OK;
}

grpc::Status FakeService::GetTask(grpc::ServerContext*, const v1::GetTaskRequest* request,
                                  v1::Task* response) {
  for (const v1::Task& task : tasks) {
    if (task.name() != request->task_name()) continue;
    *response = task;
    return grpc::Status::OK;
  }
  return {grpc::StatusCode::NOT_FOUND, "there is no task " + request->task_name()};
}

grpc::Status FakeService::ListFailures(grpc::ServerContext*, const v1::ListFailuresRequest*,
                                       v1::ListFailuresResponse* response) {
  *response = failures;
  return grpc::Status::OK;
}

grpc::Status FakeService::ListUsage(grpc::ServerContext*, const v1::ListUsageRequest* request,
                                    v1::ListUsageResponse* response) {
  usage_request = *request;
  *response = usage;
  return grpc::Status::OK;
}

grpc::Status FakeService::WatchGraph(grpc::ServerContext* context, const v1::WatchGraphRequest*,
                                     WatchWriter* writer) {
  return on_watch(watches_++, context, writer);
}

grpc::Status FakeService::ReadLog(grpc::ServerContext*, const v1::ReadLogRequest* request,
                                  LogWriter* writer) {
  if (on_read_log) return on_read_log(log_reads_++, *request, writer);
  v1::ReadLogResponse response;
  const std::string text = request->stream() == v1::LOG_STREAM_STDERR ? log : "out";
  if (text.empty()) return grpc::Status::OK;
  response.set_data(text);
  writer->Write(response);
  return grpc::Status::OK;
}

grpc::Status FakeService::GetCluster(grpc::ServerContext*, const v1::GetClusterRequest*,
                                     v1::Cluster* response) {
  *response = cluster;
  return grpc::Status::OK;
}

grpc::Status FakeUsers::AddUser(grpc::ServerContext*, const v1::AddUserRequest* request,
                                v1::AddUserResponse* response) {
  for (const v1::User& user : users) {
    if (user.name() == request->name()) return {grpc::StatusCode::ALREADY_EXISTS, "is there"};
  }
  v1::User& user = users.emplace_back();
  user.set_name(request->name());
  user.set_role(request->role());
  user.mutable_create_time()->set_seconds(1000);
  response->set_token("token of " + request->name());
  return grpc::Status::OK;
}

grpc::Status FakeUsers::RemoveUser(grpc::ServerContext*, const v1::RemoveUserRequest* request,
                                   v1::RemoveUserResponse*) {
  const size_t removed =
      std::erase_if(users, [&](const v1::User& user) { return user.name() == request->name(); });
  return removed > 0 ? grpc::Status::OK
                     : grpc::Status(grpc::StatusCode::NOT_FOUND, "there is no such user");
}

grpc::Status FakeUsers::ListUsers(grpc::ServerContext*, const v1::ListUsersRequest*,
                                  v1::ListUsersResponse* response) {
  for (const v1::User& user : users) *response->add_users() = user;
  return grpc::Status::OK;
}

grpc::Status FakeUsers::GetCaller(grpc::ServerContext*, const v1::GetCallerRequest*,
                                  v1::User* response) {
  *response = users.front();
  return grpc::Status::OK;
}

void FakeServer::Start() {
  grpc::ServerBuilder builder;
  builder.AddListeningPort(address(), grpc::InsecureServerCredentials(), &port_);
  builder.RegisterService(&service);
  builder.RegisterService(&users);
  server_ = builder.BuildAndStart();
  if (server_ == nullptr) std::abort();
}

void FakeServer::Stop() {
  if (server_ == nullptr) return;
  server_->Shutdown(std::chrono::system_clock::now());
  server_->Wait();
  server_ = nullptr;
}

}  // namespace kartograph::cli
