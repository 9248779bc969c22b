#include "executor/mesos/framework/master_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <spdlog/sinks/ringbuffer_sink.h>
#include <spdlog/spdlog.h>

#include <algorithm>
#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "absl/time/time.h"
#include "executor/mesos/framework/testing/zookeeper_server.h"
#include "executor/mesos/framework/zookeeper_finder.h"

// ZooKeeper's client writes addresses for its log into one buffer for all sessions; only a test has
// several at once.
extern "C" const char* __tsan_default_suppressions() { return "race:libzookeeper_mt"; }

namespace kartograph::executor::mesos {
namespace {

using testing::AllOf;
using testing::HasSubstr;
using testing::Not;

std::string Master(int host) {
  return absl::StrCat(R"({"address":{"hostname":"m","ip":"10.0.0.)", host, R"(","port":5050}})");
}
std::string UrlOf(int host) {
  return absl::StrCat("http://10.0.0.", host, ":5050/api/v1/scheduler");
}

// The next endpoint as a text, or the reason why there is none.
std::string Next(MasterFinder& finder) {
  absl::StatusOr<Endpoint> next = finder.Next();
  if (next.ok()) return next->ToString();
  EXPECT_TRUE(absl::IsUnavailable(next.status())) << next.status();
  return std::string(next.status().message());
}

std::unique_ptr<MasterFinder> Make(boost::asio::io_context& io, const std::string& address,
                                   std::function<void()> changed) {
  absl::StatusOr<MasterAddress> parsed = ParseMasterAddress(address);
  EXPECT_TRUE(parsed.ok()) << parsed.status();
  absl::StatusOr<std::unique_ptr<MasterFinder>> finder =
      MakeMasterFinder(io, *std::move(parsed), std::move(changed));
  EXPECT_TRUE(finder.ok()) << finder.status();
  return *std::move(finder);
}

TEST(ListFinderTest, GivesOneAfterTheOther) {
  boost::asio::io_context io;
  auto finder = Make(io, "https://a:1,b,[::1]:2", [] { FAIL(); });
  EXPECT_EQ(Next(*finder), "https://a:1/api/v1/scheduler");
  EXPECT_EQ(Next(*finder), "https://b:5050/api/v1/scheduler");
  EXPECT_EQ(Next(*finder), "https://[::1]:2/api/v1/scheduler");
  EXPECT_EQ(Next(*finder), "https://a:1/api/v1/scheduler");
  io.run();
}

TEST(ListFinderTest, NeedsAHost) {
  boost::asio::io_context io;
  EXPECT_TRUE(absl::IsInvalidArgument(MakeMasterFinder(io, {}, [] {}).status()));
}

// All tests have one server, and a path in it each.
class ZookeeperFinderTest : public testing::Test {
 protected:
  static void SetUpTestSuite() {
    if (!ZookeeperServer::IsInstalled()) return;
    server_ = new ZookeeperServer(testing::TempDir());
    status_ = server_->Start();
  }
  static void TearDownTestSuite() {
    delete server_;
    server_ = nullptr;
  }

  void SetUp() override {
    if (server_ == nullptr) GTEST_SKIP() << "libzookeeper-java is not installed";
    ASSERT_TRUE(status_.ok()) << status_;
    path_ = absl::StrCat("/", testing::UnitTest::GetInstance()->current_test_info()->name());
    client_ = std::make_unique<ZookeeperClient>(server_->hosts());
  }

  std::string Address() const { return absl::StrCat("zk://", server_->hosts(), path_); }
  void Open() {
    finder_ = Make(io_, Address(), [this] { ++changes_; });
  }
  // With a session and pauses as short as the server takes them.
  void OpenHasty(const std::string& user = "", const std::string& password = "") {
    absl::StatusOr<MasterAddress> address = ParseMasterAddress(Address());
    ASSERT_TRUE(address.ok()) << address.status();
    address->user = user;
    address->password = password;
    ZookeeperOptions options;
    options.session_timeout = absl::Seconds(1);
    options.retry_delay = absl::Milliseconds(10);
    finder_ = MakeZookeeperFinder(io_, *std::move(address), options, [this] { ++changes_; });
  }

  // Runs the event loop until then.
  bool RunUntil(const std::function<bool()>& condition) {
    const absl::Time until = absl::Now() + absl::Minutes(2);
    while (!condition() && absl::Now() < until) io_.run_one_for(std::chrono::milliseconds(20));
    return condition();
  }
  bool Leads(int host) {
    return RunUntil([&] { return Next(*finder_) == UrlOf(host); });
  }
  bool Says(const std::string& reason) {
    return RunUntil([&] { return absl::StrContains(Next(*finder_), reason); });
  }

  void Create(const std::string& node, absl::string_view data) {
    const absl::Status status = client_->Create(path_ + node, data);
    ASSERT_TRUE(status.ok()) << status;
  }
  void Delete(const std::string& node) {
    const absl::Status status = client_->Delete(path_ + node);
    ASSERT_TRUE(status.ok()) << status;
  }
  // The session of a finder that has found this node, or 0 while it has none.
  int64_t FinderSession(const std::string& node) {
    const std::vector<int64_t> sessions = server_->Watching(path_ + node);
    return sessions.empty() ? 0 : sessions.front();
  }

  static ZookeeperServer* server_;
  static absl::Status status_;
  std::string path_;
  std::unique_ptr<ZookeeperClient> client_;
  boost::asio::io_context io_;
  boost::asio::executor_work_guard<boost::asio::io_context::executor_type> work_{
      io_.get_executor()};
  std::unique_ptr<MasterFinder> finder_;
  int changes_ = 0;
};

ZookeeperServer* ZookeeperFinderTest::server_ = nullptr;
absl::Status ZookeeperFinderTest::status_;

TEST_F(ZookeeperFinderTest, FindsTheLeader) {
  Create("", "");
  Create("/json.info_0000000004", Master(4));
  Create("/json.info_0000000003", Master(3));
  Create("/log_replicas", "");
  Open();
  EXPECT_THAT(Next(*finder_), HasSubstr("no connection to ZooKeeper at " + server_->hosts()));
  EXPECT_EQ(changes_, 0);
  ASSERT_TRUE(Leads(3)) << Next(*finder_);
  EXPECT_EQ(changes_, 1);
  EXPECT_EQ(Next(*finder_), UrlOf(3)) << "it stays";
}

TEST_F(ZookeeperFinderTest, FollowsTheLeaders) {
  Create("", "");
  Create("/json.info_0000000001", Master(1));
  Create("/json.info_0000000002", Master(2));
  Open();
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
  Delete("/json.info_0000000001");
  ASSERT_TRUE(Leads(2)) << Next(*finder_);
  EXPECT_EQ(changes_, 2);
  // One more that waits changes nothing; the same host may lead again.
  Create("/json.info_0000000003", Master(2));
  Delete("/json.info_0000000002");
  ASSERT_TRUE(RunUntil([&] { return changes_ == 3; }));
  EXPECT_EQ(Next(*finder_), UrlOf(2));
  Delete("/json.info_0000000003");
  ASSERT_TRUE(Says("no master is registered under " + path_)) << Next(*finder_);
  EXPECT_EQ(changes_, 3);
}

TEST_F(ZookeeperFinderTest, WaitsForTheFirstMaster) {
  Open();
  ASSERT_TRUE(Says("no master is registered under " + path_)) << Next(*finder_);
  Create("", "");
  Create("/log_replicas", "");
  Create("/json.info_0000000000", Master(1));
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
  EXPECT_EQ(changes_, 1);
}

TEST_F(ZookeeperFinderTest, SaysWhatItCannotRead) {
  Create("", "");
  Create("/json.info_0000000001", "{\"address\"");
  Open();
  ASSERT_TRUE(Says("is not a MasterInfo in JSON")) << Next(*finder_);
  EXPECT_THAT(Next(*finder_), AllOf(HasSubstr("json.info_0000000001"), HasSubstr(path_)));
  ASSERT_TRUE(client_->Set(path_ + "/json.info_0000000001", Master(1)).ok());
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
}

TEST_F(ZookeeperFinderTest, ShowsAUser) {
  ZookeeperClient owner(server_->hosts(), "me:hush");
  ASSERT_TRUE(owner.Create(path_, "", true).ok());
  ASSERT_TRUE(owner.Create(path_ + "/json.info_0000000001", Master(1), true).ok());
  OpenHasty("me", "hush");
  EXPECT_TRUE(Leads(1)) << Next(*finder_);
  OpenHasty("me", "wrong");
  EXPECT_TRUE(Says("does not show " + path_ + " to me")) << Next(*finder_);
  EXPECT_THAT(Next(*finder_), Not(HasSubstr("wrong")));
  OpenHasty();
  EXPECT_TRUE(Says("without a user (zk://user:password@...)")) << Next(*finder_);
}

TEST_F(ZookeeperFinderTest, KeepsTheLeaderWhileTheServerIsDown) {
  Create("", "");
  Create("/json.info_0000000001", Master(1));
  Create("/json.info_0000000002", Master(2));
  const auto log = std::make_shared<spdlog::sinks::ringbuffer_sink_mt>(100);
  const std::shared_ptr<spdlog::logger> before = spdlog::default_logger();
  spdlog::set_default_logger(std::make_shared<spdlog::logger>("", log));
  Open();
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
  server_->Kill();
  EXPECT_TRUE(RunUntil([&] {
    const std::vector<std::string> lines = log->last_formatted();
    return std::any_of(lines.begin(), lines.end(), [](const std::string& line) {
      return absl::StrContains(line, UrlOf(1) + " is taken for the leading master still");
    });
  }));
  EXPECT_EQ(Next(*finder_), UrlOf(1));
  ASSERT_TRUE(server_->Start().ok());
  client_ = std::make_unique<ZookeeperClient>(server_->hosts());
  EXPECT_EQ(changes_, 1);
  Delete("/json.info_0000000001");
  ASSERT_TRUE(Leads(2)) << Next(*finder_);
  EXPECT_EQ(changes_, 2);
  finder_.reset();
  spdlog::set_default_logger(before);
}

TEST_F(ZookeeperFinderTest, WaitsForTheServer) {
  Create("", "");
  Create("/json.info_0000000001", Master(1));
  server_->Kill();
  Open();
  io_.poll();
  EXPECT_THAT(Next(*finder_), HasSubstr("no connection"));
  ASSERT_TRUE(server_->Start().ok());
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
}

TEST_F(ZookeeperFinderTest, BeginsAnewAfterItsSessionExpired) {
  Create("", "");
  Create("/json.info_0000000001", Master(1));
  Create("/json.info_0000000002", Master(2));
  Open();
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
  const int64_t first = FinderSession("/json.info_0000000001");
  ASSERT_NE(first, 0);
  // Until it has gone through: whoever comes back first closes the other's connection.
  ASSERT_TRUE(RunUntil([&] {
    const int64_t session = FinderSession("/json.info_0000000001");
    if (session == first) ZookeeperClient(server_->hosts(), "", first);
    return session != 0 && session != first;
  }));
  EXPECT_EQ(Next(*finder_), UrlOf(1));
  EXPECT_EQ(changes_, 1);
  Delete("/json.info_0000000001");
  ASSERT_TRUE(Leads(2)) << Next(*finder_);
}

TEST_F(ZookeeperFinderTest, SaysThatAHostHasNoAddress) {
  // No name server needs to be asked for what is too long for a name.
  finder_ =
      Make(io_, absl::StrCat("zk://", std::string(70, 'x'), "/mesos"), [this] { ++changes_; });
  EXPECT_TRUE(Says("no address of a host can be found")) << Next(*finder_);
}

TEST_F(ZookeeperFinderTest, ConnectsToIpv6) {
  using boost::asio::ip::tcp;
  tcp::acceptor acceptor(io_);
  boost::system::error_code error;
  acceptor.open(tcp::v6(), error);
  if (!error) acceptor.bind({boost::asio::ip::address_v6::loopback(), 0}, error);
  if (error) GTEST_SKIP() << "no IPv6 on this machine";
  acceptor.listen();
  bool connected = false;
  acceptor.async_accept(
      [&](const boost::system::error_code& failed, tcp::socket) { connected = !failed; });
  finder_ = Make(io_, absl::StrCat("zk://[::1]:", acceptor.local_endpoint().port(), "/mesos"),
                 [this] { ++changes_; });
  EXPECT_TRUE(RunUntil([&] { return connected; }));
}

// A server that knows less than its client has seen does not even notify it that its session is
// over.
TEST_F(ZookeeperFinderTest, BeginsAnewWithANewServer) {
  Create("", "");
  Create("/json.info_0000000001", Master(1));
  OpenHasty();
  ASSERT_TRUE(Leads(1)) << Next(*finder_);
  server_->Kill();
  server_->Wipe();
  ASSERT_TRUE(server_->Start().ok());
  client_ = std::make_unique<ZookeeperClient>(server_->hosts());
  Create("", "");
  Create("/json.info_0000000000", Master(2));
  ASSERT_TRUE(Leads(2)) << Next(*finder_);
}

TEST_F(ZookeeperFinderTest, EndsAtAnyTime) {
  Create("", "");
  Create("/json.info_0000000001", Master(1));
  for (int i = 0; i < 20; ++i) {
    Open();
    for (int j = 0; j < i; ++j) io_.run_one_for(std::chrono::milliseconds(1));
    finder_.reset();
    const int changes = changes_;
    io_.poll();
    EXPECT_EQ(changes_, changes) << "called after the end";
  }
  // From within, too.
  absl::StatusOr<MasterAddress> address = ParseMasterAddress(Address());
  finder_ = MakeZookeeperFinder(io_, *address, {}, [this] { finder_.reset(); });
  EXPECT_TRUE(RunUntil([this] { return finder_ == nullptr; }));
}

}  // namespace
}  // namespace kartograph::executor::mesos
