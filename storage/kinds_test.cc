// What was learnt of kinds of task.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using ::testing::IsEmpty;
using ::testing::SizeIs;

KindLearnt Kind(int64_t id, int64_t runs) {
  return {id, "release-#", "tile-#", "cpu=1 ram=1024", runs, std::string("a\0b", 3), At(runs)};
}

TEST(KindsTest, AKindIsReplacedByWhatIsKnownNow) {
  TestFolder folder;
  History history = OpenIn(folder);
  EXPECT_THAT(*history.writer->Kinds(), IsEmpty());
  ASSERT_TRUE(history.writer->Commit({Kind(1, 3), Kind(2, 4)}).ok());
  ASSERT_TRUE(history.writer->Commit({Kind(1, 5)}).ok());
  history = History();
  history = OpenIn(folder);
  const std::vector<KindLearnt> kinds = *history.writer->Kinds();
  ASSERT_THAT(kinds, SizeIs(2));
  EXPECT_EQ(kinds[0].id, 1);
  EXPECT_EQ(kinds[0].graph, "release-#");
  EXPECT_EQ(kinds[0].task, "tile-#");
  EXPECT_EQ(kinds[0].consumption, "cpu=1 ram=1024");
  EXPECT_EQ(kinds[0].runs, 5);
  EXPECT_EQ(kinds[0].usage, std::string("a\0b", 3));
  EXPECT_EQ(kinds[0].last_run, At(5));
  EXPECT_EQ(kinds[1].runs, 4);
}

TEST(KindsTest, OneThatIsForgottenIsGone) {
  TestFolder folder;
  History history = OpenIn(folder);
  ASSERT_TRUE(history.writer->Commit({Kind(1, 3), Kind(2, 4)}).ok());
  ASSERT_TRUE(history.writer->Commit({KindForgotten{1}, KindForgotten{7}}).ok());
  const std::vector<KindLearnt> kinds = *history.writer->Kinds();
  ASSERT_THAT(kinds, SizeIs(1));
  EXPECT_EQ(kinds[0].id, 2);
}

TEST(KindsTest, WhatATaskIsExpectedToTakeIsKept) {
  TestFolder folder;
  History history = OpenIn(folder);
  TaskSubmitted task = SomeTask(1, 0, "a");
  task.expected_duration = absl::Seconds(90);
  TaskSubmitted other = SomeTask(1, 1, "b");
  ASSERT_TRUE(history.writer->Commit({SomeGraph(1), task, other}).ok());
  EXPECT_EQ(history.reader->GetTask(1, "a")->task.expected_duration, absl::Seconds(90));
  EXPECT_EQ(history.reader->GetTask(1, "b")->task.expected_duration, absl::ZeroDuration());
  struct Visitor : DescribingVisitor {
    void OnTask(const TaskSubmitted& visited, uint32_t) override {
      expected.push_back(visited.expected_duration);
    }
    std::vector<absl::Duration> expected;
  };
  Visitor visitor;
  ASSERT_TRUE(history.writer->VisitLive(visitor).ok());
  EXPECT_THAT(visitor.expected, ::testing::ElementsAre(absl::Seconds(90), absl::ZeroDuration()));
}

}  // namespace
}  // namespace kartograph::storage
