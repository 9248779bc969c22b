// Room that is kept for a task that fits nowhere yet.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>
#include <vector>

#include "planner/packer.h"

namespace kartograph::planner {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const Resource kDb = Resource::Named("db_connections");
const Resource kGpu = Resource::Named("gpu");

ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }
ResourceVector And(ResourceVector vector, Resource resource, int64_t units) {
  vector.Set(resource, Quantity::Of(units));
  return vector;
}

class PackerReservationTest : public ::testing::Test {
 protected:
  explicit PackerReservationTest(const ResourceVector& pools = {}) : packer_(pools) {}

  Packer::AgentId Agent(const ResourceVector& capacity) {
    const Packer::AgentId agent = packer_.AddAgent();
    packer_.SetCapacity(agent, capacity);
    packer_.SetFree(agent, capacity);
    packer_.SetUsable(agent, true);
    return agent;
  }
  void Ready(TaskIndex task, const ResourceVector& consumption, int32_t priority = 0) {
    packer_.AddReady(packer_.Intern(consumption), {priority, 1, TaskKey::Of(1, task)});
  }
  void Ended(Packer::AgentId agent, const ResourceVector& consumption) {
    packer_.Give(agent, packer_.Intern(consumption));
    packer_.GivePools(packer_.Intern(consumption));
  }
  void Takes(const ResourceVector& consumption, int64_t mostly_us) {
    packer_.SetExpected(packer_.Intern(consumption), mostly_us, mostly_us);
  }
  std::vector<std::pair<TaskIndex, Packer::AgentId>> Plan() {
    std::vector<Packer::Placement> placements;
    packer_.Plan(&placements);
    std::vector<std::pair<TaskIndex, Packer::AgentId>> planned;
    for (const Packer::Placement& p : placements) planned.emplace_back(p.task.index(), p.agent);
    return planned;
  }
  // For the first ready task that consumes this.
  void Reserve(Packer::AgentId agent, const ResourceVector& consumption, int64_t within_us) {
    const Packer::ClassId id = packer_.Intern(consumption);
    packer_.ForEachFirst([&](Packer::ClassId of, const ReadyOrder& first) {
      if (of == id) packer_.ReserveAgent(agent, first, id, within_us);
    });
  }
  void ReservePools(const ResourceVector& consumption, int64_t within_us) {
    const Packer::ClassId id = packer_.Intern(consumption);
    packer_.ForEachFirst([&](Packer::ClassId of, const ReadyOrder& first) {
      if (of == id) packer_.ReservePools(first, id, within_us);
    });
  }

  Packer packer_;
};

TEST_F(PackerReservationTest, WhatComesAfterItIsKeptOff) {
  Agent(Cpu(2));
  Ready(0, Cpu(1));
  ASSERT_THAT(Plan(), ElementsAre(Pair(0, 0)));
  Ready(1, Cpu(2), 5);
  Ready(2, Cpu(1));
  Reserve(0, Cpu(2), 100);
  EXPECT_THAT(Plan(), IsEmpty());
  Ended(0, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(1, 0)));
}

TEST_F(PackerReservationTest, WhatComesBeforeItIsNot) {
  Agent(Cpu(2));
  Ready(0, Cpu(1));
  Plan();
  Ready(1, Cpu(2), 5);
  Reserve(0, Cpu(2), 100);
  Ready(2, Cpu(1), 6);
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0)));
}

TEST_F(PackerReservationTest, WhatEndsInTimeIsLetIn) {
  Agent(Cpu(2));
  Ready(0, Cpu(1));
  Plan();
  Ready(1, Cpu(2), 5);
  Takes(Cpu(1), 50);
  Reserve(0, Cpu(2), 49);
  Ready(2, Cpu(1));
  EXPECT_THAT(Plan(), IsEmpty());
  // It is expected to start later than was thought.
  Reserve(0, Cpu(2), 50);
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0)));
}

TEST_F(PackerReservationTest, WhatLeavesEnoughIsLetIn) {
  Agent(And(Cpu(4), kGpu, 1));
  Ready(0, And(Cpu(1), kGpu, 1));
  Plan();
  Ready(1, And(Cpu(2), kGpu, 1), 5);
  Reserve(0, And(Cpu(2), kGpu, 1), 100);
  // It waits for the GPU; of three cores it needs two.
  Ready(2, Cpu(1));
  Ready(3, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0)));
}

TEST_F(PackerReservationTest, OtherAgentsAreAsTheyWere) {
  Agent(Cpu(2));
  Agent(Cpu(1));
  Ready(0, Cpu(1));
  Ready(1, Cpu(1));
  Plan();
  Ready(2, Cpu(2), 5);
  Reserve(0, Cpu(2), 100);
  Ready(3, Cpu(1));
  Ended(0, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0))) << "one of them ran there";
  Ended(1, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(3, 1)));
}

TEST_F(PackerReservationTest, ReleasedItIsFreeForAll) {
  Agent(Cpu(2));
  Ready(0, Cpu(1));
  Plan();
  Ready(1, Cpu(2), 5);
  Ready(2, Cpu(1));
  Reserve(0, Cpu(2), 100);
  ASSERT_THAT(Plan(), IsEmpty());
  packer_.ReleaseAgent(0);
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0)));
}

TEST_F(PackerReservationTest, NothingWaitsThereForItsTurn) {
  Agent(Cpu(2));
  Ready(0, Cpu(1));
  Plan();
  packer_.SetBacklogRoom(0, 2);
  packer_.SetShort(packer_.Intern(Cpu(1)), true);
  Ready(1, Cpu(2), 5);
  Reserve(0, Cpu(2), 100);
  Ready(2, Cpu(1));
  EXPECT_THAT(Plan(), IsEmpty());
}

TEST_F(PackerReservationTest, AnAgentThatIsUsedAgainIsNotReserved) {
  Agent(Cpu(1));
  Ready(0, Cpu(2), 5);
  Reserve(0, Cpu(2), 100);
  packer_.RemoveAgent(0);
  EXPECT_EQ(Agent(Cpu(1)), 0u);
  Ready(1, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(1, 0)));
}

class PackerPoolReservationTest : public PackerReservationTest {
 protected:
  PackerPoolReservationTest() : PackerReservationTest({{kDb, Quantity::Of(4)}}) {}
};

TEST_F(PackerPoolReservationTest, UnitsAreKeptForWhatIsNext) {
  Agent(Cpu(9));
  Ready(0, And(Cpu(1), kDb, 1));
  Plan();
  Ready(1, And(Cpu(1), kDb, 4), 5);
  Takes(And(Cpu(1), kDb, 1), 50);
  ReservePools(And(Cpu(1), kDb, 4), 49);
  Ready(2, And(Cpu(1), kDb, 1));
  Ready(3, Cpu(1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(3, 0)));
  ReservePools(And(Cpu(1), kDb, 4), 50);
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0))) << "it will have ended";
  Ended(0, And(Cpu(1), kDb, 1));
  Ended(0, And(Cpu(1), kDb, 1));
  EXPECT_THAT(Plan(), ElementsAre(Pair(1, 0)));
}

TEST_F(PackerPoolReservationTest, ReleasedTheyAreFreeForAll) {
  Agent(Cpu(9));
  Ready(0, And(Cpu(1), kDb, 1));
  Plan();
  Ready(1, And(Cpu(1), kDb, 4), 5);
  ReservePools(And(Cpu(1), kDb, 4), 100);
  Ready(2, And(Cpu(1), kDb, 1));
  ASSERT_THAT(Plan(), IsEmpty());
  packer_.ReleasePools();
  EXPECT_THAT(Plan(), ElementsAre(Pair(2, 0)));
}

}  // namespace
}  // namespace kartograph::planner
