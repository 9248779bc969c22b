#include "executor/mesos/executor/overuse.h"

#include <gtest/gtest.h>

namespace kartograph::executor::mesos {
namespace {

using kartograph::mesos::Overuse;
using planner::AttemptId;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

constexpr uint64_t kMiB = 1 << 20;

AttemptId Id(uint32_t index) { return AttemptId::Of(planner::TaskKey::Of(17, index), 1); }

ResourceVector Consumes(int64_t ram_mib, int64_t disk_mib) {
  ResourceVector consumption;
  consumption.Set(Resource::Ram(), Quantity::Of(ram_mib << 20));
  consumption.Set(*Resource::Intern("disk"), Quantity::Of(disk_mib << 20));
  return consumption;
}

TEST(OveruseTest, WhatIsDeclaredIsNotOver) {
  OveruseTable table;
  table.OnLaunch(Id(0), Consumes(100, 10));
  table.OnLaunch(Id(1), {});
  table.SetMemory({{Id(0), 90 * kMiB}, {Id(1), 30 * kMiB}});
  table.SetDisk({.running = {{Id(0), 15 * kMiB}, {Id(1), kMiB / 2}}, .left = 3 * kMiB});
  const Overuse told = table.Describe();
  ASSERT_EQ(told.attempts_size(), 2);
  EXPECT_EQ(told.attempts(0).attempt(), Id(1).value);
  EXPECT_EQ(told.attempts(0).ram_over_bytes(), 30 * kMiB);
  EXPECT_EQ(told.attempts(1).ram_over_bytes(), 0);
  EXPECT_EQ(told.attempts(1).ram_bytes(), 90 * kMiB);
  EXPECT_EQ(told.attempts(1).disk_over_bytes(), 5 * kMiB);
  EXPECT_EQ(told.other_disk_bytes(), 3 * kMiB);
}

TEST(OveruseTest, SmallOnesAndThoseBeyondTheFirstAreOneSum) {
  OveruseTable table;
  std::vector<std::pair<AttemptId, uint64_t>> used;
  for (uint32_t i = 0; i < 20; ++i) {
    table.OnLaunch(Id(i), {});
    used.emplace_back(Id(i), i < 2 ? kMiB / 2 : i * kMiB);
  }
  table.SetMemory(used);
  const Overuse told = table.Describe();
  ASSERT_EQ(static_cast<size_t>(told.attempts_size()), OveruseTable::kMaxNamed);
  EXPECT_EQ(told.attempts(0).attempt(), Id(19).value);
  EXPECT_EQ(told.other_ram_bytes(), (1 + 2 + 3) * kMiB);
}

TEST(OveruseTest, NewsIsWhatHasClearlyChanged) {
  OveruseTable table;
  table.OnLaunch(Id(0), {});
  const auto with = [&](uint64_t bytes) {
    table.SetMemory({{Id(0), bytes}});
    return table.Describe();
  };
  const Overuse told = with(40 * kMiB);
  EXPECT_TRUE(OveruseTable::IsNews(told, {}));
  EXPECT_FALSE(OveruseTable::IsNews(with(45 * kMiB), told));
  EXPECT_TRUE(OveruseTable::IsNews(with(60 * kMiB), told));
  EXPECT_TRUE(OveruseTable::IsNews(with(20 * kMiB), told));
  EXPECT_FALSE(OveruseTable::IsNews(with(kMiB / 2), {}));
  table.OnEnd(Id(0));
  EXPECT_TRUE(OveruseTable::IsNews(table.Describe(), told));
}

TEST(OveruseTest, SaysWhetherMemoryGrows) {
  OveruseTable table;
  table.OnLaunch(Id(0), {});
  EXPECT_TRUE(table.SetMemory({{Id(0), 2 * kMiB}}));
  EXPECT_FALSE(table.SetMemory({{Id(0), 2 * kMiB}}));
  EXPECT_FALSE(table.SetMemory({}));
}

}  // namespace
}  // namespace kartograph::executor::mesos
