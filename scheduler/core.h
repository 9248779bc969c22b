// The scheduler's core: the one owner of all live state. Events in, a step out.
#ifndef KARTOGRAPH_SCHEDULER_CORE_H_
#define KARTOGRAPH_SCHEDULER_CORE_H_

#include <map>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "absl/types/span.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "scheduler/agent_table.h"
#include "scheduler/attempt_table.h"
#include "scheduler/consumption_table.h"
#include "scheduler/demand.h"
#include "scheduler/explainer.h"
#include "scheduler/graph_project.h"
#include "scheduler/graph_table.h"
#include "scheduler/isolation.h"
#include "scheduler/live_graph.h"
#include "scheduler/preemption.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/relocation.h"
#include "scheduler/reservations.h"
#include "scheduler/snapshot.h"
#include "scheduler/step.h"
#include "scheduler/submission.h"
#include "scheduler/usage_table.h"

namespace kartograph::scheduler {

struct CoreOptions {
  planner::ResourceVector pools;
  uint32_t max_graph_tasks = 1000000;
  // Work on a whole graph goes on with this many tasks at once.
  int64_t slice_tasks = 4096;
  int slots = planner::Packer::kUnlimitedSlots;  // attempts that run on an agent at once, at most
  std::vector<planner::Resource> indexed = {};   // agents hand them out in whole instances
  std::map<planner::Resource, PoolOverride> pool_overrides = {};  // of `pools`
  // What is learnt of tasks that succeed; outlives the core. Null: nothing is.
  UsageTable* usage = nullptr;
  planner::FairShare::Weights weights = {};
  planner::FairShare::Caps caps = {};
  absl::Duration preempt_after = absl::InfiniteDuration();  // as in Preemption
};

// Dispatches between the tables that own the state: graphs and their tasks' lives, attempts,
// agents, demand. Has no threads, clock, randomness or I/O: the same events at the same times give
// the same steps. Every event is a Turn, which appends to a step; Plan, called once after a batch
// of events, appends the launches. If the step cannot be committed, the core is ahead of the
// history and must be thrown away and rebuilt from it. Thread-compatible.
class Core : public Snapshots {
 public:
  Core(CoreOptions options, GraphTable::LastIds last_ids);
  Core(const Core&) = delete;
  Core& operator=(const Core&) = delete;

  // --- graphs ---
  // The next id, which is never used again.
  planner::GraphId NewGraphId() { return graphs_.NewId(); }
  // The problems of a submission, including those that only the live state shows.
  absl::Status Check(const PreparedGraph& graph) const;
  // Puts a graph in its place, and begins with what there is to do with it; ContinueWork goes on.
  // Of a graph from the history that is the work which a crash left undone.
  void Install(PreparedGraph graph, const Turn& turn);
  // Goes on with work on whole graphs, each in turn, with this many tasks in all. Once a batch.
  void ContinueWork(int64_t tasks, const Turn& turn);
  bool HasWork() const { return graphs_.has_work(); }

  // --- commands ---
  // The errors are those of Scheduler. On an error the step is unchanged.
  // Check and Install with the records of a graph that is written at once.
  absl::StatusOr<planner::GraphId> SubmitGraph(PreparedGraph graph, const Turn& turn);
  // `after` are tasks of the same graph, or positions behind its last one for those that are added,
  // in place of the names in `tasks`; no cycle is among them. Gives the first one's key, which
  // those of the others follow.
  absl::StatusOr<planner::TaskKey> AddTasks(planner::GraphId graph,
                                            std::vector<TaskSubmission> tasks,
                                            std::vector<std::vector<planner::TaskIndex>> after,
                                            const Turn& turn);
  absl::Status CloseGraph(planner::GraphId graph, const Turn& turn);
  absl::StatusOr<int64_t> CancelGraph(planner::GraphId graph, const Turn& turn);
  // How many of them were not final, and how many others will be skipped.
  struct Cancelled {
    int64_t tasks = 0;
    int64_t skipped = 0;
  };
  absl::StatusOr<Cancelled> CancelTasks(planner::GraphId graph,
                                        std::vector<planner::TaskIndex> tasks, const Turn& turn);
  // Runs these tasks of a live graph again, as far as they are final and did not succeed, and what
  // was skipped because of them. How many. ResourceExhausted: more than kMaxRetriedTasks.
  static constexpr size_t kMaxRetriedTasks = 20000;
  absl::StatusOr<int64_t> RetryTasks(planner::GraphId graph,
                                     const std::vector<planner::TaskIndex>& tasks,
                                     const Turn& turn);
  // The same of a graph that has ended, as it is in the history.
  absl::StatusOr<int64_t> RetryTasks(PreparedGraph graph,
                                     const std::vector<planner::TaskIndex>& tasks,
                                     const Turn& turn);

  // The pools that there are from now on, and which of them were set at run time.
  // FailedPrecondition where one would go that a task of a live graph needs, or come that agents
  // have as a resource; then nothing is changed.
  absl::Status SetPools(const planner::ResourceVector& pools,
                        std::map<planner::Resource, PoolOverride> overrides, const Turn& turn);
  void SetSlots(int slots, const Turn& turn);

  void SetWeights(planner::FairShare::Weights weights) {
    packer_.shares().SetWeights(std::move(weights));
  }
  void SetPreemptAfter(absl::Duration after) { preemption_.SetAfter(after); }
  void SetCaps(planner::FairShare::Caps caps) { packer_.shares().SetCaps(std::move(caps)); }

  // --- events of the cluster ---
  void OnClusterEvent(executor::ClusterEvent event, const Turn& turn);

  // --- time ---
  // The earliest time at which OnTime, or Plan, has something to do.
  SteadyTime NextTimer() const;
  void OnTime(const Turn& turn);

  // Places what is ready, unless launching is stopped; declines offers of which nothing was used,
  // and says what is wanted.
  void Plan(const Turn& turn);
  void StopLaunching() { launching_ = false; }

  bool IsLive(planner::GraphId graph) const { return graphs_.contains(graph); }
  const LiveGraph* FindGraph(planner::GraphId graph) const { return graphs_.Find(graph); }
  bool IsAlive(planner::AttemptId attempt) const { return attempts_.contains(attempt); }
  bool connected() const { return connected_; }
  size_t live_attempts() const { return attempts_.size(); }
  size_t ready_tasks() const {
    return packer_.ready_count() + graphs_.suspects().size() + graphs_.relocated().size();
  }

  // A live graph as MakeProject makes it.
  std::optional<GraphProject> ProjectOf(planner::GraphId graph, size_t max_tasks) const {
    return MakeProject(*graphs_.Find(graph), packer_, consumptions_, max_tasks);
  }
  // The order in which tasks of a graph are to go from now on; nothing where it is gone.
  void SetOrder(planner::GraphId graph, absl::Span<const planner::TaskIndex> order,
                const Turn& turn);

  // What there is to consume: of all agents together, and of pools.
  const planner::ResourceVector& capacity() const { return packer_.total_capacity(); }
  const planner::ResourceVector& pools() const { return packer_.pools(); }

  // For how long every agent that runs something surely has more to begin in its backlog.
  absl::Duration AgentsBusyFor() const { return agents_.BusyFor(); }

  // The connection and the offers in force, for a core that takes this one's place.
  std::vector<executor::ClusterEvent> AdoptableState() const;

  // What must hold between two events, whatever came before; checks everything, for tests.
  absl::Status CheckInvariants() const;
  // How much is remembered, for tests: none of it grows with what is gone.
  size_t known_agents() const { return agents_.size(); }
  size_t known_consumptions() const { return consumptions_.size(); }
  size_t slots() const { return packer_.slots(); }
  int64_t explained() const { return explainer_.looks(); }

  // --- Snapshots ---
  std::vector<planner::GraphId> LiveGraphs() const override;
  std::optional<GraphSnapshot> Graph(planner::GraphId graph) const override;
  std::optional<TaskSnapshot> Task(planner::TaskKey task) const override;
  std::vector<TaskSnapshot> Tasks(planner::GraphId graph, planner::TaskIndex from, int limit,
                                  absl::Span<const planner::TaskState> states) const override;
  std::optional<Explanation> Explain(planner::TaskKey task, const Instant& now) const override;
  std::optional<EndOutlook> Outlook(planner::GraphId graph, size_t max_tasks,
                                    const Instant& now) const override;
  std::vector<PoolExplanation> Pools(size_t holders, size_t waiting,
                                     const Instant& now) const override;
  bool AppendSlice(planner::GraphId graph, size_t limit, GraphSlice* slice) const override;
  std::vector<AttemptSnapshot> Attempts(planner::TaskKey task) const override;
  ClusterSnapshot Cluster(int max_agents, int max_attempts) const override;
  std::vector<ShareSnapshot> Shares() const override;
  Totals totals() const override { return totals_; }
  Totals& mutable_totals() { return totals_; }

 private:
  absl::Status CheckShares() const;

  std::optional<planner::Problem> OverLimit(const LiveGraph& graph, absl::string_view task_name,
                                            const planner::ResourceVector& consumption) const;
  std::vector<planner::Problem> Infeasible(const LiveGraph& graph, absl::string_view task_name,
                                           const planner::ResourceVector& consumption) const;

  // The cluster's connection and agents.
  void OnConnected(const Turn& turn);
  void OnDisconnected(std::string reason, const Turn& turn);
  void OnAgentLost(const executor::AgentId& id, const Turn& turn);

  // What it reports of attempts.
  void OnAttempt(executor::AttemptUpdate update, const Turn& turn);
  void OnAttemptEnded(executor::AttemptUpdate update, const Turn& turn);
  void OnAttemptAlive(const executor::AttemptUpdate& update, const Turn& turn);
  // An attempt of the task has been started on this agent.
  void OnStarted(planner::TaskKey task, AgentTable::Index agent, const Turn& turn);
  void LearnFromEnd(const executor::AttemptUpdate& update, const Attempt& attempt,
                    const Turn& turn);
  void GiveUpUnreachable(const Turn& turn);
  void CancelAgain(planner::AttemptId id, const Turn& turn);
  void SetReachable(planner::AttemptId id, const Turn& turn);

  // Plans.
  void Preempt(const Turn& turn);
  void Place(const Turn& turn);
  enum class Way { kPacked, kAlone, kRelocated };
  void Launch(const planner::Packer::Placement& placement, Way way, const Turn& turn);
  void Refuse(const planner::Packer::Placement& placement, const Turn& turn);
  void TellDemand(const Turn& turn);
  // As in executor::Launch.
  std::string BacklogOrder(planner::TaskKey task) const;

  Explainer::Situation SituationNow() const {
    return {launching_, connected_, &disconnect_reason_};
  }
  PoolSnapshot SnapshotOf(const planner::ResourceVector::Entry& pool) const;
  AttemptSnapshot SnapshotOf(planner::AttemptId id, const Attempt& attempt) const;

  absl::Status CheckPools(const planner::ResourceVector& pools) const;

  const CoreOptions options_;
  std::map<planner::Resource, PoolOverride> pool_overrides_;
  planner::Packer packer_;
  ConsumptionTable consumptions_;
  AgentTable agents_;
  AttemptTable attempts_;
  Demand demand_;
  GraphTable graphs_;
  Isolation isolation_;
  Relocation relocation_;
  Reservations reservations_;
  Preemption preemption_;

  bool launching_ = true;
  bool connected_ = false;
  std::string disconnect_reason_;                       // for people; empty while none was given
  Instant planned_;                                     // the last time Plan was called
  std::vector<planner::Packer::Placement> placements_;  // kept to save its allocation
  Explainer explainer_;
  Totals totals_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_CORE_H_
