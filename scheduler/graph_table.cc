#include "scheduler/graph_table.h"

#include <algorithm>
#include <array>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <optional>
#include <utility>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/utf8.h"

namespace kartograph::scheduler {

using executor::AttemptUpdate;
using planner::GraphId;
using planner::Outcome;
using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;
using storage::GraphWork;

namespace {

// Of a message that is kept to say why a task waits.
constexpr size_t kMaxToldBytes = 500;

constexpr bool IsLegal(TaskState from, TaskState to) {
  switch (from) {
    case TaskState::kWaiting:
      return to == TaskState::kReady || to == TaskState::kCancelled || to == TaskState::kSkipped;
    case TaskState::kReady:
      return to == TaskState::kLaunching || to == TaskState::kCancelled;
    case TaskState::kLaunching:
      return to == TaskState::kRunning || to == TaskState::kReady || to == TaskState::kCancelled ||
             to == TaskState::kFailed;
    case TaskState::kRunning:
      return to == TaskState::kSucceeded || to == TaskState::kFailed || to == TaskState::kReady ||
             to == TaskState::kCancelled;
    default:
      return false;
  }
}
static_assert(!IsLegal(TaskState::kSucceeded, TaskState::kReady), "what is final stays so");
static_assert(!IsLegal(TaskState::kReady, TaskState::kRunning), "nothing runs that is not written");

// Why an attempt failed, as text.
std::string DescribeEnd(const AttemptUpdate& update) {
  if (!update.message.empty()) return update.message;
  switch (update.outcome) {
    case Outcome::kExited:
      return absl::StrCat("exited with status ", update.exit_status);
    case Outcome::kSignalled:
      return absl::StrCat("ended by signal ", update.signal);
    default:
      return std::string(planner::ToString(update.outcome));
  }
}

}  // namespace

absl::Duration RetryDelay(const planner::TaskPolicy& policy, int spent) {
  absl::Duration delay = policy.retry_delay;
  for (int i = 1; i < spent && delay < policy.max_retry_delay; ++i) delay *= 2;
  return std::min(delay, policy.max_retry_delay);
}

GraphWork GraphTable::WorkLeft(const LiveGraph& graph) {
  if (graph.progress == nullptr) return GraphWork::kNone;
  if (graph.cancelling()) return graph.work;
  return graph.progress->resetting() ? GraphWork::kRetrying : GraphWork::kNone;
}

std::string GraphTable::FailedFast(const LiveGraph& graph, TaskIndex failed) {
  return absl::StrCat("cancelled because \"", graph.task_name(failed),
                      "\" failed (the graph is fail_fast)");
}

GraphTable::GraphTable(Parts parts, LastIds last) : parts_(parts), last_(last) {}

const LiveGraph* GraphTable::Find(GraphId id) const {
  auto it = graphs_.find(id);
  return it == graphs_.end() ? nullptr : it->second.get();
}

LiveGraph* GraphTable::FindLive(GraphId id) {
  auto it = graphs_.find(id);
  return it == graphs_.end() ? nullptr : it->second.get();
}

const std::string* GraphTable::LastUnspent(TaskKey key) const {
  auto it = last_unspent_.find(key);
  return it == last_unspent_.end() ? nullptr : &it->second;
}

const Instant* GraphTable::DelayedUntil(TaskKey key) const {
  auto it = delayed_until_.find(key);
  return it == delayed_until_.end() ? nullptr : &it->second;
}

std::vector<planner::ResourceVector> GraphTable::NeedsOf(
    const absl::btree_set<planner::ReadyKey>& tasks) const {
  std::vector<planner::ResourceVector> needs;
  absl::flat_hash_set<planner::ResourceVector> seen;
  for (const planner::ReadyKey& key : tasks) {
    const planner::Packer::ClassId consumption = task(key.task).consumption;
    const planner::Packer& packer = *parts_.packer;
    if (!packer.pool_part(consumption).FitsIn(packer.pool_free())) continue;
    const planner::ResourceVector& need = packer.agent_part(consumption);
    if (seen.insert(need).second) needs.push_back(need);
  }
  return needs;
}

// --- graphs come ---

planner::Packer::ClassId GraphTable::UseConsumption(LiveGraph& graph,
                                                    const planner::ResourceVector& consumption,
                                                    const planner::Constraints& constraints,
                                                    const planner::Spread& spread, int length,
                                                    absl::Duration timeout) {
  const planner::Packer::ClassId id = parts_.consumptions->Intern(
      consumption,
      {constraints, spread, spread.empty() ? GraphId{0} : graph.id, static_cast<uint8_t>(length)});
  if (graph.consumptions.emplace(id, UnfinishedTasks()).second) {
    parts_.consumptions->AddUser(id);
    // It is accepted: what the request held until here is the table's from now on.
    planner::ResourceNames::Keep(consumption);
  }
  parts_.consumptions->NoteTimeout(id, timeout);
  return id;
}

void GraphTable::Count(LiveGraph& graph, TaskState state, int64_t change) {
  for (TaskCounts* counts : {&graph.counts, &counts_}) {
    counts->by_state[static_cast<size_t>(state)] += change;
  }
}

LiveGraph& GraphTable::Put(PreparedGraph& prepared, const Turn& turn) {
  LiveGraph& graph = *prepared.live;
  // Of each consumption, the tasks of each length.
  struct Class {
    bool used = false;
    planner::Packer::ClassId id = 0;
    UnfinishedTasks unfinished;
    int64_t longest_us = 0;
  };
  std::vector<std::array<Class, ConsumptionTable::kLengths>> classes(prepared.consumptions.size());
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    LiveTask& task = graph.tasks[i];
    const int64_t expected_us = graph.kinds.ExpectedUs(i);
    const int length = ConsumptionTable::LengthOf(expected_us);
    Class& its = classes[task.consumption][static_cast<size_t>(length)];
    if (!its.used) {
      const PreparedGraph::Consumption& consumption = prepared.consumptions[task.consumption];
      its.used = true;
      its.id = UseConsumption(graph, consumption.resources, consumption.constraints,
                              consumption.spread, length, consumption.longest_timeout);
    }
    if (!planner::IsFinal(task.state)) its.unfinished.Count(expected_us, 1);
    if (length > 0) its.longest_us = std::max(its.longest_us, expected_us);
    task.consumption = its.id;
  }
  for (const auto& lengths : classes) {
    for (const Class& its : lengths) {
      if (!its.used) continue;
      graph.consumptions[its.id] += its.unfinished;
      parts_.consumptions->NoteExpected(its.id, its.longest_us);
    }
  }
  for (auto& [index, agent] : prepared.avoided) {
    if (!planner::IsFinal(graph.tasks[index].state)) Avoid(graph, index, std::move(agent), false);
  }
  // What the wall clock says of one from the history may be wrong by any amount.
  const absl::Duration age =
      std::clamp(turn.now.wall - graph.submit_time, absl::ZeroDuration(), kOldest);
  graph.submitted = turn.now.steady - age;
  counts_.total += graph.counts.total;
  for (size_t i = 0; i < counts_.by_state.size(); ++i) {
    counts_.by_state[i] += graph.counts.by_state[i];
  }
  graphs_[graph.id] = std::move(prepared.live);
  graph.account = parts_.packer->shares().Use(AccountName(graph.user, graph.share));
  parts_.packer->SetAccount(graph.id, graph.account, graph.cap);
  planner::ResourceNames::Keep(graph.cap.resources);
  UpdateScore(graph);
  return graph;
}

// --- the order of graphs ---

void GraphTable::CountUnfinished(LiveGraph& graph, TaskIndex task, int64_t change) {
  graph.unfinished += change;
  graph.consumptions[graph.tasks[task].consumption].Count(graph.kinds.ExpectedUs(task), change);
  // Each update of the score costs something; that many make no difference.
  const int64_t changed = std::abs(graph.scored - graph.unfinished);
  if (changed * kScoreSteps >= graph.scored) UpdateScore(graph);
}

void GraphTable::UpdateScore(LiveGraph& graph) {
  graph.scored = graph.unfinished;
  absl::Duration left;
  for (const auto& [consumption, unfinished] : graph.consumptions) {
    if (unfinished.tasks == 0) continue;
    left += parts_.packer->DominantShare(consumption) *
            (absl::Microseconds(unfinished.known_us) +
             unfinished.unknown * parts_.consumptions->TypicalWallTime(consumption));
  }
  parts_.packer->SetScore(graph.id, absl::ToInt64Microseconds(graph.submitted.since_zero() + left));
}

// --- a task's life ---

void GraphTable::SetState(LiveGraph& graph, TaskIndex index, TaskState state, const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  if (!IsLegal(task.state, state)) {
    // Going on would write a wrong history; a restart reads the right one.
    std::fprintf(stderr, "kartograph: bug: task %u of graph %u went from %s to %s\n", index,
                 graph.id, planner::ToString(task.state).data(), planner::ToString(state).data());
    std::abort();
  }
  Count(graph, task.state, -1);
  task.state = state;
  Count(graph, state, 1);
  turn.step.changed_tasks.push_back(graph.key(index));
}

void GraphTable::MakeReady(LiveGraph& graph, TaskIndex index, absl::Duration delay,
                           const Turn& turn) {
  SetState(graph, index, TaskState::kReady, turn);
  if (delay <= absl::ZeroDuration()) {
    Enqueue(graph, index);
    return;
  }
  graph.tasks[index].delayed = true;
  const Instant due = {turn.now.steady + delay, turn.now.wall + delay};
  delayed_until_[graph.key(index)] = due;
  timers_.insert({due.steady, graph.key(index)});
}

void GraphTable::Enqueue(const LiveGraph& graph, TaskIndex index) {
  const LiveTask& task = graph.tasks[index];
  if (task.suspect()) {
    suspects_.insert(graph.ready_key(index));
  } else if (task.relocated) {
    relocated_.insert(graph.ready_key(index));
  } else {
    parts_.packer->AddReady(task.consumption, graph.ready_key(index));
  }
  parts_.demand->Changed();
}

void GraphTable::LeaveReady(LiveGraph& graph, TaskIndex index) {
  LiveTask& task = graph.tasks[index];
  if (task.delayed) {
    task.delayed = false;
    auto due = delayed_until_.find(graph.key(index));
    timers_.erase({due->second.steady, due->first});
    delayed_until_.erase(due);
  } else if (task.suspect()) {
    suspects_.erase(graph.ready_key(index));
  } else if (task.relocated) {
    relocated_.erase(graph.ready_key(index));
  } else {
    parts_.packer->RemoveReady(task.consumption, graph.ready_key(index));
  }
}

uint32_t GraphTable::SetLaunching(TaskKey key, const Turn& turn) {
  LiveGraph& graph = *FindLive(key.graph());
  SetState(graph, key.index(), TaskState::kLaunching, turn);
  return ++graph.tasks[key.index()].launches;
}

uint32_t GraphTable::SetLaunchingApart(TaskKey key, const Turn& turn) {
  LeaveReady(*FindLive(key.graph()), key.index());
  return SetLaunching(key, turn);
}

void GraphTable::SetRunning(TaskKey key, const Turn& turn) {
  SetState(*FindLive(key.graph()), key.index(), TaskState::kRunning, turn);
}

void GraphTable::FinishOne(LiveGraph& graph, TaskIndex index, TaskState state, std::string reason,
                           const Turn& turn) {
  if (graph.tasks[index].state == TaskState::kReady) LeaveReady(graph, index);
  StopAvoiding(graph, index);
  last_unspent_.erase(graph.key(index));
  SetState(graph, index, state, turn);
  CountUnfinished(graph, index, -1);
  const TaskKey key = graph.key(index);
  // A task that was cancelled while it ran is written as cancelled since then (see Cancel).
  const bool written = graph.tasks[index].cancelling;
  if (written && state == TaskState::kCancelled) {
    turn.step.earlier_reasons[key] = graph.cancel_reasons[index];
  } else {
    turn.step.records.emplace_back(
        storage::TaskEnded{key, state, turn.now.wall, std::move(reason), written});
  }
  if (written) graph.cancel_reasons.erase(index);
  if (!graph.client_queue.empty()) {
    turn.step.records.emplace_back(
        storage::FinishedQueued{graph.client_queue, ++last_.delivery, key});
    turn.step.finished_queues.insert(graph.client_queue);
  }
}

void GraphTable::Finish(LiveGraph& graph, TaskIndex index, TaskState state, std::string reason,
                        const Turn& turn) {
  FinishOne(graph, index, state, std::move(reason), turn);
  if (state == TaskState::kSucceeded) {
    int64_t at_once = parts_.slice_tasks;
    graph.ForEachSuccessor(index, [&](TaskIndex next) {
      LiveTask& task = graph.tasks[next];
      if (--task.pending > 0 || task.state != TaskState::kWaiting || graph.cancelling()) return;
      if (at_once-- > 0) {
        MakeReady(graph, next, absl::ZeroDuration(), turn);
      } else {
        ProgressOf(graph).ready.push_back(next);
      }
    });
    return;
  }
  const bool working = graph.progress != nullptr;
  SkipAfter(graph, index, index);
  if (!working && graph.progress != nullptr) BeginWork(graph, turn);
  if (state == TaskState::kFailed && graph.fail_fast) {
    Close(graph, turn);
    StartCancel(graph, GraphWork::kFailingFast, FailedFast(graph, index), turn);
  }
}

void GraphTable::Learn(TaskKey key, const AttemptUsage& usage, absl::Time now) {
  if (parts_.usage == nullptr) return;
  GraphKinds::Kind* kind = FindLive(key.graph())->kinds.Of(key.index());
  if (kind != nullptr) parts_.usage->Learn(kind->kind, usage, now, &kind->place);
}

void GraphTable::OnAttemptOver(TaskKey key, const AttemptUpdate& update, const Turn& turn) {
  LiveGraph& graph = *FindLive(key.graph());
  const TaskIndex index = key.index();
  LiveTask& task = graph.tasks[index];
  // An agent that was told to stop ends its attempts as cancelled: nobody asked for that here.
  const bool spends = planner::SpendsAttempt(update.outcome) &&
                      (update.outcome != Outcome::kCancelled || task.cancelling);
  // The update that it ran may be overtaken by the one that it ended.
  if (spends && task.state == TaskState::kLaunching) {
    SetState(graph, index, TaskState::kRunning, turn);
  }
  if (update.outcome == Outcome::kSucceeded) {
    Finish(graph, index, TaskState::kSucceeded, "", turn);
    return;
  }
  if (task.cancelling) {
    Finish(graph, index, TaskState::kCancelled, "", turn);
    return;
  }
  if (!spends) {
    OnUnspent(graph, index, update, turn);
    return;
  }
  OnFailure(graph, index, update, turn);
}

void GraphTable::OnFailure(LiveGraph& graph, TaskIndex index, const AttemptUpdate& update,
                           const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  const planner::TaskPolicy& policy = graph.policy(index);
  ++task.spent;
  const bool attempts_left =
      task.spent < policy.max_attempts && task.launches < planner::kMaxLaunches;
  const bool allowed = policy.retry.Allows(update.outcome, update.exit_status, update.signal);
  const bool not_started = update.outcome == Outcome::kNotStarted;
  std::string reason = DescribeEnd(update);
  const bool elsewhere = not_started ? !task.not_started : policy.avoid_last_failure;
  if (elsewhere && attempts_left && allowed && AnotherAgentFits(task, update.agent)) {
    // What is missing here may be there.
    Avoid(graph, index, update.agent, not_started);
    MakeReady(graph, index, not_started ? absl::ZeroDuration() : RetryDelay(policy, task.spent),
              turn);
    return;
  }
  if (!not_started && attempts_left && allowed) {
    StopAvoiding(graph, index);
    MakeReady(graph, index, RetryDelay(policy, task.spent), turn);
    return;
  }
  if (not_started && task.not_started) {
    absl::StrAppend(&reason, "; on another agent neither");
  } else if (attempts_left && !allowed) {
    absl::StrAppend(&reason, " (not tried again: ",
                    policy.retry.on.Contains(update.outcome, update.exit_status, update.signal) ||
                            policy.retry.on.empty()
                        ? "no_retry_on"
                        : "not in retry_on",
                    ")");
  } else if (policy.max_attempts > 1 && !not_started) {
    absl::StrAppend(&reason, " (attempt ", task.spent, " of ", policy.max_attempts,
                    task.attempts_before > 0 ? " since it was retried)" : ")");
  }
  Finish(graph, index, TaskState::kFailed, std::move(reason), turn);
}

// Whether an agent other than this one is there that could ever have it.
bool GraphTable::AnotherAgentFits(const LiveTask& task, const executor::AgentId& agent) const {
  const planner::ResourceVector& need = parts_.packer->agent_part(task.consumption);
  bool fits = false;
  parts_.agents->ForEach([&](AgentTable::Index index, const Agent& other) {
    fits = fits || (other.connected && other.id != agent && need.FitsIn(other.capacity) &&
                    parts_.packer->IsEligible(index, task.consumption));
  });
  return fits;
}

// From now on, until its next attempt has failed or it ends.
void GraphTable::Avoid(LiveGraph& graph, TaskIndex index, executor::AgentId agent,
                       bool not_started) {
  graph.tasks[index].relocated = true;
  graph.tasks[index].not_started = not_started;
  avoided_agents_[graph.key(index)] = std::move(agent);
}

void GraphTable::StopAvoiding(LiveGraph& graph, TaskIndex index) {
  LiveTask& task = graph.tasks[index];
  if (!task.relocated) return;
  task.relocated = false;
  task.not_started = false;
  avoided_agents_.erase(graph.key(index));
}

// An attempt ended, and that was not the task's fault, as far as is known.
void GraphTable::OnUnspent(LiveGraph& graph, TaskIndex index, const AttemptUpdate& update,
                           const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  std::string& last = last_unspent_[graph.key(index)] =
      std::string(planner::ToString(update.outcome));
  if (!update.message.empty()) {
    absl::StrAppend(&last, ": ", TruncateUtf8(update.message, kMaxToldBytes));
  }
  if (planner::IsLostWithAgent(update.outcome)) {
    ++task.losses;
    if (task.losses >= graph.policy(index).max_losses) {
      Finish(graph, index, TaskState::kFailed,
             absl::StrCat("lost its agent ", task.losses, task.losses == 1 ? " time" : " times",
                          ", as often as max_losses allows: it may be what ends the agent; the "
                          "last attempt: ",
                          DescribeEnd(update)),
             turn);
      return;
    }
  }
  if (task.launches >= planner::kMaxLaunches) {
    Finish(graph, index, TaskState::kFailed,
           absl::StrCat("gave up after ", task.launches, " launches, the last of them ",
                        DescribeEnd(update)),
           turn);
    return;
  }
  // A cluster that refuses everything must not be asked in a tight loop. An agent that fails is set
  // aside itself.
  const int unspent = task.unspent();
  const bool at_once = unspent <= 1 || update.outcome == Outcome::kAgentFailed ||
                       update.outcome == Outcome::kPreempted;
  const absl::Duration delay =
      at_once
          ? absl::ZeroDuration()
          : std::min(absl::Milliseconds(100) * (1 << std::min(unspent - 2, 10)), absl::Minutes(1));
  MakeReady(graph, index, delay, turn);
}

void GraphTable::EndGraphIfDone(GraphId id, const Turn& turn) {
  auto it = graphs_.find(id);
  if (it == graphs_.end() || it->second->unfinished > 0) return;
  if (it->second->open) return WaitWhileIdle(*it->second, turn);
  if (it->second->progress != nullptr) return;  // ContinueWork ends it
  StopWaiting(*it->second);
  const LiveGraph& graph = *it->second;
  const planner::GraphState state = graph.FinalState();
  const absl::Time end_time = std::max(turn.now.wall, graph.submit_time);
  turn.step.records.emplace_back(storage::GraphChanged{id, state, false, end_time});
  if (graph.deliver_end && !graph.client_queue.empty()) {
    turn.step.records.emplace_back(
        storage::GraphEndQueued{graph.client_queue, ++last_.delivery, id});
    turn.step.finished_queues.insert(graph.client_queue);
  }
  GraphSnapshot snapshot = SnapshotOf(graph);
  snapshot.state = state;
  snapshot.end_time = end_time;
  for (size_t i = 0; i < counts_.by_state.size(); ++i) {
    counts_.by_state[i] -= graph.counts.by_state[i];
  }
  counts_.total -= graph.counts.total;
  for (const auto& [consumption, unfinished] : graph.consumptions) {
    parts_.consumptions->Release(consumption);
  }
  parts_.packer->ForgetGraph(id);
  parts_.packer->shares().Release(graph.account);
  turn.step.ended_graphs.push_back({std::move(snapshot), std::move(it->second)});
  graphs_.erase(it);
}

// --- what people ask for ---

void GraphTable::Close(LiveGraph& graph, const Turn& turn) {
  if (!graph.open) return;
  StopWaiting(graph);
  graph.open = false;
  turn.step.begun_graphs.push_back(graph.id);
  turn.step.records.emplace_back(storage::GraphChanged{
      graph.id, planner::GraphState::kRunning, false, absl::InfiniteFuture(), WorkLeft(graph)});
  turn.step.changed_graphs.push_back(graph.id);
}

void GraphTable::StartCancel(LiveGraph& graph, GraphWork work, std::string reason,
                             const Turn& turn) {
  if (graph.cancelling() && graph.progress != nullptr) return;
  graph.work = work;
  graph.cancel_reason = std::move(reason);
  ProgressOf(graph).next_cancel = 0;
  BeginWork(graph, turn);
  if (graph.progress == nullptr) return;
  // It is recorded now, so that a restart goes on with it.
  turn.step.records.emplace_back(storage::GraphChanged{graph.id, planner::GraphState::kRunning,
                                                       false, absl::InfiniteFuture(), work});
}

void GraphTable::Cancel(LiveGraph& graph, TaskIndex index, absl::string_view reason,
                        const Turn& turn) {
  const TaskState state = graph.tasks[index].state;
  if (state == TaskState::kWaiting || state == TaskState::kReady) {
    Finish(graph, index, TaskState::kCancelled, std::string(reason), turn);
  } else {
    CancelOne(graph, index, reason, turn);
  }
}

void GraphTable::CancelOne(LiveGraph& graph, TaskIndex index, absl::string_view reason,
                           const Turn& turn) {
  LiveTask& task = graph.tasks[index];
  if (task.state == TaskState::kWaiting || task.state == TaskState::kReady) {
    FinishOne(graph, index, TaskState::kCancelled, std::string(reason), turn);
    return;
  }
  const planner::AttemptId attempt = planner::AttemptId::Of(graph.key(index), task.launches);
  turn.step.cancels.push_back({attempt, (*parts_.agents)[parts_.attempts->At(attempt).agent].id,
                               graph.policy(index).cancel_grace});
  if (task.cancelling) return;
  task.cancelling = true;
  graph.cancel_reasons[index] = std::string(reason);
  // The request itself is recorded, so that a restart does not lose it; the task is final when its
  // attempt has ended.
  turn.step.records.emplace_back(storage::TaskEnded{graph.key(index), TaskState::kCancelled,
                                                    turn.now.wall, std::string(reason)});
  turn.step.changed_tasks.push_back(graph.key(index));
}

int64_t GraphTable::CountSkippedBy(const LiveGraph& graph,
                                   const std::vector<TaskIndex>& cancelled) {
  absl::flat_hash_set<TaskIndex> seen(cancelled.begin(), cancelled.end());
  std::vector<TaskIndex> left = cancelled;
  int64_t skipped = 0;
  while (!left.empty()) {
    const TaskIndex task = left.back();
    left.pop_back();
    graph.ForEachSuccessor(task, [&](TaskIndex next) {
      if (graph.tasks[next].state != TaskState::kWaiting || !seen.insert(next).second) return;
      ++skipped;
      left.push_back(next);
    });
  }
  return skipped;
}

std::vector<TaskIndex> GraphTable::RetriedWith(const LiveGraph& graph,
                                               const std::vector<TaskIndex>& tasks) {
  const auto unsuccessful = [&graph](TaskIndex task) {
    const TaskState state = graph.tasks[task].state;
    return planner::IsFinal(state) && state != TaskState::kSucceeded;
  };
  const absl::flat_hash_set<TaskIndex> named(tasks.begin(), tasks.end());
  // What a task comes after that did not succeed and is not retried, as far as is known: with any
  // of that it would wait for ever.
  absl::flat_hash_map<TaskIndex, int64_t> blocking;
  const auto block = [&](TaskIndex task) -> int64_t& {
    auto [it, is_new] = blocking.try_emplace(task, 0);
    if (is_new) {
      const auto before = graph.predecessors[task];
      it->second = std::count_if(before.begin(), before.end(), unsuccessful);
    }
    return it->second;
  };
  absl::btree_set<TaskIndex> retried;
  std::vector<TaskIndex> left;
  for (TaskIndex task : named) {
    if (unsuccessful(task) && block(task) == 0 && retried.insert(task).second) left.push_back(task);
  }
  while (!left.empty()) {
    const TaskIndex task = left.back();
    left.pop_back();
    graph.ForEachSuccessor(task, [&](TaskIndex next) {
      const bool wanted = graph.tasks[next].state == TaskState::kSkipped ||
                          (named.contains(next) && unsuccessful(next));
      if (!wanted || --block(next) > 0) return;
      retried.insert(next);
      left.push_back(next);
    });
  }
  return {retried.begin(), retried.end()};
}

void GraphTable::Retry(LiveGraph& graph, const std::vector<TaskIndex>& tasks, const Turn& turn) {
  StopWaiting(graph);
  for (TaskIndex index : tasks) {
    LiveTask& task = graph.tasks[index];
    Count(graph, task.state, -1);
    task.state = TaskState::kWaiting;
    Count(graph, task.state, 1);
    task.cancelling = false;
    task.attempts_before = task.launches;
    task.spent = 0;
    task.losses = 0;
    CountUnfinished(graph, index, 1);
    turn.step.records.emplace_back(storage::TaskReset{graph.key(index), task.attempts_before});
    turn.step.changed_tasks.push_back(graph.key(index));
  }
  for (TaskIndex index : tasks) {
    if (graph.tasks[index].pending == 0) MakeReady(graph, index, absl::ZeroDuration(), turn);
  }
  turn.step.records.emplace_back(storage::GraphChanged{graph.id, planner::GraphState::kRunning,
                                                       graph.open, absl::InfiniteFuture(),
                                                       WorkLeft(graph)});
  turn.step.changed_graphs.push_back(graph.id);
}

// --- time ---

SteadyTime GraphTable::NextTimer() const {
  const SteadyTime ready = timers_.empty() ? SteadyTime::InfiniteFuture() : timers_.begin()->first;
  return idle_.empty() ? ready : std::min(ready, idle_.begin()->first);
}

void GraphTable::OnTime(const Turn& turn) {
  while (!timers_.empty() && timers_.begin()->first <= turn.now.steady) {
    const TaskKey key = timers_.begin()->second;
    LiveGraph& graph = *FindLive(key.graph());
    LeaveReady(graph, key.index());
    Enqueue(graph, key.index());
    turn.step.changed_tasks.push_back(key);
  }
  while (!idle_.empty() && idle_.begin()->first <= turn.now.steady) {
    LiveGraph& graph = *FindLive(idle_.begin()->second);
    StopWaiting(graph);
    if (graph.unfinished > 0) continue;  // something of it was retried
    const GraphId id = graph.id;
    Close(graph, turn);
    EndGraphIfDone(id, turn);
  }
}

void GraphTable::WaitWhileIdle(LiveGraph& graph, const Turn& turn) {
  if (graph.open_until_idle == absl::InfiniteDuration()) return;
  if (graph.closes != SteadyTime::InfiniteFuture()) return;
  graph.closes = turn.now.steady + graph.open_until_idle;
  idle_.insert({graph.closes, graph.id});
}

void GraphTable::StopWaiting(LiveGraph& graph) {
  if (graph.closes == SteadyTime::InfiniteFuture()) return;
  idle_.erase({graph.closes, graph.id});
  graph.closes = SteadyTime::InfiniteFuture();
}

}  // namespace kartograph::scheduler
