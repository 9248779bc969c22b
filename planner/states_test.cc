#include "planner/states.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace kartograph::planner {
namespace {

TEST(StatesTest, EveryStateAndOutcomeHasAWordOfItsOwn) {
  std::set<std::string> words;
  for (int i = 1; i < kTaskStates; ++i) {
    words.insert(std::string(ToString(static_cast<TaskState>(i))));
  }
  EXPECT_EQ(words.size(), 8u);
  EXPECT_EQ(words.count("unknown"), 0u);
  words.clear();
  for (int i = 0; i < kOutcomes; ++i) words.insert(std::string(ToString(static_cast<Outcome>(i))));
  EXPECT_EQ(words.size(), 14u);
  EXPECT_EQ(words.count("unknown"), 0u);
  words.clear();
  for (int i = 1; i <= 4; ++i) words.insert(std::string(ToString(static_cast<GraphState>(i))));
  EXPECT_EQ(words.size(), 4u);
  EXPECT_EQ(words.count("unknown"), 0u);
}

TEST(StatesTest, FourStatesAreFinal) {
  for (TaskState state :
       {TaskState::kWaiting, TaskState::kReady, TaskState::kLaunching, TaskState::kRunning}) {
    EXPECT_FALSE(IsFinal(state)) << ToString(state);
  }
  for (TaskState state :
       {TaskState::kSucceeded, TaskState::kFailed, TaskState::kCancelled, TaskState::kSkipped}) {
    EXPECT_TRUE(IsFinal(state)) << ToString(state);
  }
}

TEST(StatesTest, OnlyWhatTheClusterDidToItSpendsNoAttempt) {
  const std::set<Outcome> forgiven = {Outcome::kLost, Outcome::kRefused,     Outcome::kDropped,
                                      Outcome::kGone, Outcome::kUnreachable, Outcome::kAgentFailed};
  for (int i = 1; i < kOutcomes; ++i) {
    const Outcome outcome = static_cast<Outcome>(i);
    EXPECT_EQ(SpendsAttempt(outcome), !forgiven.contains(outcome)) << ToString(outcome);
  }
}

}  // namespace
}  // namespace kartograph::planner
