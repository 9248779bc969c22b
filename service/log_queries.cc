// The part of Queries that reads what attempts have written.
#include <algorithm>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/terminal_text.h"
#include "base/utf8.h"
#include "service/late_answer.h"
#include "service/queries.h"

namespace kartograph::service {
namespace {

constexpr int64_t kTailBytes = 4 << 10;
constexpr int64_t kChunkBytes = 64 << 10;
// Logs are on this machine or one network hop away.
constexpr absl::Duration kReadTimeout = absl::Seconds(10);

}  // namespace

planner::GraphId CheckReadLog(const v1::ReadLogRequest& request, ProblemList& problems) {
  CheckAttemptNumber(request.attempt(), problems);
  if (!v1::LogStream_IsValid(request.stream())) {
    problems.Add("stream", absl::StrCat(static_cast<int>(request.stream())),
                 "must be LOG_STREAM_STDOUT or LOG_STREAM_STDERR");
  }
  return ConvertGraphId(request.graph_id(), problems);
}

executor::LogStream ToLogStream(v1::LogStream stream) {
  return stream == v1::LOG_STREAM_STDERR ? executor::LogStream::kStderr
                                         : executor::LogStream::kStdout;
}

absl::StatusOr<Queries::LogSource> Queries::FindLog(planner::GraphId graph, absl::string_view task,
                                                    int32_t number) {
  const absl::StatusOr<storage::TaskRow> row = history_->GetTask(graph, task);
  if (absl::IsNotFound(row.status())) return NotFoundTask(graph, task);
  if (!row.ok()) return row.status();
  LogSource source;
  source.task = row->task.task;
  source.task_final = row->ended.has_value();
  for (const storage::AttemptRow& attempt : row->attempts) {
    source.newest = attempt.launched.attempt.number();
    const bool is_it =
        number == 0 || attempt.launched.attempt.number() == static_cast<uint32_t>(number);
    if (!is_it) continue;
    source.launched = true;
    source.attempt = attempt.launched.attempt;
    source.agent = attempt.launched.agent;
    source.ended = attempt.ended.outcome != planner::Outcome::kNone;
  }
  return source;
}

absl::Status Queries::NotLaunched(const LogSource& source, absl::string_view task, int32_t number) {
  if (number > 0) {
    return absl::NotFoundError(absl::StrCat("attempt ", number, " of task \"", task, "\" ",
                                            source.task_final ? "was never" : "has not been",
                                            " launched", source.task_final ? "" : " yet"));
  }
  return absl::NotFoundError(absl::StrCat(
      "task \"", task, "\" ",
      source.task_final ? "ended without being launched" : "has not been launched yet"));
}

absl::StatusOr<executor::LogChunk> Queries::ReadChunk(const executor::LogRequest& request) {
  auto answer = std::make_shared<LateAnswer<absl::StatusOr<executor::LogChunk>>>();
  logs_->ReadLog(request, [answer](absl::StatusOr<executor::LogChunk> chunk) {
    answer->Give(std::move(chunk));
  });
  auto chunk = answer->WaitUntil(Clock::System().SteadyNow() + kReadTimeout);
  if (!chunk) return absl::UnavailableError("the agent does not send the log in time; try again");
  return *std::move(chunk);
}

absl::StatusOr<executor::LogChunk> Queries::ReadLog(const v1::ReadLogRequest& request,
                                                    int64_t max_bytes) {
  ProblemList problems;
  const planner::GraphId graph = CheckReadLog(request, problems);
  if (!problems.empty()) return problems.ToStatus();
  const auto source = FindLog(graph, request.task_name(), request.attempt());
  if (!source.ok()) return source.status();
  if (!source->launched) return NotLaunched(*source, request.task_name(), request.attempt());

  executor::LogChunk log;
  log.offset = std::max<int64_t>(request.offset(), 0);
  executor::LogRequest part{.attempt = source->attempt,
                            .agent = source->agent,
                            .stream = ToLogStream(request.stream()),
                            .offset = request.offset()};
  while (static_cast<int64_t>(log.data.size()) < max_bytes) {
    part.max_bytes = std::min(kChunkBytes, max_bytes - static_cast<int64_t>(log.data.size()));
    absl::StatusOr<executor::LogChunk> chunk = ReadChunk(part);
    // An attempt that has only just been launched has written nothing.
    if (absl::IsNotFound(chunk.status()) && !source->ended) break;
    if (!chunk.ok()) return chunk.status();
    // What was cut out from the middle of a log begins an answer, so that its end is where the next
    // one goes on.
    if (!log.data.empty() && chunk->offset != part.offset) break;
    if (log.data.empty()) log.offset = chunk->offset;
    if (chunk->data.empty()) break;
    log.data += chunk->data;
    part.offset = chunk->offset + static_cast<int64_t>(chunk->data.size());
  }
  return log;
}

// The end of what one attempt has written, as it is being read.
struct Queries::Tail {
  executor::LogRequest request;
  LateAnswer<std::string> text;
};

// The end of stderr, or where that is empty of stdout.
void Queries::ReadTail(executor::LogReader* logs, std::shared_ptr<Tail> tail) {
  const executor::LogRequest request = tail->request;
  logs->ReadLog(request, [logs,
                          tail = std::move(tail)](const absl::StatusOr<executor::LogChunk>& chunk) {
    if (chunk.ok() && chunk->data.empty() && tail->request.stream == executor::LogStream::kStderr) {
      tail->request.stream = executor::LogStream::kStdout;
      ReadTail(logs, tail);
      return;
    }
    // A failure without its log is better than no answer.
    tail->text.Give(chunk.ok() ? WithoutOverwritten(ValidUtf8(chunk->data)) : "");
  });
}

std::vector<std::string> Queries::LogTails(
    const std::vector<std::optional<EndedAttempt>>& attempts) {
  std::vector<std::shared_ptr<Tail>> tails;
  for (const std::optional<EndedAttempt>& attempt : attempts) {
    std::shared_ptr<Tail>& tail = tails.emplace_back();
    if (!attempt) continue;
    tail = std::make_shared<Tail>();
    tail->request = {.attempt = attempt->attempt,
                     .agent = attempt->agent,
                     .stream = executor::LogStream::kStderr,
                     .offset = -kTailBytes,
                     .max_bytes = kTailBytes};
    ReadTail(logs_, tail);
  }
  const SteadyTime deadline = Clock::System().SteadyNow() + options_.tails_timeout;
  std::vector<std::string> texts;
  for (const std::shared_ptr<Tail>& tail : tails) {
    texts.push_back(tail == nullptr ? "" : tail->text.WaitUntil(deadline).value_or(""));
  }
  return texts;
}

}  // namespace kartograph::service
