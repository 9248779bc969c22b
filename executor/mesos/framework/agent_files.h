// Files in sandboxes, read through the agents' operator API.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_AGENT_FILES_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_AGENT_FILES_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/status/statusor.h"
#include "executor/cluster.h"
#include "executor/mesos/endpoint.h"
#include "executor/mesos/framework/agent_directory.h"
#include "executor/mesos/framework/operator_api.h"
#include "executor/mesos/protocol/operator.pb.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Bound to the io_context's thread. Errors are for people: NotFound where the file is not there
// (any more), Unavailable where its agent does not answer, PermissionDenied where we may not read.
class AgentFiles {
 public:
  // `api` and `directory` outlive this.
  AgentFiles(boost::asio::io_context& io, OperatorApi* api, AgentDirectory* directory)
      : io_(io), api_(*api), directory_(*directory) {}

  static constexpr int64_t kMaxResult = 64 << 20;  // as kartograph-executor's

  // No callback is called any more.
  void Stop() { *alive_ = false; }

  // The virtual path under which an agent shows an executor's sandbox, or that of an attempt, which
  // is the executor's own for a task in a container.
  static std::string SandboxOf(const std::string& framework, const std::string& executor);
  static std::string SandboxOf(const std::string& framework, const std::string& executor,
                               planner::AttemptId attempt);

  struct LogPlace {
    std::string agent;
    std::string framework;
    planner::AttemptId attempt;
    std::string file;      // "stdout" or "stderr"
    std::string executor;  // where it is known; otherwise the agent is asked
    Endpoint master;       // knows agents that have made no offer yet
  };
  // Offsets as in LogRequest.
  void ReadLog(LogPlace place, int64_t offset, int64_t max_bytes,
               std::function<void(absl::StatusOr<LogChunk>)> done);
  // A file of that many bytes; NotFound also where there are fewer. With a negative number whatever
  // is there, and OutOfRange where that is more than 64 MiB.
  void ReadWhole(const std::string& agent, const Endpoint& master, const std::string& path,
                 int64_t bytes, std::function<void(absl::StatusOr<std::string>)> done);

 private:
  template <typename T>
  using Result = boost::asio::awaitable<absl::StatusOr<T>>;

  Result<kartograph::mesos::AgentResponse> Ask(Endpoint agent, kartograph::mesos::AgentCall call);
  Result<kartograph::mesos::AgentResponse::ReadFile> ReadPiece(Endpoint agent, std::string path,
                                                               uint64_t offset, uint64_t length);
  Result<LogChunk> ReadFrom(Endpoint agent, std::string path, int64_t offset, int64_t max_bytes);
  // Whether the executor of this sandbox has removed the logs of the attempt.
  Result<bool> WasRemoved(Endpoint agent, std::string sandbox, std::string task);
  Result<LogChunk> FindAndRead(LogPlace place, int64_t offset, int64_t max_bytes);
  Result<std::string> ReadAll(std::string agent, Endpoint master, std::string path, int64_t bytes);

  boost::asio::io_context& io_;
  OperatorApi& api_;
  AgentDirectory& directory_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_AGENT_FILES_H_
