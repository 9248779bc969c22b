// What Mesos's master refuses before it does anything.
#ifndef KARTOGRAPH_TESTS_MESOS_VALIDATION_H_
#define KARTOGRAPH_TESTS_MESOS_VALIDATION_H_

#include <string>

#include "executor/mesos/protocol/executor.pb.h"
#include "executor/mesos/protocol/scheduler.pb.h"

namespace kartograph::stand_in {

// What is wrong, empty where nothing is. The protocol's required fields are checked here, as ours
// are all optional.
std::string ValidateCall(const mesos::scheduler::Call& call);
std::string ValidateExecutorCall(const mesos::executor::Call& call);
std::string ValidateFramework(const mesos::FrameworkInfo& info);
// Whether a framework may become this.
std::string ValidateUpdate(const mesos::FrameworkInfo& former, const mesos::FrameworkInfo& info);
// The part that needs nothing but the message.
std::string ValidateTaskInfo(const mesos::TaskInfo& task);
// Two ExecutorInfos of one id must be the same but for the order of what has none.
bool SameExecutor(const mesos::ExecutorInfo& one, const mesos::ExecutorInfo& other);
std::string ValidateId(const std::string& id);

bool HasCapability(const mesos::FrameworkInfo& info,
                   mesos::FrameworkInfo::Capability::Type capability);

}  // namespace kartograph::stand_in

#endif  // KARTOGRAPH_TESTS_MESOS_VALIDATION_H_
