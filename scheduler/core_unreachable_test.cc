// Agents that cannot be reached, and what becomes of the attempts on them.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class UnreachableTest : public ::testing::Test, protected CoreStory {
 protected:
  UnreachableTest() : CoreStory(With({}, "db_connections", 1)) {}
  // "a" runs on agent m, which then becomes unreachable; "b" waits for the pool.
  void LoseSightOf(Task a) {
    const planner::ResourceVector needs = With(Cpu(1), "db_connections", 1);
    Submit(Graph({a.Needs(needs).Priority(1), Task("b").Needs(needs)}));
    Offer("o1", "m", Cpu(1));
    Runs("a");
    Started();
    AgentOutOfReach("m");
    OutOfReach("a");
  }
  AttemptSnapshot Snapshot(absl::string_view task) { return core().Attempts(Key(task)).at(0); }
};

TEST_F(UnreachableTest, AnAttemptKeepsAllThatItHolds) {
  LoseSightOf(Task("a"));
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(Reason("a"),
            "its agent cannot be reached since 2023-11-14T22:13:20Z; whether it runs is not known");
  EXPECT_EQ(Snapshot("a").unreachable_since, now().wall);
  const ClusterSnapshot cluster = core().Cluster(10, 10);
  ASSERT_EQ(cluster.agents.size(), 1u);
  EXPECT_FALSE(cluster.agents[0].connected);
  EXPECT_EQ(cluster.agents[0].used, Cpu(1));
  Wait(absl::Hours(1000));
  OutOfReach("a");
  Offer("o2", "n", Cpu(1));
  EXPECT_THAT(Started(), IsEmpty()) << "it may still use its connection";
  EXPECT_EQ(Snapshot("a").unreachable_since, now().wall - absl::Hours(1000))
      << "since the first news";
}

TEST_F(UnreachableTest, OneThatIsBackGoesOn) {
  LoseSightOf(Task("a").UnreachableTimeout(absl::Minutes(5)));
  Wait(absl::Minutes(4));
  Runs("a");
  EXPECT_EQ(Reason("a"), "");
  EXPECT_TRUE(core().Cluster(1, 0).agents[0].connected) << "its agent said so";
  Wait(absl::Minutes(10));
  EXPECT_EQ(State("a"), "running");
  OutOfReach("a");
  Wait(absl::Minutes(4));
  EXPECT_EQ(State("a"), "running") << "the time begins anew";
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
}

TEST_F(UnreachableTest, OneThatOnlyWaitedToStartIsBackWithoutAStart) {
  Submit(Graph({Task("a")}));
  Offer("o1", "m", Cpu(1));
  OutOfReach("a");
  EXPECT_THAT(Reason("a"), HasSubstr("cannot be reached since"));
  Queued("a");
  EXPECT_EQ(Reason("a"), "is being started");
}

TEST_F(UnreachableTest, AfterItsTimeoutItIsGivenUpAndTheTaskRunsAgain) {
  LoseSightOf(Task("a").UnreachableTimeout(absl::Minutes(5)).Grace(absl::Seconds(3)));
  const planner::AttemptId first = Newest("a");
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Minutes(5));
  Wait(absl::Minutes(5));
  EXPECT_EQ(State("a"), "ready");
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  EXPECT_THAT(CancelGraces(), ElementsAre(absl::Seconds(3)));
  EXPECT_THAT(Acknowledged(), IsEmpty()) << "it has not ended, as far as the cluster knows";
  const auto& ended = history().task(Key("a")).attempts.at(1).second;
  ASSERT_TRUE(ended);
  EXPECT_EQ(ended->outcome, Outcome::kUnreachable);
  EXPECT_EQ(ended->message, "its agent could not be reached for 5m");
  Offer("o2", "n", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a")) << "its units are free, and no attempt is spent";
  Runs("a");
  // The agent is back, and the first attempt on it was not cancelled.
  executor::AttemptUpdate back;
  back.attempt = first;
  back.agent = "m";
  back.unreachable = true;
  Notify(back);
  EXPECT_THAT(Cancels(), IsEmpty()) << "nobody would hear it";
  back.unreachable = false;
  back.start_time = now().wall;
  Notify(back);
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  back.outcome = Outcome::kCancelled;
  Notify(back);
  EXPECT_THAT(Acknowledged(), ElementsAre("g1.0.1"));
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(Attempts("a"), 2);
}

TEST_F(UnreachableTest, ACancelledTaskThatIsGivenUpIsCancelled) {
  LoseSightOf(Task("a").UnreachableTimeout(absl::Minutes(5)));
  ASSERT_TRUE(Cancel("a").ok());
  EXPECT_THAT(Reason("a"), HasSubstr("is being cancelled; its agent cannot be reached since"));
  Wait(absl::Minutes(5));
  EXPECT_EQ(State("a"), "cancelled");
}

TEST_F(UnreachableTest, ACancelThatNobodyHeardIsAskedForAgain) {
  LoseSightOf(Task("a"));
  ASSERT_TRUE(Cancel("a").ok());
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  Runs("a");
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
}

TEST_F(UnreachableTest, WithoutAConnectionNothingIsGivenUp) {
  LoseSightOf(Task("a").UnreachableTimeout(absl::Minutes(5)));
  Disconnect();
  EXPECT_EQ(core().NextTimer(), SteadyTime::InfiniteFuture());
  Wait(absl::Minutes(10));
  Connect();
  EXPECT_EQ(State("a"), "running") << "it may have come back meanwhile";
  OutOfReach("a");
  EXPECT_EQ(State("a"), "ready");
}

TEST_F(UnreachableTest, AfterARestartTheTimeBeginsAnew) {
  LoseSightOf(Task("a").UnreachableTimeout(absl::Minutes(5)));
  Wait(absl::Minutes(4));
  Restart();
  Connect();
  OutOfReach("a");
  Wait(absl::Minutes(4));
  EXPECT_THAT(Reason("a"), HasSubstr("cannot be reached since"));
  Wait(absl::Minutes(1));
  EXPECT_EQ(State("a"), "ready");
}

TEST_F(UnreachableTest, TheClusterMaySayThatItIsGone) {
  LoseSightOf(Task("a"));
  Ends("a", Outcome::kGone);
  EXPECT_THAT(Acknowledged(), ElementsAre("g1.0.1"));
  Offer("o2", "n", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(UnreachableTest, AnAgentsOffersAreVoidUntilItOffersAgain) {
  Submit(Graph({Task("a").Needs(Cpu(2)), Task("free").Needs(Cpu(0))}));
  Notify({executor::Connected{}, MakeOffer("o1", "m", Cpu(2)), executor::AgentUnreachable{"m"},
          executor::AgentUnreachable{"never seen"}});
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_THAT(Declined(), IsEmpty());
  Offer("o2", "m", Cpu(2));
  EXPECT_THAT(Started(), testing::UnorderedElementsAre("a", "free"));
  EXPECT_TRUE(core().Cluster(1, 0).agents[0].connected);
}

}  // namespace
}  // namespace kartograph::scheduler
