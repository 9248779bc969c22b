// Following a graph to its end, over losses of the connection and restarts of the service.
#ifndef KARTOGRAPH_CLI_FOLLOW_H_
#define KARTOGRAPH_CLI_FOLLOW_H_

#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "base/clock.h"
#include "cli/commands.h"

namespace kartograph::cli {

// Shows the graph's progress on `out` (context.out or context.err) until it is final, then a
// summary with each failed task, why, and the end of what it wrote. With context.json progress and
// summary go to context.err, and the final Graph as JSON to context.out. Ctrl-C leaves the graph
// running and says how to go on.
//
// `started`: where elapsed time counts from; InfinitePast for the graph's submission. Gives kDone,
// kNotSucceeded, kUnreachable, kOutputLost or kInterrupted.
int FollowGraph(const Context& context, const std::string& graph_id, std::ostream* out,
                absl::Time started = absl::InfinitePast());

// What FollowGraph says at the end.
void PrintSummary(const Context& context, const v1::Graph& graph, absl::Duration taken,
                  std::ostream* out);

// Pauses between attempts to get a lost service back: a tenth of a second at first, half a second
// at most, until the patience is over or `keep_trying` returns false. Used by one thread.
class Patience {
 public:
  explicit Patience(absl::Duration limit) : limit_(limit) {}
  // To be called whenever the service answered.
  void Renew();
  // Waits a while, calling `keep_trying` several times a second. False: give up.
  template <typename Function>
  bool Pause(const Function& keep_trying) {
    const SteadyTime until = NextAttempt();
    if (until == SteadyTime::InfiniteFuture()) return false;
    do {
      if (!keep_trying()) return false;
    } while (SleepTowards(until));
    return true;
  }

 private:
  // InfiniteFuture where the patience is over.
  SteadyTime NextAttempt();
  // Sleeps a moment; false once `until` has come.
  static bool SleepTowards(SteadyTime until);

  const absl::Duration limit_;
  SteadyTime lost_ = SteadyTime::InfiniteFuture();
  absl::Duration pause_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_FOLLOW_H_
