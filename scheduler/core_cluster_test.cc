// Agents, offers and attempts: what the cluster reports, and what is launched on it.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::AttemptId;
using planner::Outcome;
using planner::ResourceVector;
using planner::TaskKey;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

std::vector<Task> Many(int n, const ResourceVector& consumption = Cpu(1)) {
  std::vector<Task> tasks;
  for (int i = 0; i < n; ++i) tasks.push_back(Task(absl::StrCat("t", i)).Needs(consumption));
  return tasks;
}

class LeaseTest : public ::testing::Test, protected CoreStory {};
class ConnectionTest : public ::testing::Test, protected CoreStory {};
class BacklogTest : public ::testing::Test, protected CoreStory {
 protected:
  // From here on tasks with this consumption are known to be short.
  void Learn(const ResourceVector& consumption, absl::Duration wall_time = absl::Milliseconds(1)) {
    Submit(Graph({Task("short").Needs(consumption)}));
    Succeeds("short", wall_time);
    Started();
  }
};
class PoolTest : public ::testing::Test, protected CoreStory {
 protected:
  PoolTest() : CoreStory(With({}, "db_connections", 2)) {}
};

TEST_F(LeaseTest, WhatAnAttemptFreesIsUsedAgainAtOnce) {
  Agent("m", Cpu(2));
  Submit(Graph(Many(4)));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1"));
  Succeeds("t1");
  EXPECT_THAT(Started(), ElementsAre("t2"));
  Fails("t0");
  EXPECT_THAT(Started(), ElementsAre("t3"));
}

TEST_F(LeaseTest, AnOutcomeThatThereIsNotIsALossAndNeverWritten) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  EXPECT_THAT(Started(), ElementsAre("a"));
  Ends("a", static_cast<Outcome>(200));
  EXPECT_EQ(core().totals().ended_by_outcome[static_cast<size_t>(Outcome::kLost)], 1);
  EXPECT_THAT(Started(), ElementsAre("a"));
  Succeeds("a");
  EXPECT_EQ(GraphState(), "succeeded");
}

TEST_F(LeaseTest, ANewerLeaseReplacesTheOlderAndCountsWhatRunsAlready) {
  Agent("m", Cpu(1));
  Submit(Graph(Many(4)));
  EXPECT_THAT(Started(), ElementsAre("t0"));
  Agent("m", Cpu(3));
  EXPECT_THAT(Started(), ElementsAre("t1", "t2"));
  Agent("m", Cpu(1));
  Succeeds("t0");
  Succeeds("t1");
  EXPECT_THAT(Started(), IsEmpty()) << "it shrank: what runs there still fills it";
  Succeeds("t2");
  EXPECT_THAT(Started(), ElementsAre("t3"));
}

TEST_F(LeaseTest, AnEndIsAcknowledgedHoweverOftenItIsTold) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b")}));
  Succeeds("a");
  EXPECT_THAT(Acknowledged(), ElementsAre("g1.0.1"));
  Succeeds("a");
  EXPECT_THAT(Acknowledged(), ElementsAre("g1.0.1"));
  EXPECT_EQ(State("a"), "succeeded");
  Fails("a");
  EXPECT_EQ(State("a"), "succeeded") << "what is known to have ended does not end otherwise";
}

TEST_F(LeaseTest, ARunningAttemptThatNobodyLaunchedIsCancelled) {
  Agent("m", Cpu(1));
  executor::AttemptUpdate stranger;
  stranger.attempt = AttemptId::Of(TaskKey::Of(77, 3), 1);
  stranger.agent = "m";
  stranger.start_time = now().wall;
  Notify(stranger);
  EXPECT_THAT(Cancels(), ElementsAre("g77.3.1"));
  stranger.outcome = Outcome::kCancelled;
  Notify(stranger);
  EXPECT_THAT(Acknowledged(), ElementsAre("g77.3.1"));
}

TEST_F(LeaseTest, OldNewsOfAnEarlierAttemptDoesNotTouchTheNewOne) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  const AttemptId first = Newest("a");
  Ends("a", Outcome::kLost);
  Runs("a");
  executor::AttemptUpdate late;
  late.attempt = first;
  late.agent = "m";
  late.outcome = Outcome::kSucceeded;
  Notify(late);
  EXPECT_EQ(State("a"), "running");
  EXPECT_EQ(Acknowledged().back(), "g1.0.1");
  // That it still runs somewhere must not stay so: two attempts of a task never run knowingly.
  late.outcome = Outcome::kNone;
  Notify(late);
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
}

TEST_F(LeaseTest, AttemptsOfALostAgentRunAgainElsewhere) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b").Attempts(1)}));
  Runs("a");
  Started();
  LoseAgent("m");
  EXPECT_EQ(States(), "a=ready b=ready");
  EXPECT_THAT(Started(), IsEmpty());
  Agent("n", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("a", "b"));
  EXPECT_EQ(core().Cluster(10, 10).agents.size(), 1u) << "the lost one is history";
}

TEST_F(LeaseTest, ALostAgentThatComesBackIsAnAgentAgain) {
  Agent("m", Cpu(1));
  LoseAgent("m");
  LoseAgent("m");
  LoseAgent("never seen");
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(LeaseTest, ACancelledTaskOnALostAgentIsCancelled) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Runs("a");
  ASSERT_TRUE(Cancel("a").ok());
  LoseAgent("m");
  EXPECT_EQ(State("a"), "cancelled");
  EXPECT_EQ(GraphState(), "cancelled");
}

TEST_F(LeaseTest, EachTaskGoesWhereTheLeastIsLeftOver) {
  Agent("large", Cpu(8));
  Agent("small", Cpu(2));
  Submit(Graph({Task("a").Needs(Cpu(2)), Task("b").Needs(Cpu(8))}));
  std::vector<std::string> places;
  for (const executor::Launch& launch : Launches()) {
    places.push_back(absl::StrCat(launch.task_name, " on ", launch.agent));
  }
  EXPECT_THAT(places, UnorderedElementsAre("a on small", "b on large"));
}

TEST_F(ConnectionTest, NothingIsLaunchedWhileThereIsNone) {
  Agent("m", Cpu(1));
  Disconnect();
  Submit(Graph({Task("a")}));
  EXPECT_THAT(Started(), IsEmpty());
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(ConnectionTest, AttemptsStayWhatTheyWereUntilTheClusterSaysMore) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b"), Task("c")}));
  Runs("a");
  Started();
  Disconnect();
  EXPECT_EQ(States(), "a=running b=launching c=ready");
  Connect();
  EXPECT_THAT(Reconciled(), ElementsAre("g1.0.1", "g1.1.1"));
  Agent("m", Cpu(2));
  EXPECT_THAT(Started(), IsEmpty()) << "both hold what they were given";
  Ends("b", Outcome::kLost, "unknown to the cluster");
  EXPECT_THAT(Started(), testing::UnorderedElementsAre("b")) << "older than c";
}

TEST_F(ConnectionTest, ACancelThatMayHaveBeenLostIsAskedForAgain) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Grace(absl::Seconds(4)), Task("b")}));
  Runs("a");
  ASSERT_TRUE(Cancel("a").ok());
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  CancelGraces();
  Disconnect();
  Connect();
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1"));
  EXPECT_THAT(CancelGraces(), ElementsAre(absl::Seconds(4)));
}

TEST_F(ConnectionTest, ANewConnectionWithoutAnEndOfTheOldVoidsItsOffers) {
  Connect();
  Submit(Graph({Task("a")}));
  executor::Offer offer = MakeOffer("o1", "m", Cpu(1));
  Notify({offer, executor::Connected{}});
  EXPECT_THAT(Started(), IsEmpty());
}

TEST_F(BacklogTest, ShortTasksAreSentBeyondWhatIsFree) {
  Agent("m", Cpu(1), 3);
  Learn(Cpu(1));
  Submit(Graph(Many(6)));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1", "t2", "t3"));
  EXPECT_EQ(State("t3"), "launching");
  EXPECT_EQ(State("t4"), "ready");
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, Cpu(1)) << "the backlog holds nothing";
}

TEST_F(BacklogTest, BeforeAnythingIsKnownNothingIsSentAhead) {
  Agent("m", Cpu(1), 3);
  Submit(Graph(Many(3)));
  EXPECT_THAT(Started(), ElementsAre("t0"));
}

TEST_F(BacklogTest, LongTasksAreNotSentAhead) {
  Agent("m", Cpu(1), 3);
  Learn(Cpu(1), absl::Seconds(1));
  Submit(Graph(Many(3)));
  EXPECT_THAT(Started(), ElementsAre("t0"));
}

TEST_F(BacklogTest, ASlowAgentGetsNoBacklogForShortTasks) {
  Agent("m", Cpu(2), 3);
  Learn(Cpu(1));
  Learn(Cpu(2), absl::Seconds(1));  // the mean of what the agent runs is long now
  Submit(Graph(Many(4)));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1"));
}

TEST_F(BacklogTest, RoomIsForABlinkOfWork) {
  Agent("m", Cpu(1), 1000);
  Learn(Cpu(1), absl::Milliseconds(10));
  Submit(Graph(Many(1000)));
  const size_t started = Started().size();
  EXPECT_GT(started, 1u);
  EXPECT_LE(started, 1u + 20u) << "over a fifth of a second of work";
}

TEST_F(BacklogTest, TheAgentBeginsInOrderAndTheCoreCountsAlong) {
  Agent("m", Cpu(2), 4);
  Learn(Cpu(1));
  Learn(Cpu(2));
  // Backlog: wide, then narrow.
  Submit(Graph({Task("a").Priority(9), Task("b").Priority(8),
                Task("wide").Needs(Cpu(2)).Priority(7), Task("narrow").Priority(6)}));
  ASSERT_THAT(Started(), ElementsAre("a", "b", "wide", "narrow"));
  EXPECT_EQ(Reason("wide"), "waits on agent m for its turn");
  Succeeds("a", absl::Milliseconds(1));
  EXPECT_EQ(Reason("wide"), "waits on agent m for its turn") << "one core is not two";
  EXPECT_EQ(Reason("narrow"), "waits on agent m for its turn") << "strictly in order";
  Succeeds("b", absl::Milliseconds(1));
  EXPECT_EQ(Reason("wide"), "is being started");
  EXPECT_EQ(Reason("narrow"), "waits on agent m for its turn");
  Runs("wide");
  Succeeds("wide", absl::Milliseconds(1));
  EXPECT_EQ(Reason("narrow"), "is being started");
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, Cpu(1));
}

TEST_F(BacklogTest, TheAgentIsBelievedWhereItBeginsEarlier) {
  Agent("m", Cpu(1), 4);
  Learn(Cpu(1));
  Submit(Graph(Many(2)));
  Runs("t1");  // the end of t0 is still on its way
  EXPECT_EQ(State("t1"), "running");
  Succeeds("t0", absl::Milliseconds(1));
  Succeeds("t1", absl::Milliseconds(1));
  EXPECT_EQ(GraphState(), "succeeded");
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, ResourceVector());
}

TEST_F(BacklogTest, WhatIsCancelledInTheBacklogLeavesIt) {
  Agent("m", Cpu(1), 1);
  Learn(Cpu(1));
  Submit(Graph(Many(3)));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1"));
  ASSERT_TRUE(Cancel("t1").ok());
  EXPECT_THAT(Cancels(), ElementsAre("g2.1.1"));
  Ends("t1", Outcome::kCancelled);
  EXPECT_EQ(State("t1"), "cancelled");
  EXPECT_THAT(Started(), ElementsAre("t2")) << "its place is free";
  Succeeds("t0", absl::Milliseconds(1));
  EXPECT_EQ(Reason("t2"), "is being started");
}

TEST_F(BacklogTest, AfterARestartTheAgentTellsWhatOnlyWaitsThere) {
  Agent("m", Cpu(1), 2);
  Learn(Cpu(1));
  Submit(Graph(Many(2)));
  Restart();
  Started();
  Agent("m", Cpu(1), 2);
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, Cpu(2)) << "until the agent says more";
  Runs("t0");
  Queued("t1");
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, Cpu(1));
  EXPECT_EQ(Reason("t1"), "waits on agent m for its turn");
  Succeeds("t0", absl::Milliseconds(1));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, Cpu(1));
  Succeeds("t1", absl::Milliseconds(1));
  EXPECT_EQ(GraphState(), "succeeded");
  EXPECT_EQ(core().Cluster(1, 0).agents[0].used, ResourceVector());
}

TEST_F(PoolTest, NeverMoreThanItHoldsOverAllAgents) {
  Agent("m", Cpu(8));
  Agent("n", Cpu(8));
  Submit(Graph(Many(4, With(Cpu(1), "db_connections", 1))));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1"));
  Succeeds("t0");
  EXPECT_THAT(Started(), ElementsAre("t2"));
}

TEST_F(PoolTest, ItsUnitsAreNoBusinessOfTheAgent) {
  Agent("m", Cpu(8));
  Submit(Graph({Task("a").Needs(With(Cpu(1), "db_connections", 2))}));
  const std::vector<executor::Launch> launches = Launches();
  ASSERT_EQ(launches.size(), 1u);
  EXPECT_EQ(launches[0].consumption, Cpu(1));
}

TEST_F(PoolTest, AnAttemptOutOfReachKeepsItsUnits) {
  Agent("m", Cpu(8));
  Submit(Graph(Many(3, With(Cpu(1), "db_connections", 2))));
  EXPECT_THAT(Started(), ElementsAre("t0"));
  Disconnect();
  Agent("n", Cpu(8));
  EXPECT_THAT(Started(), IsEmpty()) << "it may still run and use its connections";
  Restart();
  Agent("n", Cpu(8));
  EXPECT_THAT(Started(), IsEmpty()) << "a restart does not forget it";
  Ends("t0", Outcome::kLost);
  EXPECT_THAT(Started(), ElementsAre("t0"));
}

TEST_F(PoolTest, WithoutALeaseTheUnitsComeBackAllTheSame) {
  Submit(Graph(Many(2, With(Cpu(1), "db_connections", 2))));
  Offer("o1", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("t0"));
  Offer("o2", "m", Cpu(1));
  EXPECT_THAT(Started(), IsEmpty());
  Succeeds("t0");
  Offer("o3", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("t1"));
}

}  // namespace
}  // namespace kartograph::scheduler
