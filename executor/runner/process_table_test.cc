#include "executor/runner/process_table.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <sched.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
#include <string>
#include <vector>

#include "executor/runner/testing/taken_descriptors.h"

namespace kartograph::executor {
namespace {

// A process that waits for a signal.
class ProcessTableTest : public ::testing::Test {
 protected:
  ProcessTableTest() : pid_(fork()) {
    if (pid_ == 0) {
      while (true) pause();
    }
  }
  ~ProcessTableTest() override {
    kill(pid_, SIGKILL);
    waitpid(pid_, nullptr, 0);
  }
  const pid_t pid_;
};

TEST_F(ProcessTableTest, ListsProcesses) {
  std::optional<std::vector<Process>> processes = ScanProcesses();
  ASSERT_TRUE(processes.has_value());
  auto found = std::find_if(processes->begin(), processes->end(),
                            [this](const Process& process) { return process.pid == pid_; });
  ASSERT_NE(found, processes->end());
  EXPECT_EQ(found->parent, getpid());
  EXPECT_EQ(found->start_ticks, ReadProcess(pid_)->start_ticks);
}

TEST_F(ProcessTableTest, ThatNotAllCouldBeLookedAtIsNoList) {
  TakenDescriptors taken;
  EXPECT_FALSE(ScanProcesses().has_value());
  taken.GiveBackOne();
  EXPECT_FALSE(ScanProcesses().has_value()) << "the folder can be opened, what is in it cannot";
  taken.GiveBackAll();
  EXPECT_TRUE(ScanProcesses().has_value());
}

TEST_F(ProcessTableTest, SignalsTheProcessThatWasSeen) {
  std::optional<Process> process = ReadProcess(pid_);
  ASSERT_TRUE(process.has_value());
  EXPECT_TRUE(SignalProcess(*process, SIGTERM));
  siginfo_t info = {};
  ASSERT_EQ(waitid(P_PID, static_cast<id_t>(pid_), &info, WEXITED | WNOWAIT), 0);
  EXPECT_EQ(info.si_status, SIGTERM);
}

TEST_F(ProcessTableTest, DoesNotSignalAnotherThatHasItsNumber) {
  // As it would have been seen, had the number been another's a moment ago.
  std::optional<Process> process = ReadProcess(pid_);
  ASSERT_TRUE(process.has_value());
  --process->start_ticks;
  EXPECT_FALSE(SignalProcess(*process, SIGKILL));
  EXPECT_EQ(errno, ESRCH);
  std::optional<Process> still = ReadProcess(pid_);
  ASSERT_TRUE(still.has_value());
  EXPECT_FALSE(still->zombie);
}

TEST_F(ProcessTableTest, SaysThatAProcessIsGone) {
  const pid_t gone = fork();
  if (gone == 0) _exit(0);
  std::optional<Process> process = ReadProcess(gone);
  ASSERT_TRUE(process.has_value());
  waitpid(gone, nullptr, 0);
  EXPECT_FALSE(SignalProcess(*process, SIGKILL));
  EXPECT_EQ(errno, ESRCH);
}

TEST_F(ProcessTableTest, ListsTheChildrenOfAProcess) {
  EXPECT_EQ(ReadChildrenOf(getpid()), std::vector<pid_t>{pid_});
  EXPECT_TRUE(ReadChildrenOf(pid_).empty());
}

TEST_F(ProcessTableTest, PagesThatProcessesShareCountOnce) {
  constexpr uint64_t kHeld = 32 << 20;
  constexpr uint64_t kNear = 4 << 20;  // what the rest of the process changes meanwhile
  const uint64_t without = ReadAnonymousMemory(getpid());
  const std::string held(kHeld, 'x');
  const uint64_t with = ReadAnonymousMemory(getpid());
  EXPECT_GE(with, without + kHeld - kNear);
  const uint64_t alone = ReadMemoryOf({{getpid(), 0}});
  EXPECT_GE(alone, kHeld);
  const pid_t copy = fork();
  if (copy == 0) {
    while (held.size() == kHeld) pause();
  }
  EXPECT_GE(ReadAnonymousMemory(copy), kHeld) << "of each by itself it is all of them";
  const uint64_t together = ReadMemoryOf({{getpid(), 0}, {copy, getpid()}});
  EXPECT_GE(together, kHeld);
  EXPECT_LT(together, kHeld + alone / 2);
  kill(copy, SIGKILL);
  waitpid(copy, nullptr, 0);
  EXPECT_EQ(ReadAnonymousMemory(copy), 0u);
}

// As after vfork, which would not let this one go on.
TEST_F(ProcessTableTest, AProcessInItsParentsMemoryAddsNothing) {
  const std::string held(32 << 20, 'x');
  std::vector<char> stack(1 << 16);
  const pid_t other = clone(
      [](void*) {
        while (true) pause();
        return 0;
      },
      stack.data() + stack.size(), CLONE_VM | SIGCHLD, nullptr);
  ASSERT_GT(other, 0);
  const uint64_t alone = ReadMemoryOf({{getpid(), 0}});
  EXPECT_GE(alone, held.size());
  EXPECT_LT(ReadMemoryOf({{getpid(), 0}, {other, getpid()}}), alone + held.size() / 2);
  kill(other, SIGKILL);
  waitpid(other, nullptr, 0);
}

}  // namespace
}  // namespace kartograph::executor
