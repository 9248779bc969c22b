#include "scheduler/core.h"

#include <algorithm>
#include <iterator>
#include <utility>

#include "absl/algorithm/container.h"
#include "absl/container/flat_hash_map.h"
#include "absl/strings/str_cat.h"
#include "planner/problems.h"

namespace kartograph::scheduler {

using executor::AttemptUpdate;
using planner::AttemptId;
using planner::GraphId;
using planner::Outcome;
using planner::Problem;
using planner::TaskIndex;
using planner::TaskKey;
using planner::TaskState;

namespace {

absl::Status NoGraph(GraphId graph) {
  return absl::NotFoundError(absl::StrCat("no graph \"", planner::GraphIdToString(graph), "\""));
}

absl::Status CheckRetry(const LiveGraph& graph, const std::vector<TaskIndex>& retried) {
  if (retried.size() > Core::kMaxRetriedTasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat(retried.size(), " tasks would run again; name tasks after which at most ",
                     Core::kMaxRetriedTasks, " come, or retry the whole graph when it has ended"));
  }
  for (TaskIndex task : retried) {
    if (graph.tasks[task].launches < planner::kMaxLaunches) continue;
    return absl::FailedPreconditionError(
        absl::StrCat("task \"", graph.task_name(task), "\" was launched ", planner::kMaxLaunches,
                     " times, as often as a task can be; submit it again"));
  }
  return absl::OkStatus();
}

}  // namespace

Core::Core(CoreOptions options, GraphTable::LastIds last_ids)
    : options_(std::move(options)),
      pool_overrides_(options_.pool_overrides),
      packer_(options_.pools),
      consumptions_(&packer_),
      agents_(&packer_, options_.slots),
      attempts_(&agents_, &packer_),
      graphs_({&packer_, &consumptions_, &agents_, &attempts_, &demand_, options_.usage,
               options_.slice_tasks},
              last_ids),
      isolation_(&agents_, &packer_, &consumptions_, &graphs_),
      relocation_(&agents_, &packer_, &consumptions_, &graphs_),
      reservations_(&agents_, &packer_, &attempts_, &consumptions_),
      preemption_({&packer_, &consumptions_, &agents_, &attempts_, &graphs_, &reservations_},
                  options_.preempt_after),
      explainer_({&packer_, &consumptions_, &agents_, &attempts_, &graphs_, &reservations_,
                  &isolation_, &relocation_}) {
  packer_.shares().SetWeights(options_.weights);
  packer_.shares().SetCaps(options_.caps);
}

// --- graphs ---

void Core::Install(PreparedGraph prepared, const Turn& turn) {
  explainer_.Invalidate();
  LiveGraph& graph = graphs_.Put(prepared, turn);
  for (const storage::AttemptLaunched& launched : prepared.alive) {
    const LiveTask& task = graph.tasks[launched.attempt.task().index()];
    attempts_.Adopt(launched.attempt,
                    agents_.Adopt(launched.agent, launched.agent_name, turn.now.steady),
                    task.consumption, task.suspect(), launched.launch_time,
                    graph.kinds.ExpectedUs(launched.attempt.task().index()));
  }
  const GraphId id = graph.id;
  graphs_.Begin(graph, std::move(prepared), turn);
  // A crash may have come between the end of its last task and the end of the work on the graph.
  graphs_.EndGraphIfDone(id, turn);
}

void Core::ContinueWork(int64_t tasks, const Turn& turn) {
  explainer_.Invalidate();
  graphs_.ContinueWork(tasks, turn);
}

void Core::SetOrder(GraphId id, absl::Span<const TaskIndex> order, const Turn& turn) {
  LiveGraph* graph = graphs_.FindLive(id);
  if (graph == nullptr || graph->cancelling()) return;
  explainer_.Invalidate();
  graphs_.SetOrder(*graph, order, turn);
}

// --- commands ---

absl::StatusOr<GraphId> Core::SubmitGraph(PreparedGraph prepared, const Turn& turn) {
  if (absl::Status status = Check(prepared); !status.ok()) return status;
  LiveGraph& graph = *prepared.live;
  graph.id = NewGraphId();
  graph.submit_time = turn.now.wall;
  std::vector<storage::Record>& records = turn.step.records;
  records.reserve(records.size() + prepared.size() + 1);
  records.emplace_back(prepared.GraphRecord(storage::GraphWork::kNone));
  for (TaskIndex i = 0; i < graph.tasks.size(); ++i) {
    records.emplace_back(prepared.TaskRecord(i));
    turn.step.changed_tasks.push_back(graph.key(i));
  }
  const GraphId id = graph.id;
  Install(std::move(prepared), turn);
  return id;
}

absl::StatusOr<TaskKey> Core::AddTasks(GraphId id, std::vector<TaskSubmission> tasks,
                                       std::vector<std::vector<TaskIndex>> after,
                                       const Turn& turn) {
  LiveGraph* graph = graphs_.FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  if (!graph->open) {
    const bool failed =
        graph->fail_fast && graph->counts.by_state[static_cast<int>(TaskState::kFailed)] > 0;
    return absl::FailedPreconditionError(
        absl::StrCat("graph \"", planner::GraphIdToString(id),
                     failed ? "\" has a failed task and takes no more, as it is fail_fast"
                            : "\" is closed; submit it with `open` to add tasks to it later"));
  }
  if (graph->tasks.size() + tasks.size() > options_.max_graph_tasks) {
    return absl::ResourceExhaustedError(
        absl::StrCat("the graph already has ", graph->tasks.size(), " tasks; at most ",
                     options_.max_graph_tasks, " are allowed (kartographd --max-graph-tasks)"));
  }
  std::vector<Problem> problems;
  if (absl::Status status = graphs_.CheckConstraints(*graph, tasks); !status.ok()) return status;
  planner::ResourceVector consumed;
  for (const TaskSubmission& task : tasks) {
    for (Problem& problem : Infeasible(*graph, task.name, task.consumption)) {
      problems.push_back(std::move(problem));
    }
    for (const auto& entry : task.consumption) consumed.Set(entry.resource, entry.quantity);
    if (graph->CountResourcesWith(consumed) <= planner::ResourceNames::kMaxNames) continue;
    problems.push_back({absl::StrCat("tasks[\"", task.name, "\"].consumption"),
                        task.consumption.ToString(),
                        absl::StrCat("a graph can ask for ", planner::ResourceNames::kMaxNames,
                                     " different resources; with these it would ask for more")});
    break;
  }
  if (!problems.empty()) return planner::ProblemsToStatus(problems);
  for (std::vector<TaskIndex>& list : after) {
    std::sort(list.begin(), list.end());
    list.erase(std::unique(list.begin(), list.end()), list.end());
  }
  explainer_.Invalidate();
  const TaskKey first = graphs_.AddTasks(*graph, std::move(tasks), after, turn);
  graphs_.EndGraphIfDone(id, turn);  // all may be skipped
  return first;
}

absl::Status Core::CloseGraph(GraphId id, const Turn& turn) {
  LiveGraph* graph = graphs_.FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  explainer_.Invalidate();
  graphs_.Close(*graph, turn);
  graphs_.EndGraphIfDone(id, turn);
  return absl::OkStatus();
}

absl::StatusOr<int64_t> Core::CancelGraph(GraphId id, const Turn& turn) {
  LiveGraph* graph = graphs_.FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  explainer_.Invalidate();
  const int64_t cancelled = graph->unfinished;
  graphs_.Close(*graph, turn);  // nothing is added to what was cancelled
  graphs_.StartCancel(*graph, storage::GraphWork::kCancelling, "cancelled on request", turn);
  graphs_.EndGraphIfDone(id, turn);
  return cancelled;
}

absl::StatusOr<Core::Cancelled> Core::CancelTasks(GraphId id, std::vector<TaskIndex> tasks,
                                                  const Turn& turn) {
  LiveGraph* graph = graphs_.FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  std::erase_if(tasks, [graph](TaskIndex task) {
    return task >= graph->tasks.size() || planner::IsFinal(graph->tasks[task].state);
  });
  if (tasks.empty()) return Cancelled();
  if (graph->progress != nullptr && graph->progress->resetting()) {
    // Its new end would be written before its last one is undone.
    return absl::UnavailableError("the graph is about to run again; try again");
  }
  explainer_.Invalidate();
  // What comes later in the graph goes first, so that it is cancelled, not skipped.
  std::sort(tasks.begin(), tasks.end(), [graph](TaskIndex a, TaskIndex b) {
    const uint32_t rank_a = graph->tasks[a].rank;
    const uint32_t rank_b = graph->tasks[b].rank;
    return rank_a != rank_b ? rank_a < rank_b : a > b;
  });
  tasks.erase(std::unique(tasks.begin(), tasks.end()), tasks.end());
  const Cancelled cancelled = {static_cast<int64_t>(tasks.size()),
                               GraphTable::CountSkippedBy(*graph, tasks)};
  for (TaskIndex task : tasks) graphs_.Cancel(*graph, task, "cancelled on request", turn);
  graphs_.EndGraphIfDone(id, turn);
  return cancelled;
}

absl::StatusOr<int64_t> Core::RetryTasks(GraphId id, const std::vector<TaskIndex>& tasks,
                                         const Turn& turn) {
  LiveGraph* graph = graphs_.FindLive(id);
  if (graph == nullptr) return NoGraph(id);
  if (graph->cancelling()) {
    return absl::FailedPreconditionError(
        absl::StrCat("graph \"", planner::GraphIdToString(id),
                     "\" is being cancelled; retry its tasks when it has ended"));
  }
  if (graph->progress != nullptr) {
    return absl::UnavailableError("the graph is being worked on just now; try again");
  }
  const std::vector<TaskIndex> retried = GraphTable::RetriedWith(*graph, tasks);
  if (absl::Status status = CheckRetry(*graph, retried); !status.ok()) return status;
  if (retried.empty()) return 0;
  explainer_.Invalidate();
  graphs_.Retry(*graph, retried, turn);
  return static_cast<int64_t>(retried.size());
}

absl::StatusOr<int64_t> Core::RetryTasks(PreparedGraph prepared,
                                         const std::vector<TaskIndex>& tasks, const Turn& turn) {
  const std::vector<TaskIndex> retried = GraphTable::RetriedWith(*prepared.live, tasks);
  if (absl::Status status = CheckRetry(*prepared.live, retried); !status.ok()) return status;
  // Without any it stays final.
  if (retried.empty()) return 0;
  explainer_.Invalidate();
  graphs_.Retry(graphs_.Put(prepared, turn), retried, turn);
  return static_cast<int64_t>(retried.size());
}

absl::Status Core::CheckPools(const planner::ResourceVector& pools) const {
  for (const planner::ResourceVector::Entry& pool : packer_.pools()) {
    if (!pools.Get(pool.resource).is_zero()) continue;
    for (const auto& [id, graph] : graphs_.graphs()) {
      for (const auto& [consumption, unfinished] : graph->consumptions) {
        const int64_t tasks = unfinished.tasks;
        if (tasks == 0 || packer_.pool_part(consumption).Get(pool.resource).is_zero()) continue;
        return absl::FailedPreconditionError(absl::StrCat(
            "pool ", pool.resource.name(), " is needed by ", tasks,
            tasks == 1 ? " task of graph " : " tasks of graph ", planner::GraphIdToString(id),
            " that ", tasks == 1 ? "has" : "have",
            " not ended: without it they could never run. Wait for their end or cancel them "
            "first"));
      }
    }
  }
  for (const planner::ResourceVector::Entry& pool : pools) {
    if (!packer_.pools().Get(pool.resource).is_zero()) continue;
    if (absl::c_linear_search(options_.indexed, pool.resource) ||
        !agents_.largest_seen().Get(pool.resource).is_zero()) {
      return absl::FailedPreconditionError(absl::StrCat(
          pool.resource.name(), " is a resource of agents; a pool needs a name that no agent has"));
    }
  }
  return absl::OkStatus();
}

absl::Status Core::SetPools(const planner::ResourceVector& pools,
                            std::map<planner::Resource, PoolOverride> overrides, const Turn& turn) {
  if (absl::Status status = CheckPools(pools); !status.ok()) return status;
  pool_overrides_ = std::move(overrides);
  if (pools == packer_.pools()) return absl::OkStatus();
  explainer_.Invalidate();
  // What is kept may be for what is needed no more, or of another kind.
  reservations_.Clear();
  attempts_.SetPools(pools);
  demand_.Changed();
  turn.step.cluster_changed = true;
  return absl::OkStatus();
}

void Core::SetSlots(int slots, const Turn& turn) {
  explainer_.Invalidate();
  agents_.SetSlotsPerAgent(slots);
  demand_.Changed();
  turn.step.cluster_changed = true;
}

// --- the cluster's connection and agents ---

void Core::OnClusterEvent(executor::ClusterEvent event, const Turn& turn) {
  explainer_.Invalidate();
  if (auto* update = std::get_if<AttemptUpdate>(&event)) {
    OnAttempt(std::move(*update), turn);
    return;
  }
  turn.step.cluster_changed = true;
  if (auto* offer = std::get_if<executor::Offer>(&event)) {
    attempts_.StartBacklog(agents_.OnOffer(std::move(*offer), turn.now));
  } else if (auto* capacity = std::get_if<executor::AgentCapacity>(&event)) {
    attempts_.StartBacklog(agents_.OnCapacity(std::move(*capacity)));
  } else if (std::holds_alternative<executor::Connected>(event)) {
    OnConnected(turn);
  } else if (auto* away = std::get_if<executor::Disconnected>(&event)) {
    OnDisconnected(std::move(away->reason), turn);
  } else if (auto* rescinded = std::get_if<executor::OfferRescinded>(&event)) {
    agents_.OnRescinded(rescinded->id);
  } else if (auto* lost = std::get_if<executor::AgentLost>(&event)) {
    OnAgentLost(lost->agent, turn);
  } else if (auto* unreachable = std::get_if<executor::AgentUnreachable>(&event)) {
    agents_.OnUnreachable(unreachable->agent, turn.now);
  } else if (auto* report = std::get_if<executor::HostReport>(&event)) {
    agents_.OnHostReport(std::move(*report));
  }
}

void Core::OnConnected(const Turn& turn) {
  attempts_.OnDisconnected();
  agents_.OnDisconnected(turn.now.steady, /*again=*/true);
  connected_ = true;
  disconnect_reason_.clear();
  demand_.Reset();
  for (AttemptId id : attempts_.Ids()) {
    const Attempt& attempt = attempts_.At(id);
    const planner::TaskPolicy& policy = graphs_.policy(id.task());
    turn.step.reconcile.push_back(
        {id, agents_[attempt.agent].id, policy.timeout, policy.cancel_grace, attempt.launch_time});
    CancelAgain(id, turn);  // may have been lost with the connection
  }
}

void Core::OnDisconnected(std::string reason, const Turn& turn) {
  connected_ = false;
  disconnect_reason_ = std::move(reason);
  attempts_.OnDisconnected();
  agents_.OnDisconnected(turn.now.steady, /*again=*/false);
}

void Core::OnAgentLost(const executor::AgentId& id, const Turn& turn) {
  const std::optional<AgentTable::Index> index = agents_.Find(id);
  if (!index) return;
  agents_.OnLost(*index, turn.now.steady);
  for (AttemptId attempt : attempts_.IdsOn(*index)) {
    AttemptUpdate update;
    update.attempt = attempt;
    update.agent = id;
    update.outcome = Outcome::kLost;
    update.message = "its agent was lost";
    update.end_time = turn.now.wall;
    OnAttempt(std::move(update), turn);
  }
  isolation_.OnErased(*index);
  reservations_.OnErased(*index);
  agents_.Erase(*index);
}

void Core::CancelAgain(AttemptId id, const Turn& turn) {
  if (!graphs_.task(id.task()).cancelling && attempts_.PreemptedFor(id) == nullptr) return;
  turn.step.cancels.push_back(
      {id, agents_[attempts_.At(id).agent].id, graphs_.policy(id.task()).cancel_grace});
}

// --- what the cluster reports of attempts ---

void Core::OnAttempt(AttemptUpdate update, const Turn& turn) {
  // Clusters check what they receive; an outcome that does not exist would be written, and the
  // history refused at the next start.
  if (!planner::OutcomeFromNumber(static_cast<int64_t>(update.outcome))) {
    update.message = absl::StrCat("it ended in a way that is not known here: ",
                                  static_cast<int64_t>(update.outcome));
    update.outcome = Outcome::kLost;
  }
  const AttemptId id = update.attempt;
  if (!attempts_.contains(id)) {
    if (update.outcome != Outcome::kNone) {
      turn.step.acknowledge.push_back(id);  // known to have ended; the update came twice
    } else if (!update.unreachable) {
      // The history does not know it, or has given it up: it must not run.
      turn.step.cancels.push_back({id, update.agent, absl::Seconds(10)});
    }
    return;
  }
  if (update.outcome != Outcome::kNone) {
    turn.step.acknowledge.push_back(id);
    OnAttemptEnded(std::move(update), turn);
  } else if (!update.unreachable) {
    OnAttemptAlive(update, turn);
  } else if (attempts_.SetUnreachable(id, turn.now,
                                      graphs_.policy(id.task()).unreachable_timeout)) {
    turn.step.changed_tasks.push_back(id.task());
    turn.step.cluster_changed = true;
  }
}

void Core::SetReachable(AttemptId id, const Turn& turn) {
  if (!attempts_.SetReachable(id)) return;
  turn.step.changed_tasks.push_back(id.task());
  turn.step.cluster_changed = true;
}

// Of an attempt that is alive.
void Core::OnAttemptEnded(AttemptUpdate update, const Turn& turn) {
  const TaskKey key = update.attempt.task();
  SetReachable(update.attempt, turn);
  LearnFromEnd(update, attempts_.At(update.attempt), turn);
  const bool lost = planner::IsLostWithAgent(update.outcome);
  if (const std::string* why = attempts_.PreemptedFor(update.attempt);
      why != nullptr && update.outcome == Outcome::kCancelled && !graphs_.task(key).cancelling) {
    update.outcome = Outcome::kPreempted;
    update.message = *why;
  }
  const Attempt attempt = attempts_.End(update.attempt, /*agent_goes_on=*/!lost);
  demand_.Changed();
  if (lost && attempt.in_backlog()) {
    // It waited for its turn there: whatever ended the agent, it was not this.
    update.outcome = Outcome::kDropped;
  }
  ++totals_.ended_by_outcome[static_cast<size_t>(update.outcome)];
  graphs_.OnAttemptOver(key, update, turn);
  // The times may be of two clocks, or of one that was set: nothing ends before it began.
  const absl::Time began =
      update.start_time == absl::InfinitePast() ? attempt.launch_time : update.start_time;
  const absl::Time ended =
      update.end_time == absl::InfinitePast() ? turn.now.wall : update.end_time;
  turn.step.records.emplace_back(storage::AttemptEnded{
      update.attempt, update.outcome, update.exit_status, update.signal, std::move(update.message),
      update.start_time, std::max(ended, began), update.usage.peak_ram_bytes, update.usage.cpu_time,
      update.usage.wall_time, std::move(update.return_value), update.has_value});
  graphs_.EndGraphIfDone(key.graph(), turn);
}

void Core::LearnFromEnd(const AttemptUpdate& update, const Attempt& attempt, const Turn& turn) {
  if (update.outcome == Outcome::kSucceeded || update.outcome == Outcome::kExited) {
    const double us =
        std::max(absl::ToDoubleMicroseconds(update.usage.wall_time), ConsumptionTable::kLeastUs);
    consumptions_.LearnWallTime(attempt.consumption, us);
    agents_.LearnWallTime(attempt.agent, us);
  }
  if (update.outcome == Outcome::kSucceeded) {
    graphs_.Learn(update.attempt.task(),
                  {update.usage.wall_time, update.usage.cpu_time, update.usage.peak_ram_bytes},
                  turn.now.wall);
  }
  if (update.outcome == Outcome::kAgentFailed) {
    agents_.OnFailed(attempt.agent, update.message, turn.now);
    turn.step.cluster_changed = true;
  } else if (update.start_time != absl::InfinitePast() && !attempt.running()) {
    OnStarted(update.attempt.task(), attempt.agent, turn);
  }
  // A task that is launched alone is suspected itself, and an agent that is gone needs no rest.
  if (planner::IsLostWithAgent(update.outcome) && !attempt.in_backlog() && !attempt.alone &&
      agents_[attempt.agent].connected &&
      agents_.OnSuspected(attempt.agent, update.attempt.task(), "were lost", turn.now)) {
    turn.step.cluster_changed = true;
  }
}

void Core::OnStarted(TaskKey task, AgentTable::Index agent, const Turn& turn) {
  agents_.OnStarted(agent);
  if (!graphs_.task(task).not_started) return;
  // So it was the other agent's doing that its program could not be started there.
  const std::optional<AgentTable::Index> avoided = agents_.Find(graphs_.avoided_agent(task));
  if (avoided && *avoided != agent &&
      agents_.OnSuspected(*avoided, task, "could not be started, but could on other agents",
                          turn.now)) {
    turn.step.cluster_changed = true;
  }
}

void Core::OnAttemptAlive(const AttemptUpdate& update, const Turn& turn) {
  const AttemptId id = update.attempt;
  if (attempts_.At(id).unreachable() != nullptr) {
    SetReachable(id, turn);
    CancelAgain(id, turn);  // the first one may not have arrived
  }
  const AgentTable::Index agent = attempts_.At(id).agent;
  if (!agents_[agent].connected) turn.step.cluster_changed = true;
  agents_.OnAlive(agent);
  if (update.start_time == absl::InfinitePast()) {
    attempts_.SetInBacklog(id, BacklogOrder(id.task()));
    return;
  }
  if (attempts_.SetNote(id, update.message)) turn.step.changed_tasks.push_back(id.task());
  if (!attempts_.SetRunning(id, update.start_time)) return;
  OnStarted(id.task(), agent, turn);
  graphs_.SetRunning(id.task(), turn);
}

void Core::GiveUpUnreachable(const Turn& turn) {
  while (std::optional<AttemptId> id = attempts_.NextDue(turn.now.steady)) {
    const Attempt& attempt = attempts_.At(*id);
    const planner::TaskPolicy& policy = graphs_.policy(id->task());
    AttemptUpdate update;
    update.attempt = *id;
    update.agent = agents_[attempt.agent].id;
    update.outcome = Outcome::kUnreachable;
    update.message = absl::StrCat("its agent could not be reached for ",
                                  absl::FormatDuration(policy.unreachable_timeout));
    update.start_time = attempt.start_time();
    update.end_time = turn.now.wall;
    // So that it does not go on beside the next one when its agent is back.
    turn.step.cancels.push_back({*id, update.agent, policy.cancel_grace});
    OnAttemptEnded(std::move(update), turn);
  }
}

// --- time and plans ---

SteadyTime Core::NextTimer() const {
  return std::min({demand_.NextTimer(), graphs_.NextTimer(), attempts_.NextTimer(),
                   agents_.NextReturn(), isolation_.NextTimer(), reservations_.NextTimer(),
                   preemption_.NextTimer()});
}

void Core::OnTime(const Turn& turn) {
  GiveUpUnreachable(turn);
  graphs_.OnTime(turn);
  if (agents_.ReturnSetAside(turn.now.steady)) {
    demand_.Changed();
    turn.step.cluster_changed = true;
  }
  if (connected_) agents_.ForgetAbsent(turn.now.steady);
}

void Core::Plan(const Turn& turn) {
  explainer_.Invalidate();
  planned_ = turn.now;
  packer_.AdvanceShares(turn.now.steady);
  // The packer has no clock.
  if (agents_.anybody_leaves()) agents_.RefreshTimesUntilDrain(turn.now.steady);
  if (agents_.anybody_leaves() || reservations_.any()) consumptions_.RefreshExpected();
  if (launching_ && connected_) {
    // Offers that were of no use then may be of use now.
    if (reservations_.Refresh(turn.now)) demand_.Changed();
  } else {
    reservations_.Clear();
  }
  if (launching_) Place(turn);
  if (launching_ && connected_ && reservations_.Update(turn.now)) {
    demand_.Changed();
    Place(turn);
  }
  Preempt(turn);
  // The plan placed all that fits: what is still offered is of no use now.
  agents_.TakeOpenOffers(&turn.step.declined_offers);
  TellDemand(turn);
}

void Core::Preempt(const Turn& turn) {
  if (!launching_ || !connected_) {
    preemption_.Clear();
    return;
  }
  for (const AttemptId id : preemption_.Update(turn.now)) {
    turn.step.changed_tasks.push_back(id.task());
    CancelAgain(id, turn);
  }
}

void Core::Place(const Turn& turn) {
  placements_.clear();
  isolation_.Place(turn.now.steady, &placements_);
  const size_t alone = placements_.size();
  relocation_.Place(turn.now.steady, &placements_);
  const size_t apart = placements_.size();
  for (AgentTable::Index agent : agents_.on_probation()) {
    if (!attempts_.MayTry(agent)) continue;
    if (auto placement = packer_.PlaceOneOn(agent)) placements_.push_back(*placement);
  }
  // What gets its room by this may leave some for others.
  for (bool more = true; more;) {
    const size_t before = placements_.size();
    packer_.Plan(&placements_);
    more = false;
    for (size_t i = before; i < placements_.size(); ++i) {
      more = reservations_.OnPlaced(placements_[i].consumption) || more;
    }
  }
  for (size_t i = 0; i < placements_.size(); ++i) {
    if (graphs_.Find(placements_[i].task.graph())->cancelling()) {
      Refuse(placements_[i], turn);
    } else {
      Launch(placements_[i],
             i < alone   ? Way::kAlone
             : i < apart ? Way::kRelocated
                         : Way::kPacked,
             turn);
    }
  }
  for (const planner::Packer::Placement& placement : placements_) {
    agents_.UseOffers(placement.agent, &turn.step.used_offers);
  }
}

// Cancels at once what was placed of a graph that is being cancelled. No suspect of one is placed.
void Core::Refuse(const planner::Packer::Placement& placement, const Turn& turn) {
  LiveGraph& graph = *graphs_.FindLive(placement.task.graph());
  if (!placement.backlog) {
    packer_.Give(placement.agent, placement.consumption);
    packer_.GivePools(placement.consumption);
  }
  packer_.Refund(placement.task.graph(), placement.consumption, placement.agent);
  packer_.AddReady(placement.consumption, graph.ready_key(placement.task.index()));
  graphs_.CancelOne(graph, placement.task.index(), graph.cancel_reason, turn);
}

void Core::Launch(const planner::Packer::Placement& placement, Way way, const Turn& turn) {
  const TaskKey key = placement.task;
  const uint32_t number =
      way == Way::kPacked ? graphs_.SetLaunching(key, turn) : graphs_.SetLaunchingApart(key, turn);
  const AttemptId id = AttemptId::Of(key, number);
  std::string order = placement.backlog ? BacklogOrder(key) : "";
  const LiveGraph& graph = *graphs_.Find(key.graph());
  attempts_.Launch(id, placement, way == Way::kAlone, turn.now.wall, order,
                   graph.kinds.ExpectedUs(key.index()));
  agents_.MarkLaunchedOn(placement.agent);
  ++totals_.launched;
  const Agent& agent = agents_[placement.agent];
  turn.step.records.emplace_back(storage::AttemptLaunched{id, agent.id, agent.name, turn.now.wall});
  const planner::TaskPolicy& policy = graph.policy(key.index());
  turn.step.launches.push_back({id, agent.id, std::string(graph.task_name(key.index())),
                                packer_.agent_part(placement.consumption), "", policy.timeout,
                                policy.cancel_grace, packer_.pool_part(placement.consumption)});
  turn.step.launches.back().backlog_order = std::move(order);
}

std::string Core::BacklogOrder(TaskKey task) const {
  const planner::ReadyKey key = graphs_.Find(task.graph())->ready_key(task.index());
  return planner::SortKey(packer_.OrderOf(key));
}

// Notifies a cluster that makes offers of what is wanted, whenever that makes a difference to it.
void Core::TellDemand(const Turn& turn) {
  demand_.Silence();
  if (!connected_ || agents_.leases()) return;
  std::vector<planner::ResourceVector> apart;
  if (launching_) {
    apart = isolation_.Wanted();
    for (planner::ResourceVector& need : relocation_.Wanted()) apart.push_back(std::move(need));
  }
  const bool wanted = launching_ && (packer_.AnythingWanted() || !apart.empty());
  switch (demand_.Next(wanted, turn.now.steady)) {
    case Demand::Word::kNone:
      return;
    case Demand::Word::kSuppress:
      turn.step.suppress = true;
      return;
    case Demand::Word::kRevive:
      turn.step.revive = packer_.Wanted();
      for (planner::ResourceVector& need : apart) {
        std::vector<planner::ResourceVector>& all = *turn.step.revive;
        if (std::find(all.begin(), all.end(), need) == all.end()) all.push_back(std::move(need));
      }
  }
}

std::vector<executor::ClusterEvent> Core::AdoptableState() const {
  if (!connected_) return {executor::Disconnected{disconnect_reason_}};
  std::vector<executor::ClusterEvent> events = {executor::Connected{}};
  agents_.AppendState(&events);
  return events;
}

// Every account is charged for its attempts, and for nothing else.
absl::Status Core::CheckShares() const {
  absl::flat_hash_map<std::string, planner::ResourceVector> held;
  attempts_.ForEach([&](AttemptId id, const Attempt& attempt) {
    const LiveGraph* graph = graphs_.Find(id.task().graph());
    if (graph == nullptr) return;
    held[packer_.shares().name(graph->account)] += packer_.consumption(attempt.consumption);
  });
  for (const planner::FairShare::Standing& standing : packer_.shares().Standings()) {
    if (standing.holding.resources == held[standing.name]) continue;
    return absl::InternalError(absl::StrCat("\"", standing.name, "\" is charged for ",
                                            standing.holding.resources.ToString(), " and holds ",
                                            held[standing.name].ToString()));
  }
  return absl::OkStatus();
}

absl::Status Core::CheckInvariants() const {
  absl::Status status = agents_.CheckInvariants();
  status.Update(attempts_.CheckInvariants());
  status.Update(graphs_.CheckInvariants());
  status.Update(CheckShares());
  return status;
}

}  // namespace kartograph::scheduler
