// Clusters that offer: what becomes of offers, and when more is wanted.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/core_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Outcome;
using planner::ResourceVector;
using ::testing::ElementsAre;
using ::testing::IsEmpty;
using ::testing::Optional;

std::vector<Task> Many(int n, const ResourceVector& consumption = Cpu(1)) {
  std::vector<Task> tasks;
  for (int i = 0; i < n; ++i) tasks.push_back(Task(absl::StrCat("t", i)).Needs(consumption));
  return tasks;
}

class OfferTest : public ::testing::Test, protected CoreStory {};
class DemandTest : public ::testing::Test, protected CoreStory {
 protected:
  DemandTest() : CoreStory(With({}, "db_connections", 1)) {}
};

TEST_F(OfferTest, OneLaunchUsesTheWholeOfferUp) {
  Submit(Graph({Task("a")}));
  Offer("o1", "m", Cpu(4));
  EXPECT_THAT(Started(), ElementsAre("a"));
  Submit(Graph({Task("b")}));
  EXPECT_THAT(Started(), IsEmpty()) << "what was left comes back with another offer";
  Offer("o2", "m", Cpu(3));
  EXPECT_THAT(Started(), ElementsAre("b"));
  EXPECT_THAT(Declined(), IsEmpty());
}

TEST_F(OfferTest, ManyTasksGoIntoOneOffer) {
  Submit(Graph(Many(5)));
  Offer("o1", "m", Cpu(3));
  EXPECT_THAT(Started(), ElementsAre("t0", "t1", "t2"));
}

TEST_F(OfferTest, OffersOfOneAgentAreUsedTogether) {
  Submit(Graph({Task("a").Needs(Cpu(2))}));
  Notify(
      {MakeOffer("o1", "m", Cpu(1)), MakeOffer("o2", "m", Cpu(1)), MakeOffer("o3", "n", Cpu(1))});
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_THAT(Declined(), ElementsAre("o3"));
}

TEST_F(OfferTest, ARescindedOfferIsNotUsed) {
  Submit(Graph(Many(2)));
  Notify({MakeOffer("o1", "m", Cpu(2)), MakeOffer("o2", "m", Cpu(1)),
          executor::OfferRescinded{"o1"}, executor::OfferRescinded{"unknown"}});
  EXPECT_THAT(Started(), ElementsAre("t0"));
}

TEST_F(OfferTest, WhatAnAttemptFreesComesWithANewOfferOnly) {
  Submit(Graph(Many(2)));
  Offer("o1", "m", Cpu(1));
  Started();
  Succeeds("t0");
  EXPECT_THAT(Started(), IsEmpty());
  Offer("o2", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("t1"));
}

TEST_F(OfferTest, OffersAreVoidAfterALostConnection) {
  Submit(Graph({Task("a")}));
  Notify({MakeOffer("o1", "m", Cpu(1)), executor::Disconnected{"gone"}, executor::Connected{}});
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_THAT(Declined(), IsEmpty()) << "there is nothing to give back";
}

TEST_F(OfferTest, WhatNothingFitsIsDeclinedAtOnce) {
  Offer("o1", "m", Cpu(4));
  EXPECT_THAT(Declined(), ElementsAre("o1")) << "nothing waits";
  Submit(Graph({Task("a").Needs(Cpu(2))}));
  Offer("o2", "m", Cpu(1));
  EXPECT_THAT(Declined(), ElementsAre("o2")) << "too small";
  Offer("o3", "m", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_THAT(Declined(), IsEmpty());
}

TEST_F(OfferTest, WhatAnAgentHasIsSeenWhileNothingIsHeld) {
  Submit(Graph({Task("a").Needs(Cpu(4))}));
  Offer("o1", "m", Cpu(4));
  EXPECT_THAT(Started(), ElementsAre("a"));
  Offer("o2", "m", Cpu(4));  // overtakes the end of a
  EXPECT_EQ(core().Cluster(1, 0).agents[0].capacity, Cpu(4));
  Offer("o3", "m", Cpu(6));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].capacity, Cpu(6)) << "so much was offered at once";
  Succeeds("a");
  Offer("o4", "m", Cpu(5));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].capacity, Cpu(5));
}

TEST_F(OfferTest, NoGraphIsRefusedThatFitsIntoWhatIsHeldAndOffered) {
  Submit(Graph({Task("a").Needs(Cpu(2))}));
  Offer("o1", "m", Cpu(2));
  Started();
  Offer("o2", "m", Cpu(3));
  Submit(Graph({Task("b").Needs(Cpu(5))}));
  EXPECT_THAT(Started(), IsEmpty());
}

executor::AgentCapacity Told(const std::string& agent, const ResourceVector& resources,
                             const ResourceVector& for_one_attempt) {
  return {agent, "host of " + agent, resources, for_one_attempt, {{"rack", "b3"}}};
}

TEST_F(OfferTest, AnAgentIsKnownBeforeItOffersAnything) {
  Notify({executor::Connected{}, Told("m", Cpu(4), Cpu(4))});
  const ClusterSnapshot cluster = core().Cluster(1, 0);
  ASSERT_EQ(cluster.agents.size(), 1u);
  EXPECT_EQ(cluster.agents[0].name, "host of m");
  EXPECT_EQ(cluster.agents[0].capacity, Cpu(4));
  EXPECT_THAT(cluster.agents[0].attributes, ElementsAre(testing::Pair("rack", "b3")));
  Submit(Graph({Task("a").Needs(Cpu(3))}));
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_EQ(Reason("a"), "waits for an offer of an agent with cpu=3 free at once");
  Offer("o1", "m", Cpu(3));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(OfferTest, AnAgentOfWhichNothingIsOfferedSaysWhyUntilThereIsAnOffer) {
  executor::AgentCapacity closed = Told("m", Cpu(4), Cpu(4));
  closed.closed = "is being drained by its operator";
  Notify({executor::Connected{}, closed});
  EXPECT_EQ(core().Cluster(1, 0).agents[0].closed, "is being drained by its operator");
  Submit(Graph({Task("a").Needs(Cpu(3))}));
  EXPECT_EQ(Reason("a"), "waits for agent host of m, which is being drained by its operator");
  // Another one would do.
  Notify(Told("n", Cpu(4), Cpu(4)));
  EXPECT_EQ(Reason("a"), "waits for an offer of an agent with cpu=3 free at once");
  Offer("o1", "m", Cpu(3));
  EXPECT_THAT(Started(), ElementsAre("a"));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].closed, "");
}

TEST_F(OfferTest, WhatIsToldOfAnAgentIsBelievedRatherThanWhatItOffers) {
  Notify({executor::Connected{}, Told("m", Cpu(8), Cpu(8))});
  // Others use it, too: this much is offered.
  Offer("o1", "m", Cpu(2));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].capacity, Cpu(8));
  Submit(Graph({Task("a").Needs(Cpu(6)), Task("b").Needs(Cpu(2))}));
  Offer("o2", "m", Cpu(2));
  EXPECT_THAT(Started(), ElementsAre("b"));
  EXPECT_EQ(Reason("a"), "waits for an offer of an agent with cpu=6 free at once");
  // It has become less.
  Notify(Told("m", Cpu(4), Cpu(4)));
  EXPECT_EQ(core().Cluster(1, 0).agents[0].capacity, Cpu(4));
  EXPECT_THAT(Reason("a"), testing::HasSubstr("can never run as things are"));
}

TEST_F(OfferTest, AnAttemptCanHaveLessThanAllThatIsThere) {
  Notify({executor::Connected{}, Told("m", Cpu(5), Cpu(3))});
  EXPECT_EQ(core().Cluster(1, 0).agents[0].capacity, Cpu(5));
  EXPECT_THAT(TrySubmit(Graph({Task("a").Needs(Cpu(4))})).message(),
              testing::HasSubstr("ask for at most 3"));
}

TEST_F(OfferTest, ALeaseIsNeverDeclinedAndItsClusterNotToldWhatIsWanted) {
  Agent("m", Cpu(1));
  TakeSuppress();
  Submit(Graph(Many(2)));
  Succeeds("t0");
  Succeeds("t1");
  EXPECT_THAT(Declined(), IsEmpty());
  EXPECT_FALSE(TakeSuppress());
  EXPECT_FALSE(TakeRevive());
}

TEST_F(OfferTest, WhileTheServiceStopsAllIsDeclinedAndNothingWanted) {
  Submit(Graph(Many(2)));
  Connect();
  EXPECT_TRUE(TakeRevive());
  core().StopLaunching();
  Offer("o1", "m", Cpu(1));
  EXPECT_THAT(Declined(), ElementsAre("o1"));
  EXPECT_TRUE(TakeSuppress());
}

TEST_F(DemandTest, IsSuppressedWhileNothingWaitsAndRevivedWhenSomethingDoes) {
  Connect();
  EXPECT_TRUE(TakeSuppress()) << "nothing waits";
  Wait(absl::Seconds(1));
  EXPECT_FALSE(TakeSuppress()) << "said once";
  Submit(Graph({Task("a").Attempts(2).RetryDelay(absl::Seconds(1))}));
  EXPECT_THAT(TakeRevive(), Optional(std::string("cpu=1")));
  EXPECT_FALSE(TakeSuppress());
  Offer("o1", "m", Cpu(1));
  EXPECT_TRUE(TakeSuppress()) << "it runs, nothing else waits";
  Fails("a");
  EXPECT_FALSE(TakeRevive()) << "it waits out its back-off";
  Wait(absl::Seconds(1));
  EXPECT_TRUE(TakeRevive());
  Wait(absl::Seconds(1));
  EXPECT_FALSE(TakeRevive()) << "said once";
  EXPECT_FALSE(TakeSuppress());
}

TEST_F(DemandTest, OfDistinctConsumptionsEachIsSaidOnceAndWithoutItsPools) {
  Submit(Graph({Task("a"), Task("b"), Task("c").Needs(With(Cpu(1), "db_connections", 1)),
                Task("d").Needs(Cpu(2)), Task("e").Needs(Cpu(3)).After({"a"})}));
  Connect();
  EXPECT_THAT(TakeRevive(), Optional(std::string("cpu=1, cpu=2")));
}

TEST_F(DemandTest, WhatWaitsForAPoolWantsNothingOfAgents) {
  Submit(Graph(Many(2, With(Cpu(1), "db_connections", 1))));
  Offer("o1", "m", Cpu(1));
  EXPECT_THAT(Started(), ElementsAre("t0"));
  EXPECT_TRUE(TakeSuppress());
  TakeRevive();
  Succeeds("t0");
  EXPECT_THAT(TakeRevive(), Optional(std::string("cpu=1"))) << "its unit is free again";
}

TEST_F(DemandTest, AnEndRevivesBecauseMoreIsFreeNow) {
  Submit(Graph(Many(3)));
  Offer("o1", "m", Cpu(1));
  TakeRevive();
  Wait(absl::Seconds(1));
  EXPECT_FALSE(TakeRevive());
  Succeeds("t0");
  EXPECT_TRUE(TakeRevive());
}

TEST_F(DemandTest, RevivalsKeepTheirDistance) {
  Submit(Graph(Many(10)));
  Offer("o1", "m", Cpu(4));
  Wait(absl::Seconds(1));
  Succeeds("t0");
  EXPECT_TRUE(TakeRevive());
  Wait(absl::Milliseconds(40));
  Succeeds("t1");
  Succeeds("t2");
  EXPECT_FALSE(TakeRevive()) << "the last was a moment ago";
  EXPECT_EQ(core().NextTimer(), now().steady + absl::Milliseconds(60));
  Wait(absl::Milliseconds(60));
  EXPECT_TRUE(TakeRevive());
  EXPECT_EQ(core().NextTimer(), SteadyTime::InfiniteFuture());
  Succeeds("t3");
  Disconnect();
  EXPECT_EQ(core().NextTimer(), SteadyTime::InfiniteFuture()) << "nobody is there to hear it";
}

TEST_F(DemandTest, AfterANewConnectionItIsSaidAgain) {
  Submit(Graph(Many(1)));
  Connect();
  EXPECT_TRUE(TakeRevive());
  Disconnect();
  Connect();
  EXPECT_TRUE(TakeRevive());
}

class MaintenanceTest : public ::testing::Test, protected CoreStory {
 protected:
  // Agent m offers one core, and goes after this time.
  void Leaving(absl::Duration in) {
    if (!core().connected()) Connect();
    executor::Offer offer = MakeOffer(absl::StrCat("o", ++offers_), "m", Cpu(1));
    offer.unavailable_from = now().wall + in;
    Notify(std::move(offer));
  }
  int offers_ = 0;
};

TEST_F(MaintenanceTest, WhatMayRunLongerIsKeptOff) {
  Submit(Graph({Task("short").Timeout(absl::Minutes(10))}));
  Leaving(absl::Minutes(9));
  EXPECT_THAT(Started(), IsEmpty());
  EXPECT_EQ(Reason("short"),
            "waits for another agent: m is about to be taken away for maintenance at "
            "2023-11-14T22:22:20Z, and this is expected to run for 10m");
  EXPECT_THAT(Declined(), ElementsAre("o1"));
  Leaving(absl::Minutes(10));
  EXPECT_THAT(Started(), ElementsAre("short"));
}

TEST_F(MaintenanceTest, WithoutALimitATaskIsTakenToRunForAnHour) {
  Submit(Graph({Task("a")}));
  Leaving(absl::Minutes(59));
  EXPECT_THAT(Started(), IsEmpty());
  Leaving(absl::Hours(1));
  EXPECT_THAT(Started(), ElementsAre("a"));
}

TEST_F(MaintenanceTest, WhatIsKnownToBeShortGoesThere) {
  Submit(Graph(Many(3)));
  Offer("first", "n", Cpu(1));
  Succeeds("t0", absl::Minutes(1));
  Started();
  Leaving(absl::Minutes(1));
  EXPECT_THAT(Started(), IsEmpty()) << "half of them may run longer";
  Leaving(absl::Minutes(2));
  EXPECT_THAT(Started(), ElementsAre("t1"));
}

TEST_F(MaintenanceTest, WhatIsExpectedToTakeLongIsKeptOffAndShorterTasksGoThere) {
  Submit(Graph({Task("learned")}));
  Offer("first", "n", Cpu(1));
  Succeeds("learned", absl::Seconds(10));
  Started();
  Submit(Graph({Task("long").Expected(absl::Hours(2)).Priority(1),
                Task("longer").Expected(absl::Hours(3)).Priority(1), Task("short")}));
  Leaving(absl::Minutes(30));
  EXPECT_THAT(Started(), ElementsAre("short"));
  Leaving(absl::Hours(3));
  EXPECT_THAT(Started(), ElementsAre("longer"));
}

TEST_F(MaintenanceTest, TheSameOfATaskThatIsAdded) {
  Submit(Graph({Task("learned")}).Open());
  Offer("first", "n", Cpu(1));
  Succeeds("learned", absl::Seconds(10));
  Started();
  ASSERT_TRUE(Add(Task("long").Expected(absl::Hours(2)).Priority(1)).ok());
  ASSERT_TRUE(Add(Task("short")).ok());
  Leaving(absl::Minutes(30));
  EXPECT_THAT(Started(), ElementsAre("short"));
}

TEST_F(MaintenanceTest, TimePassesAndPlansMayChange) {
  Agent("n", Cpu(1));
  Submit(Graph(Many(3, Cpu(1))));
  EXPECT_THAT(Started(), ElementsAre("t0"));
  executor::Offer lease = MakeOffer("lease of m", "m", Cpu(1));
  lease.lease = true;
  lease.unavailable_from = now().wall + absl::Minutes(90);
  Notify(lease);
  EXPECT_THAT(Started(), ElementsAre("t1"));
  Wait(absl::Minutes(31));
  Ends("t1", Outcome::kRefused);
  EXPECT_THAT(Started(), IsEmpty()) << "59 minutes are left";
  lease.unavailable_from = absl::InfiniteFuture();
  Notify(lease);
  EXPECT_THAT(Started(), ElementsAre("t1"));
}

class HostTest : public ::testing::Test, protected CoreStory {
 protected:
  HostSnapshot Host() { return core().Cluster(1, 0).agents.at(0).host.value(); }
};

TEST_F(HostTest, WhatAnAgentSaysOfItselfIsShown) {
  executor::Offer offer = MakeOffer("o1", "m", Cpu(1));
  offer.attributes = {{"rack", "b3"}};
  offer.unavailable_from = now().wall + absl::Hours(1);
  executor::HostReport stranger;
  stranger.agent = "never seen";
  Notify({executor::Connected{}, offer, stranger});
  const AgentSnapshot agent = core().Cluster(1, 0).agents.at(0);
  EXPECT_THAT(agent.attributes, ElementsAre(testing::Pair("rack", "b3")));
  EXPECT_EQ(agent.unavailable_from, now().wall + absl::Hours(1));
  EXPECT_FALSE(agent.host);
}

TEST_F(HostTest, RatesAreOverTheTimeBetweenTheLastTwoReports) {
  Offer("o1", "m", Cpu(1));
  executor::HostReport report;
  report.agent = "m";
  report.time = now().wall;
  report.load = 1.5;
  report.cpu_user = absl::Seconds(100);
  report.cpu_idle = absl::Seconds(900);
  report.received_bytes = 1000;
  report.sent_bytes = 5000;
  Notify(report);
  EXPECT_EQ(Host().report.load, 1.5);
  EXPECT_FALSE(Host().cpu_busy || Host().received_per_second || Host().sent_per_second);
  report.time += absl::Seconds(10);
  report.cpu_system += absl::Seconds(10);
  report.cpu_wait += absl::Seconds(30);
  report.received_bytes += 200;
  Notify(report);
  EXPECT_EQ(Host().cpu_busy, 0.25);
  EXPECT_EQ(Host().received_per_second, 20);
  EXPECT_EQ(Host().sent_per_second, 0);
  report.time += absl::Seconds(10);
  report.sent_bytes = 0;
  Notify(report);
  EXPECT_FALSE(Host().cpu_busy) << "the host was started anew";
}

}  // namespace
}  // namespace kartograph::scheduler
