#include "executor/local/detect_resources.h"

#include <gtest/gtest.h>
#include <unistd.h>

namespace kartograph::executor {
namespace {

TEST(DetectResourcesTest, StaysWithinTheMachine) {
  planner::ResourceVector resources = DetectResources();
  int64_t cpu = resources.Get(planner::Resource::Cpu()).milli();
  EXPECT_GT(cpu, 0);
  EXPECT_LE(cpu, 1000 * sysconf(_SC_NPROCESSORS_CONF));
  int64_t ram = resources.Get(planner::Resource::Ram()).milli() / 1000;
  EXPECT_GT(ram, 0);
  EXPECT_LT(ram, int64_t{sysconf(_SC_PHYS_PAGES)} * sysconf(_SC_PAGESIZE));
  EXPECT_EQ(ram % (1 << 20), 0);
  EXPECT_EQ(resources.size(), 2u);
}

}  // namespace
}  // namespace kartograph::executor
