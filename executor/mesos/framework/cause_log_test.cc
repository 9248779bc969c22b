#include "executor/mesos/framework/cause_log.h"

#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace kartograph::executor::mesos {
namespace {

TEST(CauseLogTest, ACauseIsWrittenWhenItOccursTenTimesAsOften) {
  CauseLog log;
  std::string written;
  for (int i = 1; i <= 1000; ++i) {
    if (const int64_t times = log.Count("the executor is lost"); times > 0) {
      absl::StrAppend(&written, times, " ");
    }
  }
  EXPECT_EQ(written, "1 10 100 1000 ");
  EXPECT_EQ(log.Count("another reason"), 1);
}

TEST(CauseLogTest, IdsAndAmountsMakeNoOtherCause) {
  CauseLog log;
  EXPECT_EQ(log.Count("cannot fetch /var/slaves/a1-S0/x for container 'f00-1': status 256"), 1);
  EXPECT_EQ(log.Count("cannot fetch /var/slaves/b2-S7/x for container 'ba5-2': status 1"), 0);
  EXPECT_EQ(log.Count("cannot start /var/slaves/b2-S7/x for container 'ba5-2': status 1"), 1);
}

TEST(CauseLogTest, WhatIsRememberedHasABound) {
  CauseLog log;
  std::string cause = "a";
  for (size_t i = 0; i < CauseLog::kMaxCauses; ++i) log.Count(cause += "a");
  EXPECT_EQ(log.Count("aa"), 0);
  log.Count("one more");
  EXPECT_EQ(log.Count("aa"), 1);
}

}  // namespace
}  // namespace kartograph::executor::mesos
