// How a service that is away is waited for.
#ifndef KARTOGRAPH_CLI_PATIENCE_H_
#define KARTOGRAPH_CLI_PATIENCE_H_

#include "absl/time/time.h"
#include "base/clock.h"

namespace kartograph::cli {

// Pauses between attempts to get a lost service back: a tenth of a second at first, half a second
// at most, until the patience is over or `keep_trying` returns false. Used by one thread.
class Patience {
 public:
  explicit Patience(absl::Duration limit) : limit_(limit) {}
  // To be called whenever the service answered.
  void Renew();
  // Waits a while, calling `keep_trying` several times a second. False: give up.
  template <typename Function>
  bool Pause(const Function& keep_trying) {
    const SteadyTime until = NextAttempt();
    if (until == SteadyTime::InfiniteFuture()) return false;
    do {
      if (!keep_trying()) return false;
    } while (SleepTowards(until));
    return true;
  }

 private:
  // InfiniteFuture where the patience is over.
  SteadyTime NextAttempt();
  // Sleeps a moment; false once `until` has come.
  static bool SleepTowards(SteadyTime until);

  const absl::Duration limit_;
  SteadyTime lost_ = SteadyTime::InfiniteFuture();
  absl::Duration pause_;
};

}  // namespace kartograph::cli

#endif  // KARTOGRAPH_CLI_PATIENCE_H_
