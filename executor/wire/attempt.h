// The values of cluster.h as messages, and back.
#ifndef KARTOGRAPH_EXECUTOR_WIRE_ATTEMPT_H_
#define KARTOGRAPH_EXECUTOR_WIRE_ATTEMPT_H_

#include "absl/status/statusor.h"
#include "executor/cluster.h"
#include "executor/wire/attempt.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::wire {

void ToMessage(const planner::ResourceVector& resources,
               google::protobuf::RepeatedPtrField<Quantity>* message);
// InvalidArgument for a name that is none.
absl::StatusOr<planner::ResourceVector> FromMessage(
    const google::protobuf::RepeatedPtrField<Quantity>& message);
// The message takes the strings of the launch.
void ToMessage(executor::Launch launch, Launch* message);
// The launch takes the strings of the message.
absl::StatusOr<executor::Launch> FromMessage(Launch* message);
void ToMessage(const AttemptUpdate& update, Update* message);
AttemptUpdate FromMessage(Update* message);
void ToMessage(const executor::HostReport& report, HostReport* message);
// `agent` is empty, as in an update's.
executor::HostReport FromMessage(const HostReport& message);

}  // namespace kartograph::executor::wire

#endif  // KARTOGRAPH_EXECUTOR_WIRE_ATTEMPT_H_
