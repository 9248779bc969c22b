#include "planner/ids.h"

#include <gtest/gtest.h>

#include <limits>
#include <string>

namespace kartograph::planner {
namespace {

constexpr GraphId kLastGraph = std::numeric_limits<GraphId>::max();

AttemptId Attempt(GraphId graph, TaskIndex index, uint32_t number) {
  return AttemptId::Of(TaskKey::Of(graph, index), number);
}

TEST(IdsTest, AnAttemptKnowsItsTaskAndATaskItsGraph) {
  for (GraphId graph : {GraphId{1}, GraphId{17}, kLastGraph}) {
    for (TaskIndex index : {0u, 1u, 42u, kMaxTasks - 1}) {
      for (uint32_t number : {1u, 2u, kMaxLaunches}) {
        const AttemptId attempt = Attempt(graph, index, number);
        EXPECT_EQ(attempt.number(), number);
        EXPECT_EQ(attempt.task(), TaskKey::Of(graph, index));
        EXPECT_EQ(attempt.task().index(), index);
        EXPECT_EQ(attempt.task().graph(), graph);
      }
    }
  }
}

TEST(IdsTest, KeysOfTasksStayBelowTwoToTheFiftyTwo) {
  EXPECT_LT(TaskKey::Of(kLastGraph, kMaxTasks - 1).value, uint64_t{1} << 52);
}

TEST(IdsTest, SortedByIdIsSortedByGraphThenTaskThenAttempt) {
  EXPECT_LT(Attempt(1, kMaxTasks - 1, kMaxLaunches), Attempt(2, 0, 1));
  EXPECT_LT(Attempt(2, 0, kMaxLaunches), Attempt(2, 1, 1));
  EXPECT_LT(Attempt(2, 1, 1), Attempt(2, 1, 2));
  EXPECT_LT(TaskKey::Of(1, kMaxTasks - 1), TaskKey::Of(2, 0));
}

TEST(IdsTest, TextIsReadAsItIsWritten) {
  EXPECT_EQ(GraphIdToString(17), "g17");
  EXPECT_EQ(ParseGraphId("g17"), 17u);
  EXPECT_EQ(ParseGraphId(GraphIdToString(kLastGraph)), kLastGraph);
  EXPECT_EQ(AttemptIdToString(Attempt(17, 42, 1)), "g17.42.1");
  EXPECT_EQ(ParseAttemptId("g17.42.1"), Attempt(17, 42, 1));
  const AttemptId last = Attempt(kLastGraph, kMaxTasks - 1, kMaxLaunches);
  EXPECT_EQ(AttemptIdToString(last), "g4294967295.1048575.2047");
  EXPECT_EQ(ParseAttemptId(AttemptIdToString(last)), last);
}

TEST(IdsTest, OneGraphHasOneSpelling) {
  for (const char* text :
       {"", "g", "17", "G17", "g0", "g017", "g+17", "g-1", "g 17", " g17", "g17 ", "g17.", "g1.5",
        "g4294967296", "g99999999999999999999", "gg1", "g0x11", "g1e3"}) {
    EXPECT_EQ(ParseGraphId(text), std::nullopt) << '"' << text << '"';
  }
  EXPECT_EQ(ParseGraphId(absl::string_view("g17\0", 4)), std::nullopt);
}

TEST(IdsTest, OneAttemptHasOneSpelling) {
  for (const char* text :
       {"",           "g17",       "g17.42",        "g17.42.",     "g17.42.1.",
        "g17.42.1.2", "g17..1",    ".42.1",         "17.42.1",     "g0.42.1",
        "g17.042.1",  "g17.42.01", "g17.-1.1",      "g17.42.-1",   "g17.+2.1",
        "g17. 42.1",  "g17.42.1 ", "g17.1048576.1", "g17.42.2048", "g4294967296.0.1"}) {
    EXPECT_EQ(ParseAttemptId(text), std::nullopt) << '"' << text << '"';
  }
}

}  // namespace
}  // namespace kartograph::planner
