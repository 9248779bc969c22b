#include "tests/mesos/agent.h"

#include <signal.h>

#include <algorithm>
#include <random>
#include <utility>

#include "absl/strings/escaping.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"

namespace kartograph::stand_in {
namespace {

using mesos::TaskStatus;

std::string Key(const std::string& framework_id, const std::string& id) {
  return absl::StrCat(framework_id, "/", id);
}

}  // namespace

bool IsTerminal(mesos::TaskState state) {
  switch (state) {
    case mesos::TASK_FINISHED:
    case mesos::TASK_FAILED:
    case mesos::TASK_KILLED:
    case mesos::TASK_ERROR:
    case mesos::TASK_LOST:
    case mesos::TASK_DROPPED:
    case mesos::TASK_GONE:
    case mesos::TASK_GONE_BY_OPERATOR:
      return true;
    default:
      return false;
  }
}

std::string NewUuid() {
  thread_local std::mt19937_64 random{std::random_device{}()};
  std::string uuid(16, '\0');
  for (size_t i = 0; i < 16; i += 8) {
    const uint64_t bits = random();
    for (size_t j = 0; j < 8; ++j) uuid[i + j] = static_cast<char>(bits >> (8 * j));
  }
  uuid[6] = static_cast<char>((uuid[6] & 0x0f) | 0x40);
  uuid[8] = static_cast<char>((uuid[8] & 0x3f) | 0x80);
  return uuid;
}

std::string UuidText(const std::string& uuid) {
  const std::string hex = absl::BytesToHexString(uuid);
  return absl::StrCat(hex.substr(0, 8), "-", hex.substr(8, 4), "-", hex.substr(12, 4), "-",
                      hex.substr(16, 4), "-", hex.substr(20));
}

Agent::Agent(AgentContext context, std::string id, const AgentSettings& settings, Pool total)
    : context_(context), id_(std::move(id)), settings_(settings), total_(std::move(total)) {}

Agent::~Agent() = default;

mesos::AgentInfo Agent::Info() const {
  mesos::AgentInfo info;
  info.set_hostname(settings_.hostname);
  info.set_port(port_);
  info.mutable_id()->set_value(id_);
  total_.AppendTo(info.mutable_resources(), "");
  for (absl::string_view part : absl::StrSplit(settings_.attributes, ';', absl::SkipEmpty())) {
    const std::pair<std::string, std::string> halves =
        absl::StrSplit(part, absl::MaxSplits(':', 1));
    mesos::Attribute* attribute = info.add_attributes();
    attribute->set_name(halves.first);
    double number = 0;
    if (absl::SimpleAtod(halves.second, &number)) {
      attribute->set_type(mesos::Value::SCALAR);
      attribute->mutable_scalar()->set_value(number);
    } else {
      attribute->set_type(mesos::Value::TEXT);
      attribute->mutable_text()->set_value(halves.second);
    }
  }
  return info;
}

Agent::Executor* Agent::FindExecutor(const std::string& framework_id,
                                     const std::string& executor_id) {
  const auto found = executors_.find(Key(framework_id, executor_id));
  return found == executors_.end() ? nullptr : found->second.get();
}

Agent::Task* Agent::FindTask(const std::string& framework_id, const std::string& task_id) {
  const auto found = tasks_.find(Key(framework_id, task_id));
  return found == tasks_.end() ? nullptr : found->second.get();
}

Agent::TaskPtr Agent::AddTask(const std::string& framework_id, const mesos::TaskInfo& info,
                              const std::string& executor_id) {
  auto task = std::make_shared<Task>();
  task->info = info;
  task->info.clear_executor();
  task->framework_id = framework_id;
  task->executor_id = executor_id;
  tasks_[Key(framework_id, info.task_id().value())] = task;
  return task;
}

bool Agent::PartitionAware(const std::string& framework_id) const {
  const auto found = frameworks_.find(framework_id);
  if (found == frameworks_.end()) return false;
  return std::any_of(found->second.capabilities().begin(), found->second.capabilities().end(),
                     [](const auto& one) {
                       return one.type() == mesos::FrameworkInfo::Capability::PARTITION_AWARE;
                     });
}

// --- Updates ------------------------------------------------------------------------------------

void Agent::Update(const TaskPtr& task, TaskStatus status) {
  *status.mutable_task_id() = task->info.task_id();
  status.mutable_agent_id()->set_value(id_);
  if (!status.has_uuid()) status.set_uuid(NewUuid());
  if (!status.has_timestamp())
    status.set_timestamp(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  // What comes after the end changes nothing, as the real agent has it.
  if (IsTerminal(task->state)) return;
  const bool killed = status.state() == mesos::TASK_KILLING || status.state() == mesos::TASK_KILLED;
  if (draining_ && killed) status.set_reason(TaskStatus::REASON_AGENT_DRAINING);
  task->state = status.state();
  task->pending.push_back(std::move(status));
  if (task->pending.size() == 1) Forward(task, /*again=*/false);
}

void Agent::AgentUpdate(const TaskPtr& task, mesos::TaskState state, TaskStatus::Reason reason,
                        const std::string& message) {
  TaskStatus status;
  status.set_state(state);
  status.set_source(TaskStatus::SOURCE_AGENT);
  status.set_reason(reason);
  status.set_message(message);
  if (!task->executor_id.empty()) status.mutable_executor_id()->set_value(task->executor_id);
  Update(task, std::move(status));
}

void Agent::Forward(const TaskPtr& task, bool again) {
  const TaskStatus& status = task->pending.front();
  if (reachable() && !recovering_) {
    if (again) ++context_.counters.repeated_updates;
    if (!again && IsTerminal(status.state())) task->end_sent = absl::Now();
    context_.listener.OnUpdate(this, task->framework_id, status, task->state);
  }
  Retry(task, task->pending.front().uuid());
}

void Agent::Retry(const TaskPtr& task, const std::string& uuid) {
  context_.loop.After(context_.settings.update_retry,
                      [this, weak = std::weak_ptr<Task>(task), uuid] {
                        const TaskPtr task = weak.lock();
                        if (!task || task->pending.empty()) return;
                        if (task->pending.front().uuid() == uuid) Forward(task, /*again=*/true);
                      });
}

void Agent::ResendUpdates() {
  std::vector<TaskPtr> tasks;
  for (const auto& [key, task] : tasks_) {
    if (!task->pending.empty()) tasks.push_back(task);
  }
  for (const TaskPtr& task : tasks) {
    if (reachable() && !task->pending.empty()) {
      ++context_.counters.repeated_updates;
      context_.listener.OnUpdate(this, task->framework_id, task->pending.front(), task->state);
    }
  }
}

void Agent::Acknowledge(const std::string& framework_id, const std::string& task_id,
                        const std::string& uuid) {
  const auto found = tasks_.find(Key(framework_id, task_id));
  if (found == tasks_.end()) return;
  const TaskPtr task = found->second;
  // A second acknowledgement of an update that was sent twice comes here.
  if (task->pending.empty() || task->pending.front().uuid() != uuid) return;
  const bool end = IsTerminal(task->pending.front().state());
  task->pending.pop_front();
  if (!end) {
    if (!task->pending.empty()) Forward(task, /*again=*/false);
    return;
  }
  if (task->end_sent != absl::InfinitePast()) {
    context_.counters.end_to_acknowledge.Add(absl::Now() - task->end_sent);
  }
  tasks_.erase(found);
  if (Executor* executor = FindExecutor(framework_id, task->executor_id)) {
    executor->tasks.erase(task_id);
    RemoveIfDone(Key(framework_id, task->executor_id));
  }
  FinishDrain();
}

void Agent::Drain() {
  draining_ = true;
  std::vector<std::pair<std::string, std::string>> running;
  for (const auto& [key, task] : tasks_) {
    if (!IsTerminal(task->state)) {
      running.emplace_back(task->framework_id, task->info.task_id().value());
    }
  }
  for (const auto& [framework_id, task_id] : running) Kill(framework_id, task_id, nullptr);
  FinishDrain();
}

void Agent::FinishDrain() {
  if (executors_.empty() && tasks_.empty()) draining_ = false;
}

// --- From the master ----------------------------------------------------------------------------

void Agent::Launch(const mesos::FrameworkInfo& framework, const mesos::TaskInfo& info,
                   bool launches_executor) {
  const std::string& framework_id = framework.id().value();
  frameworks_[framework_id] = framework;
  ++context_.counters.launched;
  const std::string& task_id = info.task_id().value();
  if (FindTask(framework_id, task_id) != nullptr) {
    ++context_.counters.redundant_launches;
    return;
  }
  const bool command = !info.has_executor();
  const std::string executor_id = command ? task_id : info.executor().executor_id().value();
  const TaskPtr task = AddTask(framework_id, info, executor_id);
  const mesos::TaskState dropped =
      PartitionAware(framework_id) ? mesos::TASK_DROPPED : mesos::TASK_LOST;
  if (draining_) {
    AgentUpdate(task, dropped, TaskStatus::REASON_AGENT_DRAINING,
                "Task was received while agent was already draining");
    return;
  }
  Executor* executor = FindExecutor(framework_id, executor_id);
  if (launches_executor && !command && executor != nullptr) {
    AgentUpdate(task, dropped, TaskStatus::REASON_EXECUTOR_TERMINATED,
                "Master wants to launch executor, but one already exists");
    if (executor->state == ExecutorState::kTerminated) {
      if (reachable()) context_.listener.OnExecutorExited(this, framework_id, executor_id, -1);
    } else {
      Terminate(executor, /*gracefully=*/true);
    }
    return;
  }
  if (!launches_executor && executor == nullptr) {
    AgentUpdate(task, dropped, TaskStatus::REASON_EXECUTOR_TERMINATED,
                "No executor is expected to launch and there is none running");
    return;
  }
  if (executor == nullptr) {
    auto added = std::make_shared<Executor>();
    added->framework_id = framework_id;
    added->id = executor_id;
    added->command = command;
    added->simulated = !context_.settings.real_tasks;
    added->info = info.executor();
    added->info.mutable_executor_id()->set_value(executor_id);
    added->info.mutable_framework_id()->set_value(framework_id);
    if (!command || !added->simulated) {
      executors_[Key(framework_id, executor_id)] = added;
    }
    added->tasks.insert(task_id);
    if (added->simulated) {
      added->state = ExecutorState::kRunning;
      if (!command) WatchLimit(info, added);
      RunSimulated(task);
    } else if (command) {
      StartCommand(added, task);
    } else {
      added->queued.push_back(task->info);
      StartExecutor(added);
    }
    return;
  }
  switch (executor->state) {
    case ExecutorState::kTerminating:
    case ExecutorState::kTerminated:
      AgentUpdate(task, dropped, TaskStatus::REASON_EXECUTOR_TERMINATED,
                  executor->state == ExecutorState::kTerminating ? "Executor terminating"
                                                                 : "Executor terminated");
      break;
    case ExecutorState::kRegistering:
      executor->tasks.insert(task_id);
      executor->queued.push_back(task->info);
      break;
    case ExecutorState::kRunning:
      executor->tasks.insert(task_id);
      if (executor->simulated) {
        WatchLimit(info, executors_.at(Key(framework_id, executor_id)));
        RunSimulated(task);
      } else {
        SendTask(executor, task->info);
      }
      break;
  }
}

void Agent::LaunchForeign(const mesos::FrameworkInfo& framework, const mesos::TaskInfo& info) {
  frameworks_[framework.id().value()] = framework;
  const TaskPtr task = AddTask(framework.id().value(), info, info.task_id().value());
  TaskStatus status;
  status.set_state(mesos::TASK_RUNNING);
  status.set_source(TaskStatus::SOURCE_EXECUTOR);
  Update(task, std::move(status));
}

void Agent::Kill(const std::string& framework_id, const std::string& task_id,
                 const mesos::KillPolicy* policy) {
  const auto found = tasks_.find(Key(framework_id, task_id));
  if (found == tasks_.end()) {
    const auto framework = frameworks_.find(framework_id);
    if (framework == frameworks_.end()) return;
    mesos::TaskInfo info;
    info.mutable_task_id()->set_value(task_id);
    AgentUpdate(AddTask(framework_id, info, ""),
                PartitionAware(framework_id) ? mesos::TASK_DROPPED : mesos::TASK_LOST,
                TaskStatus::REASON_EXECUTOR_TERMINATED, "Cannot find executor");
    return;
  }
  const TaskPtr task = found->second;
  Executor* executor = FindExecutor(framework_id, task->executor_id);
  if (executor == nullptr || executor->simulated) {
    TaskStatus status;
    status.set_state(mesos::TASK_KILLED);
    status.set_source(TaskStatus::SOURCE_EXECUTOR);
    status.set_message("Command terminated with signal Terminated");
    status.mutable_executor_id()->set_value(task->executor_id);
    Update(task, std::move(status));
    return;
  }
  const auto queued =
      std::find_if(executor->queued.begin(), executor->queued.end(),
                   [&](const mesos::TaskInfo& info) { return info.task_id().value() == task_id; });
  if (queued != executor->queued.end()) {
    executor->queued.erase(queued);
    AgentUpdate(task, mesos::TASK_KILLED, TaskStatus::REASON_TASK_KILLED_DURING_LAUNCH,
                "Killed before delivery to the executor");
    if (executor->state == ExecutorState::kRunning && !executor->ever_sent_task &&
        executor->queued.empty()) {
      Terminate(executor, /*gracefully=*/true);
    }
    return;
  }
  if (executor->state != ExecutorState::kRunning) return;
  if (executor->command) {
    const absl::Duration grace =
        policy != nullptr && policy->has_grace_period()
            ? absl::Nanoseconds(policy->grace_period().nanoseconds())
        : task->info.kill_policy().has_grace_period()
            ? absl::Nanoseconds(task->info.kill_policy().grace_period().nanoseconds())
            : absl::Seconds(3);
    executor->killed = true;
    if (executor->process) executor->process->Signal(SIGTERM);
    context_.loop.After(
        grace,
        [weak = std::weak_ptr<Executor>(executors_.at(Key(framework_id, task->executor_id)))] {
          if (const ExecutorPtr executor = weak.lock()) {
            if (executor->process) executor->process->Signal(SIGKILL);
          }
        });
    return;
  }
  mesos::executor::Event event;
  event.set_type(mesos::executor::Event::KILL);
  event.mutable_kill()->mutable_task_id()->set_value(task_id);
  if (policy != nullptr) *event.mutable_kill()->mutable_kill_policy() = *policy;
  SendEvent(executor, event);
}

void Agent::ShutdownExecutor(const std::string& framework_id, const std::string& executor_id) {
  Executor* executor = FindExecutor(framework_id, executor_id);
  if (executor != nullptr) Terminate(executor, /*gracefully=*/true);
}

void Agent::ShutdownFramework(const std::string& framework_id) {
  // Its updates would never be acknowledged.
  std::vector<std::string> keys;
  for (const auto& [key, task] : tasks_) {
    if (task->framework_id == framework_id) keys.push_back(key);
  }
  for (const std::string& key : keys) tasks_.erase(key);
  std::vector<ExecutorPtr> executors;
  for (const auto& [key, executor] : executors_) {
    if (executor->framework_id == framework_id) executors.push_back(executor);
  }
  for (const ExecutorPtr& executor : executors) {
    executor->tasks.clear();
    Terminate(executor.get(), /*gracefully=*/true);
  }
  frameworks_.erase(framework_id);
}

void Agent::SendMessage(const std::string& framework_id, const std::string& executor_id,
                        const std::string& data) {
  Executor* executor = FindExecutor(framework_id, executor_id);
  if (executor == nullptr || executor->state != ExecutorState::kRunning) return;
  if (loses_messages_) return;
  mesos::executor::Event event;
  event.set_type(mesos::executor::Event::MESSAGE);
  event.mutable_message()->set_data(data);
  SendEvent(executor, event);
}

void Agent::UpdateFramework(const mesos::FrameworkInfo& framework) {
  const auto found = frameworks_.find(framework.id().value());
  if (found != frameworks_.end()) found->second = framework;
}

void Agent::ReconcileTask(const std::string& framework_id, const std::string& task_id) {
  if (FindTask(framework_id, task_id) != nullptr) return;
  mesos::TaskInfo info;
  info.mutable_task_id()->set_value(task_id);
  AgentUpdate(AddTask(framework_id, info, ""),
              PartitionAware(framework_id) ? mesos::TASK_DROPPED : mesos::TASK_LOST,
              TaskStatus::REASON_RECONCILIATION, "Task is unknown to the agent");
}

// --- Simulated tasks ----------------------------------------------------------------------------

void Agent::RunSimulated(const TaskPtr& task) {
  SimulatedTask plan;
  plan.duration = context_.settings.task_duration;
  if (context_.settings.simulate) plan = context_.settings.simulate(task->info);
  if (plan.starts) {
    TaskStatus status;
    status.set_state(mesos::TASK_RUNNING);
    status.set_source(TaskStatus::SOURCE_EXECUTOR);
    status.mutable_executor_id()->set_value(task->executor_id);
    if (!plan.running_data.empty()) status.set_data(plan.running_data);
    Update(task, std::move(status));
  }
  if (plan.duration <= absl::ZeroDuration()) return EndSimulated(task, plan);
  context_.loop.After(plan.duration, [this, weak = std::weak_ptr<Task>(task), plan] {
    if (const TaskPtr task = weak.lock()) EndSimulated(task, plan);
  });
}

void Agent::EndSimulated(const TaskPtr& task, const SimulatedTask& plan) {
  TaskStatus status;
  status.set_state(plan.end);
  status.set_source(TaskStatus::SOURCE_EXECUTOR);
  status.mutable_executor_id()->set_value(task->executor_id);
  if (!plan.message.empty()) status.set_message(plan.message);
  if (!plan.end_data.empty()) status.set_data(plan.end_data);
  Update(task, std::move(status));
}

}  // namespace kartograph::stand_in
