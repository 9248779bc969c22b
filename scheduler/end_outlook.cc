#include "scheduler/end_outlook.h"

#include <algorithm>
#include <cstdint>

#include "planner/makespan_bounds.h"
#include "planner/one_pass_order.h"

namespace kartograph::scheduler {

absl::Duration EndOutlook::ExpectedRemaining() const {
  // Where nothing is scarce, the longest path decides.
  const std::vector<int64_t> starts = project.capacities.empty()
                                          ? planner::FindHeadsAndTails(project).heads
                                          : planner::Dispatch(project, order).starts;
  int64_t end_us = 0;
  for (size_t i = 0; i < own_tasks; ++i) {
    end_us = std::max(end_us, starts[i] + project.durations[i]);
  }
  return absl::Microseconds(end_us);
}

}  // namespace kartograph::scheduler
