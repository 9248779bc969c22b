#include "scheduler/prepared_graph.h"

#include <algorithm>
#include <optional>

#include "absl/strings/str_cat.h"
#include "planner/path_ranks.h"
#include "planner/states.h"
#include "planner/task_graph.h"
#include "planner/task_kind.h"

namespace kartograph::scheduler {

using planner::Outcome;
using planner::TaskIndex;
using planner::TaskState;

namespace {

// The index of a consumption in `prepared`, new or not.
uint32_t InternConsumption(const planner::ResourceVector& resources,
                           const planner::TaskPolicy& policy, ConsumptionIndex& all,
                           PreparedGraph& prepared) {
  auto& index = policy.constraints.empty() && policy.spread.empty()
                    ? all.anywhere
                    : all.constrained[{policy.constraints, policy.spread}];
  auto it = index.find(resources);
  if (it == index.end()) {
    it = index.emplace(resources, static_cast<uint32_t>(prepared.consumptions.size())).first;
    prepared.consumptions.push_back({resources, policy.constraints, policy.spread, policy.timeout,
                                     planner::ConsumptionText(resources)});
    prepared.live->AddResources(resources);
  }
  PreparedGraph::Consumption& consumption = prepared.consumptions[it->second];
  consumption.longest_timeout = std::max(consumption.longest_timeout, policy.timeout);
  return it->second;
}

// How long each task is, as paths are measured. Sets what is assumed of those of which nothing is
// known.
std::vector<double> Lengths(PreparedGraph& prepared, const UsageTable* usage) {
  LiveGraph& graph = *prepared.live;
  std::vector<double> weights(prepared.consumptions.size(), 1);
  std::vector<double> typical_us(prepared.consumptions.size(), 0);
  graph.kinds.Estimate(usage);
  if (usage != nullptr) {
    for (size_t i = 0; i < weights.size(); ++i) {
      weights[i] += usage->DominantShare(prepared.consumptions[i].resources);
      const auto typical = usage->WallTimeOf(prepared.consumptions[i].text);
      if (typical.has_value()) typical_us[i] = absl::ToDoubleMicroseconds(*typical);
    }
  }
  std::vector<double> lengths(graph.tasks.size());
  double sum = 0;
  size_t known = 0;
  for (TaskIndex i = 0; i < lengths.size(); ++i) {
    const auto expected = static_cast<double>(graph.kinds.ExpectedUs(i));
    lengths[i] = expected > 0 ? expected : typical_us[graph.tasks[i].consumption];
    sum += lengths[i];
    known += lengths[i] > 0 ? 1 : 0;
  }
  // Otherwise all are equal.
  if (known > 0) graph.unknown_us = sum / static_cast<double>(known);
  for (TaskIndex i = 0; i < lengths.size(); ++i) {
    if (lengths[i] == 0) lengths[i] = graph.unknown_us;
    lengths[i] *= weights[graph.tasks[i].consumption];
  }
  return lengths;
}

// Ranks, and what follows from the tasks' states. `predecessors` is set.
void Rank(PreparedGraph& prepared, const UsageTable* usage) {
  LiveGraph& graph = *prepared.live;
  graph.successors = graph.predecessors.Reversed();
  const std::vector<double> lengths = Lengths(prepared, usage);
  const std::vector<uint32_t> rank =
      planner::PathRanksThatFit(graph.successors, lengths, &graph.rank_unit);
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    LiveTask& task = graph.tasks[i];
    task.rank = rank[i];
    task.pending = 0;
    for (TaskIndex before : graph.predecessors[i]) {
      const LiveTask& other = graph.tasks[before];
      if (other.state == TaskState::kSucceeded) continue;
      ++task.pending;
      if (planner::IsFinal(other.state) && task.state == TaskState::kWaiting) {
        prepared.skip.push_back({i, before});
      }
    }
    graph.unfinished += planner::IsFinal(task.state) ? 0 : 1;
    ++graph.counts.total;
    ++graph.counts.by_state[static_cast<int>(task.state)];
    if (task.state == TaskState::kWaiting && task.pending == 0) prepared.ready.push_back(i);
  }
  std::sort(prepared.ready.begin(), prepared.ready.end(),
            [&](TaskIndex a, TaskIndex b) { return graph.ready_key(a) < graph.ready_key(b); });
}

}  // namespace

void StringTable::Add(absl::string_view text) {
  if (pieces_.empty() || pieces_.back().size() + text.size() > pieces_.back().capacity()) {
    pieces_.emplace_back().reserve(std::max(kPieceBytes, text.size()));
  }
  pieces_.back().append(text.data(), text.size());
  ends_.push_back(
      {static_cast<uint32_t>(pieces_.size() - 1), static_cast<uint32_t>(pieces_.back().size())});
}

absl::string_view StringTable::operator[](size_t i) const {
  const End end = ends_[i];
  const uint32_t begin = i > 0 && ends_[i - 1].piece == end.piece ? ends_[i - 1].offset : 0;
  return absl::string_view(pieces_[end.piece]).substr(begin, end.offset - begin);
}

storage::GraphSubmitted PreparedGraph::GraphRecord(storage::GraphWork work) const {
  storage::GraphSubmitted record;
  record.graph = live->id;
  record.name = live->name;
  record.client_queue = live->client_queue;
  record.fail_fast = live->fail_fast;
  record.open = live->open;
  record.submit_time = live->submit_time;
  record.work = work;
  record.open_until_idle = live->open_until_idle;
  record.deliver_end = live->deliver_end;
  record.labels = labels;
  record.details = live->details;
  record.user = live->user;
  record.share = live->share;
  record.cap = live->cap;
  return record;
}

storage::TaskSubmitted PreparedGraph::TaskRecord(TaskIndex index) const {
  const LiveTask& task = live->tasks[index];
  const absl::Span<const TaskIndex> after = live->predecessors[index];
  storage::TaskSubmitted record;
  record.task = live->key(index);
  record.name = std::string(live->task_name(index));
  record.payload = std::string(payloads[index]);
  record.consumption = consumptions[task.consumption].resources;
  record.after.assign(after.begin(), after.end());
  record.policy = live->policies[task.policy];
  record.priority = task.priority;
  record.expected_duration = live->kinds.Declared(index);
  if (auto it = extras.find(index); it != extras.end()) {
    record.details = it->second.details;
    record.blobs = it->second.blobs;
  }
  return record;
}

GraphDraft::GraphDraft(GraphSubmission head) {
  LiveGraph& live = *graph_.live;
  live.name = std::move(head.name);
  live.client_queue = std::move(head.client_queue);
  live.fail_fast = head.fail_fast;
  live.open = head.open;
  live.open_until_idle = head.open_until_idle;
  live.deliver_end = head.deliver_end;
  live.kinds.SetGraph(live.name);
  graph_.labels = std::move(head.labels);
  live.details = std::move(head.details);
  live.user = std::move(head.user);
  live.share = std::move(head.share);
  live.cap = std::move(head.cap);
  for (const TaskSubmission& task : head.tasks) Add(task);
}

void GraphDraft::Add(const TaskSubmission& task) {
  LiveGraph& live = *graph_.live;
  LiveTask& added = live.tasks.emplace_back();
  added.priority = task.priority;
  added.consumption = InternConsumption(task.consumption, task.policy, consumptions_, graph_);
  added.policy = live.InternPolicy(task.policy);
  const TaskIndex index = static_cast<TaskIndex>(live.tasks.size() - 1);
  live.AppendName(task.name.empty() ? GeneratedTaskName(index) : task.name);
  live.kinds.Add(live.task_name(index), graph_.consumptions[added.consumption].text,
                 task.expected_duration);
  graph_.payloads.Add(task.payload);
  if (!task.details.empty() || !task.blobs.empty()) {
    graph_.extras[index] = {task.details, task.blobs};
  }
  for (const std::string& name : task.after) after_.Add(name);
  after_ends_.push_back(static_cast<uint32_t>(after_.size()));
}

PreparedGraph GraphDraft::Prepare(const UsageTable* usage) && {
  LiveGraph& live = *graph_.live;
  if (live.tasks.empty() && !live.open) {
    graph_.problems.push_back(
        {"tasks", "", "the graph has no tasks; give at least one, or open it"});
  }
  if (const size_t sets = consumptions_.constrained.size(); sets > planner::kMaxGraphConstraints) {
    graph_.problems.push_back(
        {"tasks", absl::StrCat(sets, " different constraints and spreads"),
         absl::StrCat("the tasks of a graph can have at most ", planner::kMaxGraphConstraints)});
  }
  std::vector<absl::string_view> names;
  std::vector<absl::string_view> after;
  names.reserve(live.tasks.size());
  after.reserve(after_.size());
  for (TaskIndex i = 0; i < live.tasks.size(); ++i) names.push_back(live.task_name(i));
  for (size_t i = 0; i < after_.size(); ++i) after.push_back(after_[i]);
  std::vector<planner::TaskNode> nodes;
  nodes.reserve(live.tasks.size());
  size_t first = 0;
  for (TaskIndex i = 0; i < live.tasks.size(); ++i) {
    nodes.push_back({names[i], absl::MakeConstSpan(after).subspan(first, after_ends_[i] - first)});
    first = after_ends_[i];
  }
  std::optional<planner::Adjacency> predecessors =
      planner::FindPredecessors(nodes, &graph_.problems);
  if (graph_.problems.empty()) {
    live.predecessors = *std::move(predecessors);
    Rank(graph_, usage);
  }
  return std::move(graph_);
}

PreparedGraph Prepare(GraphSubmission submission, const UsageTable* usage) {
  return GraphDraft(std::move(submission)).Prepare(usage);
}

// --- from the history ---

void GraphLoader::OnGraph(const storage::GraphSubmitted& submitted,
                          const storage::GraphChanged& state) {
  Loading& loading = loading_.emplace_back();
  loading.retry = purpose_ == kRetry || state.work == storage::GraphWork::kRetrying;
  LiveGraph& graph = *loading.graph.live;
  graph.id = submitted.graph;
  graph.name = submitted.name;
  graph.kinds.SetGraph(graph.name);
  graph.client_queue = submitted.client_queue;
  graph.fail_fast = submitted.fail_fast;
  graph.open = state.open && !loading.retry;
  graph.open_until_idle = submitted.open_until_idle;
  graph.deliver_end = submitted.deliver_end;
  graph.details = submitted.details;
  graph.user = submitted.user;
  graph.share = submitted.share;
  graph.cap = submitted.cap;
  graph.submit_time = submitted.submit_time;
  graph.work = loading.retry ? storage::GraphWork::kNone : state.work;
}

void GraphLoader::OnTask(const storage::TaskSubmitted& task, uint32_t attempts_before) {
  Loading& loading = loading_.back();
  LiveGraph& graph = *loading.graph.live;
  LiveTask& live = graph.tasks.emplace_back();
  live.priority = task.priority;
  live.attempts_before = static_cast<uint16_t>(attempts_before);
  live.launches = live.attempts_before;
  live.consumption =
      InternConsumption(task.consumption, task.policy, loading.consumptions, loading.graph);
  live.policy = graph.InternPolicy(task.policy);
  graph.AppendName(task.name);
  graph.kinds.Add(task.name, loading.graph.consumptions[live.consumption].text,
                  task.expected_duration);
  loading.after.push_back(task.after);
}

void GraphLoader::OnAttempt(const storage::AttemptLaunched& launched,
                            const storage::AttemptEnded* ended) {
  Loading& loading = loading_.back();
  const TaskIndex index = launched.attempt.task().index();
  LiveTask& task = loading.graph.live->tasks[index];
  const uint32_t number = launched.attempt.number();
  task.launches = std::max(task.launches, static_cast<uint16_t>(number));
  if (ended == nullptr) {
    loading.graph.alive.push_back(launched);
    return;
  }
  if (number <= task.attempts_before) return;
  if (planner::IsLostWithAgent(ended->outcome)) ++task.losses;
  const bool failed = ended->outcome != Outcome::kSucceeded &&
                      ended->outcome != Outcome::kCancelled &&
                      planner::SpendsAttempt(ended->outcome);
  if (failed) {
    ++task.spent;
    loading.graph.failed_at[index] = ended->end_time;
    if (loading.graph.live->policy(index).avoid_last_failure) {
      loading.graph.avoided[index] = launched.agent;
    }
  }
}

void GraphLoader::OnTaskEnded(const storage::TaskEnded& ended) {
  Loading& loading = loading_.back();
  loading.ended.emplace_back(ended.task.index(), ended.state);
  if (ended.state == TaskState::kCancelled) {
    loading.graph.live->cancel_reasons[ended.task.index()] = ended.reason;
  }
}

absl::Status GraphLoader::Complete(Loading& loading) const {
  PreparedGraph& prepared = loading.graph;
  LiveGraph& graph = *prepared.live;
  for (auto [index, state] : loading.ended) graph.tasks[index].state = state;
  if (loading.retry) {
    for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
      LiveTask& task = graph.tasks[i];
      if (task.state == TaskState::kSucceeded) continue;
      if (task.launches >= planner::kMaxLaunches) {
        return absl::FailedPreconditionError(
            absl::StrCat("task \"", graph.task_name(i), "\" was launched ", planner::kMaxLaunches,
                         " times, as often as a task can be; submit the graph again"));
      }
      task.state = TaskState::kWaiting;
      task.attempts_before = task.launches;
      task.spent = 0;
      task.losses = 0;
      prepared.reset.push_back(i);
    }
    prepared.failed_at.clear();
    prepared.avoided.clear();
  }
  for (const storage::AttemptLaunched& launched : prepared.alive) {
    LiveTask& task = graph.tasks[launched.attempt.task().index()];
    // A cancel that was asked for stands as the task's end already.
    task.cancelling = planner::IsFinal(task.state);
    task.state = TaskState::kLaunching;
  }
  absl::erase_if(graph.cancel_reasons,
                 [&](const auto& cancel) { return !graph.tasks[cancel.first].cancelling; });
  graph.predecessors = planner::Adjacency(loading.after);
  Rank(prepared, usage_);
  return absl::OkStatus();
}

absl::StatusOr<std::vector<PreparedGraph>> GraphLoader::Finish() {
  std::vector<PreparedGraph> graphs;
  for (Loading& loading : loading_) {
    if (absl::Status status = Complete(loading); !status.ok()) return status;
    graphs.push_back(std::move(loading.graph));
  }
  loading_.clear();
  return graphs;
}

}  // namespace kartograph::scheduler
