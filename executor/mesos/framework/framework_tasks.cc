// Attempts: launched, reconciled, killed, reported and acknowledged.
#include <spdlog/spdlog.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/framework/framework.h"
#include "executor/mesos/framework/task_info.h"

namespace kartograph::executor::mesos {

using kartograph::mesos::TaskStatus;
using planner::AttemptId;
using planner::Outcome;

namespace {

// How many attempts one call reconciles.
constexpr size_t kMaxAsked = 1000;
// The master's report of an end is taken when the agent's did not come after this many
// reconciliations.
constexpr int kBareAsked = 6;
// Return values that are fetched: the wait grows by this much with each try; then its agent is
// given up.
constexpr absl::Duration kFetchBackOff = absl::Seconds(1);
constexpr int kMaxFetches = 30;
// When a task with a container was started is not known to a later process, but when it was
// launched: it is taken to have started so long after that at the latest.
constexpr absl::Duration kLongestStart = absl::Minutes(1);
// Executors that have shown no sign of life: with more, they all count as known.
constexpr size_t kMaxStarting = 100000;
// What is left of an offer comes again at once.
constexpr double kRestRefusalSeconds = 0;
// Mesos knows no task without resources.
const planner::ResourceVector kLeast = {
    {planner::Resource::Cpu(), planner::Quantity::FromMilli(1)}};
// The local cluster's agent, which no framework reaches.
constexpr char kLocalAgent[] = "local";

bool IsEnd(const TaskStatus& status) {
  switch (status.state()) {
    case kartograph::mesos::TASK_STAGING:
    case kartograph::mesos::TASK_STARTING:
    case kartograph::mesos::TASK_RUNNING:
    case kartograph::mesos::TASK_KILLING:
    case kartograph::mesos::TASK_UNREACHABLE:
      return false;
    default:
      return true;
  }
}

}  // namespace

// --- launching ---

void Framework::Execute(std::vector<Launch> launches) {
  is_new_ = false;
  if (!reported_connected_) {
    // Lost with the connection, and reconciled when it is back.
    for (const Launch& launch : launches) live_[launch.attempt].agent = launch.agent;
    return;
  }
  std::vector<AgentId> order;
  absl::flat_hash_map<AgentId, std::vector<Launch>> by_agent;
  for (Launch& launch : launches) {
    auto [it, is_new] = by_agent.try_emplace(launch.agent);
    if (is_new) order.push_back(launch.agent);
    it->second.push_back(std::move(launch));
  }
  for (const AgentId& agent : order) LaunchOn(agent, std::move(by_agent[agent]));
  ScheduleDue();
}

void Framework::Refuse(const std::vector<Launch>& launches, const std::string& reason) {
  std::vector<ClusterEvent> events;
  for (const Launch& launch : launches) {
    live_.erase(launch.attempt);
    to_reconcile_.Remove(launch.attempt);
    AttemptUpdate update;
    update.attempt = launch.attempt;
    update.agent = launch.agent;
    update.outcome = Outcome::kRefused;
    update.message = reason;
    update.end_time = options_.clock->WallNow();
    LogUnspent(update);
    events.emplace_back(std::move(update));
  }
  if (!events.empty()) listener_(std::move(events));
}

void Framework::LogUnspent(const AttemptUpdate& update) {
  if (planner::SpendsAttempt(update.outcome)) return;
  const std::string cause = absl::StrCat(planner::ToString(update.outcome), ": ", update.message);
  const int64_t times = causes_.Count(cause);
  if (times == 0) return;
  spdlog::warn("mesos: attempt {} on agent {}: {}{}", planner::AttemptIdToString(update.attempt),
               update.agent, cause,
               times > 1 ? absl::StrCat(" (", times, " times with this cause)") : "");
}

void Framework::LaunchOn(const AgentId& agent, std::vector<Launch> launches) {
  launches.erase(std::remove_if(launches.begin(), launches.end(),
                                [this](const Launch& launch) {
                                  return live_.contains(launch.attempt) ||
                                         ended_.contains(launch.attempt);
                                }),
                 launches.end());
  std::optional<OpenOffers::Taken> taken = offers_.Take(agent);
  if (!taken) return Refuse(launches, "its offer was rescinded");
  Call call = MakeCall(Call::ACCEPT);
  for (const OfferId& id : taken->ids) call.mutable_accept()->add_offer_ids()->set_value(id);
  call.mutable_accept()->mutable_filters()->set_refuse_seconds(kRestRefusalSeconds);
  auto* operation = call.mutable_accept()->add_operations();
  operation->set_type(kartograph::mesos::Offer::Operation::LAUNCH);

  kartograph::mesos::ExecutorInfo shared;
  if (taken->executor != nullptr) shared = *taken->executor;
  const auto start_executor = [&] {
    auto own = taken->resources.Take(executors_.options().resources);
    if (!own.ok()) return kartograph::mesos::ExecutorInfo();
    kartograph::mesos::ExecutorInfo started = executors_.New(*own, taken->key.role);
    if (starting_.size() >= kMaxStarting) starting_.clear();
    starting_.insert(started.executor_id().value());
    return started;
  };
  std::vector<Launch> sent, refused;
  const SteadyTime now = SteadyNow();
  for (Launch& launch : launches) {
    const bool command = WantsContainer(launch);
    kartograph::mesos::ExecutorInfo executor;
    if (!command && limits_.WantsOwnExecutor(launch.attempt.task())) {
      executor = start_executor();
      if (executor.has_executor_id()) {
        limits_.OnOwnExecutor(executor.executor_id().value());
        executors_.Forget(executor.executor_id().value());  // nothing else is launched on it
      }
    }
    if (!command && !executor.has_executor_id()) {
      if (!shared.has_executor_id()) shared = start_executor();
      executor = shared;
    }
    auto resources =
        taken->resources.Take(launch.consumption.empty() ? kLeast : launch.consumption);
    if (!resources.ok() || (!command && !executor.has_executor_id())) {
      refused.push_back(std::move(launch));
      continue;
    }
    *operation->mutable_launch()->add_task_infos() =
        command ? CommandTask(launch, taken->key.agent, *resources, options_.user)
                : ExecutorTask(launch, taken->key.agent, *resources, executor,
                               options_.lineage.current());
    if (!command) running_executors_[taken->key.agent].insert(executor.executor_id().value());
    Live& live = live_[launch.attempt];
    live.agent = launch.agent;
    live.context.command = command;
    live.names_ram = !launch.consumption.Get(planner::Resource::Ram()).is_zero();
    live.timeout = launch.timeout;
    live.cancel_grace = launch.cancel_grace;
    executor_of_.Remember(launch.attempt, command ? planner::AttemptIdToString(launch.attempt)
                                                  : executor.executor_id().value());
    to_reconcile_.Add(launch.attempt, now + options_.confirm_after);
    launch.payload.clear();
    sent.push_back(std::move(launch));
  }
  Refuse(refused, "the offer has less than expected");
  // An ACCEPT that launches nothing is a DECLINE; the offer comes again.
  if (sent.empty()) call.mutable_accept()->clear_operations();
  subscription_.Call(call, [this, sent = std::move(sent)](const absl::Status& status) {
    if (!status.ok()) Refuse(sent, std::string(status.message()));
  });
}

// --- what Mesos reports ---

void Framework::OnStatus(const TaskStatus& status) {
  const std::string& task = status.task_id().value();
  if (!status.has_state()) {
    // Of a newer Mesos. Not acknowledged, so it is repeated; and the attempt is reconciled further.
    return spdlog::warn("mesos: the state of {} is not known here", task);
  }
  const std::optional<AttemptId> attempt = planner::ParseAttemptId(task);
  if (!attempt) {
    // Nothing of ours, but under our name: it must not run.
    if (!IsEnd(status)) SendKill(task, status.agent_id().value(), absl::ZeroDuration());
    if (status.has_uuid()) SendAcknowledgement(status.agent_id().value(), task, status.uuid());
    return;
  }
  if (status.reason() == TaskStatus::REASON_AGENT_DRAINING) {
    draining_.insert(status.agent_id().value());
    AskForAgentsAfterRescind();
  }
  auto it = live_.find(*attempt);
  StatusContext context;
  if (it != live_.end()) context = it->second.context;
  context.command |= status.executor_id().value() == task;
  const std::string executor =
      status.has_executor_id() ? status.executor_id().value() : executor_of_.Find(*attempt);
  if (status.source() == TaskStatus::SOURCE_EXECUTOR) OnSignOfLife(executor);
  context.starting = starting_.contains(executor);
  StatusReport report = ReadStatus(status, context);
  if (IsOfAnother(status, report.incarnation)) return;
  report.update.attempt = *attempt;
  report.update.agent =
      it != live_.end()
          ? it->second.agent
          : ToAgentId({status.agent_id().value(), options_.roles.front()}, options_.roles);
  if (status.has_executor_id()) executor_of_.Remember(*attempt, status.executor_id().value());
  if (it != live_.end() && status.state() != kartograph::mesos::TASK_UNKNOWN) {
    it->second.unknown_since = SteadyTime::InfiniteFuture();
  } else if (it != live_.end() && MayComeBack(*attempt, it->second)) {
    return;
  }
  if (report.update.outcome != Outcome::kNone) {
    OnEnd(*attempt, status, std::move(report));
    ScheduleDue();
    return;
  }
  // Nothing is written for an attempt that is only alive, so nothing has to be waited for.
  if (status.has_uuid()) SendAcknowledgement(status.agent_id().value(), task, status.uuid());
  if (it != live_.end()) {
    Live& live = it->second;
    live.context.start_time = report.update.start_time;
    live.context.command = context.command;
    // To a later process the master says so: it names the executors of all other tasks.
    const bool command = live.context.command || (status.source() == TaskStatus::SOURCE_MASTER &&
                                                  !status.has_executor_id());
    if (command && status.state() == kartograph::mesos::TASK_RUNNING) WatchTimeout(*attempt, live);
    // Until its agent has reported it, it is reconciled again.
    if (status.state() != kartograph::mesos::TASK_STAGING) {
      live.context.confirmed |= !report.update.unreachable;
      to_reconcile_.Remove(*attempt);
    }
  }
  listener_({std::move(report.update)});
}

void Framework::OnSignOfLife(const std::string& executor) { starting_.erase(executor); }

void Framework::OnLimit(AttemptId attempt, StatusReport* report) {
  const std::string executor = executor_of_.Find(attempt);
  int there = 0;
  // All of them are looked at once a container, not once an attempt in it.
  if (!limits_.IsJudged(executor)) {
    for (const auto& [other, live] : live_) there += executor_of_.Find(other) == executor;
  }
  limits_.OnEnd(attempt, executor, there == 1, report);
  const auto live = live_.find(attempt);
  if (report->update.outcome == Outcome::kOutOfMemory && live != live_.end() &&
      !live->second.names_ram) {
    absl::StrAppend(
        &report->update.message,
        "; it names no ram, so it had only what kartograph-executor has for itself: name "
        "it, or set --mesos-default-ram");
  }
}

bool Framework::IsOfAnother(const TaskStatus& status, Incarnation incarnation) {
  if (incarnation == 0 || options_.lineage.incarnations.empty()) return false;
  if (options_.lineage.Knows(incarnation)) return false;
  const std::string& task = status.task_id().value();
  spdlog::warn("mesos: {} was launched from another history, or a newer copy of this one", task);
  if (!IsEnd(status)) SendKill(task, status.agent_id().value(), absl::ZeroDuration());
  if (status.has_uuid()) SendAcknowledgement(status.agent_id().value(), task, status.uuid());
  return true;
}

// Of an attempt that the master does not know: "the task may or may not still be running", as its
// documentation says. Reported as unreachable and reconciled again, for a time.
bool Framework::MayComeBack(AttemptId attempt, Live& live) {
  const SteadyTime now = SteadyNow();
  live.unknown_since = std::min(live.unknown_since, now);
  if (now - live.unknown_since >= options_.unknown_for) return false;
  to_reconcile_.Add(attempt, now + options_.repeat.first);
  AttemptUpdate update;
  update.attempt = attempt;
  update.agent = live.agent;
  update.unreachable = true;
  listener_({std::move(update)});
  ScheduleDue();
  return true;
}

// Mesos's own limit is SIGKILL at once; this is SIGTERM first.
void Framework::WatchTimeout(AttemptId attempt, Live& live) {
  if (live.timeout == absl::InfiniteDuration() || live.times_out != SteadyTime::InfiniteFuture()) {
    return;
  }
  const absl::Duration elapsed = live.launched == absl::InfinitePast()
                                     ? absl::ZeroDuration()
                                     : options_.clock->WallNow() - live.launched - kLongestStart;
  live.times_out = SteadyNow() + std::max(live.timeout - std::max(elapsed, absl::ZeroDuration()),
                                          absl::ZeroDuration());
  timeouts_.emplace(live.times_out, attempt);
  ScheduleDue();
}

void Framework::EndOverdue() {
  const SteadyTime now = SteadyNow();
  while (!timeouts_.empty() && timeouts_.begin()->first <= now) {
    const auto [at, attempt] = *timeouts_.begin();
    timeouts_.erase(timeouts_.begin());
    auto it = live_.find(attempt);
    if (it == live_.end() || it->second.times_out != at) continue;
    it->second.timed_out = true;
    // One that is cancelled is being killed already.
    if (!kills_.try_emplace(attempt, Kill{it->second.agent, it->second.cancel_grace}).second) {
      continue;
    }
    to_kill_.Add(attempt, now);
  }
}

void Framework::OnEnd(AttemptId attempt, const TaskStatus& status, StatusReport report) {
  if (report.bare && live_.contains(attempt) && to_reconcile_.asked(attempt) < kBareAsked) {
    to_reconcile_.Add(attempt, SteadyNow() + options_.repeat.first);
    return;
  }
  if (report.bare && ended_.contains(attempt)) return;  // better known already
  if (report.bare) report.update.message = "how it ended was lost with its agent";
  auto live = live_.find(attempt);
  if (report.limit != StatusReport::Limit::kNone && report.update.outcome == Outcome::kLost &&
      live != live_.end()) {
    OnLimit(attempt, &report);
  } else if (planner::SpendsAttempt(report.update.outcome)) {
    limits_.OnOtherEnd(attempt.task());
  }
  if (live != live_.end() && live->second.timed_out &&
      planner::SpendsAttempt(report.update.outcome)) {
    report.update.outcome = Outcome::kTimedOut;
    report.update.message = "over its timeout";
  }
  live_.erase(attempt);
  to_reconcile_.Remove(attempt);
  to_kill_.Remove(attempt);
  kills_.erase(attempt);
  Ended& ended = ended_[attempt];
  ended.mesos_agent = status.agent_id().value();
  ended.uuid = status.uuid();
  if (ended.fetching) return;
  if (!report.return_value_file.empty()) {
    ended.update = std::move(report.update);
    ended.fetching = true;
    // Mesos's command executor may not give its id, which is the task's.
    ended.executor = report.return_value_bytes == kAnySize ? planner::AttemptIdToString(attempt)
                                                           : status.executor_id().value();
    ended.value = std::move(report);
    return FetchReturnValue(attempt);
  }
  if (report.incompatible) executors_.Forget(executor_of_.Find(attempt));
  LogUnspent(report.update);
  ended.update = report.update;
  listener_({std::move(report.update)});
}

bool Framework::Runs(const std::string& agent, const std::string& executor) const {
  auto it = running_executors_.find(agent);
  return it != running_executors_.end() && it->second.contains(executor);
}

void Framework::FetchReturnValue(AttemptId attempt) {
  const Ended& ended = ended_.at(attempt);
  TellFetching(attempt, absl::OkStatus());
  const int64_t bytes = ended.value.return_value_bytes;
  if (bytes <= 0 || bytes > AgentFiles::kMaxResult || !Runs(ended.mesos_agent, ended.executor)) {
    return FetchFromFiles(attempt, 1);
  }
  values_.Add(attempt, {ended.mesos_agent, ended.executor}, bytes);
  SendDue();
}

void Framework::SendValueRequests() {
  for (const ValueFetcher::Request& request : values_.TakeRequests()) {
    kartograph::mesos::ToExecutor wish;
    *wish.add_value_requests() = request.request;
    SendMessage(request.to.agent, request.to.executor, wish);
  }
  for (ValueFetcher::Done& done : values_.TakeDone()) {
    if (done.value.ok()) {
      OnReturnValue(done.attempt, kMaxFetches, std::move(done.value));
    } else {
      FetchFromFiles(done.attempt, 1);
    }
  }
}

void Framework::FetchFromFiles(AttemptId attempt, int tries) {
  auto it = ended_.find(attempt);
  if (it == ended_.end() || !it->second.fetching) return;
  const StatusReport& report = it->second.value;
  const std::string path = absl::StrCat(AgentFiles::SandboxOf(id_.id, it->second.executor), "/",
                                        report.return_value_file);
  files_.ReadWhole(it->second.mesos_agent, subscription_.endpoint(), path,
                   report.return_value_bytes,
                   [this, attempt, tries](absl::StatusOr<std::string> value) {
                     OnReturnValue(attempt, tries, std::move(value));
                   });
}

void Framework::TellFetching(AttemptId attempt, const absl::Status& problem) {
  const Ended& ended = ended_.at(attempt);
  AttemptUpdate update;
  update.attempt = attempt;
  update.agent = ended.update.agent;
  update.start_time = ended.update.start_time;
  if (update.start_time == absl::InfinitePast()) update.start_time = ended.update.end_time;
  update.message = "has ended; its return value is being fetched from its agent";
  if (!problem.ok()) {
    absl::StrAppend(&update.message, ", again and again: ", std::string(problem.message()));
  }
  listener_({std::move(update)});
}

void Framework::OnReturnValue(AttemptId attempt, int tries, absl::StatusOr<std::string> value) {
  auto ended = ended_.find(attempt);
  if (ended == ended_.end() || !ended->second.fetching) return;
  const bool denied = absl::IsPermissionDenied(value.status());
  const bool final =
      absl::IsNotFound(value.status()) || absl::IsOutOfRange(value.status()) || denied;
  if (!value.ok() && !final && tries < kMaxFetches) {
    spdlog::warn("mesos: the return value of {} cannot be read yet: {}",
                 planner::AttemptIdToString(attempt), value.status().ToString());
    TellFetching(attempt, value.status());
    auto timer = std::make_shared<boost::asio::steady_timer>(io_);
    timer->expires_after(absl::ToChronoNanoseconds(kFetchBackOff * tries));
    timer->async_wait([this, timer, attempt, tries](const boost::system::error_code& error) {
      if (!error && !stopped_) FetchFromFiles(attempt, tries + 1);
    });
    return;
  }
  ended->second.fetching = false;
  AttemptUpdate& update = ended->second.update;
  const bool optional = ended->second.value.return_value_bytes == kAnySize;
  if (value.ok()) {
    update.return_value = *std::move(value);
    update.has_value = true;
  } else if (absl::IsOutOfRange(value.status())) {
    update.outcome = Outcome::kResultTooLarge;
    update.message = std::string(value.status().message());
  } else if (denied) {
    // It would be the same the next time.
    update.outcome = Outcome::kResultTooLarge;
    update.message = absl::StrCat(
        "its return value is only in its sandbox, which its agent does not let us read: ",
        std::string(value.status().message()), " (see --mesos-principal, and the agent's ACLs)");
    spdlog::warn("mesos: {}: {}", planner::AttemptIdToString(attempt), update.message);
  } else if (!absl::IsNotFound(value.status()) || !optional) {
    // Its success is of no use: what it returned is lost, so it runs again.
    update.outcome = Outcome::kLost;
    update.message =
        absl::StrCat("its return value is lost: ", std::string(value.status().message()));
    LogUnspent(update);
  }
  listener_({update});
}

// --- what the scheduler wants ---

void Framework::SendAcknowledgement(const std::string& mesos_agent, const std::string& task,
                                    const std::string& uuid) {
  Call call = MakeCall(Call::ACKNOWLEDGE);
  call.mutable_acknowledge()->mutable_agent_id()->set_value(mesos_agent);
  call.mutable_acknowledge()->mutable_task_id()->set_value(task);
  call.mutable_acknowledge()->set_uuid(uuid);
  subscription_.Call(call);
}

void Framework::Acknowledge(const std::vector<AttemptId>& attempts) {
  for (AttemptId attempt : attempts) {
    auto it = ended_.find(attempt);
    if (it == ended_.end()) continue;
    if (!it->second.uuid.empty()) {
      // Without a connection it is lost; the agent repeats its update, and the scheduler its
      // acknowledgement.
      SendAcknowledgement(it->second.mesos_agent, planner::AttemptIdToString(attempt),
                          it->second.uuid);
    }
    const std::string agent = it->second.mesos_agent;
    const std::string executor = executor_of_.Find(attempt);
    ended_.erase(it);
    if (limits_.IsOwn(executor) && Runs(agent, executor)) SendShutdown(agent, executor);
    LeaveDrained(agent);
  }
}

void Framework::SendKill(const std::string& task, const std::string& mesos_agent,
                         absl::Duration grace) {
  Call call = MakeCall(Call::KILL);
  call.mutable_kill()->mutable_task_id()->set_value(task);
  if (!mesos_agent.empty()) call.mutable_kill()->mutable_agent_id()->set_value(mesos_agent);
  call.mutable_kill()->mutable_kill_policy()->mutable_grace_period()->set_nanoseconds(
      absl::ToInt64Nanoseconds(grace));
  subscription_.Call(call);
}

void Framework::Cancel(AttemptId attempt, const AgentId& agent, absl::Duration grace) {
  if (auto ended = ended_.find(attempt); ended != ended_.end()) {
    if (!std::exchange(ended->second.fetching, false)) return;  // its end is on its way
    // What it has returned is not wanted any more.
    values_.Remove(attempt);
    AttemptUpdate& update = ended->second.update;
    update.outcome = Outcome::kCancelled;
    update.message = "cancelled while its return value was fetched";
    return listener_({update});
  }
  kills_[attempt] = {agent, grace};
  to_kill_.Remove(attempt);
  to_kill_.Add(attempt, SteadyNow());
  SendDue();
}

void Framework::Reconcile(const std::vector<Cluster::KnownAttempt>& attempts) {
  const bool foreign = std::any_of(attempts.begin(), attempts.end(),
                                   [](const auto& known) { return known.agent == kLocalAgent; });
  if (foreign) {
    return StopForGood(
        "attempts of the history run on this machine's own agent, which Mesos knows nothing of; "
        "start kartographd with --cluster local until they have ended, or cancel them there");
  }
  std::vector<ClusterEvent> events;
  const SteadyTime now = SteadyNow();
  for (const Cluster::KnownAttempt& known : attempts) {
    if (auto ended = ended_.find(known.attempt); ended != ended_.end()) {
      if (!ended->second.fetching) events.emplace_back(ended->second.update);
      continue;
    }
    auto [it, is_new] = live_.try_emplace(known.attempt);
    Live& live = it->second;
    if (is_new && is_new_ && abandoned_) {
      AttemptUpdate update;
      update.attempt = known.attempt;
      update.agent = known.agent;
      update.outcome = Outcome::kLost;
      update.message = "the framework it ran under was given up";
      update.end_time = options_.clock->WallNow();
      live_.erase(it);
      events.emplace_back(std::move(update));
      continue;
    }
    if (is_new && is_new_) {
      id_file_.Remove().IgnoreError();
      leaving_ = absl::StrCat(
          "attempts of the history run under a framework whose id is not in ", id_file_.path(),
          ": write it there (Mesos's page lists frameworks with their ids), or start kartographd "
          "with --mesos-abandon unknown, after making sure that nothing of it runs any more");
      return Leave();
    }
    if (is_new) {
      live.agent = known.agent;
      live.context.confirmed = true;  // as far as we know
      live.timeout = known.timeout;
      live.cancel_grace = known.cancel_grace;
      live.launched = known.launch_time;
    }
    to_reconcile_.Remove(known.attempt);
    to_reconcile_.Add(known.attempt, now);
  }
  if (!events.empty()) listener_(std::move(events));
  SendDue();
}

// --- what is repeated ---

void Framework::ReconcileAll() {
  const SteadyTime now = SteadyNow();
  for (const auto& [attempt, live] : live_) to_reconcile_.Add(attempt, now);
  // And what Mesos knows and we do not: the answers show it.
  Call call = MakeCall(Call::RECONCILE);
  call.mutable_reconcile();
  subscription_.Call(call);
  next_reconcile_all_ = now + options_.reconcile_every;
}

void Framework::SendDue() {
  if (!reported_connected_) return;
  const SteadyTime now = SteadyNow();
  EndOverdue();
  for (AttemptId attempt : to_kill_.TakeDue(now, kMaxAsked)) {
    const Kill& kill = kills_.at(attempt);
    SendKill(planner::AttemptIdToString(attempt), MesosAgent(kill.agent), kill.grace);
  }
  SendValueRequests();
  if (now >= next_reconcile_all_) ReconcileAll();
  if (now >= next_ask_for_agents_) {
    AskForAgents();
  } else if (now >= next_ask_for_quotas_) {
    next_ask_for_quotas_ = SteadyTime::InfiniteFuture();
    AskForQuotas();
  }
  // One at a time: a master that is slow to answer is not asked more.
  if (!reconciling_ && to_reconcile_.NextTime() <= now) {
    Call call = MakeCall(Call::RECONCILE);
    for (AttemptId attempt : to_reconcile_.TakeDue(now, kMaxAsked)) {
      auto* task = call.mutable_reconcile()->add_tasks();
      task->mutable_task_id()->set_value(planner::AttemptIdToString(attempt));
      if (auto it = live_.find(attempt); it != live_.end()) {
        task->mutable_agent_id()->set_value(MesosAgent(it->second.agent));
      }
    }
    reconciling_ = true;
    subscription_.Call(call, [this](const absl::Status&) {
      reconciling_ = false;
      ScheduleDue();
    });
  }
  ScheduleDue();
}

void Framework::ScheduleDue() {
  if (!reported_connected_ || stopped_) return;
  SteadyTime at = std::min(
      {to_kill_.NextTime(), next_reconcile_all_, next_ask_for_agents_, next_ask_for_quotas_});
  if (!reconciling_) at = std::min(at, to_reconcile_.NextTime());
  if (!timeouts_.empty()) at = std::min(at, timeouts_.begin()->first);
  at = std::min(at, values_.NextRequest());
  if (at >= due_at_ && due_at_ > SteadyNow()) return;
  due_at_ = at;
  due_.expires_at(at.ToChrono());
  due_.async_wait([this](const boost::system::error_code& error) {
    if (error || stopped_) return;
    due_at_ = SteadyTime::InfiniteFuture();
    SendDue();
  });
}

// --- logs ---

void Framework::ReadLog(const LogRequest& request,
                        std::function<void(absl::StatusOr<LogChunk>)> done) {
  AgentFiles::LogPlace place;
  place.agent = MesosAgent(request.agent);
  place.framework = id_.id;
  place.attempt = request.attempt;
  place.file = request.stream == LogStream::kStdout ? "stdout" : "stderr";
  place.executor = executor_of_.Find(request.attempt);
  place.master = subscription_.endpoint();
  files_.ReadLog(std::move(place), request.offset, request.max_bytes, std::move(done));
}

std::string Framework::SandboxOf(AttemptId attempt, const AgentId& agent) const {
  const std::string executor = executor_of_.Find(attempt);
  if (executor.empty()) return "";
  return absl::StrCat("slaves/", MesosAgent(agent),
                      AgentFiles::SandboxOf(executor_of_.framework(), executor, attempt));
}

}  // namespace kartograph::executor::mesos
