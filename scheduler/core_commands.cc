// What people ask for: submit, extend, close, cancel.
#include <algorithm>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/strings/str_cat.h"
#include "planner/problems.h"
#include "scheduler/core.h"

namespace kartograph::scheduler {

using planner::GraphId;
using planner::Problem;
using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

namespace {

absl::Status NoGraph(GraphId graph) {
  return absl::NotFoundError(absl::StrCat("no graph \"", planner::GraphIdToString(graph), "\""));
}

}  // namespace

Core::Core(CoreOptions options, Numbers used)
    : options_(std::move(options)),
      last_graph_(used.last_graph),
      last_delivery_(used.last_delivery),
      packer_(options_.pools) {}

Core::~Core() = default;

LiveGraph* Core::FindLive(GraphId graph) {
  auto it = graphs_.find(graph);
  return it == graphs_.end() ? nullptr : it->second.get();
}

const LiveGraph* Core::FindGraph(GraphId graph) const {
  auto it = graphs_.find(graph);
  return it == graphs_.end() ? nullptr : it->second.get();
}

planner::Packer::ClassId Core::InternConsumption(const planner::ResourceVector& consumption,
                                                 absl::Duration timeout) {
  const planner::Packer::ClassId id = packer_.Intern(consumption);
  if (mean_wall_us_.size() < packer_.class_count()) {
    planner::ResourceNames::Keep(consumption);  // it is accepted
    mean_wall_us_.resize(packer_.class_count(), 0);
    longest_timeout_.resize(packer_.class_count());
  }
  // Without a limit it is taken to run for an hour.
  longest_timeout_[id] = std::max(longest_timeout_[id],
                                  timeout == absl::InfiniteDuration() ? absl::Hours(1) : timeout);
  return id;
}

std::optional<Problem> Core::Infeasible(absl::string_view task_name,
                                        const planner::ResourceVector& consumption) const {
  planner::ResourceVector agent_part;
  for (const auto& entry : consumption) {
    const planner::Quantity pool = options_.pools.Get(entry.resource);
    if (pool.is_zero()) {
      agent_part.Set(entry.resource, entry.quantity);
    } else if (entry.quantity > pool) {
      return Problem{
          absl::StrCat("tasks[\"", task_name, "\"].consumption[\"", entry.resource.name(), "\"]"),
          entry.quantity.ToString(),
          absl::StrCat("is more than the pool holds; ask for at most ", pool.ToString())};
    }
  }
  // Before the first offer nobody knows what agents there are: then it waits, and says so.
  if (!agent_seen_ || agent_part.empty()) return std::nullopt;
  for (const Agent& agent : agents_) {
    if (agent_part.FitsIn(agent.most)) return std::nullopt;
  }
  for (const auto& entry : agent_part) {
    const planner::Quantity largest = largest_seen_.Get(entry.resource);
    if (entry.quantity <= largest) continue;
    const bool is_ram = entry.resource == planner::Resource::Ram();
    auto text = [&](planner::Quantity q) {
      return is_ram ? planner::FormatBytes(q) : q.ToString();
    };
    return Problem{
        absl::StrCat("tasks[\"", task_name, "\"].consumption[\"", entry.resource.name(), "\"]"),
        text(entry.quantity),
        largest.is_zero()
            ? std::string("no agent and no pool has this resource; see `kartograph status` for "
                          "those there are")
            : absl::StrCat("is more than any agent has; ask for at most ", text(largest))};
  }
  return Problem{absl::StrCat("tasks[\"", task_name, "\"].consumption"), consumption.ToString(),
                 "no single agent has all of this together"};
}

void Core::AddLiveTask(LiveGraph& graph, TaskSubmission& task, const std::vector<TaskIndex>& after,
                       uint32_t rank, const Turn& turn) {
  const TaskIndex index = static_cast<TaskIndex>(graph.tasks.size());
  LiveTask& live = graph.tasks.emplace_back();
  live.rank = rank;
  live.priority = task.priority;
  live.consumption = InternConsumption(task.consumption, task.policy.timeout);
  graph.AddResources(task.consumption);
  live.policy = graph.InternPolicy(task.policy);
  graph.AppendName(task.name);
  ++graph.unfinished;
  for (TaskCounts* counts : {&graph.counts, &counts_}) {
    ++counts->total;
    ++counts->by_state[static_cast<int>(TaskState::kWaiting)];
  }
  turn.step.records.emplace_back(
      storage::TaskSubmitted{graph.key(index), std::move(task.name), std::move(task.payload),
                             std::move(task.consumption), after, task.policy, task.priority});
  turn.step.changed_tasks.push_back(graph.key(index));
}

absl::Status Core::Check(const PreparedGraph& graph) const {
  if (graph.size() > options_.max_graph_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the graph has ", graph.size(), " tasks; at most ", options_.max_graph_tasks,
                     " are allowed (kartographd --max-graph-tasks)"));
  }
  std::vector<Problem> problems = graph.problems;
  std::vector<bool> infeasible;
  for (const PreparedGraph::Consumption& consumption : graph.consumptions) {
    infeasible.push_back(Infeasible("", consumption.resources).has_value());
  }
  if (absl::c_linear_search(infeasible, true)) {
    for (TaskIndex i = 0; i < graph.size(); ++i) {
      const uint32_t consumption = graph.live->tasks[i].consumption;
      if (!infeasible[consumption]) continue;
      // Those that will not be told only count.
      problems.push_back(
          problems.size() < planner::kMaxProblems
              ? *Infeasible(graph.live->task_name(i), graph.consumptions[consumption].resources)
              : Problem());
    }
  }
  return problems.empty() ? absl::OkStatus() : planner::ProblemsToStatus(problems);
}

absl::StatusOr<GraphId> Core::SubmitGraph(PreparedGraph prepared, const Turn& turn) {
  if (absl::Status status = Check(prepared); !status.ok()) return status;
  LiveGraph& graph = *prepared.live;
  graph.id = NewGraphId();
  graph.submit_time = turn.now.wall;
  std::vector<storage::Record>& records = turn.step.records;
  records.reserve(records.size() + prepared.size() + 1);
  records.emplace_back(storage::GraphSubmitted{graph.id, graph.name, graph.client_queue,
                                               graph.fail_fast, graph.open, turn.now.wall});
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    records.emplace_back(prepared.TaskRecord(i));
    turn.step.changed_tasks.push_back(graph.key(i));
  }
  const GraphId id = graph.id;
  Install(std::move(prepared), turn);
  return id;
}

absl::StatusOr<TaskKey> Core::AddTask(GraphId id, TaskSubmission task, std::vector<TaskIndex> after,
                                      const Turn& turn) {
  LiveGraph* graph = FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  if (!graph->open) {
    const bool failed =
        graph->fail_fast && graph->counts.by_state[static_cast<int>(TaskState::kFailed)] > 0;
    return absl::FailedPreconditionError(
        absl::StrCat("graph \"", planner::GraphIdToString(id),
                     failed ? "\" has a failed task and takes no more, as it is fail_fast"
                            : "\" is closed; submit it with `open` to add tasks to it later"));
  }
  if (graph->tasks.size() >= options_.max_graph_tasks) {
    return absl::ResourceExhaustedError(absl::StrCat("the graph has ", graph->tasks.size(),
                                                     " tasks already; no more are allowed "
                                                     "(kartographd --max-graph-tasks)"));
  }
  if (std::optional<Problem> problem = Infeasible(task.name, task.consumption)) {
    return planner::ProblemsToStatus({*std::move(problem)});
  }
  if (graph->CountResourcesWith(task.consumption) > planner::ResourceNames::kMaxNames) {
    return planner::ProblemsToStatus({Problem{
        absl::StrCat("tasks[\"", task.name, "\"].consumption"), task.consumption.ToString(),
        absl::StrCat("a graph can ask for ", planner::ResourceNames::kMaxNames,
                     " different resources; with these it would ask for more")}});
  }
  std::sort(after.begin(), after.end());
  after.erase(std::unique(after.begin(), after.end()), after.end());
  const TaskIndex index = static_cast<TaskIndex>(graph->tasks.size());
  // It comes last, so its longest remaining path is itself; what it comes after was ranked without
  // it.
  AddLiveTask(*graph, task, after, 1, turn);
  graph->predecessors.Append(after);
  TaskIndex failed = index;
  for (TaskIndex before : after) {
    const TaskState state = graph->tasks[before].state;
    if (state == TaskState::kSucceeded) continue;
    if (planner::IsFinal(state)) failed = before;
    graph->later_successors[before].push_back(index);
    ++graph->tasks[index].pending;
  }
  if (failed != index) {
    FinishOne(*graph, index, TaskState::kSkipped,
              absl::StrCat("comes after \"", graph->task_name(failed), "\", which did not succeed"),
              turn);
  } else if (graph->tasks[index].pending == 0) {
    MakeReady(*graph, index, absl::ZeroDuration(), turn);
  }
  return graph->key(index);
}

void Core::Close(LiveGraph& graph, const Turn& turn) {
  if (!graph.open) return;
  graph.open = false;
  turn.step.records.emplace_back(storage::GraphChanged{
      graph.id, planner::GraphState::kRunning, false, absl::InfiniteFuture(), WorkLeft(graph)});
  turn.step.changed_graphs.push_back(graph.id);
}

absl::Status Core::CloseGraph(GraphId id, const Turn& turn) {
  LiveGraph* graph = FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  Close(*graph, turn);
  EndGraphIfDone(id, turn);
  return absl::OkStatus();
}

absl::StatusOr<int> Core::CancelGraph(GraphId id, const Turn& turn) {
  LiveGraph* graph = FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  const int64_t cancelled = graph->unfinished;
  Close(*graph, turn);  // nothing is added to what was cancelled
  StartCancel(*graph, storage::GraphWork::kCancelling, "cancelled on request", turn);
  EndGraphIfDone(id, turn);
  return static_cast<int>(cancelled);
}

absl::StatusOr<int> Core::CancelTask(TaskKey key, const Turn& turn) {
  LiveGraph* graph = FindLive(key.graph());
  if (graph == nullptr || key.index() >= graph->tasks.size()) return NoGraph(key.graph());
  const TaskState state = graph->tasks[key.index()].state;
  if (planner::IsFinal(state)) return 0;
  if (graph->progress != nullptr && graph->progress->resetting()) {
    // Its end would be written before its last one is undone.
    return absl::UnavailableError("the graph is about to run again; try again");
  }
  if (state == TaskState::kWaiting || state == TaskState::kReady) {
    Finish(*graph, key.index(), TaskState::kCancelled, "cancelled on request", turn);
  } else {
    CancelOne(*graph, key.index(), "cancelled on request", turn);
  }
  EndGraphIfDone(key.graph(), turn);
  return 1;
}

// Leaves what comes after it alone.
void Core::CancelOne(LiveGraph& graph, TaskIndex index, absl::string_view reason,
                     const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  if (task.state == TaskState::kWaiting || task.state == TaskState::kReady) {
    FinishOne(graph, index, TaskState::kCancelled, std::string(reason), turn);
    return;
  }
  const planner::AttemptId attempt = planner::AttemptId::Of(graph.key(index), task.launches);
  turn.step.cancels.push_back(
      {attempt, agents_[attempts_.at(attempt).agent].id, graph.policies[task.policy].cancel_grace});
  if (task.cancelling) return;
  task.cancelling = true;
  graph.cancel_reasons[index] = std::string(reason);
  // The wish itself is history, so that a restart does not forget it; the task is final when its
  // attempt has ended.
  turn.step.records.emplace_back(storage::TaskEnded{graph.key(index), TaskState::kCancelled,
                                                    turn.now.wall, std::string(reason)});
  turn.step.changed_tasks.push_back(graph.key(index));
}

}  // namespace kartograph::scheduler
