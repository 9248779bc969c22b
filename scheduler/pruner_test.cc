#include "scheduler/pruner.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "scheduler/testing/memory_history.h"
#include "scheduler/testing/recording_cluster.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using ::testing::ElementsAre;
using ::testing::IsEmpty;

// Has what a test says, and notes what is asked of it.
class ScriptedHistory : public MemoryHistory {
 public:
  absl::StatusOr<std::vector<GraphId>> FindPrunable(const storage::Keep& keep, int) override {
    if (keep.graphs != INT64_MAX) return std::exchange(too_many, {});
    if (keep.bytes != INT64_MAX) return std::exchange(too_large, {});
    return std::exchange(prunable, {});
  }
  absl::StatusOr<std::vector<GraphId>> Prune(absl::Time,
                                             absl::Span<const GraphId> graphs) override {
    calls.push_back("prune");
    return std::vector<GraphId>(graphs.begin(), graphs.end());
  }
  absl::StatusOr<bool> RemoveSome(int64_t) override {
    calls.push_back("remove");
    if (failing_removals > 0) {
      --failing_removals;
      return absl::UnavailableError("the database is locked");
    }
    return --slices_of_rows > 0;
  }
  void BeginSweep() override { calls.push_back("begin sweep"); }
  absl::StatusOr<storage::UnusedRows> FindUnused() override {
    calls.push_back("find unused");
    return unused;
  }
  absl::Status RemoveUnused(storage::UnusedRows& rows, int64_t max_rows) override {
    calls.push_back("remove unused");
    if (!removal.ok()) return removal;
    for (; max_rows > 0 && !rows.settings.empty(); --max_rows) rows.settings.pop_back();
    return absl::OkStatus();
  }
  void EndSweep() override { calls.push_back("end sweep"); }
  std::vector<std::string> TakeCalls() { return std::exchange(calls, {}); }

  std::vector<GraphId> prunable;  // as they are too old
  std::vector<GraphId> too_many;
  std::vector<GraphId> too_large;
  int slices_of_rows = 0;
  int failing_removals = 0;
  absl::StatusOr<storage::UnusedRows> unused;
  absl::Status removal;
  std::vector<std::string> calls;
};

class PrunerTest : public ::testing::Test {
 protected:
  PrunerTest() {
    history_.unused = storage::UnusedRows();
    Work();  // what a crash may have left
    history_.TakeCalls();
  }
  void Work() {
    std::vector<storage::Record> records;
    pruner_.Work(now_, /*max_rows=*/2, records);
  }
  // Everything there is to do within this time.
  std::vector<std::string> Pass(absl::Duration time) {
    const SteadyTime end = now_.steady + time;
    while (pruner_.NextTime() <= end) {
      const SteadyTime next = std::max(now_.steady, pruner_.NextTime());
      now_.wall += next - now_.steady;
      now_.steady = next;
      Work();
    }
    now_.wall += end - now_.steady;
    now_.steady = end;
    return history_.TakeCalls();
  }

  ScriptedHistory history_;
  RecordingCluster cluster_;
  InlineBackground background_;
  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(1)), absl::FromUnixSeconds(1700000000)};
  Pruner pruner_{{.age = absl::Hours(48)},
                 absl::InfinitePast(),
                 &history_,
                 &history_,
                 &cluster_,
                 &background_,
                 [this](const Pruned& pruned) { pruned_.push_back(pruned); }};
  std::vector<Pruned> pruned_;
};

TEST_F(PrunerTest, SaysWhatRetentionRemovesAndWhichLimitThatIsOver) {
  pruner_.SetRetention({.age = absl::Hours(48), .graphs = 10, .bytes = 1000});
  Pass(absl::Minutes(1));
  EXPECT_THAT(pruned_, IsEmpty());
  history_.prunable = {1, 2};
  history_.too_many = {3};
  history_.too_large = {4, 5};
  Pass(absl::Minutes(3));
  ASSERT_EQ(pruned_.size(), 3u);
  EXPECT_EQ(pruned_[0].limit, Pruned::Limit::kAge);
  EXPECT_THAT(pruned_[0].graphs, ElementsAre(1, 2));
  EXPECT_EQ(pruned_[1].limit, Pruned::Limit::kGraphs);
  EXPECT_THAT(pruned_[1].graphs, ElementsAre(3));
  EXPECT_EQ(pruned_[2].limit, Pruned::Limit::kBytes);
  EXPECT_THAT(pruned_[2].graphs, ElementsAre(4, 5));
  ASSERT_TRUE(*pruner_.Forget(6));
  EXPECT_EQ(pruned_.size(), 3u) << "that is not retention's";
}

TEST_F(PrunerTest, SharedRowsGoAfterTheRowsThatReferredToThem) {
  history_.prunable = {1, 2};
  history_.slices_of_rows = 2;
  history_.unused->settings = {1, 2, 3};
  EXPECT_THAT(Pass(absl::Minutes(2)),
              ElementsAre("prune", "remove", "remove", "begin sweep", "find unused",
                          "remove unused", "remove unused", "end sweep"));
}

TEST_F(PrunerTest, ARemovalThatFailsIsTriedAgainAMinuteLater) {
  history_.prunable = {1};
  history_.failing_removals = 2;
  EXPECT_THAT(Pass(absl::Seconds(61)), ElementsAre("prune", "remove"));
  EXPECT_THAT(Pass(absl::Minutes(1)), ElementsAre("remove"));
  EXPECT_THAT(Pass(absl::Minutes(1)),
              ElementsAre("remove", "begin sweep", "find unused", "end sweep"));
}

TEST_F(PrunerTest, NothingIsSweptWhereNothingWasPruned) {
  history_.unused->settings = {1};
  EXPECT_THAT(Pass(absl::Hours(5)), IsEmpty());
}

TEST_F(PrunerTest, ASweepThatFindsNothingEnds) {
  history_.prunable = {1};
  EXPECT_THAT(Pass(absl::Minutes(2)),
              ElementsAre("prune", "remove", "begin sweep", "find unused", "end sweep"));
}

TEST_F(PrunerTest, SweepsAreAnHourApart) {
  history_.prunable = {1};
  Pass(absl::Minutes(2));
  history_.prunable = {2};
  EXPECT_THAT(Pass(absl::Minutes(30)), ElementsAre("prune", "remove"));
  EXPECT_THAT(Pass(absl::Hours(1)), ElementsAre("begin sweep", "find unused", "end sweep"));
  EXPECT_THAT(Pass(absl::Hours(5)), IsEmpty());
}

TEST_F(PrunerTest, ASweepThatFailsEndsAndTheNextOneTriesAgain) {
  history_.prunable = {1};
  history_.unused = absl::UnavailableError("the disk does not answer");
  EXPECT_THAT(Pass(absl::Minutes(2)),
              ElementsAre("prune", "remove", "begin sweep", "find unused", "end sweep"));
  history_.unused = storage::UnusedRows{{1, 2}, {}, {}};
  history_.removal = absl::ResourceExhaustedError("the disk is full");
  history_.prunable = {2};
  EXPECT_THAT(Pass(absl::Hours(2)), ElementsAre("prune", "remove", "begin sweep", "find unused",
                                                "remove unused", "end sweep"));
  history_.removal = absl::OkStatus();
  history_.prunable = {3};
  EXPECT_THAT(Pass(absl::Hours(2)), ElementsAre("prune", "remove", "begin sweep", "find unused",
                                                "remove unused", "end sweep"));
}

}  // namespace
}  // namespace kartograph::scheduler
