#include "planner/states.h"

namespace kartograph::planner {

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
  }
  return "unknown";
}

}  // namespace kartograph::planner
