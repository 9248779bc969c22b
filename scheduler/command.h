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
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/ids.h"
#include "planner/resources.h"
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
// Replies with the same of these tasks, and with how many others will be skipped. NotFound where
// one is not there; then nothing is cancelled.
struct CancelTasks {
  static constexpr absl::string_view kKind = "cancel";
  std::string request_id;
  planner::GraphId graph = 0;
  std::vector<std::string> task_names;
};

// Replies with the number of tasks that run again. With names, these and what was skipped because
// of them, also while the graph runs; without, everything that did not succeed, and
// FailedPrecondition while it runs.
struct RetryTasks {
  static constexpr absl::string_view kKind = "retry";
  std::string request_id;
  planner::GraphId graph = 0;
  std::vector<std::string> task_names = {};
};

// Takes a graph that has ended out of the history. FailedPrecondition while it runs, or where a
// delivery of it is not acknowledged.
struct ForgetGraph {
  static constexpr absl::string_view kKind = "forget";
  std::string request_id;
  planner::GraphId graph = 0;
};

// Acknowledges everything that is in a client's queue now; replies with how much that was.
struct DeleteQueue {
  static constexpr absl::string_view kKind = "delete queue";
  std::string request_id;
  std::string client_queue;
};

// --- the others ---

// How long, how many of and up to how many bytes of the history ended graphs are kept.
struct Retention {
  absl::Duration age = absl::InfiniteDuration();
  int64_t graphs = INT64_MAX;
  int64_t bytes = INT64_MAX;
  bool limited() const {
    return age != absl::InfiniteDuration() || graphs != INT64_MAX || bytes != INT64_MAX;
  }
};

// Graphs that were taken out of the history together, as all are over one limit.
struct Pruned {
  enum class Limit { kAge, kGraphs, kBytes };
  Limit limit = Limit::kAge;
  std::vector<planner::GraphId> graphs;  // not empty; those that ended first come first
};

// What can be changed while it runs. Problems: a pool that there is not, or one without capacity.
struct Reconfigure {
  planner::ResourceVector pools;  // all of them
  int slots = 0;
  Retention retention;
};

// Acknowledges, releases and renews, then replies with the oldest deliveries of the queue that no
// consumer has a lease of, at the latest at `deadline` (then none). They are leased to this one.
// ResourceExhausted where as many are leased as can be.
struct PopFinished {
  std::string client_queue;
  std::vector<int64_t> acknowledge;
  int max_tasks = 0;  // 0: none are asked for; replies at once
  int64_t max_bytes = 0;
  SteadyTime deadline = SteadyTime::InfinitePast();
  absl::Duration lease = absl::ZeroDuration();  // zero: they go on being offered to everybody
  std::vector<int64_t> release = {};            // offered again at once
  std::vector<int64_t> renew = {};              // leased for `lease` from now on
  std::string consumer = {};
  bool resume = false;                  // everything that this consumer has is released first
  int64_t max_value_bytes = INT64_MAX;  // return values that are larger are left out
};

using Command = std::variant<SubmitGraph, AddTask, CloseGraph, CancelGraph, CancelTasks, RetryTasks,
                             ForgetGraph, DeleteQueue, Reconfigure, PopFinished>;

struct Reply {
  int64_t number = 0;   // of a write; each says what it counts or names
  int64_t skipped = 0;  // of CancelTasks
  std::vector<storage::Finished> finished = {};

  planner::GraphId graph() const { return static_cast<planner::GraphId>(number); }
  planner::TaskKey task() const { return {static_cast<uint64_t>(number)}; }
};

using Done = std::function<void(absl::StatusOr<Reply>)>;

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_COMMAND_H_
