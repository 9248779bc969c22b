// What the packer says of agents and pools is what it plans by.
#include <gtest/gtest.h>

#include <optional>
#include <random>
#include <string>
#include <utility>
#include <vector>

#include "planner/packer.h"

namespace kartograph::planner {
namespace {

using Refusal = Packer::Refusal;

const Resource kDb = Resource::Named("db");
const Resource kGpu = Resource::Named("gpu");

class RefusalTest : public ::testing::TestWithParam<int> {
 protected:
  RefusalTest() : packer_({{kDb, Quantity::Of(8)}}), random_(static_cast<unsigned>(GetParam())) {}

  int Any(int from, int to) { return std::uniform_int_distribution<int>(from, to)(random_); }
  bool OneIn(int n) { return Any(1, n) == 1; }

  ResourceVector Some() {
    ResourceVector some = {{Resource::Cpu(), Quantity::Of(Any(1, 6))}};
    if (OneIn(3)) some.Set(kGpu, Quantity::Of(Any(1, 2)));
    if (OneIn(3)) some.Set(kDb, Quantity::Of(Any(1, 4)));
    return some;
  }

  std::string AnyZone() { return std::to_string(Any(1, 2)); }
  Constraints SomeConstraints() {
    if (OneIn(2)) return {};
    return Constraints({{"zone", Constraint::Operator::kEquals, OneIn(2), {AnyZone()}}});
  }

  void Change() {
    switch (Any(0, 7)) {
      case 0: {
        const Packer::AgentId agent = packer_.AddAgent();
        ResourceVector free = {{Resource::Cpu(), Quantity::Of(Any(1, 8))}};
        if (OneIn(2)) free.Set(kGpu, Quantity::Of(Any(1, 2)));
        packer_.SetCapacity(agent, free);
        packer_.SetFree(agent, std::move(free));
        packer_.SetFreeSlots(agent, Any(1, 5));
        packer_.SetTraits(agent, {"id", "name", {{"zone", AnyZone()}}});
        packer_.SetUsable(agent, !OneIn(5));
        agents_.push_back(agent);
        return;
      }
      case 1:
        if (agents_.empty()) return;
        packer_.SetUsable(AnyAgent(), OneIn(2));
        if (OneIn(2)) packer_.SetTraits(AnyAgent(), {"id", "name", {{"zone", AnyZone()}}});
        return;
      case 2:
        if (!agents_.empty()) {
          packer_.SetTimeUntilDrain(AnyAgent(), OneIn(2) ? Packer::kNeverDrains : Any(1, 100));
        }
        return;
      case 3:
        if (!taken_.empty()) {
          const auto [consumption, agent] = taken_.back();
          taken_.pop_back();
          packer_.Give(agent, consumption);
          packer_.GivePools(consumption);
        }
        return;
      case 4:
        Reserve();
        return;
      case 5:
        if (!agents_.empty() && OneIn(2)) packer_.ReleaseAgent(AnyAgent());
        if (OneIn(2)) packer_.ReleasePools();
        return;
      default: {
        const Packer::ClassId id = packer_.Intern(Some(), {SomeConstraints()});
        packer_.SetExpected(id, Any(0, 120), Any(0, 60));
        const TaskKey task = TaskKey::Of(static_cast<GraphId>(Any(1, 3)), next_++);
        packer_.AddReady(id, {Any(0, 2), static_cast<uint32_t>(Any(1, 4)), task});
      }
    }
  }
  Packer::AgentId AnyAgent() {
    return agents_[static_cast<size_t>(Any(0, static_cast<int>(agents_.size()) - 1))];
  }
  void Reserve() {
    std::vector<std::pair<ReadyOrder, Packer::ClassId>> firsts;
    packer_.ForEachFirst(
        [&](Packer::ClassId id, const ReadyOrder& first) { firsts.emplace_back(first, id); });
    if (firsts.empty()) return;
    const auto& [task, id] =
        firsts[static_cast<size_t>(Any(0, static_cast<int>(firsts.size()) - 1))];
    if (OneIn(2) && !packer_.pool_part(id).empty()) {
      packer_.ReservePools(task, id, Any(0, 100));
    } else if (!agents_.empty()) {
      packer_.ReserveAgent(AnyAgent(), task, id, Any(0, 100));
    }
  }

  // The first ready task in order that nothing refuses on some agent.
  std::optional<std::pair<ReadyOrder, Packer::ClassId>> Next() const {
    std::optional<std::pair<ReadyOrder, Packer::ClassId>> next;
    packer_.ForEachFirst([&](Packer::ClassId id, const ReadyOrder& first) {
      if (next && next->first < first) return;
      if (packer_.WhyNoPools(first, id) != Refusal::kNone) return;
      for (Packer::AgentId agent : agents_) {
        if (packer_.WhyNotOn(agent, first, id) == Refusal::kNone) next = {first, id};
      }
    });
    return next;
  }

  Packer packer_;
  std::mt19937 random_;
  std::vector<Packer::AgentId> agents_;
  std::vector<std::pair<Packer::ClassId, Packer::AgentId>> taken_;
  TaskIndex next_ = 0;
};

TEST_P(RefusalTest, ThePlanPlacesWhatNothingRefusesAndNothingElse) {
  for (int i = 0; i < 200; ++i) {
    for (int changes = Any(1, 5); changes > 0; --changes) Change();
    // Step by step on a copy: what is next by what is said, and where the plan put it.
    const Packer before = packer_;
    std::vector<Packer::Placement> placements;
    packer_.Plan(&placements);
    const Packer after = std::exchange(packer_, before);
    for (const Packer::Placement& placement : placements) {
      const auto next = Next();
      ASSERT_TRUE(next) << "nothing should be placed";
      EXPECT_EQ(placement.task, next->first.task);
      EXPECT_EQ(placement.consumption, next->second);
      EXPECT_EQ(packer_.WhyNotOn(placement.agent, next->first, next->second), Refusal::kNone);
      packer_.Take(placement.agent, placement.consumption);
      packer_.TakePools(placement.consumption);
      packer_.RemoveReady(placement.consumption,
                          {next->first.priority, next->first.rank, placement.task});
      taken_.emplace_back(placement.consumption, placement.agent);
    }
    EXPECT_FALSE(Next()) << "something was left that could have been placed";
    if (HasFailure()) FAIL() << "round " << i << " of seed " << GetParam();
    packer_ = after;
  }
}

TEST_P(RefusalTest, WhatGoesBeforeIsCountedAndNamedInOrder) {
  for (int i = 0; i < 60; ++i) Change();
  const auto all = [](Packer::ClassId, Lane) { return true; };
  const auto firsts = packer_.First(1000, all);
  EXPECT_EQ(firsts.size(), packer_.ready_count());
  for (size_t i = 0; i < firsts.size(); ++i) {
    EXPECT_EQ(packer_.CountBefore(firsts[i].first, 1000, all), i);
    EXPECT_EQ(packer_.CountBefore(firsts[i].first, 3, all), std::min<size_t>(i, 3));
    const auto before = packer_.FirstBefore(firsts[i].first, 2, all);
    ASSERT_EQ(before.size(), std::min<size_t>(i, 2));
    for (size_t j = 0; j < before.size(); ++j) EXPECT_EQ(before[j], firsts[j]);
  }
}

class LetInTest : public ::testing::Test {
 protected:
  // Two cores of four are free and kept for a task that needs them all.
  LetInTest() : packer_(ResourceVector{}) {
    agent_ = packer_.AddAgent();
    packer_.SetCapacity(agent_, Cpu(4));
    packer_.SetFree(agent_, Cpu(2));
    packer_.SetUsable(agent_, true);
    large_ = packer_.Intern(Cpu(4));
    small_ = packer_.Intern(Cpu(1));
    packer_.AddReady(large_, KeyOf(1, /*priority=*/5));
    packer_.ReserveAgent(agent_, *packer_.FirstReady(large_), large_, 100);
    packer_.AddReady(small_, KeyOf(2, /*priority=*/0));
    EXPECT_EQ(Planned(), 0U) << "how long it takes is not known";
  }
  static ResourceVector Cpu(int64_t n) { return {{Resource::Cpu(), Quantity::Of(n)}}; }
  static ReadyKey KeyOf(TaskIndex task, int priority, GraphId graph = 1) {
    return {priority, 1, TaskKey::Of(graph, task)};
  }
  size_t Planned() {
    std::vector<Packer::Placement> placements;
    packer_.Plan(&placements);
    return placements.size();
  }

  Packer packer_;
  Packer::AgentId agent_ = 0;
  Packer::ClassId large_ = 0;
  Packer::ClassId small_ = 0;
};

TEST_F(LetInTest, WhatIsKnownNowToEndInTime) {
  packer_.SetExpected(small_, 100, 50);
  EXPECT_EQ(Planned(), 1U);
}

TEST_F(LetInTest, WhatComesNowBeforeIt) {
  packer_.AddReady(small_, KeyOf(3, /*priority=*/9));
  EXPECT_EQ(Planned(), 1U);
}

TEST_F(LetInTest, WhatGoesBeforeItByAnotherScore) {
  packer_.AddReady(small_, KeyOf(4, /*priority=*/5, /*graph=*/2));
  EXPECT_EQ(Planned(), 0U);
  packer_.SetScore(2, -1);
  EXPECT_EQ(Planned(), 1U);
}

INSTANTIATE_TEST_SUITE_P(Seeds, RefusalTest, ::testing::Range(0, 40));

}  // namespace
}  // namespace kartograph::planner
