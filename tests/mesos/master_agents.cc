// Offers, updates, and agents that come and go.
#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/mesos/master.h"

namespace kartograph::stand_in {

using mesos::TaskStatus;

void Master::Post(Agent* agent, std::function<void(Agent*)> what) {
  loop_.Post([agent, what = std::move(what)] {
    if (agent->reachable()) what(agent);
  });
}

// --- Offers -------------------------------------------------------------------------------------

void Master::AllocationRound() {
  Allocate();
  loop_.After(settings_.allocation_interval, [this] { AllocationRound(); });
}

mesos::URL Master::UrlOf(const Agent& agent) const {
  mesos::URL url;
  url.set_scheme("http");
  url.mutable_address()->set_hostname(agent.hostname());
  url.mutable_address()->set_ip("127.0.0.1");
  url.mutable_address()->set_port(agent.port());
  url.set_path("/slave(1)");
  return url;
}

Pool Master::AllocatedTo(const std::string& role) const {
  Pool allocated;
  const auto add = [&](const auto& resources) {
    for (const mesos::Resource& resource : resources) {
      if (resource.allocation_info().role() != role) continue;
      const absl::StatusOr<Pool> one = Pool::FromMesos(std::vector<mesos::Resource>{resource});
      if (one.ok()) allocated.Add(*one);
    }
  };
  for (const auto& [id, offer] : offers_) {
    if (offer.role == role) allocated.Add(offer.resources);
  }
  for (const auto& [id, record] : agents_) {
    for (const auto& [key, executor] : record.executors) add(executor.resources());
    for (const auto& [key, task] : record.tasks) {
      if (task->frees && task->role == role) allocated.Add(task->resources);
    }
  }
  return allocated;
}

void Master::Allocate() {
  std::map<std::string, Event> events;
  const absl::Time now = absl::Now();
  const auto allocated = [this](const std::string& role) { return AllocatedTo(role); };
  for (Allocator::Grant& grant : allocator_->Allocate(allocated)) {
    AgentRecord& record = agents_.at(grant.agent_id);
    Event& event = events[grant.framework_id];
    mesos::Offer* offer = event.mutable_offers()->add_offers();
    const std::string id = absl::StrCat(id_, "-O", next_offer_++);
    offer->mutable_id()->set_value(id);
    offer->mutable_framework_id()->set_value(grant.framework_id);
    offer->mutable_agent_id()->set_value(grant.agent_id);
    offer->set_hostname(record.agent->hostname());
    *offer->mutable_url() = UrlOf(*record.agent);
    grant.resources.AppendTo(offer->mutable_resources(), grant.role);
    *offer->mutable_attributes() = record.agent->Info().attributes();
    const std::string prefix = JoinKey(grant.framework_id, "");
    for (auto next = record.executors.lower_bound(prefix);
         next != record.executors.end() && next->first.compare(0, prefix.size(), prefix) == 0;
         ++next) {
      *offer->add_executor_ids() = next->second.executor_id();
    }
    if (record.unavailability) *offer->mutable_unavailability() = *record.unavailability;
    offer->mutable_allocation_info()->set_role(grant.role);
    record.offers.insert(id);
    ++counters_.offers;
    offers_[id] = {id, grant.framework_id, grant.role, grant.agent_id, std::move(grant.resources),
                   now};
    Take(&record, Pool());
  }
  for (auto& [framework_id, event] : events) {
    event.set_type(Event::OFFERS);
    Send(FindFramework(framework_id), event);
  }
}

void Master::RemoveOffer(const std::string& offer_id, bool rescind) {
  const auto found = offers_.find(offer_id);
  if (found == offers_.end()) return;
  const OpenOffer offer = std::move(found->second);
  offers_.erase(found);
  agents_.at(offer.agent_id).offers.erase(offer_id);
  allocator_->Recover(offer.framework_id, offer.agent_id, offer.resources);
  Framework* framework = FindFramework(offer.framework_id);
  if (!rescind || framework == nullptr) return;
  Event event;
  event.set_type(Event::RESCIND);
  event.mutable_rescind()->mutable_offer_id()->set_value(offer_id);
  Send(framework, event);
}

void Master::RemoveOffersOf(AgentRecord* record) {
  const std::set<std::string> offers = record->offers;
  for (const std::string& offer : offers) RemoveOffer(offer, /*rescind=*/true);
}

void Master::SendInverseOffers(AgentRecord* record) {
  if (!record->unavailability) return;
  std::set<std::string> frameworks;
  for (const auto& [key, task] : record->tasks) frameworks.insert(task->framework_id);
  for (const auto& [key, executor] : record->executors) {
    frameworks.insert(executor.framework_id().value());
  }
  for (const std::string& framework_id : frameworks) {
    Framework* framework = FindFramework(framework_id);
    if (framework == nullptr || !framework->stream) continue;
    Event event;
    event.set_type(Event::INVERSE_OFFERS);
    mesos::InverseOffer* offer = event.mutable_inverse_offers()->add_inverse_offers();
    const std::string id = absl::StrCat(id_, "-O", next_offer_++);
    offer->mutable_id()->set_value(id);
    *offer->mutable_url() = UrlOf(*record->agent);
    offer->mutable_framework_id()->set_value(framework_id);
    offer->mutable_agent_id()->set_value(record->agent->id());
    *offer->mutable_unavailability() = *record->unavailability;
    framework->inverse_offers[id] = record->agent->id();
    Send(framework, event);
  }
}

void Master::Drain(AgentRecord* record, std::optional<mesos::Unavailability> unavailability) {
  record->unavailability = std::move(unavailability);
  RemoveOffersOf(record);
  for (auto& [framework_id, framework] : frameworks_) {
    const std::map<std::string, std::string> offers = framework.inverse_offers;
    for (const auto& [id, agent_id] : offers) {
      if (agent_id != record->agent->id()) continue;
      framework.inverse_offers.erase(id);
      Event event;
      event.set_type(Event::RESCIND_INVERSE_OFFER);
      event.mutable_rescind_inverse_offer()->mutable_inverse_offer_id()->set_value(id);
      Send(&framework, event);
    }
  }
  if (record->known == Known::kRegistered) SendInverseOffers(record);
  Allocate();
}

// --- Resources ----------------------------------------------------------------------------------

void Master::Take(AgentRecord* record, const Pool& resources) {
  record->used.Add(resources);
  if (record->used.Sum("cpus") > record->most_used.Sum("cpus")) record->most_used = record->used;
  // Not through the allocator, whose mistakes this is to find.
  Pool promised = record->used;
  for (const std::string& id : record->offers) {
    const auto offer = offers_.find(id);
    if (offer != offers_.end()) promised.Add(offer->second.resources);
  }
  if (!record->agent->total().Contains(promised)) ++counters_.overpromised;
}

void Master::FreeTask(Task* task) {
  if (!std::exchange(task->frees, false)) return;
  const auto record = agents_.find(task->agent_id);
  if (record != agents_.end()) record->second.used.Subtract(task->resources);
  allocator_->Recover(task->framework_id, task->agent_id, task->resources);
}

void Master::RemoveTask(const std::shared_ptr<Task>& task) {
  FreeTask(task.get());
  if (Framework* framework = FindFramework(task->framework_id)) framework->tasks.erase(task->id);
  const std::string key = JoinKey(task->framework_id, task->id);
  AgentRecord& record = agents_.at(task->agent_id);
  record.tasks.erase(key);
  record.killed.erase(key);
}

void Master::RemoveExecutor(AgentRecord* record, const std::string& key) {
  const auto found = record->executors.find(key);
  if (found == record->executors.end()) return;
  const Pool pool = Pool::FromMesos(found->second.resources()).value_or(Pool());
  record->used.Subtract(pool);
  allocator_->Recover(found->second.framework_id().value(), record->agent->id(), pool);
  record->executors.erase(found);
}

// --- Updates ------------------------------------------------------------------------------------

void Master::SendUpdate(Framework* framework, TaskStatus status) {
  if (faults_.reorders_updates) {
    held_.emplace_back(framework->id(), std::move(status));
    if (held_.size() == 1) loop_.After(absl::Milliseconds(20), [this] { FlushHeld(); });
    return;
  }
  Event event;
  event.set_type(Event::UPDATE);
  *event.mutable_update()->mutable_status() = std::move(status);
  ++counters_.update_states[mesos::TaskState_Name(event.update().status().state())];
  Send(framework, event);
  if (faults_.repeats_updates) {
    ++counters_.repeated_updates;
    Send(framework, event);
  }
}

void Master::FlushHeld() {
  const bool reorders = std::exchange(faults_.reorders_updates, false);
  std::vector<std::pair<std::string, TaskStatus>> held = std::exchange(held_, {});
  // Those of one task keep their order, as the agent sends them one by one.
  std::stable_sort(held.begin(), held.end(), [](const auto& one, const auto& other) {
    return one.second.task_id().value() > other.second.task_id().value();
  });
  for (auto& [framework_id, status] : held) {
    if (Framework* framework = FindFramework(framework_id)) {
      SendUpdate(framework, std::move(status));
    }
  }
  faults_.reorders_updates = reorders;
}

void Master::MasterUpdate(Framework* framework, const std::string& task_id,
                          const std::string& agent_id, mesos::TaskState state,
                          const std::string& message, TaskStatus::Reason reason,
                          const std::string& executor_id, absl::Time unreachable_since) {
  TaskStatus status;
  status.mutable_task_id()->set_value(task_id);
  if (!agent_id.empty()) status.mutable_agent_id()->set_value(agent_id);
  if (!executor_id.empty()) status.mutable_executor_id()->set_value(executor_id);
  status.set_state(state);
  status.set_source(TaskStatus::SOURCE_MASTER);
  status.set_reason(reason);
  status.set_message(message);
  status.set_timestamp(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  if (unreachable_since != absl::InfiniteFuture()) {
    status.mutable_unreachable_time()->set_nanoseconds(absl::ToUnixNanos(unreachable_since));
  }
  SendUpdate(framework, std::move(status));
}

void Master::OnUpdate(Agent* agent, const std::string& framework_id, const TaskStatus& status,
                      mesos::TaskState latest) {
  AgentRecord& record = agents_.at(agent->id());
  if (record.known != Known::kRegistered) return;
  Framework* framework = FindFramework(framework_id);
  if (framework != nullptr && framework->stream) SendUpdate(framework, status);
  const auto found = record.tasks.find(JoinKey(framework_id, status.task_id().value()));
  if (found == record.tasks.end()) return;
  Task* task = found->second.get();
  // The resources are free as soon as the task has ended, whatever is still to be reported of it.
  if (!IsTerminal(task->state)) task->state = latest;
  task->update_state = status.state();
  task->update_uuid = status.uuid();
  if (IsTerminal(latest)) FreeTask(task);
}

void Master::OnExecutorExited(Agent* agent, const std::string& framework_id,
                              const std::string& executor_id, int status) {
  AgentRecord& record = agents_.at(agent->id());
  const std::string key = JoinKey(framework_id, executor_id);
  if (record.known != Known::kRegistered || record.executors.count(key) == 0) return;
  RemoveExecutor(&record, key);
  Framework* framework = FindFramework(framework_id);
  if (framework == nullptr) return;
  Event event;
  event.set_type(Event::FAILURE);
  event.mutable_failure()->mutable_agent_id()->set_value(agent->id());
  event.mutable_failure()->mutable_executor_id()->set_value(executor_id);
  event.mutable_failure()->set_status(status);
  Send(framework, event);
}

void Master::OnExecutorMessage(Agent* agent, const std::string& framework_id,
                               const std::string& executor_id, const std::string& data) {
  Framework* framework = FindFramework(framework_id);
  if (framework == nullptr) return;
  ++counters_.executor_messages;
  Event event;
  event.set_type(Event::MESSAGE);
  event.mutable_message()->mutable_agent_id()->set_value(agent->id());
  event.mutable_message()->mutable_executor_id()->set_value(executor_id);
  event.mutable_message()->set_data(data);
  Send(framework, event);
}

// --- Agents that come and go --------------------------------------------------------------------

void Master::OnAgentDown(Agent* agent) {
  AgentRecord& record = agents_.at(agent->id());
  if (record.known != Known::kRegistered) return;
  record.connected = false;
  allocator_->SetAgentActive(agent->id(), false);
  RemoveOffersOf(&record);
}

void Master::OnAgentUp(Agent* agent) {
  AgentRecord& record = agents_.at(agent->id());
  if (record.known != Known::kGone) Reregister(&record);
}

void Master::Partition(AgentRecord* record) {
  record->agent->set_partitioned(true);
  loop_.After(settings_.agent_timeout, [this, id = record->agent->id()] {
    AgentRecord& record = agents_.at(id);
    if (record.agent->partitioned()) MarkUnreachable(&record);
  });
}

void Master::Heal(AgentRecord* record) {
  if (!record->agent->partitioned()) return;
  record->agent->set_partitioned(false);
  if (record->known != Known::kGone && !record->agent->down()) Reregister(record);
}

void Master::LoseAgent(AgentRecord* record, mesos::TaskState state, TaskStatus::Reason reason,
                       const std::string& message) {
  RemoveOffersOf(record);
  allocator_->RemoveAgent(record->agent->id());
  std::vector<std::shared_ptr<Task>> tasks;
  for (const auto& [key, task] : record->tasks) tasks.push_back(task);
  for (const std::shared_ptr<Task>& task : tasks) {
    const bool ended = IsTerminal(task->state);
    RemoveTask(task);
    Framework* framework = FindFramework(task->framework_id);
    if (framework == nullptr) continue;
    if (state == mesos::TASK_UNREACHABLE && !ended) framework->unreachable[task->id] = task;
    MasterUpdate(
        framework, task->id, task->agent_id, framework->partition_aware ? state : mesos::TASK_LOST,
        message, reason, task->executor_id,
        state == mesos::TASK_UNREACHABLE ? record->unreachable_since : absl::InfiniteFuture());
  }
  while (!record->executors.empty()) RemoveExecutor(record, record->executors.begin()->first);
  record->used = Pool();
  record->connected = false;
  for (auto& [id, framework] : frameworks_) {
    Event event;
    event.set_type(Event::FAILURE);
    event.mutable_failure()->mutable_agent_id()->set_value(record->agent->id());
    Send(&framework, event);
  }
}

void Master::MarkUnreachable(AgentRecord* record) {
  if (record->known == Known::kUnreachable || record->known == Known::kGone) return;
  record->known = Known::kUnreachable;
  record->unreachable_since = absl::Now();
  LoseAgent(
      record, mesos::TASK_UNREACHABLE, TaskStatus::REASON_AGENT_REMOVED,
      absl::StrCat("Agent ", record->agent->hostname(), " is unreachable: health check timed out"));
}

void Master::MarkGone(AgentRecord* record) {
  if (record->known == Known::kGone) return;
  record->known = Known::kGone;
  for (auto& [id, framework] : frameworks_) {
    for (auto next = framework.unreachable.begin(); next != framework.unreachable.end();) {
      if (next->second->agent_id == record->agent->id()) {
        framework.unreachable.erase(next++);
      } else {
        ++next;
      }
    }
  }
  LoseAgent(record, mesos::TASK_GONE_BY_OPERATOR, TaskStatus::REASON_AGENT_REMOVED_BY_OPERATOR,
            "Agent has been marked gone");
  record->agent->KillAll();
}

void Master::Reregister(AgentRecord* record) {
  Agent* agent = record->agent;
  const Known former = std::exchange(record->known, Known::kRegistered);
  record->connected = true;
  if (former == Known::kRegistered) {
    allocator_->SetAgentActive(agent->id(), true);
    // What was on the way to the agent when it went is lost, and only the agent can say so.
    std::vector<std::shared_ptr<Task>> tasks;
    for (const auto& [key, task] : record->tasks) tasks.push_back(task);
    for (const std::shared_ptr<Task>& task : tasks) {
      if (agent->tasks().contains(JoinKey(task->framework_id, task->id))) continue;
      Post(agent, [framework_id = task->framework_id, task_id = task->id](Agent* agent) {
        agent->ReconcileTask(framework_id, task_id);
      });
    }
    std::vector<std::string> gone;
    for (const auto& [key, executor] : record->executors) {
      const auto found = agent->executors().find(key);
      if (found == agent->executors().end() ||
          found->second->state == Agent::ExecutorState::kTerminated) {
        gone.push_back(key);
      }
    }
    for (const std::string& key : gone) RemoveExecutor(record, key);
    for (const std::string& key : record->killed) {
      const auto found = agent->tasks().find(key);
      if (found == agent->tasks().end() || IsTerminal(found->second->state)) continue;
      Post(agent, [task = found->second](Agent* agent) {
        agent->Kill(task->framework_id, task->info.task_id().value(), nullptr);
      });
    }
  } else {
    allocator_->AddAgent(agent->id(), agent->total());
    record->used = Pool();
    for (const auto& [framework_id, info] : agent->frameworks()) {
      if (completed_.count(framework_id) > 0) {
        Post(agent, [id = framework_id](Agent* agent) { agent->ShutdownFramework(id); });
        continue;
      }
      // Known by its agents, and not yet subscribed.
      if (FindFramework(framework_id) == nullptr) {
        frameworks_[framework_id].info = info;
        allocator_->SetFramework(info, {});
      }
    }
    const auto use = [&](const std::string& framework_id, const Pool& pool) {
      Take(record, pool);
      allocator_->Use(framework_id, agent->id(), pool);
    };
    for (const auto& [key, executor] : agent->executors()) {
      if (executor->command || executor->state == Agent::ExecutorState::kTerminated) continue;
      if (FindFramework(executor->framework_id) == nullptr) continue;
      record->executors[key] = executor->info;
      use(executor->framework_id, Pool::FromMesos(executor->info.resources()).value_or(Pool()));
    }
    for (const auto& [key, theirs] : agent->tasks()) {
      Framework* framework = FindFramework(theirs->framework_id);
      if (framework == nullptr) continue;
      auto task = std::make_shared<Task>();
      task->id = theirs->info.task_id().value();
      task->framework_id = theirs->framework_id;
      task->agent_id = agent->id();
      task->executor_id = theirs->executor_id;
      task->state = theirs->state;
      task->resources = Pool::FromMesos(theirs->info.resources()).value_or(Pool());
      task->role = RoleOf(theirs->info.resources());
      task->frees = !IsTerminal(theirs->state);
      if (task->frees) use(task->framework_id, task->resources);
      framework->tasks[task->id] = task;
      framework->unreachable.erase(task->id);
      record->tasks[key] = task;
      if (framework->stream && former == Known::kUnreachable) {
        MasterUpdate(framework, task->id, task->agent_id, task->state,
                     "Unreachable agent re-reregistered", TaskStatus::REASON_AGENT_REREGISTERED,
                     task->executor_id);
      }
    }
    // What was unreachable on it and is not there any more is gone.
    for (auto& [id, framework] : frameworks_) {
      std::vector<std::string> gone;
      for (const auto& [task_id, task] : framework.unreachable) {
        if (task->agent_id == agent->id()) gone.push_back(task_id);
      }
      for (const std::string& task_id : gone) framework.unreachable.erase(task_id);
    }
  }
  Post(agent, [](Agent* agent) { agent->ResendUpdates(); });
  Allocate();
}

}  // namespace kartograph::stand_in
