#include "executor/agent/session_record.h"

#include <gtest/gtest.h>
#include <stdlib.h>
#include <unistd.h>

#include <filesystem>
#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

planner::AttemptId Id(uint32_t index) {
  return planner::AttemptId::Of(planner::TaskKey::Of(7, index), 1);
}

class SessionRecordTest : public ::testing::Test {
 protected:
  std::string folder_ = [] {
    std::string pattern = absl::StrCat(getenv("TEST_TMPDIR"), "/sessions.XXXXXX");
    EXPECT_NE(mkdtemp(pattern.data()), nullptr);
    return pattern;
  }();
  std::string path_ = folder_ + "/agent.sessions";
};

TEST_F(SessionRecordTest, TellsWhatWasNotRemoved) {
  auto record = SessionRecord::Create(path_, "/sys/fs/cgroup/x");
  ASSERT_TRUE(record.ok()) << record.status();
  for (uint32_t i = 0; i < 4; ++i) (*record)->Add(Id(i), {static_cast<pid_t>(100 + i), i, i + 1});
  (*record)->Remove(Id(1));
  (*record)->Remove(Id(2));
  (*record)->Add(Id(4), {200, 50, 51});
  (*record)->Add(Id(3), {103, 7, 9});  // it was started again
  (*record)->Remove(Id(9));
  record->reset();  // as a kill leaves it
  const SessionRecord::Contents contents = SessionRecord::Read(path_);
  EXPECT_EQ(contents.agent, getpid());
  EXPECT_EQ(contents.cgroup_parent, "/sys/fs/cgroup/x");
  ASSERT_EQ(contents.sessions.size(), 3u);
  EXPECT_EQ(contents.sessions[0].leader, 100);
  EXPECT_EQ(contents.sessions[1].leader, 200);
  EXPECT_EQ(contents.sessions[1].latest_start, 51u);
  EXPECT_EQ(contents.sessions[2].leader, 103);
  EXPECT_EQ(contents.sessions[2].earliest_start, 7u);
  // It takes no more room than what ran at one time.
  EXPECT_EQ(std::filesystem::file_size(path_), 4088u + 4 * 32);
}

TEST_F(SessionRecordTest, BeginsAnew) {
  auto record = SessionRecord::Create(path_, "");
  ASSERT_TRUE(record.ok());
  (*record)->Add(Id(1), {100, 1, 2});
  record = SessionRecord::Create(path_, "");
  ASSERT_TRUE(record.ok());
  EXPECT_TRUE(SessionRecord::Read(path_).sessions.empty());
  EXPECT_EQ(SessionRecord::Read(path_).agent, getpid());
}

TEST_F(SessionRecordTest, OfWhatIsDamagedOrOldNothingIsKnown) {
  EXPECT_EQ(SessionRecord::Read(path_).agent, 0);
  {
    auto record = SessionRecord::Create(path_, "");
    ASSERT_TRUE(record.ok());
    (*record)->Add(Id(1), {100, 1, 2});
  }
  std::filesystem::resize_file(path_, 4088 + 20);  // in the middle of a slot
  EXPECT_TRUE(SessionRecord::Read(path_).sessions.empty());
  {
    // Of before the machine was started.
    std::fstream file(path_, std::ios::in | std::ios::out | std::ios::binary);
    file.seekp(12);
    file << "00000000";
  }
  EXPECT_EQ(SessionRecord::Read(path_).agent, 0);
  std::filesystem::resize_file(path_, 100);
  EXPECT_EQ(SessionRecord::Read(path_).agent, 0);
}

TEST_F(SessionRecordTest, SaysWhatCannotBeWritten) {
  EXPECT_TRUE(absl::IsNotFound(SessionRecord::Create("/no/such/folder/x", "").status()));
}

TEST_F(SessionRecordTest, IsHeldForAsLongAsItsProcessLives) {
  EXPECT_TRUE(SessionRecord::IsHeld(path_)) << "there is none to be taken over";
  absl::StatusOr<std::unique_ptr<SessionRecord>> record = SessionRecord::Create(path_, "");
  ASSERT_TRUE(record.ok()) << record.status();
  EXPECT_TRUE(SessionRecord::IsHeld(path_));
  record->reset();
  EXPECT_FALSE(SessionRecord::IsHeld(path_));
}

}  // namespace
}  // namespace kartograph::executor
