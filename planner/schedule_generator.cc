#include "planner/schedule_generator.h"

#include <algorithm>
#include <functional>
#include <limits>
#include <utility>

#include "planner/resource_profile.h"

namespace kartograph::planner {
namespace {

template <size_t kWords>
PackedAmounts<kWords> ToAmounts(const std::vector<uint64_t>& words) {
  PackedAmounts<kWords> amounts;
  std::copy_n(words.begin(), kWords, amounts.begin());
  return amounts;
}

// The tasks that could start but for resources, best first. Tasks of one demand class fit or do not
// fit together, so only the best of each class is looked at.
class ReadyTasks {
 public:
  explicit ReadyTasks(uint32_t classes) : ranks_(classes) {}

  void Clear() { heads_.clear(); }
  bool empty() const { return heads_.empty(); }
  void Add(uint32_t rank, uint32_t demand_class) {
    std::vector<uint32_t>& ranks = ranks_[demand_class];
    ranks.push_back(rank);
    std::push_heap(ranks.begin(), ranks.end(), std::greater<>());
    if (ranks.front() != rank) return;
    if (ranks.size() > 1) {
      // The class moves forward.
      auto it = std::find_if(heads_.begin(), heads_.end(),
                             [&](const auto& head) { return head.second == demand_class; });
      heads_.erase(it);
    }
    InsertHead(rank, demand_class);
  }
  // Calls `try_start(rank)` for the best of each class, in order; those for which it is true are
  // gone, and the next of their class takes its turn.
  template <typename F>
  void Scan(F try_start) {
    size_t kept = 0;
    for (size_t i = 0; i < heads_.size(); ++i) {
      const auto [rank, demand_class] = heads_[i];
      if (!try_start(rank)) {
        heads_[kept++] = heads_[i];
        continue;
      }
      std::vector<uint32_t>& ranks = ranks_[demand_class];
      std::pop_heap(ranks.begin(), ranks.end(), std::greater<>());
      ranks.pop_back();
      // Its place among those not yet looked at; the slot of the head that went is free for that.
      if (ranks.empty()) continue;
      const std::pair<uint32_t, uint32_t> next(ranks.front(), demand_class);
      size_t to = i;
      for (; to + 1 < heads_.size() && heads_[to + 1] < next; ++to) heads_[to] = heads_[to + 1];
      heads_[to] = next;
      --i;
    }
    heads_.resize(kept);
  }

 private:
  void InsertHead(uint32_t rank, uint32_t demand_class) {
    const std::pair<uint32_t, uint32_t> head(rank, demand_class);
    heads_.insert(std::upper_bound(heads_.begin(), heads_.end(), head), head);
  }

  std::vector<std::vector<uint32_t>> ranks_;          // by class, a heap
  std::vector<std::pair<uint32_t, uint32_t>> heads_;  // best rank and class, sorted
};

template <size_t kWords>
class PackedGenerator : public ScheduleGenerator {
 public:
  explicit PackedGenerator(const PackedProject* project)
      : project_(*project),
        capacity_(ToAmounts<kWords>(project->capacity)),
        guards_(ToAmounts<kWords>(project->guards)),
        profile_(capacity_, guards_),
        ready_(project->classes),
        ends_(project->size()) {}

  void Generate(absl::Span<const uint32_t> list, Scheme scheme, Direction direction,
                Schedule* schedule) override {
    const bool forward = direction == Direction::kForward;
    const Adjacency& before = forward ? project_.predecessors : project_.successors;
    const Adjacency& after = forward ? project_.successors : project_.predecessors;
    const int64_t makespan =
        scheme == Scheme::kSerial ? Serial(list, before) : Parallel(list, before, after);
    schedule->makespan = makespan;
    schedule->starts.resize(project_.size());
    for (size_t i = 0; i < project_.size(); ++i) {
      schedule->starts[i] = forward ? ends_[i] - project_.durations[i] : makespan - ends_[i];
    }
  }

 private:
  // Both fill ends_ and give the makespan, in the time of their direction.
  int64_t Serial(absl::Span<const uint32_t> list, const Adjacency& before) {
    profile_.Clear();
    int64_t makespan = 0;
    for (uint32_t task : list) {
      int64_t earliest = 0;
      for (uint32_t other : before[task]) earliest = std::max(earliest, ends_[other]);
      const int64_t duration = project_.durations[task];
      ends_[task] = profile_.Place(earliest, duration, project_.demand(task)) + duration;
      makespan = std::max(makespan, ends_[task]);
    }
    return makespan;
  }

  int64_t Parallel(absl::Span<const uint32_t> list, const Adjacency& before,
                   const Adjacency& after) {
    missing_.resize(list.size());
    rank_.resize(list.size());
    ready_.Clear();
    for (uint32_t rank = 0; rank < list.size(); ++rank) rank_[list[rank]] = rank;
    for (uint32_t task = 0; task < list.size(); ++task) {
      missing_[task] = static_cast<uint32_t>(before[task].size());
      if (missing_[task] == 0) ready_.Add(rank_[task], project_.demand_class[task]);
    }
    PackedAmounts<kWords> free = capacity_;
    int64_t now = 0;
    const auto try_start = [&](uint32_t rank) {
      const uint32_t task = list[rank];
      const uint64_t* demand = project_.demand(task);
      if (!Fits(free, demand, guards_)) return false;
      for (size_t w = 0; w < kWords; ++w) free[w] -= demand[w];
      ends_[task] = now + project_.durations[task];
      running_.emplace_back(ends_[task], task);
      std::push_heap(running_.begin(), running_.end(), std::greater<>());
      return true;
    };
    for (;;) {
      ready_.Scan(try_start);
      if (running_.empty()) return now;
      now = running_.front().first;
      while (!running_.empty() && running_.front().first == now) {
        const uint32_t task = running_.front().second;
        std::pop_heap(running_.begin(), running_.end(), std::greater<>());
        running_.pop_back();
        const uint64_t* demand = project_.demand(task);
        for (size_t w = 0; w < kWords; ++w) free[w] += demand[w];
        for (uint32_t next : after[task]) {
          if (--missing_[next] == 0) ready_.Add(rank_[next], project_.demand_class[next]);
        }
      }
    }
  }

  const PackedProject& project_;
  const PackedAmounts<kWords> capacity_;
  const PackedAmounts<kWords> guards_;
  ResourceProfile<kWords> profile_;
  ReadyTasks ready_;
  std::vector<int64_t> ends_;
  std::vector<uint32_t> missing_;  // how many predecessors have not ended
  std::vector<uint32_t> rank_;
  std::vector<std::pair<int64_t, uint32_t>> running_;  // by end, a heap
};

}  // namespace

std::unique_ptr<ScheduleGenerator> ScheduleGenerator::Make(const PackedProject* project) {
  switch (project->words) {
    case 1:
      return std::make_unique<PackedGenerator<1>>(project);
    case 2:
      return std::make_unique<PackedGenerator<2>>(project);
    case 4:
      return std::make_unique<PackedGenerator<4>>(project);
    case 8:
      return std::make_unique<PackedGenerator<8>>(project);
    default:
      return std::make_unique<PackedGenerator<kMaxProjectResources>>(project);
  }
}

void ListByTime(const PackedProject& project, const Schedule& schedule, Direction direction,
                std::vector<uint32_t>* list) {
  const auto n = static_cast<uint32_t>(project.size());
  // By time from where the direction begins; of equals, in topological order as seen from there.
  std::vector<std::pair<int64_t, uint32_t>> places(n);
  if (direction == Direction::kForward) {
    for (uint32_t i = 0; i < n; ++i) places[i] = {schedule.starts[i], i};
  } else {
    for (uint32_t i = 0; i < n; ++i) {
      const int64_t end = schedule.starts[i] + project.durations[i];
      places[n - 1 - i] = {schedule.makespan - end, n - 1 - i};
    }
  }
  std::sort(places.begin(), places.end());
  list->resize(n);
  for (uint32_t i = 0; i < n; ++i) {
    const uint32_t place = places[i].second;
    (*list)[i] = direction == Direction::kForward ? place : n - 1 - place;
  }
}

}  // namespace kartograph::planner
