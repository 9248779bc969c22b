// A graph's progress for a person: one line redrawn on a terminal, a few plain lines in a pipe.
#ifndef KARTOGRAPH_CLI_PROGRESS_H_
#define KARTOGRAPH_CLI_PROGRESS_H_

#include <cstdint>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "base/clock.h"
#include "cli/terminal.h"

namespace kartograph::cli {

// What a line shows.
struct ProgressState {
  std::string name;
  v1::TaskCounts counts;
  absl::Duration elapsed;
  std::vector<std::string> running;  // the oldest first; may be fewer than counts.running()
  std::string notice;                // shown instead of the running tasks
};

struct LineStyle {
  int width = 80;  // columns; the line takes at most one less
  bool color = false;
  bool unicode = false;
};

// The line that is redrawn, without newline: name, bar, share, counts, time, running tasks. What
// has no room is shortened or left out, the least important first.
std::string RenderLine(const ProgressState& state, const LineStyle& style);
// "0:42 map_release: 118 of 226 done, 4 running, 1 failed".
std::string RenderPlain(const ProgressState& state);

// Follows a graph's changes and writes what should be seen. Time is what the caller says it is: the
// steady clock paces what is written, the wall clock is compared with the service's times.
// Used by one thread.
class Progress {
 public:
  // `write` gets text to be shown at once. `started`: where elapsed time counts from; InfinitePast
  // for the graph's submission.
  Progress(Terminal terminal, absl::Time started, std::function<void(absl::string_view)> write);

  void Update(const v1::WatchGraphResponse& update, const Instant& now);
  // Which tasks run, where changes before this moment were not seen.
  void SetRunning(const std::vector<std::string>& names);
  // Shown until it is set to empty.
  void SetNotice(absl::string_view notice, const Instant& now);
  // To be called several times a second: redraws what time alone changes.
  void Tick(const Instant& now);
  // Leaves the redrawn line in its last state; in a pipe, prints that state if it was not printed
  // yet.
  void Finish(const Instant& now);

 private:
  void Show(const Instant& now);
  void Say(absl::string_view line);
  void SayFailure(const v1::WatchGraphResponse::Change& change);
  ProgressState StateAt(const Instant& now);

  const Terminal terminal_;
  const absl::Time started_;
  const std::function<void(absl::string_view)> write_;
  v1::Graph graph_;
  bool known_ = false;  // whether graph_ is set
  std::string notice_;
  absl::Duration elapsed_;                   // what was shown: time never goes back
  std::map<uint64_t, std::string> running_;  // by order of starting
  absl::flat_hash_map<std::string, uint64_t> running_order_;  // the same, by name
  uint64_t next_order_ = 0;
  int failures_said_ = 0;
  bool changed_ = false;  // since something was shown
  bool line_drawn_ = false;
  SteadyTime shown_ = SteadyTime::InfinitePast();
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_PROGRESS_H_
