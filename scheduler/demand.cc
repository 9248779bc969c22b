#include "scheduler/demand.h"

namespace kartograph::scheduler {

Demand::Word Demand::Next(bool anything_wanted, SteadyTime now) {
  Silence();
  if (!anything_wanted) {
    if (told_ == Told::kNothing) return Word::kNone;
    told_ = Told::kNothing;
    return Word::kSuppress;
  }
  if (told_ == Told::kSomething) {
    if (!changed_) return Word::kNone;
    if (now < revived_ + kReviveInterval) {
      revive_at_ = revived_ + kReviveInterval;
      return Word::kNone;
    }
  }
  told_ = Told::kSomething;
  changed_ = false;
  revived_ = now;
  return Word::kRevive;
}

}  // namespace kartograph::scheduler
