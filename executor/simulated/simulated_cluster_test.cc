#include "executor/simulated/simulated_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <memory>
#include <optional>
#include <random>
#include <set>
#include <string>
#include <utility>
#include <variant>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using planner::TaskKey;
using ::testing::Contains;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Not;

ResourceVector Cpu(int64_t cores) { return {{Resource::Cpu(), Quantity::Of(cores)}}; }
AttemptId Attempt(planner::TaskIndex task) { return AttemptId::Of(TaskKey::Of(1, task), 1); }

std::string ToString(const ClusterEvent& event) {
  if (std::holds_alternative<Connected>(event)) return "connected";
  if (std::holds_alternative<Disconnected>(event)) return "disconnected";
  if (const auto* offer = std::get_if<Offer>(&event)) {
    return absl::StrCat(offer->lease ? "lease of " : "offer of ", offer->agent, ": ",
                        offer->resources.ToString());
  }
  if (const auto* rescinded = std::get_if<OfferRescinded>(&event)) {
    return absl::StrCat("rescinded ", rescinded->id);
  }
  if (const auto* lost = std::get_if<AgentLost>(&event)) return absl::StrCat("lost ", lost->agent);
  if (const auto* away = std::get_if<AgentUnreachable>(&event)) {
    return absl::StrCat("out of reach ", away->agent);
  }
  const auto& update = std::get<AttemptUpdate>(event);
  std::string text = planner::AttemptIdToString(update.attempt);
  if (update.outcome != Outcome::kNone)
    return absl::StrCat(text, " ", planner::ToString(update.outcome));
  if (update.unreachable) return absl::StrCat(text, " out of reach");
  return absl::StrCat(text, update.start_time == absl::InfinitePast() ? " queued" : " runs");
}

// Plays the scheduler.
class Story {
 public:
  explicit Story(SimulatedClusterOptions options, absl::Duration run = absl::Seconds(10))
      : cluster_(
            std::move(options), [run](AttemptId) { return SimulatedRun{run}; },
            [this](AttemptId id, bool begins) {
              processes_.push_back(
                  absl::StrCat(begins ? "begin " : "end ", planner::AttemptIdToString(id)));
            }) {
    Start();
  }

  SimulatedCluster& cluster() { return cluster_; }
  void Start() {
    EXPECT_TRUE(cluster_
                    .Start([this](std::vector<ClusterEvent> events) {
                      for (ClusterEvent& event : events) reported_.push_back(std::move(event));
                    })
                    .ok());
  }
  // What was reported until then, as text.
  std::vector<std::string> After(absl::Duration time) {
    cluster_.AdvanceTo(cluster_.now() + time);
    std::vector<std::string> words;
    for (const ClusterEvent& event : std::exchange(reported_, {})) words.push_back(ToString(event));
    return words;
  }
  std::vector<std::string> Now() { return After(absl::ZeroDuration()); }
  std::vector<std::string> Processes() { return std::exchange(processes_, {}); }
  void Launch(std::vector<planner::TaskIndex> tasks, int64_t cores = 1,
              const AgentId& agent = "agent-0") {
    std::vector<executor::Launch> launches;
    for (planner::TaskIndex task : tasks) {
      executor::Launch& launch = launches.emplace_back();
      launch.attempt = Attempt(task);
      launch.agent = agent;
      launch.consumption = Cpu(cores);
    }
    cluster_.Execute(std::move(launches));
  }

 private:
  std::vector<ClusterEvent> reported_;
  std::vector<std::string> processes_;
  SimulatedCluster cluster_;
};

SimulatedClusterOptions Options(int64_t cores, int backlog = 0) {
  SimulatedClusterOptions options;
  options.agents = {Cpu(cores)};
  options.backlog = backlog;
  return options;
}

TEST(SimulatedClusterTest, ConnectsAndOffersEveryAgent) {
  SimulatedClusterOptions options;
  options.agents = {Cpu(1), Cpu(2)};
  Story story(options);
  EXPECT_THAT(story.Now(),
              ElementsAre("connected", "lease of agent-0: cpu=1", "lease of agent-1: cpu=2"));
  EXPECT_EQ(story.cluster().NextEventTime(), absl::InfiniteFuture());
}

TEST(SimulatedClusterTest, AnAttemptBeginsAndEndsInVirtualTime) {
  Story story(Options(1));
  story.Now();
  story.Launch({0});
  EXPECT_THAT(story.Now(), ElementsAre("g1.0.1 runs"));
  EXPECT_EQ(story.cluster().NextEventTime(), absl::UnixEpoch() + absl::Seconds(10));
  EXPECT_THAT(story.After(absl::Seconds(10) - absl::Nanoseconds(1)), IsEmpty());
  EXPECT_THAT(story.After(absl::Nanoseconds(1)), ElementsAre("g1.0.1 succeeded"));
  EXPECT_FALSE(story.cluster().Idle());
  story.cluster().Acknowledge({Attempt(0)});
  EXPECT_TRUE(story.cluster().Idle());
}

TEST(SimulatedClusterTest, AdmitsInOrderAndWithinTheCapacity) {
  Story story(Options(3, 10));
  story.Now();
  story.Launch({0, 1}, 1);
  story.Launch({2}, 2);
  story.Launch({3}, 1);
  EXPECT_THAT(story.Processes(), ElementsAre("begin g1.0.1", "begin g1.1.1"))
      << "the third does not fit, the fourth must not overtake it";
  story.After(absl::Seconds(10));
  EXPECT_THAT(story.Processes(),
              ElementsAre("end g1.0.1", "begin g1.2.1", "end g1.1.1", "begin g1.3.1"));
}

TEST(SimulatedClusterTest, ARepeatedLaunchIsIgnored) {
  Story story(Options(4));
  story.Now();
  story.Launch({0});
  story.Launch({0});
  EXPECT_THAT(story.Processes(), ElementsAre("begin g1.0.1"));
}

TEST(SimulatedClusterDeathTest, OverCommittingALeaseIsABugOfTheScheduler) {
  Story story(Options(1));
  story.Now();
  EXPECT_DEATH(story.Launch({0, 1}), "over-committed agent-0");
}

TEST(SimulatedClusterDeathTest, AcknowledgingWhatRunsIsABugOfTheScheduler) {
  Story story(Options(1));
  story.Now();
  story.Launch({0});
  EXPECT_DEATH(story.cluster().Acknowledge({Attempt(0)}), "has not ended");
}

TEST(SimulatedClusterTest, CancelEndsWhatRunsAndWhatWaits) {
  Story story(Options(1, 5));
  story.Now();
  story.Launch({0, 1});
  story.Now();
  story.cluster().Cancel(Attempt(1), "agent-0", absl::Seconds(1));
  story.cluster().Cancel(Attempt(0), "agent-0", absl::Seconds(1));
  story.cluster().Cancel(Attempt(7), "agent-0", absl::Seconds(1));
  EXPECT_THAT(story.Now(), ElementsAre("g1.1.1 cancelled", "g1.0.1 cancelled", "g1.7.1 lost"));
  EXPECT_THAT(story.Processes(), ElementsAre("begin g1.0.1", "end g1.0.1"));
  story.After(absl::Seconds(20));
  EXPECT_THAT(story.Processes(), IsEmpty());
}

TEST(SimulatedClusterTest, AnEndIsRepeatedToEveryConnectionUntilItIsAcknowledged) {
  Story story(Options(1));
  story.Now();
  story.Launch({0});
  story.After(absl::Seconds(10));
  for (int i = 0; i < 3; ++i) {
    story.cluster().Stop();
    story.Start();
    EXPECT_THAT(story.Now(), Contains("g1.0.1 succeeded"));
  }
  story.cluster().Acknowledge({Attempt(0)});
  story.cluster().Stop();
  story.Start();
  EXPECT_THAT(story.Now(), Not(Contains("g1.0.1 succeeded")));
}

TEST(SimulatedClusterTest, ReconciliationTellsWhatBecameOfEachAttempt) {
  Story story(Options(1, 5));
  story.Now();
  story.Launch({0, 1, 2});
  story.After(absl::Seconds(10));
  story.cluster().Reconcile({{Attempt(0), "agent-0"},
                             {Attempt(1), "agent-0"},
                             {Attempt(2), "agent-0"},
                             {Attempt(3), "agent-0"}});
  EXPECT_THAT(story.Now(),
              ElementsAre("g1.0.1 succeeded", "g1.1.1 runs", "g1.2.1 queued", "g1.3.1 lost"));
}

TEST(SimulatedClusterTest, NothingThatWasSentWithoutAConnectionArrives) {
  Story story(Options(1));
  story.Launch({0});  // before the connection is up
  EXPECT_THAT(story.After(absl::Seconds(60)), ElementsAre("connected", "lease of agent-0: cpu=1"));
  EXPECT_TRUE(story.cluster().Idle());
}

TEST(SimulatedClusterTest, AfterStopNothingIsToldButProcessesGoOn) {
  Story story(Options(1));
  story.Now();
  story.Launch({0});
  story.cluster().Stop();
  EXPECT_THAT(story.After(absl::Seconds(10)), IsEmpty());
  EXPECT_THAT(story.Processes(), ElementsAre("begin g1.0.1", "end g1.0.1"));
}

TEST(SimulatedClusterTest, MessagesTakeTheirTimeBothWays) {
  SimulatedClusterOptions options = Options(1);
  options.latency = absl::Milliseconds(5);
  Story story(options);
  story.After(absl::Milliseconds(5));
  story.Launch({0});
  EXPECT_THAT(story.After(absl::Milliseconds(9)), IsEmpty());
  EXPECT_THAT(story.After(absl::Milliseconds(1)), ElementsAre("g1.0.1 runs"));
}

TEST(SimulatedClusterTest, WithoutLeasesALaunchUsesItsOfferUpAndTheRestIsOfferedAnew) {
  SimulatedClusterOptions options = Options(4);
  options.lease = false;
  Story story(options);
  EXPECT_THAT(story.Now(), ElementsAre("connected", "offer of agent-0: cpu=4"));
  story.Launch({0});
  EXPECT_THAT(story.Now(), ElementsAre("g1.0.1 runs", "offer of agent-0: cpu=3"));
  EXPECT_THAT(story.After(absl::Seconds(10)),
              ElementsAre("g1.0.1 succeeded", "rescinded offer-2", "offer of agent-0: cpu=4"));
}

TEST(SimulatedClusterTest, WhatWasDeclinedComesAgainWithMoreOrWhenRevived) {
  SimulatedClusterOptions options = Options(4);
  options.lease = false;
  Story story(options);
  story.Now();
  story.Launch({0});
  story.Launch({1}, 2);
  EXPECT_THAT(story.Now(), Contains("offer of agent-0: cpu=1"));
  story.cluster().offers()->Decline({"offer-3", "offer-1", "unknown"});
  EXPECT_THAT(story.After(absl::Seconds(9)), IsEmpty());
  story.cluster().offers()->Revive({});
  EXPECT_THAT(story.Now(), ElementsAre("offer of agent-0: cpu=1"));
  story.cluster().offers()->Decline({"offer-4"});
  EXPECT_THAT(story.After(absl::Seconds(1)),
              ElementsAre("g1.0.1 succeeded", "offer of agent-0: cpu=2", "g1.1.1 succeeded",
                          "rescinded offer-5", "offer of agent-0: cpu=4"));
}

TEST(SimulatedClusterTest, NothingIsOfferedWhileSuppressed) {
  SimulatedClusterOptions options = Options(2);
  options.lease = false;
  Story story(options);
  story.Now();
  story.Launch({0});
  story.cluster().offers()->Suppress();
  story.Now();
  EXPECT_THAT(story.After(absl::Seconds(10)), Not(Contains("offer of agent-0: cpu=2")));
  story.cluster().offers()->Revive({});
  EXPECT_THAT(story.Now(), ElementsAre("offer of agent-0: cpu=2"));
}

TEST(SimulatedClusterTest, AnAgentOutOfReachComesBackWithItsNews) {
  SimulatedClusterOptions options = Options(2);
  options.lease = false;
  options.faults.partition = 1;
  options.faults.longest_delay = absl::Milliseconds(500);
  Story story(options, absl::Seconds(1));
  story.Now();
  story.Launch({0});
  story.cluster().StopFaults();
  std::vector<std::string> reported = story.After(absl::Milliseconds(500));
  EXPECT_THAT(reported, Contains("out of reach agent-0"));
  EXPECT_THAT(reported, Contains("g1.0.1 out of reach"));
  EXPECT_EQ(story.cluster().partitions(), 1);
  reported = story.After(absl::Seconds(2));
  EXPECT_THAT(reported, Contains("g1.0.1 succeeded"));
  EXPECT_THAT(reported, Contains("offer of agent-0: cpu=2"));
}

TEST(SimulatedClusterTest, WithoutLeasesWhatDoesNotFitIsRefused) {
  SimulatedClusterOptions options = Options(1);
  options.lease = false;
  Story story(options);
  story.Now();
  story.Launch({0, 1});
  EXPECT_THAT(story.Now(), Contains("g1.1.1 refused"));
}

TEST(SimulatedClusterTest, ALostAgentTakesItsAttemptsWithItAndAnotherComes) {
  SimulatedClusterOptions options = Options(2);
  options.faults.lose_agent = 1;
  Story story(options);
  story.Now();
  story.Launch({0});
  const std::vector<std::string> reported = story.After(absl::Seconds(1));
  EXPECT_THAT(reported, Contains("lost agent-0"));
  EXPECT_THAT(reported, Contains("lease of agent-1: cpu=2"));
  EXPECT_THAT(story.Processes(), ElementsAre("begin g1.0.1", "end g1.0.1"));
  EXPECT_EQ(story.cluster().lost_agents(), 1);
  EXPECT_TRUE(story.cluster().Idle());
  story.cluster().StopFaults();
  story.Launch({1}, 1, "agent-1");
  EXPECT_THAT(story.After(absl::Seconds(60)), ElementsAre("g1.1.1 runs", "g1.1.1 succeeded"));
}

TEST(SimulatedClusterTest, ADroppedConnectionComesBack) {
  SimulatedClusterOptions options = Options(2);
  options.faults.drop_connection = 1;
  Story story(options);
  story.Now();
  story.Launch({0});
  EXPECT_THAT(story.After(absl::Seconds(1)),
              ElementsAre("g1.0.1 runs", "disconnected", "connected", "lease of agent-0: cpu=2"));
}

// --- the same seed, the same story ---

std::vector<std::string> LogOf(uint64_t seed, bool lease) {
  SimulatedClusterOptions options;
  options.agents = {Cpu(4), Cpu(4), Cpu(8)};
  options.lease = lease;
  options.backlog = lease ? 100 : 0;
  options.latency = absl::Milliseconds(2);
  options.seed = seed;
  options.faults = {.refuse_launch = 0.1,
                    .lose_agent = 0.05,
                    .partition = 0.05,
                    .repeat_update = 0.3,
                    .late_update = 0.3,
                    .drop_connection = 0.05,
                    .rescind_offer = 0.2,
                    .longest_delay = absl::Milliseconds(50)};
  std::vector<std::string> log;
  std::vector<ClusterEvent> events;
  std::optional<SimulatedCluster> cluster;
  cluster.emplace(options, [](AttemptId id) {
    return SimulatedRun{absl::Milliseconds(static_cast<int64_t>(id.value * 7919 % 97))};
  });
  auto listener = [&](std::vector<ClusterEvent> arrived) {
    std::move(arrived.begin(), arrived.end(), std::back_inserter(events));
  };
  EXPECT_TRUE(cluster->Start(listener).ok());
  std::mt19937_64 random(seed);
  std::set<AgentId> agents;
  planner::TaskIndex next = 0;
  for (int step = 0; step < 400; ++step) {
    cluster->AdvanceTo(cluster->now() + absl::Milliseconds(static_cast<int64_t>(random() % 10)));
    std::vector<AttemptId> ended;
    for (const ClusterEvent& event : std::exchange(events, {})) {
      log.push_back(absl::StrCat(absl::ToUnixNanos(cluster->now()), " ", ToString(event)));
      if (const auto* offer = std::get_if<Offer>(&event)) agents.insert(offer->agent);
      if (const auto* lost = std::get_if<AgentLost>(&event)) agents.erase(lost->agent);
      if (const auto* update = std::get_if<AttemptUpdate>(&event)) {
        if (update->outcome != Outcome::kNone) ended.push_back(update->attempt);
      }
    }
    cluster->Acknowledge(ended);
    for (const AgentId& agent : agents) {
      if (random() % 3 != 0) continue;
      Launch launch;
      launch.attempt = Attempt(next++);
      launch.agent = agent;
      launch.consumption = Cpu(1 + static_cast<int64_t>(random() % 3));
      cluster->Execute({launch});
    }
    if (next > 0 && random() % 10 == 0) cluster->Cancel(Attempt(next - 1), "", absl::Seconds(1));
    if (random() % 100 == 0) {
      cluster->Stop();
      EXPECT_TRUE(cluster->Start(listener).ok());
    }
  }
  return log;
}

TEST(SimulatedClusterTest, TheSameSeedTellsTheSameStory) {
  for (bool lease : {true, false}) {
    for (uint64_t seed = 1; seed <= 5; ++seed) {
      const std::vector<std::string> log = LogOf(seed, lease);
      EXPECT_GT(log.size(), 200u);
      EXPECT_EQ(log, LogOf(seed, lease)) << "seed " << seed;
      EXPECT_NE(log, LogOf(seed + 100, lease));
    }
  }
}

}  // namespace
}  // namespace kartograph::executor
