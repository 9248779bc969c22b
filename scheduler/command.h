// What the scheduler is asked to do. A new call is one alternative of Command and one function of
// the engine.
#ifndef KARTOGRAPH_SCHEDULER_COMMAND_H_
#define KARTOGRAPH_SCHEDULER_COMMAND_H_

#include <cstdint>
#include <functional>
#include <string>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "base/clock.h"
#include "planner/ids.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/submission.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// --- writes ---
//
// A write with a request id seen before is answered as the first time; an empty id is never
// remembered. kKind tells apart calls that share an id by mistake; it is stored with the answer.

// Replies with the graph's id. Problems: repeated or unknown names, cycles, tasks that no agent and
// pool could ever satisfy. ResourceExhausted: too many tasks.
struct SubmitGraph {
  static constexpr absl::string_view kKind = "submit";
  std::string request_id;
  PreparedGraph graph;
};

// Adds a task to an open graph and replies with its key. FailedPrecondition where the graph is
// closed or final.
struct AddTask {
  static constexpr absl::string_view kKind = "add";
  std::string request_id;
  planner::GraphId graph = 0;
  TaskSubmission task;
};

struct CloseGraph {
  static constexpr absl::string_view kKind = "close";
  std::string request_id;
  planner::GraphId graph = 0;
};

// Replies with the number of tasks that were not final.
struct CancelGraph {
  static constexpr absl::string_view kKind = "cancel";
  std::string request_id;
  planner::GraphId graph = 0;
};
struct CancelTask {
  static constexpr absl::string_view kKind = "cancel";
  std::string request_id;
  planner::GraphId graph = 0;
  std::string task_name;
};

// Replies with the number of tasks that run again. FailedPrecondition while the graph runs.
struct RetryGraph {
  static constexpr absl::string_view kKind = "retry";
  std::string request_id;
  planner::GraphId graph = 0;
};

// --- the others ---

// Acknowledges, then replies with the oldest deliveries of the queue, at the latest at `deadline`
// (then none).
struct PopFinished {
  std::string client_queue;
  std::vector<int64_t> acknowledge;
  int max_tasks = 0;
  int64_t max_bytes = 0;
  SteadyTime deadline = SteadyTime::InfinitePast();
};

using Command = std::variant<SubmitGraph, AddTask, CloseGraph, CancelGraph, CancelTask, RetryGraph,
                             PopFinished>;

struct Reply {
  int64_t number = 0;  // of a write; each says what it counts or names
  std::vector<storage::Finished> finished;

  planner::GraphId graph() const { return static_cast<planner::GraphId>(number); }
  planner::TaskKey task() const { return {static_cast<uint64_t>(number)}; }
};

using Done = std::function<void(absl::StatusOr<Reply>)>;

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_COMMAND_H_
