#include "executor/mesos/framework/open_offers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdint>
#include <optional>
#include <string>

#include "base/testing/manual_clock.h"

namespace kartograph::executor::mesos {
namespace {

namespace v1 = kartograph::mesos;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using ::testing::ElementsAre;
using ::testing::Pair;

ResourceVector Cpu(int64_t milli) { return {{Resource::Cpu(), Quantity::FromMilli(milli)}}; }

v1::Offer MakeOffer(const std::string& id, const std::string& agent, double cpus,
                    const std::string& role = "kg") {
  v1::Offer offer;
  offer.mutable_id()->set_value(id);
  offer.mutable_agent_id()->set_value(agent);
  offer.set_hostname("host-" + agent);
  offer.mutable_allocation_info()->set_role(role);
  v1::Resource* resource = offer.add_resources();
  resource->set_name("cpus");
  resource->set_type(v1::Value::SCALAR);
  resource->mutable_scalar()->set_value(cpus);
  resource->mutable_allocation_info()->set_role(role);
  return offer;
}

class OpenOffersTest : public ::testing::Test {
 protected:
  OpenOffersTest()
      : executors_({"", "/opt/kartograph-executor", {}, Cpu(500)}, [] { return "s"; }),
        offers_({{"kg", "other"}, OfferedResources::Revocable::kIgnored, &clock_}, &executors_) {
    executors_.SetFramework("f-1");
  }

  testing::ManualClock clock_;
  Executors executors_;
  OpenOffers offers_;
};

TEST_F(OpenOffersTest, AgentsOfFurtherRolesHaveThemInTheirIds) {
  const std::vector<std::string> roles = {"kg", "other"};
  for (const AgentKey& key : {AgentKey{"a1", "kg"}, AgentKey{"a1", "other"}}) {
    const AgentKey back = ToAgentKey(ToAgentId(key, roles), roles);
    EXPECT_EQ(back.agent, key.agent);
    EXPECT_EQ(back.role, key.role);
  }
  EXPECT_EQ(ToAgentId({"a1", "kg"}, roles), "a1");
  EXPECT_EQ(ToAgentId({"a1", "other"}, roles), "a1@other");
}

TEST_F(OpenOffersTest, AnIdThatComesTwiceIsOneOffer) {
  offers_.Add(MakeOffer("o1", "a1", 4));
  offers_.Add(MakeOffer("o1", "a1", 2));
  EXPECT_EQ(offers_.size(), 1u);
  std::optional<OpenOffers::Taken> taken = offers_.Take("a1");
  ASSERT_TRUE(taken.has_value());
  EXPECT_THAT(taken->ids, ElementsAre("o1"));
  EXPECT_EQ(taken->resources.available(), Cpu(2000));
  // From another agent, too.
  offers_.Add(MakeOffer("o2", "a1", 4));
  offers_.Add(MakeOffer("o2", "a2", 4));
  EXPECT_FALSE(offers_.Take("a1").has_value());
  EXPECT_TRUE(offers_.Take("a2").has_value());
  EXPECT_EQ(offers_.size(), 0u);
}

TEST_F(OpenOffersTest, TextOfAnOfferIsUtf8) {
  v1::Offer offer = MakeOffer("o1", "a1", 4);
  offer.set_hostname("h\xFF");
  offer.add_attributes()->set_name("\xFE");
  offer.mutable_attributes(0)->set_type(v1::Value::TEXT);
  offer.mutable_attributes(0)->mutable_text()->set_value("caf\xE9");
  const Offer added = offers_.Add(offer);
  EXPECT_EQ(added.agent_name, "h\xEF\xBF\xBD");
  EXPECT_THAT(added.attributes, ElementsAre(Pair("mesos_id", "a1"), Pair("mesos_role", "kg"),
                                            Pair("\xEF\xBF\xBD", "caf\xEF\xBF\xBD")));
}

TEST_F(OpenOffersTest, MaintenanceThatLiesBeyondAllClocksIsNone) {
  v1::Offer offer = MakeOffer("o1", "a1", 4);
  const auto from = [&](int64_t nanos) {
    offer.mutable_unavailability()->mutable_start()->set_nanoseconds(nanos);
    return offers_.Add(offer).unavailable_from;
  };
  EXPECT_EQ(from(1700000000000000000), absl::FromUnixSeconds(1700000000));
  EXPECT_EQ(from(INT64_MIN), absl::UnixEpoch());
  EXPECT_EQ(from(INT64_MAX), absl::InfiniteFuture());
}

TEST_F(OpenOffersTest, MaintenanceCountsUntilItsWindowIsOver) {
  const absl::Time now = clock_.WallNow();
  const auto add = [&](absl::Time start, std::optional<absl::Duration> length) {
    v1::Offer offer = MakeOffer("o1", "a1", 4);
    offer.mutable_unavailability()->mutable_start()->set_nanoseconds(absl::ToUnixNanos(start));
    if (length) {
      offer.mutable_unavailability()->mutable_duration()->set_nanoseconds(
          absl::ToInt64Nanoseconds(*length));
    }
    const Offer added = offers_.Add(offer);
    EXPECT_EQ(offers_.IsLeaving("o1"), added.unavailable_from != absl::InfiniteFuture());
    return added.unavailable_from;
  };
  const absl::Time before = now - absl::Hours(1);
  EXPECT_EQ(add(before, std::nullopt), before) << "has no end";
  EXPECT_EQ(add(before, absl::Hours(2)), before) << "is under way";
  EXPECT_EQ(add(before, absl::Hours(1)), absl::InfiniteFuture()) << "is over";
  EXPECT_EQ(add(before, -absl::Hours(1)), absl::InfiniteFuture());
  EXPECT_EQ(add(now + absl::Hours(1), absl::Hours(1)), now + absl::Hours(1));
  EXPECT_EQ(add(now + absl::Hours(1), absl::InfiniteDuration()), now + absl::Hours(1));
  EXPECT_FALSE(offers_.IsLeaving("o2"));
}

TEST_F(OpenOffersTest, IsToldWithoutWhatTheExecutorNeeds) {
  v1::Offer offer = MakeOffer("o1", "a1", 4);
  v1::Attribute* rack = offer.add_attributes();
  rack->set_name("rack");
  rack->set_type(v1::Value::TEXT);
  rack->mutable_text()->set_value("r3");
  v1::Attribute* disks = offer.add_attributes();
  disks->set_name("disks");
  disks->set_type(v1::Value::SET);
  disks->mutable_set()->add_item("hdd");
  disks->mutable_set()->add_item("ssd");
  v1::Attribute* ports = offer.add_attributes();
  ports->set_name("ports");
  ports->set_type(v1::Value::RANGES);
  ports->mutable_ranges()->add_range()->set_begin(1);
  ports->mutable_ranges()->mutable_range(0)->set_end(9);
  v1::Attribute* slots = offer.add_attributes();
  slots->set_name("slots");
  slots->set_type(v1::Value::SCALAR);
  slots->mutable_scalar()->set_value(2.5);
  offer.mutable_unavailability()->mutable_start()->set_nanoseconds(7);
  const Offer added = offers_.Add(offer);
  EXPECT_EQ(added.id, "o1");
  EXPECT_EQ(added.agent, "a1");
  EXPECT_EQ(added.agent_name, "host-a1");
  EXPECT_EQ(added.resources, Cpu(3500));
  EXPECT_THAT(added.attributes, ElementsAre(Pair("disks", "hdd,ssd"), Pair("mesos_id", "a1"),
                                            Pair("mesos_role", "kg"), Pair("ports", "1-9"),
                                            Pair("rack", "r3"), Pair("slots", "2.5")));
  EXPECT_EQ(added.unavailable_from, absl::FromUnixNanos(7));
}

TEST_F(OpenOffersTest, TheExecutorIsKeptOutOfOneOfAnAgentsOffers) {
  EXPECT_EQ(offers_.Add(MakeOffer("o1", "a1", 2)).resources, Cpu(1500));
  EXPECT_EQ(offers_.Add(MakeOffer("o2", "a1", 2)).resources, Cpu(2000));
  EXPECT_EQ(offers_.Add(MakeOffer("o3", "a2", 2)).resources, Cpu(1500));
  EXPECT_EQ(offers_.Add(MakeOffer("o4", "a1", 2, "other")).resources, Cpu(1500));
  // The one that was to pay is gone: the next pays.
  EXPECT_TRUE(offers_.Remove("o1"));
  EXPECT_EQ(offers_.Add(MakeOffer("o5", "a1", 2)).resources, Cpu(1500));
}

TEST_F(OpenOffersTest, TooLittleForTheExecutorIsNothing) {
  EXPECT_TRUE(offers_.Add(MakeOffer("o1", "a1", 0.4)).resources.empty());
  EXPECT_EQ(offers_.Add(MakeOffer("o2", "a1", 2)).resources, Cpu(1500));
  const auto taken = offers_.Take("a1");
  ASSERT_TRUE(taken.has_value());
  EXPECT_EQ(taken->resources.available(), Cpu(2400));
}

TEST_F(OpenOffersTest, WhereAnExecutorRunsAllIsThere) {
  const v1::ExecutorInfo executor = executors_.New({}, "kg");
  v1::Offer offer = MakeOffer("o1", "a1", 2);
  *offer.add_executor_ids() = executor.executor_id();
  EXPECT_EQ(offers_.Add(offer).resources, Cpu(2000));
  const auto taken = offers_.Take("a1");
  ASSERT_TRUE(taken.has_value());
  ASSERT_NE(taken->executor, nullptr);
  EXPECT_EQ(taken->executor->executor_id().value(), executor.executor_id().value());
}

TEST_F(OpenOffersTest, AllOffersOfAnAgentAreTakenTogether) {
  offers_.Add(MakeOffer("o1", "a1", 1));
  offers_.Add(MakeOffer("o2", "a2", 1));
  offers_.Add(MakeOffer("o3", "a1", 2));
  offers_.Add(MakeOffer("o4", "a1", 2, "other"));
  const auto taken = offers_.Take("a1");
  ASSERT_TRUE(taken.has_value());
  EXPECT_THAT(taken->ids, ElementsAre("o1", "o3"));
  EXPECT_EQ(taken->key.agent, "a1");
  EXPECT_EQ(taken->key.role, "kg");
  EXPECT_EQ(taken->resources.available(), Cpu(3000));
  EXPECT_EQ(taken->executor, nullptr);
  EXPECT_FALSE(offers_.Take("a1").has_value());
  EXPECT_EQ(offers_.Take("a1@other")->key.role, "other");
  EXPECT_EQ(offers_.size(), 1u);
}

TEST_F(OpenOffersTest, WhatIsRemovedIsNotTaken) {
  offers_.Add(MakeOffer("o1", "a1", 1));
  offers_.Add(MakeOffer("o2", "a1", 1));
  EXPECT_TRUE(offers_.Remove("o1"));
  EXPECT_FALSE(offers_.Remove("o1"));
  EXPECT_THAT(offers_.Take("a1")->ids, ElementsAre("o2"));
  offers_.Add(MakeOffer("o3", "a1", 1));
  offers_.Clear();
  EXPECT_FALSE(offers_.Take("a1").has_value());
  EXPECT_EQ(offers_.size(), 0u);
}

}  // namespace
}  // namespace kartograph::executor::mesos
