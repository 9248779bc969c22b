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
using ::testing::UnorderedElementsAre;

class SharesTest : public ::testing::Test, protected CoreStory {
 protected:
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

}  // namespace
}  // namespace kartograph::scheduler
