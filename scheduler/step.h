// What the core answers to events: records to write first, then effects to apply.
#ifndef KARTOGRAPH_SCHEDULER_STEP_H_
#define KARTOGRAPH_SCHEDULER_STEP_H_

#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "scheduler/live_graph.h"
#include "scheduler/snapshot.h"
#include "storage/records.h"

namespace kartograph::scheduler {

struct CancelEffect {
  planner::AttemptId attempt;
  executor::AgentId agent;
  absl::Duration grace;
};

// Merged over all events of a batch. The effects are applied only when the records are committed.
struct Step {
  std::vector<storage::Record> records;

  std::vector<executor::Cluster::KnownAttempt> reconcile;
  // Without their payloads, which are read from the history.
  std::vector<executor::Launch> launches;
  // What the launches use up, and what is to be declined: both for a core that takes over if this
  // step is not applied.
  std::vector<executor::Offer> used_offers;
  std::vector<executor::Offer> declined_offers;
  std::vector<CancelEffect> cancels;
  std::vector<planner::AttemptId> acknowledge;
  bool suppress = false;
  std::optional<std::vector<planner::ResourceVector>> revive;  // what is wanted

  // For watchers: tasks that changed (some more than once), graphs that changed beside their tasks,
  // and graphs that ended.
  std::vector<planner::TaskKey> changed_tasks;
  std::vector<planner::GraphId> changed_graphs;
  // Why tasks ended whose reason was written in an earlier step (see GraphTable::Cancel).
  absl::flat_hash_map<planner::TaskKey, std::string> earlier_reasons;
  struct EndedGraph {
    GraphSnapshot snapshot;
    std::unique_ptr<LiveGraph> graph;  // as it was at its end
  };
  std::vector<EndedGraph> ended_graphs;
  absl::flat_hash_set<std::string> finished_queues;
  // Graphs that came, and open ones that were closed: an order may be searched for these.
  std::vector<planner::GraphId> begun_graphs;
  bool cluster_changed = false;

  // Ready for the next batch.
  void Clear() {
    Step fresh;
    Keep(records, fresh.records);
    Keep(changed_tasks, fresh.changed_tasks);
    Keep(acknowledge, fresh.acknowledge);
    *this = std::move(fresh);
  }

 private:
  // The next batch is mostly as large as this one, so its room is kept; but not that of a giant
  // graph.
  template <typename T>
  static void Keep(std::vector<T>& used, std::vector<T>& fresh) {
    constexpr size_t kMost = 1 << 15;
    if (used.capacity() > kMost) return;
    used.clear();
    fresh = std::move(used);
  }
};

// One event as the core handles it: when it happens, and the step that what follows from it is
// appended to.
struct Turn {
  const Instant now;
  Step& step;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_STEP_H_
