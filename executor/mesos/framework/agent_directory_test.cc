#include "executor/mesos/framework/agent_directory.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <boost/asio/co_spawn.hpp>
#include <string>

namespace kartograph::executor::mesos {
namespace {

class AgentDirectoryTest : public testing::Test {
 protected:
  static AgentDirectory::Options Options() {
    AgentDirectory::Options options;
    options.roles = {"*"};
    options.executor = {{planner::Resource::Cpu(), planner::Quantity::FromMilli(10)}};
    return options;
  }
  // Where the agent answers that this offer of a master is of.
  std::string Learnt(const std::string& scheme, const std::string& hostname, bool master_tls) {
    kartograph::mesos::Offer offer;
    offer.mutable_agent_id()->set_value("a1");
    offer.mutable_url()->set_scheme(scheme);
    offer.mutable_url()->set_path("/slave(1)");
    offer.mutable_url()->mutable_address()->set_hostname(hostname);
    offer.mutable_url()->mutable_address()->set_ip("10.0.0.7");
    offer.mutable_url()->mutable_address()->set_port(5051);
    Endpoint master;
    master.tls = master_tls;
    directory_.Learn(offer, master);
    return Find("a1");
  }
  std::string Find(const std::string& agent) {
    std::string found;
    boost::asio::co_spawn(io_, directory_.Find(agent, Endpoint()),
                          [&](std::exception_ptr, const absl::StatusOr<Endpoint>& endpoint) {
                            found =
                                endpoint.ok() ? endpoint->ToString() : endpoint.status().ToString();
                          });
    io_.restart();
    io_.run();
    return found;
  }

  boost::asio::io_context io_;
  OperatorApi api_{io_, {}};
  AgentDirectory directory_{io_, &api_, Options()};
};

TEST_F(AgentDirectoryTest, AnAgentAnswersWhereItsOfferSays) {
  EXPECT_EQ(Learnt("http", "node-7", false), "http://10.0.0.7:5051/slave(1)/api/v1");
  EXPECT_EQ(Learnt("https", "node-7", false), "https://node-7:5051/slave(1)/api/v1");
  EXPECT_EQ(Learnt("https", "", false), "https://10.0.0.7:5051/slave(1)/api/v1");
}

TEST_F(AgentDirectoryTest, BehindAMasterWithTlsItHasTlsWhateverTheMasterSays) {
  EXPECT_EQ(Learnt("http", "node-7", true), "https://node-7:5051/slave(1)/api/v1");
}

TEST_F(AgentDirectoryTest, TellsWhetherAnAgentIsNew) {
  kartograph::mesos::Offer offer;
  offer.mutable_agent_id()->set_value("a1");
  EXPECT_TRUE(directory_.Learn(offer, Endpoint()));
  EXPECT_FALSE(directory_.Learn(offer, Endpoint()));
  directory_.Forget("a1");
  EXPECT_TRUE(directory_.Learn(offer, Endpoint()));
  EXPECT_THAT(Find("a1"), testing::HasSubstr("no master is known yet"));
}

TEST_F(AgentDirectoryTest, AReservationIsForItsRoleAndThoseBelow) {
  EXPECT_TRUE(MayUseReservation("maps", "maps"));
  EXPECT_TRUE(MayUseReservation("maps/tiles", "maps"));
  EXPECT_FALSE(MayUseReservation("maps", "maps/tiles"));
  EXPECT_FALSE(MayUseReservation("mapsmiths", "maps"));
  EXPECT_FALSE(MayUseReservation("*", "maps"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
