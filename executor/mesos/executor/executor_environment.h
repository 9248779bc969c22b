// What a Mesos agent passes to an executor that it starts, in the environment.
#ifndef KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_EXECUTOR_ENVIRONMENT_H_
#define KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_EXECUTOR_ENVIRONMENT_H_

#include <functional>
#include <string>

#include "absl/status/statusor.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "executor/mesos/api_session.h"

namespace kartograph::executor::mesos {

struct ExecutorEnvironment {
  Endpoint agent;
  std::string authorization;  // the header's value; empty: none
  std::string framework_id;
  std::string executor_id;
  std::string sandbox;  // of the executor, absolute
  // The agent may go and come back: attempts go on for `recovery_timeout` without it, and tries to
  // reach it are at most `max_backoff` apart.
  bool checkpoint = false;
  absl::Duration recovery_timeout = absl::Minutes(15);
  absl::Duration max_backoff = absl::Seconds(2);
  // This long after SHUTDOWN the agent kills all that is left.
  absl::Duration shutdown_grace = absl::Seconds(5);
  // Of a TLS agent: the certificates to trust (a file in PEM; empty: the system's), and whether the
  // agent's must be signed by them.
  std::string tls_ca_file;
  bool tls_verify = false;
};

// `get` is getenv. InvalidArgument names the variable that is missing or wrong.
absl::StatusOr<ExecutorEnvironment> ReadExecutorEnvironment(
    const std::function<const char*(const char*)>& get);

// A duration in Mesos's notation: "15mins", "2.5secs".
absl::StatusOr<absl::Duration> ParseMesosDuration(absl::string_view text);

// Removes from the process's environment what concerns the agent and the executor alone: tasks do
// not inherit it, and the token is not to be read in /proc any more. MESOS_SANDBOX stays. Not while
// another thread reads the environment.
void CleanEnvironment();

}  // namespace kartograph::executor::mesos

#endif  // KARTOGRAPH_EXECUTOR_MESOS_EXECUTOR_EXECUTOR_ENVIRONMENT_H_
