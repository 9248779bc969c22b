#include "executor/runner/runner.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/errno_status.h"
#include "base/utf8.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;

// Of return values that one Poll gives out, but for the last.
constexpr size_t kMaxValueBytesAtOnce = 32 << 20;
// How long after an attempt's end what has left its process group is looked for.
constexpr absl::Duration kOrphanCheckDelay = absl::Milliseconds(100);
// How long the destructor waits for what it has killed.
constexpr absl::Duration kDestroyPatience = absl::Seconds(2);
// An attempt that has run for so long is looked at: shorter ones are not worth it.
constexpr absl::Duration kYoung = absl::Milliseconds(10);
// One that is not its program yet is looked at again after as long as it has run, and this at most.
constexpr absl::Duration kYoungAgain = absl::Seconds(1);
// How much likelier than the agent, in thousandths of the host's memory.
constexpr int kOomScoreAbove = 300;
constexpr int kMostOomScore = 1000;
constexpr rlim_t kUsualHeadroom = rlim_t{4} << 30;
constexpr rlim_t kHeadroomShare = 16;  // or one part in so many of the machine's memory
// What processes need to start is used again; this many are kept.
constexpr size_t kMaxSpare = 16;

// `bytes` as in RamHeadroom, but not kUnlimited.
rlim_t HeadroomOf(int64_t bytes) {
  if (bytes != RamHeadroom::kUsual) return static_cast<rlim_t>(bytes);
  const rlim_t machine =
      static_cast<rlim_t>(sysconf(_SC_PHYS_PAGES)) * static_cast<rlim_t>(sysconf(_SC_PAGESIZE));
  return std::max(kUsualHeadroom, machine / kHeadroomShare);
}

// Whether a process could not become its program for reasons that are not the task's.
bool IsAgentsFault(int error) {
  return error == EAGAIN || error == ENOMEM || error == EMFILE || error == ENFILE;
}

// The oom_score_adj of attempts: above that of this process.
std::string OomScoreOfAttempts() {
  std::string text(16, '\0');
  const Descriptor file(open("/proc/self/oom_score_adj", O_RDONLY | O_CLOEXEC));
  const ssize_t bytes = file.ok() ? read(file.get(), text.data(), text.size()) : 0;
  text.resize(bytes > 0 ? static_cast<size_t>(bytes) : 0);
  int own = 0;
  if (!absl::SimpleAtoi(text, &own)) own = 0;
  return absl::StrCat(std::min(std::max(own, 0) + kOomScoreAbove, kMostOomScore));
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
  if (getrlimit(RLIMIT_NOFILE, &runner->descriptors_) != 0) {
    return ErrnoStatus(errno, "cannot know the limit of descriptors");
  }
  if (getrlimit(RLIMIT_DATA, &runner->data_) != 0) {
    return ErrnoStatus(errno, "cannot know the limit of memory");
  }
  struct rlimit raised = runner->descriptors_;
  raised.rlim_cur = raised.rlim_max;
  setrlimit(RLIMIT_NOFILE, &raised);  // where that fails, fewer run at once
  absl::StatusOr<std::unique_ptr<OutputCollector>> outputs =
      OutputCollector::Create({.limit = runner->options_.disk_limits.log,
                               .read_remotely = runner->options_.logs_read_remotely},
                              runner->sandboxes_.get(), &runner->disk_reserve_);
  if (!outputs.ok()) return outputs.status();
  runner->outputs_ = *std::move(outputs);
  runner->signal_fd_.Reset(signalfd(-1, &child, SFD_NONBLOCK | SFD_CLOEXEC));
  if (!runner->signal_fd_.ok()) return ErrnoStatus(errno, "cannot watch for ended processes");
  runner->events_.Reset(epoll_create1(EPOLL_CLOEXEC));
  struct epoll_event ended = {.events = EPOLLIN, .data = {}};
  if (!runner->events_.ok() ||
      epoll_ctl(runner->events_.get(), EPOLL_CTL_ADD, runner->signal_fd_.get(), &ended) != 0) {
    return ErrnoStatus(errno, "cannot watch for ended processes");
  }
  return runner;
}

Runner::Runner(Options options, std::unique_ptr<Sandboxes> sandboxes)
    : options_(std::move(options)),
      clock_(*options_.clock),
      sandboxes_(std::move(sandboxes)),
      disk_reserve_(options_.sandbox_root, options_.disk_limits.reserve, options_.clock),
      self_(getpid()),
      workers_(options_.workers),
      oom_score_(OomScoreOfAttempts()) {
  SetEnvironment(InheritedEnvironment(environ));
}

Runner::~Runner() {
  std::vector<pid_t> left(ended_workers_.begin(), ended_workers_.end());
  while (std::unique_ptr<Worker> worker = workers_.TakeAny()) {
    left.push_back(worker->pid);
    EndWorker(std::move(worker));
  }
  for (auto& [id, attempt] : attempts_) {
    if (attempt->main_ended) continue;
    SignalGroup(*attempt, SIGKILL);
    if (attempt->cgroup.fd >= 0) options_.cgroups->Kill(attempt->cgroup).IgnoreError();
    left.push_back(attempt->pid);
  }
  const SteadyTime until = Clock::System().SteadyNow() + kDestroyPatience;
  while (true) {
    left.erase(std::remove_if(left.begin(), left.end(),
                              [](pid_t pid) {
                                const pid_t ended = waitpid(pid, nullptr, WNOHANG);
                                return ended > 0 || (ended < 0 && errno == ECHILD);
                              }),
               left.end());
    if (left.empty() || Clock::System().SteadyNow() >= until) break;
    struct pollfd wait = {signal_fd_.get(), POLLIN, 0};
    poll(&wait, 1, 10);
    struct signalfd_siginfo info;
    while (read(signal_fd_.get(), &info, sizeof(info)) > 0) {
    }
  }
  for (auto& [id, attempt] : attempts_) outputs_->Close(attempt->id);
  // What hangs on its way to its program does so in our memory, which is kept for as long as that
  // takes.
  static auto* const kept = new std::vector<std::unique_ptr<StartingProcess>>;
  for (pid_t pid : left) {
    if (auto it = by_pid_.find(pid); it != by_pid_.end()) {
      kept->push_back(std::move(it->second->starting));
    }
  }
  for (auto& [pid, starting] : hung_) kept->push_back(std::move(starting));
  if (options_.cgroups == nullptr) return;
  for (auto& [id, attempt] : attempts_) options_.cgroups->Release(std::move(attempt->cgroup));
}

void Runner::Prepare(AttemptId attempt) {
  constexpr size_t kMaxPrepared = 16;
  if (prepared_.size() >= kMaxPrepared || prepared_.contains(attempt.value)) return;
  absl::StatusOr<Prepared> prepared = MakePrepared(attempt);
  // What is wrong is found again at the start, which reports it.
  if (prepared.ok()) prepared_[attempt.value] = *std::move(prepared);
}

absl::StatusOr<Runner::Prepared> Runner::MakePrepared(AttemptId attempt) {
  absl::StatusOr<std::string> sandbox = sandboxes_->Make(attempt);
  if (!sandbox.ok()) return sandbox.status();
  absl::StatusOr<OutputCollector::Ends> output = outputs_->Open(attempt);
  if (!output.ok()) return output.status();
  return Prepared{*std::move(sandbox), *std::move(output)};
}

absl::StatusOr<Runner::Prepared> Runner::TakePrepared(AttemptId attempt) {
  auto it = prepared_.find(attempt.value);
  if (it == prepared_.end()) return MakePrepared(attempt);
  Prepared prepared = std::move(it->second);
  prepared_.erase(it);
  return prepared;
}

std::optional<std::string> Runner::MissingBlob(const Command& command) const {
  const auto missing = [this](const std::string& blob) {
    return options_.blob_folder.empty() ||
           access(absl::StrCat(options_.blob_folder, "/", blob).c_str(), R_OK) != 0;
  };
  if (!command.input_blob().empty() && missing(command.input_blob())) return command.input_blob();
  for (const std::string& blob : command.blobs()) {
    if (missing(blob)) return blob;
  }
  return std::nullopt;
}

absl::Status Runner::WriteFiles(AttemptId attempt, Command* command) const {
  if (command->script() != nullptr) {
    absl::Status written = sandboxes_->Write(attempt, Command::kScript, *command->script());
    if (!written.ok()) return written;
  }
  if (command->values() != nullptr) {
    absl::Status written = sandboxes_->MakeSubfolder(attempt, Command::kInputs);
    for (const auto& [task_name, value] : *command->values()) {
      if (!written.ok()) return written;
      const std::string file = absl::StrCat(Command::kInputs, "/", Command::ValueFile(task_name));
      written = sandboxes_->Write(attempt, file.c_str(), value);
    }
    if (!written.ok()) return written;
    command->DropValues();
  }
  if (command->input().empty()) return absl::OkStatus();
  return sandboxes_->Write(attempt, Command::kInput, command->TakeInput());
}

std::optional<Runner::Failure> Runner::MakeProcess(const Launch& launch, Attempt* attempt) {
  Command& command = attempt->starting->command;
  absl::Status status = command.Read(launch);
  if (!status.ok()) return Failure{Outcome::kNotStarted, std::string(status.message())};
  // Those that hang as their programs hold nothing of ours.
  const auto holding = std::count_if(hung_.begin(), hung_.end(),
                                     [](const auto& entry) { return entry.second != nullptr; });
  if (static_cast<size_t>(holding) >= kMaxHung) {
    return Failure{Outcome::kAgentFailed,
                   absl::StrCat(holding, " processes hang in the kernel before their programs")};
  }
  if (const std::optional<std::string> blob = MissingBlob(command)) {
    return Failure{
        Outcome::kNotStarted,
        absl::StrCat("the blob ", *blob, " is not here (any more): put it again, and retry")};
  }
  if (disk_reserve_.Reached()) return Failure{Outcome::kAgentFailed, disk_reserve_.ToString()};
  absl::StatusOr<Prepared> prepared = TakePrepared(launch.attempt);
  if (!prepared.ok()) {
    return Failure{Outcome::kAgentFailed, std::string(prepared.status().message())};
  }
  attempt->in_sandbox = !command.has_directory();
  command.SetUp(launch, attempt->text_id, prepared->sandbox, options_.blob_folder, environment_);
  if (absl::Status written = WriteFiles(launch.attempt, &command); !written.ok()) {
    return Failure{Outcome::kAgentFailed, std::string(written.message())};
  }
  if (command.is_worker() && GiveToWorker(command, prepared->output, attempt)) {
    OnProcess(attempt);
    ReleaseStarting(attempt);
    return std::nullopt;
  }
  if (options_.cgroups != nullptr) {
    absl::StatusOr<CgroupPool::Group> group = options_.cgroups->Acquire(attempt->ram_limit);
    if (!group.ok()) return Failure{Outcome::kAgentFailed, std::string(group.status().message())};
    attempt->cgroup = *std::move(group);
  }
  SpawnRequest request = command.Request();
  request.stdin_fd = null_fd_.get();
  request.stdout_fd = prepared->output.stdout_end.get();
  request.stderr_fd = prepared->output.stderr_end.get();
  request.descriptors = &descriptors_;
  attempt->starting->data_limit = DataLimit(*attempt);
  request.data = &attempt->starting->data_limit;
  request.cgroup_fd = attempt->cgroup.fd;
  Descriptor socket;
  if (command.is_worker()) {
    attempt->worker = Worker::Make(command.worker_key(), command.base(), &socket);
    // It is there when the process has come so far as to read it.
    if (attempt->worker == nullptr ||
        !attempt->worker->Send(command.worker_message(), request.stdout_fd, request.stderr_fd)) {
      return Failure{Outcome::kAgentFailed,
                     absl::StrCat("cannot make a worker's socket: ", strerror(errno))};
    }
    request.socket_fd = socket.get();
  }
  if (int error = attempt->starting->spawner.Start(request); error != 0) {
    return Failure{Outcome::kAgentFailed, absl::StrCat("cannot make a process: ", strerror(error))};
  }
  attempt->pid = attempt->starting->spawner.pid();
  if (attempt->worker != nullptr) {
    attempt->worker->pid = attempt->pid;
    attempt->worker->attempts = 1;
    attempt->worker->first_attempt = attempt->id.value;
    WatchWorker(*attempt->worker);
  }
  OnProcess(attempt);
  return std::nullopt;
}

struct rlimit Runner::DataLimit(const Attempt& attempt) const {
  struct rlimit limit = data_;
  if (attempt.ram_limit == 0 || has_memory_groups()) return limit;
  if (options_.ram_headroom == RamHeadroom::kUnlimited) return limit;
  const rlim_t most = 2 * attempt.ram_limit + HeadroomOf(options_.ram_headroom);
  // The soft limit alone, so that a worker's next attempt can have more.
  limit.rlim_cur = std::min(limit.rlim_cur, most);
  return limit;
}

void Runner::OnProcess(Attempt* attempt) {
  outputs_->Watch(attempt->id);
  by_pid_[attempt->pid] = attempt;
  if (options_.on_process) options_.on_process(attempt->id, attempt->pid, attempt->reused);
}

bool Runner::Start(const Launch& launch) {
  ReleaseStarted();
  auto owned = std::make_unique<Attempt>();
  Attempt* attempt = owned.get();
  attempt->id = launch.attempt;
  attempt->text_id = planner::AttemptIdToString(launch.attempt);
  attempt->timeout = launch.timeout;
  attempt->cancel_grace = launch.cancel_grace;
  attempt->ram_limit = static_cast<uint64_t>(
      std::max<int64_t>(0, launch.consumption.Get(planner::Resource::Ram()).milli() / 1000));
  attempt->start = clock_.Now();
  if (spare_.empty()) spare_.push_back(std::make_unique<StartingProcess>());
  attempt->starting = std::move(spare_.back());
  spare_.pop_back();
  starting_.push_back(attempt);
  attempt->serial = ++last_serial_;
  if (attempt->ram_limit > 0 && options_.cgroups == nullptr) {
    ++measured_;
    survey_at_ = std::min(survey_at_, attempt->start.steady + options_.sample_period);
    glance_at_ = std::min(glance_at_, attempt->start.steady + options_.glance_period);
  }
  attempts_[launch.attempt.value] = std::move(owned);
  if (std::optional<Failure> failure = MakeProcess(launch, attempt)) {
    EndWithoutStart(attempt, *std::move(failure));
    return false;
  }
  if (!attempt->reused) {
    attempt->look_at = attempt->start.steady + kYoung;
    young_.emplace(attempt->look_at, launch.attempt.value);
  }
  if (attempt->timeout != absl::InfiniteDuration()) {
    SetTimer(attempt, attempt->start.steady + attempt->timeout);
  }
  return true;
}

void Runner::EndWithoutStart(Attempt* attempt, Failure failure) {
  AttemptUpdate update;
  update.attempt = attempt->id;
  update.outcome = failure.outcome;
  update.message = ValidUtf8(failure.message);
  update.end_time = attempt->start.wall + Elapsed(*attempt);
  ended_.push_back(std::move(update));
  Remove(attempt);
}

void Runner::ReleaseStarting(Attempt* attempt) {
  if (spare_.size() < kMaxSpare) {
    spare_.push_back(std::move(attempt->starting));
  } else {
    attempt->starting.reset();
  }
  starting_.erase(std::find(starting_.begin(), starting_.end(), attempt));
}

void Runner::ReleaseStarted() {
  for (size_t i = 0; i < starting_.size();) {
    const Spawner& spawner = starting_[i]->starting->spawner;
    if (spawner.finished() && spawner.error() == 0) {
      ReleaseStarting(starting_[i]);
    } else {
      ++i;
    }
  }
}

absl::Time Runner::StartTime(AttemptId attempt) const {
  auto it = attempts_.find(attempt.value);
  return it == attempts_.end() ? absl::InfinitePast() : it->second->start.wall;
}

absl::Duration Runner::Elapsed(const Attempt& attempt) const {
  return clock_.SteadyNow() - attempt.start.steady;
}

bool Runner::Cancel(AttemptId id, absl::Duration grace) {
  auto it = attempts_.find(id.value);
  if (it == attempts_.end()) return false;
  BeginEnding(it->second.get(), Outcome::kCancelled, clock_.SteadyNow(), grace);
  return true;
}

void Runner::SignalGroup(const Attempt& attempt, int signal) {
  // Right after it is made it does not lead its group yet, and is the only process.
  if (kill(-attempt.pid, signal) != 0 && errno == ESRCH) kill(attempt.pid, signal);
}

void Runner::BeginEnding(Attempt* attempt, Outcome cause, SteadyTime now, absl::Duration grace) {
  // Its outcome is known; only what it left behind is still being killed.
  const bool known = attempt->main_ended || attempt->reported.has_value();
  if (attempt->cause == Outcome::kNone && known) return;
  if (attempt->cause == Outcome::kNone) {
    attempt->cause = cause;
    attempt->pending_signal = SIGTERM;
    SetTimer(attempt, kNever);
    if (grace > absl::ZeroDuration()) SignalGroup(*attempt, SIGTERM);
    survey_at_ = now;
  }
  // A second request can only shorten the grace.
  if (grace <= absl::ZeroDuration()) {
    Kill(attempt, now);
  } else if (!attempt->killed && now + grace < attempt->timer) {
    SetTimer(attempt, now + grace);
  }
}

void Runner::Kill(Attempt* attempt, SteadyTime now) {
  attempt->killed = true;
  attempt->pending_signal = SIGKILL;
  attempt->give_up_at = std::min(attempt->give_up_at, now + kGiveUpAfter);
  SetTimer(attempt, kNever);
  // While the main process is not waited for, its group cannot be another's.
  if (!attempt->main_ended) SignalGroup(*attempt, SIGKILL);
  if (attempt->cgroup.fd >= 0) options_.cgroups->Kill(attempt->cgroup).IgnoreError();
  survey_at_ = now;
}

void Runner::SetTimer(Attempt* attempt, SteadyTime at) {
  if (attempt->timer != kNever) timers_.erase({attempt->timer, attempt->id.value});
  attempt->timer = at;
  if (at != kNever) timers_.insert({at, attempt->id.value});
}

absl::Duration Runner::UntilDue() const {
  if (!ended_.empty()) return absl::ZeroDuration();
  SteadyTime due = std::min({survey_at_, glance_at_, orphan_check_at_});
  if (!timers_.empty()) due = std::min(due, timers_.begin()->first);
  if (!young_.empty()) due = std::min(due, young_.begin()->first);
  due = std::min(due, workers_.NextExcess());
  if (due == kNever) return absl::InfiniteDuration();
  return std::max(absl::ZeroDuration(), due - clock_.SteadyNow());
}

void Runner::Poll(std::vector<AttemptUpdate>* ended) {
  struct signalfd_siginfo info;
  while (read(signal_fd_.get(), &info, sizeof(info)) > 0) {
  }
  ReceiveAnswers();
  Reap();
  ReleaseStarted();
  const SteadyTime now = clock_.SteadyNow();
  while (std::unique_ptr<Worker> excess = workers_.TakeExcess(now)) EndWorker(std::move(excess));
  RunTimers(now);
  LookAtYoung(now);
  if (glance_at_ <= now) Glance(now);
  if (orphan_check_at_ <= now) CheckForOrphans(now);
  if (survey_at_ <= now) Survey(now);
  // Return values are read as the ends are given out, so that few of them are in memory at once.
  size_t given = 0;
  for (size_t bytes = 0; given < ended_.size() && bytes < kMaxValueBytesAtOnce; ++given) {
    AttemptUpdate& update = ended_[given];
    const bool ran = update.start_time != absl::InfinitePast();
    if (ran && !update.has_value) ReadReturnValue(&update);
    bytes += update.return_value.size();
    ended->push_back(std::move(update));
  }
  ended_.erase(ended_.begin(), ended_.begin() + static_cast<ptrdiff_t>(given));
}

void Runner::RunTimers(SteadyTime now) {
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

void Runner::LookAtYoung(SteadyTime now) {
  while (!young_.empty() && young_.begin()->first <= now) {
    Attempt* const attempt = attempts_[young_.begin()->second].get();
    young_.erase(young_.begin());
    if (attempt->main_ended) continue;
    if (attempt->starting != nullptr) {
      // What is set before it is its program would be set for this process, whose memory it shares.
      attempt->look_at = now + std::min(now - attempt->start.steady, kYoungAgain);
      young_.emplace(attempt->look_at, attempt->id.value);
      continue;
    }
    // It has not been waited for, so the number is its own.
    const std::string path = absl::StrCat("/proc/", attempt->pid);
    const Descriptor score(
        open(absl::StrCat(path, "/oom_score_adj").c_str(), O_WRONLY | O_CLOEXEC));
    if (score.ok() && write(score.get(), oom_score_.data(), oom_score_.size()) < 0) {
      // A host may forbid it; the kernel then chooses as it would.
    }
    if (attempt->cgroup.fd >= 0 || IsMeasured(*attempt)) continue;
    attempt->measured_peak =
        std::max(attempt->measured_peak, ReadProportionalMemory(attempt->pid).value_or(0));
  }
}

void Runner::Reap() {
  WaitForEnded();
  if (leaving_.empty()) return;
  // An orphan is this process's child before the end of its parent is announced.
  if (HasUnknownChildren()) {
    survey_at_ = clock_.SteadyNow();
    return;
  }
  for (Attempt* attempt : std::vector<Attempt*>(leaving_)) {
    if (!HasOrphans(*attempt)) {
      Finish(attempt);
    } else if (std::exchange(attempt->pending_signal, SIGKILL) != SIGKILL) {
      survey_at_ = clock_.SteadyNow();  // which goes on until nothing is left of it
    }
  }
}

void Runner::WaitForEnded() {
  while (true) {
    // Peeked at first and waited for later: until then the number of the process, and so that of
    // its group, is not used again.
    siginfo_t info = {};
    if (waitid(P_ALL, 0, &info, WEXITED | WNOHANG | WNOWAIT) != 0) {
      if (errno == EINTR) continue;
      // No children at all, so no tree can be left.
      orphans_.clear();
      hung_.clear();
      ended_workers_.clear();
      orphan_check_at_ = kNever;
      return;
    }
    if (info.si_pid == 0) return;
    auto it = by_pid_.find(info.si_pid);
    if (it == by_pid_.end() || it->second->main_ended) {
      waitpid(info.si_pid, nullptr, 0);
      orphans_.erase(info.si_pid);
      hung_.erase(info.si_pid);
      OnWorkerEnded(info.si_pid);
      continue;
    }
    OnMainEnded(it->second);
  }
}

void Runner::OnMainEnded(Attempt* attempt) {
  // It has left our memory, whatever it was.
  if (attempt->starting != nullptr && attempt->cause == Outcome::kNone) {
    const int error = attempt->starting->spawner.error();
    if (error != 0) {
      const Spawner::Step step = attempt->starting->spawner.step();
      const Outcome outcome = IsAgentsFault(error) ? Outcome::kAgentFailed : Outcome::kNotStarted;
      waitpid(attempt->pid, nullptr, 0);
      return EndWithoutStart(attempt, {outcome, attempt->starting->command.Error(step, error)});
    }
  }
  // It may have answered and then ended by itself.
  if (attempt->worker != nullptr && !attempt->reported.has_value()) Receive(attempt);
  bool graceful = attempt->cause != Outcome::kNone && !attempt->killed;
  if (!graceful) {
    kill(-attempt->pid, SIGKILL);
    if (attempt->cgroup.fd >= 0) options_.cgroups->Kill(attempt->cgroup).IgnoreError();
  }
  struct rusage usage = {};
  wait4(attempt->pid, &attempt->status, 0, &usage);
  if (!attempt->reported.has_value()) {
    attempt->usage = usage;
    if (attempt->reused) attempt->usage.ru_maxrss = 0;  // perhaps of an earlier attempt
  }
  attempt->main_ended = true;
  const SteadyTime now = clock_.SteadyNow();
  if (attempt->cause == Outcome::kNone) {
    SetTimer(attempt, kNever);
    attempt->killed = true;  // what is left of it
    attempt->give_up_at = now + kGiveUpAfter;
    if (orphan_check_at_ == kNever) orphan_check_at_ = now + kOrphanCheckDelay;
    leaving_.push_back(attempt);
  } else {
    // The survey finishes it, when nothing of its tree is left.
    survey_at_ = now;
  }
}

void Runner::GiveUp(Attempt* attempt) {
  const pid_t left = attempt->members.empty() ? attempt->pid : attempt->members[0].pid;
  absl::StrAppend(&attempt->message, attempt->message.empty() ? "" : "; ",
                  "processes that cannot be killed are left, such as ", left);
  if (!attempt->main_ended) {
    if (attempt->starting != nullptr) std::erase(starting_, attempt);
    hung_[attempt->pid] = std::move(attempt->starting);
  }
  // What is left of it belongs to no attempt any more.
  if (HasOrphans(*attempt)) survey_at_ = clock_.SteadyNow();
  Finish(attempt);
}

void Runner::Remove(Attempt* attempt) {
  outputs_->Close(attempt->id);
  std::erase(leaving_, attempt);
  if (attempt->starting != nullptr) ReleaseStarting(attempt);
  SetTimer(attempt, kNever);
  young_.erase({attempt->look_at, attempt->id.value});
  if (attempt->ram_limit > 0 && options_.cgroups == nullptr) --measured_;
  if (options_.cgroups != nullptr) options_.cgroups->Release(std::exchange(attempt->cgroup, {}));
  by_pid_.erase(attempt->pid);
  attempts_.erase(attempt->id.value);
}

}  // namespace kartograph::executor
