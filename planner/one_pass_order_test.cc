#include "planner/one_pass_order.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cstdint>
#include <vector>

#include "planner/testing/random_project.h"

namespace kartograph::planner {
namespace {

TEST(OnePassOrderTest, TheLongestRemainingPathByDurationGoesFirst) {
  const Project project = {{1, 1, 9, 2}, Adjacency({{2}, {3}, {}, {}}), {1}, {1, 1, 1, 1}};
  EXPECT_EQ(LatestFinishOrder(project), (std::vector<TaskIndex>{0, 1, 2, 3}));
  EXPECT_EQ(Dispatch(project, LatestFinishOrder(project)).starts,
            (std::vector<int64_t>{0, 1, 2, 11}));
}

TEST(OnePassOrderTest, WeighsHowScarceWhatIsConsumedIs) {
  // Task 0 has the longest path after it. But 1 to 4, which need the machine one after another,
  // wait for 5, and together take longer: 5 has to go first.
  const Project project = {{2, 4, 4, 4, 4, 2, 5},
                           Adjacency({{6}, {}, {}, {}, {}, {1, 2, 3, 4}, {}}),
                           {1, 1},
                           {1, 0, 0, 1, 0, 1, 0, 1, 0, 1, 1, 0, 0, 0}};
  EXPECT_EQ(Dispatch(project, LatestFinishOrder(project)).makespan, 20);
  EXPECT_EQ(Dispatch(project, OnePassOrder(project)).makespan, 18);
}

TEST(OnePassOrderTest, ALargeGraphOfDistinctConsumptionsHasThePlainRule) {
  RandomProjectOptions options;
  options.tasks = 40'000;
  options.capacity = 1'000'000'000;
  const Project project = RandomProject(1, options);
  EXPECT_EQ(OnePassOrder(project), LatestFinishOrder(project));
}

TEST(OnePassOrderTest, HoldsEveryTaskOnceAndIsNoWorseThanTheRule) {
  for (uint64_t seed = 1; seed <= 200; ++seed) {
    RandomProjectOptions options;
    options.tasks = seed % 60;
    const Project project = RandomProject(seed, options);
    std::vector<TaskIndex> order = OnePassOrder(project);
    const Schedule schedule = Dispatch(project, order);
    EXPECT_TRUE(CheckSchedule(project, schedule).ok()) << "seed " << seed;
    EXPECT_LE(schedule.makespan, Dispatch(project, LatestFinishOrder(project)).makespan);
    std::sort(order.begin(), order.end());
    ASSERT_EQ(order.size(), project.size());
    for (TaskIndex task = 0; task < order.size(); ++task) EXPECT_EQ(order[task], task);
  }
}

}  // namespace
}  // namespace kartograph::planner
