#include "planner/retry_rule.h"

#include <signal.h>

#include <initializer_list>
#include <string>
#include <vector>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace kartograph::planner {
namespace {

using testing::ElementsAre;

FailureSet SetOf(std::initializer_list<const char*> words) {
  FailureSet set;
  for (const char* word : words) EXPECT_TRUE(set.Add(word).ok()) << word;
  return set;
}

TEST(FailureSetTest, HoldsWhatItsWordsSay) {
  const FailureSet set = SetOf({"75", "64-66", "SIGKILL", "timeout"});
  EXPECT_TRUE(set.Contains(Outcome::kExited, 75, 0));
  EXPECT_TRUE(set.Contains(Outcome::kExited, 64, 0));
  EXPECT_TRUE(set.Contains(Outcome::kExited, 66, 0));
  EXPECT_FALSE(set.Contains(Outcome::kExited, 67, 0));
  EXPECT_TRUE(set.Contains(Outcome::kSignalled, 0, SIGKILL));
  EXPECT_FALSE(set.Contains(Outcome::kSignalled, 0, SIGTERM));
  EXPECT_TRUE(set.Contains(Outcome::kTimedOut, 0, 0));
  EXPECT_FALSE(set.Contains(Outcome::kOutOfMemory, 0, 0));
  EXPECT_FALSE(set.Contains(Outcome::kNotStarted, 75, SIGKILL));
  EXPECT_FALSE(set.Contains(Outcome::kExited, 0, 0));
  EXPECT_FALSE(set.Contains(Outcome::kExited, 300, 0));
  EXPECT_FALSE(set.Contains(Outcome::kSignalled, 0, 65));
}

TEST(FailureSetTest, WordsAreCanonical) {
  EXPECT_THAT(SetOf({"out_of_memory", "3", "2", "1", "SIGUSR1", "SIGHUP", "9"}).Words(),
              ElementsAre("1-3", "9", "SIGHUP", "SIGUSR1", "out_of_memory"));
  EXPECT_THAT(SetOf({"1-255"}).Words(), ElementsAre("exit"));
  EXPECT_THAT(SetOf({"signal", "SIGKILL"}).Words(), ElementsAre("signal"));
  EXPECT_TRUE(FailureSet().empty());
  EXPECT_THAT(FailureSet().Words(), ElementsAre());
  FailureSet again;
  for (const std::string& word : SetOf({"exit", "signal", "timeout"}).Words()) {
    EXPECT_TRUE(again.Add(word).ok()) << word;
  }
  EXPECT_EQ(again, SetOf({"timeout", "signal", "exit"}));
  // Signals without a name, too.
  EXPECT_THAT(SetOf({"SIG40"}).Words(), ElementsAre("SIG40"));
}

TEST(FailureSetTest, RefusesOtherWords) {
  for (const char* word : {"", "0", "256", "5-3", "-1", "1-", "1-256", "KILL", "SIGFOO", "SIG65",
                           "99999999999", "Timeout", "1-2-3"}) {
    EXPECT_FALSE(FailureSet().Add(word).ok()) << word;
  }
}

TEST(RetryRuleTest, AllowsEveryFailureUnlessItSaysOtherwise) {
  RetryRule rule;
  EXPECT_TRUE(rule.Allows(Outcome::kExited, 1, 0));
  EXPECT_TRUE(rule.Allows(Outcome::kResultTooLarge, 0, 0));
  rule.not_on = SetOf({"2"});
  EXPECT_TRUE(rule.Allows(Outcome::kExited, 1, 0));
  EXPECT_FALSE(rule.Allows(Outcome::kExited, 2, 0));
  rule.on = SetOf({"2-3"});
  EXPECT_FALSE(rule.Allows(Outcome::kExited, 1, 0));
  EXPECT_FALSE(rule.Allows(Outcome::kExited, 2, 0)) << "not_on wins";
  EXPECT_TRUE(rule.Allows(Outcome::kExited, 3, 0));
  EXPECT_FALSE(rule.Allows(Outcome::kTimedOut, 0, 0));
}

}  // namespace
}  // namespace kartograph::planner
