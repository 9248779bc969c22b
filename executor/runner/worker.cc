#include "executor/runner/worker.h"

#include <errno.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <iterator>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/strip.h"

namespace kartograph::executor {
namespace {

constexpr int kMaxStatus = 255;
// How long there may be more idle ones than there are to be.
constexpr absl::Duration kMoment = absl::Seconds(1);

}  // namespace

std::optional<WorkerAnswer> ParseWorkerAnswer(absl::string_view text) {
  WorkerAnswer answer;
  if (const size_t line = text.find('\n'); line != absl::string_view::npos) {
    answer.value = std::string(text.substr(line + 1));
    text = text.substr(0, line);
  }
  if (absl::ConsumeSuffix(&text, " keep")) {
    answer.can_go_on = true;
  } else if (!absl::ConsumeSuffix(&text, " end")) {
    return std::nullopt;
  }
  if (!absl::SimpleAtoi(text, &answer.exit_status) || answer.exit_status < 0 ||
      answer.exit_status > kMaxStatus) {
    return std::nullopt;
  }
  return answer;
}

std::unique_ptr<Worker> Worker::Make(std::string key, std::shared_ptr<const Environment> base,
                                     Descriptor* its_end) {
  int ends[2];
  if (socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, ends) != 0) return nullptr;
  auto worker = std::make_unique<Worker>();
  worker->socket.Reset(ends[0]);
  its_end->Reset(ends[1]);
  worker->key = std::move(key);
  worker->base = std::move(base);
  return worker;
}

bool Worker::Send(absl::string_view message, int stdout_fd, int stderr_fd) const {
  const std::array<int, 2> descriptors = {stdout_fd, stderr_fd};
  struct iovec data = {const_cast<char*>(message.data()), message.size()};
  alignas(struct cmsghdr) char control[CMSG_SPACE(sizeof(descriptors))] = {};
  struct msghdr header = {};
  header.msg_iov = &data;
  header.msg_iovlen = 1;
  header.msg_control = control;
  header.msg_controllen = sizeof(control);
  struct cmsghdr* const passed = CMSG_FIRSTHDR(&header);
  passed->cmsg_level = SOL_SOCKET;
  passed->cmsg_type = SCM_RIGHTS;
  passed->cmsg_len = CMSG_LEN(sizeof(descriptors));
  memcpy(CMSG_DATA(passed), descriptors.data(), sizeof(descriptors));
  return sendmsg(socket.get(), &header, MSG_DONTWAIT | MSG_NOSIGNAL) ==
         static_cast<ssize_t>(message.size());
}

Worker::Received Worker::Receive(WorkerAnswer* answer) const {
  std::array<char, kMaxWorkerAnswer> text;
  // The length of the whole, even where that is more.
  const ssize_t bytes = recv(socket.get(), text.data(), text.size(), MSG_DONTWAIT | MSG_TRUNC);
  if (bytes < 0 && (errno == EAGAIN || errno == EINTR)) return Received::kNothing;
  // The kernel says so where a message was left in the socket.
  if (bytes < 0 && errno == ECONNRESET) return Received::kUnread;
  if (bytes <= 0) return Received::kClosed;
  const auto length = static_cast<size_t>(bytes);
  std::optional<WorkerAnswer> parsed;
  if (length <= text.size()) parsed = ParseWorkerAnswer(absl::string_view(text.data(), length));
  *answer = parsed.has_value() ? *std::move(parsed) : WorkerAnswer{-1, false, std::nullopt};
  return Received::kAnswer;
}

IdleWorkers::Limits IdleWorkers::DefaultLimits() {
  constexpr uint64_t kShare = 16;
  Limits limits;
  limits.memory = static_cast<uint64_t>(sysconf(_SC_PHYS_PAGES)) *
                  static_cast<uint64_t>(sysconf(_SC_PAGESIZE)) / kShare;
  limits.worker_memory = limits.memory / 2;
  return limits;
}

void IdleWorkers::Add(std::unique_ptr<Worker> worker, SteadyTime now) {
  const pid_t pid = worker->pid;
  memory_ += worker->usage.rss_bytes;
  idle_.push_back({std::move(worker), now});
  by_pid_[pid] = std::prev(idle_.end());
}

std::unique_ptr<Worker> IdleWorkers::TakeAt(Position position) {
  std::unique_ptr<Worker> worker = std::move(position->worker);
  memory_ -= worker->usage.rss_bytes;
  by_pid_.erase(worker->pid);
  idle_.erase(position);
  return worker;
}

std::unique_ptr<Worker> IdleWorkers::Take(const std::string& key, const Environment* base,
                                          uint64_t ram_limit) {
  for (auto it = idle_.rbegin(); it != idle_.rend(); ++it) {
    const Worker& worker = *it->worker;
    if (worker.base.get() != base || worker.key != key) continue;
    if (ram_limit > 0 && worker.usage.rss_bytes > ram_limit / 2) continue;
    return TakeAt(std::prev(it.base()));
  }
  return nullptr;
}

std::unique_ptr<Worker> IdleWorkers::Remove(pid_t pid) {
  auto it = by_pid_.find(pid);
  return it == by_pid_.end() ? nullptr : TakeAt(it->second);
}

std::unique_ptr<Worker> IdleWorkers::TakeExcess(SteadyTime now) {
  return NextExcess() <= now ? TakeAny() : nullptr;
}

SteadyTime IdleWorkers::NextExcess() const {
  if (idle_.empty()) return SteadyTime::InfiniteFuture();
  return idle_.front().since + (IsFull() ? std::min(kMoment, limits_.idle) : limits_.idle);
}

std::unique_ptr<Worker> IdleWorkers::TakeAny() {
  return idle_.empty() ? nullptr : TakeAt(idle_.begin());
}

}  // namespace kartograph::executor
