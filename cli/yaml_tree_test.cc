#include "cli/yaml_tree.h"

#include <gtest/gtest.h>

#include <string>

#include "cli/yaml_map.h"

namespace kartograph::cli {
namespace {

using Kind = YamlTree::Kind;

YamlTree Parse(absl::string_view text) {
  YamlTree tree;
  FileProblems problems;
  EXPECT_TRUE(tree.Parse(text, &problems)) << problems.ToString("f");
  return tree;
}

std::string ProblemsOf(absl::string_view text) {
  YamlTree tree;
  FileProblems problems;
  EXPECT_FALSE(tree.Parse(text, &problems));
  return problems.ToString("f");
}

TEST(YamlTreeTest, KeepsKindsTextsAndPlaces) {
  const YamlTree tree = Parse("a: [1, \"2\", ~]\nbc:\n  d: e\n");
  const YamlTree::Id list = tree.Find(tree.root(), "a");
  ASSERT_EQ(tree.kind(list), Kind::kSequence);
  EXPECT_EQ(tree.mark(list), (Mark{1, 4}));
  const auto items = tree.Items(list);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(tree.text(items[0]), "1");
  EXPECT_FALSE(tree.quoted(items[0]));
  EXPECT_EQ(tree.text(items[1]), "2");
  EXPECT_TRUE(tree.quoted(items[1]));
  EXPECT_EQ(tree.kind(items[2]), Kind::kNull);
  const YamlTree::Id value = tree.Find(tree.Find(tree.root(), "bc"), "d");
  EXPECT_EQ(tree.text(value), "e");
  EXPECT_EQ(tree.mark(value), (Mark{3, 6}));
  EXPECT_EQ(tree.Find(tree.root(), "no"), YamlTree::kNone);
}

TEST(YamlTreeTest, FollowsAliases) {
  const YamlTree tree = Parse("a: &x [1, 2]\nb: *x\n");
  const YamlTree::Id b = tree.Find(tree.root(), "b");
  EXPECT_EQ(tree.kind(b), Kind::kSequence);
  EXPECT_EQ(tree.Items(b).size(), 2u);
}

TEST(YamlTreeTest, ReadsJsonWithItsEscapes) {
  const YamlTree tree = Parse(
      "{\n\t\"a\": \"x\\/y \\u00e9 \\ud83d\\ude00 "
      "\\\\ud83d\\\\ude00\",\n\t\"b\":[true,null,-1.5e3]\n}\n");
  EXPECT_EQ(tree.text(tree.Find(tree.root(), "a")), "x/y \xC3\xA9 \xF0\x9F\x98\x80 \\ud83d\\ude00");
  EXPECT_EQ(tree.Items(tree.Find(tree.root(), "b")).size(), 3u);
}

TEST(YamlTreeTest, SaysWhereWhatIsNoYamlBreaks) {
  EXPECT_EQ(ProblemsOf(""), "f: the file is empty; a graph has at least a list of tasks\n");
  EXPECT_EQ(ProblemsOf("# nothing\n"),
            "f: the file is empty; a graph has at least a list of tasks\n");
  EXPECT_EQ(ProblemsOf("a: [1, 2\nb: 3\n").substr(0, 31), "f:2:2: this line is not YAML: e");
  EXPECT_EQ(ProblemsOf("a: *nowhere\n").substr(0, 30), "f:1:4: this line is not YAML: ");
  EXPECT_EQ(ProblemsOf("a: 1\n---\nb: 2\n"),
            "f:3:1: a second document starts here; a file holds one graph\n");
  EXPECT_EQ(ProblemsOf(std::string(100000, '[')).substr(0, 4), "f:1:");
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
            "f:3:1: a: is given twice; first on line 1\n"
            "f:4:1: a key must be a plain word\n"
            "f:5:5: <<: \"5\" stands where a mapping to merge is expected\n");
}

}  // namespace
}  // namespace kartograph::cli
