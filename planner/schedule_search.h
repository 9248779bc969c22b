// Searches for short schedules of a project, off the scheduling path: its order of starts becomes
// the graph's order of priority.
//
// A genetic algorithm on activity lists with these parts:
//   - individuals are schedules; the first come from sampling with the latest finish time as the
//   rule,
//     from both generation schemes, and are justified (schedule_generator.h has the sources);
//   - two of them, each the better of two, have a child by a crossover around a peak of resource
//   use
//     (activity_list.h), mutated by exchanging neighbours;
//   - a child is made forward or backward, at random, and justified once in the other direction.
//   Working
//     on both sides is the idea of the bi-population genetic algorithm (Debels and Vanhoucke 2005;
//     2007, "A decomposition-based genetic algorithm for the RCPSP"): every schedule that is
//     generated is a step of forward-backward improvement too;
//   - half of the children come from the serial scheme, half from the parallel one (after the
//     self-adapting genetic algorithm of Hartmann 2002, which lets both compete);
//   - a child that is new and not worse takes the place of a worst one.
// The population grows with the number of schedules that are planned for: a larger one converges
// later, and to something better.
#ifndef KARTOGRAPH_PLANNER_SCHEDULE_SEARCH_H_
#define KARTOGRAPH_PLANNER_SCHEDULE_SEARCH_H_

#include <cstdint>
#include <memory>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/functional/function_ref.h"
#include "planner/activity_list.h"
#include "planner/ids.h"
#include "planner/packed_project.h"
#include "planner/project.h"
#include "planner/schedule_generator.h"

namespace kartograph::planner {

struct ScheduleSearchOptions {
  uint64_t seed = 1;
  // For how many schedules it is made. It may be stopped before and go on after.
  int64_t planned_schedules = 5000;
};

// A search that holds its population, and goes on one schedule at a time. What it has found after a
// number of schedules depends on the project, the options and that number alone, however it was cut
// into calls. Memory: 16 bytes a task for each individual. Not thread-safe.
//
// Schedules are counted as the literature does: each generation of a complete schedule is one, in
// whatever scheme or direction, so that justifying twice costs two.
class ScheduleSearch {
 public:
  // `project` is one that CheckProject accepts; it is copied.
  explicit ScheduleSearch(const Project& project, ScheduleSearchOptions options = {});

  // Generates one schedule, in time of O(n^2) for n tasks at worst (15 microseconds for 120 tasks
  // on a core of 2023). Nothing once done().
  void Step();
  // Steps until it has generated `schedules` in all, is done, or `keep_going`, which is asked
  // before each, says no.
  void Run(
      int64_t schedules, absl::FunctionRef<bool()> keep_going = [] { return true; });

  // Nothing better is possible: the makespan is a lower bound of every schedule's.
  bool done() const { return !best_.starts.empty() && best_.makespan <= lower_bound_; }
  // How many it has generated.
  int64_t schedules() const { return schedules_; }
  int64_t lower_bound() const { return lower_bound_; }

  // The shortest so far, by task; the first of several. Only after a step.
  Schedule best() const { return project_.ByTask(best_); }
  // Its tasks by start, predecessors first.
  std::vector<TaskIndex> BestOrder() const;

 private:
  struct Individual {
    Parent parent;
    uint64_t fingerprint = 0;
  };
  // What is being made: a list to generate the next schedule from.
  struct Child {
    ActivityList list;
    Scheme scheme = Scheme::kSerial;
    Direction direction = Direction::kForward;
    int justifications = 0;  // schedules to follow
    Individual made;
  };

  void Begin();
  void Admit();
  size_t SelectParent();
  size_t FindWorst();

  const PackedProject project_;
  const int64_t lower_bound_;
  const size_t population_size_;
  std::unique_ptr<ScheduleGenerator> generator_;
  ActivityListMaker lists_;
  RandomChoices random_;
  std::vector<Individual> population_;
  absl::flat_hash_set<uint64_t> fingerprints_;  // of the population
  Child child_;
  bool child_begun_ = false;
  Schedule best_;  // by topological number
  int64_t schedules_ = 0;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_SCHEDULE_SEARCH_H_
