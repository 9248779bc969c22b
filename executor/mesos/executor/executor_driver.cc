#include "executor/mesos/executor/executor_driver.h"

#include <sys/random.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "executor/mesos/digest.h"
#include "executor/mesos/executor/predecessors.h"
#include "executor/payload.pb.h"
#include "executor/runner/host_report.h"
#include "executor/wire/attempt.h"
#include "planner/ids.h"
#include "planner/instances.h"

namespace kartograph::executor::mesos {
namespace {

namespace asio = boost::asio;
namespace v1 = kartograph::mesos;
using planner::AttemptId;
using planner::Outcome;
using v1::executor::Call;
using v1::executor::Event;

constexpr char kBlobs[] = "blobs";
constexpr absl::Duration kPredecessorPatience = absl::Seconds(5);
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
// How long the agent's acknowledgements are waited for when everything has ended.
constexpr absl::Duration kFlushTimeout = absl::Seconds(1);
// Parts of values that one message may ask for; more are asked for again.
constexpr int kMaxValueRequests = 8;
// The framework asks for the next part within this.
constexpr absl::Duration kValuePatience = absl::Seconds(20);
// Of return values that are sent again in one call, when the agent is back; more are left in their
// sandboxes.
constexpr size_t kMaxRepeatedBytes = 4 << 20;
// Between two looks at the memory of all attempts, and where they grow; looking takes at most one
// part in so many of the time.
constexpr absl::Duration kLookAtMemory = absl::Milliseconds(50);
constexpr absl::Duration kLookAtGrowing = absl::Milliseconds(10);
constexpr int kLookShare = 100;
// How often it is asked whether there is something to tell of that.
constexpr absl::Duration kTellOveruse = absl::Milliseconds(20);

// To the executor's stderr, which the agent keeps in its sandbox.
void Log(absl::string_view text) {
  const std::string line = absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", Clock::System().WallNow(), absl::UTCTimeZone()), " ",
      text, "\n");
  fwrite(line.data(), 1, line.size(), stderr);
}

uint32_t RandomSeed() {
  uint32_t seed = 1;
  return getrandom(&seed, sizeof(seed), 0) == sizeof(seed) ? seed : 1;
}

// Version 4 of RFC 4122.
std::string NewUuid() {
  unsigned char bytes[16];
  while (getrandom(bytes, sizeof(bytes), 0) != sizeof(bytes)) {
  }
  bytes[6] = (bytes[6] & 0x0f) | 0x40;
  bytes[8] = (bytes[8] & 0x3f) | 0x80;
  return std::string(reinterpret_cast<const char*>(bytes), sizeof(bytes));
}

v1::TaskState StateOf(Outcome outcome) {
  switch (outcome) {
    case Outcome::kNone:
      return v1::TASK_RUNNING;
    case Outcome::kSucceeded:
      return v1::TASK_FINISHED;
    case Outcome::kCancelled:
    case Outcome::kLost:  // we were shut down
      return v1::TASK_KILLED;
    default:
      return v1::TASK_FAILED;
  }
}

// Under which all executors of the framework on this host hand out instances: there may be several,
// of other roles, or of a kartographd that had other settings.
std::string SharedName(const ExecutorEnvironment& environment) {
  return absl::StrCat("kartograph/", Digest(environment.framework_id));
}

// The attempt of a task; the message of an error says what is wrong with it.
absl::StatusOr<executor::Launch> ReadLaunch(const std::string& task_id, const std::string& data,
                                            Incarnation* incarnation) {
  planner::ResourceNames names;
  wire::Launch message;
  if (!message.ParseFromString(data)) {
    return absl::InvalidArgumentError("the task's data is not the launch of an attempt");
  }
  *incarnation = message.incarnation();
  absl::StatusOr<executor::Launch> launch = wire::FromMessage(&message, &names);
  if (launch.ok() && planner::AttemptIdToString(launch->attempt) != task_id) {
    return absl::InvalidArgumentError(absl::StrCat("the task's data is a launch of ",
                                                   planner::AttemptIdToString(launch->attempt),
                                                   ", its id is ", task_id));
  }
  if (launch.ok()) names.KeepAll();
  return launch;
}

// The blobs that an attempt reads. What is no id of one is left to the runner, which refuses it.
std::vector<std::string> BlobsOf(const executor::Launch& launch) {
  Payload payload;
  if (!payload.ParseFromString(launch.payload)) return {};
  std::vector<std::string> blobs(payload.blobs().begin(), payload.blobs().end());
  if (!payload.input_blob().empty()) blobs.push_back(payload.input_blob());
  std::erase_if(blobs, [](const std::string& id) { return !IsSha256(id); });
  return blobs;
}

}  // namespace

absl::StatusOr<std::unique_ptr<ExecutorDriver>> ExecutorDriver::Create(asio::io_context& io,
                                                                       Options options,
                                                                       DoneFunction done) {
  if (const int killed = EndPredecessors(options.environment.sandbox, kPredecessorPatience);
      killed > 0) {
    Log(absl::StrCat("killed ", killed, " processes of executors that were killed"));
  }
  absl::StatusOr<std::unique_ptr<SessionRecord>> sessions =
      SessionRecord::Create(absl::StrCat(options.environment.sandbox, "/", kSessionsFile), "");
  if (!sessions.ok()) return sessions.status();
  Runner::Options runner_options;
  runner_options.sandbox_root = absl::StrCat(options.environment.sandbox, "/", kSandboxesFolder);
  runner_options.disk_limits = options.disk_limits;
  runner_options.ram_headroom = options.ram_headroom;
  runner_options.logs_read_remotely = true;
  runner_options.workers.memory = options.idle_memory;
  runner_options.blob_folder = absl::StrCat(options.environment.sandbox, "/", kBlobs);
  absl::StatusOr<std::unique_ptr<BlobFetcher>> blobs = BlobFetcher::Create(
      {.folder = runner_options.blob_folder, .disk_reserve = options.disk_limits.reserve});
  if (!blobs.ok()) return blobs.status();
  absl::StatusOr<std::unique_ptr<RunnerProcesses>> processes =
      RunnerProcesses::Create(std::move(runner_options), sessions->get());
  if (!processes.ok()) return processes.status();
  std::unique_ptr<ExecutorDriver> driver(
      new ExecutorDriver(io, std::move(options), std::move(done), *std::move(sessions),
                         *std::move(processes), *std::move(blobs)));
  if (absl::Status keeps = driver->BeginToKeepSandboxes(); !keeps.ok()) return keeps;
  return driver;
}

ExecutorDriver::ExecutorDriver(asio::io_context& io, Options options, DoneFunction done,
                               std::unique_ptr<SessionRecord> sessions,
                               std::unique_ptr<RunnerProcesses> processes,
                               std::unique_ptr<BlobFetcher> blobs)
    : io_(io),
      options_(std::move(options)),
      done_(std::move(done)),
      sessions_(std::move(sessions)),
      processes_(std::move(processes)),
      blobs_(std::move(blobs)),
      attempts_({.holds_to_capacity = false,
                 .report_running_after = options_.tell_running_after,
                 .gather_ends = absl::ZeroDuration(),
                 .idle_exit = options_.idle_exit,
                 .instances_shared_as = SharedName(options_.environment),
                 .clock = &clock_},
                processes_.get()),
      ended_processes_(io, processes_->fd()),
      timer_(io),
      random_(RandomSeed()),
      backoff_(kFirstBackoff) {
  planner::InstanceLists instances;
  for (const planner::Resource resource : options_.indexed) {
    instances[resource] = planner::NumberedInstances();
  }
  attempts_.SetInstances(std::move(instances));
  AwaitEndedProcesses();
  ScheduleTurn();
}

absl::Status ExecutorDriver::BeginToKeepSandboxes() {
  SandboxKeeper::Options options;
  options.sandbox = options_.environment.sandbox;
  options.attempts = kSandboxesFolder;
  options.own_bytes = options_.own_disk;
  options.period = options_.disk_look_period;
  options.on_measured = [this] { asio::post(io_, [this] { ScheduleTurn(); }); };
  absl::StatusOr<std::unique_ptr<SandboxKeeper>> keeper = SandboxKeeper::Create(std::move(options));
  if (!keeper.ok()) return keeper.status();
  keeper_ = *std::move(keeper);
  return absl::OkStatus();
}

ExecutorDriver::~ExecutorDriver() { ended_processes_.release(); }

void ExecutorDriver::Connect() {
  connect_at_ = kNever;
  if (recover_by_ == kNever) {
    recover_by_ = clock_.SteadyNow() + options_.environment.recovery_timeout;
  }
  Call call = NewCall(Call::SUBSCRIBE);
  outbox_.Fill(call.mutable_subscribe());
  size_t bytes = 0;
  for (auto& update : *call.mutable_subscribe()->mutable_unacknowledged_updates()) {
    const size_t left = kMaxRepeatedBytes - std::min(bytes, kMaxRepeatedBytes);
    bytes += AddReturnValue(left, update.mutable_status());
  }
  ApiSession::Options session;
  session.endpoint = options_.environment.agent;
  session.authorization = options_.environment.authorization;
  session.tls_context = options_.tls_context;
  session_ = ApiSession::Open(io_, std::move(session), call.SerializeAsString(),
                              {[this](absl::string_view record) { OnRecord(record); },
                               [this](const SessionEnd& end) { OnEnd(end); }});
}

Call ExecutorDriver::NewCall(Call::Type type) const {
  Call call;
  call.set_type(type);
  call.mutable_executor_id()->set_value(options_.environment.executor_id);
  call.mutable_framework_id()->set_value(options_.environment.framework_id);
  return call;
}

void ExecutorDriver::OnRecord(absl::string_view record) {
  ScheduleTurn();
  Event event;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    Log("the agent sent a malformed event");
    return;
  }
  switch (event.type()) {
    case Event::SUBSCRIBED:
      return OnSubscribed(event.subscribed());
    case Event::LAUNCH:
      return Launch(std::move(*event.mutable_launch()->mutable_task()));
    case Event::KILL:
      return Kill(event.kill());
    case Event::ACKNOWLEDGED:
      return OnAcknowledged(event.acknowledged());
    case Event::MESSAGE:
      return OnMessage(event.message().data());
    case Event::ERROR:
      return BeginEnd(1, absl::StrCat("the agent says: ", event.error().message()));
    case Event::SHUTDOWN:
      return ShutDown("the agent requested it");
    default:
      return;  // a heartbeat, or what is not ours
  }
}

void ExecutorDriver::OnSubscribed(const Event::Subscribed& subscribed) {
  subscribed_ = true;
  recover_by_ = kNever;
  backoff_ = kFirstBackoff;
  report_at_ = clock_.SteadyNow();
  tells_killing_ = false;
  for (const auto& capability : subscribed.framework_info().capabilities()) {
    if (capability.type() == v1::FrameworkInfo::Capability::TASK_KILLING_STATE) {
      tells_killing_ = true;
    }
  }
  Log(absl::StrCat("subscribed with ", options_.environment.agent.ToString(), "; ",
                   attempts_.running(), " attempts run"));
}

void ExecutorDriver::OnEnd(const SessionEnd& end) {
  ScheduleTurn();
  session_.reset();
  subscribed_ = false;
  report_at_ = kNever;
  if (end.message != last_problem_ || recover_by_ == kNever) Log(end.message);
  last_problem_ = end.message;
  if (ending_) return;
  if (!options_.environment.checkpoint) return BeginEnd(1, end.message);
  // Half of what the agent allows: it waits no longer than that for its executors when it is back.
  const absl::Duration most = options_.environment.max_backoff / 2;
  backoff_ = std::min(backoff_ * 2, most);
  const double part = std::uniform_real_distribution<double>(0.5, 1)(random_);
  const SteadyTime now = clock_.SteadyNow();
  connect_at_ = now + backoff_ * part;
  if (recover_by_ == kNever) recover_by_ = now + options_.environment.recovery_timeout;
}

void ExecutorDriver::SendUpdates() {
  while (std::optional<AttemptReport> report = attempts_.NextReport()) {
    const v1::TaskState state = StateOf(report->update.outcome);
    Update(*std::move(report), state);
  }
  if (!subscribed_) return;
  while (const v1::TaskStatus* status = outbox_.NextToSend()) {
    Call call = NewCall(Call::UPDATE);
    *call.mutable_update()->mutable_status() = *status;
    AddReturnValue(options_.max_sent_result_bytes, call.mutable_update()->mutable_status());
    session_->Call(call.SerializeAsString(), [](const absl::Status& answer) {
      if (!answer.ok()) Log(answer.message());
    });
  }
}

void ExecutorDriver::SendMessage(const v1::FromExecutor& message) {
  Call call = NewCall(Call::MESSAGE);
  call.mutable_message()->set_data(message.SerializeAsString());
  session_->Call(call.SerializeAsString(), nullptr);
}

void ExecutorDriver::ReportHost() {
  v1::FromExecutor report;
  wire::ToMessage(ReadHostReport("/proc", options_.environment.sandbox), report.mutable_host());
  // Again, for a framework that was not there.
  if (told_overuse_.ByteSizeLong() > 0) *report.mutable_overuse() = told_overuse_;
  SendMessage(report);
  report_at_ = clock_.SteadyNow() + options_.report_interval;
}

void ExecutorDriver::LookAtMemory(SteadyTime now) {
  look_at_ = kNever;
  if (attempts_.running() == 0) return;
  const bool grows = overuse_.SetMemory(processes_->LookAtMemory());
  const absl::Duration cost = clock_.SteadyNow() - now;
  look_at_ = now + std::max(grows ? kLookAtGrowing : kLookAtMemory, kLookShare * cost);
}

void ExecutorDriver::TellOveruse(SteadyTime now) {
  if (now < tell_overuse_at_) return;
  tell_overuse_at_ = now + kTellOveruse;
  overuse_.SetDisk(keeper_->usage());
  v1::Overuse overuse = overuse_.Describe();
  if (!OveruseTable::IsNews(overuse, told_overuse_)) return;
  told_overuse_ = std::move(overuse);
  v1::FromExecutor message;
  *message.mutable_overuse() = told_overuse_;
  SendMessage(message);
}

void ExecutorDriver::Launch(v1::TaskInfo task) {
  const std::string task_id = task.task_id().value();
  agent_id_ = task.agent_id();
  // The agent reads no more than the id of a task that is sent again.
  const std::string data = std::move(*task.mutable_data());
  task.clear_data();
  if (!outbox_.AddTask(std::move(task))) return;
  Incarnation incarnation = 0;
  absl::StatusOr<executor::Launch> launch = ReadLaunch(task_id, data, &incarnation);
  if (launch.ok()) {
    const AttemptId attempt = launch->attempt;
    overuse_.OnLaunch(attempt, launch->consumption);
    keeper_->OnLaunch(attempt, OveruseTable::DiskOf(launch->consumption));
    look_at_ = std::min(look_at_, clock_.SteadyNow() + kLookAtGrowing);
    const std::vector<std::string> blobs = BlobsOf(*launch);
    if (blobs.empty() || ending_ || blobs_->Acquire(attempt, blobs)) {
      return attempts_.Launch(*std::move(launch), incarnation);
    }
    held_[attempt.value] = {*std::move(launch), incarnation};
    return;
  }
  v1::TaskStatus status = NewStatus(task_id, v1::TASK_ERROR);
  status.set_reason(v1::TaskStatus::REASON_TASK_INVALID);
  status.set_message(wire::MessageText(launch.status().message()));
  outbox_.AddUpdate(std::move(status));
}

bool ExecutorDriver::EndHeld(AttemptId attempt, Outcome outcome, const std::string& why) {
  auto it = held_.find(attempt.value);
  if (it == held_.end()) return false;
  const Incarnation incarnation = it->second.incarnation;
  held_.erase(it);
  attempts_.Refuse(attempt, incarnation, outcome, why);
  return true;
}

void ExecutorDriver::FetchBlobs() {
  for (const BlobFetcher::Ready& ready : blobs_->TakeReady()) {
    auto it = held_.find(ready.attempt.value);
    if (it == held_.end()) continue;
    if (ready.status.ok()) {
      attempts_.Launch(std::move(it->second.launch), it->second.incarnation);
      held_.erase(it);
      continue;
    }
    const bool lacking = absl::IsNotFound(ready.status);
    EndHeld(ready.attempt, lacking ? Outcome::kNotStarted : Outcome::kAgentFailed,
            std::string(ready.status.message()));
  }
  if (!subscribed_) return;
  v1::FromExecutor wanted;
  for (v1::BlobRequest& request : blobs_->TakeRequests()) {
    *wanted.add_blob_requests() = std::move(request);
  }
  if (wanted.blob_requests().empty()) return;
  SendMessage(wanted);
}

void ExecutorDriver::OnAcknowledged(const Event::Acknowledged& acknowledged) {
  const std::string& task_id = acknowledged.task_id().value();
  if (!outbox_.Acknowledge(task_id, acknowledged.uuid())) return;
  return_values_.erase(task_id);
  if (const std::optional<AttemptId> attempt = planner::ParseAttemptId(task_id)) {
    attempts_.Acknowledge(*attempt);
    if (named_files_.erase(task_id) == 0) keeper_->OnAcknowledged(*attempt);
  }
}

void ExecutorDriver::Kill(const Event::Kill& kill) {
  const std::string& task_id = kill.task_id().value();
  const std::optional<AttemptId> attempt = planner::ParseAttemptId(task_id);
  if (!attempt || !outbox_.IsAlive(task_id)) {
    // The agent has its end, or will have it; of tasks that never came here it knows better than we
    // do.
    Log(absl::StrCat("there is no task ", task_id, " to kill"));
    return;
  }
  std::optional<absl::Duration> grace;
  if (kill.kill_policy().has_grace_period()) {
    grace =
        absl::Nanoseconds(std::max<int64_t>(0, kill.kill_policy().grace_period().nanoseconds()));
  }
  if (EndHeld(*attempt, Outcome::kCancelled, "")) return;
  AttemptReport killing;
  killing.update.attempt = *attempt;
  killing.update.start_time = attempts_.StartTime(*attempt);
  if (attempts_.Cancel(*attempt, grace) != Agent::CancelResult::kEnding) return;
  if (!killed_.insert(attempt->value).second || !tells_killing_) return;
  if (std::optional<AttemptReport> running = attempts_.TakeRunningReport(*attempt)) {
    killing.incarnation = running->incarnation;
    Update(*std::move(running), v1::TASK_RUNNING);
  }
  Update(std::move(killing), v1::TASK_KILLING);
}

void ExecutorDriver::OnMessage(const std::string& data) {
  v1::ToExecutor message;
  if (!message.ParseFromString(data)) {
    Log("the framework sent a malformed message");
    return;
  }
  for (uint32_t graph : message.discard_graphs()) keeper_->Discard(graph);
  for (const v1::BlobPart& part : message.blob_parts()) blobs_->Receive(part);
  SendValues(message);
}

void ExecutorDriver::SendValues(const v1::ToExecutor& wanted) {
  if (!subscribed_) return;  // it is asked again
  const int count = std::min(wanted.value_requests_size(), kMaxValueRequests);
  for (int i = 0; i < count; ++i) {
    const v1::ValueRequest& request = wanted.value_requests(i);
    v1::FromExecutor answer;
    v1::ValuePart& part = *answer.add_value_parts();
    part.set_attempt(request.attempt());
    part.set_offset(request.offset());
    absl::StatusOr<std::string> data = absl::NotFoundError("no such offset");
    if (request.offset() >= 0) {
      data = processes_->ReadResultPart({request.attempt()}, request.offset(),
                                        static_cast<int64_t>(options_.max_sent_result_bytes));
    }
    if (data.ok() && !data->empty()) {
      part.set_data(*std::move(data));
    } else {
      part.set_not_kept(true);
    }
    SendMessage(answer);
    value_asked_at_ = clock_.SteadyNow();
  }
}

v1::TaskStatus ExecutorDriver::NewStatus(const std::string& task_id, v1::TaskState state) const {
  v1::TaskStatus status;
  status.mutable_task_id()->set_value(task_id);
  status.set_state(state);
  status.set_source(v1::TaskStatus::SOURCE_EXECUTOR);
  status.mutable_executor_id()->set_value(options_.environment.executor_id);
  if (agent_id_.has_value()) *status.mutable_agent_id() = agent_id_;
  status.set_timestamp(absl::ToDoubleSeconds(clock_.WallNow() - absl::UnixEpoch()));
  status.set_uuid(NewUuid());
  return status;
}

void ExecutorDriver::Update(AttemptReport report, v1::TaskState state) {
  v1::TaskStatus status = NewStatus(planner::AttemptIdToString(report.update.attempt), state);
  SetContent(report, false, &status);
  if (report.update.outcome != Outcome::kNone) {
    killed_.erase(report.update.attempt.value);
    blobs_->Release(report.update.attempt);
    overuse_.OnEnd(report.update.attempt);
    keeper_->OnEnd(report.update.attempt);
    if (report.return_value_bytes > static_cast<int64_t>(report.update.return_value.size())) {
      return_values_[status.task_id().value()] = std::move(report);
    }
  }
  outbox_.AddUpdate(std::move(status));
}

void ExecutorDriver::SetContent(const AttemptReport& report, bool names_file,
                                v1::TaskStatus* status) const {
  const AttemptUpdate& update = report.update;
  status->set_message(wire::MessageText(update.message));
  if (update.outcome == Outcome::kOutOfMemory) {
    status->set_reason(v1::TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY);
  } else if (update.outcome == Outcome::kTimedOut) {
    status->set_reason(v1::TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED);
  }
  wire::Update message;
  wire::ToMessage(update, &message);
  message.set_incarnation(report.incarnation);
  if (names_file) {
    message.set_return_value_file(
        absl::StrCat(kSandboxesFolder, "/", SandboxFolder(update.attempt), "/result"));
    message.set_return_value_bytes(report.return_value_bytes);
  }
  message.SerializeToString(status->mutable_data());
}

size_t ExecutorDriver::AddReturnValue(size_t max_bytes, v1::TaskStatus* status) {
  auto it = return_values_.find(status->task_id().value());
  if (it == return_values_.end()) return 0;
  if (status->state() == v1::TASK_RUNNING || status->state() == v1::TASK_KILLING) return 0;
  AttemptReport report = it->second;
  const bool names_file = report.return_value_bytes >
                          static_cast<int64_t>(std::min(max_bytes, options_.max_sent_result_bytes));
  if (names_file) {
    named_files_.insert(status->task_id().value());
  } else {
    attempts_.AddReturnValue(&report);
    status->set_state(StateOf(report.update.outcome));
  }
  SetContent(report, names_file, status);
  return report.update.return_value.size();
}

void ExecutorDriver::AwaitEndedProcesses() {
  ended_processes_.async_wait(asio::posix::stream_descriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                if (error) return;
                                Turn();
                                if (!is_done_) AwaitEndedProcesses();
                              });
}

void ExecutorDriver::ScheduleTurn() {
  // One for all records that came together.
  if (std::exchange(turn_scheduled_, true)) return;
  asio::post(io_, [this] {
    turn_scheduled_ = false;
    Turn();
  });
}

void ExecutorDriver::Turn() {
  if (is_done_) return;
  FetchBlobs();
  attempts_.Work();
  SteadyTime now = clock_.SteadyNow();
  if (recover_by_ <= now) {
    BeginEnd(1, absl::StrCat("without the agent for ",
                             absl::FormatDuration(options_.environment.recovery_timeout)));
  }
  if (connect_at_ <= now && !ending_) Connect();
  SendUpdates();
  if (look_at_ <= now) LookAtMemory(now);
  if (subscribed_) TellOveruse(now);
  if (report_at_ <= now) ReportHost();
  // While the framework reads a value, there is something to do.
  const bool value_wanted = value_asked_at_ + kValuePatience > now;
  attempts_.AllowIdleExit(subscribed_ && outbox_.empty() && !value_wanted);
  if (attempts_.ShouldExit()) BeginEnd(0, "there was nothing to do");
  now = clock_.SteadyNow();
  if (IsDone(now)) {
    is_done_ = true;
    timer_.cancel();
    return done_(exit_status_, exit_reason_);
  }
  ArmTimer(now);
}

void ExecutorDriver::ArmTimer(SteadyTime now) {
  SteadyTime due = std::min({report_at_, look_at_, attempts_.NextWork(), attempts_.NextReportAt()});
  if (value_asked_at_ + kValuePatience > now) due = std::min(due, value_asked_at_ + kValuePatience);
  if (subscribed_) due = std::min(due, blobs_->NextRequest());
  if (ending_) {
    due = std::min({due, end_by_, flush_by_});
  } else {
    due = std::min({due, connect_at_, recover_by_});
  }
  if (due <= now) return ScheduleTurn();
  timer_.expires_at(due.ToChrono());
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Turn();
  });
}

void ExecutorDriver::BeginEnd(int status, const std::string& reason) {
  if (std::exchange(ending_, true)) return;
  Log(absl::StrCat("ending: ", reason, "; ", attempts_.running(), " attempts run"));
  exit_status_ = status;
  exit_reason_ = reason;
  const absl::Duration patience = options_.environment.shutdown_grace;
  end_by_ = clock_.SteadyNow() + patience;
  // In time to report those that had to be killed.
  const absl::Duration grace = patience - std::min(absl::Seconds(1), patience / 4);
  constexpr char kWhy[] = "the executor was shut down";
  while (!held_.empty()) EndHeld({held_.begin()->first}, Outcome::kLost, kWhy);
  attempts_.Drain(kWhy, grace);
  ScheduleTurn();
}

bool ExecutorDriver::IsDone(SteadyTime now) {
  if (!ending_) return false;
  if (now >= end_by_) return true;
  if (!attempts_.drained()) return false;
  if (!subscribed_ || !outbox_.has_updates()) return true;
  if (flush_by_ == kNever) flush_by_ = now + kFlushTimeout;
  return now >= flush_by_;
}

}  // namespace kartograph::executor::mesos
