#include "storage/file_system.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <linux/magic.h>

#include <cstdint>
#include <initializer_list>

#include "storage/open_history.h"

namespace kartograph::storage {
namespace {

using ::testing::HasSubstr;

TEST(FileSystemTest, KnowsThoseOfTheNetwork) {
  EXPECT_EQ(NetworkFileSystemName(NFS_SUPER_MAGIC), "NFS");
  EXPECT_EQ(NetworkFileSystemName(int64_t{0xFF534D42}), "CIFS");
  EXPECT_EQ(NetworkFileSystemName(static_cast<int32_t>(0xFE534D42u)), "SMB");
  EXPECT_EQ(NetworkFileSystemName(V9FS_MAGIC), "9p");
  EXPECT_EQ(NetworkFileSystemName(0x00C36400), "Ceph");
}

TEST(FileSystemTest, TakesThoseOfThisMachine) {
  for (const int64_t type :
       std::initializer_list<int64_t>{EXT4_SUPER_MAGIC, XFS_SUPER_MAGIC, BTRFS_SUPER_MAGIC,
                                      TMPFS_MAGIC, OVERLAYFS_SUPER_MAGIC}) {
    EXPECT_EQ(NetworkFileSystemName(type), "") << type;
  }
  EXPECT_TRUE(CheckFileSystem(testing::TempDir() + "/history.sqlite").ok());
  EXPECT_TRUE(CheckFileSystem("history.sqlite").ok());
  EXPECT_TRUE(CheckFileSystem("/that/is/not/there/history.sqlite").ok());
}

// SQLite's own file system without shared memory: what it would be on FUSE, say.
TEST(FileSystemTest, AHistoryIsRefusedWhereSqliteCannotKeepALog) {
  HistoryOptions options;
  options.path = testing::TempDir() + "/no_log.sqlite";
  HistoryTuning tuning;
  tuning.vfs = "unix-none";
  const absl::Status status = OpenHistory(options, tuning).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(status)) << status;
  EXPECT_THAT(std::string(status.message()), HasSubstr("give a folder on a local disk"));
  // And the same file where it can.
  EXPECT_TRUE(OpenHistory(options).ok());
}

}  // namespace
}  // namespace kartograph::storage
