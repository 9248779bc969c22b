// A launch as Mesos is told of it.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_TASK_INFO_H_
#define KARTOGRAPH_EXECUTOR_MESOS_TASK_INFO_H_

#include <string>
#include <vector>

#include "executor/cluster.h"
#include "executor/mesos/protocol/mesos.pb.h"

namespace kartograph::executor::mesos {

// What kartograph-executor is to run: the whole launch is the task's data.
kartograph::mesos::TaskInfo ExecutorTask(const Launch& launch, const std::string& mesos_agent,
                                         const std::vector<kartograph::mesos::Resource>& resources,
                                         const kartograph::mesos::ExecutorInfo& executor);

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_TASK_INFO_H_
