// Masters that move, break or are silent.
#include <gmock/gmock.h>

#include <atomic>
#include <fstream>
#include <memory>

#include "absl/strings/str_cat.h"
#include "executor/mesos/framework/credentials.h"
#include "executor/mesos/framework/testing/framework_fixture.h"

namespace kartograph::stand_in {
namespace {

using executor::Connected;
using executor::Disconnected;
using executor::Launch;
using planner::Outcome;
using testing::HasSubstr;

using ConnectionTest = FrameworkTest;

TEST_F(ConnectionTest, FollowsARedirectionToTheLeader) {
  StartMesos();
  auto leader = StandIn::Start(settings_);
  ASSERT_TRUE(leader.ok()) << leader.status();
  Control("/redirect?to=" + (*leader)->address());
  StartKartograph();
  kartograph().Await<Connected>();
  (*leader)->Inspect([](const Master& master) { EXPECT_EQ(master.frameworks().size(), 1u); });
  mesos().Inspect([](const Master& master) { EXPECT_TRUE(master.frameworks().empty()); });
  const Launch launch = kartograph().Run("quick", 0);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kSucceeded);
}

TEST_F(ConnectionTest, MastersThatRedirectToEachOtherAreTriedAgain) {
  StartMesos();
  Control("/redirect?to=" + mesos().address());
  StartKartograph();
  kartograph().Await<Disconnected>();
  Control("/redirect");
  kartograph().Await<Connected>();
}

TEST_F(ConnectionTest, WaitsForALeader) {
  StartMesos();
  Control("/no_leader");
  StartKartograph();
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("503"));
  Control("/no_leader?on=0");
  kartograph().Await<Connected>();
}

TEST_F(ConnectionTest, TriesTheNextMasterOfAList) {
  StartMesos();
  executor::MesosClusterOptions options = OptionsFor(mesos());
  options.master.hosts.insert(options.master.hosts.begin(), options.master.hosts[0]);
  auto other = StandIn::Start(settings_);
  ASSERT_TRUE(other.ok()) << other.status();
  options.master.hosts[0].port = static_cast<uint16_t>((*other)->port());
  other->reset();
  Kartograph kartograph(options);
  kartograph.Await<Connected>();
}

TEST_F(ConnectionTest, ASilentMasterIsLeft) {
  settings_.heartbeat_interval = absl::Milliseconds(100);
  StartAll();
  Control("/silence");
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("silent"));
  kartograph().Await<Connected>();
}

TEST_F(ConnectionTest, AMasterThatNeverConfirmsTheSubscriptionIsLeft) {
  options_.subscription.heartbeat = absl::Milliseconds(100);
  StartMesos();
  Control("/silence?on=1");
  StartKartograph();
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("silent"));
  Control("/silence?on=0");
  kartograph().Await<Connected>();
}

TEST_F(ConnectionTest, AStreamThatEndsInsideARecordIsOpenedAgain) {
  StartAll();
  kartograph().AwaitOffer();
  Control("/cut_record");
  Control("/rescind");
  kartograph().Await<Disconnected>();
  kartograph().Await<Connected>();
  kartograph().Run("quick", 0);
}

TEST_F(ConnectionTest, AStreamThatIsClosedIsOpenedAgain) {
  StartAll();
  Control("/close");
  kartograph().Await<Disconnected>();
  kartograph().Await<Connected>();
  kartograph().Run("quick", 0);
}

TEST_F(ConnectionTest, RecordsMayComeByteByByte) {
  StartMesos();
  Control("/byte_chunks");
  StartKartograph();
  const Launch launch = kartograph().Run("quick", 0);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).return_value, "quick");
}

TEST_F(ConnectionTest, OneReasonIsToldOnce) {
  StartMesos();
  Control("/no_leader");
  StartKartograph();
  kartograph().Await<Disconnected>();
  AwaitRefused(3);
  EXPECT_FALSE(kartograph().Has<Disconnected>());
}

TEST_F(ConnectionTest, LaunchesDuringADisconnectionAreAskedAboutAndDropped) {
  StartAll();
  const std::string id = StoredId();
  const executor::Offer offer = kartograph().AwaitOffer();
  Control("/no_leader");
  Control("/close");
  kartograph().Await<Disconnected>();
  const Launch launch = LaunchOn(offer.agent, "forever", 0);
  kartograph().cluster().Execute({launch});
  Control("/no_leader?on=0");
  kartograph().Await<Connected>();
  kartograph().Reconcile(launch);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kDropped);
  EXPECT_EQ(StoredId(), id);
}

TEST_F(ConnectionTest, CancelsDuringADisconnectionAreKept) {
  StartAll();
  const Launch launch = kartograph().Run("forever", 0);
  Control("/no_leader");
  Control("/close");
  kartograph().Await<Disconnected>();
  kartograph().cluster().Cancel(launch.attempt, launch.agent, absl::Seconds(1));
  Control("/no_leader?on=0");
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kCancelled);
}

TEST_F(ConnectionTest, AuthenticatesAtMasterAndAgents) {
  settings_.user = "kartograph";
  settings_.password = "s3cret";
  options_.principal = "kartograph";
  options_.subscription.authorization =
      executor::mesos::BasicAuthorization({"kartograph", "s3cret"});
  StartAll();
  mesos().Inspect([](const Master& master) {
    EXPECT_EQ(master.frameworks().begin()->second.info.principal(), "kartograph");
  });
}

TEST_F(ConnectionTest, ASecretThatIsChangedCountsFromTheNextConnection) {
  settings_.user = "kartograph";
  settings_.password = "s3cret";
  options_.principal = "kartograph";
  const auto is_changed = std::make_shared<std::atomic<bool>>(false);
  options_.ask_for_agents_every = absl::Milliseconds(50);
  options_.subscription.renew_authorization = [is_changed] {
    return executor::mesos::BasicAuthorization({"kartograph", *is_changed ? "s3cret" : "old"});
  };
  StartMesos();
  StartKartograph();
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("401"));
  *is_changed = true;
  kartograph().Await<Connected>();
  // It asks for the agents as well.
  kartograph().Await<executor::AgentCapacity>();
  kartograph().cluster().offers()->Suppress();
  AwaitCalls("SUPPRESS", 1);
}

TEST_F(ConnectionTest, AWrongPasswordIsTold) {
  settings_.user = "kartograph";
  settings_.password = "s3cret";
  options_.subscription.authorization = executor::mesos::BasicAuthorization({"kartograph", "?"});
  StartMesos();
  StartKartograph();
  const std::string reason = kartograph().Await<Disconnected>().reason;
  EXPECT_THAT(reason, HasSubstr("401"));
  EXPECT_THAT(reason, testing::Not(HasSubstr("?")));
}

}  // namespace
}  // namespace kartograph::stand_in
