#include "planner/path_ranks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <random>
#include <vector>

namespace kartograph::planner {
namespace {

using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

Adjacency Successors(const std::vector<std::vector<TaskIndex>>& lists) { return Adjacency(lists); }

TEST(PathRanksTest, TheLongestPathByLengthGoesFirst) {
  //  a -> b -> c -> d,  a -> d,  e -> d,  f
  const Adjacency successors = Successors({{1, 3}, {2}, {3}, {}, {3}, {}});
  EXPECT_THAT(PathRanks(successors, std::vector<double>(6, 1), 1), ElementsAre(4, 3, 2, 1, 2, 1));
  EXPECT_THAT(PathRanks(successors, {1, 1, 1, 5, 10, 100}, 1), ElementsAre(8, 7, 6, 5, 15, 100));
  EXPECT_THAT(PathRanks(successors, {1, 1, 1, 5, 10, 100}, 0.5),
              ElementsAre(16, 14, 12, 10, 30, 200));
  EXPECT_THAT(PathRanks(Adjacency(), {}, 1), IsEmpty());
}

TEST(PathRanksTest, WhatComesLaterHasALowerRankHoweverShortItIs) {
  const Adjacency chain = Successors({{1}, {2}, {3}, {}});
  EXPECT_THAT(PathRanks(chain, {0, 0, 0.001, 0}, 1), ElementsAre(4, 3, 2, 1));
  std::mt19937_64 random(11);
  for (int round = 0; round < 50; ++round) {
    constexpr TaskIndex kTasks = 60;
    std::vector<std::vector<TaskIndex>> lists(kTasks);
    std::vector<double> lengths;
    for (TaskIndex task = 0; task < kTasks; ++task) {
      // Edges lead backward, so that the order of the indexes is of no use.
      for (TaskIndex next = 0; next < task; ++next) {
        if (random() % 8 == 0) lists[task].push_back(next);
      }
      lengths.push_back(static_cast<double>(random() % 1000) / 300);
    }
    const Adjacency successors(lists);
    const std::vector<uint32_t> ranks = PathRanks(successors, lengths, 1);
    for (TaskIndex task = 0; task < kTasks; ++task) {
      for (TaskIndex next : successors[task]) EXPECT_GT(ranks[task], ranks[next]);
    }
  }
}

TEST(PathRanksTest, TheUnitGrowsWhereAPathIsVeryLong) {
  const Adjacency chain = Successors({{1}, {}});
  double unit = 1;
  EXPECT_THAT(PathRanksThatFit(chain, {5, 5}, &unit), ElementsAre(10, 5));
  EXPECT_EQ(unit, 1);
  EXPECT_THAT(PathRanksThatFit(chain, {1e15, 1e15}, &unit), ElementsAre(1u << 31, 1u << 30));
  EXPECT_GT(unit, 1);
  EXPECT_THAT(PathRanks(chain, {1e15, 1e15}, unit), ElementsAre(1u << 31, 1u << 30));
  // Even with too small a unit a rank is one.
  EXPECT_THAT(PathRanks(chain, {1e15, 1e15}, 1), Each(UINT32_MAX));
}

TEST(PathRanksTest, AnOrderIsPutOnTheRanksThatThereAre) {
  EXPECT_THAT(RanksInOrder({3, 9, 5}), ElementsAre(9, 5, 3));
  EXPECT_THAT(RanksInOrder({4, 4, 1, 4}), ElementsAre(6, 5, 4, 1));
  EXPECT_THAT(RanksInOrder({}), IsEmpty());
  EXPECT_THAT(RanksInOrder({UINT32_MAX, UINT32_MAX}), ElementsAre(UINT32_MAX, UINT32_MAX));
}

}  // namespace
}  // namespace kartograph::planner
