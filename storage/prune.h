// Retention.
#ifndef KARTOGRAPH_STORAGE_PRUNE_H_
#define KARTOGRAPH_STORAGE_PRUNE_H_

#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "planner/ids.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// HistoryWriter::Prune, within a write transaction of the caller. Stops early once the graphs
// removed held kMaxPrunedTasks tasks, so that one call does not take the writer for long.
inline constexpr int64_t kMaxPrunedTasks = 50000;
absl::StatusOr<std::vector<planner::GraphId>> PruneHistory(Connection& connection,
                                                           absl::Time before, int max_graphs);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_PRUNE_H_
