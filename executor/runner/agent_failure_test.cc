// Attempts that the agent cannot start for reasons of its own: they end as kAgentFailed, which
// spends none of the task's attempts.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/descriptor.h"
#include "executor/payload.pb.h"
#include "executor/runner/runner.h"
#include "executor/runner/testing/runner_fixture.h"
#include "executor/runner/testing/taken_descriptors.h"
#include "planner/states.h"

namespace kartograph::executor {
namespace {

namespace fs = std::filesystem;
using planner::Outcome;
using ::testing::HasSubstr;

class AgentFailureTest : public RunnerTest {
 protected:
  void SetUp() override { runner(); }
  // The next attempt cannot be started, with this in its message.
  void ExpectFailure(uint32_t index, const std::string& why) {
    EXPECT_FALSE(runner().Start(List(index, {"true"})));
    AttemptUpdate end = WaitEnd(index);
    EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
    EXPECT_FALSE(planner::SpendsAttempt(end.outcome));
    EXPECT_THAT(end.message, HasSubstr(why));
    EXPECT_EQ(end.start_time, absl::InfinitePast());
    EXPECT_EQ(runner().running(), 0u);
  }
  void ExpectSuccess(uint32_t index) {
    EXPECT_EQ(Run(List(index, {"true"})).outcome, Outcome::kSucceeded);
  }
};

TEST_F(AgentFailureTest, TheFolderOfSandboxesIsGone) {
  fs::remove_all(options_.sandbox_root);
  ExpectSuccess(0);
  fs::remove_all(options_.sandbox_root);
  std::ofstream(options_.sandbox_root) << "in the way";
  ExpectFailure(1, "Not a directory");
  fs::remove(options_.sandbox_root);
  ExpectSuccess(2);
}

TEST_F(AgentFailureTest, AFileIsInThePlaceOfAGraphsFolder) {
  std::ofstream(options_.sandbox_root + "/17") << "in the way";
  ExpectFailure(0, "cannot make the sandbox");
  fs::remove(options_.sandbox_root + "/17");
  ExpectSuccess(1);
}

// The sandboxes are on a file system of their own.
class OwnFileSystemTest : public AgentFailureTest {
 protected:
  void SetUp() override {
    fs::create_directories(options_.sandbox_root);
    mounted_ =
        mount("small", options_.sandbox_root.c_str(), "tmpfs", 0, "size=64k,nr_inodes=12") == 0;
    if (!mounted_) GTEST_SKIP() << "nothing can be mounted here";
    runner();
  }
  void TearDown() override {
    runner_.reset();
    if (mounted_) umount2(options_.sandbox_root.c_str(), MNT_DETACH);
  }
  bool mounted_ = false;
};

TEST_F(OwnFileSystemTest, IsReadOnly) {
  ASSERT_EQ(mount(nullptr, options_.sandbox_root.c_str(), nullptr, MS_REMOUNT | MS_RDONLY, nullptr),
            0);
  ExpectFailure(0, "Read-only file system");
  ASSERT_EQ(mount(nullptr, options_.sandbox_root.c_str(), nullptr, MS_REMOUNT, nullptr), 0);
  ExpectSuccess(1);
}

TEST_F(OwnFileSystemTest, HasNoInodes) {
  std::vector<std::string> files;
  do {
    files.push_back(absl::StrCat(options_.sandbox_root, "/file", files.size()));
  } while (Descriptor(open(files.back().c_str(), O_CREAT | O_WRONLY | O_CLOEXEC, 0666)).ok());
  ExpectFailure(0, "No space left on device");
  // The folder of the graph can be made, that of the attempt cannot.
  fs::remove(files[0]);
  ExpectFailure(1, "No space left on device");
  for (const std::string& file : files) fs::remove(file);
  ExpectSuccess(2);
}

TEST_F(AgentFailureTest, ThereAreNoDescriptors) {
  ExpectSuccess(0);
  EXPECT_TRUE(RunUntil([&] { return !runner().tidying(); }));
  TakenDescriptors taken;
  // Each step needs one more.
  uint32_t index = 1;
  for (; index < 10; ++index) {
    if (runner().Start(List(index, {"true"}))) break;
    AttemptUpdate end = WaitEnd(index);
    EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
    EXPECT_THAT(end.message, HasSubstr("Too many open files"));
    taken.GiveBackOne();
  }
  EXPECT_GT(index, 3u);
  EXPECT_EQ(WaitEnd(index).outcome, Outcome::kSucceeded);
}

TEST_F(AgentFailureTest, WithoutDescriptorsNothingIsTakenForEnded) {
  // Its main process ends at SIGTERM, the one below does not.
  runner().Start(Shell(0, absl::StrCat("sh -c 'trap \"\" TERM; echo $$ > ", File("pid"),
                                       "; while :; do sleep 0.01; done' & wait")));
  const pid_t below = WaitPid("pid");
  TakenDescriptors taken;
  EXPECT_TRUE(runner().Cancel(Id(0), absl::Minutes(10)));
  const absl::Time later = absl::Now() + absl::Milliseconds(300);
  EXPECT_TRUE(RunUntil([&] { return absl::Now() > later; }));
  EXPECT_TRUE(runner().IsRunning(Id(0)));
  taken.GiveBackAll();
  EXPECT_TRUE(Lives(below));
  EXPECT_TRUE(runner().Cancel(Id(0), absl::ZeroDuration()));
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kCancelled);
  EXPECT_FALSE(Lives(below));
}

TEST_F(AgentFailureTest, ThereAreNoProcesses) {
  // The limit does not bind root, so another user tries.
  constexpr uid_t kNobody = 65534;
  runner_.reset();
  options_.sandbox_root = File("nobodys");
  fs::create_directories(options_.sandbox_root);
  if (chown(options_.sandbox_root.c_str(), kNobody, kNobody) != 0) {
    GTEST_SKIP() << "there is no other user here";
  }
  chmod(root_.c_str(), 0755);
  const pid_t child = fork();
  if (child == 0) {
    struct rlimit none = {1, 1};
    if (setrlimit(RLIMIT_NPROC, &none) != 0 || setresuid(kNobody, kNobody, kNobody) != 0 ||
        access(options_.sandbox_root.c_str(), W_OK) != 0) {
      _exit(77);
    }
    ExpectFailure(0, "cannot make a process: Resource temporarily unavailable");
    _exit(HasFailure() ? 1 : 0);
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  if (WIFEXITED(status) && WEXITSTATUS(status) == 77) GTEST_SKIP() << "another user cannot be had";
  EXPECT_EQ(status, 0);
}

TEST_F(AgentFailureTest, WhatTheTaskGotWrongIsNotTheAgentsFault) {
  EXPECT_EQ(Run(List(0, {"/nowhere/program"})).outcome, Outcome::kNotStarted);
  Payload payload;
  payload.add_arguments("true");
  payload.set_directory("/nowhere");
  EXPECT_EQ(Run(WithPayload(1, payload)).outcome, Outcome::kNotStarted);
  EXPECT_EQ(Run(WithPayload(2, Payload())).outcome, Outcome::kNotStarted);
  EXPECT_EQ(Run(Shell(3, "mkdir $KARTOGRAPH_RESULT")).outcome, Outcome::kExited);
}

}  // namespace
}  // namespace kartograph::executor
