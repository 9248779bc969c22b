// Better orders for graphs, searched for off the scheduling path.
#ifndef KARTOGRAPH_SCHEDULER_ORDER_SEARCH_H_
#define KARTOGRAPH_SCHEDULER_ORDER_SEARCH_H_

#include <atomic>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <vector>

#include "base/clock.h"
#include "planner/ids.h"
#include "scheduler/background.h"
#include "scheduler/core.h"
#include "scheduler/graph_project.h"

namespace kartograph::scheduler {

// For each closed graph that comes, one after the other: an order with which what is left of it
// would end sooner, were it alone on the agents that there are now. Up to `max_tasks` by a schedule
// search (planner/schedule_search.h) of `schedules` schedules, up to kMostOnePass by a few passes;
// larger ones keep the order that they came with. What is found depends on the graph, its id and
// the agents alone. Until it is, the graph runs in the order that it has.
//
// Thread-compatible; used where the engine is.
class OrderSearch {
 public:
  // Of so many tasks the passes take half a second.
  static constexpr size_t kMostOnePass = 20000;
  // More graphs than these do not wait for their turn.
  static constexpr size_t kMostWaiting = 1000;

  // `background` outlives this, and its jobs do not. No schedules: nothing is searched for.
  OrderSearch(int64_t schedules, size_t max_tasks, Background* background)
      : schedules_(schedules), max_tasks_(max_tasks), background_(*background) {}

  void Add(planner::GraphId graph);
  // Begins with the next graph, where none is searched for now and agents are known. `found` is
  // called where the engine is, between two batches, with an order of all tasks that were not
  // final.
  using Found = std::function<void(planner::GraphId graph, std::vector<planner::TaskIndex> order,
                                   const Instant& now)>;
  void Advance(const Core& core, const Instant& now, const Found& found);
  // Gives up what is searched for now, soon, and begins nothing more.
  void Stop();

  size_t waiting() const { return waiting_.size(); }

 private:
  const int64_t schedules_;
  const size_t max_tasks_;
  Background& background_;
  std::deque<planner::GraphId> waiting_;
  bool stopped_ = false;
  // What is searched for now; null: nothing.
  planner::GraphId graph_ = 0;
  std::shared_ptr<std::atomic<bool>> give_up_;
};

// A better order than the one that the project has, as one of the graph's tasks; nothing where none
// is found, or `give_up` is set.
std::optional<std::vector<planner::TaskIndex>> FindOrder(const GraphProject& project,
                                                         int64_t schedules, size_t max_tasks,
                                                         uint64_t seed,
                                                         const std::atomic<bool>& give_up);

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_ORDER_SEARCH_H_
