// Attempts that have not ended, each in exactly one state that carries its data.
#ifndef KARTOGRAPH_SCHEDULER_ATTEMPT_TABLE_H_
#define KARTOGRAPH_SCHEDULER_ATTEMPT_TABLE_H_

#include <cstdint>
#include <memory>
#include <optional>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/btree_set.h"
#include "absl/container/flat_hash_map.h"
#include "absl/status/status.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "planner/ids.h"
#include "planner/packer.h"
#include "scheduler/agent_table.h"

namespace kartograph::scheduler {

//   InBacklog --> Launching --> Running         each of them --> Unreachable --> what it was
//
// It waits on its agent for its turn and holds nothing.
struct InBacklog {};
// It holds its resources; it has not been reported as running.
struct Launching {};
struct Running {
  absl::Time start_time;  // by the agent's clock
};
using ReachableState = std::variant<Launching, InBacklog, Running>;
// Its agent cannot be reached; it keeps what it had.
struct Unreachable {
  Instant since;
  std::optional<SteadyTime> give_up_at;  // none: it is waited for, or there is no connection
  ReachableState before;
};
// The rare and large one lies apart: many thousands of attempts are alive, and each end finds its
// own among them.
using AttemptState = std::variant<Launching, InBacklog, Running, std::unique_ptr<Unreachable>>;

struct Attempt {
  AgentTable::Index agent = 0;
  planner::Packer::ClassId consumption = 0;
  uint32_t place = 0;      // in Agent::attempts
  bool alone : 1 = false;  // its agent is reserved for it
  // How long it is expected to run, at most kLongestMs; 0: as others of its consumption.
  uint32_t expected_ms : 31 = 0;
  static constexpr int64_t kLongestMs = INT32_MAX;
  absl::Time launch_time;
  AttemptState state;

  // What it is, or was before its agent became unreachable.
  bool in_backlog() const { return Is<InBacklog>(); }
  bool running() const { return Is<Running>(); }
  const Unreachable* unreachable() const {
    const auto* away = std::get_if<std::unique_ptr<Unreachable>>(&state);
    return away != nullptr ? away->get() : nullptr;
  }
  // InfinitePast where it has not been reported as running.
  absl::Time start_time() const;

 private:
  template <typename State>
  bool Is() const {
    const Unreachable* away = unreachable();
    return away != nullptr ? std::holds_alternative<State>(away->before)
                           : std::holds_alternative<State>(state);
  }
};
static_assert(sizeof(AttemptState) <= 24);
static_assert(sizeof(Attempt) <= 56);

// Keeps what agents, pools and accounts are charged for in step with the attempts.
// Thread-compatible.
class AttemptTable {
 public:
  // Both outlive this.
  AttemptTable(AgentTable* agents, planner::Packer* packer) : agents_(*agents), packer_(*packer) {}

  // --- reading ---
  const Attempt* Find(planner::AttemptId id) const;
  const Attempt& At(planner::AttemptId id) const { return attempts_.at(id); }
  bool contains(planner::AttemptId id) const { return attempts_.contains(id); }
  size_t size() const { return attempts_.size(); }
  size_t unreachable_count() const { return unreachable_; }
  // In order of ids: a hash map's order is arbitrary.
  std::vector<planner::AttemptId> Ids() const;
  std::vector<planner::AttemptId> IdsOn(AgentTable::Index agent) const;
  // Whether an agent that could not start an attempt gets another one now: it has none that has
  // not begun.
  bool MayTry(AgentTable::Index agent) const;
  template <typename F>
  void ForEach(F f) const {
    for (const auto& [id, attempt] : attempts_) f(id, attempt);
  }

  // Those that hold units of pools, in order of ids.
  template <typename F>
  void ForEachPoolHolder(F f) const {
    for (const planner::AttemptId id : pool_holders_) f(id, attempts_.at(id));
  }

  // --- changes ---
  // The plan took what it consumes, but for the backlog, and charged for it. `order` is its place
  // there. It is expected to run for so long; 0: as others of its consumption.
  void Launch(planner::AttemptId id, const planner::Packer::Placement& placement, bool alone,
              absl::Time now, std::string order, int64_t expected_us = 0);
  // From the history: until the cluster reports it, it is taken to hold all that it was given.
  void Adopt(planner::AttemptId id, AgentTable::Index agent, planner::Packer::ClassId consumption,
             bool alone, absl::Time launch_time, int64_t expected_us = 0);
  // Its agent can be reached; whether that changes anything.
  bool SetReachable(planner::AttemptId id);
  // It waits in its agent's backlog. Only for an attempt that can be reached, as the next.
  void SetInBacklog(planner::AttemptId id, std::string order);
  // It runs; whether that changes anything.
  bool SetRunning(planner::AttemptId id, absl::Time start_time);
  // Whether that changes anything. After `timeout` of it, it is due.
  bool SetUnreachable(planner::AttemptId id, const Instant& now, absl::Duration timeout);
  // What it waits for, though it runs, for people; empty: nothing. Whether that changes anything.
  bool SetNote(planner::AttemptId id, std::string note);
  // Empty where there is none.
  absl::string_view NoteOf(planner::AttemptId id) const {
    auto it = notes_.find(id);
    return it == notes_.end() ? absl::string_view() : it->second;
  }
  // It is being ended for another task; says for which one, for people. Ends with the attempt.
  void SetPreempted(planner::AttemptId id, std::string why) { preempted_[id] = std::move(why); }
  // Null where it is not.
  const std::string* PreemptedFor(planner::AttemptId id) const {
    auto it = preempted_.find(id);
    return it == preempted_.end() ? nullptr : &it->second;
  }
  bool any_preempted() const { return !preempted_.empty(); }
  // It has ended: what it held is free, and its agent, where it goes on, begins what it has in its
  // backlog.
  Attempt End(planner::AttemptId id, bool agent_goes_on = true);
  // Counts as begun what the agent begins by its own rule: in order, each as soon as it fits.
  void StartBacklog(AgentTable::Index agent);
  // The pools that there are from now on: what is held of one that comes or goes is charged to it,
  // or to the agents, from now on.
  void SetPools(const planner::ResourceVector& pools);
  // Nothing is known any more, so nothing is due.
  void OnDisconnected();

  // --- attempts that are unreachable for too long ---
  std::optional<planner::AttemptId> NextDue(SteadyTime now) const;
  SteadyTime NextTimer() const;

  absl::Status CheckInvariants() const;

 private:
  Attempt& Add(planner::AttemptId id, AgentTable::Index agent, planner::Packer::ClassId consumption,
               bool alone, absl::Time launch_time, int64_t expected_us);
  void NotePools(planner::AttemptId id, planner::Packer::ClassId consumption) {
    if (!packer_.pool_part(consumption).empty()) pool_holders_.insert(id);
  }
  // It has left the backlog.
  void Charge(planner::AttemptId id, const Attempt& attempt);

  AgentTable& agents_;
  planner::Packer& packer_;
  absl::flat_hash_map<planner::AttemptId, Attempt> attempts_;
  absl::flat_hash_map<planner::AttemptId, std::string> notes_;  // of those that have one
  absl::flat_hash_map<planner::AttemptId, std::string> preempted_;
  size_t unreachable_ = 0;
  absl::btree_set<planner::AttemptId> pool_holders_;
  absl::btree_set<std::pair<SteadyTime, planner::AttemptId>> give_up_;
};

}  // namespace kartograph::scheduler

#endif  // KARTOGRAPH_SCHEDULER_ATTEMPT_TABLE_H_
