#include "storage/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::GraphState;
using planner::Outcome;
using planner::TaskState;
using testing::ElementsAre;
using testing::IsEmpty;

class PruneTest : public testing::Test {
 protected:
  void Commit(std::vector<Record> records) {
    const absl::Status status = history_.writer->Commit(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  // A graph with one failed and one skipped task, run twice, that ended at `seconds`.
  void MakeFinal(planner::GraphId graph, double seconds) {
    Commit({SomeGraph(graph), SomeTask(graph, 0, "a"), SomeTask(graph, 1, "b"),
            LaunchOf(graph, 0, 1), AttemptEndOf(graph, 0, 1, Outcome::kExited),
            TaskEndOf(graph, 0, TaskState::kFailed), ResetOf(graph, 0, 1), LaunchOf(graph, 0, 2),
            AttemptEndOf(graph, 0, 2, Outcome::kExited), TaskEndOf(graph, 0, TaskState::kFailed),
            TaskEndOf(graph, 1, TaskState::kSkipped),
            EndOf(graph, GraphState::kFailed, At(seconds))});
  }
  // Takes out what can be, and removes all its rows.
  std::vector<planner::GraphId> Prune(absl::Time before, int max_graphs = 100) {
    const auto found = history_.long_reader->FindPrunable(before, max_graphs);
    EXPECT_TRUE(found.ok()) << found.status();
    const auto pruned = history_.writer->Prune(before, *found);
    EXPECT_TRUE(pruned.ok()) << pruned.status();
    RemoveAll();
    return *pruned;
  }
  std::vector<planner::GraphId> Prune(double before, int max_graphs = 100) {
    return Prune(At(before), max_graphs);
  }
  // How many calls it took.
  int RemoveAll(int64_t max_rows = 1000) {
    for (int calls = 1;; ++calls) {
      const absl::StatusOr<bool> more = history_.writer->RemoveSome(max_rows);
      EXPECT_TRUE(more.ok()) << more.status();
      if (!*more) return calls;
    }
  }
  bool Has(planner::GraphId graph) { return history_.reader->GetGraph(graph).ok(); }

  TestFolder folder_;
  History history_ = OpenIn(folder_);
};

TEST_F(PruneTest, RemovesEverythingOfGraphsThatEndedBeforeAndNothingElse) {
  MakeFinal(1, 100);
  MakeFinal(3, 200);
  const std::vector<std::string> expected = DescribeAll(history_, 9, "client");
  MakeFinal(2, 99);
  EXPECT_THAT(Prune(100), ElementsAre(2u));
  EXPECT_EQ(DescribeAll(history_, 9, "client"), expected);
  EXPECT_THAT(*history_.reader->ListTasks(2, 0, 100, {}, {}), IsEmpty());
  EXPECT_EQ(history_.reader->ListFailures(100)->size(), 2u);
  // Its rows are gone, so the same keys can be written again.
  MakeFinal(2, 98);
}

TEST_F(PruneTest, TakesTheOldestFirstAndNotMoreThanAsked) {
  MakeFinal(1, 30);
  MakeFinal(2, 10);
  MakeFinal(3, 20);
  EXPECT_THAT(Prune(100, 2), ElementsAre(2u, 3u));
  EXPECT_THAT(Prune(100, 2), ElementsAre(1u));
  EXPECT_THAT(Prune(100, 2), IsEmpty());
}

TEST_F(PruneTest, NeverTouchesAGraphThatIsNotFinal) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), TaskEndOf(1, 0, TaskState::kFailed)});
  MakeFinal(2, 10);
  Commit({ResetOf(2, 0, 2), GraphChanged{.graph = 2}});  // runs again
  EXPECT_THAT(Prune(absl::InfiniteFuture()), IsEmpty());
  EXPECT_TRUE(Has(1));
  EXPECT_TRUE(Has(2));
}

TEST_F(PruneTest, NeverTouchesAGraphWithAnUnacknowledgedDelivery) {
  MakeFinal(1, 10);
  MakeFinal(2, 10);
  Commit({DeliveryOf(1, 1, 0), DeliveryOf(2, 1, 1)});
  EXPECT_THAT(Prune(100), ElementsAre(2u));
  Commit({AcknowledgementOf(1)});
  EXPECT_THAT(Prune(100), IsEmpty());
  Commit({AcknowledgementOf(2)});
  EXPECT_THAT(Prune(100), ElementsAre(1u));
  EXPECT_FALSE(Has(1));
}

TEST_F(PruneTest, RemovesAnswersToRequestsFromBefore) {
  for (int i = 1; i <= 2; ++i) {
    RequestAnswered answered;
    answered.request_id = absl::StrCat("request", i);
    answered.time = At(i);
    Commit({answered});
  }
  EXPECT_EQ(*history_.writer->ForgetRequests(At(2), 10), 1);
  EXPECT_EQ(*history_.writer->ForgetRequests(At(2), 10), 0);
  EXPECT_FALSE(history_.writer->FindRequest("request1")->has_value());
  EXPECT_TRUE(history_.writer->FindRequest("request2")->has_value());
}

TEST_F(PruneTest, ForgetsNotMoreRequestsThanAsked) {
  for (int i = 1; i <= 3; ++i) {
    RequestAnswered answered;
    answered.request_id = absl::StrCat("request", i);
    answered.time = At(i);
    Commit({answered});
  }
  EXPECT_EQ(*history_.writer->ForgetRequests(At(100), 2), 2);
  EXPECT_EQ(*history_.writer->ForgetRequests(At(100), 2), 1);
}

TEST_F(PruneTest, AGraphThatRanAgainSinceItWasFoundStays) {
  MakeFinal(1, 10);
  MakeFinal(2, 10);
  const auto found = history_.long_reader->FindPrunable(At(100), 10);
  ASSERT_THAT(*found, ElementsAre(1u, 2u));
  Commit({ResetOf(1, 0, 2), GraphChanged{.graph = 1}});
  EXPECT_THAT(*history_.writer->Prune(At(100), *found), ElementsAre(2u));
  RemoveAll();
  EXPECT_TRUE(Has(1));
  EXPECT_FALSE(Has(2));
}

TEST_F(PruneTest, NobodySeesAGraphThatWasTakenOutAlthoughItsRowsAreThere) {
  MakeFinal(1, 10);
  ASSERT_THAT(*history_.writer->Prune(At(100), {1}), ElementsAre(1u));
  EXPECT_FALSE(Has(1));
  EXPECT_THAT(*history_.reader->ListGraphs(0, 10, {}), IsEmpty());
  EXPECT_THAT(*history_.reader->ListGraphs(0, 10, {GraphState::kFailed}), IsEmpty());
  EXPECT_THAT(*history_.reader->ListGraphs(0, 10, {{}, "g"}), IsEmpty());
  EXPECT_THAT(*history_.reader->ListFailures(10), IsEmpty());
  EXPECT_TRUE(absl::IsNotFound(history_.reader->GetTask(1, "a").status()));
  EXPECT_TRUE(absl::IsNotFound(history_.writer->FindTask(1, "a").status()));
  EXPECT_FALSE(*history_.writer->HasGraph(1));
  DescribingVisitor visitor;
  EXPECT_TRUE(absl::IsNotFound(history_.long_reader->VisitGraph(1, visitor)));
  EXPECT_THAT(*history_.long_reader->FindPrunable(At(100), 10), IsEmpty()) << "not twice";
}

TEST_F(PruneTest, RemovesRowsSomeAtATime) {
  for (planner::GraphId graph : {1, 2}) MakeFinal(graph, 10);
  ASSERT_THAT(*history_.writer->Prune(At(100), {1, 2}), ElementsAre(1u, 2u));
  // A graph: two tasks, two ends, a reset, two attempts with their ends, and its own row.
  EXPECT_GE(RemoveAll(/*max_rows=*/2), 10);
  for (planner::GraphId graph : {1, 2}) MakeFinal(graph, 20);
}

TEST_F(PruneTest, WhatIsLeftOfASubmissionIsRemoved) {
  GraphSubmitted submitted = SomeGraph(1);
  submitted.work = GraphWork::kSubmitting;
  Commit({submitted, SomeTask(1, 0, "a")});
  Commit({SomeTask(1, 1, "b")});
  EXPECT_FALSE(Has(1)) << "not whole yet";
  EXPECT_FALSE(*history_.writer->RemoveSome(100)) << "it is still being submitted";
  DescribingVisitor live;
  ASSERT_TRUE(history_.writer->VisitLive(live).ok());
  EXPECT_THAT(live.lines, IsEmpty());

  ASSERT_TRUE(history_.writer->AbandonSubmissions().ok());
  RemoveAll();
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b")});
  EXPECT_TRUE(Has(1));
}

TEST_F(PruneTest, ASubmissionIsSeenWhenItIsWhole) {
  GraphSubmitted submitted = SomeGraph(1);
  submitted.work = GraphWork::kSubmitting;
  Commit({submitted, SomeTask(1, 0, "a")});
  Commit({SomeTask(1, 1, "b"), GraphChanged{.graph = 1}});
  ASSERT_TRUE(history_.writer->AbandonSubmissions().ok());
  EXPECT_FALSE(*history_.writer->RemoveSome(100));
  EXPECT_EQ(history_.reader->GetGraph(1)->tasks, 2);
}

TEST_F(PruneTest, FindsWhatIsOverANumber) {
  for (planner::GraphId graph = 1; graph <= 5; ++graph) MakeFinal(graph, 100.0 + graph);
  Commit({SomeGraph(6)});  // it runs
  Keep keep = absl::InfinitePast();
  keep.graphs = 3;
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 100), ElementsAre(1, 2));
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 1), ElementsAre(1));
  keep.since = At(104);
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 100), ElementsAre(1, 2, 3));
  keep.since = absl::InfinitePast();
  keep.graphs = 5;
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 100), IsEmpty());
  keep.graphs = 0;
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 100), ElementsAre(1, 2, 3, 4, 5));
}

TEST_F(PruneTest, FindsTheOldestWhereTheDatabaseIsTooLarge) {
  for (planner::GraphId graph = 1; graph <= 15; ++graph) MakeFinal(graph, 100.0 + graph);
  Keep keep = absl::InfinitePast();
  keep.bytes = 1 << 30;
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 100), IsEmpty());
  keep.bytes = 4096;
  EXPECT_THAT(*history_.long_reader->FindPrunable(keep, 100),
              ElementsAre(1, 2, 3, 4, 5, 6, 7, 8, 9, 10));
}

}  // namespace
}  // namespace kartograph::storage
