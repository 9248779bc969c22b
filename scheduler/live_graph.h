// One graph that is not final, as the core holds it: bytes a task, not kilobytes.
#ifndef KARTOGRAPH_SCHEDULER_LIVE_GRAPH_H_
#define KARTOGRAPH_SCHEDULER_LIVE_GRAPH_H_

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/inlined_vector.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/cap.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "planner/task_graph.h"
#include "planner/task_policy.h"
#include "scheduler/graph_kinds.h"
#include "scheduler/snapshot.h"
#include "storage/records.h"

namespace kartograph::scheduler {

struct LiveTask {
  planner::TaskState state = planner::TaskState::kWaiting;
  // A cancel was asked for while an attempt was alive; the task is final when that has ended.
  bool cancelling = false;
  // Ready, but its back-off has not passed.
  bool delayed = false;
  // It goes to another agent than the one where its last attempt failed,
  bool relocated : 1 = false;
  // as its program could not be started there.
  bool not_started : 1 = false;
  uint16_t launches = 0;         // attempts ever made, and the number of the newest
  uint16_t attempts_before = 0;  // of these, made before the task was reset for a retry
  uint16_t spent = 0;            // attempts that count against max_attempts
  uint16_t losses = 0;           // attempts that were lost together with their agent
  uint32_t pending = 0;          // predecessors that have not succeeded yet
  uint32_t rank = 1;             // what goes first: see PreparedGraph
  int32_t priority = 0;
  planner::Packer::ClassId consumption = 0;
  uint32_t policy = 0;  // index into LiveGraph::policies

  // It may be what ends its agents, so it is launched alone. Once is an accident.
  static constexpr int kSuspectAfter = 2;
  bool suspect() const { return losses >= kSuspectAfter; }
  // Attempts since the last retry that do not count, as they did not end by the task's own doing.
  int unspent() const { return launches - attempts_before - spent; }
};
// A million queued tasks cost megabytes.
static_assert(sizeof(LiveTask) <= 32);

// Work on a whole graph that takes more than one batch, and how far it is. In this order: resets
// are written, tasks are skipped, ranked anew, then made ready; or all are cancelled.
struct GraphProgress {
  std::vector<planner::TaskIndex> reset;
  size_t next_reset = 0;
  struct Skip {
    planner::TaskIndex task;
    planner::TaskIndex because;  // this one did not succeed
  };
  std::vector<Skip> skip;  // the last comes first
  std::vector<planner::TaskIndex> ready;
  size_t next_ready = 0;
  absl::flat_hash_map<planner::TaskIndex, absl::Time> failed_at;  // as in PreparedGraph
  // New ranks.
  std::vector<std::pair<planner::TaskIndex, uint32_t>> ranks;
  size_t next_rank = 0;
  planner::TaskIndex next_cancel = 0;

  bool resetting() const { return next_reset < reset.size(); }
};

// Tasks of one consumption that are not final.
struct UnfinishedTasks {
  int64_t tasks = 0;
  // What is expected of those of which that is known (GraphKinds), and how many are not.
  int64_t known_us = 0;
  int64_t unknown = 0;

  void Count(int64_t expected_us, int64_t change) {
    tasks += change;
    known_us += change * expected_us;
    unknown += expected_us == 0 ? change : 0;
  }
  UnfinishedTasks& operator+=(const UnfinishedTasks& other) {
    tasks += other.tasks;
    known_us += other.known_us;
    unknown += other.unknown;
    return *this;
  }
  bool operator==(const UnfinishedTasks&) const = default;
};

struct LiveGraph {
  planner::GraphId id = 0;
  std::string name;
  std::string client_queue;
  bool fail_fast = false;
  bool open = false;
  // While it is open: closes when its tasks have ended and none was added for so long.
  absl::Duration open_until_idle = absl::InfiniteDuration();
  SteadyTime closes = SteadyTime::InfiniteFuture();  // it is idle, and closes then
  bool deliver_end = false;                          // to its client queue
  std::string details;                               // as in storage::GraphSubmitted
  std::string user;                                  // likewise
  std::string share;                                 // likewise
  planner::Cap cap;                                  // likewise
  planner::FairShare::Account account = 0;           // that it is charged to
  absl::Time submit_time;

  std::vector<LiveTask> tasks;
  std::vector<planner::TaskPolicy> policies;  // each distinct one once
  planner::Adjacency predecessors;
  planner::Adjacency successors;  // of the tasks known when it was built
  // Successors among tasks that were added to the open graph later.
  absl::flat_hash_map<planner::TaskIndex, std::vector<planner::TaskIndex>> later_successors;
  // Why these tasks are being cancelled, until their attempts have ended.
  absl::flat_hash_map<planner::TaskIndex, std::string> cancel_reasons;
  // What its tasks consume, and what is left to do of those: for as long as the graph lives, these
  // are in use.
  absl::flat_hash_map<planner::Packer::ClassId, UnfinishedTasks> consumptions;
  GraphKinds kinds;
  // How ranks are counted: the microseconds, weighed by what is consumed, of one.
  double rank_unit = 1000;
  // What is assumed of tasks of which nothing is known.
  double unknown_us = 30e6;
  TaskCounts counts;
  int64_t unfinished = 0;  // tasks that are not final
  // For its score: when it was submitted, by the steady clock, or so long before a restart.
  SteadyTime submitted;
  int64_t scored = 0;  // how many were unfinished when the score was last computed
  // kCancelling or kFailingFast: nothing of it is launched any more.
  storage::GraphWork work = storage::GraphWork::kNone;
  std::string cancel_reason;                // while it is cancelled
  std::unique_ptr<GraphProgress> progress;  // null: nothing is left to do

  planner::TaskKey key(planner::TaskIndex task) const { return planner::TaskKey::Of(id, task); }
  planner::ReadyKey ready_key(planner::TaskIndex task) const {
    return {tasks[task].priority, tasks[task].rank, key(task)};
  }
  absl::string_view task_name(planner::TaskIndex task) const {
    return absl::string_view(names_).substr(name_ends_[task],
                                            name_ends_[task + 1] - name_ends_[task]);
  }
  // Adds the next task's name.
  void AppendName(absl::string_view task_name) {
    names_.append(task_name.data(), task_name.size());
    name_ends_.push_back(static_cast<uint32_t>(names_.size()));
  }
  const planner::TaskPolicy& policy(planner::TaskIndex task) const {
    return policies[tasks[task].policy];
  }
  bool cancelling() const {
    return work == storage::GraphWork::kCancelling || work == storage::GraphWork::kFailingFast;
  }
  uint32_t InternPolicy(const planner::TaskPolicy& policy);
  // Remembers which resources its tasks ask for.
  void AddResources(const planner::ResourceVector& consumption);
  // How many different ones they would be with these.
  size_t CountResourcesWith(const planner::ResourceVector& consumption) const;
  template <typename F>
  void ForEachSuccessor(planner::TaskIndex task, F f) const {
    if (task < successors.size()) {
      for (planner::TaskIndex next : successors[task]) f(next);
    }
    if (auto it = later_successors.find(task); it != later_successors.end()) {
      for (planner::TaskIndex next : it->second) f(next);
    }
  }
  // What its tasks say of a graph whose tasks are all final.
  planner::GraphState FinalState() const;

 private:
  std::string names_;  // all names, one after the other
  std::vector<uint32_t> name_ends_ = {0};
  absl::InlinedVector<planner::Resource, 4> resources_;  // each once
};

GraphSnapshot SnapshotOf(const LiveGraph& graph);

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_LIVE_GRAPH_H_
