// What is gone is dropped: a service that lives for years holds no more than one of a day.
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;

#ifdef KARTOGRAPH_SANITIZED
constexpr int kRounds = 5000;
#else
constexpr int kRounds = 100000;
#endif

// A core without a history, as that would grow; each round an agent comes, runs a task of a
// consumption of its own, and goes for good.
class Turnover {
 public:
  void Round(int i) {
    if (i == 0) Notify(executor::Connected{});
    const std::string name = absl::StrCat("agent-", i);
    executor::Offer offer;
    offer.id = name;
    offer.agent = name;
    offer.agent_name = name;
    // Every shape is new, and most of them fit into no other.
    offer.resources = With(Cpu(1 + i % 1000 * 0.001), "ram", 1000 + kRounds - i);
    offer.lease = i % 2 == 0;
    // An offer that nothing fits into is declined at once.
    if (offer.lease) Notify(offer);
    const auto graph = core_.SubmitGraph(
        Prepare(Graph({Task("a").Needs(With(Cpu(0.5), "ram", 1 + i % 900 + i * 0.001))}).Get()),
        {now_, step_});
    ASSERT_TRUE(graph.ok()) << graph.status();
    End();
    if (!offer.lease) Notify(offer);
    ASSERT_EQ(core_.live_attempts(), 1u) << "round " << i;
    if (i % 3 == 0) {  // its attempt goes with it, and the graph by a cancel
      Notify(executor::AgentLost{name});
      ASSERT_TRUE(core_.CancelGraph(*graph, {now_, step_}).ok());
      End();
    } else {
      executor::AttemptUpdate update;
      update.attempt = planner::AttemptId::Of(planner::TaskKey::Of(*graph, 0), 1);
      update.agent = name;
      update.outcome = Outcome::kSucceeded;
      update.start_time = now_.wall;
      update.usage.wall_time = absl::Milliseconds(1);
      Notify(std::move(update));
      Notify(executor::AgentLost{name});
    }
    ASSERT_FALSE(core_.IsLive(*graph));
    now_.steady += absl::Seconds(1);
    now_.wall += absl::Seconds(1);
  }
  Core& core() { return core_; }

 private:
  void Notify(executor::ClusterEvent event) {
    core_.OnClusterEvent(std::move(event), {now_, step_});
    End();
  }
  void End() {
    core_.OnTime({now_, step_});
    core_.Plan({now_, step_});
    step_.Clear();
  }

  Core core_{CoreOptions(), {}};
  Step step_;
  Instant now_ = {SteadyTime::FromSinceZero(absl::Hours(1)), absl::FromUnixSeconds(1700000000)};
};

TEST(TurnoverTest, AgentsAndConsumptionsThatAreGoneLeaveNothingBehind) {
  Turnover turnover;
  size_t slots_early = 0;
  for (int i = 0; i < kRounds; ++i) {
    turnover.Round(i);
    if (HasFatalFailure()) return;
    ASSERT_EQ(turnover.core().known_agents(), 0u);
    ASSERT_LE(turnover.core().known_consumptions(), ConsumptionTable::kKeptUnused + 1);
    if (i == 1000) slots_early = turnover.core().slots();
  }
  // A step visits no more than these, so that it takes as long as ever.
  EXPECT_EQ(turnover.core().slots(), slots_early);
  EXPECT_EQ(turnover.core().CheckInvariants(), absl::OkStatus());
}

TEST(TurnoverTest, AgentsThatStayAwayWithoutAWordAreForgottenToo) {
  CoreStory story;
  story.Connect();
  for (int i = 0; i < 300; ++i) {
    story.Offer(absl::StrCat("offer-", i), absl::StrCat("agent-", i), Cpu(1));
    story.AgentOutOfReach(absl::StrCat("agent-", i));
    story.Wait(absl::Minutes(10));
  }
  EXPECT_LE(story.core().known_agents(), 8u);
}

}  // namespace
}  // namespace kartograph::scheduler
