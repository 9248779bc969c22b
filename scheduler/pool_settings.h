// Capacities of pools: what the settings say, and what was set at run time.
#ifndef KARTOGRAPH_SCHEDULER_POOL_SETTINGS_H_
#define KARTOGRAPH_SCHEDULER_POOL_SETTINGS_H_

#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"
#include "planner/resources.h"
#include "scheduler/snapshot.h"
#include "storage/records.h"

namespace kartograph::scheduler {

// Who changed a pool, where the settings did.
inline constexpr char kBySettings[] = "the settings";

// What was set at run time wins until the setting of the pool is another than it was then: whoever
// edits the settings later knows better. Thread-compatible, a value.
class PoolSettings {
 public:
  explicit PoolSettings(planner::ResourceVector settings) : settings_(std::move(settings)) {}

  // As the history has it, in place of all that was set. What the settings have overruled since is
  // left out, and returned as the changes that say so.
  std::vector<storage::PoolChanged> Load(const std::vector<storage::PoolChanged>& set,
                                         absl::Time now);
  // The settings were read again; likewise.
  std::vector<storage::PoolChanged> SetSettings(planner::ResourceVector settings, absl::Time now);
  // Sets one at run time, or without a capacity takes back what was set. The change to be written;
  // nothing where there is nothing to take back.
  std::optional<storage::PoolChanged> Set(planner::Resource pool,
                                          std::optional<planner::Quantity> capacity,
                                          absl::string_view by, absl::Time now);

  // What is in force.
  planner::ResourceVector pools() const;
  // Of pools that were set at run time.
  std::map<planner::Resource, PoolOverride> overrides() const;

 private:
  std::vector<storage::PoolChanged> DropOverruled(absl::Time now);

  planner::ResourceVector settings_;
  std::map<planner::Resource, storage::PoolChanged> set_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_POOL_SETTINGS_H_
