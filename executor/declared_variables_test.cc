#include "executor/declared_variables.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::executor {
namespace {

using ::testing::ElementsAre;

TEST(DeclaredVariablesTest, NameWhatIsHeld) {
  Launch launch;
  launch.consumption = {{planner::Resource::Cpu(), planner::Quantity::FromMilli(500)}};
  launch.pools = {{planner::Resource::Named("db.x-y"), planner::Quantity::Of(2)}};
  EXPECT_THAT(DeclaredVariables(launch),
              ElementsAre(std::pair<std::string, std::string>("KARTOGRAPH_CPU", "0.5"),
                          std::pair<std::string, std::string>("KARTOGRAPH_RESOURCE_DB_X_Y", "2")));
}

TEST(DeclaredVariablesTest, NameTheInstancesOfWhatIsIndexed) {
  const planner::Resource gpu = planner::Resource::Named("gpu"),
                          fpga = planner::Resource::Named("fpga");
  Launch launch;
  launch.consumption = {{gpu, planner::Quantity::Of(2)}};
  launch.instances = {{gpu, {"0", "GPU-8932f937"}}, {fpga, {}}};
  EXPECT_THAT(DeclaredVariables(launch), ElementsAre(std::pair<std::string, std::string>(
                                             "KARTOGRAPH_RESOURCE_GPU", "0,GPU-8932f937")));
}

TEST(DeviceVariablesTest, FollowTheNameOfTheResource) {
  const std::pair<const char*, const char*> cases[] = {
      {"gpu", "CUDA_VISIBLE_DEVICES"},         {"gpus", "CUDA_VISIBLE_DEVICES"},
      {"gpus.nvidia", "CUDA_VISIBLE_DEVICES"}, {"GPU_Nvidia", "CUDA_VISIBLE_DEVICES"},
      {"gpu-amd", "ROCR_VISIBLE_DEVICES"},     {"gpus.amd", "ROCR_VISIBLE_DEVICES"}};
  for (const auto& [name, variable] : cases) {
    Launch launch;
    launch.instances = {{planner::Resource::Named(name), {"1", "3"}}};
    EXPECT_THAT(DeviceVariables(launch),
                ElementsAre(std::pair<std::string, std::string>(variable, "1,3")));
    launch.instances[0].names.clear();
    EXPECT_THAT(DeviceVariables(launch),
                ElementsAre(std::pair<std::string, std::string>(variable, "")))
        << "an attempt without instances sees none";
  }
  Launch launch;
  EXPECT_THAT(DeviceVariables(launch), ElementsAre()) << "nothing is indexed";
  launch.instances = {{planner::Resource::Named("fpga"), {"0"}}};
  EXPECT_THAT(DeviceVariables(launch), ElementsAre());
}

}  // namespace
}  // namespace kartograph::executor
