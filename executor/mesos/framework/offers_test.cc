// How offers reach the scheduler, and what becomes of those it does not want.
#include <gmock/gmock.h>

#include <set>

#include "absl/time/clock.h"
#include "executor/mesos/framework/testing/framework_fixture.h"

namespace kartograph::stand_in {
namespace {

using executor::AgentCapacity;
using executor::Connected;
using executor::Launch;
using executor::Offer;
using executor::OfferRescinded;
using planner::Outcome;
using testing::ElementsAre;
using testing::Pair;

using OffersTest = FrameworkTest;

TEST_F(OffersTest, AnAgentIsToldWithWhatItSaysOfItself) {
  settings_.agents[0].hostname = "node-1";
  settings_.agents[0].attributes = "zone:b;rack:r3;slots:2";
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  EXPECT_EQ(offer.agent_name, "node-1");
  EXPECT_THAT(offer.attributes,
              ElementsAre(Pair("mesos_id", offer.agent), Pair("mesos_role", "*"),
                          Pair("rack", "r3"), Pair("slots", "2"), Pair("zone", "b")));
  EXPECT_EQ(offer.unavailable_from, absl::InfiniteFuture());
  EXPECT_FALSE(offer.lease);
  mesos().Inspect([&](const Master& master) {
    EXPECT_EQ(offer.agent, master.all_agents()[0]->id());
    EXPECT_EQ(master.offers().count(offer.id), 1u);
  });
}

TEST_F(OffersTest, MaintenanceIsToldWithTheOffer) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  const absl::Time before = absl::Now();
  Control("/agent/0/drain?in_ms=3600000");
  EXPECT_EQ(kartograph().Await<OfferRescinded>().id, offer.id);
  const absl::Time from = kartograph().AwaitOffer().unavailable_from;
  EXPECT_GE(from, before + absl::Hours(1));
  EXPECT_LE(from, absl::Now() + absl::Hours(1));
}

TEST_F(OffersTest, AnAgentIsUsedAgainSoonAfterItsMaintenanceWasTakenBack) {
  options_.refuse_leaving_for = absl::Milliseconds(50);
  StartAll();
  kartograph().AwaitOffer();
  Control("/agent/0/drain?in_ms=3600000");
  const Offer leaving = kartograph().Await<Offer>(
      [](const Offer& offer) { return offer.unavailable_from != absl::InfiniteFuture(); });
  kartograph().cluster().offers()->Decline({leaving.id});
  AwaitCalls("DECLINE", 1);
  Control("/agent/0/undrain");
  // Nobody revives: what was refused comes by itself.
  kartograph().Await<Offer>([&](const Offer& offer) {
    return offer.agent == leaving.agent && offer.unavailable_from == absl::InfiniteFuture();
  });
}

TEST_F(OffersTest, AnAgentWhoseMaintenanceIsOverIsAnOrdinaryOne) {
  StartAll();
  kartograph().AwaitOffer();
  Control("/agent/0/drain?in_ms=-2000&for_ms=1000");
  EXPECT_EQ(kartograph().AwaitOffer().unavailable_from, absl::InfiniteFuture());
}

TEST_F(OffersTest, TheExecutorIsKeptOutOfAnAgentOnceAndOnlyWhereNoneRuns) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  EXPECT_EQ(offer.resources, CpuAndRam(3.5, 4096 - 64));
  const Launch launch = LaunchOn(offer.agent, "quick", 0);
  kartograph().cluster().Execute({launch});
  kartograph().AwaitEnd(launch.attempt);
  // The rest comes at once, what the attempt had later.
  Control("/rescind");
  kartograph().Await<Offer>(
      [](const Offer& later) { return later.resources == CpuAndRam(3.5, 4096 - 64); });
  mesos().Inspect([](const Master& master) {
    EXPECT_EQ(master.agents().begin()->second.executors.size(), 1u);
  });
}

TEST_F(OffersTest, WhatAgentsHaveIsToldWhetherTheyOfferItOrNot) {
  options_.roles = {"kg"};
  settings_.agents = {
      {"node-1", "cpus:2;mem:1024;cpus(kg):1;cpus(other):4;mem(other):512;cpus{REV}:9", "rack:r3"}};
  StartAll();
  const AgentCapacity first = kartograph().Await<AgentCapacity>();
  EXPECT_EQ(first.agent, kartograph().AwaitOffer().agent);
  EXPECT_EQ(first.agent_name, "node-1");
  EXPECT_EQ(first.resources, CpuAndRam(2.5, 1024 - 64)) << "others' reservations are theirs";
  EXPECT_EQ(first.for_one_attempt, first.resources);
  EXPECT_THAT(first.attributes, ElementsAre(Pair("mesos_id", first.agent), Pair("mesos_role", "kg"),
                                            Pair("rack", "r3")));
  kartograph().cluster().offers()->Suppress();
  AwaitCalls("SUPPRESS", 1);
  // Nothing has changed when it is asked again, but after a new connection all counts as new.
  Control("/close");
  kartograph().Await<Connected>();
  EXPECT_EQ(kartograph().Await<AgentCapacity>().agent, first.agent);
  Control("/add_agent?resources=cpus:8;mem:2048");
  kartograph().cluster().offers()->Revive({CpuAndRam(4, 1024)});
  EXPECT_EQ(kartograph().Await<AgentCapacity>().resources, CpuAndRam(7.5, 2048 - 64))
      << "an agent that was not known is asked about";
  EXPECT_FALSE(kartograph().Has<AgentCapacity>());
}

TEST_F(OffersTest, AnAttemptIsToldToHaveOneKindOfAnAgentsResources) {
  options_.revocable = true;
  settings_.agents[0].resources = "cpus:2;mem:1024;cpus{REV}:3";
  StartAll();
  const AgentCapacity capacity = kartograph().Await<AgentCapacity>();
  EXPECT_EQ(capacity.resources, CpuAndRam(4.5, 1024 - 64));
  EXPECT_EQ(capacity.for_one_attempt, CpuAndRam(2.5, 1024 - 64));
}

TEST_F(OffersTest, AMasterThatDoesNotSayWhatAgentsThereAreIsWorkedWith) {
  StartMesos();
  Control("/hide_agents?on=1");
  StartKartograph();
  const Launch launch = LaunchOn(kartograph().AwaitOffer().agent, "quick", 0);
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
  EXPECT_FALSE(kartograph().Has<AgentCapacity>());
}

TEST_F(OffersTest, AgentsWithGpusOfferWhileATaskWaitsForOne) {
  settings_.agents = {{"gpu", "cpus:4;mem:1024;gpus:2", ""}, {"plain", "cpus:4;mem:1024", ""}};
  StartAll();
  planner::ResourceVector need = CpuAndRam(1, 64);
  need.Set(planner::Resource::Named("gpus"), planner::Quantity::Of(2));
  kartograph().Await<AgentCapacity>(
      [&](const AgentCapacity& capacity) { return need.FitsIn(capacity.for_one_attempt); });
  EXPECT_EQ(kartograph().AwaitOffer().agent_name, "plain");
  EXPECT_FALSE(kartograph().Has<Offer>());
  kartograph().cluster().offers()->Revive({need});
  const Offer offer = kartograph().AwaitOffer();
  EXPECT_EQ(offer.agent_name, "gpu");
  Launch launch = LaunchOn(offer.agent, "quick", 0);
  launch.consumption = need;
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
  // And without one they are left to others.
  Control("/rescind");
  kartograph().cluster().offers()->Revive({CpuAndRam(1, 64)});
  AwaitMesos([](const Master& master) {
    for (const auto& capability : master.frameworks().begin()->second.info.capabilities()) {
      if (capability.type() == mesos::FrameworkInfo::Capability::GPU_RESOURCES) return false;
    }
    return true;
  });
}

TEST_F(OffersTest, AnAgentWithTooLittleForTheExecutorHasNothing) {
  settings_.agents = {
      {"ram", "mem:4096", ""}, {"cpu", "cpus:4", ""}, {"both", "cpus:4;mem:64", ""}};
  StartAll();
  for (const bool empty : {true, true, false}) {
    const std::string name = empty ? "" : "both";
    const Offer offer = kartograph().Await<Offer>([&](const Offer& offer) {
      return empty ? offer.agent_name != "both" : offer.agent_name == "both";
    });
    EXPECT_EQ(offer.resources.empty(), empty) << offer.resources.ToString();
  }
}

TEST_F(OffersTest, ARescindedOfferIsTold) {
  settings_.allocation_interval = absl::Hours(1);
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  Control("/rescind");
  EXPECT_EQ(kartograph().Await<OfferRescinded>().id, offer.id);
  const Launch launch = LaunchOn(offer.agent, "quick", 0);
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kRefused);
  EXPECT_EQ(mesos().counters().calls["ACCEPT"], 0);
}

TEST_F(OffersTest, AnOfferTakenBackUnheardIsRefused) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  Control("/silence?on=1");
  Control("/rescind");
  Control("/silence?on=0");
  const Launch launch = LaunchOn(offer.agent, "quick", 0);
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kRefused);
}

TEST_F(OffersTest, ADeclinedOfferStaysAwayUntilItIsRevived) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  kartograph().cluster().offers()->Decline({offer.id, "unknown"});
  AwaitCalls("DECLINE", 1);
  // Where the new agent is offered, the first would be as well.
  Control("/add_agent?resources=cpus:2;mem:1024");
  EXPECT_NE(kartograph().AwaitOffer().agent, offer.agent);
  EXPECT_FALSE(kartograph().Has<Offer>());
  kartograph().cluster().offers()->Revive({CpuAndRam(1, 128)});
  EXPECT_EQ(kartograph().AwaitOffer().agent, offer.agent);
}

TEST_F(OffersTest, NothingIsOfferedWhileNothingIsWanted) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  kartograph().cluster().offers()->Suppress();
  AwaitCalls("SUPPRESS", 1);
  Control("/rescind");
  kartograph().Await<OfferRescinded>();
  Control("/add_agent?resources=cpus:2;mem:1024");
  EXPECT_FALSE(kartograph().Has<Offer>());
  kartograph().cluster().offers()->Revive({});
  const std::set<std::string> agents = {kartograph().AwaitOffer().agent,
                                        kartograph().AwaitOffer().agent};
  EXPECT_EQ(agents.size(), 2u);
}

TEST_F(OffersTest, OffersAreFilteredByWhatWaits) {
  settings_.agents = {{"small", "cpus:1;mem:1024", ""}, {"large", "cpus:8;mem:8192", ""}};
  StartAll();
  kartograph().AwaitOffer();
  kartograph().AwaitOffer();
  kartograph().cluster().offers()->Revive({CpuAndRam(4, 2048)});
  AwaitCalls("REVIVE", 1);
  mesos().Inspect([](const Master& master) {
    const auto& filters = master.frameworks().begin()->second.info.offer_filters();
    ASSERT_EQ(filters.count("*"), 1u);
    const auto& wanted = filters.at("*").min_allocatable_resources();
    ASSERT_EQ(wanted.quantities_size(), 1);
    EXPECT_EQ(wanted.quantities(0).quantities().at("cpus").value(), 4);
    EXPECT_EQ(wanted.quantities(0).quantities().at("mem").value(), 2048);
  });
  Control("/rescind");
  EXPECT_EQ(kartograph().AwaitOffer().agent_name, "large");
  EXPECT_FALSE(kartograph().Has<Offer>());
  // The filters are there again with the next connection.
  Control("/close");
  kartograph().Await<Connected>();
  EXPECT_EQ(kartograph().AwaitOffer().agent_name, "large");
  EXPECT_FALSE(kartograph().Has<Offer>());
  // Too much to be capacity apart: whatever there is.
  std::vector<planner::ResourceVector> much;
  for (int i = 1; i <= 100; ++i) much.push_back(CpuAndRam(1, i));
  kartograph().cluster().offers()->Revive(much);
  EXPECT_EQ(kartograph().AwaitOffer().agent_name, "small");
}

TEST_F(OffersTest, OffersAreVoidAfterADisconnection) {
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  Control("/close");
  kartograph().Await<Connected>();
  EXPECT_NE(kartograph().AwaitOffer().id, offer.id);
  kartograph().cluster().offers()->Decline({offer.id});
  kartograph().cluster().offers()->Suppress();
  AwaitCalls("SUPPRESS", 1);
  EXPECT_EQ(mesos().counters().calls["DECLINE"], 0);
}

TEST_F(OffersTest, RolesSeeAnAgentAsSeveral) {
  options_.roles = {"kg", "other"};
  settings_.agents[0].resources = "cpus(kg):2;mem(kg):1024;cpus(other):3;mem(other):2048";
  StartAll();
  const std::string id = kartograph()
                             .Await<Offer>([](const Offer& offer) {
                               return offer.resources == CpuAndRam(1.5, 1024 - 64);
                             })
                             .agent;
  const std::string other = kartograph()
                                .Await<Offer>([](const Offer& offer) {
                                  return offer.resources == CpuAndRam(2.5, 2048 - 64);
                                })
                                .agent;
  EXPECT_EQ(other, id + "@other");
  const Launch one = LaunchOn(id, "quick", 0);
  const Launch two = LaunchOn(other, "quick", 1);
  kartograph().cluster().Execute({one, two});
  EXPECT_EQ(kartograph().AwaitEnd(one.attempt).agent, id);
  const executor::AttemptUpdate end = kartograph().AwaitEnd(two.attempt);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded);
  EXPECT_EQ(end.agent, other);
}

TEST_F(OffersTest, ReservedAndFreeResourcesAreUsedTogether) {
  options_.roles = {"kg"};
  settings_.agents[0].resources = "cpus(kg):1;mem(kg):256;cpus:1;mem:256";
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  EXPECT_EQ(offer.resources, CpuAndRam(1.5, 512 - 64));
  Launch launch = LaunchOn(offer.agent, "quick", 0);
  launch.consumption = CpuAndRam(1.5, 448);
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
}

TEST_F(OffersTest, RevocableResourcesAreLeftUnlessTheyAreWanted) {
  settings_.agents[0].resources = "cpus:2;mem:1024;cpus{REV}:2";
  StartAll();
  EXPECT_EQ(kartograph().AwaitOffer().resources, CpuAndRam(1.5, 1024 - 64));
}

TEST_F(OffersTest, RevocableResourcesAreUsedOnRequest) {
  settings_.agents[0].resources = "mem:1024;cpus{REV}:3";
  options_.revocable = true;
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  EXPECT_EQ(offer.resources, CpuAndRam(2.5, 1024 - 64));
  Launch launch = LaunchOn(offer.agent, "quick", 0);
  launch.consumption = CpuAndRam(2, 128);
  kartograph().cluster().Execute({launch});
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
}

TEST_F(OffersTest, RevocableAndOtherResourcesOfAnAgentAreUsedOneAfterTheOther) {
  settings_.agents[0].resources = "cpus:2;mem:1024;cpus{REV}:3";
  options_.revocable = true;
  StartAll();
  const Offer offer = kartograph().AwaitOffer();
  EXPECT_EQ(offer.resources, CpuAndRam(2.5, 1024 - 64)) << "of each name one kind";
  Launch revocable = LaunchOn(offer.agent, "forever", 0);
  revocable.consumption = CpuAndRam(2.5, 128);
  kartograph().cluster().Execute({revocable});
  kartograph().AwaitRunning(revocable.attempt);
  // An executor on the other kind is started beside the first.
  EXPECT_EQ(kartograph().AwaitOffer().resources, CpuAndRam(1.5, 1024 - 64 - 128 - 64));
  Launch firm = LaunchOn(offer.agent, "forever", 1);
  firm.consumption = CpuAndRam(1.5, 128);
  kartograph().cluster().Execute({firm});
  kartograph().AwaitRunning(firm.attempt);
  mesos().Inspect([](const Master& master) {
    EXPECT_EQ(master.agents().begin()->second.executors.size(), 2u);
  });
  // With both there, neither is started again.
  kartograph().cluster().Cancel(revocable.attempt, offer.agent, absl::ZeroDuration());
  kartograph().AwaitEnd(revocable.attempt);
  kartograph().cluster().Acknowledge({revocable.attempt});
  // What memory is free besides may be in an offer of its own.
  const Offer freed = kartograph().Await<Offer>([](const Offer& offer) {
    return offer.resources.Get(planner::Resource::Cpu()) > planner::Quantity::FromMilli(1500);
  });
  EXPECT_EQ(freed.resources.Get(planner::Resource::Cpu()), planner::Quantity::FromMilli(2500));
}

}  // namespace
}  // namespace kartograph::stand_in
