#include "storage/history_mark.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using ::testing::HasSubstr;

class HistoryMarkTest : public ::testing::Test {
 protected:
  std::string path() const { return folder_.path() + "/history.mark"; }
  TestFolder folder_;
  const HistoryMark::Content content_ = {"0123abcd", ~uint64_t{0}, 17};
};

TEST_F(HistoryMarkTest, IsReadAsItWasWritten) {
  EXPECT_FALSE(HistoryMark::Read(path()));
  auto mark = HistoryMark::Create(path(), content_);
  ASSERT_TRUE(mark.ok()) << mark.status();
  EXPECT_EQ(HistoryMark::Read(path())->history, "0123abcd");
  EXPECT_EQ(HistoryMark::Read(path())->incarnation, ~uint64_t{0});
  EXPECT_EQ(HistoryMark::Read(path())->last_graph, 17u);
  (*mark)->Raise(4294967295);
  EXPECT_EQ(HistoryMark::Read(path())->last_graph, 4294967295u);
  (*mark)->Raise(18);
  EXPECT_EQ(HistoryMark::Read(path())->last_graph, 4294967295u);
}

TEST_F(HistoryMarkTest, ADamagedOneSaysNothing) {
  for (const char* text : {"", "\n", "kartograph-history-mark", "kartograph-history-mark a 1 2\n",
                           "kartograph-history-mark a x g2\n", "kartograph-history-mark  1 g2\n",
                           "kartograph-history-mark a 1 g99999999999\n", "other a 1 g2\n"}) {
    std::ofstream(path()) << text;
    EXPECT_FALSE(HistoryMark::Read(path())) << text;
  }
  std::ofstream(path()) << std::string(100000, 'x');
  EXPECT_FALSE(HistoryMark::Read(path()));
}

TEST_F(HistoryMarkTest, ThatItCannotBeWrittenIsAnError) {
  EXPECT_THAT(HistoryMark::Create(folder_.path() + "/none/mark", content_).status().message(),
              HasSubstr("cannot write"));
}

TEST(WhatIsLostTest, IsTold) {
  const Identity identity = {"h", {1, 2, 3}};
  EXPECT_EQ(WhatIsLost({"h", 3, 5}, identity, 5), "");
  EXPECT_EQ(WhatIsLost({"h", 2, 4}, identity, 5), "") << "written before the last commits";
  EXPECT_EQ(WhatIsLost({"h", 3, 6}, identity, 5), "it had graphs up to g6");
  EXPECT_THAT(WhatIsLost({"h", 4, 5}, identity, 5), HasSubstr("an older copy"));
  EXPECT_THAT(WhatIsLost({"other", 3, 0}, identity, 5), HasSubstr("not the one"));
}

TEST_F(HistoryMarkTest, AHistoryKeepsItsOwn) {
  History history = OpenIn(folder_);
  ASSERT_TRUE(history.writer->KeepMark(path(), history.identity).ok());
  EXPECT_EQ(HistoryMark::Read(path())->history, history.identity.history);
  EXPECT_EQ(HistoryMark::Read(path())->incarnation, history.identity.incarnations.back());
  EXPECT_EQ(HistoryMark::Read(path())->last_graph, 0u);
  GraphSubmitted graph;
  graph.graph = 7;
  graph.name = "g";
  ASSERT_TRUE(history.writer->Commit({graph}).ok());
  EXPECT_EQ(HistoryMark::Read(path())->last_graph, 7u);
  // What was not committed is not in it.
  graph.graph = 8;
  TaskEnded unknown;
  unknown.task = planner::TaskKey::Of(9, 0);
  EXPECT_FALSE(history.writer->Commit({graph, unknown}).ok());
  EXPECT_EQ(HistoryMark::Read(path())->last_graph, 7u);
}

}  // namespace
}  // namespace kartograph::storage
