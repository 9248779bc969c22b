#include "scheduler/order_search.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <atomic>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "executor/simulated/simulated_cluster.h"
#include "planner/one_pass_order.h"
#include "scheduler/testing/builders.h"
#include "scheduler/testing/memory_history.h"
#include "scheduler/testing/simulation.h"

namespace kartograph::scheduler {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::TaskIndex;

// Tasks of a core each that take so many seconds, as their graph says.
Graph Independent(const std::vector<int>& seconds) {
  std::vector<Task> tasks;
  for (size_t i = 0; i < seconds.size(); ++i) {
    tasks.push_back(Task(absl::StrCat("t", i)).Expected(absl::Seconds(seconds[i])));
  }
  return Graph(tasks);
}

struct Course {
  absl::Duration makespan;
  std::vector<std::string> launches;
};

// Runs the graph on an agent of two cores, in virtual time, and checks after each batch that
// nothing waits that could run.
Course RunOnTwoCores(const Graph& graph, const std::vector<int>& seconds, int64_t schedules,
                     size_t search_tasks = 3000) {
  executor::SimulatedClusterOptions options;
  options.agents.push_back({{Resource::Cpu(), Quantity::Of(2)}});
  options.lease = true;
  executor::SimulatedCluster cluster(options, [&seconds](planner::AttemptId id) {
    return executor::SimulatedRun{absl::Seconds(seconds[id.task().index()])};
  });
  SchedulerOptions scheduling;
  scheduling.search_schedules = schedules;
  scheduling.search_tasks = search_tasks;
  MemoryHistory history;
  Simulation simulation(scheduling, &history, &history, &cluster);
  Course run;
  simulation.crashing().Observe(
      [&run](absl::Span<const executor::Launch> launches) {
        for (const executor::Launch& launch : launches) run.launches.push_back(launch.task_name);
      },
      [](const std::vector<executor::OfferId>&) {});
  simulation.AfterEachBatch([](const Core& core) {
    EXPECT_TRUE(core.CheckInvariants().ok());
    if (core.capacity().empty()) return;
    EXPECT_TRUE(core.ready_tasks() == 0 || core.live_attempts() == 2) << "something could start";
  });
  // The agent is there first.
  while (simulation.engine().core().capacity().empty() && simulation.Step()) {
  }
  const absl::Time begin = cluster.now();
  bool accepted = false;
  simulation.engine().Apply(SubmitGraph{"", Prepare(graph.Get(), &simulation.engine().usage())},
                            simulation.now(),
                            [&](const absl::StatusOr<Reply>& reply) { accepted = reply.ok(); });
  simulation.EndBatch();
  EXPECT_TRUE(accepted);
  absl::Time end = begin;
  while (!simulation.engine().core().LiveGraphs().empty() && simulation.Step()) {
    end = cluster.now();
  }
  run.makespan = end - begin;
  return run;
}

// The longest first leaves a core idle at the end; what is found here does not, although it never
// keeps anything back.
TEST(OrderSearchTest, AGraphEndsSoonerInTheOrderThatIsFound) {
  const std::vector<int> seconds = {3, 3, 2, 2, 2};
  EXPECT_EQ(RunOnTwoCores(Independent(seconds), seconds, 0).makespan, absl::Seconds(7));
  const Course searched = RunOnTwoCores(Independent(seconds), seconds, 200);
  EXPECT_EQ(searched.makespan, absl::Seconds(6));
  // The same again.
  EXPECT_EQ(RunOnTwoCores(Independent(seconds), seconds, 200).launches, searched.launches);
  // And in a few passes, for graphs that are too large for a search.
  EXPECT_LE(RunOnTwoCores(Independent(seconds), seconds, 200, 3).makespan, absl::Seconds(7));
}

TEST(OrderSearchTest, NoGraphEndsLaterThanInItsFirstOrder) {
  std::mt19937_64 random(17);
  for (int round = 0; round < 30; ++round) {
    std::vector<int> seconds;
    std::vector<Task> tasks;
    const int size = 3 + static_cast<int>(random() % 12);
    for (int i = 0; i < size; ++i) {
      seconds.push_back(1 + static_cast<int>(random() % 9));
      tasks.push_back(Task(absl::StrCat("t", i)).Expected(absl::Seconds(seconds.back())));
      std::vector<std::string> after;
      for (int before = 0; before < i; ++before) {
        if (random() % 6 == 0) after.push_back(absl::StrCat("t", before));
      }
      tasks.back().After(after).Needs(Cpu(1));
    }
    const Graph graph(tasks);
    EXPECT_LE(RunOnTwoCores(graph, seconds, 100).makespan,
              RunOnTwoCores(graph, seconds, 0).makespan);
  }
}

GraphProject Machines(const std::vector<int64_t>& durations) {
  GraphProject made;
  made.project.durations = durations;
  made.project.capacities = {2};
  for (TaskIndex i = 0; i < durations.size(); ++i) {
    made.project.successors.Append({});
    made.project.demands.push_back(1);
    made.tasks.push_back(10 * i);
    made.first_order.push_back(i);
  }
  return made;
}

TEST(OrderSearchTest, AnOrderIsOneOfTheGraphsTasksAndTheSameForTheSameSeed) {
  const GraphProject made = Machines({3, 3, 2, 2, 2});
  const std::atomic<bool> give_up = false;
  const auto order = FindOrder(made, 200, 100, 7, give_up);
  ASSERT_TRUE(order.has_value());
  EXPECT_THAT(*order, ::testing::UnorderedElementsAre(0, 10, 20, 30, 40));
  EXPECT_EQ(FindOrder(made, 200, 100, 7, give_up), order);
}

TEST(OrderSearchTest, WhatIsGivenUpOrCannotBeBetterHasNoOrder) {
  std::atomic<bool> give_up = true;
  EXPECT_EQ(FindOrder(Machines({3, 3, 2, 2, 2}), 200, 100, 7, give_up), std::nullopt);
  give_up = false;
  EXPECT_EQ(FindOrder(Machines({3, 3, 2, 2}), 200, 100, 7, give_up), std::nullopt);
  EXPECT_EQ(FindOrder(Machines({3, 3, 2, 2}), 200, 3, 7, give_up), std::nullopt);
}

// Keeps its jobs.
class HeldBackground : public Background {
 public:
  void Run(Lane lane, const Instant&, Job job) override {
    EXPECT_EQ(lane, kSearch);
    jobs.push_back(std::move(job));
  }
  void RunOne(const Instant& now) {
    Job job = std::move(jobs.front());
    jobs.erase(jobs.begin());
    job.work();
    job.then(now);
  }
  std::vector<Job> jobs;
};

class QueueOfSearchesTest : public ::testing::Test {
 protected:
  planner::GraphId Submit(Graph graph) {
    Step step;
    return *core_.SubmitGraph(Prepare(graph.Get()), {now_, step});
  }
  void Connect() {
    Step step;
    core_.OnClusterEvent(executor::Connected{}, {now_, step});
    executor::Offer offer;
    offer.id = offer.agent = "m";
    offer.resources = Cpu(2);
    offer.lease = true;
    core_.OnClusterEvent(std::move(offer), {now_, step});
  }
  void Advance() {
    search_.Advance(core_, now_,
                    [this](planner::GraphId graph, const std::vector<TaskIndex>&, const Instant&) {
                      found_.push_back(graph);
                    });
  }

  const Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(1)), absl::FromUnixSeconds(17e8)};
  Core core_{CoreOptions(), {}};
  HeldBackground background_;
  OrderSearch search_{200, 3000, &background_};
  std::vector<planner::GraphId> found_;
};

TEST_F(QueueOfSearchesTest, OneGraphIsSearchedForAtATimeOnceThereAreAgents) {
  const planner::GraphId first = Submit(Independent({3, 3, 2, 2, 2}));
  const planner::GraphId gone = first + 100;
  const planner::GraphId open = Submit(Graph(Independent({3, 3, 2, 2, 2})).Open());
  const planner::GraphId second = Submit(Independent({3, 3, 2, 2, 2}));
  for (planner::GraphId graph : {first, gone, open, second}) search_.Add(graph);
  Advance();
  EXPECT_TRUE(background_.jobs.empty()) << "nobody knows what there is";
  Connect();
  Advance();
  Advance();
  ASSERT_EQ(background_.jobs.size(), 1u);
  background_.RunOne(now_);
  Advance();
  ASSERT_EQ(background_.jobs.size(), 1u);
  background_.RunOne(now_);
  Advance();
  EXPECT_TRUE(background_.jobs.empty());
  EXPECT_THAT(found_, ::testing::ElementsAre(first, second));
}

TEST_F(QueueOfSearchesTest, ACancelledGraphAndTheEndDropOut) {
  Connect();
  const planner::GraphId first = Submit(Independent({3, 3, 2, 2, 2}));
  search_.Add(first);
  Advance();
  Step step;
  ASSERT_TRUE(core_.CancelGraph(first, {now_, step}).ok());
  Advance();
  background_.RunOne(now_);
  search_.Add(Submit(Independent({3, 3, 2, 2, 2})));
  Advance();
  search_.Stop();
  background_.RunOne(now_);
  EXPECT_TRUE(found_.empty());
}

TEST_F(QueueOfSearchesTest, OnlySoManyWait) {
  for (size_t i = 0; i < 2 * OrderSearch::kMostWaiting; ++i) search_.Add(1);
  EXPECT_EQ(search_.waiting(), OrderSearch::kMostWaiting);
}

// Where nothing is scarce, no order is better than another.
TEST_F(QueueOfSearchesTest, WhatFitsAllAtOnceIsNotSearchedFor) {
  Connect();
  search_.Add(Submit(
      Graph({Task("a").Needs(Cpu(0.5)), Task("b").Needs(Cpu(0.5)), Task("c").Needs(Cpu(1))})));
  search_.Add(Submit(Independent({1, 2})));
  Advance();
  EXPECT_TRUE(background_.jobs.empty());
  EXPECT_EQ(search_.waiting(), 0u);
}

}  // namespace
}  // namespace kartograph::scheduler
