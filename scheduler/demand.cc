#include "scheduler/demand.h"

namespace kartograph::scheduler {

Demand::Word Demand::Next(bool anything_wanted, SteadyTime now) {
  Silence();
  if (!anything_wanted) {
    if (sent_ == Sent::kNothing) return Word::kNone;
    sent_ = Sent::kNothing;
    return Word::kSuppress;
  }
  if (sent_ == Sent::kSomething) {
    if (!changed_) return Word::kNone;
    if (now < revived_ + kReviveInterval) {
      revive_at_ = revived_ + kReviveInterval;
      return Word::kNone;
    }
  }
  sent_ = Sent::kSomething;
  changed_ = false;
  revived_ = now;
  return Word::kRevive;
}

}  // namespace kartograph::scheduler
