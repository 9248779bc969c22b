#include "tests/mesos/process.h"

#include <dirent.h>
#include <fcntl.h>
#include <limits.h>
#include <signal.h>
#include <spawn.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/io_context.hpp>
#include <boost/asio/posix/stream_descriptor.hpp>
#include <cerrno>
#include <cstdlib>
#include <cstring>
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

// As much as there is: a process may end while its files are read.
std::string ReadAll(const std::string& path) {
  const int file = open(path.c_str(), O_RDONLY | O_CLOEXEC);
  if (file < 0) return "";
  std::string text;
  char bytes[4096];
  for (ssize_t count = 0; (count = read(file, bytes, sizeof(bytes))) > 0;) {
    text.append(bytes, static_cast<size_t>(count));
  }
  close(file);
  return text;
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
  process->AwaitEnd();
  return process;
}

void Process::AwaitEnd() {
  const auto wait_read = boost::asio::posix::stream_descriptor::wait_read;
  descriptor_->stream.async_wait(wait_read, [this](boost::system::error_code error) {
    if (error) return;
    int status = 0;
    // What Asio says may have been of an earlier descriptor with the same number.
    if (waitpid(pid_, &status, WNOHANG) != pid_) return AwaitEnd();
    ended_ = true;
    // It may destroy the process, and with it itself.
    const std::function<void(int)> on_end = std::move(on_end_);
    on_end(status);
  });
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

namespace {

// Calls `f` with each process of a sandbox.
void ForEachOf(const std::string& sandbox, const std::function<void(int)>& f) {
  DIR* proc = opendir("/proc");
  if (proc == nullptr) return;
  while (const dirent* entry = readdir(proc)) {
    int pid = 0;
    if (!absl::SimpleAtoi(entry->d_name, &pid) || pid == getpid()) continue;
    const std::string folder = absl::StrCat("/proc/", pid);
    const std::string stat = ReadAll(folder + "/stat");
    const size_t bracket = stat.rfind(')');
    if (bracket == stat.npos || stat.compare(bracket, 3, ") Z") == 0 ||
        stat.compare(bracket, 3, ") X") == 0) {
      continue;
    }
    char directory[PATH_MAX];
    const ssize_t length = readlink((folder + "/cwd").c_str(), directory, sizeof(directory));
    const std::string cwd(directory, static_cast<size_t>(std::max<ssize_t>(length, 0)));
    if (ReadAll(folder + "/environ").find(sandbox) != std::string::npos ||
        cwd.compare(0, sandbox.size(), sandbox) == 0) {
      f(pid);
    }
  }
  closedir(proc);
}

}  // namespace

void EndProcessesOf(const std::string& sandbox) {
  // What is killed may have started others meanwhile.
  for (bool found = true; found;) {
    found = false;
    ForEachOf(sandbox, [&found](int pid) { found |= kill(pid, SIGKILL) == 0; });
  }
}

int64_t MemoryOf(const std::string& sandbox) {
  int64_t kib = 0;
  ForEachOf(sandbox, [&kib](int pid) {
    const std::string name = "RssAnon:";
    const std::string status = ReadAll(absl::StrCat("/proc/", pid, "/status"));
    const size_t at = status.find(name);
    if (at == status.npos) return;
    kib += strtoll(status.c_str() + at + name.size(), nullptr, 10);
  });
  return kib * 1024;
}

}  // namespace kartograph::stand_in
