// The service as the command line calls it: plain calls, retried writes, streams that can be left.
//
// gRPC's own headers stay in client.cc: they are slow to compile and nothing else needs them.
#ifndef KARTOGRAPH_CLI_CLIENT_H_
#define KARTOGRAPH_CLI_CLIENT_H_

#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "absl/functional/function_ref.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "api/kartograph/v1/users.pb.h"

namespace kartograph::cli {

// Where kartographd listens for gRPC unless it was started with another port.
inline constexpr char kDefaultPort[] = "50061";
// Of an address that is a socket's path.
inline constexpr char kSocketPrefix[] = "unix:";

// How the service and this client know each other over TLS, in PEM.
struct ClientTls {
  std::string authorities{};  // who may sign the service's certificate
  // Our own, where the service wants one.
  std::string certificates{};
  std::string key{};
};

struct ClientOptions {
  // HOST:PORT, or unix: and the path of a socket.
  std::string address = std::string("127.0.0.1:") + kDefaultPort;
  std::string token{};             // sent with every call; empty: none
  std::optional<ClientTls> tls{};  // nothing: not encrypted
  // Writes are retried for at least this long while the service is unavailable, twice a second,
  // always with the same request id, so that a write whose answer was lost is not done twice. Reads
  // are tried once.
  absl::Duration retry_for = absl::Seconds(10);
  // Called once, in the thread of the call, when a write has been repeated for a second: for how
  // long it will be tried yet.
  std::function<void(absl::Duration left)> on_waiting{};
};

// Errors are the service's own, with the same codes; see ProblemsOf. Used by one thread at a time.
class Client {
 public:
  explicit Client(ClientOptions options);
  ~Client();
  Client(const Client&) = delete;
  Client& operator=(const Client&) = delete;

  const ClientOptions& options() const;

  // The writes; each makes its own request id.
  // `task` makes task `index` of `tasks`, whatever was in `spec`. Tasks are made as they are sent,
  // in order, and again from the first one where the call is repeated.
  absl::StatusOr<v1::SubmitGraphResponse> SubmitGraph(
      const v1::GraphSpec& graph, size_t tasks,
      absl::FunctionRef<void(size_t index, v1::TaskSpec* spec)> task);
  absl::StatusOr<v1::ExecuteResponse> Execute(v1::ExecuteRequest request);
  absl::StatusOr<v1::CloseGraphResponse> CloseGraph(v1::CloseGraphRequest request);
  absl::StatusOr<v1::CancelResponse> Cancel(v1::CancelRequest request);
  absl::StatusOr<v1::RetryResponse> Retry(v1::RetryRequest request);
  absl::StatusOr<v1::ForgetGraphResponse> ForgetGraph(v1::ForgetGraphRequest request);
  absl::StatusOr<v1::DeleteQueueResponse> DeleteQueue(v1::DeleteQueueRequest request);
  absl::StatusOr<v1::SetPoolResponse> SetPool(v1::SetPoolRequest request);

  // Runs `read`, which is a part of a write, again while the service is unavailable, as writes are.
  absl::StatusOr<v1::Graph> RetriedRead(const std::function<absl::StatusOr<v1::Graph>()>& read);

  // `expect_end`: with when it is expected to end.
  absl::StatusOr<v1::Graph> GetGraph(absl::string_view graph_id, bool expect_end = false);
  absl::StatusOr<v1::ListGraphsResponse> ListGraphs(const v1::ListGraphsRequest& request);
  absl::StatusOr<v1::ListTasksResponse> ListTasks(const v1::ListTasksRequest& request);
  absl::StatusOr<v1::Task> GetTask(absl::string_view graph_id, absl::string_view task_name);
  absl::StatusOr<v1::ListFailuresResponse> ListFailures(int max_failures);
  absl::StatusOr<v1::Cluster> GetCluster();
  absl::StatusOr<v1::ListUsageResponse> ListUsage(const v1::ListUsageRequest& request);
  absl::StatusOr<v1::ListQueuesResponse> ListQueues(const v1::ListQueuesRequest& request);
  absl::StatusOr<v1::ExplainTaskResponse> ExplainTask(absl::string_view graph_id,
                                                      absl::string_view task_name);
  absl::StatusOr<v1::ExplainGraphResponse> ExplainGraph(absl::string_view graph_id);
  absl::StatusOr<v1::ListPoolsResponse> ListPools(const v1::ListPoolsRequest& request);
  // Waits as long as the request says; the lease holds from its answer on.
  absl::StatusOr<v1::PopFinishedResponse> PopFinished(const v1::PopFinishedRequest& request);
  // A link that logs a browser in, once.
  absl::StatusOr<std::string> GetPageLink();

  absl::StatusOr<v1::AddUserResponse> AddUser(const v1::AddUserRequest& request);
  absl::StatusOr<v1::RemoveUserResponse> RemoveUser(const v1::RemoveUserRequest& request);
  absl::StatusOr<v1::ListUsersResponse> ListUsers();
  absl::StatusOr<v1::ListSharesResponse> ListShares();
  absl::StatusOr<v1::User> GetCaller();

  // The streams return when the service ends them (with its status), as unavailable when its host
  // has not answered for some twenty seconds, and with OK soon after either function returned
  // false. `on_tick` is called about ten times a second while nothing comes.
  absl::Status WatchGraph(absl::string_view graph_id,
                          const std::function<bool(const v1::WatchGraphResponse&)>& on_message,
                          const std::function<bool()>& on_tick);
  absl::Status ReadLog(const v1::ReadLogRequest& request,
                       const std::function<bool(const v1::ReadLogResponse&)>& on_message,
                       const std::function<bool()>& on_tick);

 private:
  class Impl;
  std::unique_ptr<Impl> impl_;
};

// Whether the service could not be reached, did not answer, or says that it cannot serve now.
bool IsAway(const absl::Status& status);
// The problems that came with an InvalidArgument; none where there were none.
v1::Problems ProblemsOf(const absl::Status& status);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_CLIENT_H_
