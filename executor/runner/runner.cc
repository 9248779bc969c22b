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

#include "absl/strings/ascii.h"
#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "executor/runner/spawn.h"
#include "planner/resources.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;

// How long after an attempt's end what has left its process group is looked for.
constexpr int64_t kOrphanCheckNs = 100'000'000;
// A process that SIGKILL has not ended after so long hangs in the kernel; its attempt ends without.
constexpr int64_t kGiveUpNs = 10'000'000'000;

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

bool HasNul(const std::string& text) { return text.find('\0') != std::string::npos; }

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
  for (auto& [id, attempt] : attempts_) {
    if (attempt->main_ended) continue;
    kill(-attempt->pid, SIGKILL);
    while (waitpid(attempt->pid, nullptr, 0) < 0 && errno == EINTR) {
    }
    if (options_.cgroups != nullptr) options_.cgroups->TakeBack(std::move(attempt->cgroup));
  }
}

bool Runner::ReadPayload(const Launch& launch, Failure* failure) {
  failure->outcome = Outcome::kNotStarted;
  payload_.Clear();
  if (!payload_.ParseFromString(launch.payload)) {
    failure->message = "the payload cannot be read";
  } else if (payload_.arguments().empty() == payload_.shell().empty()) {
    failure->message = payload_.shell().empty() ? "there is no command to run"
                                                : "there are two commands, a list and a shell line";
  } else if (!payload_.arguments().empty() && payload_.arguments(0).empty()) {
    failure->message = "the name of the program is empty";
  }
  bool has_nul = HasNul(payload_.shell()) || HasNul(payload_.directory()) ||
                 HasNul(launch.task_name) ||
                 std::any_of(payload_.arguments().begin(), payload_.arguments().end(), HasNul);
  for (const auto& [name, value] : payload_.environment()) {
    if (name.empty() || name.find('=') != std::string::npos) {
      failure->message = absl::StrCat("\"", name, "\" cannot be the name of a variable");
    }
    has_nul = has_nul || HasNul(name) || HasNul(value);
  }
  if (has_nul) failure->message = "a command, directory or variable has a NUL byte";
  return failure->message.empty();
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

void Runner::UseShell() {
  static char shell_name[] = "/bin/sh";
  static char shell_option[] = "-c";
  argv_ = {shell_name, shell_option, payload_.mutable_shell()->data(), nullptr};
}

// As make does: a shell that would only execute one program is left out. Nothing that a shell could
// give a meaning to is in such a line, and a full path is no builtin.
bool Runner::UseWordsOfShellLine() {
  const std::string& line = payload_.shell();
  const bool plain = std::all_of(line.begin(), line.end(), [](unsigned char c) {
    return absl::ascii_isalnum(c) || absl::StrContains(" _-./:,+@%=", static_cast<char>(c));
  });
  if (!plain || line[0] != '/') return false;
  words_ = absl::StrSplit(line, ' ', absl::SkipEmpty());
  if (absl::StrContains(words_[0], '=')) return false;  // an assignment
  argv_.clear();
  for (std::string& word : words_) argv_.push_back(word.data());
  argv_.push_back(nullptr);
  return true;
}

bool Runner::Launched(const Launch& launch, Attempt* attempt, Failure* failure) {
  if (!ReadPayload(launch, failure)) return false;
  absl::StatusOr<Sandboxes::Made> sandbox = TakeSandbox(launch.attempt);
  if (!sandbox.ok()) {
    failure->message = std::string(sandbox.status().message());
    return false;
  }
  const std::string& directory =
      payload_.directory().empty() ? sandbox->path : payload_.directory();
  result_path_ = absl::StrCat(sandbox->path, "/result");
  std::string graph = planner::GraphIdToString(launch.attempt.task().graph());
  Environment::Variables variables;
  variables.push_back({"PWD", directory});  // ours is not theirs
  for (const auto& [name, value] : payload_.environment()) variables.push_back({name, value});
  variables.push_back({"KARTOGRAPH_GRAPH", graph});
  variables.push_back({"KARTOGRAPH_TASK", launch.task_name});
  variables.push_back({"KARTOGRAPH_ATTEMPT", attempt->text_id});
  variables.push_back({"KARTOGRAPH_RESULT", result_path_});

  bool without_shell = false;
  if (payload_.arguments().empty()) {
    without_shell = UseWordsOfShellLine();
    if (!without_shell) UseShell();
  } else {
    argv_.clear();
    for (std::string& argument : *payload_.mutable_arguments()) argv_.push_back(argument.data());
    argv_.push_back(nullptr);
  }

  SpawnRequest request;
  request.argv = argv_.data();
  request.environment = environment_.Build(variables);
  request.directory = directory.c_str();
  request.stdin_fd = null_fd_.get();
  request.stdout_fd = sandbox->stdout_file.get();
  request.stderr_fd = sandbox->stderr_file.get();

  absl::string_view name = argv_[0];
  absl::string_view path;
  bool search = name.find('/') == absl::string_view::npos;
  if (search) {
    auto own = payload_.environment().find("PATH");
    path = own != payload_.environment().end() ? absl::string_view(own->second)
                                               : environment_.Get("PATH");
    if (path.empty()) path = "/usr/local/bin:/usr/bin:/bin";
  }
  auto cannot_start = [&](int error) {
    failure->message = absl::StrCat("cannot start \"", name, "\": ", strerror(error));
    if (search) absl::StrAppend(&failure->message, " (searched PATH=", path, ")");
  };

  if (options_.cgroups != nullptr) {
    absl::StatusOr<CgroupPool::Group> group = options_.cgroups->Lend(attempt->ram_limit);
    if (!group.ok()) {
      failure->outcome = Outcome::kRefused;
      failure->message = std::string(group.status().message());
      return false;
    }
    attempt->cgroup = *std::move(group);
    request.cgroup_fd = attempt->cgroup.fd;
  }
  SpawnResult result;
  std::string program(name);
  for (int tries = 0; tries < 2; ++tries) {
    if (search) {
      int error = programs_.Find(name, path, directory, attempt->start_ns, &program);
      if (error != 0) {
        cannot_start(error);
        break;
      }
    }
    request.program = program.c_str();
    result = Spawn(request, ignored_signals_);
    if (without_shell && result.pid < 0 && result.step == SpawnResult::Step::kExec) {
      // A script without a first line, a missing program: the shell knows what to do or to say.
      without_shell = false;
      UseShell();
      request.argv = argv_.data();
      program = argv_[0];
      request.program = program.c_str();
      result = Spawn(request, ignored_signals_);
    }
    // What was found a moment ago may have moved.
    if (!search || result.pid >= 0 || result.step != SpawnResult::Step::kExec) break;
    programs_.Forget();
  }
  if (result.pid < 0 && options_.cgroups != nullptr) {
    options_.cgroups->TakeBack(std::move(attempt->cgroup));
  }
  if (result.pid < 0 && failure->message.empty()) {
    switch (result.step) {
      case SpawnResult::Step::kClone:
        // The agent's trouble, not the task's.
        failure->outcome = Outcome::kRefused;
        failure->message = absl::StrCat("cannot make a process: ", strerror(result.error));
        break;
      case SpawnResult::Step::kDirectory:
        failure->message = absl::StrCat("cannot enter the directory \"", directory,
                                        "\": ", strerror(result.error));
        break;
      case SpawnResult::Step::kExec:
        cannot_start(result.error);
        break;
    }
  }
  attempt->pid = result.pid;
  return result.pid >= 0;
}

void Runner::EndWithoutStart(const Launch& launch, Failure failure) {
  AttemptUpdate update;
  update.attempt = launch.attempt;
  update.outcome = failure.outcome;
  update.message = std::move(failure.message);
  update.end_time = absl::Now();
  ended_.push_back(std::move(update));
}

bool Runner::Start(const Launch& launch) {
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
  Failure failure;
  if (!Launched(launch, attempt.get(), &failure)) {
    EndWithoutStart(launch, std::move(failure));
    return false;
  }
  attempt->serial = ++last_serial_;
  if (attempt->timeout != absl::InfiniteDuration()) {
    SetTimer(attempt.get(), Later(attempt->start_ns, attempt->timeout));
  }
  if (attempt->ram_limit > 0 && options_.cgroups == nullptr) {
    ++measured_;
    survey_ns_ = std::min(survey_ns_, Later(attempt->start_ns, options_.sample_period));
  }
  by_pid_[attempt->pid] = attempt.get();
  attempts_[launch.attempt.value] = std::move(attempt);
  return true;
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
  SetTimer(attempt, kNever);
  if (attempt->ram_limit > 0 && options_.cgroups == nullptr) --measured_;
  if (options_.cgroups != nullptr) options_.cgroups->TakeBack(std::move(attempt->cgroup));
  ended_.push_back(std::move(update));
  by_pid_.erase(attempt->pid);
  attempts_.erase(attempt->id.value);
}

}  // namespace kartograph::executor
