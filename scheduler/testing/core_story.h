// The core beside a history in memory, told as a story: given this graph, these start; this ends,
// those start.
#ifndef KARTOGRAPH_SCHEDULER_TESTING_CORE_STORY_H_
#define KARTOGRAPH_SCHEDULER_TESTING_CORE_STORY_H_

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "scheduler/core.h"
#include "scheduler/step.h"
#include "scheduler/testing/builders.h"
#include "scheduler/testing/memory_history.h"

namespace kartograph::scheduler {

// Every event is a batch of its own: it is applied, timers run, the plan is made, and the records
// are committed (the history checks that they make sense). Tasks are known by their names in the
// graph submitted last, or in that of GoOnWith.
class CoreStory {
 public:
  explicit CoreStory(planner::ResourceVector pools = {},
                     int slots = planner::Packer::kUnlimitedSlots,
                     std::vector<planner::Resource> indexed = {});

  Core& core() { return *core_; }
  const Instant& now() const { return now_; }
  // The wall clock is set; no time passes.
  void StepWall(absl::Duration step) { now_.wall += step; }
  // Called in each batch from now on, when its events are applied and its plan is not made.
  void BeforePlan(std::function<void()> call) { before_plan_ = std::move(call); }
  const MemoryHistory& history() const { return history_; }

  // --- what happens ---
  void Connect() { Notify(executor::Connected{}); }
  void Disconnect() { Notify(executor::Disconnected{"gone"}); }
  // A lease of these resources; connects first where that has not been done.
  using Attributes = std::vector<std::pair<std::string, std::string>>;
  void Agent(const std::string& name, planner::ResourceVector resources, int backlog = 0,
             Attributes attributes = {});
  static executor::Offer MakeLease(const std::string& agent, planner::ResourceVector resources,
                                   int backlog, Attributes attributes);
  // An offer without a lease.
  void Offer(const std::string& offer, const std::string& agent, planner::ResourceVector resources);
  static executor::Offer MakeOffer(const std::string& offer, const std::string& agent,
                                   planner::ResourceVector resources);
  void AgentOutOfReach(const std::string& name) { Notify(executor::AgentUnreachable{name}); }
  void LoseAgent(const std::string& name) { Notify(executor::AgentLost{name}); }
  planner::GraphId Submit(const Graph& graph);
  // Names are those of this graph's tasks from now on.
  void GoOnWith(planner::GraphId graph) { graph_ = graph; }
  absl::Status TrySubmit(const Graph& graph);
  absl::Status Add(const Task& task);
  absl::Status Close();
  absl::StatusOr<int64_t> CancelGraph();
  absl::StatusOr<int64_t> Cancel(absl::string_view task);
  absl::StatusOr<Core::Cancelled> CancelAll(const std::vector<absl::string_view>& tasks);
  // While the graph runs.
  absl::StatusOr<int64_t> RetryAll(const std::vector<absl::string_view>& tasks);
  // The newest attempt of a task.
  void Queued(absl::string_view task);  // it waits in its agent's backlog
  void Runs(absl::string_view task);
  void OutOfReach(absl::string_view task);  // its agent cannot be reached
  void Succeeds(absl::string_view task, absl::Duration wall_time = absl::Minutes(1));
  void Fails(absl::string_view task);  // exits with status 1
  void Ends(absl::string_view task, planner::Outcome outcome, std::string message = "");
  void Notify(executor::ClusterEvent event);
  void Notify(std::vector<executor::ClusterEvent> events);  // at once
  void Wait(absl::Duration time);
  // The core is thrown away and rebuilt from the history; nothing is connected yet.
  void Restart();
  // The graph submitted last, whose tasks that did not succeed run again.
  int Retry();

  // --- what came of it; each gives what is new since it was asked last ---
  std::vector<std::string> Started();                           // names
  std::vector<executor::Launch> Launches();                     // the same in full
  std::vector<std::string> Cancels();                           // attempts
  std::vector<std::string> Acknowledged();                      // attempts
  std::vector<std::string> Reconciled();                        // attempts
  std::vector<absl::Duration> CancelGraces();                   // of the cancels
  std::vector<std::pair<std::string, std::string>> Finished();  // names and states, as delivered
  bool TakeSuppress() { return std::exchange(suppress_, false); }
  // What was wanted with the last revival, "cpu=1, cpu=2"; nothing without one.
  std::optional<std::string> TakeRevive() { return std::exchange(revive_, std::nullopt); }
  std::vector<std::string> Declined() { return std::exchange(declined_, {}); }  // offers

  // --- what is ---
  planner::TaskKey Key(absl::string_view task);
  planner::AttemptId Newest(absl::string_view task);
  // In words, from the core where the graph is live, from the history otherwise.
  std::string State(absl::string_view task);
  std::string States();  // of all tasks of the graph: "a=running b=waiting"
  // Why it does not run, or why it ended as it did.
  std::string Reason(absl::string_view task);
  std::string GraphState();
  int Attempts(absl::string_view task);

 private:
  void Batch();
  executor::AttemptUpdate Update(absl::string_view task, planner::Outcome outcome);

  MemoryHistory history_;
  UsageTable usage_;
  const CoreOptions options_;
  std::unique_ptr<Core> core_;
  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(100)), absl::FromUnixSeconds(1700000000)};
  planner::GraphId graph_ = 0;
  Step step_;
  std::function<void()> before_plan_;

  std::vector<executor::Launch> launches_;
  std::vector<std::string> cancels_;
  std::vector<absl::Duration> graces_;
  std::vector<std::string> acknowledged_;
  std::vector<std::string> reconciled_;
  std::vector<std::pair<std::string, std::string>> finished_;
  bool suppress_ = false;
  std::optional<std::string> revive_;
  std::vector<std::string> declined_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_TESTING_CORE_STORY_H_
