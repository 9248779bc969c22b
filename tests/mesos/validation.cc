#include "tests/mesos/validation.h"

#include <algorithm>
#include <set>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"

namespace kartograph::stand_in {
namespace {

using kartograph::mesos::CommandInfo;
using kartograph::mesos::FrameworkInfo;
using kartograph::mesos::TaskInfo;
using Call = kartograph::mesos::scheduler::Call;

std::string Missing(const std::string& field) { return absl::StrCat("Not initialized: ", field); }

std::string MissingOfResources(
    const std::string& of, const google::protobuf::RepeatedPtrField<mesos::Resource>& resources) {
  for (const mesos::Resource& resource : resources) {
    if (!resource.has_name() || !resource.has_type()) return Missing(of + ".resources");
  }
  return "";
}

std::string MissingOfTask(const TaskInfo& task) {
  if (!task.has_name()) return Missing("accept.operations.launch.task_infos.name");
  if (!task.task_id().has_value()) return Missing("accept.operations.launch.task_infos.task_id");
  if (!task.agent_id().has_value()) return Missing("accept.operations.launch.task_infos.agent_id");
  if (task.has_executor() && !task.executor().executor_id().has_value()) {
    return Missing("accept.operations.launch.task_infos.executor.executor_id");
  }
  for (const CommandInfo* command : {&task.command(), &task.executor().command()}) {
    for (const CommandInfo::URI& uri : command->uris()) {
      if (!uri.has_value()) return Missing("accept.operations.launch.task_infos.command.uris");
    }
  }
  if (task.has_container() && !task.container().has_type()) {
    return Missing("accept.operations.launch.task_infos.container.type");
  }
  for (const mesos::Volume& volume : task.container().volumes()) {
    if (!volume.has_mode() || !volume.has_container_path()) {
      return Missing("accept.operations.launch.task_infos.container.volumes");
    }
  }
  const std::string missing =
      MissingOfResources("accept.operations.launch.task_infos", task.resources());
  return missing.empty() ? MissingOfResources("accept.operations.launch.task_infos.executor",
                                              task.executor().resources())
                         : missing;
}

std::string MissingOfCall(const Call& call) {
  if (call.has_framework_id() && !call.framework_id().has_value()) return Missing("framework_id");
  for (const FrameworkInfo* info :
       {&call.subscribe().framework_info(), &call.update_framework().framework_info()}) {
    const bool given = info == &call.subscribe().framework_info() ? call.has_subscribe()
                                                                  : call.has_update_framework();
    if (given && (!info->has_user() || !info->has_name())) return Missing("framework_info");
  }
  for (const mesos::Offer::Operation& operation : call.accept().operations()) {
    for (const TaskInfo& task : operation.launch().task_infos()) {
      if (std::string missing = MissingOfTask(task); !missing.empty()) return missing;
    }
  }
  if (call.has_kill() && !call.kill().task_id().has_value()) return Missing("kill.task_id");
  if (call.has_shutdown() &&
      (!call.shutdown().executor_id().has_value() || !call.shutdown().agent_id().has_value())) {
    return Missing("shutdown.executor_id, shutdown.agent_id");
  }
  const Call::Acknowledge& acknowledge = call.acknowledge();
  if (call.has_acknowledge() && (!acknowledge.agent_id().has_value() ||
                                 !acknowledge.task_id().has_value() || !acknowledge.has_uuid())) {
    return Missing("acknowledge.agent_id, acknowledge.task_id, acknowledge.uuid");
  }
  for (const Call::Reconcile::Task& task : call.reconcile().tasks()) {
    if (!task.task_id().has_value()) return Missing("reconcile.tasks.task_id");
  }
  const Call::Message& message = call.message();
  if (call.has_message() && (!message.agent_id().has_value() ||
                             !message.executor_id().has_value() || !message.has_data())) {
    return Missing("message.agent_id, message.executor_id, message.data");
  }
  return "";
}

std::string ValidateCommand(const CommandInfo& command) {
  for (const auto& variable : command.environment().variables()) {
    if (!variable.has_name() || variable.name().empty() || !variable.has_value()) {
      return absl::StrCat("Environment variable '", variable.name(), "' must have a value set");
    }
  }
  return "";
}

}  // namespace

std::string ValidateCall(const Call& call) {
  if (std::string missing = MissingOfCall(call); !missing.empty()) return missing;
  if (!call.has_type()) return "Expecting 'type' to be present";
  if (call.type() == Call::SUBSCRIBE) {
    if (!call.has_subscribe()) return "Expecting 'subscribe' to be present";
    if (call.subscribe().framework_info().id().value() != call.framework_id().value()) {
      return "'framework_id' differs from 'subscribe.framework_info.id'";
    }
    return "";
  }
  if (!call.has_framework_id()) return "Expecting 'framework_id' to be present";
  const auto expect = [](bool there, const char* what) -> std::string {
    return there ? "" : absl::StrCat("Expecting '", what, "' to be present");
  };
  switch (call.type()) {
    case Call::ACCEPT:
      return expect(call.has_accept(), "accept");
    case Call::DECLINE:
      return expect(call.has_decline(), "decline");
    case Call::ACCEPT_INVERSE_OFFERS:
      return expect(call.has_accept_inverse_offers(), "accept_inverse_offers");
    case Call::DECLINE_INVERSE_OFFERS:
      return expect(call.has_decline_inverse_offers(), "decline_inverse_offers");
    case Call::KILL:
      return expect(call.has_kill(), "kill");
    case Call::SHUTDOWN:
      return expect(call.has_shutdown(), "shutdown");
    case Call::ACKNOWLEDGE:
      if (call.has_acknowledge() && call.acknowledge().uuid().size() != 16) {
        return "Not a valid UUID";
      }
      return expect(call.has_acknowledge(), "acknowledge");
    case Call::RECONCILE:
      return expect(call.has_reconcile(), "reconcile");
    case Call::MESSAGE:
      return expect(call.has_message(), "message");
    case Call::UPDATE_FRAMEWORK:
      if (call.has_update_framework() &&
          call.update_framework().framework_info().id().value() != call.framework_id().value()) {
        return "'framework_id' differs from 'update_framework.framework_info.id'";
      }
      return expect(call.has_update_framework(), "update_framework");
    default:
      return "";
  }
}

std::string ValidateExecutorCall(const mesos::executor::Call& call) {
  using ExecutorCall = mesos::executor::Call;
  if (!call.has_type()) return "Expecting 'type' to be present";
  if (!call.has_executor_id()) return "Expecting 'executor_id' to be present";
  if (!call.has_framework_id()) return "Expecting 'framework_id' to be present";
  switch (call.type()) {
    case ExecutorCall::SUBSCRIBE:
      return call.has_subscribe() ? "" : "Expecting 'subscribe' to be present";
    case ExecutorCall::UPDATE: {
      if (!call.has_update()) return "Expecting 'update' to be present";
      const mesos::TaskStatus& status = call.update().status();
      if (!status.task_id().has_value() || !status.has_state()) {
        return "Not initialized: update.status.task_id, update.status.state";
      }
      if (!status.has_uuid()) return "Expecting 'uuid' to be present";
      if (status.uuid().size() != 16) return "Not a valid UUID";
      if (status.has_executor_id() && status.executor_id().value() != call.executor_id().value()) {
        return "ExecutorID in Call does not match ExecutorID in TaskStatus";
      }
      if (status.source() != mesos::TaskStatus::SOURCE_EXECUTOR) {
        return "Received Call from executor of a status whose source is not SOURCE_EXECUTOR";
      }
      if (status.state() == mesos::TASK_STAGING) {
        return "Received TASK_STAGING from executor which is not allowed";
      }
      return "";
    }
    case ExecutorCall::MESSAGE:
      return call.has_message() ? "" : "Expecting 'message' to be present";
    default:
      return "";
  }
}

std::string ValidateId(const std::string& id) {
  if (id.empty()) return "ID must not be empty";
  if (id.size() > 255) return "ID must not be greater than 255 characters";
  if (id == "." || id == "..") return absl::StrCat("'", id, "' is disallowed");
  const bool invalid = std::any_of(id.begin(), id.end(), [](char c) {
    return absl::ascii_iscntrl(static_cast<unsigned char>(c)) || c == '/' || c == '\\';
  });
  return invalid ? absl::StrCat("'", id, "' contains invalid characters") : "";
}

bool SameExecutor(const mesos::ExecutorInfo& one, const mesos::ExecutorInfo& other) {
  mesos::ExecutorInfo left = one, right = other;
  for (mesos::ExecutorInfo* info : {&left, &right}) {
    std::sort(info->mutable_resources()->begin(), info->mutable_resources()->end(),
              [](const mesos::Resource& a, const mesos::Resource& b) {
                return a.SerializeAsString() < b.SerializeAsString();
              });
  }
  return left.SerializeAsString() == right.SerializeAsString();
}

bool HasCapability(const FrameworkInfo& info, FrameworkInfo::Capability::Type capability) {
  return std::any_of(info.capabilities().begin(), info.capabilities().end(),
                     [&](const auto& one) { return one.type() == capability; });
}

std::string ValidateFramework(const FrameworkInfo& info) {
  if (!info.roles().empty() && !HasCapability(info, FrameworkInfo::Capability::MULTI_ROLE)) {
    return "'FrameworkInfo.roles' must not be set when the framework is not MULTI_ROLE capable";
  }
  std::set<std::string> roles;
  for (const std::string& role : info.roles()) {
    if (!roles.insert(role).second) {
      return absl::StrCat("'FrameworkInfo.roles' contains duplicate items: ", role);
    }
    const bool invalid = role.empty() || role == "." || role == ".." || role[0] == '-' ||
                         role.find_first_of("\t\n\v\f\r \b") != role.npos;
    if (invalid) return absl::StrCat("'FrameworkInfo.roles' contains invalid role: ", role);
  }
  for (const auto& [role, filters] : info.offer_filters()) {
    if (roles.count(role) == 0) {
      return absl::StrCat("Offer filters are given for a role that is not the framework's: ", role);
    }
  }
  if (!info.id().value().empty()) {
    if (std::string error = ValidateId(info.id().value()); !error.empty()) return error;
  }
  // More than fits into the nanoseconds that Mesos keeps, or no duration at all.
  if (!(info.failover_timeout() >= 0 && info.failover_timeout() < 9.2e9)) {
    return absl::StrCat("The framework's failover_timeout is not a duration: ",
                        info.failover_timeout());
  }
  return "";
}

std::string ValidateUpdate(const FrameworkInfo& former, const FrameworkInfo& info) {
  if (former.principal() != info.principal()) {
    return "Changing framework's principal is not allowed.";
  }
  if (former.user() != info.user()) {
    return absl::StrCat("Updating 'FrameworkInfo.user' is unsupported; attempted to update from '",
                        former.user(), "' to '", info.user(), "'");
  }
  if (former.checkpoint() != info.checkpoint()) {
    return "Updating 'FrameworkInfo.checkpoint' is unsupported";
  }
  return "";
}

std::string ValidateTaskInfo(const TaskInfo& task) {
  if (std::string error = ValidateId(task.task_id().value()); !error.empty()) {
    return "Task ID is invalid: " + error;
  }
  if (task.kill_policy().grace_period().nanoseconds() < 0) {
    return "Task's 'kill_policy.grace_period' must be non-negative";
  }
  if (task.max_completion_time().nanoseconds() < 0) {
    return "Task's `max_completion_time` must be non-negative";
  }
  if (task.resources().empty()) return "Task uses no resources";
  if (std::string error = ValidateCommand(task.command()); !error.empty()) {
    return "Task's `CommandInfo` is invalid: " + error;
  }
  if (task.has_executor() == task.has_command()) {
    return "Task should have at least one (but not both) of CommandInfo or ExecutorInfo present";
  }
  if (!task.has_executor()) return "";
  const mesos::ExecutorInfo& executor = task.executor();
  if (std::string error = ValidateId(executor.executor_id().value()); !error.empty()) {
    return "Executor ID is invalid: " + error;
  }
  if (executor.shutdown_grace_period().nanoseconds() < 0) {
    return "ExecutorInfo's 'shutdown_grace_period' must be non-negative";
  }
  if (executor.has_type() && executor.type() != mesos::ExecutorInfo::CUSTOM) {
    return "'ExecutorInfo.type' must be 'CUSTOM'";
  }
  if (!executor.has_command()) return "'ExecutorInfo.command' must be set";
  if (std::string error = ValidateCommand(executor.command()); !error.empty()) {
    return "Executor's `CommandInfo` is invalid: " + error;
  }
  return "";
}

}  // namespace kartograph::stand_in
