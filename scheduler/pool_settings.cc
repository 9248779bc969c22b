#include "scheduler/pool_settings.h"

#include <utility>

namespace kartograph::scheduler {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using storage::PoolChanged;

std::vector<PoolChanged> PoolSettings::Load(const std::vector<PoolChanged>& set, absl::Time now) {
  set_.clear();
  for (const PoolChanged& change : set) {
    // Names that are too many for the table are those of pools that nothing can need.
    const absl::StatusOr<Resource> pool = Resource::Intern(change.pool);
    if (pool.ok()) set_[*pool] = change;
  }
  return DropOverruled(now);
}

std::vector<PoolChanged> PoolSettings::SetSettings(ResourceVector settings, absl::Time now) {
  settings_ = std::move(settings);
  return DropOverruled(now);
}

std::vector<PoolChanged> PoolSettings::DropOverruled(absl::Time now) {
  std::vector<PoolChanged> dropped;
  for (auto it = set_.begin(); it != set_.end();) {
    const Quantity setting = settings_.Get(it->first);
    if (setting == it->second.setting) {
      ++it;
      continue;
    }
    dropped.push_back({it->second.pool, std::nullopt, setting, now, kBySettings});
    it = set_.erase(it);
  }
  return dropped;
}

std::optional<PoolChanged> PoolSettings::Set(Resource pool, std::optional<Quantity> capacity,
                                             absl::string_view by, absl::Time now) {
  PoolChanged change{std::string(pool.name()), capacity, settings_.Get(pool), now, std::string(by)};
  if (capacity) {
    set_[pool] = change;
  } else if (set_.erase(pool) == 0) {
    return std::nullopt;
  }
  return change;
}

ResourceVector PoolSettings::pools() const {
  ResourceVector pools = settings_;
  for (const auto& [pool, change] : set_) pools.Set(pool, *change.capacity);
  return pools;
}

std::map<Resource, PoolOverride> PoolSettings::overrides() const {
  std::map<Resource, PoolOverride> overrides;
  for (const auto& [pool, change] : set_) {
    overrides[pool] = {change.setting, change.time, change.by};
  }
  return overrides;
}

}  // namespace kartograph::scheduler
