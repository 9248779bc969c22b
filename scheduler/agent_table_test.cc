#include "scheduler/agent_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/builders.h"

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

class AgentTableTest : public ::testing::Test {
 protected:
  AgentTable::Index Lease(const std::string& name, double cores) {
    executor::Offer offer;
    offer.agent = name;
    offer.agent_name = name;
    offer.resources = Cpu(cores);
    offer.lease = true;
    return agents_.OnOffer(std::move(offer), now_);
  }
  AgentTable::Index Offer(const std::string& name, double cores) {
    executor::Offer offer;
    offer.id = absl::StrCat("offer ", ++offers_);
    offer.agent = name;
    offer.agent_name = name;
    offer.resources = Cpu(cores);
    return agents_.OnOffer(std::move(offer), now_);
  }
  void Pass(absl::Duration time) {
    now_.steady += time;
    now_.wall += time;
    agents_.ReturnSetAside(now_.steady);
  }
  ~AgentTableTest() override { EXPECT_EQ(agents_.CheckInvariants(), absl::OkStatus()); }

  planner::Packer packer_{planner::ResourceVector()};
  AgentTable agents_{&packer_};
  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(5)), absl::FromUnixSeconds(1700000000)};
  int offers_ = 0;
};

TEST_F(AgentTableTest, WhatIsHeldOfALeaseIsNotFree) {
  const AgentTable::Index m = Lease("m", 4);
  const planner::Packer::ClassId one = packer_.Intern(Cpu(1));
  agents_.Hold(m, one);
  EXPECT_EQ(packer_.free(m), Cpu(3));
  Lease("m", 2);
  EXPECT_EQ(packer_.free(m), Cpu(1)) << "a newer lease holds what runs there";
  agents_.Unhold(m, one);
  EXPECT_EQ(packer_.free(m), Cpu(2));
}

TEST_F(AgentTableTest, OffersAreUsedUpByALaunchAndVoidWithoutAConnection) {
  const AgentTable::Index m = Offer("m", 2);
  Offer("m", 1);
  EXPECT_EQ(packer_.free(m), Cpu(3));
  agents_.MarkLaunchedOn(m);
  std::vector<executor::Offer> used;
  agents_.UseOffers(m, &used);
  agents_.UseOffers(m, &used);
  EXPECT_EQ(used.size(), 2u);
  EXPECT_FALSE(packer_.usable(m));
  Offer("m", 1);
  EXPECT_TRUE(packer_.usable(m));
  agents_.OnDisconnected(now_.steady, false);
  EXPECT_FALSE(packer_.usable(m));
  EXPECT_THAT(agents_[m].offers, IsEmpty());
}

TEST_F(AgentTableTest, OneThatIsLostLeavesOnlyWhatItHad) {
  const AgentTable::Index m = Lease("m", 8);
  agents_.OnLost(m, now_.steady);
  agents_.Erase(m);
  EXPECT_FALSE(agents_.Find("m"));
  EXPECT_EQ(agents_.size(), 0u);
  EXPECT_TRUE(agents_.EverFits(Cpu(8))) << "another one like it may come";
  EXPECT_FALSE(agents_.EverFits(Cpu(9)));
  EXPECT_EQ(agents_.largest_seen(), Cpu(8));
}

TEST_F(AgentTableTest, OneThatStaysAwayIsForgottenButNotWhileItHasAttempts) {
  const AgentTable::Index idle = Lease("idle", 1);
  const AgentTable::Index busy = Lease("busy", 1);
  const AgentTable::Index back = Lease("back", 1);
  const planner::AttemptId attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, 0), 1);
  agents_.AddAttempt(busy, attempt);
  for (const char* name : {"idle", "busy", "back"}) agents_.OnUnreachable(name, now_);
  EXPECT_EQ(agents_[idle].unreachable_since, now_.wall);
  Pass(absl::Minutes(30));
  EXPECT_EQ(Lease("back", 1), back);
  EXPECT_FALSE(agents_[back].unreachable_since);
  Pass(absl::Minutes(31));
  agents_.ForgetAbsent(now_.steady);
  EXPECT_FALSE(agents_.Find("idle"));
  EXPECT_TRUE(agents_.Find("busy"));
  EXPECT_TRUE(agents_.Find("back"));
  agents_.RemoveAttempt(busy, 0);
  Pass(absl::Hours(1));
  agents_.ForgetAbsent(now_.steady);
  EXPECT_FALSE(agents_.Find("busy"));
}

TEST_F(AgentTableTest, WithANewConnectionEverybodyHasTimeToComeBack) {
  Lease("m", 1);
  agents_.OnDisconnected(now_.steady, false);
  Pass(absl::Hours(9));
  agents_.OnDisconnected(now_.steady, true);
  agents_.ForgetAbsent(now_.steady);
  EXPECT_TRUE(agents_.Find("m"));
  Pass(absl::Hours(1));
  agents_.ForgetAbsent(now_.steady);
  EXPECT_FALSE(agents_.Find("m"));
}

TEST_F(AgentTableTest, OneThatFailsIsSetAsideForLongerEachTime) {
  const AgentTable::Index m = Lease("m", 1);
  for (int seconds : {1, 2, 4, 8, 16, 32, 64, 128, 256, 300, 300}) {
    agents_.OnFailed(m, "disk full", now_);
    EXPECT_FALSE(packer_.usable(m));
    EXPECT_EQ(agents_.NextReturn(), now_.steady + absl::Seconds(seconds));
    agents_.OnFailed(m, "disk full still", now_);
    EXPECT_EQ(agents_.NextReturn(), now_.steady + absl::Seconds(seconds)) << "it counts once";
    Pass(absl::Seconds(seconds));
    EXPECT_FALSE(packer_.usable(m)) << "but one attempt at a time is tried";
    EXPECT_THAT(agents_.on_probation(), ElementsAre(m));
  }
  agents_.OnStarted(m);
  EXPECT_TRUE(packer_.usable(m));
  EXPECT_THAT(agents_.on_probation(), IsEmpty());
  EXPECT_EQ(agents_[m].failure, "");
  agents_.OnFailed(m, "disk full", now_);
  EXPECT_EQ(agents_.NextReturn(), now_.steady + absl::Seconds(1)) << "the back-off begins anew";
}

TEST_F(AgentTableTest, OneThatIsReservedTakesNothingElse) {
  const AgentTable::Index m = Lease("m", 1);
  agents_.Reserve(m, true);
  EXPECT_FALSE(packer_.usable(m));
  Lease("m", 2);
  EXPECT_FALSE(packer_.usable(m)) << "a newer lease changes nothing";
  agents_.Reserve(m, false);
  EXPECT_TRUE(packer_.usable(m));
}

TEST_F(AgentTableTest, MaintenanceIsWaitedForByTheSteadyClock) {
  executor::Offer offer;
  offer.agent = "m";
  offer.resources = Cpu(1);
  offer.lease = true;
  offer.unavailable_from = now_.wall + absl::Hours(2);
  const AgentTable::Index m = agents_.OnOffer(std::move(offer), now_);
  now_.wall += absl::Hours(24 * 365);
  EXPECT_EQ(agents_[m].leaves, now_.steady + absl::Hours(2));
}

}  // namespace
}  // namespace kartograph::scheduler
