// Work off the scheduler's thread.
#ifndef KARTOGRAPH_SCHEDULER_BACKGROUND_H_
#define KARTOGRAPH_SCHEDULER_BACKGROUND_H_

#include <functional>

#include "base/clock.h"

namespace kartograph::scheduler {

// What takes long and needs no live state.
struct Job {
  std::function<void()> work;  // on any thread, at most once
  // Where the engine is used, between two batches, exactly once: after `work`, or without it where
  // the scheduler stops.
  std::function<void(const Instant& now)> then;
};

class Background {
 public:
  // Each runs its jobs in order, and waits for no other.
  enum Lane {
    kDeliveries,  // clients wait for these
    kGraphs,      // whole graphs: may take seconds
    kRetention,   // scans the whole history: nothing waits for that
    kSearch,      // works for seconds, behind everything else on the machine
  };
  static constexpr int kLanes = 4;

  virtual ~Background() = default;
  virtual void Run(Lane lane, const Instant& now, Job job) = 0;
};

// At once, for tests and simulations.
class InlineBackground : public Background {
 public:
  void Run(Lane, const Instant& now, Job job) override {
    job.work();
    job.then(now);
  }
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_BACKGROUND_H_
