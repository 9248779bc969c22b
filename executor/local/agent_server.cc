#include "executor/local/agent_server.h"

#include <errno.h>
#include <fcntl.h>
#include <spdlog/spdlog.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"

namespace kartograph::executor::local {
namespace {

namespace asio = boost::asio;
using planner::AttemptId;

constexpr size_t kMaxUpdateBytes = 4 << 20;  // in one message, but for a single larger update
// How long a terminated agent waits for its last updates to be acknowledged.
constexpr absl::Duration kFlushTimeout = absl::Seconds(3);
// How often it checks that its folder and its socket are still there.
constexpr absl::Duration kFolderCheckPeriod = absl::Seconds(2);
constexpr int64_t kMaxGraceNs = int64_t{1} << 62;

}  // namespace

absl::StatusOr<std::unique_ptr<AgentServer>> AgentServer::Create(asio::io_context& io,
                                                                 Options options,
                                                                 std::function<void()> done) {
  Runner::Options runner_options;
  runner_options.sandbox_root = SandboxRoot(options.state_dir);
  runner_options.blob_folder = BlobFolder(options.state_dir);
  runner_options.cgroups = options.cgroups;
  absl::StatusOr<std::unique_ptr<RunnerProcesses>> processes =
      RunnerProcesses::Create(std::move(runner_options), options.sessions);
  if (!processes.ok()) return processes.status();
  std::unique_ptr<AgentServer> server(
      new AgentServer(io, std::move(options), std::move(done), *std::move(processes)));
  if (!server->state_folder_.ok()) return ErrnoStatus(errno, "cannot open the state folder");
  absl::Status opened = server->OpenSocket();
  if (!opened.ok()) return opened;
  return server;
}

AgentServer::AgentServer(asio::io_context& io, Options options, std::function<void()> done,
                         std::unique_ptr<RunnerProcesses> processes)
    : io_(io),
      options_(std::move(options)),
      done_(std::move(done)),
      processes_(std::move(processes)),
      agent_({.idle_exit = options_.idle_exit,
              .unknown =
                  options_.follows_killed ? "its agent was killed" : "the agent does not know it",
              .clock = &clock_},
             processes_.get()),
      state_folder_(open(options_.state_dir.c_str(), O_PATH | O_DIRECTORY | O_CLOEXEC)),
      listener_(io),
      ended_processes_(io, processes_->fd()),
      timer_(io),
      next_folder_check_(clock_.SteadyNow() + kFolderCheckPeriod) {
  agent_.AllowIdleExit(true);
  AwaitEndedProcesses();
  ScheduleTurn();
}

AgentServer::~AgentServer() {
  ended_processes_.release();
  RemoveSocket(options_.state_dir);
}

absl::Status AgentServer::OpenSocket() {
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  if (!listener.ok()) return listener.status();
  struct stat info = {};
  if (fstatat(state_folder_.get(), kSocketName, &info, AT_SYMLINK_NOFOLLOW) != 0) {
    return ErrnoStatus(errno, "cannot stat the agent's socket");
  }
  socket_device_ = info.st_dev;
  socket_inode_ = info.st_ino;
  boost::system::error_code error;
  listener_.close(error);
  listener_.assign(listener->Release());
  AwaitConnection();
  return absl::OkStatus();
}

void AgentServer::CheckFolder() {
  const SteadyTime now = clock_.SteadyNow();
  if (now < next_folder_check_ || agent_.draining()) return;
  next_folder_check_ = now + kFolderCheckPeriod;
  struct stat info = {};
  if (connections_.empty() && fstat(state_folder_.get(), &info) == 0 && info.st_nlink == 0) {
    spdlog::warn("the state folder is gone");
    return Terminate();
  }
  if (FolderWasMoved()) return LeaveMovedFolder();
  if (fstatat(state_folder_.get(), kSocketName, &info, AT_SYMLINK_NOFOLLOW) == 0) {
    if (info.st_dev == socket_device_ && info.st_ino == socket_inode_) return;
  } else if (errno != ENOENT) {
    return;
  }
  absl::Status opened = OpenSocket();
  if (opened.ok()) {
    spdlog::warn("the socket was removed; it is made again");
  } else if (!absl::IsNotFound(opened)) {
    spdlog::warn(std::string(opened.message()));
  }
}

bool AgentServer::FolderWasMoved() const {
  struct stat held = {};
  if (fstat(state_folder_.get(), &held) != 0 || held.st_nlink == 0) return false;
  struct stat named = {};
  if (stat(options_.state_dir.c_str(), &named) != 0) return errno == ENOENT;
  return named.st_dev != held.st_dev || named.st_ino != held.st_ino;
}

void AgentServer::LeaveMovedFolder() {
  spdlog::warn("the state folder is no longer at {}", options_.state_dir);
  Terminate();
}

void AgentServer::AwaitConnection() {
  listener_.async_wait(StreamDescriptor::wait_read, [this](const boost::system::error_code& error) {
    if (error) return;
    Accept();
    AwaitConnection();
  });
}

void AgentServer::Accept() {
  while (true) {
    Descriptor socket(
        accept4(listener_.native_handle(), nullptr, nullptr, SOCK_NONBLOCK | SOCK_CLOEXEC));
    if (!socket.ok()) return;
    struct ucred peer = {};
    socklen_t size = sizeof(peer);
    if (getsockopt(socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) != 0 ||
        (peer.uid != geteuid() && peer.uid != 0)) {
      spdlog::warn("refused a connection of user {}", peer.uid);
      continue;
    }
    auto connection = std::make_shared<Connection>(io_);
    connection->socket.assign(socket.Release());
    agent_.AllowIdleExit(false);
    connections_.push_back(connection);
    AwaitInput(connection);
  }
}

void AgentServer::AwaitInput(const ConnectionPtr& connection) {
  connection->socket.async_wait(StreamDescriptor::wait_read,
                                [this, connection](const boost::system::error_code& error) {
                                  if (error) return;
                                  Read(connection);
                                  Turn();
                                  if (!connection->broken && !is_done_) AwaitInput(connection);
                                });
}

void AgentServer::Read(const ConnectionPtr& connection) {
  if (connection->broken) return;
  const bool open = connection->reader.ReadFrom(connection->socket.native_handle());
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

void AgentServer::HandleMessage(const ConnectionPtr& connection, ToAgent* message) {
  if (message->has_hello()) HandleHello(connection, message->hello());
  if (connection == current_) {
    if (message->has_environment()) {
      const auto& variables = message->environment().variables();
      processes_->SetEnvironment({variables.begin(), variables.end()});
    }
    if (message->has_disk_limits()) {
      executor::DiskLimits limits;
      limits.log = std::max(message->disk_limits().log(), limits.kLeastLog);
      limits.reserve = std::max(message->disk_limits().reserve(), limits.kUsualReserve);
      processes_->SetDiskLimits(limits);
    }
    if (message->has_ram_headroom()) {
      processes_->SetRamHeadroom(std::max(message->ram_headroom(), executor::RamHeadroom::kUsual));
    }
    if (message->has_indexed()) HandleIndexed(connection, message->indexed());
    if (message->slots() > 0) agent_.SetSlots(static_cast<size_t>(message->slots()));
    for (wire::Launch& launch : *message->mutable_launches()) HandleLaunch(&launch);
    if (agent_.held() > 0) leaving_ = false;
    for (const Cancel& cancel : message->cancels()) {
      const AttemptId attempt = {cancel.attempt()};
      const int64_t grace_ns = std::clamp<int64_t>(cancel.grace_ns(), 0, kMaxGraceNs);
      if (agent_.Cancel(attempt, absl::Nanoseconds(grace_ns)) == Agent::CancelResult::kUnknown) {
        agent_.Query(attempt);
      }
    }
    for (uint64_t attempt : message->acknowledged()) agent_.Acknowledge({attempt});
    for (uint64_t attempt : message->asked()) agent_.Query({attempt});
  }
  if (message->ping() != 0) {
    FromAgent answer;
    answer.set_pong(message->ping());
    AppendFrame(answer, &connection->out);
    Send(connection);
  }
  if (message->leave_if_idle()) HandleLeave(connection);
}

void AgentServer::HandleHello(const ConnectionPtr& connection, const Hello& hello) {
  planner::ResourceNames names;
  absl::StatusOr<planner::ResourceVector> resources = wire::FromMessage(hello.resources(), &names);
  const bool accepted = hello.protocol_version() >= kOldestProtocolVersion &&
                        hello.oldest_protocol_version() <= kProtocolVersion && resources.ok();
  if (accepted) {
    if (current_ != nullptr && current_ != connection) {
      FromAgent farewell;
      farewell.set_replaced(true);
      AppendFrame(farewell, &current_->out);
      SendSome(current_->socket.native_handle(), &current_->out);
      current_->broken = true;
    }
    current_ = connection;
    names.KeepAll();
    agent_.SetCapacity(*std::move(resources));
    Lineage lineage;
    lineage.history = hello.history();
    lineage.incarnations.assign(hello.incarnations().begin(), hello.incarnations().end());
    if (FolderWasMoved()) LeaveMovedFolder();
    if (const size_t ended = agent_.SetLineage(std::move(lineage)); ended > 0) {
      spdlog::warn("ended {} attempts that the history does not know: they are another's", ended);
    }
    // Running attempts will be queried; ends are reported again.
    agent_.RepeatReports();
    spdlog::info("serving a new connection, with {}; {} attempts held",
                 agent_.capacity().ToString(), agent_.held());
  }
  FromAgent answer;
  answer.set_memory_limits(options_.memory_limits);
  Welcome* welcome = answer.mutable_welcome();
  welcome->set_protocol_version(kProtocolVersion);
  welcome->set_accepted(accepted);
  welcome->set_held_attempts(static_cast<int64_t>(agent_.held()));
  AppendFrame(answer, &connection->out);
  Send(connection);
}

void AgentServer::HandleIndexed(const ConnectionPtr& connection, const IndexedResources& indexed) {
  absl::StatusOr<planner::InstanceLists> lists = FromMessage(indexed);
  if (lists.ok()) return agent_.SetInstances(*std::move(lists));
  spdlog::warn("closed a connection: an indexed resource {}",
               std::string(lists.status().message()));
  connection->broken = true;
}

void AgentServer::HandleLaunch(wire::Launch* message) {
  const AttemptId attempt = {message->attempt()};
  const Incarnation incarnation = message->incarnation();
  planner::ResourceNames names;
  absl::StatusOr<executor::Launch> launch = wire::FromMessage(message, &names);
  if (!launch.ok()) {
    // It would be the same the next time, so it must not be sent again and again.
    return agent_.Refuse(attempt, incarnation, planner::Outcome::kNotStarted,
                         absl::StrCat("its launch cannot be read: ", launch.status().message()));
  }
  // Otherwise it is refused.
  if (launch->consumption.FitsIn(agent_.capacity())) names.KeepAll();
  agent_.Launch(*std::move(launch), incarnation);
}

void AgentServer::HandleLeave(const ConnectionPtr& connection) {
  if (agent_.held() == 0) {
    leaving_ = true;
    return;
  }
  FromAgent answer;
  answer.set_staying(true);
  AppendFrame(answer, &connection->out);
  Send(connection);
}

void AgentServer::DropBroken() {
  for (size_t i = 0; i < connections_.size();) {
    const ConnectionPtr connection = connections_[i];
    if (!connection->broken) {
      ++i;
      continue;
    }
    if (connection == current_) {
      current_.reset();
      spdlog::info("the connection has ended; {} attempts held", agent_.held());
    }
    boost::system::error_code error;
    connection->socket.close(error);
    connections_.erase(connections_.begin() + static_cast<ptrdiff_t>(i));
    if (connections_.empty()) agent_.AllowIdleExit(true);
  }
}

// The next batch is made when this one is sent.
void AgentServer::SendReports() {
  if (current_ == nullptr || current_->broken || !current_->out.empty()) return;
  FromAgent message;
  size_t bytes = 0;
  while (bytes < kMaxUpdateBytes) {
    std::optional<AttemptReport> report = agent_.NextReport();
    if (!report.has_value()) break;
    agent_.AddReturnValue(&*report);
    bytes += report->update.return_value.size() + report->update.message.size() + 100;
    wire::Update* update = message.add_updates();
    wire::ToMessage(report->update, update);
    update->set_incarnation(report->incarnation);
  }
  if (message.updates_size() == 0) return;
  AppendFrame(message, &current_->out);
  Send(current_);
}

void AgentServer::Send(const ConnectionPtr& connection) {
  if (!SendSome(connection->socket.native_handle(), &connection->out)) {
    connection->broken = true;
    ScheduleTurn();
    return;
  }
  if (connection->out.empty()) {
    std::string().swap(connection->out);  // it may have been large
    return;
  }
  if (std::exchange(connection->wants_output, true)) return;
  connection->socket.async_wait(StreamDescriptor::wait_write,
                                [this, connection](const boost::system::error_code& error) {
                                  if (error) return;
                                  connection->wants_output = false;
                                  Send(connection);
                                  Turn();
                                });
}

void AgentServer::AwaitEndedProcesses() {
  ended_processes_.async_wait(StreamDescriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                if (error) return;
                                Turn();
                                if (!is_done_) AwaitEndedProcesses();
                              });
}

void AgentServer::ScheduleTurn() {
  if (std::exchange(turn_scheduled_, true)) return;
  asio::post(io_, [this] {
    turn_scheduled_ = false;
    Turn();
  });
}

void AgentServer::Turn() {
  if (is_done_) return;
  agent_.Work();
  SendReports();
  agent_.Prepare();
  DropBroken();
  CheckFolder();
  const SteadyTime now = clock_.SteadyNow();
  if (IsDone(now)) {
    is_done_ = true;
    timer_.cancel();
    return done_();
  }
  ArmTimer(now);
}

void AgentServer::ArmTimer(SteadyTime now) {
  SteadyTime due = agent_.NextWork();
  if (current_ != nullptr && current_->out.empty()) due = std::min(due, agent_.NextReportAt());
  if (!agent_.draining()) due = std::min(due, next_folder_check_);
  if (agent_.drained()) due = std::min(due, flush_by_);
  if (due <= now) return ScheduleTurn();
  // A timer that goes off too early costs a turn; setting one costs as much.
  if (armed_for_ <= due && armed_for_ > now) return;
  armed_for_ = due;
  timer_.expires_at(due.ToChrono());
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (error) return;
    armed_for_ = SteadyTime::InfiniteFuture();
    Turn();
  });
}

void AgentServer::Terminate() {
  if (agent_.draining()) return;
  spdlog::info("ending; {} attempts run", agent_.running());
  const absl::Duration grace = agent_.Drain("the agent was stopped");
  flush_by_ = clock_.SteadyNow() + grace + kFlushTimeout;
  if (current_ != nullptr && !current_->broken) {
    FromAgent message;
    message.set_ending(true);
    AppendFrame(message, &current_->out);
    Send(current_);
  }
  ScheduleTurn();
}

bool AgentServer::IsDone(SteadyTime now) const {
  if (agent_.drained()) {
    return agent_.unacknowledged() == 0 || current_ == nullptr || now >= flush_by_;
  }
  if (agent_.held() > 0 || processes_->tidying()) return false;
  return leaving_ || (connections_.empty() && agent_.ShouldExit());
}

}  // namespace kartograph::executor::local
