#include "executor/runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;

// How long after an attempt's end what has left its process group is looked for.
constexpr int64_t kOrphanCheckNs = 100'000'000;
// A process that SIGKILL has not ended after so long hangs in the kernel; its attempt ends without.
constexpr int64_t kGiveUpNs = 10'000'000'000;
// Processes on their way to their programs; who starts more at once waits for the first of them.
constexpr size_t kMaxStarting = 8;

int64_t Monotonic() {
  struct timespec now;
  clock_gettime(CLOCK_MONOTONIC, &now);
  return now.tv_sec * 1'000'000'000 + now.tv_nsec;
}

int64_t Later(int64_t now, absl::Duration duration) {
  if (duration <= absl::ZeroDuration()) return now;
  int64_t ns = absl::ToInt64Nanoseconds(duration);
  return ns > INT64_MAX - now ? INT64_MAX : now + ns;
}

absl::Duration Time(const struct timeval& tv) {
  return absl::Seconds(tv.tv_sec) + absl::Microseconds(tv.tv_usec);
}

std::string FormatBytes(uint64_t bytes) {
  return planner::FormatBytes(planner::Quantity::Of(static_cast<int64_t>(bytes)));
}

}  // namespace

absl::StatusOr<std::unique_ptr<Runner>> Runner::Create(Options options) {
  // Descriptors 0 to 2 must be taken, or a file of an attempt could get one of them.
  int fd;
  while ((fd = open("/dev/null", O_RDWR | O_CLOEXEC)) >= 0 && fd <= 2) {
  }
  Descriptor null(fd);
  if (!null.ok()) return ErrnoStatus(errno, "cannot open /dev/null");
  absl::StatusOr<std::unique_ptr<Sandboxes>> sandboxes = Sandboxes::Open(options.sandbox_root);
  if (!sandboxes.ok()) return sandboxes.status();
  if (prctl(PR_SET_CHILD_SUBREAPER, 1, 0, 0, 0) != 0) {
    return ErrnoStatus(errno, "cannot become a subreaper");
  }
  sigset_t child;
  sigemptyset(&child);
  sigaddset(&child, SIGCHLD);
  pthread_sigmask(SIG_BLOCK, &child, nullptr);
  std::unique_ptr<Runner> runner(new Runner(std::move(options), *std::move(sandboxes)));
  runner->null_fd_ = std::move(null);
  runner->signal_fd_.Reset(signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!runner->signal_fd_.ok()) return ErrnoStatus(errno, "cannot watch for ended processes");
  return runner;
}

Runner::Runner(Options options, std::unique_ptr<Sandboxes> sandboxes)
    : options_(std::move(options)),
      sandboxes_(std::move(sandboxes)),
      environment_(environ),
      ignored_signals_(IgnoredSignals()),
      self_(getpid()) {}

Runner::~Runner() {
  SettleAll();
  for (auto& [id, attempt] : attempts_) {
    if (attempt->main_ended) continue;
    kill(-attempt->pid, SIGKILL);
    while (waitpid(attempt->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (options_.cgroups != nullptr) options_.cgroups->TakeBack(std::move(attempt->cgroup));
  }
}

void Runner::Prepare(AttemptId attempt) {
  constexpr size_t kMaxPrepared = 16;
  if (prepared_.size() >= kMaxPrepared || prepared_.contains(attempt.value)) return;
  absl::StatusOr<Sandboxes::Made> made = sandboxes_->Make(attempt);
  // What is wrong is found again at the start, where somebody is told.
  if (made.ok()) prepared_[attempt.value] = *std::move(made);
}

absl::StatusOr<Sandboxes::Made> Runner::TakeSandbox(AttemptId attempt) {
  auto it = prepared_.find(attempt.value);
  if (it == prepared_.end()) return sandboxes_->Make(attempt);
  Sandboxes::Made made = std::move(it->second);
  prepared_.erase(it);
  return made;
}

bool Runner::SetUp(const Launch& launch, Attempt* attempt, Failure* failure) {
  StartingProcess* starting = attempt->starting.get();
  failure->outcome = Outcome::kNotStarted;
  absl::Status status = starting->command.Read(launch);
  if (status.ok()) {
    absl::StatusOr<Sandboxes::Made> sandbox = TakeSandbox(launch.attempt);
    status = sandbox.status();
    if (sandbox.ok()) starting->sandbox = *std::move(sandbox);
  }
  if (status.ok()) {
    starting->command.SetUp(launch, attempt->text_id, starting->sandbox.path, environment_);
    status = starting->command.FindProgram(&programs_, attempt->start_ns);
  }
  if (!status.ok()) {
    failure->message = std::string(status.message());
    return false;
  }
  if (options_.cgroups == nullptr) return true;
  absl::StatusOr<CgroupPool::Group> group = options_.cgroups->Lend(attempt->ram_limit);
  if (!group.ok()) {
    *failure = {Outcome::kRefused, std::string(group.status().message())};
    return false;
  }
  attempt->cgroup = *std::move(group);
  return true;
}

bool Runner::Spawn(Attempt* attempt, Failure* failure) {
  StartingProcess* starting = attempt->starting.get();
  SpawnRequest request = starting->command.Request();
  request.stdin_fd = null_fd_.get();
  request.stdout_fd = starting->sandbox.stdout_file.get();
  request.stderr_fd = starting->sandbox.stderr_file.get();
  request.cgroup_fd = attempt->cgroup.fd;
  int error = starting->spawning.Begin(request, ignored_signals_);
  if (error != 0) {
    // The agent's trouble, not the task's.
    *failure = {Outcome::kRefused, absl::StrCat("cannot make a process: ", strerror(error))};
    return false;
  }
  attempt->pid = starting->spawning.pid();
  by_pid_[attempt->pid] = attempt;
  return true;
}

void Runner::EndWithoutStart(AttemptId attempt, Failure failure) {
  AttemptUpdate update;
  update.attempt = attempt;
  update.outcome = failure.outcome;
  update.message = std::move(failure.message);
  update.end_time = absl::Now();
  ended_.push_back(std::move(update));
}

bool Runner::Start(const Launch& launch) {
  ReleaseStarted();
  while (starting_.size() >= kMaxStarting) Settle(starting_.front());
  auto attempt = std::make_unique<Attempt>();
  attempt->id = launch.attempt;
  attempt->text_id = planner::AttemptIdToString(launch.attempt);
  attempt->timeout = launch.timeout;
  attempt->cancel_grace = launch.cancel_grace;
  attempt->ram_limit = static_cast<uint64_t>(
      std::max<int64_t>(0, launch.consumption.Get(planner::Resource::Ram()).milli() / 1000));
  attempt->start_time = absl::Now();
  attempt->start_ns = Monotonic();
  struct rusage own;
  getrusage(RUSAGE_SELF, &own);
  attempt->own_peak_bytes = static_cast<uint64_t>(own.ru_maxrss) << 10;
  if (spare_.empty()) spare_.push_back(std::make_unique<StartingProcess>());
  attempt->starting = std::move(spare_.back());
  spare_.pop_back();
  starting_.push_back(attempt.get());
  attempt->serial = ++last_serial_;
  if (attempt->ram_limit > 0 && options_.cgroups == nullptr) {
    ++measured_;
    survey_ns_ = std::min(survey_ns_, Later(attempt->start_ns, options_.sample_period));
  }
  Attempt* started = attempt.get();
  attempts_[launch.attempt.value] = std::move(attempt);
  Failure failure;
  if (!SetUp(launch, started, &failure) || !Spawn(started, &failure)) {
    EndWithoutStart(launch.attempt, std::move(failure));
    Remove(started);
    return false;
  }
  if (started->timeout != absl::InfiniteDuration()) {
    SetTimer(started, Later(started->start_ns, started->timeout));
  }
  return true;
}

void Runner::Release(Attempt* attempt) {
  attempt->starting->sandbox = {};
  spare_.push_back(std::move(attempt->starting));
  starting_.erase(std::find(starting_.begin(), starting_.end(), attempt));
}

void Runner::ReleaseStarted() {
  for (size_t i = 0; i < starting_.size();) {
    const Spawning& spawning = starting_[i]->starting->spawning;
    if (spawning.done() && spawning.error() == 0) {
      Release(starting_[i]);
    } else {
      ++i;
    }
  }
}

bool Runner::Settle(Attempt* attempt) {
  while (attempt->starting != nullptr) {
    StartingProcess* starting = attempt->starting.get();
    starting->spawning.Wait();
    const Spawning::Step step = starting->spawning.step();
    const int error = starting->spawning.error();
    if (error == 0) {
      Release(attempt);
      return true;
    }
    by_pid_.erase(attempt->pid);
    while (waitpid(attempt->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    Failure failure = {Outcome::kNotStarted,
                       std::string(starting->command.Problem(step, error).message())};
    if (step == Spawning::Step::kExec && starting->command.TryAnotherWay(&programs_, Monotonic()) &&
        Spawn(attempt, &failure)) {
      continue;
    }
    EndWithoutStart(attempt->id, std::move(failure));
    Remove(attempt);
    return false;
  }
  return true;
}

void Runner::SettleAll() {
  while (!starting_.empty()) Settle(starting_.front());
}

absl::Time Runner::StartTime(AttemptId attempt) const {
  auto it = attempts_.find(attempt.value);
  return it == attempts_.end() ? absl::InfinitePast() : it->second->start_time;
}

bool Runner::Cancel(AttemptId id, absl::Duration grace) {
  auto it = attempts_.find(id.value);
  if (it == attempts_.end()) return false;
  BeginEnding(it->second.get(), Outcome::kCancelled, Monotonic(), grace);
  return true;
}

void Runner::BeginEnding(Attempt* attempt, Outcome cause, int64_t now, absl::Duration grace) {
  // Before, it does not lead its group yet.
  if (!Settle(attempt)) return;
  if (attempt->cause == Outcome::kNone) {
    attempt->cause = cause;
    attempt->pending_signal = SIGTERM;
    SetTimer(attempt, kNever);
    if (grace > absl::ZeroDuration()) kill(-attempt->pid, SIGTERM);
    survey_ns_ = now;
  }
  // A second request can only shorten the grace.
  int64_t kill_at = Later(now, grace);
  if (kill_at <= now) {
    Kill(attempt, now);
  } else if (!attempt->killed && kill_at < attempt->timer_ns) {
    SetTimer(attempt, kill_at);
  }
}

void Runner::Kill(Attempt* attempt, int64_t now) {
  attempt->killed = true;
  attempt->pending_signal = SIGKILL;
  attempt->give_up_ns = std::min(attempt->give_up_ns, Later(now, absl::Nanoseconds(kGiveUpNs)));
  SetTimer(attempt, kNever);
  // While the main process is not waited for, its group cannot be another's.
  if (!attempt->main_ended) kill(-attempt->pid, SIGKILL);
  if (attempt->cgroup.fd >= 0) options_.cgroups->Kill(attempt->cgroup).IgnoreError();
  survey_ns_ = now;
}

void Runner::SetTimer(Attempt* attempt, int64_t at_ns) {
  if (attempt->timer_ns != kNever) timers_.erase({attempt->timer_ns, attempt->id.value});
  attempt->timer_ns = at_ns;
  if (at_ns != kNever) timers_.insert({at_ns, attempt->id.value});
}

absl::Duration Runner::UntilDue() const {
  if (!ended_.empty()) return absl::ZeroDuration();
  int64_t due = std::min(survey_ns_, orphan_check_ns_);
  if (!timers_.empty()) due = std::min(due, timers_.begin()->first);
  if (due == kNever) return absl::InfiniteDuration();
  return absl::Nanoseconds(std::max<int64_t>(0, due - Monotonic()));
}

void Runner::Poll(std::vector<AttemptUpdate>* ended) {
  struct signalfd_siginfo info;
  while (read(signal_fd_.get(), &info, sizeof(info)) > 0) {
  }
  Reap();
  ReleaseStarted();
  int64_t now = Monotonic();
  RunTimers(now);
  if (orphan_check_ns_ <= now) CheckForOrphans(now);
  if (survey_ns_ <= now) Survey(now);
  for (AttemptUpdate& update : ended_) ended->push_back(std::move(update));
  ended_.clear();
}

void Runner::RunTimers(int64_t now) {
  while (!timers_.empty() && timers_.begin()->first <= now) {
    Attempt* attempt = attempts_[timers_.begin()->second].get();
    SetTimer(attempt, kNever);
    if (attempt->cause == Outcome::kNone) {
      attempt->message =
          absl::StrCat("ran longer than its timeout of ", absl::FormatDuration(attempt->timeout));
      BeginEnding(attempt, Outcome::kTimedOut, now, attempt->cancel_grace);
    } else {
      Kill(attempt, now);
    }
  }
}

void Runner::Reap() {
  while (true) {
    // Looked at first and waited for later: until then the number of the process, and so that of
    // its group, is not given to another.
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      // No children at all, so no tree can be left.
      orphans_.clear();
      orphan_check_ns_ = kNever;
      return;
    }
    if (info.si_pid == 0) return;
    auto it = by_pid_.find(info.si_pid);
    if (it != by_pid_.end() && it->second->starting != nullptr) {
      // Where it could not become its program, it is waited for and no longer known.
      Settle(it->second);
      if (!by_pid_.contains(info.si_pid)) continue;
      it = by_pid_.find(info.si_pid);
    }
    if (it == by_pid_.end() || it->second->main_ended) {
      waitpid(info.si_pid, nullptr, 0);
      orphans_.erase(info.si_pid);
      continue;
    }
    OnMainEnded(it->second);
  }
}

void Runner::OnMainEnded(Attempt* attempt) {
  bool graceful = attempt->cause != Outcome::kNone && !attempt->killed;
  if (!graceful) {
    kill(-attempt->pid, SIGKILL);
    if (attempt->cgroup.fd >= 0) options_.cgroups->Kill(attempt->cgroup).IgnoreError();
  }
  wait4(attempt->pid, &attempt->status, 0, &attempt->usage);
  attempt->main_ended = true;
  int64_t now = Monotonic();
  if (attempt->cause == Outcome::kNone) {
    if (orphan_check_ns_ == kNever) orphan_check_ns_ = now + kOrphanCheckNs;
    Finish(attempt);
  } else {
    // The survey finishes it, when nothing of its tree is left.
    survey_ns_ = now;
  }
}

Outcome Runner::OutcomeOf(const Attempt& attempt, AttemptUpdate* update) const {
  if (attempt.cgroup.fd >= 0 && options_.cgroups->has_memory() &&
      options_.cgroups->OomKills(attempt.cgroup) > 0) {
    update->message =
        absl::StrCat("used more than its declared ram=", FormatBytes(attempt.ram_limit));
    return Outcome::kOutOfMemory;
  }
  if (attempt.cause != Outcome::kNone) return attempt.cause;
  if (WIFSIGNALED(attempt.status)) {
    update->signal = WTERMSIG(attempt.status);
    const char* name = sigdescr_np(update->signal);
    update->message = absl::StrCat("killed by signal ", update->signal,
                                   name == nullptr ? "" : absl::StrCat(" (", name, ")"));
    return Outcome::kSignalled;
  }
  update->exit_status = WEXITSTATUS(attempt.status);
  if (update->exit_status == 0) return Outcome::kSucceeded;
  update->message = absl::StrCat("exited with status ", update->exit_status);
  return Outcome::kExited;
}

uint64_t Runner::PeakRam(const Attempt& attempt) const {
  uint64_t peak = attempt.sampled_rss;
  if (attempt.cgroup.fd >= 0) {
    peak = std::max(peak, options_.cgroups->PeakMemory(attempt.cgroup));
  }
  // Between its start and the execution of its program a process counts as using what we use. So a
  // figure that is not above ours says only that the process used no more than that.
  uint64_t waited = static_cast<uint64_t>(attempt.usage.ru_maxrss) << 10;
  return waited > attempt.own_peak_bytes || peak == 0 ? std::max(peak, waited) : peak;
}

void Runner::Finish(Attempt* attempt) {
  AttemptUpdate update;
  update.attempt = attempt->id;
  update.message = std::move(attempt->message);
  update.start_time = attempt->start_time;
  update.end_time = absl::Now();
  update.usage.wall_time = absl::Nanoseconds(Monotonic() - attempt->start_ns);
  update.outcome = OutcomeOf(*attempt, &update);
  update.usage.peak_ram_bytes = PeakRam(*attempt);
  update.usage.cpu_time = Time(attempt->usage.ru_utime) + Time(attempt->usage.ru_stime);
  if (attempt->cgroup.fd >= 0) {
    update.usage.cpu_time =
        std::max(update.usage.cpu_time, options_.cgroups->CpuTime(attempt->cgroup));
  }
  absl::StatusOr<std::string> result =
      sandboxes_->ReadResult(attempt->id, options_.max_result_bytes);
  if (result.ok()) {
    update.return_value = *std::move(result);
  } else if (update.outcome == Outcome::kSucceeded) {
    // The task kept its side only where somebody can have what it returned.
    if (absl::IsOutOfRange(result.status())) {
      update.outcome = Outcome::kResultTooLarge;
      int64_t limit = options_.max_result_bytes;
      update.message = absl::StrCat("the return value has ", result.status().message(),
                                    " bytes; the limit is ", FormatBytes(limit));
    } else {
      update.outcome = Outcome::kExited;
      update.message = std::string(result.status().message());
    }
  }
  ended_.push_back(std::move(update));
  Remove(attempt);
}

void Runner::Remove(Attempt* attempt) {
  if (attempt->starting != nullptr) Release(attempt);
  SetTimer(attempt, kNever);
  if (attempt->ram_limit > 0 && options_.cgroups == nullptr) --measured_;
  if (options_.cgroups != nullptr) options_.cgroups->TakeBack(std::move(attempt->cgroup));
  by_pid_.erase(attempt->pid);
  attempts_.erase(attempt->id.value);
}

}  // namespace kartograph::executor
