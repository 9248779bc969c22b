#include "scheduler/attempt_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <utility>

#include "scheduler/testing/builders.h"

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;

planner::AttemptId Id(planner::TaskIndex task) {
  return planner::AttemptId::Of(planner::TaskKey::Of(1, task), 1);
}

class AttemptTableTest : public ::testing::Test {
 protected:
  AttemptTableTest() {
    executor::Offer offer;
    offer.agent = "m";
    offer.agent_name = "m";
    offer.resources = Cpu(2);
    offer.lease = true;
    offer.backlog = 10;
    agent_ = agents_.OnOffer(std::move(offer), now_);
  }
  ~AttemptTableTest() override {
    EXPECT_EQ(attempts_.CheckInvariants(), absl::OkStatus());
    EXPECT_EQ(agents_.CheckInvariants(), absl::OkStatus());
  }
  // Direct launches come from the plan, which takes what they consume.
  void Launch(planner::TaskIndex task, bool backlog = false, std::string order = "") {
    if (!backlog) {
      packer_.Take(agent_, class_);
      packer_.TakePools(class_);
    }
    attempts_.Launch(Id(task), {planner::TaskKey::Of(1, task), class_, agent_, backlog}, false,
                     now_.wall, order);
  }

  const planner::Resource db_ = planner::Resource::Named("db_connections");
  planner::Packer packer_{{{db_, planner::Quantity::Of(3)}}};
  AgentTable agents_{&packer_};
  AttemptTable attempts_{&agents_, &packer_};
  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(5)), absl::FromUnixSeconds(1700000000)};
  planner::Packer::ClassId class_ = packer_.Intern(Cpu(1));
  AgentTable::Index agent_ = 0;
};

TEST_F(AttemptTableTest, OneInTheBacklogHoldsNothingUntilItsTurn) {
  Launch(0);
  Launch(1);
  Launch(2, true);
  EXPECT_TRUE(attempts_.At(Id(2)).in_backlog());
  EXPECT_EQ(agents_[agent_].held, Cpu(2));
  attempts_.End(Id(0));
  EXPECT_FALSE(attempts_.At(Id(2)).in_backlog()) << "the agent begins it by its own rule";
  EXPECT_EQ(agents_[agent_].held, Cpu(2));
  EXPECT_TRUE(attempts_.SetRunning(Id(2), now_.wall));
  EXPECT_FALSE(attempts_.SetRunning(Id(2), now_.wall)) << "no news";
  EXPECT_EQ(attempts_.At(Id(2)).start_time(), now_.wall);
}

TEST_F(AttemptTableTest, TheAgentBeginsWhatIsMoreUrgent) {
  Launch(0);
  Launch(1);
  Launch(2, true, "b");
  Launch(3, true, "a");
  attempts_.End(Id(0));
  EXPECT_TRUE(attempts_.At(Id(2)).in_backlog());
  EXPECT_FALSE(attempts_.At(Id(3)).in_backlog());
}

TEST_F(AttemptTableTest, OneThatRunsFromTheBacklogEarlierThanExpectedIsCharged) {
  Launch(0);
  Launch(1);
  Launch(2, true);
  EXPECT_TRUE(attempts_.SetRunning(Id(2), now_.wall));
  EXPECT_TRUE(packer_.free(agent_).HasNegative()) << "an end is still on its way";
  attempts_.End(Id(0));
  EXPECT_TRUE(packer_.free(agent_).empty());
}

TEST_F(AttemptTableTest, OutOfReachItKeepsWhatItIsAndHas) {
  Launch(0);
  attempts_.SetRunning(Id(0), now_.wall);
  EXPECT_TRUE(attempts_.SetUnreachable(Id(0), now_, absl::Minutes(5)));
  EXPECT_FALSE(attempts_.SetUnreachable(Id(0), now_, absl::Minutes(5)));
  EXPECT_TRUE(attempts_.At(Id(0)).running());
  EXPECT_EQ(agents_[agent_].held, Cpu(1));
  EXPECT_EQ(attempts_.NextTimer(), now_.steady + absl::Minutes(5));
  EXPECT_FALSE(attempts_.NextDue(now_.steady));
  EXPECT_EQ(attempts_.NextDue(now_.steady + absl::Minutes(5)), Id(0));
  EXPECT_TRUE(attempts_.SetReachable(Id(0)));
  EXPECT_FALSE(attempts_.SetReachable(Id(0)));
  EXPECT_EQ(attempts_.At(Id(0)).start_time(), now_.wall);
  EXPECT_EQ(attempts_.NextTimer(), SteadyTime::InfiniteFuture());
}

TEST_F(AttemptTableTest, WithoutAConnectionNothingIsGivenUp) {
  Launch(0);
  attempts_.SetUnreachable(Id(0), now_, absl::Minutes(5));
  attempts_.OnDisconnected();
  EXPECT_EQ(attempts_.NextTimer(), SteadyTime::InfiniteFuture());
  const Instant later = {now_.steady + absl::Minutes(1), now_.wall};
  EXPECT_FALSE(attempts_.SetUnreachable(Id(0), later, absl::Minutes(5)));
  EXPECT_EQ(attempts_.NextTimer(), now_.steady + absl::Minutes(5)) << "since the first news";
}

TEST_F(AttemptTableTest, AnAdoptedOneIsTakenToHoldItsResourcesUntilMoreIsKnown) {
  const planner::Packer::ClassId with_db = packer_.Intern(With(Cpu(1), "db_connections", 2));
  attempts_.Adopt(Id(0), agent_, with_db, false, now_.wall);
  attempts_.Adopt(Id(1), agent_, class_, false, now_.wall);
  EXPECT_EQ(packer_.pool_free().Get(db_), planner::Quantity::Of(1));
  EXPECT_TRUE(packer_.free(agent_).empty());
  attempts_.SetInBacklog(Id(1), "");
  EXPECT_TRUE(attempts_.At(Id(1)).in_backlog());
  attempts_.SetInBacklog(Id(0), "");
  EXPECT_FALSE(attempts_.At(Id(0)).in_backlog()) << "units of pools are held from the launch on";
  EXPECT_THAT(attempts_.IdsOn(agent_), ElementsAre(Id(0), Id(1)));
}

TEST_F(AttemptTableTest, TheAgentOfOneThatIsAloneIsReservedUntilItsEnd) {
  packer_.Take(agent_, class_);
  attempts_.Launch(Id(0), {planner::TaskKey::Of(1, 0), class_, agent_, false}, true, now_.wall, "");
  EXPECT_FALSE(packer_.usable(agent_));
  attempts_.End(Id(0));
  EXPECT_TRUE(packer_.usable(agent_));
}

}  // namespace
}  // namespace kartograph::scheduler
