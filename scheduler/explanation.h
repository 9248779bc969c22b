// What a task waits for, as plain values.
#ifndef KARTOGRAPH_SCHEDULER_EXPLANATION_H_
#define KARTOGRAPH_SCHEDULER_EXPLANATION_H_

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
#include "planner/spread.h"
#include "planner/states.h"
#include "scheduler/agent_obstacle.h"

namespace kartograph::scheduler {

// Times are by the wall clock. Lists name a few, kMostNamed at most, beside the count of all.

struct NamedTask {
  planner::TaskKey task;
  std::string name;
};

// An attempt that holds something that is waited for.
struct Holder {
  NamedTask task;
  uint32_t attempt = 0;
  std::string agent;           // its name
  planner::Quantity quantity;  // of what is waited for
  absl::Time since;            // it was launched
  // Until it is expected to end; none where no such task has ended yet, or its agent is out of
  // reach.
  std::optional<absl::Duration> remaining;
};
struct Holders {
  std::vector<Holder> first;  // those that hold the most
  int64_t count = 0;
};

// --- reasons ---

// A task before it that has not succeeded.
struct Dependency {
  NamedTask task;
  planner::TaskState state = planner::TaskState::kWaiting;
  absl::Time since = absl::InfinitePast();  // it was launched, where it was
  std::string agent;                        // it is on
  std::optional<absl::Duration> remaining;  // as in Holder
};
struct WaitsForTasks {
  std::vector<Dependency> tasks;
  int64_t count = 0;
  // Where the first of them waits for others itself: what is at the beginning of that chain, as far
  // as it was followed.
  std::optional<Dependency> root;
};
// Nothing is in its way: it starts with the next plan.
struct AboutToStart {};
// Work on the whole graph comes first: its tasks are being made ready, or reset.
struct AboutToBeReady {};
// Before it is tried again.
struct BacksOff {
  absl::Time until;
  int attempt = 0;  // the number of the next one; 0: none was spent, as it was not the task's fault
  int max_attempts = 0;
  bool retried = false;  // these count since it was retried
};
struct ServiceStops {};
struct ClusterAway {
  std::string reason;  // may be empty
};
struct NothingOffered {};
// Too few units are free.
struct PoolShort {
  planner::Resource pool;
  planner::Quantity need;
  planner::Quantity capacity;
  planner::Quantity free;  // less than nothing where the pool was made smaller
  Holders holders;
};
// Units are free, but reserved for what goes first.
struct PoolKept {
  planner::Resource pool;
  planner::Quantity need;
  planner::Quantity capacity;
  planner::Quantity free;
  NamedTask kept_for;
};
// Its graph, or who it is charged to, holds as much as it may.
struct AtLimit {
  bool of_graph = false;
  std::string account;  // otherwise: its name, as AccountName has it
  planner::AtCap at;
};
// It needs more than there is.
struct NeverFits {
  bool is_pool = false;
  planner::ResourceVector need;               // of an agent, or of the pool
  std::optional<planner::Resource> resource;  // none: each would do, but not together
  planner::Quantity most;
};
// No agent can have it now.
struct NoAgent {
  planner::ResourceVector need;
  // How many agents each obstacle rules out, the most frequent first.
  std::vector<std::pair<AgentObstacle, int64_t>> agents;
  // How many connected agents do not meet each of its constraints, in words, most first.
  std::vector<std::pair<std::string, int64_t>> constraints;
  bool leases = false;  // the cluster leaves what is free to us; otherwise it makes offers

  struct Shortage {
    planner::Resource resource;
    planner::Quantity need;
    planner::Quantity free;
    planner::Quantity capacity;
  };
  // The agent on which it is expected to fit first, and what is in its way there.
  struct Agent {
    std::string name;
    AgentObstacle obstacle = AgentObstacle::kNone;
    std::vector<Shortage> shortages;  // kLacks; those of which the greatest part is missing first
    // kLacks: of the first of these; kNoSlot and kBusy: of slots; kSpread: of the group.
    Holders holders;
    planner::Spread spread;                     // kSpread
    int slots = 0;                              // kNoSlot
    std::string failure;                        // kFailing: what it said; kClosed: why; and
    bool suspected = false;                     // kFailing: it did not say so itself
    std::optional<absl::Time> set_aside_until;  // none: it gets one attempt at a time
    absl::Time unavailable_from = absl::InfiniteFuture();  // kLeaves
    absl::Duration expected;                               // kLeaves: how long it would run
    std::optional<NamedTask> kept_for;                     // kKept; kAlone: none while it empties
  };
  std::optional<Agent> best;
};
// Room is kept for this task.
struct AgentReserved {
  std::string agent;
};
struct PoolsReserved {};
// How it is launched, beside what it waits for.
struct LaunchedAlone {
  int losses = 0;
};
struct AvoidsAgent {
  std::string agent;
  bool not_started = false;  // its program could not be started there; otherwise it failed there
};
// It has an attempt.
struct InAgentBacklog {
  std::string agent;
};
struct BeingStarted {
  std::string agent;
  absl::Time since;
};
struct BeingCancelled {};
// Of an attempt whose cluster is away.
struct FateUnknown {
  bool runs = false;   // as far as is known
  std::string reason;  // may be empty
};
// Several attempts ended without its doing, beside what it waits for.
struct EndedInVain {
  int attempts = 0;
  std::string last;  // how the last one ended
};
// What it waits for though it runs, for people.
struct RunsWith {
  std::string note;
};
struct OutOfReach {
  std::string agent;
  absl::Time since;
};
struct IsRunning {
  std::string agent;
  absl::Time since;
  uint32_t attempt = 0;
  std::optional<absl::Duration> remaining;  // as in Holder
};

using Reason =
    std::variant<WaitsForTasks, AboutToStart, AboutToBeReady, BacksOff, ServiceStops, ClusterAway,
                 NothingOffered, AtLimit, PoolShort, PoolKept, NeverFits, NoAgent, AgentReserved,
                 PoolsReserved, LaunchedAlone, AvoidsAgent, InAgentBacklog, BeingStarted,
                 BeingCancelled, FateUnknown, OutOfReach, IsRunning, EndedInVain, RunsWith>;

// --- what goes first ---

// By what a ready task goes before another; the first difference counts.
enum class GoesFirstBy : uint8_t {
  kShare,  // its user, or the share that its graph names, holds less of what is due
  kPriority,
  kGraph,  // its graph is older, or smaller, or nearer to its end: planner::Score
  kPath,   // more comes after it in the graph
  kAge,    // it was submitted earlier
};
struct Ahead {
  struct Task {
    NamedTask task;
    GoesFirstBy by = GoesFirstBy::kPriority;
    int32_t priority = 0;
    std::string account;  // kShare: who that is; empty: the service's own user
  };
  std::vector<Task> first;  // in order
  int64_t count = 0;
  bool at_least = false;  // `count` and perhaps more
};

struct ExpectedStart {
  std::optional<absl::Duration> within;
  std::string unknown;  // for people: why it is not known; empty where it is, or has no meaning
};

struct Explanation {
  static constexpr size_t kMostNamed = 5;
  // Beyond these, tasks that go first are not counted.
  static constexpr size_t kMostCounted = 10000;

  NamedTask task;
  planner::TaskState state = planner::TaskState::kWaiting;
  // What it waits for, the first first: where that is removed, the next counts. Empty for what is
  // final.
  std::vector<Reason> reasons;
  // Of a ready task: of those that want something of what it lacks.
  Ahead ahead;
  ExpectedStart expected;

  template <typename R>
  const R* Get() const {
    for (const Reason& reason : reasons) {
      if (const R* found = std::get_if<R>(&reason)) return found;
    }
    return nullptr;
  }
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_EXPLANATION_H_
