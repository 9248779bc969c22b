// What attempts wrote, read from the service and printed.
#ifndef KARTOGRAPH_CLI_LOG_OUTPUT_H_
#define KARTOGRAPH_CLI_LOG_OUTPUT_H_

#include <cstdint>
#include <functional>
#include <ostream>
#include <string>
#include <utility>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "base/mutex.h"
#include "cli/commands.h"

namespace kartograph::cli {

// Where the streams of one task go. Thread-safe: both may be followed at once.
class LogOutput {
 public:
  // Each stream has an output of its own, or both the same; they are borrowed. Messages go to the
  // context's `err`.
  LogOutput(const Context& context, std::string task, std::ostream* out, std::ostream* err)
      : context_(context), task_(std::move(task)), out_(out), err_(err) {}

  // Prints a part of what `attempt` wrote to `stream`, after a line that says whose it is where
  // that is not the attempt of the part before.
  void Print(v1::LogStream stream, int attempt, absl::string_view text);
  // Says that the service does not answer, where a part of `stream` came since that was last said:
  // each stream notices the same loss, the later one maybe when the other is back.
  void ServiceIsAway(v1::LogStream stream);
  // Whether anybody can still read what is written.
  bool writable() const;
  // Whether both streams have the same output.
  bool is_one() const { return out_ == err_; }
  // The attempt of the last part; 0: there was none.
  int attempt() const;
  // The bytes that came so far.
  int64_t bytes() const;
  // Whether the last part ended with a whole line.
  bool at_line_start() const;

 private:
  const Context& context_;
  const std::string task_;
  mutable Mutex mutex_;
  std::ostream* const out_;
  std::ostream* const err_;
  int attempt_ ABSL_GUARDED_BY(mutex_) = 0;
  int64_t bytes_ ABSL_GUARDED_BY(mutex_) = 0;
  bool at_line_start_ ABSL_GUARDED_BY(mutex_) = true;
  // Whether it would be news that the service is away: for stdout, for stderr.
  bool news_[2] ABSL_GUARDED_BY(mutex_) = {true, true};
};

struct LogRead {
  std::string graph_id{};
  std::string task{};
  int attempt = 0;  // 0: the last one, or with `follow` all from the last one on
  bool follow = false;
  int tail = -1;  // only the last lines of what is there; -1: everything
};

// Takes one part: of which attempt, and its text.
using OnLogPart = std::function<void(int attempt, const v1::ReadLogResponse& part)>;

// Reads one stream, to its end at this time or with `follow` until the task ends. While following,
// a service that is away is waited for, for the context's patience: `on_away` is called. Ends with
// OK soon after `goes_on` returned false; it is called several times a second, in this thread.
// `client` is used by no other thread meanwhile.
absl::Status ReadTaskLog(const Context& context, Client* client, const LogRead& read,
                         v1::LogStream stream, const OnLogPart& on_part,
                         const std::function<void()>& on_away,
                         const std::function<bool()>& goes_on);

// Follows both streams at once, each by a thread, until the task ends. `goes_on` as above, called
// in the calling thread.
absl::Status FollowBothStreams(const Context& context, const LogRead& read, LogOutput* output,
                               const std::function<bool()>& goes_on);

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_LOG_OUTPUT_H_
