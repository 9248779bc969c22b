// What people ask for: submit, extend, close, cancel.
#include <algorithm>
#include <utility>

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

absl::StatusOr<GraphId> Core::SubmitGraph(GraphSubmission submission, const Turn& turn) {
  if (submission.tasks.size() > options_.max_graph_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the graph has ", submission.tasks.size(), " tasks; at most ",
                     options_.max_graph_tasks, " are allowed (kartographd --max-graph-tasks)"));
  }
  std::vector<Problem> problems;
  if (submission.tasks.empty() && !submission.open) {
    problems.push_back({"tasks", "", "the graph has no tasks; give at least one, or open it"});
  }
  std::vector<planner::TaskNode> nodes;
  nodes.reserve(submission.tasks.size());
  for (const TaskSubmission& task : submission.tasks) nodes.push_back({task.name, task.after});
  std::optional<planner::Adjacency> predecessors = planner::FindPredecessors(nodes, &problems);
  absl::flat_hash_map<planner::ResourceVector, bool> infeasible;
  for (const TaskSubmission& task : submission.tasks) {
    auto [it, is_new] = infeasible.emplace(task.consumption, false);
    if (!is_new && !it->second) continue;
    if (std::optional<Problem> problem = Infeasible(task.name, task.consumption)) {
      it->second = true;
      problems.push_back(*std::move(problem));
    }
  }
  if (!problems.empty()) return planner::ProblemsToStatus(problems);

  auto graph = std::make_unique<LiveGraph>();
  graph->id = ++last_graph_;
  graph->name = submission.name;
  graph->client_queue = submission.client_queue;
  graph->fail_fast = submission.fail_fast;
  graph->open = submission.open;
  graph->submit_time = turn.now.wall;
  graph->predecessors = *std::move(predecessors);
  graph->successors = graph->predecessors.Reversed();
  const std::vector<uint32_t> rank = planner::LongestRemainingPath(graph->successors);
  turn.step.records.reserve(turn.step.records.size() + submission.tasks.size() + 1);
  turn.step.records.emplace_back(storage::GraphSubmitted{
      graph->id, std::move(submission.name), std::move(submission.client_queue),
      submission.fail_fast, submission.open, turn.now.wall});
  graph->tasks.reserve(submission.tasks.size());
  for (TaskIndex i = 0; i < submission.tasks.size(); ++i) {
    absl::Span<const TaskIndex> after = graph->predecessors[i];
    AddLiveTask(*graph, submission.tasks[i], {after.begin(), after.end()}, rank[i], turn);
    graph->tasks[i].pending = static_cast<uint32_t>(after.size());
  }
  LiveGraph& live = *graph;
  graphs_[live.id] = std::move(graph);
  turn.step.changed_graphs.push_back(live.id);
  for (TaskIndex i = 0; i < live.tasks.size(); ++i) {
    if (live.tasks[i].pending == 0) MakeReady(live, i, absl::ZeroDuration(), turn);
  }
  return live.id;
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
  turn.step.records.emplace_back(storage::GraphChanged{graph.id, planner::GraphState::kRunning,
                                                       false, absl::InfiniteFuture()});
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
  const int cancelled = CancelTasks(*graph, "cancelled on request", turn);
  Close(*graph, turn);  // nothing is added to what was cancelled
  EndGraphIfDone(id, turn);
  return cancelled;
}

absl::StatusOr<int> Core::CancelTask(TaskKey key, const Turn& turn) {
  LiveGraph* graph = FindLive(key.graph());
  if (graph == nullptr || key.index() >= graph->tasks.size()) return NoGraph(key.graph());
  const TaskState state = graph->tasks[key.index()].state;
  if (planner::IsFinal(state)) return 0;
  if (state == TaskState::kWaiting || state == TaskState::kReady) {
    Finish(*graph, key.index(), TaskState::kCancelled, "cancelled on request", turn);
  } else {
    CancelOne(*graph, key.index(), "cancelled on request", turn);
  }
  EndGraphIfDone(key.graph(), turn);
  return 1;
}

int Core::CancelTasks(LiveGraph& graph, absl::string_view reason, const Turn& turn) {
  int cancelled = 0;
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    if (planner::IsFinal(graph.tasks[i].state)) continue;
    CancelOne(graph, i, reason, turn);
    ++cancelled;
  }
  return cancelled;
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
