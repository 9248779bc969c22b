// When a ready task is expected to start.
#include "planner/start_forecast.h"

#include <gtest/gtest.h>

#include <deque>

namespace kartograph::planner {
namespace {

constexpr int64_t kEnough = 1000000;

class StartForecastTest : public ::testing::Test {
 protected:
  static ResourceVector Of(absl::string_view name, int64_t units) {
    return {{Resource::Named(name), Quantity::Of(units)}};
  }
  const ResourceVector* Keep(ResourceVector vector) {
    kept_.push_back(std::move(vector));
    return &kept_.back();
  }
  void Agent(int64_t cpus, int slots = 100) { outlook_.agents.push_back({Of("cpu", cpus), slots}); }
  void Runs(size_t agent, int64_t cpus, int64_t ends_us, int64_t units = 0) {
    outlook_.running.push_back({ends_us, agent, Keep(Of("cpu", cpus)), Keep(Of("db", units))});
  }
  void Waits(int64_t cpus, std::optional<int64_t> takes_us, int64_t units = 0) {
    outlook_.queue.push_back({Keep(Of("cpu", cpus)), Keep(Of("db", units)), takes_us});
  }
  std::optional<int64_t> Start(int64_t checks = kEnough) { return ForecastStart(outlook_, checks); }

  Outlook outlook_;

 private:
  std::deque<ResourceVector> kept_;
};

TEST_F(StartForecastTest, WhatFitsStartsAtOnce) {
  Agent(2);
  Waits(2, 5);
  EXPECT_EQ(Start(), 0);
}

TEST_F(StartForecastTest, ItStartsWhenEnoughOnOneAgentIsGivenBack) {
  Agent(0);
  Agent(0);
  Runs(0, 1, 10);
  Runs(1, 1, 20);
  Runs(0, 1, 30);
  Waits(2, 5);
  EXPECT_EQ(Start(), 30) << "after 20 there is one core on each";
}

TEST_F(StartForecastTest, WhatComesFirstTakesWhatIsGivenBackFirst) {
  Agent(0);
  Runs(0, 1, 10);
  Waits(1, 7);
  Waits(1, 5);
  Waits(1, 1);
  EXPECT_EQ(Start(), 22);
}

TEST_F(StartForecastTest, WhatFitsBesideSomethingLargerDoesNotWaitForIt) {
  Agent(1);
  Runs(0, 3, 100);
  Waits(4, 50);
  Waits(1, 1);
  EXPECT_EQ(Start(), 0);
}

TEST_F(StartForecastTest, UnitsOfPoolsAreWaitedForAsWell) {
  Agent(10);
  outlook_.pool_free = Of("db", 1);
  Runs(0, 1, 40, 2);
  Waits(1, 5, 3);
  EXPECT_EQ(Start(), 40);
}

TEST_F(StartForecastTest, SlotsCount) {
  Agent(10, 0);
  Runs(0, 1, 15);
  Waits(1, 5);
  EXPECT_EQ(Start(), 15);
}

TEST_F(StartForecastTest, WhatTakesNobodyKnowsHowLongGivesNothingBack) {
  Agent(1);
  Waits(1, std::nullopt);
  Waits(1, 5);
  EXPECT_EQ(Start(), std::nullopt);
}

TEST_F(StartForecastTest, WhatFitsNowhereIsNotExpected) {
  Agent(1);
  Waits(2, 5);
  EXPECT_EQ(Start(), std::nullopt);
}

TEST_F(StartForecastTest, ItGivesUpWhereTooMuchWouldHaveToBeLookedAt) {
  Agent(0);
  for (int i = 0; i < 100; ++i) Runs(0, 0, i);
  Runs(0, 1, 1000);
  Waits(1, 5);
  EXPECT_EQ(Start(), 1000);
  EXPECT_EQ(Start(50), std::nullopt);
}

TEST_F(StartForecastTest, NothingIsExpectedOfAnEmptyQueue) {
  Agent(1);
  EXPECT_EQ(Start(), std::nullopt);
}

}  // namespace
}  // namespace kartograph::planner
