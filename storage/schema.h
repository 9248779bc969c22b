// The tables of the run history and how an older database becomes a newer one.
#ifndef KARTOGRAPH_STORAGE_SCHEMA_H_
#define KARTOGRAPH_STORAGE_SCHEMA_H_

#include <cstdint>

#include "absl/status/status.h"
#include "absl/types/span.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// In the header of every database of ours ("Krtg"), so that another program's is not mistaken for
// one.
inline constexpr int64_t kApplicationId = 0x4b727467;

// One step from version i to i + 1, in SQL; the first makes version 1 from an empty database. What
// has been released is never changed again: a later version is a further step.
absl::Span<const char* const> Migrations();

// Whether the database is empty or one of ours with at most `migrations.size()` steps behind it.
// Changes nothing. DataLoss for another program's database or what is not a database,
// FailedPrecondition for one from a newer version.
absl::Status CheckSchema(Connection& connection, absl::Span<const char* const> migrations);

// Takes the missing steps, each in one transaction with its version number.
absl::Status MigrateSchema(Connection& connection, absl::Span<const char* const> migrations);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_SCHEMA_H_
