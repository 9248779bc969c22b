#include "executor/runner/cgroup.h"

#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/payload.pb.h"
#include "executor/runner/runner.h"

namespace kartograph::executor {
namespace {

TEST(CgroupFilesTest, AreRead) {
  EXPECT_EQ(ParseCgroupNumber("123456\n"), 123456u);
  EXPECT_EQ(ParseCgroupNumber("max\n"), 0u);
  EXPECT_EQ(ParseCgroupNumber(""), 0u);
  constexpr char kEvents[] = "low 0\nhigh 0\nmax 27\noom 3\noom_kill 2\noom_group_kill 1\n";
  EXPECT_EQ(ParseCgroupKey(kEvents, "oom_kill"), 2u);
  EXPECT_EQ(ParseCgroupKey(kEvents, "oom"), 3u);
  EXPECT_EQ(ParseCgroupKey(kEvents, "absent"), 0u);
}

TEST(CgroupPoolTest, SaysWhatIsMissing) {
  EXPECT_EQ(CgroupPool::Create("/nowhere").status().code(), absl::StatusCode::kFailedPrecondition);
  // A plain folder is not a cgroup.
  std::string folder = absl::StrCat(getenv("TEST_TMPDIR"), "/plain.XXXXXX");
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  absl::Status status = CgroupPool::Create(folder).status();
  EXPECT_EQ(status.code(), absl::StatusCode::kFailedPrecondition);
  EXPECT_NE(status.message().find("has no cgroup.kill"), std::string::npos) << status;
  EXPECT_EQ(rmdir(folder.c_str()), 0) << "left something behind";
}

// A folder of its own in a cgroup2 hierarchy that this process may write to; skipped where there is
// none. The memory controller may be missing, and then only the killing is tested.
class RealCgroupTest : public ::testing::Test {
 protected:
  void SetUp() override {
    for (const char* mount : {"/sys/fs/cgroup", "/sys/fs/cgroup/unified"}) {
      if (access(absl::StrCat(mount, "/cgroup.subtree_control").c_str(), W_OK) != 0) continue;
      parent_ = absl::StrCat(mount, "/kartograph-test-", getpid());
      if (mkdir(parent_.c_str(), 0755) == 0) break;
      parent_.clear();
    }
    if (parent_.empty()) GTEST_SKIP() << "no cgroup2 hierarchy can be written to";
    std::ofstream(parent_ + "/cgroup.subtree_control") << "+memory";
    absl::StatusOr<std::unique_ptr<CgroupPool>> pool = CgroupPool::Create(parent_, false);
    if (!pool.ok()) GTEST_SKIP() << pool.status();
    pool_ = *std::move(pool);
  }
  void TearDown() override {
    pool_.reset();
    if (parent_.empty()) return;
    EXPECT_EQ(rmdir(parent_.c_str()), 0) << parent_;
  }

  std::string parent_;
  std::unique_ptr<CgroupPool> pool_;
};

bool IsThere(const std::string& path) { return access(path.c_str(), F_OK) == 0; }

// The kernel's figures are of a group's whole life.
TEST_F(RealCgroupTest, EachAttemptHasAGroupOfItsOwn) {
  absl::StatusOr<CgroupPool::Group> group = pool_->Acquire(0);
  ASSERT_TRUE(group.ok()) << group.status();
  const std::string path = group->path;
  EXPECT_TRUE(IsThere(path));
  pool_->Release(*std::move(group));
  EXPECT_FALSE(IsThere(path));
  group = pool_->Acquire(0);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_NE(group->path, path);
  EXPECT_EQ(pool_->OomKilled(*group), CgroupPool::OomKill::kNone);
  EXPECT_EQ(pool_->CpuTime(*group), absl::ZeroDuration());
  pool_->Release(*std::move(group));
}

TEST_F(RealCgroupTest, OneThatStillHasProcessesIsRemovedLater) {
  absl::StatusOr<CgroupPool::Group> group = pool_->Acquire(0);
  ASSERT_TRUE(group.ok()) << group.status();
  const std::string path = group->path;
  const pid_t child = fork();
  if (child == 0) {
    pause();
    _exit(0);
  }
  std::ofstream(path + "/cgroup.procs") << child;
  pool_->Release(*std::move(group));
  EXPECT_TRUE(IsThere(path));
  kill(child, SIGKILL);
  ASSERT_EQ(waitpid(child, nullptr, 0), child);
  group = pool_->Acquire(0);
  ASSERT_TRUE(group.ok()) << group.status();
  EXPECT_FALSE(IsThere(path));
  pool_->Release(*std::move(group));
}

TEST_F(RealCgroupTest, WithoutOneTheAgentHasFailed) {
  std::string root = absl::StrCat(getenv("TEST_TMPDIR"), "/cgroup.XXXXXX");
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  Runner::Options options;
  options.sandbox_root = root;
  options.cgroups = pool_.get();
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  ASSERT_EQ(rmdir(parent_.c_str()), 0);
  Payload payload;
  payload.add_arguments("true");
  Launch launch;
  launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, 0), 1);
  launch.payload = payload.SerializeAsString();
  EXPECT_FALSE((*runner)->Start(launch));
  std::vector<AttemptUpdate> ended;
  (*runner)->Poll(&ended);
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].outcome, planner::Outcome::kAgentFailed);
  EXPECT_NE(ended[0].message.find("cannot make the cgroup"), std::string::npos) << ended[0].message;
  ASSERT_EQ(mkdir(parent_.c_str(), 0755), 0);
}

TEST_F(RealCgroupTest, EndsWhatEscapesWithItsAttempt) {
  std::string root = absl::StrCat(getenv("TEST_TMPDIR"), "/cgroup.XXXXXX");
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  Runner::Options options;
  options.sandbox_root = root;
  options.cgroups = pool_.get();
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  Payload payload;
  payload.set_shell(absl::StrCat("(env -i setsid sh -c 'echo $$ > ", root,
                                 "/pid; exec sleep 1000' &); while [ ! -s ", root,
                                 "/pid ]; do sleep 0.01; done; cat /proc/self/cgroup"));
  Launch launch;
  launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, 0), 1);
  launch.payload = payload.SerializeAsString();
  EXPECT_TRUE((*runner)->Start(launch));
  std::vector<AttemptUpdate> ended;
  absl::Time until = absl::Now() + absl::Minutes(1);
  while (ended.empty() && absl::Now() < until) {
    struct pollfd wait = {(*runner)->fd(), POLLIN, 0};
    poll(&wait, 1, 10);
    (*runner)->Poll(&ended);
  }
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].outcome, planner::Outcome::kSucceeded) << ended[0].message;
  EXPECT_GE(ended[0].usage.cpu_time, absl::ZeroDuration());
  std::ifstream log(root + "/1/0.1/stdout");
  std::string text{std::istreambuf_iterator<char>(log), {}};
  EXPECT_NE(text.find("kartograph-attempt-"), std::string::npos) << text;
  std::ifstream file(root + "/pid");
  pid_t pid = 0;
  file >> pid;
  ASSERT_GT(pid, 0);
  auto lives = [pid] {
    auto process = ReadProcess(pid);
    return process.has_value() && !process->zombie;
  };
  while (lives() && absl::Now() < until) (*runner)->Poll(&ended);
  EXPECT_FALSE(lives());
  while ((*runner)->tidying() && absl::Now() < until) (*runner)->Poll(&ended);
}

TEST_F(RealCgroupTest, KeepsTheMemoryLimit) {
  if (!pool_->has_memory()) GTEST_SKIP() << "this machine's cgroup2 lacks the memory controller";
  std::string root = absl::StrCat(getenv("TEST_TMPDIR"), "/cgroup.XXXXXX");
  ASSERT_NE(mkdtemp(root.data()), nullptr);
  Runner::Options options;
  options.sandbox_root = root;
  options.cgroups = pool_.get();
  absl::StatusOr<std::unique_ptr<Runner>> runner = Runner::Create(options);
  ASSERT_TRUE(runner.ok()) << runner.status();
  Payload payload;
  payload.set_shell("head -c 200000000 /dev/zero | tail -c 190000000 > /dev/null");
  Launch launch;
  launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(1, 0), 1);
  launch.payload = payload.SerializeAsString();
  launch.consumption.Set(planner::Resource::Ram(), planner::Quantity::Of(50 << 20));
  EXPECT_TRUE((*runner)->Start(launch));
  std::vector<AttemptUpdate> ended;
  absl::Time until = absl::Now() + absl::Minutes(1);
  while (ended.empty() && absl::Now() < until) {
    struct pollfd wait = {(*runner)->fd(), POLLIN, 0};
    poll(&wait, 1, 10);
    (*runner)->Poll(&ended);
  }
  ASSERT_EQ(ended.size(), 1u);
  EXPECT_EQ(ended[0].outcome, planner::Outcome::kOutOfMemory);
  EXPECT_EQ(ended[0].message, "out of memory: used more than its declared ram=50MiB");
  EXPECT_GT(ended[0].usage.peak_ram_bytes, 40u << 20);
}

}  // namespace
}  // namespace kartograph::executor
