#include "executor/mesos/executors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "executor/mesos/offered_resources.h"

namespace kartograph::executor::mesos {
namespace {

namespace v1 = kartograph::mesos;
using planner::Quantity;
using testing::ElementsAre;

using Ids = google::protobuf::RepeatedPtrField<v1::ExecutorID>;

Executors::Options Fetched() {
  Executors::Options options;
  options.url = "http://10.0.0.1:8080/kartograph-executor";
  options.arguments = {"--idle-exit=1m"};
  options.resources = {{planner::Resource::Cpu(), Quantity::FromMilli(100)},
                       {planner::Resource::Ram(), Quantity::Of(64 << 20)}};
  return options;
}

class ExecutorsTest : public testing::Test {
 protected:
  Executors Make(const Executors::Options& options, const std::string& framework = "f-1") {
    Executors executors(options, [this] { return absl::StrCat("s", ++suffixes_); });
    executors.SetFramework(framework);
    return executors;
  }
  static std::vector<v1::Resource> Own(const Executors& executors, const std::string& role,
                                       bool reserved = false) {
    std::vector<v1::Resource> resources;
    for (const auto& [resource, quantity] : executors.options().resources) {
      v1::Resource& piece = resources.emplace_back(MesosResource(resource, quantity));
      piece.mutable_allocation_info()->set_role(role);
      if (reserved) piece.add_reservations()->set_role(role);
    }
    return resources;
  }
  static Ids Running(const std::vector<std::string>& ids) {
    Ids running;
    for (const std::string& id : ids) running.Add()->set_value(id);
    return running;
  }

  int suffixes_ = 0;
};

TEST_F(ExecutorsTest, OneThatIsFetchedIsStartedFromItsSandbox) {
  Executors executors = Make(Fetched());
  const v1::ExecutorInfo info = executors.New(Own(executors, "kg"), "kg");
  EXPECT_EQ(info.type(), v1::ExecutorInfo::CUSTOM);
  EXPECT_EQ(info.framework_id().value(), "f-1");
  EXPECT_FALSE(info.command().shell());
  EXPECT_EQ(info.command().value(), "./kartograph-executor");
  EXPECT_THAT(info.command().arguments(), ElementsAre("kartograph-executor", "--idle-exit=1m"));
  ASSERT_EQ(info.command().uris_size(), 1);
  EXPECT_EQ(info.command().uris(0).value(), "http://10.0.0.1:8080/kartograph-executor");
  EXPECT_TRUE(info.command().uris(0).executable());
  EXPECT_EQ(info.resources_size(), 2);
  EXPECT_TRUE(Executors::IsOurs(info.executor_id().value()));
  EXPECT_FALSE(Executors::IsOurs("default"));
}

TEST_F(ExecutorsTest, OneThatIsThereIsStartedByItsPath) {
  Executors::Options options;
  options.path = "/opt/kartograph-executor";
  Executors executors = Make(options);
  const v1::ExecutorInfo info = executors.New({}, "*");
  EXPECT_EQ(info.command().value(), "/opt/kartograph-executor");
  EXPECT_EQ(info.command().uris_size(), 0);
}

TEST_F(ExecutorsTest, OneThatRunsIsFoundAsItWasStarted) {
  Executors executors = Make(Fetched());
  const v1::ExecutorInfo info = executors.New(Own(executors, "kg", true), "kg");
  const v1::ExecutorInfo* found =
      executors.Find(Running({"another", info.executor_id().value()}), "kg");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->SerializeAsString(), info.SerializeAsString());
  EXPECT_EQ(executors.Find(Running({info.executor_id().value()}), "other"), nullptr);
  EXPECT_EQ(executors.Find(Running({"another"}), "kg"), nullptr);
  EXPECT_EQ(executors.Find({}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, EveryStartHasAnIdOfItsOwn) {
  Executors executors = Make(Fetched());
  EXPECT_NE(executors.New(Own(executors, "kg"), "kg").executor_id().value(),
            executors.New(Own(executors, "kg"), "kg").executor_id().value());
}

TEST_F(ExecutorsTest, OneOfAnEarlierProcessIsFoundWhereItIsDescribedTheSame) {
  Executors earlier = Make(Fetched());
  const v1::ExecutorInfo info = earlier.New(Own(earlier, "kg"), "kg");
  const Ids running = Running({info.executor_id().value()});
  Executors same = Make(Fetched());
  const v1::ExecutorInfo* found = same.Find(running, "kg");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->SerializeAsString(), info.SerializeAsString());
  EXPECT_EQ(same.Find(running, "other"), nullptr);

  Executors::Options options = Fetched();
  options.arguments = {"--idle-exit=2m"};
  EXPECT_EQ(Make(options).Find(running, "kg"), nullptr);
  options = Fetched();
  options.resources.Set(planner::Resource::Cpu(), Quantity::FromMilli(200));
  EXPECT_EQ(Make(options).Find(running, "kg"), nullptr);
  EXPECT_EQ(Make(Fetched(), "f-2").Find(running, "kg"), nullptr);
}

TEST_F(ExecutorsTest, OneOfAnEarlierProcessOnReservedResourcesIsNotUsed) {
  Executors earlier = Make(Fetched());
  const v1::ExecutorInfo info = earlier.New(Own(earlier, "kg", true), "kg");
  // Which reservations they were, nobody knows.
  EXPECT_EQ(Make(Fetched()).Find(Running({info.executor_id().value()}), "kg"), nullptr);
}

TEST_F(ExecutorsTest, OneThatHasEndedIsNotUsedAgain) {
  Executors executors = Make(Fetched());
  const std::string id = executors.New(Own(executors, "kg"), "kg").executor_id().value();
  executors.Forget(id);
  EXPECT_EQ(executors.Find(Running({id}), "kg"), nullptr);
}

TEST_F(ExecutorsTest, AnotherFrameworkStartsItsOwn) {
  Executors executors = Make(Fetched());
  const std::string id = executors.New(Own(executors, "kg"), "kg").executor_id().value();
  executors.SetFramework("f-1");
  EXPECT_NE(executors.Find(Running({id}), "kg"), nullptr);
  executors.SetFramework("f-2");
  EXPECT_EQ(executors.Find(Running({id}), "kg"), nullptr);
  EXPECT_EQ(executors.New({}, "kg").framework_id().value(), "f-2");
}

}  // namespace
}  // namespace kartograph::executor::mesos
