#include "scheduler/engine.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "planner/problems.h"
#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using planner::Outcome;
using planner::TaskKey;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Pair;
using ::testing::SizeIs;

class RequestIdTest : public ::testing::Test, protected EngineStory {};
class WriteTest : public ::testing::Test, protected EngineStory {};
class RetryGraphTest : public ::testing::Test, protected EngineStory {};
class EngineRestartTest : public ::testing::Test, protected EngineStory {};
class EngineStopTest : public ::testing::Test, protected EngineStory {};
class PruneTest : public ::testing::Test, protected EngineStory {
 protected:
  PruneTest() : EngineStory(WithRetention(absl::Hours(48))) {}

  // A year may pass in one step of a test; in production it is asked every minute.
  void Pass(absl::Duration time) {
    for (absl::Duration left = time; left > absl::ZeroDuration(); left -= absl::Minutes(30)) {
      Wait(std::min(left, absl::Minutes(30)));
    }
    RunUntilIdle();
  }
  void RunUntilIdle() {
    for (int i = 0; i < 20 && engine_->NextWake() <= now_.steady; ++i) Batch();
  }
};

TEST_F(RequestIdTest, AWriteRepeatedInTheSameBatchIsDoneOnce) {
  auto first = Submit(Graph({Task("a")}), "r");
  auto again = Submit(Graph({Task("a")}), "r");
  Batch();
  EXPECT_EQ(first.value(), 1u);
  EXPECT_EQ(again.value(), 1u);
  EXPECT_THAT(history_.graphs(), SizeIs(1));
}

TEST_F(RequestIdTest, AWriteRepeatedLaterIsAnsweredAsTheFirstTime) {
  Submit(Graph({Task("a"), Task("b")}), "r");
  Batch();
  auto cancel = Cancel(1, "c");
  Batch();
  EXPECT_EQ(cancel.value(), 2);
  auto submitted = Submit(Graph({Task("a")}), "r");
  auto cancelled = Cancel(1, "c");
  Batch();
  EXPECT_EQ(submitted.value(), 1u);
  EXPECT_EQ(cancelled.value(), 2) << "although nothing is left to cancel";
  EXPECT_THAT(history_.graphs(), SizeIs(1));
}

TEST_F(RequestIdTest, AWriteRepeatedAfterARestartIsDoneOnce) {
  Submit(Graph({Task("a")}), "r");
  Batch();
  Restart();
  auto again = Submit(Graph({Task("a")}), "r");
  Batch();
  EXPECT_EQ(again.value(), 1u);
  EXPECT_THAT(history_.graphs(), SizeIs(1));
}

TEST_F(RequestIdTest, AnIdOfAnotherKindOfCallIsRefused) {
  auto submitted = Submit(Graph({Task("a")}), "r");
  auto same_batch = Cancel(1, "r");
  Batch();
  auto later = Retry(1, "r");
  Batch();
  EXPECT_EQ(submitted.value(), 1u);
  for (const absl::Status& status : {same_batch.status(), later.status()}) {
    EXPECT_TRUE(absl::IsInvalidArgument(status));
    EXPECT_THAT(std::string(status.message()), HasSubstr("used for a different call"));
  }
  EXPECT_TRUE(engine_->core().IsLive(1)) << "nothing was cancelled";
}

TEST_F(RequestIdTest, WithoutAnIdEveryCallIsNew) {
  Submit(Graph({Task("a")}));
  Submit(Graph({Task("a")}));
  Batch();
  EXPECT_THAT(history_.graphs(), SizeIs(2));
}

TEST_F(RequestIdTest, AnErrorIsNotRemembered) {
  auto wrong = Submit(Graph({Task("a").After({"b"})}), "r");
  Batch();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong.status()));
  auto right = Submit(Graph({Task("a")}), "r");
  Batch();
  EXPECT_EQ(right.value(), 1u);
}

TEST_F(WriteTest, AddedTasksMayNameThoseOfTheSameBatch) {
  Submit(Graph({Task("a")}).Open());
  Batch();
  auto b = Add(1, Task("b").After({"a"}));
  auto c = Add(1, Task("c").After({"a", "b"}));
  Batch();
  EXPECT_EQ(b.value(), TaskKey::Of(1, 1));
  EXPECT_EQ(c.value(), TaskKey::Of(1, 2));
  EXPECT_THAT(history_.task(c.value()).submitted.after, ElementsAre(0, 1));
}

TEST_F(WriteTest, TellsAllProblemsOfAnAddedTask) {
  Submit(Graph({Task("a")}).Open());
  Batch();
  auto first = Add(1, Task("b"));
  auto wrong = Add(1, Task("d").After({"nobody", "a", "c"}));
  auto repeated = Add(1, Task("b"));
  Batch();
  EXPECT_TRUE(first.status().ok());
  EXPECT_THAT(planner::ProblemsOf(wrong.status()), SizeIs(2));
  EXPECT_TRUE(absl::IsAlreadyExists(repeated.status())) << repeated.status();
}

TEST_F(WriteTest, NothingIsAddedToAGraphThatHasEnded) {
  Submit(Graph({Task("a")}).Open());
  Batch();
  Cancel(1);
  Batch();
  auto added = Add(1, Task("b"));
  auto unknown = Add(2, Task("b"));
  Batch();
  EXPECT_TRUE(absl::IsFailedPrecondition(added.status())) << added.status();
  EXPECT_TRUE(absl::IsNotFound(unknown.status())) << unknown.status();
}

TEST_F(WriteTest, WhatHasEndedIsAsClosedAndCancelledAsCanBe) {
  Submit(Graph({Task("a")}));
  Batch();
  Cancel(1);
  Batch();
  auto closed = Close(1);
  auto cancelled = Cancel(1);
  auto task = CancelOne(1, "a");
  Batch();
  EXPECT_TRUE(closed.value());
  EXPECT_EQ(cancelled.value(), 0);
  EXPECT_EQ(task.value(), 0);
}

TEST_F(WriteTest, AnEmptyGraphThatHasEndedIsKnown) {
  Submit(Graph({}).Open());
  Batch();
  Close(1);
  Batch();
  auto closed = Close(1);
  auto cancelled = Cancel(1);
  auto added = Add(1, Task("a"));
  Batch();
  EXPECT_TRUE(closed.value());
  EXPECT_EQ(cancelled.value(), 0);
  EXPECT_TRUE(absl::IsFailedPrecondition(added.status())) << added.status();
}

TEST_F(WriteTest, WhatIsNotThereIsNotFound) {
  Submit(Graph({Task("a")}));
  Batch();
  auto close = Close(9);
  auto graph = Cancel(9);
  auto task = CancelOne(1, "b");
  auto other = CancelOne(9, "a");
  auto retry = Retry(9);
  Batch();
  for (const absl::Status& status :
       {close.status(), graph.status(), task.status(), other.status(), retry.status()}) {
    EXPECT_TRUE(absl::IsNotFound(status)) << status;
  }
  EXPECT_EQ(task.status().message(), "no task \"b\" in graph \"g1\"");
}

TEST_F(WriteTest, ATaskIsCancelledByName) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b")}));
  Batch();
  auto b = CancelOne(1, "b");
  auto a = CancelOne(1, "a");
  cluster_.Asked();
  Batch();
  EXPECT_EQ(a.value(), 1);
  EXPECT_EQ(b.value(), 1);
  EXPECT_THAT(cluster_.Asked(), ElementsAre("cancel g1.0.1"));
}

TEST_F(WriteTest, ALaunchCarriesItsPayload) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  EXPECT_EQ(cluster_.TakeLaunch().payload, "a");
}

TEST_F(WriteTest, ALaunchCarriesWhatTheTasksBeforeItHaveReturned) {
  const std::string payload = "\x50\x01";  // executor.Payload{reads_values: true}
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"}).Payload(payload)}));
  Batch();
  EXPECT_FALSE(cluster_.TakeLaunch().values.has_value());
  executor::AttemptUpdate end = Ended(Attempt(0), Outcome::kSucceeded, "value");
  end.has_value = true;
  Notify({end});
  Batch();
  const executor::Launch launch = cluster_.TakeLaunch();
  ASSERT_TRUE(launch.values.has_value());
  EXPECT_THAT(*launch.values, ElementsAre(Pair("a", "value")));
}

TEST_F(WriteTest, WhatHasNoReadablePayloadIsTriedAgain) {
  history_.unreadable_payloads = {TaskKey::Of(1, 0)};
  Agent(2);
  Submit(Graph({Task("a"), Task("b")}));
  Batch();
  EXPECT_THAT(cluster_.Asked(), ElementsAre("execute g1.1.1")) << "the others are launched";
  EXPECT_LE(engine_->NextWake(), now_.steady) << "it does not wait for anything else to happen";
  history_.unreadable_payloads.clear();
  Batch();
  EXPECT_THAT(cluster_.Asked(), testing::Contains("execute g1.0.2"));
  EXPECT_EQ(history_.task(TaskKey::Of(1, 0)).attempts.at(1).second->outcome, Outcome::kRefused);
}

TEST_F(RetryGraphTest, RunsAgainWhatDidNotSucceed) {
  Agent(2);
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"b"})}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kSucceeded), Ended(Attempt(1), Outcome::kExited)});
  Batch();
  cluster_.Asked();
  auto retry = Retry(1, "r");
  Batch();
  EXPECT_EQ(retry.value(), 2);
  EXPECT_THAT(cluster_.Asked(), ElementsAre("execute g1.1.2"));
  auto repeated = Retry(1, "r");
  Batch();
  EXPECT_EQ(repeated.value(), 2) << "the same request, answered again";
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
}

TEST_F(RetryGraphTest, IsRefusedWhileTheGraphRuns) {
  Submit(Graph({Task("a")}));
  Batch();
  auto retry = Retry(1);
  Batch();
  EXPECT_TRUE(absl::IsFailedPrecondition(retry.status()));
}

TEST_F(RetryGraphTest, WaitsForAnEndThatIsNotWrittenYet) {
  Submit(Graph({Task("a")}));
  Batch();
  Cancel(1);
  auto too_early = Retry(1, "r");
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(too_early.status()));
  auto retry = Retry(1, "r");
  Batch();
  EXPECT_EQ(retry.value(), 1);
}

TEST_F(RetryGraphTest, OfAGraphThatSucceededRunsNothing) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  auto retry = Retry(1);
  Batch();
  EXPECT_EQ(retry.value(), 0);
}

TEST_F(RetryGraphTest, ATaskThatUsedUpItsLaunchesIsNotRunAgain) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  Batch();
  for (uint32_t i = 1; i <= planner::kMaxLaunches; ++i) {
    Notify({Ended(Attempt(0, i), Outcome::kRefused)});
    Batch();
    Wait(absl::Minutes(1));
  }
  ASSERT_FALSE(engine_->core().IsLive(1));
  auto retry = Retry(1);
  Batch();
  EXPECT_TRUE(absl::IsFailedPrecondition(retry.status())) << retry.status();
  EXPECT_THAT(std::string(retry.status().message()), HasSubstr("\"a\""));
  EXPECT_FALSE(engine_->core().IsLive(1));
}

TEST_F(EngineRestartTest, InTheMiddleNothingIsLostAndNothingDoneTwice) {
  Agent(3);
  Submit(Graph({Task("failed").Attempts(2).RetryDelay(absl::Seconds(10)), Task("cancelled"),
                Task("runs"), Task("last").After({"failed", "runs"})})
             .Queue("client"));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kExited)});
  CancelOne(1, "cancelled");
  Batch();
  Wait(absl::Seconds(3));
  cluster_.Asked();

  Restart();
  Agent(3);
  Batch();
  EXPECT_THAT(cluster_.Asked(),
              ElementsAre("reconcile g1.1.1", "reconcile g1.2.1", "cancel g1.1.1"));
  EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Seconds(7)) << "the back-off goes on";
  Notify({Ended(Attempt(1), Outcome::kCancelled), Ended(Attempt(2), Outcome::kSucceeded)});
  Batch();
  EXPECT_THAT(cluster_.Asked(), ElementsAre("acknowledge g1.1.1", "acknowledge g1.2.1"));
  Wait(absl::Seconds(7));
  EXPECT_THAT(cluster_.Asked(), ElementsAre("execute g1.0.2"));
  Notify({Ended(Attempt(0, 2), Outcome::kSucceeded)});
  Batch();
  Notify({Ended(Attempt(3), Outcome::kSucceeded)});
  Batch();
  EXPECT_EQ(history_.graphs().at(1).state.state, planner::GraphState::kCancelled);
  auto finished = Pop();
  Batch();
  EXPECT_THAT(finished.value(), SizeIs(4));
}

TEST_F(EngineStopTest, TakesNoMoreWritesAndLaunchesNothingButWritesWhatEnds) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b")}));
  Batch();
  cluster_.Asked();
  engine_->StopTakingWork();
  auto submit = Submit(Graph({Task("c")}));
  auto cancel = Cancel(1);
  auto pop = Pop();
  EXPECT_TRUE(absl::IsUnavailable(submit.status())) << "at once";
  EXPECT_TRUE(absl::IsUnavailable(cancel.status()));
  EXPECT_TRUE(absl::IsUnavailable(pop.status()));
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  EXPECT_THAT(cluster_.Asked(), ElementsAre("acknowledge g1.0.1"));
  EXPECT_EQ(engine_->core().ready_tasks(), 1u);
}

TEST_F(PruneTest, AGraphIsKeptForItsTimeAndThenDiscarded) {
  Submit(Graph({Task("a")}));
  Submit(Graph({Task("runs")}));
  Batch();
  Cancel(1);
  Batch();
  Wait(absl::Hours(48));
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  EXPECT_THAT(history_.graphs(), SizeIs(2));
  EXPECT_LE(engine_->NextWake(), now_.steady + absl::Minutes(1));
  Wait(absl::Minutes(1));
  EXPECT_THAT(cluster_.Asked(), ElementsAre("discard g1"));
  RunUntilIdle();
  EXPECT_THAT(history_.graphs(), SizeIs(1)) << "what runs is never pruned";
}

TEST_F(PruneTest, ManyArePrunedInSeveralBatches) {
  for (int i = 0; i < 250; ++i) Submit(Graph({Task("a")}));
  Batch();
  for (GraphId id = 1; id <= 250; ++id) Cancel(id);
  Batch();
  Wait(absl::Hours(49));
  EXPECT_THAT(cluster_.Asked(), SizeIs(100));
  EXPECT_LE(engine_->NextWake(), now_.steady) << "there is more";
  RunUntilIdle();
  EXPECT_THAT(cluster_.Asked(), SizeIs(150));
  EXPECT_GT(engine_->NextWake(), now_.steady);
}

TEST_F(PruneTest, AWallClockThatIsSetPrunesNothingByItself) {
  Submit(Graph({Task("a")}));
  Batch();
  Cancel(1);
  Batch();
  for (absl::Duration step :
       {absl::Hours(1), -absl::Hours(1), absl::Hours(24 * 365), -absl::Hours(24 * 365)}) {
    now_.wall += step;
    Pass(absl::Hours(5));
    EXPECT_THAT(cluster_.Asked(), IsEmpty()) << "after a step of " << step;
  }
  // Nor at the start.
  now_.wall += absl::Hours(24 * 365);
  Restart();
  Pass(absl::Hours(20));
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  EXPECT_THAT(history_.graphs(), SizeIs(1));
  // What passes counts, also under a wrong clock.
  now_.wall -= absl::Hours(24 * 365);
  Pass(absl::Hours(9));
  EXPECT_THAT(cluster_.Asked(), ElementsAre("discard g1"));
}

TEST_F(PruneTest, AClockThatWasBehindAndIsRightForADayIsFollowed) {
  now_.wall -= absl::Hours(24 * 365);
  Submit(Graph({Task("a")}));
  Batch();
  Cancel(1);
  Batch();
  now_.wall += absl::Hours(24 * 365);
  Pass(absl::Hours(23));
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  Pass(absl::Hours(2));
  EXPECT_THAT(cluster_.Asked(), ElementsAre("discard g1"));
}

}  // namespace
}  // namespace kartograph::scheduler
