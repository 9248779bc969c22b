#include "cli/client.h"

#include <grpcpp/grpcpp.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <utility>

#include "absl/strings/cord.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/strip.h"
#include "api/kartograph/v1/page.grpc.pb.h"
#include "api/kartograph/v1/task_executer.grpc.pb.h"
#include "api/kartograph/v1/users.grpc.pb.h"
#include "base/clock.h"
#include "base/state_folder.h"
#include "cli/patience.h"

namespace kartograph::cli {
namespace {

using Stub = v1::TaskExecuter::Stub;

constexpr char kProblemsMetadata[] = "kartograph-problems-bin";
constexpr char kProblemsPayload[] = "type.googleapis.com/kartograph.v1.Problems";
// A message of tasks: small enough to stay in the processor's cache on both sides, which halves
// what a million tasks take. The service takes up to 64 MiB.
constexpr size_t kMaxBatchBytes = 64 << 10;
constexpr size_t kFramingBytes = 8;  // that a task's tag and length take at most
// A connection without any answer for so long is given up: a host that vanished sends no more.
constexpr int kKeepaliveMilliseconds = 10000;  // the least that gRPC allows
constexpr int kKeepaliveTimeoutMilliseconds = 10000;
constexpr auto kTick = std::chrono::milliseconds(100);
// The most that may be asked for; this client takes messages of any size.
constexpr int64_t kMaxTaskBytes = 512 << 20;
// How long a write that is repeated says nothing: most services are back by then.
constexpr absl::Duration kSilence = absl::Seconds(1);
constexpr auto kReadDeadline = std::chrono::seconds(60);
// A graph of a million tasks is checked and stored before it is answered.
constexpr auto kWriteDeadline = std::chrono::minutes(10);

std::string RandomRequestId() {
  std::random_device random;
  return absl::StrFormat("%08x%08x%08x%08x", random(), random(), random(), random());
}

absl::Status ToStatus(const grpc::Status& status, const grpc::ClientContext& context) {
  if (status.ok()) return absl::OkStatus();
  absl::Status result(static_cast<absl::StatusCode>(status.error_code()), status.error_message());
  const auto& metadata = context.GetServerTrailingMetadata();
  const auto problems = metadata.find(kProblemsMetadata);
  if (problems != metadata.end()) {
    result.SetPayload(kProblemsPayload, absl::Cord(absl::string_view(problems->second.data(),
                                                                     problems->second.size())));
  }
  return result;
}

// Whether trying the same write again could help. A service that stops may cancel its calls; where
// we cancel one ourselves, its status is not used.
bool WorthRetrying(const absl::Status& status) {
  return status.code() == absl::StatusCode::kUnavailable ||
         status.code() == absl::StatusCode::kCancelled;
}

// Reads a stream to its end, or until a function returns false.
template <typename Message>
absl::Status ReadStream(grpc::ClientContext* context, grpc::CompletionQueue* queue,
                        std::unique_ptr<grpc::ClientAsyncReader<Message>> reader,
                        const std::function<bool(const Message&)>& on_message,
                        const std::function<bool()>& on_tick) {
  bool stopped = false;
  const auto stop_unless = [&](bool go_on) {
    if (stopped || go_on) return;
    stopped = true;
    context->TryCancel();
  };
  // Waits for the one operation under way; true where it succeeded.
  const auto wait = [&] {
    void* tag;
    bool ok = false;
    while (queue->AsyncNext(&tag, &ok, std::chrono::system_clock::now() + kTick) ==
           grpc::CompletionQueue::TIMEOUT) {
      stop_unless(stopped || on_tick());
    }
    return ok;
  };
  reader->StartCall(nullptr);
  bool ok = wait();
  while (ok) {
    Message message;
    reader->Read(&message, nullptr);
    ok = wait();
    if (ok) stop_unless(stopped || on_message(message));
  }
  grpc::Status status;
  reader->Finish(&status, nullptr);
  wait();
  queue->Shutdown();
  void* tag;
  while (queue->Next(&tag, &ok)) {
  }
  return stopped ? absl::OkStatus() : ToStatus(status, *context);
}

}  // namespace

class Client::Impl {
 public:
  explicit Impl(ClientOptions options) : options_(std::move(options)) { Connect(); }

  // The next call opens a connection of its own: on one that was lost gRPC waits out a back-off,
  // though the service may be back.
  void Connect() {
    grpc::ChannelArguments arguments;
    arguments.SetMaxReceiveMessageSize(-1);
    arguments.SetInt(GRPC_ARG_USE_LOCAL_SUBCHANNEL_POOL, 1);
    arguments.SetInt(GRPC_ARG_MIN_RECONNECT_BACKOFF_MS, 2000);  // how long connecting may take
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIME_MS, kKeepaliveMilliseconds);
    arguments.SetInt(GRPC_ARG_KEEPALIVE_TIMEOUT_MS, kKeepaliveTimeoutMilliseconds);
    arguments.SetInt(GRPC_ARG_HTTP2_MAX_PINGS_WITHOUT_DATA, 0);
    // The service is on this host or nearby, never behind a web proxy.
    arguments.SetInt(GRPC_ARG_ENABLE_HTTP_PROXY, 0);
    channel_ = grpc::CreateCustomChannel(Target(), Credentials(), arguments);
    stub_ = v1::TaskExecuter::NewStub(channel_);
  }

  // To be done with the context of each call before it starts.
  void Prepare(grpc::ClientContext& context) const {
    if (!options_.token.empty()) {
      context.AddMetadata("authorization", absl::StrCat("Bearer ", options_.token));
    }
  }

  // Of a stream that has ended with this.
  absl::Status ReconnectIfAway(const absl::Status& status) {
    if (IsAway(status)) Connect();
    return status;
  }

  const ClientOptions& options() const { return options_; }
  Stub* stub() { return stub_.get(); }

  template <typename Request, typename Response>
  absl::StatusOr<Response> Call(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                             Response*),
                                const Request& request, std::chrono::seconds deadline) {
    return Call(stub_.get(), method, request, deadline);
  }

  absl::StatusOr<v1::GetPageLinkResponse> GetPageLink() {
    using Pages = v1::StatusPage::Stub;
    const auto pages = v1::StatusPage::NewStub(channel_);
    return Call<Pages, v1::GetPageLinkRequest, v1::GetPageLinkResponse>(
        pages.get(), &Pages::GetPageLink, v1::GetPageLinkRequest(), kReadDeadline);
  }

  template <typename Request, typename Response>
  absl::StatusOr<Response> CallUsers(grpc::Status (v1::Users::Stub::*method)(grpc::ClientContext*,
                                                                             const Request&,
                                                                             Response*),
                                     const Request& request) {
    const auto users = v1::Users::NewStub(channel_);
    return Call<v1::Users::Stub, Request, Response>(users.get(), method, request, kReadDeadline);
  }

  // Repeats `write` while the service is unavailable.
  template <typename Response>
  absl::StatusOr<Response> Retried(const std::function<absl::StatusOr<Response>()>& write) {
    Patience patience(options_.retry_for);
    const SteadyTime begun = Clock::System().SteadyNow();
    const auto keep_trying = [&] {
      const absl::Duration waited = Clock::System().SteadyNow() - begun;
      if (waited < kSilence || !options_.on_waiting || std::exchange(said_, true)) return true;
      options_.on_waiting(std::max(options_.retry_for - waited, absl::Seconds(1)));
      return true;
    };
    while (true) {
      absl::StatusOr<Response> response = write();
      if (response.ok() || !WorthRetrying(response.status())) return response;
      if (!patience.Pause(keep_trying)) return response;
      Connect();
    }
  }

  // A call that changes something, with a request id of its own.
  template <typename Request, typename Response>
  absl::StatusOr<Response> Write(grpc::Status (Stub::*method)(grpc::ClientContext*, const Request&,
                                                              Response*),
                                 Request request) {
    request.set_request_id(RandomRequestId());
    return Retried<Response>([&] { return Call(method, request, kWriteDeadline); });
  }

  absl::StatusOr<v1::SubmitGraphResponse> SubmitOnce(
      const v1::SubmitGraphRequest& start, size_t tasks,
      absl::FunctionRef<void(size_t, v1::TaskSpec*)> task) {
    grpc::ClientContext context;
    Prepare(context);
    context.set_deadline(std::chrono::system_clock::now() + kWriteDeadline);
    v1::SubmitGraphResponse response;
    const auto writer = stub_->SubmitGraph(&context, &response);
    bool open = writer->Write(start);
    v1::SubmitGraphRequest request;
    v1::SubmitGraphRequest::TaskBatch& batch = *request.mutable_tasks();
    v1::TaskSpec next;
    size_t bytes = 0;  // of the batch
    // A write that fails has ended the call; Finish says why.
    for (size_t i = 0; open && i < tasks; ++i) {
      task(i, &next);
      const size_t next_bytes = next.ByteSizeLong() + kFramingBytes;
      if (bytes > 0 && bytes + next_bytes > kMaxBatchBytes) {
        open = writer->Write(request);
        batch.Clear();
        bytes = 0;
      }
      batch.add_tasks()->Swap(&next);
      bytes += next_bytes;
    }
    if (open && bytes > 0) open = writer->Write(request);
    if (open) writer->WritesDone();
    const absl::Status status = ToStatus(writer->Finish(), context);
    if (!status.ok()) return status;
    return response;
  }

 private:
  template <typename AnyStub, typename Request, typename Response>
  absl::StatusOr<Response> Call(AnyStub* stub,
                                grpc::Status (AnyStub::*method)(grpc::ClientContext*,
                                                                const Request&, Response*),
                                const Request& request, std::chrono::seconds deadline) {
    grpc::ClientContext context;
    Prepare(context);
    context.set_deadline(std::chrono::system_clock::now() + deadline);
    Response response;
    const absl::Status status = ToStatus((stub->*method)(&context, request, &response), context);
    if (!status.ok()) return status;
    return response;
  }

  // The address as gRPC takes it. Where the socket's folder is not there, neither is the service.
  std::string Target() {
    absl::string_view path = options_.address;
    if (!absl::ConsumePrefix(&path, kSocketPrefix)) return options_.address;
    absl::StatusOr<SocketTarget> socket = MakeSocketTarget(std::string(path));
    if (!socket.ok()) return options_.address;
    socket_ = *std::move(socket);
    return socket_.target;
  }

  std::shared_ptr<grpc::ChannelCredentials> Credentials() const {
    if (!options_.tls) return grpc::InsecureChannelCredentials();
    grpc::SslCredentialsOptions tls;
    tls.pem_root_certs = options_.tls->authorities;
    tls.pem_cert_chain = options_.tls->certificates;
    tls.pem_private_key = options_.tls->key;
    return grpc::SslCredentials(tls);
  }

  const ClientOptions options_;
  SocketTarget socket_;
  std::shared_ptr<grpc::Channel> channel_;
  std::unique_ptr<Stub> stub_;
  bool said_ = false;  // on_waiting was called
};

Client::Client(ClientOptions options) : impl_(std::make_unique<Impl>(std::move(options))) {}
Client::~Client() = default;

const ClientOptions& Client::options() const { return impl_->options(); }

absl::StatusOr<v1::SubmitGraphResponse> Client::SubmitGraph(
    const v1::GraphSpec& graph, size_t tasks,
    absl::FunctionRef<void(size_t index, v1::TaskSpec* spec)> task) {
  v1::SubmitGraphRequest start;
  start.mutable_graph()->set_request_id(RandomRequestId());
  *start.mutable_graph()->mutable_graph() = graph;
  return impl_->Retried<v1::SubmitGraphResponse>(
      [&] { return impl_->SubmitOnce(start, tasks, task); });
}

absl::StatusOr<v1::ExecuteResponse> Client::Execute(v1::ExecuteRequest request) {
  return impl_->Write(&Stub::Execute, std::move(request));
}

absl::StatusOr<v1::CloseGraphResponse> Client::CloseGraph(v1::CloseGraphRequest request) {
  return impl_->Write(&Stub::CloseGraph, std::move(request));
}

absl::StatusOr<v1::CancelResponse> Client::Cancel(v1::CancelRequest request) {
  return impl_->Write(&Stub::Cancel, std::move(request));
}

absl::StatusOr<v1::RetryResponse> Client::Retry(v1::RetryRequest request) {
  return impl_->Write(&Stub::Retry, std::move(request));
}

absl::StatusOr<v1::ForgetGraphResponse> Client::ForgetGraph(v1::ForgetGraphRequest request) {
  return impl_->Write(&Stub::ForgetGraph, std::move(request));
}

absl::StatusOr<v1::DeleteQueueResponse> Client::DeleteQueue(v1::DeleteQueueRequest request) {
  return impl_->Write(&Stub::DeleteQueue, std::move(request));
}

absl::StatusOr<v1::SetPoolResponse> Client::SetPool(v1::SetPoolRequest request) {
  return impl_->Write(&Stub::SetPool, std::move(request));
}

absl::StatusOr<v1::Graph> Client::RetriedRead(
    const std::function<absl::StatusOr<v1::Graph>()>& read) {
  return impl_->Retried(read);
}

absl::StatusOr<v1::Graph> Client::GetGraph(absl::string_view graph_id, bool expect_end) {
  v1::GetGraphRequest request;
  request.set_expect_end(expect_end);
  request.set_graph_id(std::string(graph_id));
  return impl_->Call(&Stub::GetGraph, request, kReadDeadline);
}

absl::StatusOr<v1::ListGraphsResponse> Client::ListGraphs(const v1::ListGraphsRequest& request) {
  return impl_->Call(&Stub::ListGraphs, request, kReadDeadline);
}

absl::StatusOr<v1::ListTasksResponse> Client::ListTasks(const v1::ListTasksRequest& request) {
  return impl_->Call(&Stub::ListTasks, request, kReadDeadline);
}

absl::StatusOr<v1::Task> Client::GetTask(absl::string_view graph_id, absl::string_view task_name) {
  v1::GetTaskRequest request;
  request.set_graph_id(std::string(graph_id));
  request.set_task_name(std::string(task_name));
  request.set_max_bytes(kMaxTaskBytes);
  return impl_->Call(&Stub::GetTask, request, kReadDeadline);
}

absl::StatusOr<v1::ListFailuresResponse> Client::ListFailures(int max_failures) {
  v1::ListFailuresRequest request;
  request.set_max_failures(max_failures);
  return impl_->Call(&Stub::ListFailures, request, kReadDeadline);
}

absl::StatusOr<v1::Cluster> Client::GetCluster() {
  return impl_->Call(&Stub::GetCluster, v1::GetClusterRequest(), kReadDeadline);
}

absl::StatusOr<v1::ListUsageResponse> Client::ListUsage(const v1::ListUsageRequest& request) {
  return impl_->Call(&Stub::ListUsage, request, kReadDeadline);
}

absl::StatusOr<v1::ListQueuesResponse> Client::ListQueues(const v1::ListQueuesRequest& request) {
  return impl_->Call(&Stub::ListQueues, request, kReadDeadline);
}

absl::StatusOr<v1::ExplainTaskResponse> Client::ExplainTask(absl::string_view graph_id,
                                                            absl::string_view task_name) {
  v1::ExplainTaskRequest request;
  request.set_graph_id(std::string(graph_id));
  request.set_task_name(std::string(task_name));
  return impl_->Call(&Stub::ExplainTask, request, kReadDeadline);
}

absl::StatusOr<v1::ExplainGraphResponse> Client::ExplainGraph(absl::string_view graph_id) {
  v1::ExplainGraphRequest request;
  request.set_graph_id(std::string(graph_id));
  return impl_->Call(&Stub::ExplainGraph, request, kReadDeadline);
}

absl::StatusOr<v1::ListPoolsResponse> Client::ListPools(const v1::ListPoolsRequest& request) {
  return impl_->Call(&Stub::ListPools, request, kReadDeadline);
}

absl::StatusOr<v1::PopFinishedResponse> Client::PopFinished(const v1::PopFinishedRequest& request) {
  return impl_->Call(&Stub::PopFinished, request,
                     kReadDeadline + std::chrono::seconds(request.wait().seconds()));
}

absl::StatusOr<std::string> Client::GetPageLink() {
  absl::StatusOr<v1::GetPageLinkResponse> link = impl_->GetPageLink();
  if (!link.ok()) return link.status();
  return std::move(*link->mutable_url());
}

absl::StatusOr<v1::AddUserResponse> Client::AddUser(const v1::AddUserRequest& request) {
  return impl_->CallUsers(&v1::Users::Stub::AddUser, request);
}

absl::StatusOr<v1::RemoveUserResponse> Client::RemoveUser(const v1::RemoveUserRequest& request) {
  return impl_->CallUsers(&v1::Users::Stub::RemoveUser, request);
}

absl::StatusOr<v1::ListUsersResponse> Client::ListUsers() {
  return impl_->CallUsers(&v1::Users::Stub::ListUsers, v1::ListUsersRequest());
}

absl::StatusOr<v1::ListSharesResponse> Client::ListShares() {
  return impl_->CallUsers(&v1::Users::Stub::ListShares, v1::ListSharesRequest());
}

absl::StatusOr<v1::User> Client::GetCaller() {
  return impl_->CallUsers(&v1::Users::Stub::GetCaller, v1::GetCallerRequest());
}

absl::Status Client::WatchGraph(
    absl::string_view graph_id,
    const std::function<bool(const v1::WatchGraphResponse&)>& on_message,
    const std::function<bool()>& on_tick) {
  v1::WatchGraphRequest request;
  request.set_graph_id(std::string(graph_id));
  grpc::ClientContext context;
  impl_->Prepare(context);
  grpc::CompletionQueue queue;
  return impl_->ReconnectIfAway(ReadStream<v1::WatchGraphResponse>(
      &context, &queue, impl_->stub()->PrepareAsyncWatchGraph(&context, request, &queue),
      on_message, on_tick));
}

absl::Status Client::ReadLog(const v1::ReadLogRequest& request,
                             const std::function<bool(const v1::ReadLogResponse&)>& on_message,
                             const std::function<bool()>& on_tick) {
  grpc::ClientContext context;
  impl_->Prepare(context);
  grpc::CompletionQueue queue;
  return impl_->ReconnectIfAway(ReadStream<v1::ReadLogResponse>(
      &context, &queue, impl_->stub()->PrepareAsyncReadLog(&context, request, &queue), on_message,
      on_tick));
}

bool IsAway(const absl::Status& status) {
  return WorthRetrying(status) || status.code() == absl::StatusCode::kDeadlineExceeded;
}

v1::Problems ProblemsOf(const absl::Status& status) {
  v1::Problems problems;
  const auto payload = status.GetPayload(kProblemsPayload);
  if (payload.has_value() && !problems.ParseFromString(std::string(*payload))) problems.Clear();
  return problems;
}

}  // namespace kartograph::cli
