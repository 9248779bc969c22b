#include "scheduler/usage_table.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/graph_kinds.h"

namespace kartograph::scheduler {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::TaskKind;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class UsageTableTest : public ::testing::Test {
 protected:
  void Learn(const TaskKind& kind, absl::Duration wall, int times = 1) {
    for (int i = 0; i < times; ++i) {
      now_ += absl::Seconds(1);
      UsageTable::Place place;
      table_.Learn(kind, {wall, wall / 2, 100 << 20}, now_, &place);
    }
  }
  // The kinds that the history has then, by id.
  std::vector<storage::KindLearnt> Written() {
    std::vector<storage::Record> records;
    table_.TakeChanges(&records);
    for (const storage::Record& record : records) {
      if (const auto* learnt = std::get_if<storage::KindLearnt>(&record)) {
        history_[learnt->id] = *learnt;
      } else {
        history_.erase(std::get<storage::KindForgotten>(record).id);
      }
    }
    std::vector<storage::KindLearnt> kinds;
    for (const auto& [id, kind] : history_) kinds.push_back(kind);
    return kinds;
  }
  static TaskKind Tiles(const std::string& consumption = "cpu=1") {
    return {"release-#", "tile-#", consumption};
  }

  absl::Time now_ = absl::FromUnixSeconds(1700000000);
  UsageTable table_;
  std::map<int64_t, storage::KindLearnt> history_;  // by id
};

void ExpectNear(std::optional<absl::Duration> given, absl::Duration expected) {
  ASSERT_TRUE(given.has_value());
  EXPECT_LE(absl::AbsDuration(*given - expected),
            expected * planner::UsageSketch::kRelativeError + absl::Microseconds(1));
}

TEST_F(UsageTableTest, NothingIsKnownAtFirst) {
  EXPECT_EQ(table_.WallTime(Tiles()), std::nullopt);
  EXPECT_EQ(table_.WallTimeOf("cpu=1"), std::nullopt);
  EXPECT_FALSE(table_.Find(Tiles()).has_value());
  EXPECT_THAT(table_.List(nullptr, "", "", 10), IsEmpty());
  EXPECT_THAT(Written(), IsEmpty());
}

TEST_F(UsageTableTest, TheMedianOfAKindIsKnownWhateverItsOutliersAre) {
  Learn(Tiles(), absl::Seconds(2), 20);
  Learn(Tiles(), absl::Hours(3));
  ExpectNear(table_.WallTime(Tiles()), absl::Seconds(2));
  const KindUsage usage = *table_.Find(Tiles());
  EXPECT_EQ(usage.runs, 21);
  EXPECT_EQ(usage.last_run, now_);
  EXPECT_NEAR(static_cast<double>(usage.cpu_milli.Median()), 500, 16);
  EXPECT_NEAR(static_cast<double>(usage.ram_bytes.Median()), 100 << 20, 100 << 15);
}

TEST_F(UsageTableTest, WhereAConsumptionIsNewThatOfTheSameNamesIsTaken) {
  Learn(Tiles("cpu=1 ram=1"), absl::Seconds(1));
  Learn(Tiles("cpu=1 ram=3"), absl::Seconds(3));
  Learn(Tiles("cpu=1 ram=2"), absl::Seconds(2));
  ExpectNear(table_.WallTime(Tiles("cpu=1 ram=1")), absl::Seconds(1));
  // Of several the one that ran last.
  ExpectNear(table_.WallTime(Tiles("cpu=1 ram=9")), absl::Seconds(2));
  EXPECT_EQ(table_.WallTime({"release-#", "tile", ""}), std::nullopt);
  EXPECT_EQ(table_.WallTime({"other-#", "tile-#", "cpu=1 ram=1"}), std::nullopt);
}

TEST_F(UsageTableTest, AConsumptionHasAMeanOverItsKinds) {
  Learn({"g", "a", "cpu=2"}, absl::Seconds(10));
  Learn({"g", "b", "cpu=2"}, absl::Seconds(10));
  ExpectNear(table_.WallTimeOf("cpu=2"), absl::Seconds(10));
  EXPECT_EQ(table_.WallTimeOf("cpu=3"), std::nullopt);
}

TEST_F(UsageTableTest, WhatWasNotMeasuredDoesNotCountAsNothing) {
  UsageTable::Place place;
  table_.Learn(Tiles(), {absl::Seconds(1), absl::ZeroDuration(), 0}, now_, &place);
  EXPECT_TRUE(table_.Find(Tiles())->ram_bytes.empty());
  EXPECT_TRUE(table_.Find(Tiles())->cpu_milli.empty());
  EXPECT_EQ(table_.Find(Tiles())->runs, 1);
}

TEST_F(UsageTableTest, OnlyWhatChangedIsWrittenAndReadBackItIsTheSame) {
  Learn(Tiles(), absl::Seconds(2), 5);
  Learn({"g", "a", "cpu=2"}, absl::Seconds(10));
  ASSERT_THAT(Written(), SizeIs(2));
  std::vector<storage::Record> records;
  table_.TakeChanges(&records);
  EXPECT_THAT(records, IsEmpty());
  Learn(Tiles(), absl::Seconds(2));
  table_.TakeChanges(&records);
  ASSERT_THAT(records, SizeIs(1));
  EXPECT_EQ(std::get<storage::KindLearnt>(records[0]).runs, 6);

  UsageTable again;
  const std::vector<storage::KindLearnt> kinds = Written();
  ASSERT_TRUE(again.Load(kinds).ok());
  EXPECT_EQ(again.size(), 2u);
  EXPECT_EQ(again.WallTime(Tiles()), table_.WallTime(Tiles()));
  ExpectNear(again.WallTimeOf("cpu=2"), absl::Seconds(10));
  // New ones get ids of their own.
  UsageTable::Place place;
  again.Learn({"g", "new", ""}, {.wall_time = absl::Seconds(1), .cpu_time = {}}, now_, &place);
  EXPECT_GT(place.id, std::max(kinds[0].id, kinds[1].id));
}

TEST_F(UsageTableTest, DamagedRowsAreRefused) {
  Learn(Tiles(), absl::Seconds(2));
  storage::KindLearnt row = Written()[0];
  UsageTable again;
  EXPECT_TRUE(absl::IsDataLoss(again.Load({row, row})));
  row.usage += "x";
  EXPECT_TRUE(absl::IsDataLoss(again.Load({row})));
  row.usage = "";
  EXPECT_TRUE(absl::IsDataLoss(again.Load({row})));
}

TEST_F(UsageTableTest, OfTooManyThoseGoThatRanLastLongestAgo) {
  const auto kind = [](size_t i) { return TaskKind{"g", absl::StrCat("k", i), "cpu=1"}; };
  UsageTable::Place first;
  for (size_t i = 0; i < UsageTable::kMaxKinds; ++i) {
    UsageTable::Place place;
    table_.Learn(kind(i), {.wall_time = absl::Seconds(1), .cpu_time = {}}, now_ + absl::Seconds(i),
                 &place);
    if (i == 0) first = place;
  }
  EXPECT_THAT(Written(), SizeIs(UsageTable::kMaxKinds));
  // The first one is used again, so the second one is the oldest.
  table_.Learn(kind(0), {.wall_time = absl::Seconds(1), .cpu_time = {}}, now_ + absl::Hours(9),
               &first);
  UsageTable::Place place;
  table_.Learn({"g", "one more", ""}, {.wall_time = absl::Seconds(1), .cpu_time = {}},
               now_ + absl::Hours(9), &place);
  EXPECT_EQ(table_.size(), UsageTable::kMaxKinds);
  EXPECT_TRUE(table_.Find(kind(0)).has_value());
  EXPECT_FALSE(table_.Find(kind(1)).has_value());
  EXPECT_THAT(Written(), SizeIs(UsageTable::kMaxKinds));
  // Who still knows the place of one that is gone does no harm.
  UsageTable::Place gone = {place.slot, place.id - 1};
  table_.Learn(kind(1), {.wall_time = absl::Seconds(1), .cpu_time = {}}, now_ + absl::Hours(9),
               &gone);
  EXPECT_TRUE(table_.Find(kind(1)).has_value());
  EXPECT_EQ(table_.Find({"g", "one more", ""})->runs, 1);
}

TEST_F(UsageTableTest, KindsAreListedByNameAPageAtATime) {
  for (const char* task : {"c", "a", "b-#"}) Learn({"g", task, "cpu=1"}, absl::Seconds(1));
  Learn({"h", "a", "cpu=1"}, absl::Seconds(1));
  const auto names = [](const std::vector<KindUsage>& kinds) {
    std::vector<std::string> found;
    for (const KindUsage& kind : kinds) {
      found.push_back(absl::StrCat(kind.kind.graph, "/", kind.kind.task));
    }
    return found;
  };
  EXPECT_THAT(names(table_.List(nullptr, "", "", 10)), ElementsAre("g/a", "g/b-#", "g/c", "h/a"));
  const std::vector<KindUsage> page = table_.List(nullptr, "", "", 2);
  EXPECT_THAT(names(page), ElementsAre("g/a", "g/b-#"));
  EXPECT_THAT(names(table_.List(&page[1].kind, "", "", 2)), ElementsAre("g/c", "h/a"));
  EXPECT_THAT(names(table_.List(nullptr, "", "a", 10)), ElementsAre("g/a", "h/a"));
  EXPECT_THAT(names(table_.List(nullptr, "h", "", 10)), ElementsAre("h/a"));
}

TEST_F(UsageTableTest, TheScarcestResourceCounts) {
  const Resource db = Resource::Named("db");
  EXPECT_EQ(table_.DominantShare({{Resource::Cpu(), Quantity::Of(1)}}), 0) << "nothing is known";
  table_.SetCapacity({{Resource::Cpu(), Quantity::Of(10)}}, {{db, Quantity::Of(4)}});
  EXPECT_DOUBLE_EQ(table_.DominantShare({{Resource::Cpu(), Quantity::Of(1)}}), 0.1);
  EXPECT_DOUBLE_EQ(
      table_.DominantShare({{Resource::Cpu(), Quantity::Of(1)}, {db, Quantity::Of(2)}}), 0.5);
  EXPECT_DOUBLE_EQ(table_.DominantShare({{Resource::Cpu(), Quantity::Of(90)}}), 1);
}

TEST_F(UsageTableTest, AGraphKnowsWhatIsExpectedOfItsTasks) {
  Learn({"release-#", "tile-#", "cpu=1"}, absl::Seconds(2));
  GraphKinds kinds;
  kinds.SetGraph("release-7");
  kinds.Add("tile-1", "cpu=1", absl::ZeroDuration());
  kinds.Add("tile-2", "cpu=1", absl::Minutes(5));
  kinds.Add("other", "cpu=1", absl::ZeroDuration());
  kinds.Add("tile-3", "cpu=1", absl::Hours(24 * 365 * 1000));
  kinds.Estimate(&table_);
  EXPECT_THAT(kinds.kinds(), SizeIs(2));
  ExpectNear(absl::Microseconds(kinds.ExpectedUs(0)), absl::Seconds(2));
  EXPECT_EQ(kinds.Declared(0), absl::ZeroDuration());
  EXPECT_EQ(kinds.ExpectedUs(1), absl::ToInt64Microseconds(absl::Minutes(5)));
  EXPECT_EQ(kinds.Declared(1), absl::Minutes(5));
  EXPECT_EQ(kinds.ExpectedUs(2), 0);
  EXPECT_EQ(kinds.Declared(3), absl::Hours(24 * 365 * 1000));
  EXPECT_EQ(kinds.ExpectedUs(3), absl::ToInt64Microseconds(GraphKinds::kLongest));
}

TEST_F(UsageTableTest, WhatIsExpectedOfATaskOnceItIsKnownToAGraphStays) {
  GraphKinds kinds;
  kinds.SetGraph("g");
  kinds.Add("a", "cpu=1", {});
  kinds.Estimate(nullptr);
  Learn({"g", "a", "cpu=1"}, absl::Seconds(2));
  Learn({"g", "b", "cpu=1"}, absl::Seconds(2));
  kinds.Add("b", "cpu=1", {});
  kinds.Estimate(&table_);
  EXPECT_EQ(kinds.ExpectedUs(0), 0);
  EXPECT_GT(kinds.ExpectedUs(1), 0);
}

TEST_F(UsageTableTest, AGraphOfNamesThatAreAllDifferentHasOnlySoManyKinds) {
  GraphKinds kinds;
  kinds.SetGraph("g");
  for (char a = 'a'; a <= 'z'; ++a) {
    for (char b = 'a'; b <= 'z'; ++b) {
      for (char c = 'a'; c <= 'c'; ++c) kinds.Add(std::string{a, b, c}, "cpu=1", {});
    }
  }
  EXPECT_EQ(kinds.size(), 26u * 26 * 3);
  EXPECT_THAT(kinds.kinds(), SizeIs(GraphKinds::kMaxKinds));
  EXPECT_NE(kinds.Of(0), nullptr);
  EXPECT_EQ(kinds.Of(26 * 26 * 3 - 1), nullptr);
  EXPECT_EQ(kinds.ExpectedUs(26 * 26 * 3 - 1), 0);
}

}  // namespace
}  // namespace kartograph::scheduler
