#include "planner/one_pass_order.h"

#include <algorithm>
#include <cstddef>
#include <cstdint>
#include <limits>
#include <memory>
#include <utility>

#include "planner/activity_list.h"
#include "planner/makespan_bounds.h"
#include "planner/packed_project.h"
#include "planner/schedule_generator.h"

namespace kartograph::planner {
namespace {

// Rounds of improvement for each rule.
constexpr int kRounds = 4;

// For how many passes there is time: what a second or two are enough for. A pass looks at each
// task, and whenever one ends at the best of each class of ready ones.
size_t PassesFor(const PackedProject& project) {
  constexpr size_t kMostPlaced = 4'000'000;
  constexpr size_t kClassesForOneTask = 1024;
  return kMostPlaced / (1 + project.size() * (1 + project.classes / kClassesForOneTask));
}

// What the rules are made of, by topological number.
struct Ahead {
  std::vector<double> path;    // duration of the longest path after the task
  std::vector<double> energy;  // most scarce_energy on a path after it
  std::vector<double>
      following;  // scarce_energy of all after it, what several precede shared among them
};

Ahead LookAhead(const PackedProject& project) {
  const size_t n = project.size();
  Ahead ahead{std::vector<double>(n, 0), std::vector<double>(n, 0), std::vector<double>(n, 0)};
  for (uint32_t task = static_cast<uint32_t>(n); task-- > 0;) {
    for (uint32_t next : project.successors[task]) {
      const auto duration = static_cast<double>(project.durations[next]);
      const double energy = project.scarce_energy[next];
      ahead.path[task] = std::max(ahead.path[task], ahead.path[next] + duration);
      ahead.energy[task] = std::max(ahead.energy[task], ahead.energy[next] + energy);
      ahead.following[task] +=
          (ahead.following[next] + energy) / static_cast<double>(project.predecessors[next].size());
    }
  }
  return ahead;
}

// How much each part weighs in a rule's priority; the highest goes first.
struct Rule {
  double path;       // after the task
  double duration;   // of the task
  double energy;     // most on a path after it
  double following;  // all after it
  double own;        // its own energy
};
// Different enough that each is the best for some graphs. The first is the latest finish time, the
// second the latest start time; large graphs have only the first.
constexpr Rule kRules[] = {{1, 0, 0, 0, 0}, {1, 1, 0, 0, 0}, {1, 0, 0, 2, 2},
                           {0, 0, 0, 1, 1}, {0, 0, 1, 0, 1}, {1, 0, 4, 0, 0}};

ActivityList ListByRule(const PackedProject& project, const Ahead& ahead, const Rule& rule) {
  std::vector<double> priority(project.size());
  ActivityList list(project.size());
  for (uint32_t i = 0; i < list.size(); ++i) {
    list[i] = i;
    priority[i] = rule.path * ahead.path[i] +
                  rule.duration * static_cast<double>(project.durations[i]) +
                  rule.energy * ahead.energy[i] + rule.following * ahead.following[i] +
                  rule.own * project.scarce_energy[i];
  }
  std::sort(list.begin(), list.end(), [&](uint32_t a, uint32_t b) {
    return priority[a] != priority[b] ? priority[a] > priority[b]
                                      : project.tasks[a] < project.tasks[b];
  });
  return list;
}

// Tries orders with the parallel scheme, keeps the best, and counts its passes.
class OrderImprover {
 public:
  explicit OrderImprover(const PackedProject* project)
      : project_(*project),
        generator_(ScheduleGenerator::Make(project)),
        passes_left_(PassesFor(*project)) {}

  // Improves the list in rounds as long as there are passes left for whole rounds. Without passes
  // the first list is the best.
  void Try(ActivityList list) {
    if (best_.empty()) best_ = list;
    if (passes_left_ < 3) return;
    Dispatch(list);
    for (int round = 0; round < kRounds && passes_left_ >= 2; ++round) {
      ListByTime(project_, schedule_, Direction::kBackward, &list);
      Generate(list, Direction::kBackward);
      ListByTime(project_, schedule_, Direction::kForward, &list);
      Dispatch(list);
    }
  }
  const ActivityList& best() const { return best_; }

 private:
  void Generate(const ActivityList& list, Direction direction) {
    generator_->Generate(list, Scheme::kParallel, direction, &schedule_);
    --passes_left_;
  }
  void Dispatch(const ActivityList& list) {
    Generate(list, Direction::kForward);
    if (schedule_.makespan >= shortest_) return;
    shortest_ = schedule_.makespan;
    best_ = list;
  }

  const PackedProject& project_;
  const std::unique_ptr<ScheduleGenerator> generator_;
  size_t passes_left_;
  Schedule schedule_;
  ActivityList best_;
  int64_t shortest_ = std::numeric_limits<int64_t>::max();
};

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
  const Ahead ahead = LookAhead(packed);
  OrderImprover improver(&packed);
  for (const Rule& rule : kRules) improver.Try(ListByRule(packed, ahead, rule));
  return packed.Tasks(improver.best());
}

Schedule Dispatch(const Project& project, absl::Span<const TaskIndex> order) {
  const PackedProject packed(project);
  Schedule schedule;
  ScheduleGenerator::Make(&packed)->Generate(packed.Numbers(order), Scheme::kParallel,
                                             Direction::kForward, &schedule);
  return packed.ByTask(schedule);
}

}  // namespace kartograph::planner
