// A runner with a folder of its own, and what tests of it need.
#ifndef KARTOGRAPH_EXECUTOR_RUNNER_TESTING_RUNNER_FIXTURE_H_
#define KARTOGRAPH_EXECUTOR_RUNNER_TESTING_RUNNER_FIXTURE_H_

#include <gtest/gtest.h>
#include <poll.h>
#include <stdlib.h>

#include <algorithm>
#include <fstream>
#include <iterator>
#include <map>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/time/time.h"
#include "base/clock.h"
#include "executor/payload.pb.h"
#include "executor/runner/process_table.h"
#include "executor/runner/runner.h"
#include "planner/ids.h"

namespace kartograph::executor {

inline constexpr absl::Duration kPatience = absl::Minutes(1);

inline planner::AttemptId Id(uint32_t index) {
  return planner::AttemptId::Of(planner::TaskKey::Of(17, index), 1);
}

inline std::string ReadWhole(const std::string& path) {
  std::ifstream file(path);
  return {std::istreambuf_iterator<char>(file), {}};
}

inline bool Lives(pid_t pid) {
  auto process = ReadProcess(pid);
  return process.has_value() && !process->zombie;
}

class RunnerTest : public ::testing::Test {
 protected:
  RunnerTest() {
    root_ = absl::StrCat(getenv("TEST_TMPDIR"), "/runner.XXXXXX");
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    options_.sandbox_root = root_ + "/sandboxes";
  }

  Runner& runner() {
    if (runner_ == nullptr) {
      absl::StatusOr<std::unique_ptr<Runner>> made = Runner::Create(options_);
      EXPECT_TRUE(made.ok()) << made.status();
      runner_ = *std::move(made);
    }
    return *runner_;
  }

  static Launch List(uint32_t index, const std::vector<std::string>& arguments) {
    Payload payload;
    for (const std::string& argument : arguments) payload.add_arguments(argument);
    return WithPayload(index, payload);
  }
  static Launch Shell(uint32_t index, const std::string& line) {
    Payload payload;
    payload.set_shell(line);
    return WithPayload(index, payload);
  }
  static Launch WithPayload(uint32_t index, const Payload& payload) {
    Launch launch;
    launch.attempt = Id(index);
    launch.task_name = absl::StrCat("task ", index);
    launch.payload = payload.SerializeAsString();
    return launch;
  }

  // Lets the runner work until the condition holds.
  template <typename Condition>
  bool RunUntil(Condition condition) {
    const SteadyTime until = Clock::System().SteadyNow() + kPatience;
    while (!condition()) {
      if (Clock::System().SteadyNow() > until) return false;
      struct pollfd wait = {runner().fd(), POLLIN, 0};
      // Conditions may also be about files, so it looks again soon.
      absl::Duration due = std::min(runner().UntilDue(), absl::Milliseconds(5));
      poll(&wait, 1, static_cast<int>(absl::ToInt64Milliseconds(due)));
      std::vector<AttemptUpdate> ended;
      runner().Poll(&ended);
      for (AttemptUpdate& update : ended) {
        EXPECT_FALSE(ends_.contains(update.attempt.value)) << "ended twice";
        ends_[update.attempt.value] = std::move(update);
      }
    }
    return true;
  }
  AttemptUpdate WaitEnd(uint32_t index) {
    EXPECT_TRUE(RunUntil([&] { return ends_.contains(Id(index).value); })) << "has not ended";
    return ends_[Id(index).value];
  }
  AttemptUpdate Run(const Launch& launch) {
    runner().Start(launch);
    return WaitEnd(launch.attempt.task().index());
  }
  std::string Stdout(uint32_t index) {
    return ReadWhole(absl::StrCat(options_.sandbox_root, "/17/", index, ".1/stdout"));
  }
  std::string File(absl::string_view name) { return absl::StrCat(root_, "/", name); }
  // The number that a process writes into a file.
  pid_t WaitPid(absl::string_view name) {
    pid_t pid = 0;
    EXPECT_TRUE(RunUntil([&] { return absl::SimpleAtoi(ReadWhole(File(name)), &pid); }));
    return pid;
  }

  std::string root_;
  Runner::Options options_;
  std::unique_ptr<Runner> runner_;
  std::map<uint64_t, AttemptUpdate> ends_;
};

}  // namespace kartograph::executor

#endif  // KARTOGRAPH_EXECUTOR_RUNNER_TESTING_RUNNER_FIXTURE_H_
