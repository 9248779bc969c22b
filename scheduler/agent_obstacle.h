// What keeps a task off an agent.
#ifndef KARTOGRAPH_SCHEDULER_AGENT_OBSTACLE_H_
#define KARTOGRAPH_SCHEDULER_AGENT_OBSTACLE_H_

#include <cstdint>

namespace kartograph::scheduler {

// In the order in which they are looked for, but for the last three: the first one counts.
enum class AgentObstacle : uint8_t {
  kNone,
  kAway,        // it is not connected
  kAvoided,     // the task's program could not be started there, or it failed there and avoids it
  kTooSmall,    // it does not have as much, even when nothing runs there
  kNotOffered,  // its cluster makes offers, and there is none of it now
  kFailing,     // it could not start an attempt: it is set aside, or gets one at a time
  kAlone,       // it is kept for one task alone, as that may be what ended its agents
  kNoSlot,      // as many attempts hold resources there as may
  kLacks,       // too little is free
  kLeaves,      // it is taken away before such a task is expected to have ended
  kKept,        // room there is reserved for what goes first
  kBusy,        // the task is launched alone, and something runs there
  kClosed,      // its cluster offers nothing of it, and says why; looked for after kTooSmall
  kConstraint,  // it does not meet the task's constraints; looked for after kAway
  kSpread,      // as many of the task's group are there as may be; looked for after kNoSlot
};
inline constexpr int kAgentObstacles = 15;

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_AGENT_OBSTACLE_H_
