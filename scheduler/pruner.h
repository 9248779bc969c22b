// Retention: what is old is removed from the history, some rows at a time.
#ifndef KARTOGRAPH_SCHEDULER_PRUNER_H_
#define KARTOGRAPH_SCHEDULER_PRUNER_H_

#include <cstdint>
#include <functional>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "scheduler/background.h"
#include "scheduler/command.h"
#include "scheduler/retention_clock.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Looks for what is old once a minute, in the background, and removes what it found, a slice with
// each call; now and then also what only that referred to. Removes what a crash left of a
// submission. Used where the engine is. What fails is tried again a minute later, and an error that
// lasts is left to the next commit, which has it too.
class Pruner {
 public:
  // All outlive this. `last` is the history's LastRetentionTime. `on_pruned`, which may be empty,
  // gets what retention removes.
  Pruner(const Retention& retention, absl::Time last, storage::HistoryWriter* writer,
         storage::LongReader* reader, executor::Cluster* cluster, Background* background,
         std::function<void(const Pruned&)> on_pruned)
      : retention_(retention),
        writer_(writer),
        reader_(reader),
        cluster_(cluster),
        background_(background),
        on_pruned_(std::move(on_pruned)),
        clock_(last) {}

  // Removes up to `max_rows` rows. To be called after each commit that succeeded. Where it is time
  // to note how far the clock of retention is, that is appended to `records`.
  void Work(const Instant& now, int64_t max_rows, std::vector<storage::Record>& records);
  void SetRetention(const Retention& retention) {
    retention_ = retention;
    next_find_ = SteadyTime::InfinitePast();
  }
  // Takes one graph out of the history that has ended. False where there is none.
  absl::StatusOr<bool> Forget(planner::GraphId graph);
  // When there is something to do.
  SteadyTime NextTime() const;
  // There may be rows to remove.
  void Remove() {
    removing_ = true;
    next_removal_ = SteadyTime::InfinitePast();
  }

 private:
  struct Found {
    Pruned::Limit limit = Pruned::Limit::kAge;
    absl::StatusOr<std::vector<planner::GraphId>> graphs = std::vector<planner::GraphId>();
  };
  // What is over the first limit that something is over.
  static Found FindOver(const storage::Keep& keep, storage::LongReader& reader);
  void OnFound(const Found& found, absl::Time before, const Instant& now);
  void OnPruned(const std::vector<planner::GraphId>& graphs);
  void Find(const Instant& now, std::vector<storage::Record>& records);
  void Sweep(const Instant& now);
  void EndSweepIfDone();
  bool sweep_wanted() const { return pruned_since_sweep_ && !sweeping_ && !removing_; }

  Retention retention_;
  storage::HistoryWriter* const writer_;
  storage::LongReader* const reader_;
  executor::Cluster* const cluster_;
  Background* const background_;
  const std::function<void(const Pruned&)> on_pruned_;
  RetentionClock clock_;
  SteadyTime next_find_ = SteadyTime::InfinitePast();
  bool finding_ = false;
  bool removing_ = true;  // a crash may have left something
  SteadyTime next_removal_ = SteadyTime::InfinitePast();
  absl::Time forget_before_ = absl::InfinitePast();  // answers to requests; InfinitePast: none
  // Rows that what was pruned referred to.
  bool pruned_since_sweep_ = false;
  bool sweeping_ = false;
  storage::UnusedRows unused_;
  SteadyTime next_sweep_ = SteadyTime::InfinitePast();
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_PRUNER_H_
