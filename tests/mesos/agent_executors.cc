// An agent's real executors: their sandboxes, processes, and what they say over HTTP.
#include <signal.h>
#include <sys/wait.h>

#include <cstring>
#include <filesystem>
#include <utility>

#include "absl/strings/str_cat.h"
#include "tests/mesos/agent.h"
#include "tests/mesos/fetch.h"

namespace kartograph::stand_in {
namespace {

using mesos::TaskStatus;

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
        if (!leaves_strays_) EndProcessesOf(executor->directory);
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
  if (!command_task) return;
  update(mesos::TASK_RUNNING);
  if (!command_task->info.has_max_completion_time()) return;
  context_.loop.After(absl::Nanoseconds(command_task->info.max_completion_time().nanoseconds()),
                      [weak = std::weak_ptr<Executor>(executor)] {
                        const ExecutorPtr executor = weak.lock();
                        if (!executor || !executor->process) return;
                        executor->over_time = true;
                        executor->process->Signal(SIGKILL);
                      });
}

void Agent::OnCommandEnd(const ExecutorPtr& executor, const TaskPtr& task, int status) {
  executor->state = ExecutorState::kTerminated;
  TaskStatus update;
  update.set_state(WIFEXITED(status) && WEXITSTATUS(status) == 0 ? mesos::TASK_FINISHED
                   : executor->killed                            ? mesos::TASK_KILLED
                                                                 : mesos::TASK_FAILED);
  update.set_source(TaskStatus::SOURCE_EXECUTOR);
  update.set_message(StatusText(status));
  if (executor->over_time) {
    update.set_state(mesos::TASK_FAILED);
    update.set_reason(TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED);
  } else if (update.state() == mesos::TASK_FAILED) {
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
    AgentUpdate(TaskPtr(found->second), mesos::TASK_FAILED,
                executor->limit.value_or(TaskStatus::REASON_EXECUTOR_TERMINATED),
                executor->limit ? executor->limit_message : "Executor terminated");
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
  FinishDrain();
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

}  // namespace kartograph::stand_in
