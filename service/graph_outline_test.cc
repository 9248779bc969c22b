// What a graph waits for, found out from an outline of it.
#include "service/graph_outline.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::service {
namespace {

using planner::TaskIndex;
using planner::TaskState;
using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

class GraphOutlineTest : public ::testing::Test {
 protected:
  TaskIndex Add(TaskState state, const std::vector<TaskIndex>& after = {}, uint32_t group = 0) {
    graph_.Add(state, group);
    for (TaskIndex before : after) graph_.AddBefore(before);
    return static_cast<TaskIndex>(graph_.size() - 1);
  }
  static auto Holds(TaskIndex task, int64_t count) {
    return AllOf(Field(&BlockingTask::task, task), Field(&BlockingTask::holds_up, count));
  }
  static auto GroupOf(int64_t tasks, TaskIndex example) {
    return AllOf(Field(&TaskGroup::tasks, tasks), Field(&TaskGroup::example, example));
  }

  scheduler::GraphSlice graph_;
};

TEST_F(GraphOutlineTest, WhatHoldsUpTheMostComesFirst) {
  const TaskIndex a = Add(TaskState::kRunning);
  const TaskIndex b = Add(TaskState::kReady);
  const TaskIndex c = Add(TaskState::kWaiting, {a});
  const TaskIndex d = Add(TaskState::kWaiting, {a, b});
  Add(TaskState::kWaiting, {c, d});  // counted once
  Add(TaskState::kRunning);          // holds up nothing
  EXPECT_THAT(FindBlockers(graph_, 10), ElementsAre(Holds(a, 3), Holds(b, 2)));
  EXPECT_THAT(FindBlockers(graph_, 1), ElementsAre(Holds(a, 3)));
}

TEST_F(GraphOutlineTest, WhatHasEndedHoldsUpNothing) {
  const TaskIndex a = Add(TaskState::kSucceeded);
  const TaskIndex b = Add(TaskState::kRunning, {a});
  Add(TaskState::kWaiting, {a, b});
  Add(TaskState::kSkipped, {b});
  EXPECT_THAT(FindBlockers(graph_, 10), ElementsAre(Holds(b, 1)));
}

TEST_F(GraphOutlineTest, AChainOfDiamondsHasMoreWaysThanCanBeCounted) {
  TaskIndex last = Add(TaskState::kRunning);
  for (int i = 0; i < 200; ++i) {
    const TaskIndex left = Add(TaskState::kWaiting, {last});
    const TaskIndex right = Add(TaskState::kWaiting, {last});
    last = Add(TaskState::kWaiting, {left, right});
  }
  EXPECT_THAT(FindBlockers(graph_, 10), ElementsAre(Holds(0, 600)));
}

TEST_F(GraphOutlineTest, OfVeryManyTheLikelyOnesAreCounted) {
  for (TaskIndex i = 0; i < 100; ++i) Add(TaskState::kRunning);
  for (TaskIndex i = 0; i < 100; ++i) {
    for (TaskIndex j = 0; j < i; ++j) Add(TaskState::kWaiting, {i});
  }
  EXPECT_THAT(FindBlockers(graph_, 3), ElementsAre(Holds(99, 99), Holds(98, 98), Holds(97, 97)));
}

TEST_F(GraphOutlineTest, TasksAreGroupedByStateAndWhatTheyWaitFor) {
  Add(TaskState::kReady, {}, 7);
  Add(TaskState::kReady, {}, 8);
  Add(TaskState::kReady, {}, 8);
  Add(TaskState::kRunning, {}, 8);
  Add(TaskState::kSucceeded, {}, 8);
  Add(TaskState::kWaiting, {0});
  Add(TaskState::kWaiting, {1});
  Add(TaskState::kWaiting, {5});
  EXPECT_THAT(GroupTasks(graph_),
              ElementsAre(GroupOf(3, 5), GroupOf(2, 1), GroupOf(1, 0), GroupOf(1, 3)));
}

TEST_F(GraphOutlineTest, AnEmptyGraphHasNothing) {
  EXPECT_THAT(GroupTasks(graph_), IsEmpty());
  EXPECT_THAT(FindBlockers(graph_, 10), IsEmpty());
}

}  // namespace
}  // namespace kartograph::service
