#include "executor/local/agent_process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/strings/str_cat.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "executor/runner/environment.h"

namespace kartograph::executor::local {
namespace {

constexpr int kReadyFd = 3;

// Everything the agent reports; it closes the pipe when done.
absl::StatusOr<std::string> ReadReport(int fd, absl::Duration patience) {
  std::string report;
  const Clock& clock = Clock::System();
  const SteadyTime until = clock.SteadyNow() + patience;
  while (true) {
    struct pollfd wait = {fd, POLLIN, 0};
    int64_t left = std::max<int64_t>(0, absl::ToInt64Milliseconds(until - clock.SteadyNow()));
    int ready = poll(&wait, 1, static_cast<int>(left));
    if (ready < 0 && errno == EINTR) continue;
    if (ready == 0) {
      return absl::DeadlineExceededError(
          absl::StrCat("the agent was not ready after ", absl::FormatDuration(patience)));
    }
    char buffer[512];
    ssize_t bytes = read(fd, buffer, sizeof(buffer));
    if (bytes < 0 && errno == EINTR) continue;
    if (bytes <= 0) return report;
    report.append(buffer, static_cast<size_t>(bytes));
  }
}

}  // namespace

absl::Status StartAgent(const AgentCommand& command, absl::Duration patience) {
  std::string log = absl::StrCat(command.state_dir, "/agent.log");
  int ends[2];
  if (pipe2(ends, O_CLOEXEC) != 0) return ErrnoStatus(errno, "cannot make a pipe");
  Descriptor report(ends[0]), reported(ends[1]);

  std::vector<std::string> words = {
      command.binary,
      "--state",
      command.state_dir,
      "--cgroup",
      command.cgroup,
      "--ready-fd",
      absl::StrCat(kReadyFd),
      "--idle-exit",
      absl::StrCat(absl::ToInt64Milliseconds(command.idle_exit), "ms")};
  std::vector<char*> argv;
  argv.reserve(words.size() + 1);
  for (std::string& word : words) argv.push_back(word.data());
  argv.push_back(nullptr);

  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  posix_spawn_file_actions_addopen(&actions, 1, log.c_str(), O_WRONLY | O_CREAT | O_APPEND, 0644);
  posix_spawn_file_actions_adddup2(&actions, 1, 2);
  posix_spawn_file_actions_adddup2(&actions, reported.get(), kReadyFd);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  // Out of our process group from the first moment, so that a signal to it misses the agent.
  posix_spawnattr_setpgroup(&attributes, 0);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF | POSIX_SPAWN_SETPGROUP);
  // Tasks may read the agent's environment in /proc: there must be no secrets in it.
  std::vector<std::string> variables = InheritedEnvironment(environ);
  std::vector<char*> environment;
  environment.reserve(variables.size() + 1);
  for (std::string& variable : variables) environment.push_back(variable.data());
  environment.push_back(nullptr);
  pid_t pid = -1;
  int error = posix_spawn(&pid, command.binary.c_str(), &actions, &attributes, argv.data(),
                          environment.data());
  posix_spawn_file_actions_destroy(&actions);
  posix_spawnattr_destroy(&attributes);
  if (error != 0) return ErrnoStatus(error, absl::StrCat("cannot start ", command.binary));
  reported.Reset();
  // The process that was started makes the daemon and ends at once.
  while (waitpid(pid, nullptr, 0) < 0 && errno == EINTR) {
  }
  absl::StatusOr<std::string> text = ReadReport(report.get(), patience);
  if (!text.ok()) return text.status();
  if (*text == "ready" || *text == "busy") return absl::OkStatus();
  if (text->empty()) {
    return absl::UnavailableError(absl::StrCat("the agent ended while it started; see ", log));
  }
  return absl::UnavailableError(absl::StrCat("the agent cannot work: ", *text));
}

}  // namespace kartograph::executor::local
