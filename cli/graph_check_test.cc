#include "cli/graph_check.h"

#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::cli {
namespace {

// Tasks on lines 1, 2, ... with what they come after, in column 9.
std::string Check(const std::vector<std::pair<std::string, std::vector<std::string>>>& tasks,
                  int64_t* edges = nullptr) {
  constexpr uint32_t kAfter = 1'000'000;  // a place in `after`
  TaskNames names;
  for (const auto& [name, after] : tasks) {
    const uint32_t line = names.size() + 1;
    names.AddTask(name, line);
    for (const std::string& before : after) names.AddAfter(before, kAfter + line);
  }
  const auto mark = [](uint32_t place) {
    return place > kAfter ? Mark{static_cast<int>(place - kAfter), 9}
                          : Mark{static_cast<int>(place), 1};
  };
  FileProblems problems;
  const int64_t count = CheckGraph(names, mark, &problems);
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
            "f:1:9: tasks[0].after: dependency cycle: a -> b -> c -> a\n");
  EXPECT_EQ(Check({{"a", {"a"}}}), "f:1:9: tasks[0].after: the task \"a\" depends on itself\n");
}

TEST(GraphCheckTest, ReportsEachKnotOnceWithItsShortestCycle) {
  EXPECT_EQ(Check({{"a", {"d", "b"}},
                   {"b", {"a"}},
                   {"c", {"b"}},
                   {"d", {"c"}},
                   {"x", {"y"}},
                   {"y", {"x"}}}),
            "f:1:9: tasks[0].after: dependency cycle: a -> b -> a\n"
            "f:5:9: tasks[4].after: dependency cycle: x -> y -> x\n");
}

TEST(GraphCheckTest, CutsAVeryLongCycle) {
  std::vector<std::pair<std::string, std::vector<std::string>>> tasks;
  tasks.reserve(200000);
  for (int i = 0; i < 200000; ++i) {
    tasks.push_back({absl::StrCat("t", i), {absl::StrCat("t", (i + 199999) % 200000)}});
  }
  EXPECT_EQ(Check(tasks),
            "f:1:9: tasks[0].after: dependency cycle: t0 -> t1 -> t2 -> t3 -> t4 -> t5 -> t6 -> t7 "
            "-> t8 -> t9 -> (199981 more) -> t199991 -> t199992 -> t199993 -> t199994 -> t199995 "
            "-> t199996 -> t199997 -> t199998 -> t199999 -> t0\n");
}

TEST(GraphCheckTest, ReportsUnknownNamesAndNamesOfTwoTasks) {
  EXPECT_EQ(
      Check({{"decode", {}}, {"load", {"decod"}}, {"decode", {"zzz"}}, {"x", {"load", "load"}}}),
      "f:2:9: tasks[1].after: unknown task \"decod\"; did you mean \"decode\"?\n"
      "f:3:1: tasks[2].name: duplicate task name \"decode\"; first used on line 1\n"
      "f:3:9: tasks[2].after: unknown task \"zzz\"\n");
}

TEST(GraphCheckTest, CountsANameSaidTwiceAsOneEdge) {
  int64_t edges = 0;
  EXPECT_EQ(Check({{"a", {}}, {"b", {"a", "a"}}, {"c", {"a"}}}, &edges), "");
  EXPECT_EQ(edges, 2);
}

}  // namespace
}  // namespace kartograph::cli
