#include "storage/wal_reserve.h"

#include <gtest/gtest.h>
#include <sys/stat.h>

#include <fstream>
#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::storage {
namespace {

constexpr int64_t kMebibyte = 1 << 20;

class WalReserveTest : public testing::Test {
 protected:
  void SetUp() override {
    std::ofstream(path_) << "log";
    WalReserve probe(path_, 1);
    ASSERT_TRUE(probe.Keep(0).ok());
    if (Allocated() < kMebibyte) GTEST_SKIP() << "this file system reserves nothing";
    std::ofstream(path_, std::ios::trunc) << "log";
  }
  struct stat Stat() const {
    struct stat status {};
    EXPECT_EQ(stat(path_.c_str(), &status), 0);
    return status;
  }
  int64_t Allocated() const { return Stat().st_blocks * 512; }

  const std::string path_ = absl::StrCat(testing::TempDir(), "/reserve-wal");
};

TEST_F(WalReserveTest, IsBehindTheEndAndLeavesTheSizeAsItIs) {
  WalReserve reserve(path_, 8 * kMebibyte);
  EXPECT_TRUE(reserve.Keep(3).ok());
  EXPECT_EQ(Stat().st_size, 3);
  EXPECT_GE(Allocated(), 8 * kMebibyte);
  EXPECT_TRUE(reserve.Keep(30 * kMebibyte).ok());
  EXPECT_GE(Allocated(), 38 * kMebibyte);
  EXPECT_EQ(Stat().st_size, 3);
}

TEST_F(WalReserveTest, IsThereAgainWhereTheLogWasCut) {
  WalReserve reserve(path_, 8 * kMebibyte);
  EXPECT_TRUE(reserve.Keep(10 * kMebibyte).ok());
  ASSERT_EQ(truncate(path_.c_str(), 0), 0);
  EXPECT_TRUE(reserve.Keep(0).ok());
  EXPECT_GE(Allocated(), 8 * kMebibyte);
}

TEST_F(WalReserveTest, WaitsForAFileThatIsNotThereYet) {
  const std::string path = absl::StrCat(path_, "-later");
  WalReserve reserve(path, 8 * kMebibyte);
  EXPECT_TRUE(reserve.Keep(0).ok());
  std::ofstream(path) << "log";
  EXPECT_TRUE(reserve.Keep(3).ok());
  struct stat status {};
  ASSERT_EQ(stat(path.c_str(), &status), 0);
  EXPECT_GE(status.st_blocks * 512, 8 * kMebibyte);
}

TEST_F(WalReserveTest, NoneIsNone) {
  WalReserve reserve(path_, 0);
  EXPECT_TRUE(reserve.Keep(100 * kMebibyte).ok());
  EXPECT_LT(Allocated(), kMebibyte);
}

}  // namespace
}  // namespace kartograph::storage
