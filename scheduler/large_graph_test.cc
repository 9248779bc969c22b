// Graphs that take more than one batch: submitted, cancelled, run again and skipped in slices.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/problems.h"
#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using planner::GraphState;
using planner::Outcome;
using planner::TaskKey;
using planner::TaskState;
using ::testing::IsEmpty;
using ::testing::SizeIs;

constexpr int kSlice = 3;
constexpr int kTasks = 10;

SchedulerOptions InSlices() {
  SchedulerOptions options;
  options.slice_tasks = kSlice;
  options.slice_time = absl::ZeroDuration();
  return options;
}

class LargeGraphTest : public ::testing::Test, protected EngineStory {
 protected:
  LargeGraphTest() : EngineStory(InSlices()) {}

  // Independent tasks, or all after "gate".
  static Graph Large(bool gate = false) {
    std::vector<Task> tasks;
    if (gate) tasks.emplace_back("gate");
    for (int i = 0; i < kTasks; ++i) {
      tasks.emplace_back(absl::StrCat("t", i));
      if (gate) tasks.back().After({"gate"});
    }
    return Graph(tasks);
  }
  // Until nothing is left that would be done at once.
  void RunUntilIdle() {
    Batch();
    for (int i = 0; i < 1000 && engine_->NextWake() <= now_.steady; ++i) Batch();
    EXPECT_GT(engine_->NextWake(), now_.steady);
  }
  GraphId SubmitWhole(const Graph& graph) {
    auto id = Submit(graph);
    RunUntilIdle();
    return id.value();
  }
  int InState(GraphId graph, TaskState state) {
    return static_cast<int>(engine_->core().Graph(graph)->counts.by_state[static_cast<int>(state)]);
  }
  int Written(GraphId graph, TaskState state) {
    int tasks = 0;
    for (const MemoryHistory::Task& task : history_.graphs().at(graph).tasks) {
      tasks += task.ended && task.ended->state == state ? 1 : 0;
    }
    return tasks;
  }
};

TEST_F(LargeGraphTest, IsWrittenInSlicesWhileSmallWritesAreAnswered) {
  auto large = Submit(Large(), "r");
  Batch();
  EXPECT_THAT(history_.graphs().at(1).tasks, SizeIs(kSlice));
  EXPECT_FALSE(large.given());
  EXPECT_FALSE(engine_->core().IsLive(1)) << "not before it is whole";
  auto small = Submit(Graph({Task("a")}));
  Batch();
  EXPECT_EQ(small.value(), 2u);
  EXPECT_FALSE(large.given());
  RunUntilIdle();
  EXPECT_EQ(large.value(), 1u);
  EXPECT_THAT(history_.graphs().at(1).tasks, SizeIs(kTasks));
  EXPECT_EQ(InState(1, TaskState::kReady), kTasks);
}

TEST_F(LargeGraphTest, ACrashInBetweenLeavesNothing) {
  Submit(Large());
  Batch();
  Restart();
  RunUntilIdle();
  EXPECT_THAT(history_.graphs(), IsEmpty());
  EXPECT_EQ(SubmitWhole(Large()), 2u) << "the id is not used again";
}

TEST_F(LargeGraphTest, ARequestRepeatedInBetweenIsDoneOnce) {
  auto first = Submit(Large(), "r");
  Batch();
  auto again = Submit(Large(), "r");
  Batch();
  auto other = Cancel(7, "r");
  RunUntilIdle();
  EXPECT_EQ(first.value(), 1u);
  EXPECT_EQ(again.value(), 1u);
  auto later = Submit(Large(), "r");
  RunUntilIdle();
  EXPECT_EQ(later.value(), 1u);
  EXPECT_THAT(history_.graphs(), SizeIs(1));
}

TEST_F(LargeGraphTest, ADiskThatFailsInBetweenLeavesNothing) {
  auto large = Submit(Large(), "r");
  Batch();
  history_.FailCommits(1, absl::ResourceExhaustedError("the disk is full"));
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(large.status()));
  Wait(absl::Minutes(1));
  RunUntilIdle();
  EXPECT_THAT(history_.graphs(), IsEmpty());
  auto again = Submit(Large(), "r");
  RunUntilIdle();
  EXPECT_TRUE(again.status().ok());
  EXPECT_THAT(history_.graphs().begin()->second.tasks, SizeIs(kTasks));
}

TEST_F(LargeGraphTest, StoppingRefusesWhatIsNotWhole) {
  auto large = Submit(Large());
  Batch();
  engine_->StopTakingWork();
  EXPECT_TRUE(absl::IsUnavailable(large.status()));
}

TEST_F(LargeGraphTest, IsRefusedWithAllProblemsBeforeAnythingIsWritten) {
  Graph graph = Large();
  Agent(1);
  Batch();
  auto refused = Submit(Graph(
      {Task("a").After({"nobody"}), Task("b").Needs(Cpu(5)), Task("c"), Task("d"), Task("e")}));
  Batch();
  EXPECT_THAT(planner::ProblemsOf(refused.status()), SizeIs(2));
  EXPECT_THAT(history_.graphs(), IsEmpty());
}

TEST_F(LargeGraphTest, OnlySoManyAreWrittenAtOnce) {
  std::vector<Answer<GraphId>> answers;
  for (int i = 0; i < 101; ++i) answers.push_back(Submit(Large()));
  EXPECT_TRUE(absl::IsResourceExhausted(answers[100].status()));
  RunUntilIdle();
  for (int i = 0; i < 100; ++i) EXPECT_TRUE(answers[static_cast<size_t>(i)].status().ok());
}

TEST_F(LargeGraphTest, ACancelIsAnsweredAtOnceAndLaunchesNothingMore) {
  const GraphId graph = SubmitWhole(Large());
  auto cancel = Cancel(graph);
  Agent(2);
  Batch();
  EXPECT_EQ(cancel.value(), kTasks);
  EXPECT_LT(Written(graph, TaskState::kCancelled), kTasks) << "not all in one batch";
  EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kRunning);
  RunUntilIdle();
  EXPECT_EQ(Written(graph, TaskState::kCancelled), kTasks);
  EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kCancelled);
  EXPECT_EQ(history_.graphs().at(graph).state.work, storage::GraphWork::kNone);
  EXPECT_EQ(cluster_.launches(), 0u);
}

TEST_F(LargeGraphTest, ACancelGoesOnAfterACrash) {
  const GraphId graph = SubmitWhole(Large());
  Cancel(graph);
  Batch();
  Restart();
  Agent(2);
  RunUntilIdle();
  EXPECT_EQ(Written(graph, TaskState::kCancelled), kTasks);
  EXPECT_EQ(cluster_.launches(), 0u);
}

TEST_F(LargeGraphTest, ACrashBetweenTheLastTasksEndAndTheEndOfTheWorkEndsTheGraph) {
  const GraphId graph = SubmitWhole(Large());
  CancelOne(graph, absl::StrCat("t", kTasks - 1));
  RunUntilIdle();
  Cancel(graph);
  while (Written(graph, TaskState::kCancelled) < kTasks) Batch();
  ASSERT_EQ(history_.graphs().at(graph).state.state, GraphState::kRunning);
  Restart();
  RunUntilIdle();
  EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kCancelled);
}

TEST_F(LargeGraphTest, WhatRunsIsCancelledToo) {
  Agent(2);
  const GraphId graph = SubmitWhole(Large());
  ASSERT_EQ(cluster_.launches(), 2u);
  Cancel(graph);
  RunUntilIdle();
  EXPECT_EQ(Written(graph, TaskState::kCancelled), kTasks);
  EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kRunning) << "two run still";
  Notify({Ended(Attempt(0), Outcome::kCancelled), Ended(Attempt(1), Outcome::kCancelled)});
  RunUntilIdle();
  EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kCancelled);
}

TEST_F(LargeGraphTest, AFailureOfAFailFastGraphCancelsInSlicesAlsoAfterACrash) {
  for (bool crash : {false, true}) {
    Agent(1);
    const GraphId graph = SubmitWhole(Large().FailFast());
    const executor::Launch launch = cluster_.TakeLaunch();
    Notify({Ended(launch.attempt, Outcome::kExited)});
    Batch();
    EXPECT_LT(Written(graph, TaskState::kCancelled), kTasks - 1);
    if (crash) Restart();
    RunUntilIdle();
    EXPECT_EQ(Written(graph, TaskState::kCancelled), kTasks - 1);
    EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kFailed);
    EXPECT_EQ(history_.task(TaskKey::Of(graph, kTasks - 1)).ended->reason,
              absl::StrCat("cancelled because \"", launch.task_name,
                           "\" failed (the graph is fail_fast)"));
    EXPECT_EQ(cluster_.launches(), 0u);
  }
}

TEST_F(LargeGraphTest, WhatComesAfterAFailureIsSkippedInSlicesAlsoAfterACrash) {
  for (bool crash : {false, true}) {
    Agent(1);
    const GraphId graph = SubmitWhole(Large(/*gate=*/true));
    Notify({Ended(cluster_.TakeLaunch().attempt, Outcome::kExited)});
    Batch();
    EXPECT_LT(Written(graph, TaskState::kSkipped), kTasks);
    if (crash) Restart();
    RunUntilIdle();
    EXPECT_EQ(Written(graph, TaskState::kSkipped), kTasks);
    EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kFailed);
    EXPECT_EQ(history_.task(TaskKey::Of(graph, kTasks)).ended->reason,
              "comes after \"gate\", which failed");
  }
}

TEST_F(LargeGraphTest, WhatComesAfterASuccessBecomesReadyInSlices) {
  Agent(1);
  const GraphId graph = SubmitWhole(Large(/*gate=*/true));
  const executor::Launch gate = cluster_.TakeLaunch();
  Notify({executor::Disconnected{"for now"}});
  Notify({executor::Connected{}, Ended(gate.attempt, Outcome::kSucceeded)});
  Batch();
  EXPECT_GT(InState(graph, TaskState::kWaiting), 0);
  EXPECT_EQ(engine_->core().Task(TaskKey::Of(graph, kTasks))->reason, "is about to become ready");
  RunUntilIdle();
  EXPECT_EQ(InState(graph, TaskState::kReady), kTasks);
}

TEST_F(LargeGraphTest, RunsAgainOnceEveryTaskIsResetAlsoAfterACrash) {
  for (bool crash : {false, true}) {
    const GraphId graph = SubmitWhole(Large());
    Cancel(graph);
    RunUntilIdle();
    auto retry = Retry(graph);
    Agent(2);
    Batch();
    EXPECT_EQ(retry.value(), kTasks);
    EXPECT_GT(Written(graph, TaskState::kCancelled), 0) << "not all in one batch";
    EXPECT_EQ(cluster_.launches(), 0u);
    auto one = CancelOne(graph, "t9");
    Batch();
    EXPECT_TRUE(absl::IsUnavailable(one.status())) << "its end is not undone yet";
    if (crash) {
      Restart();
      Agent(2);
    }
    RunUntilIdle();
    EXPECT_EQ(Written(graph, TaskState::kCancelled), 0);
    EXPECT_EQ(cluster_.launches(), 2u);
    Cancel(graph);
    Notify({Ended(cluster_.TakeLaunch().attempt, Outcome::kCancelled),
            Ended(cluster_.TakeLaunch().attempt, Outcome::kCancelled)});
    RunUntilIdle();
    Notify({executor::Disconnected{"for now"}});
  }
}

TEST_F(LargeGraphTest, ACancelWhileTasksAreResetEndsTheGraph) {
  const GraphId graph = SubmitWhole(Large());
  Cancel(graph);
  RunUntilIdle();
  Retry(graph);
  Batch();
  auto cancel = Cancel(graph);
  RunUntilIdle();
  EXPECT_EQ(cancel.value(), kTasks);
  EXPECT_EQ(history_.graphs().at(graph).state.state, GraphState::kCancelled);
  EXPECT_EQ(Written(graph, TaskState::kCancelled), kTasks);
}

}  // namespace
}  // namespace kartograph::scheduler
