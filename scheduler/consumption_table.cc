#include "scheduler/consumption_table.h"

#include <algorithm>
#include <cstdlib>

#include "scheduler/smoothed.h"

namespace kartograph::scheduler {

ConsumptionTable::Id ConsumptionTable::Intern(const planner::ResourceVector& consumption,
                                              const planner::Terms& terms) {
  const Id id = packer_.Intern(consumption, terms);
  if (entries_.size() <= id) entries_.resize(id + 1);
  Entry& entry = entries_[id];
  if (entry.users == 0 && !entry.unused) {
    entry.unused = true;
    unused_.push_back(id);
  }
  return id;
}

void ConsumptionTable::AddUser(Id id) { ++entries_[id].users; }

void ConsumptionTable::Release(Id id) {
  Entry& released = entries_[id];
  if (--released.users < 0) std::abort();
  if (released.users == 0 && !released.unused) {
    released.unused = true;
    unused_.push_back(id);
  }
  // Those that are used again leave the queue here, one for one that came.
  while (unused_.size() > kKeptUnused) {
    const Id oldest = unused_.front();
    unused_.pop_front();
    Entry& entry = entries_[oldest];
    entry.unused = false;
    if (entry.users > 0) continue;
    entry = Entry();
    packer_.RemoveClass(oldest);
  }
}

int ConsumptionTable::LengthOf(int64_t expected_us) {
  int length = 0;
  for (int64_t least = 60'000'000; expected_us > least && length + 1 < kLengths; least *= 4) {
    ++length;
  }
  return length;
}

void ConsumptionTable::NoteExpected(Id id, int64_t expected_us) {
  absl::Duration& longest = entries_[id].longest_expected;
  longest = std::max(longest, absl::Microseconds(expected_us));
}

void ConsumptionTable::NoteTimeout(Id id, absl::Duration timeout) {
  // Without a limit it is taken to run for an hour.
  absl::Duration& longest = entries_[id].longest_timeout;
  longest = std::max(longest, timeout == absl::InfiniteDuration() ? absl::Hours(1) : timeout);
}

void ConsumptionTable::LearnWallTime(Id id, double microseconds) {
  double& mean = entries_[id].mean_wall_us;
  mean = Smoothed(mean, microseconds);
  packer_.SetShort(id, mean < kShortUs);
}

absl::Duration ConsumptionTable::ExpectedWallTime(Id id) const {
  const Entry& entry = entries_[id];
  if (entry.longest_expected > absl::ZeroDuration()) return entry.longest_expected;
  return entry.mean_wall_us > 0 ? absl::Microseconds(2 * entry.mean_wall_us)
                                : entry.longest_timeout;
}

std::optional<absl::Duration> ConsumptionTable::LearntWallTime(Id id) const {
  const double mean = entries_[id].mean_wall_us;
  if (mean <= 0) return std::nullopt;
  return absl::Microseconds(mean);
}

absl::Duration ConsumptionTable::TypicalWallTime(Id id) const {
  const absl::Duration expected = entries_[id].longest_expected;
  return LearntWallTime(id).value_or(expected > absl::ZeroDuration() ? expected : kUnknownWallTime);
}

void ConsumptionTable::RefreshExpected() {
  packer_.ForEachClass([this](Id id) {
    packer_.SetExpected(id, absl::ToInt64Microseconds(ExpectedWallTime(id)),
                        absl::ToInt64Microseconds(2 * TypicalWallTime(id)));
  });
}

}  // namespace kartograph::scheduler
