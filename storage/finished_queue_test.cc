#include "storage/finished_queue.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::Outcome;
using planner::TaskState;
using testing::ElementsAre;
using testing::IsEmpty;

class FinishedQueueTest : public testing::Test {
 protected:
  void Commit(std::vector<Record> records) {
    const absl::Status status = history_.writer->Commit(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  // A task that ran once and returned `size` bytes.
  void Finish(planner::TaskIndex index, int64_t delivery, size_t size,
              const std::string& queue = "client") {
    Commit({SomeTask(1, index, absl::StrCat("task", index)), LaunchOf(1, index, 1),
            AttemptEndOf(1, index, 1, Outcome::kSucceeded, std::string(size, 'v')),
            TaskEndOf(1, index, TaskState::kSucceeded), DeliveryOf(delivery, 1, index, queue)});
  }
  std::vector<Finished> Get(int max_tasks = 100, int64_t max_bytes = 1 << 20,
                            absl::string_view queue = "client") {
    absl::StatusOr<std::vector<Finished>> finished =
        history_.reader->FinishedOf(queue, max_tasks, max_bytes);
    EXPECT_TRUE(finished.ok()) << finished.status();
    return finished.ok() ? *std::move(finished) : std::vector<Finished>();
  }
  std::vector<int64_t> Ids(int max_tasks = 100, int64_t max_bytes = 1 << 20,
                           absl::string_view queue = "client") {
    std::vector<int64_t> ids;
    for (const Finished& finished : Get(max_tasks, max_bytes, queue)) {
      ids.push_back(finished.delivery_id);
    }
    return ids;
  }

  TestFolder folder_;
  History history_ = OpenIn(folder_);
};

TEST_F(FinishedQueueTest, GivesEverythingAClientMustKnow) {
  Commit({SomeGraph(1), SomeTask(1, 0, "decode"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kLost), LaunchOf(1, 0, 2),
          AttemptEndOf(1, 0, 2, Outcome::kExited, "the reason"),
          TaskEndOf(1, 0, TaskState::kFailed), DeliveryOf(5, 1, 0)});
  const std::vector<Finished> all = Get();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].delivery_id, 5);
  EXPECT_EQ(all[0].task, planner::TaskKey::Of(1, 0));
  EXPECT_EQ(all[0].task_name, "decode");
  EXPECT_EQ(Describe(all[0].ended), Describe(TaskEndOf(1, 0, TaskState::kFailed)));
  EXPECT_EQ(all[0].attempts, 2);
  EXPECT_EQ(Describe(all[0].last_attempt),
            Describe(AttemptEndOf(1, 0, 2, Outcome::kExited, "the reason")));
}

TEST_F(FinishedQueueTest, GivesATaskThatNeverRan) {
  Commit({SomeGraph(1), SomeTask(1, 0, "decode"), TaskEndOf(1, 0, TaskState::kSkipped),
          DeliveryOf(5, 1, 0)});
  const std::vector<Finished> all = Get();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].ended.state, TaskState::kSkipped);
  EXPECT_EQ(all[0].attempts, 0);
  EXPECT_EQ(all[0].last_attempt.outcome, Outcome::kNone);
}

TEST_F(FinishedQueueTest, GivesTheOldestFirstUntilTheyAreAcknowledged) {
  Commit({SomeGraph(1)});
  Finish(2, 10, 1);
  Finish(0, 11, 1);
  Finish(1, 12, 1);
  EXPECT_THAT(Ids(), ElementsAre(10, 11, 12));
  EXPECT_THAT(Ids(2), ElementsAre(10, 11));
  Commit({AcknowledgementOf(11)});
  EXPECT_THAT(Ids(2), ElementsAre(10, 12));
  Commit({AcknowledgementOf(12), AcknowledgementOf(10)});
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(FinishedQueueTest, KeepsQueuesApart) {
  Commit({SomeGraph(1)});
  for (int i = 0; i < 6; ++i) {
    Finish(static_cast<planner::TaskIndex>(i), i + 1, 1, i % 2 == 0 ? "even" : "odd");
  }
  EXPECT_THAT(Ids(100, 1000, "even"), ElementsAre(1, 3, 5));
  EXPECT_THAT(Ids(100, 1000, "odd"), ElementsAre(2, 4, 6));
  EXPECT_THAT(Ids(100, 1000, "none"), IsEmpty());
  // Neighbouring ids of another queue are not acknowledged by accident.
  Commit({AcknowledgementOf(1, "even"), AcknowledgementOf(5, "even"), AcknowledgementOf(2, "even"),
          AcknowledgementOf(4, "odd"), AcknowledgementOf(4, "none")});
  EXPECT_THAT(Ids(100, 1000, "even"), ElementsAre(3));
  EXPECT_THAT(Ids(100, 1000, "odd"), ElementsAre(2, 6));
}

TEST_F(FinishedQueueTest, IgnoresAcknowledgementsOfUnknownDeliveries) {
  Commit({SomeGraph(1)});
  Finish(0, 10, 1);
  Commit({AcknowledgementOf(9), AcknowledgementOf(11), AcknowledgementOf(-1),
          AcknowledgementOf(10, "no such queue")});
  EXPECT_THAT(Ids(), ElementsAre(10));
  Commit({AcknowledgementOf(10), AcknowledgementOf(10)});
  Commit({AcknowledgementOf(10)});
  EXPECT_THAT(Ids(), IsEmpty());
}

TEST_F(FinishedQueueTest, AcknowledgesWhatWasQueuedInTheSameBatch) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"),
          TaskEndOf(1, 0, TaskState::kSkipped), DeliveryOf(1, 1, 0), AcknowledgementOf(1),
          TaskEndOf(1, 1, TaskState::kSkipped), DeliveryOf(2, 1, 1)});
  EXPECT_THAT(Ids(), ElementsAre(2));
}

TEST_F(FinishedQueueTest, StopsBeforeTooManyBytesButGivesOne) {
  Commit({SomeGraph(1)});
  Finish(0, 1, 400);
  Finish(1, 2, 600);
  Finish(2, 3, 1);
  Finish(3, 4, 0);
  EXPECT_THAT(Ids(100, 1001), ElementsAre(1, 2, 3, 4));
  EXPECT_THAT(Ids(100, 1000), ElementsAre(1, 2));
  EXPECT_THAT(Ids(100, 999), ElementsAre(1));
  EXPECT_THAT(Ids(100, 10), ElementsAre(1));
  EXPECT_THAT(Ids(100, 0), ElementsAre(1));
  EXPECT_EQ(Get(100, 10)[0].last_attempt.return_value.size(), 400u);
}

TEST_F(FinishedQueueTest, LeavesOutLargerReturnValuesThanAskedForAndGivesTheirSize) {
  Commit({SomeGraph(1)});
  Finish(0, 1, 400);
  Finish(1, 2, 600);
  Finish(2, 3, 500);
  const std::vector<Finished> some =
      *history_.reader->FinishedOf("client", 100, 900, {.max_value_bytes = 500});
  ASSERT_EQ(some.size(), 3u) << "what is left out does not count";
  EXPECT_EQ(some[0].last_attempt.return_value.size(), 400u);
  EXPECT_EQ(some[1].last_attempt.return_value, "");
  EXPECT_EQ(some[1].return_value_bytes, 600);
  EXPECT_EQ(some[2].last_attempt.return_value.size(), 500u);
}

TEST_F(FinishedQueueTest, GivesReturnValuesOfSixteenMebibytes) {
  std::string value(16 << 20, '\0');
  for (size_t i = 0; i < value.size(); i += 97) value[i] = static_cast<char>(i);
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kSucceeded, value), TaskEndOf(1, 0, TaskState::kSucceeded),
          DeliveryOf(1, 1, 0)});
  const std::vector<Finished> all = Get();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(all[0].last_attempt.return_value, value);
}

TEST_F(FinishedQueueTest, TellsOfTheEndItWasQueuedForAlsoWhenTheTaskRanAgain) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kExited), LaunchOf(1, 0, 2),
          AttemptEndOf(1, 0, 2, Outcome::kTimedOut), TaskEndOf(1, 0, TaskState::kFailed, 40),
          DeliveryOf(1, 1, 0)});
  Commit({ResetOf(1, 0, 2), LaunchOf(1, 0, 3)});
  std::vector<Finished> all = Get();
  ASSERT_EQ(all.size(), 1u);
  EXPECT_EQ(Describe(all[0].ended), Describe(TaskEndOf(1, 0, TaskState::kFailed, 40)));
  EXPECT_EQ(all[0].attempts, 2);
  EXPECT_EQ(all[0].last_attempt.outcome, Outcome::kTimedOut);

  // Twice without an attempt in between, then a success: each delivery has its own end.
  Commit({AttemptEndOf(1, 0, 3, Outcome::kCancelled), TaskEndOf(1, 0, TaskState::kCancelled, 50),
          DeliveryOf(2, 1, 0), ResetOf(1, 0, 3), TaskEndOf(1, 0, TaskState::kSkipped, 60),
          DeliveryOf(3, 1, 0), ResetOf(1, 0, 3)});
  Commit({LaunchOf(1, 0, 4), AttemptEndOf(1, 0, 4, Outcome::kSucceeded, "value"),
          TaskEndOf(1, 0, TaskState::kSucceeded, 70), DeliveryOf(4, 1, 0)});
  all = Get();
  ASSERT_EQ(all.size(), 4u);
  EXPECT_EQ(all[0].ended.state, TaskState::kFailed);
  EXPECT_EQ(all[1].ended.state, TaskState::kCancelled);
  EXPECT_EQ(all[1].attempts, 1);
  EXPECT_EQ(all[1].last_attempt.outcome, Outcome::kCancelled);
  EXPECT_EQ(all[2].ended.state, TaskState::kSkipped);
  EXPECT_EQ(all[2].attempts, 0);
  EXPECT_EQ(all[2].last_attempt.outcome, Outcome::kNone);
  EXPECT_EQ(all[3].ended.state, TaskState::kSucceeded);
  EXPECT_EQ(all[3].attempts, 1);
  EXPECT_EQ(all[3].last_attempt.return_value, "value");
}

TEST_F(FinishedQueueTest, LeavesOutWhatTheFilterSays) {
  Commit({SomeGraph(1)});
  for (planner::TaskIndex i = 0; i < 6; ++i) Finish(i, 10 + i, 100);
  const std::vector<int64_t> skip = {11, 13};
  const auto ids = [&](int max_tasks, int64_t max_bytes, const DeliveryFilter& filter) {
    std::vector<int64_t> found;
    const std::vector<Finished> read =
        *history_.reader->FinishedOf("client", max_tasks, max_bytes, filter);
    for (const Finished& f : read) {
      found.push_back(f.delivery_id);
    }
    return found;
  };
  EXPECT_THAT(ids(100, 1 << 20, {11, skip}), ElementsAre(12, 14, 15));
  EXPECT_THAT(ids(2, 1 << 20, {0, skip}), ElementsAre(10, 12));
  // What is left out takes no room.
  EXPECT_THAT(ids(100, 200, {11, skip}), ElementsAre(12, 14));
  EXPECT_THAT(ids(100, 1 << 20, {16, {}}), IsEmpty());
}

TEST_F(FinishedQueueTest, ListsTheQueuesThatHaveDeliveries) {
  Commit({SomeGraph(1)});
  Finish(0, 10, 1, "b");
  Finish(1, 11, 1, "a");
  Finish(2, 12, 1, "b");
  Finish(3, 13, 1, "emptied");
  Commit({FinishedAcknowledged{"emptied", 13}});
  const std::vector<QueueRow> queues = *history_.reader->ListQueues("", 10);
  ASSERT_EQ(queues.size(), 2u);
  EXPECT_EQ(queues[0].name, "a");
  EXPECT_EQ(queues[0].size, 1);
  EXPECT_EQ(queues[1].name, "b");
  EXPECT_EQ(queues[1].size, 2);
  EXPECT_EQ(queues[1].oldest, TaskEndOf(1, 0, TaskState::kSucceeded).end_time);
  EXPECT_EQ(history_.reader->ListQueues("", 1)->size(), 1u);
  EXPECT_EQ(history_.reader->ListQueues("a", 10)->at(0).name, "b");
  EXPECT_THAT(*history_.reader->DeliveriesOf("b", 10), ElementsAre(10, 12));
  EXPECT_THAT(*history_.reader->DeliveriesOf("b", 1), ElementsAre(10));
  EXPECT_THAT(*history_.reader->DeliveriesOf("none", 1), IsEmpty());
}

TEST_F(FinishedQueueTest, KnowsWhoseDeliveriesWait) {
  GraphSubmitted graph = SomeGraph(1);
  graph.client_queue = "client";
  Commit({graph, SomeGraph(2)});
  Finish(0, 10, 1);
  EXPECT_TRUE(*history_.reader->HasDeliveries(1));
  EXPECT_FALSE(*history_.reader->HasDeliveries(2));
  Commit({FinishedAcknowledged{"client", 10}});
  EXPECT_FALSE(*history_.reader->HasDeliveries(1));
}

}  // namespace
}  // namespace kartograph::storage
