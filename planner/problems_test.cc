#include "planner/problems.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

std::vector<Problem> Many(size_t n) {
  std::vector<Problem> problems;
  for (size_t i = 0; i < n; ++i) problems.push_back({absl::StrCat("field", i), "", "is wrong"});
  return problems;
}

TEST(ProblemsTest, TheMessageSaysAllProblemsInWords) {
  const absl::Status status = ProblemsToStatus(
      {{"tasks[\"a\"].after", "b", "no task has this name"}, {"name", "", "is empty"}});
  EXPECT_TRUE(absl::IsInvalidArgument(status));
  EXPECT_EQ(status.message(), "tasks[\"a\"].after = b: no task has this name\nname: is empty");
}

TEST(ProblemsTest, AStatusGivesItsProblemsBack) {
  const std::vector<Problem> problems = {
      {"field", "value", "message"}, {"", "", ""}, {"f", "", "m"}};
  int total = 0;
  EXPECT_EQ(ProblemsOf(ProblemsToStatus(problems), &total), problems);
  EXPECT_EQ(total, 3);
}

TEST(ProblemsTest, TellsTheFirstHundredAndCountsTheRest) {
  const absl::Status status = ProblemsToStatus(Many(kMaxProblems + 1));
  int total = 0;
  EXPECT_EQ(ProblemsOf(status, &total), Many(kMaxProblems));
  EXPECT_EQ(total, static_cast<int>(kMaxProblems) + 1);
  EXPECT_THAT(std::string(status.message()), EndsWith("\nand 1 more problems"));
}

TEST(ProblemsTest, AHundredAreAllTold) {
  const absl::Status status = ProblemsToStatus(Many(kMaxProblems));
  EXPECT_EQ(ProblemsOf(status).size(), kMaxProblems);
  EXPECT_THAT(std::string(status.message()), Not(HasSubstr("more problems")));
}

TEST(ProblemsTest, WhatUsersWriteCannotPassForASeparator) {
  const absl::Status status = ProblemsToStatus({{"a\x1f\x1e", "b\x1e", "c\x1f"}, {"d", "e", "f"}});
  EXPECT_THAT(ProblemsOf(status), ElementsAre(Problem{"a  ", "b ", "c "}, Problem{"d", "e", "f"}));
}

TEST(ProblemsTest, KeepsLineBreaksAndEveryOtherByte) {
  const Problem problem = {"a\nb", std::string("\0\x01\xff", 3), "größer: 5 = 6"};
  EXPECT_THAT(ProblemsOf(ProblemsToStatus({problem})), ElementsAre(problem));
}

TEST(ProblemsTest, OtherErrorsCarryNone) {
  for (const absl::Status& status :
       {absl::OkStatus(), absl::InvalidArgumentError("field = value: message")}) {
    int total = 5;
    EXPECT_THAT(ProblemsOf(status, &total), IsEmpty());
    EXPECT_EQ(total, 0);
  }
}

}  // namespace
}  // namespace kartograph::planner
