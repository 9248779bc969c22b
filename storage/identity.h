// Which history a database is, and which starts of a service it knows of.
#ifndef KARTOGRAPH_STORAGE_IDENTITY_H_
#define KARTOGRAPH_STORAGE_IDENTITY_H_

#include "absl/status/statusor.h"
#include "storage/history.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// Draws the number of this start, keeps it, and reads the identity with it. Durable on return.
absl::StatusOr<Identity> BeginIncarnation(Connection& connection);

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_IDENTITY_H_
