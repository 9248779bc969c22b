#include "planner/names.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

namespace kartograph::planner {
namespace {

TEST(NamesTest, TakesWhatPathsAndVersionsAreMadeOf) {
  EXPECT_EQ(NameProblem("measure_FR.2024-01/x:y+z@h=1,[2]"), "");
  EXPECT_EQ(NameProblem(std::string(256, 'x')), "");
}

TEST(NamesTest, SaysWhatIsWrongWithAName) {
  EXPECT_EQ(NameProblem(""), "is empty; a name has 1 to 256 characters");
  EXPECT_EQ(NameProblem(std::string(257, 'x')), "has 257 characters; at most 256 are allowed");
  EXPECT_EQ(NameProblem("-x"), "must not start with '-'");
  for (const char* name : {"a b", "a\nb", "\xC3\xA9", "a\"b"}) {
    EXPECT_EQ(NameProblem(name),
              "contains an invalid character; allowed are the letters A to Z and a to z, digits "
              "and _ . - / : + @ = , [ ]")
        << name;
  }
}

TEST(NamesTest, AGraphsNameDoesNotLookLikeAnId) {
  for (const char* name : {"g", "g1a", "G1", "1", "ag1", "g-1", "g1.yaml"}) {
    EXPECT_EQ(GraphNameProblem(name), "") << name;
  }
  for (const char* name : {"g0", "g1", "g17", "g99999999999999999999"}) {
    EXPECT_THAT(GraphNameProblem(name), ::testing::HasSubstr("looks like the id of a graph"))
        << name;
    EXPECT_EQ(NameProblem(name), "") << name;
  }
  EXPECT_EQ(GraphNameProblem("a b"), NameProblem("a b"));
}

TEST(NamesTest, ChecksNamesOfResources) {
  EXPECT_EQ(ResourceNameProblem("db_connections"), "");
  EXPECT_EQ(ResourceNameProblem(std::string(64, 'a')), "");
  for (const std::string& name : {std::string(), std::string("1gpu"), std::string("_x"),
                                  std::string("a b"), std::string("ram!"), std::string(65, 'a')}) {
    EXPECT_EQ(ResourceNameProblem(name),
              "is not a valid resource name; use 1 to 64 letters, digits, '_', '-' or '.', "
              "starting with a "
              "letter")
        << name;
  }
}

}  // namespace
}  // namespace kartograph::planner
