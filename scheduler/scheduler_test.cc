// The scheduler's thread, in real time.
#include "scheduler/scheduler.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <condition_variable>
#include <memory>
#include <mutex>
#include <set>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/testing/manual_clock.h"
#include "scheduler/testing/builders.h"
#include "scheduler/testing/memory_history.h"
#include "scheduler/testing/recording_cluster.h"
#include "scheduler/testing/reply_value.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using planner::Outcome;
using planner::TaskKey;
using planner::TaskState;
using ::testing::Contains;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;
using ::testing::SizeIs;

// Something that happens once, for any thread to wait for.
class Event {
 public:
  void Happen() {
    std::lock_guard lock(mutex_);
    happened_ = true;
    happening_.notify_all();
  }
  void Wait() {
    std::unique_lock lock(mutex_);
    happening_.wait(lock, [this] { return happened_; });
  }
  bool happened() {
    std::lock_guard lock(mutex_);
    return happened_;
  }

 private:
  std::mutex mutex_;
  std::condition_variable happening_;
  bool happened_ = false;
};

// Keeps the scheduler's thread from its work, between two batches, until Release; what is asked of
// it meanwhile comes into one batch.
class HeldThread {
 public:
  explicit HeldThread(Scheduler* scheduler) {
    scheduler->Inspect([this](const Snapshots&) {
      held_.Happen();
      released_.Wait();
    });
    held_.Wait();
  }
  void Release() { released_.Happen(); }

 private:
  Event held_;
  Event released_;
};

// What a call is answered, for any thread to wait for; complains about a second answer.
template <typename T>
class Promise {
 public:
  Done Callback() {
    return [state = state_](absl::StatusOr<Reply> reply) {
      EXPECT_FALSE(state->given.happened()) << "answered twice";
      state->value = ReplyValue<T>(std::move(reply));
      state->given.Happen();
    };
  }
  const absl::StatusOr<T>& Wait() const {
    state_->given.Wait();
    return state_->value;
  }
  bool given() const { return state_->given.happened(); }

 private:
  struct State {
    absl::StatusOr<T> value;
    Event given;
  };
  std::shared_ptr<State> state_ = std::make_shared<State>();
};

class SchedulerTest : public ::testing::Test {
 protected:
  SchedulerTest() { Begin(); }

  void Begin(SchedulerOptions options = {}) {
    absl::StatusOr<std::unique_ptr<Scheduler>> started =
        Scheduler::Start(std::move(options), &history_, &history_, &cluster_);
    ASSERT_TRUE(started.ok()) << started.status();
    scheduler_ = *std::move(started);
  }
  // Agent "m" with this many cores is connected.
  void Agent(double cores) { cluster_.Notify({executor::Connected{}, Lease("m", Cpu(cores))}); }
  GraphId Submit(const Graph& graph) {
    Promise<GraphId> id;
    scheduler_->Submit(SubmitGraph{"", Prepare(graph.Get())}, id.Callback());
    EXPECT_TRUE(id.Wait().ok()) << id.Wait().status();
    return id.Wait().value_or(0);
  }
  void End(const executor::Launch& launch, Outcome outcome = Outcome::kSucceeded) {
    cluster_.Notify({Ended(launch.attempt, outcome)});
  }
  std::vector<GraphId> LiveGraphs() {
    std::vector<GraphId> live;
    EXPECT_TRUE(
        scheduler_->InspectAndWait([&](const Snapshots& now) { live = now.LiveGraphs(); }).ok());
    return live;
  }
  // Waits until the graph has ended.
  void WaitForEnd(GraphId graph) {
    while (::testing::Value(LiveGraphs(), Contains(graph))) std::this_thread::yield();
  }

  // Writes are refused from that moment on.
  void WaitUntilItStops() {
    while (true) {
      Promise<int> answer;
      scheduler_->Submit(CancelTasks{"", 1, {"nobody"}}, answer.Callback());
      if (absl::IsUnavailable(answer.Wait().status())) return;
    }
  }

  MemoryHistory history_;  // to be inspected when the scheduler has stopped
  RecordingCluster cluster_;
  std::unique_ptr<Scheduler> scheduler_;
};

TEST_F(SchedulerTest, RunsAGraphToItsEnd) {
  Agent(1);
  const GraphId graph = Submit(Graph({Task("a"), Task("b").After({"a"})}));
  const executor::Launch a = cluster_.TakeLaunch();
  EXPECT_EQ(a.task_name, "a");
  EXPECT_EQ(a.payload, "a");
  End(a);
  End(cluster_.TakeLaunch());
  WaitForEnd(graph);
  scheduler_->Stop(false);
  EXPECT_EQ(history_.graphs().at(graph).state.state, planner::GraphState::kSucceeded);
}

TEST_F(SchedulerTest, EveryCallReachesTheEngine) {
  const GraphId graph = Submit(Graph({Task("a")}).Open());
  Promise<TaskKey> added;
  scheduler_->Submit(AddTasks{"", graph, {Task("b").After({"a"}).Get()}}, added.Callback());
  EXPECT_EQ(*added.Wait(), TaskKey::Of(graph, 1));
  Promise<int> task;
  scheduler_->Submit(CancelTasks{"", graph, {"b"}}, task.Callback());
  EXPECT_EQ(*task.Wait(), 1);
  Promise<bool> closed;
  scheduler_->Submit(CloseGraph{"", graph}, closed.Callback());
  EXPECT_TRUE(*closed.Wait());
  Promise<int> cancelled;
  scheduler_->Submit(CancelGraph{"", graph}, cancelled.Callback());
  EXPECT_EQ(*cancelled.Wait(), 1);
  Promise<int> retried;
  scheduler_->Submit(RetryTasks{"", graph}, retried.Callback());
  EXPECT_EQ(*retried.Wait(), 2);
  Promise<std::vector<storage::Finished>> finished;
  scheduler_->Submit(PopFinished{"client", {}, 1, 1, SteadyTime::InfinitePast()},
                     finished.Callback());
  EXPECT_THAT(*finished.Wait(), IsEmpty());
}

TEST_F(SchedulerTest, ConcurrentCallersAreEachAnsweredOnce) {
  constexpr int kThreads = 4;
  constexpr int kCalls = 50;
  std::vector<std::vector<Promise<GraphId>>> promises(kThreads);
  std::vector<std::thread> threads;
  for (int t = 0; t < kThreads; ++t) {
    threads.emplace_back([&, t] {
      for (int i = 0; i < kCalls; ++i) {
        Promise<GraphId> promise;
        // Each request comes from every thread.
        scheduler_->Submit(
            SubmitGraph{absl::StrCat("request ", i), Prepare(Graph({Task("a")}).Get())},
            promise.Callback());
        promises[t].push_back(promise);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  std::set<GraphId> ids;
  for (int i = 0; i < kCalls; ++i) {
    ids.insert(*promises[0][i].Wait());
    for (int t = 1; t < kThreads; ++t) EXPECT_EQ(*promises[t][i].Wait(), *promises[0][i].Wait());
  }
  EXPECT_EQ(ids.size(), size_t{kCalls});
}

TEST_F(SchedulerTest, CallbacksMayCallAgain) {
  Promise<int> cancelled;
  scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())},
                     [&](absl::StatusOr<Reply> reply) {
                       scheduler_->Submit(CancelGraph{"", reply->graph()}, cancelled.Callback());
                     });
  EXPECT_EQ(*cancelled.Wait(), 1);
}

TEST_F(SchedulerTest, ABackOffPassesByItself) {
  Agent(1);
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Milliseconds(20))}));
  const executor::Launch first = cluster_.TakeLaunch();
  const absl::Time ended = absl::Now();
  End(first, Outcome::kExited);
  const executor::Launch second = cluster_.TakeLaunch();
  EXPECT_GE(absl::Now() - ended, absl::Milliseconds(20));
  EXPECT_EQ(second.attempt.number(), 2u);
}

TEST_F(SchedulerTest, AWaiterIsAnsweredAtItsDeadline) {
  Promise<std::vector<storage::Finished>> finished;
  const SteadyTime deadline = Clock::System().SteadyNow() + absl::Milliseconds(30);
  scheduler_->Submit(PopFinished{"client", {}, 10, 1000, deadline}, finished.Callback());
  EXPECT_THAT(*finished.Wait(), IsEmpty());
  EXPECT_GE(Clock::System().SteadyNow(), deadline);
}

TEST_F(SchedulerTest, AWaiterIsAnsweredWhenATaskFinishes) {
  Agent(1);
  Promise<std::vector<storage::Finished>> finished;
  scheduler_->Submit(PopFinished{"client", {}, 10, 1000, SteadyTime::InfiniteFuture()},
                     finished.Callback());
  Submit(Graph({Task("a")}).Queue("client"));
  EXPECT_FALSE(finished.given());
  End(cluster_.TakeLaunch());
  ASSERT_THAT(*finished.Wait(), SizeIs(1));
  EXPECT_EQ((*finished.Wait())[0].task_name, "a");
}

TEST_F(SchedulerTest, StopLeavesWhatRunsToBeFoundAgain) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b")}));
  const executor::Launch a = cluster_.TakeLaunch();
  scheduler_->Stop(false);
  EXPECT_THAT(cluster_.Asked(), Not(Contains(HasSubstr("cancel"))));
  scheduler_.reset();

  Begin();
  Agent(1);
  EXPECT_THAT(LiveGraphs(), SizeIs(1));
  EXPECT_THAT(cluster_.Asked(), Contains("reconcile g1.0.1"));
  End(a);
  EXPECT_EQ(cluster_.TakeLaunch().task_name, "b");
}

TEST_F(SchedulerTest, DrainingWaitsForWhatRunsAndLaunchesNothing) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b")}));
  const executor::Launch a = cluster_.TakeLaunch();
  std::atomic<bool> stopped = false;
  std::thread stopper([&] {
    scheduler_->Stop(true);
    stopped = true;
  });
  WaitUntilItStops();
  EXPECT_THAT(LiveGraphs(), SizeIs(1)) << "it still answers";
  EXPECT_FALSE(stopped);
  End(a);
  stopper.join();
  EXPECT_EQ(cluster_.launches(), 0u) << "b is not launched";
  EXPECT_EQ(history_.task(a.attempt.task()).ended->state, TaskState::kSucceeded);
}

TEST_F(SchedulerTest, WhoDoesNotWantToWaitEndsTheDraining) {
  Agent(1);
  Submit(Graph({Task("a")}));
  cluster_.TakeLaunch();
  std::thread drainer([&] { scheduler_->Stop(true); });
  WaitUntilItStops();
  scheduler_->Stop(false);
  drainer.join();
  EXPECT_FALSE(history_.task(TaskKey::Of(1, 0)).ended);
}

TEST_F(SchedulerTest, StopAnswersThoseWhoWait) {
  Promise<std::vector<storage::Finished>> finished;
  scheduler_->Submit(PopFinished{"client", {}, 10, 1000, SteadyTime::InfiniteFuture()},
                     finished.Callback());
  scheduler_->Stop(false);
  EXPECT_TRUE(absl::IsUnavailable(finished.Wait().status()));
}

TEST_F(SchedulerTest, AfterStopEveryCallIsAnsweredUnavailable) {
  scheduler_->Stop(false);
  scheduler_->Stop(true);
  Promise<GraphId> submitted;
  scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())}, submitted.Callback());
  Promise<TaskKey> added;
  scheduler_->Submit(AddTasks{"", 1, {Task("a").Get()}}, added.Callback());
  Promise<bool> closed;
  scheduler_->Submit(CloseGraph{"", 1}, closed.Callback());
  Promise<int> cancelled;
  scheduler_->Submit(CancelGraph{"", 1}, cancelled.Callback());
  Promise<int> task;
  scheduler_->Submit(CancelTasks{"", 1, {"a"}}, task.Callback());
  Promise<int> retried;
  scheduler_->Submit(RetryTasks{"", 1}, retried.Callback());
  Promise<std::vector<storage::Finished>> finished;
  scheduler_->Submit(PopFinished{"client", {}, 1, 1, SteadyTime::InfiniteFuture()},
                     finished.Callback());
  for (const absl::Status& status :
       {submitted.Wait().status(), added.Wait().status(), closed.Wait().status(),
        cancelled.Wait().status(), task.Wait().status(), retried.Wait().status(),
        finished.Wait().status(), scheduler_->InspectAndWait([](const Snapshots&) {})}) {
    EXPECT_TRUE(absl::IsUnavailable(status)) << status;
  }
  EXPECT_TRUE(scheduler_->fatal_error().ok());
}

TEST_F(SchedulerTest, StoppingUnderLoadAnswersEverybodyOnce) {
  for (bool drain : {false, true}) {
    std::atomic<int> asked = 0;
    std::atomic<int> answered = 0;
    std::atomic<bool> stop = false;
    std::vector<std::thread> callers;
    for (int t = 0; t < 3; ++t) {
      callers.emplace_back([&] {
        while (!stop) {
          asked += 3;
          scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())},
                             [&](const absl::StatusOr<Reply>&) { ++answered; });
          scheduler_->Submit(PopFinished{"client", {}, 1, 1, SteadyTime::InfiniteFuture()},
                             [&](const absl::StatusOr<Reply>&) { ++answered; });
          // Ends whether or not the scheduler is there to run it.
          scheduler_->InspectAndWait([](const Snapshots&) {}).IgnoreError();
          ++answered;
        }
      });
    }
    while (answered < 20) std::this_thread::yield();
    std::thread another([&] { scheduler_->Stop(drain); });
    scheduler_->Stop(drain);
    another.join();
    stop = true;
    for (std::thread& caller : callers) caller.join();
    EXPECT_EQ(answered, asked);
    scheduler_.reset();
    Begin();
  }
}

TEST_F(SchedulerTest, ASubscriptionSeesChangesUntilItIsDestroyed) {
  Event ended;
  std::atomic<bool> alive = true;
  auto subscription = scheduler_->Subscribe([&](const Changes& changes, const Snapshots&) {
    EXPECT_TRUE(alive);
    for (const GraphSnapshot& graph : changes.graphs) {
      if (graph.state == planner::GraphState::kSucceeded) ended.Happen();
    }
  });
  Agent(1);
  Submit(Graph({Task("a")}));
  End(cluster_.TakeLaunch());
  ended.Wait();
  subscription.reset();
  alive = false;
  Submit(Graph({Task("a")}));
  End(cluster_.TakeLaunch());
  LiveGraphs();
}

TEST_F(SchedulerTest, ASubscriptionSeesWhatIsSubmittedAfterIt) {
  // Both reach the thread in one batch.
  HeldThread held(scheduler_.get());
  Event seen;
  auto subscription = scheduler_->Subscribe([&](const Changes& changes, const Snapshots&) {
    if (!changes.graphs.empty()) seen.Happen();
  });
  Promise<GraphId> submitted;
  scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())}, submitted.Callback());
  held.Release();
  ASSERT_TRUE(submitted.Wait().ok());
  LiveGraphs();  // that batch is over
  EXPECT_TRUE(seen.happened());
}

TEST_F(SchedulerTest, SubscriptionsComeAndGoWhileCallsRun) {
  std::atomic<bool> stop = false;
  std::atomic<int> submitted = 0;
  std::thread caller([&] {
    while (!stop) submitted += Submit(Graph({Task("a")})) > 0 ? 1 : 0;
  });
  for (int i = 0; i < 200 || submitted < 100; ++i) {
    // Each owns what its calls write to: a call after its end would be a use after free.
    auto calls = std::make_unique<int>(0);
    auto subscription = scheduler_->Subscribe(
        [calls = calls.get()](const Changes&, const Snapshots&) { ++*calls; });
    if (i % 2 == 0) LiveGraphs();
    subscription.reset();
    calls.reset();
  }
  stop = true;
  caller.join();
  EXPECT_THAT(LiveGraphs(), SizeIs(submitted.load()));
}

TEST_F(SchedulerTest, ASubscriptionMayEndAfterTheThread) {
  std::atomic<int> calls = 0;
  auto early = scheduler_->Subscribe([&](const Changes&, const Snapshots&) { ++calls; });
  ASSERT_TRUE(scheduler_->InspectAndWait([](const Snapshots&) {}).ok());  // it is registered
  Submit(Graph({Task("a")}));
  scheduler_->Stop(false);
  const int before = calls;
  EXPECT_GT(before, 0);
  std::atomic<int> late_calls = 0;
  auto late = scheduler_->Subscribe([&](const Changes&, const Snapshots&) { ++late_calls; });
  Promise<GraphId> refused;
  scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("b")}).Get())}, refused.Callback());
  EXPECT_TRUE(absl::IsUnavailable(refused.Wait().status())) << refused.Wait().status();
  early.reset();
  late.reset();
  EXPECT_EQ(calls, before);
  EXPECT_EQ(late_calls, 0);
}

TEST_F(SchedulerTest, WhatTheClusterSaysAfterTheEndIsHarmless) {
  Agent(1);
  Submit(Graph({Task("a")}));
  const executor::Launch a = cluster_.TakeLaunch();
  std::atomic<bool> stop = false;
  std::atomic<int> sent = 0;
  std::thread talker([&] {
    while (!stop) {
      End(a);
      ++sent;
    }
  });
  while (sent == 0) std::this_thread::yield();
  scheduler_.reset();
  const int commits = history_.commits();
  const int sent_at_the_end = sent;
  while (sent < sent_at_the_end + 100) std::this_thread::yield();
  stop = true;
  talker.join();
  EXPECT_EQ(history_.commits(), commits);
}

TEST_F(SchedulerTest, TotalsSayHowMuchMailWaitedAtMost) {
  HeldThread held(scheduler_.get());
  std::vector<Promise<GraphId>> promises(20);
  for (Promise<GraphId>& promise : promises) {
    scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())}, promise.Callback());
  }
  held.Release();
  for (const Promise<GraphId>& promise : promises) EXPECT_TRUE(promise.Wait().ok());
  Totals totals;
  ASSERT_TRUE(
      scheduler_->InspectAndWait([&](const Snapshots& now) { totals = now.totals(); }).ok());
  EXPECT_EQ(totals.mailbox_high_water, 20);
}

// Each look at it takes some time.
class BusyClock : public Clock {
 public:
  SteadyTime SteadyNow() const override {
    return SteadyTime::FromSinceZero(absl::Hours(1) + looks_++ * absl::Milliseconds(5));
  }
  absl::Time WallNow() const override { return absl::FromUnixSeconds(1700000000); }

 private:
  mutable std::atomic<int> looks_ = 0;
};

TEST_F(SchedulerTest, ABatchHoldsOnlySoManyRecordsAndTakesOnlySoLong) {
  const kartograph::testing::ManualClock still;
  const BusyClock busy_clock;
  struct Case {
    const Clock* clock;
    int tasks;         // of each graph
    int most_commits;  // of 30 graphs
    int least_commits;
  };
  for (const Case& one :
       {Case{&still, 1000, 3, 2}, Case{&still, 1, 1, 1}, Case{&busy_clock, 1, 30, 5}}) {
    SchedulerOptions options;
    options.clock = one.clock;
    scheduler_.reset();
    Begin(options);
    HeldThread held(scheduler_.get());
    const int before = history_.commits();
    std::vector<Task> tasks;
    for (int i = 0; i < one.tasks; ++i) tasks.emplace_back(absl::StrCat("t", i));
    std::vector<Promise<GraphId>> promises(30);
    for (Promise<GraphId>& promise : promises) {
      scheduler_->Submit(SubmitGraph{"", Prepare(Graph(tasks).Get())}, promise.Callback());
    }
    held.Release();
    for (const Promise<GraphId>& promise : promises) EXPECT_TRUE(promise.Wait().ok());
    LiveGraphs();
    EXPECT_GE(history_.commits() - before, one.least_commits);
    EXPECT_LE(history_.commits() - before, one.most_commits);
  }
  scheduler_.reset();  // before the clocks that it goes by
}

TEST_F(SchedulerTest, AFullMailboxRefusesWhatIsMore) {
  SchedulerOptions options;
  options.max_mailbox = 5;
  scheduler_.reset();
  Begin(options);
  HeldThread held(scheduler_.get());
  std::vector<Promise<GraphId>> promises(7);
  for (Promise<GraphId>& promise : promises) {
    scheduler_->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())}, promise.Callback());
  }
  for (size_t i = 5; i < promises.size(); ++i) {
    EXPECT_TRUE(absl::IsResourceExhausted(promises[i].Wait().status())) << "at once";
  }
  held.Release();
  for (size_t i = 0; i < 5; ++i) EXPECT_TRUE(promises[i].Wait().ok());
}

TEST_F(SchedulerTest, AFullMailboxHoldsUpTheCluster) {
  SchedulerOptions options;
  options.max_mailbox = 3;
  scheduler_.reset();
  Begin(options);
  HeldThread held(scheduler_.get());
  std::atomic<int> sent = 0;
  std::thread cluster([&] {
    for (; sent < 10; ++sent) cluster_.Notify({executor::Connected{}});
  });
  while (sent < 3) std::this_thread::yield();
  for (int i = 0; i < 1000; ++i) std::this_thread::yield();
  EXPECT_EQ(sent, 3);
  held.Release();
  cluster.join();
  EXPECT_EQ(sent, 10);
  // At its end the scheduler blocks no one.
  HeldThread held_again(scheduler_.get());
  std::thread late([&] {
    for (int i = 0; i < 10; ++i) cluster_.Notify({executor::Connected{}});
  });
  held_again.Release();
  scheduler_->Stop(false);
  late.join();
}

TEST_F(SchedulerTest, OnlySoManyMayWaitForFinishedTasks) {
  SchedulerOptions options;
  options.max_waiters = 2;
  scheduler_.reset();
  Begin(options);
  Promise<std::vector<storage::Finished>> first, second, third;
  for (auto* promise : {&first, &second, &third}) {
    scheduler_->Submit(PopFinished{"client", {}, 1, 1, SteadyTime::InfiniteFuture()},
                       promise->Callback());
  }
  EXPECT_TRUE(absl::IsResourceExhausted(third.Wait().status()));
  Agent(1);
  Submit(Graph({Task("a")}).Queue("client"));
  End(cluster_.TakeLaunch());
  EXPECT_THAT(*first.Wait(), SizeIs(1));
  EXPECT_THAT(*second.Wait(), SizeIs(1));
  // Whoever was answered waits no longer.
  Promise<std::vector<storage::Finished>> again;
  scheduler_->Submit(PopFinished{"client", {}, 1, 1, SteadyTime::InfiniteFuture()},
                     again.Callback());
  EXPECT_THAT(*again.Wait(), SizeIs(1));
}

TEST_F(SchedulerTest, WhoeverStopsWaitingForFinishedTasksMakesRoomAndTakesNothing) {
  SchedulerOptions options;
  options.max_waiters = 2;
  scheduler_.reset();
  Begin(options);
  Promise<std::vector<storage::Finished>> gone, other, third;
  PopFinished pop{"client", {}, 1, 1, SteadyTime::InfiniteFuture()};
  pop.lease = absl::Hours(1);
  scheduler_->Submit(pop, other.Callback());
  pop.call = 7;
  scheduler_->Submit(pop, gone.Callback());
  for (const StopWaiting& stop : {StopWaiting{"client", 8}, StopWaiting{"another", 7}}) {
    Promise<GraphId> nothing;
    scheduler_->Submit(stop, nothing.Callback());
    EXPECT_TRUE(nothing.Wait().ok());
  }
  Promise<GraphId> stopped, again;
  scheduler_->Submit(StopWaiting{"client", 7}, stopped.Callback());
  EXPECT_TRUE(stopped.Wait().ok());
  EXPECT_TRUE(absl::IsCancelled(gone.Wait().status()));
  scheduler_->Submit(StopWaiting{"client", 7}, again.Callback());
  EXPECT_TRUE(again.Wait().ok());
  pop.call = 9;
  scheduler_->Submit(pop, third.Callback());
  Agent(2);
  Submit(Graph({Task("a"), Task("b")}).Queue("client"));
  End(cluster_.TakeLaunch());
  End(cluster_.TakeLaunch());
  EXPECT_THAT(*other.Wait(), SizeIs(1));
  EXPECT_THAT(*third.Wait(), SizeIs(1));
}

TEST(SchedulerStartTest, ADamagedHistoryIsFatal) {
  MemoryHistory history;
  history.FailCommits(1, absl::DataLossError("the database is damaged"));
  RecordingCluster cluster;
  auto scheduler = *Scheduler::Start(SchedulerOptions(), &history, &history, &cluster);
  Promise<GraphId> submitted;
  scheduler->Submit(SubmitGraph{"", Prepare(Graph({Task("a")}).Get())}, submitted.Callback());
  EXPECT_TRUE(absl::IsUnavailable(submitted.Wait().status()));
  while (scheduler->InspectAndWait([](const Snapshots&) {}).ok()) std::this_thread::yield();
  EXPECT_TRUE(absl::IsDataLoss(scheduler->fatal_error()));
}

TEST(SchedulerStartTest, SaysWhyItCannotBegin) {
  MemoryHistory history;
  RecordingCluster cluster;
  cluster.RefuseToStart(absl::FailedPreconditionError("no such master"));
  EXPECT_EQ(Scheduler::Start(SchedulerOptions(), &history, &history, &cluster).status().message(),
            "no such master");

  class Unreadable : public MemoryHistory {
    absl::StatusOr<GraphId> LastGraphId() override { return absl::DataLossError("damaged"); }
  };
  Unreadable unreadable;
  RecordingCluster good;
  EXPECT_TRUE(absl::IsDataLoss(
      Scheduler::Start(SchedulerOptions(), &unreadable, &unreadable, &good).status()));
}

}  // namespace
}  // namespace kartograph::scheduler
