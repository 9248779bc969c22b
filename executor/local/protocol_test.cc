#include "executor/local/protocol.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <condition_variable>
#include <fstream>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/local/local_cluster.h"
#include "executor/runner/process_table.h"

namespace kartograph::executor::local {
namespace {

using ::testing::HasSubstr;

constexpr absl::Duration kPatience = absl::Minutes(1);

TEST(FramingTest, CarriesMessagesInPieces) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Descriptor near(ends[0]), far(ends[1]);
  std::string out;
  ToAgent message;
  message.add_acknowledged(1);
  AppendFrame(message, &out);
  message.add_acknowledged(2);
  AppendFrame(message, &out);
  FrameReader reader;
  std::vector<int> sizes;
  for (char byte : out) {
    ASSERT_EQ(send(near.get(), &byte, 1, 0), 1);
    ASSERT_TRUE(reader.ReadFrom(far.get()));
    ToAgent got;
    absl::StatusOr<bool> whole = reader.Next(&got);
    ASSERT_TRUE(whole.ok());
    if (*whole) sizes.push_back(got.acknowledged_size());
  }
  EXPECT_THAT(sizes, ::testing::ElementsAre(1, 2));
  near.Reset();
  EXPECT_FALSE(reader.ReadFrom(far.get()));
}

TEST(FramingTest, RefusesWhatIsNoMessage) {
  int ends[2];
  ASSERT_EQ(socketpair(AF_UNIX, SOCK_STREAM, 0, ends), 0);
  Descriptor near(ends[0]), far(ends[1]);
  FrameReader reader;
  ASSERT_EQ(send(near.get(), "GET / HTTP/1.1\r\n", 16, 0), 16);
  ASSERT_TRUE(reader.ReadFrom(far.get()));
  ToAgent got;
  EXPECT_FALSE(reader.Next(&got).ok());
}

// One side of a connection, waiting for what it reads.
class Peer {
 public:
  explicit Peer(Descriptor socket) : socket_(std::move(socket)) {}

  void Send(const google::protobuf::MessageLite& message) {
    std::string out;
    AppendFrame(message, &out);
    EXPECT_EQ(send(socket_.get(), out.data(), out.size(), MSG_NOSIGNAL),
              static_cast<ssize_t>(out.size()));
  }
  // False at the end of the connection.
  bool Receive(google::protobuf::MessageLite* message) {
    while (true) {
      absl::StatusOr<bool> got = reader_.Next(message);
      if (got.ok() && *got) return true;
      struct pollfd wait = {socket_.get(), POLLIN, 0};
      if (poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience))) <= 0) return false;
      if (!reader_.ReadFrom(socket_.get())) return false;
    }
  }
  int fd() const { return socket_.get(); }

 private:
  Descriptor socket_;
  FrameReader reader_;
};

class VersionsTest : public ::testing::Test {
 protected:
  VersionsTest() {
    std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/versions.XXXXXX");
    EXPECT_NE(mkdtemp(folder.data()), nullptr);
    options_.state_dir = folder;
    char* here = get_current_dir_name();
    options_.agent_binary = absl::StrCat(here, "/executor/local/kartograph-local-agent");
    free(here);
    options_.resources = {{planner::Resource::Cpu(), planner::Quantity::Of(1)}};
    options_.ping_interval = absl::InfiniteDuration();  // the agents played here answer none
  }

  // The cluster asks its agent to leave; this one answers that it stays.
  void EndBesideAnAgentThatStays(Peer& peer) {
    std::thread agent([&peer] {
      ToAgent last;
      EXPECT_TRUE(peer.Receive(&last));
      FromAgent answer;
      answer.set_staying(true);
      peer.Send(answer);
    });
    cluster_.reset();
    agent.join();
  }

  void StartCluster() {
    auto cluster = CreateLocalCluster(options_);
    ASSERT_TRUE(cluster.ok()) << cluster.status();
    cluster_ = *std::move(cluster);
    ASSERT_TRUE(cluster_
                    ->Start([this](std::vector<ClusterEvent> events) {
                      std::lock_guard lock(mutex_);
                      changed_.notify_all();
                      for (ClusterEvent& event : events) {
                        if (std::get_if<Connected>(&event)) {
                          connected_ = true;
                          ++connected_after_;
                        }
                        if (auto* offer = std::get_if<Offer>(&event)) offered_ = offer->resources;
                        if (auto* gone = std::get_if<Disconnected>(&event)) {
                          reason_ = gone->reason;
                          connected_after_ = 0;
                        }
                        if (auto* update = std::get_if<AttemptUpdate>(&event)) {
                          updates_.push_back(*update);
                        }
                      }
                    })
                    .ok());
  }
  bool WaitConnected() {
    std::unique_lock lock(mutex_);
    return changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), [this] { return connected_; });
  }
  std::string WaitReason() {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), [this] { return !reason_.empty(); });
    return reason_;
  }
  std::vector<AttemptUpdate> WaitUpdates(size_t n) {
    std::unique_lock lock(mutex_);
    changed_.wait_for(lock, absl::ToChronoSeconds(kPatience),
                      [this, n] { return updates_.size() >= n; });
    return updates_;
  }
  // A connection to an agent that this test plays.
  Peer AcceptAsAgent(const Descriptor& listener) {
    struct pollfd wait = {listener.get(), POLLIN, 0};
    EXPECT_EQ(poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(kPatience))), 1);
    return Peer(Descriptor(accept4(listener.get(), nullptr, nullptr, SOCK_CLOEXEC)));
  }
  static FromAgent Greeting(int version, bool accepted, int64_t held) {
    FromAgent answer;
    answer.mutable_welcome()->set_protocol_version(version);
    answer.mutable_welcome()->set_accepted(accepted);
    answer.mutable_welcome()->set_held_attempts(held);
    return answer;
  }

  LocalClusterOptions options_;
  std::mutex mutex_;
  std::condition_variable changed_;
  bool connected_ = false;
  int connected_after_ = 0;  // connections since the last `reason_`
  std::string reason_;
  std::vector<AttemptUpdate> updates_;
  planner::ResourceVector offered_;
  std::unique_ptr<Cluster> cluster_;
};

TEST_F(VersionsTest, ReplacesAnIdleAgentOfAnotherVersion) {
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  ASSERT_TRUE(listener.ok()) << listener.status();
  StartCluster();
  {
    Peer peer = AcceptAsAgent(*listener);
    ToAgent message;
    ASSERT_TRUE(peer.Receive(&message));
    EXPECT_EQ(message.hello().protocol_version(), kProtocolVersion);
    peer.Send(Greeting(99, false, 0));
    message.Clear();
    ASSERT_TRUE(peer.Receive(&message));
    EXPECT_TRUE(message.leave_if_idle());
    listener->Reset();
  }
  EXPECT_TRUE(WaitConnected());
}

TEST_F(VersionsTest, SaysThatABusyAgentOfAnotherVersionIsInTheWay) {
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  ASSERT_TRUE(listener.ok()) << listener.status();
  StartCluster();
  Peer peer = AcceptAsAgent(*listener);
  ToAgent message;
  ASSERT_TRUE(peer.Receive(&message));
  peer.Send(Greeting(99, false, 3));
  EXPECT_THAT(WaitReason(), AllOf(HasSubstr("another version"), HasSubstr("holds 3 attempts")));
}

TEST_F(VersionsTest, TalksToABusyAgentThatIsCompatible) {
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  ASSERT_TRUE(listener.ok()) << listener.status();
  StartCluster();
  Peer peer = AcceptAsAgent(*listener);
  ToAgent message;
  ASSERT_TRUE(peer.Receive(&message));
  peer.Send(Greeting(99, true, 3));
  EXPECT_TRUE(WaitConnected());
  // At its end the cluster offers to send it away; it has work and stays.
  std::thread agent([&peer] {
    ToAgent last;
    EXPECT_TRUE(peer.Receive(&last));
    EXPECT_TRUE(last.leave_if_idle());
    FromAgent answer;
    answer.set_staying(true);
    peer.Send(answer);
  });
  cluster_.reset();
  agent.join();
}

// Its attempts would not be kept apart: each would be told how many it has, and use the first ones.
TEST_F(VersionsTest, AnAgentWithoutInstancesIsGivenNone) {
  const planner::Resource gpu = planner::Resource::Named("gpu");
  options_.resources.Set(gpu, planner::Quantity::Of(2));
  options_.instances = {{gpu, {"0", "1"}}};
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  ASSERT_TRUE(listener.ok()) << listener.status();
  StartCluster();
  Peer peer = AcceptAsAgent(*listener);
  ToAgent message;
  ASSERT_TRUE(peer.Receive(&message));
  ASSERT_EQ(message.indexed().resources_size(), 1);
  EXPECT_EQ(message.indexed().resources(0).name(), "gpu");
  EXPECT_EQ(message.indexed().resources(0).instances_size(), 2);
  peer.Send(Greeting(kFirstWithInstances - 1, true, 1));
  ASSERT_TRUE(WaitConnected());
  {
    std::lock_guard lock(mutex_);
    EXPECT_EQ(offered_.Get(gpu), planner::Quantity());
    EXPECT_EQ(offered_.Get(planner::Resource::Cpu()), planner::Quantity::Of(1));
  }
  EndBesideAnAgentThatStays(peer);
}

TEST(IndexedResourcesTest, AreCheckedWhereTheyComeIn) {
  IndexedResources message;
  ToMessage({{planner::Resource::Named("gpu"), {"0", "GPU-8932f937"}}}, &message);
  EXPECT_EQ(FromMessage(message).value(),
            planner::InstanceLists({{planner::Resource::Named("gpu"), {"0", "GPU-8932f937"}}}));
  message.mutable_resources(0)->add_instances("0");
  EXPECT_FALSE(FromMessage(message).ok()) << "one twice";
  message.mutable_resources(0)->set_instances(2, "a\nb");
  EXPECT_FALSE(FromMessage(message).ok());
  message.mutable_resources(0)->clear_instances();
  EXPECT_FALSE(FromMessage(message).ok());
  message.mutable_resources(0)->add_instances("0");
  message.mutable_resources(0)->set_name("no name");
  EXPECT_FALSE(FromMessage(message).ok());
}

// An end that cannot be read is an end all the same: reported, acknowledged, and no obstacle.
TEST_F(VersionsTest, AnEndThatCannotBeReadIsTakenForALoss) {
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  ASSERT_TRUE(listener.ok()) << listener.status();
  StartCluster();
  Peer peer = AcceptAsAgent(*listener);
  ToAgent message;
  ASSERT_TRUE(peer.Receive(&message));
  peer.Send(Greeting(kProtocolVersion, true, 2));
  FromAgent ends;
  ends.add_updates()->set_attempt(1);
  ends.mutable_updates(0)->set_outcome(256);
  ends.add_updates()->set_attempt(2);
  ends.mutable_updates(1)->set_outcome(2);
  ends.mutable_updates(1)->set_message("\xFF");
  peer.Send(ends);
  const std::vector<AttemptUpdate> updates = WaitUpdates(2);
  ASSERT_EQ(updates.size(), 2u);
  EXPECT_EQ(updates[0].attempt.value, 1u);
  EXPECT_EQ(updates[0].outcome, planner::Outcome::kLost);
  EXPECT_EQ(updates[1].outcome, planner::Outcome::kExited);
  EXPECT_EQ(updates[1].message, "\xEF\xBF\xBD");
  EndBesideAnAgentThatStays(peer);
}

// A process that is not an agent, and sends an unreadable message after each welcome: it is ended
// after a few, and an agent started.
TEST_F(VersionsTest, AnAgentThatCannotBeUnderstoodIsReplaced) {
  absl::StatusOr<Descriptor> listener = Listen(options_.state_dir);
  ASSERT_TRUE(listener.ok()) << listener.status();
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t child = fork();
  if (child == 0) {
    // Listening again makes the socket this process's own.
    if (listen(listener->get(), 16) != 0 || write(ready[1], "r", 1) != 1) _exit(1);
    std::string out;
    AppendFrame(Greeting(kProtocolVersion, true, 0), &out);
    out += std::string("\x04\0\0\0\xFF\xFF\xFF\xFF", 8);
    for (;;) {
      const int socket = accept4(listener->get(), nullptr, nullptr, SOCK_CLOEXEC);
      if (socket >= 0 && send(socket, out.data(), out.size(), MSG_NOSIGNAL) < 0) _exit(1);
    }
  }
  ASSERT_GT(child, 0);
  char byte;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  close(ready[0]);
  close(ready[1]);
  listener->Reset();
  StartCluster();
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  EXPECT_TRUE(WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL) << status;
  // The agent that came instead does its work.
  std::unique_lock lock(mutex_);
  EXPECT_TRUE(changed_.wait_for(lock, absl::ToChronoSeconds(kPatience), [this] {
    return connected_ && reason_.find("run again under another one") != std::string::npos &&
           connected_after_ > 0;
  })) << reason_;
}

TEST_F(VersionsTest, TheAgentRefusesAnotherVersionAndLeavesWhenAsked) {
  StartCluster();
  ASSERT_TRUE(WaitConnected());
  absl::StatusOr<Descriptor> socket = Connect(options_.state_dir);
  ASSERT_TRUE(socket.ok());
  Peer peer(*std::move(socket));
  ToAgent hello;
  hello.mutable_hello()->set_protocol_version(kOldestProtocolVersion - 1);
  peer.Send(hello);
  FromAgent answer;
  ASSERT_TRUE(peer.Receive(&answer));
  EXPECT_FALSE(answer.welcome().accepted());
  EXPECT_EQ(answer.welcome().held_attempts(), 0);
  ToAgent leave;
  leave.set_leave_if_idle(true);
  peer.Send(leave);
  answer.Clear();
  EXPECT_FALSE(peer.Receive(&answer)) << answer.DebugString();
}

TEST_F(VersionsTest, TheAgentOutlivesWhatIsNoMessage) {
  StartCluster();
  ASSERT_TRUE(WaitConnected());
  absl::StatusOr<Descriptor> socket = Connect(options_.state_dir);
  ASSERT_TRUE(socket.ok());
  Peer peer(*std::move(socket));
  ASSERT_GT(send(peer.fd(), "GET / HTTP/1.1\r\n\r\n", 18, MSG_NOSIGNAL), 0);
  FromAgent answer;
  EXPECT_FALSE(peer.Receive(&answer));
  EXPECT_TRUE(Connect(options_.state_dir).ok());
  std::lock_guard lock(mutex_);
  EXPECT_EQ(reason_, "");
}

}  // namespace
}  // namespace kartograph::executor::local
