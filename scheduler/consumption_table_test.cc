#include "scheduler/consumption_table.h"

#include <gtest/gtest.h>

#include <vector>

namespace kartograph::scheduler {
namespace {

planner::ResourceVector Milli(int64_t milli) {
  return {{planner::Resource::Cpu(), planner::Quantity::FromMilli(milli)}};
}

TEST(ConsumptionTableTest, OneInUseIsNeverForgotten) {
  planner::Packer packer({});
  ConsumptionTable table(&packer);
  const ConsumptionTable::Id used = table.Intern(Milli(1));
  table.AddUser(used);
  for (int64_t i = 2; i < 5000; ++i) {
    const ConsumptionTable::Id id = table.Intern(Milli(i));
    table.AddUser(id);
    table.Release(id);
  }
  EXPECT_EQ(table.Intern(Milli(1)), used);
  EXPECT_EQ(packer.consumption(used), Milli(1));
  EXPECT_LE(table.size(), ConsumptionTable::kKeptUnused + 1);
}

TEST(ConsumptionTableTest, WhatWasLearntIsThereForTheNextGraphAndGoesWithTheConsumption) {
  planner::Packer packer({});
  ConsumptionTable table(&packer);
  const ConsumptionTable::Id id = table.Intern(Milli(500));
  table.AddUser(id);
  table.NoteTimeout(id, absl::InfiniteDuration());
  EXPECT_EQ(table.ExpectedWallTime(id), absl::Hours(1)) << "nobody knows better";
  table.LearnWallTime(id, 1000);
  EXPECT_EQ(table.ExpectedWallTime(id), absl::Milliseconds(2));
  table.Release(id);
  EXPECT_EQ(table.Intern(Milli(500)), id);
  EXPECT_EQ(table.ExpectedWallTime(id), absl::Milliseconds(2));
  for (int64_t i = 1; i <= 300; ++i) {
    const ConsumptionTable::Id other = table.Intern(Milli(1000 + i));
    table.AddUser(other);
    table.Release(other);
  }
  const ConsumptionTable::Id again = table.Intern(Milli(500));
  EXPECT_EQ(table.ExpectedWallTime(again), absl::ZeroDuration()) << "it was forgotten";
}

TEST(ConsumptionTableTest, ManyUsersCountAsMany) {
  planner::Packer packer({});
  ConsumptionTable table(&packer);
  const ConsumptionTable::Id id = table.Intern(Milli(7));
  table.AddUser(id);
  table.AddUser(id);
  table.Release(id);
  EXPECT_EQ(table.users(id), 1);
  table.Release(id);
  EXPECT_EQ(table.users(id), 0);
}

TEST(ConsumptionTableTest, LengthsAreFourTimesAsLongEach) {
  const auto length = [](absl::Duration expected) {
    return ConsumptionTable::LengthOf(absl::ToInt64Microseconds(expected));
  };
  EXPECT_EQ(length(absl::ZeroDuration()), 0) << "not known";
  EXPECT_EQ(length(absl::Minutes(1)), 0);
  EXPECT_EQ(length(absl::Minutes(1) + absl::Microseconds(1)), 1);
  EXPECT_EQ(length(absl::Minutes(4)), 1);
  EXPECT_EQ(length(absl::Minutes(5)), 2);
  EXPECT_EQ(length(absl::Hours(24 * 30)), ConsumptionTable::kLengths - 1);
}

}  // namespace
}  // namespace kartograph::scheduler
