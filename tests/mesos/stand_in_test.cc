#include "tests/mesos/stand_in.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <memory>
#include <set>
#include <string>
#include <utility>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "tests/mesos/raw_client.h"

namespace kartograph::stand_in {
namespace {

using ::testing::HasSubstr;
using Call = mesos::scheduler::Call;
using Event = mesos::scheduler::Event;

constexpr char kProtobuf[] = "application/x-protobuf";

Settings Quick() {
  Settings settings;
  settings.allocation_interval = absl::Milliseconds(10);
  settings.update_retry = absl::Milliseconds(20);
  settings.agents[0].resources = "cpus:4;mem:4096";
  return settings;
}

std::unique_ptr<StandIn> Started(Settings settings) {
  auto stand_in = StandIn::Start(std::move(settings));
  EXPECT_TRUE(stand_in.ok()) << stand_in.status();
  return *std::move(stand_in);
}

double Amount(const mesos::Offer& offer, const std::string& name) {
  double sum = 0;
  for (const mesos::Resource& resource : offer.resources()) {
    if (resource.name() == name) sum += resource.scalar().value();
  }
  return sum;
}

// Acknowledges until the state comes; gives its update.
mesos::TaskStatus AwaitState(RawClient& client, const std::string& task, mesos::TaskState state) {
  while (auto status = client.NextUpdate(task)) {
    if (status->has_uuid()) client.Acknowledge(*status);
    if (status->state() == state) return *status;
  }
  ADD_FAILURE() << task << " is never " << mesos::TaskState_Name(state);
  return {};
}

TEST(StandInTest, SubscriptionGivesAnIdAStreamAndHeartbeats) {
  Settings settings = Quick();
  settings.heartbeat_interval = absl::Milliseconds(10);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  EXPECT_FALSE(client.id().empty());
  EXPECT_FALSE(client.stream_id.empty());
  EXPECT_TRUE(client.Next(Event::HEARTBEAT).has_value());
  EXPECT_TRUE(client.Next(Event::HEARTBEAT).has_value());
}

TEST(StandInTest, CallsThatTheRealMasterRefusesAreRefused) {
  const auto stand_in = Started(Quick());
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  const std::string stream = client.stream_id;
  client.stream_id = "other";
  EXPECT_EQ(client.Simple(Call::REVIVE), 400);
  EXPECT_THAT(client.answer().body, HasSubstr("didn't match the stream ID"));
  client.stream_id.clear();
  EXPECT_EQ(client.Simple(Call::REVIVE), 400);
  client.stream_id = stream;
  EXPECT_EQ(client.Simple(Call::REVIVE), 202);
  EXPECT_EQ(client.Simple(Call::ACCEPT), 400);
  EXPECT_THAT(client.answer().body, HasSubstr("Expecting 'accept' to be present"));

  Call call;
  call.set_type(Call::REVIVE);
  call.mutable_framework_id()->set_value("nobody");
  EXPECT_EQ(client.Send(call), 400);
  EXPECT_EQ(client.answer().body, "Framework cannot be found");
  EXPECT_EQ(client.Post("", {}).status, 400);
  EXPECT_EQ(client.Post("", {{"Content-Type", "text/plain"}}).status, 415);
  EXPECT_EQ(client.Post("no message", {{"Content-Type", kProtobuf}}).status, 400);

  Call subscribe;
  subscribe.set_type(Call::SUBSCRIBE);
  *subscribe.mutable_subscribe()->mutable_framework_info() = RawClient::Info();
  const std::string body = subscribe.SerializeAsString();
  EXPECT_EQ(client.Post(body, {{"Content-Type", kProtobuf}, {"Accept", "text/html"}}).status, 406);
  EXPECT_EQ(
      client
          .Post(body,
                {{"Content-Type", kProtobuf}, {"Accept", kProtobuf}, {"Mesos-Stream-Id", stream}})
          .status,
      400);
  subscribe.mutable_subscribe()->mutable_framework_info()->clear_user();
  EXPECT_EQ(
      client
          .Post(subscribe.SerializeAsString(), {{"Content-Type", kProtobuf}, {"Accept", kProtobuf}})
          .status,
      400);
  RawConnection connection(stand_in->port());
  EXPECT_EQ(connection.Exchange("GET", "/api/v1/scheduler", {}, "").status, 405);

  ASSERT_TRUE(stand_in->Control("/close").ok());
  EXPECT_EQ(client.Simple(Call::REVIVE), 403);
  EXPECT_EQ(client.answer().body, "Framework is not subscribed");
}

TEST(StandInTest, CredentialsAreAskedFor) {
  Settings settings = Quick();
  settings.user = "kartograph";
  settings.password = "secret";
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  EXPECT_EQ(client.Subscribe(RawClient::Info()), 401);
  EXPECT_EQ(client.Post("", {{"Authorization", "Basic a2FydG9ncmFwaDpzZWNyZXQ="}}).status, 400);
  EXPECT_EQ(client.Post("", {{"Authorization", "Basic a2FydG9ncmFwaDp3cm9uZw=="}}).status, 401);
  EXPECT_THAT(client.answer().headers.at("www-authenticate"), HasSubstr("Basic"));
}

TEST(StandInTest, ASecondSubscriptionEndsTheFirst) {
  const auto stand_in = Started(Quick());
  RawClient first(stand_in->port()), second(stand_in->port());
  ASSERT_EQ(first.Subscribe(RawClient::Info()), 200);
  ASSERT_TRUE(first.NextOffer().has_value());
  ASSERT_EQ(second.Subscribe(first.info()), 200);
  EXPECT_EQ(second.id(), first.id());
  const auto error = first.Next(Event::ERROR);
  ASSERT_TRUE(error.has_value());
  EXPECT_EQ(error->error().message(), "Framework failed over");
  while (first.Pump(absl::Seconds(30))) {
  }
  EXPECT_TRUE(first.stream()->ended_well());
  EXPECT_EQ(first.Simple(Call::REVIVE), 400);
  // What the first was offered is the second's.
  const auto offer = second.NextOffer();
  ASSERT_TRUE(offer.has_value());
  EXPECT_EQ(Amount(*offer, "cpus"), 4);
}

TEST(StandInTest, ATornDownFrameworkDoesNotComeBack) {
  const auto stand_in = Started(Quick());
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  const mesos::FrameworkInfo info = client.info();
  EXPECT_EQ(client.Simple(Call::TEARDOWN), 202);
  RawClient again(stand_in->port());
  Call call;
  call.set_type(Call::SUBSCRIBE);
  *call.mutable_subscribe()->mutable_framework_info() = info;
  *call.mutable_framework_id() = info.id();
  RawConnection connection(stand_in->port());
  EXPECT_EQ(
      connection
          .Exchange("POST", "/api/v1/scheduler",
                    {{"Content-Type", kProtobuf}, {"Accept", kProtobuf}}, call.SerializeAsString())
          .status,
      200);
  EXPECT_THAT(connection.ReadStream(absl::Seconds(30)), HasSubstr("Framework has been removed"));
}

TEST(StandInTest, ATaskRunsEndsAndIsForgottenOnceAcknowledged) {
  const auto stand_in = Started(Quick());
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  const mesos::Offer offer = client.NextOffer().value();
  EXPECT_EQ(Amount(offer, "cpus"), 4);
  EXPECT_EQ(offer.resources(0).allocation_info().role(), "*");
  ASSERT_EQ(client.Accept(offer, {MakeTask(offer, "t", 1, 64)}), 202);
  const mesos::TaskStatus running = client.NextUpdate("t").value();
  EXPECT_EQ(running.state(), mesos::TASK_RUNNING);
  EXPECT_EQ(running.uuid().size(), 16u);
  // The same again, and nothing behind it, until it is acknowledged.
  const mesos::TaskStatus repeated = client.NextUpdate("t").value();
  EXPECT_EQ(repeated.uuid(), running.uuid());
  EXPECT_EQ(client.Acknowledge(running), 202);
  const mesos::TaskStatus end = AwaitState(client, "t", mesos::TASK_FINISHED);
  EXPECT_EQ(client.Reconcile("t", offer.agent_id().value()), 202);
  mesos::TaskStatus answer;
  while (answer.reason() != mesos::TaskStatus::REASON_RECONCILIATION) {
    answer = client.NextUpdate("t").value();
  }
  EXPECT_EQ(answer.state(), mesos::TASK_GONE);
  EXPECT_FALSE(answer.has_uuid());
  EXPECT_EQ(stand_in->counters().overpromised, 0);
}

TEST(StandInTest, OffersAreUsedOnceAndNeverForMoreThanTheyHold) {
  Settings settings = Quick();
  settings.task_duration = absl::Hours(1);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  const mesos::Offer offer = client.NextOffer().value();
  ASSERT_EQ(client.Accept(offer, {MakeTask(offer, "a", 3, 64), MakeTask(offer, "b", 2, 64),
                                  MakeTask(offer, "a", 0.5, 64)}),
            202);
  const mesos::TaskStatus refused = client.NextUpdate("b").value();
  EXPECT_EQ(refused.state(), mesos::TASK_ERROR);
  EXPECT_FALSE(refused.has_uuid());
  EXPECT_THAT(refused.message(), HasSubstr("more than available"));
  // In the order of the launches: the second `a` is the error.
  mesos::TaskStatus duplicate = client.NextUpdate("a").value();
  EXPECT_EQ(duplicate.state(), mesos::TASK_ERROR);
  EXPECT_THAT(duplicate.message(), HasSubstr("duplicate ID"));
  EXPECT_EQ(AwaitState(client, "a", mesos::TASK_RUNNING).state(), mesos::TASK_RUNNING);

  ASSERT_EQ(client.Accept(offer, {MakeTask(offer, "c", 1, 64)}), 202);
  const mesos::TaskStatus dropped = client.NextUpdate("c").value();
  EXPECT_EQ(dropped.state(), mesos::TASK_DROPPED);
  EXPECT_EQ(dropped.reason(), mesos::TaskStatus::REASON_INVALID_OFFERS);
  const mesos::Offer rest = client.NextOffer().value();
  EXPECT_EQ(Amount(rest, "cpus"), 1);
  EXPECT_EQ(stand_in->counters().overpromised, 0);
}

TEST(StandInTest, WhatIsRefusedComesAgainAfterReviveOrWithMore) {
  Settings settings = Quick();
  settings.task_duration = absl::Hours(1);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  mesos::Offer offer = client.NextOffer().value();
  ASSERT_EQ(client.Decline(offer, 3600), 202);
  EXPECT_FALSE(client.NextOffer(absl::Milliseconds(100)).has_value());
  ASSERT_EQ(client.Simple(Call::REVIVE), 202);
  offer = client.NextOffer().value();
  // The rest of an accepted offer is refused as well.
  ASSERT_EQ(client.Accept(offer, {MakeTask(offer, "t", 1, 64)}, 3600), 202);
  AwaitState(client, "t", mesos::TASK_RUNNING);
  EXPECT_FALSE(client.NextOffer(absl::Milliseconds(100)).has_value());
  Call kill;
  kill.set_type(Call::KILL);
  kill.mutable_kill()->mutable_task_id()->set_value("t");
  ASSERT_EQ(client.Send(kill), 202);
  AwaitState(client, "t", mesos::TASK_KILLED);
  offer = client.NextOffer().value();
  EXPECT_EQ(Amount(offer, "cpus"), 4);
  ASSERT_EQ(client.Simple(Call::SUPPRESS), 202);
  ASSERT_EQ(client.Decline(offer, 0), 202);
  EXPECT_FALSE(client.NextOffer(absl::Milliseconds(100)).has_value());
  ASSERT_EQ(client.Simple(Call::REVIVE), 202);
  EXPECT_TRUE(client.NextOffer().has_value());
}

TEST(StandInTest, OfferFiltersHoldBackWhatIsTooSmall) {
  const auto stand_in = Started(Quick());
  RawClient client(stand_in->port());
  mesos::FrameworkInfo info = RawClient::Info();
  auto& quantities = *(*info.mutable_offer_filters())["*"]
                          .mutable_min_allocatable_resources()
                          ->add_quantities()
                          ->mutable_quantities();
  quantities["cpus"].set_value(5);
  ASSERT_EQ(client.Subscribe(info), 200);
  EXPECT_FALSE(client.NextOffer(absl::Milliseconds(100)).has_value());
  Call call;
  call.set_type(Call::UPDATE_FRAMEWORK);
  info = client.info();
  (*(*info.mutable_offer_filters())["*"]
        .mutable_min_allocatable_resources()
        ->mutable_quantities(0)
        ->mutable_quantities())["cpus"]
      .set_value(4);
  *call.mutable_update_framework()->mutable_framework_info() = info;
  ASSERT_EQ(client.Send(call), 200);
  EXPECT_TRUE(client.NextOffer().has_value());
}

mesos::TaskInfo ExecutorTask(const mesos::Offer& offer, const std::string& id,
                             const std::string& executor, const std::string& command) {
  mesos::TaskInfo task = MakeTask(offer, id, 1, 64);
  task.clear_command();
  task.mutable_executor()->set_type(mesos::ExecutorInfo::CUSTOM);
  task.mutable_executor()->mutable_executor_id()->set_value(executor);
  task.mutable_executor()->mutable_command()->set_value(command);
  *task.mutable_executor()->add_resources() = Scalar("cpus", 0.5);
  return task;
}

TEST(StandInTest, AnExecutorIsPaidOnceAndStaysTheSame) {
  Settings settings = Quick();
  settings.task_duration = absl::Hours(1);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  mesos::Offer offer = client.NextOffer().value();
  ASSERT_EQ(client.Accept(offer, {ExecutorTask(offer, "a", "e", "sleep 100"),
                                  ExecutorTask(offer, "b", "e", "sleep 100"),
                                  ExecutorTask(offer, "c", "e", "sleep 200")}),
            202);
  const mesos::TaskStatus refused = client.NextUpdate("c").value();
  EXPECT_EQ(refused.state(), mesos::TASK_ERROR);
  EXPECT_THAT(refused.message(), HasSubstr("not compatible with existing ExecutorInfo"));
  offer = client.NextOffer().value();
  EXPECT_EQ(Amount(offer, "cpus"), 1.5);
  ASSERT_EQ(offer.executor_ids_size(), 1);
  EXPECT_EQ(offer.executor_ids(0).value(), "e");
  ASSERT_TRUE(stand_in->Control("/agent/0/kill_executor?executor=e").ok());
  const auto failure = client.Next(Event::FAILURE);
  ASSERT_TRUE(failure.has_value());
  EXPECT_EQ(failure->failure().executor_id().value(), "e");
  EXPECT_EQ(AwaitState(client, "a", mesos::TASK_FAILED).reason(),
            mesos::TaskStatus::REASON_EXECUTOR_TERMINATED);
  AwaitState(client, "b", mesos::TASK_FAILED);
  client.Decline(offer, 0);
  do {
    offer = client.NextOffer().value();
    client.Decline(offer, 0);
  } while (Amount(offer, "cpus") < 4);
  EXPECT_EQ(offer.executor_ids_size(), 0);
}

TEST(StandInTest, UnreachableAgentsComeBackWithTheirTasks) {
  Settings settings = Quick();
  settings.task_duration = absl::Hours(1);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  mesos::Offer offer = client.NextOffer().value();
  ASSERT_EQ(client.Accept(offer, {MakeTask(offer, "t", 1, 64)}), 202);
  AwaitState(client, "t", mesos::TASK_RUNNING);
  offer = client.NextOffer().value();
  ASSERT_TRUE(stand_in->Control("/agent/0/unreachable").ok());
  EXPECT_EQ(client.Next(Event::RESCIND).value().rescind().offer_id().value(), offer.id().value());
  const mesos::TaskStatus lost = AwaitState(client, "t", mesos::TASK_UNREACHABLE);
  EXPECT_TRUE(lost.has_unreachable_time());
  EXPECT_TRUE(client.Next(Event::FAILURE).has_value());
  client.Reconcile("t", offer.agent_id().value());
  AwaitState(client, "t", mesos::TASK_UNREACHABLE);
  ASSERT_TRUE(stand_in->Control("/agent/0/heal").ok());
  EXPECT_EQ(AwaitState(client, "t", mesos::TASK_RUNNING).reason(),
            mesos::TaskStatus::REASON_AGENT_REREGISTERED);
  offer = client.NextOffer().value();
  EXPECT_EQ(Amount(offer, "cpus"), 3);
  ASSERT_TRUE(stand_in->Control("/agent/0/gone").ok());
  AwaitState(client, "t", mesos::TASK_GONE_BY_OPERATOR);
  EXPECT_EQ(stand_in->counters().overpromised, 0);
}

TEST(StandInTest, AnotherMasterKnowsNothingUntilAgentsCome) {
  Settings settings = Quick();
  settings.task_duration = absl::Hours(1);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  const mesos::Offer offer = client.NextOffer().value();
  ASSERT_EQ(client.Accept(offer, {MakeTask(offer, "t", 1, 64)}), 202);
  AwaitState(client, "t", mesos::TASK_RUNNING);
  // The agents do not come back before they are told to.
  ASSERT_TRUE(stand_in->Control("/agent/0/partition").ok());
  ASSERT_TRUE(stand_in->Control("/failover").ok());
  while (client.Pump(absl::Seconds(30))) {
  }
  const mesos::FrameworkInfo info = client.info();
  ASSERT_EQ(client.Subscribe(info), 200);
  EXPECT_EQ(client.id(), info.id().value());
  ASSERT_EQ(client.Reconcile("t", offer.agent_id().value()), 202);
  ASSERT_EQ(client.Reconcile("u", "nowhere"), 202);
  // Both were asked in order: the first gets no answer, as its agent has not come yet.
  EXPECT_EQ(client.NextUpdate("u").value().state(), mesos::TASK_UNKNOWN);
  EXPECT_FALSE(client.NextUpdate("t", absl::ZeroDuration()).has_value());
  ASSERT_TRUE(stand_in->Control("/agent/0/heal").ok());
  const mesos::Offer rest = client.NextOffer().value();
  EXPECT_EQ(Amount(rest, "cpus"), 3);
  ASSERT_EQ(client.Reconcile("", ""), 202);
  const mesos::TaskStatus latest = AwaitState(client, "t", mesos::TASK_RUNNING);
  EXPECT_EQ(latest.source(), mesos::TaskStatus::SOURCE_MASTER) << latest.DebugString();
}

TEST(StandInTest, StreamsBreakAsTheyAreTold) {
  const auto stand_in = Started(Quick());
  const auto leader = Started(Quick());
  RawClient client(stand_in->port());
  ASSERT_TRUE(stand_in->Control("/byte_chunks").ok());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  ASSERT_TRUE(client.NextOffer().has_value());
  ASSERT_TRUE(stand_in->Control("/cut_record").ok());
  ASSERT_TRUE(stand_in->Control("/rescind").ok());
  while (client.Pump(absl::Seconds(30))) {
  }
  EXPECT_FALSE(client.stream()->ended_well());

  ASSERT_TRUE(stand_in->Control("/next?status=503").ok());
  EXPECT_EQ(client.Subscribe(client.info()), 503);
  ASSERT_TRUE(stand_in->Control("/redirect?to=" + leader->address()).ok());
  EXPECT_EQ(client.Subscribe(client.info()), 307);
  EXPECT_EQ(client.answer().headers.at("location"), "//" + leader->address() + "/api/v1/scheduler");
  ASSERT_TRUE(stand_in->Control("/redirect").ok());
  ASSERT_TRUE(stand_in->Control("/no_leader").ok());
  EXPECT_EQ(client.Subscribe(client.info()), 503);
  ASSERT_TRUE(stand_in->Control("/no_leader?on=0").ok());
  ASSERT_TRUE(stand_in->Control("/byte_chunks?on=0").ok());

  ASSERT_EQ(client.Subscribe(client.info()), 200);
  const mesos::Offer offer = client.NextOffer().value();
  ASSERT_TRUE(stand_in->Control("/drop_accept").ok());
  EXPECT_EQ(client.Accept(offer, {MakeTask(offer, "t", 1, 64)}), 202);
  EXPECT_EQ(client.Accept(offer, {MakeTask(offer, "u", 1, 64)}), 202);
  EXPECT_EQ(AwaitState(client, "u", mesos::TASK_FINISHED).state(), mesos::TASK_FINISHED);
  EXPECT_FALSE(client.NextUpdate("t", absl::ZeroDuration()).has_value());
  ASSERT_TRUE(stand_in->Control("/agent/0/foreign_task?id=f").ok());
  EXPECT_EQ(client.NextUpdate("f").value().state(), mesos::TASK_RUNNING);
  ASSERT_TRUE(stand_in->Control("/agent/0/drain?in_ms=1000").ok());
  EXPECT_TRUE(client.Next(Event::INVERSE_OFFERS).has_value());
  ASSERT_TRUE(stand_in->Control("/error?message=enough").ok());
  EXPECT_EQ(client.Next(Event::ERROR).value().error().message(), "enough");
  EXPECT_FALSE(stand_in->Control("/nonsense").ok());
}

TEST(StandInTest, ManyTasksOnManyAgentsAreNeverMoreThanFit) {
  Settings settings = Quick();
  settings.agents.assign(50, settings.agents[0]);
  settings.update_retry = absl::Hours(1);
  const auto stand_in = Started(settings);
  RawClient client(stand_in->port());
  ASSERT_EQ(client.Subscribe(RawClient::Info()), 200);
  int launched = 0;
  std::set<std::string> ended;
  while (ended.size() < 2000) {
    std::optional<mesos::Offer> offer;
    while (launched < 2000 && (offer = client.NextOffer(absl::ZeroDuration()))) {
      std::vector<mesos::TaskInfo> tasks;
      for (double left = Amount(*offer, "cpus"); left >= 1 && launched < 2000; left -= 1) {
        tasks.push_back(MakeTask(*offer, absl::StrCat("t", launched++), 1, 16));
      }
      ASSERT_EQ(client.Accept(*offer, tasks), 202);
    }
    auto update = client.Next(Event::UPDATE, absl::Milliseconds(10));
    if (!update) continue;
    const mesos::TaskStatus& status = update->update().status();
    if (IsTerminal(status.state())) ended.insert(status.task_id().value());
    ASSERT_EQ(client.Acknowledge(status), 202);
  }
  const Counters counters = stand_in->counters();
  EXPECT_EQ(counters.overpromised, 0);
  EXPECT_EQ(counters.launched, 2000);
  EXPECT_EQ(counters.invalid_offers, 0);
}

}  // namespace
}  // namespace kartograph::stand_in
