#include "planner/task_kind.h"

#include <gtest/gtest.h>

#include <string>

namespace kartograph::planner {
namespace {

TEST(TaskKindTest, RunsOfDigitsMakeNoDifference) {
  EXPECT_EQ(NamePattern("tile-0431"), "tile-#");
  EXPECT_EQ(NamePattern("tile-0432"), NamePattern("tile-7"));
  EXPECT_EQ(NamePattern("tile-0431/part-2"), "tile-#/part-#");
  EXPECT_EQ(NamePattern("v1.2.3"), "v#.#.#");
  EXPECT_EQ(NamePattern("20240501"), "#");
  EXPECT_EQ(NamePattern("x1y22z"), "x#y#z");
  EXPECT_EQ(NamePattern("load_DE"), "load_DE");
  EXPECT_EQ(NamePattern("task[12]"), "task[#]");
  EXPECT_EQ(NamePattern(""), "");
}

TEST(TaskKindTest, OnlyTheDigitsOfAsciiAreDigits) {
  // Names have none of these; a text from elsewhere stays valid UTF-8.
  EXPECT_EQ(NamePattern("плитка-12"), "плитка-#");
  EXPECT_EQ(NamePattern("\xD9\xA3"), "\xD9\xA3");  // an Arabic three
}

TEST(TaskKindTest, APatternIsNeverLongerThanItsNameAndIsItsOwn) {
  const std::string longest = std::string(255, 'a') + "1";
  EXPECT_EQ(NamePattern(longest), std::string(255, 'a') + "#");
  EXPECT_EQ(NamePattern(std::string(256, '7')), "#");
  for (const char* name : {"tile-0431/part-2", "v1.2.3", "12", "a", "#1#"}) {
    const std::string pattern = NamePattern(name);
    EXPECT_LE(pattern.size(), std::string(name).size());
    EXPECT_EQ(NamePattern(pattern), pattern);
  }
}

TEST(TaskKindTest, ConsumptionIsTheSameTextWhateverCameFirst) {
  const Resource z = Resource::Named("zz_first");
  const Resource a = Resource::Named("aa_later");
  ResourceVector consumption = {{z, Quantity::Of(2)},
                                {a, Quantity::FromMilli(125)},
                                {Resource::Cpu(), Quantity::FromMilli(500)},
                                {Resource::Ram(), Quantity::Of(512 << 20)}};
  const std::string text = ConsumptionText(consumption);
  EXPECT_EQ(text, "aa_later=0.125 cpu=0.5 ram=536870912 zz_first=2");
  EXPECT_EQ(QuantityIn(text, "cpu"), Quantity::FromMilli(500));
  EXPECT_EQ(QuantityIn(text, "ram"), Quantity::Of(512 << 20));
  EXPECT_EQ(QuantityIn(text, "zz_first"), Quantity::Of(2));
  EXPECT_EQ(QuantityIn(text, "zz"), Quantity());
  EXPECT_EQ(QuantityIn("", "cpu"), Quantity());
  EXPECT_EQ(QuantityIn("cpu=bad", "cpu"), Quantity());
  EXPECT_EQ(ConsumptionText({}), "");
}

}  // namespace
}  // namespace kartograph::planner
