#include "storage/identity.h"

#include <algorithm>

namespace kartograph::storage {
namespace {

// Attempts launched this many starts ago are taken to be another history's.
constexpr int64_t kKept = 4096;

}  // namespace

absl::StatusOr<Identity> BeginIncarnation(Connection& connection) {
  absl::StatusOr<Transaction> transaction = Transaction::Begin(connection, Transaction::kWrite);
  if (!transaction.ok()) return transaction.status();
  // Never 0, which stands for none.
  absl::Status status = connection.Run("INSERT INTO incarnations (value) VALUES (random() | 1)");
  if (status.ok()) {
    status = connection.Run(
        "DELETE FROM incarnations WHERE number <= (SELECT max(number) FROM incarnations) - ?",
        kKept);
  }
  if (!status.ok()) return status;
  Identity identity;
  {
    absl::StatusOr<Rows> rows = connection.Query("SELECT history FROM identity");
    if (!rows.ok()) return rows.status();
    absl::StatusOr<bool> row = rows->Next();
    if (!row.ok()) return row.status();
    if (!*row) return absl::DataLossError("the history has lost its identity");
    identity.history = rows->String(0);
  }
  {
    absl::StatusOr<Rows> rows = connection.Query("SELECT value FROM incarnations ORDER BY number");
    if (!rows.ok()) return rows.status();
    while (true) {
      absl::StatusOr<bool> row = rows->Next();
      if (!row.ok()) return row.status();
      if (!*row) break;
      identity.incarnations.push_back(static_cast<uint64_t>(rows->Int(0)));
    }
  }
  if (status = transaction->Commit(); !status.ok()) return status;
  return identity;
}

}  // namespace kartograph::storage
