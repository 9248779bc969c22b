#include "storage/sqlite.h"

#include <cerrno>
#include <cstring>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

absl::Status DiskFull(absl::string_view path) {
  return absl::ResourceExhaustedError(
      absl::StrCat("the disk of ", path, " is full: free some space on it"));
}

absl::Status NotWritable(absl::string_view path, absl::string_view what) {
  return absl::PermissionDeniedError(
      absl::StrCat("cannot write ", path, " (", what,
                   "): give this user write access to it and to its folder, or name another"));
}

// What an I/O error means depends on the system's error.
absl::Status IoError(int system_error, absl::string_view path, absl::string_view what) {
  switch (system_error) {
    case ENOSPC:
    case EDQUOT:
      return DiskFull(path);
    case EROFS:
      return absl::PermissionDeniedError(
          absl::StrCat("cannot write ", path,
                       ": its file system is read-only, as the kernel makes one whose disk is "
                       "broken: check the disk, and mount it again to be written"));
    case EACCES:
    case EPERM:
      return NotWritable(path, std::strerror(system_error));
    case 0:
      return absl::UnavailableError(
          absl::StrCat("cannot read or write ", path, " (", what, "): check its disk"));
    default:
      return absl::UnavailableError(absl::StrCat("cannot read or write ", path, " (", what, ", ",
                                                 std::strerror(system_error), "): check its disk"));
  }
}

}  // namespace

absl::Status SqliteStatus(sqlite3* db, int code, absl::string_view path, int system_error) {
  const absl::string_view what = db == nullptr ? sqlite3_errstr(code) : sqlite3_errmsg(db);
  switch (code & 0xff) {
    case SQLITE_OK:
    case SQLITE_ROW:
    case SQLITE_DONE:
      return absl::OkStatus();
    case SQLITE_FULL:
      return DiskFull(path);
    case SQLITE_NOMEM:
      return absl::ResourceExhaustedError(absl::StrCat(path, ": out of memory"));
    case SQLITE_READONLY:
    case SQLITE_CANTOPEN:
    case SQLITE_PERM:
    case SQLITE_AUTH:
      return NotWritable(path, what);
    case SQLITE_CORRUPT:
    case SQLITE_NOTADB:
      return absl::DataLossError(absl::StrCat(
          path, " is damaged or not a database (", what,
          "): restore a copy of it, or move it away together with its -wal file to start over"));
    case SQLITE_BUSY:
    case SQLITE_LOCKED:
      return absl::UnavailableError(absl::StrCat(path, " is locked by another program (", what,
                                                 "): end that program's transaction"));
    case SQLITE_IOERR:
      return IoError(system_error, path, what);
    case SQLITE_TOOBIG:
      return absl::InvalidArgumentError(
          absl::StrCat(path, ": a value is larger than SQLite's limit of a gigabyte"));
    default:
      return absl::InternalError(absl::StrCat(path, ": ", what, " (SQLite code ", code, ")"));
  }
}

absl::StatusOr<bool> Statement::Step() {
  int code = std::exchange(bind_error_, SQLITE_OK);
  // SQLite itself does not report the system's error of a failed COMMIT.
  errno = 0;
  if (code == SQLITE_OK) code = sqlite3_step(statement_);
  if (code == SQLITE_ROW) return true;
  absl::Status status = SqliteStatus(sqlite3_db_handle(statement_), code, *path_, errno);
  Reset();
  if (!status.ok()) return status;
  return false;
}

absl::Status Statement::Run() {
  absl::StatusOr<bool> row = Step();
  if (!row.ok()) return row.status();
  if (*row) Reset();
  return absl::OkStatus();
}

absl::StatusOr<std::unique_ptr<Connection>> Connection::Open(const Options& options) {
  // One thread at a time uses a connection, so SQLite's own mutexes would only cost.
  const int flags =
      SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE |
      (options.read_only ? SQLITE_OPEN_READONLY : SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE);
  sqlite3* db = nullptr;
  errno = 0;
  const int code = sqlite3_open_v2(options.path.c_str(), &db, flags, options.vfs);
  if (code != SQLITE_OK) {
    absl::Status status = SqliteStatus(db, code, options.path, errno);
    sqlite3_close_v2(db);
    return status;
  }
  // Enough for what another program may hold for a moment, such as a backup or an operator's shell.
  sqlite3_busy_timeout(db, 5000);
  return std::unique_ptr<Connection>(new Connection(db, options.path));
}

Connection::~Connection() {
  statements_.clear();
  sqlite3_close_v2(db_);
}

absl::Status Connection::Execute(const char* sql) {
  errno = 0;
  const int code = sqlite3_exec(db_, sql, nullptr, nullptr, nullptr);
  return SqliteStatus(db_, code, path_, errno);
}

absl::StatusOr<int64_t> Connection::QueryInt(const char* sql) {
  absl::StatusOr<Rows> rows = Query(sql);
  if (!rows.ok()) return rows.status();
  absl::StatusOr<bool> row = rows->Next();
  if (!row.ok()) return row.status();
  if (!*row) return absl::InternalError(absl::StrCat(path_, ": no row from ", sql));
  return rows->Int(0);
}

absl::StatusOr<Statement*> Connection::Prepare(const char* sql) {
  std::unique_ptr<Statement>& cached = statements_[sql];
  if (cached != nullptr) {
    if (cached->running()) {
      return absl::InternalError(absl::StrCat(path_, ": a statement is used twice at once: ", sql));
    }
    return cached.get();
  }
  sqlite3_stmt* statement = nullptr;
  const int code = sqlite3_prepare_v3(db_, sql, -1, SQLITE_PREPARE_PERSISTENT, &statement, nullptr);
  if (code != SQLITE_OK) {
    statements_.erase(sql);
    return SqliteStatus(db_, code, path_);
  }
  cached = std::make_unique<Statement>(statement, &path_);
  return cached.get();
}

absl::StatusOr<Transaction> Transaction::Begin(Connection& connection, Kind kind) {
  absl::Status status =
      kind == kWrite ? connection.Run("BEGIN IMMEDIATE") : connection.Run("BEGIN");
  if (!status.ok()) return status;
  return Transaction(&connection);
}

Transaction::~Transaction() {
  // Some errors (a full disk) have rolled back already.
  if (connection_ != nullptr && connection_->in_transaction()) {
    connection_->Run("ROLLBACK").IgnoreError();
  }
}

absl::Status Transaction::Commit() {
  Connection* const connection = std::exchange(connection_, nullptr);
  absl::Status status = connection->Run("COMMIT");
  if (!status.ok() && connection->in_transaction()) connection->Run("ROLLBACK").IgnoreError();
  return status;
}

}  // namespace kartograph::storage
