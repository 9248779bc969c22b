#include "executor/mesos/executor/task_executor.h"

#include <sys/random.h>

#include <algorithm>
#include <boost/asio/post.hpp>
#include <cstdio>
#include <optional>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/protocol/framework_message.pb.h"
#include "executor/runner/host_report.h"
#include "executor/wire/attempt.h"
#include "planner/ids.h"

namespace kartograph::executor::mesos {
namespace {

namespace asio = boost::asio;
namespace v1 = kartograph::mesos;
using planner::AttemptId;
using planner::Outcome;
using v1::executor::Call;
using v1::executor::Event;

constexpr char kSandboxes[] = "sandboxes";
constexpr absl::Duration kFirstBackoff = absl::Milliseconds(100);
// How long the agent's acknowledgements are waited for when everything has ended.
constexpr absl::Duration kLastWords = absl::Seconds(1);

std::chrono::nanoseconds Chrono(absl::Duration duration) {
  // Not to overflow when it is added to a time.
  return absl::ToChronoNanoseconds(std::min(duration, absl::Hours(24 * 365)));
}

// To the executor's stderr, which the agent keeps in its sandbox.
void Log(absl::string_view text) {
  const std::string line = absl::StrCat(
      absl::FormatTime("%Y-%m-%dT%H:%M:%E3SZ", absl::Now(), absl::UTCTimeZone()), " ", text, "\n");
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
  if (outcome == Outcome::kSucceeded) return v1::TASK_FINISHED;
  return outcome == Outcome::kCancelled ? v1::TASK_KILLED : v1::TASK_FAILED;
}

// The attempt of a task; the message of an error says what is wrong with it.
absl::StatusOr<executor::Launch> ReadLaunch(const std::string& task_id, const std::string& data) {
  planner::ResourceNames names;
  wire::Launch message;
  if (!message.ParseFromString(data)) {
    return absl::InvalidArgumentError("the task's data is no launch of an attempt");
  }
  absl::StatusOr<executor::Launch> launch = wire::FromMessage(&message, &names);
  if (launch.ok() && planner::AttemptIdToString(launch->attempt) != task_id) {
    return absl::InvalidArgumentError(absl::StrCat("the task's data is a launch of ",
                                                   planner::AttemptIdToString(launch->attempt),
                                                   ", its id is ", task_id));
  }
  if (launch.ok()) names.KeepAll();
  return launch;
}

}  // namespace

absl::StatusOr<std::unique_ptr<TaskExecutor>> TaskExecutor::Create(asio::io_context& io,
                                                                   Options options,
                                                                   DoneFunction done) {
  Runner::Options runner_options;
  runner_options.sandbox_root = absl::StrCat(options.environment.sandbox, "/", kSandboxes);
  absl::StatusOr<std::unique_ptr<SandboxRemover>> remover =
      SandboxRemover::Create(runner_options.sandbox_root);
  if (!remover.ok()) return remover.status();
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(std::move(runner_options));
  if (!runner.ok()) return runner.status();
  return std::unique_ptr<TaskExecutor>(new TaskExecutor(io, std::move(options), std::move(done),
                                                        *std::move(runner), *std::move(remover)));
}

TaskExecutor::TaskExecutor(asio::io_context& io, Options options, DoneFunction done,
                           std::unique_ptr<Runner> runner, std::unique_ptr<SandboxRemover> remover)
    : io_(io),
      options_(std::move(options)),
      done_(std::move(done)),
      runner_(std::move(runner)),
      remover_(std::move(remover)),
      ended_processes_(io, runner_->fd()),
      timer_(io),
      random_(RandomSeed()),
      backoff_(kFirstBackoff) {
  Watch();
  ScheduleTurn();
}

TaskExecutor::~TaskExecutor() { ended_processes_.release(); }

void TaskExecutor::Connect() {
  connect_at_ = kNever;
  if (recover_by_ == kNever) {
    recover_by_ = Clock::now() + Chrono(options_.environment.recovery_timeout);
  }
  Call call = NewCall(Call::SUBSCRIBE);
  unacknowledged_.Fill(call.mutable_subscribe());
  ApiSession::Options session;
  session.endpoint = options_.environment.agent;
  session.authorization = options_.environment.authorization;
  session.tls_context = options_.tls_context;
  session_ = ApiSession::Open(io_, std::move(session), call.SerializeAsString(),
                              {[this](absl::string_view record) { OnRecord(record); },
                               [this](const SessionEnd& end) { OnEnd(end); }});
}

Call TaskExecutor::NewCall(Call::Type type) const {
  Call call;
  call.set_type(type);
  call.mutable_executor_id()->set_value(options_.environment.executor_id);
  call.mutable_framework_id()->set_value(options_.environment.framework_id);
  return call;
}

void TaskExecutor::OnRecord(absl::string_view record) {
  ScheduleTurn();
  Event event;
  if (!event.ParseFromArray(record.data(), static_cast<int>(record.size()))) {
    Log("the agent sent an event that is none");
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
      return unacknowledged_.Acknowledge(event.acknowledged().task_id().value(),
                                         event.acknowledged().uuid());
    case Event::MESSAGE:
      return OnMessage(event.message().data());
    case Event::ERROR:
      return BeginEnd(1, absl::StrCat("the agent says: ", event.error().message()));
    case Event::SHUTDOWN:
      return ShutDown("the agent wants it");
    default:
      return;  // a heartbeat, or what is not ours
  }
}

void TaskExecutor::OnSubscribed(const Event::Subscribed& subscribed) {
  subscribed_ = true;
  recover_by_ = kNever;
  backoff_ = kFirstBackoff;
  report_at_ = Clock::now();
  tells_killing_ = false;
  for (const auto& capability : subscribed.framework_info().capabilities()) {
    if (capability.type() == v1::FrameworkInfo::Capability::TASK_KILLING_STATE) {
      tells_killing_ = true;
    }
  }
  Log(absl::StrCat("subscribed with ", options_.environment.agent.ToString(), "; ", running_.size(),
                   " attempts run"));
}

void TaskExecutor::OnEnd(const SessionEnd& end) {
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
  const Clock::time_point now = Clock::now();
  connect_at_ = now + Chrono(backoff_ * part);
  if (recover_by_ == kNever) recover_by_ = now + Chrono(options_.environment.recovery_timeout);
}

void TaskExecutor::GiveUpdates() {
  if (!subscribed_) return;
  while (const v1::TaskStatus* status = unacknowledged_.NextToGive()) {
    Call call = NewCall(Call::UPDATE);
    *call.mutable_update()->mutable_status() = *status;
    session_->Call(call.SerializeAsString(), [](const absl::Status& answer) {
      if (!answer.ok()) Log(answer.message());
    });
  }
}

void TaskExecutor::Report() {
  v1::FromExecutor report;
  wire::ToMessage(ReadHostReport("/proc", options_.environment.sandbox), report.mutable_host());
  Call call = NewCall(Call::MESSAGE);
  call.mutable_message()->set_data(report.SerializeAsString());
  session_->Call(call.SerializeAsString(), nullptr);
  report_at_ = Clock::now() + Chrono(options_.report_interval);
}

void TaskExecutor::Launch(v1::TaskInfo task) {
  const std::string task_id = task.task_id().value();
  const v1::AgentID agent = task.agent_id();
  // The agent looks at no more than the id of a task that is given again.
  const std::string data = std::move(*task.mutable_data());
  task.clear_data();
  if (!unacknowledged_.AddTask(std::move(task))) return;
  absl::StatusOr<executor::Launch> launch = ReadLaunch(task_id, data);
  if (!launch.ok()) {
    v1::TaskStatus status = NewStatus(task_id, v1::TASK_ERROR, agent);
    status.set_reason(v1::TaskStatus::REASON_TASK_INVALID);
    status.set_message(std::string(launch.status().message()));
    unacknowledged_.AddUpdate(std::move(status));
    return;
  }
  AttemptUpdate update;
  update.attempt = launch->attempt;
  if (ending_) {
    update.outcome = Outcome::kRefused;
    update.message = "the executor is ending";
    update.end_time = absl::Now();
    return Tell(std::move(update), v1::TASK_FAILED, agent);
  }
  running_[launch->attempt.value] = {agent, launch->cancel_grace};
  if (!runner_->Start(*launch)) return;  // its end comes out of the runner
  to_tell_running_.emplace_back(Clock::now() + Chrono(options_.tell_running_after),
                                launch->attempt);
}

void TaskExecutor::TellRunning(AttemptId attempt) {
  auto it = running_.find(attempt.value);
  if (it == running_.end() || std::exchange(it->second.told, true)) return;
  AttemptUpdate update;
  update.attempt = attempt;
  update.start_time = runner_->StartTime(attempt);
  Tell(std::move(update), v1::TASK_RUNNING, it->second.agent);
}

void TaskExecutor::Kill(const Event::Kill& kill) {
  const std::string& task_id = kill.task_id().value();
  const std::optional<AttemptId> attempt = planner::ParseAttemptId(task_id);
  auto it = attempt ? running_.find(attempt->value) : running_.end();
  if (it == running_.end() || !unacknowledged_.IsAlive(task_id)) {
    // The agent has its end, or will have it; of tasks that never came here it knows better than
    // we.
    Log(absl::StrCat("there is no task ", task_id, " to kill"));
    return;
  }
  Running& running = it->second;
  absl::Duration grace = running.cancel_grace;
  if (kill.kill_policy().has_grace_period()) {
    grace =
        absl::Nanoseconds(std::max<int64_t>(0, kill.kill_policy().grace_period().nanoseconds()));
  }
  if (!runner_->Cancel(*attempt, grace)) return;  // it has ended
  if (std::exchange(running.cancelled, true) || !tells_killing_) return;
  TellRunning(*attempt);
  AttemptUpdate update;
  update.attempt = *attempt;
  update.start_time = runner_->StartTime(*attempt);
  Tell(std::move(update), v1::TASK_KILLING, running.agent);
}

void TaskExecutor::OnMessage(const std::string& data) {
  v1::ToExecutor message;
  if (!message.ParseFromString(data)) {
    Log("the framework sent a message that is none");
    return;
  }
  for (uint32_t graph : message.discard_graphs()) remover_->Discard(graph);
}

void TaskExecutor::CollectEnded() {
  runner_->Poll(&just_ended_);
  for (AttemptUpdate& update : just_ended_) {
    auto it = running_.find(update.attempt.value);
    const Running running = std::move(it->second);
    running_.erase(it);
    const v1::TaskState state = StateOf(update.outcome);
    if (update.outcome == Outcome::kCancelled && !running.cancelled) {
      update.outcome = Outcome::kLost;
      update.message = "the executor was shut down";
    }
    Tell(std::move(update), state, running.agent);
  }
  just_ended_.clear();
}

v1::TaskStatus TaskExecutor::NewStatus(const std::string& task_id, v1::TaskState state,
                                       const v1::AgentID& agent) const {
  v1::TaskStatus status;
  status.mutable_task_id()->set_value(task_id);
  status.set_state(state);
  status.set_source(v1::TaskStatus::SOURCE_EXECUTOR);
  status.mutable_executor_id()->set_value(options_.environment.executor_id);
  if (agent.has_value()) *status.mutable_agent_id() = agent;
  status.set_timestamp(absl::ToDoubleSeconds(absl::Now() - absl::UnixEpoch()));
  status.set_uuid(NewUuid());
  return status;
}

void TaskExecutor::Tell(AttemptUpdate update, v1::TaskState state, const v1::AgentID& agent) {
  v1::TaskStatus status = NewStatus(planner::AttemptIdToString(update.attempt), state, agent);
  status.set_message(wire::MessageText(update.message));
  if (update.outcome == Outcome::kOutOfMemory) {
    status.set_reason(v1::TaskStatus::REASON_CONTAINER_LIMITATION_MEMORY);
  } else if (update.outcome == Outcome::kTimedOut) {
    status.set_reason(v1::TaskStatus::REASON_MAX_COMPLETION_TIME_REACHED);
  }
  wire::Update message;
  if (update.return_value.size() > options_.max_sent_result_bytes) {
    message.set_return_value_file(
        absl::StrCat(kSandboxes, "/", SandboxFolder(update.attempt), "/result"));
    message.set_return_value_bytes(static_cast<int64_t>(update.return_value.size()));
    update.return_value.clear();
  }
  wire::ToMessage(update, &message);
  message.SerializeToString(status.mutable_data());
  unacknowledged_.AddUpdate(std::move(status));
}

void TaskExecutor::Watch() {
  ended_processes_.async_wait(asio::posix::stream_descriptor::wait_read,
                              [this](const boost::system::error_code& error) {
                                if (error) return;
                                Turn();
                                if (!done_told_) Watch();
                              });
}

void TaskExecutor::ScheduleTurn() {
  // One for all records that came together.
  if (std::exchange(turn_scheduled_, true)) return;
  asio::post(io_, [this] {
    turn_scheduled_ = false;
    Turn();
  });
}

void TaskExecutor::Turn() {
  if (done_told_) return;
  const Clock::time_point now = Clock::now();
  while (!to_tell_running_.empty() && (to_tell_running_.front().first <= now ||
                                       !running_.contains(to_tell_running_.front().second.value))) {
    TellRunning(to_tell_running_.front().second);
    to_tell_running_.pop_front();
  }
  CollectEnded();
  if (recover_by_ <= now) {
    BeginEnd(1, absl::StrCat("without the agent for ",
                             absl::FormatDuration(options_.environment.recovery_timeout)));
  }
  if (connect_at_ <= now && !ending_) Connect();
  GiveUpdates();
  if (report_at_ <= now) Report();
  if (!IsIdle()) {
    idle_exit_at_ = kNever;
  } else if (idle_exit_at_ == kNever) {
    idle_exit_at_ = now + Chrono(options_.idle_exit);
  } else if (idle_exit_at_ <= now) {
    BeginEnd(0, "there was nothing to do");
  }
  if (IsDone(now)) {
    done_told_ = true;
    timer_.cancel();
    return done_(exit_status_, exit_reason_);
  }
  ArmTimer(now);
}

void TaskExecutor::ArmTimer(Clock::time_point now) {
  Clock::time_point due = std::min(report_at_, now + Chrono(runner_->UntilDue()));
  if (!to_tell_running_.empty()) due = std::min(due, to_tell_running_.front().first);
  if (ending_) {
    due = std::min({due, end_by_, last_words_by_});
  } else {
    due = std::min({due, connect_at_, recover_by_, idle_exit_at_});
  }
  timer_.expires_at(due);
  timer_.async_wait([this](const boost::system::error_code& error) {
    if (!error) Turn();
  });
}

bool TaskExecutor::IsIdle() const {
  return subscribed_ && running_.empty() && unacknowledged_.empty() && !runner_->tidying();
}

void TaskExecutor::BeginEnd(int status, const std::string& reason) {
  if (std::exchange(ending_, true)) return;
  Log(absl::StrCat("ending: ", reason, "; ", running_.size(), " attempts run"));
  exit_status_ = status;
  exit_reason_ = reason;
  const absl::Duration patience = options_.environment.shutdown_grace;
  end_by_ = Clock::now() + Chrono(patience);
  // In time to tell of those that had to be killed.
  const absl::Duration grace = patience - std::min(absl::Seconds(1), patience / 4);
  for (const auto& [attempt, running] : running_) {
    runner_->Cancel({attempt}, std::min(running.cancel_grace, grace));
  }
  ScheduleTurn();
}

bool TaskExecutor::IsDone(Clock::time_point now) {
  if (!ending_) return false;
  if (now >= end_by_) return true;
  if (!running_.empty() || runner_->tidying()) return false;
  if (!subscribed_ || !unacknowledged_.has_updates()) return true;
  if (last_words_by_ == kNever) last_words_by_ = now + Chrono(kLastWords);
  return now >= last_words_by_;
}

}  // namespace kartograph::executor::mesos
