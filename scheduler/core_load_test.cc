// Live state from the history: after a restart, and for a graph that runs again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class RestartTest : public ::testing::Test, protected CoreStory {};
class RunAgainTest : public ::testing::Test, protected CoreStory {};

TEST_F(RestartTest, FindsEveryTaskAsItWas) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Priority(3), Task("b").After({"a"}).Priority(3), Task("c").Priority(3),
                Task("d"), Task("e").After({"d"}), Task("f")}));
  Succeeds("a");
  Runs("c");
  ASSERT_TRUE(Cancel("d").ok());
  const std::string before = States();
  ASSERT_EQ(before, "a=succeeded b=launching c=running d=cancelled e=skipped f=ready");
  Started();
  Restart();
  EXPECT_EQ(States(), "a=succeeded b=launching c=launching d=cancelled e=skipped f=ready")
      << "whether c runs is for the cluster to say";
  EXPECT_THAT(Started(), IsEmpty());
}

TEST_F(RestartTest, AsksAboutWhatItLaunchedAndDoesNotLaunchItTwice) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}));
  Started();
  Restart();
  Agent("m", Cpu(2));
  EXPECT_THAT(Reconciled(), ElementsAre("g1.0.1", "g1.1.1"));
  EXPECT_THAT(Started(), IsEmpty());
  Runs("a");
  Succeeds("a");
  Ends("b", Outcome::kLost);
  EXPECT_THAT(Started(), ElementsAre("b"));
  Succeeds("b");
  EXPECT_EQ(GraphState(), "succeeded");
}

TEST_F(RestartTest, AttemptsSpentStaySpent) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).RetryDelay(absl::ZeroDuration())}));
  Ends("a", Outcome::kLost);
  Fails("a");
  Restart();
  Agent("m", Cpu(1));
  Fails("a");
  EXPECT_EQ(State("a"), "launching") << "a third try; the loss did not count";
  Restart();
  Agent("m", Cpu(1));
  Fails("a");
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(Reason("a"), "exited with status 1 (attempt 3 of 3)");
}

TEST_F(RestartTest, TheBackOffGoesOn) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(10))}));
  Fails("a");
  Started();
  Wait(absl::Seconds(4));
  Restart();
  Agent("m", Cpu(1));
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(6));
  Wait(absl::Seconds(6) - absl::Nanoseconds(1));
  EXPECT_THAT(Started(), IsEmpty());
  Wait(absl::Nanoseconds(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(RestartTest, ABackOffThatPassedMeanwhileIsOver) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(10))}));
  Fails("a");
  Started();
  Restart();
  Wait(absl::Hours(1));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(RestartTest, AClockSetBackDoesNotProlongTheBackOff) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(10))}));
  Fails("a");
  Wait(-absl::Hours(24));
  Restart();
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(10));
}

TEST_F(RestartTest, AWishToCancelIsKept) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Grace(absl::Seconds(3)).Attempts(5), Task("b").After({"a"}), Task("c")})
             .Queue("client"));
  Runs("a");
  ASSERT_TRUE(Cancel("a").ok());
  Cancels();
  CancelGraces();
  Restart();
  EXPECT_EQ(States(), "a=launching b=waiting c=launching");
  Agent("m", Cpu(2));
  EXPECT_THAT(Cancels(), ElementsAre("g1.0.1")) << "asked for again";
  EXPECT_THAT(CancelGraces(), ElementsAre(absl::Seconds(3)));
  Fails("a");
  EXPECT_EQ(States(), "a=cancelled b=skipped c=launching");
  EXPECT_THAT(Finished(), ElementsAre(Pair("a", "cancelled"), Pair("b", "skipped")));
  Succeeds("c");
  EXPECT_EQ(GraphState(), "cancelled");
}

TEST_F(RestartTest, TheReasonOfACancelIsKept) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}).FailFast());
  Runs("b");
  Fails("a");
  Restart();
  Agent("m", Cpu(2));
  Ends("b", Outcome::kCancelled);
  EXPECT_EQ(Reason("b"), "cancelled because \"a\" failed (the graph is fail_fast)");
}

TEST_F(RestartTest, DeliveriesAreNumberedOn) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a"), Task("b")}).Queue("client"));
  Succeeds("a");
  Restart();
  Agent("m", Cpu(2));
  Succeeds("b");  // the history dies if the number does not grow
  EXPECT_THAT(Finished(), SizeIs(2));
}

TEST_F(RestartTest, FinalGraphsStayInTheHistory) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Succeeds("a");
  Restart();
  EXPECT_THAT(core().LiveGraphs(), IsEmpty());
}

TEST_F(RestartTest, AnAgentThatIsNotBackYetKeepsItsAttempts) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Started();
  Restart();
  Agent("n", Cpu(1));
  EXPECT_THAT(Started(), IsEmpty());
  const ClusterSnapshot cluster = core().Cluster(10, 10);
  ASSERT_THAT(cluster.agents, SizeIs(2));
  EXPECT_EQ(cluster.agents[0].name, "m");
  EXPECT_FALSE(cluster.agents[0].connected);
  EXPECT_EQ(cluster.agents[0].attempts, 1);
}

TEST_F(RunAgainTest, OnlyWhatDidNotSucceedRunsAgain) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"}), Task("d")}));
  Succeeds("a");
  ASSERT_TRUE(Cancel("d").ok());
  Ends("d", Outcome::kCancelled);
  Fails("b");
  EXPECT_EQ(States(), "a=succeeded b=failed c=skipped d=cancelled");
  EXPECT_EQ(GraphState(), "failed");
  Started();
  EXPECT_EQ(Retry(), 3);
  EXPECT_EQ(GraphState(), "running");
  EXPECT_THAT(Started(), ElementsAre("b", "d"));
  Succeeds("b");
  Succeeds("d");
  Succeeds("c");
  EXPECT_EQ(GraphState(), "succeeded");
}

TEST_F(RunAgainTest, AttemptsAreCountedAnew) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(1))}));
  Fails("a");
  Wait(absl::Seconds(1));
  Fails("a");
  EXPECT_EQ(Retry(), 1);
  Fails("a");
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Seconds(1))
      << "the back-off, too, begins anew";
  Restart();
  Agent("m", Cpu(1));
  Wait(absl::Seconds(1));
  Fails("a");
  EXPECT_EQ(State("a"), "failed");
  EXPECT_EQ(Reason("a"), "exited with status 1 (attempt 2 of 2 since it was retried)");
  EXPECT_EQ(Attempts("a"), 4);
}

TEST_F(RunAgainTest, AGraphThatSucceededStaysAsItIs) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Succeeds("a");
  EXPECT_EQ(Retry(), 0);
  EXPECT_EQ(GraphState(), "succeeded");
  EXPECT_THAT(core().LiveGraphs(), IsEmpty());
}

TEST_F(RunAgainTest, ItCanBeDoneAgainAndAgain) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  for (int i = 0; i < 5; ++i) {
    Fails("a");
    EXPECT_EQ(States(), "a=failed b=skipped");
    EXPECT_EQ(Retry(), 2);
  }
  Succeeds("a");
  Succeeds("b");
  EXPECT_EQ(GraphState(), "succeeded");
}

}  // namespace
}  // namespace kartograph::scheduler
