#include "planner/constraints.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/hash/hash.h"

namespace kartograph::planner {
namespace {

using Operator = Constraint::Operator;

TEST(ConstraintsTest, AreEqualWhereTheyMeanTheSame) {
  const Constraint rack = {"rack", Operator::kOneOf, false, {"b4", "b3", "b4"}};
  const Constraint disk = {"disk", Operator::kEquals, true, {"hdd"}};
  const Constraints one({rack, disk});
  const Constraints other({disk, {"rack", Operator::kOneOf, false, {"b3", "b4"}}, disk});
  EXPECT_EQ(one, other);
  EXPECT_EQ(absl::HashOf(one), absl::HashOf(other));
  EXPECT_EQ(one.all().size(), 2u);
  EXPECT_NE(one, Constraints({rack}));
  EXPECT_NE(one, Constraints());
  EXPECT_EQ(Constraints(std::vector<Constraint>()), Constraints());
  EXPECT_TRUE(Constraints(std::vector<Constraint>()).empty());
}

TEST(ConstraintsTest, AreSaidInWords) {
  EXPECT_EQ((Constraint{"rack", Operator::kEquals, false, {"b3"}}).ToString(),
            "rack equals \"b3\"");
  EXPECT_EQ((Constraint{"rack", Operator::kEquals, true, {"b3"}}).ToString(),
            "rack does not equal \"b3\"");
  EXPECT_EQ((Constraint{"rack", Operator::kMatches, false, {"b.*"}}).ToString(),
            "rack matches \"b.*\"");
  EXPECT_EQ((Constraint{"rack", Operator::kOneOf, true, {"a", "b", "c", "d", "e"}}).ToString(),
            "rack is not one of \"a\", \"b\", \"c\" and 2 more");
}

TEST(ConstraintsTest, NamesAndValuesAreShortLines) {
  EXPECT_EQ(AttributeProblem("rack"), "");
  EXPECT_NE(AttributeProblem(""), "");
  EXPECT_NE(AttributeProblem("a\nb"), "");
  EXPECT_EQ(AttributeValueProblem(""), "");
  EXPECT_EQ(AttributeValueProblem(std::string(256, 'x')), "");
  EXPECT_EQ(AttributeValueProblem(std::string(257, 'x')), "has 257 bytes; at most 256 are allowed");
}

}  // namespace
}  // namespace kartograph::planner
