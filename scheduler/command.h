// What the scheduler is asked to do. A new call is one alternative of Command and one function of
// the engine.
#ifndef KARTOGRAPH_SCHEDULER_COMMAND_H_
#define KARTOGRAPH_SCHEDULER_COMMAND_H_

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/fair_share.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/submission.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// --- writes ---
//
// A write with a request id seen before is answered as the first time; an empty id is never
// remembered. kKind and the digest tell apart calls that share an id by mistake; they are stored
// with the answer.
struct RequestId {
  RequestId() = default;
  // NOLINTBEGIN(google-explicit-constructor): an id without a digest is any text
  RequestId(std::string text) : id(std::move(text)) {}
  RequestId(const char* text) : id(text) {}
  // NOLINTEND(google-explicit-constructor)
  RequestId(std::string text, uint64_t content) : id(std::move(text)), digest(content) {}
  bool empty() const { return id.empty(); }

  std::string id;
  uint64_t digest = 0;  // of what the request says beside its id; 0: it is not compared
};

// Replies with the graph's id. Problems: repeated or unknown names, cycles, tasks that no agent and
// pool could ever satisfy. ResourceExhausted: too many tasks.
struct SubmitGraph {
  static constexpr absl::string_view kKind = "submit";
  RequestId request_id;
  PreparedGraph graph;
};

// Adds tasks to an open graph, all or none, and replies with the key of the first, which those of
// the others follow; they may come after each other. FailedPrecondition where the graph is closed
// or final, AlreadyExists where it has a task of the same name.
struct AddTasks {
  static constexpr absl::string_view kKind = "add";
  RequestId request_id;
  planner::GraphId graph = 0;
  std::vector<TaskSubmission> tasks;
};

struct CloseGraph {
  static constexpr absl::string_view kKind = "close";
  RequestId request_id;
  planner::GraphId graph = 0;
};

// Replies with the number of tasks that were not final.
struct CancelGraph {
  static constexpr absl::string_view kKind = "cancel";
  RequestId request_id;
  planner::GraphId graph = 0;
};
// Replies with the same of these tasks, and with how many others will be skipped. NotFound where
// one is not there; then nothing is cancelled.
struct CancelTasks {
  static constexpr absl::string_view kKind = "cancel";
  RequestId request_id;
  planner::GraphId graph = 0;
  std::vector<std::string> task_names;
};

// Replies with the number of tasks that run again. With names, these and what was skipped because
// of them, also while the graph runs; without, everything that did not succeed, and
// FailedPrecondition while it runs.
struct RetryTasks {
  static constexpr absl::string_view kKind = "retry";
  RequestId request_id;
  planner::GraphId graph = 0;
  std::vector<std::string> task_names = {};
};

// Takes a graph that has ended out of the history. FailedPrecondition while it runs, or where a
// delivery of it is not acknowledged.
struct ForgetGraph {
  static constexpr absl::string_view kKind = "forget";
  RequestId request_id;
  planner::GraphId graph = 0;
};

// Acknowledges everything that is in a client's queue now; replies with how much that was.
struct DeleteQueue {
  static constexpr absl::string_view kKind = "delete queue";
  RequestId request_id;
  std::string client_queue;
};

// Sets the capacity of a pool at run time, or without one takes back what was set; makes the pool
// where there is none. Replies with the capacity in thousandths, 0 where the pool is gone, and as
// `before` with the former one. InvalidArgument: cpu and ram are no pools, a name that is none.
// FailedPrecondition as Core::SetPools; ResourceExhausted: too many pools.
struct SetPool {
  static constexpr absl::string_view kKind = "pool";
  RequestId request_id;
  std::string pool;
  std::optional<planner::Quantity> capacity;  // not zero
  std::string by = {};                        // who asks, as far as that is known
};

// --- the others ---

// A pool whose capacity is another now; for the log.
struct PoolChange {
  std::string pool;
  planner::Quantity before;  // zero: it is new
  planner::Quantity after;   // zero: it is gone
  std::string by;
  bool overruled = false;  // what was set at run time is over, as the setting was changed
};

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

// The settings that take effect while it runs. FailedPrecondition as Core::SetPools.
struct Reconfigure {
  planner::ResourceVector pools;  // all that the settings have
  int slots = 0;
  Retention retention;
  planner::FairShare::Weights weights = {};
  planner::FairShare::Caps caps = {};
  absl::Duration preempt_after = absl::InfiniteDuration();
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
  int64_t call = 0;                     // for StopWaiting; zero: it will not be stopped
};

// Ends the waiting of the PopFinished of this `call`, which replies with Cancelled: whoever asked
// is gone. One that has been answered is left alone, and one whose acknowledgements are still being
// written waits until its deadline.
struct StopWaiting {
  std::string client_queue;
  int64_t call = 0;
};

using Command =
    std::variant<SubmitGraph, AddTasks, CloseGraph, CancelGraph, CancelTasks, RetryTasks,
                 ForgetGraph, DeleteQueue, SetPool, Reconfigure, PopFinished, StopWaiting>;

struct Reply {
  int64_t number = 0;                         // of a write; each says what it counts or names
  int64_t skipped = 0;                        // of CancelTasks
  int64_t before() const { return skipped; }  // of SetPool
  std::vector<storage::Finished> finished = {};

  planner::GraphId graph() const { return static_cast<planner::GraphId>(number); }
  planner::TaskKey task() const { return {static_cast<uint64_t>(number)}; }
};

using Done = std::function<void(absl::StatusOr<Reply>)>;

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_COMMAND_H_
