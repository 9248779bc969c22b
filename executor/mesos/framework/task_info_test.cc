#include "executor/mesos/framework/task_info.h"

#include <gtest/gtest.h>

#include <cstdlib>
#include <fstream>
#include <iterator>
#include <string>

#include "absl/strings/str_cat.h"
#include "executor/payload.pb.h"

namespace kartograph::executor::mesos {
namespace {

std::string ReadWhole(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

// What a task of this input in a container copies from the file that it finds.
std::string Copied(const std::string& input) {
  std::string sandbox = absl::StrCat(testing::TempDir(), "/sandbox.XXXXXX");
  EXPECT_NE(mkdtemp(sandbox.data()), nullptr);
  Payload payload;
  payload.mutable_container()->set_image("alpine:3");
  payload.set_shell("cat \"$KARTOGRAPH_INPUT\" > \"$MESOS_SANDBOX/copy\"");
  payload.set_input(input);
  Launch launch;
  launch.attempt = planner::AttemptId::Of(planner::TaskKey::Of(17, 0), 1);
  launch.payload = payload.SerializeAsString();
  EXPECT_TRUE(WantsContainer(launch));
  const std::string line = CommandTask(launch, "agent", {}, "").command().value();
  setenv("MESOS_SANDBOX", sandbox.c_str(), 1);
  EXPECT_EQ(std::system(line.c_str()), 0) << line;
  return ReadWhole(sandbox + "/copy");
}

TEST(CommandTaskTest, AnyInputIsFoundInTheSandbox) {
  std::string all;
  for (int i = 0; i < 256; ++i) all += static_cast<char>(i);
  for (const std::string& input :
       {all, std::string("-n x"), std::string("%s \\n \\101 '\"$HOME`true`"), std::string(1, '\0'),
        std::string(16 << 10, '\xff')}) {
    EXPECT_EQ(Copied(input), input);
  }
}

}  // namespace
}  // namespace kartograph::executor::mesos
