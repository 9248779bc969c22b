// What is written into the run history: the scheduler's steps as plain values.
#ifndef KARTOGRAPH_STORAGE_RECORDS_H_
#define KARTOGRAPH_STORAGE_RECORDS_H_

#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/time/time.h"
#include "planner/cap.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "planner/task_policy.h"

namespace kartograph::storage {

// Work on a whole graph that takes more than one commit. It is written with the first of them, so
// that a restart goes on with it. The numbers are stored; they never change.
enum class GraphWork : uint8_t {
  kNone = 0,
  kSubmitting = 1,   // its tasks are being written; it is hidden, and after a crash it is removed
  kRetrying = 2,     // tasks that did not succeed are being reset
  kCancelling = 3,   // tasks that are not final are being cancelled, on request
  kFailingFast = 4,  // the same, because a task failed
  kRemoving = 5,     // it is being removed, and hidden
};
inline constexpr int kGraphWorks = 6;

// Names and values that lists are filtered by, in order of names; each name once.
using Labels = std::vector<std::pair<std::string, std::string>>;

// A new graph, running.
struct GraphSubmitted {
  planner::GraphId graph = 0;
  std::string name;
  std::string client_queue;
  bool fail_fast = false;
  bool open = false;
  absl::Time submit_time;
  // kSubmitting: its tasks come in later commits, and a GraphChanged when all are there.
  GraphWork work = GraphWork::kNone;
  // An open one closes by itself when its tasks have ended and none was added for so long.
  absl::Duration open_until_idle = absl::InfiniteDuration();
  bool deliver_end = false;  // its end is a delivery as well
  Labels labels = {};
  std::string details = {};  // what else its client has said of it; opaque
  std::string user = {};     // who submitted it; empty: the service's own user
  std::string share = {};    // what it is charged to; empty: its user
  planner::Cap cap = {};     // what it holds at once, at most
};

// An open graph was closed, ended, runs again, or work on it began or ended.
struct GraphChanged {
  planner::GraphId graph = 0;
  planner::GraphState state = planner::GraphState::kRunning;
  bool open = false;
  absl::Time end_time = absl::InfiniteFuture();  // finite exactly when the state is final
  GraphWork work = GraphWork::kNone;
};

// A new task of a graph submitted before. Times are rounded to microseconds.
struct TaskSubmitted {
  planner::TaskKey task;
  std::string name;
  std::string payload;  // opaque
  planner::ResourceVector consumption;
  std::vector<planner::TaskIndex> after;  // in the same graph
  planner::TaskPolicy policy;
  int32_t priority = 0;
  std::string details = {};  // what else its client has said of it; opaque
  // Blobs that it reads: they are kept for as long as its graph.
  std::vector<std::string> blobs = {};
  // How long its client expects it to take; zero: nothing was said.
  absl::Duration expected_duration = absl::ZeroDuration();
};

// Written before the launch is sent to the cluster.
struct AttemptLaunched {
  planner::AttemptId attempt;
  std::string agent;       // AgentId
  std::string agent_name;  // for people
  absl::Time launch_time;
};

struct AttemptEnded {
  planner::AttemptId attempt;
  planner::Outcome outcome = planner::Outcome::kNone;
  int32_t exit_status = 0;
  int32_t signal = 0;
  std::string message;
  absl::Time start_time = absl::InfinitePast();  // InfinitePast: it never started
  absl::Time end_time;
  uint64_t peak_ram_bytes = 0;
  absl::Duration cpu_time;
  absl::Duration wall_time;
  std::string return_value;
  bool has_value = false;  // it wrote a return value, which may have no bytes
};

// The task is final.
struct TaskEnded {
  planner::TaskKey task;
  planner::TaskState state = planner::TaskState::kSucceeded;
  absl::Time end_time;
  std::string reason;  // empty for a success
  // It is written as cancelled since that was asked for, and ended otherwise all the same.
  bool replaces_cancelled = false;
};

// The task is not final any more: it runs again. Attempts up to this number do not count against
// max_attempts.
struct TaskReset {
  planner::TaskKey task;
  uint32_t attempts_before = 0;
};

// A finished task waits for its client. Delivery ids grow.
struct FinishedQueued {
  std::string client_queue;
  int64_t delivery_id = 0;
  planner::TaskKey task;
};
// So does the end of a graph.
struct GraphEndQueued {
  std::string client_queue;
  int64_t delivery_id = 0;
  planner::GraphId graph = 0;
};
// The client has it; unknown ids are ignored.
struct FinishedAcknowledged {
  std::string client_queue;
  int64_t delivery_id = 0;
};

// The answer to a write, for when it is repeated. `answer` is opaque.
struct RequestAnswered {
  std::string request_id;
  std::string answer;
  absl::Time time;
};

// How far the clock of retention is. The newest stays, also where it is an earlier time.
struct RetentionTime {
  absl::Time time;
};

// The capacity of a pool was set at run time. The newest of each pool is in force.
struct PoolChanged {
  std::string pool;
  std::optional<planner::Quantity> capacity;  // none: it is as in the settings again
  planner::Quantity setting;                  // what the settings said then; zero: nothing
  absl::Time time;
  std::string by;  // who set it, as far as that is known
};

// What the runs of a kind of task have used, in place of what was known of it. A kind is the
// patterns of the names of a graph and a task, and what the task consumes, as text
// (planner/task_kind.h).
struct KindLearnt {
  int64_t id = 0;  // positive; the kind's own
  std::string graph;
  std::string task;
  std::string consumption;
  int64_t runs = 0;
  std::string usage;  // opaque
  absl::Time last_run;
};
// There are too many, and this one ran last longest ago.
struct KindForgotten {
  int64_t id = 0;
};

using Record =
    std::variant<GraphSubmitted, GraphChanged, TaskSubmitted, AttemptLaunched, AttemptEnded,
                 TaskEnded, TaskReset, FinishedQueued, GraphEndQueued, FinishedAcknowledged,
                 RequestAnswered, RetentionTime, PoolChanged, KindLearnt, KindForgotten>;

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_RECORDS_H_
