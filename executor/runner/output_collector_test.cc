#include "executor/runner/output_collector.h"

#include <fcntl.h>
#include <gtest/gtest.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include <fstream>
#include <iterator>
#include <limits>
#include <string>
#include <thread>

#include "absl/strings/match.h"
#include "absl/strings/str_cat.h"
#include "absl/time/clock.h"
#include "base/clock.h"
#include "executor/cut_log.h"

namespace kartograph::executor {
namespace {

using planner::AttemptId;

AttemptId Id(uint32_t index) { return AttemptId::Of(planner::TaskKey::Of(17, index), 1); }

class OutputCollectorTest : public ::testing::Test {
 protected:
  OutputCollectorTest() {
    root_ = absl::StrCat(getenv("TEST_TMPDIR"), "/output.XXXXXX");
    EXPECT_NE(mkdtemp(root_.data()), nullptr);
    sandboxes_ = *Sandboxes::Open(root_ + "/sandboxes");
    reserve_ = std::make_unique<DiskReserve>(root_, 0);
  }

  OutputCollector& collector() {
    if (collector_ == nullptr) {
      collector_ = *OutputCollector::Create({.limit = limit_}, sandboxes_.get(), reserve_.get());
    }
    return *collector_;
  }
  OutputCollector::Ends Open(uint32_t index) {
    EXPECT_TRUE(sandboxes_->Make(Id(index)).ok());
    auto ends = collector().Open(Id(index));
    EXPECT_TRUE(ends.ok()) << ends.status();
    collector().Watch(Id(index));
    return *std::move(ends);
  }
  static void Write(const Descriptor& end, absl::string_view text) {
    while (!text.empty()) {
      const ssize_t bytes = write(end.get(), text.data(), text.size());
      ASSERT_GT(bytes, 0);
      text.remove_prefix(static_cast<size_t>(bytes));
    }
  }
  std::string Path(uint32_t index, const char* name) const {
    return absl::StrCat(root_, "/sandboxes/", SandboxFolder(Id(index)), "/", name);
  }
  std::string InFile(uint32_t index, const char* name) const {
    std::ifstream file(Path(index, name));
    return {std::istreambuf_iterator<char>(file), {}};
  }
  // As a reader of the log sees it, in parts of this size.
  std::string Log(uint32_t index, int64_t part) const {
    std::string text;
    for (int64_t offset = 0;;) {
      auto chunk = sandboxes_->Read(Id(index), "stdout", offset, part);
      EXPECT_TRUE(chunk.ok()) << chunk.status();
      if (chunk->data.empty()) return text;
      text += chunk->data;
      offset = chunk->offset + static_cast<int64_t>(chunk->data.size());
    }
  }
  template <typename Condition>
  static bool Eventually(Condition condition) {
    const SteadyTime until = Clock::System().SteadyNow() + absl::Minutes(1);
    while (!condition()) {
      if (Clock::System().SteadyNow() > until) return false;
      absl::SleepFor(absl::Milliseconds(1));
    }
    return true;
  }

  std::string root_;
  int64_t limit_ = 256 << 20;
  std::unique_ptr<Sandboxes> sandboxes_;
  std::unique_ptr<DiskReserve> reserve_;
  std::unique_ptr<OutputCollector> collector_;
};

TEST_F(OutputCollectorTest, WhatAnAttemptWroteIsThereWhenItIsClosed) {
  for (uint32_t i = 0; i < 100; ++i) {
    OutputCollector::Ends ends = Open(i);
    Write(ends.stdout_end, "out\n");
    Write(ends.stderr_end, "err\n");
    Write(ends.stdout_end, std::string(60 << 10, 'x'));  // as much as a pipe takes
    collector().Close(Id(i));
    EXPECT_EQ(InFile(i, "stdout"), "out\n" + std::string(60 << 10, 'x'));
    EXPECT_EQ(InFile(i, "stderr"), "err\n");
  }
  collector().Close(Id(0));     // again
  collector().Close(Id(1000));  // unknown
}

TEST_F(OutputCollectorTest, WhatARunningAttemptWritesIsThereSoon) {
  OutputCollector::Ends ends = Open(0);
  for (int i = 1; i <= 3; ++i) {
    Write(ends.stdout_end, "line\n");
    EXPECT_TRUE(Eventually([&] { return InFile(0, "stdout").size() == 5u * i; }));
  }
  // One that closes its streams goes on, and so do the others.
  ends = {};
  OutputCollector::Ends others = Open(1);
  Write(others.stderr_end, std::string(1 << 20, 'y'));
  EXPECT_TRUE(Eventually([&] { return InFile(1, "stderr").size() == 1u << 20; }));
  collector().Close(Id(0));
  collector().Close(Id(1));
  EXPECT_EQ(InFile(0, "stdout"), "line\nline\nline\n");
}

TEST_F(OutputCollectorTest, OpeningAStreamAgainTruncatesNothing) {
  OutputCollector::Ends ends = Open(0);
  Write(ends.stderr_end, "first\n");
  // What a shell does for `echo second > /dev/stderr`.
  const std::string path = absl::StrCat("/proc/self/fd/", ends.stderr_end.get());
  Descriptor again(open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0666));
  ASSERT_TRUE(again.ok());
  Write(again, "second\n");
  Write(ends.stderr_end, "third\n");
  collector().Close(Id(0));
  EXPECT_EQ(InFile(0, "stderr"), "first\nsecond\nthird\n");
}

TEST_F(OutputCollectorTest, OfALongStreamTheMiddleIsCutOut) {
  limit_ = 1 << 20;
  OutputCollector::Ends ends = Open(0);
  std::string text;
  for (int i = 0; text.size() < 20u << 20; ++i) absl::StrAppend(&text, "line ", i, "\n");
  Write(ends.stdout_end, text);
  collector().Close(Id(0));
  struct stat info;
  ASSERT_EQ(stat(Path(0, "stdout").c_str(), &info), 0);
  EXPECT_EQ(info.st_size, static_cast<off_t>(text.size()));
  if (info.st_blocks * 512 == info.st_size) GTEST_SKIP() << "no holes on this file system";
  EXPECT_LE(info.st_blocks * 512, limit_ + limit_ / 16 + (64 << 10));

  for (const int64_t part : {int64_t{1000}, int64_t{64} << 10, int64_t{100} << 20}) {
    const std::string log = Log(0, part);
    const size_t cut = log.find("\n[kartograph: ");
    ASSERT_NE(cut, std::string::npos);
    EXPECT_EQ(cut, static_cast<size_t>(limit_ / 2));
    EXPECT_EQ(log.substr(0, cut), text.substr(0, cut));
    const size_t end = log.find("]\n", cut) + 2;
    EXPECT_GE(log.size() - end, static_cast<size_t>(limit_ / 2 - 4096));
    EXPECT_EQ(log.substr(end), text.substr(text.size() - (log.size() - end)));
    EXPECT_TRUE(
        absl::StrContains(log, absl::StrCat("[kartograph: ", text.size() - cut - (log.size() - end),
                                            " bytes were cut out here")))
        << log.substr(cut, 100);
  }
  // The end is read from where it is.
  EXPECT_EQ(sandboxes_->Read(Id(0), "stdout", -10, 100)->data, text.substr(text.size() - 10));
}

TEST_F(OutputCollectorTest, AReaderNeverSeesWhatIsBeingCutOut) {
  limit_ = 128 << 10;
  OutputCollector::Ends ends = Open(0);
  std::thread writer([&] { Write(ends.stdout_end, std::string(256 << 20, 'x')); });
  for (int64_t offset = 0; offset < 256 << 20;) {
    const auto chunk = sandboxes_->Read(Id(0), "stdout", offset, 64 << 10);
    if (!chunk.ok()) continue;  // nothing was written yet
    ASSERT_EQ(chunk->data.find('\0'), std::string::npos) << "at " << offset;
    offset = chunk->offset + static_cast<int64_t>(chunk->data.size());
  }
  writer.join();
  collector().Close(Id(0));
}

TEST_F(OutputCollectorTest, ReadersThatSeePlainFilesAreToldWhatWasCutOut) {
  limit_ = 1 << 20;
  collector_ = *OutputCollector::Create({.limit = limit_, .read_remotely = true}, sandboxes_.get(),
                                        reserve_.get());
  OutputCollector::Ends ends = Open(0);
  EXPECT_EQ(access(Path(0, "stdout").c_str(), F_OK), 0);
  EXPECT_EQ(access(Path(0, "stderr").c_str(), F_OK), 0);
  Write(ends.stdout_end, std::string(4 << 20, 'x'));
  collector().Close(Id(0));
  EXPECT_EQ(access(Path(0, "stderr.cut").c_str(), F_OK), -1);
  struct stat info;
  ASSERT_EQ(stat(Path(0, "stdout").c_str(), &info), 0);
  if (info.st_blocks * 512 == info.st_size) GTEST_SKIP() << "no holes on this file system";
  const auto cut = ParseCut(InFile(0, "stdout.cut"));
  ASSERT_TRUE(cut.has_value());
  EXPECT_EQ(cut->first, limit_ / 2);
  const std::string log = InFile(0, "stdout");
  EXPECT_EQ(log.find('\0'), static_cast<size_t>(cut->first));
  EXPECT_EQ(log.find('x', static_cast<size_t>(cut->first)), static_cast<size_t>(cut->second));
  EXPECT_FALSE(ParseCut("") || ParseCut("1") || ParseCut("2 1") || ParseCut("-1 5"));
}

TEST_F(OutputCollectorTest, OutputThatWouldUseTheReserveIsDroppedAndTheLogSaysSo) {
  OutputCollector::Ends ends = Open(0);
  Write(ends.stdout_end, "before\n");
  EXPECT_TRUE(Eventually([&] { return InFile(0, "stdout") == "before\n"; }));
  reserve_->Set(std::numeric_limits<int64_t>::max());
  Write(ends.stdout_end, std::string(1 << 20, 'x'));
  // More than the pipe takes has been read.
  reserve_->Set(0);
  Write(ends.stdout_end, "after\n");
  collector().Close(Id(0));
  const std::string log = InFile(0, "stdout");
  EXPECT_TRUE(absl::StartsWith(log, "before\n")) << log.substr(0, 100);
  EXPECT_TRUE(absl::StrContains(log, " bytes are missing here: only ")) << log.substr(0, 200);
  EXPECT_TRUE(absl::StrContains(log, "are kept in reserve]\n"));
  EXPECT_TRUE(absl::EndsWith(log, "after\n"));

  reserve_->Set(std::numeric_limits<int64_t>::max());
  ends = Open(1);
  Write(ends.stdout_end, "lost\n");
  collector().Close(Id(1));
  EXPECT_TRUE(absl::StartsWith(InFile(1, "stdout"), "\n[kartograph: 5 bytes are missing here: "))
      << InFile(1, "stdout");
}

TEST_F(OutputCollectorTest, WhatTheTaskPutInTheLogsPlaceIsNotFollowed) {
  OutputCollector::Ends ends = Open(0);
  EXPECT_EQ(access(Path(0, "stdout").c_str(), F_OK), -1);
  ASSERT_EQ(symlink((root_ + "/secret").c_str(), Path(0, "stdout").c_str()), 0);
  ASSERT_EQ(mkfifo(Path(0, "stderr").c_str(), 0600), 0);
  Write(ends.stdout_end, "text");
  Write(ends.stderr_end, "text");
  collector().Close(Id(0));
  EXPECT_NE(access((root_ + "/secret").c_str(), F_OK), 0);
}

TEST(DiskReserveTest, LooksAtTheFileSystem) {
  DiskReserve reserve("/", 0);
  EXPECT_FALSE(reserve.Reached());
  reserve.Set(std::numeric_limits<int64_t>::max());
  EXPECT_TRUE(reserve.Reached());
  EXPECT_TRUE(absl::StrContains(reserve.ToString(), "are kept in reserve"));
  DiskReserve nowhere("/nowhere/at/all", std::numeric_limits<int64_t>::max());
  EXPECT_FALSE(nowhere.Reached());
}

}  // namespace
}  // namespace kartograph::executor
