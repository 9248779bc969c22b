#include "executor/mesos/task_info.h"

#include <utility>

#include "executor/wire/attempt.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::TaskInfo;

namespace {

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

}  // namespace

TaskInfo ExecutorTask(const Launch& launch, const std::string& mesos_agent,
                      const std::vector<kartograph::mesos::Resource>& resources,
                      const kartograph::mesos::ExecutorInfo& executor) {
  TaskInfo task = Describe(launch, mesos_agent, resources);
  *task.mutable_executor() = executor;
  wire::Launch data;
  wire::ToMessage(launch, &data);
  task.set_data(data.SerializeAsString());
  return task;
}

}  // namespace kartograph::executor::mesos
