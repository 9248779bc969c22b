#include "scheduler/order_search.h"

#include <algorithm>
#include <utility>

#include "planner/one_pass_order.h"
#include "planner/schedule_search.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskIndex;

void OrderSearch::Add(GraphId graph) {
  if (schedules_ == 0 || stopped_ || waiting_.size() >= kMostWaiting) return;
  waiting_.push_back(graph);
}

void OrderSearch::Advance(const Core& core, const Instant& now, const Found& found) {
  const auto wanted = [&core](GraphId id) {
    const LiveGraph* graph = core.FindGraph(id);
    return graph != nullptr && !graph->open && !graph->cancelling();
  };
  if (give_up_ != nullptr && !wanted(graph_)) *give_up_ = true;
  while (!stopped_ && give_up_ == nullptr && !waiting_.empty() && !core.capacity().empty()) {
    graph_ = waiting_.front();
    waiting_.pop_front();
    if (!wanted(graph_)) continue;
    std::optional<GraphProject> made = core.ProjectOf(graph_, std::max(max_tasks_, kMostOnePass));
    if (!made.has_value()) continue;
    struct Search {
      GraphProject project;
      std::optional<std::vector<TaskIndex>> order;
    };
    auto search = std::make_shared<Search>();
    search->project = *std::move(made);
    give_up_ = std::make_shared<std::atomic<bool>>(false);
    background_.Run(Background::kSearch, now,
                    {.work =
                         [search, give_up = give_up_, schedules = schedules_,
                          max_tasks = max_tasks_, seed = graph_] {
                           search->order =
                               FindOrder(search->project, schedules, max_tasks, seed, *give_up);
                         },
                     .then =
                         [this, search, found, graph = graph_](const Instant& later) {
                           give_up_ = nullptr;
                           if (search->order.has_value() && !stopped_) {
                             found(graph, *std::move(search->order), later);
                           }
                         }});
  }
}

void OrderSearch::Stop() {
  stopped_ = true;
  waiting_.clear();
  if (give_up_ != nullptr) *give_up_ = true;
}

std::optional<std::vector<TaskIndex>> FindOrder(const GraphProject& made, int64_t schedules,
                                                size_t max_tasks, uint64_t seed,
                                                const std::atomic<bool>& give_up) {
  const planner::Project& project = made.project;
  if (project.size() > max_tasks) {
    const std::vector<TaskIndex> order = planner::OnePassOrder(project);
    if (planner::Dispatch(project, order).makespan >=
        planner::Dispatch(project, made.first_order).makespan) {
      return std::nullopt;
    }
    return made.InGraph(order);
  }
  planner::ScheduleSearchOptions options;
  options.seed = seed;
  options.planned_schedules = schedules;
  options.first_order = made.first_order;
  options.for_dispatcher = true;
  planner::ScheduleSearch search(project, std::move(options));
  const auto keep_going = [&give_up] { return !give_up; };
  search.Run(1, keep_going);
  if (search.schedules() == 0) return std::nullopt;
  const int64_t first = search.best().makespan;
  search.Run(schedules, keep_going);
  if (give_up || search.best_dispatched().makespan >= first) return std::nullopt;
  return made.InGraph(search.DispatchOrder());
}

}  // namespace kartograph::scheduler
