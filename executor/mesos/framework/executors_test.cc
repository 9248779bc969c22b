#include "executor/mesos/framework/executors.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "executor/mesos/framework/offered_resources.h"

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
  // The executor that offers of ordinary resources, or of `offered`, find.
  static const v1::ExecutorInfo* Find(Executors& executors, const std::vector<std::string>& ids,
                                      const std::string& role,
                                      const std::vector<v1::Resource>& offered = {}) {
    Ids running;
    for (const std::string& id : ids) running.Add()->set_value(id);
    OfferedResources resources(OfferedResources::Revocable::kUsed);
    resources.Add(offered.empty() ? Own(executors, role) : offered);
    return executors.Find(running, role, resources);
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
  // With revocable cpus.
  static std::vector<v1::Resource> Revocable(const Executors& executors, const std::string& role) {
    std::vector<v1::Resource> resources = Own(executors, role);
    for (v1::Resource& piece : resources) {
      if (piece.name() == "cpus") piece.mutable_revocable();
    }
    return resources;
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
  const std::string& id = info.executor_id().value();
  const v1::ExecutorInfo* found = Find(executors, {"another", id}, "kg");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->SerializeAsString(), info.SerializeAsString());
  EXPECT_EQ(Find(executors, {id}, "other"), nullptr);
  EXPECT_EQ(Find(executors, {"another"}, "kg"), nullptr);
  EXPECT_EQ(Find(executors, {}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, RevocableResourcesHaveAnExecutorOfTheirOwn) {
  Executors executors = Make(Fetched());
  const std::vector<v1::Resource> revocable = Revocable(executors, "kg");
  const std::string firm = executors.New(Own(executors, "kg"), "kg").executor_id().value();
  EXPECT_EQ(Find(executors, {firm}, "kg", revocable), nullptr);
  const v1::ExecutorInfo info = executors.New(revocable, "kg");
  const std::string& id = info.executor_id().value();
  EXPECT_EQ(Find(executors, {firm, id}, "kg", revocable)->executor_id().value(), id);
  EXPECT_EQ(Find(executors, {firm, id}, "kg")->executor_id().value(), firm);
  // And a later process describes it the same.
  Executors later = Make(Fetched());
  const v1::ExecutorInfo* found = Find(later, {firm, id}, "kg", revocable);
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->SerializeAsString(), info.SerializeAsString());
  EXPECT_EQ(Find(later, {id}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, EveryStartHasAnIdOfItsOwn) {
  Executors executors = Make(Fetched());
  EXPECT_NE(executors.New(Own(executors, "kg"), "kg").executor_id().value(),
            executors.New(Own(executors, "kg"), "kg").executor_id().value());
}

TEST_F(ExecutorsTest, OneOfAnEarlierProcessIsFoundWhereItIsDescribedTheSame) {
  Executors earlier = Make(Fetched());
  const v1::ExecutorInfo info = earlier.New(Own(earlier, "kg"), "kg");
  const std::vector<std::string> running = {info.executor_id().value()};
  Executors same = Make(Fetched());
  const v1::ExecutorInfo* found = Find(same, running, "kg");
  ASSERT_NE(found, nullptr);
  EXPECT_EQ(found->SerializeAsString(), info.SerializeAsString());
  EXPECT_EQ(Find(same, running, "other"), nullptr);

  Executors::Options options = Fetched();
  options.arguments = {"--idle-exit=2m"};
  Executors other_arguments = Make(options);
  EXPECT_EQ(Find(other_arguments, running, "kg"), nullptr);
  options = Fetched();
  options.resources.Set(planner::Resource::Cpu(), Quantity::FromMilli(200));
  Executors other_resources = Make(options);
  EXPECT_EQ(Find(other_resources, running, "kg"), nullptr);
  Executors other_framework = Make(Fetched(), "f-2");
  EXPECT_EQ(Find(other_framework, running, "kg"), nullptr);
}

TEST_F(ExecutorsTest, IdsDifferWhateverLetterOfTheirDescriptionDiffers) {
  Executors executors = Make(Fetched());
  std::set<std::string> ids;
  for (const std::string role : {"team1", "team2", "team3", "maps/team1", "maps/team2"}) {
    const std::string id = executors.New(Own(executors, role), role).executor_id().value();
    ids.insert(id.substr(0, id.rfind('-')));
    for (const std::string other : {"team1", "team2", "team3", "maps/team1", "maps/team2"}) {
      Executors later = Make(Fetched());
      EXPECT_EQ(Find(later, {id}, other) != nullptr, role == other) << role << " " << other;
    }
  }
  EXPECT_EQ(ids.size(), 5u);
}

TEST_F(ExecutorsTest, OneOfAnotherUserIsNotUsed) {
  Executors::Options options = Fetched();
  options.user = "maps1";
  Executors earlier = Make(options);
  const v1::ExecutorInfo info = earlier.New(Own(earlier, "kg"), "kg");
  EXPECT_EQ(info.command().user(), "maps1");
  options.user = "maps2";
  Executors later = Make(options);
  EXPECT_EQ(Find(later, {info.executor_id().value()}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, OneOfAnEarlierProcessOnReservedResourcesIsNotUsed) {
  Executors earlier = Make(Fetched());
  const v1::ExecutorInfo info = earlier.New(Own(earlier, "kg", true), "kg");
  // Which reservations they were is not known.
  Executors later = Make(Fetched());
  EXPECT_EQ(Find(later, {info.executor_id().value()}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, OneThatHasEndedIsNotUsedAgain) {
  Executors executors = Make(Fetched());
  const std::string id = executors.New(Own(executors, "kg"), "kg").executor_id().value();
  executors.Forget(id);
  EXPECT_EQ(Find(executors, {id}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, OnlyTheLastThatHaveEndedAreRemembered) {
  Executors executors = Make(Fetched());
  const std::string first = executors.New(Own(executors, "kg"), "kg").executor_id().value();
  executors.Forget(first);
  for (size_t i = 1; i < Executors::kMaxEnded; ++i) executors.Forget(absl::StrCat("e", i));
  EXPECT_EQ(Find(executors, {first}, "kg"), nullptr);
  executors.Forget("another");
  EXPECT_NE(Find(executors, {first}, "kg"), nullptr);
}

TEST_F(ExecutorsTest, AnotherFrameworkStartsItsOwn) {
  Executors executors = Make(Fetched());
  const std::string id = executors.New(Own(executors, "kg"), "kg").executor_id().value();
  executors.SetFramework("f-1");
  EXPECT_NE(Find(executors, {id}, "kg"), nullptr);
  executors.SetFramework("f-2");
  EXPECT_EQ(Find(executors, {id}, "kg"), nullptr);
  EXPECT_EQ(executors.New({}, "kg").framework_id().value(), "f-2");
}

}  // namespace
}  // namespace kartograph::executor::mesos
