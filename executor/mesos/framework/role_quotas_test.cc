#include "executor/mesos/framework/role_quotas.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::executor::mesos {
namespace {

using kartograph::mesos::MasterResponse;
using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;

ResourceVector Needs(double cpu, int64_t mib) {
  return {{Resource::Cpu(), *Quantity::FromUnits(cpu)}, {Resource::Ram(), Quantity::Of(mib << 20)}};
}

class RoleQuotasTest : public ::testing::Test {
 protected:
  void Limit(const std::string& role, const std::string& name, double value) {
    kartograph::mesos::QuotaConfig* config = nullptr;
    for (auto& known : *quota_.mutable_status()->mutable_configs()) {
      if (known.role() == role) config = &known;
    }
    if (config == nullptr) config = quota_.mutable_status()->add_configs();
    config->set_role(role);
    (*config->mutable_limits())[name].set_value(value);
  }
  void Allocated(const std::string& role, const std::string& name, double value) {
    kartograph::mesos::Role* told = roles_.add_roles();
    told->set_name(role);
    kartograph::mesos::Resource* resource = told->add_resources();
    resource->set_name(name);
    resource->set_type(kartograph::mesos::Value::SCALAR);
    resource->mutable_scalar()->set_value(value);
  }
  std::string Why(const std::string& role, const std::vector<ResourceVector>& wanted) {
    RoleQuotas quotas({"team1", "org/maps/tiles"});
    quotas.Set(quota_, roles_);
    return quotas.WhyHeldBack(role, wanted);
  }

  MasterResponse::GetQuota quota_;
  MasterResponse::GetRoles roles_;
};

TEST_F(RoleQuotasTest, SaysWhatIsShort) {
  Limit("team1", "cpus", 4);
  Limit("team1", "mem", 1024);
  Allocated("team1", "cpus", 3.5);
  Allocated("team1", "mem", 512);
  EXPECT_EQ(Why("team1", {Needs(0.5, 512)}), "");
  EXPECT_EQ(Why("team1", {Needs(0.1, 1), Needs(2, 1), Needs(1, 1)}),
            "is held back by the quota of role \"team1\": cpu=3.5 of cpu=4 is allocated, cpu=1 is "
            "waited for");
  EXPECT_EQ(Why("team1", {Needs(1, 600)}),
            "is held back by the quota of role \"team1\": cpu=3.5 of cpu=4 is allocated, cpu=1 is "
            "waited for; ram=512MiB of ram=1GiB is allocated, ram=600MiB is waited for");
  EXPECT_EQ(Why("team1", {}), "");
}

TEST_F(RoleQuotasTest, AQuotaOfNothingIsOne) {
  Limit("team1", "cpus", 0);
  EXPECT_EQ(Why("team1", {Needs(1, 1)}),
            "is held back by the quota of role \"team1\": cpu=0 of cpu=0 is allocated, cpu=1 is "
            "waited for");
}

TEST_F(RoleQuotasTest, OfARoleAboveItHoldsForAllBelowTogether) {
  Limit("org", "cpus", 10);
  Allocated("org/maps/tiles", "cpus", 2);
  Allocated("org/other", "cpus", 7);
  Allocated("organ", "cpus", 7);
  EXPECT_EQ(Why("org/maps/tiles", {Needs(1, 1)}), "");
  EXPECT_THAT(Why("org/maps/tiles", {Needs(2, 1)}),
              testing::HasSubstr("role \"org\": cpu=9 of cpu=10"));
}

TEST_F(RoleQuotasTest, WhatARoleAboveHasIncludesWhatThoseBelowHave) {
  Limit("org", "cpus", 10);
  Allocated("org", "cpus", 5);
  Allocated("org/maps/tiles", "cpus", 5);
  EXPECT_EQ(Why("org/maps/tiles", {Needs(5, 1)}), "");
  EXPECT_THAT(Why("org/maps/tiles", {Needs(6, 1)}),
              testing::HasSubstr("role \"org\": cpu=5 of cpu=10"));
}

TEST_F(RoleQuotasTest, OtherRolesDoNotMatter) {
  Limit("team2", "cpus", 1);
  RoleQuotas quotas({"team1"});
  quotas.Set(quota_, roles_);
  EXPECT_FALSE(quotas.any());
  EXPECT_EQ(quotas.WhyHeldBack("team1", {Needs(2, 1)}), "");
}

}  // namespace
}  // namespace kartograph::executor::mesos
