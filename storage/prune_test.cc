#include "storage/prune.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "storage/history_testing.h"

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
  std::vector<planner::GraphId> Prune(double before, int max_graphs = 100) {
    absl::StatusOr<std::vector<planner::GraphId>> graphs =
        history_.writer->Prune(At(before), max_graphs);
    EXPECT_TRUE(graphs.ok()) << graphs.status();
    return graphs.ok() ? *std::move(graphs) : std::vector<planner::GraphId>();
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
  EXPECT_TRUE(history_.writer->Prune(absl::InfiniteFuture(), 100)->empty());
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
  EXPECT_THAT(Prune(2), IsEmpty());
  EXPECT_FALSE(history_.writer->FindRequest("request1")->has_value());
  EXPECT_TRUE(history_.writer->FindRequest("request2")->has_value());
}

TEST_F(PruneTest, DoesNotTakeManyLargeGraphsInOneCall) {
  constexpr int kTasks = kMaxPrunedTasks / 2;
  for (planner::GraphId graph : {1, 2, 3}) {
    std::vector<Record> records = {SomeGraph(graph)};
    for (int i = 0; i < kTasks; ++i) {
      records.push_back(
          SomeTask(graph, static_cast<planner::TaskIndex>(i), absl::StrCat("task", i)));
    }
    records.push_back(EndOf(graph, GraphState::kSucceeded, At(graph)));
    Commit(std::move(records));
  }
  EXPECT_THAT(Prune(100), ElementsAre(1u, 2u));
  EXPECT_THAT(Prune(100), ElementsAre(3u));
}

}  // namespace
}  // namespace kartograph::storage
