#include "scheduler/end_outlook.h"

#include <algorithm>
#include <cmath>
#include <cstdint>
#include <utility>
#include <vector>

#include "planner/makespan_bounds.h"
#include "planner/one_pass_order.h"

namespace kartograph::scheduler {
namespace {

constexpr size_t kMostDraws = 9;
// Of more tasks fewer draws are made, so that the time that it takes is bounded.
constexpr size_t kMostDrawn = 60000;
// Multiples of these are spread evenly between whole numbers, however many there are, and do not go
// together: powers of the inverse of the plastic number (Roberts 2018, "The unreasonable
// effectiveness of quasirandom sequences").
constexpr double kStepOfNumber = 0.7548776662466927;
constexpr double kStepOfKind = 0.5698402909980532;

}  // namespace

int64_t EndOutlook::EndWith(const planner::Project& project) const {
  // Where nothing is scarce, the longest path decides.
  const std::vector<int64_t> starts = project.capacities.empty()
                                          ? planner::FindHeadsAndTails(project).heads
                                          : planner::Dispatch(project, order).starts;
  int64_t end_us = 0;
  for (size_t i = 0; i < own_tasks; ++i) {
    end_us = std::max(end_us, starts[i] + project.durations[i]);
  }
  return end_us;
}

// One that has run for a while is one of those that take longer than that.
int64_t EndOutlook::Draw(const Drawn& of, double offset) const {
  double whole = 0;
  double share =
      std::modf((of.number + 1) * kStepOfNumber + of.kind * kStepOfKind + offset, &whole);
  const planner::UsageSketch& sketch = wall_us[of.kind];
  if (of.elapsed_us > 0) {
    const double below = sketch.ShareUpTo(static_cast<uint64_t>(of.elapsed_us));
    share = below + (1 - below) * share;
  }
  const auto drawn_us = static_cast<int64_t>(sketch.Quantile(share));
  // It takes longer than any did: what is said of it alone is that.
  if (drawn_us <= of.elapsed_us) return project.durations[of.task];
  return drawn_us - of.elapsed_us;
}

absl::Duration EndOutlook::ExpectedRemaining() const {
  if (drawn.empty()) return absl::Microseconds(EndWith(project));
  const size_t draws = std::clamp<size_t>(kMostDrawn / project.size(), 1, kMostDraws);
  planner::Project sample = project;
  std::vector<int64_t> ends;
  for (size_t i = 0; i < draws; ++i) {
    const double offset = static_cast<double>(i) / static_cast<double>(draws);
    for (const Drawn& of : drawn) sample.durations[of.task] = Draw(of, offset);
    ends.push_back(EndWith(sample));
  }
  const auto middle = ends.begin() + static_cast<ptrdiff_t>(draws / 2);
  std::nth_element(ends.begin(), middle, ends.end());
  return absl::Microseconds(*middle);
}

}  // namespace kartograph::scheduler
