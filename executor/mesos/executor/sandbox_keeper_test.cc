#include "executor/mesos/executor/sandbox_keeper.h"

#include <gtest/gtest.h>
#include <stdlib.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "executor/mesos/removed_logs.h"

namespace kartograph::executor::mesos {
namespace {

namespace fs = std::filesystem;
using planner::AttemptId;

constexpr uint64_t kMiB = 1 << 20;

AttemptId Id(uint32_t index, uint32_t graph = 17) {
  return AttemptId::Of(planner::TaskKey::Of(graph, index), 1);
}

class SandboxKeeperTest : public ::testing::Test {
 protected:
  SandboxKeeperTest() {
    folder_ = absl::StrCat(getenv("TEST_TMPDIR"), "/keeper.XXXXXX");
    EXPECT_NE(mkdtemp(folder_.data()), nullptr);
    options_.sandbox = folder_;
    options_.attempts = "sandboxes";
    options_.period = absl::Milliseconds(5);
    options_.on_measured = [this] {
      MutexLock lock(&mutex_);
      ++looks_;
    };
  }
  ~SandboxKeeperTest() override {
    keeper_.reset();
    std::error_code ignored;
    fs::remove_all(folder_, ignored);
  }

  SandboxKeeper& keeper() {
    if (keeper_ == nullptr) {
      auto made = SandboxKeeper::Create(options_);
      EXPECT_TRUE(made.ok()) << made.status();
      keeper_ = *std::move(made);
    }
    return *keeper_;
  }
  int looks() {
    MutexLock lock(&mutex_);
    return looks_;
  }
  // Two whole looks from now on.
  void AwaitLooks() {
    const int before = looks();
    ASSERT_TRUE(Await([&] { return looks() >= before + 2; }));
  }
  template <typename Condition>
  static bool Await(Condition condition) {
    const absl::Time until = absl::Now() + absl::Minutes(1);
    while (!condition() && absl::Now() < until) absl::SleepFor(absl::Milliseconds(1));
    return condition();
  }
  std::string Path(AttemptId attempt, const std::string& file) const {
    return absl::StrCat(folder_, "/sandboxes/", SandboxFolder(attempt), "/", file);
  }
  void Write(AttemptId attempt, const std::string& file, uint64_t bytes) const {
    fs::create_directories(fs::path(Path(attempt, file)).parent_path());
    std::ofstream(Path(attempt, file)) << std::string(bytes, 'x');
  }
  void RunToEnd(AttemptId attempt, uint64_t disk, uint64_t bytes) {
    keeper().OnLaunch(attempt, disk);
    Write(attempt, "stdout", bytes);
    keeper().OnEnd(attempt);
  }
  std::string Removed() const {
    std::ifstream file(absl::StrCat(folder_, "/", kRemovedLogs));
    return {std::istreambuf_iterator<char>(file), {}};
  }

  std::string folder_;
  SandboxKeeper::Options options_;
  std::unique_ptr<SandboxKeeper> keeper_;
  Mutex mutex_;
  int looks_ = 0;
};

TEST_F(SandboxKeeperTest, WhatEndedOnesHaveLeftGoesWhereItWouldCountAgainstOthers) {
  for (uint32_t i : {0, 1}) {
    RunToEnd(Id(i), 20 * kMiB, 8 * kMiB);
    keeper().OnAcknowledged(Id(i));
  }
  // There is room for one of them beside what this has.
  keeper().OnLaunch(Id(2), 16 * kMiB);
  Write(Id(2), "stdout", 4 * kMiB);
  EXPECT_TRUE(Await([&] { return !fs::exists(Path(Id(0), "")); }));
  AwaitLooks();
  EXPECT_TRUE(fs::exists(Path(Id(1), "stdout"))) << "the oldest goes first";
  EXPECT_TRUE(fs::exists(Path(Id(2), "stdout")));
  EXPECT_EQ(Removed(), "g17.0.1\n");
  EXPECT_GE(keeper().usage().running.at(Id(2)), 4 * kMiB);
  EXPECT_GE(keeper().usage().left, 8 * kMiB);
  EXPECT_LT(keeper().usage().left, 9 * kMiB);
  // What runs there has it all.
  Write(Id(2), "stderr", 9 * kMiB);
  EXPECT_TRUE(Await([&] { return !fs::exists(Path(Id(1), "")); }));
  EXPECT_EQ(Removed(), "g17.0.1\ng17.1.1\n");
}

TEST_F(SandboxKeeperTest, AReturnValueStaysUntilItIsAcknowledged) {
  RunToEnd(Id(0), 20 * kMiB, 8 * kMiB);
  Write(Id(0), "result", 100);
  keeper().OnLaunch(Id(1), 4 * kMiB);
  EXPECT_TRUE(Await([&] { return !fs::exists(Path(Id(0), "stdout")); }));
  AwaitLooks();
  EXPECT_TRUE(fs::exists(Path(Id(0), "result")));
  EXPECT_EQ(Removed(), "g17.0.1\n") << "once";
}

TEST_F(SandboxKeeperTest, WithoutAQuotaNothingGoes) {
  RunToEnd(Id(0), 20 * kMiB, 8 * kMiB);
  keeper().OnAcknowledged(Id(0));
  RunToEnd(Id(1), 0, 8 * kMiB);
  keeper().Discard(planner::GraphId{18});
  keeper_.reset();
  EXPECT_TRUE(fs::exists(Path(Id(0), "stdout")));
  EXPECT_TRUE(fs::exists(Path(Id(1), "stdout")));
  EXPECT_EQ(Removed(), "");
}

TEST_F(SandboxKeeperTest, TheExecutorsOwnDiskIsForLogs) {
  options_.own_bytes = 20 * kMiB;
  RunToEnd(Id(0), 0, 8 * kMiB);
  RunToEnd(Id(1), 0, 8 * kMiB);
  keeper().OnAcknowledged(Id(0));
  AwaitLooks();
  EXPECT_TRUE(fs::exists(Path(Id(0), "stdout")));
  RunToEnd(Id(2), 0, 8 * kMiB);
  EXPECT_TRUE(Await([&] { return !fs::exists(Path(Id(0), "")); }));
  AwaitLooks();
  EXPECT_TRUE(fs::exists(Path(Id(1), "stdout")));
}

TEST_F(SandboxKeeperTest, WhoTakesTooMuchTakesItNotFromOldLogs) {
  RunToEnd(Id(0), 20 * kMiB, kMiB);
  keeper().OnAcknowledged(Id(0));
  keeper().OnLaunch(Id(1), 16 * kMiB);
  keeper().OnLaunch(Id(2), 16 * kMiB);
  Write(Id(1), "stdout", 20 * kMiB);
  AwaitLooks();
  EXPECT_TRUE(fs::exists(Path(Id(0), "stdout")));
}

TEST_F(SandboxKeeperTest, ADiscardedGraphIsRemovedAndForgotten) {
  RunToEnd(Id(0), 0, 8 * kMiB);
  RunToEnd(Id(0, 18), 0, kMiB);
  keeper().Discard(planner::GraphId{17});
  EXPECT_TRUE(Await([&] {
    return !fs::exists(absl::StrCat(folder_, "/sandboxes/17")) && DiskUsage(folder_) < 2 * kMiB;
  }));
  keeper().OnLaunch(Id(1, 18), 4 * kMiB);
  AwaitLooks();
  EXPECT_LT(keeper().usage().left, 2 * kMiB);
  EXPECT_TRUE(fs::exists(Path(Id(0, 18), "stdout")));
}

TEST_F(SandboxKeeperTest, UsageFollowsNoLinks) {
  Write(Id(0), "large", 4 * kMiB);
  Write(Id(1), "small", 1);
  fs::create_symlink(Path(Id(0), ""), Path(Id(1), "link"));
  EXPECT_GE(DiskUsage(Path(Id(0), "")), 4 * kMiB);
  EXPECT_LT(DiskUsage(Path(Id(1), "")), kMiB);
  EXPECT_LT(DiskUsage(folder_, "sandboxes"), kMiB);
  EXPECT_EQ(DiskUsage(folder_ + "/none"), 0);
}

}  // namespace
}  // namespace kartograph::executor::mesos
