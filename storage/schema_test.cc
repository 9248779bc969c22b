#include "storage/schema.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using testing::HasSubstr;
using testing::Not;

std::unique_ptr<Connection> Open(const TestFolder& folder) {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open({.path = folder.database()});
  EXPECT_TRUE(connection.ok()) << connection.status();
  return *std::move(connection);
}

absl::Status TryOpen(const TestFolder& folder) {
  return OpenHistory({.path = folder.database()}).status();
}

std::string Message(const absl::Status& status) { return std::string(status.message()); }

TEST(SchemaTest, MakesTheNewestVersionFromNothing) {
  TestFolder folder;
  { History history = OpenIn(folder); }
  std::unique_ptr<Connection> connection = Open(folder);
  EXPECT_EQ(*connection->QueryInt("PRAGMA user_version"),
            static_cast<int64_t>(Migrations().size()));
  EXPECT_EQ(*connection->QueryInt("PRAGMA application_id"), kApplicationId);
}

TEST(SchemaTest, OpensADatabaseOfTheFirstVersion) {
  TestFolder folder;
  {
    std::unique_ptr<Connection> connection = Open(folder);
    ASSERT_TRUE(MigrateSchema(*connection, Migrations().first(1)).ok());
    ASSERT_TRUE(connection
                    ->Execute("INSERT INTO graphs (id, name, client_queue, fail_fast, open, state, "
                              "submit_us) VALUES (1, 'old', '', 0, 0, 1, 0)")
                    .ok());
  }
  History history = OpenIn(folder);
  EXPECT_EQ(history.reader->GetGraph(1)->graph.name, "old");
}

TEST(SchemaTest, ATaskOfTheFirstVersionHasTheDefaultsOfLaterOnes) {
  TestFolder folder;
  {
    std::unique_ptr<Connection> connection = Open(folder);
    ASSERT_TRUE(MigrateSchema(*connection, Migrations().first(1)).ok());
    ASSERT_TRUE(connection
                    ->Execute("INSERT INTO graphs (id, name, client_queue, fail_fast, open, state, "
                              "submit_us, tasks) VALUES (1, 'old', '', 0, 0, 1, 0, 1);"
                              "INSERT INTO settings VALUES (1, '{\"cpu\":1}', NULL, 1000000, "
                              "2000000, 3000000, 2, 7);"
                              "INSERT INTO tasks VALUES (1 << 20, 'a', 1, '[]', x'');")
                    .ok());
  }
  History history = OpenIn(folder);
  TaskSubmitted more = SomeTask(1, 1, "b");
  more.policy.unreachable_timeout = absl::Minutes(3);
  more.expected_duration = absl::Minutes(5);
  ASSERT_TRUE(history.writer->Commit({more}).ok());
  const absl::StatusOr<TaskRow> old = history.reader->GetTask(1, "a");
  ASSERT_TRUE(old.ok()) << old.status();
  EXPECT_EQ(old->task.priority, 7);
  EXPECT_EQ(old->task.policy.unreachable_timeout, absl::InfiniteDuration());
  EXPECT_EQ(old->task.policy.max_losses, 5);
  EXPECT_EQ(old->task.policy.retry, planner::RetryRule());
  EXPECT_TRUE(old->task.policy.constraints.empty());
  EXPECT_FALSE(old->task.policy.avoid_last_failure);
  EXPECT_FALSE(old->task.policy.preemptible);
  EXPECT_EQ(old->task.expected_duration, absl::ZeroDuration());
  const absl::StatusOr<TaskRow> added = history.reader->GetTask(1, "b");
  EXPECT_EQ(added->task.policy.unreachable_timeout, absl::Minutes(3));
  EXPECT_EQ(added->task.policy.max_losses, 3);
  EXPECT_EQ(added->task.expected_duration, absl::Minutes(5));
}

TEST(SchemaTest, TakesOnlyTheMissingStepsAndKeepsTheData) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  const char* const steps[] = {"CREATE TABLE t (a); INSERT INTO t VALUES (1)",
                               "ALTER TABLE t ADD COLUMN b DEFAULT 2"};
  ASSERT_TRUE(MigrateSchema(*connection, absl::MakeSpan(steps).first(1)).ok());
  ASSERT_TRUE(MigrateSchema(*connection, steps).ok());
  ASSERT_TRUE(MigrateSchema(*connection, steps).ok());
  EXPECT_EQ(*connection->QueryInt("SELECT sum(a + b) FROM t"), 3);
  EXPECT_EQ(*connection->QueryInt("PRAGMA user_version"), 2);
}

TEST(SchemaTest, LeavesNothingOfAStepThatFails) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  const char* const steps[] = {"CREATE TABLE t (a)", "CREATE TABLE u (a); SELEKT"};
  EXPECT_FALSE(MigrateSchema(*connection, steps).ok());
  EXPECT_FALSE(connection->in_transaction());
  EXPECT_EQ(*connection->QueryInt("PRAGMA user_version"), 1);
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM sqlite_schema"), 1);
}

TEST(SchemaTest, RefusesANewerVersionAndLeavesItAlone) {
  TestFolder folder;
  { History history = OpenIn(folder); }
  const int64_t newer = static_cast<int64_t>(Migrations().size()) + 1;
  {
    std::unique_ptr<Connection> connection = Open(folder);
    ASSERT_TRUE(connection->Execute(absl::StrCat("PRAGMA user_version = ", newer).c_str()).ok());
  }
  const absl::Status status = TryOpen(folder);
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("newer kartographd"));
  EXPECT_THAT(Message(status), Not(HasSubstr("\n")));
  EXPECT_EQ(*Open(folder)->QueryInt("PRAGMA user_version"), newer);
}

TEST(SchemaTest, RefusesADatabaseOfAnotherProgramAndLeavesItAlone) {
  TestFolder folder;
  ASSERT_TRUE(Open(folder)->Execute("CREATE TABLE theirs (a)").ok());
  const absl::Status status = TryOpen(folder);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("another program"));
  std::unique_ptr<Connection> connection = Open(folder);
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM sqlite_schema"), 1);
  absl::StatusOr<Rows> rows = connection->Query("PRAGMA journal_mode");
  ASSERT_TRUE(rows.ok() && *rows->Next());
  EXPECT_EQ(rows->Bytes(0), "delete");
}

// Numbers in the file may have any value, while their readers count with them and index tasks by
// them.
TEST(SchemaTest, RowsThatNoWriterWritesAreToldAndGoNoFurther) {
  for (const char* damage :
       {"UPDATE attempt_ends SET outcome = 256", "UPDATE attempt_ends SET outcome = -1",
        "UPDATE task_ends SET state = 261", "UPDATE task_ends SET state = 4",
        "UPDATE settings SET max_attempts = 5000000000", "UPDATE settings SET max_attempts = -1",
        "UPDATE settings SET constraints = 'equals'",
        "UPDATE settings SET consumption = '{\"cpu\":-1}'",
        "UPDATE settings SET consumption = '{\"cpu\":9000000000000000}'",
        "UPDATE tasks SET after = '[7]' WHERE name = 'b'", "DELETE FROM tasks WHERE name = 'a'",
        "DELETE FROM tasks WHERE name = 'b'", "UPDATE task_resets SET attempts_before = 99999"}) {
    TestFolder folder;
    {
      History history = OpenIn(folder);
      ASSERT_TRUE(history.writer
                      ->Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"),
                                LaunchOf(1, 1, 1), AttemptEndOf(1, 1, 1, planner::Outcome::kExited),
                                ResetOf(1, 1, 1), TaskEndOf(1, 1, planner::TaskState::kFailed)})
                      .ok());
      DescribingVisitor visitor;
      ASSERT_TRUE(history.writer->VisitLive(visitor).ok());
    }
    ASSERT_TRUE(Open(folder)->Execute(damage).ok());
    History history = OpenIn(folder);
    DescribingVisitor visitor;
    const absl::Status status = history.writer->VisitLive(visitor);
    EXPECT_TRUE(absl::IsDataLoss(status)) << damage << ": " << status;
  }
}

TEST(SchemaTest, RefusesAFileThatIsNoDatabase) {
  TestFolder folder;
  std::ofstream(folder.database()) << std::string(100000, 'x');
  const absl::Status status = TryOpen(folder);
  EXPECT_TRUE(absl::IsDataLoss(status)) << status;
  EXPECT_THAT(Message(status), HasSubstr("not a database"));
  EXPECT_THAT(Message(status), Not(HasSubstr("\n")));
}

TEST(SchemaTest, RefusesATruncatedDatabase) {
  TestFolder folder;
  { History history = OpenIn(folder); }
  const std::string whole = folder.path() + "/whole";
  std::filesystem::copy_file(folder.database(), whole);
  const uintmax_t size = std::filesystem::file_size(whole);
  for (uintmax_t left : {size - 8192, size / 2, uintmax_t{100}}) {
    std::filesystem::copy_file(whole, folder.database(),
                               std::filesystem::copy_options::overwrite_existing);
    std::filesystem::resize_file(folder.database(), left);
    const absl::Status status = TryOpen(folder);
    EXPECT_TRUE(absl::IsDataLoss(status)) << left << " bytes: " << status;
  }
}

TEST(SchemaTest, ViewsForOperatorsNameStatesAndOutcomes) {
  TestFolder folder;
  {
    History history = OpenIn(folder);
    ASSERT_TRUE(
        history.writer
            ->Commit({SomeGraph(1), SomeTask(1, 0, "decode"), LaunchOf(1, 0, 1),
                      AttemptEndOf(1, 0, 1, planner::Outcome::kOutOfMemory), LaunchOf(1, 0, 2),
                      AttemptEndOf(1, 0, 2, planner::Outcome::kUnreachable), LaunchOf(1, 0, 3),
                      TaskEndOf(1, 0, planner::TaskState::kFailed)})
            .ok());
  }
  std::unique_ptr<Connection> connection = Open(folder);
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM graph_list WHERE graph = 'g1' AND state = "
                                  "'running' AND tasks = 1 AND failed = 1"),
            1);
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM task_list WHERE graph = 'g1' AND name = "
                                  "'decode' AND state = 'failed' AND consumption ->> 'cpu' = 1.5"),
            1);
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM attempt_list WHERE task = 'decode' AND "
                                  "number = 1 AND outcome = 'out of memory' AND agent = 'host-1'"),
            1);
  EXPECT_EQ(
      *connection->QueryInt("SELECT count(*) FROM attempt_list WHERE outcome = 'unreachable'"), 1);
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM attempt_list WHERE outcome = 'alive'"), 1);
}

}  // namespace
}  // namespace kartograph::storage
