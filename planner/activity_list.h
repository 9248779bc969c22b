// Activity lists: orders of a project's tasks in which each comes after its predecessors (Hartmann
// 1998), and what a schedule search makes new ones with.
#ifndef KARTOGRAPH_PLANNER_ACTIVITY_LIST_H_
#define KARTOGRAPH_PLANNER_ACTIVITY_LIST_H_

#include <cstddef>
#include <cstdint>
#include <random>
#include <vector>

#include "planner/packed_project.h"
#include "planner/project.h"
#include "planner/schedule_generator.h"

namespace kartograph::planner {

// Topological numbers of all tasks. A list for backward generation has each task after its
// successors.
using ActivityList = std::vector<uint32_t>;

// Random choices that are the same on every machine, which the standard library's are not.
class RandomChoices {
 public:
  explicit RandomChoices(uint64_t seed) : bits_(seed) {}
  // Below n, which is at least 1. The bias is that of 64 bits.
  size_t Below(size_t n) { return static_cast<size_t>(bits_() % n); }
  // At least 0, less than 1.
  double Unit() { return static_cast<double>(bits_() >> 11) * 0x1p-53; }
  uint64_t Bits() { return bits_(); }
  bool Chance(double probability) { return Unit() < probability; }

 private:
  std::mt19937_64 bits_;
};

// A schedule as a parent of others.
struct Parent {
  Schedule schedule;
  ActivityList forward;   // by start
  ActivityList backward;  // by end, the last first
  const ActivityList& list(Direction direction) const {
    return direction == Direction::kForward ? forward : backward;
  }
  ActivityList* mutable_list(Direction direction) {
    return direction == Direction::kForward ? &forward : &backward;
  }
};

// Makes activity lists of one project. Its memory is used again, so that nothing is allocated once
// it has grown. Not thread-safe.
class ActivityListMaker {
 public:
  // `project` must outlive it.
  explicit ActivityListMaker(const PackedProject* project);

  // Regret-based biased random sampling with the latest finish time as the rule (Drexl 1991;
  // Kolisch and Drexl 1996): the longer the path after a task, the likelier it comes next. Forward.
  void Sample(RandomChoices& random, ActivityList* list);

  // Two-point crossover (Hartmann 1998) whose middle is a peak of the father's (Valls, Ballestin
  // and Quintanilla 2008; Debels and Vanhoucke 2007): of a few stretches of his list the one in
  // whose time the resources are used most. Before and after it, tasks are in the mother's order.
  void Cross(const Parent& father, const Parent& mother, Direction direction, RandomChoices& random,
             ActivityList* list);

  // The tasks as a schedule has them, by start, or backward by end with the last first; those of
  // the same time in random order, so that no order of theirs is fixed by chance.
  void ListByTime(const Schedule& schedule, Direction direction, RandomChoices& random,
                  ActivityList* list);

  // Exchanges neighbours that do not depend on each other, each pair with this probability.
  void Mutate(Direction direction, double probability, RandomChoices& random, ActivityList* list);

 private:
  struct Stretch {
    size_t begin = 0;
    size_t end = 0;
  };
  Stretch FindPeak(const Parent& parent, Direction direction, RandomChoices& random);

  const PackedProject& project_;
  std::vector<int64_t> tails_;         // the longest path after each task
  const std::vector<double>& energy_;  // the project's scarce_energy
  double regret_floor_ = 1;            // what is added to a regret, so that every task has a chance
  std::vector<uint32_t> missing_;
  std::vector<uint32_t> eligible_;
  std::vector<double> weights_;
  std::vector<double> energy_before_;
  std::vector<char> taken_;
  struct Place {
    int64_t time;
    uint64_t tie;
    uint32_t task;
  };
  std::vector<Place> places_;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_ACTIVITY_LIST_H_
