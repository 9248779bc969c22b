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
  EXPECT_EQ(words.size(), 16u);
  EXPECT_EQ(words.count("unknown"), 0u);
  words.clear();
  for (int i = 1; i <= 4; ++i) words.insert(std::string(ToString(static_cast<GraphState>(i))));
  EXPECT_EQ(words.size(), 4u);
  EXPECT_EQ(words.count("unknown"), 0u);
}

TEST(StatesTest, NumbersFromOutsideAreAStateOrAnOutcomeOrNothing) {
  for (int i = 1; i < kTaskStates; ++i) {
    EXPECT_EQ(TaskStateFromNumber(i), static_cast<TaskState>(i));
  }
  for (int i = 1; i <= 4; ++i) EXPECT_EQ(GraphStateFromNumber(i), static_cast<GraphState>(i));
  for (int i = 0; i < kOutcomes; ++i) EXPECT_EQ(OutcomeFromNumber(i), static_cast<Outcome>(i));
  // 256 and 257 are 0 and 1 in the byte that a state is kept in.
  for (int64_t none : {INT64_MIN, int64_t{-256}, int64_t{-1}, int64_t{kOutcomes}, int64_t{255},
                       int64_t{256}, int64_t{257}, int64_t{1} << 32, INT64_MAX}) {
    EXPECT_EQ(TaskStateFromNumber(none), std::nullopt) << none;
    EXPECT_EQ(GraphStateFromNumber(none), std::nullopt) << none;
    EXPECT_EQ(OutcomeFromNumber(none), std::nullopt) << none;
  }
  EXPECT_EQ(TaskStateFromNumber(0), std::nullopt);
  EXPECT_EQ(TaskStateFromNumber(kTaskStates), std::nullopt);
  EXPECT_EQ(GraphStateFromNumber(0), std::nullopt);
  EXPECT_EQ(GraphStateFromNumber(5), std::nullopt);
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

TEST(StatesTest, OnlyWhatWasDoneToItSpendsNoAttempt) {
  const std::set<Outcome> forgiven = {
      Outcome::kLost,        Outcome::kRefused,     Outcome::kDropped,  Outcome::kGone,
      Outcome::kUnreachable, Outcome::kAgentFailed, Outcome::kPreempted};
  for (int i = 1; i < kOutcomes; ++i) {
    const Outcome outcome = static_cast<Outcome>(i);
    EXPECT_EQ(SpendsAttempt(outcome), !forgiven.contains(outcome)) << ToString(outcome);
  }
}

}  // namespace
}  // namespace kartograph::planner
