// What clients say of graphs and tasks beside what to run, ends of graphs as deliveries, and blobs.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::GraphId;
using planner::GraphState;
using planner::TaskKey;
using planner::TaskState;
using testing::ElementsAre;
using testing::IsEmpty;

class ClientWordsTest : public testing::Test {
 protected:
  void Commit(std::vector<Record> records) {
    const absl::Status status = history_.writer->Commit(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::vector<GraphId> List(const HistoryReader::GraphFilter& filter, GraphId before = 0,
                            int limit = 100) {
    absl::StatusOr<std::vector<GraphRow>> rows = history_.reader->ListGraphs(before, limit, filter);
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::vector<GraphId> ids;
    for (const GraphRow& row : *rows) ids.push_back(row.graph.graph);
    return ids;
  }
  std::vector<Finished> Deliveries(const std::string& queue) {
    absl::StatusOr<std::vector<Finished>> found = history_.reader->FinishedOf(queue, 100, 1 << 20);
    EXPECT_TRUE(found.ok()) << found.status();
    return *std::move(found);
  }
  static GraphSubmitted Labelled(GraphId id, Labels labels) {
    GraphSubmitted graph = SomeGraph(id);
    graph.labels = std::move(labels);
    return graph;
  }

  TestFolder folder_;
  History history_ = OpenIn(folder_);
};

TEST_F(ClientWordsTest, DetailsComeBack) {
  GraphSubmitted graph = SomeGraph(1);
  graph.details = std::string("a\0b", 3);
  graph.user = "alice";
  graph.share = "release";
  graph.cap = {20, {{planner::Resource::Cpu(), planner::Quantity::Of(64)}}};
  graph.open_until_idle = absl::Milliseconds(1500);
  graph.deliver_end = true;
  TaskSubmitted task = SomeTask(1, 0, "a");
  task.details = "task";
  Commit({graph, task, SomeTask(1, 1, "b"), SomeGraph(2)});
  const GraphRow row = *history_.reader->GetGraph(1);
  EXPECT_EQ(row.graph.details, std::string("a\0b", 3));
  EXPECT_EQ(row.graph.user, "alice");
  EXPECT_EQ(row.graph.share, "release");
  EXPECT_EQ(row.graph.cap, graph.cap);
  EXPECT_EQ(row.graph.open_until_idle, absl::Milliseconds(1500));
  EXPECT_TRUE(row.graph.deliver_end);
  EXPECT_EQ(history_.reader->GetTask(1, "a")->task.details, "task");
  EXPECT_EQ(history_.reader->GetTask(1, "b")->task.details, "");
  EXPECT_EQ(history_.reader->GetGraph(2)->graph.open_until_idle, absl::InfiniteDuration());
}

TEST_F(ClientWordsTest, GraphsAreFoundByLabels) {
  Commit({Labelled(1, {{"colour", "red"}, {"n", "1"}}), Labelled(2, {{"colour", "red"}}),
          Labelled(3, {{"colour", "blue"}, {"n", "1"}}), SomeGraph(4),
          Labelled(5, {{"colour", "red"}, {"n", "1"}, {"\"'%", "söme\"thing"}})});
  EXPECT_THAT(List({.labels = {{"colour", "red"}}}), ElementsAre(5, 2, 1));
  EXPECT_THAT(List({.labels = {{"colour", "red"}, {"n", "1"}}}), ElementsAre(5, 1));
  EXPECT_THAT(List({.labels = {{"n", "1"}, {"colour", "red"}}}), ElementsAre(5, 1));
  EXPECT_THAT(List({.labels = {{"n", "1"}, {"\"'%", "söme\"thing"}}}), ElementsAre(5));
  EXPECT_THAT(List({.labels = {{"colour", ""}}}), IsEmpty());
  EXPECT_THAT(List({.labels = {{"colour", "red"}}}, 5, 1), ElementsAre(2));
  EXPECT_THAT(List({.state = GraphState::kFailed, .labels = {{"colour", "red"}}}), IsEmpty());
}

TEST_F(ClientWordsTest, FiltersOfGraphsHoldTogether) {
  GraphSubmitted early = SomeGraph(1);
  GraphSubmitted late = SomeGraph(2);
  early.submit_time = At(10);
  late.submit_time = At(20);
  early.client_queue = late.client_queue = "mine";
  Commit({early, late, SomeGraph(3)});
  EXPECT_THAT(List({.client_queue = "mine"}), ElementsAre(2, 1));
  EXPECT_THAT(List({.client_queue = "mine", .submitted_since = At(20)}), ElementsAre(2));
  EXPECT_THAT(List({.client_queue = "mine", .submitted_before = At(20)}), ElementsAre(1));
  EXPECT_THAT(List({.name = "other", .client_queue = "mine"}), IsEmpty());
  EXPECT_THAT(List({.state = GraphState::kRunning, .client_queue = "mine"}), ElementsAre(2, 1));
}

TEST_F(ClientWordsTest, TasksAreChosenByTheirDetails) {
  std::vector<Record> records = {SomeGraph(1)};
  for (planner::TaskIndex i = 0; i < 10; ++i) {
    TaskSubmitted task = SomeTask(1, i, absl::StrCat("t", i));
    task.details = i % 3 == 0 ? "yes" : "no";
    records.emplace_back(std::move(task));
  }
  Commit(std::move(records));
  const auto names = [&](planner::TaskIndex from, int limit, int64_t max_rows) {
    HistoryReader::Detail detail;
    detail.where = [](absl::string_view details) { return details == "yes"; };
    detail.max_rows = max_rows;
    std::vector<std::string> found;
    const auto rows = history_.reader->ListTasks(1, from, limit, {}, detail);
    EXPECT_TRUE(rows.ok()) << rows.status();
    for (const TaskRow& row : *rows) found.push_back(row.task.name);
    return found;
  };
  EXPECT_THAT(names(0, 100, 100), ElementsAre("t0", "t3", "t6", "t9"));
  EXPECT_THAT(names(1, 2, 100), ElementsAre("t3", "t6"));
  EXPECT_THAT(names(0, 100, 4), ElementsAre("t0", "t3"));
}

TEST_F(ClientWordsTest, GraphsAreFoundByTheirUser) {
  GraphSubmitted hers = SomeGraph(1, "a");
  hers.user = "alice";
  hers.labels = {{"team", "maps"}};
  Commit({hers, SomeGraph(2, "a")});
  const auto found = [this](HistoryReader::GraphFilter filter) {
    std::vector<GraphId> ids;
    const auto rows = history_.reader->ListGraphs(0, 10, filter);
    for (const GraphRow& row : *rows) ids.push_back(row.graph.graph);
    return ids;
  };
  for (const std::string name : {"", "a"}) {
    EXPECT_THAT(found({.name = name}), ElementsAre(2, 1));
    EXPECT_THAT(found({.name = name, .user = "alice"}), ElementsAre(1));
    EXPECT_THAT(found({.name = name, .user = ""}), ElementsAre(2));
    EXPECT_THAT(found({.name = name, .user = "bob"}), ElementsAre());
  }
  EXPECT_THAT(found({.user = "alice", .labels = {{"team", "maps"}}}), ElementsAre(1));
  EXPECT_THAT(found({.user = "", .labels = {{"team", "maps"}}}), ElementsAre());
  EXPECT_THAT(found({.state = GraphState::kRunning, .user = "alice"}), ElementsAre(1));
}

TEST_F(ClientWordsTest, TheEndOfAGraphIsADelivery) {
  GraphSubmitted graph = SomeGraph(1);
  graph.client_queue = "q";
  Commit({graph, SomeTask(1, 0, "a"), SomeGraph(2)});
  Commit({TaskEndOf(1, 0, TaskState::kSucceeded), FinishedQueued{"q", 1, TaskKey::Of(1, 0)},
          EndOf(1, GraphState::kSucceeded, At(7)), GraphEndQueued{"q", 2, 1},
          EndOf(2, GraphState::kSucceeded, At(8)), GraphEndQueued{"q", 3, 2}});
  const std::vector<Finished> all = Deliveries("q");
  ASSERT_EQ(all.size(), 3u);
  EXPECT_FALSE(all[0].graph_end.has_value());
  ASSERT_TRUE(all[1].graph_end.has_value());
  EXPECT_EQ(all[1].graph_end->graph.graph, 1u);
  EXPECT_EQ(all[1].graph_end->counts[static_cast<int>(TaskState::kSucceeded)], 1);
  ASSERT_TRUE(all[2].graph_end.has_value()) << "also of a graph without tasks";
  EXPECT_EQ(*history_.writer->LastDeliveryId(), 3);
  // It keeps its graph, and is counted.
  EXPECT_TRUE(*history_.reader->HasDeliveries(1));
  Commit({FinishedAcknowledged{"q", 1}});
  EXPECT_THAT(*history_.reader->FindPrunable(At(100), 10), IsEmpty());
  const std::vector<QueueRow> queues = *history_.reader->ListQueues("", 10);
  ASSERT_EQ(queues.size(), 1u);
  EXPECT_EQ(queues[0].size, 2);
  EXPECT_EQ(queues[0].oldest, At(7));
  Commit({FinishedAcknowledged{"q", 2}});
  EXPECT_THAT(*history_.reader->FindPrunable(At(100), 10), ElementsAre(1));
}

TEST_F(ClientWordsTest, AValueOfNoBytesIsNotNone) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b")});
  for (planner::TaskIndex i = 0; i < 2; ++i) {
    AttemptLaunched launched;
    launched.attempt = planner::AttemptId::Of(TaskKey::Of(1, i), 1);
    launched.agent = "m";
    launched.launch_time = At(1);
    AttemptEnded ended;
    ended.attempt = launched.attempt;
    ended.outcome = planner::Outcome::kSucceeded;
    ended.end_time = At(2);
    ended.has_value = i == 0;
    Commit({launched, ended, TaskEndOf(1, i, TaskState::kSucceeded),
            FinishedQueued{"q", 1 + i, TaskKey::Of(1, i)}});
  }
  EXPECT_TRUE(history_.reader->GetTask(1, "a")->attempts[0].ended.has_value);
  EXPECT_FALSE(history_.reader->GetTask(1, "b")->attempts[0].ended.has_value);
  const std::vector<Finished> all = Deliveries("q");
  ASSERT_EQ(all.size(), 2u);
  EXPECT_TRUE(all[0].last_attempt.has_value);
  EXPECT_FALSE(all[1].last_attempt.has_value);
  EXPECT_EQ(all[0].agent, "m");
}

TEST_F(ClientWordsTest, BlobsAreInUseForAsLongAsTheirGraphs) {
  const std::string blob = std::string(64, 'a');
  const std::string other = std::string(64, 'b');
  TaskSubmitted task = SomeTask(1, 0, "a");
  task.blobs = {blob};
  TaskSubmitted again = SomeTask(1, 1, "b");
  again.blobs = {blob};
  Commit({SomeGraph(1), task, again});
  EXPECT_THAT(*history_.reader->UnusedBlobs(std::vector<std::string>{blob, other}),
              ElementsAre(other));
  Commit({EndOf(1, GraphState::kCancelled, At(5))});
  ASSERT_THAT(*history_.writer->Prune(At(6), std::vector<GraphId>{1}), ElementsAre(1));
  while (*history_.writer->RemoveSome(100)) {
  }
  EXPECT_THAT(*history_.reader->UnusedBlobs(std::vector<std::string>{blob}), ElementsAre(blob));
}

}  // namespace
}  // namespace kartograph::storage
