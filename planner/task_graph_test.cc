#include "planner/task_graph.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "planner/path_ranks.h"

namespace kartograph::planner {
namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

struct Task {
  std::string name;
  std::vector<std::string> after;
};

struct Found {
  std::optional<Adjacency> predecessors;
  std::vector<Problem> problems;
};

Found Find(const std::vector<Task>& tasks) {
  std::vector<TaskNode> nodes;
  nodes.reserve(tasks.size());
  std::vector<std::vector<absl::string_view>> after;
  after.reserve(tasks.size());
  for (const Task& task : tasks) {
    nodes.push_back({task.name, after.emplace_back(task.after.begin(), task.after.end())});
  }
  Found found;
  found.predecessors = FindPredecessors(nodes, &found.problems);
  return found;
}

std::vector<std::vector<TaskIndex>> Lists(const Adjacency& adjacency) {
  std::vector<std::vector<TaskIndex>> lists;
  for (TaskIndex i = 0; i < adjacency.size(); ++i) {
    lists.emplace_back(adjacency[i].begin(), adjacency[i].end());
  }
  return lists;
}

// How many tasks the longest path from each to the end holds.
std::vector<uint32_t> TasksAhead(const Adjacency& successors) {
  return PathRanks(successors, std::vector<double>(successors.size(), 1), 1);
}

// The path of names in a problem that is about a cycle; empty for other problems.
std::vector<std::string> CycleIn(const Problem& problem) {
  const std::string begin = "is part of a cycle, ";
  if (problem.message.rfind(begin, 0) != 0) return {};
  const std::string path = problem.message.substr(begin.size());
  return absl::StrSplit(path.substr(0, path.find(';')), " -> ");
}

// t0, t1 after t0, t2 after t1, ...; and t0 after the last if it is to be a cycle.
std::vector<Task> Chain(int n, bool cycle = false) {
  std::vector<Task> tasks;
  for (int i = 0; i < n; ++i) {
    tasks.push_back({absl::StrCat("t", i), {}});
    if (i > 0) tasks.back().after = {absl::StrCat("t", i - 1)};
  }
  if (cycle) tasks[0].after = {absl::StrCat("t", n - 1)};
  return tasks;
}

TEST(TaskGraphTest, GivesThePredecessorsOfADiamond) {
  const Found found = Find({{"a", {}}, {"b", {"a"}}, {"c", {"a"}}, {"d", {"c", "b"}}});
  EXPECT_THAT(found.problems, IsEmpty());
  ASSERT_TRUE(found.predecessors);
  EXPECT_THAT(Lists(*found.predecessors),
              ElementsAre(IsEmpty(), ElementsAre(0), ElementsAre(0), ElementsAre(1, 2)));
  EXPECT_THAT(Lists(found.predecessors->Reversed()),
              ElementsAre(ElementsAre(1, 2), ElementsAre(3), ElementsAre(3), IsEmpty()));
}

TEST(TaskGraphTest, TasksMayNameWhatIsSubmittedLater) {
  const Found found = Find({{"last", {"first"}}, {"first", {}}});
  ASSERT_TRUE(found.predecessors);
  EXPECT_THAT(Lists(*found.predecessors), ElementsAre(ElementsAre(1), IsEmpty()));
}

TEST(TaskGraphTest, ATaskNamedTwiceCountsOnce) {
  const Found found = Find({{"a", {}}, {"b", {"a", "a", "a"}}});
  ASSERT_TRUE(found.predecessors);
  EXPECT_THAT(Lists(*found.predecessors), ElementsAre(IsEmpty(), ElementsAre(0)));
}

TEST(TaskGraphTest, NothingIsAGraphToo) {
  const Found found = Find({});
  ASSERT_TRUE(found.predecessors);
  EXPECT_EQ(found.predecessors->size(), 0u);
  EXPECT_THAT(TasksAhead(found.predecessors->Reversed()), IsEmpty());
}

TEST(TaskGraphTest, TellsEveryRepeatedName) {
  const Found found = Find({{"a", {}}, {"b", {}}, {"a", {}}, {"b", {}}, {"a", {}}});
  EXPECT_FALSE(found.predecessors);
  ASSERT_THAT(found.problems, SizeIs(3));
  EXPECT_EQ(found.problems[0].field, "tasks[2].name");
  EXPECT_EQ(found.problems[0].value, "a");
  EXPECT_THAT(found.problems[0].message, HasSubstr("tasks[0]"));
  EXPECT_EQ(found.problems[1].field, "tasks[3].name");
  EXPECT_EQ(found.problems[2].field, "tasks[4].name");
}

TEST(TaskGraphTest, TellsEveryUnknownName) {
  const Found found = Find({{"a", {"x"}}, {"b", {"a", "y"}}});
  EXPECT_FALSE(found.predecessors);
  ASSERT_THAT(found.problems, SizeIs(2));
  EXPECT_EQ(found.problems[0],
            (Problem{"tasks[\"a\"].after", "x", "no task of the graph has this name"}));
  EXPECT_EQ(found.problems[1].field, "tasks[\"b\"].after");
  EXPECT_EQ(found.problems[1].value, "y");
}

TEST(TaskGraphTest, ATaskCannotComeAfterItself) {
  const Found found = Find({{"a", {"a"}}});
  EXPECT_FALSE(found.predecessors);
  ASSERT_THAT(found.problems, SizeIs(1));
  EXPECT_THAT(found.problems[0].message,
              AllOf(HasSubstr("a -> a"), HasSubstr("cannot come after itself")));
}

TEST(TaskGraphTest, TellsACycleAsAPathThatBeginsWithTheTaskSubmittedFirst) {
  // The path leads in the order of running: b comes after a.
  const Found found = Find({{"x", {"c"}}, {"b", {"a"}}, {"a", {"c"}}, {"c", {"b"}}});
  EXPECT_FALSE(found.predecessors);
  ASSERT_THAT(found.problems, SizeIs(1));
  EXPECT_EQ(found.problems[0].field, "tasks[\"b\"].after");
  EXPECT_THAT(CycleIn(found.problems[0]), ElementsAre("b", "c", "a", "b"));
}

TEST(TaskGraphTest, TellsOneCycleOfEachKnot) {
  // Two strongly connected components; the second holds two cycles that share d. x is in neither.
  const Found found = Find({{"a", {"b"}},
                            {"b", {"a"}},
                            {"x", {"a", "d"}},
                            {"c", {"d"}},
                            {"d", {"c", "e"}},
                            {"e", {"d", "b"}}});
  ASSERT_THAT(found.problems, SizeIs(2));
  EXPECT_THAT(CycleIn(found.problems[0]), ElementsAre("a", "b", "a"));
  EXPECT_THAT(CycleIn(found.problems[1]), ElementsAre("c", "d", "c"));
}

TEST(TaskGraphTest, ShortensALongCycle) {
  const Found found = Find(Chain(30, true));
  ASSERT_THAT(found.problems, SizeIs(1));
  EXPECT_THAT(found.problems[0].message,
              AllOf(HasSubstr("cycle, t0 -> t1 -> "), HasSubstr("t9 -> (11 more) -> t21 -> "),
                    HasSubstr("t29 -> t0;")));
  EXPECT_THAT(CycleIn(Find(Chain(19, true)).problems[0]), SizeIs(20)) << "not one too early";
}

TEST(TaskGraphTest, TellsAllKindsOfProblemsAtOnce) {
  const Found found =
      Find({{"a", {"b"}}, {"b", {"a"}}, {"c", {"nobody"}}, {"c", {}}, {"d", {"d"}}});
  EXPECT_FALSE(found.predecessors);
  std::vector<std::string> fields;
  for (const Problem& problem : found.problems) fields.push_back(problem.field);
  EXPECT_THAT(fields, testing::UnorderedElementsAre("tasks[3].name", "tasks[\"c\"].after",
                                                    "tasks[\"d\"].after", "tasks[\"a\"].after"));
}

TEST(TaskGraphTest, AddsToTheProblemsThatThereAre) {
  std::vector<Problem> problems = {{"before", "", ""}};
  const std::vector<absl::string_view> none;
  EXPECT_TRUE(FindPredecessors({{"a", none}}, &problems)) << "problems of others are not its own";
  EXPECT_FALSE(FindPredecessors({{"a", none}, {"a", none}}, &problems));
  EXPECT_THAT(problems, SizeIs(2));
  EXPECT_EQ(problems[0].field, "before");
}

TEST(TaskGraphTest, AChainOfTwoHundredThousandTasksNeedsNoDeepStack) {
  constexpr int kTasks = 200000;
  for (bool last_first : {false, true}) {
    std::vector<Task> tasks = Chain(kTasks);
    if (last_first) std::reverse(tasks.begin(), tasks.end());
    const Found found = Find(tasks);
    ASSERT_TRUE(found.predecessors);
    const std::vector<uint32_t> rank = TasksAhead(found.predecessors->Reversed());
    EXPECT_EQ(rank[0], last_first ? 1u : kTasks);
    EXPECT_EQ(rank[kTasks - 1], last_first ? kTasks : 1u);
  }
  const Found cycle = Find(Chain(kTasks, true));
  ASSERT_THAT(cycle.problems, SizeIs(1));
  EXPECT_LT(cycle.problems[0].message.size(), 500u);
}

TEST(AdjacencyTest, GrowsTaskByTask) {
  Adjacency grown;
  grown.Append({});
  grown.Append(std::vector<TaskIndex>{0});
  grown.Append(std::vector<TaskIndex>{0, 1});
  EXPECT_EQ(grown.size(), 3u);
  EXPECT_EQ(grown.edges(), 3u);
  EXPECT_THAT(Lists(grown), ElementsAre(IsEmpty(), ElementsAre(0), ElementsAre(0, 1)));
  const std::vector<std::vector<TaskIndex>> lists = {{}, {0}, {0, 1}};
  EXPECT_EQ(Lists(Adjacency(lists)), lists);
  EXPECT_EQ(Lists(grown.Reversed().Reversed()), lists);
}

// --- against a check by brute force ---

struct Matrix {
  explicit Matrix(int n) : n(n), edge(n, std::vector<bool>(n)) {}
  int n;
  std::vector<std::vector<bool>> edge;  // [a][b]: b comes after a

  std::vector<std::vector<bool>> Reach() const {
    std::vector<std::vector<bool>> reach = edge;
    for (int k = 0; k < n; ++k) {
      for (int i = 0; i < n; ++i) {
        for (int j = 0; j < n; ++j) {
          if (reach[i][k] && reach[k][j]) reach[i][j] = true;
        }
      }
    }
    return reach;
  }
  uint32_t Rank(int task) const {
    uint32_t rank = 1;
    for (int next = 0; next < n; ++next) {
      if (edge[task][next]) rank = std::max(rank, 1 + Rank(next));
    }
    return rank;
  }
};

void CheckKnots(const Matrix& matrix, const Found& found) {
  const auto reach = matrix.Reach();
  std::set<std::set<int>> components;
  for (int i = 0; i < matrix.n; ++i) {
    std::set<int> component;
    for (int j = 0; j < matrix.n; ++j) {
      if (reach[i][j] && reach[j][i]) component.insert(j);
    }
    if (!component.empty()) components.insert(component);
  }
  EXPECT_EQ(found.problems.size(), components.size());
  EXPECT_EQ(found.predecessors.has_value(), components.empty());
  for (const Problem& problem : found.problems) {
    const std::vector<std::string> path = CycleIn(problem);
    ASSERT_GE(path.size(), 3u) << problem.message;
    EXPECT_EQ(path.front(), path.back());
    for (size_t i = 1; i < path.size(); ++i) {
      EXPECT_TRUE(matrix.edge[std::stoi(path[i - 1])][std::stoi(path[i])]) << problem.message;
    }
    const int start = std::stoi(path.front());
    const auto component = std::find_if(components.begin(), components.end(),
                                        [&](const std::set<int>& k) { return k.contains(start); });
    ASSERT_NE(component, components.end())
        << "a second cycle of one component: " << problem.message;
    components.erase(component);
  }
}

TEST(TaskGraphTest, AgreesWithBruteForceOnRandomGraphs) {
  for (uint64_t seed = 0; seed < 3000; ++seed) {
    SCOPED_TRACE(absl::StrCat("seed ", seed));
    std::mt19937_64 random(seed);
    Matrix matrix(1 + static_cast<int>(random() % 9));
    const uint64_t density = 1 + random() % 10;
    const bool acyclic = random() % 2 == 0;
    std::vector<Task> tasks(matrix.n);
    for (int i = 0; i < matrix.n; ++i) {
      tasks[i].name = absl::StrCat(i);
      for (int before = 0; before < matrix.n; ++before) {
        if (before == i || (acyclic && before > i) || random() % 20 >= density) continue;
        matrix.edge[before][i] = true;
        tasks[i].after.push_back(absl::StrCat(before));
      }
      std::shuffle(tasks[i].after.begin(), tasks[i].after.end(), random);
    }
    const Found found = Find(tasks);
    CheckKnots(matrix, found);
    if (found.predecessors) {
      const std::vector<uint32_t> rank = TasksAhead(found.predecessors->Reversed());
      for (int i = 0; i < matrix.n; ++i) {
        EXPECT_EQ(rank[i], matrix.Rank(i));
        std::vector<TaskIndex> expected;
        for (int before = 0; before < matrix.n; ++before) {
          if (matrix.edge[before][i]) expected.push_back(static_cast<TaskIndex>(before));
        }
        EXPECT_EQ(Lists(*found.predecessors)[i], expected);
      }
    }
    if (HasFailure()) return;
  }
}

}  // namespace
}  // namespace kartograph::planner
