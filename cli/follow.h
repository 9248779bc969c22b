// Following a graph to its end, over losses of the connection and restarts of the service.
#ifndef KARTOGRAPH_CLI_FOLLOW_H_
#define KARTOGRAPH_CLI_FOLLOW_H_

#include <ostream>
#include <string>

#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
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

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_FOLLOW_H_
