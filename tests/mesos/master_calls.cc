// Calls of frameworks.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/mesos/master.h"
#include "tests/mesos/validation.h"

namespace kartograph::stand_in {
namespace {

using mesos::TaskStatus;

// What a framework refuses is not offered again for this long, unless it says otherwise.
constexpr double kDefaultRefuseSeconds = 5;

absl::Duration RefuseDuration(const mesos::Filters& filters) {
  const double seconds =
      filters.has_refuse_seconds() ? filters.refuse_seconds() : kDefaultRefuseSeconds;
  return absl::Seconds(seconds);
}

template <typename Roles>
std::vector<std::string> ToVector(const Roles& roles) {
  return {roles.begin(), roles.end()};
}

}  // namespace

void Master::Handle(Framework* framework, const Call& call) {
  switch (call.type()) {
    case Call::TEARDOWN:
      return RemoveFramework(std::string(framework->id()));
    case Call::ACCEPT:
      return Accept(framework, call.accept());
    case Call::DECLINE:
      return Decline(framework, call.decline());
    case Call::REVIVE:
      allocator_->Revive(framework->id(), ToVector(call.revive().roles()));
      return Allocate();
    case Call::SUPPRESS:
      return allocator_->Suppress(framework->id(), ToVector(call.suppress().roles()));
    case Call::KILL:
      return Kill(framework, call.kill());
    case Call::ACKNOWLEDGE:
      return Acknowledge(framework, call.acknowledge());
    case Call::RECONCILE:
      return Reconcile(framework, call.reconcile());
    case Call::SHUTDOWN: {
      const auto found = agents_.find(call.shutdown().agent_id().value());
      if (found == agents_.end() || found->second.known != Known::kRegistered) return;
      return Post(
          found->second.agent,
          [framework_id = framework->id(), executor_id = call.shutdown().executor_id().value()](
              Agent* agent) { agent->ShutdownExecutor(framework_id, executor_id); });
    }
    case Call::MESSAGE: {
      ++counters_.framework_messages;
      const auto found = agents_.find(call.message().agent_id().value());
      if (found == agents_.end() || found->second.known != Known::kRegistered) return;
      return Post(found->second.agent,
                  [framework_id = framework->id(), message = call.message()](Agent* agent) {
                    agent->SendMessage(framework_id, message.executor_id().value(), message.data());
                  });
    }
    case Call::ACCEPT_INVERSE_OFFERS:
      for (const auto& id : call.accept_inverse_offers().inverse_offer_ids()) {
        framework->inverse_offers.erase(id.value());
      }
      return;
    case Call::DECLINE_INVERSE_OFFERS:
      for (const auto& id : call.decline_inverse_offers().inverse_offer_ids()) {
        framework->inverse_offers.erase(id.value());
      }
      return;
    default:
      return;
  }
}

std::string Master::ValidateOffers(const Framework& framework, const Call::Accept& accept) const {
  if (accept.offer_ids().empty()) return "No offers specified";
  std::set<std::string> seen;
  const OpenOffer* first = nullptr;
  for (const mesos::OfferID& id : accept.offer_ids()) {
    if (!seen.insert(id.value()).second) {
      return absl::StrCat("Duplicate offer ", id.value(), " in offer list");
    }
    const auto found = offers_.find(id.value());
    if (found == offers_.end()) {
      return absl::StrCat("Offer ", id.value(), " is no longer valid");
    }
    const OpenOffer& offer = found->second;
    if (offer.framework_id != framework.id()) {
      return absl::StrCat("Offer ", id.value(), " has invalid framework ", offer.framework_id,
                          " while framework ", framework.id(), " is expected");
    }
    if (first == nullptr) first = &offer;
    if (first->role != offer.role) {
      return "Aggregated offers must be allocated to the same role";
    }
    if (first->agent_id != offer.agent_id) {
      return absl::StrCat("Aggregated offers must belong to one single agent. Offer ", id.value(),
                          " uses agent ", offer.agent_id, " and agent ", first->agent_id);
    }
  }
  return "";
}

std::string Master::ValidateTask(const Framework& framework, const AgentRecord& record,
                                 const mesos::TaskInfo& task, const OpenOffer& offer,
                                 const Pool& left, Pool* task_pool, Pool* executor_pool) const {
  const std::string& task_id = task.task_id().value();
  if (std::string error = ValidateTaskInfo(task); !error.empty()) return error;
  if (framework.tasks.contains(task_id)) return "Task has duplicate ID: " + task_id;
  if (framework.unreachable.contains(task_id)) {
    return "Task reuses the ID of an unreachable task: " + task_id;
  }
  if (task.agent_id().value() != record.agent->id()) {
    return absl::StrCat("Task uses invalid agent ", task.agent_id().value(), " while agent ",
                        record.agent->id(), " is expected");
  }
  for (const auto* resources : {&task.resources(), &task.executor().resources()}) {
    for (const mesos::Resource& resource : *resources) {
      if (resource.has_allocation_info() && resource.allocation_info().role() != offer.role) {
        return absl::StrCat("Invalid task resources: allocated to the role '",
                            resource.allocation_info().role(), "', the offer to '", offer.role,
                            "'");
      }
    }
  }
  absl::StatusOr<Pool> pool = Pool::FromMesos(task.resources());
  if (!pool.ok()) {
    return absl::StrCat("Task uses invalid resources: ", std::string(pool.status().message()));
  }
  *task_pool = *std::move(pool);
  *executor_pool = Pool();
  Pool total = *task_pool;
  Pool both = *task_pool;  // with an executor that runs already, too
  if (task.has_executor()) {
    mesos::ExecutorInfo executor = task.executor();
    if (executor.has_framework_id() && executor.framework_id().value() != framework.id()) {
      return "ExecutorInfo has an invalid FrameworkID";
    }
    executor.mutable_framework_id()->set_value(framework.id());
    pool = Pool::FromMesos(executor.resources());
    if (!pool.ok()) {
      return absl::StrCat("Executor uses invalid resources: ",
                          std::string(pool.status().message()));
    }
    both.Add(*pool);
    const auto running =
        record.executors.find(JoinKey(framework.id(), executor.executor_id().value()));
    if (running == record.executors.end()) {
      *executor_pool = *std::move(pool);
      total.Add(*executor_pool);
    } else if (!SameExecutor(running->second, executor)) {
      return absl::StrCat(
          "ExecutorInfo is not compatible with existing ExecutorInfo with same ExecutorID ",
          executor.executor_id().value());
    }
  }
  if (both.MixesRevocable()) {
    return "Task and its executor mix revocable and non-revocable resources";
  }
  if (!left.Contains(total)) {
    return absl::StrCat("Total resources ", total.ToString(),
                        " required by task and its executor is more than available ",
                        left.ToString());
  }
  return "";
}

void Master::Accept(Framework* framework, const Call::Accept& accept) {
  if (const std::string error = ValidateOffers(*framework, accept); !error.empty()) {
    for (const mesos::OfferID& id : accept.offer_ids()) {
      // Those that are valid are lost with the others.
      const auto found = offers_.find(id.value());
      if (found != offers_.end() && found->second.framework_id == framework->id()) {
        RemoveOffer(id.value(), /*rescind=*/false);
      }
    }
    for (const mesos::Offer::Operation& operation : accept.operations()) {
      for (const mesos::TaskInfo& task : operation.launch().task_infos()) {
        ++counters_.invalid_offers;
        MasterUpdate(framework, task.task_id().value(), task.agent_id().value(),
                     framework->partition_aware ? mesos::TASK_DROPPED : mesos::TASK_LOST,
                     "Task launched with invalid offers: " + error,
                     TaskStatus::REASON_INVALID_OFFERS);
      }
    }
    return;
  }
  const OpenOffer first = offers_.at(accept.offer_ids(0).value());
  AgentRecord* record = &agents_.at(first.agent_id);
  Pool left;
  for (const mesos::OfferID& id : accept.offer_ids()) {
    const OpenOffer& offer = offers_.at(id.value());
    left.Add(offer.resources);
    counters_.offer_to_accept.Add(absl::Now() - offer.sent);
    record->offers.erase(id.value());
    offers_.erase(id.value());
  }
  for (const mesos::Offer::Operation& operation : accept.operations()) {
    if (operation.type() != mesos::Offer::Operation::LAUNCH) continue;
    for (const mesos::TaskInfo& task : operation.launch().task_infos()) {
      Pool task_pool, executor_pool;
      if (faults_.forbids_tasks) {
        const std::string& user =
            task.has_executor() ? task.executor().command().user() : task.command().user();
        MasterUpdate(framework, task.task_id().value(), task.agent_id().value(), mesos::TASK_ERROR,
                     absl::StrCat("Not authorized to launch as user '", user, "'"),
                     TaskStatus::REASON_TASK_UNAUTHORIZED);
        continue;
      }
      const std::string error =
          ValidateTask(*framework, *record, task, first, left, &task_pool, &executor_pool);
      if (!error.empty()) {
        MasterUpdate(framework, task.task_id().value(), task.agent_id().value(), mesos::TASK_ERROR,
                     error, TaskStatus::REASON_TASK_INVALID);
        continue;
      }
      left.Subtract(task_pool);
      left.Subtract(executor_pool);
      Launch(framework, record, task, task_pool, executor_pool);
    }
  }
  allocator_->Recover(framework->id(), first.agent_id, left);
  allocator_->Refuse(framework->id(), first.role, first.agent_id, left,
                     RefuseDuration(accept.filters()));
}

void Master::Launch(Framework* framework, AgentRecord* record, const mesos::TaskInfo& info,
                    const Pool& task_pool, const Pool& executor_pool) {
  mesos::TaskInfo sent = info;
  bool launches_executor = true;
  auto task = std::make_shared<Task>();
  task->id = info.task_id().value();
  task->framework_id = framework->id();
  task->agent_id = record->agent->id();
  task->resources = task_pool;
  task->role = RoleOf(info.resources());
  Pool used = task_pool;
  if (info.has_executor()) {
    sent.mutable_executor()->mutable_framework_id()->set_value(framework->id());
    task->executor_id = info.executor().executor_id().value();
    launches_executor =
        record->executors.emplace(JoinKey(framework->id(), task->executor_id), sent.executor())
            .second;
    used.Add(executor_pool);
  }
  framework->tasks[task->id] = task;
  record->tasks[JoinKey(framework->id(), task->id)] = task;
  // It is allocated already: as a part of the offer.
  Take(record, used);
  Post(record->agent, [info = framework->info, sent = std::move(sent), launches_executor](
                          Agent* agent) { agent->Launch(info, sent, launches_executor); });
}

void Master::Decline(Framework* framework, const Call::Decline& decline) {
  for (const mesos::OfferID& id : decline.offer_ids()) {
    const auto found = offers_.find(id.value());
    if (found == offers_.end() || found->second.framework_id != framework->id()) continue;
    const OpenOffer offer = found->second;
    RemoveOffer(id.value(), /*rescind=*/false);
    allocator_->Refuse(framework->id(), offer.role, offer.agent_id, offer.resources,
                       RefuseDuration(decline.filters()));
  }
}

void Master::Kill(Framework* framework, const Call::Kill& kill) {
  const auto found = framework->tasks.find(kill.task_id().value());
  if (found == framework->tasks.end()) {
    Call::Reconcile reconcile;
    Call::Reconcile::Task* task = reconcile.add_tasks();
    *task->mutable_task_id() = kill.task_id();
    if (kill.has_agent_id()) *task->mutable_agent_id() = kill.agent_id();
    return Reconcile(framework, reconcile);
  }
  const Task& task = *found->second;
  if (kill.has_agent_id() && kill.agent_id().value() != task.agent_id) return;
  AgentRecord& record = agents_.at(task.agent_id);
  // It is reported again when it comes back.
  record.killed.insert(JoinKey(framework->id(), task.id));
  if (!record.connected) return;
  Post(record.agent, [framework_id = framework->id(), kill](Agent* agent) {
    agent->Kill(framework_id, kill.task_id().value(),
                kill.has_kill_policy() ? &kill.kill_policy() : nullptr);
  });
}

void Master::Acknowledge(Framework* framework, const Call::Acknowledge& acknowledge) {
  const auto found = agents_.find(acknowledge.agent_id().value());
  if (found == agents_.end() || found->second.known != Known::kRegistered ||
      !found->second.connected) {
    return;
  }
  const std::string& task_id = acknowledge.task_id().value();
  const auto known = found->second.tasks.find(JoinKey(framework->id(), task_id));
  if (known != found->second.tasks.end()) {
    const std::shared_ptr<Task> task = known->second;
    // Of an update that another master has sent: the agent repeats it.
    if (task->update_uuid.empty()) return;
    if (IsTerminal(task->update_state) && task->update_uuid == acknowledge.uuid()) {
      RemoveTask(task);
    }
  }
  Post(found->second.agent, [framework_id = framework->id(), task_id, uuid = acknowledge.uuid()](
                                Agent* agent) { agent->Acknowledge(framework_id, task_id, uuid); });
}

void Master::Reconcile(Framework* framework, const Call::Reconcile& reconcile) {
  const auto latest = [&](const Task& task) {
    MasterUpdate(framework, task.id, task.agent_id,
                 task.update_uuid.empty() ? task.state : task.update_state,
                 "Reconciliation: Latest task state", TaskStatus::REASON_RECONCILIATION,
                 task.executor_id);
  };
  if (reconcile.tasks().empty()) {
    std::vector<std::shared_ptr<Task>> tasks;
    for (const auto& [id, task] : framework->tasks) tasks.push_back(task);
    for (const std::shared_ptr<Task>& task : tasks) latest(*task);
    return;
  }
  for (const Call::Reconcile::Task& asked : reconcile.tasks()) {
    const std::string& task_id = asked.task_id().value();
    const auto found = framework->tasks.find(task_id);
    if (found != framework->tasks.end()) {
      latest(*found->second);
      continue;
    }
    const bool any_recovered = std::any_of(agents_.begin(), agents_.end(), [](const auto& one) {
      return one.second.known == Known::kRecovered;
    });
    const auto agent = agents_.find(asked.agent_id().value());
    const bool agent_known =
        asked.has_agent_id() && agent != agents_.end() && agent->second.known != Known::kForgotten;
    // It may be on an agent that has yet to come back: no one can tell.
    if (agent_known ? agent->second.known == Known::kRecovered
                    : !asked.has_agent_id() && any_recovered) {
      continue;
    }
    mesos::TaskState state = mesos::TASK_UNKNOWN;
    std::string message = "Reconciliation: Task is unknown";
    absl::Time since = absl::InfiniteFuture();
    if (agent_known && agent->second.known == Known::kRegistered) {
      state = mesos::TASK_GONE;
      message = "Reconciliation: Task is unknown to the agent";
    } else if (agent_known && agent->second.known == Known::kUnreachable) {
      state = mesos::TASK_UNREACHABLE;
      message = "Reconciliation: Task is unreachable";
      since = agent->second.unreachable_since;
    } else if (agent_known) {
      state = mesos::TASK_GONE_BY_OPERATOR;
      message = "Reconciliation: Task is gone";
    }
    MasterUpdate(framework, task_id, asked.agent_id().value(),
                 framework->partition_aware ? state : mesos::TASK_LOST, message,
                 TaskStatus::REASON_RECONCILIATION, "", since);
  }
}

void Master::UpdateFramework(Framework* framework, const Call::UpdateFramework& update) {
  mesos::FrameworkInfo info = update.framework_info();
  if (info.roles().empty() && !HasCapability(info, mesos::FrameworkInfo::Capability::MULTI_ROLE)) {
    info.add_roles("*");
  }
  framework->info = info;
  framework->partition_aware =
      HasCapability(info, mesos::FrameworkInfo::Capability::PARTITION_AWARE);
  const auto& suppressed = update.suppressed_roles();
  allocator_->SetFramework(info, {suppressed.begin(), suppressed.end()});
  for (auto& [id, record] : agents_) {
    if (record.known == Known::kRegistered) {
      Post(record.agent, [info](Agent* agent) { agent->UpdateFramework(info); });
    }
  }
  Allocate();
}

}  // namespace kartograph::stand_in
