// A worker for tests, whose tasks are named after what they are to do:
//   sh LINE        what the shell makes of it, with its exit status
//   pid            prints the number of this process
//   grow MEGABYTES takes so much memory and keeps it
//   spin MILLIS    uses so much processor time
//   signal NUMBER  ends by it
//   exit STATUS    ends without an answer
//   answer TEXT    gives this one
//   input          prints what came with the attempt
//   daemon FILE    leaves a process of a session of its own, with its number in FILE, and waits for
//                  FILE.go
//   close          closes its socket, and ends with status 7 a little later
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace {

constexpr int kSocket = 3;

std::vector<std::string>& Kept() {
  static auto* const kept = new std::vector<std::string>;
  return *kept;
}

std::string& Input() {
  static auto* const input = new std::string;
  return *input;
}

// Takes the next attempt. False where there will be none.
bool Receive() {
  std::vector<char> message(1 << 17);
  struct iovec data = {message.data(), message.size()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(2 * sizeof(int))];
  struct msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  const ssize_t bytes = recvmsg(kSocket, &header, MSG_CMSG_CLOEXEC);
  if (bytes <= 0) return false;
  int descriptors[2];
  memcpy(descriptors, CMSG_DATA(CMSG_FIRSTHDR(&header)), sizeof(descriptors));
  for (int i = 0; i < 2; ++i) {
    dup2(descriptors[i], i + 1);
    close(descriptors[i]);
  }
  for (ssize_t at = 0; at < bytes;) {
    const std::string entry(message.data() + at);
    at += static_cast<ssize_t>(entry.size()) + 1;
    if (entry.empty()) {
      Input().assign(message.data() + at, static_cast<size_t>(bytes - at));
      break;
    }
    const size_t equals = entry.find('=');
    setenv(entry.substr(0, equals).c_str(), entry.c_str() + equals + 1, 1);
  }
  return chdir(getenv("PWD")) == 0;
}

void Spin(int milliseconds) {
  struct timespec used = {};
  const auto now = [&used] {
    clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &used);
    return used.tv_sec * 1000 + used.tv_nsec / 1000000;
  };
  for (const auto until = now() + milliseconds; now() < until;) {
  }
}

// As daemon(3) does, which does not execute another program.
void MakeDaemon(const std::string& file) {
  const pid_t child = fork();
  if (child == 0) {
    setsid();
    if (fork() != 0) _exit(0);
    const std::string draft = file + ".draft";
    FILE* const out = fopen(draft.c_str(), "w");
    fprintf(out, "%d\n", getpid());
    fclose(out);
    rename(draft.c_str(), file.c_str());
    while (true) pause();
  }
  waitpid(child, nullptr, 0);
  while (access((file + ".go").c_str(), F_OK) != 0) usleep(1000);
}

std::string RunTask(const std::string& task) {
  const size_t space = task.find(' ');
  const std::string verb = task.substr(0, space);
  const std::string rest = space == std::string::npos ? "" : task.substr(space + 1);
  const auto number = [&rest] { return atoi(rest.c_str()); };
  if (verb == "sh") {
    const int status = system(rest.c_str());
    return std::to_string(WEXITSTATUS(status)) + " keep";
  }
  if (verb == "pid") dprintf(1, "%d\n", getpid());
  if (verb == "grow") Kept().emplace_back(static_cast<size_t>(number()) << 20, 'x');
  if (verb == "spin") Spin(number());
  if (verb == "signal") raise(number());
  if (verb == "exit") _exit(number());
  if (verb == "answer") return rest;
  if (verb == "input" && write(1, Input().data(), Input().size()) < 0) return "1 end";
  if (verb == "daemon") MakeDaemon(rest);
  if (verb == "close") {
    close(kSocket);
    usleep(50000);
    _exit(7);
  }
  return "0 keep";
}

}  // namespace

int main() {
  if (getenv("KARTOGRAPH_WORKER") == nullptr) return 3;
  signal(SIGPIPE, SIG_IGN);
  while (Receive()) {
    const std::string answer = RunTask(getenv("KARTOGRAPH_TASK"));
    dup2(0, 1);
    dup2(0, 2);
    if (send(kSocket, answer.data(), answer.size(), 0) < 0) return 9;
  }
  return 0;
}
