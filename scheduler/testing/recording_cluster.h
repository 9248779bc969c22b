// A cluster that only writes down what it is asked, for tests that play its part themselves.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_RECORDING_CLUSTER_H_
#define KARTOGRAPH_SCHEDULER_TESTING_RECORDING_CLUSTER_H_

#include <condition_variable>
#include <deque>
#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "executor/cluster.h"

namespace kartograph::scheduler {

// Thread-safe.
class RecordingCluster : public executor::Cluster, public executor::OfferControl {
 public:
  // What was asked since the last call, in order and as text: "execute g1.0.1", "cancel g1.0.1".
  std::vector<std::string> Asked() {
    std::lock_guard lock(mutex_);
    return std::exchange(asked_, {});
  }
  // Offers that were declined since the last call.
  std::vector<executor::OfferId> Declined() {
    std::lock_guard lock(mutex_);
    return std::exchange(declined_, {});
  }
  // The oldest launch not taken yet; waits for one.
  executor::Launch TakeLaunch() {
    std::unique_lock lock(mutex_);
    launched_.wait(lock, [this] { return !launches_.empty(); });
    executor::Launch launch = std::move(launches_.front());
    launches_.pop_front();
    return launch;
  }
  size_t launches() const {
    std::lock_guard lock(mutex_);
    return launches_.size();
  }
  // Notifies the scheduler, if there has been one; it may be gone already.
  void Notify(std::vector<executor::ClusterEvent> events) {
    executor::ClusterListener listener;
    {
      std::lock_guard lock(mutex_);
      listener = listener_;
    }
    if (listener) listener(std::move(events));
  }
  // What Start answers.
  void RefuseToStart(absl::Status why) { start_ = std::move(why); }

  absl::Status Start(executor::ClusterListener listener) override {
    std::lock_guard lock(mutex_);
    listener_ = std::move(listener);
    return start_;
  }
  void Execute(std::vector<executor::Launch> launches) override {
    std::lock_guard lock(mutex_);
    for (executor::Launch& launch : launches) {
      Note("execute ", launch.attempt);
      launches_.push_back(std::move(launch));
    }
    launched_.notify_all();
  }
  void Cancel(planner::AttemptId attempt, const executor::AgentId&, absl::Duration) override {
    std::lock_guard lock(mutex_);
    Note("cancel ", attempt);
  }
  void Acknowledge(const std::vector<planner::AttemptId>& attempts) override {
    std::lock_guard lock(mutex_);
    for (planner::AttemptId attempt : attempts) Note("acknowledge ", attempt);
  }
  void Reconcile(std::vector<KnownAttempt> attempts) override {
    std::lock_guard lock(mutex_);
    for (const KnownAttempt& known : attempts) Note("reconcile ", known.attempt);
  }
  executor::OfferControl* offers() override { return this; }
  void Decline(const std::vector<executor::OfferId>& offers) override {
    std::lock_guard lock(mutex_);
    declined_.insert(declined_.end(), offers.begin(), offers.end());
  }
  // Not noted: they come with almost everything.
  void Suppress() override {}
  void Revive(const std::vector<planner::ResourceVector>&) override {}
  void Discard(planner::GraphId graph) override {
    std::lock_guard lock(mutex_);
    asked_.push_back(absl::StrCat("discard ", planner::GraphIdToString(graph)));
  }

 private:
  // With mutex_ held.
  void Note(absl::string_view what, planner::AttemptId attempt) {
    asked_.push_back(absl::StrCat(what, planner::AttemptIdToString(attempt)));
  }

  mutable std::mutex mutex_;  // guards what follows
  std::condition_variable launched_;
  executor::ClusterListener listener_;
  std::vector<std::string> asked_;
  std::vector<executor::OfferId> declined_;
  std::deque<executor::Launch> launches_;
  absl::Status start_;
};

inline executor::Offer Lease(const std::string& agent, planner::ResourceVector resources) {
  executor::Offer offer;
  offer.id = absl::StrCat("lease of ", agent);
  offer.agent = agent;
  offer.agent_name = agent;
  offer.resources = std::move(resources);
  offer.lease = true;
  return offer;
}

// An attempt on agent "m" runs.
inline executor::AttemptUpdate Runs(planner::AttemptId attempt) {
  executor::AttemptUpdate update;
  update.attempt = attempt;
  update.agent = "m";
  update.start_time = absl::FromUnixSeconds(1700000000);
  return update;
}

// An attempt on agent "m" has ended, or (kNone) is alive.
inline executor::AttemptUpdate Ended(planner::AttemptId attempt, planner::Outcome outcome,
                                     std::string return_value = "") {
  executor::AttemptUpdate update;
  update.attempt = attempt;
  update.agent = "m";
  update.outcome = outcome;
  if (outcome == planner::Outcome::kExited) update.exit_status = 1;
  update.usage.wall_time = absl::Minutes(1);
  update.return_value = std::move(return_value);
  return update;
}

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_RECORDING_CLUSTER_H_
