#include "executor/mesos/framework/task_info.h"

#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_format.h"
#include "absl/strings/str_replace.h"
#include "executor/declared_variables.h"
#include "executor/payload.pb.h"
#include "executor/wire/attempt.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::TaskInfo;

namespace {

// The framework ends a task that is over its timeout; so long after that Mesos does.
constexpr absl::Duration kTimeoutReserve = absl::Minutes(2);

TaskInfo Describe(const Launch& launch, const std::string& mesos_agent,
                  const std::vector<kartograph::mesos::Resource>& resources) {
  TaskInfo task;
  task.set_name(launch.task_name);
  task.mutable_task_id()->set_value(planner::AttemptIdToString(launch.attempt));
  task.mutable_agent_id()->set_value(mesos_agent);
  for (const kartograph::mesos::Resource& resource : resources) *task.add_resources() = resource;
  task.mutable_kill_policy()->mutable_grace_period()->set_nanoseconds(
      absl::ToInt64Nanoseconds(launch.cancel_grace));
  return task;
}

// For a shell, whatever is in it.
std::string Quoted(absl::string_view word) {
  return absl::StrCat("'", absl::StrReplaceAll(word, {{"'", "'\\''"}}), "'");
}

// A line that writes the task's input into the sandbox, with nothing but what every shell has. What
// is not printed as it is goes as three octal digits; the first character is never a dash.
std::string InputLine(absl::string_view input) {
  std::string format;
  for (const char c : input) {
    if (absl::ascii_isalnum(static_cast<unsigned char>(c)) ||
        absl::StrContains(" _./:,+@={}[]", c)) {
      format += c;
    } else {
      absl::StrAppendFormat(&format, "\\%03o", static_cast<unsigned char>(c));
    }
  }
  return absl::StrCat("export KARTOGRAPH_INPUT=\"$MESOS_SANDBOX/input\"; printf '", format,
                      "' > \"$KARTOGRAPH_INPUT\" || exit 126; ");
}

// The agent alone knows where the sandbox is, so a shell says it.
std::string ShellLine(const Payload& payload) {
  std::string line = "export KARTOGRAPH_RESULT=\"$MESOS_SANDBOX/result\"; ";
  if (!payload.input().empty()) line += InputLine(payload.input());
  if (!payload.directory().empty()) {
    absl::StrAppend(&line, "cd ", Quoted(payload.directory()), " || exit 126; ");
  }
  if (payload.arguments().empty()) return absl::StrCat(line, payload.shell());
  line += "exec";
  for (const std::string& argument : payload.arguments()) {
    absl::StrAppend(&line, " ", Quoted(argument));
  }
  if (!payload.shell().empty()) absl::StrAppend(&line, " ", Quoted(payload.shell()));
  return line;
}

void AddVariable(absl::string_view name, absl::string_view value,
                 kartograph::mesos::Environment* environment) {
  kartograph::mesos::Environment::Variable& variable = *environment->add_variables();
  variable.set_name(std::string(name));
  variable.set_value(std::string(value));
}

}  // namespace

bool WantsContainer(const Launch& launch) {
  Payload payload;
  return payload.ParseFromString(launch.payload) && payload.has_container();
}

TaskInfo CommandTask(const Launch& launch, const std::string& mesos_agent,
                     const std::vector<kartograph::mesos::Resource>& resources,
                     const std::string& user) {
  Payload payload;
  payload.ParseFromString(launch.payload);
  TaskInfo task = Describe(launch, mesos_agent, resources);
  if (launch.timeout != absl::InfiniteDuration()) {
    task.mutable_max_completion_time()->set_nanoseconds(
        absl::ToInt64Nanoseconds(launch.timeout + launch.cancel_grace + kTimeoutReserve));
  }
  kartograph::mesos::CommandInfo& command = *task.mutable_command();
  command.set_shell(true);
  if (!user.empty()) command.set_user(user);
  command.set_value(ShellLine(payload));
  kartograph::mesos::Environment* environment = command.mutable_environment();
  for (const auto& [name, value] : payload.environment()) AddVariable(name, value, environment);
  AddVariable("KARTOGRAPH_GRAPH", planner::GraphIdToString(launch.attempt.task().graph()),
              environment);
  AddVariable("KARTOGRAPH_TASK", launch.task_name, environment);
  AddVariable("KARTOGRAPH_ATTEMPT", planner::AttemptIdToString(launch.attempt), environment);
  for (const auto& [name, value] : DeclaredVariables(launch)) AddVariable(name, value, environment);
  kartograph::mesos::ContainerInfo& container = *task.mutable_container();
  container.set_type(kartograph::mesos::ContainerInfo::MESOS);
  container.mutable_mesos();
  if (!payload.container().image().empty()) {
    kartograph::mesos::Image& image = *container.mutable_mesos()->mutable_image();
    image.set_type(kartograph::mesos::Image::DOCKER);
    image.mutable_docker()->set_name(payload.container().image());
  }
  for (const Container::Volume& mounted : payload.container().volumes()) {
    kartograph::mesos::Volume& volume = *container.add_volumes();
    volume.set_mode(mounted.read_only() ? kartograph::mesos::Volume::RO
                                        : kartograph::mesos::Volume::RW);
    volume.set_host_path(mounted.host_path());
    volume.set_container_path(mounted.container_path());
  }
  return task;
}

TaskInfo ExecutorTask(const Launch& launch, const std::string& mesos_agent,
                      const std::vector<kartograph::mesos::Resource>& resources,
                      const kartograph::mesos::ExecutorInfo& executor, Incarnation incarnation) {
  TaskInfo task = Describe(launch, mesos_agent, resources);
  *task.mutable_executor() = executor;
  wire::Launch data;
  wire::ToMessage(launch, &data);
  data.set_incarnation(incarnation);
  task.set_data(data.SerializeAsString());
  return task;
}

}  // namespace kartograph::executor::mesos
