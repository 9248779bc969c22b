#include "planner/schedule_search.h"

#include <algorithm>
#include <cmath>
#include <limits>
#include <utility>

#include "planner/makespan_bounds.h"
#include "planner/one_pass_order.h"

namespace kartograph::planner {
namespace {

constexpr double kParallelShare = 0.5;
// The probability with which each pair of neighbours is exchanged.
constexpr double kMutation = 0.1;
// A child this much longer than the worst individual is given up before it is justified.
constexpr double kHopeless = 1.03;
constexpr int kMostSchedulesOfAChild = 12;
constexpr size_t kLastPopulation = 10;
constexpr size_t kLargestPopulation = 1000;
// So many samples for each individual are tried: a small project has few different schedules.
constexpr size_t kSamplesForEach = 2;

// 120 for 5,000 schedules, 500 for 50,000; neither is sensitive.
size_t FirstPopulation(int64_t planned_schedules) {
  const double spans = static_cast<double>(std::max<int64_t>(planned_schedules, 1)) / 5000;
  const double size = 120 * std::pow(spans, 0.62);
  return std::clamp(static_cast<size_t>(size), kLastPopulation, kLargestPopulation);
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
      planned_schedules_(std::max<int64_t>(1, options.planned_schedules)),
      for_dispatcher_(options.for_dispatcher),
      first_population_(FirstPopulation(options.planned_schedules)),
      generator_(ScheduleGenerator::Make(&project_)),
      lists_(&project_),
      random_(options.seed),
      first_list_(project_.Numbers(options.first_order.empty() ? LatestFinishOrder(project)
                                                               : options.first_order)) {}

void ScheduleSearch::Run(int64_t schedules, absl::FunctionRef<bool()> keep_going) {
  while (schedules_ < schedules && !done() && keep_going()) Step();
}

void ScheduleSearch::Step() {
  if (done()) return;
  if (!child_begun_) BeginChild();
  Schedule& schedule = child_.made.parent.schedule;
  child_.makespan = schedule.makespan;
  generator_->Generate(child_.list, child_.scheme, child_.direction, &schedule);
  ++schedules_;
  ++child_.schedules;
  Keep(schedule);
  if (NeedsJustification()) {
    child_.scheme = for_dispatcher_ ? Scheme::kParallel : Scheme::kSerial;
    child_.direction = Opposite(child_.direction);
    lists_.ListByTime(schedule, child_.direction, random_, &child_.list);
    return;
  }
  child_begun_ = false;
  if (schedule.makespan <= child_.good_enough) Admit();
}

void ScheduleSearch::Keep(const Schedule& schedule) {
  const bool dispatched =
      child_.scheme == Scheme::kParallel && child_.direction == Direction::kForward;
  if (for_dispatcher_ && !dispatched) return;
  if (schedules_ == 1 || schedule.makespan < best_.makespan) best_ = schedule;
  if (!dispatched) return;
  if (schedules_ == 1 || schedule.makespan < best_dispatched_.makespan) best_dispatched_ = schedule;
}

bool ScheduleSearch::NeedsJustification() const {
  const int64_t makespan = child_.made.parent.schedule.makespan;
  if (child_.schedules < child_.least) {
    return static_cast<double>(makespan) <= kHopeless * static_cast<double>(child_.good_enough);
  }
  if (for_dispatcher_) return false;  // it would end backward
  return makespan < child_.makespan && makespan <= child_.good_enough &&
         child_.schedules < kMostSchedulesOfAChild;
}

void ScheduleSearch::BeginChild() {
  child_begun_ = true;
  child_.schedules = 0;
  const bool sampled_enough =
      population_.size() >= first_population_ || sampled_ >= kSamplesForEach * first_population_;
  sampling_ = sampling_ && !(sampled_enough && population_.size() >= 2);
  child_.scheme =
      for_dispatcher_ || random_.Chance(kParallelShare) ? Scheme::kParallel : Scheme::kSerial;
  if (sampling_) {
    Sample();
  } else {
    Cross();
  }
}

void ScheduleSearch::Sample() {
  child_.direction = Direction::kForward;
  child_.least = 3;
  child_.good_enough = std::numeric_limits<int64_t>::max();
  if (sampled_++ > 0) {
    lists_.Sample(random_, &child_.list);
    return;
  }
  child_.list = first_list_;
  child_.scheme = Scheme::kParallel;  // as a dispatcher would
}

void ScheduleSearch::Cross() {
  Shrink();
  const size_t father = SelectParent();
  size_t mother = SelectParent();
  while (mother == father) mother = SelectParent();
  child_.direction =
      for_dispatcher_ || random_.Chance(0.5) ? Direction::kBackward : Direction::kForward;
  child_.least = 2;
  child_.good_enough = population_[FindWorst()].parent.schedule.makespan;
  lists_.Cross(population_[father].parent, population_[mother].parent, child_.direction, random_,
               &child_.list);
  lists_.Mutate(child_.direction, kMutation, random_, &child_.list);
}

void ScheduleSearch::Admit() {
  Individual& made = child_.made;
  made.fingerprint = Fingerprint(made.parent.schedule);
  if (!fingerprints_.insert(made.fingerprint).second) return;
  for (Direction direction : {Direction::kForward, Direction::kBackward}) {
    lists_.ListByTime(made.parent.schedule, direction, random_,
                      made.parent.mutable_list(direction));
  }
  if (sampling_) population_.emplace_back();
  Individual& place = sampling_ ? population_.back() : population_[FindWorst()];
  if (!sampling_) fingerprints_.erase(place.fingerprint);
  std::swap(place, made);
}

// As the square root of the share of the planned schedules that is spent.
void ScheduleSearch::Shrink() {
  const double spent =
      std::min(1.0, static_cast<double>(schedules_) / static_cast<double>(planned_schedules_));
  const auto removable = static_cast<double>(first_population_ - kLastPopulation);
  const size_t size = first_population_ - static_cast<size_t>(removable * std::sqrt(spent));
  while (population_.size() > size) {
    Individual& worst = population_[FindWorst()];
    fingerprints_.erase(worst.fingerprint);
    std::swap(worst, population_.back());
    population_.pop_back();
  }
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

std::vector<TaskIndex> ScheduleSearch::DispatchOrder() const {
  ActivityList list;
  ListByTime(project_, best_, Direction::kForward, &list);
  Schedule schedule;
  ScheduleGenerator::Make(&project_)->Generate(list, Scheme::kParallel, Direction::kForward,
                                               &schedule);
  if (best_dispatched_.makespan < schedule.makespan) {
    ListByTime(project_, best_dispatched_, Direction::kForward, &list);
  }
  return project_.Tasks(list);
}

}  // namespace kartograph::planner
