// kartograph-local-agent: the process that owns the attempts of one state folder. LocalCluster
// starts it, or a supervisor; it outlives kartographd.
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/file.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <CLI/CLI.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cstdio>
#include <memory>
#include <string>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/small_file.h"
#include "executor/agent/duration_flag.h"
#include "executor/local/agent_server.h"
#include "executor/local/cgroup_setting.h"
#include "executor/local/leftovers.h"

namespace kartograph::executor::local {
namespace {

// Reports to the starter how it went: "ready", "busy", or what is wrong.
void Report(int ready_fd, const std::string& text) {
  if (ready_fd < 0) return;
  if (write(ready_fd, text.data(), text.size()) < 0) spdlog::warn("the starter has gone");
  close(ready_fd);
}

void Daemonize(int ready_fd) {
  pid_t pid = fork();
  if (pid != 0) _exit(pid > 0 ? 0 : 1);
  setsid();
  if (ready_fd < 0) return;
  // Keep 0 to 2 and the one to report to, which LocalCluster has made 3.
  syscall(SYS_close_range, static_cast<unsigned>(ready_fd) + 1, ~0u, 0u);
  fcntl(ready_fd, F_SETFD, FD_CLOEXEC);
}

// What is wrong where the lock could not be taken, with errno as that has left it.
std::string LockProblem(const std::string& state_dir, bool busy) {
  const std::string file = absl::StrCat(state_dir, "/agent.pid");
  if (!busy) return absl::StrCat("cannot lock ", file, ": ", strerror(errno));
  const std::string pid = ReadSmallFile(file).value_or("");
  return absl::StrCat("another agent serves ", state_dir, " (pid ", absl::StripAsciiWhitespace(pid),
                      "): end that one first");
}

// The lock is held as long as the process lives. Not ok: another agent holds it.
Descriptor LockPidFile(const std::string& state_dir) {
  Descriptor fd(
      open(absl::StrCat(state_dir, "/agent.pid").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.ok()) return fd;
  // One that is about to end may hold it for a moment.
  const Clock& clock = Clock::System();
  const SteadyTime until = clock.SteadyNow() + absl::Seconds(1);
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && (errno != EWOULDBLOCK || clock.SteadyNow() >= until)) {
      return Descriptor();
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  std::string text = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    spdlog::warn("cannot write the pid file");
  }
  return fd;
}

int Main(int argc, char** argv) {
  CLI::App app("Owns the attempts of one kartographd; started by it, or by a supervisor.");
  std::string state_dir;
  std::string cgroup = "auto";
  int ready_fd = -1;
  bool foreground = false;
  absl::Duration idle_exit = absl::Minutes(1);
  app.add_option("--state", state_dir, "Folder of the state, absolute")->required();
  app.add_option("--cgroup", cgroup,
                 "cgroup2 folder to make groups in, 'auto' (its own, where possible) or 'off'");
  app.add_option("--ready-fd", ready_fd, "Descriptor to report the start to");
  AddDurationFlag(app, "--idle-exit", &idle_exit, "Exit after this long without attempts (1m)");
  app.add_flag("--foreground", foreground,
               "For a supervisor: do not become a daemon, and stay without attempts, too");
  CLI11_PARSE(app, argc, argv);

  if (foreground) {
    idle_exit = absl::InfiniteDuration();
  } else {
    Daemonize(ready_fd);
  }
  signal(SIGPIPE, SIG_IGN);
  signal(SIGHUP, SIG_IGN);
  spdlog::flush_on(spdlog::level::info);
  if (chdir("/") != 0) return 1;

  Descriptor lock = LockPidFile(state_dir);
  if (!lock.ok()) {
    const bool busy = errno == EWOULDBLOCK;
    const std::string problem = LockProblem(state_dir, busy);
    spdlog::warn(problem);
    Report(ready_fd, busy ? "busy" : problem);
    return 1;
  }
  const std::string sessions = absl::StrCat(state_dir, "/agent.sessions");
  // An agent that ends normally leaves no record.
  const SessionRecord::Contents before = SessionRecord::Read(sessions);
  if (int killed = KillLeftovers(SandboxRoot(state_dir), before, absl::Seconds(5)); killed > 0) {
    spdlog::warn("killed {} processes of an agent that was killed", killed);
  }

  sigset_t terminate;
  sigemptyset(&terminate);
  sigaddset(&terminate, SIGTERM);
  sigaddset(&terminate, SIGINT);
  sigprocmask(SIG_BLOCK, &terminate, nullptr);
  Descriptor terminate_fd(signalfd(-1, &terminate, SFD_NONBLOCK | SFD_CLOEXEC));

  const MemoryLimits limits = MakeMemoryLimits(cgroup);
  absl::StatusOr<std::unique_ptr<SessionRecord>> record =
      SessionRecord::Create(sessions, limits.cgroups == nullptr ? "" : limits.cgroups->parent());
  if (!record.ok()) {
    spdlog::error(std::string(record.status().message()));
    Report(ready_fd, std::string(record.status().message()));
    return 1;
  }
  boost::asio::io_context io(1);
  boost::asio::posix::stream_descriptor terminated(io, terminate_fd.Release());
  AgentServer::Options options;
  options.state_dir = state_dir;
  options.idle_exit = idle_exit;
  options.memory_limits = limits.kept_by;
  options.cgroups = limits.cgroups.get();
  options.sessions = record->get();
  options.follows_killed = before.agent != 0;
  absl::StatusOr<std::unique_ptr<AgentServer>> server =
      AgentServer::Create(io, std::move(options), [&io] { io.stop(); });
  if (!server.ok()) {
    spdlog::error(std::string(server.status().message()));
    Report(ready_fd, std::string(server.status().message()));
    return 1;
  }
  terminated.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                        [&server](const boost::system::error_code& error) {
                          if (!error) (*server)->Terminate();
                        });
  spdlog::info("agent {} of {} is ready", getpid(), state_dir);
  Report(ready_fd, "ready");
  io.run();
  unlink(sessions.c_str());
  spdlog::info("agent {} ends", getpid());
  return 0;
}

}  // namespace
}  // namespace kartograph::executor::local

int main(int argc, char** argv) { return kartograph::executor::local::Main(argc, argv); }
