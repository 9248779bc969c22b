// Starts kartograph-local-agent.
#ifndef KARTOGRAPH_EXECUTOR_LOCAL_AGENT_PROCESS_H_
#define KARTOGRAPH_EXECUTOR_LOCAL_AGENT_PROCESS_H_

#include <string>

#include "absl/status/status.h"
#include "absl/time/time.h"

namespace kartograph::executor::local {

struct AgentCommand {
  std::string binary;
  std::string state_dir;
  std::string cgroup = "auto";
  absl::Duration idle_exit = absl::Minutes(1);
};

// Starts it as a daemon in a session of its own and waits until it listens, some milliseconds
// mostly and at most `patience`. Ok also where another agent serves the folder already. Errors are
// for people and say what is wrong.
absl::Status StartAgent(const AgentCommand& command, absl::Duration patience);

}  // namespace kartograph::executor::local

#endif  // KARTOGRAPH_EXECUTOR_LOCAL_AGENT_PROCESS_H_
