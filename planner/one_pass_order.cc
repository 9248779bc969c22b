#include "planner/one_pass_order.h"

#include <algorithm>
#include <memory>
#include <utility>

#include "planner/activity_list.h"
#include "planner/makespan_bounds.h"
#include "planner/packed_project.h"
#include "planner/schedule_generator.h"

namespace kartograph::planner {
namespace {

constexpr int kRounds = 4;

}  // namespace

std::vector<TaskIndex> LatestFinishOrder(const Project& project) {
  const std::vector<int64_t> tails = FindHeadsAndTails(project).tails;
  std::vector<TaskIndex> order(project.size());
  for (TaskIndex task = 0; task < order.size(); ++task) order[task] = task;
  std::sort(order.begin(), order.end(), [&](TaskIndex a, TaskIndex b) {
    return tails[a] != tails[b] ? tails[a] > tails[b] : a < b;
  });
  return order;
}

std::vector<TaskIndex> OnePassOrder(const Project& project) {
  const PackedProject packed(project);
  const std::unique_ptr<ScheduleGenerator> generator = ScheduleGenerator::Make(&packed);
  ActivityList list = packed.Numbers(LatestFinishOrder(project));
  Schedule schedule;
  generator->Generate(list, Scheme::kParallel, Direction::kForward, &schedule);
  ActivityList best = list;
  int64_t shortest = schedule.makespan;
  for (int round = 0; round < kRounds; ++round) {
    for (Direction direction : {Direction::kBackward, Direction::kForward}) {
      ListByTime(packed, schedule, direction, &list);
      generator->Generate(list, Scheme::kParallel, direction, &schedule);
    }
    if (schedule.makespan >= shortest) continue;
    shortest = schedule.makespan;
    best = list;
  }
  return packed.Tasks(best);
}

Schedule Dispatch(const Project& project, absl::Span<const TaskIndex> order) {
  const PackedProject packed(project);
  Schedule schedule;
  ScheduleGenerator::Make(&packed)->Generate(packed.Numbers(order), Scheme::kParallel,
                                             Direction::kForward, &schedule);
  return packed.ByTask(schedule);
}

}  // namespace kartograph::planner
