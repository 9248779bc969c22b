#include "storage/shared_rows.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::GraphState;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;
using planner::TaskState;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::SizeIs;

class SharedRowsTest : public testing::Test {
 protected:
  void Commit(std::vector<Record> records) {
    const absl::Status status = history_.writer->Commit(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  // A graph of its own kind of task, on an agent of its own, for a client of its own; it ended.
  void MakeFinal(planner::GraphId graph) {
    TaskSubmitted task = SomeTask(graph, 0, "a");
    task.consumption = Needs(graph);
    AttemptLaunched launch = LaunchOf(graph, 0, 1);
    launch.agent = absl::StrCat("agent-", graph);
    const std::string queue = absl::StrCat("queue-", graph);
    Commit({SomeGraph(graph), task, launch, AttemptEndOf(graph, 0, 1, Outcome::kSucceeded),
            TaskEndOf(graph, 0, TaskState::kSucceeded), FinishedQueued{queue, graph, task.task},
            EndOf(graph, GraphState::kSucceeded, At(graph))});
    Commit({FinishedAcknowledged{queue, graph}});
  }
  static planner::ResourceVector Needs(planner::GraphId graph) {
    return {{Resource::Cpu(), Quantity::Of(graph)}};
  }
  // Those that ended before graph `before`.
  void Prune(planner::GraphId before) {
    const auto found = history_.long_reader->FindPrunable(At(before), 100);
    ASSERT_TRUE(history_.writer->Prune(At(before), *found).ok());
    while (*history_.writer->RemoveSome(1000)) {
    }
  }
  UnusedRows Find() {
    absl::StatusOr<UnusedRows> unused = history_.long_reader->FindUnused();
    EXPECT_TRUE(unused.ok()) << unused.status();
    return *std::move(unused);
  }
  void Sweep() {
    history_.writer->BeginSweep();
    UnusedRows unused = Find();
    while (!unused.empty()) ASSERT_TRUE(history_.writer->RemoveUnused(unused, 2).ok());
    history_.writer->EndSweep();
  }
  planner::ResourceVector ConsumptionOf(planner::GraphId graph) {
    const auto row = history_.reader->GetTask(graph, "a");
    EXPECT_TRUE(row.ok()) << row.status();
    return row->task.consumption;
  }
  std::string AgentOf(planner::GraphId graph) {
    const auto row = history_.reader->GetTask(graph, "a");
    EXPECT_TRUE(row.ok()) << row.status();
    return row->attempts.at(0).launched.agent;
  }

  TestFolder folder_;
  History history_ = OpenIn(folder_);
};

TEST_F(SharedRowsTest, AreUsedWhileAnythingRefersToThem) {
  MakeFinal(1);
  MakeFinal(2);
  MakeFinal(3);
  UnusedRows unused = Find();
  EXPECT_THAT(unused.settings, IsEmpty());
  EXPECT_THAT(unused.agents, IsEmpty());
  EXPECT_THAT(unused.queues, SizeIs(2)) << "all is acknowledged; the newest is left out";
}

TEST_F(SharedRowsTest, GoWithTheLastThatReferredToThem) {
  for (planner::GraphId graph = 1; graph <= 5; ++graph) MakeFinal(graph);
  const std::vector<std::string> expected = [&] {
    Prune(4);
    return DescribeAll(history_, 9, "queue-5");
  }();
  EXPECT_THAT(Find().settings, SizeIs(3));
  EXPECT_THAT(Find().agents, SizeIs(3));
  Sweep();
  EXPECT_TRUE(Find().empty());
  EXPECT_EQ(DescribeAll(history_, 9, "queue-5"), expected);
  // What was removed comes again, with the writer that had it in its cache and after a restart.
  MakeFinal(1);
  EXPECT_EQ(ConsumptionOf(1), Needs(1));
  EXPECT_EQ(AgentOf(1), "agent-1");
  history_ = History();
  history_ = OpenIn(folder_);
  MakeFinal(2);
  EXPECT_EQ(ConsumptionOf(2), Needs(2));
  EXPECT_EQ(ConsumptionOf(1), Needs(1));
  EXPECT_EQ(ConsumptionOf(5), Needs(5));
}

TEST_F(SharedRowsTest, AnIdIsNotGivenAgain) {
  MakeFinal(1);
  MakeFinal(2);
  EXPECT_EQ(ConsumptionOf(2), Needs(2));  // the reader remembers it
  EXPECT_EQ(AgentOf(2), "agent-2");
  Prune(9);
  Sweep();
  MakeFinal(3);
  EXPECT_EQ(ConsumptionOf(3), Needs(3));
  EXPECT_EQ(AgentOf(3), "agent-3");
}

TEST_F(SharedRowsTest, WhatComesIntoUseDuringASweepStays) {
  for (planner::GraphId graph = 1; graph <= 3; ++graph) MakeFinal(graph);
  Prune(3);
  history_.writer->BeginSweep();
  UnusedRows unused = Find();
  EXPECT_THAT(unused.settings, SizeIs(2));
  MakeFinal(1);  // by the writer's cache
  while (!unused.empty()) ASSERT_TRUE(history_.writer->RemoveUnused(unused, 1).ok());
  history_.writer->EndSweep();
  EXPECT_EQ(ConsumptionOf(1), Needs(1));
  EXPECT_EQ(AgentOf(1), "agent-1");
  history_ = History();
  history_ = OpenIn(folder_);
  EXPECT_EQ(ConsumptionOf(1), Needs(1));
}

TEST_F(SharedRowsTest, OfALargeHistoryAreFoundInManySlices) {
  Commit({SomeGraph(1)});
  std::vector<Record> tasks;
  for (planner::TaskIndex i = 0; i < 100; ++i) {
    TaskSubmitted task = SomeTask(1, i, absl::StrCat("t", i));
    task.consumption = Needs(1 + i / 50);
    tasks.emplace_back(std::move(task));
  }
  Commit(std::move(tasks));
  MakeFinal(2);
  MakeFinal(7);
  MakeFinal(8);
  Prune(8);
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open({.path = folder_.database(), .read_only = true});
  ASSERT_TRUE(connection.ok()) << connection.status();
  UnusedScan scan;
  ASSERT_TRUE(scan.Begin(**connection).ok());
  int slices = 1;
  while (!*scan.Continue(**connection, 7)) ++slices;
  EXPECT_GT(slices, 14);
  EXPECT_THAT(scan.Unused().settings, SizeIs(1)) << "of graph 7 alone";
  EXPECT_THAT(scan.Unused().agents, SizeIs(2));
}

}  // namespace
}  // namespace kartograph::storage
