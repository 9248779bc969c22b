#include "planner/schedule_search.h"

#include <algorithm>
#include <cmath>
#include <utility>

#include "planner/makespan_bounds.h"

namespace kartograph::planner {
namespace {

constexpr double kParallelShare = 0.5;
constexpr double kMutation = 0.05;

// Grows as what the search has to spend to the power of 0.7: 40 for 5,000 schedules, 200 for
// 50,000.
size_t PopulationSize(int64_t schedules) {
  const double size = 0.103 * std::pow(static_cast<double>(std::max<int64_t>(schedules, 1)), 0.7);
  return static_cast<size_t>(std::clamp(size, 8.0, 1000.0));
}

// FNV-1a over whole words.
uint64_t Fingerprint(const Schedule& schedule) {
  uint64_t hash = 14695981039346656037u;
  for (int64_t start : schedule.starts) {
    hash = (hash ^ static_cast<uint64_t>(start)) * 1099511628211u;
  }
  return hash;
}

Direction Opposite(Direction direction) {
  return direction == Direction::kForward ? Direction::kBackward : Direction::kForward;
}

}  // namespace

ScheduleSearch::ScheduleSearch(const Project& project, ScheduleSearchOptions options)
    : project_(project),
      lower_bound_(FindMakespanBounds(project).Best()),
      population_size_(PopulationSize(options.planned_schedules)),
      generator_(ScheduleGenerator::Make(&project_)),
      lists_(&project_),
      random_(options.seed) {}

void ScheduleSearch::Run(int64_t schedules, absl::FunctionRef<bool()> keep_going) {
  while (schedules_ < schedules && !done() && keep_going()) Step();
}

void ScheduleSearch::Step() {
  if (done()) return;
  if (!child_begun_) Begin();
  Schedule& schedule = child_.made.parent.schedule;
  generator_->Generate(child_.list, child_.scheme, child_.direction, &schedule);
  ++schedules_;
  if (best_.starts.empty() || schedule.makespan < best_.makespan) best_ = schedule;
  if (child_.justifications == 0) {
    Admit();
    child_begun_ = false;
    return;
  }
  --child_.justifications;
  child_.scheme = Scheme::kSerial;
  child_.direction = Opposite(child_.direction);
  ListByTime(project_, schedule, child_.direction, &child_.list);
}

void ScheduleSearch::Begin() {
  child_begun_ = true;
  if (population_.size() < population_size_) {
    child_.direction = Direction::kForward;
    child_.justifications = 2;
    lists_.Sample(random_, &child_.list);
  } else {
    const size_t father = SelectParent();
    size_t mother = SelectParent();
    if (mother == father)
      mother = (father + 1 + random_.Below(population_.size() - 1)) % population_.size();
    child_.direction = random_.Chance(0.5) ? Direction::kBackward : Direction::kForward;
    child_.justifications = 1;
    lists_.Cross(population_[father].parent, population_[mother].parent, child_.direction, random_,
                 &child_.list);
    lists_.Mutate(child_.direction, kMutation, random_, &child_.list);
  }
  child_.scheme = random_.Chance(kParallelShare) ? Scheme::kParallel : Scheme::kSerial;
}

void ScheduleSearch::Admit() {
  Individual& made = child_.made;
  made.fingerprint = Fingerprint(made.parent.schedule);
  if (fingerprints_.contains(made.fingerprint)) return;
  size_t place = population_.size();
  if (place < population_size_) {
    population_.emplace_back();
  } else {
    place = FindWorst();
    if (made.parent.schedule.makespan > population_[place].parent.schedule.makespan) return;
    fingerprints_.erase(population_[place].fingerprint);
  }
  ListByTime(project_, made.parent.schedule, Direction::kForward, &made.parent.forward);
  ListByTime(project_, made.parent.schedule, Direction::kBackward, &made.parent.backward);
  fingerprints_.insert(made.fingerprint);
  std::swap(population_[place], made);
}

// The better of two at random.
size_t ScheduleSearch::SelectParent() {
  const size_t a = random_.Below(population_.size());
  const size_t b = random_.Below(population_.size());
  return population_[b].parent.schedule.makespan < population_[a].parent.schedule.makespan ? b : a;
}

// Of several, one at random.
size_t ScheduleSearch::FindWorst() {
  size_t worst = 0;
  size_t ties = 1;
  for (size_t i = 1; i < population_.size(); ++i) {
    const int64_t makespan = population_[i].parent.schedule.makespan;
    const int64_t longest = population_[worst].parent.schedule.makespan;
    if (makespan > longest) {
      worst = i;
      ties = 1;
    } else if (makespan == longest && random_.Below(++ties) == 0) {
      worst = i;
    }
  }
  return worst;
}

std::vector<TaskIndex> ScheduleSearch::BestOrder() const {
  ActivityList list;
  ListByTime(project_, best_, Direction::kForward, &list);
  return project_.Tasks(list);
}

}  // namespace kartograph::planner
