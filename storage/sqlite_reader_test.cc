#include "storage/sqlite_reader.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <thread>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::GraphState;
using planner::Outcome;
using planner::TaskKey;
using planner::TaskState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;

class SqliteReaderTest : public testing::Test {
 protected:
  void Commit(std::vector<Record> records) {
    const absl::Status status = history_.writer->Commit(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  std::vector<planner::GraphId> List(planner::GraphId before, int limit,
                                     std::optional<GraphState> state = std::nullopt,
                                     const std::string& name = "") {
    absl::StatusOr<std::vector<GraphRow>> rows =
        history_.reader->ListGraphs(before, limit, {state, name});
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::vector<planner::GraphId> ids;
    for (const GraphRow& row : *rows) ids.push_back(row.graph.graph);
    return ids;
  }
  std::vector<std::string> Names(planner::GraphId graph, planner::TaskIndex from, int limit,
                                 const std::vector<TaskState>& states) {
    absl::StatusOr<std::vector<TaskRow>> rows =
        history_.reader->ListTasks(graph, from, limit, states, {});
    EXPECT_TRUE(rows.ok()) << rows.status();
    std::vector<std::string> names;
    for (const TaskRow& row : *rows) names.push_back(row.task.name);
    return names;
  }

  TestFolder folder_;
  History history_ = OpenIn(folder_);
};

TEST_F(SqliteReaderTest, GivesAGraphWithItsCounts) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"), SomeTask(1, 2, "c"),
          SomeTask(1, 3, "d"), SomeTask(1, 4, "e"), SomeGraph(2), SomeTask(2, 0, "a")});
  Commit({TaskEndOf(1, 0, TaskState::kSucceeded), TaskEndOf(1, 1, TaskState::kFailed)});
  Commit({TaskEndOf(1, 2, TaskState::kSkipped), TaskEndOf(1, 3, TaskState::kCancelled),
          TaskEndOf(2, 0, TaskState::kSucceeded), EndOf(2, GraphState::kSucceeded, At(9))});
  absl::StatusOr<GraphRow> graph = history_.reader->GetGraph(1);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(Describe(graph->graph), Describe(SomeGraph(1)));
  EXPECT_EQ(Describe(graph->state), Describe(GraphChanged{.graph = 1, .open = true}));
  EXPECT_EQ(graph->tasks, 5);
  EXPECT_THAT(graph->counts, ElementsAre(0, 0, 0, 0, 0, 1, 1, 1, 1));
  graph = history_.reader->GetGraph(2);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(Describe(graph->state), Describe(EndOf(2, GraphState::kSucceeded, At(9))));
  EXPECT_FALSE(graph->graph.open);
  EXPECT_TRUE(absl::IsNotFound(history_.reader->GetGraph(3).status()));
}

TEST_F(SqliteReaderTest, ListsGraphsNewestFirstPageByPage) {
  for (planner::GraphId graph = 1; graph <= 5; ++graph) Commit({SomeGraph(graph)});
  Commit({EndOf(2, GraphState::kFailed, At(1)), EndOf(4, GraphState::kFailed, At(1)),
          EndOf(5, GraphState::kSucceeded, At(1))});
  EXPECT_THAT(List(0, 2), ElementsAre(5u, 4u));
  EXPECT_THAT(List(4, 2), ElementsAre(3u, 2u));
  EXPECT_THAT(List(2, 2), ElementsAre(1u));
  EXPECT_THAT(List(1, 2), IsEmpty());
  EXPECT_THAT(List(0, 9, GraphState::kFailed), ElementsAre(4u, 2u));
  EXPECT_THAT(List(4, 9, GraphState::kFailed), ElementsAre(2u));
  EXPECT_THAT(List(0, 1, GraphState::kRunning), ElementsAre(3u));
  EXPECT_THAT(List(0, 9, GraphState::kCancelled), IsEmpty());
}

TEST_F(SqliteReaderTest, ListsGraphsOfAName) {
  for (planner::GraphId graph = 1; graph <= 5; ++graph) {
    GraphSubmitted submitted = SomeGraph(graph);
    submitted.name = graph % 2 == 1 ? "odd" : "even";
    Commit({submitted});
  }
  Commit({EndOf(3, GraphState::kFailed, At(1))});
  EXPECT_THAT(List(0, 9, std::nullopt, "odd"), ElementsAre(5u, 3u, 1u));
  EXPECT_THAT(List(5, 1, std::nullopt, "odd"), ElementsAre(3u));
  EXPECT_THAT(List(0, 9, GraphState::kRunning, "odd"), ElementsAre(5u, 1u));
  EXPECT_THAT(List(0, 9, GraphState::kFailed, "even"), IsEmpty());
  EXPECT_THAT(List(0, 9, std::nullopt, "od"), IsEmpty());
}

TEST_F(SqliteReaderTest, ListsTasksFromAnIndexOn) {
  std::vector<Record> records = {SomeGraph(1), SomeGraph(2), SomeTask(2, 0, "other")};
  for (planner::TaskIndex i = 0; i < 5; ++i) {
    records.push_back(SomeTask(1, i, absl::StrCat("t", i)));
  }
  Commit(std::move(records));
  EXPECT_THAT(Names(1, 0, 2, {}), ElementsAre("t0", "t1"));
  EXPECT_THAT(Names(1, 3, 9, {}), ElementsAre("t3", "t4"));
  EXPECT_THAT(Names(1, 5, 9, {}), IsEmpty());
  EXPECT_THAT(Names(1, planner::kMaxTasks, 9, {}), IsEmpty());
  EXPECT_THAT(Names(7, 0, 9, {}), IsEmpty());
}

TEST_F(SqliteReaderTest, ListsOnlyFinalTasksInTheStatesAskedFor) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"), SomeTask(1, 2, "c"),
          SomeTask(1, 3, "d"), SomeTask(1, 4, "e"), TaskEndOf(1, 0, TaskState::kFailed),
          TaskEndOf(1, 1, TaskState::kSucceeded), TaskEndOf(1, 3, TaskState::kFailed),
          TaskEndOf(1, 4, TaskState::kSkipped)});
  EXPECT_THAT(Names(1, 0, 9, {TaskState::kFailed}), ElementsAre("a", "d"));
  EXPECT_THAT(Names(1, 1, 9, {TaskState::kFailed}), ElementsAre("d"));
  EXPECT_THAT(Names(1, 0, 1, {TaskState::kFailed}), ElementsAre("a"));
  EXPECT_THAT(Names(1, 0, 9, {TaskState::kSkipped, TaskState::kSucceeded}), ElementsAre("b", "e"));
  EXPECT_THAT(Names(1, 0, 9, {TaskState::kRunning, TaskState::kWaiting}), IsEmpty());
}

TEST_F(SqliteReaderTest, GivesPayloadAttemptsAndReturnValuesOnlyWhereAskedFor) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kExited, "one"), LaunchOf(1, 0, 2),
          AttemptEndOf(1, 0, 2, Outcome::kSucceeded, "two"), TaskEndOf(1, 0, TaskState::kSucceeded),
          LaunchOf(1, 1, 1)});
  Commit({TaskEndOf(1, 1, TaskState::kCancelled), ResetOf(1, 1, 1)});

  std::vector<TaskRow> rows = *history_.reader->ListTasks(1, 0, 9, {}, {});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(rows[0].task.payload, "");
  EXPECT_THAT(rows[0].attempts, IsEmpty());
  EXPECT_EQ(Describe(*rows[0].ended), Describe(TaskEndOf(1, 0, TaskState::kSucceeded)));
  EXPECT_FALSE(rows[1].ended.has_value());
  EXPECT_EQ(rows[0].attempts_before, 0u);
  EXPECT_EQ(rows[1].attempts_before, 1u);

  rows = *history_.reader->ListTasks(1, 0, 9, {}, {.payload = true, .attempts = true});
  ASSERT_EQ(rows.size(), 2u);
  EXPECT_EQ(Describe(rows[0].task), Describe(SomeTask(1, 0, "a")));
  ASSERT_EQ(rows[0].attempts.size(), 2u);
  EXPECT_EQ(Describe(rows[0].attempts[0].launched), Describe(LaunchOf(1, 0, 1)));
  EXPECT_EQ(Describe(rows[0].attempts[0].ended), Describe(AttemptEndOf(1, 0, 1, Outcome::kExited)));
  ASSERT_EQ(rows[1].attempts.size(), 1u);
  EXPECT_EQ(rows[1].attempts[0].ended.outcome, Outcome::kNone);

  absl::StatusOr<TaskRow> task = history_.reader->GetTask(1, "a");
  ASSERT_TRUE(task.ok()) << task.status();
  EXPECT_EQ(Describe(task->task), Describe(SomeTask(1, 0, "a")));
  ASSERT_EQ(task->attempts.size(), 2u);
  EXPECT_EQ(task->attempts[1].return_value_bytes, 3);
}

TEST_F(SqliteReaderTest, ReadsPartsOfAReturnValue) {
  std::string value(3 << 20, '\0');
  for (size_t i = 0; i < value.size(); ++i) value[i] = static_cast<char>(i * 31);
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kSucceeded, value), LaunchOf(1, 0, 2)});
  const planner::AttemptId attempt = planner::AttemptId::Of(TaskKey::Of(1, 0), 1);
  const int64_t size = static_cast<int64_t>(value.size());
  std::string read;
  while (static_cast<int64_t>(read.size()) < size) {
    const auto part =
        history_.reader->ReadResult(attempt, static_cast<int64_t>(read.size()), 1000000);
    ASSERT_TRUE(part.ok()) << part.status();
    ASSERT_EQ(part->size, size);
    ASSERT_FALSE(part->data.empty());
    read += part->data;
  }
  EXPECT_TRUE(read == value);
  EXPECT_EQ(history_.reader->ReadResult(attempt, size, 10)->data, "");
  EXPECT_EQ(history_.reader->ReadResult(attempt, size + 100, 10)->data, "");
  const auto alive =
      history_.reader->ReadResult(planner::AttemptId::Of(TaskKey::Of(1, 0), 2), 0, 10);
  EXPECT_TRUE(absl::IsNotFound(alive.status())) << alive.status();
}

TEST_F(SqliteReaderTest, SaysWhetherTheGraphOrTheTaskIsMissing) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a")});
  absl::Status status = history_.reader->GetTask(1, "b").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no task named \"b\""));
  status = history_.reader->GetTask(2, "a").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("no graph g2"));
}

TEST_F(SqliteReaderTest, GivesTasksInTheOrderAskedForAndLeavesOutTheMissing) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"), SomeGraph(2), SomeTask(2, 0, "c"),
          LaunchOf(2, 0, 1)});
  const TaskKey keys[] = {TaskKey::Of(2, 0), TaskKey::Of(1, 7), TaskKey::Of(1, 1),
                          TaskKey::Of(9, 0), TaskKey::Of(1, 0)};
  std::vector<TaskRow> rows =
      *history_.reader->GetTasks(keys, {.payload = false, .attempts = true});
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].task.name, "c");
  EXPECT_EQ(rows[0].attempts.size(), 1u);
  EXPECT_EQ(rows[1].task.name, "b");
  EXPECT_EQ(rows[2].task.name, "a");
  EXPECT_EQ(rows[2].task.payload, "");
  EXPECT_EQ(history_.reader->GetTasks(keys, {.payload = true})->at(2).task.payload, "payload of a");
}

TEST_F(SqliteReaderTest, ListsFailuresNewestFirstWithTheirLastAttempt) {
  Commit({SomeGraph(1, "one"), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"), SomeTask(1, 2, "c"),
          SomeGraph(2, "two"), SomeTask(2, 0, "d")});
  Commit({LaunchOf(1, 0, 1), AttemptEndOf(1, 0, 1, Outcome::kLost), LaunchOf(1, 0, 2),
          AttemptEndOf(1, 0, 2, Outcome::kExited, "value"), TaskEndOf(1, 0, TaskState::kFailed, 50),
          TaskEndOf(1, 1, TaskState::kSkipped, 99), TaskEndOf(1, 2, TaskState::kFailed, 40),
          TaskEndOf(2, 0, TaskState::kFailed, 60)});
  std::vector<FailureRow> rows = *history_.reader->ListFailures(10);
  ASSERT_EQ(rows.size(), 3u);
  EXPECT_EQ(rows[0].task_name, "d");
  EXPECT_EQ(rows[0].graph_name, "two");
  EXPECT_FALSE(rows[0].last_attempt.has_value());
  EXPECT_EQ(rows[1].task_name, "a");
  EXPECT_EQ(rows[1].graph_name, "one");
  EXPECT_EQ(Describe(rows[1].ended), Describe(TaskEndOf(1, 0, TaskState::kFailed, 50)));
  EXPECT_EQ(Describe(rows[1].last_attempt->launched), Describe(LaunchOf(1, 0, 2)));
  EXPECT_EQ(Describe(rows[1].last_attempt->ended),
            Describe(AttemptEndOf(1, 0, 2, Outcome::kExited)));
  EXPECT_EQ(rows[2].task_name, "c");
  EXPECT_EQ(history_.reader->ListFailures(1)->size(), 1u);
  Commit({ResetOf(2, 0, 0)});
  EXPECT_EQ(history_.reader->ListFailures(10)->size(), 2u);
}

TEST_F(SqliteReaderTest, SeesOneStateInEachCallWhileTheWriterGoesOn) {
  Commit({SomeGraph(1)});
  std::atomic<bool> stop{false};
  std::atomic<int> reads{0};
  std::vector<std::thread> threads;
  for (int i = 0; i < SqliteReader::kMaxConnections + 2; ++i) {
    threads.emplace_back([&] {
      while (!stop.load()) {
        // Each batch adds a task that has succeeded: never one without the other.
        absl::StatusOr<GraphRow> graph = history_.reader->GetGraph(1);
        ASSERT_TRUE(graph.ok()) << graph.status();
        EXPECT_EQ(graph->tasks, graph->counts[static_cast<int>(TaskState::kSucceeded)]);
        absl::StatusOr<std::vector<TaskRow>> tasks =
            history_.reader->ListTasks(1, 0, 1000, {}, {.payload = true, .attempts = true});
        ASSERT_TRUE(tasks.ok()) << tasks.status();
        EXPECT_GE(static_cast<int64_t>(tasks->size()), graph->tasks);
        for (const TaskRow& task : *tasks) {
          EXPECT_TRUE(task.ended.has_value());
          EXPECT_EQ(task.attempts.size(), 1u);
        }
        ++reads;
      }
    });
  }
  planner::TaskIndex next = 0;
  while (next < 50 || reads.load() < 50) {
    Commit({SomeTask(1, next, absl::StrCat("t", next)), LaunchOf(1, next, 1),
            AttemptEndOf(1, next, 1, Outcome::kSucceeded, "value"),
            TaskEndOf(1, next, TaskState::kSucceeded)});
    ++next;
  }
  stop = true;
  for (std::thread& thread : threads) thread.join();
}

TEST_F(SqliteReaderTest, GoesOnReadingAfterTheWriterIsClosed) {
  Commit({SomeGraph(1)});
  history_.writer.reset();
  EXPECT_EQ(history_.reader->GetGraph(1)->graph.name, "release");
}

}  // namespace
}  // namespace kartograph::storage
