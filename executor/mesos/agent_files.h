// Files in sandboxes, read through the agents' operator API.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_AGENT_FILES_H_
#define KARTOGRAPH_EXECUTOR_MESOS_AGENT_FILES_H_

#include <boost/asio/awaitable.hpp>
#include <boost/asio/io_context.hpp>
#include <functional>
#include <memory>
#include <string>

#include "absl/container/flat_hash_map.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "executor/mesos/api_session.h"
#include "executor/mesos/protocol/mesos.pb.h"
#include "executor/mesos/protocol/operator.pb.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Bound to the io_context's thread. Errors are for people: NotFound where the file is not there
// (any more), Unavailable where its agent does not answer.
class AgentFiles {
 public:
  struct Options {
    std::string authorization;                         // as in ApiSession
    boost::asio::ssl::context* tls_context = nullptr;  // as in ApiSession
    absl::Duration timeout = absl::Seconds(10);        // of one answer
  };
  AgentFiles(boost::asio::io_context& io, Options options)
      : io_(io), options_(std::move(options)) {}

  // No callback is called any more.
  void Stop() { *alive_ = false; }

  // Where the agent's API is, as its offers say.
  void LearnAgent(const std::string& agent, const kartograph::mesos::URL& url);

  // The virtual path under which an agent shows an executor's sandbox.
  static std::string SandboxOf(const std::string& framework, const std::string& executor);

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
  // A file of so many bytes; NotFound also where there are less.
  void ReadWhole(const std::string& agent, const std::string& path, int64_t bytes,
                 const Endpoint& master, std::function<void(absl::StatusOr<std::string>)> done);

 private:
  template <typename T>
  using Result = boost::asio::awaitable<absl::StatusOr<T>>;

  Result<std::string> Post(Endpoint to, std::string body);
  Result<Endpoint> FindAgent(std::string agent, Endpoint master);
  Result<kartograph::mesos::AgentResponse> Ask(Endpoint agent, kartograph::mesos::AgentCall call);
  Result<kartograph::mesos::AgentResponse::ReadFile> ReadPiece(Endpoint agent, std::string path,
                                                               uint64_t offset, uint64_t length);
  Result<LogChunk> ReadFrom(Endpoint agent, std::string path, int64_t offset, int64_t max_bytes);
  Result<LogChunk> FindAndRead(LogPlace place, int64_t offset, int64_t max_bytes);
  Result<std::string> ReadAll(std::string agent, std::string path, int64_t bytes, Endpoint master);

  boost::asio::io_context& io_;
  const Options options_;
  absl::flat_hash_map<std::string, Endpoint> agents_;
  std::shared_ptr<bool> alive_ = std::make_shared<bool>(true);
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_AGENT_FILES_H_
