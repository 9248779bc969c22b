#include "storage/row_feed.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

class PairFeed : public RowFeed {
 public:
  size_t size() const override { return rows.size(); }
  void Column(size_t row, int column, FeedValue value) const override {
    if (column == 0) return value.Int(rows[row].first);
    if (column == 1) return value.TextCopy(absl::StrCat(rows[row].second, "!"));
    if (column == 2) return value.Text(rows[row].second);
    if (column == 3) return value.Bytes(rows[row].second);
  }
  std::vector<std::pair<int64_t, std::string>> rows;
};

class RowFeedTest : public testing::Test {
 protected:
  void SetUp() override {
    connection_ = *Connection::Open({.path = folder_.database()});
    ASSERT_TRUE(
        RegisterRowFeed(*connection_, "pairs", "number, copy, word, raw, none", &feed_).ok());
    ASSERT_TRUE(connection_->Execute("CREATE TABLE t (key INTEGER PRIMARY KEY, word TEXT)").ok());
  }

  absl::Status InsertAll() {
    return connection_->Run("INSERT OR FAIL INTO t (key, word) SELECT number, word FROM pairs");
  }

  TestFolder folder_;
  PairFeed feed_;  // outlives the connection
  std::unique_ptr<Connection> connection_;
};

TEST_F(RowFeedTest, GivesTheRowsThatAreThereWhenAStatementRuns) {
  ASSERT_TRUE(InsertAll().ok());
  EXPECT_EQ(*connection_->QueryInt("SELECT count(*) FROM t"), 0);
  feed_.rows = {{1, "one"}, {2, "two"}};
  ASSERT_TRUE(InsertAll().ok());
  feed_.rows = {{3, "three"}};
  ASSERT_TRUE(InsertAll().ok());
  EXPECT_EQ(*connection_->QueryInt("SELECT count(*) FROM t"), 3);
  EXPECT_EQ(*connection_->QueryInt("SELECT sum(key) FROM t WHERE word IN ('two', 'three')"), 5);
}

TEST_F(RowFeedTest, GivesEachKindOfValue) {
  feed_.rows = {{7, std::string("a\0b", 3)}};
  absl::StatusOr<Rows> rows = connection_->Query(
      "SELECT number, copy, word, raw, none, typeof(word), typeof(raw) FROM pairs");
  ASSERT_TRUE(rows.ok()) << rows.status();
  ASSERT_TRUE(*rows->Next());
  EXPECT_EQ(rows->Int(0), 7);
  EXPECT_EQ(rows->Bytes(1), absl::string_view("a\0b!", 4));
  EXPECT_EQ(rows->Bytes(2), absl::string_view("a\0b", 3));
  EXPECT_EQ(rows->Bytes(3), absl::string_view("a\0b", 3));
  EXPECT_TRUE(rows->IsNull(4));
  EXPECT_EQ(rows->Bytes(5), "text");
  EXPECT_EQ(rows->Bytes(6), "blob");
}

TEST_F(RowFeedTest, FailsAtTheRowThatIsThereAlready) {
  feed_.rows = {{1, "one"}, {1, "again"}};
  EXPECT_TRUE(absl::IsInternal(InsertAll()));
}

}  // namespace
}  // namespace kartograph::storage
