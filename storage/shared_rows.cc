#include "storage/shared_rows.h"

#include <algorithm>
#include <vector>

namespace kartograph::storage {
namespace {

absl::Status ReadIds(Connection& connection, const char* select,
                     absl::flat_hash_set<int64_t>& ids) {
  absl::StatusOr<Rows> rows = connection.Query(select);
  if (!rows.ok()) return rows.status();
  for (;;) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::OkStatus();
    ids.insert(rows->Int(0));
  }
}

std::vector<int64_t> Sorted(const absl::flat_hash_set<int64_t>& ids) {
  std::vector<int64_t> sorted(ids.begin(), ids.end());
  std::sort(sorted.begin(), sorted.end());
  return sorted;
}

struct Table {
  std::vector<int64_t> UnusedRows::*unused;
  absl::flat_hash_set<int64_t> UsedRows::*used;
  const char* remove;
};
constexpr Table kTables[] = {
    {&UnusedRows::settings, &UsedRows::settings, "DELETE FROM settings WHERE id = ?"},
    {&UnusedRows::agents, &UsedRows::agents, "DELETE FROM agents WHERE id = ?"},
    {&UnusedRows::queues, &UsedRows::queues, "DELETE FROM queues WHERE id = ?"},
};

}  // namespace

absl::Status UnusedScan::Begin(Connection& connection) {
  absl::Status status = ReadIds(
      connection, "SELECT id FROM settings WHERE id < (SELECT max(id) FROM settings)", settings_);
  if (status.ok()) {
    status = ReadIds(connection, "SELECT id FROM agents WHERE id < (SELECT max(id) FROM agents)",
                     agents_);
  }
  if (status.ok()) {
    status = ReadIds(connection,
                     "SELECT id FROM queues WHERE id < (SELECT max(id) FROM queues) AND NOT EXISTS "
                     "(SELECT 1 FROM finished WHERE queue_id = queues.id)",
                     queues_);
  }
  return status;
}

absl::StatusOr<bool> UnusedScan::Continue(Connection& connection, int64_t max_rows) {
  absl::StatusOr<bool> over =
      Mark(connection, "SELECT key, settings_id FROM tasks WHERE key > ? ORDER BY key LIMIT ?",
           max_rows, task_, settings_);
  if (!over.ok() || !*over) return over;
  return Mark(connection, "SELECT key, agent_id FROM attempts WHERE key > ? ORDER BY key LIMIT ?",
              max_rows, attempt_, agents_);
}

absl::StatusOr<bool> UnusedScan::Mark(Connection& connection, const char* select, int64_t max_rows,
                                      int64_t& position, Ids& unused) {
  if (unused.empty()) return true;
  absl::StatusOr<Rows> rows = connection.Query(select, position, max_rows);
  if (!rows.ok()) return rows.status();
  for (int64_t seen = 0;; ++seen) {
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return seen < max_rows;
    position = rows->Int(0);
    unused.erase(rows->Int(1));
    if (unused.empty()) return true;
  }
}

UnusedRows UnusedScan::Unused() const {
  return {Sorted(settings_), Sorted(agents_), Sorted(queues_)};
}

absl::Status RemoveUnusedRows(Connection& connection, const UnusedRows& unused,
                              const UsedRows& used, int64_t max_rows, int64_t& looked_at) {
  looked_at = 0;
  for (const Table& table : kTables) {
    const std::vector<int64_t>& ids = unused.*table.unused;
    for (auto id = ids.rbegin(); id != ids.rend() && looked_at < max_rows; ++id, ++looked_at) {
      if ((used.*table.used).contains(*id)) continue;
      if (absl::Status status = connection.Run(table.remove, *id); !status.ok()) return status;
    }
  }
  return absl::OkStatus();
}

void Drop(UnusedRows& unused, int64_t looked_at) {
  for (const Table& table : kTables) {
    std::vector<int64_t>& ids = unused.*table.unused;
    const size_t dropped = std::min(ids.size(), static_cast<size_t>(looked_at));
    ids.resize(ids.size() - dropped);
    looked_at -= static_cast<int64_t>(dropped);
  }
}

}  // namespace kartograph::storage
