// The scheduler's core: the one owner of all live state. Events in, a step out.
#ifndef KARTOGRAPH_SCHEDULER_CORE_H_
#define KARTOGRAPH_SCHEDULER_CORE_H_

#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <queue>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "planner/states.h"
#include "scheduler/live_graph.h"
#include "scheduler/prepared_graph.h"
#include "scheduler/snapshot.h"
#include "scheduler/step.h"
#include "scheduler/submission.h"
#include "storage/history.h"

namespace kartograph::scheduler {

struct CoreOptions {
  planner::ResourceVector pools;
  uint32_t max_graph_tasks = 1000000;
  // Work on a whole graph goes on with so many tasks at once.
  int64_t slice_tasks = 4096;
};

// Has no threads, clock, randomness or I/O: the same events at the same times give the same steps.
// Every event appends to a step; Plan, called once after a batch of events, appends the launches.
// If the step cannot be committed, the core is ahead of the history and must be thrown away and
// built anew from it. Thread-compatible.
class Core : public Snapshots {
 public:
  // Numbers already used in the history.
  struct Numbers {
    planner::GraphId last_graph = 0;
    int64_t last_delivery = 0;
  };
  Core(CoreOptions options, Numbers used);
  ~Core() override;

  // --- graphs ---

  // The next id, which is never given again.
  planner::GraphId NewGraphId() { return ++last_graph_; }
  // The problems of a submission, those that only the live state shows included.
  absl::Status Check(const PreparedGraph& graph) const;
  // Puts a graph in its place, and begins with what there is to do with it; ContinueWork goes on.
  // Of a graph from the history that is the work which a crash left undone.
  void Install(PreparedGraph graph, const Turn& turn);
  // Goes on with work on whole graphs, each in turn, with so many tasks in all. Once a batch.
  void ContinueWork(int64_t tasks, const Turn& turn);
  bool HasWork() const { return !working_.empty(); }

  // --- commands ---

  // Each is one turn. The errors are those of Scheduler. On an error the step is unchanged.
  // Check and Install with the records of a graph that is written at once.
  absl::StatusOr<planner::GraphId> SubmitGraph(PreparedGraph graph, const Turn& turn);
  // `after` are tasks of the same graph, in place of the names in `task`.
  absl::StatusOr<planner::TaskKey> AddTask(planner::GraphId graph, TaskSubmission task,
                                           std::vector<planner::TaskIndex> after, const Turn& turn);
  absl::Status CloseGraph(planner::GraphId graph, const Turn& turn);
  absl::StatusOr<int> CancelGraph(planner::GraphId graph, const Turn& turn);
  absl::StatusOr<int> CancelTask(planner::TaskKey task, const Turn& turn);

  // --- events of the cluster ---
  void OnClusterEvent(executor::ClusterEvent event, const Turn& turn);

  // --- time ---
  // The earliest time at which OnTime has something to do.
  SteadyTime NextTimer() const;
  void OnTime(const Turn& turn);

  // Places what is ready, unless launching is stopped; gives back offers of which nothing was used,
  // and says what is wanted.
  void Plan(const Turn& turn);
  void StopLaunching() { launching_ = false; }

  bool IsLive(planner::GraphId graph) const { return graphs_.contains(graph); }
  const LiveGraph* FindGraph(planner::GraphId graph) const;
  bool IsAlive(planner::AttemptId attempt) const { return attempts_.contains(attempt); }
  bool connected() const { return connected_; }
  size_t live_attempts() const { return attempts_.size(); }
  size_t ready_tasks() const { return packer_.ready_count(); }

  // For how long every agent that runs something surely has more to begin in its backlog.
  absl::Duration AgentsBusyFor() const;

  // The connection and the offers in force, for a core that takes this one's place.
  std::vector<executor::ClusterEvent> AdoptableState() const;

  // --- Snapshots ---
  std::vector<planner::GraphId> LiveGraphs() const override;
  std::optional<GraphSnapshot> Graph(planner::GraphId graph) const override;
  std::optional<TaskSnapshot> Task(planner::TaskKey task) const override;
  std::vector<TaskSnapshot> Tasks(planner::GraphId graph, planner::TaskIndex from, int limit,
                                  absl::Span<const planner::TaskState> states) const override;
  std::vector<AttemptSnapshot> Attempts(planner::TaskKey task) const override;
  ClusterSnapshot Cluster(int max_agents, int max_attempts) const override;
  Totals totals() const override { return totals_; }
  Totals& mutable_totals() { return totals_; }

 private:
  using AgentIndex = planner::Packer::AgentId;

  struct Attempt {
    AgentIndex agent = 0;
    planner::Packer::ClassId consumption = 0;
    bool holds = false;  // its resources are taken; false in an agent's backlog
    bool running = false;
    absl::Time launch_time;
    absl::Time start_time = absl::InfinitePast();
    std::optional<Instant> unreachable_since;  // set: its agent cannot be reached
  };

  struct Agent {
    executor::AgentId id;
    std::string name;
    bool lease = false;
    bool connected = false;
    planner::ResourceVector capacity;
    bool capacity_told = false;           // by the cluster; otherwise it is learnt from offers
    planner::ResourceVector most;         // that one attempt may have
    std::vector<executor::Offer> offers;  // open ones, where there is no lease
    planner::ResourceVector held;         // by attempts that hold their resources
    int attempts = 0;                     // alive
    int holding = 0;                      // of these, holding resources
    int max_backlog = 0;
    std::deque<planner::AttemptId> backlog;  // some may have ended or begun
    int backlog_size = 0;
    std::vector<std::pair<std::string, std::string>> attributes;  // as in Offer
    absl::Time unavailable_from = absl::InfiniteFuture();         // as in Offer, and
    SteadyTime leaves = SteadyTime::InfiniteFuture();             // the same by our own clock
    std::optional<executor::HostReport> host;                     // the last two reports
    std::optional<executor::HostReport> host_before;
    double mean_wall_us = 0;   // of ended attempts, newer ones weigh more; 0: none yet
    bool launched_on = false;  // in this plan
  };

  // core_work.cc
  GraphProgress& ProgressOf(LiveGraph& graph);
  void BeginWork(LiveGraph& graph, const Turn& turn);
  bool WorkOn(LiveGraph& graph, int64_t& tasks_left, const Turn& turn);
  void SkipAfter(LiveGraph& graph, planner::TaskIndex task, planner::TaskIndex because);
  void StartCancel(LiveGraph& graph, storage::GraphWork work, std::string reason, const Turn& turn);
  void AdoptAttempt(const LiveGraph& graph, const storage::AttemptLaunched& launched);
  static storage::GraphWork WorkLeft(const LiveGraph& graph);
  static std::string FailedFast(const LiveGraph& graph, planner::TaskIndex failed);

  // core_commands.cc
  planner::Packer::ClassId InternConsumption(const planner::ResourceVector& consumption,
                                             absl::Duration timeout);
  std::optional<planner::Problem> Infeasible(absl::string_view task_name,
                                             const planner::ResourceVector& consumption) const;
  LiveGraph* FindLive(planner::GraphId graph);
  void AddLiveTask(LiveGraph& graph, TaskSubmission& task,
                   const std::vector<planner::TaskIndex>& after, uint32_t rank, const Turn& turn);
  void Close(LiveGraph& graph, const Turn& turn);
  void CancelOne(LiveGraph& graph, planner::TaskIndex task, absl::string_view reason,
                 const Turn& turn);

  // core_tasks.cc: a task's life
  void SetState(LiveGraph& graph, planner::TaskIndex task, planner::TaskState state,
                const Turn& turn);
  // After `delay`, if that is positive.
  void MakeReady(LiveGraph& graph, planner::TaskIndex task, absl::Duration delay, const Turn& turn);
  void LeaveReady(LiveGraph& graph, planner::TaskIndex task);
  void Finish(LiveGraph& graph, planner::TaskIndex task, planner::TaskState state,
              std::string reason, const Turn& turn);
  void FinishOne(LiveGraph& graph, planner::TaskIndex task, planner::TaskState state,
                 std::string reason, const Turn& turn);
  void EndGraphIfDone(planner::GraphId graph, const Turn& turn);
  void AttemptOver(LiveGraph& graph, planner::TaskIndex task, const executor::AttemptUpdate& update,
                   const Turn& turn);

  // core_agents.cc: agents, offers and what is wanted
  AgentIndex AgentOf(const executor::AgentId& id);
  void OnConnected(const Turn& turn);
  void OnDisconnected(std::string reason);
  void OnOffer(executor::Offer offer, const Turn& turn);
  void OnAgentCapacity(executor::AgentCapacity told);
  void OnRescinded(const executor::OfferId& id, const Turn& turn);
  void OnAgentLost(const executor::AgentId& id, const Turn& turn);
  void OnAgentUnreachable(const executor::AgentId& id);
  void OnHostReport(executor::HostReport report);
  void SetUnavailableFrom(AgentIndex agent, absl::Time time, const Instant& now);
  void StaysForGood(AgentIndex agent);
  void RefreshHorizons(SteadyTime now);
  absl::Duration ExpectedWallTime(planner::Packer::ClassId consumption) const;
  void RefreshAgent(AgentIndex agent);
  void DeclineOffers(const Turn& turn);
  void TellDemand(const Turn& turn);

  // core_cluster.cc: attempts
  void OnAttempt(executor::AttemptUpdate update, const Turn& turn);
  void EndAttempt(executor::AttemptUpdate update, const Turn& turn);
  void OnAttemptAlive(const executor::AttemptUpdate& update, Attempt& attempt, const Turn& turn);
  void OnAttemptUnreachable(planner::AttemptId id, Attempt& attempt, const Turn& turn);
  void OnAttemptReachable(planner::AttemptId id, Attempt& attempt, const Turn& turn);
  void GiveUpUnreachable(const Turn& turn);
  void Hold(Attempt& attempt);
  absl::Duration RetryDelay(const LiveGraph& graph, const LiveTask& task) const;
  void Release(const Attempt& attempt);
  void StartBacklog(AgentIndex agent);
  void UpdateBacklogRoom(AgentIndex agent);
  void LearnWallTime(const Attempt& attempt, absl::Duration wall_time);
  void Place(const Turn& turn);
  void Launch(const planner::Packer::Placement& placement, const Turn& turn);
  void Refuse(LiveGraph& graph, const planner::Packer::Placement& placement, const Turn& turn);

  // core_snapshot.cc
  std::string WhyNotRunning(const LiveGraph& graph, planner::TaskIndex task) const;
  std::string Unreachable(const LiveGraph& graph, planner::TaskIndex task) const;
  std::string WhyNotPlaced(planner::Packer::ClassId consumption) const;
  const Agent* FitsButForMaintenance(planner::Packer::ClassId consumption) const;
  AgentSnapshot SnapshotOf(const Agent& agent) const;
  AttemptSnapshot SnapshotOf(planner::AttemptId id, const Attempt& attempt) const;

  const CoreOptions options_;
  planner::GraphId last_graph_;
  int64_t last_delivery_;
  bool launching_ = true;
  bool connected_ = false;
  std::string disconnect_reason_;  // for people; empty while nothing was said
  bool leases_ = false;            // this cluster leases: it need not be told what is wanted

  // What a cluster that offers was told that is wanted.
  enum class Demand : uint8_t { kUnknown, kNothing, kSomething };
  Demand demand_ = Demand::kUnknown;
  // Since the last revival a task became ready or an attempt ended: more may be free, or fit.
  bool demand_changed_ = false;
  SteadyTime revived_ = SteadyTime::InfinitePast();
  SteadyTime revive_at_ =
      SteadyTime::InfiniteFuture();  // when Plan will say so, having said it just now

  absl::btree_map<planner::GraphId, std::unique_ptr<LiveGraph>> graphs_;
  std::deque<planner::GraphId> working_;  // graphs with work left, each once
  planner::Packer packer_;
  std::vector<Agent> agents_;
  absl::flat_hash_map<executor::AgentId, AgentIndex> agent_index_;
  absl::btree_set<AgentIndex> leaving_;  // agents that will be taken away for maintenance
  SteadyTime planned_;                   // the last time Plan was called
  std::vector<AgentIndex> offering_;     // agents with open offers, and some that had
  // The most of each resource that any one agent ever had.
  planner::ResourceVector largest_seen_;
  bool agent_seen_ = false;
  absl::flat_hash_map<planner::AttemptId, Attempt> attempts_;
  int64_t unreachable_attempts_ = 0;
  // When attempts are given up that cannot be reached. Empty without a connection: then nothing is
  // known of them.
  absl::btree_set<std::pair<SteadyTime, planner::AttemptId>> give_up_;

  struct Timer {
    SteadyTime time;
    planner::TaskKey task;
    bool operator>(const Timer& other) const {
      return time != other.time ? time > other.time : other.task < task;
    }
  };
  std::priority_queue<Timer, std::vector<Timer>, std::greater<>> timers_;
  // When a delayed task becomes ready; a timer that says otherwise is outdated.
  absl::flat_hash_map<planner::TaskKey, Instant> delayed_until_;

  // How long tasks of a consumption run, newer ones weigh more; index: ClassId.
  std::vector<double> mean_wall_us_;
  // How long they may run, as long as none of them has; index: ClassId.
  std::vector<absl::Duration> longest_timeout_;
  std::vector<planner::Packer::Placement> placements_;  // kept to save its allocation
  TaskCounts counts_;                                   // over all live graphs
  Totals totals_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_CORE_H_
