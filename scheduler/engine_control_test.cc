// Leases of deliveries, queues that are deleted, graphs that are forgotten, tasks that run again.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::SizeIs;

using Deliveries = std::vector<storage::Finished>;

class ControlTest : public ::testing::Test, protected EngineStory {
 protected:
  // Graph 1 of this many tasks, all of which have succeeded.
  void AllSucceeded(int count) {
    std::vector<Task> tasks;
    for (int i = 0; i < count; ++i) tasks.emplace_back(absl::StrCat("t", i));
    Agent(count);
    Submit(Graph(tasks).Queue("client"));
    Batch();
    for (int i = 0; i < count; ++i) {
      Notify({Ended(Attempt(static_cast<planner::TaskIndex>(i)), Outcome::kSucceeded)});
    }
    Batch();
  }
  PopFinished Leased(int max_tasks = 100, absl::Duration wait = absl::ZeroDuration()) {
    PopFinished pop;
    pop.client_queue = "client";
    pop.max_tasks = max_tasks;
    pop.max_bytes = 1 << 20;
    pop.deadline = now_.steady + wait;
    pop.lease = absl::Seconds(30);
    return pop;
  }
  std::vector<std::string> Popped(PopFinished pop) {
    auto popped = Ask<Deliveries>(std::move(pop));
    Batch();
    last_ = popped.value();
    std::vector<std::string> names;
    for (const storage::Finished& f : last_) names.push_back(f.task_name);
    return names;
  }
  std::vector<int64_t> LastIds() const {
    std::vector<int64_t> ids;
    for (const storage::Finished& f : last_) ids.push_back(f.delivery_id);
    return ids;
  }

  Deliveries last_;
};

TEST_F(ControlTest, EachDeliveryGoesToOneConsumer) {
  AllSucceeded(4);
  auto first = Ask<Deliveries>(Leased(2));
  auto second = Ask<Deliveries>(Leased(2));
  auto third = Ask<Deliveries>(Leased(2));
  Batch();
  EXPECT_THAT(first.value(), SizeIs(2));
  EXPECT_THAT(second.value(), SizeIs(2));
  EXPECT_NE(first.value()[0].task_name, second.value()[0].task_name);
  EXPECT_THAT(third.value(), IsEmpty());
}

TEST_F(ControlTest, AConsumerThatHoldsBackIsNotGivenTheSameAgain) {
  AllSucceeded(2);
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0", "t1"));
  auto waiting = Ask<Deliveries>(Leased(100, absl::Seconds(10)));
  Batch();
  EXPECT_FALSE(waiting.given()) << "there is nothing new: it waits";
  Wait(absl::Seconds(10));
  EXPECT_THAT(waiting.value(), IsEmpty());
}

TEST_F(ControlTest, IsOfferedAgainWhenTheLeaseIsOverAlsoToOneWhoWaits) {
  AllSucceeded(1);
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
  auto waiting = Ask<Deliveries>(Leased(100, absl::Minutes(5)));
  Batch();
  EXPECT_EQ(engine_->NextWake(), now_.steady + absl::Seconds(30));
  Wait(absl::Seconds(29));
  EXPECT_FALSE(waiting.given());
  Wait(absl::Seconds(1));
  EXPECT_THAT(waiting.value(), SizeIs(1));
}

TEST_F(ControlTest, CanBeRenewedReleasedAndAcknowledged) {
  AllSucceeded(3);
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0", "t1", "t2"));
  const std::vector<int64_t> ids = LastIds();
  Wait(absl::Seconds(20));
  PopFinished renew = Leased(0);
  renew.renew = {ids[0]};
  renew.release = {ids[1]};
  renew.acknowledge = {ids[2]};
  EXPECT_THAT(Popped(renew), IsEmpty());
  EXPECT_THAT(Popped(Leased()), ElementsAre("t1")) << "released";
  Wait(absl::Seconds(15));
  EXPECT_THAT(Popped(Leased()), IsEmpty()) << "renewed";
  Wait(absl::Seconds(15));
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0", "t1"));
  PopFinished done = Leased(0);
  done.acknowledge = ids;
  Popped(done);
  Wait(absl::Hours(1));
  EXPECT_THAT(Popped(Leased()), IsEmpty());
}

TEST_F(ControlTest, AConsumerThatResumesGetsItsOwnAgain) {
  AllSucceeded(2);
  PopFinished one = Leased(1);
  one.consumer = "a";
  EXPECT_THAT(Popped(one), ElementsAre("t0"));
  PopFinished other = Leased(1);
  other.consumer = "b";
  EXPECT_THAT(Popped(other), ElementsAre("t1"));
  one.resume = true;
  one.max_tasks = 100;
  EXPECT_THAT(Popped(one), ElementsAre("t0"));
}

TEST_F(ControlTest, WithoutALeaseItGoesOnBeingOffered) {
  AllSucceeded(1);
  PopFinished look = Leased();
  look.lease = absl::ZeroDuration();
  EXPECT_THAT(Popped(look), ElementsAre("t0"));
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
  EXPECT_THAT(Popped(look), IsEmpty());
}

TEST_F(ControlTest, ARestartEndsAllLeases) {
  AllSucceeded(1);
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
  Restart();
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
}

TEST_F(ControlTest, AnAcknowledgementThatIsNotWrittenIsRepeated) {
  AllSucceeded(1);
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
  history_.FailCommits(1, absl::UnavailableError("disk full"));
  PopFinished acknowledge = Leased(0);
  acknowledge.acknowledge = LastIds();
  auto told = Ask<Deliveries>(acknowledge);
  Batch();
  EXPECT_TRUE(absl::IsUnavailable(told.status())) << told.status();
  Wait(absl::Minutes(1));
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0")) << "it is still in the history";
}

TEST_F(ControlTest, AnAcknowledgementIsAnsweredOnceItIsWritten) {
  AllSucceeded(1);
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
  PopFinished acknowledge = Leased(0);
  acknowledge.acknowledge = LastIds();
  auto told = Ask<Deliveries>(acknowledge);
  history_.before_commit = [&] { EXPECT_FALSE(told.given()); };
  EXPECT_FALSE(told.given());
  Batch();
  EXPECT_THAT(told.value(), IsEmpty());
}

TEST_F(ControlTest, ADeletedQueueIsEmpty) {
  AllSucceeded(3);
  EXPECT_THAT(Popped(Leased(1)), ElementsAre("t0"));
  auto deleted = Ask<int64_t>(DeleteQueue{"r", "client"});
  for (int i = 0; i < 3 && !deleted.given(); ++i) Batch();
  EXPECT_EQ(deleted.value(), 3);
  auto again = Ask<int64_t>(DeleteQueue{"r", "client"});
  Batch();
  EXPECT_EQ(again.value(), 3) << "the same request";
  auto none = Ask<int64_t>(DeleteQueue{"", "client"});
  for (int i = 0; i < 3 && !none.given(); ++i) Batch();
  EXPECT_EQ(none.value(), 0);
  Wait(absl::Minutes(1));
  EXPECT_THAT(Popped(Leased()), IsEmpty());
}

TEST_F(ControlTest, AGraphThatHasEndedCanBeForgotten) {
  AllSucceeded(1);
  auto early = Ask<bool>(ForgetGraph{"", 1});
  Batch();
  EXPECT_THAT(std::string(early.status().message()), HasSubstr("client queue"));
  EXPECT_TRUE(absl::IsFailedPrecondition(early.status()));
  EXPECT_THAT(Popped(Leased()), ElementsAre("t0"));
  PopFinished acknowledge = Leased(0);
  acknowledge.acknowledge = LastIds();
  Popped(acknowledge);
  auto forgotten = Ask<bool>(ForgetGraph{"r", 1});
  Batch();
  EXPECT_TRUE(forgotten.status().ok()) << forgotten.status();
  EXPECT_FALSE(history_.HasGraph(1).value());
  EXPECT_THAT(cluster_.Asked(), Contains("discard g1"));
  auto again = Ask<bool>(ForgetGraph{"", 1});
  Batch();
  EXPECT_TRUE(absl::IsNotFound(again.status())) << again.status();
}

TEST_F(ControlTest, AGraphThatRunsIsNotForgotten) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  auto refused = Ask<bool>(ForgetGraph{"", 1});
  Batch();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused.status())) << refused.status();
}

TEST_F(ControlTest, ATaskOfAGraphThatHasEndedRunsAgainAlone) {
  Agent(2);
  Submit(Graph({Task("a"), Task("b"), Task("after_a").After({"a"})}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kExited), Ended(Attempt(1), Outcome::kExited)});
  Batch();
  auto unknown = Ask<int64_t>(RetryTasks{"", 1, {"a", "nobody"}});
  Batch();
  EXPECT_TRUE(absl::IsNotFound(unknown.status())) << unknown.status();
  EXPECT_FALSE(engine_->core().IsLive(1));
  auto retried = Ask<int64_t>(RetryTasks{"r", 1, {"a"}});
  Batch();
  EXPECT_EQ(retried.value(), 2);
  EXPECT_TRUE(engine_->core().IsLive(1));
  auto again = Ask<int64_t>(RetryTasks{"r", 1, {"a"}});
  Batch();
  EXPECT_EQ(again.value(), 2) << "the same request";
  Notify({Ended(Attempt(0, 2), Outcome::kSucceeded)});
  Batch();
  Notify({Ended(Attempt(2), Outcome::kSucceeded)});
  Batch();
  EXPECT_FALSE(engine_->core().IsLive(1));
  EXPECT_EQ(history_.graphs().at(1).state.state, planner::GraphState::kFailed)
      << "b was not to run again";
  EXPECT_EQ(history_.task(planner::TaskKey::Of(1, 2)).ended->state, planner::TaskState::kSucceeded);
}

TEST_F(ControlTest, NothingToRetryLeavesTheGraphAsItIs) {
  Agent(1);
  Submit(Graph({Task("a")}));
  Batch();
  Notify({Ended(Attempt(0), Outcome::kSucceeded)});
  Batch();
  auto retried = Ask<int64_t>(RetryTasks{"", 1, {"a"}});
  Batch();
  EXPECT_EQ(retried.value(), 0);
  EXPECT_FALSE(engine_->core().IsLive(1));
}

TEST_F(ControlTest, ACancelSaysHowManyAreSkippedAlsoWhenItIsRepeated) {
  Agent(1);
  Submit(Graph({Task("a"), Task("b").After({"a"}), Task("c").After({"b"})}));
  Batch();
  for (int i = 0; i < 2; ++i) {
    std::optional<Reply> reply;
    engine_->Apply(CancelTasks{"r", 1, {"b"}}, now_,
                   [&reply](absl::StatusOr<Reply> r) { reply = *std::move(r); });
    Batch();
    ASSERT_TRUE(reply.has_value());
    EXPECT_EQ(reply->number, 1);
    EXPECT_EQ(reply->skipped, 1);
  }
}

}  // namespace
}  // namespace kartograph::scheduler
