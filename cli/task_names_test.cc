#include "cli/task_names.h"

#include "gtest/gtest.h"

namespace kartograph::cli {
namespace {

TEST(TaskNamesTest, KnowsPatterns) {
  EXPECT_TRUE(IsPattern("tree/*"));
  EXPECT_TRUE(IsPattern("t?"));
  EXPECT_FALSE(IsPattern("tile[3]-a.b:c/d+e@f=g,h"));
}

TEST(TaskNamesTest, AStarMatchesAnyCharacters) {
  for (const char* pattern :
       {"*", "tree/*", "*/b/*", "tree*leaf", "tr*e/*/leaf", "tree/b/leaf*", "t**f"}) {
    EXPECT_TRUE(MatchesPattern("tree/b/leaf", pattern)) << pattern;
  }
  for (const char* pattern : {"", "tree", "*b", "trees*", "tree/*/leaf/*", "b*"}) {
    EXPECT_FALSE(MatchesPattern("tree/b/leaf", pattern)) << pattern;
  }
  EXPECT_TRUE(MatchesPattern("aab", "*ab")) << "the star takes as much as is needed";
  EXPECT_TRUE(MatchesPattern("abcabd", "*abd"));
}

TEST(TaskNamesTest, AQuestionMarkMatchesOneCharacter) {
  EXPECT_TRUE(MatchesPattern("t12", "t??"));
  EXPECT_FALSE(MatchesPattern("t1", "t??"));
  EXPECT_FALSE(MatchesPattern("t123", "t??"));
  EXPECT_TRUE(MatchesPattern("t123", "t??*"));
  EXPECT_TRUE(MatchesPattern("t[1]", "t[1]")) << "brackets are part of names";
}

}  // namespace
}  // namespace kartograph::cli
