// A thin layer over SQLite: connections, statements and transactions that clean up after
// themselves, and errors as absl::Status that say what to do.
#ifndef KARTOGRAPH_STORAGE_SQLITE_H_
#define KARTOGRAPH_STORAGE_SQLITE_H_

#include <sqlite3.h>

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"

namespace kartograph::storage {

// What an SQLite result code means to the caller, in one line that names the database and says what
// to do: ResourceExhausted (disk full), PermissionDenied, DataLoss (damaged or not a database),
// Unavailable (locked by another process, or an I/O error), Internal (a bug of ours).
// `system_error` is what errno was after the call, where it was zero before; it tells one I/O error
// from another.
absl::Status SqliteStatus(sqlite3* db, int code, absl::string_view path, int system_error = 0);

// Bytes that are not text.
struct Blob {
  absl::string_view bytes;
};

// A prepared statement. What is bound must live until the statement is reset. Thread-compatible.
class Statement {
 public:
  Statement(sqlite3_stmt* statement, const std::string* path)
      : statement_(statement), path_(path) {}
  ~Statement() { sqlite3_finalize(statement_); }
  Statement(const Statement&) = delete;
  Statement& operator=(const Statement&) = delete;

  void Bind(int index, int64_t value) { Note(sqlite3_bind_int64(statement_, index, value)); }
  template <typename T>
  void Bind(int index, const std::optional<T>& value) {
    if (value.has_value()) {
      Bind(index, *value);
    } else {
      Note(sqlite3_bind_null(statement_, index));
    }
  }
  void Bind(int index, absl::string_view text) {
    Note(sqlite3_bind_text64(statement_, index, text.empty() ? "" : text.data(), text.size(),
                             SQLITE_STATIC, SQLITE_UTF8));
  }
  void Bind(int index, Blob blob) {
    Note(sqlite3_bind_blob64(statement_, index, blob.bytes.empty() ? "" : blob.bytes.data(),
                             blob.bytes.size(), SQLITE_STATIC));
  }

  // Goes to the next row; false where there is none, and then the statement is reset.
  absl::StatusOr<bool> Step();
  // Runs a statement whose rows, if any, are of no interest, and resets it.
  absl::Status Run();
  void Reset() { sqlite3_reset(statement_); }
  bool running() const { return sqlite3_stmt_busy(statement_) != 0; }

  bool IsNull(int column) const { return sqlite3_column_type(statement_, column) == SQLITE_NULL; }
  int64_t Int(int column) const { return sqlite3_column_int64(statement_, column); }
  // Text or blob; valid until the next step or reset.
  absl::string_view Bytes(int column) const {
    const void* data = sqlite3_column_blob(statement_, column);
    const int size = sqlite3_column_bytes(statement_, column);
    return {static_cast<const char*>(data), data == nullptr ? 0 : static_cast<size_t>(size)};
  }

 private:
  void Note(int code) {
    if (code != SQLITE_OK && bind_error_ == SQLITE_OK) bind_error_ = code;
  }

  sqlite3_stmt* const statement_;
  const std::string* const path_;
  int bind_error_ = SQLITE_OK;
};

// The rows of a running query. Resets its statement when it goes, so that no read transaction is
// left open by an early return.
class Rows {
 public:
  explicit Rows(Statement* statement) : statement_(statement) {}
  Rows(Rows&& other) noexcept : statement_(std::exchange(other.statement_, nullptr)) {}
  Rows& operator=(Rows&&) = delete;
  ~Rows() {
    if (statement_ != nullptr) statement_->Reset();
  }

  // False after the last row.
  absl::StatusOr<bool> Next() { return statement_->Step(); }
  bool IsNull(int column) const { return statement_->IsNull(column); }
  int64_t Int(int column) const { return statement_->Int(column); }
  absl::string_view Bytes(int column) const { return statement_->Bytes(column); }
  std::string String(int column) const { return std::string(Bytes(column)); }

 private:
  Statement* statement_;
};

// One connection to a database. Thread-compatible: one thread at a time.
class Connection {
 public:
  struct Options {
    std::string path;
    bool read_only = false;
    const char* vfs = nullptr;  // SQLite's name of a file system; null: the operating system's
  };
  // Does not look into the file yet: SQLite reads it with the first statement.
  static absl::StatusOr<std::unique_ptr<Connection>> Open(const Options& options);
  ~Connection();
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  // Runs one or more statements that take no values, such as a migration.
  absl::Status Execute(const char* sql);
  // The one number a statement such as `PRAGMA user_version` gives.
  absl::StatusOr<int64_t> QueryInt(const char* sql);

  // Runs `sql`, a literal, with the values bound to its parameters in order: int64_t,
  // absl::string_view (text), Blob, or a std::optional of these. The statement is prepared once and
  // kept by the literal's address. Values of a query must live as long as its rows.
  template <typename... Values>
  absl::Status Run(const char* sql, const Values&... values) {
    absl::StatusOr<Statement*> statement = Prepare(sql);
    if (!statement.ok()) return statement.status();
    BindAll(**statement, values...);
    return (*statement)->Run();
  }
  template <typename... Values>
  absl::StatusOr<Rows> Query(const char* sql, const Values&... values) {
    absl::StatusOr<Statement*> statement = Prepare(sql);
    if (!statement.ok()) return statement.status();
    BindAll(**statement, values...);
    return Rows(*statement);
  }

  // Rows changed by the last INSERT, UPDATE or DELETE.
  int64_t changes() const { return sqlite3_changes64(db_); }
  int64_t last_insert_id() const { return sqlite3_last_insert_rowid(db_); }
  bool in_transaction() const { return sqlite3_get_autocommit(db_) == 0; }
  bool read_only() const { return sqlite3_db_readonly(db_, "main") == 1; }
  sqlite3* handle() const { return db_; }
  const std::string& path() const { return path_; }

 private:
  Connection(sqlite3* db, std::string path) : db_(db), path_(std::move(path)) {}

  absl::StatusOr<Statement*> Prepare(const char* sql);
  template <typename... Values>
  static void BindAll(Statement& statement, const Values&... values) {
    int index = 0;
    (statement.Bind(++index, values), ...);
  }

  sqlite3* const db_;
  const std::string path_;
  absl::flat_hash_map<const char*, std::unique_ptr<Statement>> statements_;
};

// Rolls back when it goes, unless committed.
class Transaction {
 public:
  enum Kind { kRead, kWrite };
  static absl::StatusOr<Transaction> Begin(Connection& connection, Kind kind);
  Transaction(Transaction&& other) noexcept
      : connection_(std::exchange(other.connection_, nullptr)) {}
  Transaction& operator=(Transaction&&) = delete;
  ~Transaction();

  // After an error the transaction is rolled back.
  absl::Status Commit();

 private:
  explicit Transaction(Connection* connection) : connection_(connection) {}
  Connection* connection_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SQLITE_H_
