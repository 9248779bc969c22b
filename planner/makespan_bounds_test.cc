#include "planner/makespan_bounds.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "planner/one_pass_order.h"
#include "planner/testing/random_project.h"

namespace kartograph::planner {
namespace {

TEST(MakespanBoundsTest, FindsTheCriticalPath) {
  //   0 (1) --> 1 (5) --> 3 (1)
  //         '-> 2 (3) -'
  const Project project = {{1, 5, 3, 1}, Adjacency({{1, 2}, {3}, {3}, {}}), {}, {}};
  EXPECT_EQ(CriticalPath(project), (std::vector<TaskIndex>{0, 1, 3}));
  EXPECT_EQ(FindMakespanBounds(project).critical_path, 7);
  EXPECT_EQ(FindMakespanBounds(project).Best(), 7);
  EXPECT_TRUE(CriticalPath(Project()).empty());
}

TEST(MakespanBoundsTest, CountsTheEnergyOfEachResource) {
  const Project project = {{4, 4, 4}, Adjacency({{}, {}, {}}), {3, 9}, {2, 1, 2, 1, 2, 1}};
  const MakespanBounds bounds = FindMakespanBounds(project);
  EXPECT_EQ(bounds.critical_path, 4);
  EXPECT_EQ(bounds.resources, (std::vector<int64_t>{8, 2}));
  EXPECT_EQ(bounds.Best(), 8);
}

TEST(MakespanBoundsTest, AddsWhatComesBeforeAndAfterAResourcesTasks) {
  // The middle ones share a machine, after 0 and before 3.
  const Project project = {{10, 4, 4, 20}, Adjacency({{1, 2}, {3}, {3}, {}}), {1}, {0, 1, 1, 0}};
  EXPECT_EQ(FindMakespanBounds(project).resources, (std::vector<int64_t>{38}));
}

TEST(MakespanBoundsTest, AreNeverAboveASchedule) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    const Project project = RandomProject(seed);
    const MakespanBounds bounds = FindMakespanBounds(project);
    EXPECT_LE(bounds.Best(), Dispatch(project, OnePassOrder(project)).makespan) << "seed " << seed;
    int64_t length = 0;
    const std::vector<TaskIndex> path = CriticalPath(project);
    for (size_t i = 0; i < path.size(); ++i) {
      length += project.durations[path[i]];
      if (i == 0) continue;
      const auto next = project.successors[path[i - 1]];
      EXPECT_NE(std::find(next.begin(), next.end(), path[i]), next.end());
    }
    EXPECT_EQ(length, bounds.critical_path) << "seed " << seed;
  }
}

}  // namespace
}  // namespace kartograph::planner
