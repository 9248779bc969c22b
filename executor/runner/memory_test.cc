// What attempts use of memory, and what happens where that is too much.
#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/resource.h>
#include <unistd.h>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>

#include "absl/strings/numbers.h"
#include "absl/strings/str_cat.h"
#include "base/testing/manual_clock.h"
#include "executor/runner/testing/runner_fixture.h"

namespace kartograph::executor {
namespace {

using planner::Outcome;
using planner::Quantity;
using planner::Resource;

// Holds as many bytes as it is told.
std::string Hog(int64_t bytes) {
  return absl::StrCat("(head -c ", bytes, " /dev/zero; sleep 1000) | tail -c ", 2 * bytes);
}

TEST_F(RunnerTest, NoneTakesFarMoreThanItsHeadroomBeforeItIsMeasured) {
  options_.sample_period = options_.glance_period = absl::Hours(1);
  options_.ram_headroom = 1 << 30;
  const auto allocates = [](uint32_t index, const char* size, int64_t ram) {
    Launch launch = Shell(index, absl::StrCat("head -c ", size, " /dev/zero | tail -c ", size,
                                              " | wc -c; ulimit -S -d"));
    launch.consumption.Set(Resource::Ram(), Quantity::Of(ram << 20));
    return launch;
  };
  Run(allocates(0, "1500M", 100));
  EXPECT_EQ(Stdout(0), absl::StrCat("0\n", (1 << 20) + 200 * 1024, "\n"));
  Run(allocates(1, "20M", 0));
  EXPECT_EQ(Stdout(1), absl::StrCat(20 << 20, "\nunlimited\n"));
  runner().SetRamHeadroom(RamHeadroom::kUnlimited);
  Run(allocates(2, "20M", 100));
  EXPECT_EQ(Stdout(2), absl::StrCat(20 << 20, "\nunlimited\n"));
}

TEST_F(RunnerTest, WhatIsMappedAndNotUsedIsNoReasonToFail) {
  // What the stacks of four hundred threads take, 8 MiB each.
  Launch launch = List(0, {"/usr/bin/python3", "-SEc", R"(
import mmap
stacks = [mmap.mmap(-1, 8 << 20, mmap.MAP_PRIVATE | mmap.MAP_ANONYMOUS) for _ in range(400)]
for stack in stacks: stack[-1] = 1
)"});
  launch.consumption.Set(Resource::Ram(), Quantity::Of(64 << 20));
  EXPECT_EQ(Run(launch).outcome, Outcome::kSucceeded);
}

TEST_F(RunnerTest, EndsWhatUsesMoreMemoryThanDeclared) {
  Launch launch = Shell(0, Hog(200 << 20));
  launch.consumption.Set(Resource::Ram(), Quantity::Of(100 << 20));
  AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kOutOfMemory);
  EXPECT_THAT(end.message,
              ::testing::MatchesRegex("out of memory: used [0-9]+MiB, declared ram=100MiB"));
  EXPECT_GE(end.usage.peak_ram_bytes, uint64_t{100} << 20);
}

TEST_F(RunnerTest, AFileThatIsMappedIsNotMemory) {
  {
    std::ofstream large(File("large"));
    for (int i = 0; i < 150; ++i) large << std::string(1 << 20, 'x');
  }
  Launch launch = List(0, {"/usr/bin/python3", "-SEc",
                           absl::StrCat(R"(
import mmap, time
with open(")",
                                        File("large"), R"(", "rb") as file:
    mapped = mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    assert sum(mapped[i] for i in range(0, len(mapped), 4096)) > 0
    time.sleep(0.5)
)")});
  launch.consumption.Set(Resource::Ram(), Quantity::Of(60 << 20));
  AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
}

TEST_F(RunnerTest, MeasuresMemoryWithoutDisturbing) {
  Launch launch = Shell(0, Hog(100 << 20) + " & sleep 0.6; kill $!; exit 0");
  launch.consumption.Set(Resource::Ram(), Quantity::Of(int64_t{4} << 30));
  AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_LT(end.usage.peak_ram_bytes, uint64_t{4} << 30);
}

TEST_F(RunnerTest, TheMemoryOfAShortAttemptIsNotTheAgents) {
  // A hundred megabytes of ours.
  std::string ours(100 << 20, 'x');
  EXPECT_NE(ours.find('x', ours.size() / 2), std::string::npos);
  AttemptUpdate end = Run(List(0, {"true"}));
  EXPECT_LT(end.usage.peak_ram_bytes, 20u << 20);
}

TEST_F(RunnerTest, AttemptsAreEndedBeforeTheAgentWhereMemoryIsOut) {
  Run(Shell(0,
            "n=0; while [ $(cat /proc/self/oom_score_adj) -lt 300 ] && [ $n -lt 3000 ]; do "
            "sleep 0.01; n=$((n+1)); done; cat /proc/self/oom_score_adj"));
  int score = 0;
  EXPECT_TRUE(absl::SimpleAtoi(Stdout(0), &score)) << Stdout(0);
  EXPECT_GE(score, 300);
  int own = 0;
  EXPECT_TRUE(absl::SimpleAtoi(ReadWhole("/proc/self/oom_score_adj"), &own));
  EXPECT_LT(own, score);
}

// The shell's child takes it.
TEST_F(RunnerTest, AnOvershootIsSeenBetweenTwoSurveys) {
  options_.sample_period = absl::Hours(1);
  Launch launch = Shell(0, Hog(150 << 20));
  launch.consumption.Set(Resource::Ram(), Quantity::Of(100 << 20));
  const AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kOutOfMemory);
  EXPECT_THAT(end.message,
              ::testing::MatchesRegex("out of memory: used [0-9]+MiB, declared ram=100MiB"));
  EXPECT_GT(end.usage.peak_ram_bytes, 100u << 20);
}

TEST_F(RunnerTest, WhatIsShownIsWhatTheLimitGoesBy) {
  constexpr uint64_t kRam = 100 << 20;
  for (uint32_t i = 0; i < 10; ++i) {
    Launch launch = List(i, {"/usr/bin/python3", "-SEc", R"(
import mmap, time
taken = mmap.mmap(-1, 150 << 20, mmap.MAP_PRIVATE)
for at in range(0, len(taken), 4096): taken[at] = 1
time.sleep(0.03)
taken.close()
)"});
    launch.consumption.Set(Resource::Ram(), Quantity::Of(kRam));
    const AttemptUpdate end = Run(launch);
    if (end.outcome == Outcome::kSucceeded) {
      EXPECT_LE(end.usage.peak_ram_bytes, kRam);
    } else {
      EXPECT_EQ(end.outcome, Outcome::kOutOfMemory);
      EXPECT_GT(end.usage.peak_ram_bytes, kRam);
    }
  }
}

TEST_F(RunnerTest, WhatNoLookHasSeenIsNeitherHeldAgainstItNorShown) {
  options_.sample_period = options_.glance_period = absl::Hours(1);
  struct rusage own;
  getrusage(RUSAGE_SELF, &own);
  const int64_t bytes = std::max<int64_t>(250'000'000, (own.ru_maxrss << 10) * 3 / 2);
  Launch launch = Shell(0, absl::StrCat("head -c ", bytes + 10'000'000, " /dev/zero | tail -c ",
                                        bytes, " > /dev/null"));
  launch.consumption.Set(Resource::Ram(), Quantity::Of(100 << 20));
  const AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_LE(end.usage.peak_ram_bytes, 100u << 20);
}

TEST_F(RunnerTest, MappedFilesThatNoLookHasSeenDoNotCount) {
  options_.sample_period = options_.glance_period = absl::Hours(1);
  Launch launch = List(0, {"/usr/bin/python3", "-SEc", R"(
import mmap
size = 300 << 20
with open("file", "w+b") as file:
    file.truncate(size)
    data = mmap.mmap(file.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
    sum(data[at] for at in range(0, size, 4096))
)"});
  launch.consumption.Set(Resource::Ram(), Quantity::Of(100 << 20));
  const AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_LT(end.usage.peak_ram_bytes, 100u << 20);
}

TEST_F(RunnerTest, MappedFilesThatWereSeenDoNotCount) {
  kartograph::testing::ManualClock clock;
  options_.clock = &clock;
  Launch launch = List(0, {"/usr/bin/python3", "-SEc",
                           absl::StrCat(R"(
import mmap, os, time
size = 300 << 20
with open("file", "w+b") as file:
    file.truncate(size)
    data = mmap.mmap(file.fileno(), size, mmap.MAP_SHARED, mmap.PROT_READ)
    sum(data[at] for at in range(0, size, 4096))
    open(")",
                                        root_, R"(/runs", "w")
    while not os.path.exists(")",
                                        root_, R"(/go"): time.sleep(0.01)
)")});
  launch.consumption.Set(Resource::Ram(), Quantity::Of(100 << 20));
  ASSERT_TRUE(runner().Start(launch));
  ASSERT_TRUE(RunUntil([&] { return access(File("runs").c_str(), F_OK) == 0; }));
  clock.Advance(absl::Milliseconds(100));
  ASSERT_TRUE(RunUntil([&] { return runner().UntilDue() > absl::ZeroDuration(); }));
  std::ofstream(root_ + "/go") << "";
  const AttemptUpdate end = WaitEnd(0);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_LT(end.usage.peak_ram_bytes, 100u << 20);
}

TEST_F(RunnerTest, PagesThatProcessesShareCountOnce) {
  constexpr uint64_t kShared = 100 << 20;
  Launch launch = List(0, {"/usr/bin/python3", "-SEc",
                           absl::StrCat(R"(
import os, time
shared = b"x" * )",
                                        kShared, R"(
children = []
while len(children) < 5 and 0 not in children:
    children.append(os.fork())
time.sleep(2)
if 0 not in children:
    for child in children:
        os.waitpid(child, 0)
)")});
  launch.consumption.Set(Resource::Ram(), Quantity::Of(2 * kShared));
  AttemptUpdate end = Run(launch);
  EXPECT_EQ(end.outcome, Outcome::kSucceeded) << end.message;
  EXPECT_GT(end.usage.peak_ram_bytes, kShared);
  EXPECT_LT(end.usage.peak_ram_bytes, 2 * kShared);
}

TEST_F(RunnerTest, ItIsSeenWhatTreesUseThatDeclareNothing) {
  runner().Start(Shell(0, Hog(100 << 20)));
  // Away from its parents, which have ended.
  runner().Start(
      Shell(1, absl::StrCat("(setsid sh -c '", Hog(50 << 20), "' &) & wait; sleep 1000")));
  runner().Start(Shell(2, "sleep 1000"));
  const auto used = [&](uint32_t index) {
    for (const auto& [attempt, bytes] : runner().LookAtMemory()) {
      if (attempt == Id(index)) return bytes >> 20;
    }
    return uint64_t{0};
  };
  EXPECT_TRUE(RunUntil([&] { return used(0) >= 100 && used(0) < 130; })) << used(0);
  EXPECT_TRUE(RunUntil([&] { return used(1) >= 50 && used(1) < 80; })) << used(1);
  EXPECT_LT(used(2), 10);
  for (uint32_t i = 0; i < 3; ++i) runner().Cancel(Id(i), absl::ZeroDuration());
  for (uint32_t i = 0; i < 3; ++i) WaitEnd(i);
  EXPECT_TRUE(runner().LookAtMemory().empty());
}

TEST_F(RunnerTest, TellsPlausibleUsage) {
  AttemptUpdate end;
  // How much memory a short one took may not be known.
  for (int i = 300'000; i < 2e7 && end.usage.peak_ram_bytes == 0; i *= 4) {
    end = Run(Shell(0, absl::StrCat("i=0; while [ $i -lt ", i, " ]; do i=$((i+1)); done")));
    EXPECT_EQ(end.outcome, Outcome::kSucceeded);
  }
  EXPECT_GT(end.usage.cpu_time, absl::Milliseconds(10));
  EXPECT_LT(end.usage.cpu_time, end.usage.wall_time + absl::Milliseconds(50));
  EXPECT_GT(end.usage.peak_ram_bytes, 100u << 10);
  // Children that were waited for count. What is less than this process took is not known, and a
  // sanitizer makes that much.
  struct rusage own;
  getrusage(RUSAGE_SELF, &own);
  const int64_t bytes = std::max<int64_t>(140'000'000, (own.ru_maxrss << 10) * 3 / 2);
  end = Run(Shell(
      1, absl::StrCat("sh -c 'i=0; while [ $i -lt 300000 ]; do i=$((i+1)); done'; head -c ",
                      bytes + 10'000'000, " /dev/zero | tail -c ", bytes, " > /dev/null; true")));
  EXPECT_GT(end.usage.cpu_time, absl::Milliseconds(10));
  EXPECT_GT(end.usage.peak_ram_bytes, static_cast<uint64_t>(bytes) / 100 * 97);
}

}  // namespace
}  // namespace kartograph::executor
