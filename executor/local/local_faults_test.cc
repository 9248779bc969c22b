// What the local cluster makes of agents that are killed, stopped or cut off, and of histories that
// are restored.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "executor/local/local_cluster.h"
#include "executor/local/testing/local_cluster_fixture.h"

namespace kartograph::executor {
namespace {

using ::testing::AnyOf;
using ::testing::HasSubstr;

class LocalFaultsTest : public LocalClusterTest {
 protected:
  // Of a file that holds its number.
  pid_t WaitPid(absl::string_view file) {
    pid_t pid = 0;
    EXPECT_TRUE(Eventually([&] {
      const std::string text = ReadWhole(File(file));
      return absl::EndsWith(text, "\n") && absl::SimpleAtoi(text, &pid);
    }));
    return pid;
  }
  // Id(0) to Id(31), 1 MiB each: far more than a socket holds.
  void ExecuteMuch(Client& client) {
    const std::string ballast(1 << 20, 'x');
    for (int i = 0; i < 32; ++i) client->Execute({Shell(Id(i), absl::StrCat("true #", ballast))});
  }
  std::string Stdout(AttemptId attempt) {
    return ReadWhole(File(absl::StrCat("sandboxes/", attempt.task().graph(), "/",
                                       attempt.task().index(), ".", attempt.number(), "/stdout")));
  }
};

TEST_F(LocalFaultsTest, AnAgentThatIsStoppedIsUnreachableUntilItGoesOn) {
  options_.ping_interval = absl::Milliseconds(100);
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  const pid_t agent = AgentPid();
  client->Execute({Shell(Id(0), Hold("running"))});
  ASSERT_TRUE(client.WaitRunning(Id(0)));
  ASSERT_EQ(kill(agent, SIGSTOP), 0);
  ASSERT_TRUE(client.WaitUnreachable());
  client->Execute({Shell(Id(1), "true")});
  ASSERT_EQ(kill(agent, SIGCONT), 0);
  ASSERT_TRUE(client.WaitOffers(2));
  Release("running");
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(client.WaitEnd(Id(1)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(AgentPid(), agent);  // nothing was lost
  // And so again.
  const size_t times = client.unreachable();
  ASSERT_EQ(kill(agent, SIGSTOP), 0);
  ASSERT_TRUE(client.WaitUnreachable(times + 1));
  ASSERT_EQ(kill(agent, SIGCONT), 0);
  ASSERT_TRUE(client.WaitOffers(times + 2));
  client->Acknowledge({Id(0), Id(1)});
}

TEST_F(LocalFaultsTest, ATimeoutHoldsForATaskWhoseAgentWasStopped) {
  options_.ping_interval = absl::Milliseconds(100);
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  Launch launch = Shell(Id(0), "exec sleep 1000");
  launch.timeout = absl::Milliseconds(300);
  client->Execute({launch});
  ASSERT_TRUE(client.WaitRunning(Id(0)));
  ASSERT_EQ(kill(AgentPid(), SIGSTOP), 0);
  ASSERT_TRUE(client.WaitUnreachable());
  ASSERT_EQ(kill(AgentPid(), SIGCONT), 0);
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kTimedOut);
  client->Acknowledge({Id(0)});
}

TEST_F(LocalFaultsTest, WhatWaitsForAnAgentThatDoesNotReadHasABound) {
  LocalClusterOptions options = options_;
  options.max_unsent_bytes = 4 << 20;
  Client client(options);
  ASSERT_TRUE(client.WaitConnected());
  const pid_t agent = AgentPid();
  ASSERT_EQ(kill(agent, SIGSTOP), 0);
  ExecuteMuch(client);
  // The last ones come back at once, spending nothing, and the connection stays.
  EXPECT_EQ(client.WaitEnd(Id(31)).outcome, Outcome::kDropped);
  EXPECT_EQ(client.disconnected(), 0u);
  // Those that were taken are cancelled and acknowledged all the same.
  client->Cancel(Id(0), kLocalAgentId, absl::ZeroDuration());
  client->Acknowledge({Id(31)});
  ASSERT_EQ(kill(agent, SIGCONT), 0);
  EXPECT_THAT(client.WaitEnd(Id(0)).outcome, AnyOf(Outcome::kCancelled, Outcome::kSucceeded));
  EXPECT_EQ(client.WaitEnd(Id(1)).outcome, Outcome::kSucceeded);
  client->Execute({Shell(Id(40), "true")});
  EXPECT_EQ(client.WaitEnd(Id(40)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(client.disconnected(), 0u);
}

TEST_F(LocalFaultsTest, WhatWasNotSentWhenTheConnectionEndedIsDroppedNotLost) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  const pid_t agent = AgentPid();
  ASSERT_EQ(kill(agent, SIGSTOP), 0);
  ExecuteMuch(client);
  ASSERT_EQ(kill(agent, SIGKILL), 0);
  ASSERT_TRUE(client.WaitConnected(2));
  EXPECT_EQ(client.WaitEnd(Id(31)).outcome, Outcome::kDropped);
}

TEST_F(LocalFaultsTest, ASocketThatWasRemovedIsMadeAgain) {
  pid_t agent;
  {
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    agent = AgentPid();
    client->Execute({Shell(Id(0), Hold("running"))});
    ASSERT_TRUE(client.WaitRunning(Id(0)));
  }
  ASSERT_TRUE(std::filesystem::remove(File("agent.sock")));
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  EXPECT_EQ(AgentPid(), agent);
  client->Reconcile({{Id(0), kLocalAgentId}});
  EXPECT_TRUE(client.WaitRunning(Id(0)));
  // Also where something else was put there, and while it is connected.
  std::filesystem::remove(File("agent.sock"));
  std::ofstream(File("agent.sock")) << "no socket";
  EXPECT_TRUE(Eventually([&] { return std::filesystem::is_socket(File("agent.sock")); }));
  Release("running");
  client.WaitEnd(Id(0));
  client->Acknowledge({Id(0)});
}

// An older copy of the history is restored while the agent lives: it lacks what was launched since,
// and gives the same ids to other attempts.
TEST_F(LocalFaultsTest, AnOlderHistoryGetsNothingOfWhatItHasNotLaunched) {
  pid_t old = 0;
  {
    options_.lineage = {"h", {11}};
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    client->Execute({Shell(Id(0), Hold("known"))});
    ASSERT_TRUE(client.WaitRunning(Id(0)));
  }
  const pid_t agent = AgentPid();
  {
    options_.lineage = {"h", {11, 22}};
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    client->Execute(
        {Shell(Id(1), "echo old; exit 3"),
         Shell(Id(2), absl::StrCat("echo $$ > ", File("old"), "; echo old; exec sleep 1000")),
         Shell(Id(4), "echo old")});
    client.WaitEnd(Id(1));
    client.WaitEnd(Id(4));
    client->Acknowledge({Id(4)});
    old = WaitPid("old");
  }
  options_.lineage = {"h", {11, 33}};
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  EXPECT_EQ(AgentPid(), agent);
  client->Execute({Shell(Id(1), "echo new"), Shell(Id(2), "echo new"), Shell(Id(4), "echo new")});
  for (uint32_t i : {1, 2, 4}) {
    EXPECT_EQ(client.WaitEnd(Id(i)).outcome, Outcome::kSucceeded) << i;
    EXPECT_EQ(Stdout(Id(i)), "new\n") << i;
    EXPECT_EQ(client.ends(Id(i)), 1) << i;
  }
  EXPECT_FALSE(Lives(old));
  // What it has launched is still its own.
  client->Reconcile({{Id(0), kLocalAgentId}});
  EXPECT_TRUE(client.WaitRunning(Id(0)));
  Release("known");
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kSucceeded);
  client->Acknowledge({Id(0), Id(1), Id(2), Id(4)});
}

TEST_F(LocalFaultsTest, AnotherHistoryGetsNothing) {
  pid_t old = 0;
  {
    options_.lineage = {"h1", {11}};
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    client->Execute({Shell(Id(0), absl::StrCat("echo $$ > ", File("old"), "; exec sleep 1000"))});
    old = WaitPid("old");
  }
  options_.lineage = {"h2", {22}};
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  EXPECT_TRUE(Eventually([&] { return !Lives(old); }));
  client->Reconcile({{Id(0), kLocalAgentId}});
  EXPECT_EQ(client.WaitEnd(Id(0)).outcome, Outcome::kLost);
}

TEST_F(LocalFaultsTest, WhatAKilledAgentLeavesIsFoundByItsSession) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  // It keeps nothing of its environment, and its parent dies with the agent.
  client->Execute({Shell(Id(0), absl::StrCat("env -i sh -c 'echo $$ > ", File("cleared"),
                                             "; exec sleep 1000' & wait"))});
  const pid_t cleared = WaitPid("cleared");
  ASSERT_EQ(kill(AgentPid(), SIGKILL), 0);
  ASSERT_TRUE(client.WaitConnected(2));
  EXPECT_FALSE(Lives(cleared));
}

TEST_F(LocalFaultsTest, ThatItsAgentWasKilledIsSaidOfEveryAttempt) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  client->Execute({Shell(Id(0), "kill -9 $PPID; sleep 1000", 1000),
                   Shell(Id(1), "exec sleep 1000", 1000), Shell(Id(2), "true", 4000)});
  ASSERT_TRUE(client.WaitConnected(2));
  client->Reconcile({{Id(0), "local"}, {Id(1), "local"}, {Id(2), "local"}});
  for (uint32_t i = 0; i < 3; ++i) {
    const AttemptUpdate end = client.WaitEnd(Id(i));
    EXPECT_EQ(end.outcome, Outcome::kLost);
    EXPECT_EQ(end.message, "its agent was killed");
    EXPECT_EQ(end.agent, kLocalAgentId);
  }
}

TEST_F(LocalFaultsTest, AnAttemptWithoutASandboxIsTheAgentsFailure) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  // What is only removed is made again; here something else is in the way.
  std::filesystem::remove_all(File("sandboxes"));
  std::ofstream(File("sandboxes")) << "in the way";
  client->Execute({Shell(Id(0), "true")});
  const AttemptUpdate end = client.WaitEnd(Id(0));
  EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
  EXPECT_THAT(end.message, HasSubstr("sandbox"));
  client->Acknowledge({Id(0)});
  std::filesystem::remove(File("sandboxes"));
  client->Execute({Shell(Id(1), "true")});
  EXPECT_EQ(client.WaitEnd(Id(1)).outcome, Outcome::kSucceeded);
  client->Acknowledge({Id(1)});
}

// With no client, the agent keeps what attempts have returned on disk.
TEST_F(LocalFaultsTest, ResultsThatWaitCostNoMemory) {
  constexpr uint32_t kAttempts = 32;
  constexpr size_t kBytes = 8 << 20;
  pid_t agent;
  {
    Client client(options_);
    ASSERT_TRUE(client.WaitConnected());
    agent = AgentPid();
    std::vector<Launch> launches;
    launches.reserve(kAttempts);
    for (uint32_t i = 0; i < kAttempts; ++i) {
      launches.push_back(Shell(Id(i), absl::StrCat("truncate -s ", kBytes, " $KARTOGRAPH_RESULT")));
    }
    // Until the last has started, the first have long ended.
    launches.push_back(Shell(Id(kAttempts), absl::StrCat("touch ", File("all")), 4000));
    client->Execute(std::move(launches));
  }
  ASSERT_TRUE(Eventually([&] { return std::filesystem::exists(File("all")); }));
  const std::optional<Process> process = ReadProcess(agent);
  ASSERT_TRUE(process.has_value());
#ifndef KARTOGRAPH_SANITIZED  // which keeps what was freed for a time
  EXPECT_LT(process->rss_bytes, kAttempts * kBytes / 4);
#endif
  Client client(options_);
  for (uint32_t i = 0; i < kAttempts; ++i) {
    EXPECT_EQ(client.WaitEnd(Id(i)).return_value.size(), kBytes);
    client->Acknowledge({Id(i)});
  }
  client->Acknowledge({Id(kAttempts)});
}

}  // namespace
}  // namespace kartograph::executor
