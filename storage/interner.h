// Ids of what many rows share: settings, agents, queues.
#ifndef KARTOGRAPH_STORAGE_INTERNER_H_
#define KARTOGRAPH_STORAGE_INTERNER_H_

#include <cstdint>
#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "storage/id_cache.h"
#include "storage/records.h"
#include "storage/settings.h"
#include "storage/shared_rows.h"
#include "storage/sqlite.h"

namespace kartograph::storage {

// Gives the id of a value, and adds its row where there is none, within the writer's transaction.
// Thread-compatible; used by the writer alone.
class Interner {
 public:
  explicit Interner(Connection* connection) : connection_(*connection) {}

  absl::StatusOr<int64_t> SettingsOf(const TaskSubmitted& task);
  absl::StatusOr<int64_t> Agent(absl::string_view agent, absl::string_view name);
  absl::StatusOr<int64_t> Queue(absl::string_view name);
  // Adds nothing.
  absl::StatusOr<std::optional<int64_t>> FindQueue(absl::string_view name);

  // After the transaction was committed, or rolled back.
  void Committed();
  void RolledBack();

  // Between the two the ids that are given are remembered. None of their rows may be removed.
  void BeginSweep();
  void EndSweep();
  const UsedRows& used() const { return used_; }
  // Rows were removed; none of them was given since BeginSweep.
  void Removed();

 private:
  absl::StatusOr<int64_t> FindSettings(const TaskSubmitted& task);
  absl::StatusOr<int64_t> FindAgent(absl::string_view agent, absl::string_view name);
  absl::StatusOr<int64_t> FindOrAddQueue(absl::string_view name);
  absl::StatusOr<int64_t> Given(absl::StatusOr<int64_t> id,
                                absl::flat_hash_set<int64_t> UsedRows::*table);

  Connection& connection_;
  IdCache<Settings> settings_;
  IdCache<std::string> agents_;
  IdCache<std::string> queues_;
  // The last one given, which is mostly the next one asked for; id 0: none.
  Settings last_settings_;
  int64_t last_settings_id_ = 0;
  std::string agent_key_;
  bool sweeping_ = false;
  UsedRows used_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_INTERNER_H_
