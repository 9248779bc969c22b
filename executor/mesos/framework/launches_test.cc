// Attempts: launched, reported, acknowledged, killed, and reconciled.
#include <gmock/gmock.h>

#include <set>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/framework/testing/framework_fixture.h"

namespace kartograph::stand_in {
namespace {

using executor::AttemptUpdate;
using executor::Connected;
using executor::Disconnected;
using executor::Launch;
using executor::Offer;
using planner::Outcome;

using LaunchesTest = FrameworkTest;

TEST_F(LaunchesTest, OneCallLaunchesAllThatGoesToAnAgent) {
  settings_.agents.push_back(settings_.agents[0]);
  StartAll();
  const Offer one = kartograph().AwaitOffer();
  const Offer other = kartograph().AwaitOffer();
  std::vector<Launch> launches;
  for (uint32_t task = 0; task < 6; ++task) {
    launches.push_back(LaunchOn(task % 2 == 0 ? one.agent : other.agent, "quick", task));
  }
  kartograph().cluster().Execute(launches);
  for (const Launch& launch : launches) {
    const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
    EXPECT_EQ(end.outcome, Outcome::kSucceeded);
    EXPECT_EQ(end.return_value, "quick");
    EXPECT_EQ(end.agent, launch.agent);
    EXPECT_EQ(end.end_time - end.start_time, absl::Microseconds(1));
  }
  Counters counters = mesos().counters();
  EXPECT_EQ(counters.calls["ACCEPT"], 2);
  EXPECT_EQ(counters.launched, 6);
  EXPECT_EQ(counters.overpromised, 0);
}

TEST_F(LaunchesTest, ARepeatedLaunchIsIgnored) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  kartograph().AwaitOffer();
  kartograph().cluster().Execute({launch});
  kartograph().Run("quick", 1);
  EXPECT_EQ(mesos().counters().launched, 2);
}

TEST_F(LaunchesTest, WhatDoesNotFitIsRefusedAlone) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  const Launch fits = LaunchOn(offer.agent, "quick", 0);
  Launch large = LaunchOn(offer.agent, "quick", 1);
  large.consumption = CpuAndRam(3, 128);
  kartograph().cluster().Execute({fits, large});
  EXPECT_EQ(kartograph().AwaitEnd(large.attempt).outcome, Outcome::kRefused);
  EXPECT_EQ(kartograph().AwaitEnd(fits.attempt).outcome, Outcome::kSucceeded);
}

TEST_F(LaunchesTest, AnEndWithAStatusIsToldWithIt) {
  StartAll();
  const Launch launch = kartograph().Run("exit", 0);
  const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
  EXPECT_EQ(end.outcome, Outcome::kExited);
  EXPECT_EQ(end.exit_status, 3);
}

TEST_F(LaunchesTest, AnAcceptThatIsLostOnTheWayIsFoundOut) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  Control("/drop_accept");
  const Launch launch = LaunchOn(offer.agent, "quick", 0);
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kDropped);
}

TEST_F(LaunchesTest, ACallThatIsRefusedLaunchesNothing) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  Control("/next?status=400&message=no+such+call");
  const Launch launch = LaunchOn(offer.agent, "quick", 0);
  kartograph().cluster().Execute({launch});
  const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
  EXPECT_EQ(end.outcome, Outcome::kRefused);
  EXPECT_THAT(end.message, testing::HasSubstr("no such call"));
}

TEST_F(LaunchesTest, AttemptsOutliveAMasterWithoutMemory) {
  StartAll();
  const std::string id = StoredId();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/failover?agents_ms=50");
  kartograph().Await<Disconnected>();
  kartograph().Await<Connected>();
  kartograph().Reconcile(launch);
  kartograph().AwaitRunning(launch.attempt);
  EXPECT_EQ(StoredId(), id);
  // The executor that runs there is found again.
  const Launch next = kartograph().Run("quick", 1);
  EXPECT_EQ(kartograph().AwaitEnd(next.attempt).outcome, Outcome::kSucceeded);
  mesos().Inspect([](const Master& master) {
    EXPECT_EQ(master.agents().begin()->second.executors.size(), 1u);
  });
  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(1));
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
}

TEST_F(LaunchesTest, WhatAMasterDoesNotKnowMayRunYet) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/failover?agents_ms=300&registry=lost");
  kartograph().Await<Connected>();
  kartograph().Forget();
  kartograph().Reconcile(launch);
  kartograph().AwaitUnreachable(launch.attempt);
  // Its agent is back, and with it the attempt.
  kartograph().AwaitRunning(launch.attempt);
  EXPECT_FALSE(kartograph().Has<AttemptUpdate>(
      [](const AttemptUpdate& update) { return update.outcome != Outcome::kNone; }));
}

TEST_F(LaunchesTest, ThatAMasterDoesNotKnowItIsToldAfterEachConnection) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/failover?agents_ms=3600000&registry=lost");
  for (int i = 0; i < 2; ++i) {
    kartograph().Await<Connected>();
    kartograph().Forget();
    kartograph().Reconcile(launch);
    kartograph().AwaitUnreachable(launch.attempt);
    Control("/close");
  }
}

TEST_F(LaunchesTest, WhatNoMasterKnowsForLongIsLost) {
  options_.unknown_for = absl::Milliseconds(200);
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/failover?agents_ms=3600000&registry=lost");
  kartograph().Await<Connected>();
  kartograph().Forget();
  kartograph().Reconcile(launch);
  kartograph().AwaitUnreachable(launch.attempt);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kLost);
}

TEST_F(LaunchesTest, AnEndIsToldUntilItIsAcknowledged) {
  StartAll();
  const Launch launch = kartograph().Run("quick", 0);
  kartograph().AwaitEnd(launch.attempt);
  for (int i = 0; i < 2; ++i) {
    Control("/resend_updates");
    EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
  }
  kartograph().Reconcile(launch);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).return_value, "quick");
  mesos().Inspect(
      [](const Master& master) { EXPECT_EQ(master.all_agents()[0]->tasks().size(), 1u); });
  kartograph().cluster().Acknowledge({launch.attempt, AttemptOf(77)});
  AwaitNoTasks();
}

TEST_F(LaunchesTest, AnEndSurvivesARestart) {
  StartAll();
  const Launch launch = kartograph().Run("quick", 0);
  kartograph().AwaitEnd(launch.attempt);
  RestartKartograph();
  kartograph().Reconcile(launch);
  Control("/resend_updates");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).return_value, "quick");
  kartograph().cluster().Acknowledge({launch.attempt});
  AwaitNoTasks();
}

TEST_F(LaunchesTest, RepeatedUpdatesDoNoHarm) {
  StartAll();
  Control("/repeat_updates");
  for (uint32_t task = 0; task < 3; ++task) {
    const Launch launch = kartograph().Run("quick", task);
    kartograph().AwaitEnd(launch.attempt);
    EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
    kartograph().cluster().Acknowledge({launch.attempt});
  }
  AwaitNoTasks();
}

TEST_F(LaunchesTest, UpdatesOfSeveralMayComeInAnyOrder) {
  StartAll();
  Control("/reorder_updates");
  const Offer offer = kartograph().AwaitOffer();
  std::vector<Launch> launches;
  for (uint32_t task = 0; task < 3; ++task) {
    launches.push_back(LaunchOn(offer.agent, "quick", task));
  }
  kartograph().cluster().Execute(launches);
  for (const Launch& launch : launches) {
    EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
    kartograph().cluster().Acknowledge({launch.attempt});
  }
  AwaitNoTasks();
}

TEST_F(LaunchesTest, AttemptsNobodyAskedForAreToldAndCanBeCancelled) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  RestartKartograph();
  EXPECT_EQ(kartograph().AwaitRunning(launch.attempt).agent, launch.agent);
  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(1));
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
  kartograph().cluster().Acknowledge({launch.attempt});
  AwaitNoTasks();
}

TEST_F(LaunchesTest, TasksThatAreNoAttemptsAreKilled) {
  StartAll();
  Control("/agent/0/foreign_task?id=foreign");
  AwaitNoTasks();
  EXPECT_GE(mesos().counters().calls["KILL"], 1);
  EXPECT_FALSE(kartograph().Has<AttemptUpdate>());
}

TEST_F(LaunchesTest, AKillIsRepeatedUntilTheEndComes) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/agent/0/partition");
  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(1));
  AwaitCalls("KILL", 3);
  EXPECT_FALSE(kartograph().Has<AttemptUpdate>(
      [](const AttemptUpdate& update) { return update.outcome != Outcome::kNone; }));
  Control("/agent/0/heal");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
}

TEST_F(LaunchesTest, WhatMesosNeverHeardOfSpendsNoAttempt) {
  options_.unknown_for = absl::ZeroDuration();
  StartAll();
  // The first process of a framework would know of all its attempts.
  RestartKartograph();
  const Offer offer = kartograph().AwaitOffer();
  const Launch known_agent = LaunchOn(offer.agent, "task", 0);
  const Launch unknown_agent = LaunchOn("no-such-agent", "task", 1);
  kartograph().cluster().Cancel(known_agent.attempt, known_agent.agent, absl::Seconds(1));
  EXPECT_FALSE(planner::SpendsAttempt(kartograph().AwaitEnd(known_agent.attempt).outcome));
  kartograph().Reconcile(unknown_agent);
  EXPECT_EQ(kartograph().AwaitEnd(unknown_agent.attempt).outcome, Outcome::kLost);
}

TEST_F(LaunchesTest, QuestionsAreRepeatedUntilThereIsAnAnswer) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  // Agents that do not come back: no one can tell.
  Control("/failover?agents_ms=3600000");
  kartograph().Await<Connected>();
  kartograph().Forget();
  kartograph().Reconcile(launch);
  const int64_t asked = mesos().counters().calls["RECONCILE"];
  AwaitCalls("RECONCILE", asked + 4);
  EXPECT_FALSE(kartograph().Has<AttemptUpdate>());
}

TEST_F(LaunchesTest, AllAttemptsAreComparedNowAndThen) {
  options_.reconcile_every = absl::Milliseconds(20);
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  for (int i = 0; i < 3; ++i) kartograph().AwaitRunning(launch.attempt);
}

}  // namespace
}  // namespace kartograph::stand_in
