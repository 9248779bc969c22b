#include "executor/agent/agent.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <vector>

#include "base/testing/manual_clock.h"
#include "executor/agent/testing/fake_processes.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

constexpr Incarnation kFirst = 11, kSecond = 12, kThird = 13;

AttemptId Id(uint32_t index) { return AttemptId::Of(planner::TaskKey::Of(7, index), 1); }

class AgentTest : public ::testing::Test {
 protected:
  AgentTest() {
    agent_.SetCapacity({{Resource::Cpu(), Quantity::Of(4)}});
    agent_.SetLineage({"h1", {kFirst}});
  }

  static executor::Launch Launch(uint32_t index, int cpu = 1) {
    executor::Launch launch;
    launch.attempt = Id(index);
    launch.consumption = {{Resource::Cpu(), Quantity::Of(cpu)}};
    launch.cancel_grace = absl::Seconds(10);
    return launch;
  }
  void Start(uint32_t index, int cpu = 1) {
    agent_.Launch(Launch(index, cpu), kFirst);
    agent_.Work();
    ASSERT_TRUE(processes_.running.contains(Id(index).value));
  }
  void End(uint32_t index, Outcome outcome = Outcome::kSucceeded, std::string result = "") {
    processes_.End(Id(index), outcome, std::move(result));
    agent_.Work();
  }
  std::vector<AttemptReport> Reports() {
    std::vector<AttemptReport> reports;
    while (std::optional<AttemptReport> report = agent_.NextReport()) {
      agent_.AddReturnValue(&*report);
      reports.push_back(*std::move(report));
    }
    return reports;
  }
  AttemptReport OnlyReport() {
    std::vector<AttemptReport> reports = Reports();
    EXPECT_EQ(reports.size(), 1u);
    return reports.empty() ? AttemptReport() : reports[0];
  }

  kartograph::testing::ManualClock clock_;
  testing::FakeProcesses processes_{&clock_};
  Agent::Options options_{.clock = &clock_};
  Agent agent_{options_, &processes_};
};

TEST_F(AgentTest, StartsInOrderWhatFits) {
  for (uint32_t i = 0; i < 3; ++i) agent_.Launch(Launch(i, i == 1 ? 4 : 1), kFirst);
  agent_.Work();
  EXPECT_THAT(processes_.started, ElementsAre(Id(0)));
  agent_.Prepare();
  EXPECT_TRUE(processes_.prepared.contains(Id(1).value));
  End(0);
  EXPECT_THAT(processes_.started, ElementsAre(Id(0), Id(1)));
  End(1);
  EXPECT_THAT(processes_.started, ElementsAre(Id(0), Id(1), Id(2)));
}

TEST_F(AgentTest, WhatHasNotBegunGivesWayToWhatIsMoreUrgent) {
  const auto launch = [this](uint32_t index, std::string order) {
    executor::Launch made = Launch(index, 4);
    made.backlog_order = std::move(order);
    agent_.Launch(std::move(made), kFirst);
  };
  Start(0, 4);
  launch(1, "b");
  launch(2, "c");
  launch(3, "b");
  launch(4, "a");
  launch(5, "");
  for (uint32_t ended : {0, 5, 4, 1, 3}) End(ended);
  EXPECT_THAT(processes_.started, ElementsAre(Id(0), Id(5), Id(4), Id(1), Id(3), Id(2)));
}

TEST_F(AgentTest, StartsAllWhereSomebodyElseHasCounted) {
  options_.holds_to_capacity = false;
  Agent agent(options_, &processes_);
  for (uint32_t i = 0; i < 20; ++i) agent.Launch(Launch(i, 4), kFirst);
  while (agent.NextWork() <= clock_.SteadyNow()) agent.Work();
  EXPECT_EQ(processes_.started.size(), 20u);
}

TEST_F(AgentTest, RefusesWhatCanNeverFit) {
  agent_.Launch(Launch(0, 5), kFirst);
  const AttemptReport report = OnlyReport();
  EXPECT_EQ(report.update.outcome, Outcome::kRefused);
  EXPECT_THAT(report.update.message, HasSubstr("needs cpu=5"));
  EXPECT_EQ(report.incarnation, kFirst);
}

TEST_F(AgentTest, ARepeatedLaunchRunsOnce) {
  Start(0);
  agent_.Launch(Launch(0), kFirst);
  End(0);
  agent_.Launch(Launch(0), kFirst);
  agent_.Work();
  EXPECT_EQ(processes_.started.size(), 1u);
  EXPECT_EQ(Reports().size(), 1u);
}

TEST_F(AgentTest, ThatItRunsIsReportedLate) {
  Start(0);
  EXPECT_THAT(Reports(), IsEmpty());
  EXPECT_EQ(agent_.NextReportAt() - clock_.SteadyNow(), absl::Milliseconds(5));
  clock_.Advance(absl::Milliseconds(5));
  const AttemptReport report = OnlyReport();
  EXPECT_EQ(report.update.outcome, Outcome::kNone);
  EXPECT_NE(report.update.start_time, absl::InfinitePast());
  EXPECT_EQ(report.incarnation, kFirst);
}

TEST_F(AgentTest, OfAShortAttemptOnlyTheEndIsReported) {
  Start(0);
  End(0);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(OnlyReport().update.outcome, Outcome::kSucceeded);
}

TEST_F(AgentTest, AStepOfTheWallClockChangesNoWait) {
  for (absl::Duration step : {-absl::Hours(1), absl::Hours(1), absl::Hours(24 * 365)}) {
    const auto index = static_cast<uint32_t>(processes_.started.size());
    Start(index);
    clock_.StepWall(step);
    EXPECT_THAT(Reports(), IsEmpty());
    clock_.Advance(absl::Milliseconds(5));
    EXPECT_EQ(OnlyReport().update.outcome, Outcome::kNone);
    End(index);
    Reports();
    agent_.Acknowledge(Id(index));
    agent_.AllowIdleExit(true);
    clock_.StepWall(step);
    EXPECT_FALSE(agent_.ShouldExit());
    clock_.Advance(absl::Minutes(1));
    EXPECT_TRUE(agent_.ShouldExit());
    agent_.AllowIdleExit(false);
  }
}

TEST_F(AgentTest, EndsGoTogetherWhileThereIsMoreToStart) {
  Start(0, 2);
  Start(1, 2);
  agent_.Launch(Launch(2, 4), kFirst);
  End(0);
  EXPECT_THAT(Reports(), IsEmpty());
  EXPECT_EQ(agent_.NextReportAt() - clock_.SteadyNow(), absl::Milliseconds(1));
  clock_.Advance(absl::Milliseconds(1));
  EXPECT_EQ(Reports().size(), 1u);
}

TEST_F(AgentTest, RepeatsAnEndUntilItIsAcknowledged) {
  Start(0);
  Start(1);
  End(0);
  End(1);
  EXPECT_EQ(Reports().size(), 2u);
  EXPECT_THAT(Reports(), IsEmpty());
  agent_.Acknowledge(Id(0));
  agent_.RepeatReports();
  EXPECT_EQ(OnlyReport().update.attempt, Id(1));
  agent_.Acknowledge(Id(1));
  agent_.RepeatReports();
  EXPECT_THAT(Reports(), IsEmpty());
  EXPECT_EQ(agent_.held(), 0u);
}

TEST_F(AgentTest, ReturnValuesStayOnDiskUntilTheyAreSent) {
  const std::string large(1 << 20, 'x');
  Start(0);
  Start(1);
  End(0, Outcome::kSucceeded, large);
  End(1, Outcome::kSucceeded, "42");
  std::optional<AttemptReport> report = agent_.NextReport();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->update.return_value, "");
  EXPECT_EQ(report->return_value_bytes, 1 << 20);
  agent_.AddReturnValue(&*report);
  EXPECT_EQ(report->update.return_value, large);
  EXPECT_EQ(OnlyReport().update.return_value, "42");
  EXPECT_EQ(processes_.results_read, 1);
  // It is read again when it is sent again.
  agent_.RepeatReports();
  std::vector<AttemptReport> again = Reports();
  ASSERT_EQ(again.size(), 2u);
  EXPECT_EQ(again[0].update.return_value.size() + again[1].update.return_value.size(),
            large.size() + 2);
}

TEST_F(AgentTest, AReturnValueThatIsGoneIsNoSuccess) {
  Start(0);
  Start(1);
  End(0, Outcome::kSucceeded, std::string(2000, 'x'));
  End(1, Outcome::kExited, std::string(2000, 'x'));
  processes_.results.clear();
  for (int i = 0; i < 2; ++i) {
    for (const AttemptReport& report : Reports()) {
      const bool first = report.update.attempt == Id(0);
      EXPECT_EQ(report.update.outcome, first ? Outcome::kAgentFailed : Outcome::kExited);
      EXPECT_EQ(report.update.message, first ? "the return value is lost: it is gone" : "");
      EXPECT_EQ(report.update.return_value, "");
    }
    agent_.RepeatReports();
  }
  EXPECT_EQ(processes_.results_read, 2);
}

TEST_F(AgentTest, CancelsWhatWaitsWithoutStartingIt) {
  Start(0, 4);
  agent_.Launch(Launch(1, 4), kFirst);
  EXPECT_EQ(agent_.Cancel(Id(1), absl::Seconds(1)), Agent::CancelResult::kEnded);
  EXPECT_EQ(agent_.Cancel(Id(1), absl::Seconds(1)), Agent::CancelResult::kHasEnded);
  EXPECT_EQ(agent_.Cancel(Id(9), absl::Seconds(1)), Agent::CancelResult::kUnknown);
  EXPECT_EQ(OnlyReport().update.outcome, Outcome::kCancelled);
  End(0);
  EXPECT_EQ(processes_.started.size(), 1u);
}

TEST_F(AgentTest, CancelsWithItsOwnGraceOrTheLaunchs) {
  Start(0);
  Start(1);
  EXPECT_EQ(agent_.Cancel(Id(0), absl::Seconds(3)), Agent::CancelResult::kEnding);
  EXPECT_EQ(agent_.Cancel(Id(1), std::nullopt), Agent::CancelResult::kEnding);
  EXPECT_EQ(processes_.graces[Id(0).value], absl::Seconds(3));
  EXPECT_EQ(processes_.graces[Id(1).value], absl::Seconds(10));
}

TEST_F(AgentTest, AnswersWhatIsAsked) {
  Start(0);
  Start(1);
  End(1);
  agent_.Launch(Launch(2, 4), kFirst);
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Reports().size(), 2u);
  for (uint32_t i = 0; i < 4; ++i) agent_.Query(Id(i));
  agent_.Work();
  std::vector<AttemptReport> reports = Reports();
  ASSERT_EQ(reports.size(), 4u);
  EXPECT_NE(reports[0].update.start_time, absl::InfinitePast());
  EXPECT_EQ(reports[1].update.attempt, Id(2));
  EXPECT_EQ(reports[1].update.start_time, absl::InfinitePast());
  EXPECT_EQ(reports[2].update.outcome, Outcome::kLost);
  EXPECT_EQ(reports[3].update.outcome, Outcome::kSucceeded);
}

TEST_F(AgentTest, WhatCouldNotBeStartedHoldsNothing) {
  processes_.failing = true;
  agent_.Launch(Launch(0, 4), kFirst);
  agent_.Work();
  EXPECT_EQ(agent_.NextWork() - clock_.SteadyNow(), absl::ZeroDuration());
  processes_.failing = false;
  agent_.Launch(Launch(1, 4), kFirst);
  agent_.Work();
  EXPECT_EQ(OnlyReport().update.outcome, Outcome::kAgentFailed);
  EXPECT_TRUE(processes_.running.contains(Id(1).value));
}

TEST_F(AgentTest, DrainEndsWhatItHasAndTakesNoMore) {
  Start(0, 2);
  Start(1, 2);
  agent_.Launch(Launch(2), kFirst);
  processes_.ends_when_cancelled = false;
  agent_.Cancel(Id(0), absl::Seconds(1));
  EXPECT_EQ(agent_.Drain("the agent was stopped", absl::Seconds(4)), absl::Seconds(4));
  EXPECT_EQ(processes_.graces[Id(1).value], absl::Seconds(4));
  agent_.Launch(Launch(3), kFirst);
  EXPECT_FALSE(agent_.drained());
  End(0, Outcome::kCancelled);
  End(1, Outcome::kCancelled);
  EXPECT_TRUE(agent_.drained());
  for (const AttemptReport& report : Reports()) {
    const AttemptId id = report.update.attempt;
    // What was to end anyway is cancelled.
    EXPECT_EQ(report.update.outcome, id == Id(0)   ? Outcome::kCancelled
                                     : id == Id(3) ? Outcome::kRefused
                                                   : Outcome::kLost);
    if (report.update.outcome == Outcome::kLost) {
      EXPECT_EQ(report.update.message, "the agent was stopped");
    }
  }
}

TEST_F(AgentTest, ExitsWhenItHadNothingToDoForSoLong) {
  agent_.AllowIdleExit(true);
  clock_.Advance(absl::Seconds(59));
  Start(0);
  clock_.Advance(absl::Seconds(2));
  EXPECT_FALSE(agent_.ShouldExit());
  End(0);
  clock_.Advance(absl::Minutes(2));
  EXPECT_FALSE(agent_.ShouldExit());  // its end has to be collected
  agent_.Acknowledge(Id(0));
  agent_.Work();
  EXPECT_EQ(agent_.NextWork(), clock_.SteadyNow() + absl::Minutes(1));
  clock_.Advance(absl::Minutes(1));
  EXPECT_TRUE(agent_.ShouldExit());
  agent_.AllowIdleExit(false);
  EXPECT_FALSE(agent_.ShouldExit());
}

// An older copy of the history is restored: it knows the first incarnation, not the second.
TEST_F(AgentTest, EndsWhatBelongsToAnIncarnationThatTheHistoryDoesNotKnow) {
  Start(0);
  agent_.SetLineage({"h1", {kFirst, kSecond}});
  agent_.Launch(Launch(1), kSecond);
  agent_.Launch(Launch(2), kSecond);
  agent_.Work();
  End(2, Outcome::kExited);
  agent_.Launch(Launch(3, 4), kSecond);
  processes_.ends_when_cancelled = false;
  EXPECT_EQ(agent_.SetLineage({"h1", {kFirst, kThird}}), 3u);
  agent_.RepeatReports();
  EXPECT_TRUE(processes_.graces.contains(Id(1).value));
  EXPECT_FALSE(processes_.graces.contains(Id(0).value));
  EXPECT_THAT(processes_.discarded, ElementsAre(Id(2)));
  End(1, Outcome::kCancelled);
  EXPECT_THAT(processes_.discarded, ElementsAre(Id(2), Id(1)));
  EXPECT_THAT(Reports(), IsEmpty());
  EXPECT_EQ(agent_.held(), 1u);
}

TEST_F(AgentTest, EndsWhatBelongsToAnotherHistory) {
  Start(0);
  EXPECT_EQ(agent_.SetLineage({"h2", {kThird}}), 1u);
  agent_.Work();
  EXPECT_EQ(agent_.held(), 0u);
  EXPECT_THAT(Reports(), IsEmpty());
}

TEST_F(AgentTest, AnAttemptOfAnotherIncarnationIsReplacedWhenItHasEnded) {
  processes_.ends_when_cancelled = false;
  Start(0, 4);
  Start(0, 4);  // known: nothing happens
  agent_.SetLineage({"h1", {kFirst, kSecond}});
  agent_.Launch(Launch(0, 4), kSecond);
  agent_.Launch(Launch(0, 4), kSecond);
  agent_.Work();
  EXPECT_EQ(processes_.started.size(), 1u);
  EXPECT_TRUE(processes_.graces.contains(Id(0).value));
  End(0, Outcome::kCancelled);
  EXPECT_THAT(processes_.discarded, ElementsAre(Id(0)));
  EXPECT_EQ(processes_.started.size(), 2u);
  End(0, Outcome::kExited);
  const AttemptReport report = OnlyReport();
  EXPECT_EQ(report.update.outcome, Outcome::kExited);
  EXPECT_EQ(report.incarnation, kSecond);
}

// An attempt waits for the end of one of another incarnation under its id.
class ReplacementTest : public AgentTest {
 protected:
  ReplacementTest() {
    processes_.ends_when_cancelled = false;
    Start(0);
    agent_.SetLineage({"h1", {kFirst, kSecond}});
    agent_.Launch(Launch(0), kSecond);
    agent_.Work();
  }
};

TEST_F(ReplacementTest, IsCancelledBeforeItStarts) {
  EXPECT_EQ(agent_.Cancel(Id(0), std::nullopt), Agent::CancelResult::kEnding);
  agent_.Launch(Launch(0), kSecond);  // repeated: nothing happens
  EXPECT_THAT(Reports(), IsEmpty());
  End(0, Outcome::kCancelled);
  EXPECT_EQ(processes_.started.size(), 1u);
  const AttemptReport report = OnlyReport();
  EXPECT_EQ(report.update.outcome, Outcome::kCancelled);
  EXPECT_EQ(report.incarnation, kSecond);
  EXPECT_EQ(agent_.Cancel(Id(0), std::nullopt), Agent::CancelResult::kHasEnded);
  agent_.Acknowledge(Id(0));
  EXPECT_EQ(agent_.held(), 0u);
}

TEST_F(ReplacementTest, AnswersWhenItWaitsLikeOthers) {
  agent_.Query(Id(0));
  EXPECT_THAT(Reports(), IsEmpty());
  End(0, Outcome::kCancelled);
  const AttemptReport report = OnlyReport();
  EXPECT_EQ(report.update.outcome, Outcome::kNone);
  EXPECT_EQ(report.incarnation, kSecond);
}

TEST_F(ReplacementTest, SurvivesANewConnection) {
  agent_.SetLineage({"h1", {kFirst, kSecond}});
  agent_.RepeatReports();
  End(0, Outcome::kCancelled);
  EXPECT_EQ(processes_.started.size(), 2u);
}

TEST_F(ReplacementTest, IsDroppedWithItsIncarnation) {
  agent_.SetLineage({"h1", {kThird}});
  agent_.Query(Id(0));
  End(0, Outcome::kCancelled);
  EXPECT_EQ(processes_.started.size(), 1u);
  EXPECT_EQ(OnlyReport().update.outcome, Outcome::kLost);
}

TEST_F(AgentTest, AnEndOfAnotherIncarnationIsNotTakenForTheNewAttempts) {
  Start(0);
  End(0, Outcome::kExited);
  agent_.SetLineage({"h1", {kFirst, kSecond}});
  agent_.Launch(Launch(0), kSecond);
  agent_.Work();
  EXPECT_THAT(processes_.discarded, ElementsAre(Id(0)));
  EXPECT_THAT(Reports(), IsEmpty());
  End(0, Outcome::kSucceeded);
  EXPECT_EQ(OnlyReport().update.outcome, Outcome::kSucceeded);
}

TEST_F(AgentTest, WhatIsBeingEndedIsLostOnlyWhenItHasEnded) {
  processes_.ends_when_cancelled = false;
  Start(0);
  agent_.SetLineage({"h1", {kThird}});
  agent_.RepeatReports();
  agent_.Query(Id(0));
  EXPECT_THAT(Reports(), IsEmpty());
  End(0, Outcome::kCancelled);
  EXPECT_EQ(OnlyReport().update.outcome, Outcome::kLost);
}

class AgentInstancesTest : public AgentTest {
 protected:
  AgentInstancesTest() { SetGpus({"0", "1"}); }

  void SetGpus(std::vector<std::string> names) {
    agent_.SetCapacity({{Resource::Cpu(), Quantity::Of(4)},
                        {kGpu, Quantity::Of(static_cast<int64_t>(names.size()))}});
    agent_.SetInstances({{kGpu, std::move(names)}});
  }
  static executor::Launch LaunchOnGpus(uint32_t index, int milli) {
    executor::Launch launch = Launch(index);
    launch.consumption.Set(kGpu, Quantity::FromMilli(milli));
    return launch;
  }
  void StartOnGpus(uint32_t index, int count = 1) {
    agent_.Launch(LaunchOnGpus(index, count * 1000), kFirst);
    agent_.Work();
  }
  // What an attempt was started with; {"-"} where it was not.
  std::vector<std::string> GpusOf(uint32_t index) {
    const auto found = processes_.instances.find(Id(index).value);
    if (found == processes_.instances.end()) return {"-"};
    EXPECT_EQ(found->second.size(), 1u);
    return found->second.at(0).names;
  }

  static inline const Resource kGpu = Resource::Named("gpu");
};

TEST_F(AgentInstancesTest, EachAttemptHasItsOwn) {
  for (uint32_t i = 0; i < 3; ++i) StartOnGpus(i);
  EXPECT_THAT(GpusOf(0), ElementsAre("0"));
  EXPECT_THAT(GpusOf(1), ElementsAre("1"));
  EXPECT_THAT(GpusOf(2), ElementsAre("-"));
  End(0);
  EXPECT_THAT(GpusOf(2), ElementsAre("0"));
  End(1);
  End(2);
  StartOnGpus(4, 2);
  EXPECT_THAT(GpusOf(4), ElementsAre("0", "1"));
}

TEST_F(AgentInstancesTest, OneThatNeedsNoneIsGivenNone) {
  Start(0);
  EXPECT_THAT(GpusOf(0), IsEmpty());
}

TEST_F(AgentInstancesTest, OneThatIsBeingEndedKeepsItsOwn) {
  processes_.ends_when_cancelled = false;
  StartOnGpus(0);
  StartOnGpus(1);
  StartOnGpus(2);
  agent_.Cancel(Id(0), std::nullopt);
  agent_.Work();
  EXPECT_THAT(GpusOf(2), ElementsAre("-"));
  End(1);
  EXPECT_THAT(GpusOf(2), ElementsAre("1"));
  End(0, Outcome::kCancelled);
  StartOnGpus(3);
  EXPECT_THAT(GpusOf(3), ElementsAre("0"));
}

TEST_F(AgentInstancesTest, AnotherHistorysAttemptKeepsItsOwnUntilItHasEnded) {
  processes_.ends_when_cancelled = false;
  StartOnGpus(0);
  agent_.SetLineage({"h2", {kSecond}});
  agent_.Launch(LaunchOnGpus(1, 1000), kSecond);
  agent_.Work();
  EXPECT_THAT(GpusOf(1), ElementsAre("1"));
  End(0, Outcome::kCancelled);
  agent_.Launch(LaunchOnGpus(2, 1000), kSecond);
  agent_.Work();
  EXPECT_THAT(GpusOf(2), ElementsAre("0"));
}

TEST_F(AgentInstancesTest, ANewSettingLeavesThemToWhatRuns) {
  StartOnGpus(0);
  StartOnGpus(1);
  // A service that was restarted with other settings.
  SetGpus({"1", "2"});
  agent_.SetLineage({"h1", {kFirst, kSecond}});
  agent_.RepeatReports();
  StartOnGpus(2);
  EXPECT_THAT(GpusOf(2), ElementsAre("-")) << "two are in use";
  End(0);
  EXPECT_THAT(GpusOf(2), ElementsAre("2"));
  StartOnGpus(3);
  End(2);
  EXPECT_THAT(GpusOf(3), ElementsAre("2"));
  End(1);
  StartOnGpus(4);
  EXPECT_THAT(GpusOf(4), ElementsAre("1"));
}

TEST_F(AgentInstancesTest, OneThatCannotBeStartedGivesThemBack) {
  processes_.failing = true;
  for (uint32_t i = 0; i < 2; ++i) agent_.Launch(LaunchOnGpus(i, 2000), kFirst);
  agent_.Work();
  processes_.failing = false;
  StartOnGpus(2, 2);
  EXPECT_THAT(GpusOf(2), ElementsAre("0", "1"));
  for (const AttemptReport& report : Reports()) EXPECT_EQ(report.update.message, "");
}

TEST_F(AgentInstancesTest, APartOfOneIsNotStarted) {
  agent_.Launch(LaunchOnGpus(0, 500), kFirst);
  agent_.Work();
  const AttemptReport report = OnlyReport();
  EXPECT_EQ(report.update.outcome, Outcome::kNotStarted);
  EXPECT_THAT(report.update.message, HasSubstr("needs 0.5 of gpu"));
  EXPECT_EQ(agent_.running(), 0u);
}

TEST_F(AgentInstancesTest, WhereSomebodyElseCountsWrongItIsTheAgentsFault) {
  options_.holds_to_capacity = false;
  Agent agent(options_, &processes_);
  agent.SetInstances({{kGpu, {"0"}}});
  for (uint32_t i = 0; i < 2; ++i) agent.Launch(LaunchOnGpus(i, 1000), kFirst);
  agent.Work();
  const std::optional<AttemptReport> report = agent.NextReport();
  ASSERT_TRUE(report.has_value());
  EXPECT_EQ(report->update.attempt, Id(1));
  EXPECT_EQ(report->update.outcome, Outcome::kAgentFailed);
  EXPECT_THAT(report->update.message, HasSubstr("only 0 of 1 are free"));
}

}  // namespace
}  // namespace kartograph::executor
