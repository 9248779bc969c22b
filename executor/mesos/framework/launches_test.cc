// Attempts: launched, reported, acknowledged, killed, and reconciled.
#include <gmock/gmock.h>

#include <filesystem>
#include <set>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/framework/testing/framework_fixture.h"
#include "executor/payload.pb.h"

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

// In a container of its own.
Launch Contained(const executor::AgentId& agent, uint32_t task) {
  Launch launch = LaunchOn(agent, "forever", task);
  executor::Payload payload;
  payload.set_shell("sleep 1000");
  payload.mutable_container();
  launch.payload = payload.SerializeAsString();
  launch.timeout = absl::Milliseconds(50);
  launch.cancel_grace = absl::Seconds(7);
  return launch;
}

TEST_F(LaunchesTest, AContainerOverItsTimeoutIsEndedByUsAndWithItsGrace) {
  StartAll();
  const Launch launch = Contained(kartograph().AwaitOffer().agent, 0);
  kartograph().cluster().Execute({launch});
  mesos::TaskInfo info;
  AwaitMesos([&](const Master& master) {
    const auto& tasks = master.all_agents()[0]->tasks();
    if (tasks.empty()) return false;
    info = tasks.begin()->second->info;
    return true;
  });
  EXPECT_GT(absl::Nanoseconds(info.max_completion_time().nanoseconds()),
            launch.timeout + launch.cancel_grace)
      << "Mesos's own limit has no grace, so that it is for later";
  const executor::AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
  EXPECT_EQ(end.outcome, Outcome::kTimedOut);
  EXPECT_EQ(end.message, "over its timeout");
  EXPECT_EQ(mesos().counters().calls["KILL"], 1);
}

TEST_F(LaunchesTest, AContainersTimeoutHoldsAcrossARestart) {
  StartAll();
  Launch launch = Contained(kartograph().AwaitOffer().agent, 0);
  launch.timeout = absl::Hours(1);
  kartograph().cluster().Execute({launch});
  kartograph().AwaitRunning(launch.attempt);
  RestartKartograph();
  kartograph().cluster().Reconcile({{launch.attempt, launch.agent, launch.timeout,
                                     launch.cancel_grace, absl::Now() - absl::Hours(2)}});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kTimedOut);
}

// Of a task that was launched before.
Launch Again(Launch launch) {
  launch.attempt = planner::AttemptId::Of(launch.attempt.task(), launch.attempt.number() + 1);
  return launch;
}

TEST_F(LaunchesTest, OfWhatDiedWithItsContainerTheOneThatDidItIsFoundOut) {
  for (const std::string what : {"memory", "disk"}) {
    settings_.agents[0].resources = "cpus:8;mem:4096;disk:1000";
    StartAll();
    Control("/agent/0/limit?task=hog&what=" + what);
    std::vector<Launch> launches;
    const Offer offer = kartograph().AwaitOffer();
    for (const std::string name : {"forever", "hog", "forever"}) {
      launches.push_back(LaunchOn(offer.agent, name, static_cast<uint32_t>(launches.size())));
    }
    kartograph().cluster().Execute(launches);
    for (Launch& launch : launches) {
      const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
      EXPECT_EQ(end.outcome, Outcome::kLost) << "it may have been any of them";
      EXPECT_TRUE(absl::StrContains(end.message, "over a limit")) << end.message;
      kartograph().cluster().Acknowledge({launch.attempt});
      launch = Again(launch);
    }
    AwaitNoTasks();
    kartograph().Forget();
    Control("/rescind");
    kartograph().AwaitOffer();
    kartograph().cluster().Execute(launches);
    const AttemptUpdate end = kartograph().AwaitEnd(launches[1].attempt);
    EXPECT_EQ(end.outcome, what == "memory" ? Outcome::kOutOfMemory : Outcome::kSignalled);
    EXPECT_TRUE(absl::StrContains(end.message, what == "memory" ? "Memory limit" : "Disk usage"))
        << end.message;
    kartograph().AwaitRunning(launches[0].attempt);
    kartograph().AwaitRunning(launches[2].attempt);
    EXPECT_FALSE(kartograph().Has<AttemptUpdate>(
        [](const AttemptUpdate& update) { return update.outcome != Outcome::kNone; }));
    // The executor that was started for it alone goes with it.
    kartograph().cluster().Acknowledge({launches[1].attempt});
    AwaitMesos(
        [](const Master& master) { return master.agents().begin()->second.executors.size() == 2; });
    std::filesystem::remove(id_file());
  }
}

TEST_F(LaunchesTest, WhatIsAloneInItsContainerHasTakenItsMemory) {
  StartAll();
  Control("/agent/0/limit?task=hog");
  Launch launch = LaunchOn(kartograph().AwaitOffer().agent, "hog", 0);
  launch.consumption = {{planner::Resource::Cpu(), planner::Quantity::Of(1)}};
  kartograph().cluster().Execute({launch});
  const AttemptUpdate end = kartograph().AwaitEnd(launch.attempt);
  EXPECT_EQ(end.outcome, Outcome::kOutOfMemory);
  EXPECT_TRUE(absl::StrContains(end.message, "--mesos-default-ram")) << end.message;
}

TEST_F(LaunchesTest, AnExecutorThatMesosCallsIncompatibleIsNotUsedAgain) {
  StartAll();
  kartograph().Run("forever", 0);
  Control("/agent/0/alter_executors");
  const Launch refused = LaunchOn(kartograph().AwaitOffer().agent, "quick", 1);
  kartograph().cluster().Execute({refused});
  EXPECT_EQ(kartograph().AwaitEnd(refused.attempt).outcome, Outcome::kRefused);
  kartograph().Run("quick", 2);
}

TEST_F(LaunchesTest, AnotherRoleHasAnExecutorOfItsOwnAfterARestart) {
  options_.roles = {"team1"};
  StartAll();
  kartograph().Run("forever", 0);
  options_.roles = {"team2"};
  RestartKartograph();
  kartograph().Run("quick", 1);
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
