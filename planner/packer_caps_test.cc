// What accounts and graphs may hold at once.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <random>
#include <vector>

#include "planner/packer.h"

namespace kartograph::planner {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

const Resource kDb = Resource::Named("db_connections");

ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }
ResourceVector CpuDb(int64_t cores, int64_t connections) {
  return {{Resource::Cpu(), Quantity::Of(cores)}, {kDb, Quantity::Of(connections)}};
}

class PackerCapsTest : public ::testing::Test {
 protected:
  void Graph(GraphId graph, const std::string& account, const Cap& cap = {}) {
    packer_.SetAccount(graph, packer_.shares().Use(account), cap);
  }
  Packer::AgentId Agent(int64_t cores) {
    const Packer::AgentId agent = packer_.AddAgent();
    packer_.SetCapacity(agent, Cpu(cores));
    packer_.SetFree(agent, Cpu(cores));
    packer_.SetUsable(agent, true);
    return agent;
  }
  void Ready(GraphId graph, int count, const ResourceVector& consumption) {
    for (int i = 0; i < count; ++i) {
      packer_.AddReady(packer_.Intern(consumption), {0, 1, TaskKey::Of(graph, next_++)});
    }
  }
  void End(const Packer::Placement& placement) {
    if (!placement.backlog) {
      packer_.Give(placement.agent, placement.consumption);
      packer_.GivePools(placement.consumption);
    }
    packer_.Refund(placement.task.graph(), placement.consumption, placement.agent);
  }
  // The graphs of what is placed, in order.
  std::vector<GraphId> Plan() {
    std::vector<Packer::Placement> placements;
    packer_.Plan(&placements);
    std::vector<GraphId> graphs;
    for (const Packer::Placement& placement : placements) {
      graphs.push_back(placement.task.graph());
      placed_.push_back(placement);
    }
    return graphs;
  }

  Packer packer_{{{kDb, Quantity::Of(10)}}};
  std::vector<Packer::Placement> placed_;
  TaskIndex next_ = 0;
};

TEST_F(PackerCapsTest, AGraphRunsNoMoreThanItsCap) {
  Agent(10);
  Graph(1, "alice", {.running = 2});
  Ready(1, 5, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(1, 1));
  EXPECT_THAT(Plan(), IsEmpty());
  End(placed_[0]);
  EXPECT_THAT(Plan(), ElementsAre(1));
}

TEST_F(PackerCapsTest, OthersDoNotStandBehindAGraphAtItsCap) {
  Agent(10);
  Graph(1, "alice", {.running = 1});
  Graph(2, "alice");
  Graph(3, "alice", {.running = 2});
  Ready(1, 5, Cpu(1));
  Ready(2, 2, Cpu(1));
  Ready(3, 5, Cpu(1));
  EXPECT_THAT(Plan(), UnorderedElementsAre(1, 2, 2, 3, 3));
}

TEST_F(PackerCapsTest, ACapOfAResourceHoldsOnlyWhatConsumesIt) {
  Agent(20);
  Graph(1, "alice", {.resources = CpuDb(8, 3)});
  Ready(1, 5, CpuDb(1, 2));
  Ready(1, 5, Cpu(4));
  // One with connections, as three are fewer than twice two, and one with four of the seven cores
  // that are left.
  EXPECT_THAT(Plan(), ElementsAre(1, 1));
  EXPECT_EQ(packer_.holding(1).resources, CpuDb(5, 2));
  Ready(1, 5, Cpu(3));
  EXPECT_THAT(Plan(), ElementsAre(1));
}

TEST_F(PackerCapsTest, AnAccountsGraphsHaveItsCapTogether) {
  Agent(10);
  packer_.shares().SetCaps({{"alice", {.running = 3}}, {FairShare::kEverybody, {.running = 1}}});
  Graph(1, "alice");
  Graph(2, "alice", {.running = 2});
  Graph(3, "bob");
  for (GraphId graph : {1, 2, 3}) Ready(graph, 5, Cpu(1));
  const std::vector<GraphId> placed = Plan();
  EXPECT_EQ(std::count(placed.begin(), placed.end(), 3), 1);
  EXPECT_EQ(placed.size(), 4u);
  // A cap that is raised lets in what waited; one that is lowered ends nothing.
  packer_.shares().SetCaps({{"alice", {.running = 4}}});
  EXPECT_EQ(Plan().size(), 1u + 4u);
  packer_.shares().SetCaps({{"alice", {.running = 1}}});
  EXPECT_THAT(Plan(), IsEmpty());
}

TEST_F(PackerCapsTest, WhatWaitsInABacklogCounts) {
  const Packer::AgentId agent = Agent(1);
  packer_.SetBacklogRoom(agent, 10);
  Graph(1, "alice", {.running = 3});
  const Packer::ClassId consumption = packer_.Intern(Cpu(1));
  packer_.SetShort(consumption, true);
  Ready(1, 9, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(1, 1, 1));
  EXPECT_TRUE(placed_[2].backlog);
  End(placed_[2]);
  EXPECT_THAT(Plan(), ElementsAre(1));
}

TEST_F(PackerCapsTest, WhyNot) {
  Agent(10);
  packer_.shares().SetCaps({{"alice", {.resources = Cpu(3)}}});
  Graph(1, "alice", {.running = 1});
  Graph(2, "alice");
  Ready(1, 2, Cpu(2));
  const Packer::ClassId two = packer_.Intern(Cpu(2));
  EXPECT_FALSE(packer_.WhyOverCap(1, two).has_value());
  EXPECT_THAT(Plan(), ElementsAre(1));
  const auto graph = packer_.WhyOverCap(1, two);
  ASSERT_TRUE(graph.has_value());
  EXPECT_TRUE(graph->of_graph);
  EXPECT_FALSE(graph->at.resource.has_value());
  EXPECT_EQ(graph->at.held, Quantity::Of(1));
  EXPECT_EQ(graph->at.most, Quantity::Of(1));
  const auto account = packer_.WhyOverCap(2, two);
  ASSERT_TRUE(account.has_value());
  EXPECT_FALSE(account->of_graph);
  EXPECT_EQ(account->at.resource, Resource::Cpu());
  EXPECT_EQ(account->at.need, Quantity::Of(2));
  EXPECT_EQ(account->at.held, Quantity::Of(2));
  EXPECT_EQ(account->at.most, Quantity::Of(3));
}

// Offers are not kept, and no room is, for what no room would help.
TEST_F(PackerCapsTest, WhatIsAtItsCapWantsNothing) {
  Graph(1, "alice", {.running = 1});
  Ready(1, 2, Cpu(1));
  EXPECT_TRUE(packer_.AnythingWanted());
  Agent(10);
  EXPECT_THAT(Plan(), ElementsAre(1));
  EXPECT_FALSE(packer_.AnythingWanted());
  EXPECT_THAT(packer_.Wanted(), IsEmpty());
  EXPECT_FALSE(packer_.FirstReady(packer_.Intern(Cpu(1))).has_value());
  EXPECT_FALSE(packer_.PlaceOneOn(0).has_value());
  int firsts = 0;
  packer_.ForEachFirst([&](Packer::ClassId, const ReadyOrder&) { ++firsts; });
  EXPECT_EQ(firsts, 0);
}

// Whatever comes and goes, nobody holds more than a cap, and where one plan has placed all it can,
// a cap or the agents stand before everything that is left.
TEST_F(PackerCapsTest, RandomStates) {
  for (uint32_t seed = 0; seed < 100; ++seed) {
    SCOPED_TRACE(seed);
    std::mt19937 random(seed);
    const auto below = [&random](int n) { return static_cast<int>(random() % n); };
    packer_ = Packer({{kDb, Quantity::Of(10)}});
    placed_.clear();
    std::map<GraphId, Cap> caps;
    const std::vector<std::string> accounts = {"", "alice", "bob"};
    FairShare::Caps of_accounts;
    for (const std::string& account : accounts) {
      if (below(2) == 0) of_accounts[account] = {.running = 1 + below(6), .resources = Cpu(6)};
    }
    packer_.shares().SetCaps(of_accounts);
    for (GraphId graph = 1; graph <= 6; ++graph) {
      Cap& cap = caps[graph];
      if (below(2) == 0) cap.running = 1 + below(4);
      if (below(2) == 0) cap.resources = CpuDb(1 + below(5), 1 + below(5));
      Graph(graph, accounts[graph % 3], cap);
    }
    for (int i = 0; i < 3; ++i) Agent(4);
    const std::vector<ResourceVector> consumptions = {Cpu(1), Cpu(2), CpuDb(1, 2), CpuDb(2, 1)};
    for (int step = 0; step < 50; ++step) {
      for (int i = below(4); i > 0; --i) Ready(1 + below(6), 1, consumptions[below(4)]);
      for (int i = below(4); i > 0 && !placed_.empty(); --i) {
        std::swap(placed_[below(static_cast<int>(placed_.size()))], placed_.back());
        End(placed_.back());
        placed_.pop_back();
      }
      Plan();
      std::map<GraphId, Holding> graphs;
      std::map<std::string, Holding> users;
      for (const Packer::Placement& placement : placed_) {
        const GraphId graph = placement.task.graph();
        graphs[graph].Take(packer_.consumption(placement.consumption));
        users[accounts[graph % 3]].Take(packer_.consumption(placement.consumption));
      }
      const auto keeps = [](const Cap& cap, const Holding& holding) {
        return holding.running <= cap.running &&
               std::all_of(cap.resources.begin(), cap.resources.end(), [&](const auto& entry) {
                 return holding.resources.Get(entry.resource) <= entry.quantity;
               });
      };
      for (const auto& [graph, holding] : graphs) ASSERT_TRUE(keeps(caps[graph], holding));
      for (const auto& [user, holding] : users) ASSERT_TRUE(keeps(of_accounts[user], holding));
      packer_.ForEachFirst([&](Packer::ClassId id, const ReadyOrder& first) {
        const bool fits =
            packer_.MayHavePools(first, id) && packer_.BestFit(packer_.agent_part(id));
        EXPECT_FALSE(fits) << "it waits, and nothing keeps it";
      });
    }
  }
}

}  // namespace
}  // namespace kartograph::planner
