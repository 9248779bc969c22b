#include "executor/local/cgroup_setting.h"

#include <gtest/gtest.h>

namespace kartograph::executor::local {
namespace {

TEST(CgroupSettingTest, OffMakesNone) { EXPECT_EQ(MakeCgroupPool("off"), nullptr); }

// Ordinary folders, with no control groups in them.
TEST(CgroupSettingTest, AFolderThatIsNoneOfControlGroupsMakesNone) {
  EXPECT_EQ(MakeCgroupPool(testing::TempDir()), nullptr);
  EXPECT_EQ(MakeCgroupPool(testing::TempDir() + "/that-is-not-there"), nullptr);
}

// Whether there can be one depends on the machine; that the agent lives on does not.
TEST(CgroupSettingTest, AutoMakesOneOrNone) {
  const std::unique_ptr<CgroupPool> pool = MakeCgroupPool("auto");
  EXPECT_TRUE(pool == nullptr || pool->has_memory());
}

}  // namespace
}  // namespace kartograph::executor::local
