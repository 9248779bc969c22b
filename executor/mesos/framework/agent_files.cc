#include "executor/mesos/framework/agent_files.h"

#include <algorithm>
#include <boost/asio/co_spawn.hpp>
#include <utility>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "executor/cut_log.h"
#include "executor/mesos/framework/executors.h"
#include "executor/mesos/removed_logs.h"

namespace kartograph::executor::mesos {

namespace asio = boost::asio;
using kartograph::mesos::AgentCall;
using kartograph::mesos::AgentResponse;

namespace {

constexpr uint64_t kPieceBytes = 64 << 10;
constexpr int64_t kMaxFileBytes = int64_t{1} << 62;

absl::Status TooLarge(uint64_t bytes) {
  return absl::OutOfRangeError(absl::StrCat("the return value has ", bytes, " bytes; at most ",
                                            AgentFiles::kMaxResult, " are kept"));
}

// Puts a notice in the place of what was cut out, as `told`, of a part of a log.
void ShowCut(absl::string_view told, LogChunk* chunk) {
  const auto cut = ParseCut(told);
  if (!cut) return;
  const auto [begin, end] = *cut;
  if (begin <= chunk->offset && chunk->offset < end) {
    chunk->data = CutNotice(end - chunk->offset);
    chunk->offset = end - static_cast<int64_t>(chunk->data.size());
  } else if (chunk->offset < begin) {
    chunk->data.resize(std::min(chunk->data.size(), static_cast<size_t>(begin - chunk->offset)));
  }
}

}  // namespace

std::string AgentFiles::SandboxOf(const std::string& framework, const std::string& executor) {
  return absl::StrCat("/frameworks/", framework, "/executors/", executor, "/runs/latest");
}

std::string AgentFiles::SandboxOf(const std::string& framework, const std::string& executor,
                                  planner::AttemptId attempt) {
  std::string sandbox = SandboxOf(framework, executor);
  if (executor == planner::AttemptIdToString(attempt)) return sandbox;
  return absl::StrCat(sandbox, "/sandboxes/", attempt.task().graph(), "/", attempt.task().index(),
                      ".", attempt.number());
}

AgentFiles::Result<AgentResponse> AgentFiles::Ask(Endpoint agent, AgentCall call) {
  absl::StatusOr<std::string> answer = co_await api_.Post(agent, call.SerializeAsString());
  if (!answer.ok()) co_return answer.status();
  AgentResponse response;
  if (!response.ParseFromString(*answer)) {
    co_return absl::UnavailableError(absl::StrCat(agent.ToString(), " sends an invalid answer"));
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
    // The agent may report any number; before the beginning there is nothing.
    const uint64_t size = std::min<uint64_t>(nothing->size(), kMaxFileBytes);
    offset = std::max<int64_t>(0, static_cast<int64_t>(size) + std::max(offset, -kMaxFileBytes));
  }
  const uint64_t length =
      std::min(static_cast<uint64_t>(std::max<int64_t>(max_bytes, 0)), kPieceBytes);
  auto piece = co_await ReadPiece(agent, path, static_cast<uint64_t>(offset), length);
  if (!piece.ok()) co_return piece.status();
  LogChunk chunk{offset, std::move(*piece->mutable_data())};
  // Zeros may be those of a hole: text has none.
  if (!chunk.data.empty() && (chunk.data.front() == '\0' || chunk.data.back() == '\0')) {
    auto told =
        co_await ReadPiece(std::move(agent), absl::StrCat(path, kCutSuffix), 0, kPieceBytes);
    if (told.ok()) ShowCut(told->data(), &chunk);
  }
  co_return chunk;
}

AgentFiles::Result<bool> AgentFiles::WasRemoved(Endpoint agent, std::string sandbox,
                                                std::string task) {
  std::string list = "\n";
  // A little more than is written, as the last entries may go beyond.
  while (list.size() <= 2 * kMaxRemovedLogs) {
    auto piece = co_await ReadPiece(agent, absl::StrCat(sandbox, "/", kRemovedLogs),
                                    list.size() - 1, kPieceBytes);
    if (!piece.ok()) co_return absl::StatusOr<bool>(false);
    if (piece->data().empty()) break;
    list += piece->data();
  }
  co_return absl::StatusOr<bool>(absl::StrContains(list, absl::StrCat("\n", task, "\n")));
}

AgentFiles::Result<LogChunk> AgentFiles::FindAndRead(LogPlace place, int64_t offset,
                                                     int64_t max_bytes) {
  absl::StatusOr<Endpoint> agent = co_await directory_.Find(place.agent, place.master);
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
    const std::string path =
        absl::StrCat(SandboxOf(place.framework, executor, place.attempt), "/", place.file);
    absl::StatusOr<LogChunk> chunk = co_await ReadFrom(*agent, path, offset, max_bytes);
    if (chunk.ok() || !absl::IsNotFound(chunk.status())) co_return chunk;
  }
  for (const std::string& executor : executors) {
    const auto removed = co_await WasRemoved(*agent, SandboxOf(place.framework, executor), task);
    if (removed.value_or(false)) {
      co_return absl::NotFoundError(absl::StrCat(
          "the logs of ", task, " were removed on agent ", place.agent,
          ", as what runs there consumes disk and they took its place: --mesos-executor-disk is "
          "room for old logs"));
    }
  }
  co_return absl::NotFoundError(absl::StrCat("agent ", place.agent, " does not keep ", place.file,
                                             " of ", task, " (any more)"));
}

AgentFiles::Result<std::string> AgentFiles::ReadAll(std::string agent, Endpoint master,
                                                    std::string path, int64_t bytes) {
  absl::StatusOr<Endpoint> endpoint = co_await directory_.Find(std::move(agent), std::move(master));
  if (!endpoint.ok()) co_return endpoint.status();
  if (bytes > kMaxResult) co_return TooLarge(static_cast<uint64_t>(bytes));
  std::string value;
  while (bytes < 0 || static_cast<int64_t>(value.size()) < bytes) {
    auto piece = co_await ReadPiece(*endpoint, path, value.size(), kPieceBytes);
    if (!piece.ok()) co_return piece.status();
    if (bytes < 0 && piece->size() > static_cast<uint64_t>(kMaxResult))
      co_return TooLarge(piece->size());
    if (piece->data().empty() && bytes < 0) co_return value;
    if (piece->data().empty()) {
      co_return absl::NotFoundError(
          absl::StrCat(path, " has ", value.size(), " bytes, not ", bytes));
    }
    value += piece->data();
    if (value.size() > static_cast<size_t>(kMaxResult)) co_return TooLarge(value.size());
  }
  value.resize(static_cast<size_t>(bytes));
  co_return value;
}

void AgentFiles::ReadLog(LogPlace place, int64_t offset, int64_t max_bytes,
                         std::function<void(absl::StatusOr<LogChunk>)> done) {
  asio::co_spawn(
      io_, FindAndRead(std::move(place), offset, max_bytes),
      [alive = alive_, done = std::move(done)](std::exception_ptr, absl::StatusOr<LogChunk> chunk) {
        // Whoever asked is answered in any case, and only once.
        if (!*alive && chunk.ok()) chunk = absl::UnavailableError("the service is stopping");
        done(std::move(chunk));
      });
}

void AgentFiles::ReadWhole(const std::string& agent, const Endpoint& master,
                           const std::string& path, int64_t bytes,
                           std::function<void(absl::StatusOr<std::string>)> done) {
  asio::co_spawn(io_, ReadAll(agent, master, path, bytes),
                 [alive = alive_, done = std::move(done)](std::exception_ptr,
                                                          absl::StatusOr<std::string> value) {
                   if (*alive) done(std::move(value));
                 });
}

}  // namespace kartograph::executor::mesos
