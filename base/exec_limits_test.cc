#include "base/exec_limits.h"

#include <errno.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <string>
#include <vector>

namespace kartograph {
namespace {

using ::testing::HasSubstr;

// What /bin/true with these arguments and no variables ends with; 127 where it cannot be executed.
int Execute(const std::vector<std::string>& arguments) {
  std::vector<char*> argv;
  std::string program = "/bin/true";
  argv.push_back(program.data());
  std::vector<std::string> owned = arguments;
  for (std::string& argument : owned) argv.push_back(argument.data());
  argv.push_back(nullptr);
  char* const environment[] = {nullptr};
  const pid_t pid = fork();
  if (pid == 0) {
    execve("/bin/true", argv.data(), environment);
    _exit(127);
  }
  int status = -1;
  waitpid(pid, &status, 0);
  return WEXITSTATUS(status);
}

TEST(ExecLimitsTest, OneStringMayHaveWhatTheKernelTakes) {
  EXPECT_EQ(ExecStringProblem(kMaxExecString), "");
  EXPECT_EQ(Execute({std::string(kMaxExecString, 'x')}), 0);
  EXPECT_THAT(ExecStringProblem(kMaxExecString + 1), HasSubstr("has 131072 bytes"));
  EXPECT_EQ(Execute({std::string(kMaxExecString + 1, 'x')}), 127);
}

TEST(ExecLimitsTest, AFileTakesThePlaceOfATextAndItsOption) {
  for (const char* word : {"-c", "-e", "--eval", "-Command"}) {
    EXPECT_EQ(OptionBeforeFile(word), "") << word;
  }
  EXPECT_EQ(OptionBeforeFile("-euc"), "-eu");
  EXPECT_EQ(OptionBeforeFile("-lc"), "-l");
  EXPECT_EQ(OptionBeforeFile("-ne"), "-n");
  for (const char* word : {"", "-", "--", "host", "c"}) {
    EXPECT_EQ(OptionBeforeFile(word), std::nullopt) << word;
  }
}

TEST(ExecLimitsTest, AllTogetherMayHaveLessThanTheKernelRefuses) {
  EXPECT_EQ(ExecBytesProblem(kMaxExecBytes), "");
  const std::string problem = ExecBytesProblem(kMaxExecBytes + 1);
  EXPECT_THAT(problem, HasSubstr("have 2097153 bytes together"));
  EXPECT_THAT(problem, HasSubstr("at most 2097152"));
  EXPECT_EQ(Execute(std::vector<std::string>(64, std::string(100000, 'x'))), 127);
  EXPECT_EQ(Execute(std::vector<std::string>(19, std::string(100000, 'x'))), 0);
}

TEST(ExecLimitsTest, APathMayHaveWhatTheKernelTakes) {
  const auto error_of = [](size_t bytes) {
    std::string path = "/";
    while (path.size() < bytes) path += "./";
    path.resize(bytes);
    return access(path.c_str(), F_OK) == 0 ? 0 : errno;
  };
  EXPECT_EQ(PathProblem(kMaxPath), "");
  EXPECT_EQ(error_of(kMaxPath), 0);
  EXPECT_THAT(PathProblem(kMaxPath + 1), HasSubstr("has 4096 bytes"));
  EXPECT_EQ(error_of(kMaxPath + 1), ENAMETOOLONG);
}

}  // namespace
}  // namespace kartograph
