// From a step to what is told to those who watch.
#ifndef KARTOGRAPH_SCHEDULER_CHANGES_H_
#define KARTOGRAPH_SCHEDULER_CHANGES_H_

#include "scheduler/core.h"
#include "scheduler/snapshot.h"
#include "scheduler/step.h"

namespace kartograph::scheduler {

// `step` is committed, and `now` is the state after it.
Changes ChangesOf(const Step& step, const Core& now);

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_CHANGES_H_
