// A launch as it is described to Mesos.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TASK_INFO_H_
#define KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TASK_INFO_H_

#include <string>
#include <vector>

#include "executor/cluster.h"
#include "executor/lineage.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::executor::mesos {

// Whether the task asks for a container of its own, which kartograph-executor cannot give.
bool WantsContainer(const Launch& launch);

// What Mesos's own command executor is to run in the task's container, by the Mesos containerizer.
// KARTOGRAPH_RESULT is the file "result" of the sandbox, KARTOGRAPH_INPUT, where the task has an
// input, the file "input". It runs as `user`. Mesos's own limit of its time, which is SIGKILL
// without a grace, comes after the timeout: it is for when the framework is away.
kartograph::mesos::TaskInfo CommandTask(const Launch& launch, const std::string& mesos_agent,
                                        const std::vector<kartograph::mesos::Resource>& resources,
                                        const std::string& user);

// What kartograph-executor is to run: the whole launch is the task's data.
kartograph::mesos::TaskInfo ExecutorTask(const Launch& launch, const std::string& mesos_agent,
                                         const std::vector<kartograph::mesos::Resource>& resources,
                                         const kartograph::mesos::ExecutorInfo& executor,
                                         Incarnation incarnation);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_FRAMEWORK_TASK_INFO_H_
