#include "yaml/yaml_tree.h"

#include <gtest/gtest.h>

#include <string>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"

namespace kartograph::yaml {
namespace {

using Kind = YamlTree::Kind;

YamlTree Parse(absl::string_view text) {
  YamlTree tree;
  const std::optional<Problem> problem = tree.Parse(std::string(text));
  EXPECT_FALSE(problem.has_value()) << problem->what;
  return tree;
}

// As LINE:COLUMN: what.
std::string ProblemOf(absl::string_view text) {
  YamlTree tree;
  const std::optional<Problem> problem = tree.Parse(std::string(text));
  if (!problem.has_value()) return "none";
  return absl::StrCat(problem->mark.line, ":", problem->mark.column, ": ", problem->what);
}

// What becomes of a text that must be JSON if it begins like that.
std::string JsonProblemOf(absl::string_view text) {
  YamlTree tree;
  const std::optional<Problem> problem = tree.Parse(std::string(text), /*json_only=*/true);
  if (!problem.has_value()) return "none";
  return absl::StrCat(problem->language, ": ", problem->mark.line, ":", problem->mark.column, ": ",
                      problem->what);
}

std::string Repeat(absl::string_view text, int times) {
  std::string all;
  for (int i = 0; i < times; ++i) absl::StrAppend(&all, text);
  return all;
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

TEST(YamlTreeTest, CountsColumnsInBytes) {
  const YamlTree tree = Parse("\"\xC3\xA9\xF0\x9F\x98\x80\": [a,\r\n\xE2\x82\xAC, b]\n");
  const auto items = tree.Items(tree.Pairs(tree.root())[0].value);
  ASSERT_EQ(items.size(), 3u);
  EXPECT_EQ(tree.mark(items[0]), (Mark{1, 12}));
  EXPECT_EQ(tree.mark(items[1]), (Mark{2, 1}));
  EXPECT_EQ(tree.mark(items[2]), (Mark{2, 6}));
}

TEST(YamlTreeTest, TakesWhatIsPlainlyNothingAsNull) {
  const YamlTree tree = Parse("- \n- ~\n- null\n- Null\n- NULL\n- {a, b: , c: ~}\n");
  const auto items = tree.Items(tree.root());
  ASSERT_EQ(items.size(), 6u);
  for (int i = 0; i < 5; ++i) EXPECT_EQ(tree.kind(items[i]), Kind::kNull) << i;
  const auto pairs = tree.Pairs(items[5]);
  ASSERT_EQ(pairs.size(), 3u);
  for (const YamlTree::Pair& pair : pairs) {
    EXPECT_EQ(tree.kind(pair.value), Kind::kNull);
    EXPECT_EQ(tree.mark(pair.value), tree.mark(pair.key));
  }
}

TEST(YamlTreeTest, TakesWhatIsQuotedATextBlockOrTaggedAsString) {
  const YamlTree tree = Parse("- \"\"\n- 'null'\n- |\n  ~\n- >-\n  ~\n- !!str ~\n- !!str\n");
  const auto items = tree.Items(tree.root());
  ASSERT_EQ(items.size(), 6u);
  const char* const texts[] = {"", "null", "~\n", "~", "~", ""};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(tree.kind(items[i]), Kind::kScalar) << i;
    EXPECT_TRUE(tree.quoted(items[i])) << i;
    EXPECT_EQ(tree.text(items[i]), texts[i]) << i;
  }
}

TEST(YamlTreeTest, ReadsScalarsThatAreNotWrittenAsTheyRead) {
  const YamlTree tree = Parse(
      "- a\n  b\n- \"x\\ty\"\n- 'it''s'\n- \"q\"\n- &n z\n- \"two\n  lines\"\n- |-\n  k\n  l\n- "
      "end\n");
  const auto items = tree.Items(tree.root());
  ASSERT_EQ(items.size(), 8u);
  const char* const texts[] = {"a b", "x\ty", "it's", "q", "z", "two lines", "k\nl", "end"};
  const int lines[] = {1, 3, 4, 5, 6, 7, 9, 12};
  for (int i = 0; i < 8; ++i) {
    EXPECT_EQ(tree.text(items[i]), texts[i]) << i;
    EXPECT_EQ(tree.mark(items[i]), (Mark{lines[i], 3})) << i;
  }
}

TEST(YamlTreeTest, WalksPastWhatIsInside) {
  const YamlTree tree = Parse("a: {b: [[], [1, {c: 2}], {}], d: &y [3]}\ne: [x, *y]\nf: 4\n");
  ASSERT_EQ(tree.Pairs(tree.root()).size(), 3u);
  const YamlTree::Id a = tree.Find(tree.root(), "a");
  ASSERT_EQ(tree.Pairs(a).size(), 2u);
  EXPECT_EQ(tree.Items(tree.Find(a, "b")).size(), 3u);
  EXPECT_EQ(tree.Items(tree.Find(a, "d")).size(), 1u);
  EXPECT_EQ(tree.Items(tree.Find(tree.root(), "e")).size(), 2u);
  EXPECT_EQ(tree.text(tree.Find(tree.root(), "f")), "4");
}

TEST(YamlTreeTest, FollowsAliases) {
  const YamlTree tree = Parse("a: &x [1, 2]\nb: *x\n*x : c\n");
  const YamlTree::Id b = tree.Find(tree.root(), "b");
  EXPECT_EQ(tree.kind(b), Kind::kSequence);
  EXPECT_EQ(tree.Items(b).size(), 2u);
  EXPECT_EQ(tree.mark(b), (Mark{1, 4}));
  EXPECT_EQ(tree.kind(tree.Pairs(tree.root())[2].key), Kind::kSequence);
}

TEST(YamlTreeTest, TakesTheLastAnchorOfAName) {
  const YamlTree tree = Parse("[&x 1, *x, &x 2, *x, &x [*x], *x]");
  const auto items = tree.Items(tree.root());
  ASSERT_EQ(items.size(), 6u);
  EXPECT_EQ(tree.text(items[1]), "1");
  EXPECT_EQ(tree.text(items[3]), "2");
  EXPECT_EQ(tree.kind(items[5]), Kind::kSequence);
  EXPECT_EQ(tree.kind(tree.Items(items[4])[0]), Kind::kSequence);  // itself
}

TEST(YamlTreeTest, RefusesAliasesOfNothing) {
  EXPECT_EQ(ProblemOf("a: *nowhere\n"), "1:4: no anchor before this alias is named nowhere");
  EXPECT_EQ(ProblemOf("a: 1\nb: [*x, &x 1]\n"), "2:5: no anchor before this alias is named x");
}

TEST(YamlTreeTest, ReadsJsonWithItsEscapes) {
  const YamlTree tree = Parse(
      "{\n\t\"a\": \"x\\/y \\u00e9 \\ud83d\\ude00 "
      "\\\\ud83d\\\\ude00\",\n\t\"b\":[true,null,-1.5e3]\n\t}\n");
  EXPECT_EQ(tree.text(tree.Find(tree.root(), "a")), "x/y \xC3\xA9 \xF0\x9F\x98\x80 \\ud83d\\ude00");
  EXPECT_EQ(tree.Items(tree.Find(tree.root(), "b")).size(), 3u);
  EXPECT_EQ(tree.mark(tree.Find(tree.root(), "b")), (Mark{3, 6}));
}

TEST(YamlTreeTest, KeepsKindsTextsAndPlacesOfJson) {
  const YamlTree tree = Parse(
      "\n{ \"a\" :[\"\", 1 ,true,\tnull, {}, [ ]],\"\\u0062\\\"\\\\\":{\"c\\n\":\"\\\\\"}, "
      "\"d\": -0}\r\n");
  const auto pairs = tree.Pairs(tree.root());
  ASSERT_EQ(pairs.size(), 3u);
  EXPECT_EQ(tree.mark(tree.root()), (Mark{2, 1}));
  const auto items = tree.Items(pairs[0].value);
  ASSERT_EQ(items.size(), 6u);
  const Kind kinds[] = {Kind::kScalar, Kind::kScalar, Kind::kScalar,
                        Kind::kNull,   Kind::kMap,    Kind::kSequence};
  const int columns[] = {9, 13, 16, 22, 28, 32};
  for (int i = 0; i < 6; ++i) {
    EXPECT_EQ(tree.kind(items[i]), kinds[i]) << i;
    EXPECT_EQ(tree.mark(items[i]), (Mark{2, columns[i]})) << i;
    EXPECT_EQ(tree.quoted(items[i]), i == 0) << i;
  }
  EXPECT_EQ(tree.text(items[0]), "");
  EXPECT_EQ(tree.text(items[1]), "1");
  EXPECT_EQ(tree.text(items[2]), "true");
  EXPECT_EQ(tree.text(pairs[1].key), "b\"\\");
  EXPECT_EQ(tree.mark(pairs[1].key), (Mark{2, 37}));
  const auto inner = tree.Pairs(pairs[1].value);
  ASSERT_EQ(inner.size(), 1u);
  EXPECT_EQ(tree.text(inner[0].key), "c\n");
  EXPECT_EQ(tree.text(inner[0].value), "\\");
  EXPECT_EQ(tree.mark(inner[0].value), (Mark{2, 57}));
  EXPECT_EQ(tree.text(pairs[2].value), "-0");
  EXPECT_EQ(tree.mark(pairs[2].value), (Mark{2, 69}));
}

TEST(YamlTreeTest, ReadsJsonThatYamlRefusesOrChanges) {
  for (const char* text :
       {"\x7F", "\xC2\x80", "\xC2\x85", "a \xC2\x85  b", "\xC2\x9F", "  \xE2\x80\xA8  ",
        "a  \xE2\x80\xA9 b", "\xEF\xBB\xBF", "\xEF\xBF\xBE", "*a", "<<", "~", "\xF4\x8F\xBF\xBF"}) {
    const YamlTree tree = Parse(absl::StrCat("{\"k\": [\"", text, "\"]}"));
    EXPECT_EQ(tree.text(tree.Items(tree.Find(tree.root(), "k"))[0]), text);
  }
  const std::string long_key(100'000, 'k');  // longer than what libyaml looks ahead
  EXPECT_EQ(Parse(absl::StrCat("{\"", long_key, "\": 1}")).text(1), long_key);
  const YamlTree tabs = Parse("{\n\t\"a\"\n\t:\t1}");
  EXPECT_EQ(tabs.text(tabs.Find(tabs.root(), "a")), "1");
}

TEST(YamlTreeTest, KeepsNumbersOfJsonAsTheyAreWritten) {
  const char* const numbers[] = {"12345678901234567890",
                                 "-123456789012345678901234567890",
                                 "0.1",
                                 "0.10",
                                 "1e2",
                                 "1E-400",
                                 "-0.0"};
  for (const char* number : numbers) {
    const YamlTree tree = Parse(absl::StrCat("[", number, "]"));
    EXPECT_EQ(tree.text(1), number);
    EXPECT_FALSE(tree.quoted(1));
  }
}

TEST(YamlTreeTest, ReadsEscapesOfJsonOfAnyLength) {
  std::string escaped, text;
  for (int i = 0; i < 10'000; ++i) {
    escaped += "x\\u00e9\\\\\\\"\\ud83d\\ude00";
    text += "x\xC3\xA9\\\"\xF0\x9F\x98\x80";
  }
  const YamlTree tree = Parse(absl::StrCat("{\"", escaped, "\": \"", escaped, "\"}"));
  EXPECT_EQ(tree.text(1), text);
  EXPECT_EQ(tree.text(2), text);
  EXPECT_EQ(tree.mark(2), (Mark{1, static_cast<int>(escaped.size()) + 6}));
}

TEST(YamlTreeTest, ReadsAsYamlWhatOnlyBeginsLikeJson) {
  const YamlTree tree = Parse("{a: [b, 'c',], \"d\": !!str 1} # e\n");
  EXPECT_EQ(tree.Items(tree.Find(tree.root(), "a")).size(), 2u);
  EXPECT_EQ(Parse("[a]: b\n").kind(0), Kind::kMap);
  EXPECT_EQ(Parse("{\"a\": 1}\n---\n{}").second_document(), (Mark{3, 1}));
  EXPECT_EQ(Parse("a: 1\n").kind(0), Kind::kMap);
}

TEST(YamlTreeTest, SaysWhereWhatMustBeJsonIsNot) {
  EXPECT_EQ(JsonProblemOf("{\"a\": 1}"), "none");
  EXPECT_EQ(JsonProblemOf(" \n"), "none");
  EXPECT_EQ(JsonProblemOf("a: 1"), "JSON: 1:1: unexpected 'a'");
  EXPECT_EQ(JsonProblemOf("tasks:\n  - {}"), "JSON: 1:1: unexpected 't'");
  EXPECT_EQ(JsonProblemOf("// c\n{}"), "JSON: 1:1: a comment, which JSON does not have");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1,}"),
            "JSON: 1:9: nothing follows the comma before this bracket");
  EXPECT_EQ(JsonProblemOf("{\"a\": [1,\n]}"),
            "JSON: 2:1: nothing follows the comma before this bracket");
  EXPECT_EQ(JsonProblemOf("{a: 1}"), "JSON: 1:2: unexpected 'a'");
  EXPECT_EQ(JsonProblemOf("{'a': 1}"),
            "JSON: 1:2: text stands in double quotes, not in single ones");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1 // one\n}"), "JSON: 1:9: a comment, which JSON does not have");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1\n\"b\": 2}"), "JSON: 2:1: unexpected quotation mark");
  EXPECT_EQ(JsonProblemOf("{\"a\": 01}"), "JSON: 1:8: unexpected '1'");
  EXPECT_EQ(JsonProblemOf("{\"a\": NaN}"), "JSON: 1:7: unexpected 'N'");
  EXPECT_EQ(JsonProblemOf("{\"a\": \"b\nc\"}"), "JSON: 1:9: unexpected '\\n'");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1"), "JSON: 1:8: the file ends in the middle of it");
  EXPECT_EQ(JsonProblemOf("{\"a\": \"b"), "JSON: 1:9: the file ends in the middle of it");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1}\n}"), "JSON: 2:1: this bracket closes nothing");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1}\n{}"), "JSON: 2:1: more text after the end");
  EXPECT_EQ(JsonProblemOf("{\"a\": 1e99999999999}"), "JSON: 1:18: the number is too large");
  EXPECT_EQ(JsonProblemOf("{\"\xFF\": 1}").substr(0, 9), "JSON: 1:3");
  for (const char* half : {"\\ud83d", "\\ud83d!", "\\ud83d\\n", "\\ud83d\\u0041", "\\ude00"}) {
    const std::string problem = JsonProblemOf(absl::StrCat("{\"a\": \"", half, "\"}"));
    EXPECT_TRUE(absl::StrContains(problem, "half of a surrogate pair")) << half << ": " << problem;
    EXPECT_TRUE(absl::StartsWith(problem, "JSON: 1:")) << problem;
  }
}

TEST(YamlTreeTest, ReportsTheReaderThatCameFurther) {
  YamlTree tree;
  // YAML has no DEL, but that is not what is wrong here.
  EXPECT_EQ(tree.Parse("{\"a\": \"\x7F\",\n\"b\" 1}")->language, "JSON");
  EXPECT_EQ(tree.Parse("{a: b,\nc: [}")->language, "YAML");
  EXPECT_EQ(tree.Parse("{\"a\": \"\\ud83d\"}")->language, "JSON");
}

TEST(YamlTreeTest, SaysWhereATabDisturbs) {
  EXPECT_EQ(Parse("a:\t1\t# one\n").text(2), "1");
  EXPECT_EQ(ProblemOf("a:\n\t- b\n"),
            "2:1: a tab stands where only spaces may, while scanning for the next token");
}

TEST(YamlTreeTest, ReadsAByteOrderMark) {
  const YamlTree tree = Parse("\xEF\xBB\xBF{\"a\": 1}");
  EXPECT_EQ(tree.mark(tree.Find(tree.root(), "a")), (Mark{1, 7}));
}

TEST(YamlTreeTest, ReadsDirectives) {
  for (const char* directive : {"%YAML 1.1", "%YAML 1.2", "%TAG ! tag:example.org,2000:"}) {
    EXPECT_EQ(Parse(absl::StrCat(directive, "\n---\na: b\n...\n")).kind(0), Kind::kMap);
  }
  EXPECT_EQ(ProblemOf("%YAML 2.0\n---\na: b\n"), "1:1: found incompatible YAML document");
}

TEST(YamlTreeTest, RefusesBytesThatAreNoText) {
  EXPECT_EQ(ProblemOf("a: \xC3\xA9\nb: \xC3\xA9 \xE9.\n"),
            "2:8: invalid trailing UTF-8 octet (0x2E)");
  EXPECT_EQ(ProblemOf("a: b\n\xFF"), "2:1: invalid leading UTF-8 octet (0xFF)");
  EXPECT_EQ(ProblemOf("a: \xC3"), "1:4: incomplete UTF-8 octet sequence");
  EXPECT_EQ(ProblemOf(absl::string_view("a: b\0c", 6)),
            "1:5: control characters are not allowed (0x00)");
  // Further than libyaml reads at once.
  EXPECT_EQ(ProblemOf(absl::StrCat(Repeat("- a\n", 50'000), "- \x07\n")),
            "50001:3: control characters are not allowed (0x07)");
}

TEST(YamlTreeTest, TellsNothingFromADocument) {
  EXPECT_TRUE(Parse("").empty());
  EXPECT_TRUE(Parse(" \n# nothing\n").empty());
  EXPECT_EQ(Parse("---\n").kind(0), Kind::kNull);
}

TEST(YamlTreeTest, SaysWhereASecondDocumentStarts) {
  EXPECT_EQ(Parse("---\na: 1\n...\n# no more\n").second_document(), Mark());
  EXPECT_EQ(Parse("a: 1\n---\nb: 2\n").second_document(), (Mark{3, 1}));
  EXPECT_EQ(Parse("a: 1\n--- [\n").second_document(), (Mark{2, 5}));
  EXPECT_EQ(Parse("{\"a\": 1}\n{\"b\": 2}\n").second_document(), (Mark{2, 1}));
  EXPECT_EQ(ProblemOf("a: 1\n---\n@\n").substr(0, 5), "3:1: ");
}

TEST(YamlTreeTest, SaysWhereWhatIsNoYamlBreaks) {
  EXPECT_EQ(ProblemOf("a: [1, 2\nb: 3\n"),
            "2:2: did not find expected ',' or ']', while parsing a flow sequence from line 1");
  EXPECT_EQ(ProblemOf("a: {b: 1\n"),
            "2:1: did not find expected ',' or '}', while parsing a flow mapping from line 1");
  EXPECT_EQ(ProblemOf("a: \"b\n"),
            "2:1: found unexpected end of stream, while scanning a quoted scalar from line 1");
  EXPECT_EQ(ProblemOf("{\"a\": [1]}\n}\n"), "2:1: this bracket closes nothing");
  EXPECT_EQ(ProblemOf("a: b: c\n"),
            "1:5: mapping values are not allowed in this context; put text "
            "that has \": \" in it into quotes");
  EXPECT_EQ(ProblemOf("\"\xC3\xA9\": b: c\n"),
            "1:8: mapping values are not allowed in this context; put text "
            "that has \": \" in it into quotes");
}

TEST(YamlTreeTest, LimitsHowDeepListsAndMapsNest) {
  const int deep = static_cast<int>(YamlTree::kMaxDepth);
  EXPECT_EQ(ProblemOf(Repeat("[", deep) + Repeat("]", deep)), "none");
  const std::string message = "more than 500 lists and mappings inside each other";
  EXPECT_EQ(ProblemOf(Repeat("[", 100'000)), "1:501: " + message);
  EXPECT_EQ(ProblemOf(Repeat("[\n", 100'000)), "501:1: " + message);
  EXPECT_EQ(ProblemOf(Repeat("- ", 100'000)), "1:1001: " + message);
  EXPECT_EQ(ProblemOf(Repeat("{\"a\":", 100'000)), "1:2501: " + message);
  EXPECT_TRUE(absl::EndsWith(ProblemOf(Repeat("? ", 100'000)), message));
}

}  // namespace
}  // namespace kartograph::yaml
