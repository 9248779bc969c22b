// Searches for short schedules of a project, off the scheduling path: its order of starts becomes
// the graph's order of priority.
//
// A genetic algorithm on activity lists with these parts:
//   - individuals are schedules; the first come from random sampling, by both generation schemes,
//     and are justified twice (schedule_generator.h has the sources);
//   - two of them, each the better of two, have a child by a crossover around a peak of resource
//     use (activity_list.h), mutated by exchanging neighbours;
//   - a child is generated forward or backward, at random, and justified in the other direction. To
//     work from both sides is the idea of the bi-population genetic algorithm (Debels and Vanhoucke
//     2005, "A bi-population based genetic algorithm for the RCPSP"): each schedule is a step of
//     forward-backward improvement too. What is much too long at once is not justified; what is
//     good enough for the population is justified for as long as that makes it shorter;
//   - half of the children come from the serial scheme, half from the parallel one (Hartmann 2002,
//     "A self-adapting genetic algorithm for project scheduling under resource constraints", lets
//     both compete);
//   - a child that is new and not worse takes the place of a worst one;
//   - the population begins large, for diversity, and shrinks as the search goes on, for intensity
//     (Tanabe and Fukunaga 2014, "Improving the search performance of SHADE using linear population
//     size reduction"; here with the square root of what is spent).
//
// Measured with bench/psplib, which has the literature's figures to compare with.
#ifndef KARTOGRAPH_PLANNER_SCHEDULE_SEARCH_H_
#define KARTOGRAPH_PLANNER_SCHEDULE_SEARCH_H_

#include <cstddef>
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
  // For how many schedules it is made: they decide how large the population is at which time. It
  // may be stopped before, and go on after.
  int64_t planned_schedules = 5000;
  // All tasks, in the order that they have now, with which it begins. What it finds is at least as
  // good as what a dispatcher makes of that. Empty: by latest finish time.
  std::vector<TaskIndex> first_order;
  // Searches for what is shortest once it is dispatched, instead of for the shortest schedule:
  // those may keep back what could start, and a dispatcher that does not makes less of their order.
  // Then only the parallel scheme is used, and only forward schedules are kept.
  bool for_dispatcher = false;
};

// A search that holds its population, and goes on one schedule at a time. What it has found after a
// number of schedules depends on the project, the options and that number alone, however it was cut
// into calls. Memory: 16 bytes for each task and individual, of which there are 120 for 5,000
// planned schedules. Not thread-safe.
//
// Schedules are counted as the literature does: each generation of a complete schedule is one, in
// whatever scheme or direction, so that justifying twice costs two.
class ScheduleSearch {
 public:
  // `project` is one that CheckProject accepts; it is copied.
  explicit ScheduleSearch(const Project& project, ScheduleSearchOptions options = {});
  ScheduleSearch(const ScheduleSearch&) = delete;
  ScheduleSearch& operator=(const ScheduleSearch&) = delete;

  // Generates one schedule, in time of O(n^2) for n tasks at worst (some 20 microseconds for 120
  // tasks, a millisecond for 3,000). Nothing once done().
  void Step();
  // Steps until it has generated `schedules` in all, is done, or `keep_going`, which is asked
  // before each, says no.
  void Run(
      int64_t schedules, absl::FunctionRef<bool()> keep_going = [] { return true; });

  // Nothing better is possible: the makespan is a lower bound of every schedule's.
  bool done() const { return schedules_ > 0 && best_.makespan <= lower_bound_; }
  // How many it has generated.
  int64_t schedules() const { return schedules_; }
  int64_t lower_bound() const { return lower_bound_; }

  // The shortest so far, by task; the first of several. Only after a step.
  Schedule best() const { return project_.ByTask(best_); }
  // The shortest of those that a dispatcher would make which keeps nothing back. Only after a step.
  Schedule best_dispatched() const { return project_.ByTask(best_dispatched_); }
  // The order to dispatch in: the tasks by their starts in the best schedule, or in the best
  // dispatched one where the dispatcher makes more of that. Generates one schedule, which is not
  // counted.
  std::vector<TaskIndex> DispatchOrder() const;

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
    int schedules = 0;        // generated for it
    int least = 0;            // that are to be
    int64_t makespan = 0;     // before the last of them
    int64_t good_enough = 0;  // the longest makespan with which it is admitted
    Individual made;
  };

  void BeginChild();
  void Sample();
  void Cross();
  bool NeedsJustification() const;
  void Admit();
  void Keep(const Schedule& schedule);
  void Shrink();
  size_t SelectParent();
  size_t FindWorst();

  const PackedProject project_;
  const int64_t lower_bound_;
  const int64_t planned_schedules_;
  const bool for_dispatcher_;
  const size_t first_population_;  // how many individuals it begins with
  std::unique_ptr<ScheduleGenerator> generator_;
  ActivityListMaker lists_;
  RandomChoices random_;
  std::vector<Individual> population_;
  absl::flat_hash_set<uint64_t> fingerprints_;  // of the population
  ActivityList first_list_;
  bool sampling_ = true;  // the first population
  size_t sampled_ = 0;    // individuals, new or not
  Child child_;
  bool child_begun_ = false;
  // By topological number.
  Schedule best_;
  Schedule best_dispatched_;
  int64_t schedules_ = 0;
};

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_SCHEDULE_SEARCH_H_
