#include "storage/encoding.h"

#include <gtest/gtest.h>

#include <cstdint>
#include <limits>

namespace kartograph::storage {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

TEST(EncodingTest, WritesQuantitiesExactlyAndAsShortAsTheyAre) {
  EXPECT_EQ(EncodeConsumption({}), "{}");
  EXPECT_EQ(EncodeConsumption({{Resource::Cpu(), Quantity::FromMilli(500)},
                               {Resource::Ram(), Quantity::Of(536870912)}}),
            R"({"cpu":0.5,"ram":536870912})");
  EXPECT_EQ(EncodeConsumption({{Resource::Cpu(), Quantity::FromMilli(1050)}}), R"({"cpu":1.05})");
  EXPECT_EQ(EncodeConsumption({{Resource::Cpu(), Quantity::FromMilli(1)}}), R"({"cpu":0.001})");
}

TEST(EncodingTest, ReadsEveryConsumptionItWrites) {
  for (int64_t milli : {int64_t{1}, int64_t{10}, int64_t{999}, int64_t{1000}, int64_t{1001},
                        int64_t{123456789012345678}, int64_t{1000000000000000999}, int64_t{-1},
                        int64_t{-2500}, std::numeric_limits<int64_t>::max()}) {
    const ResourceVector consumption = {{Resource::Cpu(), Quantity::FromMilli(milli)},
                                        {Resource::Named("a.b-c_9"), Quantity::FromMilli(milli)}};
    absl::StatusOr<ResourceVector> read = DecodeConsumption(EncodeConsumption(consumption));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, consumption) << milli;
  }
  EXPECT_TRUE(DecodeConsumption("{}")->empty());
}

TEST(EncodingTest, ReportsConsumptionsItWouldNotWriteAsDamage) {
  for (const char* json :
       {"", "{", "}", "[]", "{\"cpu\"}", "{\"cpu\":}", "{\"cpu\":1.}x", "{\"cpu\":1.2345}",
        "{\"cpu\":x}", "{\"cpu\":1,}", "{cpu:1}", "{\"9cpu\":1}", "{\":1}",
        "{\"cpu\":99999999999999999999}", "{\"cpu\":--1}"}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeConsumption(json).status())) << json;
  }
}

TEST(EncodingTest, ReadsEveryRetryRuleItWrites) {
  planner::RetryRule rule;
  EXPECT_EQ(EncodeRetryRule(rule), ";");
  ASSERT_TRUE(rule.on.Add("64-78").ok());
  ASSERT_TRUE(rule.on.Add("SIGKILL").ok());
  ASSERT_TRUE(rule.not_on.Add("timeout").ok());
  EXPECT_EQ(EncodeRetryRule(rule), "64-78,SIGKILL;timeout");
  for (const planner::RetryRule& r : {rule, planner::RetryRule()}) {
    const absl::StatusOr<planner::RetryRule> read = DecodeRetryRule(EncodeRetryRule(r));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, r);
  }
  for (const char* text : {"", "1", "a;", ";;", "0;", "1;256"}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeRetryRule(text).status())) << text;
  }
}

TEST(EncodingTest, ReadsEveryListOfIndexesItWrites) {
  std::string json;
  std::vector<planner::TaskIndex> read = {7};
  for (const std::vector<planner::TaskIndex>& indexes :
       {std::vector<planner::TaskIndex>{}, {0}, {0, 1048575}, {3, 2, 1}}) {
    EncodeIndexes(indexes, json);
    ASSERT_TRUE(DecodeIndexes(json, read).ok()) << json;
    EXPECT_EQ(read, indexes);
  }
  EncodeIndexes({3, 2}, json);
  EXPECT_EQ(json, "[3,2]");
}

TEST(EncodingTest, ReportsListsItWouldNotWriteAsDamage) {
  std::vector<planner::TaskIndex> read;
  for (const char* json : {"", "[", "]", "[1", "[1,", "[1,]", "[,1]", "[1]]", "[-1]", "[a]",
                           "[1 ,2]", "[4294967296]", "{}", "[1;2]"}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeIndexes(json, read))) << json;
  }
}

TEST(EncodingTest, ReadsTheConstraintsItWrites) {
  using Operator = planner::Constraint::Operator;
  const planner::Constraints all({{"rack", Operator::kEquals, false, {"b3"}},
                                  {"disk", Operator::kEquals, true, {""}},
                                  {"a;b, \xff", Operator::kOneOf, true, {"x,y", "!", "z z"}},
                                  {"zone", Operator::kMatches, false, {"eu-.*"}}});
  for (const planner::Constraints& constraints : {all, planner::Constraints()}) {
    const absl::StatusOr<planner::Constraints> read =
        DecodeConstraints(EncodeConstraints(constraints));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, constraints);
  }
  EXPECT_EQ(EncodeConstraints(planner::Constraints({{"rack", Operator::kEquals, true, {"b3"}}})),
            "!equals 7261636b 6233");
}

TEST(EncodingTest, ReportsConstraintsItWouldNotWriteAsDamage) {
  for (const char* text :
       {"equals", "equals 7261636b", "equals 7 6233", "equals 7261636b 6g", "is 7261636b 6233",
        "equals 7261636b 6233;", "; ", "equals 72 61,62", "equals 72  61", "!!equals 72 61"}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeConstraints(text).status())) << text;
  }
}

TEST(EncodingTest, ReadsTheSpreadItWrites) {
  for (const planner::Spread& spread : {planner::Spread(), planner::Spread{"workers", 2}}) {
    const absl::StatusOr<planner::Spread> read = DecodeSpread(EncodeSpread(spread));
    ASSERT_TRUE(read.ok()) << read.status();
    EXPECT_EQ(*read, spread);
  }
  for (const char* text : {"2", "2 ", "0 workers", "two workers", " workers"}) {
    EXPECT_TRUE(absl::IsDataLoss(DecodeSpread(text).status())) << text;
  }
}

TEST(EncodingTest, KeepsInfiniteTimesAndDurations) {
  for (absl::Time time : {absl::InfiniteFuture(), absl::InfinitePast(), absl::UnixEpoch(),
                          absl::FromUnixMicros(1700000000123456)}) {
    EXPECT_EQ(DecodeTime(EncodeTime(time)), time);
  }
  for (absl::Duration duration :
       {absl::InfiniteDuration(), -absl::InfiniteDuration(), absl::ZeroDuration(),
        absl::Microseconds(1), absl::Hours(100000)}) {
    EXPECT_EQ(DecodeDuration(EncodeDuration(duration)), duration);
  }
}

}  // namespace
}  // namespace kartograph::storage
