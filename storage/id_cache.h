// Remembers the ids of values that many rows share.
#ifndef KARTOGRAPH_STORAGE_ID_CACHE_H_
#define KARTOGRAPH_STORAGE_ID_CACHE_H_

#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"

namespace kartograph::storage {

// Value to id for one interning table, such as agents. What is added counts as long as the
// transaction that made the row does: Commit() after its commit, Rollback() after its rollback.
// Holds a bounded number of values; what it does not hold must be looked up in the table.
template <typename Value>
class IdCache {
 public:
  template <typename Like>
  std::optional<int64_t> Find(const Like& value) const {
    auto it = ids_.find(value);
    if (it == ids_.end()) return std::nullopt;
    return it->second;
  }

  void Add(Value value, int64_t id) {
    auto [it, is_new] = ids_.emplace(std::move(value), id);
    if (is_new) added_.push_back(it->first);
  }

  void Commit() {
    added_.clear();
    if (ids_.size() > kMaxValues) ids_.clear();
  }

  // Between transactions.
  void Clear() { ids_.clear(); }

  void Rollback() {
    for (const Value& value : added_) ids_.erase(value);
    added_.clear();
  }

 private:
  static constexpr size_t kMaxValues = 1 << 16;

  absl::flat_hash_map<Value, int64_t> ids_;
  std::vector<Value> added_;
};

}  // namespace kartograph::storage

#endif  // KARTOGRAPH_STORAGE_ID_CACHE_H_
