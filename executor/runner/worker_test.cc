#include "executor/runner/worker.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>

#include <chrono>
#include <memory>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "base/testing/manual_clock.h"
#include "executor/runner/testing/runner_fixture.h"

namespace kartograph::executor {
namespace {

using planner::Outcome;
using ::testing::HasSubstr;

TEST(WorkerAnswerTest, IsAStatusAndWhetherItGoesOn) {
  EXPECT_EQ(ParseWorkerAnswer("0 keep")->exit_status, 0);
  EXPECT_TRUE(ParseWorkerAnswer("0 keep\n")->can_go_on);
  EXPECT_EQ(ParseWorkerAnswer("255 end")->exit_status, 255);
  EXPECT_FALSE(ParseWorkerAnswer("75 end")->can_go_on);
  EXPECT_EQ(ParseWorkerAnswer("0 keep")->value, std::nullopt);
  EXPECT_EQ(ParseWorkerAnswer("0 keep\n")->value, "");
  EXPECT_EQ(ParseWorkerAnswer(absl::string_view("0 end\na\n\0b", 10))->value,
            std::string("a\n\0b", 4));
  for (const char* malformed :
       {"", "0", "keep", " keep", "x keep", "-1 keep", "256 end", "0 stay"}) {
    EXPECT_FALSE(ParseWorkerAnswer(malformed).has_value()) << malformed;
  }
}

class IdleWorkersTest : public ::testing::Test {
 protected:
  static std::unique_ptr<Worker> Make(pid_t pid, uint64_t memory = 1, const std::string& key = "") {
    auto worker = std::make_unique<Worker>();
    worker->pid = pid;
    worker->usage.rss_bytes = memory;
    worker->key = key;
    return worker;
  }
  static pid_t PidOf(const std::unique_ptr<Worker>& worker) {
    return worker == nullptr ? 0 : worker->pid;
  }

  SteadyTime now_ = SteadyTime() + absl::Hours(1);
  IdleWorkers pool_{{.workers = 2, .memory = 100, .worker_memory = 60, .attempts = 3}};
};

TEST_F(IdleWorkersTest, GivesTheLastUsedOneOfAKind) {
  pool_.Add(Make(1, 1, "a"), now_);
  pool_.Add(Make(2, 1, "a"), now_);
  pool_.Add(Make(3, 1, "b"), now_);
  EXPECT_EQ(PidOf(pool_.Take("a", nullptr, 0)), 2);
  EXPECT_EQ(PidOf(pool_.Take("a", nullptr, 0)), 1);
  EXPECT_EQ(PidOf(pool_.Take("a", nullptr, 0)), 0);
  EXPECT_TRUE(pool_.Contains(3));
}

TEST_F(IdleWorkersTest, WhatItHoldsLeavesRoomForTheTask) {
  pool_.Add(Make(1, 40), now_);
  EXPECT_EQ(PidOf(pool_.Take("", nullptr, 79)), 0);
  EXPECT_EQ(PidOf(pool_.Take("", nullptr, 80)), 1);
}

TEST_F(IdleWorkersTest, TooManyStayForAMomentAndTheOthersForLonger) {
  for (pid_t pid : {1, 2, 3}) pool_.Add(Make(pid), now_);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 0);
  EXPECT_EQ(pool_.NextExcess(), now_ + absl::Seconds(1));
  now_ = now_ + absl::Seconds(1);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 1);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 0);
  now_ = now_ + absl::Minutes(1);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 2);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 3);
  EXPECT_EQ(pool_.NextExcess(), SteadyTime::InfiniteFuture());
}

TEST_F(IdleWorkersTest, TogetherTheyHoldSoMuchOnly) {
  pool_.Add(Make(1, 60), now_);
  pool_.Add(Make(2, 41), now_);
  now_ = now_ + absl::Seconds(1);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 1);
  EXPECT_EQ(PidOf(pool_.TakeExcess(now_)), 0);
}

TEST_F(IdleWorkersTest, AWornOutOneIsNotAccepted) {
  const std::unique_ptr<Worker> worker = Make(1, 60);
  worker->attempts = 2;
  EXPECT_TRUE(pool_.Accepts(*worker));
  worker->attempts = 3;
  EXPECT_FALSE(pool_.Accepts(*worker));
  worker->attempts = 2;
  worker->usage.rss_bytes = 61;
  EXPECT_FALSE(pool_.Accepts(*worker));
}

// Real processes.
class WorkerTest : public RunnerTest {
 protected:
  static Launch Task(uint32_t index, const std::string& task) {
    Payload payload;
    payload.add_arguments("executor/runner/test_worker");
    payload.set_arguments(0, absl::StrCat(getenv("TEST_SRCDIR"), "/", getenv("TEST_WORKSPACE"),
                                          "/executor/runner/test_worker"));
    payload.set_worker(true);
    Launch launch = WithPayload(index, payload);
    launch.task_name = task;
    return launch;
  }
  AttemptUpdate RunTask(uint32_t index, const std::string& task) { return Run(Task(index, task)); }
  // Which process runs the next task.
  pid_t WorkerPid(uint32_t index) {
    EXPECT_EQ(RunTask(index, "pid").outcome, Outcome::kSucceeded);
    pid_t pid = 0;
    EXPECT_TRUE(absl::SimpleAtoi(Stdout(index), &pid)) << Stdout(index);
    return pid;
  }
  static Launch WithRam(Launch launch, int64_t megabytes) {
    launch.consumption.Set(planner::Resource::Ram(), planner::Quantity::Of(megabytes << 20));
    return launch;
  }
};

TEST_F(WorkerTest, OneProcessRunsAttemptAfterAttempt) {
  const pid_t pid = WorkerPid(1);
  EXPECT_EQ(WorkerPid(2), pid);
  EXPECT_TRUE(Lives(pid));
  EXPECT_EQ(runner().running(), 0u);
}

TEST_F(WorkerTest, EachAttemptHasItsOwnFolderOutputAndValue) {
  for (uint32_t i : {1, 2}) {
    const AttemptUpdate end =
        RunTask(i, absl::StrCat("sh echo out ", i, "; echo -n ", i, " > $KARTOGRAPH_RESULT; pwd"));
    EXPECT_EQ(end.outcome, Outcome::kSucceeded);
    EXPECT_EQ(end.return_value, absl::StrCat(i));
    EXPECT_EQ(Stdout(i), absl::StrCat("out ", i, "\n", options_.sandbox_root, "/17/", i, ".1\n"));
  }
}

TEST_F(WorkerTest, AShortValueComesWithTheAnswer) {
  for (uint32_t i : {1, 2}) {
    const AttemptUpdate end = RunTask(i, "answer 0 keep\nthe value");
    EXPECT_EQ(end.outcome, Outcome::kSucceeded);
    EXPECT_TRUE(end.has_value);
    EXPECT_EQ(end.return_value, "the value");
  }
  EXPECT_FALSE(RunTask(3, "answer 0 keep").has_value);
  EXPECT_EQ(RunTask(4, absl::StrCat("answer 0 keep\n", std::string(1100, 'x'))).exit_status, 255);
}

TEST_F(WorkerTest, ShortInputAndValuesComeWithTheAttempt) {
  Payload payload;
  Launch launch = Task(1, "input");
  payload.ParseFromString(launch.payload);
  payload.set_input("the input");
  launch.values = {{"a/b", "value"}, {"c", ""}};
  launch.payload = payload.SerializeAsString();
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(1), "input 9\nthe inputvalues 2\nvalue 5 a/b\nvaluevalue 0 c\n");
  EXPECT_EQ(RunTask(2, "sh echo ${KARTOGRAPH_INPUT-none} ${KARTOGRAPH_INPUTS-none}").exit_status,
            0);
  EXPECT_EQ(Stdout(2), "none none\n");
  // More goes by files.
  payload.set_input(std::string(50000, 'x'));
  launch.payload = payload.SerializeAsString();
  launch.attempt = Id(3);
  launch.task_name = "sh wc -c < $KARTOGRAPH_INPUT; ls $KARTOGRAPH_INPUTS";
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(3), "50000\na%2Fb\nc\n");
}

TEST_F(WorkerTest, AFailureIsItsAttemptsAlone) {
  const pid_t pid = WorkerPid(1);
  const AttemptUpdate end = RunTask(2, "sh exit 75");
  EXPECT_EQ(end.outcome, Outcome::kExited);
  EXPECT_EQ(end.exit_status, 75);
  EXPECT_EQ(end.message, "exited with status 75");
  EXPECT_EQ(WorkerPid(3), pid);
}

TEST_F(WorkerTest, SeveralRunAtOnceEachInAProcessOfItsOwn) {
  const std::string wait = absl::StrCat("sh until test -e ", root_, "/go; do sleep 0.01; done");
  runner().Start(Task(1, wait));
  runner().Start(Task(2, wait));
  const pid_t third = WorkerPid(3);
  std::ofstream(root_ + "/go") << "";
  EXPECT_EQ(WaitEnd(1).outcome, Outcome::kSucceeded);
  EXPECT_EQ(WaitEnd(2).outcome, Outcome::kSucceeded);
  // The last used first.
  EXPECT_NE(WorkerPid(4), third);
}

TEST_F(WorkerTest, ACrashEndsTheWorkerAndIsTold) {
  const pid_t pid = WorkerPid(1);
  const AttemptUpdate crash = RunTask(2, absl::StrCat("signal ", SIGSEGV));
  EXPECT_EQ(crash.outcome, Outcome::kSignalled);
  EXPECT_EQ(crash.signal, SIGSEGV);
  EXPECT_NE(WorkerPid(3), pid);
  const AttemptUpdate exit = RunTask(4, "exit 4");
  EXPECT_EQ(exit.outcome, Outcome::kExited);
  EXPECT_EQ(exit.exit_status, 4);
}

TEST_F(WorkerTest, ACancelledOneIsNeverUsedAgain) {
  const pid_t pid = WorkerPid(1);
  runner().Start(Task(2, absl::StrCat("sh touch ", root_, "/runs; exec sleep 1000")));
  ASSERT_TRUE(RunUntil([&] { return access(File("runs").c_str(), F_OK) == 0; }));
  EXPECT_TRUE(runner().Cancel(Id(2), absl::Minutes(1)));
  EXPECT_EQ(WaitEnd(2).outcome, Outcome::kCancelled);
  EXPECT_TRUE(RunUntil([&] { return !Lives(pid); }));
  EXPECT_NE(WorkerPid(3), pid);
}

TEST_F(WorkerTest, ATimeoutReachesIt) {
  const pid_t pid = WorkerPid(1);
  Launch launch = Task(2, "sh exec sleep 1000");
  launch.timeout = absl::Milliseconds(50);
  EXPECT_EQ(Run(launch).outcome, Outcome::kTimedOut);
  EXPECT_NE(WorkerPid(3), pid);
}

TEST_F(WorkerTest, WhoLeavesAChildIsNotUsedAgainAndTheChildIsEnded) {
  const pid_t pid = WorkerPid(1);
  // One that stays below the worker's group, and one that has left it.
  const AttemptUpdate end =
      RunTask(2, absl::StrCat("sh sleep 1000 & echo $! > ", root_,
                              "/child; setsid sleep 1001 & echo $! > ", root_, "/session"));
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  const pid_t child = WaitPid("child");
  const pid_t session = WaitPid("session");
  EXPECT_TRUE(RunUntil([&] { return !Lives(child) && !Lives(session) && !Lives(pid); }));
  EXPECT_NE(WorkerPid(3), pid);
}

TEST_F(WorkerTest, ADaemonIsOfTheAttemptThatRunsThen) {
  // It has the environment that the worker began with, which is the first attempt's.
  const pid_t pid = WorkerPid(1);
  runner().Start(Task(2, absl::StrCat("daemon ", root_, "/daemon")));
  const pid_t daemon = WaitPid("daemon");
  // Before this one ends, all processes are looked at.
  EXPECT_EQ(RunTask(3, "exit 4").outcome, Outcome::kExited);
  EXPECT_TRUE(Lives(daemon));
  std::ofstream(root_ + "/daemon.go") << "";
  EXPECT_EQ(WaitEnd(2).outcome, Outcome::kSucceeded);
  EXPECT_TRUE(RunUntil([&] { return !Lives(daemon) && !Lives(pid); }));
}

TEST_F(WorkerTest, WhoWantsToEndIsEnded) {
  const pid_t pid = WorkerPid(1);
  const AttemptUpdate end = RunTask(2, "answer 5 end");
  EXPECT_EQ(end.outcome, Outcome::kExited);
  EXPECT_EQ(end.exit_status, 5);
  EXPECT_FALSE(Lives(pid));
}

TEST_F(WorkerTest, AMalformedAnswerFailsTheAttempt) {
  const AttemptUpdate end = RunTask(1, "answer maybe");
  EXPECT_EQ(end.outcome, Outcome::kExited);
  EXPECT_EQ(end.exit_status, 255);
  EXPECT_THAT(end.message, HasSubstr("answer"));
}

TEST_F(WorkerTest, OneWithoutASocketEndsAsAnyProgram) {
  const AttemptUpdate end = RunTask(1, "close");
  EXPECT_EQ(end.outcome, Outcome::kExited);
  EXPECT_EQ(end.exit_status, 7);
}

TEST_F(WorkerTest, AnIdleOneThatEndsIsReplaced) {
  const pid_t pid = WorkerPid(1);
  kill(pid, SIGKILL);
  EXPECT_TRUE(RunUntil([&] { return !Lives(pid); }));
  EXPECT_NE(WorkerPid(2), pid);
}

TEST_F(WorkerTest, AnAttemptThatItNeverTookIsNotSpent) {
  const pid_t pid = WorkerPid(1);
  kill(pid, SIGSTOP);
  // It has stopped when the kernel says so, not when the signal is sent.
  const std::string stat = absl::StrCat("/proc/", pid, "/stat");
  ASSERT_TRUE(RunUntil([&] { return absl::StrContains(ReadWhole(stat), ") T "); }));
  runner().Start(Task(2, "pid"));
  kill(pid, SIGKILL);
  const AttemptUpdate end = WaitEnd(2);
  EXPECT_EQ(end.outcome, Outcome::kRefused) << end.message;
  EXPECT_EQ(end.message, "its worker ended before it took the attempt");
  EXPECT_NE(WorkerPid(3), pid);
}

TEST_F(WorkerTest, OtherEnvironmentsHaveOtherWorkers) {
  const pid_t pid = WorkerPid(1);
  Launch launch = Task(2, "pid");
  Payload payload;
  payload.ParseFromString(launch.payload);
  (*payload.mutable_environment())["MODE"] = "other";
  launch.payload = payload.SerializeAsString();
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_NE(Stdout(2), absl::StrCat(pid, "\n"));
  runner().SetEnvironment({"FROM=elsewhere"});
  EXPECT_NE(WorkerPid(3), pid);
}

TEST_F(WorkerTest, TheOrderOfVariablesMakesNoDifferenceAndTheFolderIsTheAttempts) {
  const auto launch = [](uint32_t index) {
    Launch made = Task(index, "sh echo $PPID; pwd");
    Payload payload;
    payload.ParseFromString(made.payload);
    // A map of strings is laid out anew in each process, and in each message.
    for (int i = 0; i < 40; ++i) (*payload.mutable_environment())[absl::StrCat("V", i)] = "x";
    (*payload.mutable_environment())["PWD"] = "/tmp";
    made.payload = payload.SerializeAsString();
    return made;
  };
  std::string first;
  for (uint32_t i = 1; i <= 5; ++i) {
    EXPECT_EQ(Run(launch(i)).outcome, Outcome::kSucceeded);
    const std::vector<std::string> lines = absl::StrSplit(Stdout(i), '\n');
    if (i == 1) first = lines[0];
    EXPECT_EQ(lines[0], first);
    EXPECT_EQ(lines[1], absl::StrCat(options_.sandbox_root, "/17/", i, ".1"));
  }
}

TEST_F(WorkerTest, ItLeavesAfterSoManyAttemptsAndWhenItIsLarge) {
  options_.workers = {.memory = 100 << 20, .worker_memory = 50 << 20, .attempts = 2};
  const pid_t pid = WorkerPid(1);
  EXPECT_EQ(WorkerPid(2), pid);
  const pid_t second = WorkerPid(3);
  EXPECT_NE(second, pid);
  EXPECT_EQ(RunTask(4, "grow 60").outcome, Outcome::kSucceeded);
  EXPECT_FALSE(Lives(second));
}

TEST_F(WorkerTest, IdleOnesEndInTime) {
  testing::ManualClock clock;
  options_.clock = &clock;
  const pid_t pid = WorkerPid(1);
  EXPECT_EQ(runner().UntilDue(), absl::Minutes(1));
  clock.Advance(absl::Minutes(1));
  EXPECT_TRUE(RunUntil([&] { return !Lives(pid); }));
}

TEST_F(WorkerTest, NothingIsLeftOfThemWithTheRunner) {
  const pid_t pid = WorkerPid(1);
  runner_.reset();
  EXPECT_FALSE(Lives(pid));
}

TEST_F(WorkerTest, WhatAnAttemptUsedIsItsOwn) {
  RunTask(1, "spin 200");
  const pid_t pid = WorkerPid(2);
  const AttemptUpdate second = RunTask(3, "spin 50");
  EXPECT_EQ(WorkerPid(4), pid);
  EXPECT_GE(ends_[Id(1).value].usage.cpu_time, absl::Milliseconds(195));
  EXPECT_GE(second.usage.cpu_time, absl::Milliseconds(45));
  EXPECT_LT(second.usage.cpu_time, absl::Milliseconds(200));
  EXPECT_LT(ends_[Id(4).value].usage.cpu_time, absl::Milliseconds(50));
}

TEST_F(WorkerTest, ThePeakOfMemoryIsTheAttempts) {
  options_.workers = {.memory = 1 << 30, .worker_memory = 1 << 30};
  const uint64_t small = RunTask(1, "pid").usage.peak_ram_bytes;
  EXPECT_GT(small, 0u);
  EXPECT_LT(small, 50u << 20);
  // The shell's child uses it and gives it back; the worker does not grow.
  EXPECT_GT(RunTask(2, "grow 100").usage.peak_ram_bytes, 100u << 20);
}

TEST_F(WorkerTest, MemoryIsLimited) {
  const pid_t pid = WorkerPid(1);
  runner().Start(WithRam(Task(2, "sh head -c 300M /dev/zero | tail -c 290M | sleep 1000"), 100));
  EXPECT_EQ(WaitEnd(2).outcome, Outcome::kOutOfMemory);
  EXPECT_TRUE(RunUntil([&] { return !Lives(pid); }));
}

TEST_F(WorkerTest, OneThatHoldsTooMuchForATaskIsNotGivenIt) {
  options_.workers = {.memory = 1 << 30, .worker_memory = 1 << 30};
  const pid_t pid = WorkerPid(1);
  RunTask(2, "grow 60");
  EXPECT_EQ(Run(WithRam(Task(3, "pid"), 70)).outcome, Outcome::kSucceeded);
  EXPECT_NE(Stdout(3), absl::StrCat(pid, "\n"));
  EXPECT_EQ(Run(WithRam(Task(4, "pid"), 200)).outcome, Outcome::kSucceeded);
}

TEST_F(WorkerTest, WithoutTheWordItIsAProgramAsAnyOther) {
  Launch launch = Task(1, "pid");
  Payload payload;
  payload.ParseFromString(launch.payload);
  payload.set_worker(false);
  launch.payload = payload.SerializeAsString();
  EXPECT_EQ(Run(launch).exit_status, 3);
}

}  // namespace
}  // namespace kartograph::executor
