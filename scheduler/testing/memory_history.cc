#include "scheduler/testing/memory_history.h"

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include "absl/algorithm/container.h"
#include "absl/status/status.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::TaskKey;

namespace {

void Check(bool condition, const char* what) {
  if (condition) return;
  std::fprintf(stderr, "the scheduler wrote a wrong history: %s\n", what);
  std::abort();
}

template <typename... F>
struct Overloaded : F... {
  using F::operator()...;
};
template <typename... F>
Overloaded(F...) -> Overloaded<F...>;

}  // namespace

absl::Status MemoryHistory::Commit(absl::Span<const storage::Record> records) {
  if (failing_ > 0) {
    --failing_;
    return failure_;
  }
  return CommitUrgent(records);
}

absl::Status MemoryHistory::CommitUrgent(absl::Span<const storage::Record> records) {
  if (failing_urgent_ > 0) {
    --failing_urgent_;
    return failure_;
  }
  std::lock_guard lock(mutex_);
  ++commits_;
  // As it is with its attempt, whose end may come later in the commit; but the task may be reset
  // after it, even in the same commit.
  std::vector<storage::FinishedQueued> queued;
  const auto deliver = [&](const storage::FinishedQueued& q) {
    finished_[q.client_queue][q.delivery_id] = FinishedNow(q);
  };
  for (const storage::Record& record : records) {
    if (const auto* reset = std::get_if<storage::TaskReset>(&record)) {
      std::erase_if(queued, [&](const storage::FinishedQueued& q) {
        if (q.task != reset->task) return false;
        deliver(q);
        return true;
      });
    }
    Apply(record);
    if (const auto* q = std::get_if<storage::FinishedQueued>(&record)) queued.push_back(*q);
  }
  for (const storage::FinishedQueued& q : queued) deliver(q);
  return absl::OkStatus();
}

void MemoryHistory::Apply(const storage::Record& record) {
  auto task_of = [this](TaskKey key) -> Task& {
    Check(graphs_.contains(key.graph()), "a record of an unknown graph");
    Check(key.index() < graphs_[key.graph()].tasks.size(), "a record of an unknown task");
    return graphs_[key.graph()].tasks[key.index()];
  };
  std::visit(Overloaded{
                 [&](const storage::GraphSubmitted& r) {
                   Check(!graphs_.contains(r.graph), "a graph submitted twice");
                   graphs_[r.graph].submitted = r;
                   graphs_[r.graph].state = {r.graph, planner::GraphState::kRunning, r.open,
                                             absl::InfiniteFuture(), r.work};
                   last_graph_ = std::max(last_graph_, r.graph);
                 },
                 [&](const storage::GraphChanged& r) {
                   Check(graphs_.contains(r.graph), "a change of an unknown graph");
                   graphs_[r.graph].state = r;
                 },
                 [&](const storage::TaskSubmitted& r) {
                   Graph& graph = graphs_.at(r.task.graph());
                   Check(r.task.index() == graph.tasks.size(), "tasks out of order");
                   graph.tasks.emplace_back().submitted = r;
                 },
                 [&](const storage::AttemptLaunched& r) {
                   Task& task = task_of(r.attempt.task());
                   Check(!task.ended, "a launch of a task that has ended");
                   Check(graphs_[r.attempt.task().graph()].state.work == storage::GraphWork::kNone,
                         "a launch of a graph that is being worked on");
                   for (const auto& [number, attempt] : task.attempts) {
                     Check(attempt.second.has_value(), "a launch while an attempt is alive");
                     Check(number < r.attempt.number(), "attempt numbers do not grow");
                   }
                   task.attempts[r.attempt.number()].first = r;
                 },
                 [&](const storage::AttemptEnded& r) {
                   Task& task = task_of(r.attempt.task());
                   Check(task.attempts.contains(r.attempt.number()),
                         "an end of an unknown attempt");
                   auto& ended = task.attempts[r.attempt.number()].second;
                   Check(!ended.has_value(), "a second end of an attempt");
                   ended = r;
                 },
                 [&](const storage::TaskEnded& r) {
                   Task& task = task_of(r.task);
                   Check(task.ended.has_value() == r.replaces_cancelled, "a second end of a task");
                   Check(!task.ended || task.ended->state == planner::TaskState::kCancelled,
                         "an end that replaces another than a cancel");
                   task.ended = r;
                 },
                 [&](const storage::TaskReset& r) {
                   Task& task = task_of(r.task);
                   task.ended.reset();
                   task.attempts_before = r.attempts_before;
                 },
                 [&](const storage::FinishedQueued& r) {
                   Check(r.delivery_id > last_delivery_, "delivery ids do not grow");
                   last_delivery_ = r.delivery_id;
                 },
                 [&](const storage::GraphEndQueued& r) {
                   Check(r.delivery_id > last_delivery_, "delivery ids do not grow");
                   last_delivery_ = r.delivery_id;
                   Check(graphs_.contains(r.graph), "a delivery of an unknown graph");
                   const Graph& graph = graphs_[r.graph];
                   Check(graph.state.state != planner::GraphState::kRunning,
                         "a delivery of a graph that runs");
                   storage::Finished& finished = finished_[r.client_queue][r.delivery_id];
                   finished.delivery_id = r.delivery_id;
                   finished.task = TaskKey::Of(r.graph, 0);
                   finished.graph_end = {graph.submitted, graph.state, {}, {}};
                   finished.graph_end->tasks = static_cast<int64_t>(graph.tasks.size());
                 },
                 [&](const storage::FinishedAcknowledged& r) {
                   finished_[r.client_queue].erase(r.delivery_id);
                 },
                 [&](const storage::RequestAnswered& r) { requests_[r.request_id] = r.answer; },
                 [&](const storage::RetentionTime& r) { retention_time_ = r.time; },
                 [&](const storage::PoolChanged& r) { pools_[r.pool] = r; },
                 [&](const storage::KindLearnt& r) { kinds_[r.id] = r; },
                 [&](const storage::KindForgotten& r) { kinds_.erase(r.id); },
             },
             record);
}

void MemoryHistory::Visit(const Graph& graph, storage::GraphVisitor& visitor) const {
  visitor.OnGraph(graph.submitted, graph.state);
  for (const Task& task : graph.tasks) {
    storage::TaskSubmitted submitted = task.submitted;
    submitted.payload.clear();
    visitor.OnTask(submitted, task.attempts_before);
  }
  for (const Task& task : graph.tasks) {
    for (const auto& [number, attempt] : task.attempts) {
      visitor.OnAttempt(attempt.first, attempt.second ? &*attempt.second : nullptr);
    }
  }
  for (const Task& task : graph.tasks) {
    if (task.ended) visitor.OnTaskEnded(*task.ended);
  }
}

absl::Status MemoryHistory::AbandonSubmissions() {
  std::lock_guard lock(mutex_);
  const auto is_part = [](const auto& entry) {
    return entry.second.state.work == storage::GraphWork::kSubmitting;
  };
  const bool any = std::any_of(graphs_.begin(), graphs_.end(), is_part);
  if (any && failing_ > 0) {
    --failing_;
    return failure_;
  }
  std::erase_if(graphs_, is_part);
  return absl::OkStatus();
}

absl::Status MemoryHistory::VisitLive(storage::GraphVisitor& visitor) {
  std::lock_guard lock(mutex_);
  for (const auto& [id, graph] : graphs_) {
    if (!graph.visible()) continue;
    if (graph.state.state == planner::GraphState::kRunning) Visit(graph, visitor);
  }
  return absl::OkStatus();
}

absl::Status MemoryHistory::VisitGraph(GraphId id, storage::GraphVisitor& visitor) {
  std::lock_guard lock(mutex_);
  auto it = graphs_.find(id);
  if (it == graphs_.end() || !it->second.visible()) return absl::NotFoundError("no such graph");
  Visit(it->second, visitor);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<storage::KindLearnt>> MemoryHistory::Kinds() {
  std::lock_guard lock(mutex_);
  std::vector<storage::KindLearnt> kinds;
  for (const auto& [id, kind] : kinds_) kinds.push_back(kind);
  return kinds;
}

absl::StatusOr<GraphId> MemoryHistory::LastGraphId() {
  std::lock_guard lock(mutex_);
  return last_graph_;
}

absl::StatusOr<std::vector<std::string>> MemoryHistory::Payloads(absl::Span<const TaskKey> keys) {
  std::lock_guard lock(mutex_);
  std::vector<std::string> payloads;
  for (TaskKey key : keys) payloads.push_back(task(key).submitted.payload);
  return payloads;
}

absl::StatusOr<std::optional<storage::HistoryWriter::Values>> MemoryHistory::ValuesBefore(
    TaskKey key, int64_t max_bytes) {
  std::lock_guard lock(mutex_);
  Values values;
  for (planner::TaskIndex index : task(key).submitted.after) {
    const Task& before = task(TaskKey::Of(key.graph(), index));
    if (before.attempts.empty() || !before.attempts.rbegin()->second.second) continue;
    const storage::AttemptEnded& end = *before.attempts.rbegin()->second.second;
    max_bytes -= static_cast<int64_t>(end.return_value.size());
    if (end.has_value) values.emplace_back(before.submitted.name, end.return_value);
  }
  if (max_bytes < 0) return std::nullopt;
  return values;
}

absl::StatusOr<TaskKey> MemoryHistory::FindTask(GraphId id, absl::string_view name) {
  std::lock_guard lock(mutex_);
  auto it = graphs_.find(id);
  if (it != graphs_.end() && it->second.visible()) {
    for (const Task& task : it->second.tasks) {
      if (task.submitted.name == name) return task.submitted.task;
    }
  }
  return absl::NotFoundError("no such task");
}

absl::StatusOr<bool> MemoryHistory::HasGraph(planner::GraphId graph) {
  std::lock_guard lock(mutex_);
  auto it = graphs_.find(graph);
  return it != graphs_.end() && it->second.visible();
}

absl::StatusOr<std::optional<std::string>> MemoryHistory::FindRequest(
    absl::string_view request_id) {
  std::lock_guard lock(mutex_);
  auto it = requests_.find(std::string(request_id));
  if (it == requests_.end()) return std::nullopt;
  return it->second;
}

storage::Finished MemoryHistory::FinishedNow(const storage::FinishedQueued& queued) const {
  const Task& of = task(queued.task);
  storage::Finished finished;
  finished.delivery_id = queued.delivery_id;
  finished.task = queued.task;
  finished.task_name = of.submitted.name;
  finished.task_details = of.submitted.details;
  Check(of.ended.has_value(), "a delivery of a task that has not ended");
  finished.ended = *of.ended;
  for (const auto& [number, attempt] : of.attempts) {
    if (number <= of.attempts_before || !attempt.second) continue;
    ++finished.attempts;
    finished.last_attempt = *attempt.second;
    finished.agent = attempt.first.agent;
    finished.agent_name = attempt.first.agent_name;
    finished.return_value_bytes = static_cast<int64_t>(finished.last_attempt.return_value.size());
  }
  return finished;
}

absl::StatusOr<std::vector<storage::Finished>> MemoryHistory::FinishedOf(
    absl::string_view client_queue, int max_tasks, int64_t max_bytes,
    const storage::DeliveryFilter& filter) {
  std::lock_guard lock(mutex_);
  std::vector<storage::Finished> found;
  int64_t bytes = 0;
  for (const auto& [delivery, finished] : finished_[std::string(client_queue)]) {
    if (delivery < filter.from || absl::c_binary_search(filter.skip, delivery)) continue;
    const bool with_value = finished.return_value_bytes <= filter.max_value_bytes;
    if (with_value) bytes += finished.return_value_bytes;
    if (!found.empty() && bytes > max_bytes) break;
    found.push_back(finished);
    if (!with_value) found.back().last_attempt.return_value.clear();
    if (static_cast<int>(found.size()) == max_tasks) break;
  }
  return found;
}

absl::StatusOr<std::vector<int64_t>> MemoryHistory::DeliveriesOf(absl::string_view client_queue,
                                                                 int max_deliveries) {
  std::lock_guard lock(mutex_);
  std::vector<int64_t> found;
  for (const auto& [delivery, finished] : finished_[std::string(client_queue)]) {
    if (static_cast<int>(found.size()) == max_deliveries) break;
    found.push_back(delivery);
  }
  return found;
}

absl::StatusOr<bool> MemoryHistory::HasDeliveries(GraphId graph) {
  std::lock_guard lock(mutex_);
  for (const auto& [queue, deliveries] : finished_) {
    for (const auto& [id, finished] : deliveries) {
      if (finished.task.graph() == graph) return true;
    }
  }
  return false;
}

absl::StatusOr<std::vector<GraphId>> MemoryHistory::FindPrunable(const storage::Keep& keep,
                                                                 int max_graphs) {
  std::lock_guard lock(mutex_);
  std::set<GraphId> undelivered;
  for (const auto& [queue, deliveries] : finished_) {
    for (const auto& [id, finished] : deliveries) undelivered.insert(finished.task.graph());
  }
  std::vector<GraphId> found;
  for (const auto& [id, graph] : graphs_) {
    if (static_cast<int>(found.size()) == max_graphs) break;
    if (undelivered.contains(id)) continue;
    if (graph.visible() && graph.state.end_time < keep.since) found.push_back(id);
  }
  return found;
}

absl::StatusOr<std::vector<GraphId>> MemoryHistory::Prune(absl::Time before,
                                                          absl::Span<const GraphId> graphs) {
  std::lock_guard lock(mutex_);
  std::vector<GraphId> pruned;
  for (GraphId id : graphs) {
    auto it = graphs_.find(id);
    if (it == graphs_.end() || !it->second.visible() || it->second.state.end_time >= before) {
      continue;
    }
    it->second.state.work = storage::GraphWork::kRemoving;
    pruned.push_back(id);
  }
  return pruned;
}

absl::StatusOr<bool> MemoryHistory::RemoveSome(int64_t) {
  std::lock_guard lock(mutex_);
  std::erase_if(graphs_, [](const auto& entry) {
    return entry.second.state.work == storage::GraphWork::kRemoving;
  });
  return false;
}

}  // namespace kartograph::scheduler
