#include "planner/packer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <utility>
#include <vector>

namespace kartograph::planner {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;

const Resource kDb = Resource::Named("db_connections");
const Resource kLicence = Resource::Named("licence");

ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }
ResourceVector CpuRam(int64_t cores, int64_t bytes) {
  return {{Resource::Cpu(), Quantity::Of(cores)}, {Resource::Ram(), Quantity::Of(bytes)}};
}
ResourceVector CpuDb(int64_t cores, int64_t connections) {
  return {{Resource::Cpu(), Quantity::Of(cores)}, {kDb, Quantity::Of(connections)}};
}

// Shows tasks by their index and agents by their number.
class Story {
 public:
  explicit Story(ResourceVector pools = {}) : packer(std::move(pools)) {}

  Packer::AgentId Agent(const ResourceVector& capacity) {
    const Packer::AgentId agent = packer.AddAgent();
    packer.SetCapacity(agent, capacity);
    packer.SetFree(agent, capacity);
    packer.SetUsable(agent, true);
    return agent;
  }
  void Ready(TaskIndex task, const ResourceVector& consumption, int32_t priority = 0,
             uint32_t rank = 1) {
    packer.AddReady(packer.Intern(consumption), {priority, rank, TaskKey::Of(1, task)});
  }
  void Short(const ResourceVector& consumption) {
    packer.SetShort(packer.Intern(consumption), true);
  }
  // An attempt on this agent has ended.
  void Ended(Packer::AgentId agent, const ResourceVector& consumption) {
    packer.Give(agent, packer.Intern(consumption));
    packer.GivePools(packer.Intern(consumption));
  }
  // The pairs of task and agent that begin now, and those that go into a backlog.
  std::vector<std::pair<TaskIndex, Packer::AgentId>> Plan() {
    std::vector<std::pair<TaskIndex, Packer::AgentId>> begun;
    backlog.clear();
    std::vector<Packer::Placement> placements;
    packer.Plan(&placements);
    for (const Packer::Placement& p : placements) {
      (p.backlog ? backlog : begun).emplace_back(p.task.index(), p.agent);
    }
    return begun;
  }
  std::vector<TaskIndex> PlannedTasks() {
    std::vector<TaskIndex> tasks;
    for (const auto& [task, agent] : Plan()) tasks.push_back(task);
    return tasks;
  }

  Packer packer;
  std::vector<std::pair<TaskIndex, Packer::AgentId>> backlog;
};

TEST(PackerTest, PlacesUntilNothingMoreFits) {
  Story story;
  story.Agent(Cpu(2));
  for (TaskIndex i = 0; i < 3; ++i) story.Ready(i, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0), Pair(1, 0)));
  EXPECT_EQ(story.packer.ready_count(), 1u);
  EXPECT_TRUE(story.packer.free(0).empty());
  story.Ended(0, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(2, 0)));
  EXPECT_EQ(story.packer.ready_count(), 0u);
}

TEST(PackerTest, ChoosesTheAgentOnWhichTheLeastIsLeft) {
  Story story;
  story.Agent(Cpu(16));
  story.Agent(Cpu(3));
  story.Agent(Cpu(4));
  story.Ready(0, Cpu(2));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 1)));
  story.Ready(1, Cpu(4));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, 2)));
  story.Ready(2, Cpu(16));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(2, 0))) << "the large gap was kept";
}

TEST(PackerTest, ComparesWhatIsLeftOverAllResourcesOfTheTask) {
  Story story;
  story.Agent(CpuRam(4, 8000));
  story.Agent(CpuRam(5, 1000));
  story.Ready(0, CpuRam(1, 1000));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 1)))
      << "a core more, but far less memory would be left";
}

TEST(PackerTest, DoesNotLeaveMuchMemoryBesideNoCores) {
  Story story;
  const Packer::AgentId full = story.Agent(CpuRam(8, 16));
  const Packer::AgentId even = story.Agent(CpuRam(8, 16));
  story.packer.SetFree(full, CpuRam(2, 10));  // two cores less would leave nine of memory alone
  story.packer.SetFree(even, CpuRam(6, 4));
  story.Ready(1, CpuRam(2, 1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, even)));
}

TEST(PackerTest, EveryResourceMustFit) {
  Story story;
  story.Agent(CpuRam(8, 100));
  story.Agent(CpuRam(1, 1000));
  story.Ready(0, CpuRam(2, 500));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.Ready(1, CpuRam(1, 500));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, 1)));
  story.Ready(2, {{kLicence, Quantity::Of(1)}});
  EXPECT_THAT(story.Plan(), IsEmpty()) << "no agent has any licence";
}

TEST(PackerTest, WhatConsumesNothingRunsOnAFullAgentToo) {
  Story story;
  story.Agent(Cpu(1));
  story.Ready(0, Cpu(1));
  story.Ready(1, {});
  story.Ready(2, {});
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0), Pair(1, 0), Pair(2, 0)));
}

TEST(PackerTest, WhatNeedsNoCpuFindsAnAgentByItsOtherResources) {
  Story story;
  story.Agent(Cpu(8));
  story.Agent({{Resource::Ram(), Quantity::Of(10)}});
  story.Ready(0, {{Resource::Ram(), Quantity::Of(10)}});
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 1)));
}

TEST(PackerTest, PriorityGoesBeforeRankAndRankBeforeAge) {
  Story story;
  story.Agent(Cpu(5));
  story.Ready(0, Cpu(1), 0, 1);
  story.Ready(1, Cpu(1), 0, 1);
  story.Ready(2, Cpu(1), 0, 9);
  story.Ready(3, Cpu(1), 7, 1);
  story.Ready(4, Cpu(1), -1, 99);
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(3, 2, 0, 1, 4));
}

TEST(PackerTest, TheOrderHoldsBetweenDifferentConsumptions) {
  Story story;
  story.Agent(CpuRam(4, 1000));
  story.Ready(0, Cpu(2), 1);
  story.Ready(1, CpuRam(2, 10), 3);
  story.Ready(2, Cpu(2), 2);
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(1, 2));
}

TEST(PackerTest, WhatDoesNotFitDoesNotHoldUpWhatDoes) {
  Story story;
  story.Agent(Cpu(2));
  story.Ready(0, Cpu(4), 9);
  story.Ready(1, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, 0)));
  EXPECT_EQ(story.packer.ready_count(story.packer.Intern(Cpu(4))), 1u);
}

TEST(PackerTest, WhatFittedNowhereIsPlacedAsSoonAsEnoughIsFree) {
  Story story;
  story.Agent(Cpu(2));
  story.Agent(Cpu(2));
  story.Ready(0, Cpu(1));
  story.Ready(1, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0), Pair(1, 0)));
  story.Ready(2, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(2, 1)));
  story.Ready(3, Cpu(2));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.Ended(0, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty()) << "one core free on each agent is not two on one";
  story.Ended(0, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(3, 0)));
}

TEST(PackerTest, ABlockedConsumptionTriesANewAgentAndOneThatIsUsableAgain) {
  Story story;
  const auto first = story.Agent(Cpu(4));
  story.packer.SetUsable(first, false);
  story.Ready(0, Cpu(4));
  story.Ready(1, Cpu(4));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.Agent(Cpu(4));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 1)));
  story.packer.SetUsable(first, true);
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, 0)));
}

TEST(PackerTest, AnAgentThatGrewIsTriedAgain) {
  Story story;
  story.Agent(Cpu(1));
  story.Ready(0, Cpu(2));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.packer.SetFree(0, Cpu(2));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0)));
}

TEST(PackerTest, NothingIsPlacedOnAnAgentThatIsNotUsable) {
  Story story;
  story.Agent(Cpu(4));
  story.Agent(Cpu(2));
  story.packer.SetUsable(1, false);
  story.Ready(0, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0))) << "although the other would fit better";
  story.packer.SetUsable(0, false);
  story.Ended(0, Cpu(1));
  story.Ready(1, Cpu(1));
  story.Ready(2, {});
  EXPECT_THAT(story.Plan(), IsEmpty());
}

TEST(PackerTest, AnOverCommittedAgentGetsNothingUntilItHasRoomAgain) {
  Story story;
  story.Agent(Cpu(2));
  ResourceVector owed;
  owed -= Cpu(1);
  story.packer.SetFree(0, owed);
  story.Ready(0, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.Ended(0, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty()) << "nothing is owed any more, nothing is free";
  story.Ended(0, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0)));
}

TEST(PackerTest, SlotsLimitWhatConsumesNothing) {
  Story story;
  story.Agent(Cpu(2));
  story.Agent(Cpu(2));
  story.packer.SetFreeSlots(0, 2);
  story.packer.SetFreeSlots(1, 1);
  for (TaskIndex i = 0; i < 5; ++i) story.Ready(i, {});
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(0, 1, 2));
  EXPECT_FALSE(story.packer.has_place(0));
  EXPECT_THAT(story.PlannedTasks(), IsEmpty());
  story.Ended(1, {});
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(3, 1)));
  story.packer.SetFreeSlots(0, 1);
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(4, 0)));
}

TEST(PackerTest, APoolIsSharedByAllAgentsAndNeedsNone) {
  Story story(ResourceVector{{kDb, Quantity::Of(3)}});
  story.Agent(Cpu(8));
  story.Agent(Cpu(8));
  for (TaskIndex i = 0; i < 3; ++i) story.Ready(i, CpuDb(5, 2));
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(0)) << "a second would need a fourth connection";
  EXPECT_EQ(story.packer.pool_free().Get(kDb), Quantity::Of(1));
  story.Ready(9, {{kDb, Quantity::Of(1)}});
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(9));
  EXPECT_TRUE(story.packer.pool_free().Get(kDb).is_zero());
}

TEST(PackerTest, APoolGrowsAndShrinks) {
  Story story(ResourceVector{{kDb, Quantity::Of(3)}});
  story.Agent(Cpu(8));
  for (TaskIndex i = 0; i < 5; ++i) story.Ready(i, CpuDb(1, 1));
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(0, 1, 2));
  story.packer.SetPools({{kDb, Quantity::Of(1)}});
  EXPECT_EQ(story.packer.pool_free().Get(kDb), Quantity::Of(0) - Quantity::Of(2));
  story.Ended(0, CpuDb(1, 1));
  EXPECT_THAT(story.PlannedTasks(), IsEmpty()) << "two hold what is for one";
  story.packer.SetPools({{kDb, Quantity::Of(4)}});
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(3, 4));
}

TEST(PackerTest, AConsumptionIsSplitIntoWhatAgentsAndWhatPoolsGive) {
  Packer packer(ResourceVector{{kDb, Quantity::Of(3)}});
  const Packer::ClassId id = packer.Intern(CpuDb(5, 2));
  EXPECT_EQ(packer.agent_part(id), Cpu(5));
  EXPECT_EQ(packer.pool_part(id), (ResourceVector{{kDb, Quantity::Of(2)}}));
  EXPECT_EQ(packer.consumption(id), CpuDb(5, 2));
  EXPECT_EQ(packer.Intern(CpuDb(5, 2)), id);
  EXPECT_NE(packer.Intern(CpuDb(5, 1)), id);
}

TEST(PackerTest, APoolThatIsFreeAgainFindsAnAgentThatWasFreedMeanwhile) {
  // While the pool is empty its tasks do not look at agents; they must not overlook one for it.
  Story story(ResourceVector{{kDb, Quantity::Of(1)}});
  story.Agent(Cpu(1));
  story.Agent(Cpu(1));
  story.Ready(0, CpuDb(1, 1));
  story.Ready(1, Cpu(1));
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(0, 1));
  story.Ready(2, CpuDb(1, 1));
  EXPECT_THAT(story.Plan(), IsEmpty()) << "no connection and no core";
  story.Ended(1, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty()) << "a core, but no connection";
  story.packer.GivePools(story.packer.Intern(CpuDb(1, 1)));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(2, 1)));
}

TEST(PackerTest, FreedAgentsAreFoundHoweverMany) {
  constexpr int kAgents = 100;
  Story story;
  for (int i = 0; i < kAgents; ++i) story.Agent(Cpu(2));
  for (TaskIndex i = 0; i < kAgents; ++i) story.Ready(i, Cpu(2));
  EXPECT_EQ(story.Plan().size(), size_t{kAgents});
  for (TaskIndex i = 0; i < kAgents; ++i) story.Ready(i, Cpu(2));
  EXPECT_THAT(story.Plan(), IsEmpty());
  for (int i = 0; i < kAgents; ++i) story.Ended(static_cast<Packer::AgentId>(i), Cpu(2));
  EXPECT_EQ(story.Plan().size(), size_t{kAgents});
}

TEST(PackerTest, WhatIsNotReadyAnyMoreIsNotPlaced) {
  Story story;
  story.Agent(Cpu(1));
  story.Ready(0, Cpu(1), 5, 2);
  story.Ready(1, Cpu(1));
  story.packer.RemoveReady(story.packer.Intern(Cpu(1)), {5, 2, TaskKey::Of(1, 0)});
  EXPECT_EQ(story.packer.ready_count(), 1u);
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, 0)));
}

TEST(PackerDeathTest, RemovingWhatIsNotThereIsABug) {
  Story story;
  story.Ready(0, Cpu(1));
  EXPECT_DEATH(story.packer.RemoveReady(story.packer.Intern(Cpu(1)), {0, 1, TaskKey::Of(1, 7)}),
               "");
}

TEST(PackerTest, BestFitAnswersWithoutPlacing) {
  Story story;
  story.Agent(Cpu(8));
  story.Agent(Cpu(4));
  EXPECT_EQ(story.packer.BestFit(Cpu(3)), 1u);
  EXPECT_EQ(story.packer.BestFit(Cpu(5)), 0u);
  EXPECT_EQ(story.packer.BestFit(Cpu(9)), std::nullopt);
  EXPECT_EQ(story.packer.free(1), Cpu(4));
}

TEST(PackerBacklogTest, ShortTasksGoAheadIntoTheRoomAnAgentGives) {
  Story story;
  story.Agent(Cpu(1));
  story.packer.SetBacklogRoom(0, 2);
  story.Short(Cpu(1));
  for (TaskIndex i = 0; i < 5; ++i) story.Ready(i, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0)));
  EXPECT_THAT(story.backlog, ElementsAre(Pair(1, 0), Pair(2, 0)));
  EXPECT_TRUE(story.packer.free(0).empty()) << "the backlog takes nothing";
  story.Plan();
  EXPECT_THAT(story.backlog, IsEmpty()) << "the room is used up";
  story.packer.SetBacklogRoom(0, 1);
  story.Plan();
  EXPECT_THAT(story.backlog, ElementsAre(Pair(3, 0)));
}

TEST(PackerBacklogTest, LongTasksWait) {
  Story story;
  story.Agent(Cpu(1));
  story.packer.SetBacklogRoom(0, 2);
  story.Ready(0, Cpu(1));
  story.Ready(1, Cpu(1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0)));
  EXPECT_THAT(story.backlog, IsEmpty());
}

TEST(PackerBacklogTest, WhatNeedsAPoolNeverGoesAhead) {
  Story story(ResourceVector{{kDb, Quantity::Of(9)}});
  story.Agent(Cpu(1));
  story.packer.SetBacklogRoom(0, 2);
  story.Short(CpuDb(1, 1));
  story.Ready(0, CpuDb(1, 1));
  story.Ready(1, CpuDb(1, 1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0)));
  EXPECT_THAT(story.backlog, IsEmpty());
}

TEST(PackerBacklogTest, WhatTheAgentCouldNeverRunDoesNotGoThere) {
  Story story;
  story.Agent(Cpu(2));
  story.Agent(Cpu(4));
  story.packer.SetBacklogRoom(0, 9);
  story.packer.SetBacklogRoom(1, 9);
  story.Short(Cpu(3));
  story.Short(Cpu(5));
  for (TaskIndex i = 0; i < 3; ++i) story.Ready(i, Cpu(3));
  story.Ready(9, Cpu(5));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 1)));
  EXPECT_THAT(story.backlog, ElementsAre(Pair(1, 1), Pair(2, 1)));
  EXPECT_EQ(story.packer.ready_count(), 1u) << "nobody has five cores";
}

TEST(PackerWantedTest, IsWhatReadyTasksNeedOfAnAgent) {
  Story story({{kDb, Quantity::Of(2)}});
  EXPECT_FALSE(story.packer.AnythingWanted());
  story.Ready(0, Cpu(1));
  story.Ready(1, CpuDb(1, 1));
  story.Ready(2, Cpu(2));
  EXPECT_TRUE(story.packer.AnythingWanted());
  EXPECT_THAT(story.packer.Wanted(), ElementsAre(Cpu(1), Cpu(2)));
  story.Agent(Cpu(2));
  story.Plan();
  EXPECT_THAT(story.packer.Wanted(), ElementsAre(Cpu(2)));
}

TEST(PackerWantedTest, IsNothingWhereAPoolIsEmpty) {
  Story story({{kDb, Quantity::Of(2)}});
  story.Agent(Cpu(4));
  story.Ready(0, CpuDb(1, 2));
  story.Ready(1, CpuDb(1, 1));
  story.Plan();
  EXPECT_FALSE(story.packer.AnythingWanted());
  EXPECT_THAT(story.packer.Wanted(), IsEmpty());
  story.packer.GivePools(story.packer.Intern(CpuDb(1, 2)));
  EXPECT_THAT(story.packer.Wanted(), ElementsAre(Cpu(1)));
}

TEST(PackerDrainTest, WhatRunsLongerIsKeptOffAnAgentThatGoesSoon) {
  Story story;
  story.Agent(Cpu(2));
  story.Agent(Cpu(8));
  story.packer.SetTimeUntilDrain(0, 100);
  story.packer.SetExpected(story.packer.Intern(Cpu(1)), 100, 100);
  story.packer.SetExpected(story.packer.Intern(Cpu(2)), 101, 101);
  story.Ready(0, Cpu(1));
  story.Ready(1, Cpu(2));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, 0), Pair(1, 1))) << "the smaller fits better";
}

TEST(PackerDrainTest, AShorterExpectationOrALaterDrainLetsItIn) {
  Story story;
  story.Agent(Cpu(1));
  story.packer.SetTimeUntilDrain(0, 50);
  story.packer.SetExpected(story.packer.Intern(Cpu(1)), 60, 60);
  story.Ready(0, Cpu(1));
  story.Ready(1, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.packer.SetTimeUntilDrain(0, Packer::kNeverDrains);
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(0));
  story.packer.SetTimeUntilDrain(0, 55);
  story.Ended(0, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty());
  story.packer.SetExpected(story.packer.Intern(Cpu(1)), 55, 55);
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(1));
}

TEST(PackerBacklogTest, WhatRunsLongerDoesNotWaitOnAnAgentThatGoesSoon) {
  Story story;
  story.Agent(Cpu(1));
  story.packer.SetBacklogRoom(0, 2);
  story.packer.SetTimeUntilDrain(0, 50);
  story.Short(Cpu(1));
  story.packer.SetExpected(story.packer.Intern(Cpu(1)), 60, 60);
  story.Ready(0, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty());
  EXPECT_THAT(story.backlog, IsEmpty());
}

TEST(PackerBacklogTest, NothingWaitsOnAnAgentThatIsNotUsable) {
  Story story;
  story.Agent(Cpu(1));
  story.packer.SetBacklogRoom(0, 2);
  story.packer.SetUsable(0, false);
  story.Short(Cpu(1));
  story.Ready(0, Cpu(1));
  EXPECT_THAT(story.Plan(), IsEmpty());
  EXPECT_THAT(story.backlog, IsEmpty());
}

TEST(PackerBacklogTest, TheOrderHoldsInTheBacklogToo) {
  Story story;
  story.Agent(CpuRam(1, 10));
  story.packer.SetBacklogRoom(0, 3);
  story.Short(Cpu(1));
  story.Short(CpuRam(1, 1));
  story.Ready(0, Cpu(1), 9);
  story.Ready(1, Cpu(1), 1);
  story.Ready(2, CpuRam(1, 1), 3);
  story.Ready(3, Cpu(1), 2);
  story.Ready(4, CpuRam(1, 1), 0);
  EXPECT_THAT(story.PlannedTasks(), ElementsAre(0));
  EXPECT_THAT(story.backlog, ElementsAre(Pair(2, 0), Pair(3, 0), Pair(1, 0)));
}

TEST(PackerTest, WhatIsForgottenLeavesItsPlaceToTheNext) {
  Story story({{kDb, Quantity::Of(4)}});
  const Packer::AgentId first = story.Agent(Cpu(2));
  const Packer::ClassId consumption = story.packer.Intern(CpuDb(1, 1));
  story.Ready(0, CpuDb(1, 1));
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(0, first)));
  story.Ended(first, CpuDb(1, 1));
  story.packer.RemoveClass(consumption);
  story.packer.RemoveAgent(first);
  EXPECT_EQ(story.packer.class_count(), 0u);
  EXPECT_EQ(story.packer.agent_count(), 0u);

  EXPECT_EQ(story.packer.Intern(Cpu(2)), consumption);
  story.Ready(1, Cpu(2));
  EXPECT_THAT(story.Plan(), IsEmpty()) << "nothing of the agent before is left";
  EXPECT_EQ(story.Agent(Cpu(2)), first);
  EXPECT_THAT(story.Plan(), ElementsAre(Pair(1, first)));
}

TEST(PackerTest, OneTaskIsPlacedOnAnAgentThatIsKeptFromOthers) {
  Story story;
  const Packer::AgentId agent = story.Agent(Cpu(2));
  story.packer.SetUsable(agent, false);
  story.Ready(0, Cpu(4));
  story.Ready(1, Cpu(1));
  story.Ready(2, Cpu(2), 0, 9);
  EXPECT_THAT(story.Plan(), IsEmpty());
  const std::optional<Packer::Placement> placed = story.packer.PlaceOneOn(agent);
  ASSERT_TRUE(placed);
  EXPECT_EQ(placed->task.index(), 2u) << "the first of those that fit";
  EXPECT_TRUE(story.packer.free(agent).empty());
  EXPECT_FALSE(story.packer.PlaceOneOn(agent));
  EXPECT_EQ(story.packer.ready_count(), 2u);
}

}  // namespace
}  // namespace kartograph::planner
