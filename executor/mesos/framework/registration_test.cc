// Who Kartograph is to Mesos: registered once, found again, given up, taken over.
#include <gmock/gmock.h>

#include <filesystem>
#include <fstream>
#include <set>

#include "absl/strings/match.h"
#include "executor/mesos/framework/testing/framework_fixture.h"

namespace kartograph::stand_in {
namespace {

using executor::Connected;
using executor::Disconnected;
using executor::Launch;
using executor::Offer;
using planner::Outcome;
using testing::ElementsAre;
using testing::HasSubstr;

using RegistrationTest = FrameworkTest;

TEST_F(RegistrationTest, TheIdIsStoredBeforeTheConnectionIsTold) {
  StartMesos();
  std::string stored;
  Recorder recorder;
  auto cluster = executor::CreateMesosCluster(OptionsFor(mesos()));
  ASSERT_TRUE(cluster.ok()) << cluster.status();
  ASSERT_TRUE((*cluster)
                  ->Start([&](std::vector<executor::ClusterEvent> events) {
                    if (std::holds_alternative<Connected>(events[0])) stored = StoredId();
                    recorder.Add(std::move(events));
                  })
                  .ok());
  recorder.Await<Connected>();
  EXPECT_THAT(FrameworkIds(), ElementsAre(stored));
  mesos().Inspect([&](const Master& master) {
    const auto& info = master.frameworks().at(stored).info;
    EXPECT_EQ(info.failover_timeout(), absl::ToDoubleSeconds(options_.failover_timeout));
    EXPECT_TRUE(info.checkpoint());
  });
}

TEST_F(RegistrationTest, TheSameFrameworkAfterARestart) {
  StartAll();
  const std::string id = StoredId();
  const Launch launch = kartograph().Run("forever", 0);
  RestartKartograph();
  EXPECT_EQ(StoredId(), id);
  EXPECT_THAT(FrameworkIds(), ElementsAre(id));
  kartograph().Reconcile(launch);
  kartograph().AwaitRunning(launch.attempt);
}

TEST_F(RegistrationTest, AnotherUserIsThatOfWhatIsLaunchedFromThenOn) {
  StartAll();
  kartograph().Run("forever", 0);
  const std::string id = StoredId();
  options_.user = "another";
  RestartKartograph();
  EXPECT_EQ(StoredId(), id);
  // Mesos takes no other user of the framework itself, and refuses all that comes with one.
  kartograph().cluster().offers()->Revive({CpuAndRam(1, 64)});
  kartograph().Run("quick", 1);
  EXPECT_EQ(mesos().counters().refused["UPDATE_FRAMEWORK"], 0);
  std::multiset<std::string> users;
  mesos().Inspect([&](const Master& master) {
    EXPECT_EQ(master.frameworks().at(id).info.user(), "somebody");
    for (const auto& [key, executor] : master.agents().begin()->second.executors) {
      users.insert(executor.command().user());
    }
  });
  EXPECT_THAT(users, ElementsAre("another", "somebody"));
}

TEST_F(RegistrationTest, WhatMesosDoesNotLetAFrameworkChangeIsRefusedAtTheStart) {
  StartAll();
  const std::string id = StoredId();
  const auto refused = [&](const std::string& setting) {
    const auto cluster = executor::CreateMesosCluster(OptionsFor(mesos()));
    EXPECT_EQ(cluster.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(cluster.status().message(), HasSubstr(setting));
    EXPECT_THAT(cluster.status().message(), HasSubstr("--mesos-abandon " + id));
  };
  options_.checkpoint = false;
  refused("--mesos-checkpoint");
  options_.checkpoint = true;
  options_.principal = "maps";
  refused("--mesos-principal");
  // And so it goes on as another one.
  options_.abandon = id;
  RestartKartograph();
  EXPECT_NE(StoredId(), id);
  mesos().Inspect([&](const Master& master) {
    EXPECT_EQ(master.frameworks().at(StoredId()).info.principal(), "maps");
  });
}

TEST_F(RegistrationTest, AnIdThatSomebodyWroteIsTakenWithTheSettings) {
  StartAll();
  const std::string id = StoredId();
  std::ofstream(id_file() + ".registration", std::ios::trunc) << "another id\nroot\n\n\n";
  RestartKartograph();
  EXPECT_EQ(StoredId(), id);
  options_.checkpoint = false;
  EXPECT_FALSE(executor::CreateMesosCluster(OptionsFor(mesos())).ok())
      << "it is known from then on";
}

TEST_F(RegistrationTest, AFileWithoutAnIdIsNotOverwritten) {
  StartMesos();
  for (const std::string text : {"", "two words\n", "\x01\x02"}) {
    std::ofstream(id_file(), std::ios::trunc) << text;
    const auto cluster = executor::CreateMesosCluster(OptionsFor(mesos()));
    EXPECT_EQ(cluster.status().code(), absl::StatusCode::kFailedPrecondition);
    EXPECT_THAT(cluster.status().message(), HasSubstr(id_file()));
    EXPECT_THAT(cluster.status().message(), HasSubstr("--mesos-abandon"));
  }
}

TEST_F(RegistrationTest, ALostIdIsNotReplacedWhileAttemptsRunUnderIt) {
  StartAll();
  const std::string old = StoredId();
  const Launch launch = kartograph().Run("forever", 0);
  std::filesystem::remove(id_file());
  RestartKartograph();
  kartograph().Reconcile(launch);
  // The stream may end before the answer to the call that ends it.
  kartograph().Await<Disconnected>([&](const Disconnected& event) {
    return absl::StrContains(event.reason, "whose id is not in " + id_file()) &&
           absl::StrContains(event.reason, "--mesos-abandon unknown");
  });
  EXPECT_THAT(FrameworkIds(), ElementsAre(old));
  EXPECT_FALSE(std::filesystem::exists(id_file()));
  EXPECT_FALSE(kartograph().Has<Connected>());
}

TEST_F(RegistrationTest, TheOldFrameworkIsGivenUpOnRequest) {
  StartAll();
  options_.abandon = StoredId();
  const Launch launch = kartograph().Run("forever", 0);
  RestartKartograph();
  EXPECT_NE(StoredId(), options_.abandon);
  EXPECT_THAT(FrameworkIds(), ElementsAre(StoredId()));
  AwaitNoTasks();
  kartograph().Reconcile(launch);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kLost);
  // The next start has another id, so the flag may stay.
  const std::string id = StoredId();
  RestartKartograph();
  EXPECT_EQ(StoredId(), id);
}

TEST_F(RegistrationTest, AnUnknownFrameworkIsGivenUpOnRequest) {
  StartMesos();
  options_.abandon = "unknown";
  StartKartograph();
  kartograph().Await<Connected>();
  const Launch launch = LaunchOn("some-agent", "task", 0);
  kartograph().Reconcile(launch);
  EXPECT_EQ(kartograph().AwaitEnd(launch.attempt).outcome, Outcome::kLost);
  kartograph().Run("quick", 1);
}

TEST_F(RegistrationTest, ARemovedFrameworkStaysAwayAndSaysWhatToDo) {
  options_.failover_timeout = absl::Milliseconds(1);
  StartAll();
  const std::string id = StoredId();
  Control("/no_leader");
  Control("/close");
  AwaitMesos([](const Master& master) { return master.frameworks().empty(); });
  Control("/no_leader?on=0");
  EXPECT_THAT(kartograph()
                  .Await<Disconnected>([](const Disconnected& event) {
                    return absl::StrContains(event.reason, "removed");
                  })
                  .reason,
              HasSubstr("--mesos-abandon " + id));
  EXPECT_EQ(StoredId(), id);
  options_.abandon = id;
  RestartKartograph();
  EXPECT_NE(StoredId(), id);
}

TEST_F(RegistrationTest, AFrameworkThatWasNeverUsedIsReplacedWhereItIsRemoved) {
  options_.failover_timeout = absl::Milliseconds(1);
  StartAll();
  const std::string id = StoredId();
  Control("/no_leader");
  Control("/close");
  AwaitMesos([](const Master& master) { return master.frameworks().empty(); });
  Control("/no_leader?on=0");
  // As after a crash between the two steps of the registration.
  std::ofstream(id_file(), std::ios::trunc) << id << " provisional\n";
  RestartKartograph();
  EXPECT_NE(StoredId(), id);
}

TEST_F(RegistrationTest, AnIdThatCannotBeStoredLeavesNoFramework) {
  StartMesos();
  options_.id_file = folder() + "/missing/framework";
  StartKartograph();
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("cannot be stored"));
  AwaitMesos([](const Master& master) { return master.frameworks().empty(); });
}

TEST_F(RegistrationTest, WhoIsTakenOverStaysAway) {
  StartAll();
  const std::string id = StoredId();
  Kartograph second(OptionsFor(mesos()));
  second.Await<Connected>();
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("has taken over framework"));
  second.Run("quick", 0);
  EXPECT_FALSE(second.Has<Disconnected>());
  EXPECT_FALSE(kartograph().Has<Connected>());
  EXPECT_THAT(FrameworkIds(), ElementsAre(id));
}

TEST_F(RegistrationTest, AnErrorIsToldAndEndsIt) {
  StartAll();
  Control("/error?message=no+such+role");
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("no such role"));
  EXPECT_FALSE(kartograph().Has<Connected>());
}

TEST_F(RegistrationTest, AttemptsOfTheLocalClusterAreLeftToIt) {
  StartAll();
  kartograph().Reconcile(LaunchOn("local", "task", 0));
  EXPECT_THAT(kartograph().Await<Disconnected>().reason, HasSubstr("--cluster local"));
}

}  // namespace
}  // namespace kartograph::stand_in
