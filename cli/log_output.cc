#include "cli/log_output.h"

#include <algorithm>
#include <atomic>
#include <optional>
#include <thread>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "cli/patience.h"

namespace kartograph::cli {
namespace {

constexpr int64_t kFirstTailBytes = 64 << 10;
constexpr int64_t kMostTailBytes = 64 << 20;
constexpr absl::Duration kTick = absl::Milliseconds(100);

size_t IndexOf(v1::LogStream stream) { return stream == v1::LOG_STREAM_STDERR ? 1 : 0; }

// Where the last `lines` lines of `text` begin; nothing where it has fewer.
std::optional<size_t> StartOfLastLines(absl::string_view text, int lines) {
  if (lines == 0) return text.size();
  size_t end = text.size();
  if (end > 0 && text[end - 1] == '\n') --end;  // it ends the last line
  for (;; --lines) {
    const size_t newline = end == 0 ? absl::string_view::npos : text.rfind('\n', end - 1);
    if (newline == absl::string_view::npos) return std::nullopt;
    if (lines == 1) return newline + 1;
    end = newline;
  }
}

// The last lines of what is there now.
absl::StatusOr<v1::ReadLogResponse> ReadTail(Client* client, v1::ReadLogRequest request, int lines,
                                             const std::function<bool()>& goes_on) {
  request.set_follow(false);
  request.set_follow_retries(false);
  for (int64_t bytes = kFirstTailBytes;; bytes = std::min(8 * bytes, kMostTailBytes)) {
    request.set_offset(-bytes);
    v1::ReadLogResponse tail;
    const absl::Status status = client->ReadLog(
        request,
        [&](const v1::ReadLogResponse& part) {
          if (tail.data().empty()) tail.set_offset(part.offset());
          tail.set_attempt(part.attempt());
          tail.mutable_data()->append(part.data());
          return goes_on();
        },
        goes_on);
    if (!status.ok()) return status;
    std::optional<size_t> start = StartOfLastLines(tail.data(), lines);
    if (!start && tail.offset() > 0 && bytes < kMostTailBytes && goes_on()) continue;
    tail.set_offset(tail.offset() + static_cast<int64_t>(start.value_or(0)));
    tail.mutable_data()->erase(0, start.value_or(0));
    return tail;
  }
}

}  // namespace

void LogOutput::Print(v1::LogStream stream, int attempt, absl::string_view text) {
  const MutexLock lock(&mutex_);
  news_[IndexOf(stream)] = true;
  if (attempt_ != 0 && attempt != attempt_) {
    *context_.err << "==> " << task_ << ", attempt " << attempt << " <==\n";
  }
  attempt_ = attempt;
  bytes_ += static_cast<int64_t>(text.size());
  if (!text.empty()) at_line_start_ = text.back() == '\n';
  std::ostream* const out = stream == v1::LOG_STREAM_STDERR ? err_ : out_;
  out->write(text.data(), static_cast<std::streamsize>(text.size()));
  out->flush();
}

void LogOutput::ServiceIsAway(v1::LogStream stream) {
  const MutexLock lock(&mutex_);
  if (!news_[IndexOf(stream)]) return;
  news_[0] = news_[1] = false;
  *context_.err << "kartograph: the service is unavailable, trying again" << std::endl;
}

bool LogOutput::writable() const {
  const MutexLock lock(&mutex_);
  return out_->good() && err_->good() && context_.out_terminal.has_reader();
}

int LogOutput::attempt() const {
  const MutexLock lock(&mutex_);
  return attempt_;
}

int64_t LogOutput::bytes() const {
  const MutexLock lock(&mutex_);
  return bytes_;
}

bool LogOutput::at_line_start() const {
  const MutexLock lock(&mutex_);
  return at_line_start_;
}

absl::Status ReadTaskLog(const Context& context, Client* client, const LogRead& read,
                         v1::LogStream stream, const OnLogPart& on_part,
                         const std::function<void()>& on_away,
                         const std::function<bool()>& goes_on) {
  v1::ReadLogRequest request;
  request.set_graph_id(read.graph_id);
  request.set_task_name(read.task);
  request.set_attempt(read.attempt);
  request.set_stream(stream);
  request.set_follow(read.follow);
  request.set_follow_retries(read.follow && read.attempt == 0);
  const auto take = [&](const v1::ReadLogResponse& part) {
    const int attempt =
        part.attempt() != 0 ? part.attempt() : request.attempt();  // 0: an older service's
    on_part(attempt, part);
    // Where to go on.
    request.set_attempt(attempt);
    request.set_offset(part.offset() + static_cast<int64_t>(part.data().size()));
  };
  if (read.tail >= 0) {
    const absl::StatusOr<v1::ReadLogResponse> tail = ReadTail(client, request, read.tail, goes_on);
    // What has not been launched has no end yet, but can be followed.
    const bool not_yet = read.follow && absl::IsNotFound(tail.status());
    if (!tail.ok() && !not_yet) return tail.status();
    if (tail.ok() && tail->attempt() != 0) take(*tail);
    if (!read.follow) return absl::OkStatus();
  }
  Patience patience(context.patience);
  while (true) {
    absl::Status status = client->ReadLog(
        request,
        [&](const v1::ReadLogResponse& part) {
          patience.Renew();
          take(part);
          return goes_on();
        },
        goes_on);
    if (!read.follow || !IsAway(status)) return status;
    on_away();
    if (!patience.Pause(goes_on)) return goes_on() ? status : absl::OkStatus();
  }
}

absl::Status FollowBothStreams(const Context& context, const LogRead& read, LogOutput* output,
                               const std::function<bool()>& goes_on) {
  const auto follow = [&](Client* client, v1::LogStream stream,
                          const std::function<bool()>& stream_goes_on) {
    return ReadTaskLog(
        context, client, read, stream,
        [&](int attempt, const v1::ReadLogResponse& part) {
          output->Print(stream, attempt, part.data());
        },
        [&] { output->ServiceIsAway(stream); },
        [&] { return output->writable() && stream_goes_on(); });
  };
  std::atomic<bool> stop = false;
  std::atomic<bool> ended = false;
  absl::Status of_stderr;
  std::thread other([&] {
    Client client(context.client->options());
    of_stderr = follow(&client, v1::LOG_STREAM_STDERR, [&] { return !stop; });
    ended = true;
  });
  absl::Status status = follow(context.client, v1::LOG_STREAM_STDOUT, goes_on);
  while (!ended) {
    if (!goes_on()) stop = true;
    absl::SleepFor(kTick);
  }
  other.join();
  return status.ok() ? of_stderr : status;
}

}  // namespace kartograph::cli
