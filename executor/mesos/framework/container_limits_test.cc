#include "executor/mesos/framework/container_limits.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace kartograph::executor::mesos {
namespace {

using kartograph::mesos::Overuse;
using planner::AttemptId;
using planner::Outcome;
using testing::HasSubstr;

constexpr uint64_t kMiB = 1 << 20;
constexpr char kExecutor[] = "kartograph-1";

AttemptId Id(uint32_t index) { return AttemptId::Of(planner::TaskKey::Of(17, index), 1); }

class ContainerLimitsTest : public ::testing::Test {
 protected:
  void Uses(uint32_t index, uint64_t ram_over, uint64_t disk_over) {
    Overuse::Attempt& attempt = *overuse_.add_attempts();
    attempt.set_attempt(Id(index).value);
    attempt.set_ram_bytes(ram_over + kMiB);
    attempt.set_ram_over_bytes(ram_over);
    attempt.set_disk_bytes(disk_over + kMiB);
    attempt.set_disk_over_bytes(disk_over);
  }
  AttemptUpdate End(uint32_t index, StatusReport::Limit limit, bool alone = false) {
    if (overuse_.ByteSizeLong() > 0) limits_.OnOveruse(kExecutor, overuse_);
    StatusReport report;
    report.limit = limit;
    report.update.outcome = Outcome::kLost;
    report.update.message = "over a limit";
    limits_.OnEnd(Id(index), kExecutor, alone, &report);
    return report.update;
  }
  bool IsSuspect(uint32_t index) const { return limits_.WantsOwnExecutor(Id(index).task()); }

  Overuse overuse_;
  ContainerLimits limits_;
};

TEST_F(ContainerLimitsTest, TheOneThatHadTakenMoreThanAllOthersDidIt) {
  Uses(0, 10 * kMiB, 200 * kMiB);
  Uses(1, 40 * kMiB, 0);
  overuse_.set_other_ram_bytes(20 * kMiB);
  const AttemptUpdate neighbour = End(0, StatusReport::Limit::kMemory);
  EXPECT_EQ(neighbour.outcome, Outcome::kDropped) << "not lost with its agent, by its own doing";
  EXPECT_THAT(neighbour.message,
              HasSubstr("neighbour g17.1.1, which had 41MiB of memory, 40MiB more than it"));
  EXPECT_FALSE(IsSuspect(0));
  const AttemptUpdate culprit = End(1, StatusReport::Limit::kMemory);
  EXPECT_EQ(culprit.outcome, Outcome::kOutOfMemory);
  EXPECT_THAT(culprit.message, HasSubstr("over a limit; it had 41MiB of memory"));
  EXPECT_TRUE(IsSuspect(1)) << "it has an executor of its own the next time";
  limits_.OnOtherEnd(Id(1).task());
  EXPECT_FALSE(IsSuspect(1));
}

TEST_F(ContainerLimitsTest, DiskIsJudgedByItself) {
  Uses(0, 10 * kMiB, 200 * kMiB);
  Uses(1, 40 * kMiB, 0);
  overuse_.set_other_disk_bytes(100 * kMiB);
  EXPECT_EQ(End(0, StatusReport::Limit::kDisk).outcome, Outcome::kSignalled);
  EXPECT_EQ(End(1, StatusReport::Limit::kDisk).outcome, Outcome::kDropped);
}

TEST_F(ContainerLimitsTest, WhereNobodyHasMoreThanAllOthersEachIsSuspected) {
  Uses(0, 40 * kMiB, 0);
  Uses(1, 30 * kMiB, 0);
  overuse_.set_other_ram_bytes(20 * kMiB);
  for (uint32_t i : {0, 1}) {
    EXPECT_EQ(End(i, StatusReport::Limit::kMemory).outcome, Outcome::kLost);
    EXPECT_TRUE(IsSuspect(i));
  }
}

TEST_F(ContainerLimitsTest, WithoutNewsTheOneThatWasAloneDidIt) {
  EXPECT_EQ(End(0, StatusReport::Limit::kMemory, true).outcome, Outcome::kOutOfMemory);
}

TEST_F(ContainerLimitsTest, AloneInASandboxIsNotTheOneThatFilledIt) {
  EXPECT_EQ(End(0, StatusReport::Limit::kDisk, true).outcome, Outcome::kLost);
  EXPECT_TRUE(IsSuspect(0));
}

TEST_F(ContainerLimitsTest, OneThatEndedBeforeTheOthersDidItToo) {
  Uses(0, 40 * kMiB, 0);
  EXPECT_EQ(End(1, StatusReport::Limit::kMemory, true).outcome, Outcome::kDropped);
}

TEST_F(ContainerLimitsTest, InAnExecutorOfItsOwnNobodyElseDidIt) {
  limits_.OnOwnExecutor(kExecutor);
  EXPECT_EQ(End(0, StatusReport::Limit::kOther).outcome, Outcome::kSignalled);
}

TEST_F(ContainerLimitsTest, WhatIsTakenBackIsForgotten) {
  Uses(0, 40 * kMiB, 0);
  limits_.OnOveruse(kExecutor, overuse_);
  overuse_.Clear();
  limits_.OnOveruse(kExecutor, overuse_);
  EXPECT_EQ(End(0, StatusReport::Limit::kMemory).outcome, Outcome::kLost);
}

}  // namespace
}  // namespace kartograph::executor::mesos
