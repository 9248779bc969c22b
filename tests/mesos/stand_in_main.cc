// The stand-in cluster as a program, for tests in other languages and for benchmarks.
#include <poll.h>
#include <signal.h>
#include <sys/signalfd.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <iostream>
#include <string>

#include "tests/mesos/stand_in.h"

namespace kartograph::stand_in {
namespace {

struct Flags {
  int agents = 1;
  AgentSettings agent;
  double task_ms = 0, allocation_ms = 1000, heartbeat_ms = 15000, retry_ms = 10000;
  double agent_timeout_ms = -1, grace_ms = 5000, recovery_ms = 15 * 60 * 1000.0;
  double reregistration_ms = 2000;
  int control_port = 0;
  bool exit_with_stdin = false;
};

absl::Duration Milliseconds(double value) { return absl::Milliseconds(value); }

// Until SIGTERM, SIGINT, or the end of the standard input where that counts.
void WaitForEnd(int signals, bool exit_with_stdin) {
  pollfd polled[2] = {{signals, POLLIN, 0}, {0, POLLIN, 0}};
  while (true) {
    if (poll(polled, exit_with_stdin ? 2 : 1, -1) < 0) continue;
    if (polled[0].revents != 0) return;
    char bytes[256];
    if (polled[1].revents != 0 && read(0, bytes, sizeof(bytes)) <= 0) return;
  }
}

int Run(int argc, char** argv) {
  Settings settings;
  Flags flags;
  CLI::App app("A stand-in for a Mesos cluster, for tests.");
  app.add_option("--agents", flags.agents, "How many agents there are");
  app.add_option("--resources", flags.agent.resources, "Of each agent: cpus:4;mem:8192");
  app.add_option("--attributes", flags.agent.attributes, "Of each agent: rack:b3;zone:z1");
  app.add_flag("--real", settings.real_tasks, "Tasks are processes, not simulated");
  app.add_option("--work-dir", settings.work_dir, "For sandboxes; needed for --real");
  app.add_option("--task-ms", flags.task_ms, "How long a simulated task takes");
  app.add_option("--allocation-ms", flags.allocation_ms, "Between allocations");
  app.add_option("--heartbeat-ms", flags.heartbeat_ms, "Between heartbeats");
  app.add_option("--retry-ms", flags.retry_ms, "Until an unacknowledged update comes again");
  app.add_option("--agent-timeout-ms", flags.agent_timeout_ms,
                 "Until a partitioned agent is unreachable; negative: never");
  app.add_option("--grace-ms", flags.grace_ms, "For an executor to shut down");
  app.add_option("--recovery-ms", flags.recovery_ms, "For which an executor waits for its agent");
  app.add_option("--reregistration-ms", flags.reregistration_ms,
                 "For executors to come back to an agent that restarted");
  app.add_option("--port", settings.port, "The master's; 0: any");
  app.add_option("--control-port", flags.control_port, "For controls; 0: any");
  app.add_option("--user", settings.user, "Frameworks must authenticate as this");
  app.add_option("--password", settings.password, "And with this");
  app.add_flag("--exit-with-stdin", flags.exit_with_stdin, "End at the standard input's end");
  CLI11_PARSE(app, argc, argv);

  settings.agents.assign(static_cast<size_t>(flags.agents), flags.agent);
  settings.task_duration = Milliseconds(flags.task_ms);
  settings.allocation_interval = Milliseconds(flags.allocation_ms);
  settings.heartbeat_interval = Milliseconds(flags.heartbeat_ms);
  settings.update_retry = Milliseconds(flags.retry_ms);
  if (flags.agent_timeout_ms >= 0) settings.agent_timeout = Milliseconds(flags.agent_timeout_ms);
  settings.executor_shutdown_grace = Milliseconds(flags.grace_ms);
  settings.recovery_timeout = Milliseconds(flags.recovery_ms);
  settings.executor_reregistration_timeout = Milliseconds(flags.reregistration_ms);

  // Before there are threads, so that none of them gets these.
  sigset_t set;
  sigemptyset(&set);
  sigaddset(&set, SIGTERM);
  sigaddset(&set, SIGINT);
  sigprocmask(SIG_BLOCK, &set, nullptr);
  const int signals = signalfd(-1, &set, SFD_CLOEXEC);
  signal(SIGPIPE, SIG_IGN);

  auto stand_in = StandIn::Start(settings);
  if (!stand_in.ok()) {
    std::cerr << "stand_in: " << stand_in.status().message() << "\n";
    return 2;
  }
  const absl::StatusOr<int> control = (*stand_in)->ServeControls(flags.control_port);
  if (!control.ok()) {
    std::cerr << "stand_in: " << control.status().message() << "\n";
    return 2;
  }
  std::cout << "ready master=" << (*stand_in)->address() << " control=127.0.0.1:" << *control
            << std::endl;
  WaitForEnd(signals, flags.exit_with_stdin);
  return 0;
}

}  // namespace
}  // namespace kartograph::stand_in

int main(int argc, char** argv) { return kartograph::stand_in::Run(argc, argv); }
