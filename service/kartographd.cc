// The daemon: reads the settings, serves until it is told to stop.
#include <fcntl.h>
#include <poll.h>
#include <spdlog/sinks/stdout_sinks.h>
#include <spdlog/spdlog.h>
#include <sys/wait.h>
#include <unistd.h>

#include <atomic>
#include <cerrno>
#include <csignal>
#include <cstdio>
#include <cstring>
#include <string>
#include <thread>
#include <vector>

#include "absl/synchronization/mutex.h"
#include "base/file_io.h"
#include "base/log_pattern.h"
#include "service/config/config.h"
#include "service/daemon.h"

namespace {

using kartograph::service::CommandLine;
using kartograph::service::Daemon;
using kartograph::service::ParseCommandLine;

constexpr int kCheckMs = 500;
// The exit status of which a supervisor knows that another start is of no use.
constexpr int kWrongSettings = 2;

int signal_pipe[2];

// What is asked for by signals.
enum class Request : char { kNone = 0, kStop = 's', kReload = 'r' };

void OnSignal(int signal) {
  const int saved = errno;
  const Request request = signal == SIGHUP ? Request::kReload : Request::kStop;
  // A full pipe holds enough of them already.
  [[maybe_unused]] const ssize_t written = write(signal_pipe[1], &request, 1);
  errno = saved;
}

// Handlers rather than a blocked mask or SIG_IGN: those would be inherited by the tasks.
bool CatchSignals() {
  if (pipe2(signal_pipe, O_CLOEXEC | O_NONBLOCK) != 0) return false;
  struct sigaction action = {};
  action.sa_handler = OnSignal;
  action.sa_flags = SA_RESTART;
  sigaction(SIGTERM, &action, nullptr);
  sigaction(SIGINT, &action, nullptr);
  sigaction(SIGHUP, &action, nullptr);
  action.sa_handler = [](int) {};
  sigaction(SIGPIPE, &action, nullptr);
  return true;
}

// What was asked for within `timeout_ms`.
Request WaitForSignal(int timeout_ms) {
  pollfd waiting = {signal_pipe[0], POLLIN, 0};
  Request request = Request::kNone;
  if (poll(&waiting, 1, timeout_ms) > 0 && read(signal_pipe[0], &request, 1) == 1) return request;
  return Request::kNone;
}

// Reads the settings again. What has changed is said, or what is wrong, and then nothing changes.
void Reload(Daemon& daemon, const std::vector<std::string>& arguments) {
  const absl::StatusOr<CommandLine> command_line = ParseCommandLine(arguments);
  absl::Status status = command_line.status();
  if (status.ok()) status = daemon.Reload(command_line->config);
  if (!status.ok()) {
    spdlog::error("the settings are as before: {}", std::string(status.message()));
  }
}

// The first process of a container is the parent of whatever outlives its own parent: an agent that
// has left, what was left of one that was killed.
void ReapOrphans() {
  while (waitpid(-1, nullptr, WNOHANG) > 0) {
  }
}

void SetUpLog(const std::string& level) {
  auto logger = spdlog::stderr_logger_mt("kartographd");
  logger->set_pattern(kartograph::kLogPattern, spdlog::pattern_time_type::utc);
  logger->set_level(spdlog::level::from_str(level));
  logger->flush_on(spdlog::level::trace);
  spdlog::set_default_logger(std::move(logger));
}

// A second signal ends the waiting for running attempts.
void Stop(Daemon& daemon, bool drain) {
  std::atomic<bool> stopped = false;
  std::thread stopping([&] {
    daemon.Stop(drain);
    stopped = true;
  });
  while (drain && !stopped) {
    if (WaitForSignal(100) != Request::kStop) continue;
    spdlog::info("not waiting for running attempts any longer");
    daemon.StopWaiting();
    break;
  }
  stopping.join();
}

int Serve(const CommandLine& command_line, const std::vector<std::string>& arguments) {
  if (!CatchSignals()) {
    std::fprintf(stderr, "kartographd: cannot make a pipe: no file descriptors are left\n");
    return 1;
  }
  SetUpLog(command_line.config.log_level);
  absl::StatusOr<std::unique_ptr<Daemon>> daemon = Daemon::Start(command_line.config);
  if (!daemon.ok()) {
    std::fprintf(stderr, "kartographd: %s\n", std::string(daemon.status().message()).c_str());
    return absl::IsInvalidArgument(daemon.status()) ? kWrongSettings : 1;
  }
  std::printf("ready %s\n", (*daemon)->Addresses().c_str());
  std::fflush(stdout);
  while (true) {
    const Request request = WaitForSignal(kCheckMs);
    if (request == Request::kStop) break;
    if (request == Request::kReload) Reload(**daemon, arguments);
    if (getpid() == 1) ReapOrphans();
    const absl::Status status = (*daemon)->Check();
    if (status.ok()) continue;
    spdlog::error("cannot go on: {}", std::string(status.message()));
    (*daemon)->Stop(false);
    return 1;
  }
  const bool drain = command_line.config.drain;
  // Otherwise it is over in a moment.
  if (drain) {
    spdlog::info("stopping when running attempts have ended; a second signal ends the wait");
  }
  Stop(**daemon, drain);
  spdlog::info(drain ? "stopped" : "stopped; running attempts are left to be found again");
  return 0;
}

}  // namespace

int main(int argc, char** argv) {
  // Debian builds Abseil with its detection of deadlocks, a debugging aid that costs every lock.
  absl::SetMutexDeadlockDetectionMode(absl::OnDeadlockCycle::kIgnore);
  const std::vector<std::string> arguments(argv + 1, argv + argc);
  const absl::StatusOr<CommandLine> command_line = ParseCommandLine(arguments);
  if (!command_line.ok()) {
    std::fprintf(stderr, "%s\n", std::string(command_line.status().message()).c_str());
    return kWrongSettings;
  }
  if (!command_line->print.empty()) {
    if (kartograph::WriteAll(STDOUT_FILENO, command_line->print)) return 0;
    std::fprintf(stderr, "kartographd: the output cannot be written: %s\n", std::strerror(errno));
    return 1;
  }
  return Serve(*command_line, arguments);
}
