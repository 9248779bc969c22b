// Tasks that are added to open graphs, and graphs that close when they are idle.
#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>
#include <vector>

#include "planner/problems.h"
#include "scheduler/testing/engine_story.h"

namespace kartograph::scheduler {
namespace {

using planner::GraphId;
using planner::TaskKey;
using planner::TaskState;
using ::testing::ElementsAre;
using ::testing::HasSubstr;
using ::testing::IsEmpty;

class AdditionsTest : public EngineStory, public ::testing::Test {
 protected:
  GraphId Open(Graph graph) {
    Answer<GraphId> submitted = Submit(graph.Open());
    Batch();
    return submitted.value();
  }
  std::string NameOf(TaskKey task) { return history_.task(task).submitted.name; }
  TaskState StateOf(TaskKey task) { return engine_->core().Task(task)->state; }
  bool IsRunning(GraphId graph) {
    return history_.graphs().at(graph).state.state == planner::GraphState::kRunning;
  }
  void End(planner::AttemptId attempt, planner::Outcome outcome) {
    executor::AttemptUpdate update;
    update.attempt = attempt;
    update.agent = "m";
    update.outcome = outcome;
    update.start_time = update.end_time = now_.wall;
    Notify({update});
    Batch();
  }
};

TEST_F(AdditionsTest, ABatchMayReferToItselfInAnyOrder) {
  const GraphId graph = Open(Graph({Task("a")}));
  Answer<TaskKey> added =
      Add(graph, {Task("d").After({"c", "a"}), Task("c").After({"b"}), Task("b")});
  Batch();
  ASSERT_TRUE(added.status().ok()) << added.status();
  EXPECT_EQ(added.value().index(), 1u);
  EXPECT_THAT(history_.task(TaskKey::Of(graph, 1)).submitted.after, ElementsAre(0, 2));
  EXPECT_THAT(history_.task(TaskKey::Of(graph, 2)).submitted.after, ElementsAre(3));
  EXPECT_EQ(StateOf(TaskKey::Of(graph, 1)), TaskState::kWaiting);
  EXPECT_EQ(StateOf(TaskKey::Of(graph, 3)), TaskState::kReady);
}

TEST_F(AdditionsTest, WhatIsFirstOnTheLongestPathGoesFirst) {
  const GraphId graph = Open(Graph({}));
  Add(graph, {Task("alone"), Task("second").After({"first"}), Task("first")});
  Batch();
  Agent(1);
  Batch();
  EXPECT_EQ(StateOf(TaskKey::Of(graph, 2)), TaskState::kLaunching);
  EXPECT_EQ(StateOf(TaskKey::Of(graph, 0)), TaskState::kReady);
}

TEST_F(AdditionsTest, AllOrNone) {
  const GraphId graph = Open(Graph({Task("a")}));
  Answer<TaskKey> cycle = Add(graph, {Task("x").After({"y"}), Task("y").After({"x"})});
  Answer<TaskKey> unknown = Add(graph, {Task("x"), Task("y").After({"nothing"})});
  Answer<TaskKey> taken = Add(graph, {Task("x"), Task("a")});
  Answer<TaskKey> twice = Add(graph, {Task("x"), Task("x")});
  Batch();
  EXPECT_TRUE(absl::IsInvalidArgument(cycle.status()));
  EXPECT_THAT(std::string(cycle.status().message()), HasSubstr("x -> y -> x"));
  EXPECT_TRUE(absl::IsInvalidArgument(unknown.status()));
  EXPECT_TRUE(absl::IsAlreadyExists(taken.status())) << taken.status();
  EXPECT_TRUE(absl::IsInvalidArgument(twice.status()));
  EXPECT_EQ(history_.graphs().at(graph).tasks.size(), 1u);
  Answer<TaskKey> good = Add(graph, {Task("x"), Task("y")});
  Batch();
  EXPECT_TRUE(good.status().ok());
}

TEST_F(AdditionsTest, WhatComesAfterAFailureIsSkippedThroughTheWholeBatch) {
  const GraphId graph = Open(Graph({Task("a")}));
  Agent(1);
  Batch();
  End(Attempt(0), planner::Outcome::kExited);
  ASSERT_EQ(StateOf(TaskKey::Of(graph, 0)), TaskState::kFailed);
  Add(graph, {Task("c").After({"b"}), Task("b").After({"a"}), Task("free")});
  Batch();
  EXPECT_EQ(StateOf(TaskKey::Of(graph, 1)), TaskState::kSkipped);
  EXPECT_EQ(StateOf(TaskKey::Of(graph, 2)), TaskState::kSkipped);
  EXPECT_NE(StateOf(TaskKey::Of(graph, 3)), TaskState::kSkipped);
}

TEST_F(AdditionsTest, TasksWithoutANameGetOne) {
  const GraphId graph = Open(Graph({Task(""), Task("b")}));
  Answer<TaskKey> added = Add(graph, {Task(""), Task("")});
  Batch();
  EXPECT_EQ(NameOf(TaskKey::Of(graph, 0)), "task[0]");
  EXPECT_EQ(NameOf(added.value()), "task[2]");
  EXPECT_EQ(NameOf(TaskKey::Of(graph, 3)), "task[3]");
}

TEST_F(AdditionsTest, ARepeatedRequestIsAnsweredAndOneOfOtherContentIsNot) {
  const GraphId graph = Open(Graph({}));
  Answer<TaskKey> first = Add(graph, {Task("a"), Task("b")}, {"request", 17});
  Answer<TaskKey> at_once = Add(graph, {Task("a"), Task("b")}, {"request", 17});
  Batch();
  Answer<TaskKey> again = Add(graph, {Task("a"), Task("b")}, {"request", 17});
  Answer<TaskKey> other = Add(graph, {Task("c")}, {"request", 18});
  Batch();
  EXPECT_EQ(first.value(), TaskKey::Of(graph, 0));
  EXPECT_EQ(at_once.value(), TaskKey::Of(graph, 0));
  EXPECT_EQ(again.value(), TaskKey::Of(graph, 0));
  EXPECT_TRUE(absl::IsInvalidArgument(other.status()));
  EXPECT_EQ(history_.graphs().at(graph).tasks.size(), 2u);
}

TEST_F(AdditionsTest, AnIdleGraphClosesWhenThatHasLasted) {
  GraphSubmission submission = Graph({Task("a")}).Open().Queue("client").Get();
  submission.open_until_idle = absl::Seconds(10);
  submission.deliver_end = true;
  Answer<GraphId> graph = Ask<GraphId>(SubmitGraph{"", Prepare(std::move(submission))});
  Agent(1);
  Batch();
  Wait(absl::Minutes(1));
  ASSERT_TRUE(IsRunning(graph.value())) << "its task runs";
  End(Attempt(0), planner::Outcome::kSucceeded);
  Wait(absl::Seconds(9));
  Add(graph.value(), Task("b"));
  Batch();
  End(Attempt(1), planner::Outcome::kSucceeded);
  Wait(absl::Seconds(9));
  EXPECT_TRUE(IsRunning(graph.value())) << "the time began anew";
  Restart();
  Batch();
  Wait(absl::Seconds(9));
  EXPECT_TRUE(IsRunning(graph.value())) << "and again with the service";
  Wait(absl::Seconds(1));
  EXPECT_FALSE(IsRunning(graph.value()));

  Answer<std::vector<storage::Finished>> popped = Pop();
  Batch();
  ASSERT_TRUE(popped.status().ok());
  ASSERT_EQ(popped.value().size(), 3u);
  EXPECT_FALSE(popped.value()[1].graph_end.has_value());
  ASSERT_TRUE(popped.value()[2].graph_end.has_value()) << "after its tasks";
  EXPECT_EQ(popped.value()[2].graph_end->state.state, planner::GraphState::kSucceeded);
}

TEST_F(AdditionsTest, AnIdleGraphWithoutThatStaysOpen) {
  const GraphId graph = Open(Graph({}));
  Wait(absl::Hours(1000));
  EXPECT_TRUE(IsRunning(graph));
  Close(graph);
  Batch();
  EXPECT_FALSE(IsRunning(graph));
  Answer<std::vector<storage::Finished>> popped = Pop();
  Batch();
  EXPECT_THAT(popped.value(), IsEmpty());
}

}  // namespace
}  // namespace kartograph::scheduler
