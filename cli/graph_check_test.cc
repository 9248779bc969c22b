#include "cli/graph_check.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::cli {
namespace {

// Tasks on lines 1, 2, ... with what they come after.
std::string Check(const std::vector<std::pair<std::string, std::vector<std::string>>>& tasks,
                  int64_t* edges = nullptr) {
  std::vector<TaskNode> nodes;
  for (const auto& [name, after] : tasks) {
    TaskNode node;
    node.name = name;
    node.mark = {static_cast<int>(nodes.size()) + 1, 1};
    for (const std::string& before : after) node.after.push_back({before, {node.mark.line, 9}});
    nodes.push_back(std::move(node));
  }
  FileProblems problems;
  const int64_t count = CheckGraph(nodes, &problems);
  if (edges != nullptr) *edges = count;
  return problems.ToString("f");
}

TEST(GraphCheckTest, CountsTheEdgesOfAGraph) {
  int64_t edges = 0;
  EXPECT_EQ(Check({{"a", {}}, {"b", {"a"}}, {"c", {"a", "b"}}}, &edges), "");
  EXPECT_EQ(edges, 3);
}

TEST(GraphCheckTest, SaysACycleAsAPathInTheOrderOfRunning) {
  EXPECT_EQ(Check({{"a", {"c"}}, {"b", {"a"}}, {"c", {"b"}}, {"d", {"c"}}}),
            "f:1:9: tasks[0].after: these tasks come after each other in a cycle: "
            "a -> b -> c -> a\n");
  EXPECT_EQ(Check({{"a", {"a"}}}),
            "f:1:9: tasks[0].after: the task \"a\" comes after itself, a cycle: a -> a\n");
}

TEST(GraphCheckTest, ReportsEachKnotOnceWithItsShortestCycle) {
  EXPECT_EQ(Check({{"a", {"d", "b"}},
                   {"b", {"a"}},
                   {"c", {"b"}},
                   {"d", {"c"}},
                   {"x", {"y"}},
                   {"y", {"x"}}}),
            "f:1:9: tasks[0].after: these tasks come after each other in a cycle: a -> b -> a\n"
            "f:5:9: tasks[4].after: these tasks come after each other in a cycle: x -> y -> x\n");
}

TEST(GraphCheckTest, CutsAVeryLongCycle) {
  std::vector<std::pair<std::string, std::vector<std::string>>> tasks;
  tasks.reserve(200000);
  for (int i = 0; i < 200000; ++i) {
    tasks.push_back({absl::StrCat("t", i), {absl::StrCat("t", (i + 199999) % 200000)}});
  }
  EXPECT_EQ(Check(tasks),
            "f:1:9: tasks[0].after: these tasks come after each other in a cycle: t0 -> t1 -> t2 "
            "-> t3 -> t4 -> t5 -> (199989 more) -> t199995 -> t199996 -> t199997 -> t199998 -> "
            "t199999 -> t0\n");
}

TEST(GraphCheckTest, ReportsUnknownNamesAndNamesOfTwoTasks) {
  EXPECT_EQ(
      Check({{"decode", {}}, {"load", {"decod"}}, {"decode", {"zzz"}}, {"x", {"load", "load"}}}),
      "f:2:9: tasks[1].after: there is no task \"decod\"; did you mean \"decode\"?\n"
      "f:3:1: tasks[2].name: \"decode\" names two tasks; the first is on line 1\n"
      "f:3:9: tasks[2].after: there is no task \"zzz\"\n");
}

TEST(GraphCheckTest, CountsANameSaidTwiceAsOneEdge) {
  int64_t edges = 0;
  EXPECT_EQ(Check({{"a", {}}, {"b", {"a", "a"}}, {"c", {"a"}}}, &edges), "");
  EXPECT_EQ(edges, 2);
}

TEST(GraphCheckTest, ChecksNames) {
  EXPECT_EQ(NameProblem("measure_FR.2024-01/x:y+z@h=1,[2]"), "");
  EXPECT_EQ(NameProblem(std::string(256, 'x')), "");
  EXPECT_NE(NameProblem(std::string(257, 'x')), "");
  for (const char* name : {"", "-x", "a b", "a\nb", "\xC3\xA9"}) {
    EXPECT_NE(NameProblem(name), "") << name;
  }
}

}  // namespace
}  // namespace kartograph::cli
