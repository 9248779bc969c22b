// Attempts whose processes hang before they are their programs.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "base/small_file.h"
#include "base/testing/manual_clock.h"
#include "executor/payload.pb.h"
#include "executor/runner/runner.h"
#include "executor/runner/testing/dead_mount.h"
#include "executor/runner/testing/lease.h"
#include "executor/runner/testing/runner_fixture.h"

namespace kartograph::executor {
namespace {

using planner::Outcome;
using planner::Quantity;
using planner::Resource;
using testing::DeadMount;
using testing::Lease;

// This process's children.
std::vector<pid_t> Children() { return ReadChildren().value_or(std::vector<pid_t>()); }

// More than were once started at a time.
constexpr uint32_t kMany = 20;

// Signals reach what hangs here.
class HangingStartTest : public RunnerTest {
 protected:
  HangingStartTest() {
    std::ofstream(File("program")) << "#!/bin/sh\n: > " << File("ran") << "\n";
    chmod(File("program").c_str(), 0755);
  }
  void Hang() {
    lease_.emplace(File("program"));
    ASSERT_TRUE(lease_->held());
  }
  std::optional<Lease> lease_;
};

TEST_F(HangingStartTest, HoldsUpNobodyElse) {
  Hang();
  for (uint32_t i = 0; i < kMany; ++i) {
    Launch launch = List(i, {File("program")});
    // So that there are surveys.
    launch.consumption.Set(Resource::Ram(), Quantity::Of(32 << 20));
    EXPECT_TRUE(runner().Start(launch));
  }
  EXPECT_EQ(Run(List(100, {"true"})).outcome, Outcome::kSucceeded);
  EXPECT_TRUE(runner().Cancel(Id(0), absl::ZeroDuration()));
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kCancelled);
  EXPECT_TRUE(runner().Cancel(Id(1), absl::Minutes(10)));
  EXPECT_EQ(WaitEnd(1).outcome, Outcome::kCancelled) << "SIGTERM is enough";
  EXPECT_EQ(runner().running(), kMany - 2) << "the test itself took too long";
  lease_.reset();
  for (uint32_t i = 2; i < kMany; ++i) EXPECT_EQ(WaitEnd(i).outcome, Outcome::kSucceeded);
}

TEST_F(HangingStartTest, IsNotMeasuredWithOurMemory) {
  Hang();
  std::string ours(64 << 20, 'x');  // more than the attempt may have
  Launch launch = List(0, {File("program")});
  launch.consumption.Set(Resource::Ram(), Quantity::Of(32 << 20));
  options_.sample_period = absl::Milliseconds(1);
  EXPECT_TRUE(runner().Start(launch));
  for (uint32_t i = 1; i < 10; ++i) Run(List(i, {"true"}));
  EXPECT_TRUE(runner().IsRunning(Id(0))) << ends_[Id(0).value].message;
  lease_.reset();
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kSucceeded) << ours.size();
}

TEST_F(HangingStartTest, IsNotMeasuredWithWhatOurMemoryHasGrownTo) {
  Hang();
  Launch launch = List(0, {File("program")});
  struct rusage own = {};
  getrusage(RUSAGE_SELF, &own);
  launch.consumption.Set(Resource::Ram(), Quantity::Of((own.ru_maxrss << 10) + (16 << 20)));
  EXPECT_TRUE(runner().Start(launch));
  const std::string ours(static_cast<size_t>(own.ru_maxrss << 10) + (64 << 20), 'x');
  lease_.reset();
  const AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message << ours.size();
}

TEST_F(HangingStartTest, TimesOut) {
  Hang();
  Launch launch = List(0, {File("program")});
  launch.timeout = absl::Milliseconds(50);
  EXPECT_TRUE(runner().Start(launch));
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kTimedOut);
  EXPECT_FALSE(std::filesystem::exists(File("ran")));
}

TEST_F(HangingStartTest, DiesWithTheRunner) {
  Hang();
  for (uint32_t i = 0; i < kMany; ++i) EXPECT_TRUE(runner().Start(List(i, {File("program")})));
  EXPECT_EQ(Children().size(), kMany);
  runner_.reset();
  EXPECT_THAT(Children(), ::testing::IsEmpty());
  EXPECT_FALSE(std::filesystem::exists(File("ran")));
}

int handled = 0;

TEST_F(HangingStartTest, RunsNoHandlersOfOurs) {
  // Until then it is in our memory, where a handler would work on what is ours.
  signal(SIGUSR1, [](int) { ++handled; });
  Hang();
  EXPECT_TRUE(runner().Start(List(0, {File("program")})));
  ASSERT_EQ(Children().size(), 1u);
  const pid_t pid = Children()[0];
  // It waits for the file, with signals let in.
  ASSERT_TRUE(RunUntil([&] {
    return ReadSmallFile(absl::StrCat("/proc/", pid, "/wchan")).value_or("") == "__break_lease";
  }));
  ASSERT_EQ(kill(pid, SIGUSR1), 0);
  AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kSignalled);
  EXPECT_EQ(end.signal, SIGUSR1);
  EXPECT_EQ(handled, 0);
  signal(SIGUSR1, SIG_DFL);
}

// Nothing reaches what hangs here.
class DeadMountTest : public RunnerTest {
 protected:
  void SetUp() override {
    options_.clock = &clock_;
    std::filesystem::create_directories(File("dead"));
    mount_.emplace(File("dead"));
    if (!mount_->mounted()) GTEST_SKIP() << "nothing can be mounted here";
  }
  void TearDown() override {
    mount_.reset();
    runner_.reset();
  }
  // That a further process hangs, uninterruptibly. Returns it.
  pid_t WaitHanging() {
    const int before = seen_++;
    EXPECT_TRUE(RunUntil([&] { return mount_->requests() > before; }));
    return Children().empty() ? 0 : Children().back();
  }

  kartograph::testing::ManualClock clock_;
  std::optional<DeadMount> mount_;
  int seen_ = 0;
};

TEST_F(DeadMountTest, HoldsUpNobodyElse) {
  EXPECT_TRUE(runner().Start(List(0, {File("dead/program")})));
  WaitHanging();
  Payload payload;
  payload.add_arguments("true");
  payload.set_directory(File("dead/folder"));
  EXPECT_TRUE(runner().Start(WithPayload(1, payload)));
  WaitHanging();
  // Searched for by name.
  payload.clear_directory();
  (*payload.mutable_environment())["PATH"] = absl::StrCat(File("dead/bin"), ":/usr/bin:/bin");
  EXPECT_TRUE(runner().Start(WithPayload(2, payload)));
  WaitHanging();
  for (uint32_t i = 10; i < 10 + kMany; ++i) {
    EXPECT_EQ(Run(List(i, {"true"})).outcome, Outcome::kSucceeded);
  }
  EXPECT_EQ(runner().running(), 3u);
}

TEST_F(DeadMountTest, IsGivenUpWhenItCannotBeKilled) {
  EXPECT_TRUE(runner().Start(List(0, {File("dead/program")})));
  const pid_t pid = WaitHanging();
  EXPECT_TRUE(runner().Cancel(Id(0), absl::Seconds(1)));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(Run(List(1, {"true"})).outcome, Outcome::kSucceeded);
  EXPECT_TRUE(runner().IsRunning(Id(0)));
  EXPECT_EQ(runner().UntilDue() > absl::ZeroDuration(), true);
  clock_.Advance(absl::Seconds(10));
  AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kCancelled);
  EXPECT_EQ(end.message, absl::StrCat("processes that cannot be killed are left, such as ", pid));
  EXPECT_EQ(end.end_time - end.start_time, absl::Seconds(11));
  // It belongs to no attempt any more, and costs nothing but its memory.
  EXPECT_EQ(runner().hung(), 1u);
  clock_.Advance(absl::Seconds(1));
  EXPECT_TRUE(RunUntil([&] { return !runner().tidying(); }));
  EXPECT_EQ(runner().UntilDue(), absl::InfiniteDuration());
  EXPECT_EQ(Run(List(2, {"true"})).outcome, Outcome::kSucceeded);
  mount_.reset();
  EXPECT_TRUE(RunUntil([&] { return runner().hung() == 0; }));
  EXPECT_EQ(Run(List(3, {"true"})).outcome, Outcome::kSucceeded);
}

TEST_F(DeadMountTest, AProgramThatHangsLaterIsGivenUpToo) {
  EXPECT_TRUE(runner().Start(List(0, {"cat", File("dead/file")})));
  WaitHanging();
  EXPECT_TRUE(runner().Cancel(Id(0), absl::ZeroDuration()));
  RunUntil([&] { return runner().UntilDue() > absl::ZeroDuration(); });
  clock_.Advance(absl::Seconds(10));
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kCancelled);
  EXPECT_EQ(runner().hung(), 1u);
}

TEST_F(DeadMountTest, AnOrphanThatHangsIsGivenUp) {
  EXPECT_TRUE(
      runner().Start(Shell(0, absl::StrCat("(setsid cat ", File("dead/file"), " &); while [ ! -e ",
                                           File("go"), " ]; do sleep 0.01; done"))));
  WaitHanging();
  std::ofstream(File("go")) << "go";
  // Its end is not held back for ever by what cannot be killed.
  EXPECT_TRUE(RunUntil([&] {
    clock_.Advance(absl::Seconds(1));
    return !runner().IsRunning(Id(0));
  }));
  const AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded);
  EXPECT_THAT(end.message, ::testing::HasSubstr("cannot be killed"));
  EXPECT_TRUE(RunUntil([&] {
    clock_.Advance(absl::Seconds(1));
    return !runner().tidying();
  }));
  EXPECT_EQ(runner().hung(), 1u);
}

TEST_F(DeadMountTest, TooManyStopFurtherStarts) {
  for (uint32_t i = 0; i < Runner::kMaxHung; ++i) {
    EXPECT_TRUE(runner().Start(List(i, {File(absl::StrCat("dead/program", i))})));
    WaitHanging();
    runner().Cancel(Id(i), absl::ZeroDuration());
  }
  clock_.Advance(absl::Seconds(10));
  for (uint32_t i = 0; i < Runner::kMaxHung; ++i) WaitEnd(i);
  EXPECT_EQ(runner().hung(), Runner::kMaxHung);
  EXPECT_FALSE(runner().Start(List(100, {"true"})));
  AttemptUpdate end = WaitEnd(100);
  EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
  EXPECT_THAT(end.message,
              ::testing::MatchesRegex("64 processes hang in the kernel before their programs"));
  mount_.reset();
  EXPECT_TRUE(RunUntil([&] { return runner().hung() == 0; }));
  EXPECT_EQ(Run(List(101, {"true"})).outcome, Outcome::kSucceeded);
}

TEST_F(DeadMountTest, OutlivesTheRunnerWithoutHarm) {
  EXPECT_TRUE(runner().Start(List(0, {File("dead/program")})));
  const pid_t given_up = WaitHanging();
  runner().Cancel(Id(0), absl::ZeroDuration());
  clock_.Advance(absl::Seconds(10));
  WaitEnd(0);
  EXPECT_TRUE(runner().Start(List(1, {File("dead/another")})));
  WaitHanging();
  runner_.reset();  // returns
  EXPECT_TRUE(Lives(given_up));
  // Were its memory used again, this would be where it wakes up.
  std::vector<std::string> memory;
  for (int i = 0; i < 1000; ++i) memory.emplace_back(16 << 10, '\xff');
  mount_.reset();
  const SteadyTime until = Clock::System().SteadyNow() + kPatience;
  while (!Children().empty() && Clock::System().SteadyNow() < until) {
    waitpid(-1, nullptr, WNOHANG);
  }
  EXPECT_THAT(Children(), ::testing::IsEmpty());
  EXPECT_EQ(Run(List(2, {"true"})).outcome, Outcome::kSucceeded);
}

}  // namespace
}  // namespace kartograph::executor
