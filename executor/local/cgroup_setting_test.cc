#include "executor/local/cgroup_setting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::executor::local {
namespace {

using testing::StartsWith;

TEST(CgroupSettingTest, OffMakesNone) {
  const MemoryLimits limits = MakeMemoryLimits("off");
  EXPECT_EQ(limits.cgroups, nullptr);
  EXPECT_EQ(limits.kept_by, "measuring: --cgroup off");
}

// Ordinary folders, with no control groups in them.
TEST(CgroupSettingTest, AFolderThatIsNoneOfControlGroupsMakesNone) {
  for (const std::string& folder :
       {testing::TempDir(), testing::TempDir() + "/that-is-not-there"}) {
    const MemoryLimits limits = MakeMemoryLimits(folder);
    EXPECT_EQ(limits.cgroups, nullptr);
    EXPECT_THAT(limits.kept_by, StartsWith("measuring: "));
  }
}

// Whether there can be one depends on the machine; that the agent lives on does not.
TEST(CgroupSettingTest, AutoMakesOneOrSaysWhyNot) {
  const MemoryLimits limits = MakeMemoryLimits("auto");
  if (limits.cgroups == nullptr) {
    EXPECT_THAT(limits.kept_by, StartsWith("measuring: "));
  } else {
    EXPECT_TRUE(limits.cgroups->has_memory());
    EXPECT_EQ(limits.kept_by, "kernel");
  }
}

}  // namespace
}  // namespace kartograph::executor::local
