#include "planner/eligibility.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <map>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

using Operator = Constraint::Operator;
using Attributes = std::vector<std::pair<std::string, std::string>>;

class EligibilityTest : public ::testing::Test {
 protected:
  // Whether an agent like this meets it.
  static bool Meets(const Constraint& constraint, const Attributes& attributes) {
    Eligibility eligibility;
    const Eligibility::SetId set = eligibility.Use(Constraints({constraint}));
    eligibility.SetTraits(0, {"id-0", "node-0", attributes});
    EXPECT_EQ(eligibility.Meets(set, 0, 0), eligibility.Allows(set, 0));
    return eligibility.Allows(set, 0);
  }
};

TEST_F(EligibilityTest, AnAttributeEqualsAValue) {
  const Constraint is_b3 = {"rack", Operator::kEquals, false, {"b3"}};
  EXPECT_TRUE(Meets(is_b3, {{"rack", "b3"}}));
  EXPECT_FALSE(Meets(is_b3, {{"rack", "b33"}}));
  EXPECT_FALSE(Meets(is_b3, {{"row", "b3"}}));
  EXPECT_FALSE(Meets(is_b3, {}));
  EXPECT_TRUE(Meets(is_b3, {{"rack", "b2"}, {"rack", "b3"}})) << "one of several values will do";
}

TEST_F(EligibilityTest, NegatedItIsMetByWhoDoesNotHaveTheAttribute) {
  const Constraint is_not_b3 = {"rack", Operator::kEquals, true, {"b3"}};
  EXPECT_FALSE(Meets(is_not_b3, {{"rack", "b3"}}));
  EXPECT_TRUE(Meets(is_not_b3, {{"rack", "b4"}}));
  EXPECT_TRUE(Meets(is_not_b3, {}));
  EXPECT_FALSE(Meets(is_not_b3, {{"rack", "b2"}, {"rack", "b3"}}));
}

TEST_F(EligibilityTest, AnAttributeIsOneOfSeveral) {
  const Constraint rack = {"rack", Operator::kOneOf, false, {"b3", "b4"}};
  EXPECT_TRUE(Meets(rack, {{"rack", "b4"}}));
  EXPECT_FALSE(Meets(rack, {{"rack", "b5"}}));
}

TEST_F(EligibilityTest, APatternMatchesTheWholeValue) {
  const Constraint rack = {"rack", Operator::kMatches, false, {"b[0-9]+"}};
  EXPECT_TRUE(Meets(rack, {{"rack", "b17"}}));
  EXPECT_FALSE(Meets(rack, {{"rack", "b17x"}}));
  EXPECT_FALSE(Meets(rack, {{"rack", "ab17"}}));
}

TEST_F(EligibilityTest, EveryAgentHasANameAndAnId) {
  EXPECT_TRUE(Meets({"agent.name", Operator::kEquals, false, {"node-0"}}, {}));
  EXPECT_TRUE(Meets({"agent.id", Operator::kEquals, false, {"id-0"}}, {}));
  EXPECT_FALSE(Meets({"agent.name", Operator::kEquals, false, {"x"}}, {{"agent.name", "x"}}));
}

TEST_F(EligibilityTest, APatternIsCheckedAndItsSizeBounded) {
  EXPECT_EQ(PatternProblem("b[0-9]+"), "");
  EXPECT_NE(PatternProblem("b[0-9"), "");
  EXPECT_NE(PatternProblem(std::string(257, 'x')), "");
  EXPECT_NE(PatternProblem("((((x{1000}){1000}){1000}){1000})"), "") << "too large a machine";
  EXPECT_FALSE(Meets({"rack", Operator::kMatches, false, {"b[0-9"}}, {{"rack", "b[0-9"}}));
}

TEST_F(EligibilityTest, ASetIsKeptForAsLongAsItIsUsed) {
  Eligibility eligibility;
  const Constraints constraints({{"rack", Operator::kEquals, false, {"b3"}}});
  const Eligibility::SetId set = eligibility.Use(constraints);
  EXPECT_EQ(eligibility.Use(constraints), set);
  eligibility.Release(set);
  EXPECT_EQ(eligibility.size(), 1u);
  eligibility.Release(set);
  EXPECT_EQ(eligibility.size(), 0u);
  EXPECT_EQ(eligibility.Use(Constraints({{"disk", Operator::kEquals, false, {"ssd"}}})), set)
      << "its number is used again";
}

TEST_F(EligibilityTest, WhetherTwoSetsHaveAnAgentInCommon) {
  Eligibility eligibility;
  const auto use = [&](const char* attribute) {
    return eligibility.Use(Constraints({{attribute, Operator::kEquals, false, {"yes"}}}));
  };
  const Eligibility::SetId a = use("a"), b = use("b");
  eligibility.SetTraits(0, {"0", "0", {{"a", "yes"}}});
  eligibility.SetTraits(1, {"1", "1", {{"b", "yes"}}});
  EXPECT_FALSE(eligibility.HaveCommon(a, b));
  eligibility.SetTraits(2, {"2", "2", {{"a", "yes"}, {"b", "yes"}}});
  EXPECT_TRUE(eligibility.HaveCommon(a, b));
  eligibility.Remove(2);
  EXPECT_FALSE(eligibility.HaveCommon(b, a));
}

// What is kept is what comes out when everything is looked at anew, whatever has changed.
TEST_F(EligibilityTest, RandomChangesLeaveWhatEachSetAllows) {
  for (unsigned seed = 0; seed < 50; ++seed) {
    std::mt19937 random(seed);
    const auto any = [&random](int below) {
      return static_cast<int>(random() % static_cast<unsigned>(below));
    };
    Eligibility eligibility;
    std::map<uint32_t, AgentTraits> agents;
    std::vector<std::pair<Eligibility::SetId, std::vector<Constraint>>> sets;
    for (int step = 0; step < 200; ++step) {
      const auto agent = static_cast<uint32_t>(any(6));
      switch (any(5)) {
        case 0:
          if (sets.size() < 8) {
            std::vector<Constraint> all;
            for (int i = any(3); i >= 0; --i) {
              all.push_back({absl::StrCat("a", any(3)),
                             Operator::kOneOf,
                             any(2) == 0,
                             {absl::StrCat(any(3)), absl::StrCat(any(3))}});
            }
            const Constraints constraints(all);
            sets.emplace_back(
                eligibility.Use(constraints),
                std::vector<Constraint>(constraints.all().begin(), constraints.all().end()));
          }
          break;
        case 1:
          if (!sets.empty()) {
            eligibility.Release(sets.back().first);
            sets.pop_back();
          }
          break;
        case 2:
          eligibility.Remove(agent);
          agents.erase(agent);
          break;
        default: {
          AgentTraits traits = {"id", "name", {}};
          for (int i = 0; i < 3; ++i) {
            if (any(3) > 0)
              traits.attributes.emplace_back(absl::StrCat("a", i), absl::StrCat(any(3)));
          }
          eligibility.SetTraits(agent, traits);
          agents[agent] = traits;
        }
      }
      for (const auto& [set, all] : sets) {
        for (uint32_t i = 0; i < 6; ++i) {
          bool meets = agents.contains(i);
          for (const Constraint& constraint : all) {
            meets = meets && Meets(constraint, agents.at(i).attributes);
          }
          ASSERT_EQ(eligibility.Allows(set, i), meets) << "seed " << seed << ", step " << step;
          ASSERT_EQ(eligibility.Allowed(set).contains(i), meets);
        }
      }
    }
  }
}

}  // namespace
}  // namespace kartograph::planner
