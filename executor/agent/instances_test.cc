#include "executor/agent/instances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <sys/wait.h>
#include <unistd.h>

#include <random>
#include <string>

#include "absl/strings/str_cat.h"

namespace kartograph::executor {
namespace {

using planner::Quantity;
using planner::Resource;
using planner::ResourceVector;
using ::testing::ElementsAre;
using ::testing::HasSubstr;

const Resource kGpu = Resource::Named("gpu");
const Resource kFpga = Resource::Named("fpga");

ResourceVector Gpus(int count) { return {{kGpu, Quantity::Of(count)}}; }

// Of both resources.
std::vector<HeldInstances> Held(std::vector<std::string> gpus,
                                std::vector<std::string> fpgas = {}) {
  std::vector<HeldInstances> held = {{kGpu, std::move(gpus)}, {kFpga, std::move(fpgas)}};
  if (kFpga < kGpu) std::swap(held[0], held[1]);
  return held;
}

class InstancesTest : public ::testing::Test {
 protected:
  InstancesTest() { instances_.SetLists({{kGpu, {"a", "b", "c"}}, {kFpga, {"0"}}}); }
  std::vector<HeldInstances> Take(const ResourceVector& consumption) {
    auto held = instances_.Take(consumption);
    EXPECT_TRUE(held.ok()) << held.status();
    return held.value_or(std::vector<HeldInstances>());
  }

  Instances instances_;
};

TEST_F(InstancesTest, AreHandedOutInTheirOrder) {
  const auto first = Take(Gpus(1));
  EXPECT_EQ(first, Held({"a"}));
  EXPECT_EQ(Take(Gpus(1)), Held({"b"}));
  instances_.Free(first);
  EXPECT_EQ(Take({{kGpu, Quantity::Of(2)}, {kFpga, Quantity::Of(1)}}), Held({"a", "c"}, {"0"}));
}

TEST_F(InstancesTest, OfWhatIsNotConsumedAreNone) {
  EXPECT_EQ(Take({{Resource::Cpu(), Quantity::FromMilli(500)}}), Held({}));
}

TEST_F(InstancesTest, TooFewAreTakenNotAtAll) {
  EXPECT_EQ(Take({{kFpga, Quantity::Of(1)}}), Held({}, {"0"}));
  const auto refused = instances_.Take({{kGpu, Quantity::Of(1)}, {kFpga, Quantity::Of(1)}});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kResourceExhausted);
  EXPECT_THAT(std::string(refused.status().message()),
              HasSubstr("needs 1 instances of fpga, only 0 of 1 are free"));
  EXPECT_EQ(Take(Gpus(3)), Held({"a", "b", "c"}));
}

TEST_F(InstancesTest, AreWhole) {
  const auto refused = instances_.Take({{kGpu, Quantity::FromMilli(1500)}});
  EXPECT_EQ(refused.status().code(), absl::StatusCode::kInvalidArgument);
  EXPECT_THAT(std::string(refused.status().message()), HasSubstr("needs 1.5 of gpu"));
}

TEST_F(InstancesTest, StayTakenWhateverTheListsSay) {
  const auto first = Take(Gpus(2));
  instances_.SetLists({{kGpu, {"b", "d"}}});
  EXPECT_THAT(Take(Gpus(1)), ElementsAre(HeldInstances{kGpu, {"d"}}));
  instances_.SetLists({});
  EXPECT_THAT(Take(Gpus(1)), ElementsAre());
  instances_.SetLists({{kGpu, {"a", "b", "c"}}});
  EXPECT_THAT(Take(Gpus(1)), ElementsAre(HeldInstances{kGpu, {"c"}}));
  instances_.Free(first);
  EXPECT_THAT(Take(Gpus(2)), ElementsAre(HeldInstances{kGpu, {"a", "b"}}));
}

class SharedInstancesTest : public ::testing::Test {
 protected:
  SharedInstancesTest() {
    for (Instances* instances : {&one_, &other_}) instances->SetLists({{kGpu, {"0", "1", "2"}}});
  }
  static std::vector<HeldInstances> Held(std::vector<std::string> gpus) {
    return {{kGpu, std::move(gpus)}};
  }

  // Of this test alone, whatever else runs on the host.
  const std::string name_ = absl::StrCat("kartograph-test/", std::random_device()());
  Instances one_{name_}, other_{name_};
};

TEST_F(SharedInstancesTest, AreTakenByOneAgentOfTheHost) {
  const auto first = one_.Take(Gpus(1)).value();
  EXPECT_EQ(first, Held({"0"}));
  EXPECT_EQ(other_.Take(Gpus(1)).value(), Held({"1"}));
  one_.Free(first);
  EXPECT_EQ(other_.Take(Gpus(1)).value(), Held({"0"}));
  EXPECT_EQ(one_.Take(Gpus(1)).value(), Held({"2"}));
  EXPECT_FALSE(one_.Take(Gpus(1)).ok());
  Instances elsewhere(absl::StrCat(name_, "/another framework"));
  elsewhere.SetLists({{kGpu, {"0"}}});
  EXPECT_EQ(elsewhere.Take(Gpus(1)).value(), Held({"0"}));
}

TEST_F(SharedInstancesTest, AreFreeWhenTheirAgentIsGone) {
  int ready[2];
  ASSERT_EQ(pipe(ready), 0);
  const pid_t agent = fork();
  if (agent == 0) {
    Instances own(name_);
    own.SetLists({{kGpu, {"0", "1"}}});
    const char byte = own.Take(Gpus(2)).ok() ? 1 : 0;
    if (write(ready[1], &byte, 1) != 1) _exit(1);
    while (true) pause();
  }
  char byte = 0;
  ASSERT_EQ(read(ready[0], &byte, 1), 1);
  ASSERT_EQ(byte, 1);
  EXPECT_EQ(one_.Take(Gpus(1)).value(), Held({"2"}));
  kill(agent, SIGKILL);
  waitpid(agent, nullptr, 0);
  EXPECT_EQ(one_.Take(Gpus(2)).value(), Held({"0", "1"}));
  close(ready[0]);
  close(ready[1]);
}

}  // namespace
}  // namespace kartograph::executor
