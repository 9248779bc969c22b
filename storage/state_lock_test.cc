#include "storage/state_lock.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <fstream>

#include "absl/strings/str_cat.h"
#include "storage/testing/history_fixture.h"

namespace kartograph::storage {
namespace {

using testing::HasSubstr;

TEST(StateLockTest, IsHeldByOneOwnerAtATime) {
  TestFolder folder;
  absl::StatusOr<std::unique_ptr<StateLock>> first = StateLock::Acquire(folder.database());
  ASSERT_TRUE(first.ok()) << first.status();
  const absl::Status second = StateLock::Acquire(folder.database()).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  EXPECT_EQ(second.message(),
            absl::StrCat("state folder ", folder.path(), " is in use by another kartographd (pid ",
                         getpid(), "): stop it or give another --state"));
  first->reset();
  EXPECT_TRUE(StateLock::Acquire(folder.database()).ok());
}

TEST(StateLockTest, SaysWithoutTakingItWhetherItIsFree) {
  TestFolder folder;
  EXPECT_TRUE(StateLock::CheckFree(folder.database()).ok());
  EXPECT_NE(access((folder.database() + ".lock").c_str(), F_OK), 0) << "it has made the file";
  absl::StatusOr<std::unique_ptr<StateLock>> lock = StateLock::Acquire(folder.database());
  ASSERT_TRUE(lock.ok()) << lock.status();
  EXPECT_EQ(StateLock::CheckFree(folder.database()),
            StateLock::Acquire(folder.database()).status());
  lock->reset();
  EXPECT_TRUE(StateLock::CheckFree(folder.database()).ok());
  EXPECT_TRUE(StateLock::Acquire(folder.database()).ok()) << "it is still locked";
}

TEST(StateLockTest, LeavesNoProcessIdBehindWhereItEndsInOrder) {
  TestFolder folder;
  const std::string file = folder.database() + ".lock";
  struct stat about = {};
  {
    absl::StatusOr<std::unique_ptr<StateLock>> lock = StateLock::Acquire(folder.database());
    ASSERT_TRUE(lock.ok()) << lock.status();
    ASSERT_EQ(stat(file.c_str(), &about), 0);
    EXPECT_GT(about.st_size, 0);
    // One that is refused erases nothing.
    EXPECT_FALSE(StateLock::Acquire(folder.database()).ok());
    ASSERT_EQ(stat(file.c_str(), &about), 0);
    EXPECT_GT(about.st_size, 0);
  }
  ASSERT_EQ(stat(file.c_str(), &about), 0);
  EXPECT_EQ(about.st_size, 0);
}

TEST(StateLockTest, EndsWithTheProcessThatHeldIt) {
  TestFolder folder;
  const pid_t child = fork();
  if (child == 0) {
    absl::StatusOr<std::unique_ptr<StateLock>> lock = StateLock::Acquire(folder.database());
    _exit(lock.ok() ? 0 : 1);  // without destructors
  }
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_EQ(status, 0);
  EXPECT_TRUE(StateLock::Acquire(folder.database()).ok());
}

TEST(StateLockTest, SaysThatTheFolderIsMissing) {
  TestFolder folder;
  const absl::Status status = StateLock::Acquire(folder.path() + "/missing/history.db").status();
  EXPECT_TRUE(absl::IsNotFound(status)) << status;
}

TEST(StateLockTest, SaysThatItMayNotWrite) {
  // A folder in the place of the file cannot be written even by root.
  TestFolder folder;
  ASSERT_EQ(mkdir((folder.database() + ".lock").c_str(), 0755), 0);
  const absl::Status status = StateLock::Acquire(folder.database()).status();
  EXPECT_TRUE(absl::IsPermissionDenied(status)) << status;
}

TEST(StateLockTest, GuardsTheHistoryAsLongAsItsWriterLives) {
  TestFolder folder;
  History history = OpenIn(folder);
  const absl::Status second = OpenHistory({.path = folder.database()}).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(second)) << second;
  EXPECT_TRUE(history.writer->Commit({SomeGraph(1)}).ok());
  history.writer.reset();
  EXPECT_TRUE(OpenHistory({.path = folder.database()}).ok());
}

TEST(StateLockTest, IsGivenUpWhereOpeningFails) {
  TestFolder folder;
  std::ofstream(folder.database()) << std::string(10000, 'x');
  EXPECT_TRUE(absl::IsDataLoss(OpenHistory({.path = folder.database()}).status()));
  EXPECT_TRUE(StateLock::Acquire(folder.database()).ok());
}

}  // namespace
}  // namespace kartograph::storage
