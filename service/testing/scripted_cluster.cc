#include "service/testing/scripted_cluster.h"

#include <algorithm>

#include "absl/time/clock.h"
#include "executor/memory_limits.h"

namespace kartograph::service {
namespace {

constexpr char kAgent[] = "agent-1";

executor::AttemptUpdate Update(planner::AttemptId attempt, planner::Outcome outcome) {
  executor::AttemptUpdate update;
  update.attempt = attempt;
  update.agent = kAgent;
  update.outcome = outcome;
  update.start_time = absl::Now();
  if (outcome != planner::Outcome::kNone) update.end_time = update.start_time;
  if (outcome == planner::Outcome::kExited) update.exit_status = 4;
  return update;
}

}  // namespace

void ScriptedCluster::EndEachWith(planner::Outcome outcome) {
  absl::MutexLock lock(&mutex_);
  end_with_ = outcome;
}

executor::Launch ScriptedCluster::WaitForLaunch(const std::string& task_name) {
  const auto find = [&] {
    return std::find_if(launches_.begin(), launches_.end(),
                        [&](const executor::Launch& l) { return l.task_name == task_name; });
  };
  const auto is_there = [&] { return find() != launches_.end(); };
  absl::MutexLock lock(&mutex_);
  mutex_.Await(absl::Condition(&is_there));
  const auto found = find();
  executor::Launch launch = std::move(*found);
  launches_.erase(found);
  return launch;
}

void ScriptedCluster::Run(planner::AttemptId attempt) {
  Send({Update(attempt, planner::Outcome::kNone)});
}

void ScriptedCluster::End(planner::AttemptId attempt, planner::Outcome outcome,
                          const std::string& result, const std::string& message) {
  executor::AttemptUpdate update = Update(attempt, outcome);
  update.return_value = result;
  update.message = message;
  Send({std::move(update)});
}

void ScriptedCluster::WriteLog(planner::AttemptId attempt, executor::LogStream stream,
                               const std::string& text) {
  absl::MutexLock lock(&mutex_);
  logs_[{attempt, executor::LogStream::kStdout}];
  logs_[{attempt, executor::LogStream::kStderr}];
  logs_[{attempt, stream}] += text;
}

int ScriptedCluster::log_reads() {
  absl::MutexLock lock(&mutex_);
  return log_reads_;
}

absl::Status ScriptedCluster::Start(executor::ClusterListener listener) {
  listener_ = std::move(listener);
  executor::Offer offer;
  offer.id = "offer-1";
  offer.agent = kAgent;
  offer.agent_name = "host-1";
  offer.resources.Set(planner::Resource::Cpu(), planner::Quantity::Of(100));
  offer.resources.Set(planner::Resource::Ram(), planner::Quantity::Of(1 << 30));
  offer.attributes = {{executor::kMemoryLimits, executor::kKeptByKernel}};
  offer.lease = true;
  Send({executor::Connected(), std::move(offer)});
  return absl::OkStatus();
}

void ScriptedCluster::Execute(std::vector<executor::Launch> launches) {
  std::vector<executor::ClusterEvent> events;
  {
    absl::MutexLock lock(&mutex_);
    for (executor::Launch& launch : launches) {
      if (end_with_ != planner::Outcome::kNone) events.push_back(Update(launch.attempt, end_with_));
      launches_.push_back(std::move(launch));
    }
  }
  if (!events.empty()) Send(std::move(events));
}

void ScriptedCluster::Cancel(planner::AttemptId attempt, const executor::AgentId&, absl::Duration) {
  Send({Update(attempt, planner::Outcome::kCancelled)});
}

void ScriptedCluster::Reconcile(std::vector<KnownAttempt> attempts) {
  std::vector<executor::ClusterEvent> events;
  for (const KnownAttempt& known : attempts) {
    events.push_back(Update(known.attempt, planner::Outcome::kNone));
  }
  if (!events.empty()) Send(std::move(events));
}

void ScriptedCluster::ReadLog(const executor::LogRequest& request,
                              std::function<void(absl::StatusOr<executor::LogChunk>)> done) {
  absl::StatusOr<executor::LogChunk> answer = absl::NotFoundError("there is no log");
  {
    absl::MutexLock lock(&mutex_);
    ++log_reads_;
    const auto found = logs_.find({request.attempt, request.stream});
    if (found != logs_.end()) {
      const auto size = static_cast<int64_t>(found->second.size());
      const int64_t from = request.offset < 0 ? std::max<int64_t>(0, size + request.offset)
                                              : std::min(request.offset, size);
      answer = executor::LogChunk{
          from, found->second.substr(from, static_cast<size_t>(request.max_bytes))};
    }
  }
  done(std::move(answer));
}

void ScriptedCluster::Send(std::vector<executor::ClusterEvent> events) {
  absl::MutexLock lock(&sending_);
  listener_(std::move(events));
}

}  // namespace kartograph::service
