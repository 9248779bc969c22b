// Agents that cannot be reached, go, or are taken down.
#include <gmock/gmock.h>

#include <set>

#include "executor/mesos/framework/testing/framework_fixture.h"

namespace kartograph::stand_in {
namespace {

using executor::AgentCapacity;
using executor::AgentUnreachable;
using executor::AttemptUpdate;
using executor::Launch;
using executor::Offer;
using planner::Outcome;

class AgentsTest : public FrameworkTest {
 protected:
  std::set<std::string> Executors() {
    std::set<std::string> executors;
    mesos().Inspect([&](const Master& master) {
      for (const auto& [id, record] : master.agents()) {
        for (const auto& [key, executor] : record.executors) {
          executors.insert(executor.executor_id().value());
        }
      }
    });
    return executors;
  }
};

TEST_F(AgentsTest, AnAgentOutOfReachComesBackWithItsAttempts) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/agent/0/unreachable");
  EXPECT_EQ(kartograph().AwaitUnreachable(launch.attempt).outcome, Outcome::kNone);
  EXPECT_EQ(kartograph().Await<AgentUnreachable>().agent, launch.agent);
  // Asked, Mesos says the same.
  kartograph().Reconcile(launch);
  kartograph().AwaitUnreachable(launch.attempt);
  Control("/agent/0/heal");
  kartograph().AwaitRunning(launch.attempt);
  kartograph().Run("quick", 1);
}

TEST_F(AgentsTest, AnEndOutOfReachIsToldLater) {
  settings_.simulate = [](const mesos::TaskInfo&) {
    SimulatedTask task;
    task.duration = absl::Milliseconds(50);
    return task;
  };
  StartAll();
  const Launch launch = kartograph().Run("task", 0);
  Control("/agent/0/unreachable");
  AwaitMesos([](const Master& master) {
    const auto& tasks = master.all_agents()[0]->tasks();
    return tasks.empty() || IsTerminal(tasks.begin()->second->state);
  });
  Control("/agent/0/heal");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
}

TEST_F(AgentsTest, AnAgentThatIsGoneTakesItsAttemptsAlong) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/agent/0/unreachable");
  kartograph().AwaitUnreachable(launch.attempt);
  Control("/agent/0/gone");
  kartograph().Reconcile(launch);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kGone);
}

TEST_F(AgentsTest, AnAgentMarkedGoneIsToldAtOnce) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/agent/0/gone");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kGone);
  kartograph().Await<AgentUnreachable>();
}

TEST_F(AgentsTest, WhatDiedOutOfReachIsFoundOut) {
  options_.reconcile_every = absl::Milliseconds(50);
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/agent/0/lost");
  kartograph().AwaitUnreachable(launch.attempt);
  Control("/agent/0/heal");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kGone);
}

TEST_F(AgentsTest, AnExecutorsEndIsItsAttemptsAndItsIdIsNotUsedAgain) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  const Offer stale = kartograph().AwaitOffer();
  const std::set<std::string> former = Executors();
  ASSERT_EQ(former.size(), 1u);
  Control("/agent/0/kill_executor");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kLost);
  AwaitMesos(
      [](const Master& master) { return master.agents().begin()->second.executors.empty(); });
  // The answer comes after the update from the executor, on the same stream.
  const Launch unknown = LaunchOn(stale.agent, "", 2);
  kartograph().Reconcile(unknown);
  kartograph().AwaitEnd(unknown.attempt);
  const Launch next = LaunchOn(stale.agent, "quick", 1);
  kartograph().cluster().Execute({next});
  EXPECT_EQ(kartograph().AwaitEnd(next.attempt).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Executors().size(), 1u);
  EXPECT_NE(Executors(), former);
}

TEST_F(AgentsTest, AnAgentsRestartDisturbsNothing) {
  settings_.executor_reregistration_timeout = absl::Milliseconds(10);
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  kartograph().AwaitOffer();
  kartograph().Forget();
  Control("/agent/0/restart?down_ms=10");
  kartograph().AwaitOffer();
  EXPECT_FALSE(kartograph().Has<AttemptUpdate>(
      [](const AttemptUpdate& update) { return update.outcome != Outcome::kNone; }));
  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(1));
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
}

TEST_F(AgentsTest, AnIdleAgentIsGivenBackForItsMaintenance) {
  StartAll();
  const Launch launch = kartograph().Run("quick", 0);
  kartograph().AwaitEnd(launch.attempt);
  kartograph().cluster().Acknowledge({launch.attempt});
  Control("/agent/0/drain?in_ms=3600000");
  AwaitCalls("ACCEPT_INVERSE_OFFERS", 1);
  EXPECT_EQ(mesos().counters().calls["DECLINE_INVERSE_OFFERS"], 0);
}

TEST_F(AgentsTest, OnAnAgentThatIsDrainedOurIdleExecutorEndsAtOnce) {
  options_.ask_for_agents_at_most = absl::ZeroDuration();
  StartAll();
  const Launch launch = kartograph().Run("quick", 0);
  kartograph().AwaitEnd(launch.attempt);
  kartograph().cluster().Acknowledge({launch.attempt});
  AwaitNoTasks();
  ASSERT_EQ(Executors().size(), 1u);
  kartograph().AwaitOffer();
  kartograph().Forget();
  Control("/agent/0/drain_agent");
  const AgentCapacity closed = kartograph().Await<AgentCapacity>(
      [](const AgentCapacity& told) { return !told.closed.empty(); });
  EXPECT_EQ(closed.agent, launch.agent);
  EXPECT_EQ(closed.closed, "was drained by its operator");
  AwaitCalls("SHUTDOWN", 1);
  AwaitMesos([](const Master& master) { return master.all_agents()[0]->executors().empty(); });
  Control("/agent/0/reactivate");
  kartograph().Run("quick", 1);
  EXPECT_EQ(mesos().counters().update_states["TASK_DROPPED"], 0);
}

TEST_F(AgentsTest, WhatAnAgentDropsBecauseItIsDrainedSetsItAsideAndEndsItsExecutor) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/agent/0/drain_agent");
  Control("/agent/0/reactivate");
  // Until this is acknowledged, it goes on draining.
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
  const Launch dropped = LaunchOn(kartograph().AwaitOffer().agent, "quick", 1);
  kartograph().cluster().Execute({dropped});
  const AttemptUpdate end = kartograph().AwaitEnd(dropped.attempt);
  EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
  EXPECT_THAT(end.message, testing::HasSubstr("drained"));
  kartograph().cluster().Acknowledge({launch.attempt, dropped.attempt});
  AwaitCalls("SHUTDOWN", 1);
  AwaitMesos([](const Master& master) { return master.all_agents()[0]->executors().empty(); });
  kartograph().Run("quick", 2);
}

TEST_F(AgentsTest, ADeactivatedAgentSaysSo) {
  options_.ask_for_agents_every = absl::Milliseconds(50);
  StartAll();
  kartograph().AwaitOffer();
  Control("/agent/0/deactivate");
  const AgentCapacity closed = kartograph().Await<AgentCapacity>(
      [](const AgentCapacity& told) { return !told.closed.empty(); });
  EXPECT_EQ(closed.closed, "was deactivated by its operator");
  kartograph().Forget();
  Control("/agent/0/reactivate");
  kartograph().Await<AgentCapacity>([](const AgentCapacity& told) { return told.closed.empty(); });
}

TEST_F(AgentsTest, ABusyAgentIsNotGivenBack) {
  StartAll();
  kartograph().Run("forever", 0);
  Control("/agent/0/drain?in_ms=3600000");
  AwaitCalls("DECLINE_INVERSE_OFFERS", 1);
  EXPECT_EQ(mesos().counters().calls["ACCEPT_INVERSE_OFFERS"], 0);
}

}  // namespace
}  // namespace kartograph::stand_in
