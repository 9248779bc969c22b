// The values of cluster.h as messages, and back. What a peer sends is checked here: every number
// has its range, and nothing that lies outside goes further.
#ifndef KARTOGRAPH_EXECUTOR_WIRE_ATTEMPT_H_
#define KARTOGRAPH_EXECUTOR_WIRE_ATTEMPT_H_

#include <optional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "executor/wire/attempt.pb.h"
#include "planner/resources.h"

namespace kartograph::executor::wire {

// Of an attempt's message; longer ones are truncated.
inline constexpr size_t kMaxMessageBytes = 4 << 10;
// The largest status of a process that has exited, and the largest signal.
inline constexpr int kMaxExitStatus = 255;
inline constexpr int kMaxSignal = 64;

// Text from the system, a task or a peer as an attempt's message: well-formed UTF-8 of at most
// kMaxMessageBytes.
std::string MessageText(absl::string_view text);

// The time of another's clock, nanoseconds or seconds since 1970. nullopt for what lies outside of
// 1970 to 2200, such as from a clock that was never set.
std::optional<absl::Time> TimeFromNanos(int64_t nanos);
std::optional<absl::Time> TimeFromSeconds(double seconds);

void ToMessage(const planner::ResourceVector& resources,
               google::protobuf::RepeatedPtrField<Quantity>* message);
// InvalidArgument for an invalid name or quantity. The names are `names`' until they are
// kept.
absl::StatusOr<planner::ResourceVector> FromMessage(
    const google::protobuf::RepeatedPtrField<Quantity>& message, planner::ResourceNames* names);
// The message takes the strings of the launch.
void ToMessage(executor::Launch launch, Launch* message);
// The launch takes the strings of the message. InvalidArgument as above, and for times below zero.
absl::StatusOr<executor::Launch> FromMessage(Launch* message, planner::ResourceNames* names);
void ToMessage(const AttemptUpdate& update, Update* message);
// InvalidArgument for an end that does not say how it came about: an outcome, status or signal that
// does not exist, a return value in a place where none can be. Only for ends: then the attempt is
// over all the same; see UnreadableEnd. Clocks may be wrong: a time out of range counts as not
// given, an end before the start as the start, and a duration below zero as zero.
absl::StatusOr<AttemptUpdate> FromMessage(Update* message);
// What becomes of an attempt whose end cannot be read: it is lost, and runs again.
AttemptUpdate UnreadableEnd(planner::AttemptId attempt, const absl::Status& why);
void ToMessage(const executor::HostReport& report, HostReport* message);
// `agent` is empty, as in an update's. InvalidArgument for counts below zero and an invalid time or
// load.
absl::StatusOr<executor::HostReport> FromMessage(const HostReport& message);

}  // namespace kartograph::executor::wire

#endif  // KARTOGRAPH_EXECUTOR_WIRE_ATTEMPT_H_
