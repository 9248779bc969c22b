// The one owner of the attempts on a host, whoever launches them.
#ifndef KARTOGRAPH_EXECUTOR_AGENT_AGENT_H_
#define KARTOGRAPH_EXECUTOR_AGENT_AGENT_H_

#include <cstddef>
#include <cstdint>
#include <deque>
#include <limits>
#include <optional>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/strings/string_view.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/agent/attempt_processes.h"
#include "executor/agent/instances.h"
#include "executor/backlog.h"
#include "executor/cluster.h"
#include "executor/lineage.h"
#include "planner/ids.h"
#include "planner/instances.h"
#include "planner/resources.h"

namespace kartograph::executor {

// That an attempt runs, waits (neither outcome nor start) or has ended. `update.agent` is empty.
struct AttemptReport {
  AttemptUpdate update;
  // In which the attempt was launched.
  Incarnation incarnation = 0;
  // How much the attempt returned. More than a kilobyte is left in the sandbox, and
  // `update.return_value` is empty until AddReturnValue.
  int64_t return_value_bytes = 0;
};

// Every attempt that it was given waits, runs, or has ended and is not acknowledged. It knows no
// transport: whoever brings the launches calls Work when NextWork has come or anything has
// happened, and passes on what NextReport gives. Return values stay in the sandboxes until they are
// sent, so that attempts whose ends nobody collects cost little memory.
//
// Thread-compatible.
class Agent {
 public:
  struct Options {
    // Attempts wait in the order they came, and each starts as soon as what it consumes fits into
    // what is free of the capacity. Otherwise all start at once: their resources are counted
    // elsewhere.
    bool holds_to_capacity = true;
    // An attempt is reported as running after this long: most that end at once need no such report.
    absl::Duration report_running_after = absl::Milliseconds(5);
    // While there is more to start, no end is urgent: those within this time are reported together.
    absl::Duration gather_ends = absl::Milliseconds(1);
    // See ShouldExit.
    absl::Duration idle_exit = absl::Minutes(1);
    // The message for an attempt that it does not know.
    std::string unknown = "the agent does not know it";
    // See Instances; empty: no other agent hands out the same ones.
    std::string instances_shared_as = {};
    const Clock* clock = &Clock::System();
  };
  // `processes` outlives the agent.
  Agent(Options options, AttemptProcesses* processes)
      : options_(std::move(options)),
        processes_(processes),
        instances_(options_.instances_shared_as) {}
  Agent(const Agent&) = delete;
  Agent& operator=(const Agent&) = delete;

  // All that attempts may use together, from now on.
  void SetCapacity(planner::ResourceVector capacity) { capacity_ = std::move(capacity); }
  const planner::ResourceVector& capacity() const { return capacity_; }
  // Which resources are indexed from now on. Each attempt that starts has instances for itself,
  // until nothing of it is left; those that run keep what they have.
  void SetInstances(planner::InstanceLists lists) { instances_.SetLists(std::move(lists)); }
  // At most so many run at once, whatever they consume; at first there is no limit. Only where it
  // holds to its capacity.
  void SetSlots(size_t slots) { slots_ = slots; }
  // Whose attempts these are. Those of another history, or of an incarnation that this history does
  // not know, are ended and dropped with their sandboxes. Returns how many.
  size_t SetLineage(Lineage lineage);

  // Takes an attempt. One that is held already stays as it is; one of another incarnation under the
  // same id is ended and dropped first. What can never fit ends as kRefused.
  void Launch(executor::Launch launch, Incarnation incarnation);
  // The end of an attempt that cannot be launched.
  void Refuse(planner::AttemptId attempt, Incarnation incarnation, planner::Outcome outcome,
              absl::string_view why);

  enum class CancelResult {
    kUnknown,   // there is no such attempt
    kHasEnded,  // its end is or was reported
    kEnded,     // it waited, and has ended with this
    kEnding,    // it runs; its end is reported later
  };
  // Without a grace, that of the launch.
  CancelResult Cancel(planner::AttemptId attempt, std::optional<absl::Duration> grace);
  // The end of the attempt has been received; it may be dropped.
  void Acknowledge(planner::AttemptId attempt);
  // Reports the state of an attempt, kLost where it is not known.
  void Query(planner::AttemptId attempt);

  // Ends all attempts, as kLost with this reason, and takes no more. A process has at most
  // `max_grace` to end. Returns the longest that one has.
  absl::Duration Drain(std::string reason, absl::Duration max_grace = absl::InfiniteDuration());
  bool draining() const { return draining_; }
  // Nothing waits or runs any more.
  bool drained() const {
    return draining_ && waiting_ == 0 && running_ == 0 && !processes_->tidying();
  }

  // Does what is due: collects what has ended, and starts what fits, some at a time.
  void Work();
  // When Work has something to do without anything having happened.
  SteadyTime NextWork() const;
  // To be called when idle: does what can be done for the next attempts while all resources are in
  // use.
  void Prepare();

  // The reports that are due, one after the other; nothing when there are no more. Ends come once,
  // and again after RepeatReports.
  std::optional<AttemptReport> NextReport();
  // When NextReport has something.
  SteadyTime NextReportAt() const;
  // Every end that is not acknowledged is reported again; pending queries are dropped.
  void RepeatReports();
  // The report that an attempt runs, where it does and was not reported yet.
  std::optional<AttemptReport> TakeRunningReport(planner::AttemptId attempt);
  // Reads what the attempt of an end has returned. Where that is no longer there, an attempt that
  // succeeded has not: its end becomes kAgentFailed, in the report and here.
  void AddReturnValue(AttemptReport* report);

  // Whether it may exit when there is nothing to do, as of now.
  void AllowIdleExit(bool allowed);
  // It had nothing, and was allowed to exit, for as long as `idle_exit`.
  bool ShouldExit() const { return options_.clock->SteadyNow() >= idle_exit_at_; }
  SteadyTime idle_exit_at() const { return idle_exit_at_; }

  // Attempts that wait, run, or have ended and are not acknowledged.
  size_t held() const { return attempts_.size(); }
  size_t running() const { return running_; }
  size_t unacknowledged() const { return attempts_.size() - waiting_ - running_; }
  // When it was started, by the wall clock; InfinitePast where it does not run.
  absl::Time StartTime(planner::AttemptId attempt) const;

 private:
  struct Waiting {
    executor::Launch launch;
  };
  struct Running {
    planner::ResourceVector consumption;
    std::vector<HeldInstances> instances;
    absl::Duration cancel_grace;
    bool reported = false;   // that it runs
    bool cancelled = false;  // its end was requested
    // It is another history's: its end is reported only to whoever asked meanwhile.
    bool foreign = false;
    bool asked = false;
    // What was launched under its id meanwhile, and starts when it has ended.
    struct Replacement {
      executor::Launch launch;
      Incarnation incarnation = 0;
      bool cancelled = false;
    };
    std::optional<Replacement> replacement;
  };
  struct Ended {
    AttemptUpdate update;
    int64_t return_value_bytes = 0;
  };
  struct Attempt {
    Incarnation incarnation = 0;
    std::variant<Waiting, Running, Ended> state;
  };

  void Enqueue(executor::Launch launch, Incarnation incarnation);
  // Whether nothing is left of it.
  bool EndForeign(uint64_t id, Attempt* attempt);
  void CollectEnded();
  void OnEnded(AttemptUpdate update);
  void StartWaiting();
  void End(AttemptUpdate update, Incarnation incarnation);
  // Of one that has no process.
  void EndUnstarted(planner::AttemptId attempt, Incarnation incarnation, planner::Outcome outcome,
                    absl::string_view why);
  bool FrontFits() const;
  planner::ResourceVector Free() const;
  void Answer(planner::AttemptId attempt);
  void UpdateIdle();

  const Options options_;
  AttemptProcesses* const processes_;
  planner::ResourceVector capacity_;
  size_t slots_ = std::numeric_limits<size_t>::max();
  planner::ResourceVector used_;
  Instances instances_;
  Lineage lineage_;

  absl::flat_hash_map<uint64_t, Attempt> attempts_;
  size_t waiting_ = 0;
  size_t running_ = 0;
  Backlog queue_;  // of those that wait; some may no longer do so
  std::vector<AttemptUpdate> just_ended_;

  // What is to be reported.
  std::deque<std::pair<SteadyTime, uint64_t>> started_;  // when the report that it runs is due
  std::deque<AttemptReport> answers_;
  std::deque<uint64_t> unreported_;  // ends
  SteadyTime report_ends_at_ = SteadyTime::InfinitePast();

  bool may_exit_ = false;
  SteadyTime idle_exit_at_ = SteadyTime::InfiniteFuture();
  bool draining_ = false;
  std::string drain_reason_;
  absl::Duration drain_grace_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_AGENT_AGENT_H_
