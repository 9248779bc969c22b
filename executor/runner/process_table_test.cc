#include "executor/runner/process_table.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <optional>
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

}  // namespace
}  // namespace kartograph::executor
