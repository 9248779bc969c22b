// The states of graphs and tasks and the outcomes of attempts. The numbers are stored; they never
// change.
#ifndef KARTOGRAPH_PLANNER_STATES_H_
#define KARTOGRAPH_PLANNER_STATES_H_

#include <cstdint>
#include <optional>

#include "absl/strings/string_view.h"

namespace kartograph::planner {

//   kWaiting --> kReady --> kLaunching --> kRunning --> kSucceeded
//      |           |            |             |-------> kFailed      no attempts left
//      |           |            |             '-------> kReady       attempts left, after back-off
//      |           |            '---------------------> kReady       the cluster's doing
//      |           '--> kCancelled (from every state that is not final)
//      '--> kSkipped    a task before it failed, was cancelled or was skipped
enum class TaskState : uint8_t {
  kWaiting = 1,    // for tasks before it
  kReady = 2,      // for resources, or for its back-off to pass
  kLaunching = 3,  // handed to an agent, not confirmed yet
  kRunning = 4,    // an agent said so
  kSucceeded = 5,
  kFailed = 6,
  kCancelled = 7,
  kSkipped = 8,
};
inline constexpr int kTaskStates = 9;  // size of an array indexed by TaskState

inline bool IsFinal(TaskState state) { return state >= TaskState::kSucceeded; }

enum class GraphState : uint8_t {
  kRunning = 1,
  kSucceeded = 2,
  kFailed = 3,     // a task failed
  kCancelled = 4,  // a task was cancelled and none failed
};

// How an attempt ended.
enum class Outcome : uint8_t {
  kNone = 0,            // it has not
  kSucceeded = 1,       // exit status 0
  kExited = 2,          // another exit status
  kSignalled = 3,       // by a signal that was not ours
  kTimedOut = 4,        // over the task's timeout
  kOutOfMemory = 5,     // over the task's declared ram
  kCancelled = 6,       // on request
  kNotStarted = 7,      // the program could not be started
  kResultTooLarge = 8,  // the return value is over the limit
  kLost = 9,            // its agent went away or never heard of it; no attempt is spent
  kRefused = 10,        // the cluster did not take it; no attempt is spent
  kDropped = 11,        // it never reached its agent; no attempt is spent
  kGone = 12,           // its agent is gone for good; no attempt is spent
  kUnreachable = 13,    // given up: its agent could not be reached for longer than the task's
                        // unreachable_timeout; no attempt is spent
  kAgentFailed = 14,    // its agent could not start it for reasons of its own, such as a full disk;
                        // no attempt is spent, and it is tried elsewhere
  kPreempted = 15,      // ended for a task of higher priority; no attempt is spent
};
inline constexpr int kOutcomes = 16;  // size of an array indexed by Outcome

// Whether an attempt that ended so counts against the task's max_attempts.
inline bool SpendsAttempt(Outcome outcome) { return outcome < Outcome::kLost; }

// Whether an attempt that ended so was lost together with its agent.
inline bool IsLostWithAgent(Outcome outcome) {
  return outcome == Outcome::kLost || outcome == Outcome::kGone;
}

// The state or outcome that has this number in a row, a message or a file; nullopt where none has.
// Numbers from outside become states and outcomes here and nowhere else.
std::optional<TaskState> TaskStateFromNumber(int64_t number);
std::optional<GraphState> GraphStateFromNumber(int64_t number);
std::optional<Outcome> OutcomeFromNumber(int64_t number);

// Lower-case words as the command line, the page and the logs show them ("out of memory").
absl::string_view ToString(TaskState state);
absl::string_view ToString(GraphState state);
absl::string_view ToString(Outcome outcome);

}  // namespace kartograph::planner

#endif  // KARTOGRAPH_PLANNER_STATES_H_
