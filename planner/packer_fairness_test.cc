// Which account's tasks are placed.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <map>
#include <string>
#include <vector>

#include "planner/packer.h"

namespace kartograph::planner {
namespace {

using ::testing::ElementsAre;

const Resource kDb = Resource::Named("db_connections");

ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }
ResourceVector CpuDb(int64_t cores, int64_t connections) {
  return {{Resource::Cpu(), Quantity::Of(cores)}, {kDb, Quantity::Of(connections)}};
}

constexpr GraphId kAlice = 1;
constexpr GraphId kBob = 2;

class PackerFairnessTest : public ::testing::Test {
 protected:
  PackerFairnessTest() {
    packer_.SetAccount(kAlice, packer_.shares().Use("alice"));
    packer_.SetAccount(kBob, packer_.shares().Use("bob"));
  }
  void Agent(int64_t cores) {
    const Packer::AgentId agent = packer_.AddAgent();
    packer_.SetCapacity(agent, Cpu(cores));
    packer_.SetFree(agent, Cpu(cores));
    packer_.SetUsable(agent, true);
  }
  void Ready(GraphId graph, int count, const ResourceVector& consumption, int32_t priority = 0) {
    for (int i = 0; i < count; ++i) {
      packer_.AddReady(packer_.Intern(consumption), {priority, 1, TaskKey::Of(graph, next_++)});
    }
  }
  void End(const Packer::Placement& placement) {
    packer_.Give(placement.agent, placement.consumption);
    packer_.GivePools(placement.consumption);
    packer_.Refund(placement.task.graph(), placement.consumption, placement.agent);
  }
  // The graphs of what is placed, in order.
  std::vector<GraphId> Plan() {
    placed_.clear();
    packer_.AdvanceShares(now_);
    packer_.Plan(&placed_);
    std::vector<GraphId> graphs;
    for (const Packer::Placement& placement : placed_) graphs.push_back(placement.task.graph());
    return graphs;
  }

  SteadyTime now_;
  Packer packer_{{{kDb, Quantity::Of(10)}}};
  std::vector<Packer::Placement> placed_;
  TaskIndex next_ = 0;
};

TEST_F(PackerFairnessTest, OnePlanSharesWhatIsFree) {
  Agent(6);
  Ready(kAlice, 100, Cpu(1));
  Ready(kBob, 2, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(kAlice, kBob, kAlice, kBob, kAlice, kAlice));
}

TEST_F(PackerFairnessTest, APriorityIsAmongOnesOwn) {
  Agent(4);
  Ready(kAlice, 10, Cpu(1), 1000);
  Ready(kBob, 10, Cpu(1), -5);
  Ready(kBob, 1, Cpu(1), 5);
  EXPECT_THAT(Plan(), ElementsAre(kAlice, kBob, kAlice, kBob));
  EXPECT_EQ(placed_[1].task.index(), 20u);
}

TEST_F(PackerFairnessTest, WeightsAreMultiples) {
  packer_.shares().SetWeights({{"alice", 3}});
  Agent(8);
  Ready(kAlice, 100, Cpu(1));
  Ready(kBob, 100, Cpu(1));
  std::map<GraphId, int> count;
  for (const GraphId graph : Plan()) ++count[graph];
  EXPECT_EQ(count[kAlice], 6);
  EXPECT_EQ(count[kBob], 2);
}

TEST_F(PackerFairnessTest, APoolIsAResourceAmongOthers) {
  Agent(100);
  Ready(kAlice, 100, CpuDb(1, 1));  // a tenth of the pool each
  Ready(kBob, 100, Cpu(5));         // a twentieth of the cores each
  std::map<GraphId, int> count;
  for (const GraphId graph : Plan()) ++count[graph];
  EXPECT_EQ(count[kAlice], 10) << "nine, and one core is left of which bob has no use";
  EXPECT_EQ(count[kBob], 18);
}

TEST_F(PackerFairnessTest, WhatIsHeldAndWasHeldCounts) {
  Agent(4);
  Ready(kAlice, 4, Cpu(1));
  EXPECT_EQ(Plan().size(), 4u);
  const std::vector<Packer::Placement> alices = placed_;
  Ready(kAlice, 100, Cpu(1));
  Ready(kBob, 100, Cpu(1));
  End(alices[0]);
  End(alices[1]);
  EXPECT_THAT(Plan(), ElementsAre(kBob, kBob));
  now_ += absl::Hours(24);
  packer_.AdvanceShares(now_);  // both have had half of it for long
  End(alices[2]);
  End(alices[3]);
  EXPECT_THAT(Plan(), ElementsAre(kAlice, kAlice));
}

TEST_F(PackerFairnessTest, WhatFitsNowhereHoldsUpNobody) {
  Agent(4);
  Ready(kBob, 1, Cpu(8));
  Ready(kBob, 1, CpuDb(1, 11));
  Ready(kAlice, 3, Cpu(1));
  Ready(kBob, 1, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(kAlice, kBob, kAlice, kAlice));
}

TEST_F(PackerFairnessTest, ABacklogIsShared) {
  Agent(2);
  packer_.SetShort(packer_.Intern(Cpu(1)), true);
  packer_.SetBacklogRoom(0, 4);
  Ready(kAlice, 100, Cpu(1));
  Ready(kBob, 100, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(kAlice, kBob, kAlice, kBob, kAlice, kBob));
}

TEST_F(PackerFairnessTest, AReservationIsForWhoeverIsFirstNow) {
  Agent(4);
  Ready(kAlice, 4, Cpu(1));
  Plan();
  const std::vector<Packer::Placement> alices = placed_;
  now_ += absl::Hours(1);
  Ready(kBob, 1, Cpu(4));
  Plan();
  const Packer::ClassId whole = packer_.Intern(Cpu(4));
  packer_.ReserveAgent(0, *packer_.FirstReady(whole), whole, 1'000'000);
  Ready(kAlice, 100, Cpu(1), 1000);
  End(alices[0]);
  EXPECT_THAT(Plan(), ElementsAre()) << "it is kept for bob, who has nothing yet";
  for (int i = 1; i < 4; ++i) End(alices[static_cast<size_t>(i)]);
  EXPECT_THAT(Plan(), ElementsAre(kBob));
}

TEST_F(PackerFairnessTest, NobodyIsPlacedTwiceOrLeftOver) {
  Agent(1000);
  for (int64_t cores = 1; cores <= 5; ++cores) {
    Ready(kAlice, 20, Cpu(cores));
    Ready(kBob, 20, Cpu(cores));
  }
  EXPECT_EQ(Plan().size(), 200u);
  EXPECT_EQ(packer_.ready_count(), 0u);
}

}  // namespace
}  // namespace kartograph::planner
