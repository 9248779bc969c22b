// The engine beside a history in memory and a cluster that the test plays, in virtual time.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_ENGINE_STORY_H_
#define KARTOGRAPH_SCHEDULER_TESTING_ENGINE_STORY_H_

#include <gtest/gtest.h>

#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "scheduler/engine.h"
#include "scheduler/testing/builders.h"
#include "scheduler/testing/memory_history.h"
#include "scheduler/testing/recording_cluster.h"
#include "scheduler/testing/reply_value.h"

namespace kartograph::scheduler {

// What a call was answered; complains about a second answer.
template <typename T>
class Answer {
 public:
  Done Callback() {
    return [state = state_](absl::StatusOr<Reply> reply) {
      EXPECT_FALSE(state->has_value()) << "answered twice";
      state->emplace(ReplyValue<T>(std::move(reply)));
    };
  }
  bool given() const { return state_->has_value(); }
  const absl::StatusOr<T>& operator*() const { return state_->value(); }
  absl::Status status() const {
    return given() ? (*state_)->status() : absl::InternalError("no answer yet");
  }
  // The value of a good answer.
  T value() const {
    if (status().ok()) return ***state_;
    ADD_FAILURE() << status();
    return T();
  }

 private:
  using State = std::optional<absl::StatusOr<T>>;
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

// A history whose commits and payloads can be watched and spoilt.
class SpiedHistory : public MemoryHistory {
 public:
  std::function<void()> before_commit;
  std::set<planner::TaskKey> unreadable_payloads;

  absl::Status Commit(absl::Span<const storage::Record> records) override {
    if (before_commit) before_commit();
    return MemoryHistory::Commit(records);
  }
  absl::StatusOr<std::vector<std::string>> Payloads(
      absl::Span<const planner::TaskKey> tasks) override {
    for (planner::TaskKey task : tasks) {
      if (unreadable_payloads.contains(task)) {
        return absl::UnavailableError("the disk does not answer");
      }
    }
    return MemoryHistory::Payloads(tasks);
  }
};

class EngineStory {
 protected:
  explicit EngineStory(SchedulerOptions options = {});
  static SchedulerOptions WithRetention(absl::Duration retention) {
    SchedulerOptions options;
    options.retention.age = retention;
    return options;
  }

  // As after kill -9: a new engine, which knows what the history knows.
  void Restart();
  void Batch() { engine_->EndBatch(now_); }
  void Wait(absl::Duration time) {
    now_.steady += time;
    now_.wall += time;
    Batch();
  }

  // Asks only; Batch answers.
  template <typename T>
  Answer<T> Ask(Command command) {
    Answer<T> answer;
    engine_->Apply(std::move(command), now_, answer.Callback());
    return answer;
  }
  Answer<planner::GraphId> Submit(const Graph& graph, const std::string& request = "") {
    return Ask<planner::GraphId>(SubmitGraph{request, Prepare(graph.Get())});
  }
  Answer<planner::TaskKey> Add(planner::GraphId graph, const Task& task) {
    return Add(graph, std::vector<Task>{task});
  }
  Answer<planner::TaskKey> Add(planner::GraphId graph, const std::vector<Task>& tasks,
                               const RequestId& request = {}) {
    AddTasks add{request, graph, {}};
    for (const Task& task : tasks) add.tasks.push_back(task.Get());
    return Ask<planner::TaskKey>(std::move(add));
  }
  Answer<bool> Close(planner::GraphId graph) { return Ask<bool>(CloseGraph{"", graph}); }
  Answer<int> Cancel(planner::GraphId graph, const std::string& request = "") {
    return Ask<int>(CancelGraph{request, graph});
  }
  Answer<int> CancelOne(planner::GraphId graph, const std::string& task) {
    return Ask<int>(CancelTasks{"", graph, {task}});
  }
  Answer<int> Retry(planner::GraphId graph, const std::string& request = "") {
    return Ask<int>(RetryTasks{request, graph});
  }
  // Waits for nothing unless told so.
  Answer<std::vector<storage::Finished>> Pop(std::vector<int64_t> acknowledge = {},
                                             absl::Duration wait = absl::ZeroDuration(),
                                             int max_tasks = 100, int64_t max_bytes = 1 << 20) {
    return Ask<std::vector<storage::Finished>>(
        PopFinished{"client", std::move(acknowledge), max_tasks, max_bytes, now_.steady + wait});
  }
  // What one cluster reported at once; Batch applies it.
  void Notify(std::vector<executor::ClusterEvent> events) {
    engine_->OnClusterEvents(std::move(events), now_);
  }
  // Agent "m" with this many cores is connected.
  void Agent(double cores) { Notify({executor::Connected{}, Lease("m", Cpu(cores))}); }
  // The newest attempts of tasks of graph 1 by their index.
  static planner::AttemptId Attempt(planner::TaskIndex task, uint32_t number = 1) {
    return planner::AttemptId::Of(planner::TaskKey::Of(1, task), number);
  }

  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(100)), absl::FromUnixSeconds(1700000000)};
  SpiedHistory history_;
  RecordingCluster cluster_;
  InlineBackground background_;
  std::unique_ptr<Engine> engine_;

 private:
  SchedulerOptions options_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_ENGINE_STORY_H_
