#include "executor/local/agent.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/errno_status.h"

namespace kartograph::executor::local {
namespace {

using planner::AttemptId;
using planner::Outcome;

// An attempt that runs for so long is told to be running.
constexpr absl::Duration kTellStartAfter = absl::Milliseconds(5);
// Ends are looked for and told between so many starts.
constexpr int kStartsAtATime = 8;
// While there is more to start, nobody waits for the news of one end: those of so long go together.
constexpr absl::Duration kGatherEnds = absl::Milliseconds(1);
constexpr size_t kMaxUpdateBytes = 4 << 20;  // in one message, but for a single larger update
// How long a terminated agent waits for its last updates to be acknowledged.
constexpr absl::Duration kLastWords = absl::Seconds(3);
// How often an agent without a connection looks whether its folder is there.
constexpr absl::Duration kFolderCheckPeriod = absl::Seconds(2);

}  // namespace

absl::StatusOr<std::unique_ptr<Agent>> Agent::Create(Options options, int terminate_fd) {
  Runner::Options runner_options;
  runner_options.sandbox_root = SandboxRoot(options.state_dir);
  runner_options.cgroups = options.cgroups;
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(std::move(runner_options));
  if (!runner.ok()) return runner.status();
  absl::StatusOr<Descriptor> listener = Listen(options.state_dir);
  if (!listener.ok()) return listener.status();
  std::unique_ptr<Agent> agent(
      new Agent(std::move(options), *std::move(runner), *std::move(listener), terminate_fd));
  if (!agent->epoll_.ok()) return ErrnoStatus(errno, "cannot wait for events");
  return agent;
}

Agent::Agent(Options options, std::unique_ptr<Runner> runner, Descriptor listener, int terminate_fd)
    : options_(std::move(options)),
      state_folder_(open(options_.state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
      runner_(std::move(runner)),
      listener_(std::move(listener)),
      epoll_(epoll_create1(EPOLL_CLOEXEC)),
      terminate_fd_(terminate_fd),
      idle_since_(absl::Now()),
      next_folder_check_(absl::Now() + kFolderCheckPeriod) {
  for (int fd : {runner_->fd(), listener_.get(), terminate_fd_}) {
    struct epoll_event event = {};
    event.events = EPOLLIN;
    event.data.ptr = fd == listener_.get() ? &listener_ : nullptr;
    if (fd == terminate_fd_) event.data.ptr = &terminate_fd_;
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, fd, &event);
  }
}

Agent::~Agent() { RemoveSocket(options_.state_dir); }

void Agent::Run() {
  while (!IsDone()) {
    Wait();
    CollectEnded();
    StartQueued();
    FlushUpdates();
    PrepareNext();
    DropBroken();
    if (connections_.empty()) TerminateIfForsaken();
  }
}

int Agent::WaitMilliseconds() const {
  absl::Duration wait = runner_->UntilDue();
  if (!queue_.empty() && queue_.front().consumption.FitsIn(Free())) return 0;
  absl::Time now = absl::Now();
  if (!unsent_.empty() && current_ != nullptr && current_->out.empty()) {
    wait = std::min(wait, tell_by_ - now);
  }
  if (!started_.empty() && current_ != nullptr) {
    wait = std::min(wait, started_.front().time + kTellStartAfter - now);
  }
  if (connections_.empty()) {
    wait = std::min(wait, next_folder_check_ - now);
    if (held() == 0) wait = std::min(wait, idle_since_ + options_.idle_exit - now);
  }
  if (terminating_) wait = std::min(wait, terminate_by_ - now);
  if (wait >= absl::Hours(1)) return 3600 * 1000;
  // Rounded up, not to turn in circles for the last part of a millisecond.
  return wait <= absl::ZeroDuration()
             ? 0
             : static_cast<int>(absl::ToInt64Milliseconds(wait + absl::Microseconds(999)));
}

void Agent::Wait() {
  struct epoll_event events[16];
  int count = epoll_wait(epoll_.get(), events, 16, WaitMilliseconds());
  for (int i = 0; i < count; ++i) {
    void* source = events[i].data.ptr;
    if (source == nullptr) continue;  // the runner's, which is asked in every round
    if (source == &listener_) {
      Accept();
    } else if (source == &terminate_fd_) {
      char buffer[1024];
      if (read(terminate_fd_, buffer, sizeof(buffer)) > 0) Terminate();
    } else {
      auto* connection = static_cast<Connection*>(source);
      if (events[i].events & (EPOLLIN | EPOLLHUP | EPOLLERR)) Read(connection);
      if (events[i].events & EPOLLOUT) Send(connection);
    }
  }
}

void Agent::Accept() {
  while (true) {
    Descriptor socket(accept4(listener_.get(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.ok()) return;
    struct ucred peer = {};
    socklen_t size = sizeof(peer);
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
      spdlog::warn("refused a connection of user {}", peer.uid);
      continue;
    }
    auto connection = std::make_unique<Connection>();
    connection->socket = std::move(socket);
    struct epoll_event event = {};
    event.events = EPOLLIN;
    event.data.ptr = connection.get();
    epoll_ctl(epoll_.get(), EPOLL_CTL_ADD, connection->socket.get(), &event);
    connections_.push_back(std::move(connection));
  }
}

void Agent::Read(Connection* connection) {
  if (connection->broken) return;
  bool open = connection->reader.ReadFrom(connection->socket.get());
  while (!connection->broken) {
    ToAgent message;
    absl::StatusOr<bool> got = connection->reader.Next(&message);
    if (!got.ok()) {
      spdlog::warn("closed a connection: {}", std::string(got.status().message()));
      connection->broken = true;
    } else if (*got) {
      HandleMessage(connection, &message);
    } else {
      break;
    }
  }
  if (!open) connection->broken = true;
}

void Agent::HandleMessage(Connection* connection, ToAgent* message) {
  if (message->has_hello()) HandleHello(connection, message->hello());
  if (connection == current_) {
    for (wire::Launch& launch : *message->mutable_launches()) HandleLaunch(&launch);
    for (const Cancel& cancel : message->cancels()) {
      HandleCancel({cancel.attempt()}, absl::Nanoseconds(std::max<int64_t>(cancel.grace_ns(), 0)));
    }
    for (uint64_t attempt : message->acknowledged()) ended_.erase(attempt);
    for (uint64_t attempt : message->asked()) HandleQuestion({attempt});
  }
  if (message->leave_if_idle()) HandleLeave(connection);
}

void Agent::HandleHello(Connection* connection, const Hello& hello) {
  FromAgent answer;
  Welcome* welcome = answer.mutable_welcome();
  welcome->set_protocol_version(kProtocolVersion);
  welcome->set_held_attempts(static_cast<int64_t>(held()));
  planner::ResourceNames names;
  absl::StatusOr<planner::ResourceVector> resources = wire::FromMessage(hello.resources(), &names);
  bool accepted = hello.protocol_version() >= kOldestProtocolVersion &&
                  hello.oldest_protocol_version() <= kProtocolVersion && resources.ok();
  welcome->set_accepted(accepted);
  connection->welcome = true;
  if (accepted) {
    if (current_ != nullptr && current_ != connection) {
      FromAgent farewell;
      farewell.set_replaced(true);
      AppendFrame(farewell, &current_->out);
      SendSome(current_->socket.get(), &current_->out);
      current_->broken = true;
    }
    current_ = connection;
    names.KeepAll();
    total_ = *std::move(resources);
    // What runs is asked for; what has ended is told again.
    started_.clear();
    answers_.clear();
    unsent_.clear();
    for (const auto& [attempt, update] : ended_) unsent_.push_back(attempt);
    tell_by_ = absl::InfinitePast();
    spdlog::info("serving a new connection, with {}; {} attempts held", total_.ToString(), held());
  }
  AppendFrame(answer, &connection->out);
  Send(connection);
}

planner::ResourceVector Agent::Free() const {
  planner::ResourceVector free = total_;
  free -= used_;
  return free;
}

bool Agent::Holds(AttemptId attempt) const {
  return queued_.contains(attempt.value) || consumption_.contains(attempt.value) ||
         ended_.contains(attempt.value);
}

void Agent::HandleLaunch(wire::Launch* message) {
  AttemptId attempt = {message->attempt()};
  if (Holds(attempt)) return;
  AttemptUpdate refusal;
  refusal.attempt = attempt;
  refusal.outcome = Outcome::kRefused;
  refusal.end_time = absl::Now();
  planner::ResourceNames names;
  absl::StatusOr<executor::Launch> launch = wire::FromMessage(message, &names);
  if (!launch.ok()) {
    // It would be the same the next time: not to be sent again and again.
    refusal.outcome = Outcome::kNotStarted;
    refusal.message =
        absl::StrCat("its launch cannot be read: ", std::string(launch.status().message()));
  } else if (terminating_) {
    refusal.message = "the agent is ending";
  } else if (!launch->consumption.FitsIn(total_)) {
    refusal.message = absl::StrCat("needs ", launch->consumption.ToString(),
                                   ", the agent has only ", total_.ToString());
  } else {
    names.KeepAll();
    queued_[attempt.value] = launch->cancel_grace;
    queue_.push_back(*std::move(launch));
    return;
  }
  Tell(std::move(refusal));
}

void Agent::HandleCancel(AttemptId attempt, absl::Duration grace) {
  if (ended_.contains(attempt.value) || runner_->Cancel(attempt, grace)) return;
  AttemptUpdate update;
  update.attempt = attempt;
  if (queued_.erase(attempt.value) > 0) {
    runner_->Forget(attempt);
    update.outcome = Outcome::kCancelled;
    update.end_time = absl::Now();
    Tell(std::move(update));
  } else {
    update.outcome = Outcome::kLost;
    update.message = "the agent does not know it";
    answers_.push_back(std::move(update));
  }
}

void Agent::HandleQuestion(AttemptId attempt) {
  if (ended_.contains(attempt.value)) {
    unsent_.push_back(attempt.value);
    tell_by_ = absl::InfinitePast();
    return;
  }
  AttemptUpdate answer;
  answer.attempt = attempt;
  if (consumption_.contains(attempt.value)) {
    answer.start_time = runner_->StartTime(attempt);
  } else if (!queued_.contains(attempt.value)) {
    answer.outcome = Outcome::kLost;
    answer.message = "the agent does not know it";
  }
  answers_.push_back(std::move(answer));
}

void Agent::HandleLeave(Connection* connection) {
  if (held() == 0) {
    leaving_ = true;
    return;
  }
  FromAgent answer;
  answer.set_staying(true);
  AppendFrame(answer, &connection->out);
  Send(connection);
}

void Agent::DropBroken() {
  for (size_t i = 0; i < connections_.size();) {
    Connection* connection = connections_[i].get();
    if (!connection->broken) {
      ++i;
      continue;
    }
    if (connection == current_) {
      current_ = nullptr;
      spdlog::info("the connection has ended; {} attempts held", held());
    }
    connections_.erase(connections_.begin() + static_cast<ptrdiff_t>(i));
    idle_since_ = absl::Now();
  }
}

void Agent::StartQueued() {
  planner::ResourceVector free = Free();
  for (int started = 0; started < kStartsAtATime && !queue_.empty();) {
    executor::Launch& launch = queue_.front();
    uint64_t attempt = launch.attempt.value;
    if (!queued_.contains(attempt)) {
      queue_.pop_front();
      continue;
    }
    if (!launch.consumption.FitsIn(free)) return;
    ++started;
    if (runner_->Start(launch)) {
      used_ += launch.consumption;
      free -= launch.consumption;
      consumption_[attempt] = std::move(launch.consumption);
      grace_[attempt] = launch.cancel_grace;
      started_.push_back({attempt, runner_->StartTime({attempt})});
    }
    queued_.erase(attempt);
    queue_.pop_front();
  }
}

// While all resources are in use, what can be done for the next attempts is done.
void Agent::PrepareNext() {
  constexpr size_t kAhead = 4;
  for (size_t i = 0; i < queue_.size() && i < kAhead; ++i) {
    if (queued_.contains(queue_[i].attempt.value)) runner_->Prepare(queue_[i].attempt);
  }
}

void Agent::CollectEnded() {
  runner_->Poll(&just_ended_);
  for (AttemptUpdate& update : just_ended_) {
    auto it = consumption_.find(update.attempt.value);
    if (it != consumption_.end()) {
      used_ -= it->second;
      consumption_.erase(it);
      grace_.erase(update.attempt.value);
    }
    if (terminating_ && update.outcome == Outcome::kCancelled) {
      update.outcome = Outcome::kLost;
      update.message = "the agent was stopped";
    }
    Tell(std::move(update));
  }
  just_ended_.clear();
}

void Agent::Tell(AttemptUpdate update) {
  uint64_t attempt = update.attempt.value;
  idle_since_ = absl::Now();
  if (unsent_.empty()) tell_by_ = idle_since_ + kGatherEnds;
  ended_[attempt] = std::move(update);
  unsent_.push_back(attempt);
}

void Agent::FlushUpdates() {
  if (current_ == nullptr || current_->broken || !current_->out.empty()) return;
  FromAgent message;
  while (!started_.empty()) {
    auto [attempt, time] = started_.front();
    bool runs = consumption_.contains(attempt);
    if (runs && absl::Now() - time < kTellStartAfter) break;
    if (runs) {
      AttemptUpdate update;
      update.attempt.value = attempt;
      update.start_time = time;
      wire::ToMessage(update, message.add_updates());
    }
    started_.pop_front();
  }
  for (const AttemptUpdate& update : answers_) wire::ToMessage(update, message.add_updates());
  answers_.clear();
  size_t bytes = 0;
  bool gathers = !queue_.empty() && absl::Now() < tell_by_;
  while (!unsent_.empty() && !gathers) {
    auto it = ended_.find(unsent_.front());
    if (it != ended_.end()) {
      bytes += it->second.return_value.size() + it->second.message.size() + 100;
      if (message.updates_size() > 0 && bytes > kMaxUpdateBytes) break;
      wire::ToMessage(it->second, message.add_updates());
    }
    unsent_.pop_front();
  }
  if (message.updates_size() == 0) return;
  AppendFrame(message, &current_->out);
  Send(current_);
}

void Agent::Send(Connection* connection) {
  if (!SendSome(connection->socket.get(), &connection->out)) {
    connection->broken = true;
    return;
  }
  // The next batch is made when this one is gone.
  bool wants = !connection->out.empty() || (connection == current_ && !unsent_.empty());
  if (wants == connection->wants_output) return;
  connection->wants_output = wants;
  struct epoll_event event = {};
  event.events = EPOLLIN | (wants ? EPOLLOUT : 0u);
  event.data.ptr = connection;
  epoll_ctl(epoll_.get(), EPOLL_CTL_MOD, connection->socket.get(), &event);
}

void Agent::TerminateIfForsaken() {
  absl::Time now = absl::Now();
  if (now < next_folder_check_) return;
  next_folder_check_ = now + kFolderCheckPeriod;
  struct stat info;
  if (!terminating_ && fstat(state_folder_.get(), &info) == 0 && info.st_nlink == 0) Terminate();
}

void Agent::Terminate() {
  if (terminating_) return;
  spdlog::info("ending; {} attempts run", consumption_.size());
  terminating_ = true;
  terminate_by_ = absl::Now() + kLastWords;
  for (const auto& [attempt, grace] : grace_) {
    runner_->Cancel({attempt}, grace);
    terminate_by_ = std::max(terminate_by_, absl::Now() + grace + kLastWords);
  }
  for (const executor::Launch& launch : queue_) {
    if (queued_.erase(launch.attempt.value) == 0) continue;
    runner_->Forget(launch.attempt);
    AttemptUpdate update;
    update.attempt = launch.attempt;
    update.outcome = Outcome::kLost;
    update.message = "the agent was stopped";
    update.end_time = absl::Now();
    Tell(std::move(update));
  }
  queue_.clear();
}

bool Agent::IsDone() {
  if (terminating_ && consumption_.empty() && !runner_->tidying()) {
    return ended_.empty() || current_ == nullptr || absl::Now() >= terminate_by_;
  }
  if (held() > 0) {
    leaving_ = false;
    return false;
  }
  if (runner_->tidying()) return false;
  if (leaving_) return true;
  return connections_.empty() && absl::Now() >= idle_since_ + options_.idle_exit;
}

}  // namespace kartograph::executor::local
