// How graphs leave the history: first they are hidden, then their rows go, some at a time.
#ifndef KARTOGRAPH_STORAGE_PRUNE_H_
#define KARTOGRAPH_STORAGE_PRUNE_H_

#include <cstdint>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "planner/ids.h"
#include "storage/history.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// LongReader::FindPrunable.
absl::StatusOr<std::vector<planner::GraphId>> FindPrunableGraphs(Connection& connection,
                                                                 const Keep& keep, int max_graphs);

// HistoryWriter::Prune, within a write transaction of the caller.
absl::Status HideGraphs(Connection& connection, absl::Time before,
                        absl::Span<const planner::GraphId> graphs,
                        std::vector<planner::GraphId>& hidden);

// HistoryWriter::RemoveSome, within a write transaction of the caller. `more`: rows are left.
absl::Status RemoveHiddenRows(Connection& connection, int64_t max_rows, bool& more);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_PRUNE_H_
