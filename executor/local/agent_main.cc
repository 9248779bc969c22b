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
#include <cstring>
#include <functional>
#include <memory>
#include <string>
#include <utility>

#include "absl/strings/ascii.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/argument_error.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/file_io.h"
#include "base/log_pattern.h"
#include "base/small_file.h"
#include "executor/agent/duration_flag.h"
#include "executor/agent/leftovers.h"
#include "executor/local/agent_server.h"
#include "executor/local/cgroup_setting.h"

namespace kartograph::executor::local {
namespace {

constexpr int kWrongUse = 2;

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
  const std::string text = ReadSmallFile(file).value_or("");
  const absl::string_view pid = absl::StripAsciiWhitespace(text);
  return absl::StrCat("another agent serves ", state_dir,
                      pid.empty() ? "" : absl::StrCat(" (pid ", pid, ")"), ": end that one first");
}

// The lock of a state folder, with the process id of who holds it. An orderly end leaves the file
// empty rather than removing it: the next agent may have opened it already, and would lock a file
// that nobody else sees.
class PidFile {
 public:
  // Not ok: errno says why; EWOULDBLOCK where another agent holds it.
  static PidFile Lock(const std::string& state_dir);
  PidFile(PidFile&&) = default;
  ~PidFile() {
    if (ok() && ftruncate(fd_.get(), 0) != 0) spdlog::warn("cannot empty the pid file");
  }
  bool ok() const { return fd_.ok(); }

 private:
  explicit PidFile(Descriptor locked) : fd_(std::move(locked)) {}
  Descriptor fd_;
};

PidFile PidFile::Lock(const std::string& state_dir) {
  Descriptor fd(
      open(absl::StrCat(state_dir, "/agent.pid").c_str(), O_RDWR | O_CREAT | O_CLOEXEC, 0644));
  if (!fd.ok()) return PidFile(Descriptor());
  // One that is about to end may hold it for a moment.
  const Clock& clock = Clock::System();
  const SteadyTime until = clock.SteadyNow() + absl::Seconds(1);
  while (flock(fd.get(), LOCK_EX | LOCK_NB) != 0) {
    if (errno != EINTR && (errno != EWOULDBLOCK || clock.SteadyNow() >= until)) {
      return PidFile(Descriptor());
    }
    absl::SleepFor(absl::Milliseconds(2));
  }
  const std::string text = absl::StrCat(getpid(), "\n");
  if (ftruncate(fd.get(), 0) != 0 ||
      pwrite(fd.get(), text.data(), text.size(), 0) != static_cast<ssize_t>(text.size())) {
    spdlog::warn("cannot write the pid file");
  }
  return PidFile(std::move(fd));
}

// Those that are read as they come: SIGTERM and SIGINT end the agent, SIGHUP reopens its log.
sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&signals, signal);
  sigprocmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

bool OnlyHangUps(int signal_fd) {
  bool only = true;
  for (struct signalfd_siginfo info; read(signal_fd, &info, sizeof(info)) == sizeof(info);) {
    only = only && info.ssi_signo == SIGHUP;
  }
  return only;
}

// The file that stdout and stderr go to may have been renamed. Empty: they go elsewhere.
void ReopenLog(const std::string& path) {
  if (path.empty()) return;
  const Descriptor file(open(path.c_str(), O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644));
  if (!file.ok()) {
    spdlog::warn("cannot open {} again: {}", path, strerror(errno));
    return;
  }
  dup2(file.get(), 1);
  dup2(file.get(), 2);
  spdlog::info("the log was opened again");
}

struct Flags {
  std::string state_dir;
  std::string cgroup = "auto";
  int ready_fd = -1;
  bool foreground = false;
  absl::Duration idle_exit = absl::Minutes(1);
};

// -1: go on; otherwise the status to exit with.
int ReadFlags(int argc, char** argv, Flags* flags) {
  CLI::App app(
      "Owns the attempts of one kartographd, which starts it; or a supervisor does:\n"
      "kartograph-local-agent --state DIR --foreground",
      "kartograph-local-agent");
  app.add_option("--state", flags->state_dir, "Folder of the state, absolute")
      ->required()
      ->type_name("DIR");
  app.add_option("--cgroup", flags->cgroup,
                 "cgroup2 folder to make groups in, 'auto' (its own, where possible) or 'off'");
  app.add_option("--ready-fd", flags->ready_fd, "Descriptor to report the start to");
  AddDurationFlag(app, "--idle-exit", &flags->idle_exit,
                  "Exit after this long without attempts (1m)");
  app.add_flag("--foreground", flags->foreground,
               "For a supervisor: do not become a daemon, and stay without attempts, too");
  try {
    app.parse(argc, argv);
  } catch (const CLI::CallForHelp&) {
    return WriteAll(STDOUT_FILENO, app.help()) ? 0 : 1;
  } catch (const CLI::ParseError& error) {
    // It is started by programs: who starts it by hand wants to know how.
    fprintf(stderr, "kartograph-local-agent: %s\n\n%s", ArgumentError(error).c_str(),
            app.help().c_str());
    return kWrongUse;
  }
  if (flags->state_dir.empty() || flags->state_dir[0] != '/') {
    fprintf(stderr,
            "kartograph-local-agent: --state = %s: must be an absolute path, such as "
            "/var/lib/kartograph\n",
            flags->state_dir.c_str());
    return kWrongUse;
  }
  return -1;
}

int Main(int argc, char** argv) {
  Flags flags;
  if (const int status = ReadFlags(argc, argv, &flags); status >= 0) return status;
  const std::string& state_dir = flags.state_dir;
  const int ready_fd = flags.ready_fd;
  if (flags.foreground) {
    flags.idle_exit = absl::InfiniteDuration();
  } else {
    Daemonize(ready_fd);
  }
  signal(SIGPIPE, SIG_IGN);
  const sigset_t signals = BlockSignals();
  spdlog::set_pattern(kLogPattern, spdlog::pattern_time_type::utc);
  spdlog::flush_on(spdlog::level::info);
  if (chdir("/") != 0) return 1;

  const PidFile pid_file = PidFile::Lock(state_dir);
  if (!pid_file.ok()) {
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

  Descriptor signal_fd(signalfd(-1, &signals, SFD_NONBLOCK | SFD_CLOEXEC));

  const MemoryLimits limits = MakeMemoryLimits(flags.cgroup);
  absl::StatusOr<std::unique_ptr<SessionRecord>> record =
      SessionRecord::Create(sessions, limits.cgroups == nullptr ? "" : limits.cgroups->parent());
  if (!record.ok()) {
    spdlog::error(std::string(record.status().message()));
    Report(ready_fd, std::string(record.status().message()));
    return 1;
  }
  boost::asio::io_context io(1);
  boost::asio::posix::stream_descriptor signalled(io, signal_fd.Release());
  AgentServer::Options options;
  options.state_dir = state_dir;
  options.idle_exit = flags.idle_exit;
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
  const std::string log = flags.foreground ? "" : absl::StrCat(state_dir, "/agent.log");
  std::function<void()> wait_for_signal = [&] {
    signalled.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                         [&](const boost::system::error_code& error) {
                           if (error) return;
                           if (OnlyHangUps(signalled.native_handle())) {
                             ReopenLog(log);
                           } else {
                             (*server)->Terminate();
                           }
                           wait_for_signal();
                         });
  };
  wait_for_signal();
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
