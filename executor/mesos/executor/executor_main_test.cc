// The program itself, with an agent in the test's process.
#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <spawn.h>
#include <stdlib.h>
#include <sys/wait.h>

#include <filesystem>
#include <fstream>
#include <map>
#include <optional>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/executor/testing/fake_agent.h"
#include "executor/payload.pb.h"
#include "executor/wire/attempt.h"

namespace kartograph::executor::mesos {
namespace {

namespace v1 = kartograph::mesos;
using testing::HasSubstr;
using testing::Not;
using v1::executor::Event;

constexpr absl::Duration kPatience = absl::Minutes(1);
constexpr char kProgram[] = "executor/mesos/executor/kartograph-executor";

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

class ExecutorMainTest : public testing::Test {
 protected:
  ExecutorMainTest() {
    std::string pattern = testing::TempDir() + "/executor.XXXXXX";
    sandbox_ = mkdtemp(pattern.data());
    environment_ = {{"PATH", "/usr/bin:/bin"},
                    {"MESOS_AGENT_ENDPOINT", agent_.address()},
                    {"MESOS_FRAMEWORK_ID", "f-1"},
                    {"MESOS_EXECUTOR_ID", "kartograph"},
                    {"MESOS_SANDBOX", sandbox_},
                    {"MESOS_DIRECTORY", "/elsewhere"},
                    {"MESOS_CHECKPOINT", "1"},
                    {"MESOS_RECOVERY_TIMEOUT", "15mins"},
                    {"MESOS_SUBSCRIPTION_BACKOFF_MAX", "20ms"},
                    {"MESOS_EXECUTOR_SHUTDOWN_GRACE_PERIOD", "5secs"},
                    {"MESOS_EXECUTOR_AUTHENTICATION_TOKEN", "t0k3n"},
                    {"LIBPROCESS_PORT", "0"}};
  }
  ~ExecutorMainTest() override {
    if (pid_ > 0) {
      kill(pid_, SIGKILL);
      waitpid(pid_, nullptr, 0);
    }
    std::filesystem::remove_all(sandbox_);
  }

  void Start(std::vector<std::string> arguments = {}) {
    arguments.insert(arguments.begin(), kProgram);
    std::vector<char*> argv, envp;
    for (std::string& argument : arguments) argv.push_back(argument.data());
    argv.push_back(nullptr);
    std::vector<std::string> entries;
    for (const auto& [name, value] : environment_)
      entries.push_back(absl::StrCat(name, "=", value));
    for (std::string& entry : entries) envp.push_back(entry.data());
    envp.push_back(nullptr);
    posix_spawn_file_actions_t actions;
    posix_spawn_file_actions_init(&actions);
    for (int fd : {1, 2}) {
      posix_spawn_file_actions_addopen(&actions, fd,
                                       absl::StrCat(sandbox_, fd == 1 ? "/out" : "/err").c_str(),
                                       O_WRONLY | O_CREAT | O_TRUNC, 0666);
    }
    ASSERT_EQ(posix_spawn(&pid_, kProgram, &actions, nullptr, argv.data(), envp.data()), 0);
    posix_spawn_file_actions_destroy(&actions);
  }
  template <typename Condition>
  bool RunUntil(Condition condition) {
    const absl::Time until = absl::Now() + kPatience;
    while (!condition()) {
      if (absl::Now() > until) return false;
      // Conditions may also be about the process, so it looks again soon.
      io_.run_one_for(std::chrono::milliseconds(5));
    }
    return true;
  }
  // The status it exits with.
  int WaitExit() {
    int status = 0;
    EXPECT_TRUE(RunUntil([&] { return waitpid(pid_, &status, WNOHANG) == pid_; }))
        << "has not ended";
    pid_ = 0;
    EXPECT_TRUE(WIFEXITED(status)) << status;
    return WEXITSTATUS(status);
  }
  std::string Out() const { return ReadWhole(sandbox_ + "/out"); }
  std::string Err() const { return ReadWhole(sandbox_ + "/err"); }

  static Event Launch(const std::string& line) {
    Payload payload;
    payload.set_shell(line);
    executor::Launch launch;
    launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(17, 1), 1);
    launch.payload = payload.SerializeAsString();
    wire::Launch message;
    wire::ToMessage(launch, &message);
    Event event;
    event.set_type(Event::LAUNCH);
    event.mutable_launch()->mutable_task()->mutable_task_id()->set_value("g17.1.1");
    event.mutable_launch()->mutable_task()->set_data(message.SerializeAsString());
    return event;
  }
  bool WaitState(v1::TaskState state) {
    return RunUntil([&] {
      const auto updates = agent_.updates("g17.1.1");
      return !updates.empty() && updates.back().state() == state;
    });
  }

  boost::asio::io_context io_;
  FakeAgent agent_{io_};
  std::string sandbox_;
  std::map<std::string, std::string> environment_;
  pid_t pid_ = 0;
};

TEST_F(ExecutorMainTest, RunsAnAttemptAndEndsWhenThereIsNoMore) {
  agent_.SendAtFirst({Launch(
      "env; ls -l /proc/self/fd | grep -c socket: >&2; cat /proc/$PPID/environ >executor")});
  Start({"--idle-exit", "100ms"});
  ASSERT_TRUE(WaitState(v1::TASK_FINISHED));
  EXPECT_EQ(agent_.authorization(), "Bearer t0k3n");
  EXPECT_EQ(WaitExit(), 0) << Err();
  const std::string variables = ReadWhole(sandbox_ + "/sandboxes/17/1.1/stdout");
  EXPECT_THAT(variables, HasSubstr(absl::StrCat("MESOS_SANDBOX=", sandbox_, "\n")));
  EXPECT_THAT(variables, HasSubstr("PATH=/usr/bin:/bin\n"));
  EXPECT_THAT(variables, HasSubstr("KARTOGRAPH_ATTEMPT="));
  EXPECT_THAT(variables, Not(HasSubstr("t0k3n")));
  EXPECT_THAT(variables, Not(HasSubstr("LIBPROCESS_")));
  EXPECT_THAT(variables, Not(HasSubstr("MESOS_AGENT_ENDPOINT")));
  const std::string seen = ReadWhole(sandbox_ + "/sandboxes/17/1.1/executor");
  EXPECT_THAT(seen, HasSubstr("MESOS_EXECUTOR_AUTHENTICATION_TOKEN="));
  EXPECT_THAT(seen, Not(HasSubstr("t0k3n")));
  // Of the connections to the agent it has none.
  EXPECT_EQ(ReadWhole(sandbox_ + "/sandboxes/17/1.1/stderr"), "0\n");
}

TEST_F(ExecutorMainTest, EndsItsAttemptsWhenItIsTerminated) {
  Start();
  ASSERT_TRUE(RunUntil([&] { return agent_.connected(); }));
  agent_.Send({Launch("exec sleep 1000")});
  ASSERT_TRUE(WaitState(v1::TASK_RUNNING));
  kill(pid_, SIGTERM);
  EXPECT_EQ(WaitExit(), 0);
  ASSERT_TRUE(WaitState(v1::TASK_KILLED));
  EXPECT_THAT(Err(), HasSubstr("terminated by a signal"));
}

TEST_F(ExecutorMainTest, SaysWhyItCannotGoOn) {
  environment_["MESOS_CHECKPOINT"] = "0";
  agent_.set_answer(403);
  Start();
  EXPECT_EQ(WaitExit(), 1);
  EXPECT_THAT(Err(), HasSubstr("403"));
}

TEST_F(ExecutorMainTest, SaysWhatIsMissing) {
  environment_.erase("MESOS_FRAMEWORK_ID");
  Start();
  EXPECT_EQ(WaitExit(), 2);
  EXPECT_EQ(Err(),
            "kartograph-executor: MESOS_FRAMEWORK_ID is not set: this program is started by a "
            "Mesos agent\n");
}

TEST_F(ExecutorMainTest, SaysWhatIsWrongOfItsFlags) {
  Start({"--idle-exit", "soon"});
  EXPECT_EQ(WaitExit(), 2);
  EXPECT_THAT(Err(),
              HasSubstr("kartograph-executor: --idle-exit: \"soon\" is not a valid duration"));
  Start({"--report-interval", "0s"});
  EXPECT_EQ(WaitExit(), 2);
  EXPECT_EQ(Err(), "kartograph-executor: --report-interval: must be longer than 0\n");
  Start({"--indexed", "gpus,no name"});
  EXPECT_EQ(WaitExit(), 2);
  EXPECT_THAT(Err(), HasSubstr("--indexed: \"no name\" is not a valid resource name"));
  Start({"surplus"});
  EXPECT_EQ(WaitExit(), 2);
  EXPECT_THAT(Err(), HasSubstr("surplus"));
}

TEST_F(ExecutorMainTest, TellsItsVersionAndItsFlags) {
  environment_.clear();
  Start({"--version"});
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_THAT(Out(), HasSubstr("kartograph-executor "));
  Start({"--help"});
  EXPECT_EQ(WaitExit(), 0);
  EXPECT_THAT(Out(), HasSubstr("--report-interval"));
}

}  // namespace
}  // namespace kartograph::executor::mesos
