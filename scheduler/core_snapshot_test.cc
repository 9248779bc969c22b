// The core's snapshots, and why a task is not running.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using planner::Quantity;
using planner::TaskKey;
using planner::TaskState;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::SizeIs;

class ReasonTest : public ::testing::Test, protected CoreStory {
 protected:
  ReasonTest() : CoreStory(With({}, "db_connections", 4)) {}
};
class SnapshotTest : public ::testing::Test, protected CoreStory {
 protected:
  SnapshotTest() : CoreStory(With({}, "db_connections", 4)) {}
};

TEST_F(ReasonTest, NamesWhatItWaitsFor) {
  Agent("m", Cpu(9));
  Submit(Graph({Task("a"), Task("b"), Task("c"), Task("d"), Task("e"), Task("z").After({"a"}),
                Task("x").After({"a", "b", "c", "d", "e"})}));
  EXPECT_EQ(Reason("z"), "waits for \"a\"");
  EXPECT_EQ(Reason("x"), "waits for \"a\", \"b\", \"c\" and 2 more");
  Succeeds("b");
  Succeeds("d");
  EXPECT_EQ(Reason("x"), "waits for \"a\", \"c\", \"e\"");
}

TEST_F(ReasonTest, SaysThatTheClusterIsNotThere) {
  Submit(Graph({Task("a")}));
  EXPECT_EQ(Reason("a"), "waits for the cluster: it is not connected");
  Connect();
  EXPECT_EQ(Reason("a"), "waits for the cluster: it has offered nothing yet");
  Agent("m", Cpu(1));
  EXPECT_EQ(Reason("a"), "is being started");
  Runs("a");
  EXPECT_EQ(Reason("a"), "");
}

TEST_F(ReasonTest, SaysThatItCanNeverRunAsThingsAre) {
  Submit(Graph({Task("wide").Needs(Cpu(16)), Task("deep").Needs(With(Cpu(1), "ram", 3 << 20)),
                Task("both").Needs(With(Cpu(8), "ram", 2 << 20)),
                Task("gpu").Needs(With(Cpu(1), "gpu", 1))}));
  Agent("fast", With(Cpu(8), "ram", 1 << 20));
  Agent("large", With(Cpu(4), "ram", 2 << 20));
  EXPECT_EQ(Reason("wide"),
            "can never run as things are: it needs cpu=16, and no agent ever had more than 8");
  EXPECT_EQ(Reason("deep"),
            "can never run as things are: it needs ram=3MiB, and no agent ever had more than 2MiB");
  EXPECT_EQ(Reason("both"),
            "can never run as things are: no single agent has cpu=8 ram=2MiB together");
  EXPECT_EQ(Reason("gpu"),
            "can never run as things are: it needs gpu=1, and no agent ever had more than 0");
}

TEST_F(ReasonTest, WhatCanNeverRunDoesNotStopWhatCan) {
  Submit(Graph({Task("huge").Needs(Cpu(16)).Priority(9), Task("a")}));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(ReasonTest, NamesTheResourceThatIsUsedUp) {
  Agent("m", Cpu(4));
  Submit(Graph({Task("a").Needs(Cpu(3)).Priority(1), Task("b").Needs(Cpu(2))}));
  EXPECT_EQ(Reason("b"),
            "waits for cpu: needs 2; agent m has 1 of 4 free, held by \"a\" of g1 (3)");
}

TEST_F(ReasonTest, WhereTheResourcesAreFreeButNotTogetherItSaysWhatIsMissingOnTheBestAgent) {
  Agent("m", With(Cpu(4), "ram", 100));
  Agent("n", With(Cpu(4), "ram", 100));
  Submit(Graph({Task("cores").Needs(With(Cpu(3), "ram", 10)).Priority(3),
                Task("bytes").Needs(With(Cpu(2), "ram", 90)).Priority(2),
                Task("a").Needs(With(Cpu(2), "ram", 80))}));
  EXPECT_THAT(Started(), ElementsAre("cores", "bytes"));
  EXPECT_EQ(Reason("a"),
            "waits for cpu: needs 2; agent m, where it is expected to fit first, has 1 of 4 free, "
            "held by \"cores\" of g1 (3)");
}

TEST_F(ReasonTest, NamesThePoolAndHowMuchOfItIsFree) {
  Agent("m", Cpu(9));
  Submit(Graph({Task("a").Needs(With(Cpu(1), "db_connections", 3)).Priority(1),
                Task("b").Needs(With(Cpu(1), "db_connections", 2))}));
  EXPECT_EQ(Reason("b"),
            "waits for pool db_connections: needs 2, 1 of 4 free, held by \"a\" of g1 (3)");
}

TEST_F(ReasonTest, SaysWhenItWillBeTriedAgainAndWhichAttemptThatIs) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(3).RetryDelay(absl::Seconds(10))}));
  Fails("a");
  EXPECT_EQ(Reason("a"), "waits until 2023-11-14T22:13:30Z to be tried again (attempt 2 of 3)");
}

TEST_F(ReasonTest, ADelayAfterLossesIsNoFurtherAttempt) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Ends("a", Outcome::kRefused);
  Ends("a", Outcome::kRefused, "not this one");
  EXPECT_EQ(Reason("a"),
            "waits until 2023-11-14T22:13:20Z to be launched again; 2 attempts have ended without "
            "its doing, the last one refused: not this one");
  Wait(absl::Seconds(1));
  EXPECT_EQ(Reason("a"),
            "is being started; 2 attempts have ended without its doing, the last one refused: not "
            "this one");
}

TEST_F(ReasonTest, SaysThatTheServiceIsStopping) {
  Agent("m", Cpu(1));
  core().StopLaunching();
  Submit(Graph({Task("a")}));
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_EQ(Reason("a"), "the service is stopping and launches nothing");
}

TEST_F(ReasonTest, SaysThatNobodyKnowsWhatBecameOfALaunch) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Disconnect();
  EXPECT_EQ(Reason("a"), "its cluster is not connected; what became of it is not known yet: gone");
}

TEST_F(ReasonTest, WhatRunsSaysWhatItsEndWaitsFor) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  Runs("a");
  EXPECT_EQ(Reason("a"), "");
  executor::AttemptUpdate update;
  update.attempt = Newest("a");
  update.agent = "m";
  update.start_time = now().wall;
  update.message = "has ended; its return value is being fetched";
  Notify(update);
  EXPECT_EQ(Reason("a"), "has ended; its return value is being fetched");
  Succeeds("a");
  EXPECT_EQ(State("a"), "succeeded");
}

TEST_F(ReasonTest, SaysThatItIsBeingCancelled) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a")}));
  ASSERT_TRUE(Cancel("a").ok());
  EXPECT_EQ(Reason("a"), "is being cancelled");
  Runs("a");
  EXPECT_EQ(Reason("a"), "is being cancelled");
}

TEST_F(ReasonTest, APoolThatShrankIsNamed) {
  // The history knows a task from a time when the pool was larger.
  MemoryHistory history;
  Core larger({With({}, "db_connections", 4)}, {});
  Step step;
  ASSERT_TRUE(
      larger
          .SubmitGraph(Prepare(Graph({Task("a").Needs(With(Cpu(1), "db_connections", 3))}).Get()),
                       {now(), step})
          .ok());
  ASSERT_TRUE(history.Commit(step.records).ok());
  Core smaller({With({}, "db_connections", 2)}, {1, 0});
  GraphLoader loader(GraphLoader::kResume);
  ASSERT_TRUE(history.VisitLive(loader).ok());
  smaller.Install(std::move(loader.Finish()->front()), {now(), step});
  EXPECT_EQ(smaller.Task(TaskKey::Of(1, 0))->reason,
            "can never run: it needs 3 of pool db_connections, which holds 2");
}

TEST_F(SnapshotTest, AGraphTellsItsTasksByState) {
  Agent("m", Cpu(2));
  const planner::GraphId id = Submit(Graph({Task("a").Priority(1), Task("b").Priority(1), Task("c"),
                                            Task("d").After({"c"}), Task("e")})
                                         .Queue("client")
                                         .FailFast());
  Runs("a");
  Succeeds("b");
  const GraphSnapshot graph = *core().Graph(id);
  EXPECT_EQ(graph.name, "graph");
  EXPECT_EQ(graph.client_queue, "client");
  EXPECT_TRUE(graph.fail_fast);
  EXPECT_FALSE(graph.open);
  EXPECT_EQ(graph.submit_time, now().wall);
  EXPECT_EQ(graph.counts.total, 5);
  auto count = [&](TaskState s) { return graph.counts.by_state[static_cast<int>(s)]; };
  EXPECT_EQ(count(TaskState::kRunning), 1);
  EXPECT_EQ(count(TaskState::kSucceeded), 1);
  EXPECT_EQ(count(TaskState::kLaunching), 1);
  EXPECT_EQ(count(TaskState::kReady), 1);
  EXPECT_EQ(count(TaskState::kWaiting), 1);
}

TEST_F(SnapshotTest, TasksAreListedFromAPlaceOnAndByState) {
  Agent("m", Cpu(1));
  const planner::GraphId id = Submit(Graph({Task("a"), Task("b"), Task("c"), Task("d")}));
  auto indexes = [&](planner::TaskIndex from, int limit, std::vector<TaskState> states) {
    std::vector<planner::TaskIndex> found;
    for (const TaskSnapshot& task : core().Tasks(id, from, limit, states)) {
      found.push_back(task.task.index());
    }
    return found;
  };
  EXPECT_THAT(indexes(0, 10, {}), ElementsAre(0, 1, 2, 3));
  EXPECT_THAT(indexes(1, 2, {}), ElementsAre(1, 2));
  EXPECT_THAT(indexes(0, 10, {TaskState::kReady}), ElementsAre(1, 2, 3));
  EXPECT_THAT(indexes(0, 10, {TaskState::kLaunching, TaskState::kFailed}), ElementsAre(0));
  EXPECT_THAT(indexes(4, 10, {}), IsEmpty());
}

TEST_F(SnapshotTest, KnowsNothingOfWhatIsNotLive) {
  EXPECT_FALSE(core().Graph(9));
  EXPECT_FALSE(core().Task(TaskKey::Of(9, 0)));
  EXPECT_THAT(core().Tasks(9, 0, 10, {}), IsEmpty());
  EXPECT_THAT(core().Attempts(TaskKey::Of(9, 0)), IsEmpty());
  const planner::GraphId id = Submit(Graph({Task("a")}));
  EXPECT_FALSE(core().Task(TaskKey::Of(id, 1)));
  EXPECT_THAT(core().Attempts(TaskKey::Of(id, 0)), IsEmpty()) << "never launched";
  EXPECT_THAT(core().Attempts(TaskKey::Of(id, 1)), IsEmpty());
}

TEST_F(SnapshotTest, AnAttemptTellsWhereItIsAndSinceWhen) {
  Agent("m", Cpu(2));
  Submit(Graph({Task("a").Needs(With(Cpu(2), "db_connections", 1))}));
  const absl::Time launched = now().wall;
  Wait(absl::Seconds(5));
  Runs("a");
  const std::vector<AttemptSnapshot> attempts = core().Attempts(Key("a"));
  ASSERT_THAT(attempts, SizeIs(1));
  EXPECT_EQ(attempts[0].attempt, Newest("a"));
  EXPECT_EQ(attempts[0].agent, "m");
  EXPECT_EQ(attempts[0].state, TaskState::kRunning);
  EXPECT_EQ(attempts[0].launch_time, launched);
  EXPECT_EQ(attempts[0].start_time, now().wall);
  EXPECT_EQ(attempts[0].consumption, With(Cpu(2), "db_connections", 1));
}

TEST_F(SnapshotTest, AttemptsAreCountedSinceTheLastReset) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::ZeroDuration())}));
  EXPECT_EQ(core().Task(Key("a"))->attempts, 1u);
  Fails("a");
  EXPECT_EQ(core().Task(Key("a"))->attempts, 2u);
  Fails("a");
  EXPECT_EQ(GraphState(), "failed");
  EXPECT_EQ(Retry(), 1);
  EXPECT_EQ(core().Task(Key("a"))->attempts, 1u);
  EXPECT_EQ(planner::AttemptIdToString(Newest("a")), "g1.0.3");
}

TEST_F(SnapshotTest, TheClusterTellsAgentsPoolsAndWhatRuns) {
  EXPECT_FALSE(core().Cluster(10, 10).connected);
  Agent("m", Cpu(4));
  Agent("n", Cpu(1));
  Submit(Graph({Task("a").Needs(With(Cpu(3), "db_connections", 3)),
                Task("b").Needs(With(Cpu(1), "db_connections", 2)), Task("c")}));
  Runs("c");
  ClusterSnapshot cluster = core().Cluster(10, 10);
  EXPECT_TRUE(cluster.connected);
  EXPECT_EQ(cluster.agent_count, 2);
  ASSERT_THAT(cluster.agents, SizeIs(2));
  EXPECT_EQ(cluster.agents[0].name, "m");
  EXPECT_EQ(cluster.agents[0].capacity, Cpu(4));
  EXPECT_EQ(cluster.agents[0].used, Cpu(4));
  EXPECT_EQ(cluster.agents[0].attempts, 2);
  EXPECT_EQ(cluster.agents[1].used, planner::ResourceVector());
  ASSERT_THAT(cluster.pools, SizeIs(1));
  EXPECT_EQ(cluster.pools[0].name, "db_connections");
  EXPECT_EQ(cluster.pools[0].capacity, Quantity::Of(4));
  EXPECT_EQ(cluster.pools[0].used, Quantity::Of(3));
  EXPECT_EQ(cluster.pools[0].waiting_tasks, 1);
  EXPECT_THAT(cluster.attempts, SizeIs(2));
  EXPECT_EQ(cluster.counts.total, 3);

  cluster = core().Cluster(1, 1);
  EXPECT_EQ(cluster.agent_count, 2) << "all, also where the list is cut";
  EXPECT_THAT(cluster.agents, SizeIs(1));
  ASSERT_THAT(cluster.attempts, SizeIs(1));
}

TEST_F(SnapshotTest, TheOldestAttemptsAreShown) {
  Agent("m", Cpu(3));
  Submit(Graph({Task("a").Priority(1)}));
  Wait(absl::Seconds(1));
  Submit(Graph({Task("b")}));
  const ClusterSnapshot cluster = core().Cluster(0, 1);
  ASSERT_THAT(cluster.attempts, SizeIs(1));
  EXPECT_EQ(cluster.attempts[0].attempt.task().graph(), 1u);
}

TEST_F(SnapshotTest, CountsOverAllLiveGraphsLeaveOutWhatHasEnded) {
  Agent("m", Cpu(3));
  Submit(Graph({Task("a")}));
  Succeeds("a");
  EXPECT_EQ(core().Cluster(0, 0).counts.total, 0);
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  const TaskCounts counts = core().Cluster(0, 0).counts;
  EXPECT_EQ(counts.total, 2);
  EXPECT_EQ(counts.by_state[static_cast<int>(TaskState::kSucceeded)], 0);
  EXPECT_EQ(counts.by_state[static_cast<int>(TaskState::kWaiting)], 1);
}

TEST_F(SnapshotTest, TotalsCountLaunchesAndOutcomes) {
  Agent("m", Cpu(1));
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::ZeroDuration())}));
  Fails("a");
  Succeeds("a");
  EXPECT_EQ(core().totals().launched, 2);
  EXPECT_EQ(core().totals().ended_by_outcome[static_cast<int>(Outcome::kExited)], 1);
  EXPECT_EQ(core().totals().ended_by_outcome[static_cast<int>(Outcome::kSucceeded)], 1);
}

}  // namespace
}  // namespace kartograph::scheduler
