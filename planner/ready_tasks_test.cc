#include "planner/ready_tasks.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <string>
#include <vector>

#include "planner/ids.h"

namespace kartograph::planner {
namespace {

using ::testing::ElementsAre;

ReadyKey Key(GraphId graph, TaskIndex index, int32_t priority = 0, uint32_t rank = 1) {
  return {priority, rank, TaskKey::Of(graph, index)};
}

// As "graph.index", in order.
std::vector<std::string> TakeAll(ReadyTasks* tasks, ReadyTasks::ClassId consumption = 0) {
  const FairShare shares;
  std::vector<std::string> taken;
  const auto any = [](Lane) { return true; };
  while (!tasks->empty(consumption)) {
    const TaskKey first = tasks->First(shares, consumption, any)->task;
    taken.push_back(std::to_string(first.graph()) + "." + std::to_string(first.index()));
    tasks->RemoveFirst(consumption, tasks->LaneOf(first.graph()));
  }
  return taken;
}

TEST(ReadyTasksTest, PriorityGoesBeforeScoreAndScoreBeforeRank) {
  ReadyTasks tasks;
  tasks.SetScore(1, 20);
  tasks.SetScore(2, 10);
  tasks.Add(0, Key(1, 0, 0, 9));
  tasks.Add(0, Key(1, 1, 5, 1));
  tasks.Add(0, Key(2, 0, 0, 1));
  tasks.Add(0, Key(2, 1, 0, 2));
  tasks.Add(0, Key(2, 2, 0, 2));
  EXPECT_THAT(TakeAll(&tasks), ElementsAre("1.1", "2.1", "2.2", "2.0", "1.0"));
}

TEST(ReadyTasksTest, OfTheSameScoreTheOlderGraphGoesFirst) {
  ReadyTasks tasks;
  tasks.Add(0, Key(2, 0, 0, 9));
  tasks.Add(0, Key(1, 0, 0, 1));
  EXPECT_THAT(TakeAll(&tasks), ElementsAre("1.0", "2.0"));
}

TEST(ReadyTasksTest, AScoreMovesAllThatIsReadyOfAGraph) {
  ReadyTasks tasks;
  tasks.SetScore(1, 10);
  tasks.SetScore(2, 20);
  for (ReadyTasks::ClassId consumption : {0, 3}) {
    for (int32_t priority : {0, 1}) {
      tasks.Add(consumption, Key(1, 2 * consumption + static_cast<TaskIndex>(priority), priority));
      tasks.Add(consumption, Key(2, 2 * consumption + static_cast<TaskIndex>(priority), priority));
    }
  }
  tasks.SetScore(2, 5);
  EXPECT_THAT(TakeAll(&tasks, 0), ElementsAre("2.1", "1.1", "2.0", "1.0"));
  tasks.SetScore(2, 15);
  tasks.Remove(3, Key(1, 7, 1));
  EXPECT_THAT(TakeAll(&tasks, 3), ElementsAre("2.7", "1.6", "2.6"));
  EXPECT_EQ(tasks.size(), 0u);
}

TEST(ReadyTasksTest, NothingIsLeftOfGraphsThatAreGone) {
  ReadyTasks tasks;
  for (GraphId graph = 1; graph <= 1000; ++graph) {
    tasks.Add(0, Key(graph, 0));
    if (graph % 2 == 0) tasks.SetScore(graph, graph);
    tasks.Remove(0, Key(graph, 0));
    tasks.Forget(graph);
  }
  EXPECT_EQ(tasks.graphs(), 0u);
}

TEST(ReadyTasksTest, SortKeysHaveTheSameOrder) {
  std::vector<ReadyOrder> orders;
  for (int32_t priority : {-2147483647 - 1, -1, 0, 1, 2147483647}) {
    for (Score score : {Score{-5000000000}, Score{-1}, Score{0}, Score{255}, Score{256}}) {
      for (GraphId graph : {1u, 256u}) {
        for (uint32_t rank : {0u, 1u, 70000u}) {
          orders.push_back({priority, score, rank, TaskKey::Of(graph, 3)});
        }
      }
    }
  }
  for (const ReadyOrder& a : orders) {
    for (const ReadyOrder& b : orders) EXPECT_EQ(a < b, SortKey(a) < SortKey(b));
  }
}

TEST(ReadyTasksTest, IsInOrderWhateverHappens) {
  std::mt19937 random(7);
  const auto draw = [&random](uint32_t below) { return static_cast<uint32_t>(random() % below); };
  for (int run = 0; run < 50; ++run) {
    const FairShare shares;
    ReadyTasks tasks;
    std::vector<std::pair<ReadyTasks::ClassId, ReadyKey>> all;
    std::map<GraphId, Score> scores;
    for (TaskIndex step = 0; step < 300; ++step) {
      const uint32_t what = draw(4);
      if (what == 0) {
        const GraphId graph = 1 + draw(5);
        scores[graph] = draw(10);
        tasks.SetScore(graph, scores[graph]);
      } else if (what == 1 && !all.empty()) {
        std::swap(all[draw(static_cast<uint32_t>(all.size()))], all.back());
        tasks.Remove(all.back().first, all.back().second);
        all.pop_back();
      } else {
        all.emplace_back(draw(3), Key(1 + draw(5), step, static_cast<int32_t>(draw(2)), draw(3)));
        tasks.Add(all.back().first, all.back().second);
      }
      ASSERT_EQ(tasks.size(), all.size());
      for (ReadyTasks::ClassId consumption = 0; consumption < 3; ++consumption) {
        std::vector<ReadyOrder> expected;
        for (const auto& [of, key] : all) {
          if (of != consumption) continue;
          expected.push_back({key.priority, scores[key.task.graph()], key.rank, key.task});
        }
        ASSERT_EQ(tasks.empty(consumption), expected.empty());
        if (expected.empty()) continue;
        ASSERT_EQ(tasks.First(shares, consumption, [](Lane) { return true; }),
                  *std::min_element(expected.begin(), expected.end()));
      }
    }
  }
}

}  // namespace
}  // namespace kartograph::planner
