// Processes of attempts that a test starts and ends.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_TESTING_FAKE_PROCESSES_H_
#define KARTOGRAPH_EXECUTOR_AGENT_TESTING_FAKE_PROCESSES_H_

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "base/clock.h"
#include "executor/agent/attempt_processes.h"

namespace kartograph::executor::testing {

// They run until the test or a cancel ends them; a cancel does so with the next Poll.
class FakeProcesses final : public AttemptProcesses {
 public:
  explicit FakeProcesses(const Clock* clock) : clock_(clock) {}

  bool Start(const Launch& launch) override {
    if (failing) {
      AttemptUpdate update;
      update.attempt = launch.attempt;
      update.outcome = planner::Outcome::kAgentFailed;
      update.end_time = clock_->WallNow();
      ended_.push_back(std::move(update));
      return false;
    }
    started.push_back(launch.attempt);
    instances[launch.attempt.value] = launch.instances;
    running[launch.attempt.value] = clock_->WallNow();
    return true;
  }
  void Prepare(planner::AttemptId attempt) override { prepared.insert(attempt.value); }
  void Forget(planner::AttemptId attempt) override { prepared.erase(attempt.value); }
  bool Cancel(planner::AttemptId attempt, absl::Duration grace) override {
    if (!running.contains(attempt.value)) return false;
    graces[attempt.value] = grace;
    if (ends_when_cancelled) End(attempt, planner::Outcome::kCancelled);
    return true;
  }
  absl::Duration UntilDue() const override {
    return ended_.empty() ? until_due : absl::ZeroDuration();
  }
  void Poll(std::vector<AttemptUpdate>* ended) override {
    for (AttemptUpdate& update : ended_) ended->push_back(std::move(update));
    ended_.clear();
  }
  absl::Time StartTime(planner::AttemptId attempt) const override {
    auto it = running.find(attempt.value);
    return it == running.end() ? absl::InfinitePast() : it->second;
  }
  bool tidying() const override { return is_tidying; }
  absl::StatusOr<std::string> ReadResult(planner::AttemptId attempt, int64_t bytes) override {
    ++results_read;
    const std::string& result = results[attempt.value];
    if (static_cast<int64_t>(result.size()) < bytes) return absl::DataLossError("it is gone");
    return result.substr(0, static_cast<size_t>(bytes));
  }
  void DiscardSandbox(planner::AttemptId attempt) override {
    discarded.push_back(attempt);
    results.erase(attempt.value);
  }

  void End(planner::AttemptId attempt, planner::Outcome outcome, std::string result = "") {
    AttemptUpdate update;
    update.attempt = attempt;
    update.outcome = outcome;
    update.start_time = running.at(attempt.value);
    update.end_time = clock_->WallNow();
    update.return_value = result;
    results[attempt.value] = std::move(result);
    running.erase(attempt.value);
    ended_.push_back(std::move(update));
  }

  std::vector<planner::AttemptId> started;
  std::map<uint64_t, std::vector<HeldInstances>> instances;
  std::map<uint64_t, absl::Time> running;
  std::set<uint64_t> prepared;
  std::map<uint64_t, absl::Duration> graces;  // of those that were cancelled
  std::map<uint64_t, std::string> results;    // what is on disk
  std::vector<planner::AttemptId> discarded;
  int results_read = 0;
  bool failing = false;  // none can be started
  bool ends_when_cancelled = true;
  bool is_tidying = false;
  absl::Duration until_due = absl::InfiniteDuration();

 private:
  const Clock* const clock_;
  std::vector<AttemptUpdate> ended_;
};

}  // namespace kartograph::executor::testing

#endif  // KARTOGRAPH_EXECUTOR_AGENT_TESTING_FAKE_PROCESSES_H_
