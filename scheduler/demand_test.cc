#include "scheduler/demand.h"

#include <gtest/gtest.h>

namespace kartograph::scheduler {
namespace {

using Word = Demand::Word;

TEST(DemandWordTest, EachWordIsSaidOnce) {
  Demand demand;
  SteadyTime now;
  EXPECT_EQ(demand.Next(false, now), Word::kSuppress) << "a new connection knows nothing";
  EXPECT_EQ(demand.Next(false, now), Word::kNone);
  EXPECT_EQ(demand.Next(true, now), Word::kRevive);
  EXPECT_EQ(demand.Next(true, now), Word::kNone);
  EXPECT_EQ(demand.Next(false, now), Word::kSuppress);
}

TEST(DemandWordTest, AChangeRevivesAgainButNotAtOnce) {
  Demand demand;
  SteadyTime now;
  EXPECT_EQ(demand.Next(true, now), Word::kRevive);
  now += absl::Milliseconds(30);
  demand.Changed();
  EXPECT_EQ(demand.Next(true, now), Word::kNone);
  EXPECT_EQ(demand.NextTimer(), now + absl::Milliseconds(70));
  now = demand.NextTimer();
  EXPECT_EQ(demand.Next(true, now), Word::kRevive);
  EXPECT_EQ(demand.NextTimer(), SteadyTime::InfiniteFuture());
}

TEST(DemandWordTest, NothingIsDueWithoutAConnection) {
  Demand demand;
  SteadyTime now;
  EXPECT_EQ(demand.Next(true, now), Word::kRevive);
  demand.Changed();
  EXPECT_EQ(demand.Next(true, now), Word::kNone);
  demand.Silence();
  EXPECT_EQ(demand.NextTimer(), SteadyTime::InfiniteFuture());
  demand.Reset();
  EXPECT_EQ(demand.Next(true, now), Word::kRevive) << "the next connection knows nothing";
}

}  // namespace
}  // namespace kartograph::scheduler
