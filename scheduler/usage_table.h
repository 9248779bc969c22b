// What tasks have used so far, by kind: how long the next one takes, and what it needs.
#ifndef KARTOGRAPH_SCHEDULER_USAGE_TABLE_H_
#define KARTOGRAPH_SCHEDULER_USAGE_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/node_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/mutex.h"
#include "planner/resources.h"
#include "planner/task_kind.h"
#include "planner/usage_sketch.h"
#include "storage/records.h"

namespace kartograph::scheduler {

// What one attempt used.
struct AttemptUsage {
  absl::Duration wall_time;
  absl::Duration cpu_time;
  uint64_t peak_ram_bytes = 0;
  // Clusters that do not measure report neither of these.
  bool measured() const { return peak_ram_bytes > 0 || cpu_time > absl::ZeroDuration(); }
};

// What is known of the successful attempts of a kind.
struct KindUsage {
  planner::TaskKind kind;
  int64_t runs = 0;
  absl::Time last_run;
  planner::UsageSketch wall_us;
  planner::UsageSketch cpu_milli;  // cpu time over wall time: thousandths of a core
  planner::UsageSketch ram_bytes;  // peaks
};

// Learns from each attempt at a cost that does not grow with what is known; what changed is written
// with the same commit. Keeps kMaxKinds; of more, those go whose last run is longest ago.
//
// Thread-safe: the scheduler's thread writes, those who prepare graphs and answer calls read. Reads
// may be ahead of the history by what is being committed.
class UsageTable {
 public:
  static constexpr size_t kMaxKinds = 10000;
  // Clocks and schedulers are coarser than some tasks.
  static constexpr absl::Duration kLeastWallTime = absl::Microseconds(50);

  UsageTable() = default;
  UsageTable(const UsageTable&) = delete;
  UsageTable& operator=(const UsageTable&) = delete;

  // --- for the scheduler ---
  // Takes what the history knows in place of all that is known. DataLoss for a row that
  // TakeChanges did not make.
  absl::Status Load(absl::Span<const storage::KindLearnt> kinds);
  // Where a kind is kept, for the next attempt of it; may be of one that is gone.
  struct Place {
    uint32_t slot = UINT32_MAX;
    int64_t id = 0;
  };
  void Learn(const planner::TaskKind& kind, const AttemptUsage& usage, absl::Time now,
             Place* place);
  // Appends what has changed since the last call.
  void TakeChanges(std::vector<storage::Record>* records);
  // What there is to consume in all: of all agents, and of pools.
  void SetCapacity(planner::ResourceVector agents, planner::ResourceVector pools);

  // --- for everybody ---
  // What tasks of the kind mostly take. Where none of its consumption has run: those of the same
  // names with another one. Nothing where none of these has.
  std::optional<absl::Duration> WallTime(const planner::TaskKind& kind) const;
  // The same of all tasks of this consumption (as ConsumptionText has it).
  std::optional<absl::Duration> WallTimeOf(absl::string_view consumption) const;
  // The largest share of a resource, of all that there is of it, that this takes: 0 to 1. What is
  // not known to be there has no share.
  double DominantShare(const planner::ResourceVector& consumption) const;
  // What is known of the kind; otherwise of the one with the same names that ran last.
  std::optional<KindUsage> Find(const planner::TaskKind& kind) const;
  // Those after `after` (null: from the first) whose patterns of graph and task are these (empty:
  // any), in order of their names, at most `limit`.
  std::vector<KindUsage> List(const planner::TaskKind* after, absl::string_view graph,
                              absl::string_view task, size_t limit) const;
  size_t size() const;

 private:
  static constexpr uint32_t kNone = UINT32_MAX;
  // All kinds of a consumption.
  struct Consumption {
    double mean_wall_us = 0;  // newer ones weigh more; 0: none
    int64_t kinds = 0;
  };
  struct Entry {
    KindUsage usage;
    int64_t id = 0;  // 0: free
    Consumption* consumption = nullptr;
    bool changed = false;
    // By last run.
    uint32_t newer = kNone;
    uint32_t older = kNone;
  };

  uint32_t FindOrAdd(const planner::TaskKind& kind) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  uint32_t Add(KindUsage usage, int64_t id) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Remove(uint32_t slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void Unlink(uint32_t slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  void LinkNewest(uint32_t slot) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);
  // Of the kind, or of the one with the same names that ran last; kNone where there is none.
  uint32_t SlotOf(const planner::TaskKind& kind) const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_);

  mutable Mutex mutex_;
  std::vector<Entry> entries_ ABSL_GUARDED_BY(mutex_);
  std::vector<uint32_t> free_ ABSL_GUARDED_BY(mutex_);
  absl::btree_map<planner::TaskKind, uint32_t> slots_ ABSL_GUARDED_BY(mutex_);
  absl::node_hash_map<std::string, Consumption> consumptions_ ABSL_GUARDED_BY(mutex_);
  uint32_t newest_ ABSL_GUARDED_BY(mutex_) = kNone;
  uint32_t oldest_ ABSL_GUARDED_BY(mutex_) = kNone;
  int64_t last_id_ ABSL_GUARDED_BY(mutex_) = 0;
  std::vector<uint32_t> changed_ ABSL_GUARDED_BY(mutex_);
  std::vector<int64_t> forgotten_ ABSL_GUARDED_BY(mutex_);
  planner::ResourceVector agents_ ABSL_GUARDED_BY(mutex_);
  planner::ResourceVector pools_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_USAGE_TABLE_H_
