// Starts, watches and ends the processes of attempts on an agent.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_RUNNER_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_RUNNER_H_

#include <sys/resource.h>
#include <sys/types.h>

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/container/flat_hash_map.h"
#include "absl/container/flat_hash_set.h"
#include "absl/status/statusor.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "base/descriptor.h"
#include "executor/cluster.h"
#include "executor/disk_limits.h"
#include "executor/memory_limits.h"
#include "executor/runner/cgroup.h"
#include "executor/runner/command.h"
#include "executor/runner/disk_reserve.h"
#include "executor/runner/environment.h"
#include "executor/runner/output_collector.h"
#include "executor/runner/process_table.h"
#include "executor/runner/sandbox.h"
#include "executor/runner/spawn.h"
#include "executor/runner/worker.h"
#include "planner/ids.h"

namespace kartograph::executor {

// The attempts whose processes run here, and how they are to end.
//
// An attempt's process leads its own session, works in its own sandbox (sandbox.h), and has the
// agent's environment, its own, and KARTOGRAPH_GRAPH, _TASK, _ATTEMPT and _RESULT, and, where it
// has such, _INPUT, _INPUTS and _BLOBS. When it ends, everything that it started is killed, and the
// attempt is reported when the whole tree is gone. A process that hides whose it is (a session of
// its own and a cleared environment) is killed within about a tenth of a second after the end of
// all attempts that it can belong to.
//
// Declared memory is a limit. With a cgroup pool the kernel keeps it, and counts what was used.
// Without, it is kept by looking: at the tree of each attempt that declares some every ten
// milliseconds (glance.cc), and at all processes ten times a second, more often while a tree grows,
// which finds those that have left their trees. Pages that processes share count once, and mapped
// files not at all, as the kernel can take them back. The most that a look has seen is what the
// limit goes by, and what is reported. What is taken and given back between two looks passes
// unseen; what the kernel reports of an ended process does not help, as it may be of mapped files.
// So that none can take a host's memory in that time, each process has a limit of what it can map
// for itself (RLIMIT_DATA): twice the declared memory and the headroom (executor/memory_limits.h).
// Beyond it, allocating fails.
//
// What it prints goes through pipes into its sandbox (output_collector.h). What it is to read is
// written there before it starts, as `input` and `inputs`, but for what goes along with the message
// to a worker; blobs it reads where they are.
//
// One that runs for more than a moment is made likelier than the agent to be ended where the host
// is out of memory (oom_score_adj). Without a cgroup, how much memory a shorter one took is not
// known. Of one that declares none, and so is not looked at, the kernel's peak is reported where it
// is more than the agent's: until it is its program a process counts as using what the agent does.
//
// A worker (worker.h) is a process that is given another attempt when one has ended, if it is
// still as good as new: it has no children, and is not too large. After a cancel, a timeout or a
// crash it never is. What it uses counts from the start of the attempt; its memory is all that it
// holds, as that is what the limit is for. In a cgroup, what further attempts' peaks say is only
// the process's own, as the kernel counts for the life of a group.
//
// Nothing here waits for a process. One whose program or directory is on a file server that does
// not answer is an attempt that runs, as far as anybody can tell; when it is ended and not even
// SIGKILL reaches it, its attempt ends without it, and its memory is kept until the kernel releases
// it. With kMaxHung such processes nothing is started any more.
//
// An attempt that this agent could not start for reasons of its own (no disk space, descriptors,
// processes, memory) ends as kAgentFailed; one whose program or directory is not there, or whose
// payload cannot be run, as kNotStarted. Timers and durations go by the steady clock; an attempt's
// end is its start by the wall clock and its duration, so no attempt ends before it has started.
//
// Each attempt that runs takes two descriptors here, so the process's own limit is raised as far as
// it may be; attempts keep the former one.
//
// Thread-compatible and bound to the thread that made it: attempts are killed when that thread
// ends. The process becomes a subreaper and SIGCHLD is blocked in the calling thread (other threads
// must block it too); every child of the process is taken to be an attempt's. One at a time in a
// process.
class Runner {
 public:
  struct Options {
    IdleWorkers::Limits workers = IdleWorkers::DefaultLimits();
    std::string sandbox_root;  // absolute; made where it is not there
    // Absolute: where each blob is a file of its id's name. Empty: there are none here, and what
    // refers to one ends as kNotStarted.
    std::string blob_folder;
    DiskLimits disk_limits = {};
    int64_t ram_headroom = RamHeadroom::kUsual;  // bytes
    bool logs_read_remotely = false;             // see OutputCollector::Options
    int64_t max_result_bytes = 64 << 20;
    // Between two looks at the memory of all processes, and of the trees that are known, which
    // costs less; more where they take long.
    absl::Duration sample_period = absl::Milliseconds(100);
    absl::Duration glance_period = absl::Milliseconds(10);
    CgroupPool* cgroups = nullptr;          // may be null; outlives the runner
    const Clock* clock = &Clock::System();  // outlives the runner
    // Called with the process that leads an attempt's session, and with whether it was made for
    // another one. May be empty.
    std::function<void(planner::AttemptId, pid_t, bool)> on_process;
  };
  static absl::StatusOr<std::unique_ptr<Runner>> Create(Options options);
  // Kills what still runs, with its process groups; waits at most a moment for it to be gone.
  ~Runner();

  Runner(const Runner&) = delete;
  Runner& operator=(const Runner&) = delete;

  // What attempts inherit that are started from now on, NAME=value. At first that is this process's
  // InheritedEnvironment.
  void SetEnvironment(std::vector<std::string> base) {
    environment_ = std::make_shared<const Environment>(std::move(base));
  }

  // As in Options, from now on.
  void SetDiskLimits(const DiskLimits& limits) {
    outputs_->SetLimit(limits.log);
    disk_reserve_.Set(limits.reserve);
  }
  void SetRamHeadroom(int64_t bytes) { options_.ram_headroom = bytes; }

  // Processes that hang in the kernel before their programs and do not end.
  static constexpr size_t kMaxHung = 64;

  // Starts `launch` (its agent and resources other than ram are ignored), whose attempt does not
  // run. Whether there is a process now; where not, its end comes out of the next Poll. Does not
  // wait for the process to become the program: where it cannot, the attempt soon ends as not
  // started.
  bool Start(const Launch& launch);
  // Makes the sandbox and the pipes of an attempt that will be started soon, so that its start
  // takes less. Does nothing where enough of them are made already.
  void Prepare(planner::AttemptId attempt);
  // It will not be started after all.
  void Forget(planner::AttemptId attempt) {
    if (prepared_.erase(attempt.value) > 0) outputs_->Close(attempt);
  }
  // SIGTERM for the attempt's tree, SIGKILL after `grace`. Whether there is such an attempt; its
  // end comes out of a Poll.
  bool Cancel(planner::AttemptId attempt, absl::Duration grace);

  // Readable when Poll has something to do.
  int fd() const { return events_.get(); }
  // When Poll has something to do without that; InfiniteDuration: never.
  absl::Duration UntilDue() const;
  // Does what is due and appends the attempts that have ended since. `agent` of the updates is
  // empty.
  void Poll(std::vector<AttemptUpdate>* ended);

  bool IsRunning(planner::AttemptId attempt) const { return attempts_.contains(attempt.value); }
  // When it was started, by the system's clock; InfinitePast where it does not run.
  absl::Time StartTime(planner::AttemptId attempt) const;
  // What the trees of all attempts use now, in bytes, counted as for a limit. Some microseconds for
  // a process; more where a tree has several, as shared pages count once.
  std::vector<std::pair<planner::AttemptId, uint64_t>> LookAtMemory();
  size_t running() const { return attempts_.size(); }
  // Attempts may have left processes that the next Polls end.
  bool tidying() const { return orphan_check_at_ != kNever || !orphans_.empty(); }
  // Processes that SIGKILL has not ended, and that are not waited for any more.
  size_t hung() const { return hung_.size(); }

 private:
  using Outcome = planner::Outcome;
  static constexpr SteadyTime kNever = SteadyTime::InfiniteFuture();
  // A process that SIGKILL has not ended after this long hangs in the kernel.
  static constexpr absl::Duration kGiveUpAfter = absl::Seconds(10);

  // What a process needs until it has become its program.
  struct StartingProcess {
    Command command;
    struct rlimit data_limit = {};
    Spawner spawner;
  };

  struct Attempt {
    planner::AttemptId id;
    std::string text_id;  // "g17.42.1"
    pid_t pid = 0;        // of the main process; the number of its group and session
    uint64_t serial = 0;  // in order of start
    Instant start;
    uint64_t ram_limit = 0;  // bytes; 0: none declared
    absl::Duration timeout;
    absl::Duration cancel_grace;
    SteadyTime timer = kNever;
    SteadyTime look_at = kNever;                // in young_
    std::unique_ptr<StartingProcess> starting;  // null when it is known to be the program
    // Why we end it; kNone while we do not.
    Outcome cause = Outcome::kNone;
    bool killed = false;      // SIGKILL was sent
    bool in_sandbox = false;  // its working directory is its own
    int pending_signal = 0;   // for processes of the tree outside the main process's group
    bool main_ended = false;  // then the attempt waits for the rest of its tree
    SteadyTime give_up_at = kNever;
    int status = 0;
    struct rusage usage = {};
    std::unique_ptr<Worker> worker;    // that it is, or null
    bool reused = false;               // it was made for another attempt
    bool unread = false;               // that one ended before it knew of this one
    bool keeps_worker = false;         // it can be given another one
    std::optional<int> reported;       // its exit status by its worker; -1: a malformed answer
    std::optional<std::string> value;  // returned with that
    // What had been used before this attempt, by the process and in its group.
    absl::Duration cpu_before;
    absl::Duration group_cpu_before;
    uint64_t measured_peak = 0;  // bytes of the tree; the largest seen
    uint64_t glanced = 0;        // the same, with shared pages counted for each process
    uint64_t process_rss = 0;    // of one of its processes, the largest seen
    uint64_t process_peak = 0;   // of a worker's process, as the kernel counts it
    std::string message;
    CgroupPool::Group cgroup;
    // Of the last survey.
    std::vector<Process> members;
    uint64_t member_rss = 0;     // shared pages count for each of them
    uint64_t rss_before = 0;     // of the survey before
    bool in_our_memory = false;  // the main process was not its program when it began
  };

  // A process that was re-parented to us because its parent ended.
  struct Orphan {
    uint64_t start_ticks = 0;
    uint64_t attempt = 0;            // AttemptId it belongs to; 0: unknown
    uint64_t serial = 0;             // of the newest attempt when it was first seen
    SteadyTime give_up_at = kNever;  // set when it is killed
  };

  Runner(Options options, std::unique_ptr<Sandboxes> sandboxes);

  // Why there is no process, with the reason for people.
  struct Failure {
    Outcome outcome;
    std::string message;
  };
  std::optional<Failure> MakeProcess(const Launch& launch, Attempt* attempt);
  // What an attempt needs before there is a process.
  struct Prepared {
    std::string sandbox;  // its path
    OutputCollector::Ends output;
  };
  // The blob that the command reads and that is not here, if any.
  std::optional<std::string> MissingBlob(const Command& command) const;
  // Puts into the sandbox what the command finds there.
  absl::Status WriteFiles(planner::AttemptId attempt, Command* command) const;
  absl::StatusOr<Prepared> MakePrepared(planner::AttemptId attempt);
  absl::StatusOr<Prepared> TakePrepared(planner::AttemptId attempt);
  // The process of the attempt is known now.
  void OnProcess(Attempt* attempt);
  void EndWithoutStart(Attempt* attempt, Failure failure);
  // Releases what processes needed that have become their programs.
  void ReleaseStarted();
  void ReleaseStarting(Attempt* attempt);
  void Remove(Attempt* attempt);

  // Whether the kernel keeps the limits of memory.
  bool has_memory_groups() const {
    return options_.cgroups != nullptr && options_.cgroups->has_memory();
  }
  // RLIMIT_DATA of an attempt's processes.
  struct rlimit DataLimit(const Attempt& attempt) const;
  // Lets an idle worker have the attempt. False where there is none for it.
  bool GiveToWorker(const Command& command, const OutputCollector::Ends& output, Attempt* attempt);
  // Begins to read the answers of an attempt's worker.
  void WatchWorker(const Worker& worker);
  void ReceiveAnswers();
  void Receive(Attempt* attempt);
  void OnAnswer(Attempt* attempt, WorkerAnswer answer);
  // What the attempt has used, as of now.
  void MeasureWorker(Attempt* attempt);
  bool IsAsGoodAsNew(const Attempt& attempt) const;
  // Whether it is a worker without an attempt, in use again soon or about to end.
  bool IsIdleWorker(pid_t pid) const {
    return workers_.Contains(pid) || ended_workers_.contains(pid);
  }
  void EndWorker(std::unique_ptr<Worker> worker);
  void OnWorkerEnded(pid_t pid);

  void BeginEnding(Attempt* attempt, Outcome cause, SteadyTime now, absl::Duration grace);
  void Kill(Attempt* attempt, SteadyTime now);
  // To the main process, which has not been waited for, and its group.
  static void SignalGroup(const Attempt& attempt, int signal);
  void SetTimer(Attempt* attempt, SteadyTime at);
  void RunTimers(SteadyTime now);
  // Looks at those that have run for a moment.
  void LookAtYoung(SteadyTime now);
  void Reap();
  void WaitForEnded();
  // Whether there are children that no survey has seen yet.
  bool HasUnknownChildren() const;
  bool HasOrphans(const Attempt& attempt) const;
  void OnMainEnded(Attempt* attempt);
  void Finish(Attempt* attempt);
  // Finishes an attempt although something of it hangs in the kernel.
  void GiveUp(Attempt* attempt);
  void ReadReturnValue(AttemptUpdate* update) const;
  Outcome OutcomeOf(const Attempt& attempt, AttemptUpdate* update) const;
  uint64_t PeakRam(const Attempt& attempt) const;
  // For people, in bytes.
  static std::string OverLimit(uint64_t used, uint64_t limit);
  absl::Duration Elapsed(const Attempt& attempt) const;

  // One scan of all processes: which attempt each belongs to, what it uses, which have to go.
  void Survey(SteadyTime now);
  // Finds the members of all attempts; returns those that no longer belong to any.
  std::vector<Process> AssignProcesses(const std::vector<Process>& processes);
  Attempt* OwnerOfOrphan(const Process& process);
  // The attempt to which a process belongs that has `id` in its environment: that one, or the
  // present one of the worker that was made for it.
  uint64_t AttemptNow(uint64_t id) const;
  bool HasToGo(const Orphan& orphan) const;
  void KillOrphans(const std::vector<Process>& processes, SteadyTime now);
  void CheckEnding(Attempt* attempt, SteadyTime now);
  void Measure(Attempt* attempt, SteadyTime now);
  // Looks at those whose memory is limited by measuring, a few microseconds at each.
  void Glance(SteadyTime now);
  void GlanceAt(Attempt* attempt, SteadyTime now);
  // Whether its limit is kept by measuring.
  static bool IsMeasured(const Attempt& attempt) {
    return attempt.ram_limit > 0 && attempt.cgroup.fd < 0;
  }
  // Whether what its tree uses now is its own.
  static bool HasMemory(const Attempt& attempt);
  // Whether what its tree uses now says something of it.
  static bool CanBeMeasured(const Attempt& attempt);
  // Reads what its tree uses, and ends it where that is too much.
  void Judge(Attempt* attempt, const std::vector<Relative>& tree, SteadyTime now);
  absl::Duration UntilNextSurvey(SteadyTime now);
  void CheckForOrphans(SteadyTime now);

  Options options_;
  const Clock& clock_;
  std::unique_ptr<Sandboxes> sandboxes_;
  DiskReserve disk_reserve_;
  std::unique_ptr<OutputCollector> outputs_;
  absl::flat_hash_map<uint64_t, Prepared> prepared_;  // by attempt
  std::shared_ptr<const Environment> environment_;
  Descriptor events_;  // epoll: signal_fd_, and the sockets of workers by their pids
  Descriptor signal_fd_;
  Descriptor null_fd_;
  struct rlimit descriptors_ = {};  // of attempts: what this process began with
  struct rlimit data_ = {};         // the same, of memory
  pid_t self_ = 0;

  absl::flat_hash_map<uint64_t, std::unique_ptr<Attempt>> attempts_;
  absl::flat_hash_map<pid_t, Attempt*> by_pid_;  // main processes, as long as their tree lives
  absl::flat_hash_map<pid_t, Orphan> orphans_;
  // Children that SIGKILL has not ended, with what they hold where they are not their programs.
  absl::flat_hash_map<pid_t, std::unique_ptr<StartingProcess>> hung_;
  IdleWorkers workers_;
  absl::flat_hash_set<pid_t> ended_workers_;  // killed, and not waited for yet
  std::set<std::pair<SteadyTime, uint64_t>> timers_;
  std::set<std::pair<SteadyTime, uint64_t>> young_;  // when to look at which attempt
  std::string oom_score_;                            // of attempts, as the kernel reads it
  uint64_t last_serial_ = 0;
  size_t measured_ = 0;  // attempts that have to be sampled
  SteadyTime survey_at_ = kNever;
  SteadyTime glance_at_ = kNever;
  SteadyTime surveyed_at_ = SteadyTime::InfinitePast();
  SteadyTime orphan_check_at_ = kNever;
  std::vector<AttemptUpdate> ended_;

  std::vector<Attempt*> starting_;
  std::vector<Attempt*> leaving_;  // whose main process ended by itself, not yet finished
  std::vector<std::unique_ptr<StartingProcess>> spare_;  // kept for their memory
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_RUNNER_H_
