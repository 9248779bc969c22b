// The scheduler's one thread: drains its mailbox, drives the engine, sleeps until something is due.
#include "scheduler/scheduler.h"

#include <algorithm>
#include <atomic>
#include <deque>
#include <iterator>
#include <list>
#include <thread>
#include <utility>

#include "absl/time/time.h"
#include "base/mutex.h"
#include "scheduler/background_threads.h"
#include "scheduler/engine.h"

namespace kartograph::scheduler {
namespace {

// How long ends of attempts are gathered at most. Short enough to go unnoticed, long enough to make
// one commit of what would be ten.
constexpr absl::Duration kLinger = absl::Milliseconds(4);
// Far enough from what a clock can count to.
constexpr absl::Duration kLongestSleep = absl::Hours(1);
// A batch takes no more than this of what waits, so that a flood does not keep small writes
// waiting.
constexpr size_t kMaxBatchEvents = 10000;
constexpr absl::Duration kMaxBatchTime = absl::Milliseconds(20);
constexpr int64_t kIdle = -1;

absl::Status Stopped() {
  return absl::UnavailableError("the service is stopping; try again when it is back");
}

absl::Status TooManyWait() {
  return absl::ResourceExhaustedError(
      "too many calls are already waiting for the scheduler; try again");
}

class SchedulerThread : public Scheduler {
 public:
  SchedulerThread(SchedulerOptions options, storage::HistoryWriter* writer,
                  storage::LongReader* reader, executor::Cluster* cluster)
      : clock_(*options.clock),
        max_mailbox_(options.max_mailbox),
        background_([this](BackgroundThreads::Then then) { Resume(std::move(then)); }),
        engine_(std::move(options), writer, reader, cluster, &background_),
        cluster_(cluster),
        gate_(std::make_shared<Gate>()) {
    MutexLock lock(&gate_->mutex);
    gate_->owner = this;
  }

  ~SchedulerThread() override {
    {
      MutexLock lock(&gate_->mutex);
      gate_->owner = nullptr;
    }
    Stop(false);
    background_.Stop();
  }

  absl::Status Begin() {
    if (absl::Status status = engine_.Recover(clock_.Now()); !status.ok()) return status;
    absl::Status started =
        cluster_->Start([gate = gate_](std::vector<executor::ClusterEvent> events) {
          MutexLock lock(&gate->mutex);
          if (gate->owner != nullptr) gate->owner->Receive(std::move(events));
        });
    if (!started.ok()) return started;
    begun_ = true;
    thread_ = std::thread([this] { Run(); });
    return absl::OkStatus();
  }

  void Submit(Command command, Done done) override {
    if (const absl::Status refused = Post(command, done); !refused.ok()) {
      done(refused);
      return;
    }
    mailbox_changed_.NotifyOne();
  }

  void Inspect(std::function<void(const Snapshots&)> read) override {
    {
      MutexLock lock(&mutex_);
      if (ended_) return;
      mailbox_.reads.push_back(std::move(read));
    }
    mailbox_changed_.NotifyOne();
  }

  std::unique_ptr<Subscription> Subscribe(
      std::function<void(const Changes&, const Snapshots&)> on_change) override;

  void Stop(bool drain) override {
    {
      MutexLock lock(&mutex_);
      stop_ = true;
      stop_pending_ = true;
      drain_ = drain_ && drain;  // whoever does not want to wait decides
      if (!begun_) ended_ = true;
    }
    mailbox_changed_.NotifyOne();
    MutexLock joining(&join_mutex_);
    if (thread_.joinable()) thread_.join();
  }

  absl::Duration BusyFor() const override {
    const int64_t since = busy_since_;
    if (since == kIdle) return absl::ZeroDuration();
    return clock_.SteadyNow() - SteadyTime::FromSinceZero(absl::Nanoseconds(since));
  }

  const UsageTable& usage() const override { return engine_.usage(); }

  bool ended() const override {
    MutexLock lock(&mutex_);
    return ended_;
  }

  absl::Status write_error() const override {
    MutexLock lock(&mutex_);
    return write_error_;
  }

  absl::Status fatal_error() const override {
    MutexLock lock(&mutex_);
    return fatal_error_;
  }

 private:
  struct PendingCommand {
    Command command;
    Done done;
  };
  struct Mailbox {
    std::deque<PendingCommand> commands;
    std::deque<executor::ClusterEvent> events;
    std::vector<BackgroundThreads::Then> resumed;
    std::vector<std::function<void(const Snapshots&)>> reads;
    bool empty() const {
      return commands.empty() && events.empty() && resumed.empty() && reads.empty();
    }
    int64_t size() const {
      return static_cast<int64_t>(commands.size() + events.size() + reads.size());
    }
  };

  // The cluster outlives the scheduler, and may send events after its end.
  struct Gate {
    Mutex mutex;
    SchedulerThread* owner ABSL_GUARDED_BY(mutex) = nullptr;
  };

  // Waits while too many wait already: the cluster then reads no more from its agents.
  void Receive(std::vector<executor::ClusterEvent> events) {
    {
      MutexLock lock(&mutex_);
      while (mailbox_.events.size() >= max_mailbox_ && !ended_) room_for_events_.Wait(&mutex_);
      std::move(events.begin(), events.end(), std::back_inserter(mailbox_.events));
    }
    mailbox_changed_.NotifyOne();  // after unlock
  }

  void Resume(BackgroundThreads::Then then) {
    {
      MutexLock lock(&mutex_);
      mailbox_.resumed.push_back(std::move(then));
    }
    mailbox_changed_.NotifyOne();
  }

  // Takes the two where there is room for them.
  absl::Status Post(Command& command, Done& done) {
    MutexLock lock(&mutex_);
    if (ended_) return Stopped();
    if (mailbox_.commands.size() >= max_mailbox_) return TooManyWait();
    mailbox_.commands.push_back({std::move(command), std::move(done)});
    return absl::OkStatus();
  }

  void Run() {
    Mailbox taken;
    while (true) {
      bool stop = false;
      busy_since_ = kIdle;
      {
        MutexLock lock(&mutex_);
        if (taken.empty()) WaitForCommands();
        TakePending(taken);
        stop = stop_;
        stop_pending_ = false;
      }
      const Instant now = clock_.Now();
      busy_since_ = now.steady.since_zero() / absl::Nanoseconds(1);
      if (stop) engine_.StopTakingWork();
      Handle(taken, now);
      engine_.EndBatch(now);
      for (auto& read : std::exchange(taken.reads, {})) read(engine_.core());
      MutexLock lock(&mutex_);
      write_error_ = engine_.write_error();
      if (!engine_.fatal_error().ok()) {
        fatal_error_ = engine_.fatal_error();
        ended_ = true;
      }
      if (stop && (!drain_ || engine_.core().live_attempts() == 0)) ended_ = true;
      if (ended_) {
        room_for_events_.NotifyAll();
        break;
      }
    }
    busy_since_ = kIdle;
    engine_.DismissWaiters();
    engine_.StopTakingWork();
    background_.Stop();
    // Taken before the end was decided: the engine refuses these, but each is answered.
    while (true) {
      for (PendingCommand& pending : std::exchange(taken.commands, {})) {
        engine_.Apply(std::move(pending.command), clock_.Now(), std::move(pending.done));
      }
      for (auto& then : std::exchange(taken.resumed, {})) then(clock_.Now());
      for (auto& read : std::exchange(taken.reads, {})) read(engine_.core());
      taken.events.clear();
      MutexLock lock(&mutex_);
      TakePending(taken);
      if (taken.commands.empty() && taken.resumed.empty() && taken.reads.empty()) break;
    }
    engine_.DismissWaiters();
  }

  void WaitForCommands() ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    const absl::Duration sleep =
        std::clamp(engine_.NextWake() - clock_.SteadyNow(), absl::ZeroDuration(), kLongestSleep);
    // A spurious wake-up is harmless: time passes in two steps then.
    if (!HasPending()) mailbox_changed_.WaitFor(&mutex_, sleep);
    // Agents that still have work of their own to begin wait for nothing: let more of them end, and
    // write all that in one commit.
    if (HasUrgent() || engine_.core().AgentsBusyFor() <= 2 * kLinger) return;
    const SteadyTime enough = clock_.SteadyNow() + kLinger;
    for (absl::Duration left = kLinger; left > absl::ZeroDuration() && !HasUrgent();
         left = enough - clock_.SteadyNow()) {
      mailbox_changed_.WaitFor(&mutex_, left);
    }
  }

  // Adds what came to `taken`; of commands and events only where those taken before are done, so
  // that their bounds hold.
  void TakePending(Mailbox& taken) ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    if (taken.commands.empty()) std::swap(taken.commands, mailbox_.commands);
    if (taken.events.empty()) {
      std::swap(taken.events, mailbox_.events);
      room_for_events_.NotifyAll();
    }
    std::move(mailbox_.resumed.begin(), mailbox_.resumed.end(), std::back_inserter(taken.resumed));
    mailbox_.resumed.clear();
    std::move(mailbox_.reads.begin(), mailbox_.reads.end(), std::back_inserter(taken.reads));
    mailbox_.reads.clear();
  }

  // As much of it as fits into a batch; the rest stays for the next.
  void Handle(Mailbox& taken, const Instant& now) {
    engine_.NoteMailboxDepth(taken.size());
    const size_t events = std::min(taken.events.size(), kMaxBatchEvents);
    const auto rest = taken.events.begin() + static_cast<std::ptrdiff_t>(events);
    engine_.OnClusterEvents(
        {std::make_move_iterator(taken.events.begin()), std::make_move_iterator(rest)}, now);
    taken.events.erase(taken.events.begin(), rest);
    for (auto& then : std::exchange(taken.resumed, {})) then(now);
    const SteadyTime enough = now.steady + kMaxBatchTime;
    while (!taken.commands.empty() && !engine_.BatchIsFull() && clock_.SteadyNow() < enough) {
      PendingCommand pending = std::move(taken.commands.front());
      taken.commands.pop_front();
      engine_.Apply(std::move(pending.command), now, std::move(pending.done));
    }
  }

  // Something waits for an answer.
  bool HasUrgent() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !mailbox_.commands.empty() || !mailbox_.reads.empty() || !mailbox_.resumed.empty() ||
           stop_pending_;
  }
  bool HasPending() const ABSL_EXCLUSIVE_LOCKS_REQUIRED(mutex_) {
    return !mailbox_.empty() || stop_pending_;
  }

  const Clock& clock_;
  const size_t max_mailbox_;
  std::atomic<int64_t> busy_since_{kIdle};  // the steady clock's nanoseconds
  BackgroundThreads background_;
  Engine engine_;  // used by thread_ alone once that runs
  executor::Cluster* const cluster_;
  const std::shared_ptr<Gate> gate_;
  bool begun_ = false;  // never changes once the scheduler is handed out
  std::thread thread_;

  mutable Mutex mutex_;
  CondVar mailbox_changed_;
  CondVar room_for_events_;
  Mailbox mailbox_ ABSL_GUARDED_BY(mutex_);
  bool stop_ ABSL_GUARDED_BY(mutex_) = false;
  // Stop was called since the last batch.
  bool stop_pending_ ABSL_GUARDED_BY(mutex_) = false;
  bool drain_ ABSL_GUARDED_BY(mutex_) = true;
  // Nothing more is taken.
  bool ended_ ABSL_GUARDED_BY(mutex_) = false;
  absl::Status fatal_error_ ABSL_GUARDED_BY(mutex_);
  absl::Status write_error_ ABSL_GUARDED_BY(mutex_);
  Mutex join_mutex_;  // for joining thread_

  class WatcherSubscription;
};

// A watcher's registration lives on the scheduler's thread; only a handle to it is outside.
class SchedulerThread::WatcherSubscription : public Subscription {
 public:
  WatcherSubscription(SchedulerThread* owner,
                      std::function<void(const Changes&, const Snapshots&)> on_change)
      : owner_(owner), shared_(std::make_shared<Shared>()) {
    {
      MutexLock lock(&shared_->mutex);
      shared_->on_change = std::move(on_change);
    }
    // Before the commands of a batch, so that whatever is submitted from now on is seen.
    owner_->Resume([owner = owner_, shared = shared_](const Instant&) {
      shared->position =
          owner->engine_.AddWatcher([shared](const Changes& changes, const Snapshots& snapshots) {
            MutexLock lock(&shared->mutex);
            if (shared->on_change) shared->on_change(changes, snapshots);
          });
    });
  }
  ~WatcherSubscription() override {
    {
      MutexLock lock(&shared_->mutex);  // waits for a running call
      shared_->on_change = nullptr;
    }
    // In order after the registration, as it goes through the same mailbox.
    owner_->Resume([owner = owner_, shared = shared_](const Instant&) {
      owner->engine_.RemoveWatcher(shared->position);
    });
  }

 private:
  struct Shared {
    Mutex mutex;
    std::function<void(const Changes&, const Snapshots&)> on_change ABSL_GUARDED_BY(mutex);
    std::list<Engine::Watcher>::iterator position;  // used on the scheduler's thread alone
  };
  SchedulerThread* const owner_;
  const std::shared_ptr<Shared> shared_;
};

std::unique_ptr<Scheduler::Subscription> SchedulerThread::Subscribe(
    std::function<void(const Changes&, const Snapshots&)> on_change) {
  return std::make_unique<WatcherSubscription>(this, std::move(on_change));
}

}  // namespace

absl::Status Scheduler::InspectAndWait(std::function<void(const Snapshots&)> read) {
  // If the scheduler has stopped, the closure is destroyed without a call; that, too, ends the
  // wait.
  struct Call {
    Mutex mutex;
    CondVar ended;
    bool over ABSL_GUARDED_BY(mutex) = false;
    bool ran = false;
    void End() {
      MutexLock lock(&mutex);
      over = true;
      ended.NotifyOne();
    }
  };
  auto call = std::make_shared<Call>();
  auto ticket = std::shared_ptr<void>(nullptr, [call](void*) { call->End(); });
  Inspect([read = std::move(read), call, ticket = std::move(ticket)](const Snapshots& snapshots) {
    read(snapshots);
    call->ran = true;
  });
  MutexLock lock(&call->mutex);
  while (!call->over) call->ended.Wait(&call->mutex);
  return call->ran ? absl::OkStatus() : Stopped();
}

absl::StatusOr<std::unique_ptr<Scheduler>> Scheduler::Start(SchedulerOptions options,
                                                            storage::HistoryWriter* writer,
                                                            storage::LongReader* reader,
                                                            executor::Cluster* cluster) {
  auto scheduler = std::make_unique<SchedulerThread>(std::move(options), writer, reader, cluster);
  if (absl::Status status = scheduler->Begin(); !status.ok()) return status;
  return scheduler;
}

}  // namespace kartograph::scheduler
