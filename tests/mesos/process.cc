#include "tests/mesos/process.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"

namespace kartograph::stand_in {
namespace {

std::vector<char*> Pointers(const std::vector<std::string>& words) {
  std::vector<char*> pointers;
  for (const std::string& word : words) pointers.push_back(const_cast<char*>(word.c_str()));
  pointers.push_back(nullptr);
  return pointers;
}

}  // namespace

struct Process::Descriptor {
  boost::asio::posix::stream_descriptor stream;
};

Process::Process() = default;

absl::StatusOr<std::unique_ptr<Process>> Process::Start(Loop& loop, const Options& options,
                                                        std::function<void(int)> on_end) {
  posix_spawn_file_actions_t actions;
  posix_spawn_file_actions_init(&actions);
  posix_spawn_file_actions_addopen(&actions, 0, "/dev/null", O_RDONLY, 0);
  for (const auto& [number, name] : {std::pair(1, "stdout"), std::pair(2, "stderr")}) {
    const std::string path = absl::StrCat(options.directory, "/", name);
    posix_spawn_file_actions_addopen(&actions, number, path.c_str(), O_WRONLY | O_CREAT | O_APPEND,
                                     0644);
  }
  posix_spawn_file_actions_addchdir_np(&actions, options.directory.c_str());
  posix_spawn_file_actions_addclosefrom_np(&actions, 3);
  posix_spawnattr_t attributes;
  posix_spawnattr_init(&attributes);
  sigset_t none, all;
  sigemptyset(&none);
  sigfillset(&all);
  posix_spawnattr_setsigmask(&attributes, &none);
  posix_spawnattr_setsigdefault(&attributes, &all);
  posix_spawnattr_setflags(&attributes,
                           POSIX_SPAWN_SETSID | POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF);
  pid_t pid = -1;
  const int error =
      posix_spawn(&pid, options.program.c_str(), &actions, &attributes,
                  Pointers(options.arguments).data(), Pointers(options.environment).data());
  posix_spawnattr_destroy(&attributes);
  posix_spawn_file_actions_destroy(&actions);
  if (error != 0) {
    return absl::InternalError(
        absl::StrCat("cannot execute ", options.program, ": ", strerror(error)));
  }
  std::unique_ptr<Process> process(new Process);
  process->pid_ = pid;
  process->on_end_ = std::move(on_end);
  const int descriptor = static_cast<int>(syscall(SYS_pidfd_open, pid, 0));
  if (descriptor < 0) {
    return absl::InternalError(absl::StrCat("cannot watch a process: ", strerror(errno)));
  }
  process->descriptor_.reset(new Descriptor{{loop.io(), descriptor}});
  process->descriptor_->stream.async_wait(boost::asio::posix::stream_descriptor::wait_read,
                                          [self = process.get()](boost::system::error_code error) {
                                            if (error) return;
                                            int status = 0;
                                            if (waitpid(self->pid_, &status, 0) != self->pid_)
                                              return;
                                            self->ended_ = true;
                                            // It may destroy the process, and with it itself.
                                            const std::function<void(int)> on_end =
                                                std::move(self->on_end_);
                                            on_end(status);
                                          });
  return process;
}

Process::~Process() {
  if (ended_ || pid_ <= 0) return;
  kill(-pid_, SIGKILL);
  kill(pid_, SIGKILL);
  waitpid(pid_, nullptr, 0);
}

void Process::Signal(int signal) {
  if (ended_) return;
  kill(-pid_, signal);
}

void EndProcessesOf(const std::string& sandbox) {
  std::error_code error;
  // What is killed may have started others meanwhile.
  for (bool found = true; found;) {
    found = false;
    for (const auto& entry : std::filesystem::directory_iterator("/proc", error)) {
      int pid = 0;
      if (!absl::SimpleAtoi(entry.path().filename().string(), &pid) || pid == getpid()) continue;
      std::ifstream stat(entry.path() / "stat");
      const std::string text{std::istreambuf_iterator<char>(stat), {}};
      const size_t bracket = text.rfind(')');
      if (bracket == text.npos || text.compare(bracket, 3, ") Z") == 0 ||
          text.compare(bracket, 3, ") X") == 0) {
        continue;
      }
      std::ifstream file(entry.path() / "environ");
      const std::string environment{std::istreambuf_iterator<char>(file), {}};
      const std::string directory =
          std::filesystem::read_symlink(entry.path() / "cwd", error).string();
      if (environment.find(sandbox) == environment.npos &&
          directory.compare(0, sandbox.size(), sandbox) != 0) {
        continue;
      }
      if (kill(pid, SIGKILL) == 0) found = true;
    }
  }
}

}  // namespace kartograph::stand_in
