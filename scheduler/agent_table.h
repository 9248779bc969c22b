// Agents: what each has, what of it is held, its offers or its lease, and its backlog.
#ifndef KARTOGRAPH_SCHEDULER_AGENT_TABLE_H_
#define KARTOGRAPH_SCHEDULER_AGENT_TABLE_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/backlog.h"
#include "executor/cluster.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "planner/resources.h"
#include "scheduler/agent_obstacle.h"

namespace kartograph::scheduler {

struct Agent {
  // What every launch and end looks at stands first, together: there may be ten thousand agents.
  bool connected = false;
  bool lease = false;
  bool reserved = false;     // kept for one attempt alone: nothing else is placed on it
  bool launched_on = false;  // in this plan
  int holding = 0;           // how many of its attempts hold their resources
  int max_backlog = 0;
  int backlog_size = 0;  // those in `backlog` that have neither ended nor begun
  // How many attempts in a row it could not start, for reasons of its own. After the first, it is
  // set aside; after that, it gets one attempt at a time until one has started.
  int failures = 0;
  double mean_wall_us = 0;       // of ended attempts, newer ones weigh more; 0: none yet
  planner::ResourceVector held;  // by those that hold their resources
  std::vector<planner::AttemptId> attempts;  // alive, in no order; AttemptTable knows the places
  executor::Backlog backlog;                 // some have ended or begun
  std::vector<executor::Offer> offers;       // open ones, where there is no lease
  executor::AgentId id;
  std::string name;

  planner::ResourceVector capacity;
  bool capacity_told = false;    // by the cluster; otherwise it is learnt from offers
  bool described = false;        // the packer knows name and attributes
  planner::ResourceVector most;  // that one attempt may have
  std::vector<std::pair<std::string, std::string>> attributes;  // as in Offer
  absl::Time unavailable_from = absl::InfiniteFuture();         // as in Offer, and
  SteadyTime leaves = SteadyTime::InfiniteFuture();             // the same by our own clock
  std::optional<executor::HostReport> host;                     // the last two reports
  std::optional<executor::HostReport> host_before;
  std::optional<absl::Time> unreachable_since;  // set: it does not answer
  std::optional<Instant> set_aside_until;
  std::string failure;     // the reason of the last one, as it gave it,
  bool suspected = false;  // or what was suspected of it, for people
  // Tasks of which an attempt failed there in a way that may be its own, and when.
  std::vector<std::pair<SteadyTime, planner::TaskKey>> suspicions;
  std::string closed;  // as in AgentCapacity

  // Offers can be used, or a lease.
  bool has_room() const { return connected && (lease || !offers.empty()); }
};

// Thread-compatible. An agent that is gone and has no attempts left is erased, at once where it is
// known to be lost for good, otherwise when it has been away for kForgetAfter; its index is used
// again then.
class AgentTable {
 public:
  using Index = planner::Packer::AgentId;
  static constexpr absl::Duration kForgetAfter = absl::Hours(1);
  static constexpr absl::Duration kFirstSetAside = absl::Seconds(1);
  static constexpr absl::Duration kLongestSetAside = absl::Minutes(5);
  // See OnSuspected.
  static constexpr size_t kSuspectedBy = 3;
  static constexpr absl::Duration kSuspicionLasts = absl::Minutes(10);
  static constexpr absl::Duration kOneIncident = absl::Seconds(1);

  // `packer` outlives this; it is kept up to date with what is free where. At most `slots` attempts
  // hold resources on an agent at once, whatever they consume.
  explicit AgentTable(planner::Packer* packer, int slots = planner::Packer::kUnlimitedSlots)
      : packer_(*packer), slots_per_agent_(slots) {}

  // --- the agents ---
  const Agent& operator[](Index index) const { return slots_[index].agent; }
  std::optional<Index> Find(const executor::AgentId& id) const;
  // The id itself where it is not known any more.
  std::string NameOf(const executor::AgentId& id) const {
    const std::optional<Index> index = Find(id);
    return index ? (*this)[*index].name : id;
  }
  // Of an attempt in the history; nothing else is known of it yet.
  Index Adopt(const executor::AgentId& id, const std::string& name, SteadyTime now);
  template <typename F>
  void ForEach(F f) const {
    for (Index i = 0; i < slots_.size(); ++i) {
      if (slots_[i].known) f(i, slots_[i].agent);
    }
  }
  size_t size() const { return index_.size(); }

  // --- what the cluster reports ---
  Index OnOffer(executor::Offer offer, const Instant& now);
  Index OnCapacity(executor::AgentCapacity capacity);
  void OnRescinded(const executor::OfferId& id);
  void OnUnreachable(const executor::AgentId& id, const Instant& now);
  void OnHostReport(executor::HostReport report);
  // It was heard from.
  void OnAlive(Index index);
  // Its offers are void; the caller ends its attempts, and then calls Erase.
  void OnLost(Index index, SteadyTime now);
  void Erase(Index index);
  // All offers are void, and no agent is known to be connected. With `again`, a connection begins.
  void OnDisconnected(SteadyTime now, bool again);
  // Erases those that have been away for long.
  void ForgetAbsent(SteadyTime now);

  // --- what runs there ---
  // Its place in Agent::attempts.
  uint32_t AddAttempt(Index index, planner::AttemptId attempt);
  // Gives the attempt that has this place now, if that is another one.
  std::optional<planner::AttemptId> RemoveAttempt(Index index, uint32_t place);
  // With `placed`, the packer has taken the resources already.
  void Hold(Index index, planner::Packer::ClassId consumption, bool placed = false);
  void Unhold(Index index, planner::Packer::ClassId consumption);
  // What is held there is less by the first and more by the second.
  void Recharge(Index index, const planner::ResourceVector& less,
                const planner::ResourceVector& more);
  void PushBacklog(Index index, planner::AttemptId attempt, std::string order);
  void PopBacklog(Index index) { slots_[index].agent.backlog.PopFront(); }
  void LeaveBacklog(Index index) { --slots_[index].agent.backlog_size; }
  void UpdateBacklogRoom(Index index);
  void LearnWallTime(Index index, double microseconds);
  // For how long every agent that runs something surely has more to begin in its backlog.
  absl::Duration BusyFor() const;

  // --- agents that fail, and those kept for one attempt ---
  // It could not start an attempt: sets it aside, for longer each time.
  void OnFailed(Index index, std::string reason, const Instant& now);
  // An attempt failed there in a way that may be the agent's own doing or the task's. When that has
  // happened to kSuspectedBy different tasks within kSuspicionLasts, it is the agent's: it is set
  // aside. What comes within kOneIncident has one cause and counts once. Whether that changes
  // anything.
  bool OnSuspected(Index index, planner::TaskKey task, absl::string_view what, const Instant& now);
  // It started one.
  void OnStarted(Index index);
  // Ends what is due; whether anything was.
  bool ReturnSetAside(SteadyTime now);
  SteadyTime NextReturn() const;
  // Those that get one attempt at a time.
  const absl::btree_set<Index>& on_probation() const { return on_probation_; }
  void Reserve(Index index, bool reserved);
  // Why nothing is packed there, whatever it is: kNone, kAway, kNotOffered, kFailing or kAlone.
  static AgentObstacle WhyNotUsable(const Agent& agent);

  // --- plans ---
  void RefreshTimesUntilDrain(SteadyTime now);
  bool anybody_leaves() const { return !leaving_.empty(); }
  void MarkLaunchedOn(Index index) { slots_[index].agent.launched_on = true; }
  // After a plan: what its launches used up of offers. Once for each agent, however often asked.
  void UseOffers(Index index, std::vector<executor::Offer>* used);
  // All open offers, but for those of agents on which the packer keeps room for a task.
  void TakeOpenOffers(std::vector<executor::Offer>* offers);

  // --- what there is and was ---
  int slots_per_agent() const { return slots_per_agent_; }
  void SetSlotsPerAgent(int slots);
  bool anybody_seen() const { return anybody_seen_; }
  bool leases() const { return leases_; }  // since the last connection
  // Whether one agent has, or ever had, all of this together.
  bool EverFits(const planner::ResourceVector& need) const;
  // The most of each resource that any one agent ever had.
  const planner::ResourceVector& largest_seen() const { return largest_seen_; }
  // The events that bring another table to the same state.
  void AppendState(std::vector<executor::ClusterEvent>* events) const;

  // Of its own state; what is held is compared by AttemptTable.
  absl::Status CheckInvariants() const;

 private:
  struct Slot {
    bool known = false;
    uint64_t away = 0;  // its newest entry in away_
    Agent agent;
  };
  struct Away {
    SteadyTime since;
    Index index;
    uint64_t number;
  };

  Index Intern(const executor::AgentId& id);
  Agent& At(Index index) { return slots_[index].agent; }
  void Describe(Index index, std::string name,
                const std::vector<std::pair<std::string, std::string>>& attributes);
  void MarkAway(Index index, SteadyTime now);
  void SetUnavailableFrom(Index index, absl::Time time, const Instant& now);
  void StaysForGood(Index index);
  void Refresh(Index index);

  planner::Packer& packer_;
  int slots_per_agent_;
  std::vector<Slot> slots_;
  absl::flat_hash_map<executor::AgentId, Index> index_;
  absl::btree_set<Index> leaving_;  // agents that will be taken down for maintenance
  std::vector<Index> offering_;     // agents with open offers, and some that had
  absl::btree_set<std::pair<SteadyTime, Index>> set_aside_;
  absl::btree_set<Index> on_probation_;
  std::deque<Away> away_;  // the longest away first, and some that are back
  uint64_t away_number_ = 0;
  bool leases_ = false;
  bool anybody_seen_ = false;
  planner::ResourceVector largest_seen_;
  // What erased agents had: none of these fits into another. The last few.
  std::deque<planner::ResourceVector> shapes_seen_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_AGENT_TABLE_H_
