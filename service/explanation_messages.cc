#include "service/explanation_messages.h"

#include <algorithm>
#include <string>

#include "base/utf8.h"
#include "planner/ids.h"
#include "scheduler/explanation_text.h"
#include "service/messages.h"

namespace kartograph::service {
namespace {

using scheduler::AgentObstacle;
using scheduler::GoesFirstBy;

v1::AgentObstacle ToMessage(AgentObstacle obstacle) {
  // The numbers are the same; kNone is what is never sent.
  return static_cast<v1::AgentObstacle>(obstacle);
}
static_assert(static_cast<int>(AgentObstacle::kAway) == v1::AGENT_OBSTACLE_AWAY);
static_assert(static_cast<int>(AgentObstacle::kAvoided) == v1::AGENT_OBSTACLE_AVOIDED);
static_assert(static_cast<int>(AgentObstacle::kTooSmall) == v1::AGENT_OBSTACLE_TOO_SMALL);
static_assert(static_cast<int>(AgentObstacle::kNotOffered) == v1::AGENT_OBSTACLE_NOT_OFFERED);
static_assert(static_cast<int>(AgentObstacle::kFailing) == v1::AGENT_OBSTACLE_FAILING);
static_assert(static_cast<int>(AgentObstacle::kAlone) == v1::AGENT_OBSTACLE_ALONE);
static_assert(static_cast<int>(AgentObstacle::kNoSlot) == v1::AGENT_OBSTACLE_NO_SLOT);
static_assert(static_cast<int>(AgentObstacle::kLacks) == v1::AGENT_OBSTACLE_LACKS);
static_assert(static_cast<int>(AgentObstacle::kLeaves) == v1::AGENT_OBSTACLE_LEAVES);
static_assert(static_cast<int>(AgentObstacle::kKept) == v1::AGENT_OBSTACLE_KEPT);
static_assert(static_cast<int>(AgentObstacle::kBusy) == v1::AGENT_OBSTACLE_BUSY);
static_assert(static_cast<int>(AgentObstacle::kClosed) == v1::AGENT_OBSTACLE_CLOSED);
static_assert(static_cast<int>(AgentObstacle::kConstraint) == v1::AGENT_OBSTACLE_CONSTRAINT);
static_assert(static_cast<int>(AgentObstacle::kSpread) == v1::AGENT_OBSTACLE_SPREAD);

v1::GoesFirstBy ToMessage(GoesFirstBy by) {
  switch (by) {
    case GoesFirstBy::kShare:
      return v1::GOES_FIRST_BY_SHARE;
    case GoesFirstBy::kPriority:
      return v1::GOES_FIRST_BY_PRIORITY;
    case GoesFirstBy::kGraph:
      return v1::GOES_FIRST_BY_GRAPH;
    case GoesFirstBy::kPath:
      return v1::GOES_FIRST_BY_PATH;
    case GoesFirstBy::kAge:
      return v1::GOES_FIRST_BY_AGE;
  }
  return v1::GOES_FIRST_BY_UNSPECIFIED;
}

v1::ExplainedTask ToMessage(const scheduler::Dependency& dependency) {
  v1::ExplainedTask message = service::ToMessage(dependency.task);
  message.set_state(service::ToMessage(dependency.state));
  message.set_agent(ValidUtf8(dependency.agent));
  if (dependency.since != absl::InfinitePast()) {
    *message.mutable_since() = service::ToMessage(dependency.since);
  }
  if (dependency.remaining) {
    *message.mutable_remaining() = service::ToMessage(*dependency.remaining);
  }
  return message;
}

void AddShortage(absl::string_view resource, planner::Quantity need, planner::Quantity free,
                 planner::Quantity capacity, v1::Reason& message) {
  v1::Reason::Shortage& shortage = *message.add_shortages();
  shortage.set_resource(std::string(resource));
  shortage.set_need(need.units());
  shortage.set_free(free.units());
  shortage.set_capacity(capacity.units());
  shortage.set_missing(std::max(need - free, planner::Quantity()).units());
}

void SetHolders(const scheduler::Holders& holders, v1::Reason& message) {
  for (const scheduler::Holder& holder : holders.first) {
    *message.add_holders() = service::ToMessage(holder);
  }
  message.set_holder_count(holders.count);
}

// Fills in what there is to say of each kind of reason.
struct Fill {
  v1::Reason& message;

  void Kind(v1::Reason::Kind kind) const { message.set_kind(kind); }

  void operator()(const scheduler::WaitsForTasks& waits) const {
    Kind(v1::Reason::TASKS);
    for (const scheduler::Dependency& task : waits.tasks) *message.add_tasks() = ToMessage(task);
    message.set_task_count(waits.count);
    if (waits.root) *message.mutable_chain_begins() = ToMessage(*waits.root);
  }
  void operator()(const scheduler::AboutToStart&) const { Kind(v1::Reason::ABOUT_TO_START); }
  void operator()(const scheduler::AboutToBeReady&) const { Kind(v1::Reason::ABOUT_TO_BE_READY); }
  void operator()(const scheduler::BacksOff& back_off) const {
    Kind(v1::Reason::BACK_OFF);
    *message.mutable_until() = service::ToMessage(back_off.until);
    message.set_attempt(back_off.attempt);
    message.set_max_attempts(back_off.max_attempts);
  }
  void operator()(const scheduler::ServiceStops&) const { Kind(v1::Reason::SERVICE_STOPS); }
  void operator()(const scheduler::ClusterAway& away) const {
    Kind(v1::Reason::CLUSTER_AWAY);
    message.set_failure(ValidUtf8(away.reason));
  }
  void operator()(const scheduler::NothingOffered&) const { Kind(v1::Reason::NOTHING_OFFERED); }
  void operator()(const scheduler::AtLimit& limit) const {
    Kind(v1::Reason::LIMIT);
    message.set_limit_of(limit.account);
    const planner::AtCap& at = limit.at;
    AddShortage(at.resource ? at.resource->name() : planner::Cap::kRunning, at.need,
                at.most - at.held, at.most, message);
  }
  void operator()(const scheduler::PoolShort& pool) const {
    Kind(v1::Reason::POOL);
    AddShortage(pool.pool.name(), pool.need, pool.free, pool.capacity, message);
    SetHolders(pool.holders, message);
  }
  void operator()(const scheduler::PoolKept& pool) const {
    Kind(v1::Reason::POOL_KEPT);
    AddShortage(pool.pool.name(), pool.need, pool.free, pool.capacity, message);
    *message.mutable_kept_for() = service::ToMessage(pool.kept_for);
  }
  void operator()(const scheduler::NeverFits& never) const {
    Kind(v1::Reason::NEVER_FITS);
    if (!never.is_pool) SetConsumption(never.need, *message.mutable_consumption());
    if (never.resource) {
      AddShortage(never.resource->name(), never.need.Get(*never.resource), never.most, never.most,
                  message);
    }
  }
  void operator()(const scheduler::NoAgent& why) const {
    Kind(v1::Reason::NO_AGENT);
    SetConsumption(why.need, *message.mutable_consumption());
    for (const auto& [obstacle, count] : why.agents) {
      v1::Reason::AgentCount& entry = *message.add_agents();
      entry.set_obstacle(ToMessage(obstacle));
      entry.set_agents(count);
    }
    for (const auto& [constraint, count] : why.constraints) {
      v1::Reason::ConstraintCount& entry = *message.add_constraints();
      entry.set_constraint(ValidUtf8(constraint));
      entry.set_agents(count);
    }
    if (!why.best) return;
    const scheduler::NoAgent::Agent& best = *why.best;
    message.set_agent(ValidUtf8(best.name));
    message.set_obstacle(ToMessage(best.obstacle));
    for (const scheduler::NoAgent::Shortage& shortage : best.shortages) {
      AddShortage(shortage.resource.name(), shortage.need, shortage.free, shortage.capacity,
                  message);
    }
    SetHolders(best.holders, message);
    if (best.kept_for) *message.mutable_kept_for() = service::ToMessage(*best.kept_for);
    message.set_failure(ValidUtf8(best.failure));
    if (best.set_aside_until) *message.mutable_until() = service::ToMessage(*best.set_aside_until);
    if (best.obstacle == AgentObstacle::kLeaves) {
      *message.mutable_until() = service::ToMessage(best.unavailable_from);
    }
  }
  void operator()(const scheduler::AgentReserved& reserved) const {
    Kind(v1::Reason::AGENT_RESERVED);
    message.set_agent(ValidUtf8(reserved.agent));
  }
  void operator()(const scheduler::PoolsReserved&) const { Kind(v1::Reason::POOLS_RESERVED); }
  void operator()(const scheduler::LaunchedAlone&) const { Kind(v1::Reason::LAUNCHED_ALONE); }
  void operator()(const scheduler::AvoidsAgent& avoids) const {
    Kind(v1::Reason::AVOIDS_AGENT);
    message.set_agent(ValidUtf8(avoids.agent));
  }
  void operator()(const scheduler::InAgentBacklog& waits) const {
    Kind(v1::Reason::IN_BACKLOG);
    message.set_agent(ValidUtf8(waits.agent));
  }
  void operator()(const scheduler::BeingStarted& started) const {
    Kind(v1::Reason::BEING_STARTED);
    message.set_agent(ValidUtf8(started.agent));
    *message.mutable_since() = service::ToMessage(started.since);
  }
  void operator()(const scheduler::BeingCancelled&) const { Kind(v1::Reason::BEING_CANCELLED); }
  void operator()(const scheduler::FateUnknown& away) const {
    Kind(v1::Reason::FATE_UNKNOWN);
    message.set_failure(ValidUtf8(away.reason));
  }
  void operator()(const scheduler::EndedInVain& in_vain) const {
    Kind(v1::Reason::ENDED_IN_VAIN);
    message.set_attempt(in_vain.attempts);
    message.set_failure(ValidUtf8(in_vain.last));
  }
  void operator()(const scheduler::RunsWith& runs) const {
    Kind(v1::Reason::RUNS_WITH_NOTE);
    message.set_failure(ValidUtf8(runs.note));
  }
  void operator()(const scheduler::OutOfReach& away) const {
    Kind(v1::Reason::OUT_OF_REACH);
    message.set_agent(ValidUtf8(away.agent));
    *message.mutable_since() = service::ToMessage(away.since);
  }
  void operator()(const scheduler::IsRunning& running) const {
    Kind(v1::Reason::RUNNING);
    message.set_agent(ValidUtf8(running.agent));
    *message.mutable_since() = service::ToMessage(running.since);
    message.set_attempt(static_cast<int32_t>(running.attempt));
    if (running.remaining) {
      *message.mutable_remaining() = service::ToMessage(*running.remaining);
    }
  }
};

}  // namespace

v1::ExplainedTask ToMessage(const scheduler::NamedTask& task) {
  v1::ExplainedTask message;
  message.set_graph_id(planner::GraphIdToString(task.task.graph()));
  message.set_task_name(task.name);
  return message;
}

v1::Holder ToMessage(const scheduler::Holder& holder) {
  v1::Holder message;
  message.set_graph_id(planner::GraphIdToString(holder.task.task.graph()));
  message.set_task_name(holder.task.name);
  message.set_attempt(static_cast<int32_t>(holder.attempt));
  message.set_agent(ValidUtf8(holder.agent));
  message.set_quantity(holder.quantity.units());
  *message.mutable_since() = ToMessage(holder.since);
  if (holder.remaining) *message.mutable_remaining() = ToMessage(*holder.remaining);
  return message;
}

v1::Reason ToMessage(const scheduler::Reason& reason) {
  v1::Reason message;
  std::visit(Fill{message}, reason);
  message.set_text(ValidUtf8(scheduler::OneLine({&reason, 1})));
  return message;
}

v1::ExplainTaskResponse ToMessage(const scheduler::Explanation& explanation, absl::Time now) {
  v1::ExplainTaskResponse message;
  message.set_graph_id(planner::GraphIdToString(explanation.task.task.graph()));
  message.set_task_name(explanation.task.name);
  message.set_state(ToMessage(explanation.state));
  for (const scheduler::Reason& reason : explanation.reasons) {
    *message.add_reasons() = ToMessage(reason);
  }
  for (const scheduler::Ahead::Task& task : explanation.ahead.first) {
    v1::TaskAhead& ahead = *message.add_goes_first();
    ahead.set_graph_id(planner::GraphIdToString(task.task.task.graph()));
    ahead.set_task_name(task.task.name);
    ahead.set_by(ToMessage(task.by));
    ahead.set_priority(task.priority);
  }
  message.set_ahead_count(explanation.ahead.count);
  message.set_ahead_at_least(explanation.ahead.at_least);
  if (explanation.expected.within) {
    *message.mutable_expected_in() = ToMessage(*explanation.expected.within);
  }
  message.set_expected_unknown(explanation.expected.unknown);
  for (const std::string& sentence : scheduler::Sentences(explanation, now)) {
    message.add_summary(ValidUtf8(sentence));
  }
  return message;
}

}  // namespace kartograph::service
