#include "planner/labels.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kartograph::planner {
namespace {

using ::testing::HasSubstr;

TEST(LabelsTest, ALineHasCharactersNotBytes) {
  std::string line;
  for (int i = 0; i < 256; ++i) line += "道";
  EXPECT_EQ(LineProblem(line), "");
  EXPECT_EQ(LineProblem(""), "");
  EXPECT_EQ(LineProblem(line + "x"), "has 257 characters; at most 256 are allowed");
  EXPECT_THAT(LineProblem("a\nb"), HasSubstr("control character"));
  EXPECT_THAT(LineProblem("\x7f"), HasSubstr("control character"));
}

TEST(LabelsTest, ALabelIsNamedAsATaskIsButShorter) {
  EXPECT_EQ(LabelNameProblem(std::string(63, 'n')), "");
  EXPECT_THAT(LabelNameProblem(std::string(64, 'n')), HasSubstr("at most 63"));
  EXPECT_NE(LabelNameProblem(""), "");
  EXPECT_NE(LabelNameProblem("two words"), "");
}

}  // namespace
}  // namespace kartograph::planner
