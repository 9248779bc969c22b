#include "scheduler/delivery_leases.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::IsEmpty;

constexpr SteadyTime At(int seconds) { return SteadyTime::FromSinceZero(absl::Seconds(seconds)); }

TEST(DeliveryLeasesTest, WhatIsLeasedIsNotOffered) {
  DeliveryLeases leases;
  EXPECT_TRUE(leases.empty());
  EXPECT_LE(leases.From(), 1);
  leases.Lease(3, "", At(10));
  leases.Lease(5, "", At(10));
  EXPECT_EQ(leases.From(), 6);
  EXPECT_THAT(leases.Skip(), IsEmpty());
  leases.Release(3);
  EXPECT_EQ(leases.From(), 3);
  EXPECT_THAT(leases.Skip(), ElementsAre(5));
  leases.Lease(3, "", At(10));
  EXPECT_EQ(leases.From(), 6);
  leases.Acknowledge(3);
  leases.Acknowledge(5);
  EXPECT_TRUE(leases.empty());
}

TEST(DeliveryLeasesTest, IsOfferedAgainWhenTheLeaseIsOver) {
  DeliveryLeases leases;
  leases.Lease(3, "", At(10));
  leases.Lease(4, "", At(20));
  EXPECT_EQ(leases.NextExpiry(), At(10));
  leases.Expire(At(9));
  EXPECT_EQ(leases.From(), 5);
  leases.Renew(4, At(30));
  leases.Renew(99, At(30));
  leases.Expire(At(25));
  EXPECT_EQ(leases.From(), 3);
  EXPECT_THAT(leases.Skip(), ElementsAre(4));
  leases.Renew(3, At(40));
  EXPECT_EQ(leases.From(), 3) << "too late to renew";
  leases.Acknowledge(3);
  EXPECT_EQ(leases.From(), 5) << "acknowledged in time all the same";
  leases.Expire(At(30));
  EXPECT_EQ(leases.NextExpiry(), SteadyTime::InfiniteFuture());
}

TEST(DeliveryLeasesTest, AConsumerThatComesBackReleasesItsOwn) {
  DeliveryLeases leases;
  leases.Lease(1, "a", At(10));
  leases.Lease(2, "b", At(10));
  leases.Lease(3, "a", At(10));
  leases.ReleaseAll("a");
  EXPECT_EQ(leases.From(), 1);
  EXPECT_THAT(leases.Skip(), ElementsAre(2));
}

TEST(DeliveryLeasesTest, WhatWasReadForNobodyIsOfferedAgain) {
  DeliveryLeases leases;
  leases.GiveBack(1);
  EXPECT_TRUE(leases.empty()) << "it was never given out";
  leases.Lease(4, "", At(10));
  leases.GiveBack(2);
  leases.GiveBack(5);
  EXPECT_EQ(leases.From(), 2);
  EXPECT_THAT(leases.Skip(), ElementsAre(4));
}

TEST(DeliveryLeasesTest, HasABound) {
  DeliveryLeases leases;
  for (size_t i = 1; i <= DeliveryLeases::kMaxLeased; ++i) {
    EXPECT_FALSE(leases.full());
    leases.Lease(static_cast<int64_t>(i), "", At(10));
  }
  EXPECT_TRUE(leases.full());
}

}  // namespace
}  // namespace kartograph::scheduler
