#include "base/suggest.h"

#include <gtest/gtest.h>

#include <vector>

namespace kartograph {
namespace {

TEST(SuggestTest, CountsEditsAndStopsAtTheLimit) {
  EXPECT_EQ(EditDistance("after", "after", 3), 0);
  EXPECT_EQ(EditDistance("aftr", "after", 3), 1);
  EXPECT_EQ(EditDistance("afetr", "after", 3), 1);  // a swap is one edit
  EXPECT_EQ(EditDistance("", "abc", 3), 3);
  EXPECT_EQ(EditDistance("abc", "xyz", 1), 2);
  EXPECT_EQ(EditDistance("abc", "abcdefgh", 3), 4);
}

TEST(SuggestTest, GivesTheNearestWordOrNone) {
  const std::vector<absl::string_view> known = {"name", "command", "consumption", "timeout"};
  EXPECT_EQ(Nearest("consumtion", known), "consumption");
  EXPECT_EQ(Nearest("comand", known), "command");
  EXPECT_EQ(Nearest("time_out", known), "timeout");
  EXPECT_EQ(Nearest("memory", known), "");
  EXPECT_EQ(Nearest("x", known), "");
}

}  // namespace
}  // namespace kartograph
