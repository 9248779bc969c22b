#include "service/roles_as_one.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::service {
namespace {

using planner::Quantity;
using planner::Resource;
using scheduler::AgentSnapshot;
using testing::Contains;
using testing::Pair;

AgentSnapshot Agent(const std::string& id, const std::string& role, double cpu, double used) {
  AgentSnapshot agent;
  agent.agent = id + "@" + role;
  agent.name = id;
  agent.connected = true;
  agent.capacity.Set(Resource::Cpu(), *Quantity::FromUnits(cpu));
  agent.used.Set(Resource::Cpu(), *Quantity::FromUnits(used));
  agent.attempts = 1;
  if (!role.empty()) agent.attributes = {{"mesos_id", id}, {"mesos_role", role}, {"rack", "b3"}};
  return agent;
}

TEST(RolesAsOneTest, AnAgentOfSeveralRolesIsShownOnce) {
  scheduler::ClusterSnapshot cluster;
  cluster.agents = {Agent("a", "team1", 4, 1), Agent("b", "team1", 4, 0),
                    Agent("a", "team2", 6, 2)};
  cluster.agents[2].closed = "is held back";
  cluster.agents[2].failure = "no disk";
  cluster.agent_count = 3;
  ShowRolesAsOne(&cluster);
  ASSERT_EQ(cluster.agents.size(), 2);
  EXPECT_EQ(cluster.agent_count, 2);
  const AgentSnapshot& both = cluster.agents[0];
  EXPECT_EQ(both.capacity.Get(Resource::Cpu()), Quantity::Of(6));
  EXPECT_EQ(both.used.Get(Resource::Cpu()), Quantity::Of(3));
  EXPECT_EQ(both.attempts, 2);
  EXPECT_EQ(both.attributes.size(), 3);
  EXPECT_THAT(both.attributes, Contains(Pair("mesos_role", "team1, team2")));
  EXPECT_EQ(both.failure, "no disk");
  EXPECT_EQ(both.closed, "") << "team1 can use it";
  EXPECT_THAT(cluster.agents[1].attributes, Contains(Pair("mesos_role", "team1")));
}

TEST(RolesAsOneTest, WhatNoRoleCanUseIsClosed) {
  scheduler::ClusterSnapshot cluster;
  for (const char* role : {"r1", "r2", "r3"}) {
    cluster.agents.push_back(Agent("a", role, 4, 0));
    cluster.agents.back().closed = role == std::string("r3") ? "quota" : "is being drained";
  }
  ShowRolesAsOne(&cluster);
  ASSERT_EQ(cluster.agents.size(), 1);
  EXPECT_EQ(cluster.agents[0].closed, "is being drained; quota");
}

TEST(RolesAsOneTest, OthersStayAsTheyAre) {
  scheduler::ClusterSnapshot cluster;
  cluster.agents = {Agent("a", "", 4, 1), Agent("a", "", 4, 1)};
  cluster.agent_count = 2;
  ShowRolesAsOne(&cluster);
  EXPECT_EQ(cluster.agents.size(), 2);
  EXPECT_EQ(cluster.agent_count, 2);
}

}  // namespace
}  // namespace kartograph::service
