#include "storage/open_history.h"

#include <memory>
#include <utility>

#include "absl/strings/str_cat.h"
#include "storage/file_system.h"
#include "storage/history_mark.h"
#include "storage/identity.h"
#include "storage/schema.h"
#include "storage/sqlite.h"
#include "storage/sqlite_reader.h"
#include "storage/sqlite_writer.h"
#include "storage/state_lock.h"

namespace kartograph::storage {
namespace {

// The page size must come before anything is written.
constexpr char kWriterSetup[] =
    "PRAGMA page_size = 8192;"
    "PRAGMA auto_vacuum = NONE;"
    "PRAGMA cache_size = -65536;"
    "PRAGMA journal_size_limit = 67108864;"
    "PRAGMA temp_store = MEMORY;"
    // Debian's SQLite would overwrite what is deleted, which is every acknowledged delivery.
    "PRAGMA secure_delete = OFF;";

// SQLite reports nothing where it cannot: it stays in the mode it was in.
absl::Status UseWal(Connection& connection) {
  absl::StatusOr<Rows> rows = connection.Query("PRAGMA journal_mode = WAL");
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->Next();
  if (!row.ok()) return row.status();
  if (*row && rows->String(0) == "wal") return absl::OkStatus();
  return absl::FailedPreconditionError(
      absl::StrCat("the file system of ", connection.path(),
                   " cannot hold a run history (it shares no memory between programs, so SQLite "
                   "cannot keep a write-ahead log there): give a folder on a local disk with "
                   "--state"));
}

}  // namespace

absl::StatusOr<History> OpenHistory(const HistoryOptions& options, const HistoryTuning& tuning) {
  if (absl::Status status = CheckFileSystem(options.path); !status.ok()) return status;
  absl::StatusOr<std::unique_ptr<StateLock>> lock = StateLock::Acquire(options.path);
  if (!lock.ok()) return lock.status();

  // Counting its memory costs SQLite a lock at every allocation. No effect, and no harm, where
  // SQLite is in use already.
  static const int counting_off = sqlite3_config(SQLITE_CONFIG_MEMSTATUS, 0);
  static_cast<void>(counting_off);
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open({.path = options.path, .read_only = false, .vfs = tuning.vfs});
  if (!connection.ok()) return connection.status();
  // Before anything is changed in a file that may not be ours.
  if (absl::Status status = CheckSchema(**connection, Migrations()); !status.ok()) return status;
  if ((*connection)->read_only()) {
    return SqliteStatus(nullptr, SQLITE_READONLY, options.path);
  }
  absl::Status status = (*connection)->Execute(kWriterSetup);
  if (status.ok()) status = UseWal(**connection);
  if (status.ok()) {
    status =
        (*connection)
            ->Execute(options.durable ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = OFF");
  }
  sqlite3_wal_autocheckpoint((*connection)->handle(),
                             tuning.checkpoint_thread ? 0 : tuning.checkpoint_pages);
  if (status.ok()) status = MigrateSchema(**connection, Migrations());
  if (!status.ok()) return status;
  absl::StatusOr<Identity> identity = BeginIncarnation(**connection);
  if (!identity.ok()) return identity.status();

  absl::StatusOr<std::unique_ptr<SqliteWriter>> writer =
      SqliteWriter::Create(*std::move(connection), *std::move(lock));
  if (!writer.ok()) return writer.status();
  if (tuning.checkpoint_thread) {
    status = (*writer)->StartCheckpoints({.path = options.path, .vfs = tuning.vfs}, options.durable,
                                         tuning.checkpoint_pages, tuning.reserve_bytes);
    if (!status.ok()) return status;
  }
  History history;
  history.identity = *std::move(identity);
  if (const auto mark = HistoryMark::Read(options.mark)) {
    const absl::StatusOr<planner::GraphId> last = (*writer)->LastGraphId();
    if (!last.ok()) return last.status();
    history.lost = WhatIsLost(*mark, history.identity, *last);
    history.lost_graph = history.lost.empty() ? 0 : mark->last_graph;
  }
  history.writer = *std::move(writer);
  const Connection::Options reading = {.path = options.path, .read_only = true, .vfs = tuning.vfs};
  history.reader = std::make_shared<SqliteReader>(reading);
  history.long_reader = std::make_shared<SqliteReader>(reading);
  return history;
}

absl::StatusOr<History> OpenHistory(const HistoryOptions& options) {
  return OpenHistory(options, HistoryTuning());
}

}  // namespace kartograph::storage
