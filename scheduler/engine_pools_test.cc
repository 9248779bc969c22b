// Pools that are set at run time, over restarts and changes of the settings.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"
#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::Quantity;
using planner::ResourceVector;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

SchedulerOptions WithPools(const ResourceVector& pools, std::vector<std::string>* log = nullptr) {
  SchedulerOptions options;
  options.pools = pools;
  options.on_pool_changed = [log](const PoolChange& change) {
    if (log == nullptr) return;
    log->push_back(absl::StrCat(change.pool, " ", change.before.ToString(), " -> ",
                                change.after.ToString(), " by ", change.by,
                                change.overruled ? ", overruled" : ""));
  };
  return options;
}
ResourceVector Db(int units) { return With({}, "db", units); }

class EnginePoolsTest : public ::testing::Test, protected EngineStory {
 protected:
  EnginePoolsTest() : EngineStory(WithPools(Db(40), &Log())) { Log().clear(); }
  static std::vector<std::string>& Log() {
    static auto& log = *new std::vector<std::string>();
    return log;
  }

  Answer<int64_t> Set(const std::string& pool, std::optional<int> units,
                      const std::string& request = "") {
    auto answer = Ask<int64_t>(
        SetPool{request, pool, units ? std::optional(Quantity::Of(*units)) : std::nullopt, "ann"});
    Batch();
    return answer;
  }
  // As after SIGHUP.
  absl::Status Settings(const ResourceVector& pools) {
    auto answer = Ask<bool>(Reconfigure{pools, 100, {}});
    Batch();
    return answer.status();
  }
  // "db 10 of 40", with what the settings say where it was set at run time.
  std::vector<std::string> Pools() {
    std::vector<std::string> words;
    for (const PoolExplanation& pool : engine_->core().Pools(5, 5, now_)) {
      words.push_back(absl::StrCat(
          pool.pool.name, " ", pool.pool.capacity.ToString(),
          pool.set
              ? absl::StrCat(" instead of ", pool.set->setting.ToString(), " by ", pool.set->by)
              : ""));
    }
    return words;
  }
};

TEST_F(EnginePoolsTest, ACapacityIsSetAndKeptOverARestart) {
  EXPECT_EQ(Set("db", 10).value(), 10000) << "thousandths";
  EXPECT_THAT(Pools(), ElementsAre("db 10 instead of 40 by ann"));
  EXPECT_THAT(Log(), ElementsAre("db 40 -> 10 by ann"));
  Restart();
  EXPECT_THAT(Pools(), ElementsAre("db 10 instead of 40 by ann"));
  EXPECT_EQ(Set("db", std::nullopt).value(), 40000);
  EXPECT_THAT(Pools(), ElementsAre("db 40"));
  Restart();
  EXPECT_THAT(Pools(), ElementsAre("db 40"));
}

TEST_F(EnginePoolsTest, APoolIsMadeAndGoes) {
  EXPECT_EQ(Set("tapes", 2).value(), 2000);
  EXPECT_THAT(Pools(), ElementsAre("db 40", "tapes 2 instead of 0 by ann"));
  Restart();
  EXPECT_THAT(Pools(), ElementsAre("db 40", "tapes 2 instead of 0 by ann"));
  Agent(4);
  Submit(Graph({Task("a").Needs(With(Cpu(1), "tapes", 1))}));
  Batch();
  const absl::Status refused = Set("tapes", std::nullopt).status();
  EXPECT_TRUE(absl::IsFailedPrecondition(refused));
  EXPECT_THAT(std::string(refused.message()), HasSubstr("1 task of graph g1 that has not ended"));
  Cancel(1);
  Batch();
  Notify({Ended(Attempt(0), planner::Outcome::kCancelled)});
  Batch();
  EXPECT_EQ(Set("tapes", std::nullopt).value(), 0);
  EXPECT_THAT(Pools(), ElementsAre("db 40"));
}

TEST_F(EnginePoolsTest, ItTakesEffectAtOnceAndEndsNothing) {
  Agent(4);
  Submit(Graph({Task("a").Needs(With(Cpu(1), "db", 20)), Task("b").Needs(With(Cpu(1), "db", 20)),
                Task("c").Needs(With(Cpu(1), "db", 20))}));
  Batch();
  EXPECT_EQ(engine_->core().live_attempts(), 2U);
  Set("db", 20);
  EXPECT_EQ(engine_->core().live_attempts(), 2U);
  Notify({Ended(Attempt(0), planner::Outcome::kSucceeded)});
  Batch();
  EXPECT_EQ(engine_->core().live_attempts(), 1U) << "what is held is still as much as there is";
  Set("db", 40);
  EXPECT_EQ(engine_->core().live_attempts(), 2U);
}

TEST_F(EnginePoolsTest, TheSettingOverrulesItWhenItIsChangedItself) {
  Set("db", 10);
  EXPECT_TRUE(Settings(Db(40)).ok());
  EXPECT_THAT(Pools(), ElementsAre("db 10 instead of 40 by ann")) << "the setting is as it was";
  Log().clear();
  EXPECT_TRUE(Settings(Db(50)).ok());
  EXPECT_THAT(Pools(), ElementsAre("db 50"));
  EXPECT_THAT(Log(), ElementsAre("db 10 -> 50 by the settings, overruled"));
  EXPECT_THAT(*history_.PoolsSet(), IsEmpty());
}

TEST_F(EnginePoolsTest, SettingsAddPoolsAndTakeThemWhereNothingNeedsThem) {
  EXPECT_TRUE(Settings(With(Db(40), "tapes", 2)).ok());
  EXPECT_THAT(Pools(), ElementsAre("db 40", "tapes 2"));
  Agent(1);
  Submit(Graph({Task("a").Needs(With(Cpu(1), "tapes", 1))}));
  Batch();
  EXPECT_TRUE(absl::IsFailedPrecondition(Settings(Db(40))));
  EXPECT_THAT(Pools(), ElementsAre("db 40", "tapes 2")) << "nothing is changed";
}

TEST_F(EnginePoolsTest, WhatCannotBeIsRefused) {
  EXPECT_TRUE(absl::IsNotFound(Set("tapes", std::nullopt).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Set("cpu", 3).status()));
  EXPECT_TRUE(absl::IsInvalidArgument(Set("no name", 3).status()));
  Notify({executor::Connected{}, Lease("m", With(Cpu(1), "gpu", 1))});
  EXPECT_TRUE(absl::IsFailedPrecondition(Set("gpu", 3).status())) << "agents have it";
  EXPECT_THAT(Pools(), ElementsAre("db 40"));
  EXPECT_THAT(*history_.PoolsSet(), IsEmpty());
}

TEST_F(EnginePoolsTest, TheNumberOfPoolsIsLimited) {
  int made = 0;
  absl::Status status;
  for (; made < 2000 && status.ok(); ++made) {
    status = Set(absl::StrCat("made_", made), 1).status();
  }
  EXPECT_TRUE(absl::IsResourceExhausted(status));
  EXPECT_EQ(Pools().size(), 1000U);
}

TEST_F(EnginePoolsTest, ARepeatedRequestIsAnsweredAsTheFirstTime) {
  EXPECT_EQ(Set("db", 10, "r1").value(), 10000);
  Set("db", 20);
  EXPECT_EQ(Set("db", 10, "r1").value(), 10000);
  EXPECT_THAT(Pools(), ElementsAre("db 20 instead of 40 by ann"));
}

TEST_F(EnginePoolsTest, WhatIsNotWrittenIsNotInForce) {
  history_.FailCommits(1, absl::UnavailableError("no disk"));
  EXPECT_FALSE(Set("db", 10).status().ok());
  EXPECT_THAT(Pools(), ElementsAre("db 40"));
  EXPECT_THAT(Log(), IsEmpty());
  Wait(absl::Seconds(1));
  EXPECT_EQ(Set("db", 10).value(), 10000);
}

}  // namespace
}  // namespace kartograph::scheduler
