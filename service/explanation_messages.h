// From explanations to the contract's messages.
#ifndef KARTOGRAPH_SERVICE_EXPLANATION_MESSAGES_H_
#define KARTOGRAPH_SERVICE_EXPLANATION_MESSAGES_H_

#include "absl/time/time.h"
#include "api/kartograph/v1/task_executer.pb.h"
#include "scheduler/explanation.h"

namespace kartograph::service {

// With its summary, as of `now`.
v1::ExplainTaskResponse ToMessage(const scheduler::Explanation& explanation, absl::Time now);
v1::Reason ToMessage(const scheduler::Reason& reason);
v1::Holder ToMessage(const scheduler::Holder& holder);
v1::ExplainedTask ToMessage(const scheduler::NamedTask& task);

}  // namespace kartograph::service

#endif  // KARTOGRAPH_SERVICE_EXPLANATION_MESSAGES_H_
