#include "planner/usage_sketch.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <string>
#include <vector>

#include "absl/strings/string_view.h"

namespace kartograph::planner {
namespace {

TEST(UsageSketchTest, NothingSeenIsZero) {
  const UsageSketch sketch;
  EXPECT_TRUE(sketch.empty());
  EXPECT_EQ(sketch.Median(), 0u);
  EXPECT_EQ(sketch.Quantile(0.95), 0u);
  EXPECT_EQ(sketch.Largest(), 0u);
}

TEST(UsageSketchTest, OneNumberIsAllQuantilesUpToTheError) {
  for (uint64_t value : {uint64_t{0}, uint64_t{1}, uint64_t{15}, uint64_t{16}, uint64_t{1000},
                         uint64_t{123456789}, uint64_t{1} << 40, UINT64_MAX}) {
    UsageSketch sketch;
    sketch.Add(value);
    for (double share : {0.0, 0.5, 0.95, 1.0}) {
      const auto quantile = static_cast<double>(sketch.Quantile(share));
      const auto exact = static_cast<double>(value);
      EXPECT_LE(std::abs(quantile - exact), UsageSketch::kRelativeError * exact) << value;
    }
    EXPECT_GE(sketch.Largest(), value);
  }
}

// The quantiles are those of the numbers in a window, of any shape, within the stated error.
TEST(UsageSketchTest, QuantilesKeepTheStatedError) {
  std::mt19937_64 random(3);
  std::lognormal_distribution<double> times(std::log(2e6), 0.3);
  for (int round = 0; round < 20; ++round) {
    UsageSketch sketch;
    std::vector<uint64_t> seen;
    // So few that what is older weighs nearly as much.
    for (int i = 0; i < 21; ++i) {
      seen.push_back(static_cast<uint64_t>(times(random)));
      sketch.Add(seen.back());
    }
    std::sort(seen.begin(), seen.end());
    // The decay may move a quantile to a neighbour, and the bucket moves it by the error.
    const auto within = [&](double share, size_t from, size_t to) {
      const auto quantile = static_cast<double>(sketch.Quantile(share));
      EXPECT_GE(quantile, static_cast<double>(seen[from]) * (1 - UsageSketch::kRelativeError));
      EXPECT_LE(quantile, static_cast<double>(seen[to]) * (1 + UsageSketch::kRelativeError));
    };
    within(0.5, 9, 11);
    within(0.95, 18, 20);
  }
}

TEST(UsageSketchTest, SharesAndQuantilesAreTheInverseOfEachOther) {
  UsageSketch sketch;
  EXPECT_EQ(sketch.ShareUpTo(100), 0);
  for (uint64_t i = 0; i < 40; ++i) sketch.Add(i % 2 == 0 ? 1000 : 9000);
  EXPECT_EQ(sketch.ShareUpTo(900), 0);
  EXPECT_NEAR(sketch.ShareUpTo(5000), 0.5, 0.01);
  EXPECT_EQ(sketch.ShareUpTo(10000), 1);
  EXPECT_NEAR(static_cast<double>(sketch.Quantile(sketch.ShareUpTo(5000) + 0.1)), 9000, 300);
}

TEST(UsageSketchTest, RareOutliersMoveNothing) {
  UsageSketch sketch;
  for (int i = 0; i < 200; ++i) sketch.Add(i % 50 == 7 ? 3'600'000'000 : 2'000'000);
  EXPECT_NEAR(static_cast<double>(sketch.Median()), 2e6, 2e6 / 32);
  EXPECT_NEAR(static_cast<double>(sketch.Quantile(0.95)), 2e6, 2e6 / 32);
  EXPECT_GE(sketch.Largest(), 3'600'000'000u);
}

TEST(UsageSketchTest, NewerNumbersCountMore) {
  UsageSketch sketch;
  for (int i = 0; i < 10000; ++i) sketch.Add(1000);
  for (int i = 0; i < 150; ++i) sketch.Add(500000);
  EXPECT_NEAR(static_cast<double>(sketch.Median()), 500000, 500000.0 / 32);
  // And what is long gone does not count at all.
  for (int i = 0; i < 5000; ++i) sketch.Add(500000);
  EXPECT_EQ(sketch.buckets(), 1u);
}

TEST(UsageSketchTest, ItIsBoundedWhateverComes) {
  std::mt19937_64 random(5);
  UsageSketch sketch;
  for (int i = 0; i < 20000; ++i) sketch.Add(random() >> (random() % 64));
  EXPECT_LE(sketch.buckets(), UsageSketch::kMaxBuckets);
  std::string bytes;
  sketch.AppendTo(&bytes);
  EXPECT_LE(bytes.size(), UsageSketch::kMaxBytes);
}

TEST(UsageSketchTest, ItIsReadBackAsItWas) {
  UsageSketch first;
  UsageSketch second;
  for (uint64_t i = 0; i < 3000; ++i) first.Add(1000 + i % 700);
  std::string bytes;
  first.AppendTo(&bytes);
  second.AppendTo(&bytes);
  absl::string_view left = bytes;
  absl::StatusOr<UsageSketch> read = UsageSketch::TakeFrom(&left);
  ASSERT_TRUE(read.ok()) << read.status();
  for (double share : {0.0, 0.1, 0.5, 0.95, 1.0}) {
    EXPECT_EQ(read->Quantile(share), first.Quantile(share));
  }
  // It goes on in the same way.
  for (int i = 0; i < 300; ++i) {
    first.Add(5000);
    read->Add(5000);
  }
  EXPECT_EQ(read->Quantile(0.3), first.Quantile(0.3));
  read = UsageSketch::TakeFrom(&left);
  ASSERT_TRUE(read.ok());
  EXPECT_TRUE(read->empty());
  EXPECT_TRUE(left.empty());
}

TEST(UsageSketchTest, DamagedBytesAreRefused) {
  UsageSketch sketch;
  for (uint64_t i = 0; i < 100; ++i) sketch.Add(i * i);
  std::string bytes;
  sketch.AppendTo(&bytes);
  for (size_t cut = 0; cut < bytes.size(); ++cut) {
    absl::string_view part = absl::string_view(bytes).substr(0, cut);
    EXPECT_FALSE(UsageSketch::TakeFrom(&part).ok());
  }
  std::mt19937_64 random(9);
  for (int i = 0; i < 2000; ++i) {
    std::string wrong = bytes;
    wrong[random() % wrong.size()] = static_cast<char>(random());
    absl::string_view left = wrong;
    if (absl::StatusOr<UsageSketch> read = UsageSketch::TakeFrom(&left); read.ok()) {
      read->Add(7);
      EXPECT_LE(read->Quantile(0.5), read->Largest());
    }
  }
  std::string not_a_number = bytes;
  const float nan = NAN;
  not_a_number.replace(4, sizeof(nan), reinterpret_cast<const char*>(&nan), sizeof(nan));
  absl::string_view left = not_a_number;
  EXPECT_FALSE(UsageSketch::TakeFrom(&left).ok());
}

}  // namespace
}  // namespace kartograph::planner
