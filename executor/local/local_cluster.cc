#include "executor/local/local_cluster.h"

#include <errno.h>
#include <poll.h>
#include <signal.h>
#include <spdlog/spdlog.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <thread>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_set.h"
#include "absl/strings/str_cat.h"
#include "base/byte_size.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "base/errno_status.h"
#include "base/mutex.h"
#include "base/pidfd.h"
#include "base/utf8.h"
#include "executor/local/agent.pb.h"
#include "executor/local/agent_process.h"
#include "executor/local/outbox.h"
#include "executor/local/protocol.h"
#include "executor/memory_limits.h"
#include "executor/runner/environment.h"
#include "executor/runner/sandbox.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor {
namespace {

using local::AppendFrame;
using local::FrameReader;
using local::FromAgent;
using local::ToAgent;

// Of payloads in one message, or one larger payload.
constexpr size_t kMaxLaunchBytes = 8 << 20;
constexpr absl::Duration kStartPatience = absl::Seconds(15);
constexpr absl::Duration kWelcomePatience = absl::Seconds(10);
constexpr absl::Duration kLeavePatience = absl::Seconds(3);
// An agent that sends an unreadable message this many times in a row, on one connection after the
// other, is ended: it would block everything forever.
constexpr int kMaxUnreadable = 3;
constexpr absl::Duration kFirstBackOff = absl::Milliseconds(20);
constexpr absl::Duration kLongestBackOff = absl::Seconds(5);
// Where it only has to be looked whether somebody has started the agent.
constexpr absl::Duration kLongestWait = absl::Milliseconds(500);

SteadyTime Now() { return Clock::System().SteadyNow(); }

class LocalCluster : public Cluster, public LogReader {
 public:
  LocalCluster(LocalClusterOptions options, std::unique_ptr<Sandboxes> sandboxes, int wake_fd)
      : options_(std::move(options)),
        sandboxes_(std::move(sandboxes)),
        wake_(wake_fd),
        outbox_(options_.max_unsent_bytes) {}
  ~LocalCluster() override;

  absl::Status Start(ClusterListener listener) override;
  void Execute(std::vector<Launch> launches) override;
  void Cancel(planner::AttemptId attempt, const AgentId& agent, absl::Duration grace) override;
  void Acknowledge(const std::vector<planner::AttemptId>& attempts) override;
  void Reconcile(std::vector<KnownAttempt> attempts) override;
  void Discard(planner::GraphId graph) override;
  void ReopenLogs() override;
  LogReader* logs() override { return this; }
  void ReadLog(const LogRequest& request,
               std::function<void(absl::StatusOr<LogChunk>)> done) override;
  std::string SandboxOf(planner::AttemptId attempt, const AgentId& agent) override;
  bool runs_containers() const override { return false; }
  bool reads_blobs() const override { return true; }

 private:
  void Send(const ToAgent& message);
  void GiveUp(const AgentId& agent);
  void Wake();
  bool stopping() {
    MutexLock lock(&mutex_);
    return stopping_;
  }

  // The I/O thread.
  void Run();
  // A connection that was welcomed, with what was read from it already.
  struct Link {
    Descriptor socket;
    FrameReader reader;
    bool has_pings = false;
    std::string memory_limits;
    int64_t held_attempts = 0;  // when it was greeted
    bool started = false;       // by us, just now
    pid_t pid = 0;              // 0: not known
    Descriptor agent;           // pidfd
  };
  absl::StatusOr<Link> Open();
  absl::StatusOr<Link> Greet();
  // Until the connection ends; says why.
  absl::Status Serve(Link* link);
  absl::Status HandleMessages(Link* link);
  // Pings an agent that is silent, and reports it when it does not answer. Until when there is
  // nothing more to do about it.
  SteadyTime CheckAgent(const Link& link);
  Offer NewOffer(const Link& link);
  bool starts_agents() const { return !options_.agent_binary.empty(); }
  // Whether it is about another attempt than we launched under this id.
  bool IsOfAnother(const wire::Update& update);
  absl::Status Unreadable(Link* link, const absl::Status& why);
  void Leave(Link* link);
  void Disconnect(const absl::Status& reason);
  // Waits until `socket` is ready, something woke us, or the time is over (false).
  bool WaitFor(int socket, bool output, absl::Duration patience);
  // Launches that never reached the agent are reported as such.
  void ReportDropped();
  void Notify(std::vector<ClusterEvent> events);

  void RemoveDiscarded();

  const LocalClusterOptions options_;
  const std::unique_ptr<Sandboxes> sandboxes_;
  const Descriptor wake_;  // eventfd
  ClusterListener listener_;
  std::thread io_;
  std::thread remover_;

  // Of the I/O thread alone.
  int64_t offers_ = 0;
  bool reported_connected_ = false;
  std::string reported_reason_;
  bool staying_ = false;
  bool has_instances_ = true;  // the agent can hand them out
  bool ended_for_good_ = false;
  uint64_t bytes_heard_ = 0;
  SteadyTime heard_at_;
  SteadyTime pinged_at_;
  bool unreachable_ = false;
  int unreadable_ = 0;  // connections in a row that soon ended with an unreadable message

  Mutex mutex_;
  CondVar to_remove_;
  bool stopping_ ABSL_GUARDED_BY(mutex_) = false;
  local::Outbox outbox_ ABSL_GUARDED_BY(mutex_);
  bool reported_full_ ABSL_GUARDED_BY(mutex_) = false;
  const Descriptor* agent_ ABSL_GUARDED_BY(mutex_) = nullptr;  // while it is connected: its pidfd
  bool discarded_ ABSL_GUARDED_BY(mutex_) = true;              // something may have to be removed
  // Not empty: the history belongs to another cluster.
  AgentId foreign_agent_ ABSL_GUARDED_BY(mutex_);
  // What this incarnation has launched and is not acknowledged: the agent may still report
  // another's attempt under the same id.
  absl::flat_hash_set<uint64_t> launched_ ABSL_GUARDED_BY(mutex_);
};

absl::Status LocalCluster::Start(ClusterListener listener) {
  listener_ = std::move(listener);
  io_ = std::thread([this] { Run(); });
  remover_ = std::thread([this] { RemoveDiscarded(); });
  return absl::OkStatus();
}

LocalCluster::~LocalCluster() {
  {
    MutexLock lock(&mutex_);
    stopping_ = true;
  }
  to_remove_.NotifyAll();
  Wake();
  if (io_.joinable()) io_.join();
  if (remover_.joinable()) remover_.join();
}

void LocalCluster::Wake() {
  uint64_t one = 1;
  // It can only fail when it is awake anyway.
  if (write(wake_.get(), &one, sizeof(one)) < 0) return;
}

void LocalCluster::Send(const ToAgent& message) {
  MutexLock lock(&mutex_);
  if (!outbox_.Put(message)) Wake();
}

void LocalCluster::Execute(std::vector<Launch> launches) {
  ToAgent message;
  size_t bytes = 0;
  if (options_.lineage.current() != 0) {
    MutexLock lock(&mutex_);
    for (const Launch& launch : launches) launched_.insert(launch.attempt.value);
  }
  for (Launch& launch : launches) {
    bytes += launch.payload.size();
    wire::Launch* one = message.add_launches();
    wire::ToMessage(std::move(launch), one);
    one->set_incarnation(options_.lineage.current());
    if (bytes < kMaxLaunchBytes) continue;
    Send(message);
    message.Clear();
    bytes = 0;
  }
  if (message.launches_size() > 0) Send(message);
}

void LocalCluster::Cancel(planner::AttemptId attempt, const AgentId&, absl::Duration grace) {
  ToAgent message;
  local::Cancel* cancel = message.add_cancels();
  cancel->set_attempt(attempt.value);
  cancel->set_grace_ns(absl::ToInt64Nanoseconds(grace));
  Send(message);
}

void LocalCluster::Acknowledge(const std::vector<planner::AttemptId>& attempts) {
  if (attempts.empty()) return;
  ToAgent message;
  {
    MutexLock lock(&mutex_);
    for (planner::AttemptId attempt : attempts) launched_.erase(attempt.value);
  }
  for (planner::AttemptId attempt : attempts) message.add_acknowledged(attempt.value);
  Send(message);
}

void LocalCluster::Reconcile(std::vector<KnownAttempt> attempts) {
  if (attempts.empty()) return;
  ToAgent message;
  for (const KnownAttempt& known : attempts) {
    if (known.agent != kLocalAgentId) return GiveUp(known.agent);
    message.add_asked(known.attempt.value);
  }
  Send(message);
}

// Answered as lost, it would run a second time here.
void LocalCluster::GiveUp(const AgentId& agent) {
  {
    MutexLock lock(&mutex_);
    foreign_agent_ = agent;
  }
  Wake();
}

void LocalCluster::ReadLog(const LogRequest& request,
                           std::function<void(absl::StatusOr<LogChunk>)> done) {
  absl::StatusOr<Sandboxes::Chunk> chunk =
      sandboxes_->Read(request.attempt, request.stream == LogStream::kStdout ? "stdout" : "stderr",
                       request.offset, request.max_bytes);
  if (!chunk.ok()) return done(chunk.status());
  done(LogChunk{chunk->offset, std::move(chunk->data)});
}

std::string LocalCluster::SandboxOf(planner::AttemptId attempt, const AgentId&) {
  std::string path = absl::StrCat(sandboxes_->root(), "/", SandboxFolder(attempt));
  return access(path.c_str(), F_OK) == 0 ? path : "";
}

void LocalCluster::Discard(planner::GraphId graph) {
  sandboxes_->Discard(graph);
  MutexLock lock(&mutex_);
  discarded_ = true;
  to_remove_.NotifyAll();
}

void LocalCluster::RemoveDiscarded() {
  while (true) {
    {
      MutexLock lock(&mutex_);
      while (!stopping_ && !discarded_) to_remove_.Wait(&mutex_);
      if (stopping_) return;  // what is left is removed after the next start
      discarded_ = false;
    }
    absl::Status removed = sandboxes_->RemoveDiscarded([this] { return stopping(); });
    if (!removed.ok()) spdlog::warn("sandboxes: {}", std::string(removed.message()));
  }
}

void LocalCluster::ReportDropped() {
  std::vector<planner::AttemptId> dropped;
  {
    MutexLock lock(&mutex_);
    dropped = outbox_.TakeDropped();
    if (outbox_.full() && !std::exchange(reported_full_, true)) {
      spdlog::warn(
          "local cluster: the agent of {} does not read; {} wait for it already, and nothing more "
          "is launched until it does",
          options_.state_dir, FormatBytes(outbox_.bytes()));
    }
    if (!outbox_.waiting()) reported_full_ = false;
  }
  std::vector<ClusterEvent> events;
  for (const planner::AttemptId attempt : dropped) {
    AttemptUpdate update;
    update.attempt = attempt;
    update.agent = kLocalAgentId;
    update.outcome = planner::Outcome::kDropped;
    update.message = "it never reached the agent";
    events.emplace_back(std::move(update));
  }
  Notify(std::move(events));
}

void LocalCluster::Notify(std::vector<ClusterEvent> events) {
  if (!events.empty() && !stopping()) listener_(std::move(events));
}

bool LocalCluster::WaitFor(int socket, bool output, absl::Duration patience) {
  struct pollfd waits[2] = {{wake_.get(), POLLIN, 0},
                            {socket, static_cast<short>(output ? POLLIN | POLLOUT : POLLIN), 0}};
  int milliseconds = patience >= absl::Hours(1)
                         ? -1
                         // Rounded up, so as not to spin for the last part of a millisecond.
                         : static_cast<int>(absl::ToInt64Milliseconds(
                               std::max(patience + absl::Microseconds(999), absl::ZeroDuration())));
  int ready = poll(waits, socket >= 0 ? 2 : 1, milliseconds);
  uint64_t count;
  if (ready > 0 && (waits[0].revents & POLLIN) && read(wake_.get(), &count, sizeof(count)) < 0) {
    return true;
  }
  return ready != 0;
}

void LocalCluster::Run() {
  absl::Duration back_off = kFirstBackOff;
  while (!stopping() && !ended_for_good_) {
    absl::StatusOr<Link> link = Open();
    absl::Status ended = link.status();
    if (link.ok()) {
      const SteadyTime begin = Now();
      ended = Serve(&*link);
      if (Now() - begin > kLongestBackOff) {
        back_off = kFirstBackOff;
        unreadable_ = 0;
      }
    }
    if (stopping()) return;
    Disconnect(ended);
    if (ended_for_good_) return;
    SteadyTime until = Now() + back_off;
    while (!stopping() && Now() < until) {
      WaitFor(-1, false, until - Now());
    }
    back_off = std::min(back_off * 2, starts_agents() ? kLongestBackOff : kLongestWait);
  }
}

void LocalCluster::Disconnect(const absl::Status& reason) {
  std::string text(reason.message());
  if (!reported_connected_ && text == reported_reason_) return;
  reported_connected_ = false;
  reported_reason_ = text;
  spdlog::warn("local cluster: {}", text);
  Notify({Disconnected{std::move(text)}});
}

absl::StatusOr<LocalCluster::Link> LocalCluster::Open() {
  absl::StatusOr<Link> link = Greet();
  // An agent that leaves makes room for a new one.
  if (link.ok() || !(absl::IsNotFound(link.status()) || absl::IsUnavailable(link.status()))) {
    return link;
  }
  if (stopping()) return link;
  if (!starts_agents()) {
    return absl::UnavailableError(
        absl::StrCat("no kartograph-local-agent serves ", options_.state_dir,
                     ", and this service is set to start none; start its unit"));
  }
  local::AgentCommand command;
  command.binary = options_.agent_binary;
  command.state_dir = options_.state_dir;
  command.cgroup = options_.cgroup;
  command.idle_exit = options_.agent_idle_exit;
  absl::Status started = local::StartAgent(command, kStartPatience);
  if (!started.ok()) return started;
  link = Greet();
  if (link.ok()) link->started = true;
  return link;
}

// Unavailable or NotFound where no agent serves.
absl::StatusOr<LocalCluster::Link> LocalCluster::Greet() {
  absl::StatusOr<Descriptor> socket = local::Connect(options_.state_dir);
  if (!socket.ok()) return socket.status();
  Link link;
  link.socket = *std::move(socket);
  struct ucred peer = {};
  socklen_t size = sizeof(peer);
  if (getsockopt(link.socket.get(), SOL_SOCKET, SO_PEERCRED, &peer, &size) == 0 && peer.pid > 0 &&
      peer.pid != getpid()) {
    link.pid = peer.pid;
    link.agent = OpenPidfd(peer.pid);
  }
  ToAgent greeting;
  greeting.mutable_hello()->set_protocol_version(local::kProtocolVersion);
  greeting.mutable_hello()->set_oldest_protocol_version(local::kOldestProtocolVersion);
  wire::ToMessage(options_.resources, greeting.mutable_hello()->mutable_resources());
  greeting.mutable_hello()->set_history(options_.lineage.history);
  for (const Incarnation incarnation : options_.lineage.incarnations) {
    greeting.mutable_hello()->add_incarnations(incarnation);
  }
  for (std::string& variable : InheritedEnvironment(environ)) {
    greeting.mutable_environment()->add_variables(std::move(variable));
  }
  greeting.mutable_disk_limits()->set_log(options_.disk_limits.log);
  greeting.mutable_disk_limits()->set_reserve(options_.disk_limits.reserve);
  greeting.set_ram_headroom(options_.ram_headroom);
  greeting.set_slots(options_.slots);
  local::ToMessage(options_.instances, greeting.mutable_indexed());
  std::string out;
  AppendFrame(greeting, &out);
  SteadyTime until = Now() + kWelcomePatience;
  for (bool hurried = false;;) {
    if (!hurried && stopping()) {
      // Still greeted, so that an agent that was just started can be told to leave.
      hurried = true;
      until = std::min(until, Now() + kLeavePatience);
    }
    if (!local::SendSome(link.socket.get(), &out)) {
      return absl::UnavailableError("the agent has gone away");
    }
    FromAgent answer;
    absl::StatusOr<bool> got = link.reader.Next(&answer);
    if (!got.ok()) return Unreadable(&link, got.status());
    if (*got && answer.has_welcome()) {
      const local::Welcome& welcome = answer.welcome();
      bool same = welcome.protocol_version() == local::kProtocolVersion;
      link.has_pings = welcome.protocol_version() >= local::kFirstWithPings;
      has_instances_ = welcome.protocol_version() >= local::kFirstWithInstances;
      link.memory_limits = ValidUtf8(answer.memory_limits());
      link.held_attempts = welcome.held_attempts();
      if (welcome.accepted() && (same || welcome.held_attempts() > 0)) return link;
      if (welcome.held_attempts() > 0) {
        return absl::FailedPreconditionError(absl::StrCat(
            "an agent of another version of Kartograph (protocol ", welcome.protocol_version(),
            ", this one speaks ", local::kProtocolVersion, ") still holds ",
            welcome.held_attempts(), " attempts; start that version again until they have ended"));
      }
      Leave(&link);
      return absl::UnavailableError("an idle agent of another version was asked to leave");
    }
    bool on_time = WaitFor(link.socket.get(), !out.empty(), until - Now());
    if (!on_time || Now() >= until) {
      return absl::DeadlineExceededError(
          absl::StrCat("the agent of ", options_.state_dir, " does not answer"));
    }
    if (!link.reader.ReadFrom(link.socket.get())) {
      return absl::UnavailableError("the agent has gone away");
    }
  }
}

Offer LocalCluster::NewOffer(const Link& link) {
  Offer offer;
  offer.id = absl::StrCat(kLocalAgentId, "-", ++offers_);
  offer.agent = kLocalAgentId;
  char name[256] = "localhost";
  gethostname(name, sizeof(name) - 1);
  offer.agent_name = ValidUtf8(name);
  offer.resources = options_.resources;
  if (!has_instances_ && !options_.instances.empty()) {
    spdlog::warn(
        "local cluster: the agent is of an earlier version and cannot hand out instances of "
        "indexed resources: tasks wait for these until it holds no attempts and kartographd is "
        "started again");
    for (const auto& [resource, names] : options_.instances) offer.resources.Set(resource, {});
  }
  offer.lease = true;
  offer.backlog = options_.backlog;
  offer.attributes = options_.attributes;
  // An older agent does not say.
  if (!link.memory_limits.empty()) offer.attributes.emplace_back(kMemoryLimits, link.memory_limits);
  std::sort(offer.attributes.begin(), offer.attributes.end());
  return offer;
}

SteadyTime LocalCluster::CheckAgent(const Link& link) {
  if (!link.has_pings) return SteadyTime::InfiniteFuture();
  const SteadyTime now = Now();
  if (link.reader.bytes_read() != bytes_heard_) {
    bytes_heard_ = link.reader.bytes_read();
    heard_at_ = now;
    if (std::exchange(unreachable_, false)) {
      spdlog::info("local cluster: the agent answers again");
      Notify({NewOffer(link)});
    }
  }
  if (unreachable_) return SteadyTime::InfiniteFuture();
  if (pinged_at_ <= heard_at_) {
    if (now - heard_at_ < options_.ping_interval) return heard_at_ + options_.ping_interval;
    ToAgent message;
    message.set_ping(1);
    Send(message);
    pinged_at_ = now;
  }
  if (now - pinged_at_ < options_.ping_interval) return pinged_at_ + options_.ping_interval;
  unreachable_ = true;
  spdlog::warn("local cluster: the agent of {} does not answer", options_.state_dir);
  Notify({AgentUnreachable{kLocalAgentId}});
  return SteadyTime::InfiniteFuture();
}

void LocalCluster::ReopenLogs() {
  MutexLock lock(&mutex_);
  if (agent_ != nullptr && agent_->ok()) SendSignal(*agent_, SIGHUP);
}

absl::Status LocalCluster::Serve(Link* link) {
  {
    MutexLock lock(&mutex_);
    outbox_.Connect(link->socket.get());
    reported_full_ = false;
    agent_ = &link->agent;
  }
  reported_connected_ = true;
  std::string agent = absl::StrCat(
      "agent ", link->pid, " was ", link->started ? "started" : "found running", ", with ",
      link->held_attempts,
      " attempts; memory limits: ", link->memory_limits.empty() ? "not told" : link->memory_limits);
  if (options_.on_agent) {
    options_.on_agent(std::move(agent));
  } else {
    spdlog::info("local cluster: {}", agent);
  }
  reported_reason_.clear();
  bytes_heard_ = 0;
  heard_at_ = pinged_at_ = Now();
  unreachable_ = false;
  Notify({Connected{}, NewOffer(*link)});

  absl::Status ended = HandleMessages(link);
  while (ended.ok()) {
    ReportDropped();
    const SteadyTime check_at = CheckAgent(*link);
    bool output;
    {
      MutexLock lock(&mutex_);
      // A failure shows when reading, after what the agent still had to send.
      outbox_.Flush();
      output = outbox_.waiting();
      if (stopping_) break;
      if (!foreign_agent_.empty()) {
        ended_for_good_ = true;
        ended = absl::FailedPreconditionError(absl::StrCat(
            "attempts of the history run on agent ", foreign_agent_,
            " of another cluster; start kartographd with the --cluster it had before until they "
            "have ended"));
        break;
      }
    }
    WaitFor(link->socket.get(), output, check_at - Now());
    bool open = link->reader.ReadFrom(link->socket.get());
    ended = HandleMessages(link);
    if (ended.ok() && !open) ended = absl::UnavailableError("the agent has ended");
  }
  std::string unsent;
  {
    MutexLock lock(&mutex_);
    unsent = outbox_.Disconnect();
    agent_ = nullptr;
  }
  if (ended.ok()) {
    // There may be acknowledgements in it.
    SteadyTime until = Now() + kLeavePatience;
    while (local::SendSome(link->socket.get(), &unsent) && !unsent.empty() && Now() < until) {
      WaitFor(link->socket.get(), true, absl::Milliseconds(50));
      link->reader.ReadFrom(link->socket.get());
    }
    if (unsent.empty() && starts_agents()) Leave(link);
  }
  return ended;
}

absl::Status LocalCluster::HandleMessages(Link* link) {
  std::vector<ClusterEvent> events;
  absl::Status ended;
  while (true) {
    FromAgent message;
    absl::StatusOr<bool> got = link->reader.Next(&message);
    if (!got.ok()) ended = Unreadable(link, got.status());
    if (!got.ok() || !*got) break;
    // Its offer is void. What it says of its attempts still counts.
    if (message.ending()) events.push_back(AgentUnreachable{kLocalAgentId});
    for (wire::Update& one : *message.mutable_updates()) {
      if (IsOfAnother(one)) continue;
      const planner::AttemptId attempt{one.attempt()};
      absl::StatusOr<AttemptUpdate> update = wire::FromMessage(&one);
      if (!update.ok()) {
        spdlog::warn("local cluster: the end of {} cannot be read: {}",
                     planner::AttemptIdToString(attempt), std::string(update.status().message()));
        update = wire::UnreadableEnd(attempt, update.status());
      }
      update->agent = kLocalAgentId;
      events.push_back(*std::move(update));
    }
    if (message.staying()) staying_ = true;
    if (message.replaced()) {
      ended_for_good_ = true;
      ended = absl::UnavailableError(
          absl::StrCat("another kartographd has taken over the agent of ", options_.state_dir));
    }
  }
  Notify(std::move(events));
  return ended;
}

bool LocalCluster::IsOfAnother(const wire::Update& update) {
  const Incarnation incarnation = update.incarnation();
  if (incarnation == 0 || incarnation == options_.lineage.current()) return false;
  MutexLock lock(&mutex_);
  return launched_.contains(update.attempt());
}

absl::Status LocalCluster::Unreadable(Link* link, const absl::Status& why) {
  if (++unreadable_ < kMaxUnreadable) {
    return absl::UnavailableError(
        absl::StrCat("the agent violates the protocol: ", std::string(why.message())));
  }
  unreadable_ = 0;
  if (link->agent.ok()) SendSignal(link->agent, SIGKILL);
  return absl::UnavailableError(
      absl::StrCat("the agent violated the protocol ", kMaxUnreadable, " times in a row (",
                   std::string(why.message()),
                   "), so it is ended; attempts that it held run again under another one"));
}

void LocalCluster::Leave(Link* link) {
  ToAgent message;
  message.set_leave_if_idle(true);
  std::string out;
  AppendFrame(message, &out);
  staying_ = false;
  SteadyTime until = Now() + kLeavePatience;
  while (local::SendSome(link->socket.get(), &out) && !staying_ && Now() < until) {
    WaitFor(link->socket.get(), !out.empty(), until - Now());
    if (!link->reader.ReadFrom(link->socket.get())) return;
    FromAgent answer;
    for (absl::StatusOr<bool> got = true; got.ok() && *got;) {
      got = link->reader.Next(&answer);
      if (got.ok() && *got && answer.staying()) staying_ = true;
    }
  }
}

}  // namespace

absl::StatusOr<std::unique_ptr<Cluster>> CreateLocalCluster(LocalClusterOptions options) {
  if (options.state_dir.empty() || options.state_dir[0] != '/') {
    return absl::FailedPreconditionError(
        absl::StrCat("the state folder \"", options.state_dir, "\" is not an absolute path"));
  }
  if (!options.agent_binary.empty() && access(options.agent_binary.c_str(), X_OK) != 0) {
    return ErrnoStatus(errno, absl::StrCat("cannot execute the agent ", options.agent_binary));
  }
  absl::StatusOr<std::unique_ptr<Sandboxes>> sandboxes =
      Sandboxes::Open(local::SandboxRoot(options.state_dir));
  if (!sandboxes.ok()) return sandboxes.status();
  int wake = eventfd(0, EFD_NONBLOCK | EFD_CLOEXEC);
  if (wake < 0) return ErrnoStatus(errno, "cannot make an event descriptor");
  return std::make_unique<LocalCluster>(std::move(options), *std::move(sandboxes), wake);
}

}  // namespace kartograph::executor
