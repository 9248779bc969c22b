#include "base/state_folder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cstdlib>
#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph {
namespace {

using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::StartsWith;

TEST(StateFolderTest, HasADefaultForEveryUser) {
  const std::string folder = DefaultStateFolder();
  if (geteuid() == 0) {
    EXPECT_EQ(folder, "/var/lib/kartograph");
    return;
  }
  setenv("XDG_STATE_HOME", "/states", 1);
  EXPECT_EQ(DefaultStateFolder(), "/states/kartograph");
  setenv("XDG_STATE_HOME", "relative", 1);
  setenv("HOME", "/home/me", 1);
  EXPECT_EQ(DefaultStateFolder(), "/home/me/.local/state/kartograph");
}

TEST(SocketTargetTest, NamesAnOrdinaryPathAsItIs) {
  const auto target = MakeSocketTarget("/var/lib/kartograph/run/grpc.sock");
  ASSERT_TRUE(target.ok());
  EXPECT_EQ(target->target, "unix:/var/lib/kartograph/run/grpc.sock");
  EXPECT_FALSE(target->folder.ok());
  EXPECT_EQ(MakeSocketTarget("run/grpc.sock")->target, "unix:run/grpc.sock");
}

TEST(SocketTargetTest, LeadsThroughItsFolderWhereThePathIsTooLongOrOdd) {
  for (const std::string& name : {std::string(kMaxSocketPath, 'x'), std::string("50% of #1")}) {
    const std::string folder = absl::StrCat(::testing::TempDir(), "/", name);
    ASSERT_TRUE(mkdir(folder.c_str(), 0700) == 0 || errno == EEXIST);
    const auto target = MakeSocketTarget(folder + "/grpc.sock");
    ASSERT_TRUE(target.ok()) << target.status();
    EXPECT_THAT(target->target, StartsWith("unix:/proc/self/fd/"));
    EXPECT_THAT(target->target, EndsWith("/grpc.sock"));
    EXPECT_LE(target->target.size(), kMaxSocketPath);
    EXPECT_TRUE(target->folder.ok());
  }
  const auto missing = MakeSocketTarget("/no such folder/grpc.sock");
  EXPECT_EQ(missing.status().code(), absl::StatusCode::kNotFound);
  EXPECT_THAT(std::string(missing.status().message()), HasSubstr("/no such folder/"));
}

}  // namespace
}  // namespace kartograph
