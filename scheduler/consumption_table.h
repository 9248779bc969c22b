// What tasks consume and on which agents, each distinct consumption once, and how long such tasks
// run.
#ifndef KARTOGRAPH_SCHEDULER_CONSUMPTION_TABLE_H_
#define KARTOGRAPH_SCHEDULER_CONSUMPTION_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <vector>

#include "absl/time/time.h"
#include "planner/packer.h"
#include "planner/resources.h"

namespace kartograph::scheduler {

// Counts who uses a consumption. An unused one is kept for a while with what was learnt of it, as
// the next graph mostly asks for the same; of those only the last kKeptUnused. An id is the
// packer's, and is used again once its consumption was dropped. Thread-compatible.
class ConsumptionTable {
 public:
  using Id = planner::Packer::ClassId;
  static constexpr size_t kKeptUnused = 256;
  // Tasks that run longer gain nothing from waiting in an agent's backlog.
  static constexpr double kShortUs = 50000;
  // Of tasks of which nothing is known; see TypicalWallTime.
  static constexpr absl::Duration kUnknownWallTime = absl::Seconds(30);
  static constexpr double kLeastUs = 50;  // clocks and schedulers are coarser than some tasks

  // `packer` outlives this.
  explicit ConsumptionTable(planner::Packer* packer) : packer_(*packer) {}

  // Valid until the last of its users has released it, or the next Intern where there are none.
  Id Intern(const planner::ResourceVector& consumption, const planner::Terms& terms = {});
  void AddUser(Id id);
  void Release(Id id);

  // Terms::length of a task that is expected to take so long: longer than a minute, four of those,
  // sixteen and so on.
  static constexpr int kLengths = 7;
  static int LengthOf(int64_t expected_us);

  // Tasks of it are expected to take so long, where their length is not 0.
  void NoteExpected(Id id, int64_t expected_us);
  // Tasks of it may run this long.
  void NoteTimeout(Id id, absl::Duration timeout);
  // One of them did.
  void LearnWallTime(Id id, double microseconds);
  // What to expect: generous as long as none has ended.
  absl::Duration ExpectedWallTime(Id id) const;
  // What one of them mostly takes; nothing as long as none has ended.
  std::optional<absl::Duration> LearntWallTime(Id id) const;
  // The same; all are taken to be the same as long as none has ended.
  absl::Duration TypicalWallTime(Id id) const;
  // Tells the packer what is expected of each.
  void RefreshExpected();

  size_t size() const { return packer_.class_count(); }
  int users(Id id) const { return id < entries_.size() ? entries_[id].users : 0; }

 private:
  struct Entry {
    int users = 0;
    bool unused = false;  // in unused_
    // Newer ones weigh more; 0: none has ended yet.
    double mean_wall_us = 0;
    absl::Duration longest_timeout;
    absl::Duration longest_expected;  // zero: their length is 0
  };

  planner::Packer& packer_;
  std::vector<Entry> entries_;  // index: Id
  std::deque<Id> unused_;       // oldest first; some are used again
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_CONSUMPTION_TABLE_H_
