// Schedule generation schemes: from an order of tasks to a schedule.
//
// Serial: the tasks one by one in the order of an activity list, each at the earliest time that
// precedence and resources allow (active schedules, among which is an optimal one). Parallel: time
// by time, starting whatever fits in order of priority (non-delay schedules; what a dispatcher does
// that never keeps a launch waiting, as ours). Both as in Kolisch 1996, "Serial and parallel
// resource- constrained project scheduling methods revisited".
//
// Backward, both treat the mirrored project, from the end to the beginning. To schedule backward in
// the order of the ends of a schedule, the last first, and forward again in the order of the
// starts, is justification (Valls, Ballestin and Quintanilla 2005, "Justification and RCPSP: a
// technique that pays"); it never makes a schedule longer if both ways are serial.
#ifndef KARTOGRAPH_PLANNER_SCHEDULE_GENERATOR_H_
#define KARTOGRAPH_PLANNER_SCHEDULE_GENERATOR_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/types/span.h"
#include "planner/packed_project.h"
#include "planner/project.h"

namespace kartograph::planner {

enum class Direction { kForward, kBackward };
enum class Scheme { kSerial, kParallel };

// Generates schedules of one project; keeps what it works with from one to the next, so that none
// allocates. Tasks are topological numbers (packed_project.h), in lists and in schedules. Not
// thread-safe.
class ScheduleGenerator {
 public:
  // `project` must outlive it.
  static std::unique_ptr<ScheduleGenerator> Make(const PackedProject* project);
  virtual ~ScheduleGenerator() = default;

  // `list` holds every task. For the serial scheme each comes after its predecessors, or backward
  // after its successors; for the parallel scheme it is an order of priority, and may be any.
  // A schedule starts at 0, backward too.
  virtual void Generate(absl::Span<const uint32_t> list, Scheme scheme, Direction direction,
                        Schedule* schedule) = 0;
};

// The tasks as a schedule has them, as an activity list for the given direction: by start, or by
// end with the last first. `list` keeps its memory.
void ListByTime(const PackedProject& project, const Schedule& schedule, Direction direction,
                std::vector<uint32_t>* list);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_SCHEDULE_GENERATOR_H_
