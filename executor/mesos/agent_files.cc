#include "executor/mesos/agent_files.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <boost/asio/detached.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/strip.h"
#include "executor/mesos/executors.h"
#include "executor/mesos/http_connection.h"

namespace kartograph::executor::mesos {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using kartograph::mesos::AgentCall;
using kartograph::mesos::AgentResponse;
using kartograph::mesos::MasterResponse;

namespace {

// An answer larger than this is none that we asked for.
constexpr uint64_t kMaxAnswer = 64 << 20;
constexpr uint64_t kPieceBytes = 64 << 10;

std::string PathOf(planner::AttemptId attempt, const std::string& file) {
  return absl::StrCat("/sandboxes/", attempt.task().graph(), "/", attempt.task().index(), ".",
                      attempt.number(), "/", file);
}

// "slave(1)@10.0.0.7:5051"
bool ReadPid(absl::string_view pid, Endpoint* endpoint) {
  const size_t at = pid.find('@');
  const size_t colon = pid.rfind(':');
  uint32_t port = 0;
  if (at == absl::string_view::npos || colon == absl::string_view::npos || colon < at ||
      !absl::SimpleAtoi(pid.substr(colon + 1), &port) || port == 0 || port > 65535) {
    return false;
  }
  absl::string_view host = pid.substr(at + 1, colon - at - 1);
  absl::ConsumePrefix(&host, "[");
  absl::ConsumeSuffix(&host, "]");
  endpoint->host = std::string(host);
  endpoint->port = static_cast<uint16_t>(port);
  endpoint->target = absl::StrCat("/", pid.substr(0, at), "/api/v1");
  return true;
}

}  // namespace

void AgentFiles::LearnAgent(const std::string& agent, const kartograph::mesos::URL& url) {
  const kartograph::mesos::Address& address = url.address();
  if (address.port() <= 0 || address.port() > 65535) return;
  Endpoint& endpoint = agents_[agent];
  endpoint.tls = url.scheme() == "https";
  endpoint.host = address.ip().empty() ? address.hostname() : address.ip();
  endpoint.port = static_cast<uint16_t>(address.port());
  endpoint.target = absl::StrCat(url.path(), "/api/v1");
}

std::string AgentFiles::SandboxOf(const std::string& framework, const std::string& executor) {
  return absl::StrCat("/frameworks/", framework, "/executors/", executor, "/runs/latest");
}

AgentFiles::Result<std::string> AgentFiles::Post(Endpoint to, std::string body) {
  HttpConnection connection(io_, to.tls ? options_.tls_context : nullptr);
  connection.SetTimeout(options_.timeout);
  absl::Status status = co_await connection.Connect(to.host, to.port);
  if (!status.ok()) co_return status;
  std::string request =
      absl::StrCat("POST ", to.target, " HTTP/1.1\r\nHost: ", to.host, ":", to.port,
                   "\r\nConnection: close\r\nContent-Type: "
                   "application/x-protobuf\r\nAccept: application/x-protobuf\r\n");
  if (!options_.authorization.empty()) {
    absl::StrAppend(&request, "Authorization: ", options_.authorization, "\r\n");
  }
  absl::StrAppend(&request, "Content-Length: ", body.size(), "\r\n\r\n", body);
  status = co_await connection.Write(request);
  http::response_parser<http::string_body> parser;
  parser.body_limit(kMaxAnswer);
  if (status.ok()) status = co_await connection.Read(parser);
  if (!status.ok()) co_return absl::UnavailableError(status.message());
  const auto& answer = parser.get();
  if (answer.result() == http::status::ok) co_return std::move(parser.get().body());
  const std::string said = absl::StrCat(to.ToString(), " answers ", answer.result_int(), " ",
                                        std::string(http::obsolete_reason(answer.result())), ": ",
                                        answer.body().substr(0, 500));
  if (answer.result() == http::status::not_found) co_return absl::NotFoundError(said);
  co_return absl::UnavailableError(said);
}

AgentFiles::Result<Endpoint> AgentFiles::FindAgent(std::string agent, Endpoint master) {
  if (auto it = agents_.find(agent); it != agents_.end()) co_return it->second;
  if (master.host.empty()) {
    co_return absl::UnavailableError(absl::StrCat("agent ", agent, " is not known yet"));
  }
  kartograph::mesos::MasterCall call;
  call.set_type(kartograph::mesos::MasterCall::GET_AGENTS);
  master.target = "/api/v1";
  absl::StatusOr<std::string> answer = co_await Post(master, call.SerializeAsString());
  if (!answer.ok()) co_return answer.status();
  MasterResponse response;
  response.ParseFromString(*answer);
  for (const auto& known : response.get_agents().agents()) {
    Endpoint endpoint;
    endpoint.tls = master.tls;
    if (ReadPid(known.pid(), &endpoint)) {
      agents_.try_emplace(known.agent_info().id().value(), std::move(endpoint));
    }
  }
  if (auto it = agents_.find(agent); it != agents_.end()) co_return it->second;
  co_return absl::NotFoundError(
      absl::StrCat("agent ", agent, " is not part of the cluster any more, and its logs with it"));
}

AgentFiles::Result<AgentResponse> AgentFiles::Ask(Endpoint agent, AgentCall call) {
  absl::StatusOr<std::string> answer = co_await Post(agent, call.SerializeAsString());
  if (!answer.ok()) co_return answer.status();
  AgentResponse response;
  if (!response.ParseFromString(*answer)) {
    co_return absl::UnavailableError(
        absl::StrCat(agent.ToString(), " answers with what is no answer"));
  }
  co_return response;
}

AgentFiles::Result<AgentResponse::ReadFile> AgentFiles::ReadPiece(Endpoint agent, std::string path,
                                                                  uint64_t offset,
                                                                  uint64_t length) {
  AgentCall call;
  call.set_type(AgentCall::READ_FILE);
  call.mutable_read_file()->set_path(path);
  call.mutable_read_file()->set_offset(offset);
  call.mutable_read_file()->set_length(length);
  absl::StatusOr<AgentResponse> response = co_await Ask(std::move(agent), std::move(call));
  if (!response.ok()) co_return response.status();
  co_return response->read_file();
}

AgentFiles::Result<LogChunk> AgentFiles::ReadFrom(Endpoint agent, std::string path, int64_t offset,
                                                  int64_t max_bytes) {
  if (offset < 0) {
    auto nothing = co_await ReadPiece(agent, path, 0, 0);
    if (!nothing.ok()) co_return nothing.status();
    offset = std::max<int64_t>(0, static_cast<int64_t>(nothing->size()) + offset);
  }
  const uint64_t length =
      std::min(static_cast<uint64_t>(std::max<int64_t>(max_bytes, 0)), kPieceBytes);
  auto piece = co_await ReadPiece(agent, path, static_cast<uint64_t>(offset), length);
  if (!piece.ok()) co_return piece.status();
  co_return LogChunk{offset, std::move(*piece->mutable_data())};
}

AgentFiles::Result<LogChunk> AgentFiles::FindAndRead(LogPlace place, int64_t offset,
                                                     int64_t max_bytes) {
  absl::StatusOr<Endpoint> agent = co_await FindAgent(place.agent, place.master);
  if (!agent.ok()) co_return agent.status();
  const std::string task = planner::AttemptIdToString(place.attempt);
  std::vector<std::string> executors;
  if (!place.executor.empty()) {
    executors.push_back(place.executor);
  } else {
    AgentCall call;
    call.set_type(AgentCall::GET_EXECUTORS);
    absl::StatusOr<AgentResponse> response = co_await Ask(*agent, std::move(call));
    if (!response.ok()) co_return response.status();
    for (const auto* list : {&response->get_executors().executors(),
                             &response->get_executors().completed_executors()}) {
      for (const auto& executor : *list) {
        const std::string& id = executor.executor_info().executor_id().value();
        if (executor.executor_info().framework_id().value() != place.framework) continue;
        if (Executors::IsOurs(id) || id == task) executors.push_back(id);
      }
    }
  }
  for (const std::string& executor : executors) {
    const std::string path = absl::StrCat(
        SandboxOf(place.framework, executor),
        executor == task ? absl::StrCat("/", place.file) : PathOf(place.attempt, place.file));
    absl::StatusOr<LogChunk> chunk = co_await ReadFrom(*agent, path, offset, max_bytes);
    if (chunk.ok() || !absl::IsNotFound(chunk.status())) co_return chunk;
  }
  co_return absl::NotFoundError(absl::StrCat("agent ", place.agent, " does not keep ", place.file,
                                             " of ", task, " (any more)"));
}

AgentFiles::Result<std::string> AgentFiles::ReadAll(std::string agent, std::string path,
                                                    int64_t bytes, Endpoint master) {
  absl::StatusOr<Endpoint> endpoint = co_await FindAgent(std::move(agent), std::move(master));
  if (!endpoint.ok()) co_return endpoint.status();
  std::string value;
  while (static_cast<int64_t>(value.size()) < bytes) {
    auto piece = co_await ReadPiece(*endpoint, path, value.size(), kPieceBytes);
    if (!piece.ok()) co_return piece.status();
    if (piece->data().empty()) {
      co_return absl::NotFoundError(
          absl::StrCat(path, " has ", value.size(), " bytes, not ", bytes));
    }
    value += piece->data();
  }
  value.resize(static_cast<size_t>(bytes));
  co_return value;
}

void AgentFiles::ReadLog(LogPlace place, int64_t offset, int64_t max_bytes,
                         std::function<void(absl::StatusOr<LogChunk>)> done) {
  asio::co_spawn(
      io_, FindAndRead(std::move(place), offset, max_bytes),
      [alive = alive_, done = std::move(done)](std::exception_ptr, absl::StatusOr<LogChunk> chunk) {
        // Who asked is told in any case, and only once.
        if (!*alive && chunk.ok()) chunk = absl::UnavailableError("the service is stopping");
        done(std::move(chunk));
      });
}

void AgentFiles::ReadWhole(const std::string& agent, const std::string& path, int64_t bytes,
                           const Endpoint& master,
                           std::function<void(absl::StatusOr<std::string>)> done) {
  asio::co_spawn(io_, ReadAll(agent, path, bytes, master),
                 [alive = alive_, done = std::move(done)](std::exception_ptr,
                                                          absl::StatusOr<std::string> value) {
                   if (*alive) done(std::move(value));
                 });
}

}  // namespace kartograph::executor::mesos
