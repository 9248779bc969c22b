// Rows that many others refer to (settings, agents, queues), and how they go when no row does any
// more: marked by a scan beside the writer, some rows at a time, and swept by the writer.
#ifndef KARTOGRAPH_STORAGE_SHARED_ROWS_H_
#define KARTOGRAPH_STORAGE_SHARED_ROWS_H_

#include <cstdint>

#include "absl/container/flat_hash_set.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "storage/history.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// Finds the shared rows that nothing refers to. The newest of each table is never one of them, so
// that its id is not used again: readers remember rows by their ids. Mostly short, as it ends when
// every row has been seen in use. Thread-compatible.
class UnusedScan {
 public:
  // Each within a read transaction of the caller; there may be several, so that none is long.
  absl::Status Begin(Connection& connection);
  // Scans about `max_rows` rows. True when the scan is over.
  absl::StatusOr<bool> Continue(Connection& connection, int64_t max_rows);

  UnusedRows Unused() const;

 private:
  using Ids = absl::flat_hash_set<int64_t>;
  // Whether all of the table was seen, or no row is left to look for.
  static absl::StatusOr<bool> Mark(Connection& connection, const char* select, int64_t max_rows,
                                   int64_t& position, Ids& unused);

  Ids settings_;
  Ids agents_;
  Ids queues_;
  int64_t task_ = -1;  // the last key scanned
  int64_t attempt_ = -1;
};

// The shared rows that the writer used since some moment.
struct UsedRows {
  absl::flat_hash_set<int64_t> settings;
  absl::flat_hash_set<int64_t> agents;
  absl::flat_hash_set<int64_t> queues;
};

// Removes those of up to `max_rows` of `unused` that are not in `used`, within a write transaction
// of the caller. `looked_at`: how many were taken, used ones included; Drop takes the same.
absl::Status RemoveUnusedRows(Connection& connection, const UnusedRows& unused,
                              const UsedRows& used, int64_t max_rows, int64_t& looked_at);
// Takes those that RemoveUnusedRows looked at out of `unused`.
void Drop(UnusedRows& unused, int64_t looked_at);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SHARED_ROWS_H_
