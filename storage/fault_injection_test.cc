// What is left of the run history when the disk fails or the power goes at any moment.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cerrno>
#include <filesystem>
#include <fstream>
#include <random>
#include <set>

#include "absl/strings/str_cat.h"
#include "storage/open_history.h"
#include "storage/testing/fault_file_system.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using planner::GraphState;
using planner::Outcome;
using planner::TaskState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

constexpr planner::GraphId kGraphs = 4;

// Few pages between checkpoints, so that the copying from the WAL is cut and failed as well.
absl::StatusOr<History> OpenOn(const FaultFileSystem& files, const std::string& path,
                               int checkpoint_pages = 8) {
  return OpenHistory(
      {.path = path},
      {.vfs = files.name(), .checkpoint_pages = checkpoint_pages, .checkpoint_thread = false});
}

// The lives of a few graphs, every kind of record in it.
std::vector<std::vector<Record>> Batches() {
  std::vector<std::vector<Record>> batches;
  int64_t delivery = 0;
  for (planner::GraphId graph = 1; graph < kGraphs; ++graph) {
    std::vector<Record>& submission = batches.emplace_back();
    submission.push_back(SomeGraph(graph));
    for (planner::TaskIndex i = 0; i < 4; ++i) {
      TaskSubmitted task = SomeTask(graph, i, absl::StrCat("task", i));
      task.priority = static_cast<int32_t>(graph);
      submission.push_back(std::move(task));
    }
    RequestAnswered answered;
    answered.request_id = absl::StrCat("request", graph);
    answered.answer = "answer";
    answered.time = At(graph);
    submission.push_back(answered);
    for (planner::TaskIndex i = 0; i < 3; ++i) {
      batches.push_back({LaunchOf(graph, i, 1)});
      batches.push_back({AttemptEndOf(graph, i, 1, Outcome::kExited, std::string(20000, 'v')),
                         TaskEndOf(graph, i, TaskState::kFailed),
                         DeliveryOf(delivery + 1, graph, i), AcknowledgementOf(delivery)});
      ++delivery;
    }
    batches.push_back(
        {TaskEndOf(graph, 3, TaskState::kSkipped), EndOf(graph, GraphState::kFailed, At(100))});
    if (graph == 2) {
      batches.push_back({ResetOf(graph, 1, 1), ResetOf(graph, 3, 0), GraphChanged{.graph = graph}});
    }
  }
  // One that takes several commits to be submitted.
  GraphSubmitted large = SomeGraph(kGraphs);
  large.work = GraphWork::kSubmitting;
  batches.push_back({large, SomeTask(kGraphs, 0, "first")});
  batches.push_back({SomeTask(kGraphs, 1, "second")});
  batches.push_back({SomeTask(kGraphs, 2, "third"), GraphChanged{.graph = kGraphs}});
  // And to be cancelled.
  batches.push_back({GraphChanged{.graph = kGraphs, .work = GraphWork::kCancelling},
                     TaskEndOf(kGraphs, 0, TaskState::kCancelled)});
  batches.push_back({TaskEndOf(kGraphs, 1, TaskState::kCancelled),
                     TaskEndOf(kGraphs, 2, TaskState::kCancelled),
                     EndOf(kGraphs, GraphState::kCancelled, At(200))});
  return batches;
}

// What there is after each number of batches.
std::vector<std::vector<std::string>> ExpectedStates() {
  TestFolder folder;
  History history = OpenIn(folder);
  std::vector<std::vector<std::string>> states = {DescribeAll(history, kGraphs, "client")};
  for (const std::vector<Record>& batch : Batches()) {
    EXPECT_TRUE(history.writer->Commit(batch).ok());
    states.push_back(DescribeAll(history, kGraphs, "client"));
  }
  return states;
}

// Opens what a power cut left and says what is in it; nothing where it cannot be opened.
std::vector<std::string> StateAfterPowerCut(const FaultFileSystem& files, std::mt19937& random) {
  TestFolder folder;
  files.CutPower(folder.path(), random);
  // Not durable, because there is no second power cut, and hundreds of these are opened.
  absl::StatusOr<History> history = OpenHistory({.path = folder.database(), .durable = false});
  EXPECT_TRUE(history.ok()) << history.status();
  if (!history.ok()) return {};
  return DescribeAll(*history, kGraphs, "client");
}

TEST(FaultInjectionTest, APowerCutBetweenTwoCommitsKeepsExactlyWhatWasCommitted) {
  const std::vector<std::vector<Record>> batches = Batches();
  const std::vector<std::vector<std::string>> expected = ExpectedStates();
  FaultFileSystem files;
  TestFolder folder;
  absl::StatusOr<History> history = OpenOn(files, folder.database());
  ASSERT_TRUE(history.ok()) << history.status();
  std::mt19937 random(1);
  for (size_t i = 0; i < batches.size(); ++i) {
    EXPECT_EQ(StateAfterPowerCut(files, random), expected[i]) << "after " << i << " batches";
    ASSERT_TRUE(history->writer->Commit(batches[i]).ok());
  }
  EXPECT_EQ(StateAfterPowerCut(files, random), expected.back());
}

TEST(FaultInjectionTest, APowerCutAtAnyMomentKeepsWholeBatchesAndAllThatWereConfirmed) {
  const std::vector<std::vector<Record>> batches = Batches();
  const std::vector<std::vector<std::string>> expected = ExpectedStates();
  int cuts_in_a_batch = 0;
  for (int64_t operations = 1;; operations += operations < 60 ? 1 : 5) {
    FaultFileSystem files;
    TestFolder folder;
    absl::StatusOr<History> history = OpenOn(files, folder.database());
    ASSERT_TRUE(history.ok()) << history.status();
    files.FailAfter(operations);
    size_t confirmed = 0;
    while (confirmed < batches.size() && history->writer->Commit(batches[confirmed]).ok()) {
      ++confirmed;
    }
    std::mt19937 random(static_cast<uint32_t>(operations));
    const std::vector<std::string> state = StateAfterPowerCut(files, random);
    if (confirmed == batches.size()) {
      EXPECT_EQ(state, expected.back());
      break;
    }
    ++cuts_in_a_batch;
    // The batch that was under way may have reached the disk whole.
    EXPECT_TRUE(state == expected[confirmed] || state == expected[confirmed + 1])
        << "after " << operations << " operations, " << confirmed << " batches confirmed";
  }
  EXPECT_GT(cuts_in_a_batch, 50);
}

TEST(FaultInjectionTest, APowerCutWhileTheDatabaseIsMadeLeavesOneThatOpens) {
  for (int64_t operations = 0;; ++operations) {
    FaultFileSystem files;
    TestFolder folder;
    files.FailAfter(operations);
    absl::StatusOr<History> history = OpenOn(files, folder.database());
    std::mt19937 random(static_cast<uint32_t>(operations));
    TestFolder cut;
    files.CutPower(cut.path(), random);
    absl::StatusOr<History> again = OpenHistory({.path = cut.database(), .durable = false});
    ASSERT_TRUE(again.ok()) << operations << ": " << again.status();
    EXPECT_TRUE(again->writer->Commit({SomeGraph(1)}).ok());
    if (history.ok()) break;
  }
}

// Removes what is hidden, as the next start does.
void RemoveHidden(History& history) {
  ASSERT_TRUE(history.writer->AbandonSubmissions().ok());
  while (*history.writer->RemoveSome(3)) {
  }
}

TEST(FaultInjectionTest, APowerCutWhileAGraphIsSubmittedInPartsLeavesAllOrNothing) {
  int nothing = 0;
  int all = 0;
  for (int64_t operations = 1;; ++operations) {
    FaultFileSystem files;
    TestFolder folder;
    absl::StatusOr<History> history = OpenOn(files, folder.database());
    ASSERT_TRUE(history.ok()) << history.status();
    files.FailAfter(operations);
    GraphSubmitted large = SomeGraph(1);
    large.work = GraphWork::kSubmitting;
    const bool confirmed =
        history->writer->Commit({large, SomeTask(1, 0, "a"), SomeTask(1, 1, "b")}).ok() &&
        history->writer->Commit({SomeTask(1, 2, "c")}).ok() &&
        history->writer->Commit({SomeTask(1, 3, "d"), GraphChanged{.graph = 1}}).ok();
    std::mt19937 random(static_cast<uint32_t>(operations));
    TestFolder cut;
    files.CutPower(cut.path(), random);
    absl::StatusOr<History> again = OpenHistory({.path = cut.database(), .durable = false});
    ASSERT_TRUE(again.ok()) << again.status();
    const absl::StatusOr<GraphRow> graph = again->reader->GetGraph(1);
    RemoveHidden(*again);
    const auto tasks = again->reader->ListTasks(1, 0, 10, {}, {});
    ASSERT_TRUE(tasks.ok()) << tasks.status();
    if (graph.ok()) {
      ++all;
      EXPECT_EQ(graph->tasks, 4);
      EXPECT_EQ(tasks->size(), 4u);
    } else {
      ++nothing;
      EXPECT_FALSE(confirmed) << "after " << operations << " operations";
      EXPECT_TRUE(tasks->empty()) << "after " << operations << " operations";
      // The place is free.
      EXPECT_TRUE(again->writer->Commit({SomeGraph(1), SomeTask(1, 0, "a")}).ok());
    }
    if (confirmed) break;
  }
  EXPECT_GT(nothing, 10);
  EXPECT_GT(all, 0);
}

TEST(FaultInjectionTest, APowerCutWhileAGraphIsRemovedInPartsHarmsNoOther) {
  for (int64_t operations = 1;; ++operations) {
    FaultFileSystem files;
    TestFolder folder;
    absl::StatusOr<History> history = OpenOn(files, folder.database());
    ASSERT_TRUE(history.ok()) << history.status();
    for (planner::GraphId graph : {1, 2}) {
      ASSERT_TRUE(history->writer
                      ->Commit({SomeGraph(graph), SomeTask(graph, 0, "a"), SomeTask(graph, 1, "b"),
                                LaunchOf(graph, 0, 1), AttemptEndOf(graph, 0, 1, Outcome::kExited),
                                TaskEndOf(graph, 0, TaskState::kFailed),
                                TaskEndOf(graph, 1, TaskState::kSkipped),
                                EndOf(graph, GraphState::kFailed, At(graph))})
                      .ok());
    }
    DescribingVisitor expected;
    ASSERT_TRUE(history->reader->VisitGraph(2, expected).ok());
    files.FailAfter(operations);
    bool over = false;
    const auto hidden = history->writer->Prune(At(2), {1});
    if (hidden.ok()) {
      absl::StatusOr<bool> more = true;
      while (more.ok() && *more) more = history->writer->RemoveSome(1);
      over = more.ok();
    }
    std::mt19937 random(static_cast<uint32_t>(operations));
    TestFolder cut;
    files.CutPower(cut.path(), random);
    absl::StatusOr<History> again = OpenHistory({.path = cut.database(), .durable = false});
    ASSERT_TRUE(again.ok()) << again.status();
    if (hidden.ok()) {
      EXPECT_FALSE(again->reader->GetGraph(1).ok()) << "it had been confirmed";
    }
    const bool was_hidden = !again->reader->GetGraph(1).ok();
    RemoveHidden(*again);
    EXPECT_EQ(again->reader->ListTasks(1, 0, 10, {}, {})->empty(), was_hidden);
    DescribingVisitor left;
    ASSERT_TRUE(again->reader->VisitGraph(2, left).ok());
    EXPECT_EQ(left.lines, expected.lines);
    if (over) break;
  }
}

// Fails the commit of each batch in turn in the way of `fail`, and then tries it again.
template <typename Fail>
void ExpectEachCommitCanBeRepeatedAfter(Fail fail, absl::StatusCode code) {
  const std::vector<std::vector<Record>> batches = Batches();
  const std::vector<std::vector<std::string>> expected = ExpectedStates();
  FaultFileSystem files;
  TestFolder folder;
  absl::StatusOr<History> history = OpenOn(files, folder.database());
  ASSERT_TRUE(history.ok()) << history.status();
  for (size_t i = 0; i < batches.size(); ++i) {
    fail(files);
    for (int attempt = 0; attempt < 2; ++attempt) {
      const absl::Status status = history->writer->Commit(batches[i]);
      EXPECT_EQ(status.code(), code) << status;
      EXPECT_EQ(status.message().find('\n'), absl::string_view::npos) << status;
      EXPECT_EQ(DescribeAll(*history, kGraphs, "client"), expected[i]);
    }
    files.Heal();
    const absl::Status status = history->writer->Commit(batches[i]);
    ASSERT_TRUE(status.ok()) << status;
    EXPECT_EQ(DescribeAll(*history, kGraphs, "client"), expected[i + 1]);
    std::mt19937 random(static_cast<uint32_t>(i));
    EXPECT_EQ(StateAfterPowerCut(files, random), expected[i + 1]);
  }
}

TEST(FaultInjectionTest, AFullDiskLeavesNothingOfTheBatchAndTheWriterUsable) {
  ExpectEachCommitCanBeRepeatedAfter(
      [](FaultFileSystem& files) { files.FailWrites(SQLITE_FULL, ENOSPC); },
      absl::StatusCode::kResourceExhausted);
}

TEST(FaultInjectionTest, AFailedSyncLeavesNothingOfTheBatchAndTheWriterUsable) {
  ExpectEachCommitCanBeRepeatedAfter([](FaultFileSystem& files) { files.FailSyncs(); },
                                     absl::StatusCode::kUnavailable);
}

TEST(FaultInjectionTest, ADiskThatBecameReadOnlyLeavesNothingOfTheBatchAndTheWriterUsable) {
  ExpectEachCommitCanBeRepeatedAfter(
      [](FaultFileSystem& files) { files.FailWrites(SQLITE_IOERR_WRITE, EROFS); },
      absl::StatusCode::kPermissionDenied);
}

TEST(FaultInjectionTest, AFailingCheckpointDoesNotFailACommitThatIsDurable) {
  const std::vector<Record> batch = Batches()[0];
  const std::vector<std::string> expected = ExpectedStates()[1];
  for (int64_t operations = 1;; ++operations) {
    FaultFileSystem files;
    TestFolder folder;
    absl::StatusOr<History> history = OpenOn(files, folder.database(), 1);  // after every commit
    ASSERT_TRUE(history.ok()) << history.status();
    const int64_t before = files.operations();
    files.FailAfter(operations);
    if (!history->writer->Commit(batch).ok()) continue;
    EXPECT_GT(files.operations() - before, operations) << "nothing failed";
    EXPECT_EQ(DescribeAll(*history, kGraphs, "client"), expected);
    std::mt19937 random(1);
    EXPECT_EQ(StateAfterPowerCut(files, random), expected);
    break;
  }
}

TEST(FaultInjectionTest, AReadOnlyDatabaseIsRefusedInOneLine) {
  TestFolder folder;
  { History history = OpenIn(folder); }
  FaultFileSystem files;
  files.MakeReadOnly();
  const absl::Status status = OpenOn(files, folder.database()).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("write access"));
  EXPECT_EQ(status.message().find('\n'), absl::string_view::npos);
}

// The file system itself: without a sync of its folder a file may be gone, or there again.
TEST(FaultInjectionTest, WhatWasMadeOrRemovedIsKeptOnlyWhereItsFolderWasSynced) {
  const auto cut = [](const FaultFileSystem& files, const std::string& name) {
    std::set<std::string> seen;
    for (uint32_t seed = 0; seed < 32; ++seed) {
      TestFolder folder;
      std::mt19937 random(seed);
      files.CutPower(folder.path(), random);
      std::ifstream in(absl::StrCat(folder.path(), "/", name));
      std::string content;
      seen.insert(in >> content ? content : in.is_open() ? "empty" : "gone");
    }
    return seen;
  };
  TestFolder folder;
  FaultFileSystem files;
  sqlite3_vfs* vfs = sqlite3_vfs_find(files.name());
  const std::string path = absl::StrCat(folder.path(), "/x");
  std::vector<char> memory(static_cast<size_t>(vfs->szOsFile));
  auto* file = reinterpret_cast<sqlite3_file*>(memory.data());
  const auto open = [&](int type) {
    int flags = 0;
    ASSERT_EQ(vfs->xOpen(vfs, path.c_str(), file, SQLITE_OPEN_READWRITE | SQLITE_OPEN_CREATE | type,
                         &flags),
              SQLITE_OK);
  };
  const auto write = [&](const char* text) {
    ASSERT_EQ(file->pMethods->xWrite(file, text, 3, 0), SQLITE_OK);
    ASSERT_EQ(file->pMethods->xSync(file, SQLITE_SYNC_NORMAL), SQLITE_OK);
    file->pMethods->xClose(file);
  };
  open(SQLITE_OPEN_MAIN_DB);
  write("one");
  EXPECT_THAT(cut(files, "x"), UnorderedElementsAre("one", "gone")) << "its folder was not synced";
  open(SQLITE_OPEN_WAL);
  write("two");
  EXPECT_THAT(cut(files, "x"), ElementsAre("two"));
  ASSERT_EQ(vfs->xDelete(vfs, path.c_str(), 0), SQLITE_OK);
  EXPECT_THAT(cut(files, "x"), UnorderedElementsAre("two", "gone"));
  open(SQLITE_OPEN_MAIN_DB);
  write("six");
  EXPECT_THAT(cut(files, "x"), UnorderedElementsAre("two", "six"));
  ASSERT_EQ(vfs->xDelete(vfs, path.c_str(), 1), SQLITE_OK);
  EXPECT_THAT(cut(files, "x"), ElementsAre("gone"));
}

TEST(FaultInjectionTest, AFullDiskAtTheFirstStartIsReportedAndLeavesNothingInTheWay) {
  FaultFileSystem files;
  TestFolder folder;
  files.FailWrites(SQLITE_FULL, ENOSPC);
  const absl::Status status = OpenOn(files, folder.database()).status();
  EXPECT_TRUE(absl::IsResourceExhausted(status)) << status;
  files.Heal();
  EXPECT_TRUE(OpenOn(files, folder.database()).ok());
}

}  // namespace
}  // namespace kartograph::storage
