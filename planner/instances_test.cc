#include "planner/instances.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "absl/strings/str_cat.h"

namespace kartograph::planner {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

std::string ProblemOf(const std::string& text) {
  return std::string(ParseInstances(text).status().message());
}

TEST(InstancesTest, AreNumbersOrWords) {
  EXPECT_THAT(*ParseInstances("[0,1]"), ElementsAre("0", "1"));
  EXPECT_THAT(*ParseInstances(" [ GPU-8932f937 , 0000:0a:00.0, /dev/nvidia_1 ] "),
              ElementsAre("GPU-8932f937", "0000:0a:00.0", "/dev/nvidia_1"));
}

TEST(InstancesTest, SayWhatIsWrong) {
  EXPECT_THAT(ProblemOf("2"), HasSubstr("such as [0,1]"));
  EXPECT_THAT(ProblemOf("[0,1"), HasSubstr("such as [0,1]"));
  EXPECT_THAT(ProblemOf("[ ]"), HasSubstr("has no instances"));
  EXPECT_THAT(ProblemOf("[0,,1]"), HasSubstr("\"\" cannot be the name"));
  EXPECT_THAT(ProblemOf("[a b]"), HasSubstr("\"a b\" cannot be the name"));
  EXPECT_THAT(ProblemOf("[\"0\"]"), HasSubstr("letters, digits"));
  EXPECT_THAT(ProblemOf("[0-3]"), HasSubstr("\"0-3\" looks like a range"));
  EXPECT_THAT(ProblemOf("[0,1,0]"), HasSubstr("names the instance 0 twice"));
}

TEST(InstancesTest, AreLimited) {
  EXPECT_THAT(ProblemOf(absl::StrCat("[", std::string(65, 'x'), "]")), HasSubstr("1 to 64"));
  std::vector<std::string> names = NumberedInstances();
  EXPECT_TRUE(CheckInstances(names).ok());
  names.emplace_back("more");
  EXPECT_THAT(std::string(CheckInstances(names).message()), HasSubstr("at most 1024"));
}

}  // namespace
}  // namespace kartograph::planner
