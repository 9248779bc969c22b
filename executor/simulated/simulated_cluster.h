// A cluster in virtual time: any number of agents, durations and faults from a seed.
#ifndef KARTOGRAPH_EXECUTOR_SIMULATED_SIMULATED_CLUSTER_H_
#define KARTOGRAPH_EXECUTOR_SIMULATED_SIMULATED_CLUSTER_H_

#include <cstdint>
#include <deque>
#include <functional>
#include <memory>
#include <optional>
#include <queue>
#include <random>
#include <string>
#include <vector>

#include "absl/container/btree_map.h"
#include "absl/container/flat_hash_map.h"
#include "absl/time/time.h"
#include "executor/backlog.h"
#include "executor/cluster.h"

namespace kartograph::executor {

// What goes wrong, as probabilities from 0 to 1, drawn once for each occasion.
struct SimulatedFaults {
  double refuse_launch = 0;  // a launch comes back as kRefused
  double lose_agent = 0;     // at each launch: its agent dies a little later, with all on it
  // At each launch: its agent cannot be reached from a little later on, for a little.
  double partition = 0;
  double repeat_update = 0;  // an update arrives a second time, later
  double late_update = 0;    // an update is overtaken by others
  double drop_connection =
      0;                     // at each launch: the connection breaks a little later, and comes back
  double rescind_offer = 0;  // an offer without a lease is taken back a little later
  // An agent says from its first offer on when it will be taken away, and is.
  double maintenance = 0;
  absl::Duration longest_delay =
      absl::Milliseconds(200);  // of messages that are late, and of what happens "a little later"
};

struct SimulatedClusterOptions {
  std::vector<planner::ResourceVector> agents;
  // True: each agent is one lease, as on the local cluster. False: what is free is offered, and
  // again when an attempt ends, as on Mesos; what was declined comes again only when more is free
  // on its agent, or after Revive.
  bool lease = true;
  int backlog = 0;
  // A lease that is over-committed aborts the process, unless this is set: where attempts are given
  // up that may still run, an agent refuses what it has no room for.
  bool refuse_overcommit = false;
  // Each agent has the attribute "zone" with a number below this, and what comes in its place has
  // the same; at most as many as there are agents. 0: none has.
  uint32_t zones = 0;
  // What an agent has is reported before each offer of it; only without leases.
  bool tell_capacity = false;
  absl::Duration latency = absl::ZeroDuration();  // of every message, one way
  absl::Time start = absl::UnixEpoch();
  uint64_t seed = 1;
  SimulatedFaults faults;
};

// How one attempt goes, should it be left alone.
struct SimulatedRun {
  absl::Duration duration;
  planner::Outcome outcome = planner::Outcome::kSucceeded;
};

// A single-threaded Cluster whose time is moved by its owner. It outlives schedulers: Start may be
// called again, after Stop, by the next one, as after a crash. The same seed and the same calls
// give the same events. Agents admit attempts strictly: in order, and never over their capacity,
// whatever they are sent.
class SimulatedCluster : public Cluster, public OfferControl {
 public:
  using RunOf = std::function<SimulatedRun(planner::AttemptId)>;
  // Called when an attempt's process really begins (true) and ends (false).
  using Observer = std::function<void(planner::AttemptId, bool begins)>;

  SimulatedCluster(SimulatedClusterOptions options, RunOf run_of, Observer observer = nullptr);

  absl::Time now() const { return now_; }
  // When something happens next; InfiniteFuture when nothing will.
  absl::Time NextEventTime() const;
  // Moves time to `time` and lets everything until then happen. The listener is called at most
  // once, with all that reached the scheduler.
  void AdvanceTo(absl::Time time);
  // The scheduler is gone: what was on the way to it is lost, and some of what was on the way to
  // the agents.
  void Stop();

  // From here on nothing goes wrong any more.
  void StopFaults() { faults_ = SimulatedFaults(); }

  // No process runs anywhere, and every end was acknowledged.
  bool Idle() const { return attempts_.empty(); }
  int lost_agents() const { return lost_agents_; }
  // How many of these were taken down as announced.
  int taken_away() const { return taken_away_; }
  // Changes how far the wall clock, by which maintenance is announced, differs from now().
  void StepWall(absl::Duration step) { wall_offset_ += step; }
  // How often an agent could not be reached for a while.
  int partitions() const { return partitions_; }
  // Its place among options.agents; of one that came later, behind them.
  uint32_t AgentIndex(const AgentId& agent) const { return agent_index_.at(agent); }

  absl::Status Start(ClusterListener listener) override;
  void Execute(std::vector<Launch> launches) override;
  void Cancel(planner::AttemptId attempt, const AgentId& agent, absl::Duration grace) override;
  void Acknowledge(const std::vector<planner::AttemptId>& attempts) override;
  void Reconcile(std::vector<KnownAttempt> attempts) override;
  void Discard(planner::GraphId) override {}

  OfferControl* offers() override { return options_.lease ? nullptr : this; }
  void Decline(const std::vector<OfferId>& offers) override;
  void Suppress() override;
  void Revive(const std::vector<planner::ResourceVector>& wanted) override;

 private:
  enum class Phase : uint8_t { kQueued, kRunning, kEnded };
  struct Attempt {
    uint32_t agent = 0;
    Phase phase = Phase::kQueued;
    bool cancelled = false;
    planner::Outcome outcome = planner::Outcome::kNone;
    planner::ResourceVector consumption;
    SimulatedRun run;
    absl::Time start_time = absl::InfinitePast();
    absl::Time end_time = absl::InfinitePast();
  };
  struct Agent {
    AgentId id;
    uint32_t zone = 0;
    planner::ResourceVector capacity;
    planner::ResourceVector used;
    Backlog queue;
    bool alive = true;
    bool dying = false;
    bool unreachable = false;
    absl::Time unavailable_from = absl::InfiniteFuture();
    bool offered = false;  // an offer without a lease is open
    OfferId offer;
    planner::ResourceVector offered_resources;
    std::optional<planner::ResourceVector> declined;
  };
  // Something that happens at a time; which fields are set depends on its kind.
  struct Event {
    enum class Kind : uint8_t {
      kArrive,     // launches reach their agent
      kCancel,     // a cancel reaches its agent
      kAsk,        // a reconciliation reaches the agents
      kOfferRest,  // what a launch left of an offer is offered again
      kEnd,        // a process ends
      kDecline,    // offers are given back
      kSuppress,
      kRevive,
      kTell,  // an event reaches the scheduler
      kLoseAgent,
      kTakeAway,
      kLoseSight,  // an agent cannot be reached
      kSeeAgain,
      kDisconnect,
      kConnect,
      kRescind,
    } kind = Kind::kTell;
    uint64_t connection = 0;  // messages of an older connection are lost
    planner::AttemptId attempt;
    uint32_t agent = 0;
    std::vector<Launch> launches;
    std::vector<KnownAttempt> asked;
    std::vector<OfferId> declined;
    ClusterEvent told;
  };

  // An event's place in the order of things; small, as many of them are moved about in a heap.
  struct Due {
    absl::Time time;
    uint64_t sequence = 0;
    std::unique_ptr<Event> event;
  };
  // The order that has the earliest on top of a heap.
  static bool Later(const Due& a, const Due& b) {
    return a.time != b.time ? a.time > b.time : a.sequence > b.sequence;
  }

  bool Chance(double probability);
  absl::Duration ALittle();
  void Schedule(absl::Time time, Event event);
  void Notify(ClusterEvent event, absl::Duration extra = absl::ZeroDuration());
  void NotifyUpdate(planner::AttemptId id, const Attempt& attempt);
  void Happen(Event& event);
  void SendToAgents(Event event);
  void Answer(const std::vector<KnownAttempt>& attempts);
  void Arrive(std::vector<Launch> launches);
  void Admit(uint32_t agent);
  void End(planner::AttemptId id, planner::Outcome outcome);
  void LoseAgent(uint32_t agent);
  void Partition(uint32_t agent);
  void SeeAgain(uint32_t agent);
  std::vector<planner::AttemptId> AttemptsOn(uint32_t agent) const;
  uint32_t AddAgent(planner::ResourceVector capacity, uint32_t zone);
  void MakeOffer(uint32_t agent);
  void OnDecline(const std::vector<OfferId>& offers);
  void OnRevive();
  void Connect();
  AttemptUpdate UpdateOf(planner::AttemptId id, const Attempt& attempt) const;

  const SimulatedClusterOptions options_;
  SimulatedFaults faults_;
  const RunOf run_of_;
  const Observer observer_;
  ClusterListener listener_;
  std::mt19937_64 random_;
  absl::Time now_;
  bool connected_ = false;
  bool suppressed_ = false;  // no offers are wanted
  uint64_t connection_ = 0;
  uint64_t sequence_ = 0;
  uint64_t offers_ = 0;
  absl::Duration wall_offset_;
  int lost_agents_ = 0;
  int taken_away_ = 0;
  int partitions_ = 0;

  std::vector<Agent> agents_;
  absl::flat_hash_map<AgentId, uint32_t> agent_index_;
  absl::flat_hash_map<OfferId, uint32_t> agent_of_offer_;  // open ones, and some that were
  absl::flat_hash_map<planner::AttemptId, Attempt> attempts_;
  std::vector<Due> events_;  // a heap, the earliest first
  std::vector<ClusterEvent> to_tell_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_SIMULATED_SIMULATED_CLUSTER_H_
