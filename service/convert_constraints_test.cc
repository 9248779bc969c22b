#include "service/convert_constraints.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::service {
namespace {

using planner::Constraint;
using ::testing::HasSubstr;

class ConvertConstraintsTest : public ::testing::Test {
 protected:
  v1::Constraint& Add(const std::string& attribute) {
    v1::Constraint& added = *spec_.add_constraints();
    added.set_attribute(attribute);
    return added;
  }
  planner::Constraints Convert() { return ConvertConstraints(spec_, "task", problems_); }
  // What is wrong with the one that there is.
  std::string Problem() {
    Convert();
    const absl::Status status = problems_.ToStatus();
    problems_ = ProblemList();
    return std::string(status.message());
  }

  v1::TaskSpec spec_;
  ProblemList problems_;
};

TEST_F(ConvertConstraintsTest, EachOperatorGoesThereAndBack) {
  Add("agent.name").set_equals("node-1");
  Add("disk").set_equals("");
  v1::Constraint& one_of = Add("rack");
  one_of.add_one_of("b3");
  one_of.add_one_of("b4");
  v1::Constraint& matches = Add("zone");
  matches.set_matches("eu-.*");
  matches.set_negated(true);
  const planner::Constraints converted = Convert();
  EXPECT_EQ(problems_.size(), 0u);
  EXPECT_EQ(converted.all().size(), 4u);
  v1::TaskSpec back;
  SetConstraints(converted, back);
  EXPECT_EQ(back.SerializeAsString(), spec_.SerializeAsString());
}

TEST_F(ConvertConstraintsTest, WithoutAnyThereIsNone) { EXPECT_TRUE(Convert().empty()); }

TEST_F(ConvertConstraintsTest, ThereIsExactlyOneOperator) {
  v1::Constraint& constraint = Add("rack");
  EXPECT_THAT(Problem(), HasSubstr("must have exactly one of equals, one_of and matches"));
  constraint.set_equals("b3");
  EXPECT_EQ(Problem(), "");
  constraint.add_one_of("b3");
  EXPECT_THAT(Problem(), HasSubstr("must have exactly one"));
}

TEST_F(ConvertConstraintsTest, EveryPartHasALimitAndSaysWhichItIs) {
  v1::Constraint& constraint = Add("");
  constraint.set_equals("b3");
  EXPECT_THAT(Problem(), HasSubstr("task.constraints[0].attribute"));
  constraint.set_attribute("rack");
  constraint.set_equals(std::string(257, 'x'));
  EXPECT_THAT(Problem(), HasSubstr("has 257 bytes; at most 256 are allowed"));
  constraint.set_equals("a\x1b[2J");
  EXPECT_THAT(Problem(), HasSubstr("holds a control character"));
  constraint.clear_equals();
  constraint.set_matches("b[0-9");
  EXPECT_THAT(Problem(), HasSubstr("is not a regular expression as RE2 has them"));
  constraint.clear_matches();
  for (int i = 0; i < 65; ++i) constraint.add_one_of(absl::StrCat(i));
  EXPECT_THAT(Problem(), HasSubstr("must be at most 64"));
  spec_.clear_constraints();
  for (int i = 0; i < 17; ++i) Add("rack").set_equals(absl::StrCat(i));
  EXPECT_THAT(Problem(), HasSubstr("must be at most 16"));
}

TEST_F(ConvertConstraintsTest, SpreadHasAGroupAndANumber) {
  EXPECT_TRUE(ConvertSpread(spec_, "task", problems_).empty());
  spec_.mutable_spread()->set_group("workers");
  spec_.mutable_spread()->set_per_agent(2);
  const planner::Spread spread = ConvertSpread(spec_, "task", problems_);
  EXPECT_EQ(spread, (planner::Spread{"workers", 2}));
  EXPECT_TRUE(problems_.empty());
  v1::TaskSpec back;
  SetSpread(spread, back);
  EXPECT_EQ(back.SerializeAsString(), spec_.SerializeAsString());
  spec_.mutable_spread()->set_group("two words");
  spec_.mutable_spread()->set_per_agent(1001);
  ConvertSpread(spec_, "task", problems_);
  ASSERT_EQ(problems_.size(), 2u);
  EXPECT_EQ(problems_.problems()[0].field, "task.spread.group");
  EXPECT_EQ(problems_.problems()[1].field, "task.spread.per_agent");
  EXPECT_EQ(problems_.problems()[1].message, "must be 1 to 1000");
}

}  // namespace
}  // namespace kartograph::service
