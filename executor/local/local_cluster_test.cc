#include "executor/local/local_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "executor/local/testing/local_cluster_fixture.h"
#include "executor/memory_limits.h"

namespace kartograph::executor {
namespace {

using ::testing::HasSubstr;

TEST_F(LocalClusterTest, OffersTheMachineAsALease) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  Offer offer = client.offer();
  EXPECT_EQ(offer.agent, "local");
  EXPECT_EQ(offer.resources, options_.resources);
  EXPECT_TRUE(offer.lease);
  EXPECT_EQ(offer.backlog, 1024);
  EXPECT_FALSE(offer.agent_name.empty());
  ASSERT_EQ(offer.attributes.size(), 1u);
  EXPECT_EQ(offer.attributes[0].first, kMemoryLimits);
  EXPECT_THAT(offer.attributes[0].second,
              ::testing::AnyOf(kKeptByKernel, ::testing::StartsWith("measuring: ")));
}

TEST_F(LocalClusterTest, RunsAnAttemptAndReadsItsLog) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Execute({Shell(Id(0), "echo hello; echo oops >&2; printf 42 > $KARTOGRAPH_RESULT")});
  AttemptUpdate end = client.WaitEnd(Id(0));
  EXPECT_EQ(end.outcome, Outcome::kSucceeded);
  EXPECT_EQ(end.return_value, "42");
  EXPECT_EQ(end.agent, "local");
  EXPECT_LE(end.start_time, end.end_time);

  auto read = [&](LogStream stream, int64_t offset) {
    LogRequest request;
    request.attempt = Id(0);
    request.stream = stream;
    request.offset = offset;
    absl::StatusOr<LogChunk> chunk;
    client->logs()->ReadLog(request,
                            [&chunk](absl::StatusOr<LogChunk> got) { chunk = std::move(got); });
    return chunk.ok() ? absl::StrCat(chunk->offset, ":", chunk->data) : "none";
  };
  EXPECT_EQ(read(LogStream::kStdout, 0), "0:hello\n");
  EXPECT_EQ(read(LogStream::kStdout, -3), "3:lo\n");
  EXPECT_EQ(read(LogStream::kStdout, -100), "0:hello\n");
  EXPECT_EQ(read(LogStream::kStdout, 6), "6:");
  EXPECT_EQ(read(LogStream::kStderr, 0), "0:oops\n");

  client->Discard(Id(0).task().graph());
  EXPECT_EQ(read(LogStream::kStdout, 0), "none");
  EXPECT_TRUE(Eventually([&] { return std::filesystem::is_empty(File("sandboxes")); }));
}

TEST_F(LocalClusterTest, DoesNotFollowALinkOutOfTheSandbox) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  std::ofstream(File("secret")) << "secret";
  client->Execute({Shell(Id(0), absl::StrCat("ln -sf ", File("secret"), " stdout; ln -s ",
                                             File("secret"), " result"))});
  AttemptUpdate end = client.WaitEnd(Id(0));
  EXPECT_NE(end.outcome, Outcome::kSucceeded);
  EXPECT_EQ(end.return_value, "");
  LogRequest request;
  request.attempt = Id(0);
  absl::Status status;
  client->logs()->ReadLog(request, [&](absl::StatusOr<LogChunk> got) { status = got.status(); });
  EXPECT_EQ(status.code(), absl::StatusCode::kNotFound);
}

TEST_F(LocalClusterTest, InstancesAreNeverSharedOverKills) {
  const Resource gpu = Resource::Named("gpu");
  options_.resources.Set(gpu, Quantity::Of(2));
  options_.instances = {{gpu, {"a", "b"}}};
  // Fails where the process that had its instance before is there; one that has ended and is not
  // waited for has no program.
  const auto hold = [&](uint32_t index) {
    const std::string holder = absl::StrCat(File("holder"), ".$KARTOGRAPH_RESOURCE_GPU");
    Launch launch =
        Shell(Id(index), absl::StrCat("if [ -e ", holder, " ] && [ -e /proc/$(cat ", holder,
                                      ")/exe ]; then exit 77; fi; echo $$ > ", holder,
                                      "; printf $KARTOGRAPH_RESOURCE_GPU > $KARTOGRAPH_RESULT; ",
                                      Hold(absl::StrCat("held.", index))));
    launch.consumption.Set(gpu, Quantity::Of(1));
    return launch;
  };
  const auto holds = [&](int index) {
    return Eventually([&] { return std::filesystem::exists(File(absl::StrCat("held.", index))); });
  };
  Client first(options_);
  ASSERT_TRUE(first.WaitConnected());
  first->Execute({hold(0), hold(1)});
  ASSERT_TRUE(holds(0) && holds(1));
  first.Destroy();

  Client second(options_);
  ASSERT_TRUE(second.WaitConnected());
  second->Execute({hold(2)});
  Release("held.1");
  EXPECT_EQ(second.WaitEnd(Id(1)).return_value, "b");
  ASSERT_TRUE(holds(2));

  kill(AgentPid(), SIGKILL);
  ASSERT_TRUE(second.WaitConnected(2));
  second->Execute({hold(3), hold(4)});
  ASSERT_TRUE(holds(3) && holds(4));
  Release("held.3");
  Release("held.4");
  EXPECT_EQ(second.WaitEnd(Id(3)).return_value, "a");
  EXPECT_EQ(second.WaitEnd(Id(4)).return_value, "b");
}

TEST_F(LocalClusterTest, StartsInOrderAndNeverOverCapacity) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  // Each writes how many are inside, itself included: a folder is made and removed atomically.
  std::string inside = File("inside");
  std::filesystem::create_directory(inside);
  std::vector<Launch> launches;
  constexpr int kAttempts = 120;
  launches.reserve(kAttempts);
  for (int i = 0; i < kAttempts; ++i) {
    // Of 4 cores: 2 of these at a time.
    launches.push_back(Shell(Id(i),
                             absl::StrCat("mkdir ", inside, "/", i, "; ls ", inside,
                                          " | wc -l > $KARTOGRAPH_RESULT; echo ", i, " >> ",
                                          File("order"), "; rmdir ", inside, "/", i),
                             2000));
  }
  client->Execute(std::move(launches));
  absl::Time last_start = absl::InfinitePast();
  for (int i = 0; i < kAttempts; ++i) {
    AttemptUpdate end = client.WaitEnd(Id(i));
    EXPECT_EQ(end.outcome, Outcome::kSucceeded);
    int at_once = 0;
    EXPECT_TRUE(absl::SimpleAtoi(end.return_value, &at_once));
    EXPECT_LE(at_once, 2);
    EXPECT_LE(last_start, end.start_time);
    last_start = end.start_time;
  }
}

TEST_F(LocalClusterTest, ASmallAttemptDoesNotOvertakeALargeOne) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Execute(
      {Shell(Id(0), Hold("first"), 3000), Shell(Id(1), "true", 2000), Shell(Id(2), "true", 1000)});
  ASSERT_TRUE(client.WaitRunning(Id(0)));
  client->Reconcile({{Id(0), "local"}, {Id(1), "local"}, {Id(2), "local"}, {Id(3), "local"}});
  EXPECT_EQ(client.WaitEnd(Id(3)).outcome, Outcome::kLost);
  EXPECT_TRUE(client.Wait([&client] { return true; }));
  EXPECT_TRUE(client.SaidToWait(Id(1)));
  EXPECT_TRUE(client.SaidToWait(Id(2)));
  Release("first");
  AttemptUpdate large = client.WaitEnd(Id(1));
  AttemptUpdate small = client.WaitEnd(Id(2));
  EXPECT_LE(large.start_time, small.start_time);
}

TEST_F(LocalClusterTest, RefusesWhatCanNeverFit) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Execute({Shell(Id(0), "true", 5000), Shell(Id(1), "true")});
  AttemptUpdate end = client.WaitEnd(Id(0));
  EXPECT_EQ(end.outcome, Outcome::kRefused);
  EXPECT_THAT(end.message, HasSubstr("needs cpu=5"));
  EXPECT_EQ(client.WaitEnd(Id(1)).outcome, Outcome::kSucceeded);
}

TEST_F(LocalClusterTest, CancelsWhatWaitsWithoutStartingIt) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Execute({Shell(Id(0), Hold("first"), 4000),
                   Shell(Id(1), absl::StrCat("touch ", File("started")), 4000)});
  client->Cancel(Id(1), "local", absl::Seconds(1));
  AttemptUpdate end = client.WaitEnd(Id(1));
  EXPECT_EQ(end.outcome, Outcome::kCancelled);
  EXPECT_EQ(end.start_time, absl::InfinitePast());
  client->Cancel(Id(0), "local", absl::Seconds(10));
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kCancelled);
  EXPECT_FALSE(std::filesystem::exists(File("started")));
  client->Cancel(Id(9), "local", absl::Seconds(1));
  EXPECT_EQ(client.WaitEnd(Id(9)).outcome, Outcome::kLost);
}

TEST_F(LocalClusterTest, DoesNotRunAgainWhatRunsOnAnotherCluster) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Reconcile({{Id(0), kLocalAgentId}, {Id(1), "S7"}});
  ASSERT_TRUE(client.WaitDisconnected());
  EXPECT_THAT(client.reason(), HasSubstr("agent S7 of another cluster"));
  EXPECT_FALSE(client.HasEnded(Id(1)));
}

TEST_F(LocalClusterTest, ARepeatedLaunchRunsOnce) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  Launch launch = Shell(Id(0), absl::StrCat("echo ran >> ", File("count")));
  client->Execute({launch, launch});
  client.WaitEnd(Id(0));
  client->Execute({launch, Shell(Id(1), "true")});
  client.WaitEnd(Id(1));
  EXPECT_EQ(ReadWhole(File("count")), "ran\n");
}

TEST_F(LocalClusterTest, RepeatsAnEndUntilItIsAcknowledged) {
  pid_t agent;
  {
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    client->Execute({Shell(Id(0), "printf a > $KARTOGRAPH_RESULT"),
                     Shell(Id(1), "printf b > $KARTOGRAPH_RESULT")});
    client.WaitEnd(Id(0));
    client.WaitEnd(Id(1));
    client->Acknowledge({Id(0)});
    agent = AgentPid();
  }
  {
    Client client(options_);
    EXPECT_EQ(client.WaitEnd(Id(1)).return_value, "b");
    EXPECT_EQ(AgentPid(), agent);
    EXPECT_FALSE(client.HasEnded(Id(0)));
    client->Acknowledge({Id(1)});
  }
  // With nothing left to report, the agent has gone with the last client.
  EXPECT_TRUE(Eventually([agent] { return !Lives(agent); }));
}

TEST_F(LocalClusterTest, FindsRunningAttemptsAfterItsProcessWasKilled) {
  // The client is a process of its own, which has no time to say goodbye.
  pid_t child = fork();
  if (child == 0) {
    setpgid(0, 0);
    Client client(options_);
    client.WaitConnected();
    client->Execute({Shell(Id(0), Hold("running") + "; printf done > $KARTOGRAPH_RESULT", 4000),
                     Shell(Id(1), "true", 4000)});
    client.WaitRunning(Id(0));
    std::ofstream(File("ready")) << "ready";
    pause();
    _exit(0);
  }
  setpgid(child, child);
  ASSERT_TRUE(Eventually([&] {
    return std::filesystem::exists(File("ready")) && std::filesystem::exists(File("running"));
  }));
  ASSERT_EQ(kill(-child, SIGKILL), 0);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);

  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Reconcile({{Id(0), "local"}, {Id(1), "local"}});
  EXPECT_TRUE(client.WaitRunning(Id(0)));
  EXPECT_TRUE(client.Wait([] { return true; }));
  EXPECT_FALSE(client.HasEnded(Id(0)));
  Release("running");
  EXPECT_EQ(client.WaitEnd(Id(0)).return_value, "done");
  EXPECT_EQ(client.WaitEnd(Id(1)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(client.ends(Id(0)), 1);
  client->Acknowledge({Id(0), Id(1)});
}

TEST_F(LocalClusterTest, ReplacesAnAgentThatWasKilled) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  pid_t agent = AgentPid();
  // The second process leaves the group, the session and the parent: only its environment shows it.
  client->Execute({Shell(Id(0), absl::StrCat("setsid sh -c 'echo $$ > ", File("escaped"),
                                             "; exec sleep 1000' & ", Hold("running")))});
  pid_t escaped = 0;
  ASSERT_TRUE(Eventually([&] { return absl::SimpleAtoi(ReadWhole(File("escaped")), &escaped); }));
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(File("running")); }));
  ASSERT_EQ(kill(agent, SIGKILL), 0);
  ASSERT_TRUE(client.WaitDisconnected());
  ASSERT_TRUE(client.WaitConnected(2));
  EXPECT_NE(AgentPid(), agent);
  EXPECT_FALSE(Lives(escaped));
  client->Reconcile({{Id(0), "local"}});
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kLost);
  client->Execute({Shell(Id(0, 2), "true")});
  EXPECT_EQ(client.WaitEnd(Id(0, 2)).outcome, Outcome::kSucceeded);
}

TEST_F(LocalClusterTest, ANewerClientTakesTheAgentOver) {
  Client older(options_);
  ASSERT_TRUE(older.WaitConnected());
  older->Execute({Shell(Id(0), Hold("running"))});
  ASSERT_TRUE(older.WaitRunning(Id(0)));
  Client newer(options_);
  ASSERT_TRUE(newer.WaitConnected());
  ASSERT_TRUE(older.WaitDisconnected());
  EXPECT_THAT(older.reason(), HasSubstr("another kartographd"));
  newer->Reconcile({{Id(0), "local"}});
  EXPECT_TRUE(newer.WaitRunning(Id(0)));
  Release("running");
  newer.WaitEnd(Id(0));
  newer->Acknowledge({Id(0)});
}

TEST_F(LocalClusterTest, ATerminatedAgentEndsItsAttempts) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  pid_t agent = AgentPid();
  client->Execute({Shell(Id(0), Hold("running"), 4000), Shell(Id(1), "true", 4000)});
  ASSERT_TRUE(client.WaitRunning(Id(0)));
  kill(agent, SIGTERM);
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kLost);
  EXPECT_EQ(client.WaitEnd(Id(1)).outcome, Outcome::kLost);
  client->Acknowledge({Id(0), Id(1)});
  EXPECT_TRUE(client.WaitConnected(2));
  EXPECT_NE(AgentPid(), agent);
}

TEST_F(LocalClusterTest, AnAgentWithoutWorkOrClientLeaves) {
  options_.agent_idle_exit = absl::Milliseconds(50);
  pid_t agent;
  {
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    client->Execute({Shell(Id(0), "true")});
    client.WaitEnd(Id(0));
    agent = AgentPid();
  }
  // It stays as long as something has to be reported.
  ASSERT_TRUE(Lives(agent));
  {
    Client client(options_);
    client.WaitEnd(Id(0));
    EXPECT_EQ(AgentPid(), agent);
    client->Acknowledge({Id(0)});
  }
  EXPECT_TRUE(Eventually([agent] { return !Lives(agent); }));
}

TEST_F(LocalClusterTest, AnAgentWhoseFolderIsDeletedEndsWhatItHas) {
  pid_t agent;
  {
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    client->Execute({Shell(Id(0), "sleep 1000"), Shell(Id(1), "true")});
    ASSERT_TRUE(client.WaitRunning(Id(0)));
    client.WaitEnd(Id(1));
    agent = AgentPid();
  }
  EXPECT_TRUE(Lives(agent));
  std::filesystem::remove_all(state_dir_);
  EXPECT_TRUE(Eventually([agent] { return !Lives(agent); }));
}

TEST_F(LocalClusterTest, SaysWhyTheAgentCannotBeStarted) {
  std::ofstream(File("agent.pid")) << "";
  options_.agent_binary = "/bin/false";
  Client client(options_);
  ASSERT_TRUE(client.WaitDisconnected());
  EXPECT_THAT(client.reason(), HasSubstr("the agent ended while it started"));
}

// As a supervisor starts it. It is this process's child.
pid_t StartInForeground(const LocalClusterOptions& options) {
  const pid_t child = fork();
  if (child != 0) return child;
  execl(options.agent_binary.c_str(), options.agent_binary.c_str(), "--state",
        options.state_dir.c_str(), "--foreground", "--idle-exit", "1ms", nullptr);
  _exit(127);
}

TEST_F(LocalClusterTest, WaitsForAnAgentThatSomebodyElseStarts) {
  LocalClusterOptions waiting = options_;
  waiting.agent_binary = "";
  Client client(waiting);
  ASSERT_TRUE(client.WaitDisconnected());
  EXPECT_THAT(client.reason(), HasSubstr("start its unit"));

  pid_t agent = StartInForeground(options_);
  ASSERT_TRUE(client.WaitConnected(1));
  client->Execute({Shell(Id(0), "sleep 1000")});
  ASSERT_TRUE(client.WaitRunning(Id(0)));
  kill(agent, SIGKILL);
  ASSERT_EQ(waitpid(agent, nullptr, 0), agent);
  ASSERT_TRUE(client.WaitDisconnected(2));

  agent = StartInForeground(options_);
  ASSERT_TRUE(client.WaitConnected(2));
  EXPECT_EQ(AgentPid(), agent);
  client->Reconcile({{Id(0), kLocalAgentId}});
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kLost);
  client->Acknowledge({Id(0)});

  // It was not asked to leave, and does not by itself.
  client.Destroy();
  {
    Client another(waiting);
    EXPECT_TRUE(another.WaitConnected());
  }
  EXPECT_TRUE(Lives(agent));
  kill(agent, SIGTERM);
  EXPECT_EQ(waitpid(agent, nullptr, 0), agent);
}

TEST_F(LocalClusterTest, NothingMoreIsLaunchedOnAnAgentThatWasToldToEnd) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Execute({Shell(Id(0), "sleep 1000")});
  ASSERT_TRUE(client.WaitRunning(Id(0)));
  kill(AgentPid(), SIGTERM);
  EXPECT_TRUE(client.WaitUnreachable());
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kLost);
  client->Acknowledge({Id(0)});
  EXPECT_TRUE(client.WaitConnected(2));
}

TEST_F(LocalClusterTest, ASecondAgentOfAFolderSaysWhoseItIs) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  const pid_t second = StartInForeground(options_);
  int status = 0;
  ASSERT_EQ(waitpid(second, &status, 0), second);
  EXPECT_TRUE(WIFEXITED(status) && WEXITSTATUS(status) == 1) << status;
  EXPECT_TRUE(Lives(AgentPid()));
}

TEST_F(LocalClusterTest, RefusesWhatCanNeverWork) {
  LocalClusterOptions options = options_;
  options.agent_binary = "/nonexistent/agent";
  EXPECT_EQ(CreateLocalCluster(options).status().code(), absl::StatusCode::kNotFound);
  options = options_;
  options.state_dir = "relative";
  EXPECT_EQ(CreateLocalCluster(options).status().code(), absl::StatusCode::kFailedPrecondition);
  options.state_dir = "/nonexistent/state";
  EXPECT_FALSE(CreateLocalCluster(options).ok());
}

TEST_F(LocalClusterTest, CarriesLargeResultsAndManyAttempts) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  std::vector<Launch> launches;
  std::vector<AttemptId> attempts;
  launches.reserve(400);
  attempts.reserve(400);
  for (uint32_t i = 0; i < 20; ++i) {
    launches.push_back(
        Shell(Id(i), "head -c 1000000 /dev/zero > $KARTOGRAPH_RESULT; head -c 1000000 /dev/zero"));
    attempts.push_back(Id(i));
  }
  launches.push_back(Shell(Id(20), "head -c 16777216 /dev/zero > $KARTOGRAPH_RESULT"));
  attempts.push_back(Id(20));
  for (uint32_t i = 21; i < 400; ++i) {
    launches.push_back(Shell(Id(i), "", 10));
    Payload payload;
    payload.add_arguments("true");
    launches.back().payload = payload.SerializeAsString();
    attempts.push_back(Id(i));
  }
  client->Execute(std::move(launches));
  for (AttemptId attempt : attempts) {
    AttemptUpdate end = client.WaitEnd(attempt);
    EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
    uint32_t index = attempt.task().index();
    EXPECT_EQ(end.return_value.size(), index < 20 ? 1000000u : index == 20 ? 16777216u : 0u);
  }
  client->Acknowledge(attempts);
}

}  // namespace
}  // namespace kartograph::executor
