// Capacities of pools: what the settings say, and what was set at run time.
#include "scheduler/pool_settings.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::scheduler {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using storage::PoolChanged;
using ::testing::ElementsAre;
using ::testing::Field;
using ::testing::IsEmpty;

constexpr absl::Time kNow = absl::FromUnixSeconds(1700000000);

ResourceVector Db(int64_t units) { return {{Resource::Named("db"), Quantity::Of(units)}}; }

TEST(PoolSettingsTest, WhatIsSetWinsOverTheSettings) {
  PoolSettings pools(Db(40));
  const auto change = pools.Set(Resource::Named("db"), Quantity::Of(10), "ann", kNow);
  ASSERT_TRUE(change);
  EXPECT_EQ(change->pool, "db");
  EXPECT_EQ(change->capacity, Quantity::Of(10));
  EXPECT_EQ(change->setting, Quantity::Of(40));
  EXPECT_EQ(change->by, "ann");
  EXPECT_EQ(pools.pools(), Db(10));
  EXPECT_EQ(pools.overrides().at(Resource::Named("db")).setting, Quantity::Of(40));
}

TEST(PoolSettingsTest, WhatIsTakenBackIsAsInTheSettings) {
  PoolSettings pools(Db(40));
  pools.Set(Resource::Named("db"), Quantity::Of(10), "", kNow);
  EXPECT_TRUE(pools.Set(Resource::Named("db"), std::nullopt, "", kNow));
  EXPECT_EQ(pools.pools(), Db(40));
  EXPECT_THAT(pools.overrides(), IsEmpty());
  EXPECT_FALSE(pools.Set(Resource::Named("db"), std::nullopt, "", kNow)) << "nothing is left";
}

TEST(PoolSettingsTest, APoolThatTheSettingsDoNotHaveIsMadeAndGoes) {
  static const ResourceVector none;  // static, as GCC thinks a local one uninitialized
  PoolSettings pools(none);
  pools.Set(Resource::Named("db"), Quantity::Of(10), "", kNow);
  EXPECT_EQ(pools.pools(), Db(10));
  pools.Set(Resource::Named("db"), std::nullopt, "", kNow);
  EXPECT_TRUE(pools.pools().empty());
}

TEST(PoolSettingsTest, AnotherSettingOverrulesWhatWasSetBefore) {
  PoolSettings pools(Db(40));
  pools.Set(Resource::Named("db"), Quantity::Of(10), "", kNow);
  EXPECT_THAT(pools.SetSettings(Db(40), kNow), IsEmpty()) << "it is the same";
  EXPECT_EQ(pools.pools(), Db(10));
  EXPECT_THAT(pools.SetSettings(Db(50), kNow),
              ElementsAre(Field(&PoolChanged::capacity, std::nullopt)));
  EXPECT_EQ(pools.pools(), Db(50));
}

TEST(PoolSettingsTest, WhatTheHistoryHasIsInForceUnlessTheSettingChangedMeanwhile) {
  const PoolChanged written{"db", Quantity::Of(10), Quantity::Of(40), kNow, "ann"};
  PoolSettings same(Db(40));
  EXPECT_THAT(same.Load({written}, kNow), IsEmpty());
  EXPECT_EQ(same.pools(), Db(10));
  PoolSettings edited(Db(60));
  EXPECT_THAT(edited.Load({written}, kNow), ElementsAre(Field(&PoolChanged::pool, "db")));
  EXPECT_EQ(edited.pools(), Db(60));
  static const ResourceVector none;  // static, as GCC thinks a local one uninitialized
  PoolSettings gone(none);
  EXPECT_THAT(gone.Load({written}, kNow), ElementsAre(Field(&PoolChanged::pool, "db")));
  EXPECT_TRUE(gone.pools().empty());
}

}  // namespace
}  // namespace kartograph::scheduler
