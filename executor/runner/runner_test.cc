#include "executor/runner/runner.h"

#include <fcntl.h>
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <signal.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <limits>
#include <string>
#include <vector>

#include "absl/strings/match.h"
#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "absl/strings/str_split.h"
#include "absl/time/clock.h"
#include "base/testing/manual_clock.h"
#include "executor/payload.pb.h"
#include "executor/runner/testing/runner_fixture.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;
using planner::Outcome;
using planner::Quantity;
using planner::Resource;

TEST_F(RunnerTest, TellsOfSuccess) {
  absl::Time before = absl::Now();
  AttemptUpdate end = Run(List(0, {"true"}));
  EXPECT_EQ(end.outcome, Outcome::kSucceeded);
  EXPECT_EQ(end.exit_status, 0);
  EXPECT_EQ(end.message, "");
  EXPECT_GE(end.start_time, before);
  EXPECT_GE(end.end_time, end.start_time);
  EXPECT_LE(end.end_time, absl::Now());
  EXPECT_GT(end.usage.wall_time, absl::ZeroDuration());
  EXPECT_EQ(runner().running(), 0u);
}

TEST_F(RunnerTest, TellsTheExitStatus) {
  AttemptUpdate end = Run(Shell(0, "exit 3"));
  EXPECT_EQ(end.outcome, Outcome::kExited);
  EXPECT_EQ(end.exit_status, 3);
  EXPECT_EQ(end.message, "exited with status 3");
}

TEST_F(RunnerTest, TellsTheSignal) {
  AttemptUpdate end = Run(Shell(0, "kill -SEGV $$"));
  EXPECT_EQ(end.outcome, Outcome::kSignalled);
  EXPECT_EQ(end.signal, SIGSEGV);
  EXPECT_EQ(end.message, "killed by signal 11 (Segmentation fault)");
}

TEST_F(RunnerTest, PassesArgumentsAsTheyAre) {
  EXPECT_EQ(Run(List(0, {"printf", "%s|", "a b", "", "$HOME", "ä\n"})).outcome,
            Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), "a b||$HOME|ä\n|");
}

TEST_F(RunnerTest, LeavesOutAShellThatHasNothingToDo) {
  // The process is the program itself either way; only what a shell would say and do shows.
  EXPECT_EQ(Run(Shell(0, "/bin/echo  plain words a=b")).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), "plain words a=b\n");
  EXPECT_EQ(Run(Shell(1, "/bin/echo $((1 + 1))")).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(1), "2\n");
  EXPECT_EQ(Run(Shell(2, "/nowhere/program")).exit_status, 127) << "as a shell says it";
  std::ofstream(File("script")) << "echo no first line\n";
  chmod(File("script").c_str(), 0755);
  EXPECT_EQ(Run(Shell(3, File("script"))).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(3), "no first line\n");
}

TEST_F(RunnerTest, AShellLineMayBeLongerThanAnArgument) {
  const std::string comment(1 << 20, 'x');
  const AttemptUpdate end = Run(Shell(0, absl::StrCat("# ", comment, "\necho long; exit 3")));
  EXPECT_EQ(end.exit_status, 3) << end.message;
  EXPECT_EQ(Stdout(0), "long\n");
  EXPECT_EQ(Run(Shell(1, absl::StrCat("echo short #", comment.substr(0, 100000)))).outcome,
            Outcome::kSucceeded);
  EXPECT_NE(access(absl::StrCat(options_.sandbox_root, "/17/1.1/command.sh").c_str(), F_OK), 0);
}

TEST_F(RunnerTest, ATextForAnyShellMayBeLongerThanAnArgument) {
  const std::string comment = absl::StrCat("# ", std::string(200000, 'x'), "\n");
  const auto run = [&](uint32_t index, const std::vector<std::string>& words,
                       const std::string& text) {
    Payload payload;
    for (const std::string& word : words) payload.add_arguments(word);
    payload.set_shell(text);
    return Run(WithPayload(index, payload));
  };
  const std::string text = "x=(a b); echo ${x[1]}; false | true; echo on";
  // As short as it is it is the argument.
  EXPECT_EQ(run(0, {"bash", "-euo", "pipefail", "-c"}, text).exit_status, 1);
  EXPECT_EQ(run(1, {"bash", "-euo", "pipefail", "-c"}, absl::StrCat(comment, text)).exit_status, 1);
  EXPECT_EQ(Stdout(0), "b\n");
  EXPECT_EQ(Stdout(1), "b\n");
  EXPECT_EQ(run(2, {"bash", "-euc"}, absl::StrCat(comment, text, "; : $unset; echo on")).outcome,
            Outcome::kExited);
  EXPECT_EQ(Stdout(2), "b\non\n");
  const AttemptUpdate refused = run(3, {"echo", "text"}, comment);
  EXPECT_EQ(refused.outcome, Outcome::kNotStarted);
  EXPECT_THAT(refused.message, ::testing::HasSubstr("no option such as -c"));
}

TEST_F(RunnerTest, StartsInASandboxMadeBefore) {
  runner().Prepare(Id(0));
  runner().Prepare(Id(1));
  runner().Forget(Id(1));
  EXPECT_EQ(Run(Shell(0, "echo here; pwd")).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), absl::StrCat("here\n", options_.sandbox_root, "/17/0.1\n"));
}

TEST_F(RunnerTest, SaysWhyAProgramCannotBeStarted) {
  Payload payload;
  payload.add_arguments("frobnicate");
  (*payload.mutable_environment())["PATH"] = "/bin:/nowhere";
  AttemptUpdate end = Run(WithPayload(0, payload));
  EXPECT_EQ(end.outcome, Outcome::kNotStarted);
  EXPECT_EQ(end.message,
            "cannot start \"frobnicate\": No such file or directory (searched PATH=/bin:/nowhere)");
  EXPECT_EQ(end.start_time, absl::InfinitePast());

  EXPECT_EQ(Run(List(1, {"/nowhere/program"})).message,
            "cannot start \"/nowhere/program\": No such file or directory");
  std::ofstream(File("text")) << "text";
  EXPECT_EQ(Run(List(2, {File("text")})).message,
            absl::StrCat("cannot start \"", File("text"), "\": Permission denied"));
  EXPECT_EQ(Run(List(9, {"./load.sh"})).message,
            absl::StrCat("cannot start \"./load.sh\": No such file or directory; it was looked for "
                         "in its own empty folder, ",
                         options_.sandbox_root, "/17/9.1"));
  Payload elsewhere;
  elsewhere.add_arguments("bin/load");
  elsewhere.set_directory("/tmp");
  EXPECT_EQ(Run(WithPayload(10, elsewhere)).message,
            "cannot start \"bin/load\": No such file or directory; it was looked for in /tmp");
  payload.mutable_arguments()->Clear();
  payload.set_shell("true");
  payload.set_directory("/nowhere");
  EXPECT_EQ(Run(WithPayload(3, payload)).message,
            "cannot enter the directory \"/nowhere\": No such file or directory");
  EXPECT_EQ(Run(List(4, {"true", std::string("a\0b", 3)})).outcome, Outcome::kNotStarted);
  EXPECT_FALSE(runner().Start(WithPayload(5, Payload())));
  EXPECT_EQ(WaitEnd(5).message, "there is no command to run");
  EXPECT_EQ(WaitEnd(5).outcome, Outcome::kNotStarted);
  EXPECT_EQ(Run(List(6, {""})).outcome, Outcome::kNotStarted);
  Launch broken;
  broken.attempt = Id(7);
  broken.payload = "\xff\xff\xff";
  EXPECT_EQ(Run(broken).message, "the payload cannot be read");
  payload.mutable_container()->set_image("alpine:3");
  EXPECT_EQ(Run(WithPayload(8, payload)).message,
            "containers need a Mesos cluster (--cluster mesos:...)");
}

TEST_F(RunnerTest, SearchesThePathOfTheTask) {
  std::filesystem::create_directories(File("tools"));
  std::filesystem::create_directories(File("work/relative"));
  for (const char* name : {"tools/mine", "work/relative/mine2"}) {
    std::ofstream(File(name)) << "#!/bin/sh\necho found $0\n";
    chmod(File(name).c_str(), 0755);
  }
  Payload payload;
  payload.add_arguments("mine");
  (*payload.mutable_environment())["PATH"] = absl::StrCat("/nowhere:", File("tools"), ":/bin");
  EXPECT_EQ(Run(WithPayload(0, payload)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), absl::StrCat("found ", File("tools"), "/mine\n"));

  // What was found may go away, and another be there.
  std::filesystem::rename(File("tools/mine"), File("work/mine"));
  (*payload.mutable_environment())["PATH"] =
      absl::StrCat("/nowhere:", File("tools"), ":/bin:", File("work"));
  EXPECT_EQ(Run(WithPayload(1, payload)).outcome, Outcome::kSucceeded);
  std::filesystem::rename(File("work/mine"), File("tools/mine"));
  EXPECT_EQ(Run(WithPayload(2, payload)).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(2), absl::StrCat("found ", File("tools"), "/mine\n"));

  // Relative entries are seen from the working directory.
  payload.set_arguments(0, "mine2");
  payload.set_directory(File("work"));
  (*payload.mutable_environment())["PATH"] = "relative:/bin";
  EXPECT_EQ(Run(WithPayload(3, payload)).outcome, Outcome::kSucceeded);
}

TEST_F(RunnerTest, WorksInTheSandboxOrTheDirectoryGiven) {
  Run(List(0, {"pwd"}));
  EXPECT_EQ(Stdout(0), absl::StrCat(options_.sandbox_root, "/17/0.1\n"));
  Payload payload;
  payload.add_arguments("pwd");
  payload.set_directory("/usr");
  Run(WithPayload(1, payload));
  EXPECT_EQ(Stdout(1), "/usr\n");
}

TEST_F(RunnerTest, BuildsTheEnvironment) {
  setenv("FROM_THE_AGENT", "agent", 1);
  setenv("FROM_BOTH", "agent", 1);
  setenv("KARTOGRAPH_TASK", "outer", 1);
  Payload payload;
  payload.add_arguments("env");
  auto& environment = *payload.mutable_environment();
  environment["FROM_THE_TASK"] = "a=b c";
  environment["FROM_BOTH"] = "task";
  environment["KARTOGRAPH_GRAPH"] = "forged";
  Run(WithPayload(0, payload));
  unsetenv("KARTOGRAPH_TASK");
  std::vector<std::string> lines = absl::StrSplit(Stdout(0), '\n');
  EXPECT_THAT(lines,
              ::testing::IsSupersetOf({"FROM_THE_AGENT=agent", "FROM_THE_TASK=a=b c",
                                       "FROM_BOTH=task", "KARTOGRAPH_GRAPH=g17",
                                       "KARTOGRAPH_TASK=task 0", "KARTOGRAPH_ATTEMPT=g17.0.1"}));
  EXPECT_THAT(lines, ::testing::Contains(absl::StrCat("KARTOGRAPH_RESULT=", options_.sandbox_root,
                                                      "/17/0.1/result")));
  EXPECT_EQ(Stdout(0).find("outer"), std::string::npos);
  payload.Clear();
  payload.add_arguments("env");
  (*payload.mutable_environment())["A=B"] = "";
  EXPECT_EQ(Run(WithPayload(1, payload)).message, "\"A=B\" cannot be the name of a variable");
}

TEST_F(RunnerTest, TakesTheEnvironmentItIsGiven) {
  setenv("FROM_THE_AGENT", "agent", 1);
  // This one has its environment from the first, though it goes on beside the next.
  runner().Start(Shell(1, "cat; env"));
  runner().SetEnvironment({"PATH=/usr/bin:/bin", "GIVEN=yes", "nonsense"});
  EXPECT_EQ(Run(List(0, {"env"})).outcome, Outcome::kSucceeded);
  EXPECT_THAT(Stdout(0), ::testing::HasSubstr("GIVEN=yes\n"));
  EXPECT_EQ(Stdout(0).find("FROM_THE_AGENT"), std::string::npos);
  EXPECT_EQ(WaitEnd(1).outcome, Outcome::kSucceeded);
  EXPECT_THAT(Stdout(1), ::testing::HasSubstr("FROM_THE_AGENT=agent\n"));
  EXPECT_EQ(Stdout(1).find("GIVEN"), std::string::npos);
}

TEST_F(RunnerTest, NamesWhatWasDeclared) {
  unsetenv("OMP_NUM_THREADS");
  Launch launch = List(0, {"env"});
  launch.consumption = {{planner::Resource::Cpu(), planner::Quantity::FromMilli(2500)},
                        {planner::Resource::Ram(), planner::Quantity::Of(64 << 20)}};
  launch.pools = {{planner::Resource::Intern("db-connections").value(), planner::Quantity::Of(3)}};
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_THAT(
      absl::StrSplit(Stdout(0), '\n'),
      ::testing::IsSupersetOf({"KARTOGRAPH_CPU=2.5", "KARTOGRAPH_RAM=67108864",
                               "KARTOGRAPH_RESOURCE_DB_CONNECTIONS=3", "OMP_NUM_THREADS=2"}));
  Payload payload;
  payload.add_arguments("env");
  (*payload.mutable_environment())["OMP_NUM_THREADS"] = "7";
  Run(WithPayload(1, payload));
  EXPECT_THAT(absl::StrSplit(Stdout(1), '\n'), ::testing::Contains("OMP_NUM_THREADS=7"));
}

TEST_F(RunnerTest, KeepsAnAttemptToItsDevices) {
  runner().SetEnvironment({"PATH=/usr/bin:/bin", "CUDA_VISIBLE_DEVICES=all"});
  Launch launch = List(0, {"env"});
  const planner::Resource gpu = planner::Resource::Named("gpu");
  launch.consumption = {{gpu, planner::Quantity::Of(2)}};
  launch.instances = {{gpu, {"0", "2"}}};
  Run(launch);
  EXPECT_THAT(absl::StrSplit(Stdout(0), '\n'),
              ::testing::IsSupersetOf({"KARTOGRAPH_RESOURCE_GPU=0,2", "CUDA_VISIBLE_DEVICES=0,2",
                                       "CUDA_DEVICE_ORDER=PCI_BUS_ID"}));
  launch = List(1, {"env"});
  launch.instances = {{gpu, {}}};
  Run(launch);
  EXPECT_THAT(absl::StrSplit(Stdout(1), '\n'), ::testing::Contains("CUDA_VISIBLE_DEVICES="));
  // The task knows better.
  Payload payload;
  payload.add_arguments("env");
  (*payload.mutable_environment())["CUDA_VISIBLE_DEVICES"] = "7";
  launch = WithPayload(2, payload);
  launch.instances = {{gpu, {}}};
  Run(launch);
  EXPECT_THAT(absl::StrSplit(Stdout(2), '\n'), ::testing::Contains("CUDA_VISIBLE_DEVICES=7"));
}

TEST_F(RunnerTest, GivesACleanStart) {
  // What this process ignores, blocks or has open is not the task's.
  signal(SIGPIPE, SIG_IGN);
  sigset_t set, before;
  sigemptyset(&set);
  sigaddset(&set, SIGUSR1);
  sigprocmask(SIG_BLOCK, &set, &before);
  int leaked = open("/dev/null", O_RDONLY);
  AttemptUpdate end =
      Run(Shell(0,
                "ls /proc/self/fd | wc -l; grep -E '^Sig(Blk|Ign)' /proc/self/status; "
                "cut -d' ' -f6 /proc/$$/stat; echo $$; cat | wc -c"));
  close(leaked);
  sigprocmask(SIG_SETMASK, &before, nullptr);
  signal(SIGPIPE, SIG_DFL);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded);
  std::vector<std::string> lines = absl::StrSplit(Stdout(0), '\n');
  ASSERT_EQ(lines.size(), 7u);
  EXPECT_EQ(lines[0], "4");  // the three, and the one that ls reads the folder with
  EXPECT_EQ(lines[1], "SigBlk:\t0000000000000000");
  EXPECT_EQ(lines[2], "SigIgn:\t0000000000000000");
  EXPECT_EQ(lines[3], lines[4]);  // it leads its session
  EXPECT_EQ(lines[5], "0");
}

TEST_F(RunnerTest, ReadsTheReturnValue) {
  EXPECT_EQ(Run(Shell(0, "printf 'a\\0b' > $KARTOGRAPH_RESULT")).return_value,
            std::string("a\0b", 3));
  AttemptUpdate failed = Run(Shell(1, "printf error > $KARTOGRAPH_RESULT; exit 1"));
  EXPECT_EQ(failed.outcome, Outcome::kExited);
  EXPECT_EQ(failed.return_value, "error");
  EXPECT_EQ(Run(Shell(2, "true")).return_value, "");
}

TEST_F(RunnerTest, LimitsTheReturnValue) {
  AttemptUpdate most = Run(Shell(0, "head -c 67108864 /dev/zero > $KARTOGRAPH_RESULT"));
  EXPECT_EQ(most.outcome, Outcome::kSucceeded);
  EXPECT_EQ(most.return_value.size(), 67108864u);
  AttemptUpdate over = Run(Shell(1, "head -c 67108865 /dev/zero > $KARTOGRAPH_RESULT"));
  EXPECT_EQ(over.outcome, Outcome::kResultTooLarge);
  EXPECT_EQ(over.message, "the return value has 67108865 bytes; the limit is 64MiB");
  EXPECT_TRUE(over.return_value.empty());
  AttemptUpdate failed = Run(Shell(2, "head -c 67108865 /dev/zero > $KARTOGRAPH_RESULT; exit 2"));
  EXPECT_EQ(failed.outcome, Outcome::kExited);
  EXPECT_EQ(failed.message,
            "exited with status 2; the return value has 67108865 bytes; the limit is 64MiB");
  // A pipe there must not block us.
  AttemptUpdate pipe = Run(Shell(3, "mkfifo $KARTOGRAPH_RESULT"));
  EXPECT_NE(pipe.outcome, Outcome::kSucceeded);
}

TEST_F(RunnerTest, KeepsAMegabyteOfOutput) {
  EXPECT_EQ(Run(Shell(0, "head -c 1000000 /dev/zero | tr '\\0' x")).outcome, Outcome::kSucceeded);
  EXPECT_EQ(Stdout(0), std::string(1000000, 'x'));
}

TEST_F(RunnerTest, EndsWhatRunsTooLong) {
  Launch launch = List(0, {"sleep", "1000"});
  launch.timeout = absl::Milliseconds(50);
  AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kTimedOut);
  EXPECT_EQ(end.message, "ran longer than its timeout of 50ms");
  EXPECT_GE(end.usage.wall_time, absl::Milliseconds(50));
}

TEST_F(RunnerTest, ATimeoutThatIsNotReachedDoesNothing) {
  Launch launch = List(0, {"true"});
  launch.timeout = absl::Hours(1);
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
  EXPECT_TRUE(RunUntil([&] { return !runner().tidying(); }));
  EXPECT_EQ(runner().UntilDue(), absl::InfiniteDuration());
}

// Whatever becomes of the wall clock while an attempt runs.
class WallClockStepTest : public RunnerTest, public ::testing::WithParamInterface<absl::Duration> {
 protected:
  WallClockStepTest() { options_.clock = &clock_; }
  ::kartograph::testing::ManualClock clock_;
};

INSTANTIATE_TEST_SUITE_P(Steps, WallClockStepTest,
                         ::testing::Values(-absl::Hours(1), absl::Hours(1), absl::Hours(8766),
                                           -absl::Hours(8766)),
                         [](const auto& info) {
                           return absl::StrCat(info.param < absl::ZeroDuration() ? "Back" : "Ahead",
                                               absl::ToInt64Hours(absl::AbsDuration(info.param)));
                         });

TEST_P(WallClockStepTest, AnAttemptEndsAfterItsStart) {
  const absl::Time started = clock_.WallNow();
  runner().Start(Shell(0, absl::StrCat("while [ ! -e ", File("go"), " ]; do sleep 0.01; done")));
  EXPECT_EQ(runner().StartTime(Id(0)), started);
  clock_.StepWall(GetParam());
  clock_.Advance(absl::Seconds(3));
  std::ofstream(File("go")) << "go";
  AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.start_time, started);
  EXPECT_EQ(end.end_time, started + absl::Seconds(3));
  EXPECT_EQ(end.usage.wall_time, absl::Seconds(3));
}

TEST_P(WallClockStepTest, TimersKeepTheirTime) {
  Launch launch = List(0, {"sleep", "1000"});
  launch.timeout = absl::Minutes(1);
  launch.cancel_grace = absl::ZeroDuration();
  runner().Start(launch);
  clock_.StepWall(GetParam());
  std::vector<AttemptUpdate> ended;
  // It is looked at every second while it is young.
  absl::Duration passed;
  while (runner().UntilDue() < absl::Seconds(10) && passed < absl::Seconds(50)) {
    absl::SleepFor(absl::Milliseconds(50));  // until it is its program
    const absl::Duration step = runner().UntilDue();
    clock_.Advance(step);
    passed += step;
    runner().Poll(&ended);
  }
  EXPECT_EQ(runner().UntilDue(), absl::Minutes(1) - passed);
  clock_.Advance(absl::Seconds(59) - passed);
  EXPECT_EQ(runner().UntilDue(), absl::Seconds(1));
  runner().Poll(&ended);
  EXPECT_TRUE(runner().IsRunning(Id(0)));
  clock_.Advance(absl::Seconds(1));
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kTimedOut);
  EXPECT_EQ(WaitEnd(0).end_time, WaitEnd(0).start_time + absl::Minutes(1));
}

TEST_F(RunnerTest, CancelsWithSigtermFirst) {
  runner().Start(Shell(0, absl::StrCat("trap 'echo bye > $KARTOGRAPH_RESULT; exit 0' TERM; touch ",
                                       File("ready"), "; while :; do sleep 0.01; done")));
  ASSERT_TRUE(RunUntil([&] { return std::filesystem::exists(File("ready")); }));
  EXPECT_TRUE(runner().Cancel(Id(0), absl::Minutes(10)));
  AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kCancelled);
  EXPECT_EQ(end.return_value, "bye\n");
  EXPECT_FALSE(runner().Cancel(Id(0), absl::ZeroDuration()));
}

TEST_F(RunnerTest, LetsTheWholeTreeUseTheGrace) {
  // The main process ends at once; the one below needs a moment.
  runner().Start(Shell(0, absl::StrCat("sh -c 'trap \"sleep 0.1; echo saved > ", File("saved"),
                                       "; exit\" TERM; touch ", File("ready"),
                                       "; while :; do sleep 0.01; done'; true")));
  ASSERT_TRUE(RunUntil([&] { return std::filesystem::exists(File("ready")); }));
  runner().Cancel(Id(0), absl::Minutes(10));
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kCancelled);
  EXPECT_EQ(ReadWhole(File("saved")), "saved\n");
}

// A tree that does not want to end: the main process, one below it, and one that has left the
// group, the session and its parent. Each writes its number into a file.
constexpr char kStubborn[] =
    "trap '' TERM; cd $1; echo $$ > main.tmp; mv main.tmp main; "
    "sh -c 'trap \"\" TERM; echo $$ > below.tmp; mv below.tmp below; "
    "while :; do sleep 0.01; done' & "
    "(setsid sh -c 'trap \"\" TERM; echo $$ > escaped.tmp; mv escaped.tmp escaped; "
    "while :; do sleep 0.01; done' &) ; "
    "while :; do sleep 0.01; done";

TEST_F(RunnerTest, CancelsATreeThatIgnoresSigterm) {
  runner().Start(List(0, {"sh", "-c", kStubborn, "stubborn", root_}));
  std::vector<pid_t> pids = {WaitPid("main"), WaitPid("below"), WaitPid("escaped")};
  runner().Cancel(Id(0), absl::Milliseconds(100));
  AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kCancelled);
  EXPECT_GE(end.usage.wall_time, absl::Milliseconds(100));
  // With the end reported, nothing is left.
  for (pid_t pid : pids) EXPECT_FALSE(Lives(pid)) << pid;
}

TEST_F(RunnerTest, TimesOutATreeThatIgnoresSigterm) {
  Launch launch = List(0, {"sh", "-c", kStubborn, "stubborn", root_});
  launch.timeout = absl::Milliseconds(300);
  launch.cancel_grace = absl::Milliseconds(50);
  runner().Start(launch);
  pid_t escaped = WaitPid("escaped");
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kTimedOut);
  EXPECT_FALSE(Lives(escaped));
}

TEST_F(RunnerTest, EndsWhatAnAttemptLeavesBehind) {
  runner().Start(Shell(
      0, absl::StrCat("sleep 1000 & echo $! > ", File("same_group"), "; (setsid sh -c 'echo $$ > ",
                      File("escaped"), "; exec sleep 1000' &); while [ ! -s ", File("escaped"),
                      " ]; do sleep 0.01; done")));
  pid_t escaped = WaitPid("escaped");
  EXPECT_EQ(WaitEnd(0).outcome, Outcome::kSucceeded);
  // With the end reported, nothing is left: what comes after may need what they held.
  EXPECT_FALSE(Lives(WaitPid("same_group")));
  EXPECT_FALSE(Lives(escaped));
  EXPECT_TRUE(RunUntil([&] { return !runner().tidying(); }));
}

TEST_F(RunnerTest, EndsWhatHidesWhereItComesFrom) {
  // No environment, no session, no parent: it is killed when the attempts of its time have ended,
  // and not before.
  runner().Start(Shell(0, absl::StrCat("(env -i setsid sh -c 'echo $$ > ", File("hidden"),
                                       "; exec sleep 1000' &); while [ ! -s ", File("hidden"),
                                       " ]; do sleep 0.01; done")));
  runner().Start(Shell(1, absl::StrCat("while [ ! -e ", File("go"), " ]; do sleep 0.01; done")));
  pid_t hidden = WaitPid("hidden");
  WaitEnd(0);
  absl::Time later = absl::Now() + absl::Milliseconds(300);
  EXPECT_TRUE(RunUntil([&] { return absl::Now() > later; }));
  EXPECT_TRUE(Lives(hidden));
  std::ofstream(File("go")) << "go";
  WaitEnd(1);
  EXPECT_TRUE(RunUntil([&] { return !Lives(hidden); }));
}

TEST_F(RunnerTest, LeavesTheDaemonsOfRunningAttemptsAlone) {
  runner().Start(Shell(0, absl::StrCat("(setsid sh -c 'echo $$ > ", File("daemon"),
                                       "; exec sleep 1000' &); while [ ! -e ", File("go"),
                                       " ]; do sleep 0.01; done")));
  pid_t daemon = WaitPid("daemon");
  for (uint32_t i = 1; i < 4; ++i) {
    EXPECT_EQ(Run(List(i, {"true"})).outcome, Outcome::kSucceeded);
  }
  EXPECT_TRUE(RunUntil([&] { return runner().UntilDue() == absl::InfiniteDuration(); }));
  EXPECT_TRUE(Lives(daemon));
  std::ofstream(File("go")) << "go";
  WaitEnd(0);
  EXPECT_TRUE(RunUntil([&] { return !Lives(daemon); }));
}

TEST_F(RunnerTest, RunsManyAtOnce) {
  constexpr uint32_t kAttempts = 100;
  for (uint32_t i = 0; i < kAttempts; ++i) {
    EXPECT_TRUE(runner().Start(
        Shell(i, absl::StrCat("while [ ! -e ", File("go"), " ]; do sleep 0.05; done; exit ", i))));
  }
  EXPECT_EQ(runner().running(), kAttempts);
  std::ofstream(File("go")) << "go";
  for (uint32_t i = 0; i < kAttempts; ++i) EXPECT_EQ(WaitEnd(i).exit_status, static_cast<int>(i));
}

TEST_F(RunnerTest, SaysWhenASandboxCannotBeMade) {
  runner();
  std::ofstream(options_.sandbox_root + "/17") << "in the way";
  AttemptUpdate end = Run(List(0, {"true"}));
  EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
  EXPECT_EQ(end.message, absl::StrCat("cannot make the sandbox ", options_.sandbox_root,
                                      "/17/0.1: Not a directory"));
}

TEST_F(RunnerTest, GivesAnEmptySandboxWhereOneIsLeft) {
  // As after an older copy of the history was restored.
  Run(Shell(0, "echo old; echo old > $KARTOGRAPH_RESULT; echo old > kept"));
  ends_.clear();
  AttemptUpdate end = Run(Shell(0, "ls; echo new"));
  EXPECT_EQ(end.return_value, "");
  EXPECT_EQ(Stdout(0), "new\n");
}

TEST_F(RunnerTest, NothingThatATaskWroteIsLost) {
  Run(Shell(0, "echo one; echo two > /dev/stdout; echo three >> /dev/stdout; echo four"));
  EXPECT_EQ(Stdout(0), "one\ntwo\nthree\nfour\n");
  // What its last process wrote just before the end, more than a pipe takes.
  Run(Shell(1, "head -c 1000000 /dev/zero | tr '\\0' x"));
  EXPECT_EQ(Stdout(1), std::string(1000000, 'x'));
  // What is cancelled, too.
  runner().Start(Shell(2, "echo begun; exec sleep 1000"));
  EXPECT_TRUE(RunUntil([&] { return Stdout(2) == "begun\n"; }));
  runner().Cancel(Id(2), absl::ZeroDuration());
  WaitEnd(2);
  EXPECT_EQ(Stdout(2), "begun\n");
}

TEST_F(RunnerTest, AttemptsHaveTheLimitOfDescriptorsThatTheAgentBeganWith) {
  struct rlimit before;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &before), 0);
  struct rlimit lower = before;
  lower.rlim_cur = 100;
  ASSERT_EQ(setrlimit(RLIMIT_NOFILE, &lower), 0);
  Run(Shell(0, "ulimit -n"));
  struct rlimit raised;
  ASSERT_EQ(getrlimit(RLIMIT_NOFILE, &raised), 0);
  setrlimit(RLIMIT_NOFILE, &before);
  EXPECT_EQ(Stdout(0), "100\n");
  EXPECT_EQ(raised.rlim_cur, before.rlim_max);
}

TEST_F(RunnerTest, StartsNothingWhereTheDisksReserveIsReached) {
  options_.disk_limits.reserve = std::numeric_limits<int64_t>::max();
  AttemptUpdate end = Run(List(0, {"true"}));
  EXPECT_EQ(end.outcome, Outcome::kAgentFailed);
  EXPECT_TRUE(absl::StrContains(end.message, "are kept in reserve")) << end.message;
}

TEST_F(RunnerTest, AttemptsDieWithTheirRunner) {
  // SIGKILL for the process that owns the runner: its attempts do not outlive it.
  pid_t owner = fork();
  if (owner == 0) {
    runner().Start(Shell(0, absl::StrCat("echo $$ > ", File("pid"), "; exec sleep 1000")));
    pause();
    _exit(0);
  }
  pid_t pid = 0;
  absl::Time until = absl::Now() + kPatience;
  while (!absl::SimpleAtoi(ReadWhole(File("pid")), &pid) && absl::Now() < until) {
    absl::SleepFor(absl::Milliseconds(2));
  }
  ASSERT_GT(pid, 0);
  kill(owner, SIGKILL);
  waitpid(owner, nullptr, 0);
  while (Lives(pid) && absl::Now() < until) absl::SleepFor(absl::Milliseconds(2));
  EXPECT_FALSE(Lives(pid));
}

// Last, as it takes memory, which the kernel remembers of this process.
TEST_F(RunnerTest, ShortTasksAreNeverTakenForUs) {
  const std::string ours(64 << 20, 'x');
  for (uint32_t i = 0; i < 200; ++i) {
    Launch launch = List(i, {"true"});
    launch.consumption.Set(Resource::Ram(), Quantity::Of(int64_t{1 + i % 40} << 20));
    const AttemptUpdate end = Run(launch);
    EXPECT_EQ(end.outcome, Outcome::kSucceeded) << i << ": " << end.message << ours.size();
  }
}

}  // namespace
}  // namespace kartograph::executor
