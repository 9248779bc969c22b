#include "planner/states.h"

namespace kartograph::planner {

std::optional<TaskState> TaskStateFromNumber(int64_t number) {
  if (number < static_cast<int64_t>(TaskState::kWaiting) || number >= kTaskStates) {
    return std::nullopt;
  }
  return static_cast<TaskState>(number);
}

std::optional<GraphState> GraphStateFromNumber(int64_t number) {
  if (number < static_cast<int64_t>(GraphState::kRunning) ||
      number > static_cast<int64_t>(GraphState::kCancelled)) {
    return std::nullopt;
  }
  return static_cast<GraphState>(number);
}

std::optional<Outcome> OutcomeFromNumber(int64_t number) {
  if (number < 0 || number >= kOutcomes) return std::nullopt;
  return static_cast<Outcome>(number);
}

absl::string_view ToString(TaskState state) {
  switch (state) {
    case TaskState::kWaiting:
      return "waiting";
    case TaskState::kReady:
      return "ready";
    case TaskState::kLaunching:
      return "launching";
    case TaskState::kRunning:
      return "running";
    case TaskState::kSucceeded:
      return "succeeded";
    case TaskState::kFailed:
      return "failed";
    case TaskState::kCancelled:
      return "cancelled";
    case TaskState::kSkipped:
      return "skipped";
  }
  return "unknown";
}

absl::string_view ToString(GraphState state) {
  switch (state) {
    case GraphState::kRunning:
      return "running";
    case GraphState::kSucceeded:
      return "succeeded";
    case GraphState::kFailed:
      return "failed";
    case GraphState::kCancelled:
      return "cancelled";
  }
  return "unknown";
}

absl::string_view ToString(Outcome outcome) {
  switch (outcome) {
    case Outcome::kNone:
      return "running";
    case Outcome::kSucceeded:
      return "succeeded";
    case Outcome::kExited:
      return "exited";
    case Outcome::kSignalled:
      return "signalled";
    case Outcome::kTimedOut:
      return "timed out";
    case Outcome::kOutOfMemory:
      return "out of memory";
    case Outcome::kCancelled:
      return "cancelled";
    case Outcome::kNotStarted:
      return "not started";
    case Outcome::kResultTooLarge:
      return "result too large";
    case Outcome::kLost:
      return "lost";
    case Outcome::kRefused:
      return "refused";
    case Outcome::kDropped:
      return "dropped";
    case Outcome::kGone:
      return "gone";
    case Outcome::kUnreachable:
      return "unreachable";
    case Outcome::kAgentFailed:
      return "agent failed";
    case Outcome::kPreempted:
      return "preempted";
  }
  return "unknown";
}

}  // namespace kartograph::planner
