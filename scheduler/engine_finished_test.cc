// Finished tasks on their way to clients, and changes on their way to watchers.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphState;
using planner::Outcome;
using planner::TaskKey;
using planner::TaskState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class PopFinishedTest : public ::testing::Test, protected EngineStory {
 protected:
  // Graph 1 of this many tasks, which have all succeeded with these return values.
  void AllSucceeded(const std::vector<std::string>& return_values) {
    std::vector<Task> tasks;
    for (size_t i = 0; i < return_values.size(); ++i) tasks.emplace_back(absl::StrCat("t", i));
    Agent(static_cast<double>(tasks.size()));
    Submit(Graph(tasks).Queue("client"));
    Batch();
    for (size_t i = 0; i < return_values.size(); ++i) {
      Notify({Ended(Attempt(static_cast<planner::TaskIndex>(i)), Outcome::kSucceeded,
                    return_values[i])});
    }
    Batch();
  }
  static std::vector<std::string> Names(const std::vector<storage::Finished>& finished) {
    std::vector<std::string> names;
    for (const storage::Finished& f : finished) names.push_back(f.task_name);
    return names;
  }
  static std::vector<int64_t> Ids(const std::vector<storage::Finished>& finished) {
    std::vector<int64_t> ids;
    for (const storage::Finished& f : finished) ids.push_back(f.delivery_id);
    return ids;
  }
};

TEST_F(PopFinishedTest, GivesWhatIsThereWithItsResult) {
  AllSucceeded({"42"});
  auto pop = Pop({}, absl::Hours(1));
  Batch();
  const std::vector<storage::Finished> finished = pop.value();
  ASSERT_THAT(finished, SizeIs(1));
  EXPECT_EQ(finished[0].task, TaskKey::Of(1, 0));
  EXPECT_EQ(finished[0].task_name, "t0");
  EXPECT_EQ(finished[0].ended.state, TaskState::kSucceeded);
  EXPECT_EQ(finished[0].attempts, 1);
  EXPECT_EQ(finished[0].last_attempt.return_value, "42");
}

TEST_F(PopFinishedTest, DeliversAgainUntilItIsAcknowledged) {
  AllSucceeded({"", "", ""});
  auto first = Pop();
  Batch();
  EXPECT_THAT(Names(first.value()), ElementsAre("t0", "t1", "t2"));
  auto again = Pop({first.value()[1].delivery_id, 999});
  Batch();
  EXPECT_THAT(Names(again.value()), ElementsAre("t0", "t2"));
  auto rest = Pop(Ids(again.value()));
  Batch();
  EXPECT_THAT(rest.value(), IsEmpty());
}

TEST_F(PopFinishedTest, ARestartLosesNothing) {
  AllSucceeded({"", ""});
  auto first = Pop();
  Batch();
  Pop({first.value()[0].delivery_id});
  Batch();
  Restart();
  auto again = Pop();
  Batch();
  EXPECT_THAT(Names(again.value()), ElementsAre("t1"));
}

TEST_F(PopFinishedTest, ThoseWhoWaitAreServedWhenSomethingFinishes) {
  Agent(1);
  Submit(Graph({Task("a")}).Queue("client"));
  auto first = Pop({}, absl::Minutes(1));
  auto second = Pop({}, absl::Minutes(1));
  auto stranger = Ask<std::vector<storage::Finished>>(
      PopFinished{"another", {}, 10, 1000, now_.steady + absl::Minutes(1)});
  Batch();
  EXPECT_FALSE(first.given());
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  // Which of them lives to acknowledge it is not known.
  EXPECT_THAT(Names(first.value()), ElementsAre("a"));
  EXPECT_THAT(Names(second.value()), ElementsAre("a"));
  EXPECT_FALSE(stranger.given());
}

TEST_F(PopFinishedTest, WaitsUntilTheDeadlineAndThenGivesNothing) {
  auto now = Pop();
  auto later = Pop({}, absl::Seconds(5));
  Batch();
  EXPECT_THAT(now.value(), IsEmpty());
  EXPECT_FALSE(later.given());
  EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Seconds(5));
  Wait(absl::Seconds(5));
  EXPECT_THAT(later.value(), IsEmpty());
  EXPECT_EQ(engine_->NextWake(), SteadyTime::InfiniteFuture());
}

TEST_F(PopFinishedTest, GivesAtMostAsManyAsAskedForOldestFirst) {
  AllSucceeded({"", "", ""});
  auto two = Pop({}, absl::ZeroDuration(), 2);
  Batch();
  EXPECT_THAT(Names(two.value()), ElementsAre("t0", "t1"));
}

TEST_F(PopFinishedTest, StaysBelowTheBytesAskedForButGivesOneAtLeast) {
  AllSucceeded({std::string(100, 'x'), std::string(10, 'y'), std::string(10, 'z')});
  auto one = Pop({}, absl::ZeroDuration(), 10, 50);
  Batch();
  EXPECT_THAT(Names(one.value()), ElementsAre("t0"));
  auto rest = Pop(Ids(one.value()), absl::ZeroDuration(), 10, 50);
  Batch();
  EXPECT_THAT(Names(rest.value()), ElementsAre("t1", "t2"));
}

TEST_F(PopFinishedTest, TellsOfFailuresCancelsAndSkips) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c")}).Queue("client"));
  Batch();
  CancelOne(1, "c");
  Notify({Ended(Attempt(0), Outcome::kExited, "what went wrong")});
  Batch();
  auto pop = Pop();
  Batch();
  const std::vector<storage::Finished> finished = pop.value();
  ASSERT_THAT(Names(finished), ElementsAre("c", "a", "b"));
  EXPECT_EQ(finished[0].ended.state, TaskState::kCancelled);
  EXPECT_EQ(finished[1].ended.state, TaskState::kFailed);
  EXPECT_EQ(finished[1].last_attempt.return_value, "what went wrong");
  EXPECT_EQ(finished[2].ended.state, TaskState::kSkipped);
  EXPECT_EQ(finished[2].attempts, 0);
}

TEST_F(PopFinishedTest, EverybodyIsDismissedAtTheEnd) {
  auto pop = Pop({}, absl::Hours(1));
  Batch();
  engine_->DismissWaiters();
  EXPECT_TRUE(absl::IsUnavailable(pop.status()));
  engine_->DismissWaiters();
}

class WatcherTest : public ::testing::Test, protected EngineStory {
 protected:
  WatcherTest() {
    engine_->AddWatcher([this](const Changes& changes, const Snapshots&) {
      ++calls_;
      last_ = changes;
      names_.clear();
      reasons_.clear();
      for (const Changes::Task& task : changes.tasks) {
        names_.emplace_back(changes.words->Name(task));
        reasons_.push_back(changes.words->Reason(task));
      }
    });
  }
  // "g1.0 running, g1.1 waiting"
  std::vector<std::string> Tasks() const {
    std::vector<std::string> tasks;
    for (const Changes::Task& task : last_.tasks) {
      tasks.push_back(absl::StrCat("g", task.task.graph(), ".", task.task.index(), " ",
                                   planner::ToString(task.state)));
    }
    return tasks;
  }

  int calls_ = 0;
  Changes last_;
  std::vector<std::string> names_;  // of its tasks
  std::vector<std::string> reasons_;
};

TEST_F(WatcherTest, SeesEachTaskOncePerBatchInItsNewestState) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  Batch();
  EXPECT_EQ(calls_, 1);
  EXPECT_THAT(Tasks(), ElementsAre("g1.0 launching", "g1.1 waiting"));
  EXPECT_EQ(names_[0], "a");
  EXPECT_EQ(last_.tasks[0].attempts, 1u);
  EXPECT_EQ(reasons_[1], "waits for \"a\"");
  ASSERT_THAT(last_.graphs, SizeIs(1));
  EXPECT_EQ(last_.graphs[0].counts.total, 2);

  // Runs, ends, and the next is launched, all in one batch.
  executor::AttemptUpdate runs = Ended(Attempt(0), Outcome::kNone);
  runs.start_time = now_.wall;
  Notify({runs, Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  EXPECT_THAT(Tasks(), ElementsAre("g1.0 succeeded", "g1.1 launching"));
  EXPECT_EQ(reasons_[0], "");
}

TEST_F(WatcherTest, SeesTheTasksOfAGraphThatEndedInTheBatch) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kExited)});
  Batch();
  EXPECT_THAT(Tasks(), ElementsAre("g1.0 failed", "g1.1 skipped"));
  EXPECT_EQ(last_.tasks[0].attempts, 1u);
  EXPECT_EQ(reasons_[0], "exited with status 1");
  EXPECT_EQ(names_[1], "b");
  EXPECT_EQ(reasons_[1], "comes after \"a\", which failed");
  ASSERT_THAT(last_.graphs, SizeIs(1));
  EXPECT_EQ(last_.graphs[0].state, GraphState::kFailed);
  EXPECT_EQ(last_.graphs[0].end_time, now_.wall);
  EXPECT_EQ(last_.graphs[0].counts.by_state[static_cast<int>(TaskState::kSkipped)], 1);
}

TEST_F(WatcherTest, SeesWhyARunningTaskWasCancelled) {
  Agent(2);
  Submit(Graph({Task("a"), Task("b")}));
  Batch();
  CancelOne(1, "a");
  Batch();
  EXPECT_THAT(Tasks(), ElementsAre("g1.0 launching"));
  EXPECT_EQ(reasons_[0], "is being cancelled");
  Notify({Ended(Attempt(0), Outcome::kCancelled)});
  Batch();
  EXPECT_THAT(Tasks(), ElementsAre("g1.0 cancelled"));
  EXPECT_EQ(reasons_[0], "cancelled on request");
}

TEST_F(WatcherTest, SeesEachGraphOnce) {
  Agent(4);
  Submit(Graph({Task("a"), Task("b")}));
  Submit(Graph({Task("a"), Task("b")}));
  Batch();
  ASSERT_THAT(last_.graphs, SizeIs(2));
  EXPECT_EQ(last_.graphs[0].graph, 1u);
  EXPECT_EQ(last_.graphs[1].graph, 2u);
  CancelOne(2, "a");
  Cancel(1);
  Batch();
  EXPECT_THAT(last_.graphs, SizeIs(2));
}

TEST_F(WatcherTest, SeesAGraphThatHasNoTasks) {
  Submit(Graph({}).Open());
  Batch();
  ASSERT_THAT(last_.graphs, SizeIs(1));
  EXPECT_TRUE(last_.graphs[0].open);
  Add(1, Task("a"));
  Batch();
  Close(1);
  Batch();
  ASSERT_THAT(last_.graphs, SizeIs(1));
  EXPECT_FALSE(last_.graphs[0].open);
}

TEST_F(WatcherTest, SeesAgentsComeAndGo) {
  Agent(1);
  Batch();
  EXPECT_EQ(calls_, 1);
  EXPECT_TRUE(last_.cluster);
  EXPECT_THAT(last_.tasks, IsEmpty());
  Notify({executor::Disconnected{"gone"}});
  Batch();
  EXPECT_TRUE(last_.cluster);
}

TEST_F(WatcherTest, IsNotCalledForNothing) {
  Batch();
  auto pop = Pop();
  auto wrong = Cancel(9);
  Batch();
  Wait(absl::Seconds(1));
  EXPECT_EQ(calls_, 0);
}

TEST_F(WatcherTest, SeesABackOffPass) {
  Agent(1);
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(5)), Task("b")}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kExited)});
  Batch();
  Wait(absl::Seconds(5));
  EXPECT_THAT(Tasks(), ElementsAre("g1.0 ready"));
  EXPECT_THAT(reasons_[0], testing::HasSubstr("waits for cpu: needs 1; agent m has 0 of"));
}

TEST_F(WatcherTest, IsNotCalledAfterItWasRemoved) {
  int calls = 0;
  auto watcher = engine_->AddWatcher([&](const Changes&, const Snapshots&) { ++calls; });
  Submit(Graph({Task("a")}));
  Batch();
  engine_->RemoveWatcher(watcher);
  Submit(Graph({Task("a")}));
  Batch();
  EXPECT_EQ(calls, 1);
  EXPECT_EQ(calls_, 2);
}

TEST_F(WatcherTest, SeesWhatTheSnapshotsSay) {
  engine_->AddWatcher([](const Changes& changes, const Snapshots& snapshots) {
    for (const Changes::Task& task : changes.tasks) {
      EXPECT_EQ(snapshots.Task(task.task)->state, task.state);
    }
  });
  Agent(1);
  Submit(Graph({Task("a"), Task("b")}));
  Batch();
  EXPECT_THAT(last_.tasks, SizeIs(2));
}

}  // namespace
}  // namespace kartograph::scheduler
