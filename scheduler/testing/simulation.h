// The engine and the simulated cluster together in virtual time, for tests and benchmarks.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_SIMULATION_H_
#define KARTOGRAPH_SCHEDULER_TESTING_SIMULATION_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "executor/cluster.h"
#include "executor/simulated/simulated_cluster.h"
#include "scheduler/engine.h"
#include "storage/history.h"

namespace kartograph::scheduler {

// Stands between an engine and its cluster, and can cut the engine off between any two effects, as
// a kill would.
class CrashingCluster : public executor::Cluster, public executor::OfferControl {
 public:
  explicit CrashingCluster(executor::Cluster* cluster) : cluster_(cluster) {}

  // Called with what reaches the cluster.
  void Observe(std::function<void(absl::Span<const executor::Launch>)> on_execute,
               std::function<void(const std::vector<executor::OfferId>&)> on_decline) {
    on_execute_ = std::move(on_execute);
    on_decline_ = std::move(on_decline);
  }

  // The engine's process dies after this many more effects; each launch, cancel and acknowledgement
  // is one.
  void CrashAfter(int64_t effects) { effects_left_ = effects; }
  bool crashed() const { return effects_left_ <= 0; }
  void Mend() { effects_left_ = INT64_MAX; }

  absl::Status Start(executor::ClusterListener listener) override {
    return cluster_->Start(std::move(listener));
  }
  void Execute(std::vector<executor::Launch> launches) override {
    std::vector<executor::Launch> sent;
    for (executor::Launch& launch : launches) {
      if (Effect()) sent.push_back(std::move(launch));
    }
    if (sent.empty()) return;
    if (on_execute_) on_execute_(sent);
    cluster_->Execute(std::move(sent));
  }
  void Cancel(planner::AttemptId attempt, const executor::AgentId& agent,
              absl::Duration grace) override {
    if (Effect()) cluster_->Cancel(attempt, agent, grace);
  }
  void Acknowledge(const std::vector<planner::AttemptId>& attempts) override {
    std::vector<planner::AttemptId> sent;
    for (planner::AttemptId attempt : attempts) {
      if (Effect()) sent.push_back(attempt);
    }
    cluster_->Acknowledge(sent);
  }
  void Reconcile(std::vector<KnownAttempt> attempts) override {
    if (Effect()) cluster_->Reconcile(std::move(attempts));
  }
  void Discard(planner::GraphId graph) override { cluster_->Discard(graph); }

  executor::OfferControl* offers() override {
    return cluster_->offers() == nullptr ? nullptr : this;
  }
  void Decline(const std::vector<executor::OfferId>& offers) override {
    if (on_decline_) on_decline_(offers);
    cluster_->offers()->Decline(offers);
  }
  void Suppress() override { cluster_->offers()->Suppress(); }
  void Revive(const std::vector<planner::ResourceVector>& wanted) override {
    cluster_->offers()->Revive(wanted);
  }

 private:
  bool Effect() { return effects_left_ > 0 && --effects_left_ > 0; }

  executor::Cluster* const cluster_;
  int64_t effects_left_ = INT64_MAX;
  std::function<void(absl::Span<const executor::Launch>)> on_execute_;
  std::function<void(const std::vector<executor::OfferId>&)> on_decline_;
};

// Moves time from event to event. The history and the cluster outlive restarts of the engine.
class Simulation {
 public:
  Simulation(SchedulerOptions options, storage::HistoryWriter* history, storage::LongReader* reader,
             executor::SimulatedCluster* cluster)
      : options_(std::move(options)),
        history_(history),
        reader_(reader),
        cluster_(cluster),
        crashing_(cluster) {
    options_.slice_time = absl::ZeroDuration();  // what happens must not depend on real time
    Begin();
  }

  Engine& engine() { return *engine_; }
  CrashingCluster& crashing() { return crashing_; }
  // The scheduler's clocks: the steady one is the cluster's virtual time, the wall clock is that
  // plus what it was set by.
  Instant now() const {
    return {SteadyTime::FromSinceZero(cluster_->now() - absl::UnixEpoch()),
            cluster_->now() + wall_offset_};
  }
  void StepWall(absl::Duration step) {
    wall_offset_ += step;
    cluster_->StepWall(step);
  }
  // After each batch, with the core as it is then.
  void AfterEachBatch(std::function<void(const Core&)> check) { check_ = std::move(check); }
  // What reaches the scheduler, before it is applied.
  void ObserveEvents(std::function<void(absl::Span<const executor::ClusterEvent>)> observer) {
    on_events_ = std::move(observer);
  }
  // What else happens when the process dies, before the next one begins.
  void AtRestart(std::function<void()> die) { at_restart_ = std::move(die); }

  // Lets the next thing happen, and all that happens at the same time. False when nothing ever
  // will.
  bool Step() {
    const absl::Time wake = absl::UnixEpoch() + engine_->NextWake().since_zero();
    const absl::Time next = std::min(cluster_->NextEventTime(), wake);
    if (next == absl::InfiniteFuture()) return false;
    AdvanceTo(std::max(next, cluster_->now()));
    return true;
  }
  void AdvanceTo(absl::Time time) {
    cluster_->AdvanceTo(time);
    EndBatch();
  }
  // Applies what was asked of the engine.
  void EndBatch() {
    if (on_events_) on_events_(events_);
    engine_->OnClusterEvents(std::move(events_), now());
    events_.clear();
    engine_->EndBatch(now());
    if (check_) check_(engine_->core());
    if (crashing_.crashed()) Restart();
  }
  // Until nothing happens any more; false if that takes more than `steps`.
  bool RunToEnd(int64_t steps) {
    while (steps-- > 0) {
      if (!Step()) return true;
    }
    return false;
  }
  // As after kill -9.
  void Restart() {
    cluster_->Stop();
    engine_.reset();
    events_.clear();
    crashing_.Mend();
    if (at_restart_) at_restart_();
    ++restarts_;
    Begin();
  }
  int restarts() const { return restarts_; }

 private:
  void Begin() {
    engine_ = std::make_unique<Engine>(options_, history_, reader_, &crashing_, &background_);
    absl::Status recovered = engine_->Recover(now());
    absl::Status started = crashing_.Start([this](std::vector<executor::ClusterEvent> events) {
      std::move(events.begin(), events.end(), std::back_inserter(events_));
    });
    if (!recovered.ok() || !started.ok()) std::abort();
  }

  SchedulerOptions options_;
  storage::HistoryWriter* const history_;
  storage::LongReader* const reader_;
  InlineBackground background_;
  executor::SimulatedCluster* const cluster_;
  CrashingCluster crashing_;
  std::unique_ptr<Engine> engine_;
  std::vector<executor::ClusterEvent> events_;
  std::function<void(const Core&)> check_;
  std::function<void(absl::Span<const executor::ClusterEvent>)> on_events_;
  std::function<void()> at_restart_;
  absl::Duration wall_offset_;
  int restarts_ = 0;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_SIMULATION_H_
