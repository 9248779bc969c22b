// What is next and fits nowhere gets room, whatever else comes.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/reservations.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReservationsTest : public ::testing::Test, protected CoreStory {
 protected:
  explicit ReservationsTest(planner::ResourceVector pools = {}) : CoreStory(std::move(pools)) {}
  static Graph Small(int tasks, const planner::ResourceVector& needs = Cpu(1)) {
    std::vector<Task> all;
    for (int i = 0; i < tasks; ++i) all.push_back(Task(absl::StrCat("small", i)).Needs(needs));
    return Graph(all);
  }
  // Submits the task, which nothing has room for.
  planner::GraphId SubmitLarge(const planner::ResourceVector& needs) {
    return Submit(Graph({Task("large").Needs(needs).Priority(1000)}));
  }
  void EndsIn(planner::GraphId graph, const std::string& task) {
    GoOnWith(graph);
    Succeeds(task, absl::Seconds(1));
  }
};

TEST_F(ReservationsTest, ATaskAsLargeAsTheAgentStartsWhenWhatRunsHasEnded) {
  Agent("m", Cpu(2));
  const planner::GraphId small = Submit(Small(60));
  EXPECT_THAT(Started(), SizeIs(2));
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  EndsIn(small, "small0");
  EXPECT_THAT(Started(), IsEmpty());
  EndsIn(small, "small1");
  EXPECT_THAT(Started(), ElementsAre("large"));
}

TEST_F(ReservationsTest, ShortWaitsReserveNothing) {
  Agent("m", Cpu(2));
  const planner::GraphId small = Submit(Small(60));
  Started();
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience - absl::Milliseconds(1));
  EndsIn(small, "small0");
  EXPECT_THAT(Started(), ElementsAre("small2"));
}

TEST_F(ReservationsTest, TheWaitingTaskAndTheOthersSayWhy) {
  Agent("m", Cpu(2));
  const planner::GraphId small = Submit(Small(60));
  Started();
  const planner::GraphId large = SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  EXPECT_THAT(Reason("large"), HasSubstr("agent m is kept for it"));
  EndsIn(small, "small0");
  EXPECT_THAT(Reason("small2"), HasSubstr("agent m, which is kept for \"large\" of g2"));
  GoOnWith(large);
  EXPECT_TRUE(Cancel("large").ok());
  EXPECT_THAT(Started(), ElementsAre("small2"));
}

TEST_F(ReservationsTest, WhatIsMoreUrgentTakesTheReservationOfAnother) {
  Agent("m", Cpu(2));
  Submit(Small(60));
  Wait(Reservations::kPatience);
  EXPECT_THAT(Reason("small2"), HasSubstr("agent m is kept for it"));
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  EXPECT_THAT(Reason("large"), HasSubstr("agent m is kept for it"));
}

TEST_F(ReservationsTest, OfManyThatWaitEachHasItsTurn) {
  for (int i = 0; i < 40; ++i) Agent(absl::StrCat("m", i), With(Cpu(2), "ram", 100));
  Submit(Small(80));
  ASSERT_THAT(Started(), SizeIs(80));
  constexpr int kLarge = 2 * Reservations::kMostLooks + 1;
  std::vector<Task> tasks;
  for (int i = 1; i <= kLarge; ++i) {
    tasks.push_back(Task(absl::StrCat("large", i)).Needs(With(Cpu(2), "ram", i)));
  }
  Submit(Graph(tasks));
  const auto reserved = [&] {
    int count = 0;
    for (int i = 1; i <= kLarge; ++i) {
      if (Reason(absl::StrCat("large", i)).find("is kept for it") != std::string::npos) ++count;
    }
    return count;
  };
  Wait(Reservations::kPatience);
  EXPECT_EQ(reserved(), Reservations::kMostLooks);
  for (int i = 0; i < 2; ++i) {
    EXPECT_LE(core().NextTimer() - now().steady, Reservations::kBetweenLooks);
    Wait(Reservations::kBetweenLooks);
  }
  EXPECT_EQ(reserved(), kLarge);
}

TEST_F(ReservationsTest, WhatNoAgentCanHaveKeepsNobodyFromItsTurn) {
  Agent("huge", Cpu(100));
  for (int i = 0; i < 40; ++i) Agent(absl::StrCat("m", i), Cpu(2));
  LoseAgent("huge");
  Submit(Small(80));
  ASSERT_THAT(Started(), SizeIs(80));
  std::vector<Task> tasks = {Task("large").Needs(Cpu(2))};
  for (int i = 0; i < Reservations::kMostLooks; ++i) {
    tasks.push_back(Task(absl::StrCat("huge", i)).Needs(Cpu(50 + i)).Priority(1));
  }
  Submit(Graph(tasks));
  Wait(Reservations::kPatience);
  Wait(Reservations::kBetweenLooks);
  EXPECT_THAT(Reason("large"), HasSubstr("is kept for it"));
}

TEST_F(ReservationsTest, WhatIsKnownToEndInTimeGoesInBetween) {
  Agent("m", Cpu(2));
  const planner::GraphId small = Submit(Small(1));
  Started();
  const planner::GraphId slow = Submit(Graph({Task("slow").Needs(With(Cpu(1), "gpu", 0))}));
  EndsIn(small, "small0");
  Wait(absl::Hours(1));
  Started();
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  // By now it is expected to go on for a quarter of an hour; the others take a second.
  const planner::GraphId more = Submit(Small(2));
  Wait(Reservations::kPeriod);
  EXPECT_THAT(Started(), ElementsAre("small0"));
  EndsIn(more, "small0");
  EXPECT_THAT(Started(), ElementsAre("small1"));
  EndsIn(more, "small1");
  GoOnWith(slow);
  Succeeds("slow", absl::Hours(1));
  EXPECT_THAT(Started(), ElementsAre("large"));
}

TEST_F(ReservationsTest, AnotherAgentMayBeQuicker) {
  Agent("m1", Cpu(2));
  Agent("m2", Cpu(2));
  const planner::GraphId small = Submit(Small(5));
  EXPECT_THAT(Started(), SizeIs(4));
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  // One of the two is kept; on the other one it goes on as before, until that has room by chance.
  std::vector<std::string> started;
  for (int i = 0; i < 4 && started.empty(); ++i) {
    EndsIn(small, absl::StrCat("small", i));
    started = Started();
  }
  EXPECT_THAT(started, ::testing::AnyOf(ElementsAre("large"), ElementsAre("small4")));
}

TEST_F(ReservationsTest, AnAgentThatIsLostIsReplaced) {
  Agent("m1", Cpu(2));
  const planner::GraphId small = Submit(Small(60));
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  LoseAgent("m1");
  Started();
  Agent("m2", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("large"));
  (void)small;
}

TEST_F(ReservationsTest, NothingIsKeptAfterTheEnd) {
  Agent("m", Cpu(2));
  const planner::GraphId small = Submit(Small(3));
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  Started();
  EndsIn(small, "small0");
  EndsIn(small, "small1");
  EXPECT_THAT(Started(), ElementsAre("large"));
  GoOnWith(small + 1);
  Succeeds("large", absl::Seconds(1));
  EXPECT_THAT(Started(), ElementsAre("small2"));
  EndsIn(small, "small2");
  EXPECT_EQ(core().NextTimer(), SteadyTime::InfiniteFuture());
}

TEST_F(ReservationsTest, OffersOfAReservedAgentAreKeptForAWhile) {
  Connect();
  Submit(Graph({Task("runs")}));
  Offer("o1", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("runs"));
  Notify(executor::AgentCapacity{.agent = "m",
                                 .agent_name = "m",
                                 .resources = Cpu(2),
                                 .for_one_attempt = Cpu(2),
                                 .attributes = {}});
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  Declined();
  Offer("o2", "m", Cpu(1));
  EXPECT_THAT(Declined(), IsEmpty());
  Offer("o3", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("large"));
}

TEST_F(ReservationsTest, ButNotForLong) {
  Connect();
  Notify(executor::AgentCapacity{.agent = "m",
                                 .agent_name = "m",
                                 .resources = Cpu(2),
                                 .for_one_attempt = Cpu(2),
                                 .attributes = {}});
  SubmitLarge(Cpu(2));
  Wait(Reservations::kPatience);
  Offer("o2", "m", Cpu(1));
  EXPECT_THAT(Declined(), IsEmpty());
  Wait(Reservations::kKeepOffers + absl::Seconds(1));
  Wait(absl::Milliseconds(1));
  EXPECT_THAT(Declined(), ElementsAre("o2"));
}

class PoolReservationsTest : public ReservationsTest {
 protected:
  PoolReservationsTest() : ReservationsTest(With({}, "db", 4)) {}
};

TEST_F(PoolReservationsTest, AWholePoolIsHadWhenWhatHoldsItHasEnded) {
  Agent("m", Cpu(100));
  const planner::GraphId small = Submit(Small(60, With(Cpu(1), "db", 1)));
  EXPECT_THAT(Started(), SizeIs(4));
  SubmitLarge(With(Cpu(1), "db", 4));
  Wait(Reservations::kPatience);
  for (int i = 0; i < 3; ++i) EndsIn(small, absl::StrCat("small", i));
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_THAT(Reason("small4"), HasSubstr("3 of 4 free, but kept for \"large\" of g2"));
  // What needs none of it goes on.
  Submit(Graph({Task("other")}));
  EXPECT_THAT(Started(), ElementsAre("other"));
  EndsIn(small, "small3");
  EXPECT_THAT(Started(), ElementsAre("large"));
}

}  // namespace
}  // namespace kartograph::scheduler
