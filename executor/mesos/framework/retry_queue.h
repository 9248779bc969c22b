// Attempts about which something is asked again and again until there is an answer.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_RETRY_QUEUE_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_RETRY_QUEUE_H_

#include <algorithm>
#include <set>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

// Truncated exponential back-off for each attempt. Pure and thread-compatible: time is given.
class RetryQueue {
 public:
  struct Options {
    absl::Duration first = absl::Seconds(2);
    absl::Duration longest = absl::Minutes(1);
  };
  explicit RetryQueue(Options options) : options_(options) {}

  // Asks about it from `at` on. Nothing changes where it is asked about already.
  void Add(planner::AttemptId attempt, SteadyTime at) {
    auto [it, is_new] = entries_.try_emplace(attempt, Entry{at, options_.first, 0});
    if (is_new) due_.emplace(at, attempt);
  }
  // There is an answer.
  void Remove(planner::AttemptId attempt) {
    auto it = entries_.find(attempt);
    if (it == entries_.end()) return;
    due_.erase({it->second.at, attempt});
    entries_.erase(it);
  }
  // How often it was asked about; 0 also where it is not known.
  int asked(planner::AttemptId attempt) const {
    auto it = entries_.find(attempt);
    return it == entries_.end() ? 0 : it->second.asked;
  }
  bool Contains(planner::AttemptId attempt) const { return entries_.contains(attempt); }
  bool empty() const { return entries_.empty(); }
  void Clear() {
    entries_.clear();
    due_.clear();
  }

  SteadyTime NextTime() const {
    return due_.empty() ? SteadyTime::InfiniteFuture() : due_.begin()->first;
  }
  // Those that are to be asked about now, in order of time; each is due again after its back-off.
  std::vector<planner::AttemptId> TakeDue(SteadyTime now, size_t max) {
    std::vector<planner::AttemptId> taken;
    while (!due_.empty() && due_.begin()->first <= now && taken.size() < max) {
      const planner::AttemptId attempt = due_.begin()->second;
      due_.erase(due_.begin());
      Entry& entry = entries_.find(attempt)->second;
      entry.at = now + entry.delay;
      entry.delay = std::min(entry.delay * 2, options_.longest);
      ++entry.asked;
      due_.emplace(entry.at, attempt);
      taken.push_back(attempt);
    }
    return taken;
  }

 private:
  struct Entry {
    SteadyTime at;
    absl::Duration delay;
    int asked = 0;
  };
  const Options options_;
  absl::flat_hash_map<planner::AttemptId, Entry> entries_;
  std::set<std::pair<SteadyTime, planner::AttemptId>> due_;
};

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_RETRY_QUEUE_H_
