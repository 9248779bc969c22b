// The scheduler's live state, as plain values.
#ifndef KARTOGRAPH_SCHEDULER_SNAPSHOT_H_
#define KARTOGRAPH_SCHEDULER_SNAPSHOT_H_

#include <array>
#include <cstdint>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/cap.h"
#include "planner/fair_share.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "scheduler/end_outlook.h"
#include "scheduler/explanation.h"

namespace kartograph::scheduler {

struct TaskCounts {
  std::array<int64_t, planner::kTaskStates> by_state{};  // index: TaskState
  int64_t total = 0;
};

struct GraphSnapshot {
  planner::GraphId graph = 0;
  std::string name;
  std::string client_queue;
  bool fail_fast = false;
  bool open = false;
  absl::Duration open_until_idle = absl::InfiniteDuration();
  bool deliver_end = false;
  std::string details;  // as in storage::GraphSubmitted
  std::string user;     // likewise
  std::string share;    // likewise
  planner::Cap cap;     // likewise
  planner::GraphState state = planner::GraphState::kRunning;
  TaskCounts counts;
  absl::Time submit_time;
  absl::Time end_time = absl::InfiniteFuture();
};

struct TaskSnapshot {
  planner::TaskKey task;
  planner::TaskState state = planner::TaskState::kWaiting;
  uint32_t attempts = 0;  // launched since the last reset
  // Why it is not running yet, or what is not known of it, in one sentence; empty where there is
  // none, and for final tasks (the history has their reason).
  std::string reason;
};

// What an agent's host last reported about itself; rates are over the time since the previous
// report.
struct HostSnapshot {
  executor::HostReport report;
  std::optional<double> cpu_busy;             // fraction of all its cpus
  std::optional<double> received_per_second;  // bytes
  std::optional<double> sent_per_second;      // bytes
};

struct AgentSnapshot {
  std::string agent;
  std::string name;
  bool connected = false;
  planner::ResourceVector capacity;
  planner::ResourceVector used;
  int attempts = 0;
  std::vector<std::pair<std::string, std::string>> attributes;  // as in executor::Offer
  std::optional<HostSnapshot> host;
  absl::Time unavailable_from = absl::InfiniteFuture();
  std::optional<absl::Time> unreachable_since;  // set: it does not answer
  // It could not start attempts for reasons of its own, and gets none until then.
  std::optional<absl::Time> set_aside_until;
  std::string failure;  // the reason it gave; until it has started one
  std::string closed;   // as in executor::AgentCapacity
};

struct PoolSnapshot {
  std::string name;
  planner::Quantity capacity;
  planner::Quantity used;
  int64_t waiting_tasks = 0;  // ready tasks that wait for this pool
};

// Of a pool whose capacity was set at run time.
struct PoolOverride {
  planner::Quantity setting;  // what the settings say; zero: there is none without this
  absl::Time time;
  std::string by;  // who set it, as far as that is known
};

// One pool in full.
struct PoolExplanation {
  PoolSnapshot pool;
  std::optional<PoolOverride> set;
  Holders holders;
  std::vector<NamedTask> waiting;  // the first ready tasks that want units of it
};

// Consecutive tasks of a graph, in as few bytes as they go into.
struct GraphSlice {
  std::vector<planner::TaskState> states;
  // Of ready tasks: the same for those that wait for the same. 0 for the others.
  std::vector<uint32_t> groups;
  std::vector<size_t> before_ends;         // of each task, where its part of `before` ends
  std::vector<planner::TaskIndex> before;  // the tasks before it

  size_t size() const { return states.size(); }
  void Add(planner::TaskState state, uint32_t group) {
    states.push_back(state);
    groups.push_back(group);
    before_ends.push_back(before.size());
  }
  // Before the task that was added last.
  void AddBefore(planner::TaskIndex task) {
    before.push_back(task);
    ++before_ends.back();
  }
  template <typename F>
  void ForEachBefore(size_t task, F f) const {
    for (size_t i = task == 0 ? 0 : before_ends[task - 1]; i < before_ends[task]; ++i) f(before[i]);
  }
};

struct AttemptSnapshot {
  planner::AttemptId attempt;
  std::string agent;
  std::string agent_name;
  planner::TaskState state = planner::TaskState::kLaunching;
  absl::Time launch_time;
  absl::Time start_time = absl::InfinitePast();
  absl::Time unreachable_since = absl::InfiniteFuture();  // finite: its agent cannot be reached
  planner::ResourceVector consumption;
};

struct ClusterSnapshot {
  bool connected = false;
  std::string disconnect_reason;      // where it is not; may be empty
  std::vector<AgentSnapshot> agents;  // at most the number asked for
  int64_t agent_count = 0;
  std::vector<PoolSnapshot> pools;
  std::vector<AttemptSnapshot> attempts;  // the oldest, at most the number asked for
  TaskCounts counts;                      // over all live graphs
};

// Of a user or a named share; see planner::FairShare.
struct ShareSnapshot {
  planner::FairShare::Standing standing;
  double due = 0;  // the part of the cluster that is due to it, among those that have graphs now
};

// Counters since the process started, for metrics.
struct Totals {
  int64_t launched = 0;
  std::array<int64_t, planner::kOutcomes> ended_by_outcome{};  // index: planner::Outcome
  int64_t commits = 0;
  int64_t records = 0;
  absl::Duration commit_time;  // in all
  absl::Duration plan_time;
  int64_t mailbox_high_water = 0;
};

// Read access to the live state. Used on the scheduler's thread only.
class Snapshots {
 public:
  virtual ~Snapshots() = default;
  // Graphs that are not final, by id.
  virtual std::vector<planner::GraphId> LiveGraphs() const = 0;
  // Nothing for a graph that is not live: then the history knows it, if anything does.
  virtual std::optional<GraphSnapshot> Graph(planner::GraphId graph) const = 0;
  // Nothing where the graph is not live or has no such task.
  virtual std::optional<TaskSnapshot> Task(planner::TaskKey task) const = 0;
  // What the task waits for. Looks at every agent, and at thousands of tasks at most; nothing where
  // the graph is not live or has no such task.
  virtual std::optional<Explanation> Explain(planner::TaskKey task, const Instant& now) const = 0;
  // What is left of a live graph, to see when it will end. Nothing where that cannot be told: it is
  // open or being cancelled, more than `max_tasks` of its tasks are not final, or it is not known
  // how long most of them take.
  virtual std::optional<EndOutlook> Outlook(planner::GraphId graph, size_t max_tasks,
                                            const Instant& now) const = 0;
  // The pools by name, each with so many holders and waiting tasks at most.
  virtual std::vector<PoolExplanation> Pools(size_t holders, size_t waiting,
                                             const Instant& now) const = 0;
  // Appends tasks from slice->size() on, so many at most. False where there is no more, or where
  // the graph is not live.
  virtual bool AppendSlice(planner::GraphId graph, size_t limit, GraphSlice* slice) const = 0;
  // Tasks of a live graph from `from` on, in one of `states` (empty: any), at most `limit`.
  virtual std::vector<TaskSnapshot> Tasks(planner::GraphId graph, planner::TaskIndex from,
                                          int limit,
                                          absl::Span<const planner::TaskState> states) const = 0;
  // The attempts of a live task that have not ended.
  virtual std::vector<AttemptSnapshot> Attempts(planner::TaskKey task) const = 0;
  virtual ClusterSnapshot Cluster(int max_agents, int max_attempts) const = 0;
  // Those of which graphs live, or what they had still matters; by name.
  virtual std::vector<ShareSnapshot> Shares() const = 0;
  virtual Totals totals() const = 0;
};

// What one committed batch changed. Made for every batch, so it holds no text: whoever shows a task
// asks for it, during the call.
struct Changes {
  struct Task {
    planner::TaskKey task;
    planner::TaskState state = planner::TaskState::kWaiting;
    uint32_t attempts = 0;
  };
  class Words {
   public:
    virtual ~Words() = default;
    virtual absl::string_view Name(const Task& task) const = 0;
    // As TaskSnapshot::reason, and for final tasks why they ended as they did.
    virtual std::string Reason(const Task& task) const = 0;
  };

  std::vector<Task> tasks;  // each at most once, in its newest state
  std::vector<GraphSnapshot>
      graphs;                    // each graph with a changed task or state, final ones included
  bool cluster = false;          // agents, offers or the connection changed
  const Words* words = nullptr;  // of these tasks; lives as long as the call
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_SNAPSHOT_H_
