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

}  // namespace
}  // namespace kartograph::executor
