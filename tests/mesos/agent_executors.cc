// An agent's real executors: their sandboxes, processes, and what they say over HTTP.
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "tests/mesos/agent.h"
#include "tests/mesos/fetch.h"
#include "tests/mesos/validation.h"

namespace kartograph::stand_in {
namespace {

using mesos::TaskStatus;

constexpr char kProtobuf[] = "application/x-protobuf";

// As Mesos writes durations.
std::string DurationText(absl::Duration duration) {
  const double seconds = absl::ToDoubleSeconds(duration);
  return seconds < 1    ? absl::StrCat(seconds * 1000, "ms")
         : seconds < 60 ? absl::StrCat(seconds, "secs")
                        : absl::StrCat(seconds / 60, "mins");
}

std::string StatusText(int status) {
  if (WIFEXITED(status)) return absl::StrCat("Command exited with status ", WEXITSTATUS(status));
  return absl::StrCat("Command terminated with signal ", strsignal(WTERMSIG(status)));
}

}  // namespace

std::string Agent::MakeSandbox(Executor* executor) {
  namespace fs = std::filesystem;
  executor->run_id = UuidText(NewUuid());
  const fs::path runs = fs::path(context_.settings.work_dir) / "slaves" / id_ / "frameworks" /
                        executor->framework_id / "executors" / executor->id / "runs";
  const fs::path sandbox = runs / executor->run_id;
  std::error_code error;
  fs::create_directories(sandbox, error);
  if (error) return absl::StrCat("cannot make ", sandbox.string(), ": ", error.message());
  fs::remove(runs / "latest", error);
  fs::create_directory_symlink(executor->run_id, runs / "latest", error);
  executor->directory = sandbox.string();
  return "";
}

std::vector<std::string> Agent::EnvironmentOf(const Executor& executor) const {
  const mesos::FrameworkInfo& framework = frameworks_.at(executor.framework_id);
  const absl::Duration grace =
      executor.info.has_shutdown_grace_period()
          ? absl::Nanoseconds(executor.info.shutdown_grace_period().nanoseconds())
          : context_.settings.executor_shutdown_grace;
  std::vector<std::string> environment = {
      "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
      "LIBPROCESS_PORT=0",
      absl::StrCat("MESOS_FRAMEWORK_ID=", executor.framework_id),
      absl::StrCat("MESOS_EXECUTOR_ID=", executor.id),
      absl::StrCat("MESOS_DIRECTORY=", executor.directory),
      absl::StrCat("MESOS_SANDBOX=", executor.directory),
      absl::StrCat("MESOS_SLAVE_ID=", id_),
      absl::StrCat("MESOS_SLAVE_PID=slave(1)@127.0.0.1:", port_),
      absl::StrCat("MESOS_AGENT_ENDPOINT=127.0.0.1:", port_),
      absl::StrCat("MESOS_CHECKPOINT=", framework.checkpoint() ? 1 : 0),
      "MESOS_HTTP_COMMAND_EXECUTOR=0",
      absl::StrCat("MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD=", DurationText(grace)),
  };
  if (framework.checkpoint()) {
    environment.push_back(
        absl::StrCat("MESOS_RECOVERY_TIMEOUT=", DurationText(context_.settings.recovery_timeout)));
    environment.push_back(
        absl::StrCat("MESOS_SUBSCRIPTION_BACKOFF_MAX=",
                     DurationText(context_.settings.executor_reregistration_timeout)));
  }
  for (const auto& variable : executor.info.command().environment().variables()) {
    environment.push_back(absl::StrCat(variable.name(), "=", variable.value()));
  }
  return environment;
}

void Agent::StartExecutor(const ExecutorPtr& executor) {
  if (const std::string error = MakeSandbox(executor.get()); !error.empty()) {
    return OnExecutorFailed(executor, error);
  }
  const auto spawn = [this, executor](const absl::Status& fetched) {
    if (executor->state == ExecutorState::kTerminated) return;
    if (!fetched.ok()) {
      return OnExecutorFailed(executor, std::string(fetched.message()));
    }
    Spawn(executor, nullptr);
  };
  context_.counters.downloads += executor->info.command().uris_size();
  FetchAll(context_.loop, executor->info.command(), executor->directory, spawn);
  context_.loop.After(context_.settings.executor_registration_timeout,
                      [this, weak = std::weak_ptr<Executor>(executor)] {
                        const ExecutorPtr executor = weak.lock();
                        if (executor && executor->state == ExecutorState::kRegistering) {
                          Terminate(executor.get(), /*gracefully=*/false);
                        }
                      });
}

void Agent::StartCommand(const ExecutorPtr& executor, const TaskPtr& task) {
  *executor->info.mutable_command() = task->info.command();
  executor->state = ExecutorState::kRunning;
  executor->ever_sent_task = true;
  if (const std::string error = MakeSandbox(executor.get()); !error.empty()) {
    return OnExecutorFailed(executor, error);
  }
  context_.counters.downloads += executor->info.command().uris_size();
  FetchAll(context_.loop, executor->info.command(), executor->directory,
           [this, executor, task](const absl::Status& fetched) {
             if (executor->state != ExecutorState::kRunning || IsTerminal(task->state)) return;
             if (!fetched.ok()) {
               return OnExecutorFailed(executor, std::string(fetched.message()));
             }
             Spawn(executor, task);
           });
}

void Agent::Spawn(const ExecutorPtr& executor, const TaskPtr& command_task) {
  const mesos::CommandInfo& command = executor->info.command();
  Process::Options options;
  options.directory = executor->directory;
  options.environment = EnvironmentOf(*executor);
  if (!command.has_shell() || command.shell()) {
    options.program = "/bin/sh";
    options.arguments = {"sh", "-c", command.value()};
  } else {
    options.program = command.value();
    options.arguments = {command.arguments().begin(), command.arguments().end()};
    if (options.arguments.empty()) options.arguments = {command.value()};
  }
  const auto update = [&](mesos::TaskState state) {
    TaskStatus status;
    status.set_state(state);
    status.set_source(TaskStatus::SOURCE_EXECUTOR);
    status.mutable_executor_id()->set_value(executor->id);
    status.mutable_container_status()->mutable_container_id()->set_value(executor->run_id);
    if (executor->process) {
      status.mutable_container_status()->set_executor_pid(
          static_cast<uint32_t>(executor->process->pid()));
    }
    Update(command_task, std::move(status));
  };
  if (command_task) update(mesos::TASK_STARTING);
  absl::StatusOr<std::unique_ptr<Process>> process =
      Process::Start(context_.loop, options, [this, executor, command_task](int status) {
        EndProcessesOf(executor->directory);
        if (command_task) {
          OnCommandEnd(executor, command_task, status);
        } else {
          OnExecutorEnd(executor, status);
        }
      });
  if (!process.ok()) {
    return OnExecutorFailed(executor, std::string(process.status().message()));
  }
  executor->process = *std::move(process);
  if (command_task) update(mesos::TASK_RUNNING);
}

void Agent::OnCommandEnd(const ExecutorPtr& executor, const TaskPtr& task, int status) {
  executor->state = ExecutorState::kTerminated;
  TaskStatus update;
  update.set_state(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? mesos::TASK_FINISHED
                   : executor->killed                            ? mesos::TASK_KILLED
                                                                 : mesos::TASK_FAILED);
  update.set_source(TaskStatus::SOURCE_EXECUTOR);
  update.set_message(StatusText(status));
  if (update.state() == mesos::TASK_FAILED) {
    update.set_reason(TaskStatus::REASON_COMMAND_EXECUTOR_FAILED);
  }
  update.mutable_executor_id()->set_value(executor->id);
  update.mutable_container_status()->mutable_container_id()->set_value(executor->run_id);
  Update(task, std::move(update));
  RemoveIfDone(absl::StrCat(executor->framework_id, "/", executor->id));
}

void Agent::OnExecutorFailed(const ExecutorPtr& executor, const std::string& why) {
  executor->state = ExecutorState::kTerminated;
  const std::set<std::string> ids = executor->tasks;
  for (const std::string& id : ids) {
    const auto found = tasks_.find(absl::StrCat(executor->framework_id, "/", id));
    if (found == tasks_.end()) continue;
    AgentUpdate(TaskPtr(found->second), mesos::TASK_FAILED,
                TaskStatus::REASON_CONTAINER_LAUNCH_FAILED, "Failed to launch container: " + why);
  }
  if (!executor->command && reachable()) {
    context_.listener.OnExecutorExited(this, executor->framework_id, executor->id, -1);
  }
  RemoveIfDone(absl::StrCat(executor->framework_id, "/", executor->id));
}

void Agent::OnExecutorEnd(const ExecutorPtr& executor, int status) {
  executor->state = ExecutorState::kTerminated;
  executor->queued.clear();
  if (const HttpReplier stream = std::exchange(executor->stream, nullptr)) stream->Close();
  const std::set<std::string> ids = executor->tasks;
  for (const std::string& id : ids) {
    const auto found = tasks_.find(absl::StrCat(executor->framework_id, "/", id));
    if (found == tasks_.end() || IsTerminal(found->second->state)) continue;
    AgentUpdate(TaskPtr(found->second), mesos::TASK_FAILED, TaskStatus::REASON_EXECUTOR_TERMINATED,
                "Executor terminated");
  }
  if (reachable()) {
    context_.listener.OnExecutorExited(this, executor->framework_id, executor->id, status);
  }
  RemoveIfDone(absl::StrCat(executor->framework_id, "/", executor->id));
}

void Agent::RemoveIfDone(const std::string& key) {
  const auto found = executors_.find(key);
  if (found == executors_.end()) return;
  const ExecutorPtr executor = found->second;
  if (executor->state != ExecutorState::kTerminated || !executor->tasks.empty()) return;
  executors_.erase(found);
  completed_.push_back(executor);
}

void Agent::Terminate(Executor* executor, bool gracefully) {
  if (executor->state == ExecutorState::kTerminated) return;
  const ExecutorPtr kept = executors_.at(absl::StrCat(executor->framework_id, "/", executor->id));
  if (executor->simulated) {
    context_.loop.Post([this, kept] { OnExecutorEnd(kept, 0); });
    executor->state = ExecutorState::kTerminating;
    return;
  }
  if (!executor->process) return OnExecutorEnd(kept, -1);
  if (!gracefully || executor->command) {
    executor->killed = true;
    executor->process->Signal(SIGKILL);
    return;
  }
  executor->state = ExecutorState::kTerminating;
  mesos::executor::Event event;
  event.set_type(mesos::executor::Event::SHUTDOWN);
  SendEvent(executor, event);
  const absl::Duration grace =
      executor->info.has_shutdown_grace_period()
          ? absl::Nanoseconds(executor->info.shutdown_grace_period().nanoseconds())
          : context_.settings.executor_shutdown_grace;
  context_.loop.After(grace, [weak = std::weak_ptr<Executor>(kept)] {
    const ExecutorPtr executor = weak.lock();
    if (executor && executor->process) executor->process->Signal(SIGKILL);
  });
}

void Agent::KillExecutor(const std::string& framework_id, const std::string& executor_id,
                         int signal) {
  const std::vector<std::pair<std::string, ExecutorPtr>> executors(executors_.begin(),
                                                                   executors_.end());
  for (const auto& [key, executor] : executors) {
    if (!framework_id.empty() && executor->framework_id != framework_id) continue;
    if (!executor_id.empty() && executor->id != executor_id) continue;
    if (executor->simulated && executor->state == ExecutorState::kRunning) {
      OnExecutorEnd(executor, signal);
    } else if (executor->process) {
      executor->process->Signal(signal);
    }
  }
}

void Agent::KillAll() {
  for (const auto& [key, executor] : executors_) {
    if (executor->stream) executor->stream->Close();
    executor->stream = nullptr;
    executor->process = nullptr;
    if (!executor->directory.empty()) EndProcessesOf(executor->directory);
    executor->state = ExecutorState::kTerminated;
    completed_.push_back(executor);
  }
  executors_.clear();
  tasks_.clear();
}

// --- The executor API ---------------------------------------------------------------------------

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
    // It was sent, and never came there.
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
  // Kept as soon as it is in the agent's books, whatever the framework says later.
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
