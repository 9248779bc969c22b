// When to notify a cluster that makes offers of what is wanted.
#ifndef KARTOGRAPH_SCHEDULER_DEMAND_H_
#define KARTOGRAPH_SCHEDULER_DEMAND_H_

#include <cstdint>

#include "absl/time/time.h"
#include "base/clock.h"

namespace kartograph::scheduler {

// Says what is wanted whenever that makes a difference to the cluster, and not more often than
// kReviveInterval. A cluster that leases needs none of this. Thread-compatible.
class Demand {
 public:
  // A cluster answers a revival with all that is free at once, so that nothing idles until its own
  // next offers; but that is work for it, however many short tasks end here.
  static constexpr absl::Duration kReviveInterval = absl::Milliseconds(100);

  // A task became ready, an attempt ended or an agent can be used again: more may be free, or fit.
  void Changed() { changed_ = true; }
  // A connection begins: the cluster knows nothing.
  void Reset() { sent_ = Sent::kUnknown; }

  enum class Word : uint8_t { kNone, kSuppress, kRevive };
  // What to say after a plan, by whether anything waits for an agent; kNone where that was said
  // already, or has to wait. Only while there is a connection.
  Word Next(bool anything_wanted, SteadyTime now);
  // Nothing has to be said, for now.
  void Silence() { revive_at_ = SteadyTime::InfiniteFuture(); }

  // When Next has something to say.
  SteadyTime NextTimer() const { return revive_at_; }

 private:
  enum class Sent : uint8_t { kUnknown, kNothing, kSomething };

  Sent sent_ = Sent::kUnknown;
  bool changed_ = false;  // since the last revival
  SteadyTime revived_ = SteadyTime::InfinitePast();
  SteadyTime revive_at_ = SteadyTime::InfiniteFuture();
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_DEMAND_H_
