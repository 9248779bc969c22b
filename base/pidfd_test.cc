#include "base/pidfd.h"

#include <errno.h>
#include <gtest/gtest.h>
#include <poll.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

namespace kartograph {
namespace {

TEST(PidfdTest, SignalsTheProcessItWasOpenedForAndNoOther) {
  const pid_t pid = fork();
  if (pid == 0) {
    pause();
    _exit(0);
  }
  const Descriptor process = OpenPidfd(pid);
  ASSERT_TRUE(process.ok());
  EXPECT_TRUE(SendSignal(process, SIGKILL));
  struct pollfd ended = {process.get(), POLLIN, 0};
  EXPECT_EQ(poll(&ended, 1, -1), 1);
  int status = 0;
  EXPECT_EQ(waitpid(pid, &status, 0), pid);
  EXPECT_EQ(WTERMSIG(status), SIGKILL);
  EXPECT_FALSE(SendSignal(process, SIGKILL));
  EXPECT_EQ(errno, ESRCH);
  EXPECT_FALSE(OpenPidfd(pid).ok());
}

}  // namespace
}  // namespace kartograph
