#include "cli/text.h"

#include <gtest/gtest.h>

#include "cli/file_problems.h"
#include "cli/terminal.h"

namespace kartograph::cli {
namespace {

TEST(TextTest, AlignsColumnsAndLeavesNoBlanksAtTheEnd) {
  Table table({"ID", "NAME", "WHY"});
  EXPECT_TRUE(table.empty());
  table.Row({"g1", "map_release", "because"});
  table.Row({"g20", "x", ""});
  EXPECT_EQ(table.ToString(2),
            "  ID   NAME         WHY\n"
            "  g1   map_release  because\n"
            "  g20  x\n");
}

TEST(TextTest, AlignsByCharactersAndKeepsWhatOthersWroteOnItsLine) {
  Table table({"NAME", "WHY"});
  table.Row(
      {"stra\xC3\x9F"
       "e",
       "a\nb\x1b[31m"});
  table.Row({"street", "c"});
  EXPECT_EQ(table.ToString(),
            "NAME    WHY\n"
            "stra\xC3\x9F"
            "e  a b\n"
            "street  c\n");
}

TEST(TextTest, LabelsALineAndALongerText) {
  EXPECT_EQ(Labelled("command", "true", 2), "  command: true\n");
  EXPECT_EQ(Labelled("command", "true\n", 0), "command: true\n");
  EXPECT_EQ(Labelled("command", "a\n\nb\n", 1), " command:\n   a\n\n   b\n");
}

TEST(TextTest, SaysWhatBecameOfATask) {
  EXPECT_EQ(WhatBecameOfIt(v1::TASK_STATE_FAILED), "has failed");
  EXPECT_EQ(WhatBecameOfIt(v1::TASK_STATE_CANCELLED), "was cancelled");
  EXPECT_EQ(WhatBecameOfIt(v1::TASK_STATE_READY), "is ready");
}

TEST(TextTest, CountsInWords) {
  v1::TaskCounts counts;
  counts.set_total(10);
  counts.set_succeeded(3);
  counts.set_ready(2);
  counts.set_failed(1);
  EXPECT_EQ(CountsInWords(counts), "3 of 10 done, 2 ready, 1 failed");
  EXPECT_EQ(FinalTasks(counts), 4);
  EXPECT_EQ(Count(1, "task"), "1 task");
  EXPECT_EQ(Count(0, "task"), "0 tasks");
}

TEST(TextTest, KnowsAWordForEveryState) {
  for (int state = 1; state < v1::GraphState_ARRAYSIZE; ++state) {
    const auto word = Word(static_cast<v1::GraphState>(state));
    EXPECT_NE(word, "unknown");
    EXPECT_EQ(GraphStateFromWord(word), static_cast<v1::GraphState>(state));
  }
  for (int state = 1; state < v1::TaskState_ARRAYSIZE; ++state) {
    EXPECT_NE(Word(static_cast<v1::TaskState>(state)), "unknown");
  }
  EXPECT_EQ(GraphStateFromWord("Failed"), v1::GRAPH_STATE_FAILED);
  EXPECT_EQ(GraphStateFromWord("unknown"), std::nullopt);
}

TEST(TextTest, TakesControlCharactersOutOfWhatOthersWrote) {
  EXPECT_EQ(Printable("a\x1b[1;31mred\x1b[0m\tb\nc\r\x07"), "ared\tb c");
  EXPECT_EQ(Printable("\xC3\xA9"), "\xC3\xA9");
  EXPECT_EQ(Printable("cut \x1b["), "cut ");
}

}  // namespace
}  // namespace kartograph::cli
