// What goes wrong when a test wants it.
#include <utility>

#include "tests/mesos/master.h"

namespace kartograph::stand_in {

void Master::SilenceStreams() {
  for (auto& [id, framework] : frameworks_) framework.silent = true;
}

void Master::CloseStreams() {
  for (auto& [id, framework] : frameworks_) {
    if (!framework.stream) continue;
    const HttpReplier stream = framework.stream;
    OnDisconnected(id, framework.connection);
    stream->Close();
  }
}

void Master::SendError(const std::string& message) {
  Event event;
  event.set_type(Event::ERROR);
  event.mutable_error()->set_message(message);
  for (auto& [id, framework] : frameworks_) Send(&framework, event);
}

void Master::RescindOffers() {
  std::vector<std::string> offers;
  for (const auto& [id, offer] : offers_) offers.push_back(id);
  for (const std::string& offer : offers) RemoveOffer(offer, /*rescind=*/true);
}

void Master::FailOver(absl::Duration agents_return_after, bool keeps_registry) {
  for (auto& [id, framework] : frameworks_) {
    if (framework.stream) framework.stream->Close();
  }
  frameworks_.clear();
  offers_.clear();
  held_.clear();
  completed_.clear();
  Reset();
  for (auto& [id, record] : agents_) {
    Agent* agent = record.agent;
    const Known known = record.known;
    const absl::Time unreachable_since = record.unreachable_since;
    record = AgentRecord();
    record.agent = agent;
    record.connected = false;
    // Which agents there are, are unreachable or gone, is in the registry, which outlives masters.
    record.known = !keeps_registry               ? Known::kForgotten
                   : known == Known::kRegistered ? Known::kRecovered
                                                 : known;
    record.unreachable_since = unreachable_since;
  }
  loop_.After(agents_return_after, [this] {
    for (auto& [id, record] : agents_) {
      const bool is_away = record.known == Known::kRecovered || record.known == Known::kForgotten;
      if (is_away && record.agent->reachable()) Reregister(&record);
    }
  });
}

void Master::Deactivate(AgentRecord* record, bool drain) {
  record->deactivated = true;
  record->draining = drain;
  allocator_->SetAgentActive(record->agent->id(), false);
  RemoveOffersOf(record);
  if (drain) Post(record->agent, [](Agent* agent) { agent->Drain(); });
}

void Master::Reactivate(AgentRecord* record) {
  record->deactivated = record->draining = false;
  allocator_->SetAgentActive(record->agent->id(), true);
  Allocate();
}

void Master::AlterExecutors(AgentRecord* record) {
  for (auto& [key, executor] : record->executors) executor.set_name("altered");
}

void Master::AddForeignTask(AgentRecord* record, const std::string& task_id) {
  for (auto& [id, framework] : frameworks_) {
    mesos::TaskInfo info;
    info.set_name(task_id);
    info.mutable_task_id()->set_value(task_id);
    info.mutable_agent_id()->set_value(record->agent->id());
    auto task = std::make_shared<Task>();
    task->id = task_id;
    task->framework_id = id;
    task->agent_id = record->agent->id();
    framework.tasks[task_id] = task;
    record->tasks[JoinKey(id, task_id)] = task;
    Post(record->agent, [framework = framework.info, info](Agent* agent) {
      agent->LaunchForeign(framework, info);
    });
  }
}

}  // namespace kartograph::stand_in
