#include "executor/local/local_cluster.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <filesystem>
#include <fstream>
#include <map>
#include <mutex>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/payload.pb.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;
using ::testing::HasSubstr;

// Long enough for any machine; tests end as soon as what they wait for is there.
constexpr absl::Duration kPatience = absl::Minutes(1);

AttemptId Id(uint32_t index, uint32_t number = 1) {
  return AttemptId::Of(planner::TaskKey::Of(7, index), number);
}

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

// Polls for what happens outside the cluster's events.
template <typename Condition>
bool Eventually(Condition condition) {
  for (absl::Time until = absl::Now() + kPatience; absl::Now() < until;) {
    if (condition()) return true;
    absl::SleepFor(absl::Milliseconds(2));
  }
  return false;
}

bool Lives(pid_t pid) {
  auto process = ReadProcess(pid);
  return process.has_value() && !process->zombie;
}

// A LocalCluster with what it has told.
class Client {
 public:
  explicit Client(LocalClusterOptions options) {
    auto cluster = CreateLocalCluster(std::move(options));
    EXPECT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    EXPECT_TRUE(
        cluster_->Start([this](std::vector<ClusterEvent> events) { Take(std::move(events)); })
            .ok());
  }

  Cluster* operator->() { return cluster_.get(); }
  void Destroy() { cluster_.reset(); }

  // Waits until `condition` holds, which is looked at after every batch of events.
  template <typename Condition>
  bool Wait(Condition condition) {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), condition);
  }
  bool WaitConnected(int times = 1) {
    return Wait([this, times] { return connected_ >= times && offers_.size() >= size_t(times); });
  }
  bool WaitDisconnected(int times = 1) {
    return Wait([this, times] { return reasons_.size() >= size_t(times); });
  }
  // The end of an attempt.
  AttemptUpdate WaitEnd(AttemptId attempt) {
    EXPECT_TRUE(Wait([this, attempt] { return ends_.contains(attempt.value); }))
        << AttemptIdToString(attempt) << " has not ended";
    std::lock_guard lock(mutex_);
    return ends_[attempt.value];
  }
  bool WaitRunning(AttemptId attempt) {
    return Wait([this, attempt] { return running_.contains(attempt.value); });
  }

  Offer offer() {
    std::lock_guard lock(mutex_);
    return offers_.back();
  }
  std::string reason() {
    std::lock_guard lock(mutex_);
    return reasons_.back();
  }
  int ends(AttemptId attempt) {
    std::lock_guard lock(mutex_);
    return end_counts_[attempt.value];
  }
  bool HasEnded(AttemptId attempt) { return ends(attempt) > 0; }
  bool SaidToRun(AttemptId attempt) {
    std::lock_guard lock(mutex_);
    return running_.contains(attempt.value);
  }
  bool SaidToWait(AttemptId attempt) {
    std::lock_guard lock(mutex_);
    return waiting_.contains(attempt.value);
  }

 private:
  void Take(std::vector<ClusterEvent> events) {
    std::lock_guard lock(mutex_);
    changed_.notify_all();
    for (ClusterEvent& event : events) {
      if (std::get_if<Connected>(&event)) ++connected_;
      if (auto* offer = std::get_if<Offer>(&event)) offers_.push_back(*offer);
      if (auto* gone = std::get_if<Disconnected>(&event)) reasons_.push_back(gone->reason);
      if (auto* update = std::get_if<AttemptUpdate>(&event)) {
        uint64_t attempt = update->attempt.value;
        if (update->outcome != Outcome::kNone) {
          ++end_counts_[attempt];
          ends_[attempt] = std::move(*update);
        } else if (update->start_time == absl::InfinitePast()) {
          waiting_[attempt] = true;
        } else {
          running_[attempt] = true;
        }
      }
    }
  }

  std::mutex mutex_;
  std::condition_variable changed_;
  int connected_ = 0;
  std::vector<Offer> offers_;
  std::vector<std::string> reasons_;
  std::map<uint64_t, AttemptUpdate> ends_;
  std::map<uint64_t, int> end_counts_;
  std::map<uint64_t, bool> running_;
  std::map<uint64_t, bool> waiting_;
  std::unique_ptr<Cluster> cluster_;
};

class LocalClusterTest : public ::testing::Test {
 protected:
  LocalClusterTest() {
    // Longer than the path of a socket may be.
    state_dir_ = absl::StrCat(getenv("TEST_TMPDIR"), "/", std::string(120, 'x'), "/state.XXXXXX");
    std::filesystem::create_directories(std::filesystem::path(state_dir_).parent_path());
    EXPECT_NE(mkdtemp(state_dir_.data()), nullptr);
    char* folder = get_current_dir_name();
    options_.state_dir = state_dir_;
    options_.agent_binary = absl::StrCat(folder, "/executor/local/kartograph-local-agent");
    free(folder);
    options_.resources = {{Resource::Cpu(), Quantity::Of(4)},
                          {Resource::Ram(), Quantity::Of(int64_t{8} << 30)}};
  }
  ~LocalClusterTest() override {
    // Whatever a test has done, no agent is left, and with it no attempt.
    pid_t agent = AgentPid();
    if (agent > 0 && Lives(agent)) {
      kill(agent, SIGTERM);
      EXPECT_TRUE(Eventually([agent] { return !Lives(agent); }));
    }
  }

  // 0 where there never was one.
  pid_t AgentPid() {
    pid_t pid = 0;
    return absl::SimpleAtoi(ReadWhole(state_dir_ + "/agent.pid"), &pid) ? pid : 0;
  }
  std::string File(absl::string_view name) { return absl::StrCat(state_dir_, "/", name); }

  static Launch Shell(AttemptId attempt, const std::string& line, int cpu_milli = 1000) {
    Payload payload;
    payload.set_shell(line);
    Launch launch;
    launch.attempt = attempt;
    launch.agent = kLocalAgentId;
    launch.task_name = absl::StrCat("task", attempt.task().index());
    launch.consumption.Set(Resource::Cpu(), Quantity::FromMilli(cpu_milli));
    launch.payload = payload.SerializeAsString();
    launch.cancel_grace = absl::Seconds(1);
    return launch;
  }
  // Makes `file`, then waits until it is removed.
  std::string Hold(absl::string_view file) {
    return absl::StrCat("touch ", File(file), "; while [ -e ", File(file),
                        " ]; do sleep 0.01; done");
  }
  void Release(absl::string_view file) {
    EXPECT_TRUE(Eventually([&] { return std::filesystem::remove(File(file)); }));
  }

  std::string state_dir_;
  LocalClusterOptions options_;
};

TEST_F(LocalClusterTest, OffersTheMachineAsALease) {
  Client client(options_);
  ASSERT_TRUE(client.WaitConnected());
  Offer offer = client.offer();
  EXPECT_EQ(offer.agent, "local");
  EXPECT_EQ(offer.resources, options_.resources);
  EXPECT_TRUE(offer.lease);
  EXPECT_EQ(offer.backlog, 1024);
  EXPECT_FALSE(offer.agent_name.empty());
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
  // With nothing left to tell, the agent has gone with the last client.
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
  // The second process leaves the group, the session and the parent: only its environment tells.
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
  // It stays as long as somebody has to be told something.
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
