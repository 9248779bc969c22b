// How many attempts an agent runs at once, whatever they consume.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::SizeIs;

class SlotsTest : public ::testing::Test, protected CoreStory {
 protected:
  SlotsTest() : CoreStory({}, 3) {}
  static Graph Free(int tasks) {
    static const planner::ResourceVector kNothing;
    std::vector<Task> all;
    for (int i = 0; i < tasks; ++i) all.push_back(Task(absl::StrCat("t", i)).Needs(kNothing));
    return Graph(all);
  }
};

TEST_F(SlotsTest, TasksThatConsumeNothingTakeASlotEach) {
  Agent("m", Cpu(2));
  Submit(Free(5));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1", "t2"));
  EXPECT_EQ(Reason("t3"),
            "waits for a slot: agent m runs 3 attempts, as many as it may (kartographd --slots)");
  Succeeds("t1");
  EXPECT_THAT(Started(), ElementsAre("t3"));
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(SlotsTest, EachAgentHasItsOwn) {
  Agent("m1", Cpu(1));
  Agent("m2", Cpu(1));
  Submit(Free(10));
  EXPECT_THAT(Started(), SizeIs(6));
}

TEST_F(SlotsTest, HoldForOffersToo) {
  Connect();
  Submit(Free(5));
  Offer("o1", "m", Cpu(4));
  EXPECT_THAT(Started(), SizeIs(3));
  Offer("o2", "m", Cpu(4));
  EXPECT_THAT(Started(), SizeIs(0));
  Succeeds("t0");
  Offer("o3", "m", Cpu(4));
  EXPECT_THAT(Started(), ElementsAre("t3"));
}

TEST_F(SlotsTest, AttemptsFoundRunningHoldTheirs) {
  Agent("m", Cpu(2));
  Submit(Free(5));
  Runs("t0");
  Started();
  Restart();
  Agent("m", Cpu(2));
  for (const char* task : {"t0", "t1", "t2"}) Runs(task);
  EXPECT_THAT(Started(), SizeIs(0));
  Succeeds("t2");
  EXPECT_THAT(Started(), ElementsAre("t3"));
}

class PoolsTest : public ::testing::Test, protected CoreStory {
 protected:
  PoolsTest() : CoreStory(Pool(3)) {}
  static planner::ResourceVector Pool(int units) { return With({}, "db", units); }
  absl::Status Change(const planner::ResourceVector& pools) {
    Step step;
    absl::Status status = core().SetPools(pools, {}, {now(), step});
    Wait(absl::Milliseconds(1));
    return status;
  }
  void SubmitFive() {
    std::vector<Task> tasks;
    for (int i = 0; i < 5; ++i) {
      tasks.push_back(Task(absl::StrCat("t", i)).Needs(With(Cpu(1), "db", 1)));
    }
    Submit(Graph(tasks));
  }
};

TEST_F(PoolsTest, APoolThatWasMadeSmallerSaysSo) {
  Agent("m", Cpu(8));
  SubmitFive();
  EXPECT_THAT(Started(), SizeIs(3));
  ASSERT_TRUE(Change(Pool(1)).ok());
  EXPECT_EQ(Reason("t3"),
            "waits for pool db: needs 1, 3 of 1 in use, held by \"t0\" of g1 (1), \"t1\" of g1 "
            "(1) and 1 more");
  ASSERT_TRUE(Change(Pool(5)).ok());
  EXPECT_THAT(Started(), SizeIs(2));
}

TEST_F(PoolsTest, APoolGoesOnlyWhenNothingNeedsIt) {
  Agent("m", Cpu(8));
  SubmitFive();
  const absl::Status refused = Change({});
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(refused.message(), testing::HasSubstr("pool db is needed by 5 tasks of graph g1"));
  EXPECT_EQ(core().Pools(9, 9, now())[0].pool.used, planner::Quantity::Of(3)) << "nothing changed";
  ASSERT_TRUE(CancelGraph().ok());
  for (int i = 0; i < 3; ++i) Ends(absl::StrCat("t", i), planner::Outcome::kCancelled);
  EXPECT_TRUE(Change({}).ok());
  EXPECT_TRUE(core().Pools(9, 9, now()).empty());
  EXPECT_FALSE(TrySubmit(Graph({Task("a").Needs(With(Cpu(1), "db", 1))})).ok());
}

TEST_F(PoolsTest, APoolThatIsMadeTakesWhatIsHeldOfItAlready) {
  // Before any agent was seen, it is not known who will have the resource.
  Submit(Graph({Task("a").Needs(With(Cpu(1), "tapes", 2)),
                Task("b").Needs(With(Cpu(1), "tapes", 2)), Task("c").After({"a"})}));
  Agent("m", With(Cpu(8), "tapes", 2));
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_TRUE(absl::IsFailedPrecondition(Change(With(Pool(3), "tapes", 5)))) << "agents have it";
  ASSERT_TRUE(Change(With(Pool(3), "licences", 2)).ok());
  Submit(Graph({Task("x").Needs(With(Cpu(1), "licences", 2)),
                Task("y").Needs(With(Cpu(1), "licences", 2))}));
  EXPECT_THAT(Started(), ElementsAre("x"));
  const std::vector<PoolExplanation> pools = core().Pools(9, 9, now());
  ASSERT_THAT(pools, SizeIs(2));
  EXPECT_EQ(pools[1].pool.name, "licences");
  EXPECT_EQ(pools[1].pool.used, planner::Quantity::Of(2));
  ASSERT_THAT(pools[1].holders.first, SizeIs(1));
  EXPECT_EQ(pools[1].holders.first[0].task.name, "x");
  ASSERT_THAT(pools[1].waiting, SizeIs(1));
  EXPECT_EQ(pools[1].waiting[0].name, "y");
}

TEST_F(PoolsTest, WhatWasTakenForAnAgentsResourceIsChargedToThePoolOfThatName) {
  // Its agent is gone for good and forgotten, but its attempt is known from the history.
  Submit(Graph({Task("a").Needs(With(Cpu(1), "tapes", 2))}));
  ASSERT_TRUE(Change(With(Pool(3), "tapes", 2)).ok());
  Agent("m", Cpu(8));
  EXPECT_THAT(Started(), ElementsAre("a")) << "it waits for no agent with tapes";
  EXPECT_EQ(core().Pools(9, 9, now())[1].pool.used, planner::Quantity::Of(2));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, Cpu(1));
  Succeeds("a");
  ASSERT_TRUE(Change(Pool(3)).ok());
}

TEST_F(PoolsTest, WhatBeginsInABacklogTakesUnitsOfAPoolThatCameSince) {
  Submit(Graph({Task("first").Needs(With(Cpu(1), "tapes", 1)),
                Task("second").Needs(With(Cpu(1), "tapes", 1))}));
  Agent("m", Cpu(1), /*backlog=*/4);
  ASSERT_TRUE(Change(With(Pool(3), "tapes", 1)).ok());
  EXPECT_THAT(Started(), ElementsAre("first"));
  Succeeds("first", absl::Milliseconds(1));
  EXPECT_THAT(Started(), ElementsAre("second"));
  Succeeds("second", absl::Milliseconds(1));
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(PoolsTest, MoreSlotsTakeMore) {
  Step step;
  core().SetSlots(1, {now(), step});
  Agent("m", Cpu(8));
  Submit(Graph({Task("a"), Task("b"), Task("c")}));
  EXPECT_THAT(Started(), SizeIs(1));
  core().SetSlots(2, {now(), step});
  Wait(absl::Milliseconds(1));
  EXPECT_THAT(Started(), SizeIs(1));
}

}  // namespace
}  // namespace kartograph::scheduler
