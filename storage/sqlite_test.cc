#include "storage/sqlite.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <fstream>

#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using testing::HasSubstr;

std::unique_ptr<Connection> Open(const TestFolder& folder) {
  absl::StatusOr<std::unique_ptr<Connection>> connection =
      Connection::Open({.path = folder.database()});
  EXPECT_TRUE(connection.ok()) << connection.status();
  return *std::move(connection);
}

TEST(SqliteStatusTest, SaysWhatKindOfErrorItIs) {
  EXPECT_TRUE(SqliteStatus(nullptr, SQLITE_OK, "p").ok());
  EXPECT_TRUE(SqliteStatus(nullptr, SQLITE_DONE, "p").ok());
  EXPECT_TRUE(absl::IsResourceExhausted(SqliteStatus(nullptr, SQLITE_FULL, "p")));
  EXPECT_TRUE(absl::IsResourceExhausted(SqliteStatus(nullptr, SQLITE_NOMEM, "p")));
  EXPECT_TRUE(absl::IsPermissionDenied(SqliteStatus(nullptr, SQLITE_READONLY, "p")));
  EXPECT_TRUE(absl::IsPermissionDenied(SqliteStatus(nullptr, SQLITE_READONLY_DIRECTORY, "p")));
  EXPECT_TRUE(absl::IsPermissionDenied(SqliteStatus(nullptr, SQLITE_CANTOPEN, "p")));
  // A file system that has become read-only is no matter of rights.
  const absl::Status frozen = SqliteStatus(nullptr, SQLITE_IOERR_WRITE, "p", EROFS);
  EXPECT_TRUE(absl::IsPermissionDenied(frozen));
  EXPECT_THAT(std::string(frozen.message()), HasSubstr("its file system is read-only"));
  EXPECT_TRUE(absl::IsDataLoss(SqliteStatus(nullptr, SQLITE_CORRUPT, "p")));
  EXPECT_TRUE(absl::IsDataLoss(SqliteStatus(nullptr, SQLITE_NOTADB, "p")));
  EXPECT_TRUE(absl::IsUnavailable(SqliteStatus(nullptr, SQLITE_BUSY, "p")));
  EXPECT_TRUE(absl::IsUnavailable(SqliteStatus(nullptr, SQLITE_IOERR_FSYNC, "p")));
  EXPECT_TRUE(absl::IsInvalidArgument(SqliteStatus(nullptr, SQLITE_TOOBIG, "p")));
  EXPECT_TRUE(absl::IsInternal(SqliteStatus(nullptr, SQLITE_CONSTRAINT_UNIQUE, "p")));
}

TEST(SqliteStatusTest, IsOneLineThatNamesTheDatabase) {
  for (int code : {SQLITE_FULL, SQLITE_READONLY, SQLITE_CORRUPT, SQLITE_BUSY, SQLITE_IOERR,
                   SQLITE_TOOBIG, SQLITE_ERROR}) {
    const absl::Status status = SqliteStatus(nullptr, code, "/state/history.db");
    EXPECT_THAT(std::string(status.message()), HasSubstr("/state/history.db"));
    EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
  }
}

TEST(ConnectionTest, BindsAndReadsEveryKindOfValue) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  ASSERT_TRUE(connection->Execute("CREATE TABLE t (a, b, c, d)").ok());
  const absl::string_view text("quo'te \"\0 nul \xc3\xa4", 16);
  const absl::string_view bytes("\xff\0\xfe", 3);
  ASSERT_TRUE(connection
                  ->Run("INSERT INTO t VALUES (?, ?, ?, ?)", int64_t{-7}, text, Blob{bytes},
                        std::optional<int64_t>())
                  .ok());
  absl::StatusOr<Rows> rows =
      connection->Query("SELECT a, b, c, d, typeof(b), typeof(c) FROM t WHERE b = ? AND d IS ?",
                        text, std::optional<int64_t>());
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_TRUE(*rows->Next());
  EXPECT_EQ(rows->Int(0), -7);
  EXPECT_EQ(rows->Bytes(1), text);
  EXPECT_EQ(rows->Bytes(2), bytes);
  EXPECT_TRUE(rows->IsNull(3));
  EXPECT_EQ(rows->Bytes(4), "text");
  EXPECT_EQ(rows->Bytes(5), "blob");
  EXPECT_FALSE(*rows->Next());
}

TEST(ConnectionTest, BindsEmptyTextAndBytesAsSuchAndNotAsNull) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  absl::StatusOr<Rows> rows =
      connection->Query("SELECT typeof(?), typeof(?)", absl::string_view(), Blob{});
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_TRUE(*rows->Next());
  EXPECT_EQ(rows->Bytes(0), "text");
  EXPECT_EQ(rows->Bytes(1), "blob");
}

TEST(ConnectionTest, UsesAStatementAgainAfterItsRowsWereLeft) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  for (int i = 0; i < 3; ++i) {
    absl::StatusOr<Rows> rows = connection->Query("SELECT 1 UNION SELECT 2");
    ASSERT_TRUE(rows.ok()) << rows.status();
    ASSERT_TRUE(*rows->Next());
    EXPECT_EQ(rows->Int(0), 1);
  }
}

TEST(ConnectionTest, RefusesAStatementThatIsStillRunning) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  static constexpr char kSql[] = "SELECT 1 UNION SELECT 2";
  absl::StatusOr<Rows> rows = connection->Query(kSql);
  ASSERT_TRUE(rows.ok() && *rows->Next());
  EXPECT_TRUE(absl::IsInternal(connection->Query(kSql).status()));
  ASSERT_TRUE(*rows->Next());
  EXPECT_EQ(rows->Int(0), 2);
}

TEST(ConnectionTest, ReportsWrongSqlAsInternal) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  EXPECT_TRUE(absl::IsInternal(connection->Run("SELEKT")));
  EXPECT_TRUE(absl::IsInternal(connection->Execute("SELEKT")));
  EXPECT_TRUE(absl::IsInternal(connection->Run("SELECT 1", int64_t{1})));
}

TEST(ConnectionTest, SaysThatAFileIsNoDatabase) {
  TestFolder folder;
  std::ofstream(folder.database()) << std::string(10000, 'x');
  std::unique_ptr<Connection> connection = Open(folder);
  EXPECT_TRUE(absl::IsDataLoss(connection->QueryInt("PRAGMA user_version").status()));
}

TEST(TransactionTest, RollsBackUnlessCommitted) {
  TestFolder folder;
  std::unique_ptr<Connection> connection = Open(folder);
  ASSERT_TRUE(connection->Execute("CREATE TABLE t (a)").ok());
  {
    absl::StatusOr<Transaction> transaction = Transaction::Begin(*connection, Transaction::kWrite);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(connection->Run("INSERT INTO t VALUES (1)").ok());
  }
  EXPECT_FALSE(connection->in_transaction());
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM t"), 0);
  {
    absl::StatusOr<Transaction> transaction = Transaction::Begin(*connection, Transaction::kWrite);
    ASSERT_TRUE(transaction.ok());
    ASSERT_TRUE(connection->Run("INSERT INTO t VALUES (1)").ok());
    ASSERT_TRUE(transaction->Commit().ok());
  }
  EXPECT_EQ(*connection->QueryInt("SELECT count(*) FROM t"), 1);
}

}  // namespace
}  // namespace kartograph::storage
