#include "planner/activity_list.h"

#include <algorithm>
#include <limits>
#include <utility>

namespace kartograph::planner {
namespace {

// Of a list, the stretch of a crossover takes between these shares.
constexpr double kShortestStretch = 0.25;
constexpr double kLongestStretch = 0.5;
// From so many random stretches the best used is taken.
constexpr int kStretches = 8;

bool Contains(absl::Span<const uint32_t> list, uint32_t task) {
  return std::find(list.begin(), list.end(), task) != list.end();
}

}  // namespace

ActivityListMaker::ActivityListMaker(const PackedProject* project)
    : project_(*project), tails_(project->size(), 0), energy_(project->scarce_energy) {
  const size_t n = project_.size();
  int64_t sum = 0;
  for (size_t i = n; i-- > 0;) {
    for (uint32_t next : project_.successors[static_cast<uint32_t>(i)]) {
      tails_[i] = std::max(tails_[i], project_.durations[next] + tails_[next]);
    }
    sum += project_.durations[i];
  }
  // A fifth of the mean duration: 1 for PSPLIB, where the literature adds 1.
  regret_floor_ = std::max(1.0, static_cast<double>(sum) / (5.0 * static_cast<double>(n)));
}

void ActivityListMaker::Sample(RandomChoices& random, ActivityList* list) {
  const uint32_t n = static_cast<uint32_t>(project_.size());
  list->clear();
  missing_.resize(n);
  eligible_.clear();
  for (uint32_t i = 0; i < n; ++i) {
    missing_[i] = static_cast<uint32_t>(project_.predecessors[i].size());
    if (missing_[i] == 0) eligible_.push_back(i);
  }
  while (!eligible_.empty()) {
    int64_t shortest = std::numeric_limits<int64_t>::max();
    for (uint32_t task : eligible_) shortest = std::min(shortest, tails_[task]);
    weights_.clear();
    double sum = 0;
    for (uint32_t task : eligible_) {
      const double regret = static_cast<double>(tails_[task] - shortest) + regret_floor_;
      weights_.push_back(regret * regret);
      sum += weights_.back();
    }
    double at = random.Unit() * sum;
    size_t chosen = 0;
    while (chosen + 1 < eligible_.size() && at >= weights_[chosen]) at -= weights_[chosen++];
    const uint32_t task = eligible_[chosen];
    eligible_[chosen] = eligible_.back();
    eligible_.pop_back();
    list->push_back(task);
    for (uint32_t next : project_.successors[task]) {
      if (--missing_[next] == 0) eligible_.push_back(next);
    }
  }
}

ActivityListMaker::Stretch ActivityListMaker::FindPeak(const Parent& parent, Direction direction,
                                                       RandomChoices& random) {
  const size_t n = project_.size();
  const ActivityList& list = parent.list(direction);
  // In the time of the direction, from 0.
  const auto start = [&](size_t place) {
    if (place == n) return parent.schedule.makespan;
    const uint32_t task = list[place];
    const int64_t forward = parent.schedule.starts[task];
    return direction == Direction::kForward
               ? forward
               : parent.schedule.makespan - forward - project_.durations[task];
  };
  energy_before_.resize(n + 1);
  energy_before_[0] = 0;
  for (size_t i = 0; i < n; ++i) energy_before_[i + 1] = energy_before_[i] + energy_[list[i]];
  Stretch peak;
  double most = -1;
  for (int i = 0; i < kStretches; ++i) {
    const double share = kShortestStretch + (kLongestStretch - kShortestStretch) * random.Unit();
    const size_t length = std::max<size_t>(1, static_cast<size_t>(share * static_cast<double>(n)));
    Stretch stretch;
    stretch.begin = random.Below(n - length + 1);
    stretch.end = stretch.begin + length;
    const int64_t time = std::max<int64_t>(1, start(stretch.end) - start(stretch.begin));
    const double use =
        (energy_before_[stretch.end] - energy_before_[stretch.begin]) / static_cast<double>(time);
    if (use > most) {
      most = use;
      peak = stretch;
    }
  }
  return peak;
}

void ActivityListMaker::Cross(const Parent& father, const Parent& mother, Direction direction,
                              RandomChoices& random, ActivityList* list) {
  const Stretch peak = FindPeak(father, direction, random);
  taken_.assign(project_.size(), 0);
  list->clear();
  const auto take_from = [&](const Parent& parent, size_t until) {
    for (uint32_t task : parent.list(direction)) {
      if (list->size() >= until) return;
      if (taken_[task]) continue;
      taken_[task] = 1;
      list->push_back(task);
    }
  };
  take_from(mother, peak.begin);
  take_from(father, peak.end);
  take_from(mother, project_.size());
}

void ActivityListMaker::ListByTime(const Schedule& schedule, Direction direction,
                                   RandomChoices& random, ActivityList* list) {
  const auto n = static_cast<uint32_t>(project_.size());
  const bool forward = direction == Direction::kForward;
  places_.resize(n);
  for (uint32_t i = 0; i < n; ++i) {
    const int64_t duration = project_.durations[i];
    const int64_t start = schedule.starts[i];
    // A task that takes no time may precede others of its time, or follow them: it keeps its place
    // in the topological order, before or after all that take some.
    const uint32_t place = forward ? i : n - 1 - i;
    const uint64_t tie = duration == 0 ? place : (uint64_t{1} << 63) | random.Bits() >> 1;
    places_[i] = {forward ? start : schedule.makespan - start - duration, tie, i};
  }
  std::sort(places_.begin(), places_.end(), [](const Place& a, const Place& b) {
    return a.time != b.time ? a.time < b.time : a.tie != b.tie ? a.tie < b.tie : a.task < b.task;
  });
  list->resize(n);
  for (uint32_t i = 0; i < n; ++i) (*list)[i] = places_[i].task;
}

void ActivityListMaker::Mutate(Direction direction, double probability, RandomChoices& random,
                               ActivityList* list) {
  const Adjacency& after =
      direction == Direction::kForward ? project_.successors : project_.predecessors;
  for (size_t i = 0; i + 1 < list->size(); ++i) {
    if (!random.Chance(probability)) continue;
    if (!Contains(after[(*list)[i]], (*list)[i + 1])) std::swap((*list)[i], (*list)[i + 1]);
  }
}

}  // namespace kartograph::planner
