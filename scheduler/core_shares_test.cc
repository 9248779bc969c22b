// Whose turn it is when there are several users.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;
using ::testing::UnorderedElementsAre;

class SharesTest : public ::testing::Test, protected CoreStory {
 protected:
  static planner::Cap Running(int64_t most) {
    planner::Cap cap;
    cap.running = most;
    return cap;
  }
  static planner::Cap Holding(const planner::ResourceVector& most) {
    planner::Cap cap;
    cap.resources = most;
    return cap;
  }
  static Graph Independent(const std::string& name, int tasks) {
    std::vector<Task> all;
    for (int i = 0; i < tasks; ++i) all.push_back(Task(absl::StrCat(name, i)));
    return Graph(all);
  }
  // "NAME holds/due graphs", in percent.
  std::vector<std::string> Standings() {
    std::vector<std::string> standings;
    for (const ShareSnapshot& share : core().Shares()) {
      standings.push_back(
          absl::StrCat(share.standing.name, " ", static_cast<int>(share.standing.held * 100 + 0.5),
                       "/", static_cast<int>(share.due * 100 + 0.5), " ", share.standing.graphs));
    }
    EXPECT_TRUE(core().CheckInvariants().ok()) << core().CheckInvariants();
    return standings;
  }
};

TEST_F(SharesTest, UsersTakeTurnsWhateverTheyHaveSubmitted) {
  Submit(Independent("a", 100).By("alice"));
  Submit(Independent("b", 2).By("bob"));
  Submit(Independent("c", 100).By("alice"));
  Agent("m", Cpu(6));
  EXPECT_THAT(Started(), ElementsAre("b0", "a0", "b1", "a1", "a2", "a3"));
  EXPECT_THAT(Standings(), ElementsAre("alice 67/50 2", "bob 33/50 1"));
}

TEST_F(SharesTest, WhoHasNothingComesBeforeWhoHasMuch) {
  const planner::GraphId alices = Submit(Independent("a", 100).By("alice"));
  Agent("m", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("a0", "a1"));
  const planner::GraphId bobs = Submit(Independent("b", 100).By("bob"));
  GoOnWith(alices);
  Succeeds("a0");
  EXPECT_THAT(Started(), ElementsAre("b0"));
  Succeeds("a1");
  EXPECT_THAT(Started(), ElementsAre("a2"));
  GoOnWith(bobs);
  Succeeds("b0");
  EXPECT_THAT(Started(), ElementsAre("b1"));
}

TEST_F(SharesTest, GraphsOfOneShareAreChargedTogether) {
  Submit(Independent("a", 100).By("alice").Share("release"));
  Submit(Independent("b", 100).By("bob").Share("release"));
  Submit(Independent("c", 100).By("carol"));
  Submit(Independent("d", 100).By("release"));  // a user of that name has another one
  Agent("m", Cpu(6));
  EXPECT_THAT(Started(), UnorderedElementsAre("a0", "a1", "c0", "c1", "d0", "d1"));
  EXPECT_THAT(Standings(), ElementsAre("@release 33/33 2", "carol 33/33 1", "release 33/33 1"));
}

TEST_F(SharesTest, WeightsChangeWhileItRuns) {
  core().SetWeights({{"@release", 2}});
  Submit(Independent("a", 100).By("alice").Share("release"));
  Submit(Independent("b", 100).By("bob"));
  Agent("m", Cpu(3));
  EXPECT_THAT(Started(), UnorderedElementsAre("a0", "a1", "b0"));
  EXPECT_THAT(Standings(), ElementsAre("@release 67/67 1", "bob 33/33 1"));
  core().SetWeights({});
  EXPECT_THAT(Standings(), ElementsAre("@release 67/50 1", "bob 33/50 1"));
}

TEST_F(SharesTest, WhatRunsIsChargedAfterARestart) {
  Submit(Independent("a", 2).By("alice").Share("release"));
  Agent("m", Cpu(4));
  Started();
  EXPECT_THAT(Standings(), ElementsAre("@release 50/100 1"));
  Restart();
  Agent("m", Cpu(4));
  EXPECT_THAT(Standings(), ElementsAre("@release 50/100 1"));
}

TEST_F(SharesTest, WhateverEndsAnAttemptEndsItsCharge) {
  Submit(Graph({Task("a").Attempts(2), Task("b"), Task("c"), Task("d")}).By("alice"));
  Agent("m", Cpu(3), /*backlog=*/4);
  Started();
  EXPECT_TRUE(core().CheckInvariants().ok()) << core().CheckInvariants();
  Fails("a");
  Ends("b", planner::Outcome::kLost);
  Cancel("c").IgnoreError();
  Ends("c", planner::Outcome::kCancelled);
  EXPECT_TRUE(core().CheckInvariants().ok()) << core().CheckInvariants();
  LoseAgent("m");
  EXPECT_THAT(Standings(), ElementsAre("alice 0/100 1"));
  CancelGraph().IgnoreError();
  EXPECT_TRUE(core().CheckInvariants().ok()) << core().CheckInvariants();
}

TEST_F(SharesTest, WhatOneHadIsRememberedForAWhile) {
  const planner::GraphId alices = Submit(Independent("a", 100).By("alice"));
  Agent("m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("a0"));
  Wait(absl::Hours(10));
  const planner::GraphId bobs = Submit(Independent("b", 100).By("bob"));
  GoOnWith(alices);
  Succeeds("a0", absl::Hours(10));
  EXPECT_THAT(Started(), ElementsAre("b0"));
  GoOnWith(bobs);
  Wait(absl::Minutes(10));
  Succeeds("b0", absl::Minutes(10));
  EXPECT_THAT(Started(), ElementsAre("b1")) << "alice has had much more";
  for (int i = 1;; ++i) {
    ASSERT_LT(i, 20) << "alice never has her turn";
    Wait(absl::Minutes(10));
    GoOnWith(bobs);
    Succeeds(absl::StrCat("b", i), absl::Minutes(10));
    const std::vector<std::string> started = Started();
    ASSERT_EQ(started.size(), 1u);
    if (started[0] == "a1") break;
  }
}

TEST_F(SharesTest, AGraphHoldsNoMoreThanItsLimitsAndSaysSo) {
  const planner::GraphId first = Submit(Independent("a", 5).Limit(Running(2)));
  Submit(Independent("b", 5).Limit(Holding(Cpu(3))));
  Agent("m", Cpu(16));
  EXPECT_THAT(Started(), UnorderedElementsAre("a0", "a1", "b0", "b1", "b2"));
  EXPECT_EQ(Reason("b3"), "waits for its graph's limit of cpu: needs 1, 3 of 3 in use");
  GoOnWith(first);
  EXPECT_EQ(Reason("a2"), "waits for its graph's limit: 2 of 2 tasks run");
  const Explanation explanation = *core().Explain(Key("a4"), now());
  ASSERT_NE(explanation.Get<AtLimit>(), nullptr);
  EXPECT_EQ(explanation.reasons.size(), 1u);
  EXPECT_EQ(explanation.ahead.count, 2);
  EXPECT_EQ(explanation.ahead.first[0].task.name, "a2");
  Succeeds("a0");
  EXPECT_THAT(Started(), ElementsAre("a2"));
  EXPECT_TRUE(core().CheckInvariants().ok()) << core().CheckInvariants();
}

TEST_F(SharesTest, LimitsHoldAfterARestart) {
  Submit(Independent("a", 5).Limit({2, With(Cpu(4), "db", 1)}));
  Agent("m", Cpu(16));
  EXPECT_THAT(Started(), ElementsAre("a0", "a1"));
  Restart();
  Agent("m", Cpu(16));
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_EQ(core().Graph(1)->cap, (planner::Cap{2, With(Cpu(4), "db", 1)}));
  Succeeds("a0");
  EXPECT_THAT(Started(), ElementsAre("a2"));
}

TEST_F(SharesTest, LimitsOfUsersAndSharesAreOfAllTheirGraphs) {
  core().SetCaps({{"alice", Running(2)}, {"@release", Holding(Cpu(1))}});
  const planner::GraphId one = Submit(Independent("a", 5).By("alice"));
  const planner::GraphId two = Submit(Independent("b", 5).By("alice"));
  const planner::GraphId three = Submit(Independent("c", 5).By("alice").Share("release"));
  Agent("m", Cpu(16));
  EXPECT_EQ(Started().size(), 3u);
  GoOnWith(one);
  EXPECT_EQ(Reason("a4"), "waits for the limit of alice: 2 of 2 tasks run");
  GoOnWith(two);
  EXPECT_EQ(Reason("b4"), "waits for the limit of alice: 2 of 2 tasks run");
  GoOnWith(three);
  EXPECT_EQ(Reason("c4"), "waits for the limit of @release of cpu: needs 1, 1 of 1 in use");
  core().SetCaps({});
  Wait(absl::Seconds(1));
  EXPECT_EQ(Started().size(), 12u);
}

TEST_F(SharesTest, WhatAloneIsOverALimitIsRefused) {
  core().SetCaps({{"bob", Holding(Cpu(2))}});
  const auto refused = [&](const Graph& graph) {
    const absl::Status status = TrySubmit(graph);
    EXPECT_TRUE(absl::IsInvalidArgument(status)) << status;
    return status.ToString();
  };
  EXPECT_THAT(refused(Graph({Task("big").Needs(Cpu(4))}).Limit(Holding(Cpu(3)))),
              HasSubstr("graph's `limits` let it hold at once; ask for at most 3"));
  EXPECT_THAT(refused(Graph({Task("big").Needs(Cpu(4))}).By("bob")),
              HasSubstr("is more than bob may hold at once (kartographd --limit); ask for at most "
                        "2"));
}

}  // namespace
}  // namespace kartograph::scheduler
