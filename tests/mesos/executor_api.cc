// What an agent and its executors say to each other, also after the agent was away.
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/mesos/agent.h"
#include "tests/mesos/validation.h"

namespace kartograph::stand_in {
namespace {

using mesos::TaskStatus;

constexpr char kProtobuf[] = "application/x-protobuf";

}  // namespace

void Agent::SendEvent(Executor* executor, const mesos::executor::Event& event) {
  if (executor->stream && executor->stream->open()) {
    executor->stream->SendRecord(event.SerializeAsString());
  }
}

void Agent::SendTask(Executor* executor, const mesos::TaskInfo& info) {
  executor->ever_sent_task = true;
  mesos::executor::Event event;
  event.set_type(mesos::executor::Event::LAUNCH);
  *event.mutable_launch()->mutable_task() = info;
  *event.mutable_launch()->mutable_task()->mutable_executor() = executor->info;
  SendEvent(executor, event);
  WatchLimit(info, executors_.at(absl::StrCat(executor->framework_id, "/", executor->id)));
}

void Agent::OnExecutorCall(const HttpRequest& request, const HttpReplier& reply) {
  if (down_) return reply->Reply(503, "Agent has not finished recovery");
  if (request.method != "POST") return reply->Reply(405, "", {{"Allow", "POST"}});
  const std::optional<std::string> type = request.Header("Content-Type");
  if (!type) return reply->Reply(400, "Expecting 'Content-Type' to be present");
  if (*type != kProtobuf) {
    return reply->Reply(415, absl::StrCat("Expecting 'Content-Type' of ", kProtobuf));
  }
  mesos::executor::Call call;
  if (!call.ParseFromString(request.body)) {
    return reply->Reply(400, "Failed to parse body into Call protobuf");
  }
  if (const std::string error = ValidateExecutorCall(call); !error.empty()) {
    return reply->Reply(400, "Failed to validate Executor::Call: " + error);
  }
  using Call = mesos::executor::Call;
  if (call.type() == Call::SUBSCRIBE && request.Header("Accept") != kProtobuf) {
    return reply->Reply(406, absl::StrCat("Expecting 'Accept' to allow '", kProtobuf, "'"));
  }
  if (call.type() == Call::HEARTBEAT) return reply->Reply(202);
  if (frameworks_.count(call.framework_id().value()) == 0) {
    return reply->Reply(400, "Framework cannot be found");
  }
  Executor* executor = FindExecutor(call.framework_id().value(), call.executor_id().value());
  if (executor == nullptr || executor->command) {
    return reply->Reply(400, "Executor cannot be found");
  }
  if (executor->state == ExecutorState::kRegistering && call.type() != Call::SUBSCRIBE) {
    return reply->Reply(403, "Executor is not subscribed");
  }
  switch (call.type()) {
    case Call::SUBSCRIBE:
      return OnSubscribe(executor, call.subscribe(), reply);
    case Call::UPDATE:
      reply->Reply(202);
      return OnExecutorUpdate(executor, call.update().status());
    case Call::MESSAGE:
      reply->Reply(202);
      if (reachable()) {
        context_.listener.OnExecutorMessage(this, executor->framework_id, executor->id,
                                            call.message().data());
      }
      return;
    default:
      return reply->Reply(501, "");
  }
}

void Agent::OnSubscribe(Executor* executor, const mesos::executor::Call::Subscribe& subscribe,
                        const HttpReplier& reply) {
  const auto kept = std::weak_ptr<Executor>(
      executors_.at(absl::StrCat(executor->framework_id, "/", executor->id)));
  reply->BeginStream({{"Content-Type", kProtobuf}}, [kept, connection = reply.get()] {
    const ExecutorPtr executor = kept.lock();
    if (executor && executor->stream.get() == connection) executor->stream = nullptr;
  });
  if (executor->state == ExecutorState::kTerminating ||
      executor->state == ExecutorState::kTerminated) {
    mesos::executor::Event event;
    event.set_type(mesos::executor::Event::SHUTDOWN);
    reply->SendRecord(event.SerializeAsString());
    reply->EndStream();
    return;
  }
  if (executor->stream) executor->stream->EndStream();
  executor->stream = reply;
  executor->state = ExecutorState::kRunning;
  for (const auto& update : subscribe.unacknowledged_updates()) {
    OnExecutorUpdate(executor, update.status());
  }
  std::set<std::string> unacknowledged;
  for (const mesos::TaskInfo& task : subscribe.unacknowledged_tasks()) {
    unacknowledged.insert(task.task_id().value());
  }
  std::set<std::string> queued;
  for (const mesos::TaskInfo& task : executor->queued) queued.insert(task.task_id().value());
  const std::set<std::string> ids = executor->tasks;
  for (const std::string& id : ids) {
    const auto found = tasks_.find(absl::StrCat(executor->framework_id, "/", id));
    if (found == tasks_.end() || found->second->state != mesos::TASK_STAGING) continue;
    if (unacknowledged.count(id) > 0 || queued.count(id) > 0) continue;
    // It was sent, and never arrived there.
    AgentUpdate(TaskPtr(found->second),
                PartitionAware(executor->framework_id) ? mesos::TASK_DROPPED : mesos::TASK_LOST,
                TaskStatus::REASON_AGENT_RESTARTED, "Task launched during agent restart");
  }
  if (!executor->ever_sent_task && executor->queued.empty()) {
    return Terminate(executor, /*gracefully=*/true);
  }
  mesos::executor::Event event;
  event.set_type(mesos::executor::Event::SUBSCRIBED);
  auto* subscribed = event.mutable_subscribed();
  *subscribed->mutable_executor_info() = executor->info;
  *subscribed->mutable_framework_info() = frameworks_.at(executor->framework_id);
  *subscribed->mutable_agent_info() = Info();
  subscribed->mutable_container_id()->set_value(executor->run_id);
  SendEvent(executor, event);
  for (const mesos::TaskInfo& task : std::exchange(executor->queued, {})) {
    SendTask(executor, task);
  }
  FinishRecoveryIfComplete();
}

void Agent::OnExecutorUpdate(Executor* executor, const TaskStatus& status) {
  const std::string& task_id = status.task_id().value();
  const auto found = tasks_.find(absl::StrCat(executor->framework_id, "/", task_id));
  // Kept as soon as the agent has recorded it, whatever the framework says later.
  mesos::executor::Event event;
  event.set_type(mesos::executor::Event::ACKNOWLEDGED);
  *event.mutable_acknowledged()->mutable_task_id() = status.task_id();
  event.mutable_acknowledged()->set_uuid(status.uuid());
  SendEvent(executor, event);
  if (found == tasks_.end()) return;
  const TaskPtr task = found->second;
  if (!task->seen_uuids.insert(status.uuid()).second) return;
  TaskStatus copy = status;
  copy.mutable_executor_id()->set_value(executor->id);
  copy.mutable_container_status()->mutable_container_id()->set_value(executor->run_id);
  Update(task, std::move(copy));
}

void Agent::Restart(absl::Duration down) {
  if (std::exchange(down_, true)) return;
  for (const auto& [key, executor] : executors_) {
    if (const HttpReplier stream = std::exchange(executor->stream, nullptr)) stream->Close();
  }
  if (!partitioned_) context_.listener.OnAgentDown(this);
  context_.loop.After(down, [this] {
    down_ = false;
    recovering_ = true;
    context_.loop.After(context_.settings.executor_reregistration_timeout, [this] {
      const std::vector<std::pair<std::string, ExecutorPtr>> executors(executors_.begin(),
                                                                       executors_.end());
      for (const auto& [key, executor] : executors) {
        if (executor->simulated || executor->command || executor->stream) continue;
        if (executor->state != ExecutorState::kRunning) continue;
        // It has not come back in time.
        Terminate(executor.get(), /*gracefully=*/false);
      }
      FinishRecovery();
    });
    FinishRecoveryIfComplete();
  });
}

void Agent::FinishRecoveryIfComplete() {
  if (!recovering_) return;
  for (const auto& [key, executor] : executors_) {
    const bool real = !executor->simulated && !executor->command;
    if (real && executor->state == ExecutorState::kRunning && !executor->stream) return;
  }
  FinishRecovery();
}

void Agent::FinishRecovery() {
  if (!std::exchange(recovering_, false)) return;
  if (!partitioned_) context_.listener.OnAgentUp(this);
}

}  // namespace kartograph::stand_in
