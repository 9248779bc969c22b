// The graphs that are not final, and the lives of their tasks.
#ifndef KARTOGRAPH_SCHEDULER_GRAPH_TABLE_H_
#define KARTOGRAPH_SCHEDULER_GRAPH_TABLE_H_

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/states.h"
#include "scheduler/attempt_table.h"
#include "scheduler/consumption_table.h"
#include "scheduler/demand.h"
#include "scheduler/live_graph.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/step.h"
#include "scheduler/usage_table.h"

namespace kartograph::scheduler {

// Owns what follows for tasks from what happens to them: their states, back-offs and ends, what
// becomes ready or is skipped, the end of the graph. A ready task is in exactly one place: among
// the packer's, among the suspects, among the relocated, or waiting out a delay. Dies on a
// transition that planner/states.h does not have. Thread-compatible.
class GraphTable {
 public:
  struct Parts {
    planner::Packer* packer;
    ConsumptionTable* consumptions;
    const AgentTable* agents;
    const AttemptTable* attempts;
    Demand* demand;
    UsageTable* usage;  // null: nothing is learnt
    // Work on a whole graph goes on with this many tasks at once.
    int64_t slice_tasks;
  };
  // Ids already used in the history.
  struct LastIds {
    planner::GraphId graph = 0;
    int64_t delivery = 0;
  };
  // The parts outlive this.
  GraphTable(Parts parts, LastIds last);
  GraphTable(const GraphTable&) = delete;
  GraphTable& operator=(const GraphTable&) = delete;

  // --- reading ---
  const LiveGraph* Find(planner::GraphId id) const;
  bool contains(planner::GraphId id) const { return graphs_.contains(id); }
  const absl::btree_map<planner::GraphId, std::unique_ptr<LiveGraph>>& graphs() const {
    return graphs_;
  }
  const LiveTask& task(planner::TaskKey key) const {
    return graphs_.at(key.graph())->tasks[key.index()];
  }
  const planner::TaskPolicy& policy(planner::TaskKey key) const {
    return graphs_.at(key.graph())->policy(key.index());
  }
  const TaskCounts& counts() const { return counts_; }
  // When a delayed task becomes ready; null for others.
  const Instant* DelayedUntil(planner::TaskKey key) const;
  // How the last attempt of a task ended that was not spent, for people; null where there was none
  // since the start of the service.
  const std::string* LastUnspent(planner::TaskKey key) const;
  // Ready, and to be launched alone; the first in order first.
  const absl::btree_set<planner::ReadyKey>& suspects() const { return suspects_; }
  // Ready, and to be launched on another agent than avoided_agent; the first in order first.
  const absl::btree_set<planner::ReadyKey>& relocated() const { return relocated_; }
  const executor::AgentId& avoided_agent(planner::TaskKey key) const {
    return avoided_agents_.at(key);
  }

  // What these ready tasks need of an agent, each need once: those whose units of pools are free.
  std::vector<planner::ResourceVector> NeedsOf(
      const absl::btree_set<planner::ReadyKey>& tasks) const;

  // --- graphs come ---
  // The next id, which is never used again.
  planner::GraphId NewId() { return ++last_.graph; }
  // Puts a graph in its place, with its tasks in the states that it says. Those with an attempt
  // that is alive are kLaunching; the attempts are for the caller to adopt, before Begin.
  LiveGraph& Put(PreparedGraph& prepared, const Turn& turn);
  // Begins with what there is to do with it; ContinueWork goes on. Of a graph from the history that
  // is the work which a crash left undone.
  void Begin(LiveGraph& graph, PreparedGraph prepared, const Turn& turn);
  // ResourceExhausted: with these tasks it would have too many different constraints.
  absl::Status CheckConstraints(const LiveGraph& graph,
                                const std::vector<TaskSubmission>& tasks) const;
  // To an open graph; all have names. `after` of each is sorted and without duplicates, may name
  // others of them, and has no cycle. The first one's key, which those of the others follow.
  planner::TaskKey AddTasks(LiveGraph& graph, std::vector<TaskSubmission> tasks,
                            const std::vector<std::vector<planner::TaskIndex>>& after,
                            const Turn& turn);
  LiveGraph* FindLive(planner::GraphId id);

  // --- work on whole graphs, in slices ---
  // Goes on with it, each graph in turn, with this many tasks in all.
  void ContinueWork(int64_t tasks, const Turn& turn);
  bool has_work() const { return !working_.empty(); }

  // --- what people ask for ---
  void Close(LiveGraph& graph, const Turn& turn);
  // Begins to cancel all tasks of a closed graph that are not final.
  void StartCancel(LiveGraph& graph, storage::GraphWork work, std::string reason, const Turn& turn);
  // One task; what comes after it is skipped.
  void Cancel(LiveGraph& graph, planner::TaskIndex task, absl::string_view reason,
              const Turn& turn);

  // How many tasks will be skipped when these are cancelled, beside those among them.
  static int64_t CountSkippedBy(const LiveGraph& graph,
                                const std::vector<planner::TaskIndex>& cancelled);
  // Of these tasks those that are final and did not succeed, and the skipped ones after them; but
  // for those that come after another that did not succeed. By index.
  static std::vector<planner::TaskIndex> RetriedWith(const LiveGraph& graph,
                                                     const std::vector<planner::TaskIndex>& tasks);
  // Runs these again, as RetriedWith gives them.
  void Retry(LiveGraph& graph, const std::vector<planner::TaskIndex>& tasks, const Turn& turn);

  // One task of a graph that is being cancelled: what comes after it is cancelled as well.
  void CancelOne(LiveGraph& graph, planner::TaskIndex task, absl::string_view reason,
                 const Turn& turn);

  // Tasks of it that are not final are to go in this order from now on, the first first, as far as
  // people have not said otherwise. Others keep their place among them.
  void SetOrder(LiveGraph& graph, absl::Span<const planner::TaskIndex> order, const Turn& turn);

  // --- what happens to tasks ---
  // One attempt of it has succeeded.
  void Learn(planner::TaskKey key, const AttemptUsage& usage, absl::Time now);
  // Gives the number of its new attempt.
  uint32_t SetLaunching(planner::TaskKey key, const Turn& turn);
  // As SetLaunching, of one that is not among the packer's.
  uint32_t SetLaunchingApart(planner::TaskKey key, const Turn& turn);
  void SetRunning(planner::TaskKey key, const Turn& turn);
  // Its newest attempt has ended.
  void OnAttemptOver(planner::TaskKey key, const executor::AttemptUpdate& update, const Turn& turn);
  void EndGraphIfDone(planner::GraphId id, const Turn& turn);

  // --- time ---
  SteadyTime NextTimer() const;
  void OnTime(const Turn& turn);

  absl::Status CheckInvariants() const;

 private:
  void RankAdded(LiveGraph& graph, planner::TaskIndex first,
                 const std::vector<std::vector<planner::TaskIndex>>& after);
  void Add(LiveGraph& graph, TaskSubmission task, const std::vector<planner::TaskIndex>& after,
           const Turn& turn);
  // A task that was added.
  void Begin(LiveGraph& graph, planner::TaskIndex index, const Turn& turn);
  // An open graph has nothing left to do; if it is to close then, it does when that has lasted.
  void WaitWhileIdle(LiveGraph& graph, const Turn& turn);
  void StopWaiting(LiveGraph& graph);
  GraphProgress& ProgressOf(LiveGraph& graph);
  void BeginWork(LiveGraph& graph, const Turn& turn);
  bool WorkOn(LiveGraph& graph, int64_t& tasks_left, const Turn& turn);
  bool WriteResets(LiveGraph& graph, int64_t& tasks_left, const Turn& turn);
  bool SkipSome(LiveGraph& graph, int64_t& tasks_left, const Turn& turn);
  bool RankSome(LiveGraph& graph, int64_t& tasks_left);
  bool MakeSomeReady(LiveGraph& graph, int64_t& tasks_left, const Turn& turn);
  bool CancelSome(LiveGraph& graph, int64_t& tasks_left, const Turn& turn);
  static storage::GraphWork WorkLeft(const LiveGraph& graph);
  static std::string FailedFast(const LiveGraph& graph, planner::TaskIndex failed);
  void SkipAfter(LiveGraph& graph, planner::TaskIndex task, planner::TaskIndex because);
  planner::Packer::ClassId UseConsumption(LiveGraph& graph,
                                          const planner::ResourceVector& consumption,
                                          const planner::Constraints& constraints,
                                          const planner::Spread& spread, int length,
                                          absl::Duration timeout);
  void Count(LiveGraph& graph, planner::TaskState state, int64_t change);
  void CountUnfinished(LiveGraph& graph, planner::TaskIndex task, int64_t change);
  // Gives the graph its place among the others: when it would end if it had had the whole cluster
  // for itself from its submission on, by what its tasks consume and how long they are expected to
  // take. So what is small
  // or nearly done ends soon, and nothing that is submitted after that time goes before it, however
  // large it is: no graph waits for more than about what all that came before that time takes.
  // (Shortest remaining processing time, with the waiting time taken off.)
  void UpdateScore(LiveGraph& graph);
  void SetState(LiveGraph& graph, planner::TaskIndex task, planner::TaskState state,
                const Turn& turn);
  // After `delay`, if that is positive.
  void MakeReady(LiveGraph& graph, planner::TaskIndex task, absl::Duration delay, const Turn& turn);
  void Enqueue(const LiveGraph& graph, planner::TaskIndex task);
  void LeaveReady(LiveGraph& graph, planner::TaskIndex task);
  void Finish(LiveGraph& graph, planner::TaskIndex task, planner::TaskState state,
              std::string reason, const Turn& turn);
  void FinishOne(LiveGraph& graph, planner::TaskIndex task, planner::TaskState state,
                 std::string reason, const Turn& turn);
  // An attempt was spent.
  void OnFailure(LiveGraph& graph, planner::TaskIndex task, const executor::AttemptUpdate& update,
                 const Turn& turn);
  bool AnotherAgentFits(const LiveTask& task, const executor::AgentId& agent) const;
  void Avoid(LiveGraph& graph, planner::TaskIndex task, executor::AgentId agent, bool not_started);
  void StopAvoiding(LiveGraph& graph, planner::TaskIndex task);
  void OnUnspent(LiveGraph& graph, planner::TaskIndex task, const executor::AttemptUpdate& update,
                 const Turn& turn);

  // Of a graph in the history, at most.
  static constexpr absl::Duration kOldest = absl::Hours(24 * 30);
  // A score is computed so often while a graph shrinks to half of its size, about.
  static constexpr int64_t kScoreSteps = 16;

  const Parts parts_;
  LastIds last_;
  absl::btree_map<planner::GraphId, std::unique_ptr<LiveGraph>> graphs_;
  TaskCounts counts_;                     // over all graphs
  std::deque<planner::GraphId> working_;  // graphs with work left, each once

  // When delayed tasks become ready: by time, and by task with the wall clock's time to show.
  absl::btree_set<std::pair<SteadyTime, planner::TaskKey>> timers_;
  absl::btree_set<std::pair<SteadyTime, planner::GraphId>>
      idle_;  // open graphs, by LiveGraph::closes
  absl::flat_hash_map<planner::TaskKey, Instant> delayed_until_;
  absl::btree_set<planner::ReadyKey> suspects_;
  absl::btree_set<planner::ReadyKey> relocated_;
  absl::flat_hash_map<planner::TaskKey, executor::AgentId> avoided_agents_;
  absl::flat_hash_map<planner::TaskKey, std::string> last_unspent_;  // of tasks that are not final
};

// Before the next attempt of a task whose last one failed.
absl::Duration RetryDelay(const planner::TaskPolicy& policy, int spent);

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_GRAPH_TABLE_H_
