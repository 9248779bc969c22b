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

class ReconfigureTest : public ::testing::Test, protected CoreStory {
 protected:
  ReconfigureTest() : CoreStory(Pool(3)) {}
  static planner::ResourceVector Pool(int units) { return With({}, "db", units); }
  absl::Status Change(planner::ResourceVector pools, int slots = 100) {
    Step step;
    absl::Status status = core().Reconfigure(pools, slots, {now(), step});
    Wait(absl::Milliseconds(1));
    return status;
  }
};

TEST_F(ReconfigureTest, APoolThatWasMadeSmallerSaysSo) {
  Agent("m", Cpu(8));
  std::vector<Task> tasks;
  for (int i = 0; i < 5; ++i)
    tasks.push_back(Task(absl::StrCat("t", i)).Needs(With(Cpu(1), "db", 1)));
  Submit(Graph(tasks));
  EXPECT_THAT(Started(), SizeIs(3));
  ASSERT_TRUE(Change(Pool(1)).ok());
  EXPECT_EQ(Reason("t4"), "waits for pool db: needs 1, 3 of 1 in use");
  ASSERT_TRUE(Change(Pool(5)).ok());
  EXPECT_THAT(Started(), SizeIs(2));
  EXPECT_TRUE(core().CheckInvariants().ok());
}

TEST_F(ReconfigureTest, PoolsAreNeitherAddedNorRemoved) {
  EXPECT_TRUE(absl::IsFailedPrecondition(Change({})));
  EXPECT_TRUE(absl::IsFailedPrecondition(Change(With(Pool(3), "licences", 1))));
}

TEST_F(ReconfigureTest, MoreSlotsTakeMore) {
  ASSERT_TRUE(Change(Pool(3), 1).ok());
  Agent("m", Cpu(8));
  Submit(Graph({Task("a"), Task("b"), Task("c")}));
  EXPECT_THAT(Started(), SizeIs(1));
  ASSERT_TRUE(Change(Pool(3), 2).ok());
  EXPECT_THAT(Started(), SizeIs(1));
  EXPECT_TRUE(core().CheckInvariants().ok());
}

}  // namespace
}  // namespace kartograph::scheduler
