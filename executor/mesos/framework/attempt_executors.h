// Under which executor each attempt ran, for whoever looks for its sandbox.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ATTEMPT_EXECUTORS_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ATTEMPT_EXECUTORS_H_

#include <cstddef>
#include <string>
#include <utility>

#include "absl/container/flat_hash_map.h"
#include "base/mutex.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Remembers the last ones, at least kMaxRemembered / 2 of them; older ones are searched for.
// Thread-safe.
class AttemptExecutors {
 public:
  static constexpr size_t kMaxRemembered = 200000;

  void Remember(planner::AttemptId attempt, const std::string& executor) {
    MutexLock lock(&mutex_);
    if (newer_.size() >= kMaxRemembered / 2) {
      older_ = std::move(newer_);
      newer_.clear();
    }
    newer_[attempt] = executor;
  }

  // Forgets all that ran under another one.
  void SetFramework(const std::string& framework) {
    MutexLock lock(&mutex_);
    if (framework == framework_) return;
    framework_ = framework;
    newer_.clear();
    older_.clear();
  }
  std::string framework() const {
    MutexLock lock(&mutex_);
    return framework_;
  }

  // Empty where that is not known.
  std::string Find(planner::AttemptId attempt) const {
    MutexLock lock(&mutex_);
    for (const auto* map : {&newer_, &older_}) {
      if (auto it = map->find(attempt); it != map->end()) return it->second;
    }
    return "";
  }

 private:
  using Map = absl::flat_hash_map<planner::AttemptId, std::string>;
  mutable Mutex mutex_;
  std::string framework_ ABSL_GUARDED_BY(mutex_);
  Map newer_ ABSL_GUARDED_BY(mutex_);
  Map older_ ABSL_GUARDED_BY(mutex_);
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_ATTEMPT_EXECUTORS_H_
