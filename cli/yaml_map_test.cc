#include "cli/yaml_map.h"

#include <gtest/gtest.h>

#include <string>

namespace kartograph::cli {
namespace {

YamlTree Parse(absl::string_view text) {
  YamlTree tree;
  EXPECT_FALSE(tree.Parse(std::string(text)).has_value());
  return tree;
}

TEST(YamlMapTest, MergesAnchorsWithoutOverridingWhatIsGiven) {
  const YamlTree tree =
      Parse("base: &base {a: 1, b: 1}\nmore: &more {b: 2, c: 2}\nm: {<<: [*base, *more], a: 0}\n");
  FileProblems problems;
  std::string all;
  for (const MapEntry& entry : ReadMap(tree, tree.Find(tree.root(), "m"), FieldPath(), &problems)) {
    all += std::string(entry.key) + "=" + std::string(tree.text(entry.value)) + " ";
  }
  EXPECT_EQ(all, "a=0 b=1 c=2 ");
  EXPECT_TRUE(problems.empty());
}

TEST(YamlMapTest, SurvivesMergesOfAMapIntoItself) {
  const YamlTree tree = Parse("m: &m {a: 1, <<: *m}\n");
  FileProblems problems;
  EXPECT_EQ(ReadMap(tree, tree.Find(tree.root(), "m"), FieldPath(), &problems).size(), 1u);
  EXPECT_TRUE(problems.empty());
}

TEST(YamlMapTest, ReportsRepeatedAndOddKeys) {
  const YamlTree tree = Parse("a: 1\nb: 2\na: 3\n[x]: 4\n<<: 5\n");
  FileProblems problems;
  EXPECT_EQ(ReadMap(tree, tree.root(), FieldPath(), &problems).size(), 2u);
  EXPECT_EQ(problems.ToString("f"),
            "f:3:1: a: duplicate key; first given on line 1\n"
            "f:4:1: a key must be a plain string\n"
            "f:5:5: <<: expected a mapping to merge, found \"5\"\n");
}

}  // namespace
}  // namespace kartograph::cli
