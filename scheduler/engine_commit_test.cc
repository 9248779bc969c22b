// Nothing is promised, launched or acknowledged that is not written down first; and what happens
// while nothing can be written.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using planner::TaskKey;
using ::testing::AllOf;
using ::testing::Contains;
using ::testing::Each;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::Not;

class CommitTest : public ::testing::Test, protected EngineStory {};
class FailedCommitTest : public ::testing::Test, protected EngineStory {
 protected:
  void DiskIsFull(int commits = 1) {
    history_.FailCommits(commits, absl::ResourceExhaustedError("the disk is full"));
  }
  void DiskHasRoomAgain() { Wait(engine_->NextWake() - now_.steady); }
};

TEST_F(CommitTest, NobodyIsToldAnythingBefore) {
  Agent(2);
  Submit(Graph({Task("a")}));
  Batch();
  cluster_.Asked();
  auto submit = Submit(Graph({Task("b")}));
  auto cancel = Cancel(1);
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  int commits = 0;
  history_.before_commit = [&] {
    ++commits;
    EXPECT_FALSE(submit.given());
    EXPECT_FALSE(cancel.given());
    EXPECT_THAT(cluster_.Asked(), IsEmpty());
  };
  EXPECT_FALSE(submit.given());
  Batch();
  EXPECT_EQ(commits, 1);
  EXPECT_EQ(submit.value(), 2u);
  EXPECT_EQ(cancel.value(), 1);
  EXPECT_THAT(cluster_.Asked(), testing::UnorderedElementsAre("cancel g1.0.1", "acknowledge g1.0.1",
                                                              "execute g2.0.1"));
}

TEST_F(CommitTest, ABatchIsOneTransaction) {
  Agent(8);
  for (int i = 0; i < 20; ++i) Submit(Graph({Task("a"), Task("b").After({"a"})}));
  Batch();
  EXPECT_EQ(history_.commits(), 1);
  EXPECT_EQ(engine_->core().totals().commits, 1);
}

TEST_F(CommitTest, WhereThereIsNothingToWriteNothingIsWritten) {
  Agent(1);
  Batch();
  Wait(absl::Seconds(1));
  EXPECT_EQ(history_.commits(), 0);
}

TEST_F(FailedCommitTest, TheCallerIsToldAndNothingIsStoredOrLaunched) {
  Agent(1);
  Batch();
  DiskIsFull();
  auto submit = Submit(Graph({Task("a")}), "r");
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(submit.status()));
  EXPECT_THAT(std::string(submit.status().message()), HasSubstr("the disk is full"));
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  EXPECT_THAT(history_.graphs(), IsEmpty());
  EXPECT_THAT(engine_->core().LiveGraphs(), IsEmpty());
}

TEST_F(FailedCommitTest, WritesAreRefusedUntilItIsTimeToTryAgain) {
  Agent(1);
  DiskIsFull();
  Submit(Graph({Task("a")}), "r");
  Batch();
  auto refused = Submit(Graph({Task("a")}), "r");
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << "at once";
  DiskHasRoomAgain();
  EXPECT_TRUE(engine_->write_error().ok());
  auto submit = Submit(Graph({Task("a")}), "r");
  Batch();
  EXPECT_EQ(submit.value(), 1u) << "the request id was not remembered";
  EXPECT_THAT(cluster_.Asked(), Contains("execute g1.0.1")) << "the lease is still known";
}

TEST_F(FailedCommitTest, WhatCouldNotBeLaunchedIsLaunchedLater) {
  Submit(Graph({Task("a")}));
  Batch();
  DiskIsFull();
  Agent(1);
  Batch();
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  DiskHasRoomAgain();
  EXPECT_THAT(cluster_.Asked(), ElementsAre("execute g1.0.1"));
  EXPECT_EQ(history_.task(TaskKey::Of(1, 0)).attempts.size(), 1u);
}

TEST_F(FailedCommitTest, AnOfferThatWasToBeUsedOrDeclinedIsNotForgotten) {
  executor::Offer used = Lease("m", Cpu(1));
  used.lease = false;
  executor::Offer declined = used;
  declined.id = declined.agent = "n";
  Submit(Graph({Task("a").Needs(Cpu(2))}));
  Batch();
  Notify({executor::Connected{}, used, declined});
  Submit(Graph({Task("b")}));
  DiskIsFull();
  Batch();
  EXPECT_THAT(cluster_.Declined(), IsEmpty());
  DiskHasRoomAgain();
  EXPECT_THAT(cluster_.Declined(), testing::UnorderedElementsAre("lease of m", "n"));
}

TEST_F(FailedCommitTest, AnOfferThatWasToBeUsedIsUsedByWhatIsLeftToDo) {
  Submit(Graph({Task("a")}));
  Batch();
  executor::Offer offer = Lease("m", Cpu(1));
  offer.lease = false;
  DiskIsFull();
  Notify({executor::Connected{}, offer});
  Batch();
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  DiskHasRoomAgain();
  EXPECT_THAT(cluster_.Asked(), Contains("execute g1.0.1"));
}

TEST_F(FailedCommitTest, AnEndThatCouldNotBeWrittenIsNotAcknowledgedButAskedForAgain) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"})}));
  Batch();
  cluster_.Asked();
  DiskIsFull();
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  EXPECT_THAT(cluster_.Asked(), ElementsAre("reconcile g1.0.1"));
  EXPECT_EQ(engine_->core().Task(TaskKey::Of(1, 0))->state, planner::TaskState::kLaunching);
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});  // repeated too early
  Batch();
  EXPECT_THAT(cluster_.Asked(), IsEmpty());
  DiskHasRoomAgain();
  EXPECT_THAT(cluster_.Asked(), AllOf(Not(IsEmpty()), Each("reconcile g1.0.1")));
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  EXPECT_THAT(cluster_.Asked(),
              testing::UnorderedElementsAre("acknowledge g1.0.1", "execute g1.1.1"));
}

TEST_F(FailedCommitTest, WhatRunsIsShownAsRunningMeanwhile) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  Notify({Runs(Attempt(0))});
  Batch();
  cluster_.Asked();
  DiskIsFull();
  Submit(Graph({Task("b")}));
  Batch();
  EXPECT_THAT(cluster_.Asked(), ElementsAre("reconcile g1.0.1"));
  Notify({Runs(Attempt(0))});
  Batch();
  EXPECT_FALSE(engine_->write_error().ok());
  EXPECT_EQ(engine_->core().Task(TaskKey::Of(1, 0))->state, planner::TaskState::kRunning);
  DiskHasRoomAgain();
  Notify({Runs(Attempt(0))});
  Batch();
  EXPECT_EQ(engine_->core().Task(TaskKey::Of(1, 0))->state, planner::TaskState::kRunning);
}

TEST_F(FailedCommitTest, AnEndKnownBeforeIsAcknowledgedAllTheSame) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  cluster_.Asked();
  DiskIsFull();
  Submit(Graph({Task("b")}));
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});  // reported twice
  Batch();
  DiskHasRoomAgain();
  EXPECT_THAT(cluster_.Asked(), Contains("acknowledge g1.0.1"));
}

TEST_F(FailedCommitTest, ACancelThatWasNotWrittenWasNotAskedFor) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  cluster_.Asked();
  DiskIsFull();
  auto cancel = Cancel(1);
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(cancel.status()));
  DiskHasRoomAgain();
  EXPECT_THAT(cluster_.Asked(), AllOf(Not(IsEmpty()), Each("reconcile g1.0.1")));
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  EXPECT_EQ(history_.graphs().at(1).state.state, planner::GraphState::kSucceeded);
}

TEST_F(FailedCommitTest, AnErrorOfTheCallerIsStillTheCallersError) {
  DiskIsFull();
  Submit(Graph({Task("a")}));
  auto wrong = Submit(Graph({Task("a").After({"nobody"})}));
  Batch();
  EXPECT_TRUE(absl::IsInvalidArgument(wrong.status()));
}

TEST_F(FailedCommitTest, IsTriedAgainLessAndLessOften) {
  Submit(Graph({Task("a")}));
  Batch();
  DiskIsFull(7);
  Agent(1);
  Batch();
  for (double seconds : {0.5, 1.0, 2.0, 4.0, 8.0, 15.0, 15.0}) {
    EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Seconds(seconds));
    Batch();
    EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Seconds(seconds)) << "not earlier";
    DiskHasRoomAgain();
  }
  EXPECT_TRUE(engine_->write_error().ok());
  EXPECT_THAT(cluster_.Asked(), ElementsAre("execute g1.0.1"));
  DiskIsFull();
  Submit(Graph({Task("b")}));
  Batch();
  EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Seconds(0.5)) << "a success begins it anew";
}

TEST_F(FailedCommitTest, WaitersKeepTheirDeadlines) {
  auto pop = Pop({}, absl::Milliseconds(100));
  DiskIsFull();
  Submit(Graph({Task("a")}));
  Batch();
  EXPECT_FALSE(pop.given());
  EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Milliseconds(100));
  Wait(absl::Milliseconds(100));
  EXPECT_THAT(pop.value(), IsEmpty());
}

TEST_F(FailedCommitTest, AcknowledgementsAreRefusedMeanwhile) {
  DiskIsFull();
  Submit(Graph({Task("a")}));
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(Pop({1}).status()));
  EXPECT_FALSE(Pop().given()) << "looking is allowed";
}

TEST_F(FailedCommitTest, AnAcknowledgementThatWasLostMeansDeliveryAgain) {
  Agent(1);
  Submit(Graph({Task("a")}).Queue("client"));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  auto first = Pop();
  Batch();
  ASSERT_EQ(first.value().size(), 1u);
  DiskIsFull();
  auto lost = Pop({first.value()[0].delivery_id}, absl::Minutes(1));
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(lost.status())) << lost.status();
  DiskHasRoomAgain();
  auto again = Pop();
  Batch();
  EXPECT_EQ(again.value().size(), 1u);
}

TEST_F(FailedCommitTest, WhatRunsCanBeCancelledOnAFullDisk) {
  Agent(2);
  Submit(Graph({Task("a"), Task("b"), Task("c").After({"a"})}));
  Batch();
  Notify({Runs(Attempt(0)), Runs(Attempt(1))});
  Batch();
  cluster_.Asked();
  DiskIsFull(100);
  Submit(Graph({Task("x")}));
  Batch();
  auto one = CancelOne(1, "b");
  Batch();
  EXPECT_EQ(one.value(), 1);
  EXPECT_THAT(cluster_.Asked(), Contains("cancel g1.1.1"));
  auto submit = Submit(Graph({Task("y")}));
  auto all = Cancel(1, "r");
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(submit.status())) << "there is only room for what is urgent";
  EXPECT_EQ(all.value(), 3);
  EXPECT_THAT(cluster_.Asked(), Contains("cancel g1.0.1"));
  EXPECT_FALSE(engine_->write_error().ok());
  Restart();
  auto again = Cancel(1, "r");
  Batch();
  EXPECT_EQ(again.value(), 3) << "it was written";
}

TEST_F(FailedCommitTest, CancellingIsRefusedOnceItsRoomIsUsedUp) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  DiskIsFull();
  Submit(Graph({Task("x")}));
  Batch();
  history_.FailUrgentCommits(1);
  auto lost = Cancel(1);
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(lost.status())) << lost.status();
  auto refused = Cancel(1);
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << "not even tried";
  DiskHasRoomAgain();
  auto cancel = Cancel(1);
  Batch();
  EXPECT_EQ(cancel.value(), 1);
}

TEST_F(FailedCommitTest, ADiskThatCannotBeWrittenAtAllRefusesCancellingToo) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  history_.FailCommits(1, absl::PermissionDeniedError("read-only"));
  Submit(Graph({Task("x")}));
  Batch();
  auto refused = Cancel(1);
  EXPECT_TRUE(absl::IsUnavailable(refused.status())) << refused.status();
}

TEST_F(FailedCommitTest, WatchersAreNotTold) {
  int calls = 0;
  engine_->AddWatcher([&](const Changes&, const Snapshots&) { ++calls; });
  DiskIsFull();
  Submit(Graph({Task("a")}));
  Batch();
  EXPECT_EQ(calls, 0);
}

TEST_F(FailedCommitTest, ADamagedHistoryIsFatal) {
  history_.FailCommits(1, absl::DataLossError("the database is damaged"));
  auto submit = Submit(Graph({Task("a")}));
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(submit.status()));
  EXPECT_TRUE(absl::IsDataLoss(engine_->fatal_error()));
}

}  // namespace
}  // namespace kartograph::scheduler
