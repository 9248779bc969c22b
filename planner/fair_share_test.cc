#include "planner/fair_share.h"

#include <gtest/gtest.h>

#include <cmath>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

ResourceVector Cpu(double cpu) {
  return {{Resource::Cpu(), Quantity::FromMilli(static_cast<int64_t>(cpu * 1000))}};
}
ResourceVector CpuDb(int cpu, int db) {
  return {{Resource::Cpu(), Quantity::FromMilli(cpu * 1000)},
          {Resource::Named("fair_db"), Quantity::FromMilli(db * 1000)}};
}

class FairShareTest : public ::testing::Test {
 protected:
  FairShareTest() { shares_.SetTotal(CpuDb(100, 10)); }
  void Pass(absl::Duration time) { shares_.Advance(now_ += time); }

  SteadyTime now_;
  FairShare shares_;
  const FairShare::Account alice_ = shares_.Use("alice");
  const FairShare::Account bob_ = shares_.Use("bob");
};

TEST_F(FairShareTest, WhoHoldsLessComesFirst) {
  EXPECT_EQ(shares_.Of(alice_), shares_.Of(bob_));
  shares_.Take(alice_, Cpu(10));
  EXPECT_LT(shares_.Of(bob_), shares_.Of(alice_));
  shares_.Take(bob_, Cpu(11));
  EXPECT_LT(shares_.Of(alice_), shares_.Of(bob_));
  shares_.Give(bob_, Cpu(11));
  shares_.Give(alice_, Cpu(10));
  EXPECT_EQ(shares_.Of(alice_), shares_.Of(bob_));
}

TEST_F(FairShareTest, TheResourceOfWhichMostIsHeldCounts) {
  shares_.Take(alice_, CpuDb(1, 3));  // 30 % of the connections
  shares_.Take(bob_, Cpu(29));
  EXPECT_LT(shares_.Of(bob_), shares_.Of(alice_));
  shares_.Take(bob_, Cpu(2));
  EXPECT_LT(shares_.Of(alice_), shares_.Of(bob_));
}

TEST_F(FairShareTest, AWeightIsAMultipleOfWhatIsDue) {
  shares_.SetWeights({{"alice", 3}});
  shares_.Take(alice_, Cpu(29));
  shares_.Take(bob_, Cpu(10));
  EXPECT_LT(shares_.Of(alice_), shares_.Of(bob_));
  shares_.Take(alice_, Cpu(2));
  EXPECT_LT(shares_.Of(bob_), shares_.Of(alice_));
  shares_.SetWeights({});
  shares_.Give(alice_, Cpu(22));
  EXPECT_LT(shares_.Of(alice_), shares_.Of(bob_)) << "and again as everybody";
}

// Serves whoever is first with one core until all are taken, and gives them back.
TEST_F(FairShareTest, InTheLongRunEachGetsWhatIsDue) {
  shares_.SetWeights({{"alice", 2}});
  double held[2] = {0, 0};
  std::vector<int> holders;
  for (int round = 0; round < 6000; ++round) {
    Pass(absl::Seconds(1));
    if (holders.size() == 100) {
      // The one that has run longest ends.
      const int ended = holders.front();
      holders.erase(holders.begin());
      shares_.Give(ended == 0 ? alice_ : bob_, Cpu(1));
      held[ended] -= 1;
    }
    while (holders.size() < 100) {
      const int next = shares_.Of(alice_) <= shares_.Of(bob_) ? 0 : 1;
      shares_.Take(next == 0 ? alice_ : bob_, Cpu(1));
      held[next] += 1;
      holders.push_back(next);
    }
  }
  EXPECT_NEAR(held[0] / held[1], 2, 0.1);
}

TEST_F(FairShareTest, WhatWasHeldBeforeCountsHalfAfterTheHalfLife) {
  shares_.Take(alice_, Cpu(50));
  Pass(absl::Hours(24));
  shares_.Give(alice_, Cpu(50));
  const auto average = [this] { return shares_.Standings()[1].average; };
  EXPECT_NEAR(average(), 0.5, 0.001);
  EXPECT_LT(shares_.Of(bob_), shares_.Of(alice_));
  Pass(FairShare::kHalfLife);
  EXPECT_NEAR(average(), 0.25, 0.001);
  Pass(FairShare::kHalfLife);
  EXPECT_NEAR(average(), 0.125, 0.001);
  Pass(absl::Hours(24));
  EXPECT_EQ(shares_.Of(alice_), shares_.Of(bob_));
}

TEST_F(FairShareTest, WhatIsHeldForShortTimesCountsWithItsTime) {
  for (int i = 0; i < 36000; ++i) {  // half of the time half of the cluster
    shares_.Take(alice_, Cpu(50));
    Pass(absl::Milliseconds(100));
    shares_.Give(alice_, Cpu(50));
    Pass(absl::Milliseconds(100));
  }
  const double hours_of_half_lives = 4;
  EXPECT_NEAR(shares_.Standings()[1].average, 0.25 * (1 - std::exp2(-hours_of_half_lives)), 0.005);
}

TEST_F(FairShareTest, AgentsThatComeMakeEveryShareSmaller) {
  shares_.Take(alice_, Cpu(50));
  EXPECT_NEAR(shares_.Standings()[1].held, 0.5, 1e-9);
  shares_.SetTotal(CpuDb(1000, 10));
  EXPECT_NEAR(shares_.Standings()[1].held, 0.05, 1e-9);
  shares_.SetTotal({});
  EXPECT_NEAR(shares_.Standings()[1].held, 1, 1e-9);
}

TEST_F(FairShareTest, AnAccountIsRememberedWhileItMatters) {
  shares_.Take(alice_, Cpu(50));
  Pass(absl::Hours(1));
  shares_.Release(alice_);
  EXPECT_EQ(shares_.size(), 3u) << "something is held yet";
  shares_.Give(alice_, Cpu(50));
  Pass(absl::Minutes(1));
  EXPECT_EQ(shares_.size(), 3u);
  EXPECT_EQ(shares_.Use("alice"), alice_);
  EXPECT_GT(shares_.Of(alice_), 0);
  shares_.Release(alice_);
  Pass(absl::Hours(24));
  Pass(absl::Hours(24));
  EXPECT_EQ(shares_.size(), 2u);
  shares_.Release(bob_);
  Pass(absl::Seconds(1));
  EXPECT_EQ(shares_.size(), 1u) << "the first one stays";
}

TEST_F(FairShareTest, SoManyAreRememberedAtMost) {
  for (size_t i = 0; i < FairShare::kMaxIdle + 100; ++i) {
    const FairShare::Account account = shares_.Use(absl::StrCat("user-", i));
    shares_.Take(account, Cpu(i < 100 ? 1 : 2));
    if (i + 1 == FairShare::kMaxIdle + 100) Pass(absl::Hours(1));
  }
  for (size_t i = 0; i < FairShare::kMaxIdle + 100; ++i) {
    const FairShare::Account account = shares_.Use(absl::StrCat("user-", i));
    shares_.Give(account, Cpu(i < 100 ? 1 : 2));
    shares_.Release(account);
    shares_.Release(account);
  }
  Pass(absl::Seconds(1));
  EXPECT_EQ(shares_.size(), FairShare::kMaxIdle + 3);
  for (const FairShare::Standing& standing : shares_.Standings()) {
    if (standing.graphs > 0 || standing.name.empty()) continue;
    EXPECT_GT(standing.average, 0.01) << standing.name;
  }
}

}  // namespace
}  // namespace kartograph::planner
