#include "storage/sqlite_writer.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <filesystem>
#include <optional>
#include <random>

#include "absl/strings/str_cat.h"
#include "storage/checkpointer.h"
#include "storage/open_history.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::GraphState;
using planner::Outcome;
using planner::TaskKey;
using planner::TaskState;
using testing::ElementsAre;
using testing::IsEmpty;
using testing::Pair;
using testing::UnorderedElementsAre;

class SqliteWriterTest : public testing::Test {
 protected:
  void Commit(std::vector<Record> records) {
    const absl::Status status = history_.writer->Commit(records);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Reopen() {
    history_ = History();
    history_ = OpenIn(folder_);
  }
  std::vector<std::string> Visit(planner::GraphId graph) {
    DescribingVisitor visitor;
    const absl::Status status = history_.reader->VisitGraph(graph, visitor);
    EXPECT_TRUE(status.ok()) << status;
    return visitor.lines;
  }
  std::vector<std::string> VisitLive() {
    DescribingVisitor visitor;
    const absl::Status status = history_.writer->VisitLive(visitor);
    EXPECT_TRUE(status.ok()) << status;
    return visitor.lines;
  }

  TestFolder folder_;
  History history_ = OpenIn(folder_);
};

std::string WithoutPayload(TaskSubmitted task, int attempts_before) {
  task.payload.clear();
  return absl::StrCat(Describe(task), " attempts_before=", attempts_before);
}

std::string WithoutValue(AttemptEnded ended) {
  ended.return_value.clear();
  return Describe(ended);
}

std::string StateAfter(const GraphSubmitted& graph) {
  return Describe(GraphChanged{.graph = graph.graph, .open = graph.open});
}

TEST_F(SqliteWriterTest, TellsAVisitorEverythingInOrder) {
  const GraphSubmitted graph = SomeGraph(1);
  const TaskSubmitted first = SomeTask(1, 0, "decode");
  const TaskSubmitted second = SomeTask(1, 1, "measure");
  const AttemptEnded failed = AttemptEndOf(1, 0, 1, Outcome::kExited, "some bytes");
  Commit({graph, first, second});
  Commit({LaunchOf(1, 0, 1)});
  Commit({failed, LaunchOf(1, 0, 2)});
  Commit({AttemptEndOf(1, 0, 2, Outcome::kSucceeded), TaskEndOf(1, 0, TaskState::kSucceeded),
          LaunchOf(1, 1, 1)});
  Reopen();
  EXPECT_THAT(Visit(1), ElementsAre(Describe(graph), StateAfter(graph), WithoutPayload(first, 0),
                                    WithoutPayload(second, 0), Describe(LaunchOf(1, 0, 1)),
                                    WithoutValue(failed), Describe(LaunchOf(1, 0, 2)),
                                    WithoutValue(AttemptEndOf(1, 0, 2, Outcome::kSucceeded)),
                                    Describe(LaunchOf(1, 1, 1)),
                                    Describe(TaskEndOf(1, 0, TaskState::kSucceeded))));
}

TEST_F(SqliteWriterTest, KeepsTheLimitsOfEveryField) {
  GraphSubmitted graph;
  graph.graph = 4294967295;  // the largest there can be
  graph.submit_time = absl::FromUnixMicros(1);
  TaskSubmitted task;
  task.task = TaskKey::Of(graph.graph, 0);
  task.name = "a";
  task.policy.timeout = absl::InfiniteDuration();
  task.policy.max_retry_delay = absl::InfiniteDuration();
  task.policy.max_attempts = planner::kMaxLaunches;
  task.priority = INT32_MIN;
  AttemptLaunched launched;
  launched.attempt = planner::AttemptId::Of(task.task, planner::kMaxLaunches);
  launched.launch_time = absl::UnixEpoch();
  AttemptEnded ended;
  ended.attempt = launched.attempt;
  ended.outcome = Outcome::kRefused;
  ended.exit_status = INT32_MIN;
  ended.end_time = absl::UnixEpoch();
  ended.start_time = absl::InfinitePast();
  ended.peak_ram_bytes = UINT64_MAX;
  ended.cpu_time = absl::InfiniteDuration();
  Commit({graph, task, launched, ended});
  EXPECT_THAT(Visit(graph.graph),
              ElementsAre(Describe(graph), StateAfter(graph), WithoutPayload(task, 0),
                          Describe(launched), Describe(ended)));
  EXPECT_EQ(*history_.writer->LastGraphId(), graph.graph);
}

TEST_F(SqliteWriterTest, KeepsUnicodeQuotesAndNulBytesInText) {
  const std::string odd("'; DROP TABLE tasks; -- \"\xf0\x9f\x97\xba\xc3\x9f\xff\0 x\n", 36);
  GraphSubmitted graph = SomeGraph(1, odd);
  graph.client_queue = odd;
  TaskSubmitted task = SomeTask(1, 0, odd);
  task.payload = odd;
  AttemptLaunched launched = LaunchOf(1, 0, 1);
  launched.agent = odd;
  launched.agent_name = odd + odd;
  AttemptEnded ended = AttemptEndOf(1, 0, 1, Outcome::kExited, odd);
  ended.message = odd;
  TaskEnded task_end = TaskEndOf(1, 0, TaskState::kFailed);
  task_end.reason = odd;
  RequestAnswered answered;
  answered.request_id = odd;
  answered.answer = odd + odd;
  Commit({graph, task, launched, ended, task_end, DeliveryOf(1, 1, 0, odd), answered});
  EXPECT_THAT(Visit(1), ElementsAre(Describe(graph), StateAfter(graph), WithoutPayload(task, 0),
                                    Describe(launched), WithoutValue(ended), Describe(task_end)));
  EXPECT_THAT(*history_.writer->Payloads({task.task}), ElementsAre(odd));
  EXPECT_EQ(*history_.writer->FindTask(1, odd), task.task);
  EXPECT_EQ(**history_.writer->FindRequest(odd), odd + odd);
  EXPECT_EQ(history_.reader->FinishedOf(odd, 10, 1000)->at(0).last_attempt.return_value, odd);
}

TEST_F(SqliteWriterTest, KnowsWhatTheTasksBeforeATaskHaveReturned) {
  TaskSubmitted last = SomeTask(1, 3, "last");
  last.after = {0, 1, 2};
  AttemptEnded silent = AttemptEndOf(1, 2, 1, Outcome::kSucceeded, "");
  silent.has_value = false;
  AttemptEnded empty = AttemptEndOf(1, 1, 1, Outcome::kSucceeded, "");
  empty.has_value = true;
  AttemptEnded earlier = AttemptEndOf(1, 0, 1, Outcome::kExited, "of a failed attempt");
  AttemptEnded value = AttemptEndOf(1, 0, 2, Outcome::kSucceeded, "value");
  earlier.has_value = value.has_value = true;
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b/c"), SomeTask(1, 2, "d"), last,
          LaunchOf(1, 0, 1), LaunchOf(1, 0, 2), LaunchOf(1, 1, 1), LaunchOf(1, 2, 1), earlier,
          value, empty, silent});
  const auto values = history_.writer->ValuesBefore(last.task, 5);
  ASSERT_TRUE(values.ok() && values->has_value()) << values.status();
  EXPECT_THAT(**values, UnorderedElementsAre(Pair("a", "value"), Pair("b/c", "")));
  EXPECT_EQ(*history_.writer->ValuesBefore(last.task, 4), std::nullopt);
  EXPECT_THAT(**history_.writer->ValuesBefore(TaskKey::Of(1, 0), 5), IsEmpty());
}

TEST_F(SqliteWriterTest, VisitsLiveGraphsByIdAndNoOthers) {
  Commit({SomeGraph(3), SomeGraph(1), SomeGraph(2)});
  Commit({EndOf(1, GraphState::kFailed, At(50))});
  EXPECT_THAT(VisitLive(), ElementsAre(Describe(SomeGraph(2)), StateAfter(SomeGraph(2)),
                                       Describe(SomeGraph(3)), StateAfter(SomeGraph(3))));
  Commit({GraphChanged{.graph = 1}, EndOf(2, GraphState::kSucceeded, At(51)),
          EndOf(3, GraphState::kCancelled, At(52))});
  EXPECT_THAT(VisitLive(), ElementsAre(Describe(SomeGraph(1)), Describe(GraphChanged{.graph = 1})));
}

TEST_F(SqliteWriterTest, ReplacesACancelThatATaskOutranByItsSuccess) {
  TaskEnded success = TaskEndOf(1, 0, TaskState::kSucceeded);
  success.replaces_cancelled = true;
  Commit({SomeGraph(1), SomeTask(1, 0, "decode"), SomeTask(1, 1, "measure"),
          TaskEndOf(1, 0, TaskState::kCancelled)});
  TaskEnded other = TaskEndOf(1, 1, TaskState::kSucceeded);
  other.replaces_cancelled = true;
  // Both in batches of their own and in one.
  Commit({TaskEndOf(1, 1, TaskState::kCancelled), success, other});
  const GraphRow row = *history_.reader->GetGraph(1);
  EXPECT_EQ(row.counts[static_cast<int>(TaskState::kSucceeded)], 2);
  EXPECT_EQ(row.counts[static_cast<int>(TaskState::kCancelled)], 0);
  EXPECT_EQ(history_.reader->GetTask(1, "decode")->ended->state, TaskState::kSucceeded);
  EXPECT_EQ(history_.reader->GetTask(1, "measure")->ended->state, TaskState::kSucceeded);
}

TEST_F(SqliteWriterTest, SaysThatAGraphOrTaskIsNotThere) {
  DescribingVisitor visitor;
  EXPECT_TRUE(absl::IsNotFound(history_.reader->VisitGraph(1, visitor)));
  Commit({SomeGraph(1), SomeTask(1, 0, "decode")});
  EXPECT_TRUE(absl::IsNotFound(history_.writer->FindTask(1, "missing").status()));
  EXPECT_TRUE(absl::IsNotFound(history_.writer->FindTask(2, "decode").status()));
  EXPECT_TRUE(*history_.writer->HasGraph(1));
  EXPECT_FALSE(*history_.writer->HasGraph(2));
  EXPECT_TRUE(
      absl::IsNotFound(history_.writer->Payloads({TaskKey::Of(1, 0), TaskKey::Of(1, 1)}).status()));
  EXPECT_EQ(history_.writer->FindTask(1, "decode")->index(), 0u);
}

TEST_F(SqliteWriterTest, ForgetsTheEndOfATaskThatIsResetAndCountsItsAttempts) {
  Commit({SomeGraph(1), SomeTask(1, 0, "decode"), SomeTask(1, 1, "measure"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kExited), TaskEndOf(1, 0, TaskState::kFailed),
          TaskEndOf(1, 1, TaskState::kSkipped)});
  Commit({ResetOf(1, 0, 1), ResetOf(1, 1, 0)});
  EXPECT_THAT(Visit(1),
              ElementsAre(Describe(SomeGraph(1)), StateAfter(SomeGraph(1)),
                          WithoutPayload(SomeTask(1, 0, "decode"), 1),
                          WithoutPayload(SomeTask(1, 1, "measure"), 0), Describe(LaunchOf(1, 0, 1)),
                          WithoutValue(AttemptEndOf(1, 0, 1, Outcome::kExited))));
  Commit({LaunchOf(1, 0, 2), AttemptEndOf(1, 0, 2, Outcome::kExited),
          TaskEndOf(1, 0, TaskState::kFailed, 200), ResetOf(1, 0, 2)});
  EXPECT_THAT(Visit(1), testing::Contains(WithoutPayload(SomeTask(1, 0, "decode"), 2)));
  const absl::StatusOr<GraphRow> graph = history_.reader->GetGraph(1);
  ASSERT_TRUE(graph.ok()) << graph.status();
  EXPECT_EQ(graph->tasks, 2);
  EXPECT_THAT(graph->counts, testing::Each(0));
}

TEST_F(SqliteWriterTest, WritesTheSameWhetherInOneBatchOrOneByOneOrMixed) {
  std::vector<Record> records = {SomeGraph(1), SomeGraph(2)};
  for (planner::TaskIndex i = 0; i < 20; ++i) {
    for (planner::GraphId graph : {2, 1}) {
      records.push_back(SomeTask(graph, i, absl::StrCat("task", 20 - i)));
    }
  }
  // Ended, delivered, reset, ended again, some acknowledged, and in an order that is not by key.
  std::vector<planner::TaskIndex> order = {13, 2, 19, 0, 7, 11, 3, 1, 18, 5};
  int64_t delivery = 0;
  for (planner::TaskIndex i : order) {
    records.push_back(LaunchOf(1, i, 1));
    records.push_back(AttemptEndOf(1, i, 1, Outcome::kExited, absl::StrCat("value", i)));
    records.push_back(TaskEndOf(1, i, TaskState::kFailed, i));
    records.push_back(DeliveryOf(++delivery, 1, i));
    if (i % 2 == 0) records.push_back(AcknowledgementOf(delivery));
    if (i % 3 == 0) {
      records.push_back(ResetOf(1, i, 1));
      records.push_back(LaunchOf(1, i, 2));
      records.push_back(AttemptEndOf(1, i, 2, Outcome::kSucceeded));
      records.push_back(TaskEndOf(1, i, TaskState::kSucceeded, 1000 + i));
      records.push_back(DeliveryOf(++delivery, 1, i));
    }
  }
  records.push_back(EndOf(1, GraphState::kFailed, At(5000)));

  Commit(records);
  const std::vector<std::string> expected = DescribeAll(history_, 2, "client");
  std::mt19937 random(1);
  for (int round = 0; round < 10; ++round) {
    TestFolder folder;
    History history = OpenIn(folder);
    for (size_t i = 0; i < records.size();) {
      const size_t size = round == 0 ? 1 : std::min(records.size() - i, 1 + random() % 30);
      const absl::Status status = history.writer->Commit(absl::MakeSpan(records).subspan(i, size));
      ASSERT_TRUE(status.ok()) << status;
      i += size;
    }
    EXPECT_EQ(DescribeAll(history, 2, "client"), expected) << "round " << round;
  }
}

TEST_F(SqliteWriterTest, LeavesNothingOfABatchThatContradictsTheHistory) {
  Commit({SomeGraph(1), SomeTask(1, 0, "decode"), LaunchOf(1, 0, 1),
          AttemptEndOf(1, 0, 1, Outcome::kSucceeded), TaskEndOf(1, 0, TaskState::kSucceeded),
          DeliveryOf(1, 1, 0)});
  const std::vector<std::string> expected = DescribeAll(history_, 3, "client");
  TaskSubmitted other = SomeTask(1, 1, "other");
  other.priority = 77;  // new settings, which must go as well
  AttemptLaunched launch = LaunchOf(1, 0, 9);
  launch.agent = "new agent";
  const std::vector<Record> fine = {SomeGraph(2), other, launch, DeliveryOf(2, 1, 0, "new queue")};
  TaskEnded replacing = TaskEndOf(1, 0, TaskState::kFailed);  // what did not end as cancelled
  replacing.replaces_cancelled = true;
  const Record wrong[] = {replacing,
                          SomeGraph(1),
                          SomeTask(1, 0, "again"),
                          SomeTask(1, 5, "decode"),
                          SomeTask(3, 0, "no such graph"),
                          GraphChanged{.graph = 3},
                          LaunchOf(1, 0, 1),
                          AttemptEndOf(1, 0, 1, Outcome::kLost),
                          TaskEndOf(1, 0, TaskState::kFailed),
                          TaskEndOf(3, 0, TaskState::kFailed),
                          DeliveryOf(1, 1, 0)};
  for (const Record& record : wrong) {
    std::vector<Record> records = fine;
    records.push_back(record);
    EXPECT_TRUE(absl::IsInternal(history_.writer->Commit(records))) << record.index();
    EXPECT_EQ(DescribeAll(history_, 3, "client"), expected) << record.index();
  }
  // The same values are interned again.
  Commit(fine);
  EXPECT_THAT(Visit(1), testing::Contains(WithoutPayload(other, 0)));
  EXPECT_THAT(Visit(1), testing::Contains(Describe(launch)));
}

TEST_F(SqliteWriterTest, NeverGivesLastIdsBelowOnesThatWereUsed) {
  EXPECT_EQ(*history_.writer->LastGraphId(), 0u);
  EXPECT_EQ(*history_.writer->LastDeliveryId(), 0);
  Commit({SomeGraph(1), SomeGraph(7), SomeTask(7, 0, "a"), TaskEndOf(7, 0, TaskState::kSkipped),
          DeliveryOf(12, 7, 0), EndOf(7, GraphState::kCancelled, At(1))});
  Commit({AcknowledgementOf(12), SomeGraph(5)});
  ASSERT_THAT(*history_.writer->Prune(At(2), {7}), ElementsAre(7u));
  Reopen();
  EXPECT_EQ(*history_.writer->LastGraphId(), 7u);
  EXPECT_EQ(*history_.writer->LastDeliveryId(), 12);
}

TEST_F(SqliteWriterTest, RemembersTheFirstAnswerToARequest) {
  EXPECT_FALSE(history_.writer->FindRequest("id")->has_value());
  RequestAnswered answered;
  answered.request_id = "id";
  answered.answer = std::string("\0answer", 7);
  answered.time = At(1);
  RequestAnswered again = answered;
  again.answer = "another";
  Commit({answered});
  Commit({again});
  Reopen();
  EXPECT_EQ(**history_.writer->FindRequest("id"), answered.answer);
  EXPECT_FALSE(history_.writer->FindRequest("i")->has_value());
}

TEST_F(SqliteWriterTest, KnowsThePoolsThatWereSetLastAndNoOthers) {
  const auto set = [](const std::string& pool, std::optional<int64_t> units, std::string by) {
    return PoolChanged{pool, units ? std::optional(planner::Quantity::Of(*units)) : std::nullopt,
                       planner::Quantity::Of(40), absl::FromUnixSeconds(1700000000), std::move(by)};
  };
  Commit({set("db", 10, "ann"), set("tapes", 2, "bob")});
  Commit({set("db", 20, "cleo"), set("tapes", std::nullopt, "bob"), set("licences", 5, "")});
  Reopen();
  const std::vector<PoolChanged> pools = *history_.writer->PoolsSet();
  ASSERT_EQ(pools.size(), 2U);
  EXPECT_EQ(pools[0].pool, "db");
  EXPECT_EQ(pools[0].capacity, planner::Quantity::Of(20));
  EXPECT_EQ(pools[0].setting, planner::Quantity::Of(40));
  EXPECT_EQ(pools[0].time, absl::FromUnixSeconds(1700000000));
  EXPECT_EQ(pools[0].by, "cleo");
  EXPECT_EQ(pools[1].pool, "licences");
}

TEST_F(SqliteWriterTest, WhatIsInForceOfPoolsOutlivesTheListOfChanges) {
  std::vector<Record> records = {PoolChanged{"db", planner::Quantity::Of(1), {}, {}, ""}};
  for (int i = 0; i < 10100; ++i) {
    records.emplace_back(PoolChanged{"tapes", planner::Quantity::Of(i + 1), {}, {}, ""});
  }
  Commit(std::move(records));
  const std::vector<PoolChanged> pools = *history_.writer->PoolsSet();
  ASSERT_EQ(pools.size(), 2U);
  EXPECT_EQ(pools[0].capacity, planner::Quantity::Of(1));
  EXPECT_EQ(pools[1].capacity, planner::Quantity::Of(10100));
}

TEST_F(SqliteWriterTest, CommitsNothingAsWell) {
  Commit({});
  EXPECT_THAT(VisitLive(), IsEmpty());
}

TEST_F(SqliteWriterTest, KeepsMoreDifferentSettingsThanItRemembers) {
  std::vector<Record> records = {SomeGraph(1)};
  constexpr int kTasks = 70000;
  for (int i = 0; i < kTasks; ++i) {
    TaskSubmitted task = SomeTask(1, static_cast<planner::TaskIndex>(i), absl::StrCat("t", i));
    task.after.clear();
    task.priority = i;
    records.push_back(std::move(task));
  }
  Commit(std::move(records));
  // Again with the same ones, after the first were dropped.
  records = {SomeGraph(2)};
  for (int i = 0; i < 10; ++i) {
    TaskSubmitted task = SomeTask(2, static_cast<planner::TaskIndex>(i), absl::StrCat("t", i));
    task.priority = i * 1000;
    records.push_back(std::move(task));
  }
  Commit(std::move(records));
  class PriorityVisitor : public DescribingVisitor {
   public:
    void OnTask(const TaskSubmitted& task, uint32_t) override {
      const int32_t index = static_cast<int32_t>(task.task.index());
      right += task.priority == (task.task.graph() == 1 ? index : index * 1000) ? 1 : 0;
    }
    int right = 0;
  } visitor;
  ASSERT_TRUE(history_.writer->VisitLive(visitor).ok());
  EXPECT_EQ(visitor.right, kTasks + 10);
}

TEST_F(SqliteWriterTest, TasksOfOneBatchThatAreResetAndEndAgainAreCountedRight) {
  Commit({SomeGraph(1), SomeTask(1, 0, "a"), SomeTask(1, 1, "b"),
          TaskEndOf(1, 0, TaskState::kFailed), TaskEndOf(1, 1, TaskState::kSkipped),
          DeliveryOf(1, 1, 0), ResetOf(1, 0, 1), ResetOf(1, 1, 0),
          TaskEndOf(1, 0, TaskState::kSucceeded), DeliveryOf(2, 1, 0)});
  const GraphRow graph = *history_.reader->GetGraph(1);
  EXPECT_EQ(graph.counts[static_cast<int>(TaskState::kSucceeded)], 1);
  EXPECT_EQ(graph.counts[static_cast<int>(TaskState::kFailed)], 0);
  EXPECT_EQ(graph.counts[static_cast<int>(TaskState::kSkipped)], 0);
  const auto finished = history_.reader->FinishedOf("client", 10, 1000);
  ASSERT_EQ(finished->size(), 2u);
  EXPECT_EQ(finished->at(0).ended.state, TaskState::kFailed);
  EXPECT_EQ(finished->at(1).ended.state, TaskState::kSucceeded);
}

TEST(CheckpointerTest, TheWalIsCopiedBesideTheCommitsAndStaysSmall) {
  TestFolder folder;
  constexpr int kPages = 50;
  auto history =
      OpenHistory({.path = folder.database(), .durable = false}, {.checkpoint_pages = kPages});
  ASSERT_TRUE(history.ok()) << history.status();
  const auto size = [&](const char* suffix) {
    return std::filesystem::file_size(folder.database() + suffix);
  };
  constexpr int kRounds = 400;
  for (planner::GraphId graph = 1; graph <= kRounds; ++graph) {
    TaskSubmitted task = SomeTask(graph, 0, "a");
    task.payload = std::string(40000, 'x');
    ASSERT_TRUE(history->writer->Commit({SomeGraph(graph), task}).ok());
  }
  // 16 MB were written; what is not copied yet has a bound.
  EXPECT_LT(size("-wal"), (Checkpointer::kMostTimes + 2) * kPages * 8300u);
  EXPECT_GT(size(""), uintmax_t{kRounds} * 40000 / 2);
  EXPECT_EQ(history->reader->GetGraph(kRounds)->tasks, 1);
}

}  // namespace
}  // namespace kartograph::storage
